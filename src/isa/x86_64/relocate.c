/* SPDX-License-Identifier: MIT */
/*
 * Moving an instruction.  References: Intel SDM volume 2 (CALL, Jcc, JMP,
 * LOOP, PUSH) for the encodings.
 */
#include "isa/isa.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>

/* A small writer that never writes past its end; len goes on counting. */
struct out {
	uint8_t *buf;
	size_t cap, len;
	uint64_t addr;
};

static void put(struct out *o, const void *bytes, size_t cnt)
{
	if (o->len + cnt <= o->cap)
		memcpy(o->buf + o->len, bytes, cnt);
	o->len += cnt;
}

static void put8(struct out *o, uint8_t v)
{
	put(o, &v, 1);
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, 4);
}

static bool fits32(int64_t v)
{
	return v == (int32_t)v;
}

/* jmp rel32, or jmp *0(%rip) with the address behind it where that is too far. */
static void put_jmp(struct out *o, uint64_t target)
{
	int64_t rel = (int64_t)(target - (o->addr + o->len + 5));
	if (fits32(rel)) {
		put8(o, 0xe9);
		put32(o, (uint32_t)rel);
		return;
	}
	put(o, "\xff\x25\0\0\0\0", 6);
	put(o, &target, 8);
}

/* push of any 64-bit value without a register: the low half sign-extended, then the high half over it. */
static void put_push(struct out *o, uint64_t v)
{
	put8(o, 0x68);
	put32(o, (uint32_t)v);
	if (fits32((int64_t)v))
		return;
	put(o, "\xc7\x44\x24\x04", 4); /* movl $hi, 4(%rsp) */
	put32(o, (uint32_t)(v >> 32));
}

/* Jumps over a long jump when the condition does not hold. */
static void put_jcc_far(struct out *o, uint8_t cc, uint64_t target)
{
	uint8_t skip = fits32((int64_t)(target - (o->addr + o->len + 7))) ? 5 : 14;
	put8(o, 0x70 | (cc ^ 1));
	put8(o, skip);
	put_jmp(o, target);
}

static int move_jcc(struct out *o, const uint8_t *bytes, const struct isa_insn *in)
{
	const uint8_t *p = bytes;
	while (*p == 0x2e || *p == 0x3e || *p == 0x66 || *p == 0xf2) /* branch hints, bnd */
		p++;
	if ((p[0] & 0xf0) == 0x70 || (p[0] == 0x0f && (p[1] & 0xf0) == 0x80)) {
		uint8_t cc = (p[0] == 0x0f ? p[1] : p[0]) & 15;
		int64_t rel = (int64_t)(in->target - (o->addr + o->len + 6));
		if (fits32(rel)) {
			put8(o, 0x0f);
			put8(o, 0x80 | cc);
			put32(o, (uint32_t)rel);
		} else {
			put_jcc_far(o, cc, in->target);
		}
		return 0;
	}
	/* loop, loope, loopne, jrcxz, jecxz: to a jump behind the one that goes on. */
	put(o, bytes, (size_t)(in->len - 1));
	put(o, "\x02\xeb", 2);
	put8(o, fits32((int64_t)(in->target - (o->addr + o->len + 6))) ? 5 : 14);
	put_jmp(o, in->target);
	return 0;
}

/* Copies with the displacement of a rip-relative operand corrected. */
static int move_plain(struct out *o, const uint8_t *bytes, const struct isa_insn *in, struct err *reterr)
{
	uint8_t copy[16];
	memcpy(copy, bytes, in->len);
	if (in->rip_rel) {
		ZydisDecoder dec;
		ZydisDecodedInstruction zi;
		ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
		ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, bytes, in->len, &zi, op)) || zi.raw.disp.size != 32)
			return err_setf(reterr, -EINVAL, "a rip-relative operand without a 32-bit displacement");
		int64_t rel = (int64_t)(in->rip_target - (o->addr + o->len + in->len));
		if (!fits32(rel))
			return err_setf(reterr, -EINVAL, "its rip-relative operand is out of reach from the trampoline");
		int32_t rel32 = (int32_t)rel;
		memcpy(copy + zi.raw.disp.offset, &rel32, 4);
	}
	put(o, copy, in->len);
	return 0;
}

/* call *operand: push the return address, then jmp *operand, whose rsp is 8 lower by then. */
static int move_call_indirect(struct out *o, const uint8_t *bytes, const struct isa_insn *in, uint64_t ret_addr,
			      struct err *reterr)
{
	ZydisDecoder dec;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisEncoderRequest req;
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, bytes, in->len, &zi, op)) ||
	    !ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(&zi, op, zi.operand_count_visible, &req)))
		return err_setf(reterr, -EINVAL, "an indirect call in a form that is not understood");
	if (op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && op[0].reg.value == ZYDIS_REGISTER_RSP)
		return err_setf(reterr, -EINVAL, "a call of the stack pointer");
	put_push(o, ret_addr);
	req.mnemonic = ZYDIS_MNEMONIC_JMP;
	req.branch_type = ZYDIS_BRANCH_TYPE_NONE;
	req.branch_width = ZYDIS_BRANCH_WIDTH_NONE;
	req.prefixes &= ~(ZyanU64)ZYDIS_ATTRIB_HAS_BND;
	if (req.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && req.operands[0].mem.base == ZYDIS_REGISTER_RSP)
		req.operands[0].mem.displacement += 8;
	uint8_t enc[16];
	ZyanUSize len = sizeof(enc);
	if (in->rip_rel) {
		req.operands[0].mem.displacement = (ZyanI64)in->rip_target;
		if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstructionAbsolute(&req, enc, &len, o->addr + o->len)))
			return err_setf(reterr, -EINVAL, "the pointer that it calls through is out of reach from the trampoline");
	} else if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&req, enc, &len))) {
		return err_setf(reterr, -EINVAL, "an indirect call that cannot be turned into a jump");
	}
	put(o, enc, len);
	return 0;
}

static int move_call(struct out *o, const uint8_t *bytes, const struct isa_insn *in, uint64_t addr, struct err *reterr)
{
	if (!in->target)
		return move_call_indirect(o, bytes, in, addr + in->len, reterr);
	put_push(o, addr + in->len);
	put_jmp(o, in->target);
	return 0;
}

int isa_relocate(const uint8_t *bytes, const struct isa_insn *in, uint64_t addr, uint64_t new_addr, uint8_t *buf,
		 size_t cap, struct err *reterr)
{
	struct out o = { .buf = buf, .cap = cap, .addr = new_addr };
	int r = 0;
	switch ((enum isa_flow)in->flow) {
	case ISA_CALL:
		r = move_call(&o, bytes, in, addr, reterr);
		break;
	case ISA_JMP:
		put_jmp(&o, in->target);
		break;
	case ISA_JCC:
		r = in->target ? move_jcc(&o, bytes, in) : err_setf(reterr, -EINVAL, "a branch without a target");
		break;
	case ISA_NEXT:
		if (in->target) /* xbegin: aborts to an address */
			return err_setf(reterr, -EINVAL, "the start of a hardware transaction");
		/* fallthrough */
	default:
		r = move_plain(&o, bytes, in, reterr);
	}
	if (r < 0)
		return r;
	return o.len <= cap ? (int)o.len : err_setf(reterr, -ENOSPC, "no room for a relocated instruction");
}
