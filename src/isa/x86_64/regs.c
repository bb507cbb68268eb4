/* SPDX-License-Identifier: MIT */
/* What plain instructions do with general registers, by the decoder's list of operands. */
#include "isa/x86_64/x86_64_int.h"

enum { RSP = 4 };

/* They compute, and neither trap nor go elsewhere; as compilers begin functions with them. */
static bool is_plain(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_ADD: case ZYDIS_MNEMONIC_AND: case ZYDIS_MNEMONIC_CMP: case ZYDIS_MNEMONIC_DEC: case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_IMUL: case ZYDIS_MNEMONIC_INC: case ZYDIS_MNEMONIC_LEA: case ZYDIS_MNEMONIC_MOV: case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD: case ZYDIS_MNEMONIC_MOVZX: case ZYDIS_MNEMONIC_NEG: case ZYDIS_MNEMONIC_NOP: case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_OR: case ZYDIS_MNEMONIC_PUSH: case ZYDIS_MNEMONIC_SAR: case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_SUB: case ZYDIS_MNEMONIC_TEST: case ZYDIS_MNEMONIC_XOR:
		return true;
	default:
		return false;
	}
}

static uint16_t bit_of(ZydisRegister reg)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	return full >= ZYDIS_REGISTER_RAX && full <= ZYDIS_REGISTER_R15 ? (uint16_t)(1u << (full - ZYDIS_REGISTER_RAX)) : 0;
}

/* On the stack, in the program's own data, or in its thread's block: it is there. */
static bool is_safe(const ZydisDecodedOperandMem *m)
{
	bool in_block = m->base == ZYDIS_REGISTER_NONE && m->segment == ZYDIS_REGISTER_FS;
	bool fixed = in_block || m->base == ZYDIS_REGISTER_RIP || m->base == ZYDIS_REGISTER_RSP;
	return m->type == ZYDIS_MEMOP_TYPE_AGEN || (fixed && m->index == ZYDIS_REGISTER_NONE);
}

/* Not a segment's or a control register; and rsp only as a push or a frame of constant size has it. */
static bool is_usual(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op)
{
	bool is_sp = bit_of(op->reg.value) == 1u << RSP && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	bool steps = z->mnemonic == ZYDIS_MNEMONIC_PUSH || ((z->mnemonic == ZYDIS_MNEMONIC_SUB || z->mnemonic == ZYDIS_MNEMONIC_ADD) &&
							    z->raw.imm[0].size);
	bool is_flags = op->reg.value == ZYDIS_REGISTER_RFLAGS || op->reg.value == ZYDIS_REGISTER_EFLAGS || op->reg.value == ZYDIS_REGISTER_FLAGS;
	return is_flags || op->reg.value == ZYDIS_REGISTER_RIP || (bit_of(op->reg.value) && (!is_sp || steps));
}

static bool add_operand(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *op, struct isa_regs *ret)
{
	if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		ret->reads |= bit_of(op->mem.base) | bit_of(op->mem.index);
		return is_safe(&op->mem);
	}
	if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return true;
	if (!is_usual(z, op))
		return false;
	bool sets = op->actions == ZYDIS_OPERAND_ACTION_WRITE && op->size >= 32; /* 32 bits clear the others */
	*(sets ? &ret->sets : &ret->reads) |= bit_of(op->reg.value);
	return true;
}

/* What becomes 0 whatever it was. */
static bool is_zeroing(const ZydisDecodedInstruction *z, const ZydisDecodedOperand *ops)
{
	bool can = z->mnemonic == ZYDIS_MNEMONIC_XOR || z->mnemonic == ZYDIS_MNEMONIC_SUB;
	return can && ops[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ops[0].reg.value == ops[1].reg.value && ops[0].size >= 32;
}

uint32_t isa_plain_regs(const uint8_t *bytes, size_t cnt, struct isa_regs *ret)
{
	ZydisDecoder dec;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	*ret = (struct isa_regs){ 0 };
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, bytes, cnt, &z, ops)) || !is_plain(z.mnemonic))
		return 0;
	if (z.mnemonic == ZYDIS_MNEMONIC_NOP)
		return z.length;
	if (is_zeroing(&z, ops)) {
		ret->sets = bit_of(ops[0].reg.value);
		return z.length;
	}
	for (int i = 0; i < z.operand_count; i++)
		if (!add_operand(&z, &ops[i], ret))
			return 0;
	return z.length;
}
