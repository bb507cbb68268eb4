/* SPDX-License-Identifier: MIT */
/*
 * Jump tables.  Compilers make two kinds: 8-byte addresses (code at fixed
 * addresses, and computed goto everywhere) and 4-byte offsets from the table's
 * own start.  Every data address that the function mentions is tried as both, as
 * far as entries lead into the function: that does not depend on how the
 * dispatch is written, and what is no table hardly ever hits an instruction.
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TABLE_MAX = 1 << 14, /* entries */
	MISS_MAX = 3,        /* entries in a row that lead elsewhere (into a cold part that nobody told us of) */
	BLOCK = 256,
	TRACE_BACK = 24,     /* instructions from a dispatch back to where its register is set */
};

/* Memory of the process, read in blocks. */
struct window {
	const struct patch_func *f;
	uint64_t addr;
	uint32_t bytes;
	uint8_t buf[BLOCK];
};

static bool window_load(struct window *w, uint64_t addr, uint32_t want)
{
	uint32_t bytes = BLOCK;
	if (addr >= w->addr && addr + want <= w->addr + w->bytes)
		return true;
	while (bytes >= want && w->f->read(w->f->read_arg, addr, w->buf, bytes))
		bytes /= 2;
	w->addr = addr;
	w->bytes = bytes >= want ? bytes : 0;
	return w->bytes;
}

static bool entry_at(struct window *w, uint64_t table, uint32_t i, uint32_t width, uint64_t *ret)
{
	uint64_t at = table + (uint64_t)i * width;
	int32_t rel;
	if (!window_load(w, at, width))
		return false;
	const uint8_t *p = w->buf + (at - w->addr);
	if (width == 8) {
		memcpy(ret, p, 8);
	} else {
		memcpy(&rel, p, 4);
		*ret = table + (uint64_t)(int64_t)rel;
	}
	return true;
}

/* Marks what the table at @table points to; returns how many entries lead into the function. */
static uint32_t scan(struct code *c, struct window *w, uint64_t table, uint32_t width)
{
	uint32_t hits = 0, misses = 0;
	uint64_t target;
	for (uint32_t i = 0; i < TABLE_MAX && misses <= MISS_MAX && entry_at(w, table, i, width, &target); i++) {
		if (code_at(c, target) != CODE_NONE) {
			code_mark(c, target);
			hits++, misses = 0;
		} else if (code_in_frag(c->f, target)) {
			hits++, misses = 0;
		} else {
			misses++;
		}
	}
	return hits;
}

/* As far as scan() gets, and farther: here each byte counts as the beginning of an instruction. */
static bool leads_into(const struct patch_func *f, struct window *w, uint64_t table, uint32_t width, uint32_t win)
{
	uint32_t misses = 0;
	uint64_t target;
	for (uint32_t i = 0; i < TABLE_MAX && misses <= MISS_MAX && entry_at(w, table, i, width, &target); i++) {
		if (target - f->addr - 1 < win - 1)
			return true;
		misses = code_inside(f, target) ? 0 : misses + 1;
	}
	return false;
}

bool tables_may_enter(const struct patch_func *f, uint64_t table, uint32_t win)
{
	struct window w = { .f = f };
	return leads_into(f, &w, table, 4, win) || leads_into(f, &w, table, 8, win);
}

