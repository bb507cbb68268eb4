/* SPDX-License-Identifier: MIT */
/*
 * Arguments that nothing else is written to stay where they are: in their
 * register, where the body leaves that alone, or where it was saved.  Each
 * vreg less is a register less to save.
 */
#include "jit/x86_64/quick_int.h"

#define VALUE X64_REG_CNT /* in place of a register: the application's return value */

/* Where a body finds it: a register that vregs have, or one that bodies save where they change it.  X64_NO_REG: neither. */
static enum x64_reg home_of(const struct jit_gen *g, uint32_t arg)
{
	static const uint8_t regs[] = { X64_RDI, X64_RSI, X64_RDX, X64_NO_REG, X64_NO_REG, X64_R9 };
	if (g->kind == WIRE_SITE_RETURN)
		return arg == 1 ? VALUE : X64_NO_REG;
	return arg < ARRAY_CNT(regs) ? (enum x64_reg)regs[arg] : X64_NO_REG;
}

static enum x64_reg home_of_vreg(const struct jit_gen *g, const struct jit_alloc *al, uint32_t vreg)
{
	return al->args[vreg] ? home_of(g, al->args[vreg] - 1u) : X64_NO_REG;
}

/* The registers of all others. */
static uint32_t used_by_others(struct jit_gen *g)
{
	uint32_t all = 0;
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		struct jit_alloc *al = &g->allocs[i];
		al->used = 0;
		for (uint32_t v = 0; v < g->progs[i]->vreg_cnt; v++)
			if (al->locs[v].kind == JIT_LOC_REG && home_of_vreg(g, al, v) == X64_NO_REG)
				al->used |= 1u << al->locs[v].reg;
		all |= al->used;
	}
	return all;
}

void jit_quick_args(struct jit_gen *g)
{
	uint32_t used = used_by_others(g) | 1u << JIT_PROC | (1u << X64_RDX & ~g->spares) | 1u << VALUE;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		for (uint32_t v = 0; v < g->progs[i]->vreg_cnt; v++) {
			enum x64_reg home = home_of_vreg(g, &g->allocs[i], v);
			struct jit_loc *l = &g->allocs[i].locs[v];
			if (home == X64_NO_REG || l->kind == JIT_LOC_NONE)
				continue;
			if (used >> home & 1)
				*l = (struct jit_loc){ .kind = JIT_LOC_SPILL, .slot = home };
			else
				*l = (struct jit_loc){ .kind = JIT_LOC_REG, .reg = home };
		}
}

bool jit_quick_arg_stays(const struct jit_gen *g, const struct ir_insn *insn)
{
	return home_of_vreg(g, g->al, insn->dst) != X64_NO_REG;
}

struct x64_mem jit_quick_arg_at(const struct jit_gen *g, uint32_t home)
{
	const struct jit_quick *q = g->quick;
	int32_t at = home == VALUE ? q->value_at : q->saved_at + 8 * ((int32_t)q->f->saved_cnt - 1 - jit_saved_at(q->f, home));
	return x64_at(X64_RSP, at + q->pushed);
}
