/* SPDX-License-Identifier: MIT */
/*
 * The frame of a body.  The stack, from the application's end:
 *
 *     rsp + site->sp_adj    application's stack
 *     ...                   what the trampoline pushed; its rax nearest, or flags and then rax
 *     rsp at entry          return address into the trampoline
 *                           flags, where a program reads them
 *     frame                 saved registers, JIT_PROC first
 *     rsp                   &frame (twice, for alignment)
 *
 * With env->own_stack the application's stack has only the first six of the
 * saved registers ("near"); the frame, with a copy of those, is on the
 * thread's:
 *
 *     application's stack:  flags, near      rsp + site->sp_adj is counted from there
 *     own stack:            &thread
 *                           flags, near      copies, so that the frame is as above
 *                           frame            the other saved registers
 *                     rsp   &frame, &near
 *
 * Flow: early exits -> thread (hash lookup; slow path behind the body) ->
 * fn_enter -> registers and time into the context -> programs -> fn_leave ->
 * restore.
 */
#include "jit/x86_64/gen_int.h"

#include <errno.h>
#include <stdlib.h>

/* What a called function may change, less rax, in the order of the pushes. */
static const uint8_t clobbered[] = { JIT_PROC, X64_RCX, X64_RDX, X64_RDI, X64_R8, X64_R9, X64_R10, X64_R11 };
/* With a stack of our own: what is used before the thread is known, pushed first. */
static const uint8_t near_regs[] = { JIT_PROC, X64_RCX, X64_RDX, X64_RDI, X64_R8, JIT_CTX };
#define NEAR_CNT ((unsigned)ARRAY_CNT(near_regs))
/* Those for vregs, in the order of preference. */
static const uint8_t alloc_clobbered[] = { X64_RDI, X64_R9, X64_R10, X64_R11 };
static const uint8_t alloc_kept[] = { X64_RBP, X64_R12, X64_R13, X64_R14, X64_R15 };
static const struct jit_regs alloc_regs = { alloc_clobbered, ARRAY_CNT(alloc_clobbered), alloc_kept, ARRAY_CNT(alloc_kept) };

static const uint8_t wire_regs[X64_REG_CNT] = {
	[X64_RAX] = WIRE_RAX, [X64_RCX] = WIRE_RCX, [X64_RDX] = WIRE_RDX, [X64_RBX] = WIRE_RBX, [X64_RSP] = WIRE_RSP,
	[X64_RBP] = WIRE_RBP, [X64_RSI] = WIRE_RSI, [X64_RDI] = WIRE_RDI, [X64_R8] = WIRE_R8, [X64_R9] = WIRE_R9,
	[X64_R10] = WIRE_R10, [X64_R11] = WIRE_R11, [X64_R12] = WIRE_R12, [X64_R13] = WIRE_R13, [X64_R14] = WIRE_R14,
	[X64_R15] = WIRE_R15,
};
#define REGS_GENERAL ((1u << WIRE_ORIG_RAX) - 1)
#define REGS_STACK (REGS_GENERAL | 1u << WIRE_RIP | 1u << WIRE_RSP)
#define REGS_WALK (1u << WIRE_RSP | 1u << WIRE_RBP | 1u << WIRE_RBX | 1u << WIRE_R10) /* rt_stack_walk() */

/* ---- what programs need ---- */

static uint32_t helper_regs(enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_arg:
		return 1u << WIRE_RSP;
	case IR_HELPER_uaddr_caller:
	case IR_HELPER_tuple_ustack:
	case IR_HELPER_rec_ustack:
	case IR_HELPER_ustackdepth:
		return REGS_WALK;
	case IR_HELPER_hook_guard:
		return 1u << WIRE_RDI | 1u << WIRE_RSI | 1u << WIRE_RDX | 1u << WIRE_R8 | 1u << WIRE_R9 | 1u << WIRE_RAX | 1u << WIRE_RBX |
		       1u << WIRE_RCX;
	case IR_HELPER_hook_clone:
		return 1u << WIRE_RDX | 1u << WIRE_R9 | 1u << WIRE_RSP;
	case IR_HELPER_hook_vfork:
		return 1u << WIRE_RSP;
	default:
		return 0;
	}
}

enum wire_reg jit_arg_reg(const struct jit_gen *g, int64_t arg)
{
	static const uint8_t c[] = WIRE_ARGS_C, go[] = WIRE_ARGS_GO;
	return (enum wire_reg)(g->env->go_args ? go : c)[arg];
}

