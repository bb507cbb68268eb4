/* SPDX-License-Identifier: MIT */
/*
 * A small x86-64 assembler: the instruction forms that bodies need.  Encoding
 * follows the Intel SDM, volume 2, chapter 2 (prefixes, REX, ModRM, SIB) and
 * the opcode tables of appendix A; opcodes below name the instruction's page.
 *
 * It never fails in the middle: past the end of the buffer it only counts, so
 * that a caller learns how much room is needed.
 */
#ifndef JIT_X86_64_ASM_H
#define JIT_X86_64_ASM_H

#include "base/base.h"

enum x64_reg {
	X64_RAX, X64_RCX, X64_RDX, X64_RBX, X64_RSP, X64_RBP, X64_RSI, X64_RDI,
	X64_R8, X64_R9, X64_R10, X64_R11, X64_R12, X64_R13, X64_R14, X64_R15,
	X64_REG_CNT,
	X64_RIP,     /* base only: disp is an absolute address */
	X64_NO_REG,  /* no index */
};

/* base + (index << scale) + disp.  index: X64_NO_REG for none. */
struct x64_mem {
	enum x64_reg base, index;
	int64_t disp;
	unsigned scale; /* the index is shifted left by so many bits */
};
static inline struct x64_mem x64_at(enum x64_reg base, int64_t disp)
{
	return (struct x64_mem){ base, X64_NO_REG, disp, 0 };
}
static inline struct x64_mem x64_at_index(enum x64_reg base, enum x64_reg index, int64_t disp)
{
	return (struct x64_mem){ base, index, disp, 0 };
}

/* An opcode: its last byte, and what stands before it. */
#define X64_0F 0x100u  /* escape byte */
#define X64_66 0x200u  /* 16-bit operand */
#define X64_F3 0x400u
#define X64_W 0x800u   /* REX.W: 64-bit operand */
#define X64_B 0x1000u  /* the register operand is a byte: 4..7 mean spl..dil (SDM 2, 3.1.1.1) */
#define X64_BM 0x2000u /* likewise the r/m operand, where it is a register */
#define X64_FS 0x4000u /* segment override */

enum x64_op {
	X64_ADD = X64_W | 0x03, X64_OR = X64_W | 0x0b, X64_AND = X64_W | 0x23, X64_SUB = X64_W | 0x2b,
	X64_XOR = X64_W | 0x33, X64_CMP = X64_W | 0x3b, X64_CMP32 = 0x3b,
	X64_IMUL = X64_W | X64_0F | 0xaf, X64_TEST = X64_W | 0x85, X64_TEST32 = 0x85,
	X64_XOR32 = 0x33,
	X64_LOAD = X64_W | 0x8b, X64_LOAD32 = 0x8b, X64_LOAD32_FS = X64_FS | 0x8b,
	X64_MOVZX8 = X64_0F | X64_BM | 0xb6, X64_MOVZX16 = X64_0F | 0xb7,
	X64_MOVSX8 = X64_W | X64_0F | X64_BM | 0xbe, X64_MOVSX16 = X64_W | X64_0F | 0xbf, X64_MOVSX32 = X64_W | 0x63,
	X64_STORE = X64_W | 0x89, X64_STORE32 = 0x89, X64_STORE16 = X64_66 | 0x89, X64_STORE8 = X64_B | 0x88,
	X64_LEA = X64_W | 0x8d, X64_LEA32 = 0x8d, X64_ADD_TO = X64_W | 0x01, X64_BSR = X64_W | X64_0F | 0xbd, X64_XADD = X64_W | X64_0F | 0xc1,
	X64_CMPXCHG = X64_W | X64_0F | 0xb1, X64_LSL = X64_0F | 0x03,
};

/* Operations that take /digit in ModRM.reg. */
enum x64_group { X64_G_ADD, X64_G_OR, X64_G_AND = 4, X64_G_SUB, X64_G_XOR, X64_G_CMP };      /* 81, 83 */
enum x64_shift { X64_SHL = 4, X64_SHR = 5, X64_SAR = 7 };                                    /* C1, D3 */
enum x64_unary { X64_NOT = 2, X64_NEG, X64_MUL, X64_IMUL1, X64_DIV, X64_IDIV };              /* F7 */

/* Conditions (SDM 1, appendix B). */
enum x64_cc { X64_CC_B = 2, X64_CC_AE, X64_CC_E, X64_CC_NE, X64_CC_BE, X64_CC_A, X64_CC_L = 12, X64_CC_GE, X64_CC_LE, X64_CC_G };

