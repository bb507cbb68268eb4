/* SPDX-License-Identifier: MIT */
/*
 * Where the virtual registers of one program live: linear scan.
 *
 * Branches go forward only, so the order of the instructions is an order of
 * time, and a register is live at most from its first to its last mention:
 * live ranges are plain intervals.  A register that is set once, by CONST,
 * needs no place.  One that is live across a call goes to a register that
 * calls keep, or to a spill slot.
 */
#ifndef JIT_ALLOC_H
#define JIT_ALLOC_H

#include "ir/ir.h"

enum jit_loc_kind { JIT_LOC_NONE, JIT_LOC_REG, JIT_LOC_SPILL, JIT_LOC_IMM };
struct jit_loc {
	enum jit_loc_kind kind;
	union {
		uint32_t reg;  /* the processor's number */
		uint32_t slot; /* spill slot, 8 bytes; in a quick body, which has none, what quick_args.c says */
		int64_t imm;
	};
};

/* What the processor offers: register numbers below 32, in order of preference. */
struct jit_regs {
	const uint8_t *clobbered; /* by calls */
	uint32_t clobbered_cnt;
	const uint8_t *kept;      /* by calls */
	uint32_t kept_cnt;
};

struct jit_alloc {
	struct jit_loc *locs;  /* by vreg */
	uint32_t *last;        /* by vreg: the last instruction that mentions it */
	uint8_t *args;         /* by vreg: n + 1 where it is set once, by ARG n; else 0 */
	uint8_t *insn_flags;   /* JIT_INSN_* */
	uint32_t slot_cnt;
	uint32_t used;         /* mask of the processor's registers */
};
#define JIT_INSN_REACHED 1u /* some path leads to it */
#define JIT_INSN_TARGET 2u  /* some reached branch goes to it */

/* Whether generated code for the instruction calls a function. */
bool jit_insn_calls(const struct ir_insn *);

/* Calls @cb for each register that the instruction reads, then for the one that it sets. */
typedef void jit_reg_cb(void *arg, uint32_t insn, uint32_t vreg, bool is_dst);
void jit_insn_regs(const struct ir_prog *, uint32_t insn, jit_reg_cb *, void *arg);

/* @skip: a byte for each instruction, nonzero for those that no code is made for, which count as not reached; NULL: none.
 * 0 or -ENOMEM.  The program must have been verified. */
int jit_alloc_init(struct jit_alloc *, const struct ir_prog *, const struct jit_regs *, const uint8_t *skip);
void jit_alloc_deinit(struct jit_alloc *);

#endif
