/* SPDX-License-Identifier: MIT */
/* What is built in, and the thread's own variables. */
#include "ebpf/rtk_bpf.h"

#define ARGS_MAX 79 /* characters of psargs */

_Static_assert(WIRE_TSC_SHIFT == 32, "");
/* As scale() of rt: the factor has at most 32 bits. */
INLINE uint64_t scale(uint64_t tsc)
{
	uint64_t delta = tsc - K(TSC_BASE), mult = K(TSC_MULT);
	return (delta >> 32) * mult + ((uint32_t)delta * mult >> 32);
}

GLOBAL uint64_t rtk_env_timestamp(uint64_t ctx)
{
	return K(NS_BASE) + scale(rtk_fired(ctx));
}

GLOBAL uint64_t rtk_env_walltimestamp(uint64_t ctx)
{
	return K(WALL_BASE) + scale(rtk_fired(ctx));
}

GLOBAL uint64_t rtk_env_execname(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (c->comm_len == WIRE_NONE) {
		uint32_t n = 0;
		k_comm(c->comm, 16);
		for (; n < 15 && c->comm[n]; n++)
			;
		c->comm[n & 15] = 0;
		c->comm_len = n;
	}
	return WIRE_SREF(RTK_SREF_CTX, offsetof(struct rtk_ctx, comm_len));
}

/* A word of the firing's struct wire_site. */
GLOBAL uint64_t rtk_env_site(uint64_t ctx, uint64_t field)
{
	return ld32(K(SITE) + (uint64_t)ctx_at(ctx)->site * sizeof(struct wire_site) + field);
}

GLOBAL uint64_t rtk_env_ret_offset(uint64_t ctx)
{
	uint64_t site = K(SITE) + (uint64_t)ctx_at(ctx)->site * sizeof(struct wire_site);
	return ld64(site + offsetof(struct wire_site, addr)) - ld64(site + offsetof(struct wire_site, func_addr));
}

INLINE uint64_t parent_of(uint64_t task)
{
	uint64_t parent = 0;
	k_read_kernel(&parent, sizeof(parent), (void *)(task + K(TASK_PARENT)));
	return parent;
}

INLINE uint32_t tgid_of(uint64_t task)
{
	uint32_t tgid = 0;
	k_read_kernel(&tgid, sizeof(tgid), (void *)(task + K(TASK_TGID)));
	return tgid;
}

GLOBAL uint64_t rtk_env_ppid(void)
{
	return tgid_of(parent_of(k_task()));
}

GLOBAL uint64_t rtk_progenyof(uint64_t ctx, uint64_t pid)
{
	uint64_t task = ctx ? k_task() : 0;
	for (int i = 0; i <= WIRE_ANCESTOR_MAX; i++) {
		uint32_t tgid = tgid_of(task);
		if (tgid == pid)
			return tgid != 0;
		if (!tgid)
			return 0;
		task = parent_of(task);
	}
	return 0;
}

/* The beginning of the command line, its parts a space apart; who has none has its name. */
GLOBAL uint64_t rtk_env_psargs(uint64_t ctx)
{
	uint64_t len = ctx + MORE(args_len), mm = 0, range[2] = { 0, 0 };
	volatile char *p = at(ctx + MORE(psargs));
	volatile uint64_t *last = cells(ctx);
	uint32_t n;
	if (ld32(len) == WIRE_NONE) {
		k_read_kernel(&mm, sizeof(mm), (void *)(k_task() + K(TASK_MM)));
		if (!mm || k_read_kernel(range, sizeof(range), (void *)(mm + K(MM_ARGS))))
			return rtk_env_execname(ctx);
		n = (uint32_t)capped(range[1] - range[0], ARGS_MAX);
		if (k_read_user((void *)p, n, (void *)range[0]))
			return rtk_env_execname(ctx);
		*last = 0;
		for (uint32_t i = 0; i < ARGS_MAX && i < n; i++) {
			if (p[i])
				*last = i + 1;
			else
				p[i] = ' ';
		}
		st8(ctx + MORE(psargs) + *last, 0);
		st32(len, (uint32_t)*last);
	}
	return WIRE_SREF(RTK_SREF_CTX, MORE(args_len));
}

