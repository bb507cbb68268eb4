/* SPDX-License-Identifier: MIT */
/* Operations on registers.  A result may share its register with an operand
 * that dies here, so operands are read before a result's register is written. */
#include "jit/x86_64/gen_int.h"

struct x64_mem jit_spill_at(const struct jit_gen *g, uint32_t slot)
{
	if (g->quick)
		return jit_quick_arg_at(g, slot);
	return x64_at(JIT_CTX, (int64_t)(offsetof(struct rt_ctx, scratch) + g->env->geometry->scratch_bytes + 8ULL * slot));
}

void jit_load(struct jit_gen *g, enum x64_reg reg, uint32_t vreg)
{
	struct jit_loc l = jit_loc(g, vreg);
	switch (l.kind) {
	case JIT_LOC_REG:
		x64_mov(&g->a, reg, (enum x64_reg)l.reg);
		break;
	case JIT_LOC_SPILL:
		x64_rm(&g->a, X64_LOAD, reg, jit_spill_at(g, l.slot));
		break;
	case JIT_LOC_IMM:
		x64_mov_imm(&g->a, reg, (uint64_t)l.imm);
		break;
	case JIT_LOC_NONE:
		break;
	}
}

enum x64_reg jit_src(struct jit_gen *g, uint32_t vreg, enum x64_reg tmp)
{
	struct jit_loc l = jit_loc(g, vreg);
	if (l.kind == JIT_LOC_REG)
		return (enum x64_reg)l.reg;
	jit_load(g, tmp, vreg);
	return tmp;
}

enum x64_reg jit_dst(const struct jit_gen *g, uint32_t vreg, enum x64_reg tmp)
{
	struct jit_loc l = jit_loc(g, vreg);
	return l.kind == JIT_LOC_REG ? (enum x64_reg)l.reg : tmp;
}

void jit_dst_done(struct jit_gen *g, uint32_t vreg, enum x64_reg reg)
{
	struct jit_loc l = jit_loc(g, vreg);
	if (l.kind == JIT_LOC_REG)
		x64_mov(&g->a, (enum x64_reg)l.reg, reg);
	else if (l.kind == JIT_LOC_SPILL)
		x64_rm(&g->a, X64_STORE, reg, jit_spill_at(g, l.slot));
}

struct x64_mem jit_abs(struct jit_gen *g, uint64_t addr, enum x64_reg tmp)
{
	if (x64_reaches(&g->a, addr))
		return x64_at(X64_RIP, (int64_t)addr);
	x64_mov_imm(&g->a, tmp, addr);
	return x64_at(tmp, 0);
}

static bool is_reg(struct jit_loc l, enum x64_reg reg)
{
	return l.kind == JIT_LOC_REG && l.reg == (uint32_t)reg;
}

static bool is_imm32(struct jit_loc l)
{
	return l.kind == JIT_LOC_IMM && x64_fits32((uint64_t)l.imm);
}

/* op reg, (place of b).  May change rcx. */
static void apply(struct jit_gen *g, enum x64_op op, enum x64_group group, enum x64_reg reg, uint32_t b)
{
	struct jit_loc l = jit_loc(g, b);
	if (is_imm32(l))
		x64_group_imm(&g->a, group, reg, (int32_t)l.imm);
	else if (l.kind == JIT_LOC_SPILL)
		x64_rm(&g->a, op, reg, jit_spill_at(g, l.slot));
	else
		x64_rr(&g->a, op, reg, jit_src(g, b, X64_RCX));
}

static void gen_binary(struct jit_gen *g, const struct ir_insn *in, enum x64_op op, enum x64_group group, bool commutes)
{
	uint32_t a = in->a, b = in->b;
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	if (is_reg(jit_loc(g, b), d) && !is_reg(jit_loc(g, a), d)) {
		if (commutes) {
			a = in->b;
			b = in->a;
		} else {
			d = X64_RAX;
		}
	}
	jit_load(g, d, a);
	apply(g, op, group, d, b);
	jit_dst_done(g, in->dst, d);
}

static void gen_mul(struct jit_gen *g, const struct ir_insn *in)
{
	uint32_t a = in->a, b = in->b;
	if (jit_loc(g, a).kind == JIT_LOC_IMM) {
		a = in->b;
		b = in->a;
	}
	struct jit_loc l = jit_loc(g, b);
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	if (is_imm32(l)) {
		x64_imul_imm(&g->a, d, jit_src(g, a, X64_RAX), (int32_t)l.imm);
		jit_dst_done(g, in->dst, d);
		return;
	}
	if (is_reg(l, d)) { /* start from the operand that lies there already */
		uint32_t other = a;
		a = b;
		b = other;
	}
	jit_load(g, d, a);
	l = jit_loc(g, b);
	if (l.kind == JIT_LOC_SPILL)
		x64_rm(&g->a, X64_IMUL, d, jit_spill_at(g, l.slot));
	else
		x64_rr(&g->a, X64_IMUL, d, jit_src(g, b, X64_RCX));
	jit_dst_done(g, in->dst, d);
}

static void gen_shift(struct jit_gen *g, const struct ir_insn *in, enum x64_shift s)
{
	struct jit_loc l = jit_loc(g, in->b);
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	if (l.kind != JIT_LOC_IMM)
		jit_load(g, X64_RCX, in->b);
	jit_load(g, d, in->a);
	if (l.kind == JIT_LOC_IMM)
		x64_shift_imm(&g->a, s, d, (unsigned)(l.imm & 63));
	else
		x64_shift_cl(&g->a, s, d);
	jit_dst_done(g, in->dst, d);
}

static void gen_unary(struct jit_gen *g, const struct ir_insn *in, enum x64_unary u)
{
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	jit_load(g, d, in->a);
	x64_unary(&g->a, u, d);
	jit_dst_done(g, in->dst, d);
}

