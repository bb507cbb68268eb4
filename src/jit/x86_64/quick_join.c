/* SPDX-License-Identifier: MIT */
/* The programs of a body as one, where they have something in common; each is a part of it that begins with ACTION,
 * and has places before which what it needs is looked up. */
#include "jit/x86_64/quick_int.h"

#include <stdlib.h>

#define INSNS_MAX 1024u /* in all; whoever has more has other costs */

static bool is_worth_it(const struct jit_gen *g)
{
	uint32_t insns = 0;
	if (g->kind != WIRE_SITE_ENTRY && g->kind != WIRE_SITE_OFFSET && g->kind != WIRE_SITE_RETURN)
		return false;
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		const struct ir_prog *p = g->progs[i];
		insns += p->insn_cnt;
		for (uint32_t k = 0; k < p->insn_cnt && insns <= INSNS_MAX; k++)
			if (p->insns[k].op == IR_OP_FAULT || (p->insns[k].op == IR_OP_CALL && p->insns[k].imm != IR_HELPER_tuple_begin))
				return false;
	}
	return g->prog_cnt > 1 && insns <= INSNS_MAX && !g->notes && !g->env->own_stack;
}

bool jit_join(struct jit_gen *g)
{
	if (!is_worth_it(g) || ir_progs_join(g->progs, g->prog_cnt, &g->joined) < 0)
		return false;
	g->apart = g->progs;
	g->apart_cnt = g->prog_cnt;
	g->joined_at = &g->joined;
	g->progs = &g->joined_at;
	g->prog_cnt = 1;
	return true;
}

void jit_unjoin(struct jit_gen *g)
{
	if (!g->apart)
		return;
	g->progs = g->apart;
	g->prog_cnt = g->apart_cnt;
	g->apart = NULL;
	ir_prog_deinit(&g->joined);
}

struct jit_part jit_part_of(const struct jit_gen *g, const struct ir_prog *p, uint32_t insn)
{
	struct jit_part part = { 0, p->insn_cnt, p->clause };
	if (p != g->joined_at)
		return part;
	for (part.lo = insn; part.lo && p->insns[part.lo].op != IR_OP_ACTION;)
		part.lo--;
	for (part.hi = insn + 1; part.hi < p->insn_cnt && p->insns[part.hi].op != IR_OP_ACTION;)
		part.hi++;
	part.clause = (uint32_t)p->insns[part.lo].imm;
	return part;
}

/* The first that code is made for. */
static uint32_t first_of_all(const struct jit_alloc *al, const struct jit_part *part)
{
	uint32_t i = part->lo;
	while (i + 1 < part->hi && !(al->insn_flags[i] & JIT_INSN_REACHED))
		i++;
	return i;
}

uint32_t jit_part_first_need(const struct ir_prog *p, const struct jit_alloc *al, const struct jit_part *part,
			     bool (*needs)(const struct ir_insn *))
{
	uint32_t first = WIRE_NONE, last = 0;
	for (uint32_t i = part->lo; i < part->hi; i++) {
		if (!(al->insn_flags[i] & JIT_INSN_REACHED) || !needs(&p->insns[i]))
			continue;
		first = first == WIRE_NONE ? i : first;
		last = i;
	}
	for (uint32_t i = part->lo; first != WIRE_NONE && i < first; i++) {
		const struct ir_insn *in = &p->insns[i];
		if (in->op == IR_OP_STG)
			return first_of_all(al, part);
		if (jit_quick_branches(in) && (al->insn_flags[i] & JIT_INSN_REACHED) && in->imm > first && in->imm <= last)
			return first_of_all(al, part);
	}
	return first;
}

bool jit_part_passes(const struct ir_prog *p, const struct jit_part *part, uint32_t at)
{
	for (uint32_t i = part->lo; at != WIRE_NONE && i < at; i++)
		if (p->insns[i].op == IR_OP_RET || (jit_quick_branches(&p->insns[i]) && p->insns[i].imm > at))
			return false;
	return at != WIRE_NONE;
}
