/* SPDX-License-Identifier: MIT */
/*
 * isa: instructions of the processor; bytes in, bytes out, no system calls.
 * x86-64 only so far (isa/x86_64, on Zydis).
 */
#ifndef ISA_ISA_H
#define ISA_ISA_H

#include "base/base.h"

enum isa_flow {
	ISA_NEXT,      /* falls through */
	ISA_CALL,      /* call, direct or indirect */
	ISA_JMP,       /* direct unconditional jump */
	ISA_JCC,       /* conditional direct (jcc, loop, jrcxz) */
	ISA_JMP_IND,   /* jmp through register or memory */
	ISA_RET,
	ISA_TRAP,      /* int3, ud2, hlt: control does not go on */
	ISA_SYSCALL,
};

struct isa_insn {
	uint8_t len;
	uint8_t flow;        /* enum isa_flow */
	bool is_nop;         /* any form of padding nop, int3 excluded */
	bool is_endbr;
	bool rip_rel;        /* has a rip-relative memory operand */
	bool reads_flags, writes_flags; /* arithmetic flags; writes: all of CF PF AF ZF SF OF */
	bool touches_rsp_below; /* reads or writes memory below rsp (red zone) */
	uint64_t target;     /* of ISA_JMP, ISA_JCC, direct ISA_CALL; 0 else */
	uint64_t rip_target; /* address that the rip-relative operand means */
	uint64_t abs_disp;   /* displacement of an operand without a base register: a table's address; 0: none */
	bool indexed;        /* has a memory operand with an index scaled by 4 or 8 */
};

/* Decodes one instruction at @bytes (at most @cnt) that stands at @addr.
 * 0, or -EINVAL for bytes that are no instruction. */
int isa_decode(const uint8_t *bytes, size_t cnt, uint64_t addr, struct isa_insn *ret);

/* Re-encodes the instruction for @new_addr with the same effect: rip-relative
 * operands and branches are retargeted (widened where needed), a call pushes
 * its original return address and jumps.  Writes at most @cap bytes; returns
 * the length, -ENOSPC, or -EINVAL with the reason where it cannot be moved. */
#define ISA_RELOC_MAX 48
int isa_relocate(const uint8_t *bytes, const struct isa_insn *, uint64_t addr, uint64_t new_addr,
		 uint8_t *buf, size_t cap, struct err *reterr);

/* One line of disassembly, AT&T syntax, without newline. */
int isa_format(const uint8_t *bytes, size_t cnt, uint64_t addr, char *buf, size_t cap);

#endif
