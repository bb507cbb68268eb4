/* SPDX-License-Identifier: MIT */
/* Contexts of running probes and the records that they write: rt/ctx.c and ring/ring.c for the kernel. */
#include "ebpf/rtk_bpf.h"

#define NONE (~0ULL)
#define TRYING 1ULL

#define RING_AT(thr, field) ((thr) + offsetof(struct wire_thread, ring) + offsetof(struct wire_ring, field))

/* Whose type the main program has. */
GLOBAL uint64_t rtk_main(void *prog_ctx)
{
	return prog_ctx != NULL;
}

/* The kernel holds a lock there, and some of its functions that can be probed run under it: who is called by one of
 * them would wait for itself.  It need not ring: the consumer comes for who does, and by itself.  Whether it rang. */
GLOBAL uint64_t rtk_doorbell(void)
{
	uint64_t word = 1, ringing = K(TAIL) + offsetof(struct rtk_tail, ringing);
	if (cas64(ringing, 0, 1))
		return 0;
	k_ringbuf((void *)K(DOORBELL), &word, sizeof(word), BPF_RB_FORCE_WAKEUP);
	st64(ringing, 0);
	return 1;
}

/* Nanoseconds to ticks of the time stamp counter, which all other records carry. */
INLINE uint64_t to_tsc(uint64_t ns)
{
	uint64_t tail = K(TAIL);
	uint64_t cur = ld32(tail) & 1;
	uint64_t clk = tail + offsetof(struct rtk_tail, clock) + cur * sizeof(struct rtk_clock);
	uint64_t delta = ns - ld64(clk), ratio = ld64(clk + offsetof(struct rtk_clock, ratio));
	return ld64(clk + offsetof(struct rtk_clock, tsc_base)) + (((delta >> 32) * ratio) << 4) +
	       (((uint32_t)delta * ratio) >> 28);
}

/* Now. */
GLOBAL uint64_t rtk_tsc(void)
{
	return to_tsc(k_ktime());
}

/* When it fired: of that many firings nobody wants to know. */
GLOBAL uint64_t rtk_fired(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (!c->tsc)
		c->tsc = rtk_tsc();
	return c->tsc;
}

/* The level, or WIRE_LEVEL_MAX.  Taken by compare-and-swap: an NMI may come at any time. */
INLINE uint32_t take_level(uint64_t thr)
{
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++) {
		uint64_t sp = thr + offsetof(struct wire_thread, level_sp) + 8 * l;
		if (!ld64(sp) && !cas64(sp, 0, 1)) {
			st32(thr + offsetof(struct wire_thread, level), l + 1);
			return l;
		}
	}
	return WIRE_LEVEL_MAX;
}

INLINE void zero_this(uint64_t ctx)
{
	volatile uint64_t *p = at(scratch(ctx, 0));
	for (uint64_t i = 0; 8 * i < K(THIS_BYTES); i++)
		p[i] = 0;
}

/* A slot for a program that may be preempted, by one on the same CPU too: any that is free. */
INLINE uint64_t preemptible_slot(uint64_t cpu)
{
	for (uint64_t i = 0; i < 8 && i < K(PREEMPTED_CNT); i++) {
		uint64_t n = cpu + i < K(PREEMPTED_CNT) ? cpu + i : cpu + i - K(PREEMPTED_CNT);
		uint64_t thr = K(THREAD) + (K(CPU_CNT) + n) * K(STRIDE);
		uint64_t sp = thr + offsetof(struct wire_thread, level_sp);
		if (!ld64(sp) && !cas64(sp, 0, 1))
			return thr;
	}
	return 0;
}