/* One value for all of a firing. */
GLOBAL uint64_t rtk_vtimestamp(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (!c->vtime) {
		uint64_t v = 0;
		k_read_kernel(&v, sizeof(v), (void *)(k_task() + K(TASK_RUNTIME)));
		c->vtime = v;
	}
	return c->vtime;
}

GLOBAL uint64_t rtk_walltimestamp(uint64_t ctx)
{
	return ctx ? K(WALL_BASE) + scale(rtk_tsc()) : 0;
}

GLOBAL uint64_t rtk_curthread(uint64_t ctx)
{
	return ctx ? k_task() : 0;
}

GLOBAL uint64_t rtk_rand(uint64_t ctx)
{
	return ctx ? ((uint64_t)k_random() << 32 | k_random()) & INT64_MAX : 0;
}

/* ---- self-> ---- */

INLINE uint64_t self_entry(uint64_t task, uint64_t i)
{
	uint64_t hash = (task >> 6) * 0x9e3779b97f4a7c15ULL >> 32;
	return K(SELFS) + ((hash + i) & (K(SELFS_CNT) - 1)) * (sizeof(struct rtk_self) + K(SELF_BYTES));
}

INLINE uint64_t self_find(uint64_t task)
{
	for (uint64_t i = 0; i < RTK_SELF_LOOK; i++) {
		uint64_t e = self_entry(task, i), key = ld64(e);
		if (key == task)
			return e;
		if (!key)
			return 0;
	}
	return 0;
}

INLINE uint64_t self_make(uint64_t task)
{
	for (uint64_t i = 0; i < RTK_SELF_LOOK; i++) {
		uint64_t e = self_entry(task, i), key = ld64(e);
		if (key > RTK_SELF_FREED || cas64(e, key, task) != key)
			continue;
		st64(e + offsetof(struct rtk_self, serial),
		     1 + __sync_fetch_and_add((uint64_t *)at8(K(TAIL) + offsetof(struct rtk_tail, serial)), 1));
		return e;
	}
	return 0;
}

/* A thread that clauses run in by themselves, too, has its variables in its slot: rt/thread.c once more. */

#define SLOTS_MOST 512

INLINE uint64_t user_slot(uint64_t i)
{
	return K(THREAD) - (K(USERS) - i) * K(STRIDE);
}

/* The number of the current thread as its own process sees it. */
GLOBAL uint64_t rtk_own_tid(uint64_t ctx)
{
	uint64_t buf = ctx + offsetof(struct rtk_ctx, buf), pid = 0;
	if (!K(TASK_PID) || k_read_kernel(at(buf), 8, (char *)k_task() + K(TASK_PID)))
		return (uint32_t)k_pid_tgid();
	pid = ld64(buf);
	st64(buf, 0);
	if (k_read_kernel(at(buf), 4, (char *)pid + K(PID_LEVEL)) ||
	    k_read_kernel(at(buf), 4, (char *)pid + K(PID_NUMBERS) + 16 * (uint64_t)ld32(buf)))
		return (uint32_t)k_pid_tgid();
	return ld32(buf);
}

/* Index of a traced process; 0: it is none. */
GLOBAL uint64_t rtk_traced(uint64_t pid)
{
	for (uint64_t i = 1; i < RTK_PROCS && i < K(PROC_CNT); i++) {
		uint64_t proc = K(PROC) + i * sizeof(struct wire_proc);
		if (ld32(proc + offsetof(struct wire_proc, pid)) == (uint32_t)pid &&
		    ld32(proc + offsetof(struct wire_proc, state)) == WIRE_PROC_LIVE)
			return i;
	}
	return 0;
}

GLOBAL uint64_t rtk_slot_find(uint64_t proc, uint64_t tid)
{
	for (uint64_t i = 1; i < SLOTS_MOST && i < K(USERS); i++) {
		uint64_t thr = user_slot(i), state = ld32(thr + offsetof(struct wire_thread, state));
		if (ld32(thr + offsetof(struct wire_thread, tid)) == (uint32_t)tid &&
		    ld32(thr + offsetof(struct wire_thread, proc)) == (uint32_t)proc &&
		    (state == WIRE_THREAD_LIVE || state == WIRE_THREAD_CLAIM))
			return thr;
		if (state == WIRE_THREAD_FREE && !ld32(thr + offsetof(struct wire_thread, incarnation)))
			return 0; /* slots are taken in order: none behind was ever used */
	}
	return 0;
}