static void gen_ext(struct jit_gen *g, const struct ir_insn *in)
{
	static const enum x64_op ops[2][3] = { { X64_MOVZX8, X64_MOVZX16, X64_LOAD32 }, { X64_MOVSX8, X64_MOVSX16, X64_MOVSX32 } };
	unsigned bits = in->aux & ~IR_SIGNED;
	enum x64_op op = ops[in->aux & IR_SIGNED ? 1 : 0][bits == 8 ? 0 : bits == 16 ? 1 : 2];
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	x64_rr(&g->a, op, d, jit_src(g, in->a, X64_RAX));
	jit_dst_done(g, in->dst, d);
}

bool jit_is_compare(unsigned op)
{
	return op >= IR_OP_SEQ && op <= IR_OP_SULE;
}

enum x64_cc jit_gen_compare(struct jit_gen *g, const struct ir_insn *in)
{
	static const enum x64_cc ccs[] = { X64_CC_E, X64_CC_NE, X64_CC_L, X64_CC_LE, X64_CC_B, X64_CC_BE };
	struct jit_loc a = jit_loc(g, in->a), b = jit_loc(g, in->b);
	if (a.kind == JIT_LOC_SPILL && is_imm32(b))
		x64_cmp64_imm(&g->a, jit_spill_at(g, a.slot), (int32_t)b.imm);
	else
		apply(g, X64_CMP, X64_G_CMP, jit_src(g, in->a, X64_RAX), in->b);
	return ccs[in->op - IR_OP_SEQ];
}

static void gen_set(struct jit_gen *g, const struct ir_insn *in)
{
	enum x64_cc cc = jit_gen_compare(g, in);
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	x64_setcc(&g->a, cc, X64_RAX);
	x64_rr(&g->a, X64_MOVZX8, d, X64_RAX);
	jit_dst_done(g, in->dst, d);
}

/* ---- division ---- */

/* The divisor in a register that division does not use. */
static enum x64_reg divisor(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	struct jit_loc l = jit_loc(g, in->b);
	enum x64_reg b = jit_src(g, in->b, X64_RCX);
	if (l.kind == JIT_LOC_IMM && l.imm)
		return b;
	x64_rr(&g->a, X64_TEST, b, b);
	x64_jcc(&g->a, X64_CC_E, jit_fault_label(g, insn, true));
	return b;
}

static void gen_udiv(struct jit_gen *g, uint32_t insn, bool rem)
{
	const struct ir_insn *in = &g->p->insns[insn];
	enum x64_reg b = divisor(g, insn);
	jit_load(g, X64_RAX, in->a);
	x64_zero(&g->a, X64_RDX);
	x64_unary(&g->a, X64_DIV, b);
	jit_dst_done(g, in->dst, rem ? X64_RDX : X64_RAX);
}

/* idiv traps on MIN / -1 (SDM 2, IDIV), so -1 never gets there. */
static void gen_sdiv(struct jit_gen *g, uint32_t insn, bool rem)
{
	const struct ir_insn *in = &g->p->insns[insn];
	struct jit_loc l = jit_loc(g, in->b);
	uint32_t done = x64_label(&g->a), plain = x64_label(&g->a);
	enum x64_reg b = divisor(g, insn);
	bool check = l.kind != JIT_LOC_IMM || l.imm == -1;
	jit_load(g, X64_RAX, in->a);
	if (check) {
		x64_group_imm(&g->a, X64_G_CMP, b, -1);
		x64_jcc(&g->a, X64_CC_NE, plain);
		if (rem)
			x64_zero(&g->a, X64_RDX);
		else
			x64_unary(&g->a, X64_NEG, X64_RAX);
		x64_jmp(&g->a, done);
	}
	x64_bind(&g->a, plain);
	x64_cqo(&g->a);
	x64_unary(&g->a, X64_IDIV, b);
	x64_bind(&g->a, done);
	jit_dst_done(g, in->dst, rem ? X64_RDX : X64_RAX);
}

void jit_gen_alu(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	switch ((enum ir_op)in->op) {
	case IR_OP_MOV:
		jit_dst_done(g, in->dst, jit_src(g, in->a, jit_dst(g, in->dst, X64_RAX)));
		break;
	case IR_OP_ADD:
		gen_binary(g, in, X64_ADD, X64_G_ADD, true);
		break;
	case IR_OP_SUB:
		gen_binary(g, in, X64_SUB, X64_G_SUB, false);
		break;
	case IR_OP_AND:
		gen_binary(g, in, X64_AND, X64_G_AND, true);
		break;
	case IR_OP_OR:
		gen_binary(g, in, X64_OR, X64_G_OR, true);
		break;
	case IR_OP_XOR:
		gen_binary(g, in, X64_XOR, X64_G_XOR, true);
		break;
	case IR_OP_MUL:
		gen_mul(g, in);
		break;
	case IR_OP_SDIV:
	case IR_OP_SREM:
		gen_sdiv(g, insn, in->op == IR_OP_SREM);
		break;
	case IR_OP_UDIV:
	case IR_OP_UREM:
		gen_udiv(g, insn, in->op == IR_OP_UREM);
		break;
	case IR_OP_SHL:
		gen_shift(g, in, X64_SHL);
		break;
	case IR_OP_SHR:
		gen_shift(g, in, X64_SHR);
		break;
	case IR_OP_SAR:
		gen_shift(g, in, X64_SAR);
		break;
	case IR_OP_NEG:
		gen_unary(g, in, X64_NEG);
		break;
	case IR_OP_NOT:
		gen_unary(g, in, X64_NOT);
		break;
	case IR_OP_EXT:
		gen_ext(g, in);
		break;
	default:
		gen_set(g, in);
		break;
	}
}