static uint32_t arg_regs(const struct jit_gen *g, int64_t arg)
{
	if (g->kind == WIRE_SITE_TOOL)
		return 0;
	if (g->kind == WIRE_SITE_USDT)
		return REGS_STACK;
	if (g->kind == WIRE_SITE_RETURN)
		return arg == 1 ? 1u << WIRE_RAX : 0;
	return 1u << jit_arg_reg(g, arg);
}

static void note_helper(struct jit_gen *g, enum ir_helper h)
{
	bool any_reg = h == IR_HELPER_arg && (g->kind == WIRE_SITE_USDT || g->env->go_args);
	g->regs_needed |= any_reg ? REGS_STACK : helper_regs(h);
	g->alloca_used |= h == IR_HELPER_alloca || h == IR_HELPER_copyin;
	g->tsc_needed |= h == IR_HELPER_commit || h == IR_HELPER_discard;
}

static void note_arg(struct jit_gen *g, int64_t arg)
{
	g->regs_needed |= arg_regs(g, arg);
	g->args_needed |= 1u << arg;
}

static void note_needs(struct jit_gen *g, const struct ir_prog *p, const struct jit_alloc *al)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		const struct ir_insn *in = &p->insns[i];
		if (!(al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		if (in->op == IR_OP_ARG)
			note_arg(g, in->imm);
		else if (in->op == IR_OP_UREG)
			g->regs_needed |= 1u << in->imm;
		else if (in->op == IR_OP_CALL)
			note_helper(g, (enum ir_helper)in->imm);
		else if (in->op == IR_OP_REC)
			g->tsc_needed = true;
		else if (in->op == IR_OP_ENV)
			g->tsc_needed |= in->imm == WIRE_ENV_TIMESTAMP || in->imm == WIRE_ENV_WALLTIMESTAMP;
	}
}

/* ---- entering ---- */

static void frame_init(struct jit_gen *g, struct jit_frame *f)
{
	*f = (struct jit_frame){ .leave = x64_label(&g->a), .quick = x64_label(&g->a), .out = x64_label(&g->a),
		.alive = x64_label(&g->a), .child = x64_label(&g->a) };
}

int jit_saved_at(const struct jit_frame *f, unsigned reg)
{
	for (unsigned i = 0; i < f->saved_cnt; i++)
		if (f->saved[i] == reg)
			return (int)i;
	return -1;
}

bool jit_is_dead(const struct jit_gen *g, enum x64_reg reg)
{
	return g->spot && g->spot->dead >> reg & 1 && !(g->regs_needed >> wire_regs[reg] & 1);
}

static void plan_frame(struct jit_gen *g, struct jit_frame *f)
{
	uint32_t used = 1u << JIT_CTX;
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		used |= g->allocs[i].used;
	frame_init(g, f);
	f->flags = g->regs_needed >> WIRE_EFLAGS & 1;
	f->early = g->env->own_stack ? x64_label(&g->a) : f->out;
	f->crowded = g->env->own_stack ? x64_label(&g->a) : 0;
	for (size_t i = 0; g->env->own_stack && i < NEAR_CNT; i++)
		f->saved[f->saved_cnt++] = near_regs[i];
	for (size_t i = 0; i < ARRAY_CNT(clobbered); i++)
		if (jit_saved_at(f, clobbered[i]) < 0)
			f->saved[f->saved_cnt++] = clobbered[i];
	static const uint8_t kept[] = { X64_RBX, X64_RBP, X64_R12, X64_R13, X64_R14, X64_R15 };
	for (size_t i = 0; i < ARRAY_CNT(kept); i++)
		if (used >> kept[i] & 1 && jit_saved_at(f, kept[i]) < 0)
			f->saved[f->saved_cnt++] = kept[i];
}

/* Offset from rsp of the word that points into the application's stack; how far above that rsp at entry was. */
static int32_t entry_word(const struct jit_gen *g)
{
	return g->env->own_stack ? 8 : 0;
}

/* Saved registers that are on the application's stack. */
static unsigned near_cnt(const struct jit_gen *g, const struct jit_frame *f)
{
	return g->env->own_stack ? NEAR_CNT : f->saved_cnt;
}

