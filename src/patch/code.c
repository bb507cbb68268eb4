/* SPDX-License-Identifier: MIT */
/*
 * A function taken apart: where its instructions begin, and to which of them
 * something jumps.  Everything here errs towards more targets: a target too many
 * costs a window, one too few the program.
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STD 0xfd /* Intel SDM volume 2, "STD" */
#define POPF 0x9d /* "POPF" */

bool code_in_frag(const struct patch_func *f, uint64_t addr)
{
	for (uint32_t i = 0; i < f->frag_cnt; i++)
		if (addr >= f->frags[i].start && addr < f->frags[i].end)
			return true;
	return f->is_fragment && f->is_fragment(f->fragment_arg, addr);
}

uint32_t code_at(const struct code *c, uint64_t addr)
{
	return code_inside(c->f, addr) ? c->at[addr - c->f->addr] : CODE_NONE;
}

void code_mark(struct code *c, uint64_t addr)
{
	if (!code_inside(c->f, addr))
		return;
	uint32_t off = (uint32_t)(addr - c->f->addr), start = off;
	while (c->at[start] == CODE_NONE)
		start--; /* offset 0 always begins an instruction */
	struct code_insn *i = &c->insn[c->at[start]];
	i->foreign |= c->own_known;
	if (start == off)
		i->start = true;
	else
		i->split = true; /* e.g. past a lock prefix */
}

static void decode_one(const struct patch_func *f, uint32_t off, uint32_t end, struct code_insn *ret)
{
	*ret = (struct code_insn){ .off = off };
	if (!isa_decode(f->code + off, end - off, f->addr + off, &ret->in))
		return;
	ret->bad = true;
	ret->in = (struct isa_insn){ .len = 1, .flow = ISA_TRAP, .op = ISA_OP_INT3 };
}

static void decode_all(struct code *c)
{
	const struct patch_func *f = c->f;
	for (uint32_t off = 0; off < f->bytes; off++)
		c->at[off] = CODE_NONE;
	for (uint32_t off = 0; off < f->bytes; off += c->insn[c->cnt++].in.len) {
		decode_one(f, off, f->bytes, &c->insn[c->cnt]);
		c->at[off] = c->cnt;
		c->has_std |= c->insn[c->cnt].in.len == 1 && f->code[off] == STD && !c->insn[c->cnt].bad;
		c->has_below |= c->insn[c->cnt].in.touches_rsp_below;
		c->has_popf |= c->insn[c->cnt].in.len == 1 && f->code[off] == POPF && !c->insn[c->cnt].bad;
	}
	c->func_cnt = c->cnt;
}

/* A call at the very end is of a function that does not return. */
static void decode_slack(struct code *c)
{
	const struct patch_func *f = c->f;
	const struct isa_insn *last = &c->insn[c->func_cnt - 1].in;
	if (c->insn[c->func_cnt - 1].bad || (!code_ends(last) && last->flow != ISA_CALL))
		return;
	uint32_t end = f->bytes + patch_padding(f->code + f->bytes, f->slack, f->addr + f->bytes);
	for (uint32_t off = f->bytes; off < end; off += c->insn[c->cnt++].in.len) {
		decode_one(f, off, end, &c->insn[c->cnt]);
		c->insn[c->cnt].pad = true;
	}
	for (uint32_t off = f->bytes + f->slack; end == f->bytes + f->slack && off < end + f->gap; off++)
		c->insn[c->cnt++] = (struct code_insn){ .off = off, .pad = true,
							.in = { .len = 1, .flow = ISA_TRAP, .op = ISA_OP_INT3 } };
}

