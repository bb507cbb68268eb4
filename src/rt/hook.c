/* SPDX-License-Identifier: MIT */
/* Talking to the controller from inside a target: never for ever. */
#include "rt/helpers.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/time.h>
#include <sys/syscall.h>

#define DL_WAIT_MS 2000
#define DL_STEP_MS 100
#define DL_ROUNDS 100000u

void rt_ring(struct wire_shm *shm, const struct wire_proc *proc)
{
	__atomic_fetch_add(&shm->doorbell, 1, __ATOMIC_SEQ_CST);
	if (LOAD_RELAXED(&shm->consumer_sleeps) && !(proc->flags & WIRE_PROC_NO_SYSCALL))
		sys6(SYS_futex, (uint64_t)&shm->doorbell, FUTEX_WAKE, 1, 0, 0, 0);
}

void rt_ring_doorbell(struct rt_ctx *ctx)
{
	rt_ring(ctx->shm, ctx->proc);
}

/* 0: the kernel does not tell, as where a filter of the program's forbids it. */
static int64_t now_ms(void)
{
	struct {
		int64_t sec, nsec;
	} now = { 0, 0 };
	if (sys6(SYS_clock_gettime, CLOCK_MONOTONIC, (uint64_t)&now, 0, 0, 0, 0))
		return 0;
	return now.sec * 1000 + now.nsec / 1000000;
}

struct patience {
	int64_t end;
	uint32_t rounds;
};

static struct patience patience(void)
{
	return (struct patience){ now_ms() + DL_WAIT_MS, 0 };
}

/* Another round?  Signals of the program end each wait early, so time is what counts; how often, too, where there is no time. */
static bool may_wait(struct patience *p)
{
	int64_t now = now_ms();
	return p->rounds++ < (now ? DL_ROUNDS : DL_WAIT_MS / DL_STEP_MS) && now < p->end;
}

/* Until *@word is no longer @seen, for a while.  Memory that is the kernel's own (a BPF map) cannot be waited at: there it is a nap. */
static void wait_at(uint32_t *word, uint32_t seen)
{
	struct {
		int64_t sec, nsec;
	} step = { 0, DL_STEP_MS * 1000000L }, nap = { 0, 1000000L };
	if (sys6(SYS_futex, (uint64_t)word, FUTEX_WAIT, seen, (uint64_t)&step, 0, 0) == -EFAULT)
		sys6(SYS_nanosleep, (uint64_t)&nap, 0, 0, 0, 0, 0);
}

/* The loader has mapped or unmapped something: the controller may want to arm
 * it before its constructors run.  Waits two seconds at most, so that a
 * controller that is gone delays a dlopen and nothing more. */
uint64_t rt_hook_dl(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct wire_proc *proc = rt_proc_shared(ctx->shm, ctx->proc);
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		return 0;
	uint32_t seq = __atomic_add_fetch(&proc->dl_seq, 1, __ATOMIC_SEQ_CST);
	rt_ring_doorbell(ctx);
	for (struct patience p = patience(); may_wait(&p) && LOAD_RELAXED(&ctx->shm->armed);) {
		uint32_t ack = LOAD_ACQUIRE(&proc->dl_ack);
		if ((int32_t)(ack - seq) >= 0)
			break;
		wait_at(&proc->dl_ack, ack);
	}
	return 0;
}

uint64_t rt_hook_exec(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct wire_proc *proc = rt_proc_shared(ctx->shm, ctx->proc);
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		return 0;
	uint32_t tid = (uint32_t)sys6(SYS_gettid, 0, 0, 0, 0, 0, 0);
	bool told = false;
	for (struct patience p = patience(); may_wait(&p) && LOAD_RELAXED(&ctx->shm->armed);) {
		uint32_t now = 0;
		if (!told && __atomic_compare_exchange_n(&proc->exec_tid, &now, tid, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			told = true;
			now = tid;
			rt_ring_doorbell(ctx);
		}
		if (told && LOAD_ACQUIRE(&proc->exec_tid) != tid)
			break;
		wait_at(&proc->exec_tid, now);
	}
	return 0;
}

static void forbid(struct rt_ctx *ctx, uint32_t what)
{
	if (!what)
		return;
	if (what & WIRE_PROC_NO_TSC && !(LOAD_RELAXED(&ctx->proc->flags) & WIRE_PROC_NO_TSC))
		STORE_RELAXED(&rt_proc_shared(ctx->shm, ctx->proc)->coarse_tsc, rt_now_tsc());
	__atomic_fetch_or(&ctx->proc->flags, what, __ATOMIC_SEQ_CST);
}

/* Strict mode takes the time stamp counter away, too. */
static uint32_t forbidden_by_prctl(uint64_t option, uint64_t mode)
{
	if (option == PR_SET_TSC && mode == PR_TSC_SIGSEGV)
		return WIRE_PROC_NO_TSC;
	if (option != PR_SET_SECCOMP)
		return 0;
	return mode == SECCOMP_MODE_STRICT ? WIRE_PROC_NO_SYSCALL | WIRE_PROC_NO_TSC : WIRE_PROC_NO_SYSCALL;
}

static uint32_t forbidden_by_call(uint64_t nr, uint64_t first, uint64_t second)
{
	if (nr == SYS_prctl)
		return forbidden_by_prctl(first, second);
	if (nr == SYS_seccomp && first == SECCOMP_SET_MODE_STRICT)
		return WIRE_PROC_NO_SYSCALL | WIRE_PROC_NO_TSC;
	return nr == SYS_seccomp && first == SECCOMP_SET_MODE_FILTER ? WIRE_PROC_NO_SYSCALL : 0;
}

/* prctl(option, ...), arch_prctl(code, ...); syscall(number, ...): numbers of calls are no options or codes; Go's system call has
 * its own registers. */
uint64_t rt_hook_guard(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	const uint64_t *r = ctx->regs;
	bool go = ctx->site->go_args;
	uint64_t args[RT_BASE_ARGS] = { r[go ? WIRE_RBX : WIRE_RSI], r[go ? WIRE_RCX : WIRE_RDX], 0, 0, r[go ? WIRE_R8 : WIRE_R9] };
	rt_base_call(ctx, r[go ? WIRE_RAX : WIRE_RDI], args);
	if (!go)
		rt_base_moves(ctx, r[WIRE_RDI], r[WIRE_RSI]);
	if (go)
		forbid(ctx, forbidden_by_call(r[WIRE_RAX], r[WIRE_RBX], r[WIRE_RCX]));
	else
		forbid(ctx, forbidden_by_prctl(r[WIRE_RDI], r[WIRE_RSI]) | forbidden_by_call(r[WIRE_RDI], r[WIRE_RSI], r[WIRE_RDX]));
	return 0;
}

/* Nobody knows what it asks for: the most. */
uint64_t rt_hook_raw(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	forbid(ctx, WIRE_PROC_NO_SYSCALL | WIRE_PROC_NO_TSC);
	return 0;
}