static int32_t entry_bytes(const struct jit_gen *g, const struct jit_frame *f)
{
	return (int32_t)(8 * (near_cnt(g, f) + f->flags));
}

struct x64_mem jit_site_at(const struct jit_gen *g, int64_t base, size_t off)
{
	int64_t at = base + (int64_t)off;
	return g->spot ? x64_at(JIT_PROC, at + jit_spot_bytes(g->spot)) : x64_at_index(JIT_PROC, X64_RAX, at);
}

void jit_gen_save_proc(struct jit_gen *g, const struct jit_frame *f)
{
	if (jit_saves_proc(f))
		x64_push(&g->a, JIT_PROC);
}

/* eax is the site's offset; jit_gen_save_proc() was before.  Goes on only where the probe is to fire: JIT_PROC + rax + the number that it
 * returns is the address of its struct wire_site. */
int64_t jit_gen_gate(struct jit_gen *g, const struct jit_frame *f)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	int64_t proc_off = (int64_t)(jit_proc_addr(g->env) - g->env->shm_addr), site_off = (int64_t)geo->site_off - proc_off;
	if (g->env->wipe_addr) {
		/* A forked child may have all else that a thread of its parent has (after a raw fork even the libc's
		 * thread id), and would write where the parent writes. */
		x64_rm(a, X64_LOAD, JIT_PROC, jit_abs(g, g->env->wipe_addr, JIT_PROC));
		x64_rr(a, X64_TEST, JIT_PROC, JIT_PROC);
		x64_jcc(a, X64_CC_E, g->env->proc_flags & WIRE_PROC_FOLLOW ? f->child : f->quick);
	} else {
		x64_mov_imm(a, JIT_PROC, jit_proc_addr(g->env));
	}
	x64_bind(a, f->alive);
	_Static_assert(offsetof(struct wire_shm, exiting) == offsetof(struct wire_shm, armed) + 4, "one comparison");
	x64_cmp64_imm(a, x64_at(JIT_PROC, (int64_t)offsetof(struct wire_shm, armed) - proc_off), 1);
	x64_jcc(a, X64_CC_NE, f->quick);
	jit_gen_rate(g, f);
	g->proc_known = site_off <= INT32_MAX / 2;
	if (!g->proc_known) {
		x64_mov_imm(a, JIT_PROC, g->env->shm_addr + geo->site_off);
		site_off = 0;
	}
	x64_cmp32_imm(a, jit_site_at(g, site_off, offsetof(struct wire_site, enabled)), 0);
	x64_jcc(a, X64_CC_E, f->quick);
	return site_off;
}

/* Leaves the site's address in rbx. */
static void gen_begin(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	if (f->flags)
		x64_pushfq(a);
	jit_gen_save_proc(g, f);
	int64_t site_off = jit_gen_gate(g, f);
	for (unsigned i = 1; i < near_cnt(g, f); i++)
		x64_push(a, (enum x64_reg)f->saved[i]);
	x64_rm(a, X64_LEA, X64_RBX, x64_at_index(JIT_PROC, X64_RAX, site_off));
	if (!g->proc_known)
		x64_mov_imm(a, JIT_PROC, jit_proc_addr(g->env));
	if (g->env->own_stack)
		return;
	x64_mov(a, X64_RAX, X64_RSP);
	x64_group_imm(a, X64_G_AND, X64_RSP, -16);
	x64_push(a, X64_RAX);
	x64_push(a, X64_RAX);
}

#define OWN_USED ((int64_t)offsetof(struct wire_thread, own_used))

/* From the application's stack to the thread's own.  One instruction takes a part of it, so that a signal finds it
 * taken or not. */
static void gen_own_stack(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	x64_mov_imm(a, X64_RCX, WIRE_OWN_STACK);
	x64_rm(a, X64_XADD, X64_RCX, x64_at(X64_RAX, OWN_USED));
	x64_group_imm(a, X64_G_CMP, X64_RCX, (int32_t)(WIRE_LEVEL_MAX * WIRE_OWN_STACK));
	x64_jcc(a, X64_CC_AE, f->crowded);
	x64_mov(a, X64_RDX, X64_RSP);
	x64_rm(a, X64_LEA, X64_RSP,
	       x64_at_index(X64_RCX, X64_RAX, (int64_t)offsetof(struct wire_thread, own_stack) + WIRE_OWN_STACK));
	x64_push(a, X64_RAX);
	for (unsigned i = NEAR_CNT + f->flags; i; i--) {
		x64_rm(a, X64_LOAD, X64_RDI, x64_at(X64_RDX, 8 * ((int64_t)i - 1)));
		x64_push(a, X64_RDI);
	}
	for (unsigned i = NEAR_CNT; i < f->saved_cnt; i++)
		x64_push(a, (enum x64_reg)f->saved[i]);
	x64_mov(a, X64_RCX, X64_RSP);
	x64_group_imm(a, X64_G_AND, X64_RSP, -16);
	x64_push(a, X64_RDX);
	x64_push(a, X64_RCX);
}