struct x64_fixup {
	size_t at; /* of a rel32 */
	uint32_t label;
};
struct x64_asm {
	uint8_t *buf;
	size_t cap;
	size_t len;    /* of all that was emitted, even if it did not fit */
	uint64_t addr; /* where buf will stand */
	size_t split;  /* from here on the code stands at rest_addr; SIZE_MAX: it does not */
	uint64_t rest_addr;
	size_t *labels; /* position of each; SIZE_MAX: not bound yet */
	uint32_t label_cnt, label_cap;
	struct x64_fixup *fixups;
	uint32_t fixup_cnt, fixup_cap;
	bool no_memory;
	/* Mask of enum x64_reg: what was emitted names no others, but for pushes, pops and rax, and what it did while blind. */
	uint32_t named;
	bool blind;
};

void x64_init(struct x64_asm *, uint8_t *buf, size_t cap, uint64_t addr);
void x64_deinit(struct x64_asm *);
/* As after x64_init(). */
void x64_again(struct x64_asm *);
/* What follows will stand at @addr. Once. */
void x64_split(struct x64_asm *, uint64_t addr);
/* Fills in the branches.  Length, -ENOSPC or -ENOMEM. */
int64_t x64_finish(struct x64_asm *);

uint32_t x64_label(struct x64_asm *);
void x64_bind(struct x64_asm *, uint32_t label);
void x64_jmp(struct x64_asm *, uint32_t label);
void x64_jcc(struct x64_asm *, enum x64_cc, uint32_t label);

/* Whether a rel32 in this part of the code can mean @addr. */
bool x64_reaches(const struct x64_asm *, uint64_t addr);
/* call @addr; through rax where it is far away. */
void x64_call(struct x64_asm *, uint64_t addr);
void x64_ret(struct x64_asm *);
void x64_bytes(struct x64_asm *, const uint8_t *, size_t); /* as they are; nothing is noted as named */

/* op reg, r/m.  For stores and TEST reg is the source. */
void x64_rr(struct x64_asm *, enum x64_op, enum x64_reg reg, enum x64_reg rm);
void x64_rm(struct x64_asm *, enum x64_op, enum x64_reg reg, struct x64_mem);
void x64_mov(struct x64_asm *, enum x64_reg dst, enum x64_reg src); /* nothing if they are the same */
void x64_mov_imm(struct x64_asm *, enum x64_reg dst, uint64_t imm); /* keeps flags */
void x64_zero(struct x64_asm *, enum x64_reg dst);                  /* changes flags */
/* mov $imm, mem; imm is sign-extended where @bytes is 8. */
void x64_store_imm(struct x64_asm *, unsigned bytes, struct x64_mem, int32_t imm);
void x64_group_imm(struct x64_asm *, enum x64_group, enum x64_reg, int32_t imm); /* 64 bits */
void x64_group_mem_imm(struct x64_asm *, enum x64_group, struct x64_mem, int32_t imm); /* 64 bits */
void x64_cmp32_imm(struct x64_asm *, struct x64_mem, int32_t imm);
void x64_cmp64_imm(struct x64_asm *, struct x64_mem, int32_t imm);
void x64_test32_imm(struct x64_asm *, struct x64_mem, int32_t imm);
void x64_imul32_imm(struct x64_asm *, enum x64_reg dst, enum x64_reg src, uint32_t imm);
void x64_imul_imm(struct x64_asm *, enum x64_reg dst, enum x64_reg src, int32_t imm);
void x64_shift_imm(struct x64_asm *, enum x64_shift, enum x64_reg, unsigned count);
void x64_shift_cl(struct x64_asm *, enum x64_shift, enum x64_reg);
void x64_unary(struct x64_asm *, enum x64_unary, enum x64_reg);
void x64_unary_mem(struct x64_asm *, enum x64_unary, struct x64_mem);
void x64_setcc(struct x64_asm *, enum x64_cc, enum x64_reg); /* low byte */
void x64_bts(struct x64_asm *, enum x64_reg, unsigned bit);
void x64_push(struct x64_asm *, enum x64_reg);
void x64_pop(struct x64_asm *, enum x64_reg);
/* Fixed sequences. */
void x64_pushfq(struct x64_asm *);
void x64_cqo(struct x64_asm *);
void x64_rdtsc(struct x64_asm *);
void x64_rdpid(struct x64_asm *, enum x64_reg);
void x64_rdfsbase(struct x64_asm *, enum x64_reg);
void x64_imul32_fs(struct x64_asm *, enum x64_reg, int32_t off, uint32_t imm); /* imul imm, %fs:off, reg */
void x64_fs(struct x64_asm *, enum x64_op, enum x64_reg, int32_t off); /* op %fs:off, reg */
void x64_mov_cs(struct x64_asm *, enum x64_reg);
void x64_mov_ss(struct x64_asm *, enum x64_reg);

static inline bool x64_fits32(uint64_t v)
{
	return (int64_t)v == (int32_t)v;
}

#endif
