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

/* How far the counters of the first row are from JIT_PROC. */
static int64_t hits_at(const struct jit_gen *g)
{
	int64_t off = (int64_t)g->env->geometry->hits_off - (int64_t)(jit_proc_addr(g->env) - g->env->shm_addr);
	assert(off < INT32_MAX / 2); /* so wire_layout() has made it */
	return off;
}

static struct x64_mem only_counts(const struct jit_gen *g)
{
	int64_t rates = (int64_t)g->env->geometry->rate_off - (int64_t)(jit_proc_addr(g->env) - g->env->shm_addr);
	return jit_site_at(g, rates, offsetof(struct wire_rate, only_counts));
}

/* How far the row of where the stack is is from the first. */
static void gen_row(struct jit_gen *g, enum x64_reg row)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	x64_imul32_imm(a, row, X64_RSP, factor(geo->hits_row_bytes));
	x64_rm(a, X64_ADD, row, x64_at(JIT_PROC, offsetof(struct wire_proc, row_seed)));
	x64_group_imm(a, X64_G_AND, row, (int32_t)((geo->hits_rows - 1) * geo->hits_row_bytes));
}

/* rax is the site's offset, and stays that. */
static void gen_count(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	bool blind = a->blind;
	_Static_assert(sizeof(struct wire_site) == 8 << 3, "the number of a counter is a site's offset by 8");
	x64_push(a, X64_RDX);
	a->blind = true;
	gen_row(g, X64_RDX);
	x64_rr(a, X64_ADD, X64_RDX, JIT_PROC);
	x64_shift_imm(a, X64_SHR, X64_RAX, 3);
	x64_group_mem_imm(a, X64_G_ADD, x64_at_index(X64_RDX, X64_RAX, hits_at(g)), 1);
	x64_shift_imm(a, X64_SHL, X64_RAX, 3);
	a->blind = blind;
	x64_pop(a, X64_RDX);
}

void jit_gen_rate(struct jit_gen *g, const struct jit_frame *f)
{
	if (!g->env->geometry->rate_off)
		return;
	gen_count(g);
	x64_cmp32_imm(&g->a, only_counts(g), 0);
	x64_jcc(&g->a, X64_CC_NE, f->quick);
}

/* What nearly all hits of a hot site run, so rather than in the body they are counted here, in rax, which the trampoline has saved.  The body
 * counts the others.  Its look whether it is armed is left out: before it is, no site only counts, and what is counted behind exit() weighs
 * nothing. */
void jit_gen_rate_spot(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	uint32_t on = x64_label(a), out = x64_label(a);
	x64_push(a, JIT_PROC);
	if (g->env->wipe_addr) {
		x64_rm(a, X64_LOAD, JIT_PROC, jit_abs(g, g->env->wipe_addr, JIT_PROC));
		x64_rr(a, X64_TEST, JIT_PROC, JIT_PROC);
		x64_jcc(a, X64_CC_E, g->env->proc_flags & WIRE_PROC_FOLLOW ? on : out);
	} else {
		x64_mov_imm(a, JIT_PROC, jit_proc_addr(g->env));
	}
	x64_cmp32_imm(a, only_counts(g), 0);
	x64_jcc(a, X64_CC_E, on);
	gen_row(g, X64_RAX);
	x64_group_mem_imm(a, X64_G_ADD, x64_at_index(JIT_PROC, X64_RAX, hits_at(g) + 8 * (int64_t)g->spot->site), 1);
	x64_bind(a, out);
	x64_pop(a, JIT_PROC);
	x64_split(a, g->spot->cold_addr);
	x64_bind(a, on);
	x64_pop(a, JIT_PROC);
	x64_mov_imm(a, X64_RAX, jit_spot_bytes(g->spot));
	x64_call(a, g->spot->body);
	x64_push(a, JIT_PROC);
	x64_jmp(a, out);
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
