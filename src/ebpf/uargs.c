/* SPDX-License-Identifier: MIT */
/*
 * Arguments that are where a note, or the way functions are called, says: of uprobes.  What is in memory is read where a
 * clause asks for it, so that an address that cannot be read is its fault.
 */
#include "ebpf/ebpf_int.h"

#include <errno.h>

#define CTX(field) ((int64_t)offsetof(struct rtk_ctx, field))

/* Adds register @which, as it was, shifted, to @reg. */
static void add_reg(struct gen *g, uint8_t which, uint8_t shift, uint8_t reg)
{
	if (which == WIRE_UARG_FS) {
		refuse(g, -EOPNOTSUPP, "an argument is in memory of the thread (%%fs), which programs of the kernel cannot find");
		return;
	}
	if (which >= WIRE_REG_CNT)
		return;
	emit_load(g, 8, 2, BPF_REG_10, PROG_CTX);
	emit_load(g, 8, 3, 2, 8 * which);
	if (shift & 63)
		emit(g, BPF_ALU64 | BPF_LSH | BPF_K, 3, 0, 0, shift & 63);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_X, reg, 3, 0, 0);
}

/* The value; of MEM its address. */
void gen_uarg(struct gen *g, const struct wire_uarg *a, uint8_t reg)
{
	emit_const(g, reg, a->kind == WIRE_UARG_CONST || a->kind == WIRE_UARG_MEM ? (int64_t)a->val : 0);
	switch ((enum wire_uarg_kind)a->kind) {
	case WIRE_UARG_NONE:
		return;
	case WIRE_UARG_MEM:
		add_reg(g, a->reg, 0, reg);
		add_reg(g, a->index, a->shift, reg);
		return;
	case WIRE_UARG_XMM:
		refuse(g, -EOPNOTSUPP, "an argument is in %%xmm%u, which programs of the kernel cannot read", a->reg);
		return;
	case WIRE_UARG_REG:
		add_reg(g, a->reg, 0, reg);
		if (a->shift & 63)
			emit(g, BPF_ALU64 | BPF_RSH | BPF_K, reg, 0, 0, a->shift & 63);
		emit_extend(g, reg, a->reg_bytes * 8u, a->is_signed);
		break;
	case WIRE_UARG_CONST:
		break;
	}
	emit_extend(g, reg, a->bytes * 8u, a->is_signed);
}

void gen_arg_use(struct gen *g, uint32_t n, uint32_t dst)
{
	const struct ebpf_arg *a = n < EBPF_ARG_MAX ? &g->group->args[n] : NULL;
	if (!a || a->kind != EBPF_ARG_UARG || a->uarg->kind != WIRE_UARG_MEM) {
		if (a)
			emit_load(g, 8, 1, REG_CTX, CTX(args) + 8 * (int64_t)n);
		else
			emit_const(g, 1, 0);
		gen_put(g, dst, 1);
		return;
	}
	gen_note_pc(g);
	emit_load(g, 8, 2, REG_CTX, CTX(args) + 8 * (int64_t)n);
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 3, a->uarg->bytes);
	emit_const(g, 4, a->uarg->is_signed);
	emit_call(g, "rtk_copyin_u");
	gen_put(g, dst, 0);
	gen_check_fault(g);
}