/* Behind the body: no fs base yet; a thread that the hash does not know. */
static void gen_thread_slow(struct jit_gen *g, const struct jit_thread *t, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	jit_gen_thread_raw(g, t);
	jit_gen_thread_self(g);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	static const uint8_t unsaved[] = { X64_R9, X64_R10, X64_R11 };
	for (size_t i = 0; g->env->own_stack && i < ARRAY_CNT(unsaved); i++)
		x64_push(a, (enum x64_reg)unsaved[i]);
	x64_call(a, g->env->fn_thread_find);
	for (size_t i = ARRAY_CNT(unsaved); g->env->own_stack && i; i--)
		x64_pop(a, (enum x64_reg)unsaved[i - 1]);
	x64_rr(a, X64_TEST, X64_RAX, X64_RAX);
	x64_jcc(a, X64_CC_E, f->early);
	x64_mov_imm(a, X64_RSI, jit_proc_addr(g->env));
	x64_jmp(a, t->found);
	if (!g->env->own_stack)
		return;
	x64_bind(a, f->crowded);
	x64_mov_imm(a, X64_RCX, (uint64_t)-(int64_t)WIRE_OWN_STACK);
	x64_rm(a, X64_XADD, X64_RCX, x64_at(X64_RAX, OWN_USED));
	x64_mov_imm(a, X64_RCX, 1);
	x64_rm(a, X64_XADD, X64_RCX, x64_at(X64_RAX, (int64_t)offsetof(struct wire_thread, level_drops)));
	x64_jmp(a, f->early);
}

/* Behind the body: a forked child that is to be followed enters itself, fn_child(shm, proc). */
void jit_gen_child(struct jit_gen *g, const struct jit_frame *f)
{
	static const uint8_t kept[] = { X64_RAX, X64_RCX, X64_RDX, X64_RDI, X64_R8, X64_R9, X64_R10, X64_R11, X64_RBX };
	struct x64_asm *a = &g->a;
	x64_bind(a, f->child);
	for (size_t i = 0; i < ARRAY_CNT(kept); i++)
		x64_push(a, (enum x64_reg)kept[i]);
	x64_mov(a, X64_RBX, X64_RSP);
	x64_group_imm(a, X64_G_AND, X64_RSP, -16);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov_imm(a, X64_RSI, jit_proc_addr(g->env));
	x64_call(a, g->env->fn_child);
	x64_mov(a, JIT_PROC, X64_RAX);
	x64_mov(a, X64_RSP, X64_RBX);
	for (size_t i = ARRAY_CNT(kept); i; i--)
		x64_pop(a, (enum x64_reg)kept[i - 1]);
	x64_rr(a, X64_TEST, JIT_PROC, JIT_PROC);
	x64_jcc(a, X64_CC_E, f->quick);
	x64_jmp(a, f->alive);
}

/* fn_enter(shm, proc, thread, site, sp) */
static void gen_enter(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov(a, X64_RDX, X64_RAX);
	x64_mov(a, X64_RCX, X64_RBX);
	x64_rm(a, X64_LOAD, X64_R9, x64_at(X64_RSP, entry_word(g)));
	x64_rm(a, X64_MOVZX16, X64_R8, x64_at(X64_RBX, offsetof(struct wire_site, sp_adj)));
	x64_rm(a, X64_LEA, X64_R8, x64_at_index(X64_R9, X64_R8, entry_bytes(g, f)));
	x64_call(a, g->env->fn_enter);
	x64_rr(a, X64_TEST, X64_RAX, X64_RAX);
	x64_jcc(a, X64_CC_E, f->out);
	x64_mov(a, JIT_CTX, X64_RAX);
}

/* ---- the application's registers ---- */