/* Begins a firing: the context's offset, or 0 (nothing is to run, or no room: counted). */
GLOBAL uint64_t rtk_enter(uint64_t site, uint64_t preemptible)
{
	struct wire_shm *shm = at(0);
	uint32_t level = 0;
	if (!shm->armed || shm->exiting || !ld32(K(SITE) + site * sizeof(struct wire_site) + offsetof(struct wire_site, enabled)))
		return 0;
	uint64_t cpu = k_cpu(), thr = K(THREAD) + cpu * K(STRIDE);
	if (preemptible) {
		uint64_t own = preemptible_slot(cpu);
		if (!own) {
			add64(thr + offsetof(struct wire_thread, level_drops), 1);
			return 0;
		}
		thr = own;
	} else {
		level = take_level(thr);
		if (level >= WIRE_LEVEL_MAX) {
			add64(thr + offsetof(struct wire_thread, level_drops), 1);
			return 0;
		}
	}
	uint64_t ctx = thr + K(CTX) + level * K(CTX_STRIDE);
	struct rtk_ctx *c = ctx_at(ctx);
	c->tsc = 0;
	c->thr = thr;
	c->rec = 0;
	c->fault = 0;
	c->level = level;
	c->site = (uint32_t)site;
	c->exited = 0;
	c->pid_tgid = k_pid_tgid();
	c->vtime = 0;
	c->ureg = 0;
	c->self = 0;
	c->owner = 0;
	c->comm_len = WIRE_NONE;
	st32(ctx + MORE(args_len), WIRE_NONE);
	zero_this(ctx);
	return ctx;
}

/* ---- the ring ---- */

INLINE uint64_t complete_below(uint64_t thr)
{
	uint64_t limit = ld64(RING_AT(thr, head));
	for (uint32_t i = 0; i < WIRE_LEVEL_MAX; i++) {
		uint64_t open = ld64(RING_AT(thr, open) + 8 * i) & ~TRYING;
		if (open < limit)
			limit = open;
	}
	return limit;
}

/* Never back: what interrupts the look may publish more. */
INLINE void close_level(uint64_t thr, uint32_t level)
{
	st64(RING_AT(thr, open) + 8 * (level & 3), NONE);
	for (int i = 0; i < 4; i++) {
		uint64_t old = ld64(RING_AT(thr, published)), new = complete_below(thr);
		if (new <= old || cas64(RING_AT(thr, published), old, new) == old)
			return;
	}
}

INLINE void ring_if_half_full(uint64_t thr)
{
	uint64_t tail = ld64(RING_AT(thr, tail));
	if (ld64(RING_AT(thr, head)) - tail < K(RING_BYTES) / 2 || ld64(RING_AT(thr, rung)) == tail + 1)
		return;
	if (rtk_doorbell())
		st64(RING_AT(thr, rung), tail + 1);
}

INLINE void set_header(uint64_t rec, uint64_t bytes, uint16_t type)
{
	struct wire_rec *r = at(rec);
	r->bytes = (uint32_t)bytes;
	r->type = type;
}

/* 0: somebody came in between. 1: there is no room. 2: taken; position and padding are in the context's cells. */
GLOBAL uint64_t rtk_take_room(uint64_t ctx, uint64_t open, uint64_t bytes)
{
	uint64_t thr = ctx_at(ctx)->thr;
	uint64_t pos = ld64(RING_AT(thr, head)), to_end = K(RING_BYTES) - (pos & (K(RING_BYTES) - 1));
	uint64_t pad = bytes > to_end ? to_end : 0;
	if (pos + pad + bytes - ld64(RING_AT(thr, tail)) > K(RING_BYTES))
		return 1;
	st64(open, pos | TRYING);
	if (cas64(RING_AT(thr, head), pos, pos + pad + bytes) != pos)
		return 0;
	cells(ctx)[0] = pos;
	cells(ctx)[1] = pad;
	return 2;
}

