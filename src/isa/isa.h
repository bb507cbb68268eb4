/* SPDX-License-Identifier: MIT */
/*
 * isa: instructions of the processor; bytes in, bytes out, no system calls.
 * x86-64 only so far (isa/x86_64, on Zydis).  Thread-safe.
 */
#ifndef ISA_ISA_H
#define ISA_ISA_H

#include "base/base.h"

#define ISA_INSN_MAX 15  /* bytes of the longest instruction */

enum isa_flow {
	ISA_NEXT,      /* falls through */
	ISA_CALL,      /* call, direct or indirect */
	ISA_JMP,       /* direct unconditional jump */
	ISA_JCC,       /* conditional direct (jcc, loop, jrcxz, xbegin) */
	ISA_JMP_IND,   /* jmp through register or memory */
	ISA_RET,
	ISA_TRAP,      /* int3, ud2, hlt: control does not go on */
	ISA_SYSCALL,
};

/* Shapes that analyses look for; everything else is ISA_OP_OTHER. */
enum isa_op {
	ISA_OP_OTHER,
	ISA_OP_PUSH, ISA_OP_POP, ISA_OP_LEAVE,
	ISA_OP_ADD_SP,   /* add or sub of an immediate, or lea, that only moves rsp */
	ISA_OP_LEA,
	ISA_OP_LOAD,     /* mov r, m (also movslq) */
	ISA_OP_MOV,      /* mov r, r or r, imm */
	ISA_OP_ADD,      /* add r, r/m */
	ISA_OP_INT3,
};

/* What becomes of rsp. */
enum isa_sp {
	ISA_SP_SAME,   /* calls and returns too: seen from the function, they are balanced */
	ISA_SP_ADD,    /* rsp += sp_delta */
	ISA_SP_FRAME,  /* rsp = rbp + sp_delta */
	ISA_SP_LOST,   /* anything else */
};

/* Register numbers as in the encoding: rax 0, rcx 1, rdx 2, rbx 3, rsp 4 ... r15 15. */
#define ISA_REG_NONE 255

struct isa_insn {
	uint8_t len;
	uint8_t flow;        /* enum isa_flow */
	uint8_t op;          /* enum isa_op */
	bool is_nop;         /* any form of padding nop, int3 excluded */
	bool is_endbr;
	bool notrack;        /* indirect branch with the notrack prefix: a switch's dispatch */
	bool rip_rel;        /* has a rip-relative memory operand */
	bool has_mem;        /* has a memory operand in ModRM form (lea and nop included) */
	bool reads_flags;    /* any arithmetic flag */
	bool writes_flags;   /* certainly all of CF PF AF ZF SF OF (undefined counts) */
	bool touches_rsp_below; /* its memory operand is below rsp (red zone) */
	uint8_t base, index, scale; /* of the memory operand; ISA_REG_NONE */
	uint8_t reg;         /* of an indirect branch through a register, of lea, mov, load and add: the
	                      * destination; else ISA_REG_NONE */
	uint8_t sp;          /* enum isa_sp */
	int32_t sp_delta;
	int32_t disp;
	uint64_t target;     /* of ISA_JMP, ISA_JCC, direct ISA_CALL; 0 else */
	uint64_t rip_target; /* address that the rip-relative operand means */
	uint64_t abs_ref;    /* 32-bit displacement or immediate (of 4 or 8 bytes) that may be an address; 0 */
};

/* Decodes one instruction at @bytes (at most @cnt) that stands at @addr.
 * 0, or -EINVAL for bytes that are no instruction. */
int isa_decode(const uint8_t *bytes, size_t cnt, uint64_t addr, struct isa_insn *ret);

/* Whether the instruction at @bytes (one that isa_decode knows) may write general register @reg. */
bool isa_writes_reg(const uint8_t *bytes, size_t cnt, uint8_t reg);

/* General registers of one instruction, a bit for each number. */
struct isa_regs {
	uint16_t reads; /* what they held may matter to it, or stay in part */
	uint16_t sets;  /* all 64 bits are overwritten, in any case; some of @reads may be among them */
};
/* What the instruction at @bytes does with them; its length.  0: it is none of those that do nothing but compute and cannot fault:
 * it goes elsewhere, traps, moves the stack by other than a constant, or uses memory that is neither the stack's, nor the program's (by rip), nor
 * its thread's block's. */
uint32_t isa_plain_regs(const uint8_t *bytes, size_t cnt, struct isa_regs *ret);

/* The first place at or behind text[@from] where a call, jump or conditional jump with a displacement of 4 bytes might
 * begin (nobody has decoded up to there), all of it within @bytes; @bytes: there is none.  Its displacement is behind
 * *ret_opcode_bytes. */
size_t isa_next_branch(const uint8_t *text, size_t from, size_t bytes, uint32_t *ret_opcode_bytes);
/* The same of 16 places at a time, of which 17 bytes are there: a bit for each, the lowest for text[0]; how long its opcode is. */
uint32_t isa_branch_bits(const uint8_t *text);
static inline uint32_t isa_branch_opcode_bytes(const uint8_t *at)
{
	return *at == 0x0f ? 2 : 1;
}

/* Re-encodes the instruction for @new_addr with the same effect: rip-relative
 * operands and branches are retargeted (widened where needed), a call pushes
 * its original return address and jumps.  Flags and registers are as after the
 * original; only memory below rsp differs, and only after a call.  Writes at
 * most @cap bytes; returns the length, -ENOSPC, or -EINVAL with the reason
 * where it cannot be moved (system calls, int3, far branches; rip-relative
 * operands out of reach, unless lea or mov to a register). */
#define ISA_RELOC_MAX 48
int isa_relocate(const uint8_t *bytes, const struct isa_insn *, uint64_t addr, uint64_t new_addr,
		 uint8_t *buf, size_t cap, struct err *reterr);

/* Encoders that trampolines need.  Each writes at @buf and returns the length.
 * isa_jmp and isa_call take the short way to @target (5 bytes), or through a
 * literal where it is out of reach (at most ISA_FAR_MAX bytes). */
#define ISA_FAR_MAX 16
uint32_t isa_put_jmp(uint8_t *buf, uint64_t addr, uint64_t target);
uint32_t isa_put_call(uint8_t *buf, uint64_t addr, uint64_t target);
/* A conditional jump @skip bytes ahead that is taken where the conditional jump at @jcc (a jcc
 * proper) would not be.  Returns its length, 6, or 0 where @jcc is none. */
uint32_t isa_put_jcc_inverse(uint8_t *buf, const uint8_t *jcc, const struct isa_insn *, uint32_t skip);
/* Whether a 4-byte displacement reaches from the end of an instruction to @target. */
static inline bool isa_reaches(uint64_t end, uint64_t target)
{
	return (int64_t)(target - end) == (int32_t)(target - end);
}

/* One line of disassembly, AT&T syntax, without newline.  Returns the
 * instruction's length, or -EINVAL (then @buf says "(bad)"). */
int isa_format(const uint8_t *bytes, size_t cnt, uint64_t addr, char *buf, size_t cap);

#endif
