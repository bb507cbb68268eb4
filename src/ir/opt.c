/* SPDX-License-Identifier: MIT */
/*
 * Rounds of: propagate constants and copies, thread and drop branches, drop
 * what nobody can reach or read, and compute once what is computed twice
 * (cse.c); at the end the NOPs that are left of it go
 * and registers are numbered anew.  Works on verified programs only.
 *
 * What is known of a register comes in two kinds.  One that has a single
 * definition in the whole program has the value of it wherever it is read,
 * since the verifier knows that it was set before.  Of the others we know what
 * was set since the last instruction that a branch leads to.
 */
#include "ir/ir_int.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 32

struct value {
	enum { UNKNOWN, CONSTANT, COPY } kind;
	uint32_t src;      /* COPY: of this register ... */
	uint32_t src_seq;  /* ... as of its definition number src_seq */
	uint32_t epoch;    /* known only in it, unless the register has a single definition */
	uint64_t constant;
};

struct opt {
	struct ir_prog *p;
	/* per register */
	uint32_t *defs;   /* definitions in the program */
	uint32_t *def_at; /* the last of them */
	uint32_t *uses;
	uint32_t *seq;    /* definitions so far in this walk */
	struct value *vals;
	/* per instruction */
	uint8_t *target;  /* a branch leads to it */
	uint32_t *map;    /* new numbers, of instructions or registers */
	uint32_t epoch;
	bool changed;
};

static void set_nop(struct opt *o, struct ir_insn *in)
{
	*in = (struct ir_insn){ .op = IR_OP_NOP, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE };
	o->changed = true;
}

static void set_const(struct opt *o, struct ir_insn *in, uint64_t v)
{
	*in = (struct ir_insn){ .op = IR_OP_CONST, .dst = in->dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = (int64_t)v };
	o->changed = true;
}

static void set_mov(struct opt *o, struct ir_insn *in, uint32_t src)
{
	*in = (struct ir_insn){ .op = IR_OP_MOV, .dst = in->dst, .a = src, .b = WIRE_NONE };
	o->changed = true;
}

static void set_jmp(struct opt *o, struct ir_insn *in, int64_t target)
{
	*in = (struct ir_insn){ .op = IR_OP_JMP, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE, .imm = target };
	o->changed = true;
}

/* Whether the instruction sets a register; calls may. */
static bool has_dst(const struct ir_insn *in)
{
	return ir_form_uses(ir_op_form((enum ir_op)in->op)) & IR_USE_DST && in->dst != WIRE_NONE;
}

/* Calls @fn for each register that @in reads. */
static void for_reads(struct opt *o, struct ir_insn *in, void (*fn)(struct opt *, uint32_t *))
{
	enum ir_form form = ir_op_form((enum ir_op)in->op);
	unsigned uses = ir_form_uses(form);
	if (form == IR_FORM_C) {
		const char *letters = ir_helper((enum ir_helper)in->imm)->args;
		for (uint32_t i = 0; i < in->b; i++) {
			if (!ir_arg_is_vreg(letters[i]))
				continue;
			uint32_t reg = (uint32_t)o->p->args[in->a + i];
			fn(o, &reg);
			o->p->args[in->a + i] = reg;
		}
		return;
	}
	if (uses & IR_USE_A)
		fn(o, &in->a);
	if (uses & IR_USE_B && in->b != WIRE_NONE)
		fn(o, &in->b);
}

/* ---- propagation ---- */

static const struct value *known(const struct opt *o, uint32_t reg)
{
	const struct value *v = &o->vals[reg];
	if (v->kind == UNKNOWN || (v->epoch != o->epoch && o->defs[reg] != 1))
		return NULL;
	if (v->kind == COPY && (o->seq[v->src] != v->src_seq || (v->epoch != o->epoch && o->defs[v->src] != 1)))
		return NULL;
	return v;
}

static bool known_const(const struct opt *o, uint32_t reg, uint64_t *ret)
{
	const struct value *v = known(o, reg);
	if (!v || v->kind != CONSTANT)
		return false;
	*ret = v->constant;
	return true;
}