static void store_reg(struct jit_gen *g, enum wire_reg w, enum x64_reg r)
{
	x64_rm(&g->a, X64_STORE, r, x64_at(JIT_CTX, (int64_t)(offsetof(struct rt_ctx, regs) + 8 * (size_t)w)));
}

/* rcx is the frame, rdx the site, rdi what entry_bytes() counts from. */
static void gen_special_regs(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	uint32_t need = g->regs_needed;
	if (need >> WIRE_RSP & 1) {
		x64_rm(a, X64_MOVZX16, X64_RAX, x64_at(X64_RDX, offsetof(struct wire_site, sp_adj)));
		x64_rm(a, X64_LEA, X64_RAX, x64_at_index(X64_RDI, X64_RAX, entry_bytes(g, f)));
		store_reg(g, WIRE_RSP, X64_RAX);
	}
	if (need >> WIRE_RAX & 1) { /* pushed flags lie below it: then sp_adj has an odd number of words */
		x64_rm(a, X64_MOVZX16, X64_RAX, x64_at(X64_RDX, offsetof(struct wire_site, sp_adj)));
		x64_group_imm(a, X64_G_AND, X64_RAX, 8);
		x64_rm(a, X64_LOAD, X64_RAX, x64_at_index(X64_RDI, X64_RAX, entry_bytes(g, f) + 8));
		store_reg(g, WIRE_RAX, X64_RAX);
	}
	if (need >> WIRE_RIP & 1) {
		x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RDX, offsetof(struct wire_site, addr)));
		store_reg(g, WIRE_RIP, X64_RAX);
	}
	if (need >> WIRE_EFLAGS & 1) {
		x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RCX, 8 * (int64_t)f->saved_cnt));
		store_reg(g, WIRE_EFLAGS, X64_RAX);
	}
	if (need >> WIRE_CS & 1) {
		x64_mov_cs(a, X64_RAX);
		store_reg(g, WIRE_CS, X64_RAX);
	}
	if (need >> WIRE_SS & 1) {
		x64_mov_ss(a, X64_RAX);
		store_reg(g, WIRE_SS, X64_RAX);
	}
	if (need >> WIRE_ORIG_RAX & 1)
		x64_store_imm(a, 8, x64_at(JIT_CTX, (int64_t)(offsetof(struct rt_ctx, regs) + 8 * WIRE_ORIG_RAX)), -1);
}

static void gen_regs(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	if (!g->regs_needed)
		return;
	x64_rm(a, X64_LOAD, X64_RCX, x64_at(X64_RSP, 0));
	x64_rm(a, X64_LOAD, X64_RDX, JIT_CTX_AT(site));
	for (unsigned r = 0; r < X64_REG_CNT; r++) {
		if (r == X64_RAX || r == X64_RSP || !(g->regs_needed >> wire_regs[r] & 1))
			continue;
		int i = jit_saved_at(f, r);
		if (i >= 0)
			x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RCX, 8 * ((int64_t)f->saved_cnt - 1 - i)));
		store_reg(g, (enum wire_reg)wire_regs[r], i >= 0 ? X64_RAX : (enum x64_reg)r);
	}
	x64_rm(a, X64_LOAD, X64_RDI, x64_at(X64_RSP, entry_word(g)));
	gen_special_regs(g, f);
}

/* All that any program wants, at once: their places hold vregs later. */
static void gen_site_args(struct jit_gen *g)
{
	if (g->kind != WIRE_SITE_USDT || !g->args_needed)
		return;
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_mov_imm(&g->a, X64_RSI, g->args_needed);
	x64_call(&g->a, g->env->fn_site_args);
}

/* ---- running and leaving ---- */

static void gen_progs(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		if (i) {
			x64_rm(a, X64_LOAD, X64_RAX, JIT_CTX_AT(shm));
			x64_cmp32_imm(a, x64_at(X64_RAX, offsetof(struct wire_shm, exiting)), 0);
			x64_jcc(a, X64_CC_NE, f->leave);
		}
		g->p = g->progs[i];
		g->al = &g->allocs[i];
		g->next_label = x64_label(a);
		jit_gen_prog(g);
		x64_bind(a, g->next_label);
	}
}

