/* SPDX-License-Identifier: MIT */
/*
 * Relocation.  A call must leave the return address that the program expects
 * (unwinders look it up, and a thread may return long after the probe is gone):
 *
 *	call f   -->   push $low32; [movl $high32,4(%rsp)]; jmp f
 *
 * push sign-extends, so the second instruction is left out where that happens
 * to be right.
 */
#include "isa/x86_64/x86_64_int.h"

#include <errno.h>
#include <string.h>

enum { RSP = 4 };

/* Where the new instruction goes. */
struct out {
	uint64_t addr;
	uint8_t buf[ISA_RELOC_MAX];
	uint32_t len;
};

static void put(struct out *o, const void *bytes, size_t cnt)
{
	memcpy(o->buf + o->len, bytes, cnt);
	o->len += cnt;
}

static void put_jmp(struct out *o, uint64_t target)
{
	o->len += isa_put_jmp(o->buf + o->len, o->addr + o->len, target);
}

static void put_return_address(struct out *o, uint64_t ra)
{
	int32_t low = (int32_t)ra, high = (int32_t)(ra >> 32);
	put(o, "\x68", 1); /* push $low */
	put(o, &low, 4);
	if ((int64_t)ra != low) {
		put(o, "\xc7\x44\x24\x04", 4); /* movl $high,4(%rsp) */
		put(o, &high, 4);
	}
}

/* jcc is widened; its inverse skips a far jump where 4 bytes do not reach. */
static void put_jcc(struct out *o, uint8_t cond, uint64_t target)
{
	if (isa_reaches(o->addr + o->len + 6, target)) {
		int32_t rel = (int32_t)(target - (o->addr + o->len + 6));
		uint8_t op[2] = { 0x0f, 0x80 | cond };
		put(o, op, 2);
		put(o, &rel, 4);
		return;
	}
	uint8_t skip[2] = { 0x70 | (cond ^ 1) };
	put(o, skip, 2);
	uint32_t start = o->len;
	put_jmp(o, target);
	o->buf[start - 1] = (uint8_t)(o->len - start);
}

/* loop and jrcxz exist with 8 bits only: hop to a jump.  Prefixes (67) are kept. */
static void put_loop(struct out *o, const uint8_t *bytes, const struct isa_insn *in)
{
	put(o, bytes, in->len - 1U);
	put(o, "\x02\xeb\x00", 3);
	uint32_t skip = o->len - 1;
	put_jmp(o, in->target);
	o->buf[skip] = o->len - skip - 1;
}

static int reloc_jcc(struct out *o, const uint8_t *bytes, const ZydisDecodedInstruction *z,
		     const struct isa_insn *in, struct err *reterr)
{
	if (z->mnemonic == ZYDIS_MNEMONIC_XBEGIN) {
		int32_t rel = (int32_t)(in->target - (o->addr + 6));
		if (!isa_reaches(o->addr + 6, in->target) || z->raw.imm[0].size != 32)
			return err_setf(reterr, -EINVAL, "xbegin whose handler is out of reach");
		put(o, "\xc7\xf8", 2);
		put(o, &rel, 4);
	} else if (z->opcode_map == ZYDIS_OPCODE_MAP_0F || (z->opcode & 0xf0) == 0x70) {
		put_jcc(o, z->opcode & 0xf, in->target);
	} else {
		put_loop(o, bytes, in);
	}
	return 0;
}

/* `jmp *m` or `jmp *r` from `call *m` or `call *r`: /2 becomes /4.  The push has moved rsp. */
static int put_indirect_call(struct out *o, const uint8_t *bytes, const ZydisDecodedInstruction *z,
			     const struct isa_insn *in, struct err *reterr)
{
	uint32_t modrm = z->raw.modrm.offset;
	if (in->reg == RSP || in->index == RSP || in->touches_rsp_below)
		return err_setf(reterr, -EINVAL, "indirect call through or below the stack pointer");
	put(o, bytes, modrm);
	uint8_t m = (bytes[modrm] & ~0x38) | 4 << 3;
	if (in->base != RSP) {
		put(o, &m, 1);
		put(o, bytes + modrm + 1, in->len - modrm - 1U);
		return 0;
	}
	if (in->disp > INT32_MAX - 8)
		return err_setf(reterr, -EINVAL, "indirect call through memory that is too far above the stack pointer");
	int32_t disp = in->disp + 8;
	m = (m & 0x3f) | 2 << 6; /* mod 2: 32-bit displacement */
	put(o, &m, 1);
	put(o, bytes + modrm + 1, 1);
	put(o, &disp, 4);
	return 0;
}

static int fix_rip(struct out *o, uint32_t disp_at, uint32_t end, uint64_t target, struct err *reterr)
{
	if (!isa_reaches(o->addr + end, target))
		return err_setf(reterr, -EINVAL, "rip-relative operand out of reach of its new place");
	int32_t disp = (int32_t)(target - (o->addr + end));
	memcpy(o->buf + disp_at, &disp, 4);
	return 0;
}

