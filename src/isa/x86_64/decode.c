/* SPDX-License-Identifier: MIT */
/*
 * Decoding.  Operands are read from the raw ModRM and SIB bytes: that is three
 * times as fast as having Zydis list them, and whole modules are decoded.  Most
 * instructions do not even get to Zydis (shapes.c).
 */
#include "isa/x86_64/x86_64_int.h"

#include <errno.h>
#include <string.h>

enum { RSP = 4, RBP = 5 };

int isa_zydis(const uint8_t *bytes, size_t cnt, ZydisDecodedInstruction *ret)
{
	ZydisDecoder dec;
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&dec, NULL, bytes, cnt, ret)))
		return -EINVAL;
	return 0;
}

static bool is_jcc(const ZydisDecodedInstruction *z)
{
	return z->meta.category == ZYDIS_CATEGORY_COND_BR || z->mnemonic == ZYDIS_MNEMONIC_XBEGIN;
}

static enum isa_flow flow_of(const ZydisDecodedInstruction *z)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		return ISA_CALL;
	case ZYDIS_MNEMONIC_JMP:
		return z->raw.imm[0].is_relative ? ISA_JMP : ISA_JMP_IND;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_UIRET:
		return ISA_RET;
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		return ISA_TRAP;
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
		return ISA_SYSCALL;
	default:
		return is_jcc(z) ? ISA_JCC : ISA_NEXT;
	}
}

