/* SPDX-License-Identifier: MIT */
#include "jit/alloc.h"

#include <errno.h>
#include <stdlib.h>

#define REGS_MAX 32

struct interval {
	uint32_t vreg;
	uint32_t start, end; /* first and last instruction that mentions it */
	uint32_t defs;
	bool is_const;       /* the last one that set it was CONST */
	uint8_t arg;         /* n + 1: it was ARG n */
	bool crosses;        /* a call lies strictly inside */
	int64_t imm;
};

struct scan {
	const struct ir_prog *p;
	const struct jit_regs *regs;
	struct jit_alloc *al;
	struct interval *ivs;   /* by vreg, then sorted by start */
	uint32_t *calls_before; /* number of calls before each instruction */
	const struct interval *owner[REGS_MAX]; /* of each register, now */
};

bool jit_insn_calls(const struct ir_insn *in)
{
	switch (in->op) {
	case IR_OP_REC:
	case IR_OP_COMMIT:
	case IR_OP_AGG:
	case IR_OP_CALL:
		return true;
	case IR_OP_ENV:
		return in->imm == WIRE_ENV_CPU || in->imm == WIRE_ENV_AT_JUMP || in->imm == WIRE_ENV_IN_KERNEL || in->imm == WIRE_ENV_WEIGHT;
	default:
		return false;
	}
}

static bool is_branch(unsigned op)
{
	return op == IR_OP_JMP || op == IR_OP_BRZ || op == IR_OP_BRNZ;
}

static void find_reached(struct scan *s)
{
	uint8_t *flags = s->al->insn_flags;
	flags[0] = JIT_INSN_REACHED;
	for (uint32_t i = 0; i < s->p->insn_cnt; i++) {
		const struct ir_insn *in = &s->p->insns[i];
		if (!(flags[i] & JIT_INSN_REACHED))
			continue;
		if (is_branch(in->op))
			flags[in->imm] |= JIT_INSN_REACHED | JIT_INSN_TARGET;
		if (in->op != IR_OP_JMP && in->op != IR_OP_RET && in->op != IR_OP_FAULT && i + 1 < s->p->insn_cnt)
			flags[i + 1] |= JIT_INSN_REACHED;
	}
}

static struct interval *mention(struct scan *s, uint32_t vreg, uint32_t insn)
{
	struct interval *iv = &s->ivs[vreg];
	if (iv->start == WIRE_NONE)
		iv->start = insn;
	iv->end = insn;
	return iv;
}

static void note_reg(void *arg, uint32_t insn, uint32_t vreg, bool is_dst)
{
	struct scan *s = arg;
	const struct ir_insn *in = &s->p->insns[insn];
	struct interval *iv = mention(s, vreg, insn);
	if (!is_dst)
		return;
	iv->defs++;
	iv->is_const = in->op == IR_OP_CONST;
	iv->arg = in->op == IR_OP_ARG ? (uint8_t)(in->imm + 1) : 0;
	iv->imm = in->imm;
}

static void args_regs(const struct ir_prog *p, uint32_t insn, jit_reg_cb *cb, void *arg)
{
	const struct ir_insn *in = &p->insns[insn];
	const char *letters = ir_helper((enum ir_helper)in->imm)->args;
	for (uint32_t i = 0; i < in->b; i++)
		if (letters[i] == 'i' || letters[i] == 's')
			cb(arg, insn, (uint32_t)p->args[in->a + i], false);
}

void jit_insn_regs(const struct ir_prog *p, uint32_t insn, jit_reg_cb *cb, void *arg)
{
	const struct ir_insn *in = &p->insns[insn];
	switch ((enum ir_op)in->op) {
	case IR_OP_NOP: case IR_OP_JMP: case IR_OP_REC: case IR_OP_COMMIT: case IR_OP_ACTION: case IR_OP_RET:
	case IR_OP_CNT:
		return;
	case IR_OP_CONST: case IR_OP_ARG: case IR_OP_UREG: case IR_OP_ENV: case IR_OP_LDS: case IR_OP_LDG: case IR_OP_LDT:
		break;
	case IR_OP_BRZ: case IR_OP_BRNZ: case IR_OP_STS: case IR_OP_STG: case IR_OP_STT: case IR_OP_STR: case IR_OP_FAULT:
		cb(arg, insn, in->a, false);
		return;
	case IR_OP_AGG:
		cb(arg, insn, in->a, false);
		if (in->b != WIRE_NONE)
			cb(arg, insn, in->b, false);
		return;
	case IR_OP_CALL:
		args_regs(p, insn, cb, arg);
		break;
	case IR_OP_MOV: case IR_OP_NEG: case IR_OP_NOT: case IR_OP_EXT:
		cb(arg, insn, in->a, false);
		break;
	default:
		cb(arg, insn, in->a, false);
		cb(arg, insn, in->b, false);
		break;
	}
	if (in->dst != WIRE_NONE)
		cb(arg, insn, in->dst, true);
}