static void replace_copy(struct opt *o, uint32_t *reg)
{
	const struct value *v = known(o, *reg);
	if (!v || v->kind != COPY || v->src == *reg)
		return;
	*reg = v->src;
	o->changed = true;
}

/* Operations where one operand alone decides. */
static void simplify(struct opt *o, struct ir_insn *in, bool a_known, uint64_t a, bool b_known, uint64_t b)
{
	bool swaps = in->op == IR_OP_ADD || in->op == IR_OP_MUL || in->op == IR_OP_AND || in->op == IR_OP_OR ||
		     in->op == IR_OP_XOR;
	if (a_known && swaps && !b_known) {
		uint32_t reg = in->a;
		in->a = in->b;
		in->b = reg;
		b = a;
		b_known = true;
	}
	if (!b_known)
		return;
	switch ((enum ir_op)in->op) {
	case IR_OP_ADD:
	case IR_OP_SUB:
	case IR_OP_OR:
	case IR_OP_XOR:
	case IR_OP_SHL:
	case IR_OP_SHR:
	case IR_OP_SAR:
		if (!b)
			set_mov(o, in, in->a);
		break;
	case IR_OP_MUL:
	case IR_OP_SDIV:
	case IR_OP_UDIV:
		if (b == 1)
			set_mov(o, in, in->a);
		else if (!b && in->op == IR_OP_MUL)
			set_const(o, in, 0);
		break;
	case IR_OP_AND:
		if (!b)
			set_const(o, in, 0);
		else if (b == UINT64_MAX)
			set_mov(o, in, in->a);
		break;
	default:
		break;
	}
}

static void fold_binary(struct opt *o, struct ir_insn *in)
{
	uint64_t a = 0, b = 0, v;
	bool a_known = known_const(o, in->a, &a), b_known = known_const(o, in->b, &b);
	if (!a_known || !b_known)
		simplify(o, in, a_known, a, b_known, b);
	else if (ir_eval((enum ir_op)in->op, a, b, in->aux, &v))
		set_const(o, in, v);
}

static void fold_unary(struct opt *o, struct ir_insn *in)
{
	uint64_t a, v;
	if (in->op == IR_OP_MOV && in->a == in->dst)
		set_nop(o, in);
	else if (known_const(o, in->a, &a) && ir_eval((enum ir_op)in->op, a, 0, in->aux, &v))
		set_const(o, in, v);
}

static void fold_branch(struct opt *o, struct ir_insn *in)
{
	uint64_t a;
	if (!known_const(o, in->a, &a))
		return;
	if ((a == 0) == (in->op == IR_OP_BRZ))
		set_jmp(o, in, in->imm);
	else
		set_nop(o, in);
}

static void fold(struct opt *o, struct ir_insn *in)
{
	switch (ir_op_form((enum ir_op)in->op)) {
	case IR_FORM_DAB:
		fold_binary(o, in);
		break;
	case IR_FORM_DA:
	case IR_FORM_DAX:
		fold_unary(o, in);
		break;
	case IR_FORM_AJ:
		fold_branch(o, in);
		break;
	default:
		break;
	}
}

/* Takes note of what @in sets. */
static void learn(struct opt *o, const struct ir_insn *in)
{
	if (!has_dst(in))
		return;
	struct value *v = &o->vals[in->dst];
	o->seq[in->dst]++;
	*v = (struct value){ .kind = UNKNOWN, .epoch = o->epoch };
	if (in->op == IR_OP_CONST) {
		v->kind = CONSTANT;
		v->constant = (uint64_t)in->imm;
	} else if (in->op == IR_OP_MOV && in->a != in->dst) {
		v->kind = COPY;
		v->src = in->a;
		v->src_seq = o->seq[in->a];
	}
}

static void count_def(struct opt *o)
{
	memset(o->defs, 0, o->p->vreg_cnt * sizeof(*o->defs));
	memset(o->target, 0, o->p->insn_cnt);
	for (uint32_t i = 0; i < o->p->insn_cnt; i++) {
		const struct ir_insn *in = &o->p->insns[i];
		if (has_dst(in)) {
			o->defs[in->dst]++;
			o->def_at[in->dst] = i;
		}
		if (ir_op_is_branch(in->op))
			o->target[in->imm] = 1;
	}
}

