/* SPDX-License-Identifier: MIT */
/* What is built in, and the thread's own variables. */
#include "ebpf/rtk_bpf.h"

#define ARGS_MAX 79 /* characters of psargs */

/* As scale() of rt: the factor has at most 32 bits. */
INLINE uint64_t scale(uint64_t tsc)
{
	uint64_t delta = tsc - K(TSC_BASE), mult = K(TSC_MULT), shift = K(TSC_SHIFT);
	return ((delta >> 32) * mult << (32 - shift)) + ((uint32_t)delta * mult >> shift);
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

/* Where this thread's variables stand; 0: it has none (and there is no room for any, which is counted). */
GLOBAL uint64_t rtk_self(uint64_t ctx, uint64_t create)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (K(SELF_IN_SLOT))
		return c->thr + K(SELF);
	uint64_t e = c->self;
	if (!e) {
		uint64_t task = k_task();
		e = self_find(task);
		if (!e && create) {
			e = self_make(task);
			if (!e)
				add_here(c->thr + offsetof(struct wire_thread, dyn_drops), 1);
		}
		c->self = e;
	}
	return e ? e + sizeof(struct rtk_self) : 0;
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