static int note_table(struct code *c, uint64_t addr)
{
	uint64_t *grown = c->tables;
	if (!(c->table_cnt & (c->table_cnt - 1)))
		grown = realloc(c->tables, (c->table_cnt ? 2 * c->table_cnt : 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->tables = grown;
	c->tables[c->table_cnt++] = addr;
	return 0;
}

static int try_table(struct code *c, struct window *w, uint64_t addr)
{
	if (!addr || code_inside(c->f, addr))
		return 0;
	for (uint32_t i = 0; i < c->table_cnt; i++)
		if (c->tables[i] == addr)
			return 0;
	uint32_t hits = scan(c, w, addr, 4);
	hits += scan(c, w, addr, 8);
	return hits > 1 ? note_table(c, addr) : 0;
}

/* Addresses below 4 GiB can be written as plain numbers. */
static uint64_t plain_ref(const struct code *c, const struct isa_insn *in)
{
	return c->f->addr + c->f->bytes <= UINT32_MAX && in->abs_ref >= 4096 && in->abs_ref <= UINT32_MAX ?
		in->abs_ref : 0;
}

static int try_refs(struct code *c, struct window *w, const struct isa_insn *in)
{
	int rc = in->rip_rel && in->op == ISA_OP_LEA ? try_table(c, w, in->rip_target) : 0;
	uint64_t plain = plain_ref(c, in);
	return rc || !plain ? rc : try_table(c, w, plain);
}

/* A label whose address is taken: `lea label(%rip)` or a number. */
static void mark_label(struct code *c, const struct isa_insn *in)
{
	uint64_t plain = plain_ref(c, in);
	if (in->op == ISA_OP_LEA && in->rip_rel)
		code_mark(c, in->rip_target);
	if (plain && code_at(c, plain) != CODE_NONE)
		code_mark(c, plain);
}

/* What a cold part does to us: branches, labels, and, in @ret_ind, indirect jumps. */
typedef int frag_fn(struct code *, void *arg, const struct isa_insn *);

static int frag_each(struct code *c, const struct patch_range *r, frag_fn *fn, void *arg)
{
	size_t bytes = r->end - r->start;
	uint8_t *buf = bytes < (1U << 26) ? malloc(bytes + 1) : NULL;
	struct isa_insn in;
	int rc = 0;
	if (!buf)
		return -ENOMEM;
	if (!c->f->read(c->f->read_arg, r->start, buf, bytes)) {
		for (size_t off = 0; off < bytes && !rc; off += in.len) {
			if (isa_decode(buf + off, bytes - off, r->start + off, &in))
				in.len = 1;
			else
				rc = fn(c, arg, &in);
		}
	}
	free(buf);
	return rc;
}

static int frag_branches(struct code *c, void *arg, const struct isa_insn *in)
{
	bool *any_ind = arg;
	*any_ind |= in->flow == ISA_JMP_IND && !(in->rip_rel && in->has_mem);
	if (in->target)
		code_mark(c, in->target);
	mark_label(c, in);
	return 0;
}

static int frag_refs(struct code *c, void *arg, const struct isa_insn *in)
{
	return try_refs(c, arg, in);
}

static int in_frags(struct code *c, frag_fn *fn, void *arg)
{
	int rc = 0;
	for (uint32_t i = 0; i < c->f->frag_cnt && c->f->read && !rc; i++)
		rc = frag_each(c, &c->f->frags[i], fn, arg);
	return rc;
}

static bool has_indirect(struct code *c)
{
	bool any = false;
	for (uint32_t i = 0; i < c->func_cnt; i++) {
		mark_label(c, &c->insn[i].in);
		any |= c->insn[i].in.flow == ISA_JMP_IND && !c->insn[i].in.rip_rel;
	}
	return any;
}

static int find_all(struct code *c)
{
	struct window w = { .f = c->f };
	int rc = 0;
	for (uint32_t i = 0; i < c->func_cnt && !rc; i++)
		rc = try_refs(c, &w, &c->insn[i].in);
	return rc ? rc : in_frags(c, frag_refs, &w);
}

static bool is_table(const struct code *c, uint64_t addr)
{
	for (uint32_t i = 0; i < c->table_cnt; i++)
		if (c->tables[i] == addr)
			return true;
	return false;
}

/* Behind an epilogue there is nothing to dispatch to. */
static bool frame_is_gone(const struct code *c, uint32_t i)
{
	const struct isa_insn *before = i ? &c->insn[i - 1].in : NULL;
	return before && c->depth && c->depth[i] == 0 &&
	       (before->op == ISA_OP_POP || before->op == ISA_OP_LEAVE || (before->sp == ISA_SP_ADD && before->sp_delta > 0));
}

/* Looks back for where @reg is set: by an addition (table + offset), or from an indexed load. */
static bool register_is_dispatch(const struct code *c, uint32_t i, uint8_t reg)
{
	for (uint32_t n = 0; n < TRACE_BACK && i > 0; n++) {
		const struct isa_insn *in = &c->insn[--i].in;
		if (c->insn[i].bad || code_ends(in))
			return c->table_cnt > 0;
		if (in->flow == ISA_CALL || !isa_writes_reg(code_bytes(c, i), in->len, reg))
			continue;
		if (in->op == ISA_OP_ADD && in->reg == reg)
			return true;
		if (in->op == ISA_OP_LOAD && in->base == ISA_REG_NONE && plain_ref(c, in))
			return is_table(c, plain_ref(c, in));
		return in->op == ISA_OP_LOAD && in->index != ISA_REG_NONE && c->table_cnt > 0;
	}
	return c->table_cnt > 0;
}

bool tables_is_dispatch(struct code *c, uint32_t i)
{
	const struct isa_insn *in = &c->insn[i].in;
	if (in->has_mem && in->rip_rel)
		return false; /* through the GOT */
	if (in->notrack || (c->depth && c->depth[i] > 0))
		return true;
	if (frame_is_gone(c, i))
		return false;
	if (!in->has_mem)
		return register_is_dispatch(c, i, in->reg);
	if (in->index == ISA_REG_NONE)
		return false; /* a method */
	return in->base == ISA_REG_NONE ? is_table(c, plain_ref(c, in)) || !c->f->read : c->table_cnt > 0;
}

static bool any_dispatch(struct code *c)
{
	for (uint32_t i = 0; i < c->func_cnt; i++)
		if (c->insn[i].in.flow == ISA_JMP_IND && tables_is_dispatch(c, i))
			return true;
	return false;
}

int tables_find(struct code *c)
{
	bool frag_ind = false;
	bool own_ind = has_indirect(c);
	int rc = in_frags(c, frag_branches, &frag_ind);
	if (rc || (!own_ind && !frag_ind))
		return rc;
	if (c->f->read)
		rc = find_all(c);
	if (!rc)
		rc = depth_find(c);
	if (!rc && !c->table_cnt)
		c->unknown_jumps = any_dispatch(c);
	return rc;
}
