/* SPDX-License-Identifier: MIT */
/*
 * Which thread is this (ADR 6): its fs base, looked up in the process's hash.
 *
 * rdfsbase takes longer than all the rest of a small body.  A libc keeps its
 * thread block's address in the block, too, at %fs:0; once the process is known
 * to have such blocks (wire_proc.fs_set) that is read instead.
 *
 * The process's first thread, which is the only one of most, has a place of its own (wire_wipe.main_thread): so what it writes
 * to is known some 15 cycles sooner than by the hash, and later loads and the clock need not wait for that.
 */
#include "jit/x86_64/gen_int.h"

struct jit_thread jit_thread_init(struct jit_gen *g, enum x64_reg result, enum x64_reg temp)
{
	return (struct jit_thread){ .result = result, .temp = temp, .found = x64_label(&g->a), .other = x64_label(&g->a),
		.slow = x64_label(&g->a), .raw = x64_label(&g->a) };
}

/* @reg: the word that tells one thread on a block from the next.  @proc has the process, or is @reg: then it is not at hand. */
static void gen_word(struct jit_gen *g, enum x64_reg reg, enum x64_reg proc)
{
	if (g->env->tid_off) {
		x64_fs(&g->a, X64_LOAD32, reg, (int32_t)g->env->tid_off);
		return;
	}
	if (proc == reg)
		x64_mov_imm(&g->a, reg, jit_proc_addr(g->env));
	x64_rm(&g->a, X64_MOVSX32, reg, x64_at(proc, offsetof(struct wire_proc, tid_off)));
	x64_rm(&g->a, X64_LOAD32_FS, reg, x64_at(reg, 0));
}

/* What the hash has for the product in temp, whose upper half is 0. */
static void gen_look(struct jit_gen *g, const struct jit_thread *t)
{
	struct x64_asm *a = &g->a;
	x64_shift_imm(a, X64_SHR, t->temp, WIRE_HASH_SHIFT);
	const struct x64_mem known = { JIT_PROC, t->temp, offsetof(struct wire_proc, hash_thread), 3 };
	if (t->result == JIT_PROC) {
		x64_rm(a, X64_ADD, JIT_PROC, known);
	} else {
		x64_rm(a, X64_LOAD, t->result, known);
		x64_rr(a, X64_ADD, t->result, JIT_PROC);
	}
	_Static_assert(offsetof(struct wire_thread, key) == offsetof(struct wire_proc, errno_off),
		       "of an empty entry this is the process, and no block is where errno is in all of them");
}

/* The hash may still name the slot of a thread that is gone, which is another's by now. */
static void gen_check(struct jit_gen *g, const struct jit_thread *t, uint32_t slow)
{
	gen_word(g, t->temp, t->result == JIT_PROC ? t->temp : JIT_PROC);
	x64_rm(&g->a, X64_CMP32, t->temp, x64_at(t->result, offsetof(struct wire_thread, check)));
	x64_jcc(&g->a, X64_CC_NE, slow);
}

static void gen_by_hash(struct jit_gen *g, const struct jit_thread *t)
{
	struct x64_asm *a = &g->a;
	if (g->env->proc_flags & WIRE_PROC_FSGSBASE) {
		x64_cmp32_imm(a, x64_at(JIT_PROC, offsetof(struct wire_proc, fs_set)), WIRE_FS_SET);
		x64_jcc(a, X64_CC_NE, t->raw);
	}
	x64_imul32_fs(a, t->temp, 0, WIRE_HASH_MULT);
	gen_look(g, t);
	x64_rm(a, X64_LOAD, t->temp, x64_at(t->result, offsetof(struct wire_thread, key)));
	x64_fs(a, X64_CMP, t->temp, 0);
	x64_jcc(a, X64_CC_NE, t->slow);
	gen_check(g, t, t->slow);
}

void jit_gen_main_thread(struct jit_gen *g, const struct jit_thread *t, uint32_t other)
{
	struct x64_asm *a = &g->a;
	x64_rm(a, X64_LOAD, t->result, jit_abs(g, g->env->wipe_addr + offsetof(struct wire_wipe, main_thread), t->result));
	x64_rr(a, X64_TEST, t->result, t->result);
	x64_jcc(a, X64_CC_E, other);
	x64_fs(a, X64_LOAD, t->temp, 0);
	x64_rm(a, X64_CMP, t->temp, x64_at(t->result, offsetof(struct wire_thread, key)));
	x64_jcc(a, X64_CC_NE, other);
	x64_bind(a, t->found);
}

void jit_gen_thread(struct jit_gen *g, const struct jit_thread *t)
{
	if (g->env->wipe_addr) {
		jit_gen_main_thread(g, t, t->other);
		return;
	}
	gen_by_hash(g, t);
	x64_bind(&g->a, t->found);
}

static void gen_other(struct jit_gen *g, const struct jit_thread *t)
{
	x64_bind(&g->a, t->other);
	if (t->result == JIT_PROC)
		x64_mov_imm(&g->a, JIT_PROC, jit_proc_addr(g->env));
	gen_by_hash(g, t);
	x64_jmp(&g->a, t->found);
}

void jit_gen_thread_raw(struct jit_gen *g, const struct jit_thread *t)
{
	struct x64_asm *a = &g->a;
	if (g->env->wipe_addr)
		gen_other(g, t);
	if (g->env->proc_flags & WIRE_PROC_FSGSBASE) {
		uint32_t unknown = x64_label(a);
		bool blind = a->blind, spared = g->spares >> X64_RDX & 1;
		x64_bind(a, t->raw);
		if (spared)
			x64_push(a, X64_RDX);
		a->blind = true;
		x64_rdfsbase(a, X64_RDX);
		x64_rr(a, X64_TEST, X64_RDX, X64_RDX);
		x64_jcc(a, X64_CC_E, unknown);
		x64_imul32_imm(a, t->temp, X64_RDX, WIRE_HASH_MULT);
		gen_look(g, t);
		x64_rm(a, X64_CMP, X64_RDX, x64_at(t->result, offsetof(struct wire_thread, key)));
		x64_jcc(a, X64_CC_NE, unknown);
		gen_check(g, t, unknown);
		if (spared)
			x64_pop(a, X64_RDX);
		x64_jmp(a, t->found);
		x64_bind(a, unknown);
		if (spared)
			x64_pop(a, X64_RDX);
		a->blind = blind;
	}
	x64_bind(a, t->slow);
	if (t->result == JIT_PROC)
		x64_mov_imm(a, JIT_PROC, jit_proc_addr(g->env)); /* which the first look has overwritten */
}

void jit_gen_thread_self(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	uint32_t no_tls = x64_label(a), known = x64_label(a);
	if (g->env->proc_flags & WIRE_PROC_FSGSBASE) {
		x64_rdfsbase(a, X64_RDX); /* what %fs:0 says need not be true */
		x64_rr(a, X64_TEST, X64_RDX, X64_RDX);
		x64_jcc(a, X64_CC_E, no_tls);
	} else {
		x64_fs(a, X64_LOAD, X64_RDX, 0);
	}
	gen_word(g, X64_RCX, JIT_PROC);
	x64_jmp(a, known);
	x64_bind(a, no_tls);
	x64_zero(a, X64_RCX);
	x64_bind(a, known);
}
