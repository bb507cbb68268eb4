/* SPDX-License-Identifier: MIT */
/*
 * Common subexpressions: what was computed or read on every way here, from the same, is not computed again but copied;
 * propagation and dead code do the rest.
 *
 * Branches go forward only, so an expression is at hand at instruction i if no branch from before it leads to between it
 * and i.  Expressions are kept in the order of the program, so what a target makes doubtful is the end of the list.
 * A value that is stored is at hand as the load that would read it.
 */
#include "ir/ir_int.h"

#include <stdlib.h>

#define LOOK_MAX 64u /* expressions back */

struct expr {
	uint32_t at;   /* its instruction */
	uint32_t reg;  /* that has the value */
	uint32_t a, b;
	int64_t imm;
	uint16_t op, aux;
	bool gone;     /* memory was written to */
};

struct cse {
	struct ir_prog *p;
	uint32_t *defs;  /* by register */
	uint32_t *from;  /* by instruction: the first branch that leads to it; WIRE_NONE */
	struct expr *v;
	uint32_t cnt;
	bool changed;
};

static bool is_load(unsigned op)
{
	return op == IR_OP_LDS || op == IR_OP_LDG || op == IR_OP_LDT;
}

static unsigned load_of(unsigned store)
{
	return store == IR_OP_STS ? IR_OP_LDS : store == IR_OP_STG ? IR_OP_LDG : store == IR_OP_STT ? IR_OP_LDT : IR_OP_NOP;
}

static bool swaps(unsigned op)
{
	return op == IR_OP_ADD || op == IR_OP_MUL || op == IR_OP_AND || op == IR_OP_OR || op == IR_OP_XOR || op == IR_OP_SEQ ||
	       op == IR_OP_SNE;
}

/* What @in computes; false: not of this kind, or of what changes. */
static bool expr_of(const struct cse *c, uint32_t i, struct expr *ret)
{
	const struct ir_insn *in = &c->p->insns[i];
	unsigned uses = ir_form_uses(ir_op_form((enum ir_op)in->op));
	switch (ir_op_form((enum ir_op)in->op)) {
	case IR_FORM_DAB: case IR_FORM_DA: case IR_FORM_DAX: case IR_FORM_DI: case IR_FORM_DIX:
		break;
	default:
		return false;
	}
	if (in->op == IR_OP_CONST || in->op == IR_OP_MOV)
		return false;
	*ret = (struct expr){ .at = i, .reg = in->dst, .op = in->op, .a = uses & IR_USE_A ? in->a : WIRE_NONE,
		.b = uses & IR_USE_B ? in->b : WIRE_NONE, .imm = uses & IR_USE_IMM ? in->imm : 0, .aux = uses & IR_USE_AUX ? in->aux : 0 };
	if ((ret->a != WIRE_NONE && c->defs[ret->a] != 1) || (ret->b != WIRE_NONE && c->defs[ret->b] != 1))
		return false;
	if (swaps(in->op) && ret->a > ret->b) {
		ret->a = in->b;
		ret->b = in->a;
	}
	return true;
}

static const struct expr *find(const struct cse *c, const struct expr *e)
{
	for (uint32_t i = c->cnt; i && c->cnt - i < LOOK_MAX; i--) {
		const struct expr *x = &c->v[i - 1];
		if (!x->gone && x->op == e->op && x->aux == e->aux && x->imm == e->imm && x->a == e->a && x->b == e->b)
			return x;
	}
	return NULL;
}

/* Loads of what @in may write to are not at hand any more. */
static void forget(struct cse *c, const struct ir_insn *in)
{
	unsigned load = load_of(in->op);
	if (load == IR_OP_NOP && in->op != IR_OP_CALL)
		return;
	for (uint32_t i = 0; i < c->cnt; i++) {
		struct expr *x = &c->v[i];
		if (!is_load(x->op))
			continue;
		bool apart = x->imm + (x->aux & ~IR_SIGNED) <= in->imm || in->imm + (in->aux & ~IR_SIGNED) <= x->imm;
		x->gone |= in->op == IR_OP_CALL || (x->op == load && !apart);
	}
}

/* Of expressions that are far back nothing is asked any more; so writes do not look at all of a long program. */
static void add(struct cse *c, const struct expr *e)
{
	if (c->cnt == 2 * LOOK_MAX) {
		for (uint32_t i = 0; i < LOOK_MAX; i++)
			c->v[i] = c->v[i + LOOK_MAX];
		c->cnt = LOOK_MAX;
	}
	c->v[c->cnt++] = *e;
}

static void look_at(struct cse *c, uint32_t i)
{
	struct ir_insn *in = &c->p->insns[i];
	struct expr e;
	while (c->from[i] != WIRE_NONE && c->cnt && c->v[c->cnt - 1].at > c->from[i])
		c->cnt--;
	forget(c, in);
	if (load_of(in->op) != IR_OP_NOP && in->aux == 8 && c->defs[in->a] == 1)
		add(c, &(struct expr){ .at = i, .reg = in->a, .a = WIRE_NONE, .b = WIRE_NONE, .imm = in->imm,
				       .op = (uint16_t)load_of(in->op), .aux = 8 });
	if (!expr_of(c, i, &e))
		return;
	const struct expr *have = find(c, &e);
	if (have) {
		*in = (struct ir_insn){ .op = IR_OP_MOV, .dst = in->dst, .a = have->reg, .b = WIRE_NONE };
		c->changed = true;
	} else if (c->defs[e.reg] == 1) {
		add(c, &e);
	}
}

static void note(struct cse *c)
{
	for (uint32_t i = 0; i < c->p->insn_cnt; i++)
		c->from[i] = WIRE_NONE;
	for (uint32_t i = 0; i < c->p->insn_cnt; i++) {
		const struct ir_insn *in = &c->p->insns[i];
		if (ir_form_uses(ir_op_form((enum ir_op)in->op)) & IR_USE_DST && in->dst != WIRE_NONE)
			c->defs[in->dst]++;
		if (ir_op_is_branch(in->op) && c->from[in->imm] == WIRE_NONE)
			c->from[in->imm] = i;
	}
}

bool ir_prog_share(struct ir_prog *p)
{
	struct cse c = { .p = p, .defs = calloc(p->vreg_cnt + 1ul, sizeof(*c.defs)), .from = calloc(p->insn_cnt, sizeof(*c.from)),
		.v = calloc(2 * LOOK_MAX, sizeof(*c.v)) };
	if (c.defs && c.from && c.v) {
		note(&c);
		for (uint32_t i = 0; i < p->insn_cnt; i++)
			look_at(&c, i);
	}
	free(c.defs);
	free(c.from);
	free(c.v);
	return c.changed;
}