static void find_intervals(struct scan *s)
{
	uint32_t calls = 0;
	for (uint32_t i = 0; i < s->p->vreg_cnt; i++)
		s->ivs[i] = (struct interval){ .vreg = i, .start = WIRE_NONE };
	for (uint32_t i = 0; i < s->p->insn_cnt; i++) {
		s->calls_before[i] = calls;
		if (!(s->al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		jit_insn_regs(s->p, i, note_reg, s);
		calls += jit_insn_calls(&s->p->insns[i]);
	}
	for (uint32_t i = 0; i < s->p->vreg_cnt; i++) {
		struct interval *iv = &s->ivs[i];
		s->al->last[i] = iv->end;
		s->al->args[i] = iv->defs == 1 ? iv->arg : 0;
		if (iv->start != WIRE_NONE && iv->end > iv->start)
			iv->crosses = s->calls_before[iv->end] != s->calls_before[iv->start + 1];
	}
}

static int by_start(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->vreg < y->vreg ? -1 : x->vreg > y->vreg;
}

static void give(struct scan *s, const struct interval *iv, uint32_t reg)
{
	s->owner[reg] = iv;
	s->al->used |= 1u << reg;
	s->al->locs[iv->vreg] = (struct jit_loc){ .kind = JIT_LOC_REG, .reg = reg };
}

static void spill(struct scan *s, const struct interval *iv)
{
	s->al->locs[iv->vreg] = (struct jit_loc){ .kind = JIT_LOC_SPILL, .slot = s->al->slot_cnt++ };
}

/* A free register of the list; or, in *ret_last, the one whose owner lives longest. */
static bool look(struct scan *s, const struct interval *iv, const uint8_t *list, uint32_t cnt, uint32_t *ret, uint32_t *ret_last)
{
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t reg = list[i];
		/* An instruction reads its operands before it writes its result. */
		if (s->owner[reg] && s->owner[reg]->end <= iv->start)
			s->owner[reg] = NULL;
		if (!s->owner[reg]) {
			*ret = reg;
			return true;
		}
		if (*ret_last == WIRE_NONE || s->owner[reg]->end > s->owner[*ret_last]->end)
			*ret_last = reg;
	}
	return false;
}

static void place(struct scan *s, const struct interval *iv)
{
	uint32_t reg, last = WIRE_NONE;
	if (iv->defs == 1 && iv->is_const) {
		s->al->locs[iv->vreg] = (struct jit_loc){ .kind = JIT_LOC_IMM, .imm = iv->imm };
		return;
	}
	if ((!iv->crosses && look(s, iv, s->regs->clobbered, s->regs->clobbered_cnt, &reg, &last)) ||
	    look(s, iv, s->regs->kept, s->regs->kept_cnt, &reg, &last)) {
		give(s, iv, reg);
		return;
	}
	if (last != WIRE_NONE && s->owner[last]->end > iv->end) {
		spill(s, s->owner[last]);
		give(s, iv, last);
		return;
	}
	spill(s, iv);
}

static void run(struct scan *s, const uint8_t *skip)
{
	find_reached(s);
	for (uint32_t i = 0; skip && i < s->p->insn_cnt; i++)
		if (skip[i])
			s->al->insn_flags[i] &= (uint8_t)~JIT_INSN_REACHED;
	find_intervals(s);
	if (s->p->vreg_cnt)
		qsort(s->ivs, s->p->vreg_cnt, sizeof(*s->ivs), by_start);
	for (uint32_t i = 0; i < s->p->vreg_cnt && s->ivs[i].start != WIRE_NONE; i++)
		place(s, &s->ivs[i]);
}

int jit_alloc_init(struct jit_alloc *al, const struct ir_prog *p, const struct jit_regs *regs, const uint8_t *skip)
{
	uint32_t vregs = p->vreg_cnt ? p->vreg_cnt : 1;
	*al = (struct jit_alloc){ .locs = calloc(vregs, sizeof(*al->locs)), .last = calloc(vregs, sizeof(*al->last)),
		.args = calloc(vregs, 1),
		.insn_flags = calloc(p->insn_cnt, 1) };
	struct scan s = { .p = p, .regs = regs, .al = al, .ivs = calloc(vregs, sizeof(*s.ivs)),
		.calls_before = calloc(p->insn_cnt, sizeof(*s.calls_before)) };
	int r = -ENOMEM;
	if (al->locs && al->last && al->args && al->insn_flags && s.ivs && s.calls_before) {
		run(&s, skip);
		r = 0;
	}
	free(s.ivs);
	free(s.calls_before);
	if (r < 0)
		jit_alloc_deinit(al);
	return r;
}

void jit_alloc_deinit(struct jit_alloc *al)
{
	free(al->locs);
	free(al->last);
	free(al->args);
	free(al->insn_flags);
	*al = (struct jit_alloc){ 0 };
}
