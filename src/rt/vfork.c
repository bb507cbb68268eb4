/* SPDX-License-Identifier: MIT */
/*
 * A child of vfork(), or of posix_spawn(), has its parent's memory, stack and thread block until it execs: only the
 * kernel tells them apart.  Asking it each time would cost a system call at each probe that reads `pid`.  So a probe
 * of ours stands where a libc begins such a child, and marks the thread; only while it is marked is the kernel asked.
 *
 *	vfork:  mark ---> child: another pid ... execs or ends ---> parent: it has returned, so no longer marked
 *
 * The parent does not run while the child does.  That it has come back shows in a stack pointer above the marked one,
 * in that the child was seen before, or, where neither happens, in that it was seen more often than libcs need to
 * get from there to the child.
 */
#include "rt/helpers.h"

#include <sys/syscall.h>

#define SIGHTINGS 64

static uint32_t ask(long nr)
{
	return (uint32_t)sys6(nr, 0, 0, 0, 0, 0, 0);
}

uint64_t rt_hook_vfork(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct wire_thread *thr = ctx->thr;
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		return 0;
	uint32_t pid = ask(SYS_getpid);
	if (thr->vfork_pid && thr->vfork_pid != pid)
		return 0; /* a child that has children: they are as much not the parent as it is */
	thr->vfork_sp = ctx->regs[WIRE_RSP];
	thr->vfork_left = SIGHTINGS;
	STORE_RELEASE(&thr->vfork_pid, pid);
	return 0;
}

/* Whether it is the child that runs. */
static bool in_child(const struct wire_proc *proc, struct wire_thread *thr, uint64_t sp, uint32_t *ret_pid)
{
	if (proc->flags & WIRE_PROC_NO_SYSCALL)
		return false;
	*ret_pid = ask(SYS_getpid);
	if (*ret_pid != thr->vfork_pid) {
		thr->vfork_left = 1;
		return true;
	}
	if (sp > thr->vfork_sp || !--thr->vfork_left)
		STORE_RELEASE(&thr->vfork_pid, 0);
	return false;
}

uint64_t rt_vfork_id_at(const struct wire_proc *proc, struct wire_thread *thr, uint32_t env, uint64_t sp)
{
	uint32_t pid;
	bool child = UNLIKELY(LOAD_RELAXED(&thr->vfork_pid) != 0) && in_child(proc, thr, sp, &pid);
	switch (env) {
	case WIRE_ENV_PID:
		return child ? pid : proc->pid;
	case WIRE_ENV_TID:
		return child ? ask(SYS_gettid) : thr->tid;
	default:
		return child ? ask(SYS_getppid) : proc->ppid;
	}
}

uint64_t rt_vfork_id(struct rt_ctx *ctx, uint32_t env)
{
	return rt_vfork_id_at(ctx->proc, ctx->thr, env, ctx->thr->level_sp[ctx->level]);
}