static void propagate(struct opt *o)
{
	count_def(o);
	memset(o->seq, 0, o->p->vreg_cnt * sizeof(*o->seq));
	memset(o->vals, 0, o->p->vreg_cnt * sizeof(*o->vals));
	o->epoch = 1;
	for (uint32_t i = 0; i < o->p->insn_cnt; i++) {
		struct ir_insn *in = &o->p->insns[i];
		if (o->target[i])
			o->epoch++;
		for_reads(o, in, replace_copy);
		fold(o, in);
		learn(o, in);
	}
}

/* ---- branches ---- */

/* Backwards, so that targets have been threaded already.  map[i] is the first
 * instruction from i on that is no NOP. */
static void thread_branches(struct opt *o)
{
	for (uint32_t i = o->p->insn_cnt; i-- > 0;) {
		struct ir_insn *in = &o->p->insns[i];
		uint32_t next = i + 1 < o->p->insn_cnt ? o->map[i + 1] : i;
		if (ir_op_is_branch(in->op)) {
			uint32_t t = o->map[in->imm];
			if (o->p->insns[t].op == IR_OP_JMP)
				t = (uint32_t)o->p->insns[t].imm;
			o->changed |= in->imm != t;
			in->imm = t;
			if (t == next) {
				set_nop(o, in);
			} else if (in->op == IR_OP_JMP && o->p->insns[t].op == IR_OP_RET) {
				*in = o->p->insns[t];
				o->changed = true;
			}
		}
		o->map[i] = in->op == IR_OP_NOP ? next : i;
	}
}

static void drop_unreachable(struct opt *o)
{
	bool reached = true;
	memset(o->target, 0, o->p->insn_cnt);
	for (uint32_t i = 0; i < o->p->insn_cnt; i++) {
		struct ir_insn *in = &o->p->insns[i];
		reached |= o->target[i];
		if (!reached) {
			if (in->op != IR_OP_NOP)
				set_nop(o, in);
			continue;
		}
		if (ir_op_is_branch(in->op))
			o->target[in->imm] = 1;
		if (ir_op_ends(in->op))
			reached = false;
	}
}

/* ---- dead code ---- */

static bool call_is_pure(int64_t h)
{
	switch ((enum ir_helper)h) {
	case IR_HELPER_str_addr:
	case IR_HELPER_str_cmp:
	case IR_HELPER_uaddr_caller:
	case IR_HELPER_errno:
	case IR_HELPER_ustackdepth:
	case IR_HELPER_kstackdepth:
	case IR_HELPER_kcaller:
	case IR_HELPER_curthread:
	case IR_HELPER_xmm:
	case IR_HELPER_var_addr:
	case IR_HELPER_bswap:
	case IR_HELPER_progenyof:
		return true;
	default:
		return false;
	}
}

/* Whether nothing but the register that it sets tells that the instruction ran. */
static bool is_pure(const struct opt *o, const struct ir_insn *in)
{
	const struct ir_insn *def;
	switch ((enum ir_op)in->op) {
	case IR_OP_SDIV:
	case IR_OP_UDIV:
	case IR_OP_SREM:
	case IR_OP_UREM:
		def = &o->p->insns[o->def_at[in->b]];
		return o->defs[in->b] == 1 && def->op == IR_OP_CONST && def->imm;
	case IR_OP_CALL:
		return call_is_pure(in->imm);
	case IR_OP_ARG:
		return false; /* that of a USDT probe may be in memory that cannot be read */
	default:
		return true;
	}
}

static void add_use(struct opt *o, uint32_t *reg)
{
	o->uses[*reg]++;
}

static void drop_use(struct opt *o, uint32_t *reg)
{
	o->uses[*reg]--;
}

