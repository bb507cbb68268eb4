/* SPDX-License-Identifier: MIT */
/*
 * Functions that make room on their stack and then begin again, as Go's do:
 *
 *	f:   cmp  16(%r14), %rsp
 *	     jbe  g
 *	f+6: sub  $56, %rsp        the entry's probe: once for a call
 *	     ...
 *	g:   (spill) call runtime.morestack (reload)
 *	     jmp  f                no return
 */
#include "patch/patch_int.h"

enum { CHECK_MAX = 8, GROW_MAX = 40 }; /* instructions */

static bool decode_at(const struct patch_func *f, uint32_t off, struct isa_insn *ret)
{
	return off < f->bytes && !isa_decode(f->code + off, f->bytes - off, f->addr + off, ret);
}

/* Whether code at @off calls something and then goes back to the start. */
static bool grows_and_restarts(const struct patch_func *f, uint32_t off)
{
	struct isa_insn in;
	uint32_t calls = 0;
	for (uint32_t n = 0; n < GROW_MAX && decode_at(f, off, &in); n++, off += in.len) {
		if (in.flow == ISA_JMP)
			return calls == 1 && in.target == f->addr;
		if (in.flow == ISA_CALL)
			calls++;
		else if (in.flow != ISA_NEXT)
			return false;
	}
	return false;
}

uint32_t patch_entry_offset(const struct patch_func *f)
{
	struct isa_insn in;
	uint32_t found = 0;
	for (uint32_t off = 0, n = 0; n < CHECK_MAX && decode_at(f, off, &in); n++) {
		off += in.len;
		if (in.flow == ISA_JCC && in.target > f->addr && code_inside(f, in.target)) {
			if (grows_and_restarts(f, (uint32_t)(in.target - f->addr)))
				found = off;
		} else if (in.flow != ISA_NEXT || in.sp != ISA_SP_SAME) {
			break;
		}
	}
	return found < f->bytes ? found : 0;
}

bool growth_restarts(const struct code *c, uint32_t i)
{
	for (uint32_t n = 0; n < GROW_MAX && i--; n++) {
		const struct isa_insn *in = &c->insn[i].in;
		if (c->insn[i].bad || in->sp != ISA_SP_SAME)
			return false;
		if (in->flow == ISA_CALL)
			return c->depth[i] == 0;
		if (in->flow != ISA_NEXT)
			return false;
	}
	return false;
}
