/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_HARMLESS_H
#define FUZZ_HARMLESS_H

#include "ir/ir.h"

/* Whether the programs may run in this process: none sends signals, writes to memory or wastes time. */
static inline bool fuzz_is_harmless(const struct ir_image *img)
{
	for (uint32_t i = 0; i < img->prog_cnt; i++) {
		const struct ir_prog *p = &img->progs[i];
		for (uint32_t k = 0; k < p->insn_cnt; k++)
			if (p->insns[k].op == IR_OP_CALL &&
			    p->insns[k].imm >= IR_HELPER_copyout && p->insns[k].imm <= IR_HELPER_chill)
				return false;
	}
	return true;
}

#endif