static int reloc_call(struct out *o, const uint8_t *bytes, const ZydisDecodedInstruction *z,
		      const struct isa_insn *in, uint64_t addr, struct err *reterr)
{
	put_return_address(o, addr + in->len);
	if (in->target) {
		put_jmp(o, in->target);
		return 0;
	}
	uint32_t start = o->len;
	int rc = put_indirect_call(o, bytes, z, in, reterr);
	if (rc || !in->rip_rel)
		return rc;
	return fix_rip(o, start + z->raw.disp.offset, o->len, in->rip_target, reterr);
}

static void put_mov_imm64(struct out *o, uint8_t reg, uint64_t imm)
{
	uint8_t op[2] = { 0x48 | reg >> 3, 0xb8 | (reg & 7) };
	put(o, op, 2);
	put(o, &imm, 8);
}

/* Out of reach: lea and mov have a register of their own to hold the address. */
static int reloc_rip_far(struct out *o, const ZydisDecodedInstruction *z, const struct isa_insn *in,
			 struct err *reterr)
{
	bool lea = in->op == ISA_OP_LEA && z->operand_width == 64;
	bool load = in->op == ISA_OP_LOAD && z->operand_width >= 32 && !(z->attributes & ZYDIS_ATTRIB_HAS_SEGMENT);
	if ((!lea && !load) || in->reg == RSP || z->address_width != 64)
		return err_setf(reterr, -EINVAL, "rip-relative operand out of reach of its new place");
	put_mov_imm64(o, in->reg, in->rip_target);
	if (lea)
		return 0;
	uint8_t hi = in->reg >> 3, lo = in->reg & 7;
	uint8_t ins[3] = { 0x40 | (z->raw.rex.W << 3) | hi << 2 | hi, z->opcode, 0x40 | lo << 3 | lo };
	put(o, ins, 3); /* mod 1 with a zero displacement: right for r13 too */
	if (lo == RSP)
		put(o, "\x24", 1);
	put(o, "\0", 1);
	return 0;
}

static int reloc_plain(struct out *o, const uint8_t *bytes, const ZydisDecodedInstruction *z,
		       const struct isa_insn *in, struct err *reterr)
{
	if (in->rip_rel && !isa_reaches(o->addr + in->len, in->rip_target))
		return reloc_rip_far(o, z, in, reterr);
	if (in->rip_rel && z->address_width != 64)
		return err_setf(reterr, -EINVAL, "eip-relative operand");
	put(o, bytes, in->len);
	return in->rip_rel ? fix_rip(o, z->raw.disp.offset, in->len, in->rip_target, reterr) : 0;
}

static int movable(const ZydisDecodedInstruction *z, const struct isa_insn *in, struct err *reterr)
{
	if (in->flow == ISA_SYSCALL)
		return err_setf(reterr, -EINVAL, "a system call has to stay: threads sleep in it");
	if (in->op == ISA_OP_INT3 || z->mnemonic == ZYDIS_MNEMONIC_INT1)
		return err_setf(reterr, -EINVAL, "a breakpoint instruction has to stay: its address is its meaning");
	if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
	    (in->flow == ISA_RET && z->mnemonic != ZYDIS_MNEMONIC_RET))
		return err_setf(reterr, -EINVAL, "far branch");
	/* Intel ignores the prefix on near branches, AMD truncates rip. */
	if (in->flow != ISA_NEXT && in->flow != ISA_TRAP && z->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE &&
	    !z->raw.rex.W && z->mnemonic != ZYDIS_MNEMONIC_XBEGIN)
		return err_setf(reterr, -EINVAL, "branch with an operand size prefix");
	return 0;
}

static int reloc(struct out *o, const uint8_t *bytes, const ZydisDecodedInstruction *z, const struct isa_insn *in,
		 uint64_t addr, struct err *reterr)
{
	int rc = movable(z, in, reterr);
	if (rc)
		return rc;
	switch (in->flow) {
	case ISA_JMP:
		put_jmp(o, in->target);
		return 0;
	case ISA_JCC:
		return reloc_jcc(o, bytes, z, in, reterr);
	case ISA_CALL:
		return reloc_call(o, bytes, z, in, addr, reterr);
	default:
		return reloc_plain(o, bytes, z, in, reterr);
	}
}

#define OP_INT1 0xf1

/* Most instructions mean the same anywhere; what is known of them by now tells. */
static bool is_same_anywhere(const uint8_t *bytes, const struct isa_insn *in)
{
	return in->flow == ISA_NEXT && !in->rip_rel && in->op != ISA_OP_INT3 && !memchr(bytes, OP_INT1, in->len);
}

int isa_relocate(const uint8_t *bytes, const struct isa_insn *in, uint64_t addr, uint64_t new_addr,
		 uint8_t *buf, size_t cap, struct err *reterr)
{
	ZydisDecodedInstruction z;
	struct out o = { .addr = new_addr };
	int rc = 0;
	if (is_same_anywhere(bytes, in))
		put(&o, bytes, in->len);
	else if (isa_zydis(bytes, in->len, &z))
		rc = err_setf(reterr, -EINVAL, "bytes that are no instruction");
	else
		rc = reloc(&o, bytes, &z, in, addr, reterr);
	if (rc)
		return rc;
	if (o.len > cap)
		return err_setf(reterr, -ENOSPC, "no room for a displaced instruction");
	memcpy(buf, o.buf, o.len);
	return (int)o.len;
}
