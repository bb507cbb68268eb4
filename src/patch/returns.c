/* SPDX-License-Identifier: MIT */
/*
 * Where a function is left.  A jump to another place is a return (a tail call)
 * unless it goes to the function's own cold part, or the stack still holds
 * something of ours there: then the place jumped to is a cold part that nobody
 * told us of.
 */
#include "patch/patch_int.h"

static bool jump_leaves(const struct code *c, uint32_t i)
{
	const struct isa_insn *in = &c->insn[i].in;
	uint8_t scratch[6];
	if (c->depth[i] > 0 || code_in_frag(c->f, in->target))
		return false;
	/* A function that calls itself last jumps to its own start: a return, and an entry. */
	if (code_inside(c->f, in->target) && (in->target != c->f->addr || c->depth[i]))
		return false;
	return in->flow == ISA_JMP || isa_put_jcc_inverse(scratch, code_bytes(c, i), in, 0);
}

static bool leaves(struct code *c, uint32_t i)
{
	const struct code_insn *k = &c->insn[i];
	if (k->bad || k->pad)
		return false;
	switch (k->in.flow) {
	case ISA_RET:
		return true;
	case ISA_JMP:
	case ISA_JCC:
		return jump_leaves(c, i);
	case ISA_JMP_IND:
		return !tables_is_dispatch(c, i);
	default:
		return false;
	}
}

int patch_find_returns(const struct patch_func *f, uint32_t *ret_offsets, uint32_t cap, struct err *reterr)
{
	struct code c;
	uint32_t cnt = 0;
	int rc = code_init(&c, f);
	if (!rc)
		rc = depth_find(&c);
	if (rc) {
		if (c.insn)
			code_deinit(&c);
		return err_setf(reterr, rc, "no memory to take a function of %u bytes apart", f->bytes);
	}
	for (uint32_t i = 0; i < c.func_cnt; i++) {
		if (!leaves(&c, i))
			continue;
		if (cnt < cap)
			ret_offsets[cnt] = c.insn[i].off;
		cnt++;
	}
	code_deinit(&c);
	return (int)cnt;
}
