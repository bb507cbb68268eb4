/* SPDX-License-Identifier: MIT */
/*
 * Puns, the last resort: a window of one instruction that has less than 5 bytes
 * becomes the beginning of a jump, whose end is the code that follows, read as
 * part of an address.  Nothing but the instruction changes, so what is jumped to
 * behind it stays.  (Instruction punning: Chamith et al., PLDI 2017.)
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <string.h>

uint32_t puns_place(struct plan *p, uint32_t k)
{
	const struct code *c = &p->code;
	if (c->insn[k].in.len >= JMP_BYTES || window_check(c, k, k + 1))
		return CODE_NONE;
	p->span[p->cnt] = (struct span){ .a = k, .b = k + 1, .form = PATCH_PUN };
	return p->cnt++;
}

void patch_pun_range(const struct patch_window *w, const uint8_t behind[4], uint64_t *ret_lo, uint64_t *ret_hi)
{
	uint32_t rel, free_bits = 8 * (w->bytes - 1), mask = (1u << free_bits) - 1;
	memcpy(&rel, behind, sizeof(rel));
	rel <<= free_bits;
	*ret_lo = w->addr + JMP_BYTES + (uint64_t)(int64_t)(int32_t)rel;
	*ret_hi = *ret_lo + mask;
}

int patch_pun_bytes(const struct patch_window *w, const uint8_t behind[4], uint64_t landing, uint8_t ret_new[4], struct err *reterr)
{
	uint64_t lo, hi;
	uint32_t rel = (uint32_t)(landing - w->addr - JMP_BYTES);
	patch_pun_range(w, behind, &lo, &hi);
	if (w->form != PATCH_PUN || landing < lo || landing > hi)
		return err_setf(reterr, -ERANGE, "the jump at %#llx cannot lead to %#llx", (unsigned long long)w->addr,
				(unsigned long long)landing);
	ret_new[0] = 0xe9;
	memcpy(ret_new + 1, &rel, w->bytes - 1);
	return 0;
}