/* A record with its header; its offset, or 0: no room. */
GLOBAL uint64_t rtk_reserve(uint64_t ctx, uint64_t bytes, uint64_t type)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t thr = c->thr, data = thr + K(RING), mask = K(RING_BYTES) - 1, took = 0;
	uint64_t open = RING_AT(thr, open) + 8 * (c->level & 3);
	for (int i = 0; i < 8 && !took; i++)
		took = rtk_take_room(ctx, open, bytes);
	if (took != 2) {
		close_level(thr, c->level);
		ring_if_half_full(thr);
		return 0;
	}
	uint64_t pos = cells(ctx)[0], pad = cells(ctx)[1];
	if (pad)
		set_header(data + (pos & mask), pad, WIRE_REC_PAD);
	uint64_t rec = data + ((pos + pad) & mask);
	struct wire_rec *r = at(rec);
	r->bytes = (uint32_t)bytes;
	r->type = (uint16_t)type;
	r->clause = (uint16_t)c->clause;
	r->site = c->site;
	r->cpu = (uint16_t)k_cpu();
	r->pad = 0;
	r->tsc = rtk_fired(ctx);
	st64(open, pos);
	ring_if_half_full(thr);
	return rec;
}

GLOBAL uint64_t rtk_publish(uint64_t ctx, uint64_t rec, uint64_t used)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t thr = c->thr, data = thr + K(RING), mask = K(RING_BYTES) - 1;
	uint64_t open = RING_AT(thr, open) + 8 * (c->level & 3), start = ld64(open);
	uint64_t pos = start + ((rec - data - start) & mask); /* past the padding, if there was any */
	uint64_t bytes = ld32(rec);
	used = align_up(used, 8);
	if (used < bytes) {
		st64(open, start | TRYING);
		if (cas64(RING_AT(thr, head), pos + bytes, pos + used) == pos + bytes)
			st32(rec, (uint32_t)used);
	}
	close_level(thr, c->level);
	return 0;
}

INLINE void void_open(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t rec = c->rec;
	if (!rec)
		return;
	((struct wire_rec *)at(rec))->type = WIRE_REC_VOID;
	rtk_publish(ctx, rec, sizeof(struct wire_rec));
	c->rec = 0;
}

/* Opens a record of at most @max bytes of payload, @fixed of them zeroed.  Its offset or 0. */
GLOBAL uint64_t rtk_rec_open(uint64_t ctx, uint64_t max, uint64_t fixed)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t bytes = align_up(sizeof(struct wire_rec) + max, 8);
	void_open(ctx);
	uint64_t rec = rtk_reserve(ctx, bytes, WIRE_REC_DATA);
	if (!rec) {
		add_here(c->thr + K(DROPS) + 8 * (uint64_t)c->clause, 1);
		return 0;
	}
	c->rec_max = (uint32_t)bytes;
	c->rec_used = (uint32_t)(sizeof(struct wire_rec) + fixed);
	c->rec = rec;
	return rec;
}

GLOBAL uint64_t rtk_rec_commit(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t rec = c->rec;
	if (!rec)
		return 0;
	rtk_publish(ctx, rec, c->rec_used);
	c->rec = 0;
	return 0;
}

/* After a fault: an ERROR record in place of the open one. */
GLOBAL uint64_t rtk_fault(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t bytes = sizeof(struct wire_rec) + sizeof(struct wire_rec_error);
	void_open(ctx);
	uint64_t rec = rtk_reserve(ctx, bytes, WIRE_REC_ERROR);
	if (rec) {
		struct wire_rec_error *e = at(rec + sizeof(struct wire_rec));
		e->fault = c->fault;
		e->pc = c->pc;
		e->value = c->fault_value;
		e->action = c->action;
		rtk_publish(ctx, rec, bytes);
	} else {
		add_here(c->thr + K(ERRORS) + 8 * (uint64_t)c->clause, 1);
	}
	c->fault = 0;
	return 0;
}

GLOBAL uint64_t rtk_leave(uint64_t ctx)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t thr = c->thr, level = c->level & 3;
	if (c->rec)
		void_open(ctx);
	st32(thr + offsetof(struct wire_thread, level), (uint32_t)level);
	st64(thr + offsetof(struct wire_thread, level_sp) + 8 * level, 0);
	return 0;
}

GLOBAL uint64_t rtk_exit(uint64_t ctx, uint64_t status)
{
	struct wire_shm *shm = at(0);
	if (!shm->exiting)
		shm->exit_status = (int32_t)status;
	__sync_lock_test_and_set(&shm->exiting, 1);
	ctx_at(ctx)->exited = 1;
	rtk_doorbell();
	return 0;
}
