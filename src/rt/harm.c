/* SPDX-License-Identifier: MIT */
/* What changes the traced process; the compiler wants -w for it. */
#include "rt/helpers.h"

#include <signal.h>
#include <sys/syscall.h>

#define CHUNK 128
#define SIGNAL_MAX 64

uint64_t rt_copyout(struct rt_ctx *ctx, uint64_t from, uint64_t to, uint64_t bytes, uint64_t d)
{
	UNUSED(0, 0, d);
	uint8_t buf[CHUNK];
	for (uint64_t done = 0; done < bytes; done += CHUNK) {
		uint64_t n = bytes - done < CHUNK ? bytes - done : CHUNK;
		if (rt_mem_read(ctx, buf, from + done, n))
			rt_set_fault(ctx, WIRE_FAULT_BADADDR, from + done);
		else if (rt_mem_write(ctx, to + done, buf, n))
			rt_set_fault(ctx, WIRE_FAULT_BADADDR, to + done);
		if (ctx->fault)
			break;
	}
	return 0;
}

uint64_t rt_copyoutstr(struct rt_ctx *ctx, uint64_t s, uint64_t to, uint64_t max, uint64_t d)
{
	UNUSED(0, 0, d);
	uint32_t len;
	const char *p = rt_str(ctx, s, &len);
	uint64_t n = len + 1ULL < max ? len + 1ULL : max; /* a NUL stands behind every string */
	if (n && rt_mem_write(ctx, to, p, n))
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, to);
	return 0;
}

static void signal_later(struct rt_ctx *ctx, uint64_t sig)
{
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		rt_set_fault(ctx, WIRE_FAULT_UPRIV, 0);
	else if (sig && sig <= SIGNAL_MAX)
		ctx->signals |= 1ULL << (sig - 1);
	else
		rt_set_fault(ctx, WIRE_FAULT_ILLOP, sig);
}

uint64_t rt_raise(struct rt_ctx *ctx, uint64_t sig, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	signal_later(ctx, sig);
	return 0;
}

uint64_t rt_stop(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	signal_later(ctx, SIGSTOP);
	return 0;
}

void rt_signals_raise(uint64_t mask)
{
	uint64_t tid = (uint64_t)sys6(SYS_gettid, 0, 0, 0, 0, 0, 0);
	for (uint64_t sig = 1; sig <= SIGNAL_MAX; sig++)
		if (mask >> (sig - 1) & 1)
			sys6(SYS_tkill, tid, sig, 0, 0, 0, 0);
}

/* The time that this thread may still waste in the window that runs at @now. */
static bool chill_allowed(struct wire_thread *thr, uint64_t now, uint64_t ns)
{
	if (now - thr->chill_since_ns >= WIRE_CHILL_WINDOW_NS) {
		thr->chill_since_ns = now;
		thr->chill_ns = 0;
	}
	if (ns > WIRE_CHILL_MAX_NS || thr->chill_ns > WIRE_CHILL_MAX_NS - ns)
		return false;
	thr->chill_ns += ns;
	return true;
}

uint64_t rt_chill(struct rt_ctx *ctx, uint64_t ns, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	uint64_t start = rt_tsc_to_ns(ctx->shm, rt_tsc(ctx));
	if (LOAD_RELAXED(&ctx->proc->flags) & WIRE_PROC_NO_TSC || !chill_allowed(ctx->thr, start, ns)) {
		rt_set_fault(ctx, WIRE_FAULT_ILLOP, ns);
		return 0;
	}
	while (rt_tsc_to_ns(ctx->shm, rt_now_tsc()) - start < ns)
		__builtin_ia32_pause();
	return 0;
}
