/* SPDX-License-Identifier: MIT */
/* Talking to the controller from inside a target: never for ever. */
#include "rt/helpers.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#define DL_WAIT_STEPS 20
#define DL_STEP_NS 100000000L

void rt_ring_doorbell(struct rt_ctx *ctx)
{
	struct wire_shm *shm = ctx->shm;
	__atomic_fetch_add(&shm->doorbell, 1, __ATOMIC_SEQ_CST);
	if (LOAD_RELAXED(&shm->consumer_sleeps) && !(ctx->proc->flags & WIRE_PROC_NO_SYSCALL))
		sys6(SYS_futex, (uint64_t)&shm->doorbell, FUTEX_WAKE, 1, 0, 0, 0);
}

/* The loader has mapped or unmapped something: the controller may want to arm
 * it before its constructors run.  Waits two seconds at most, so that a
 * controller that is gone delays a dlopen and nothing more. */
uint64_t rt_hook_dl(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct wire_proc *proc = ctx->proc;
	if (proc->flags & WIRE_PROC_NO_SYSCALL)
		return 0;
	uint32_t seq = __atomic_add_fetch(&proc->dl_seq, 1, __ATOMIC_SEQ_CST);
	rt_ring_doorbell(ctx);
	struct {
		int64_t sec, nsec;
	} step = { 0, DL_STEP_NS };
	for (int i = 0; i < DL_WAIT_STEPS && LOAD_RELAXED(&ctx->shm->armed); i++) {
		uint32_t ack = LOAD_ACQUIRE(&proc->dl_ack);
		if ((int32_t)(ack - seq) >= 0)
			break;
		sys6(SYS_futex, (uint64_t)&proc->dl_ack, FUTEX_WAIT, ack, (uint64_t)&step, 0, 0);
	}
	return 0;
}

uint64_t rt_hook_exec(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct wire_proc *proc = ctx->proc;
	if (proc->flags & WIRE_PROC_NO_SYSCALL)
		return 0;
	uint32_t tid = (uint32_t)sys6(SYS_gettid, 0, 0, 0, 0, 0, 0);
	struct {
		int64_t sec, nsec;
	} step = { 0, DL_STEP_NS };
	bool told = false;
	for (int i = 0; i < DL_WAIT_STEPS && LOAD_RELAXED(&ctx->shm->armed); i++) {
		uint32_t now = 0;
		if (!told && __atomic_compare_exchange_n(&proc->exec_tid, &now, tid, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			told = true;
			now = tid;
			rt_ring_doorbell(ctx);
		}
		if (told && LOAD_ACQUIRE(&proc->exec_tid) != tid)
			break;
		sys6(SYS_futex, (uint64_t)&proc->exec_tid, FUTEX_WAIT, now, (uint64_t)&step, 0, 0);
	}
	return 0;
}

/* The process counts as filtered from here on.  prctl(option, ...); syscall(number, ...): numbers of calls
 * are no options. */
uint64_t rt_hook_guard(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	uint64_t first = ctx->regs[WIRE_RDI], second = ctx->regs[WIRE_RSI];
	if (first == PR_SET_SECCOMP || (first == SYS_prctl && second == PR_SET_SECCOMP) ||
	    (first == SYS_seccomp && second <= SECCOMP_SET_MODE_FILTER))
		__atomic_fetch_or(&ctx->proc->flags, WIRE_PROC_NO_SYSCALL, __ATOMIC_SEQ_CST);
	return 0;
}
