/* SPDX-License-Identifier: MIT */
/*
 * What the trampoline may look at first: the predicate's first comparison, where it is of an argument with a
 * constant or another argument and false for sure means that nothing is done.  The registers are the application's.
 */
#include "jit/jit.h"
#include "jit/x86_64/asm.h"

struct side {
	bool is_const;
	enum x64_reg reg;
	int64_t imm;
	uint16_t ext; /* 0, or EXT's aux: of 32 bits */
};

static bool arg_side(enum wire_site_kind kind, const struct ir_insn *in, struct side *ret)
{
	static const uint8_t regs[] = { X64_RDI, X64_RSI, X64_RDX, X64_RCX, X64_R8, X64_R9 };
	if (kind == WIRE_SITE_RETURN ? in->imm != 1 : in->imm < 0 || in->imm >= (int64_t)ARRAY_CNT(regs))
		return false;
	*ret = (struct side){ .reg = kind == WIRE_SITE_RETURN ? X64_RAX : (enum x64_reg)regs[in->imm] };
	return true;
}

/* The one that computes @vreg before @end. */
static const struct ir_insn *def_of(const struct ir_prog *p, uint32_t vreg, uint32_t end)
{
	while (end--)
		if (p->insns[end].op != IR_OP_NOP && p->insns[end].dst == vreg)
			return &p->insns[end];
	return NULL;
}

static bool side_of(enum wire_site_kind kind, const struct ir_prog *p, uint32_t vreg, uint32_t end, struct side *ret)
{
	const struct ir_insn *in = def_of(p, vreg, end);
	if (!in)
		return false;
	if (in->op == IR_OP_CONST) {
		*ret = (struct side){ .is_const = true, .imm = in->imm };
		return true;
	}
	if (in->op == IR_OP_ARG)
		return arg_side(kind, in, ret);
	const struct ir_insn *of = in->op == IR_OP_EXT && (in->aux & ~IR_SIGNED) == 32 ? def_of(p, in->a, (uint32_t)(in - p->insns)) : NULL;
	if (!of || of->op != IR_OP_ARG || !arg_side(kind, of, ret))
		return false;
	ret->ext = in->aux;
	return true;
}

/* When the comparison is true. */
static bool true_when(uint16_t op, enum x64_cc *ret)
{
	switch ((enum ir_op)op) {
	case IR_OP_SEQ: *ret = X64_CC_E; return true;
	case IR_OP_SNE: *ret = X64_CC_NE; return true;
	case IR_OP_SLT: *ret = X64_CC_L; return true;
	case IR_OP_SLE: *ret = X64_CC_LE; return true;
	case IR_OP_SULT: *ret = X64_CC_B; return true;
	case IR_OP_SULE: *ret = X64_CC_BE; return true;
	default: return false;
	}
}

/* Compares as many bits as count: of 32-bit values half a register, if the other side is one, too. */
static bool put_compare(struct x64_asm *a, const struct side *l, const struct side *r)
{
	uint8_t rex = 0x48;
	if (l->ext) {
		if (!(l->ext & IR_SIGNED) || (r->is_const ? !x64_fits32((uint64_t)r->imm) : r->ext != l->ext))
			return false;
		rex = 0x40;
	} else if (r->is_const ? !x64_fits32((uint64_t)r->imm) : r->ext != 0) {
		return false;
	}
	uint8_t l_low = l->reg & 7, l_high = l->reg >> 3;
	if (!r->is_const) { /* cmp r/m, reg: SDM volume 2 */
		x64_bytes(a, (const uint8_t[]){ (uint8_t)(rex | (r->reg >> 3) << 2 | l_high), 0x39, (uint8_t)(0xc0 | (r->reg & 7) << 3 | l_low) }, 3);
		return true;
	}
	int32_t imm = (int32_t)r->imm;
	if (imm == (int8_t)imm) {
		x64_bytes(a, (const uint8_t[]){ rex | l_high, 0x83, 0xf8 | l_low, (uint8_t)imm }, 4);
		return true;
	}
	x64_bytes(a, (const uint8_t[]){ rex | l_high, 0x81, 0xf8 | l_low }, 3);
	x64_bytes(a, (const uint8_t *)&imm, sizeof(imm));
	return true;
}

static uint32_t skip_nops(const struct ir_prog *p, uint32_t i)
{
	while (i < p->insn_cnt && p->insns[i].op == IR_OP_NOP)
		i++;
	return i;
}

/* The branch that ends the predicate's first part, before which nothing is done. */
static uint32_t first_branch(const struct ir_prog *p)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		const struct ir_insn *in = &p->insns[i];
		enum x64_cc cc;
		if (in->op == IR_OP_BRZ)
			return p->insns[skip_nops(p, (uint32_t)in->imm)].op == IR_OP_RET ? i : WIRE_NONE;
		if (in->op != IR_OP_ARG && in->op != IR_OP_CONST && in->op != IR_OP_EXT && in->op != IR_OP_NOP && !true_when(in->op, &cc))
			return WIRE_NONE;
	}
	return WIRE_NONE;
}

static bool put_test(struct x64_asm *a, enum wire_site_kind kind, const struct ir_prog *p, uint32_t branch, enum x64_cc *ret_cc)
{
	const struct ir_insn *cond = def_of(p, p->insns[branch].a, branch);
	struct side l, r = { .is_const = true };
	if (!cond)
		return false;
	uint32_t at = (uint32_t)(cond - p->insns);
	if (cond->op == IR_OP_ARG || cond->op == IR_OP_EXT) {
		*ret_cc = X64_CC_NE;
		return side_of(kind, p, p->insns[branch].a, branch, &l) && !l.is_const && put_compare(a, &l, &r);
	}
	return true_when(cond->op, ret_cc) && side_of(kind, p, cond->a, at, &l) && side_of(kind, p, cond->b, at, &r) && !l.is_const &&
	       put_compare(a, &l, &r);
}

uint32_t jit_filter(const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		    uint8_t ret_code[JIT_FILTER_MAX])
{
	struct x64_asm a;
	enum x64_cc cc;
	bool has_args = kind == WIRE_SITE_ENTRY || kind == WIRE_SITE_OFFSET || kind == WIRE_SITE_RETURN;
	uint32_t branch = prog_cnt == 1 ? first_branch(progs[0]) : WIRE_NONE;
	if (!has_args || branch == WIRE_NONE || env->go_args || env->geometry->rate_off)
		return 0;
	x64_init(&a, ret_code, JIT_FILTER_MAX, 0);
	bool is_put = put_test(&a, kind, progs[0], branch, &cc);
	if (is_put)
		x64_bytes(&a, (const uint8_t[]){ 0x0f, 0x80 | (uint8_t)cc, 0, 0, 0, 0 }, 6);
	uint32_t len = is_put && a.len <= a.cap && !a.no_memory ? (uint32_t)a.len : 0;
	x64_deinit(&a);
	return len;
}
