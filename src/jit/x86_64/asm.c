/* SPDX-License-Identifier: MIT */
#include "jit/x86_64/asm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bodies are far smaller; what is farther than this is called through a register. */
#define REACH 0x70000000LL

void x64_init(struct x64_asm *a, uint8_t *buf, size_t cap, uint64_t addr)
{
	*a = (struct x64_asm){ .buf = buf, .cap = cap, .addr = addr, .split = SIZE_MAX };
}

void x64_again(struct x64_asm *a)
{
	a->len = a->label_cnt = a->fixup_cnt = a->named = 0;
	a->split = SIZE_MAX;
}

#define AT_END (SIZE_MAX - 1) /* of the first part: not where the second begins */

void x64_split(struct x64_asm *a, uint64_t addr)
{
	a->split = a->len;
	for (uint32_t i = 0; i < a->label_cnt; i++)
		if (a->labels[i] == a->len)
			a->labels[i] = AT_END;
	a->rest_addr = addr;
}

static uint64_t place(const struct x64_asm *a, size_t at)
{
	if (at == AT_END)
		return a->addr + a->split;
	return at < a->split ? a->addr + at : a->rest_addr + (at - a->split);
}

void x64_deinit(struct x64_asm *a)
{
	free(a->labels);
	free(a->fixups);
}

static void byte(struct x64_asm *a, unsigned b)
{
	if (a->len < a->cap)
		a->buf[a->len] = (uint8_t)b;
	a->len++;
}

static void bytes(struct x64_asm *a, uint64_t v, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		byte(a, v >> (8 * i) & 0xff);
}

/* ---- labels ---- */

static bool grow(void **p, uint32_t cnt, uint32_t *cap, size_t size)
{
	if (cnt < *cap)
		return true;
	uint32_t n = *cap ? 2 * *cap : 64;
	void *q = realloc(*p, n * size);
	if (!q)
		return false;
	*p = q;
	*cap = n;
	return true;
}

uint32_t x64_label(struct x64_asm *a)
{
	if (!grow((void **)&a->labels, a->label_cnt, &a->label_cap, sizeof(*a->labels))) {
		a->no_memory = true;
		return 0;
	}
	a->labels[a->label_cnt] = SIZE_MAX;
	return a->label_cnt++;
}

void x64_bind(struct x64_asm *a, uint32_t label)
{
	if (label < a->label_cnt)
		a->labels[label] = a->len;
}

static void rel32(struct x64_asm *a, uint32_t label)
{
	if (!grow((void **)&a->fixups, a->fixup_cnt, &a->fixup_cap, sizeof(*a->fixups)))
		a->no_memory = true;
	else
		a->fixups[a->fixup_cnt++] = (struct x64_fixup){ a->len, label };
	bytes(a, 0, 4);
}

void x64_bytes(struct x64_asm *a, const uint8_t *v, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		byte(a, v[i]);
}

void x64_jmp(struct x64_asm *a, uint32_t label)
{
	byte(a, 0xe9);
	rel32(a, label);
}

void x64_jcc(struct x64_asm *a, enum x64_cc cc, uint32_t label)
{
	byte(a, 0x0f);
	byte(a, 0x80 | cc);
	rel32(a, label);
}

int64_t x64_finish(struct x64_asm *a)
{
	if (a->no_memory)
		return -ENOMEM;
	if (a->len > a->cap)
		return -ENOSPC;
	for (uint32_t i = 0; i < a->fixup_cnt; i++) {
		const struct x64_fixup *f = &a->fixups[i];
		if (a->labels[f->label] == SIZE_MAX)
			return -EINVAL;
		int32_t rel = (int32_t)(int64_t)(place(a, a->labels[f->label]) - (place(a, f->at) + 4));
		memcpy(a->buf + f->at, &rel, sizeof(rel));
	}
	return (int64_t)a->len;
}

/* ---- encoding ---- */

static bool is_byte_reg(enum x64_reg r)
{
	return r >= X64_RSP && r <= X64_RDI;
}

/* Prefixes, REX, escape and opcode.  @rm: the register in r/m, or the base. */
static void opcode(struct x64_asm *a, unsigned op, unsigned reg, unsigned index, unsigned rm, bool rex)
{
	if (op & X64_FS)
		byte(a, 0x64);
	if (op & X64_66)
		byte(a, 0x66);
	if (op & X64_F3)
		byte(a, 0xf3);
	unsigned r = (op & X64_W ? 8 : 0) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (rm >> 3 & 1);
	if (r || rex)
		byte(a, 0x40 | r);
	if (op & X64_0F)
		byte(a, 0x0f);
	byte(a, op & 0xff);
}

static void note(struct x64_asm *a, uint32_t regs)
{
	if (!a->blind)
		a->named |= regs;
}

