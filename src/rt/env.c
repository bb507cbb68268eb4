/* SPDX-License-Identifier: MIT */
#include "rt/helpers.h"

#include <sys/syscall.h>
#include <time.h>

uint64_t rt_now_tsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t scale(const struct wire_shm *shm, uint64_t tsc)
{
	uint64_t delta = tsc - shm->tsc_base;
	return (uint64_t)(((unsigned __int128)delta * shm->tsc_mult) >> WIRE_TSC_SHIFT);
}

uint64_t rt_tsc_to_ns(const struct wire_shm *shm, uint64_t tsc)
{
	return shm->ns_base + scale(shm, tsc);
}

uint32_t rt_cpu(const struct wire_proc *proc)
{
	uint64_t v = RT_CPU_SEGMENT;
	if (proc->flags & WIRE_PROC_RDPID)
		__asm__ volatile("rdpid %0" : "=r"(v));
	else /* a virtual machine may make this slow */
		__asm__ volatile("lsl %k0, %k0" : "+r"(v) : : "cc");
	return v & 0xfff;
}

static uint64_t interned(uint32_t off)
{
	return WIRE_SREF(WIRE_SREF_INTERN, off);
}

static uint64_t site_weight(const struct wire_shm *shm, const struct wire_site *site)
{
	if (!shm->rate_off)
		return 1;
	const uint8_t *rate = (const uint8_t *)site + (shm->rate_off - shm->site_off);
	return LOAD_RELAXED(&((const struct wire_rate *)rate)->weight);
}

uint64_t rt_env(struct rt_ctx *ctx, uint32_t env)
{
	const struct wire_site *site = ctx->site;
	const struct wire_proc *proc = ctx->proc;
	switch ((enum wire_env)env) {
	case WIRE_ENV_TIMESTAMP:
		return rt_tsc_to_ns(ctx->shm, ctx->tsc);
	case WIRE_ENV_WALLTIMESTAMP:
		return ctx->shm->wall_base + scale(ctx->shm, ctx->tsc);
	case WIRE_ENV_PID:
	case WIRE_ENV_TID:
	case WIRE_ENV_PPID:
		return rt_vfork_id(ctx, env);
	case WIRE_ENV_UID:
		return proc->uid;
	case WIRE_ENV_GID:
		return proc->gid;
	case WIRE_ENV_CPU:
		return rt_cpu(ctx->proc);
	case WIRE_ENV_EXECNAME:
		return interned(proc->execname);
	case WIRE_ENV_PSARGS:
		return interned(proc->psargs);
	case WIRE_ENV_PROBEPROV:
		return interned(site->prov);
	case WIRE_ENV_PROBEMOD:
		return interned(site->mod);
	case WIRE_ENV_PROBEFUNC:
		return interned(site->func);
	case WIRE_ENV_PROBENAME:
		return interned(site->name);
	case WIRE_ENV_PROBEID:
		return site->probe_id;
	case WIRE_ENV_CLAUSE:
		return ctx->clause;
	case WIRE_ENV_RET_OFFSET:
		return site->addr - site->func_addr;
	case WIRE_ENV_AT_JUMP:
		return site->leaves_by_jump;
	case WIRE_ENV_WEIGHT:
		return site_weight(ctx->shm, site);
	case WIRE_ENV_IN_KERNEL:
	case WIRE_ENV_CNT:
		break;
	}
	return 0;
}

uint64_t rt_progenyof(struct rt_ctx *ctx, uint64_t pid, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	const struct wire_proc *proc = ctx->proc;
	if (pid == rt_vfork_id(ctx, WIRE_ENV_PID) || pid == proc->pid)
		return 1;
	for (uint32_t i = 0; i < WIRE_ANCESTOR_MAX && proc->ancestors[i]; i++)
		if (proc->ancestors[i] == pid)
			return 1;
	return 0;
}

/* Unlike timestamp each use has its own. */
uint64_t rt_walltimestamp(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	return ctx->shm->wall_base + scale(ctx->shm, rt_tsc(ctx));
}

/* One value for all of a firing: what probes do is not the thread's own work. */
uint64_t rt_vtimestamp(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	struct timespec ts = { 0, 0 };
	if (ctx->vtime)
		return ctx->vtime;
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL ||
	    sys6(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (uint64_t)&ts, 0, 0, 0, 0) < 0)
		rt_set_fault(ctx, WIRE_FAULT_ILLOP, 0);
	ctx->vtime = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	return ctx->vtime;
}

uint64_t rt_curthread(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
#ifdef RT_IN_TOOL
	uint64_t task = ctx->site->kind == WIRE_SITE_TOOL ? rt_peek_task() : 0;
	if (task)
		return task;
#endif
	return ctx->thr->key ? ctx->thr->key : ctx->thr->tid;
}

/* Nothing of ours uses these registers: they are still the program's. */
uint64_t rt_xmm(struct rt_ctx *ctx, uint64_t n, uint64_t b, uint64_t c, uint64_t d)
{
	uint64_t v = 0;
	UNUSED(ctx, b, c);
	UNUSED(d, 0, 0);
	switch (n) {
#define XMM(i) case i: __asm__("movq %%xmm" #i ", %0" : "=r"(v)); break;
	XMM(0) XMM(1) XMM(2) XMM(3) XMM(4) XMM(5) XMM(6) XMM(7)
	XMM(8) XMM(9) XMM(10) XMM(11) XMM(12) XMM(13) XMM(14) XMM(15)
#undef XMM
	}
	return v;
}

/* At an entry and at a return rsp points to the return address; elsewhere the unwinder has to find it. */
uint64_t rt_uaddr_caller(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	uint64_t pcs[2] = { 0, 0 };
	if (ctx->site->kind == WIRE_SITE_ENTRY || ctx->site->kind == WIRE_SITE_RETURN)
		rt_mem_read(ctx, &pcs[1], ctx->regs[WIRE_RSP], 8);
	else
		rt_stack_walk(ctx, pcs, 2);
	return pcs[1];
}

uint64_t rt_errno(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	if (ctx->proc->errno_off == INT64_MIN || !ctx->thr->key)
		return 0;
	return (uint64_t)(int64_t)*(int32_t *)(ctx->thr->key + (uint64_t)ctx->proc->errno_off);
}

/* Everything stops; the consumer is told at once. */
uint64_t rt_exit(struct rt_ctx *ctx, uint64_t status, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	if (!LOAD_RELAXED(&ctx->shm->exiting))
		ctx->shm->exit_status = (int32_t)status;
	__atomic_store_n(&ctx->shm->exiting, 1, __ATOMIC_SEQ_CST);
	rt_thread_forget_main(ctx->proc); /* of other processes the controller sees to it */
	rt_ring_doorbell(ctx);
	return 0;
}
