/* SPDX-License-Identifier: MIT */
/* What operations without side effects compute: the interpreter and constant
 * folding share it, so they cannot differ. */
#include "ir/ir_int.h"

uint64_t ir_extend(uint64_t v, unsigned bits, bool is_signed)
{
	unsigned shift = 64 - bits;
	if (!bits || bits >= 64)
		return v;
	return is_signed ? (uint64_t)((int64_t)(v << shift) >> shift) : v << shift >> shift;
}

/* Signed division without the one quotient that does not fit. */
static uint64_t sdiv(int64_t a, int64_t b)
{
	return b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b);
}

static uint64_t srem(int64_t a, int64_t b)
{
	return b == -1 ? 0 : (uint64_t)(a % b);
}

static bool eval_div(enum ir_op op, uint64_t a, uint64_t b, uint64_t *ret)
{
	if (!b)
		return false;
	switch (op) {
	case IR_OP_SDIV:
		*ret = sdiv((int64_t)a, (int64_t)b);
		return true;
	case IR_OP_UDIV:
		*ret = a / b;
		return true;
	case IR_OP_SREM:
		*ret = srem((int64_t)a, (int64_t)b);
		return true;
	default:
		*ret = a % b;
		return true;
	}
}

static bool eval_compare(enum ir_op op, uint64_t a, uint64_t b, uint64_t *ret)
{
	switch (op) {
	case IR_OP_SEQ:
		*ret = a == b;
		return true;
	case IR_OP_SNE:
		*ret = a != b;
		return true;
	case IR_OP_SLT:
		*ret = (int64_t)a < (int64_t)b;
		return true;
	case IR_OP_SLE:
		*ret = (int64_t)a <= (int64_t)b;
		return true;
	case IR_OP_SULT:
		*ret = a < b;
		return true;
	case IR_OP_SULE:
		*ret = a <= b;
		return true;
	default:
		return false;
	}
}

bool ir_eval(enum ir_op op, uint64_t a, uint64_t b, uint16_t aux, uint64_t *ret)
{
	switch (op) {
	case IR_OP_MOV:
		*ret = a;
		return true;
	case IR_OP_ADD:
		*ret = a + b;
		return true;
	case IR_OP_SUB:
		*ret = a - b;
		return true;
	case IR_OP_MUL:
		*ret = a * b;
		return true;
	case IR_OP_SDIV:
	case IR_OP_UDIV:
	case IR_OP_SREM:
	case IR_OP_UREM:
		return eval_div(op, a, b, ret);
	case IR_OP_AND:
		*ret = a & b;
		return true;
	case IR_OP_OR:
		*ret = a | b;
		return true;
	case IR_OP_XOR:
		*ret = a ^ b;
		return true;
	case IR_OP_SHL:
		*ret = a << (b & 63);
		return true;
	case IR_OP_SHR:
		*ret = a >> (b & 63);
		return true;
	case IR_OP_SAR:
		*ret = (uint64_t)((int64_t)a >> (b & 63));
		return true;
	case IR_OP_NEG:
		*ret = 0 - a;
		return true;
	case IR_OP_NOT:
		*ret = ~a;
		return true;
	case IR_OP_EXT:
		*ret = ir_extend(a, aux & ~IR_SIGNED, aux & IR_SIGNED);
		return true;
	default:
		return eval_compare(op, a, b, ret);
	}
}