/* A shift by %cl or by 0 and a repeated compare may leave the flags alone. */
static bool may_keep_flags(const ZydisDecodedInstruction *z)
{
	if (z->meta.category == ZYDIS_CATEGORY_SHIFT || z->meta.category == ZYDIS_CATEGORY_ROTATE ||
	    z->mnemonic == ZYDIS_MNEMONIC_SHLD || z->mnemonic == ZYDIS_MNEMONIC_SHRD) {
		uint8_t mask = z->raw.rex.W ? 63 : 31;
		bool by_one = z->opcode == 0xd0 || z->opcode == 0xd1;
		return !by_one && !(z->raw.imm[0].size && (z->raw.imm[0].value.u & mask));
	}
	return z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

static void flags_of(const ZydisDecodedInstruction *z, struct isa_insn *ret)
{
	const uint32_t all = ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF |
			     ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
	const ZydisAccessedFlags *f = z->cpu_flags;
	if (!f)
		return;
	ret->reads_flags = f->tested & all;
	uint32_t written = f->modified | f->set_0 | f->set_1 | f->undefined;
	ret->writes_flags = (written & all) == all && !may_keep_flags(z);
}

/* Extension bits of base and index; VEX and its kin store them inverted. */
static void extension_of(const ZydisDecodedInstruction *z, uint8_t *b, uint8_t *x)
{
	switch (z->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		*b = !z->raw.vex.B, *x = !z->raw.vex.X;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		*b = !z->raw.evex.B, *x = !z->raw.evex.X;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		*b = !z->raw.xop.B, *x = !z->raw.xop.X;
		break;
	default:
		*b = z->raw.rex.B, *x = z->raw.rex.X;
	}
}

/* Intel SDM volume 2, 2.1.3 and 2.2.1.6: ModRM and SIB in 64-bit mode. */
static void mem_of(const ZydisDecodedInstruction *z, uint64_t addr, struct isa_insn *ret)
{
	uint8_t b, x;
	if (!(z->attributes & ZYDIS_ATTRIB_HAS_MODRM) || z->raw.modrm.mod == 3)
		return;
	if (z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5 && !z->raw.disp.size)
		return; /* moves from and to control and debug registers ignore mod */
	extension_of(z, &b, &x);
	ret->has_mem = true;
	ret->disp = z->raw.disp.size ? (int32_t)z->raw.disp.value : 0;
	if (z->raw.modrm.mod == 0 && z->raw.modrm.rm == 5) {
		ret->rip_rel = true;
		ret->rip_target = addr + z->length + (uint64_t)z->raw.disp.value;
		return;
	}
	if (z->raw.modrm.rm != 4) {
		ret->base = z->raw.modrm.rm | b << 3;
	} else {
		uint8_t idx = z->raw.sib.index | x << 3;
		if (idx != RSP) {
			ret->index = idx;
			ret->scale = 1 << z->raw.sib.scale;
		}
		if (z->raw.sib.base != 5 || z->raw.modrm.mod)
			ret->base = z->raw.sib.base | b << 3;
	}
	ret->touches_rsp_below = ret->base == RSP && ret->disp < 0 && z->mnemonic != ZYDIS_MNEMONIC_LEA &&
				 z->mnemonic != ZYDIS_MNEMONIC_NOP;
	if (z->raw.disp.size == 32)
		ret->abs_ref = (uint32_t)ret->disp;
}

static uint8_t modrm_reg(const ZydisDecodedInstruction *z)
{
	return z->raw.modrm.reg | z->raw.rex.R << 3;
}

static uint8_t modrm_rm(const ZydisDecodedInstruction *z)
{
	return z->raw.modrm.rm | z->raw.rex.B << 3;
}

static enum isa_op add_of(const ZydisDecodedInstruction *z, struct isa_insn *ret)
{
	bool by_reg = z->attributes & ZYDIS_ATTRIB_HAS_MODRM && z->raw.modrm.mod == 3;
	if (by_reg && (z->opcode == 0x81 || z->opcode == 0x83))
		return modrm_rm(z) == RSP ? ISA_OP_ADD_SP : ISA_OP_OTHER;
	if (z->mnemonic != ZYDIS_MNEMONIC_ADD)
		return ISA_OP_OTHER;
	if (z->opcode == 0x03)
		ret->reg = modrm_reg(z);
	else if (z->opcode == 0x01 && by_reg)
		ret->reg = modrm_rm(z);
	else
		return ISA_OP_OTHER;
	return ISA_OP_ADD;
}

static enum isa_op mov_of(const ZydisDecodedInstruction *z, struct isa_insn *ret)
{
	bool by_reg = z->attributes & ZYDIS_ATTRIB_HAS_MODRM && z->raw.modrm.mod == 3;
	switch (z->opcode) {
	case 0x8b:
	case 0x63: /* movslq */
		ret->reg = modrm_reg(z);
		return by_reg ? ISA_OP_MOV : ISA_OP_LOAD;
	case 0x89:
	case 0xc7:
		if (!by_reg)
			return ISA_OP_OTHER;
		ret->reg = modrm_rm(z);
		return ISA_OP_MOV;
	case 0xb8 ... 0xbf:
		ret->reg = (z->opcode & 7) | z->raw.rex.B << 3;
		return ISA_OP_MOV;
	default:
		return ISA_OP_OTHER;
	}
}

static enum isa_op op_of(const ZydisDecodedInstruction *z, struct isa_insn *ret)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		return ISA_OP_PUSH;
	case ZYDIS_MNEMONIC_POP:
		return ISA_OP_POP;
	case ZYDIS_MNEMONIC_LEAVE:
		return ISA_OP_LEAVE;
	case ZYDIS_MNEMONIC_INT3:
		return ISA_OP_INT3;
	case ZYDIS_MNEMONIC_LEA:
		ret->reg = modrm_reg(z);
		return ret->reg == RSP ? ISA_OP_ADD_SP : ISA_OP_LEA;
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_SUB:
		return add_of(z, ret);
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVSXD:
		return z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? mov_of(z, ret) : ISA_OP_OTHER;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (z->opcode == 0xff && z->raw.modrm.mod == 3)
			ret->reg = modrm_rm(z);
		return ISA_OP_OTHER;
	default:
		return ISA_OP_OTHER;
	}
}

static void sp_add(struct isa_insn *ret, int64_t delta)
{
	ret->sp = ISA_SP_ADD;
	ret->sp_delta = (int32_t)delta;
}

static void sp_frame(struct isa_insn *ret, int32_t delta)
{
	ret->sp = ISA_SP_FRAME;
	ret->sp_delta = delta;
}

/* add, sub, lea and mov to rsp; what is not understood here is lost. */
static void sp_set(const ZydisDecodedInstruction *z, struct isa_insn *ret)
{
	bool imm = z->opcode == 0x81 || z->opcode == 0x83;
	ret->sp = ISA_SP_LOST;
	if (z->operand_width != 64)
		return;
	if (z->mnemonic == ZYDIS_MNEMONIC_ADD && imm)
		sp_add(ret, z->raw.imm[0].value.s);
	else if (z->mnemonic == ZYDIS_MNEMONIC_SUB && imm)
		sp_add(ret, -z->raw.imm[0].value.s);
	else if (z->mnemonic == ZYDIS_MNEMONIC_LEA && ret->base == RSP && ret->index == ISA_REG_NONE)
		sp_add(ret, ret->disp);
	else if (z->mnemonic == ZYDIS_MNEMONIC_LEA && ret->base == RBP && ret->index == ISA_REG_NONE)
		sp_frame(ret, ret->disp);
	else if (z->mnemonic == ZYDIS_MNEMONIC_MOV && z->opcode == 0x89 && modrm_reg(z) == RBP)
		sp_frame(ret, 0);
}