static void op_reg(struct x64_asm *a, unsigned op, unsigned reg, enum x64_reg rm)
{
	note(a, 1u << reg | 1u << rm);
	bool rex = (op & X64_B && is_byte_reg((enum x64_reg)reg)) || (op & X64_BM && is_byte_reg(rm));
	opcode(a, op, reg, 0, rm, rex);
	byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

/* SDM 2, 2.1.5: r/m 4 asks for a SIB byte, mod 0 with base 5 for a disp32. */
static void modrm(struct x64_asm *a, unsigned reg, struct x64_mem m)
{
	unsigned base = m.base & 7, reg_bits = (reg & 7) << 3;
	unsigned mod = !m.disp && base != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
	if (m.index != X64_NO_REG) {
		byte(a, mod << 6 | reg_bits | 4);
		byte(a, m.scale << 6 | (m.index & 7) << 3 | base);
	} else {
		byte(a, mod << 6 | reg_bits | base);
		if (base == 4)
			byte(a, 0x24);
	}
	if (mod)
		bytes(a, (uint64_t)m.disp, mod == 1 ? 1 : 4);
}

/* @tail: bytes of the instruction behind the operand, which rip-relative
 * addresses count from. */
static void op_mem(struct x64_asm *a, unsigned op, unsigned reg, struct x64_mem m, unsigned tail)
{
	note(a, 1u << reg | 1u << m.index | 1u << m.base);
	bool rex = op & X64_B && is_byte_reg((enum x64_reg)reg);
	if (m.base == X64_RIP) {
		opcode(a, op, reg, 0, 0, rex);
		byte(a, (reg & 7) << 3 | 5);
		bytes(a, (uint64_t)m.disp - (place(a, a->len) + 4 + tail), 4);
		return;
	}
	opcode(a, op, reg, m.index == X64_NO_REG ? 0 : m.index, m.base, rex);
	modrm(a, reg, m);
}

void x64_rr(struct x64_asm *a, enum x64_op op, enum x64_reg reg, enum x64_reg rm)
{
	op_reg(a, op, reg, rm);
}

void x64_rm(struct x64_asm *a, enum x64_op op, enum x64_reg reg, struct x64_mem m)
{
	op_mem(a, op, reg, m, 0);
}

void x64_mov(struct x64_asm *a, enum x64_reg dst, enum x64_reg src)
{
	if (dst != src)
		op_reg(a, X64_STORE, src, dst);
}

void x64_mov_imm(struct x64_asm *a, enum x64_reg dst, uint64_t imm)
{
	note(a, 1u << dst);
	if (imm <= UINT32_MAX) {
		opcode(a, 0xb8 | (dst & 7), 0, 0, dst, false);
		bytes(a, imm, 4);
	} else if (x64_fits32(imm)) {
		op_reg(a, X64_W | 0xc7, 0, dst);
		bytes(a, imm, 4);
	} else {
		opcode(a, X64_W | 0xb8 | (dst & 7), 0, 0, dst, false);
		bytes(a, imm, 8);
	}
}

void x64_zero(struct x64_asm *a, enum x64_reg dst)
{
	op_reg(a, X64_XOR32, dst, dst);
}

void x64_store_imm(struct x64_asm *a, unsigned cnt, struct x64_mem m, int32_t imm)
{
	unsigned op = cnt == 1 ? 0xc6 : cnt == 2 ? X64_66 | 0xc7 : cnt == 4 ? 0xc7 : X64_W | 0xc7;
	unsigned tail = cnt == 8 ? 4 : cnt;
	op_mem(a, op, 0, m, tail);
	bytes(a, (uint64_t)(int64_t)imm, tail);
}

static bool is_imm8(int32_t imm)
{
	return imm == (int8_t)imm;
}

void x64_group_imm(struct x64_asm *a, enum x64_group g, enum x64_reg r, int32_t imm)
{
	op_reg(a, X64_W | (is_imm8(imm) ? 0x83 : 0x81), g, r);
	bytes(a, (uint64_t)(int64_t)imm, is_imm8(imm) ? 1 : 4);
}

static void mem_imm(struct x64_asm *a, unsigned width, enum x64_group g, struct x64_mem m, int32_t imm)
{
	unsigned tail = is_imm8(imm) ? 1 : 4;
	op_mem(a, width | (tail == 1 ? 0x83 : 0x81), g, m, tail);
	bytes(a, (uint64_t)(int64_t)imm, tail);
}

void x64_group_mem_imm(struct x64_asm *a, enum x64_group g, struct x64_mem m, int32_t imm)
{
	mem_imm(a, X64_W, g, m, imm);
}

void x64_cmp32_imm(struct x64_asm *a, struct x64_mem m, int32_t imm)
{
	mem_imm(a, 0, X64_G_CMP, m, imm);
}

void x64_cmp64_imm(struct x64_asm *a, struct x64_mem m, int32_t imm)
{
	mem_imm(a, X64_W, X64_G_CMP, m, imm);
}

void x64_test32_imm(struct x64_asm *a, struct x64_mem m, int32_t imm)
{
	op_mem(a, 0xf7, 0, m, 4);
	bytes(a, (uint64_t)(int64_t)imm, 4);
}

void x64_imul_imm(struct x64_asm *a, enum x64_reg dst, enum x64_reg src, int32_t imm)
{
	op_reg(a, X64_W | (is_imm8(imm) ? 0x6b : 0x69), dst, src);
	bytes(a, (uint64_t)(int64_t)imm, is_imm8(imm) ? 1 : 4);
}

void x64_imul32_imm(struct x64_asm *a, enum x64_reg dst, enum x64_reg src, uint32_t imm)
{
	op_reg(a, 0x69, dst, src);
	bytes(a, imm, 4);
}

void x64_shift_imm(struct x64_asm *a, enum x64_shift s, enum x64_reg r, unsigned count)
{
	op_reg(a, X64_W | 0xc1, s, r);
	byte(a, count & 63);
}

void x64_shift_cl(struct x64_asm *a, enum x64_shift s, enum x64_reg r)
{
	note(a, 1u << X64_RCX);
	op_reg(a, X64_W | 0xd3, s, r);
}

static void note_unary(struct x64_asm *a, enum x64_unary u)
{
	note(a, u >= X64_MUL ? 1u << X64_RDX : 0);
}

void x64_unary(struct x64_asm *a, enum x64_unary u, enum x64_reg r)
{
	note_unary(a, u);
	op_reg(a, X64_W | 0xf7, u, r);
}

void x64_unary_mem(struct x64_asm *a, enum x64_unary u, struct x64_mem m)
{
	note_unary(a, u);
	op_mem(a, X64_W | 0xf7, u, m, 0);
}

void x64_setcc(struct x64_asm *a, enum x64_cc cc, enum x64_reg r)
{
	op_reg(a, X64_0F | X64_BM | 0x90 | cc, 0, r);
}

void x64_bts(struct x64_asm *a, enum x64_reg r, unsigned bit)
{
	op_reg(a, X64_W | X64_0F | 0xba, 5, r);
	byte(a, bit);
}

void x64_push(struct x64_asm *a, enum x64_reg r)
{
	opcode(a, 0x50 | (r & 7), 0, 0, r, false);
}

void x64_pop(struct x64_asm *a, enum x64_reg r)
{
	opcode(a, 0x58 | (r & 7), 0, 0, r, false);
}

bool x64_reaches(const struct x64_asm *a, uint64_t addr)
{
	int64_t d = (int64_t)(addr - place(a, a->len));
	return d > -REACH && d < REACH;
}

void x64_call(struct x64_asm *a, uint64_t addr)
{
	if (x64_reaches(a, addr)) {
		byte(a, 0xe8);
		bytes(a, addr - (place(a, a->len) + 4), 4);
		return;
	}
	x64_mov_imm(a, X64_RAX, addr);
	op_reg(a, 0xff, 2, X64_RAX);
}

void x64_ret(struct x64_asm *a)
{
	byte(a, 0xc3);
}

void x64_pushfq(struct x64_asm *a)
{
	byte(a, 0x9c);
}

void x64_cqo(struct x64_asm *a)
{
	note(a, 1u << X64_RDX);
	byte(a, 0x48);
	byte(a, 0x99);
}

void x64_rdtsc(struct x64_asm *a)
{
	note(a, 1u << X64_RDX);
	byte(a, 0x0f);
	byte(a, 0x31);
}

void x64_rdpid(struct x64_asm *a, enum x64_reg r)
{
	op_reg(a, X64_F3 | X64_0F | 0xc7, 7, r);
}

void x64_rdfsbase(struct x64_asm *a, enum x64_reg r)
{
	op_reg(a, X64_F3 | X64_W | X64_0F | 0xae, 0, r);
}

/* mod 0, r/m 4, base 5, no index: an absolute disp32 (SDM 2, table 2-3). */
void x64_fs(struct x64_asm *a, enum x64_op op, enum x64_reg r, int32_t off)
{
	note(a, 1u << r);
	opcode(a, X64_FS | op, r, 0, 0, false);
	byte(a, (r & 7) << 3 | 4);
	byte(a, 0x25);
	bytes(a, (uint64_t)(int64_t)off, 4);
}

void x64_imul32_fs(struct x64_asm *a, enum x64_reg r, int32_t off, uint32_t imm)
{
	x64_fs(a, (enum x64_op)0x69, r, off);
	bytes(a, imm, 4);
}

/* mov Sreg: 8C /r; 1 is cs, 2 is ss. */
void x64_mov_cs(struct x64_asm *a, enum x64_reg r)
{
	op_reg(a, 0x8c, 1, r);
}

void x64_mov_ss(struct x64_asm *a, enum x64_reg r)
{
	op_reg(a, 0x8c, 2, r);
}
