/* SPDX-License-Identifier: MIT */
/*
 * Threads without a libc's thread block.  Where all of a process's threads have one, generated code reads who it runs in
 * at %fs:0 (wire_proc.fs_set); with an fs base of 0 that is address 0.  So whoever begins a thread with a block that is none, or
 * moves the fs base, is seen before: at the libc's clone(), syscall() and arch_prctl().  A libc makes its own threads there,
 * too, or past it, and its blocks begin with their own address.
 *
 * A thread that keeps the fs base of who begins it cannot be told from him: they would share a context, and crash.  Such a
 * process's probes fall silent, as those of a forked child that nobody follows.
 */
#include "rt/helpers.h"

#include <asm/prctl.h>
#include <linux/sched.h>
#include <sys/syscall.h>

/* No thread reads at %fs:0 from here on, but for those that do so already, which have one. */
static void ask_always(struct wire_proc *proc)
{
	__atomic_store_n(&proc->fs_set, WIRE_FS_NEVER, __ATOMIC_SEQ_CST);
	rt_thread_forget_main(proc);
}

static bool is_block(struct rt_ctx *ctx, uint64_t addr)
{
	uint64_t word;
	return addr && !rt_mem_read(ctx, &word, addr, sizeof(word)) && word == addr;
}

static void fall_silent(struct rt_ctx *ctx)
{
	struct wire_wipe *wipe = (struct wire_wipe *)ctx->proc->wipe_addr;
	struct wire_proc *told = rt_proc_shared(ctx->shm, ctx->proc);
	if (!wipe || told->shares)
		return;
	told->shares = 1;
	__atomic_fetch_add(&told->lost_threads, 1, __ATOMIC_RELAXED);
	wipe->followed = 1; /* no child either */
	__atomic_store_n(&wipe->proc, 0, __ATOMIC_SEQ_CST);
	rt_thread_forget_main(ctx->proc);
}

static void begins_thread(struct rt_ctx *ctx, uint64_t flags, uint64_t tls)
{
	if (flags & CLONE_VM && !(flags & (CLONE_SETTLS | CLONE_VFORK)))
		fall_silent(ctx);
	if (flags & CLONE_VM && flags & CLONE_SETTLS && !is_block(ctx, tls))
		ask_always(ctx->proc);
}

void rt_base_moves(struct rt_ctx *ctx, uint64_t code, uint64_t addr)
{
	if (code == ARCH_SET_FS && !is_block(ctx, addr))
		ask_always(ctx->proc);
}

void rt_base_call(struct rt_ctx *ctx, uint64_t nr, const uint64_t args[RT_BASE_ARGS])
{
	struct clone_args a = { 0 };
	if (nr == SYS_clone)
		begins_thread(ctx, args[0], args[4]);
	else if (nr == SYS_clone3 && !rt_mem_read(ctx, &a, args[0], CLONE_ARGS_SIZE_VER0))
		begins_thread(ctx, a.flags, a.tls);
	else if (nr == SYS_arch_prctl)
		rt_base_moves(ctx, args[0], args[1]);
}

/* clone(function, stack, flags, argument, parent's tid, block, child's tid) */
uint64_t rt_hook_clone(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	begins_thread(ctx, ctx->regs[WIRE_RDX], ctx->regs[WIRE_R9]);
	return rt_hook_vfork(ctx, a, b, c, d);
}
