/* SPDX-License-Identifier: MIT */
/*
 * Where a function is left.  A jump to another place is a return (a tail call)
 * unless it goes to the function's own cold part, or the stack still holds
 * something of ours there: then the place jumped to is a cold part that nobody
 * told us of.  A jump to the very start, with nothing on the stack, is a tail
 * call too: the entry's probe will fire again.
 */
#include "patch/patch_int.h"

/* jmp, or a jcc that can be turned round: not loop, not jrcxz, which lead nowhere far. */
static bool is_plain(const struct code *c, uint32_t i)
{
	const struct isa_insn *in = &c->insn[i].in;
	uint8_t scratch[6];
	return in->flow == ISA_JMP || isa_put_jcc_inverse(scratch, code_bytes(c, i), in, 0);
}

static bool jump_leaves(const struct code *c, uint32_t i)
{
	const struct isa_insn *in = &c->insn[i].in;
	if (in->target == c->f->addr && !c->f->is_frag)
		return c->depth[i] == 0 && is_plain(c, i) && !growth_restarts(c, i); /* calls itself: entered again */
	if (code_inside(c->f, in->target) || code_in_frag(c->f, in->target) || c->depth[i] > 0)
		return false;
	return is_plain(c, i);
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
