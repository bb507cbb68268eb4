/* SPDX-License-Identifier: MIT */
/* Instructions, labels, calls of a program under construction. */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more element; false: no memory. */
static bool grow(struct gen *g, void **array, uint32_t cnt, uint32_t *cap, size_t bytes)
{
	if (cnt < *cap)
		return true;
	uint32_t want = *cap ? *cap * 2 : 256;
	void *p = realloc(*array, want * bytes);
	if (!p) {
		refuse(g, -ENOMEM, "out of memory");
		return false;
	}
	*array = p;
	*cap = want;
	return true;
}

void refuse(struct gen *g, int err, const char *fmt, ...)
{
	if (g->err)
		return;
	va_list ap;
	char why[ERR_MSG_MAX / 2];
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	g->err = err;
	g->e->failed_clause = g->prog ? g->prog->clause : WIRE_NONE;
	err_setf(g->reterr, err, "%s", why);
}

void emit(struct gen *g, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	if (!grow(g, (void **)&g->insns, g->cnt, &g->cap, sizeof(*g->insns)))
		return;
	g->insns[g->cnt++] = (struct bpf_insn){ .code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm };
}

void emit_mov(struct gen *g, uint8_t dst, uint8_t src)
{
	emit(g, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void emit_wide(struct gen *g, uint8_t dst, uint8_t src, int32_t low, int32_t high)
{
	emit(g, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, low);
	emit(g, 0, 0, 0, 0, high);
}

void emit_const(struct gen *g, uint8_t dst, int64_t v)
{
	if (v == (int32_t)v)
		emit(g, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)v);
	else
		emit_wide(g, dst, 0, (int32_t)v, (int32_t)(v >> 32));
}

void emit_shm(struct gen *g, uint8_t dst, uint64_t off)
{
	emit_wide(g, dst, BPF_PSEUDO_MAP_VALUE, g->e->in.shm_fd, (int32_t)off);
}

static uint8_t size_code(unsigned bytes)
{
	return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : BPF_DW;
}

/* The base and offset to use, near enough for an instruction. */
static uint8_t near_base(struct gen *g, uint8_t base, int64_t *off)
{
	if (*off >= INT16_MIN && *off <= INT16_MAX)
		return base;
	emit_mov(g, 0, base);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, (int32_t)*off);
	*off = 0;
	return 0;
}

void emit_load(struct gen *g, unsigned bytes, uint8_t dst, uint8_t base, int64_t off)
{
	base = near_base(g, base, &off);
	emit(g, BPF_LDX | BPF_MEM | size_code(bytes), dst, base, (int16_t)off, 0);
}

void emit_store(struct gen *g, unsigned bytes, uint8_t base, int64_t off, uint8_t src)
{
	base = near_base(g, base, &off);
	emit(g, BPF_STX | BPF_MEM | size_code(bytes), base, src, (int16_t)off, 0);
}

void emit_extend(struct gen *g, uint8_t reg, unsigned bits, bool is_signed)
{
	if (bits >= 64)
		return;
	emit(g, BPF_ALU64 | BPF_LSH | BPF_K, reg, 0, 0, (int32_t)(64 - bits));
	emit(g, BPF_ALU64 | (is_signed ? BPF_ARSH : BPF_RSH) | BPF_K, reg, 0, 0, (int32_t)(64 - bits));
}

uint32_t new_label(struct gen *g)
{
	if (!grow(g, (void **)&g->labels, g->label_cnt, &g->label_cap, sizeof(*g->labels)))
		return 0;
	g->labels[g->label_cnt] = -1;
	return g->label_cnt++;
}

void set_label(struct gen *g, uint32_t label)
{
	if (label < g->label_cnt)
		g->labels[label] = (int32_t)g->cnt;
}

static void add_fix(struct gen *g, enum fix_kind kind, uint32_t target)
{
	if (grow(g, (void **)&g->fixes, g->fix_cnt, &g->fix_cap, sizeof(*g->fixes)))
		g->fixes[g->fix_cnt++] = (struct fix){ g->cnt, (uint8_t)kind, target };
}

void emit_jump(struct gen *g, uint32_t label)
{
	add_fix(g, FIX_JUMP, label);
	emit(g, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void emit_jump_if(struct gen *g, uint8_t cond, uint8_t reg, int32_t imm, uint32_t label)
{
	add_fix(g, FIX_JUMP, label);
	emit(g, (uint8_t)(BPF_JMP | cond | BPF_K), reg, 0, 0, imm);
}

uint32_t rtk_func_find(const char *name)
{
	for (uint32_t i = 0; i < rtk_func_cnt; i++)
		if (!strcmp(rtk_funcs[i].name, name))
			return i;
	return WIRE_NONE;
}

void emit_call(struct gen *g, const char *rtk_name)
{
	uint32_t f = rtk_func_find(rtk_name);
	if (f == WIRE_NONE) {
		refuse(g, -EOPNOTSUPP, "%s is not there for kernel probes", rtk_name);
		return;
	}
	add_fix(g, FIX_CALL, f);
	emit(g, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
}

void emit_kernel(struct gen *g, int32_t func)
{
	emit(g, BPF_JMP | BPF_CALL, 0, 0, 0, func);
}