static void sp_of(const ZydisDecodedInstruction *z, const uint8_t *bytes, struct isa_insn *ret)
{
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
		sp_add(ret, -8);
		break;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_POPFQ:
		sp_add(ret, 8);
		break;
	case ZYDIS_MNEMONIC_LEAVE:
		sp_frame(ret, 8);
		return;
	case ZYDIS_MNEMONIC_ENTER:
		ret->sp = ISA_SP_LOST;
		return;
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_RET:
		return;
	default:
		break;
	}
	if (ret->sp == ISA_SP_ADD && z->operand_width != 64)
		ret->sp = ISA_SP_LOST;
	bool modrm = z->attributes & ZYDIS_ATTRIB_HAS_MODRM && z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	bool names_rsp = modrm && (modrm_reg(z) == RSP || (z->raw.modrm.mod == 3 && modrm_rm(z) == RSP));
	bool short_form = !modrm && (z->opcode & 7) == RSP && !z->raw.rex.B && !is_jcc(z); /* pop %rsp, xchg, mov imm */
	bool reads_only = z->mnemonic == ZYDIS_MNEMONIC_MOV && z->opcode == 0x89 && (z->raw.modrm.mod != 3 || modrm_rm(z) != RSP);
	bool adds = (z->mnemonic == ZYDIS_MNEMONIC_ADD || z->mnemonic == ZYDIS_MNEMONIC_SUB) && (z->opcode == 0x81 || z->opcode == 0x83);
	if (names_rsp && adds && z->raw.modrm.mod == 3 && modrm_rm(z) == RSP)
		sp_set(z, ret);
	else if (names_rsp && reads_only)
		return;
	else if ((names_rsp || short_form) && ret->sp == ISA_SP_SAME && isa_writes_reg(bytes, z->length, RSP))
		sp_set(z, ret);
	else if ((names_rsp || short_form) && z->mnemonic == ZYDIS_MNEMONIC_POP)
		ret->sp = ISA_SP_LOST;
}

void isa_decode_as(const ZydisDecodedInstruction *z, const uint8_t *bytes, uint64_t addr, struct isa_insn *ret)
{
	*ret = (struct isa_insn){ .len = z->length, .base = ISA_REG_NONE, .index = ISA_REG_NONE,
				  .reg = ISA_REG_NONE };
	ret->flow = flow_of(z);
	ret->is_nop = z->mnemonic == ZYDIS_MNEMONIC_NOP;
	ret->is_endbr = z->mnemonic == ZYDIS_MNEMONIC_ENDBR64;
	ret->notrack = z->attributes & ZYDIS_ATTRIB_HAS_NOTRACK;
	flags_of(z, ret);
	mem_of(z, addr, ret);
	ret->op = op_of(z, ret);
	sp_of(z, bytes, ret);
	if (z->raw.imm[0].is_relative)
		ret->target = addr + z->length + (uint64_t)z->raw.imm[0].value.s;
	else if (z->raw.imm[0].size >= 32 && !ret->abs_ref)
		ret->abs_ref = z->raw.imm[0].value.u;
}

int isa_decode(const uint8_t *bytes, size_t cnt, uint64_t addr, struct isa_insn *ret)
{
	ZydisDecodedInstruction z;
	if (isa_parts(bytes, cnt, &z))
		return -EINVAL;
	isa_decode_as(&z, bytes, addr, ret);
	return 0;
}

bool isa_writes_reg(const uint8_t *bytes, size_t cnt, uint8_t reg)
{
	ZydisDecoder dec;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, bytes, cnt, &z, ops)))
		return true;
	for (int i = 0; i < z.operand_count; i++) {
		if (ops[i].type != ZYDIS_OPERAND_TYPE_REGISTER || !(ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, ops[i].reg.value);
		if (full == (ZydisRegister)(ZYDIS_REGISTER_RAX + reg))
			return true;
	}
	return false;
}
