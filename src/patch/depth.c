/* SPDX-License-Identifier: MIT */
/*
 * How deep the stack is at each instruction, counted from the entry: a jump out
 * of a function with something left on the stack is no tail call.  One pass
 * forward over the branches, repeated until nothing changes (backward branches);
 * two depths that disagree make it unknown.
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>

enum { RSP = 4, RBP = 5, FRAME_NONE = -1 };

/* Returns whether something changed. */
static bool depth_join(struct code *c, uint32_t i, int32_t depth)
{
	if (i == CODE_NONE || i >= c->func_cnt || c->depth[i] == depth || c->depth[i] == DEPTH_UNKNOWN)
		return false;
	c->depth[i] = c->depth[i] == DEPTH_UNSEEN ? depth : DEPTH_UNKNOWN;
	return true;
}

static int32_t depth_after(const struct isa_insn *in, int32_t depth, int32_t frame)
{
	int32_t after = DEPTH_UNKNOWN;
	if (in->sp == ISA_SP_SAME)
		return depth;
	if (in->sp == ISA_SP_ADD && depth >= 0)
		after = depth - in->sp_delta;
	else if (in->sp == ISA_SP_FRAME && frame >= 0)
		after = frame - in->sp_delta;
	return after < 0 ? DEPTH_UNKNOWN : after;
}

/* `mov %rsp,%rbp`: the frame pointer is the stack's depth there, all over the function. */
static void note_frame(const struct code *c, uint32_t i, int32_t *frame)
{
	const uint8_t *b = code_bytes(c, i);
	const struct isa_insn *in = &c->insn[i].in;
	bool from_rsp = in->len == 3 && b[0] == 0x48 && ((b[1] == 0x89 && b[2] == 0xe5) || (b[1] == 0x8b && b[2] == 0xec));
	if (in->op == ISA_OP_MOV && in->reg == RBP && from_rsp && c->depth[i] >= 0)
		*frame = c->depth[i];
}

static bool depth_pass(struct code *c, int32_t *frame)
{
	bool changed = false;
	for (uint32_t i = 0; i < c->func_cnt; i++) {
		const struct isa_insn *in = &c->insn[i].in;
		if (c->depth[i] == DEPTH_UNSEEN || c->insn[i].bad)
			continue;
		note_frame(c, i, frame);
		int32_t after = depth_after(in, c->depth[i], *frame);
		if (in->target && in->flow != ISA_CALL)
			changed |= depth_join(c, code_at(c, in->target), after);
		if (!code_ends(in))
			changed |= depth_join(c, i + 1, after);
	}
	return changed;
}

int depth_find(struct code *c)
{
	int32_t frame = FRAME_NONE;
	if (c->depth)
		return 0;
	c->depth = malloc(c->func_cnt * sizeof(*c->depth));
	if (!c->depth)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->func_cnt; i++)
		c->depth[i] = DEPTH_UNSEEN;
	c->depth[0] = c->f->is_frag ? DEPTH_UNKNOWN : 0;
	for (int pass = 0; pass < 16 && depth_pass(c, &frame); pass++)
		;
	return 0;
}