/* Reads come after what they read, so one walk backwards finds whole chains. */
static void drop_dead(struct opt *o)
{
	memset(o->uses, 0, o->p->vreg_cnt * sizeof(*o->uses));
	for (uint32_t i = 0; i < o->p->insn_cnt; i++)
		for_reads(o, &o->p->insns[i], add_use);
	count_def(o);
	for (uint32_t i = o->p->insn_cnt; i-- > 0;) {
		struct ir_insn *in = &o->p->insns[i];
		if (!has_dst(in) || o->uses[in->dst])
			continue;
		if (!is_pure(o, in)) {
			if (in->op == IR_OP_CALL) {
				in->dst = WIRE_NONE;
				o->changed = true;
			}
			continue;
		}
		for_reads(o, in, drop_use);
		set_nop(o, in);
	}
}

/* ---- packing ---- */

static void pack_insns(struct ir_prog *p, uint32_t *map)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		map[i] = cnt; /* of a NOP: what follows it */
		if (p->insns[i].op != IR_OP_NOP)
			p->insns[cnt++] = p->insns[i];
	}
	p->insn_cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++)
		if (ir_op_is_branch(p->insns[i].op))
			p->insns[i].imm = map[p->insns[i].imm];
}

static void renumber(struct opt *o, uint32_t *reg)
{
	*reg = o->map[*reg];
}

/* Numbers the registers that are left 0, 1, ... in the order of their numbers. */
static void pack_vregs(struct opt *o)
{
	struct ir_prog *p = o->p;
	uint32_t cnt = 0;
	count_def(o);
	for (uint32_t v = 0; v < p->vreg_cnt; v++)
		o->map[v] = o->defs[v] ? cnt++ : 0;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		struct ir_insn *in = &p->insns[i];
		for_reads(o, in, renumber);
		if (has_dst(in))
			in->dst = o->map[in->dst];
	}
	p->vreg_cnt = cnt;
}

/* Gives each call arguments of its own, in order, so that changing one changes no other. */
static bool own_args(struct ir_prog *p)
{
	uint64_t cnt = 0;
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		cnt += p->insns[i].op == IR_OP_CALL ? p->insns[i].b : 0;
	if (cnt > IR_ARGS_MAX)
		return false;
	uint64_t *args = malloc((cnt ? cnt : 1) * sizeof(*args));
	if (!args)
		return false;
	uint32_t at = 0;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		struct ir_insn *in = &p->insns[i];
		if (in->op != IR_OP_CALL)
			continue;
		if (in->b)
			memcpy(args + at, p->args + in->a, in->b * sizeof(*args));
		in->a = at;
		at += in->b;
	}
	free(p->args);
	p->args = args;
	p->arg_cnt = at;
	return true;
}

static bool opt_init(struct opt *o, struct ir_prog *p)
{
	size_t regs = p->vreg_cnt + 1, most = p->insn_cnt > regs ? p->insn_cnt : regs;
	*o = (struct opt){ .p = p };
	o->defs = calloc(regs, sizeof(*o->defs));
	o->def_at = calloc(regs, sizeof(*o->def_at));
	o->uses = calloc(regs, sizeof(*o->uses));
	o->seq = calloc(regs, sizeof(*o->seq));
	o->vals = calloc(regs, sizeof(*o->vals));
	o->map = calloc(most, sizeof(*o->map));
	o->target = calloc(p->insn_cnt + 1, 1);
	return o->defs && o->def_at && o->uses && o->seq && o->vals && o->map && o->target;
}

static void opt_deinit(struct opt *o)
{
	free(o->defs);
	free(o->def_at);
	free(o->uses);
	free(o->seq);
	free(o->vals);
	free(o->map);
	free(o->target);
}

/* Without memory the program stays as it is. */
void ir_prog_optimize(struct ir_prog *p)
{
	struct opt o;
	if (opt_init(&o, p) && own_args(p)) {
		for (int round = 0; round < ROUNDS_MAX; round++) {
			o.changed = false;
			propagate(&o);
			thread_branches(&o);
			drop_unreachable(&o);
			drop_dead(&o);
			if (!o.changed && !ir_prog_share(p))
				break;
		}
		pack_insns(p, o.map);
		pack_vregs(&o);
		own_args(p);
	}
	opt_deinit(&o);
}
