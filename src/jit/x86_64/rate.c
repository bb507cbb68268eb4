/* SPDX-License-Identifier: MIT */
/* With a budget (ADR 40): a site fires in some windows of time only.  That of site i is struct wire_rate i. */
#include "jit/x86_64/quick_int.h"

void jit_gen_rate(struct jit_gen *g, const struct jit_frame *f, int64_t site_off)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	int64_t rate = (int64_t)(geo->rate_off - geo->site_off) + site_off;
	if (!geo->rate_off)
		return;
	x64_cmp32_imm(a, jit_site_at(g, rate, offsetof(struct wire_rate, weight)), 0);
	x64_jcc(a, X64_CC_E, f->quick);
	x64_group_mem_imm(a, X64_G_ADD, jit_site_at(g, rate, offsetof(struct wire_rate, hits)), 1);
	x64_cmp32_imm(a, jit_site_at(g, rate, offsetof(struct wire_rate, weight)), 0);
	x64_jcc(a, X64_CC_L, f->quick);
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
	x64_group_imm(&g->a, X64_G_AND, X64_RAX, (int32_t)~WIRE_RATE_COUNTS);
	jit_dst_done(g, dst, X64_RAX);
}
