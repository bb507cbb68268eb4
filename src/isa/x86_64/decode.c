/* SPDX-License-Identifier: MIT */
#include "isa/isa.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const ZydisDecoder *decoder(void)
{
	static ZydisDecoder dec;
	static bool ready;
	if (!ready) {
		ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		ready = true;
	}
	return &dec;
}

static enum isa_flow jump_flow(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op)
{
	if (in->meta.category == ZYDIS_CATEGORY_COND_BR)
		return ISA_JCC;
	return op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? ISA_JMP : ISA_JMP_IND;
}

static enum isa_flow flow_of(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op)
{
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return ISA_TRAP;
	case ZYDIS_MNEMONIC_SYSCALL:
		return ISA_SYSCALL;
	default:
		break;
	}
	switch (in->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		return ISA_CALL;
	case ZYDIS_CATEGORY_RET:
		return ISA_RET;
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
		return jump_flow(in, op);
	default:
		return ISA_NEXT;
	}
}

static void look_at_memory(const ZydisDecodedOperand *op, struct isa_insn *ret)
{
	const ZydisDecodedOperandMem *m = &op->mem;
	if (m->segment == ZYDIS_REGISTER_FS || m->segment == ZYDIS_REGISTER_GS)
		return;
	if (m->base == ZYDIS_REGISTER_RIP || m->base == ZYDIS_REGISTER_EIP)
		ret->rip_rel = true;
	if (m->base == ZYDIS_REGISTER_NONE && m->disp.has_displacement)
		ret->abs_disp = (uint64_t)m->disp.value;
	if (m->index != ZYDIS_REGISTER_NONE && m->scale >= 4)
		ret->indexed = true;
	if (m->base == ZYDIS_REGISTER_RSP && m->disp.value < 0)
		ret->touches_rsp_below = true;
}

#define ARITHMETIC_FLAGS (ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | \
			  ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF)

static void look_at_flags(const ZydisDecodedInstruction *in, struct isa_insn *ret)
{
	const ZydisAccessedFlags *f = in->cpu_flags;
	if (!f)
		return;
	uint32_t written = f->modified | f->set_0 | f->set_1 | f->undefined;
	/* A shift by zero leaves them as they were. */
	bool maybe = in->meta.category == ZYDIS_CATEGORY_SHIFT || in->meta.category == ZYDIS_CATEGORY_ROTATE;
	ret->reads_flags = f->tested & (ARITHMETIC_FLAGS | ZYDIS_CPUFLAG_DF);
	ret->writes_flags = !maybe && (written & ARITHMETIC_FLAGS) == ARITHMETIC_FLAGS;
}

int isa_decode(const uint8_t *bytes, size_t cnt, uint64_t addr, struct isa_insn *ret)
{
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), bytes, cnt, &in, op)))
		return -EINVAL;
	*ret = (struct isa_insn){ .len = in.length, .flow = (uint8_t)flow_of(&in, op) };
	for (int i = 0; i < in.operand_count; i++) {
		if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			look_at_memory(&op[i], ret);
		ZyanU64 at;
		if (op[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && op[i].imm.is_relative &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in, &op[i], addr, &at)))
			ret->target = at;
		if (op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ret->rip_rel && !ret->rip_target &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&in, &op[i], addr, &at)))
			ret->rip_target = at;
	}
	look_at_flags(&in, ret);
	ret->is_nop = in.mnemonic == ZYDIS_MNEMONIC_NOP;
	ret->is_endbr = in.mnemonic == ZYDIS_MNEMONIC_ENDBR64;
	return 0;
}

int isa_format(const uint8_t *bytes, size_t cnt, uint64_t addr, char *buf, size_t cap)
{
	static ZydisFormatter fmt;
	static bool ready;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	if (!ready) {
		ZydisFormatterInit(&fmt, ZYDIS_FORMATTER_STYLE_ATT);
		ready = true;
	}
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), bytes, cnt, &in, op))) {
		snprintf(buf, cap, "(bad)");
		return -EINVAL;
	}
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&fmt, &in, op, in.operand_count_visible, buf, cap, addr, NULL)))
		snprintf(buf, cap, "?");
	return in.length;
}