/* Branches that data among the code has hidden. */
static void mark_hidden(struct code *c)
{
	const struct patch_func *f = c->f;
	uint32_t op;
	for (size_t i = isa_next_branch(f->code, 0, f->bytes, &op); i < f->bytes; i = isa_next_branch(f->code, i + 1, f->bytes, &op)) {
		int32_t rel;
		memcpy(&rel, f->code + i + op, sizeof(rel));
		uint64_t target = f->addr + i + op + 4 + (uint64_t)(int64_t)rel;
		if (c->at[i] == CODE_NONE && target != f->addr && code_at(c, target) != CODE_NONE &&
		    !c->insn[code_at(c, target)].start && text_may_begin(f->code, f->bytes, i))
			code_mark(c, target);
	}
}

static void mark_branches(struct code *c)
{
	for (uint32_t i = 0; i < c->func_cnt; i++) {
		const struct isa_insn *in = &c->insn[i].in;
		c->insn[i].start |= c->f->entered_anywhere;
		if (in->target)
			code_mark(c, in->target);
	}
	c->own_known = true;
	for (uint32_t i = 0; i < c->f->target_cnt; i++)
		if (code_at(c, c->f->targets[i]) != CODE_NONE)
			code_mark(c, c->f->targets[i]);
}

enum { NEAR = 130, SYNC = 64 };

static void mark_from(struct code *c, uint64_t lo, uint64_t hi)
{
	uint8_t buf[NEAR + SYNC + ISA_INSN_MAX];
	struct isa_insn in;
	if (c->f->read(c->f->read_arg, lo, buf, hi - lo))
		return;
	for (uint64_t at = lo; at < hi; at += in.len) {
		if (isa_decode(buf + (at - lo), hi - at, at, &in))
			in.len = 1;
		else if (in.target && code_at(c, in.target) != CODE_NONE)
			code_mark(c, in.target);
	}
}

/* Hand-written functions jump into their neighbours (memcpy and mempcpy).  With 8 bits that is from
 * nearby; decoding what stands before begins early enough to have fallen into step. */
static void mark_neighbours(struct code *c)
{
	const struct patch_func *f = c->f;
	if (!f->read || f->knows_near)
		return;
	if (f->addr > NEAR + SYNC)
		mark_from(c, f->addr - NEAR - SYNC, f->addr);
	mark_from(c, f->addr + f->bytes, f->addr + f->bytes + NEAR);
}

static bool is_filler(const struct code_insn *i)
{
	return !i->bad && !i->start && !i->split && (i->in.is_nop || i->in.op == ISA_OP_INT3);
}

/* Padding between the blocks of a function.  Where unknown jumps could end at a
 * nop, only a run up to an aligned address is taken for padding. */
static void mark_padding(struct code *c)
{
	for (uint32_t i = 0; i + 1 < c->func_cnt; i++) {
		if (c->insn[i].bad || !code_ends(&c->insn[i].in))
			continue;
		uint32_t end = i + 1;
		while (end < c->func_cnt && is_filler(&c->insn[end]))
			end++;
		uint64_t next = end < c->func_cnt ? c->f->addr + c->insn[end].off : 0;
		if (c->unknown_jumps && next & 7)
			continue;
		for (uint32_t k = i + 1; k < end; k++)
			c->insn[k].pad = true;
	}
}

int code_init(struct code *c, const struct patch_func *f)
{
	*c = (struct code){ .f = f };
	c->insn = malloc((f->bytes + f->slack + f->gap + 1) * sizeof(*c->insn));
	c->at = malloc((f->bytes + 1) * sizeof(*c->at));
	if (!c->insn || !c->at || !f->bytes) {
		code_deinit(c);
		return -ENOMEM;
	}
	decode_all(c);
	mark_branches(c);
	mark_hidden(c);
	mark_neighbours(c);
	int rc = tables_find(c);
	if (rc) {
		code_deinit(c);
		return rc;
	}
	mark_padding(c);
	decode_slack(c);
	return 0;
}

void code_deinit(struct code *c)
{
	free(c->insn);
	free(c->at);
	free(c->depth);
	free(c->tables);
	*c = (struct code){ 0 };
}