/* Back to the application's stack; what is pushed there is left to restore. */
static void gen_own_stack_end(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	x64_pop(a, X64_RCX);
	x64_pop(a, X64_RDX);
	x64_mov(a, X64_RSP, X64_RCX);
	for (unsigned i = f->saved_cnt; i > NEAR_CNT; i--)
		x64_pop(a, (enum x64_reg)f->saved[i - 1]);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RSP, 8 * (int64_t)(NEAR_CNT + f->flags)));
	x64_mov(a, X64_RSP, X64_RDX);
	x64_mov_imm(a, X64_RCX, (uint64_t)-(int64_t)WIRE_OWN_STACK);
	x64_rm(a, X64_XADD, X64_RCX, x64_at(X64_RAX, OWN_USED));
	x64_bind(a, f->early);
}

static void gen_leave(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	x64_bind(a, f->leave);
	x64_mov(a, X64_RDI, JIT_CTX);
	x64_call(a, g->env->fn_leave);
}

static void gen_end(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	x64_bind(a, f->out);
	if (g->env->own_stack)
		gen_own_stack_end(g, f);
	else
		x64_pop(a, X64_RSP);
	jit_gen_restore(g, f);
}

void jit_gen_restore(struct jit_gen *g, const struct jit_frame *f)
{
	struct x64_asm *a = &g->a;
	for (unsigned i = near_cnt(g, f); i > jit_saves_proc(f); i--)
		x64_pop(a, (enum x64_reg)f->saved[i - 1]);
	x64_bind(a, f->quick);
	if (jit_saves_proc(f))
		x64_pop(a, JIT_PROC);
	if (f->flags)
		x64_pop(a, X64_RAX); /* the trampoline restores it */
	if (g->spot)
		x64_split(a, g->spot->cold_addr);
	else
		x64_ret(a);
}

/* ---- whole bodies ---- */

void jit_gen_init(struct jit_gen *g, const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs,
		  uint32_t prog_cnt, uint64_t addr, uint8_t *buf, size_t cap)
{
	bool is_tail = kind == WIRE_SITE_TAIL;
	*g = (struct jit_gen){ .env = env, .kind = is_tail ? WIRE_SITE_RETURN : kind, .is_tail = is_tail, .progs = progs,
		.prog_cnt = prog_cnt, .thr = X64_RBX };
	x64_init(&g->a, buf, cap, addr);
}

static void take_back(struct jit_gen *g)
{
	jit_keys_deinit(g);
	for (uint32_t i = 0; g->allocs && i < g->prog_cnt; i++)
		jit_alloc_deinit(&g->allocs[i]);
	free(g->allocs);
	g->allocs = NULL;
}

void jit_gen_deinit(struct jit_gen *g)
{
	take_back(g);
	jit_unjoin(g);
	free(g->faults);
	free(g->targets);
	free(g->notes);
	x64_deinit(&g->a);
}

static int check_room(const struct jit_env *env, const struct ir_prog *p, const struct jit_alloc *al, struct err *reterr)
{
	const struct wire_shm *geo = env->geometry;
	uint64_t have = geo->alloca_off - offsetof(struct rt_ctx, scratch);
	if (p->scratch_bytes > geo->scratch_bytes)
		return err_setf(reterr, -EINVAL, "clause %u needs %u bytes of scratch memory, the session has %llu", p->clause,
				p->scratch_bytes, (unsigned long long)geo->scratch_bytes);
	if (geo->scratch_bytes + 8ULL * al->slot_cnt > have)
		return err_setf(reterr, -EINVAL, "clause %u needs %u spill slots, for which the session left no room: "
				"lay it out with ir_image_layout()", p->clause, al->slot_cnt);
	return 0;
}

static int alloc_progs(struct jit_gen *g, struct err *reterr)
{
	uint32_t insns = 1;
	g->allocs = calloc(g->prog_cnt ? g->prog_cnt : 1, sizeof(*g->allocs));
	if (!g->allocs)
		return err_setf(reterr, -ENOMEM, "no memory to generate code");
	g->regs_needed = g->args_needed = 0;
	g->alloca_used = g->tsc_needed = false;
	for (uint32_t i = 0; i < g->prog_cnt; i++) {
		const struct ir_prog *p = g->progs[i];
		if (jit_alloc_init(&g->allocs[i], p, &alloc_regs, jit_keys_skip(g, i)) < 0)
			return err_setf(reterr, -ENOMEM, "no memory to generate code");
		int r = check_room(g->env, p, &g->allocs[i], reterr);
		if (r < 0)
			return r;
		note_needs(g, p, &g->allocs[i]);
		if (p->insn_cnt > insns)
			insns = p->insn_cnt;
	}
	free(g->targets);
	g->targets = calloc(insns, sizeof(*g->targets));
	return g->targets ? 0 : err_setf(reterr, -ENOMEM, "no memory to generate code");
}

