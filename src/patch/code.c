/* SPDX-License-Identifier: MIT */
/* What jumps where in a function.  Wherever it is not sure it says "target". */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX 4096 /* entries looked at */

static void mark_target(struct code *c, uint64_t addr)
{
	uint64_t off = addr - c->f->addr;
	if (off < c->f->bytes)
		c->flags[off] |= CODE_TARGET;
}

static bool inside(const struct code *c, uint64_t addr)
{
	return addr - c->f->addr < c->f->bytes;
}

static bool ends_flow(const struct isa_insn *in)
{
	return in->flow == ISA_JMP || in->flow == ISA_JMP_IND || in->flow == ISA_RET || in->flow == ISA_TRAP;
}

static void decode_all(struct code *c)
{
	const struct patch_func *f = c->f;
	uint32_t off = 0;
	while (off < f->bytes) {
		struct isa_insn *in = &c->insns[c->insn_cnt];
		if (isa_decode(f->code + off, f->bytes - off, f->addr + off, in))
			break;
		c->flags[off] |= CODE_START;
		c->num[off] = c->insn_cnt;
		c->offs[c->insn_cnt++] = off;
		if (in->target)
			mark_target(c, in->target);
		off += in->len;
		if (in->flow == ISA_CALL) /* its return address, on many stacks already */
			c->flags[off] |= CODE_TARGET;
		if (ends_flow(in))
			c->flags[off] |= CODE_FALLEN;
	}
	c->decoded = off;
}

static bool read_at(const struct code *c, uint64_t addr, void *buf, size_t bytes)
{
	return c->f->read && !c->f->read(c->f->read_arg, addr, buf, bytes);
}

/* Entries of 4 bytes, relative to the table, as position-independent switches have them. */
static uint32_t mark_relative_table(struct code *c, uint64_t table)
{
	uint32_t n = 0;
	for (; n < TABLE_MAX; n++) {
		int32_t rel;
		if (!read_at(c, table + 4ULL * n, &rel, 4) || !rel || !inside(c, table + (uint64_t)(int64_t)rel))
			break;
		mark_target(c, table + (uint64_t)(int64_t)rel);
	}
	return n;
}

/* Entries of 8 bytes, addresses: other code, and computed gotos. */
static uint32_t mark_absolute_table(struct code *c, uint64_t table)
{
	uint32_t n = 0;
	for (; n < TABLE_MAX; n++) {
		uint64_t at;
		if (!read_at(c, table + 8ULL * n, &at, 8) || !inside(c, at))
			break;
		mark_target(c, at);
	}
	return n;
}

static void mark_data(struct code *c, uint64_t data)
{
	if (inside(c, data))
		mark_target(c, data); /* the address of a label */
	if (mark_relative_table(c, data) || mark_absolute_table(c, data))
		c->has_tables = true;
}

static void mark_tables(struct code *c)
{
	bool table_jump = false;
	bool any_indirect = false;
	for (uint32_t i = 0; i < c->insn_cnt; i++)
		any_indirect |= c->insns[i].flow == ISA_JMP_IND;
	for (uint32_t i = 0; i < c->insn_cnt; i++) {
		const struct isa_insn *in = &c->insns[i];
		if (in->rip_rel && inside(c, in->rip_target))
			mark_target(c, in->rip_target);
		if (any_indirect && in->rip_rel)
			mark_data(c, in->rip_target);
		if (any_indirect && in->abs_disp)
			mark_data(c, in->abs_disp);
		table_jump |= in->flow == ISA_JMP_IND && in->indexed;
	}
	c->unknown_jumps = table_jump && !c->has_tables;
}

int code_init(struct code *c, const struct patch_func *f)
{
	*c = (struct code){ .f = f };
	c->flags = calloc(f->bytes + 1, 1);
	c->insns = malloc((f->bytes + 1) * sizeof(*c->insns));
	c->offs = malloc((f->bytes + 1) * sizeof(*c->offs));
	c->num = malloc((f->bytes + 1) * sizeof(*c->num));
	if (!c->flags || !c->insns || !c->offs || !c->num) {
		code_deinit(c);
		return -ENOMEM;
	}
	decode_all(c);
	for (uint32_t i = 0; i < f->target_cnt; i++)
		mark_target(c, f->targets[i]);
	mark_tables(c);
	return 0;
}

void code_deinit(struct code *c)
{
	free(c->flags);
	free(c->insns);
	free(c->offs);
	free(c->num);
}

/* A switch loads its table entry shortly before the jump; a tail call through a pointer does not. */
bool code_is_dispatch(const struct code *c, uint32_t i)
{
	if (!c->has_tables && !c->unknown_jumps)
		return false;
	for (uint32_t back = 0; back < 8 && back <= i; back++) {
		const struct isa_insn *in = &c->insns[i - back];
		if (in->indexed)
			return true;
		if (back && (ends_flow(in) || in->flow == ISA_CALL))
			return false;
	}
	return false;
}
