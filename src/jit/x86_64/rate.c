/* SPDX-License-Identifier: MIT */
/* With a budget (ADR 40, 48): a site fires in some windows of time only, and each hit is counted. */
#include "jit/x86_64/quick_int.h"

#define GOLDEN 2531u /* 0.618 of 2^12, odd: so many rows are between stacks of neighbours that few have the same */
#define GOLDEN_AT 22 /* where rows are 2^22 bytes long, as those of sessions are: one for each 1.6 KiB of a stack */

/* Of shorter rows, which only tests have, most of it is shifted away. */
static uint32_t factor(uint64_t row_bytes)
{
	unsigned bits = (unsigned)__builtin_ctzll(row_bytes);
	return (bits < GOLDEN_AT ? GOLDEN >> (GOLDEN_AT - bits) : GOLDEN << (bits - GOLDEN_AT)) | 1;
}

/* In the row of where the stack is. */
static void gen_count(struct jit_gen *g)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	bool blind = a->blind;
	int64_t at = (int64_t)geo->hits_off - (int64_t)(jit_proc_addr(g->env) - g->env->shm_addr);
	_Static_assert(sizeof(struct wire_site) == 8 << 3, "the number of a counter is a site's offset by 8");
	x64_push(a, X64_RDX);
	a->blind = true;
	x64_imul_imm(a, X64_RDX, X64_RSP, (int32_t)factor(geo->hits_row_bytes));
	x64_rm(a, X64_ADD, X64_RDX, x64_at(JIT_PROC, offsetof(struct wire_proc, row_seed)));
	x64_group_imm(a, X64_G_AND, X64_RDX, (int32_t)((geo->hits_rows - 1) * geo->hits_row_bytes));
	if (g->spot) {
		x64_group_mem_imm(a, X64_G_ADD, x64_at_index(JIT_PROC, X64_RDX, at + 8 * (int64_t)g->spot->site), 1);
	} else {
		x64_rr(a, X64_ADD, X64_RDX, JIT_PROC);
		x64_shift_imm(a, X64_SHR, X64_RAX, 3);
		x64_group_mem_imm(a, X64_G_ADD, x64_at_index(X64_RDX, X64_RAX, at), 1);
		x64_shift_imm(a, X64_SHL, X64_RAX, 3);
	}
	a->blind = blind;
	x64_pop(a, X64_RDX);
}

void jit_gen_rate(struct jit_gen *g, const struct jit_frame *f)
{
	const struct wire_shm *geo = g->env->geometry;
	if (!geo->rate_off)
		return;
	gen_count(g);
	int64_t rates = (int64_t)geo->rate_off - (int64_t)(jit_proc_addr(g->env) - g->env->shm_addr);
	x64_cmp32_imm(&g->a, jit_site_at(g, rates, offsetof(struct wire_rate, only_counts)), 0);
	x64_jcc(&g->a, X64_CC_NE, f->quick);
}

void jit_quick_weight(struct jit_gen *g, uint32_t dst)
{
	const struct wire_shm *geo = g->env->geometry;
	if (!geo->rate_off) {
		x64_mov_imm(&g->a, X64_RAX, 1);
		jit_dst_done(g, dst, X64_RAX);
		return;
	}
	jit_quick_site(g, X64_RCX, geo->rate_off);
	x64_rm(&g->a, X64_LOAD32, X64_RAX, x64_at(X64_RCX, offsetof(struct wire_rate, weight)));
	jit_dst_done(g, dst, X64_RAX);
}