/* With keys by the site, as quick bodies can have them. */
static int give_registers(struct jit_gen *g, bool *ret_quick, struct err *reterr)
{
	if (jit_keys_init(g) < 0)
		return err_setf(reterr, -ENOMEM, "no memory to generate code");
	int r = alloc_progs(g, reterr);
	*ret_quick = !r && jit_is_quick(g);
	return r;
}

static int prepare(struct jit_gen *g, bool *ret_quick, struct err *reterr)
{
	if (jit_join(g)) {
		int r = give_registers(g, ret_quick, reterr);
		if (r < 0 || *ret_quick)
			return r;
		take_back(g);
		jit_unjoin(g);
	}
	int r = give_registers(g, ret_quick, reterr);
	if (r < 0 || *ret_quick || !g->keys)
		return r;
	take_back(g);
	return alloc_progs(g, reterr);
}

/* Leaves it, too. */
static void gen_in_context(struct jit_gen *g, const struct jit_frame *f)
{
	gen_enter(g, f);
	gen_regs(g, f);
	gen_site_args(g);
	if (g->tsc_needed)
		jit_gen_tsc(g);
	gen_progs(g, f);
	gen_leave(g, f);
}

int jit_gen_body(struct jit_gen *g, struct err *reterr)
{
	struct jit_frame f;
	struct rt_stack_add add;
	bool is_quick = false, is_stack;
	int r = prepare(g, &is_quick, reterr);
	if (r < 0)
		return r;
	if (g->spot && g->env->geometry->rate_off) {
		if (!(g->regs_needed >> WIRE_EFLAGS & 1)) /* which it would change before the body is called */
			jit_gen_rate_spot(g);
		return 0;
	}
	if (is_quick) {
		frame_init(g, &f);
		jit_gen_quick(g, &f);
		g->spares = g->no_memory ? 0 : ~g->a.named & (1u << X64_RCX | 1u << X64_RDX);
	}
	if (g->proc_ends)
		g->thr = JIT_PROC;
	if (g->spares || g->proc_ends) {
		x64_again(&g->a);
		g->fault_cnt = g->note_cnt = 0;
		frame_init(g, &f);
		jit_gen_quick(g, &f);
	}
	if (is_quick || g->spot)
		return 0;
	is_stack = jit_is_stack(g, &add);
	plan_frame(g, &f);
	gen_begin(g, &f);
	struct jit_thread t = jit_thread_init(g, X64_RAX, X64_RDI);
	jit_gen_thread(g, &t);
	if (g->env->own_stack)
		gen_own_stack(g, &f);
	if (is_stack)
		jit_gen_stack(g, &f, entry_bytes(g, &f), &add);
	else
		gen_in_context(g, &f);
	gen_end(g, &f);
	gen_thread_slow(g, &t, &f);
	if (g->env->proc_flags & WIRE_PROC_FOLLOW)
		jit_gen_child(g, &f);
	jit_gen_faults(g);
	return g->no_memory ? err_setf(reterr, -ENOMEM, "no memory to generate code") : 0;
}

void jit_gen_hook(struct jit_gen *g, enum ir_helper helper)
{
	struct jit_frame f;
	g->regs_needed = helper_regs(helper);
	plan_frame(g, &f);
	gen_begin(g, &f);
	struct jit_thread t = jit_thread_init(g, X64_RAX, X64_RDI);
	jit_gen_thread(g, &t);
	if (g->env->own_stack)
		gen_own_stack(g, &f);
	gen_enter(g, &f);
	gen_regs(g, &f);
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_zero(&g->a, X64_RSI);
	x64_zero(&g->a, X64_RDX);
	x64_zero(&g->a, X64_RCX);
	x64_zero(&g->a, X64_R8);
	x64_call(&g->a, g->env->helper_addr[helper]);
	gen_leave(g, &f);
	gen_end(g, &f);
	gen_thread_slow(g, &t, &f);
	if (g->env->proc_flags & WIRE_PROC_FOLLOW)
		jit_gen_child(g, &f);
}
