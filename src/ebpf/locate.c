/* SPDX-License-Identifier: MIT */
/*
 * Where virtual registers are.  One that is set once, to a constant, is that
 * constant.  The others lie on the program's stack, which is small, from
 * where they are first set to where they are last read (branches go forward,
 * so that is all of their life); who finds no room there, and those of long
 * programs, lie behind the context's scratch memory.
 */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of the stack the kernel's verifier remembers what it knows, and a long program has many paths on which that
 * differs: what is read back from memory is the same on all of them. */
#define STACK_INSNS_MAX 400

/* Instructions between which a register lives. */
struct span {
	uint32_t first, last;
	uint32_t sets;
	int64_t val;
	bool is_const;
};

static void note_use(struct span *s, uint32_t v, uint32_t pc)
{
	if (v != WIRE_NONE)
		s[v].last = pc;
}

static void note_set(struct span *s, const struct ir_insn *in, uint32_t pc)
{
	struct span *x = &s[in->dst];
	if (!x->sets++)
		x->first = pc;
	x->is_const = in->op == IR_OP_CONST;
	x->val = in->imm;
	x->last = pc;
}

static void note_call(const struct ir_prog *p, const struct ir_insn *in, struct span *s, uint32_t pc)
{
	const char *letters = ir_helper((enum ir_helper)in->imm)->args;
	for (uint32_t i = 0; i < in->b; i++)
		if (letters[i] == 'i' || letters[i] == 's')
			note_use(s, (uint32_t)p->args[in->a + i], pc);
}

static void note(const struct ir_prog *p, uint32_t pc, struct span *s)
{
	const struct ir_insn *in = &p->insns[pc];
	switch ((enum ir_op)in->op) {
	case IR_OP_NOP: case IR_OP_JMP: case IR_OP_REC: case IR_OP_COMMIT: case IR_OP_ACTION: case IR_OP_RET:
		break;
	case IR_OP_CONST: case IR_OP_ARG: case IR_OP_UREG: case IR_OP_ENV: case IR_OP_LDS: case IR_OP_LDG: case IR_OP_LDT:
		note_set(s, in, pc);
		break;
	case IR_OP_BRZ: case IR_OP_BRNZ: case IR_OP_STS: case IR_OP_STG: case IR_OP_STT: case IR_OP_STR: case IR_OP_FAULT:
		note_use(s, in->a, pc);
		break;
	case IR_OP_AGG:
		note_use(s, in->a, pc);
		note_use(s, in->b, pc);
		break;
	case IR_OP_CALL:
		note_call(p, in, s, pc);
		if (in->dst != WIRE_NONE)
			note_set(s, in, pc);
		break;
	case IR_OP_MOV: case IR_OP_NEG: case IR_OP_NOT: case IR_OP_EXT:
		note_use(s, in->a, pc);
		note_set(s, in, pc);
		break;
	default:
		note_use(s, in->a, pc);
		note_use(s, in->b, pc);
		note_set(s, in, pc);
		break;
	}
}

/* A register is set where it begins: those are met in the order of instructions. */
static struct loc place(const struct span *s, uint32_t v, uint32_t busy_until[SLOT_CNT], const struct gen *g)
{
	if (s->sets == 1 && s->is_const)
		return (struct loc){ .kind = LOC_CONST, .val = s->val };
	for (int i = 0; i < SLOT_CNT && g->prog->insn_cnt <= STACK_INSNS_MAX; i++) {
		if (busy_until[i] > s->first)
			continue;
		busy_until[i] = s->last + 1;
		return (struct loc){ .kind = LOC_STACK, .off = SLOT_FIRST - 8 * i };
	}
	return (struct loc){ .kind = LOC_SPILL,
			     .off = (int32_t)(g->e->k[RTK_K_SCRATCH] + g->e->k[RTK_K_SCRATCH_BYTES] + 8 * (uint64_t)v) };
}

void gen_locate(struct gen *g)
{
	const struct ir_prog *p = g->prog;
	uint32_t busy_until[SLOT_CNT] = { 0 };
	struct span *s = calloc(p->vreg_cnt + 1, sizeof(*s));
	free(g->locs);
	g->locs = calloc(p->vreg_cnt + 1, sizeof(*g->locs));
	if (!s || !g->locs) {
		refuse(g, -ENOMEM, "out of memory");
		free(s);
		return;
	}
	for (uint32_t pc = 0; pc < p->insn_cnt; pc++)
		note(p, pc, s);
	for (uint32_t pc = 0; pc < p->insn_cnt; pc++) {
		uint32_t v = p->insns[pc].dst;
		if (v < p->vreg_cnt && s[v].sets && s[v].first == pc && !g->locs[v].kind)
			g->locs[v] = place(&s[v], v, busy_until, g);
	}
	free(s);
}

void gen_get(struct gen *g, uint8_t reg, uint32_t vreg)
{
	const struct loc *l = &g->locs[vreg];
	switch ((enum loc_kind)l->kind) {
	case LOC_CONST:
		emit_const(g, reg, l->val);
		break;
	case LOC_STACK:
		emit_load(g, 8, reg, BPF_REG_10, l->off);
		break;
	case LOC_SPILL:
		emit_load(g, 8, reg, REG_CTX, l->off);
		break;
	case LOC_NONE:
		emit_const(g, reg, 0);
		break;
	}
}

void gen_put(struct gen *g, uint32_t vreg, uint8_t reg)
{
	if (vreg == WIRE_NONE)
		return;
	const struct loc *l = &g->locs[vreg];
	if (l->kind == LOC_STACK) {
		emit_store(g, 8, BPF_REG_10, l->off, reg);
	} else if (l->kind == LOC_SPILL) {
		if (!reg) { /* far stores go by r0 */
			emit_mov(g, 1, 0);
			reg = 1;
		}
		emit_store(g, 8, REG_CTX, l->off, reg);
	}
}