/* The thread will find it by its number when it comes to its first probe. */
GLOBAL uint64_t rtk_slot_claim(uint64_t proc, uint64_t tid)
{
	for (uint64_t i = 1; i < SLOTS_MOST && i < K(USERS); i++) {
		uint64_t thr = user_slot(i);
		if (ld32(thr + offsetof(struct wire_thread, state)) != WIRE_THREAD_FREE ||
		    cas32(thr + offsetof(struct wire_thread, state), WIRE_THREAD_FREE, WIRE_THREAD_CLAIM) != WIRE_THREAD_FREE)
			continue;
		st32(thr + offsetof(struct wire_thread, tid), (uint32_t)tid);
		st32(thr + offsetof(struct wire_thread, proc), (uint32_t)proc);
		st32(thr + offsetof(struct wire_thread, incarnation), ld32(thr + offsetof(struct wire_thread, incarnation)) + 1);
		st64(thr + offsetof(struct wire_thread, own_used), 0);
		for (int l = 0; l < WIRE_LEVEL_MAX; l++)
			st64(thr + offsetof(struct wire_thread, ring) + offsetof(struct wire_ring, open) + 8 * l, ~0ULL);
		st32(thr + offsetof(struct wire_thread, state), WIRE_THREAD_LIVE);
		return thr;
	}
	return 0;
}

/* Into the context; without @create only what there is. */
GLOBAL uint64_t rtk_self_shared(uint64_t ctx, uint64_t create)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t proc = rtk_traced(c->pid_tgid >> 32), tid, thr;
	if (!proc)
		return 0;
	tid = rtk_own_tid(ctx);
	thr = rtk_slot_find(proc, tid);
	if (!thr && create) {
		thr = rtk_slot_claim(proc, tid);
		if (!thr)
			__sync_fetch_and_add((uint32_t *)at4(K(PROC) + proc * sizeof(struct wire_proc) + offsetof(struct wire_proc, lost_threads)), 1);
	}
	if (thr) {
		c->self = thr + K(SELF);
		c->owner = ((uint64_t)ld32(thr + offsetof(struct wire_thread, incarnation)) << 32) + (thr >> 12) + 1;
	}
	return 1;
}

/* Where this thread's variables stand; 0: it has none (and there is no room for any, which is counted). */
GLOBAL uint64_t rtk_self(uint64_t ctx, uint64_t create)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (K(SELF_IN_SLOT))
		return c->thr + K(SELF);
	if (c->self || (K(USERS) && rtk_self_shared(ctx, create)))
		return c->self;
	uint64_t task = k_task(), e = self_find(task);
	if (!e && create) {
		e = self_make(task);
		if (!e)
			add_here(c->thr + offsetof(struct wire_thread, dyn_drops), 1);
	}
	if (e) {
		c->self = e + sizeof(struct rtk_self);
		c->owner = 1ULL << 63 | ld64(e + offsetof(struct rtk_self, serial));
	}
	return c->self;
}

/* A task is freed: its variables are. */
GLOBAL uint64_t rtk_self_free(uint64_t task)
{
	uint64_t e = self_find(task);
	if (!e)
		return 0;
	volatile uint64_t *p = at(e + sizeof(struct rtk_self));
	for (uint64_t i = 0; 8 * i < K(SELF_BYTES); i++)
		p[i] = 0;
	st64(e, RTK_SELF_FREED);
	return 0;
}

/* ---- signed division, which older kernels have no instruction for ---- */

GLOBAL uint64_t rtk_sdiv(int64_t a, int64_t b)
{
	uint64_t ua = a < 0 ? -(uint64_t)a : (uint64_t)a, ub = b < 0 ? -(uint64_t)b : (uint64_t)b, q = ub ? ua / ub : 0;
	return (a < 0) != (b < 0) ? -q : q;
}

GLOBAL uint64_t rtk_srem(int64_t a, int64_t b)
{
	uint64_t ua = a < 0 ? -(uint64_t)a : (uint64_t)a, ub = b < 0 ? -(uint64_t)b : (uint64_t)b, r = ub ? ua % ub : 0;
	return a < 0 ? -r : r;
}
