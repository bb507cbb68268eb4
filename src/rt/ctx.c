/* SPDX-License-Identifier: MIT */
/* Contexts of running probes and the records that they write. */
#include "rt/mem.h"
#include "ring/ring.h"

static uint8_t *ring_of(struct wire_shm *shm, struct wire_thread *thr)
{
	return (uint8_t *)thr + shm->geom.ring_off;
}

/*
 * A level is in use while its level_sp is set.  It is taken by
 * compare-and-swap, so that even a program that switches stacks in its signal
 * handlers, and so leaves levels in another order than it took them, never has
 * one twice.
 */
static int take_level(struct wire_thread *thr, uint64_t sp)
{
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++) {
		uint64_t free = 0;
		if (!LOAD_RELAXED(&thr->level_sp[l]) && cas_local(&thr->level_sp[l], &free, sp)) {
			STORE_RELEASE(&thr->level, l + 1);
			return (int)l;
		}
	}
	return -1;
}

void rt_level_free(struct wire_shm *shm, struct wire_thread *thr, uint32_t level)
{
	ring_abandon(&thr->ring, ring_of(shm, thr), shm->geom.ring_bytes, level);
	STORE_RELEASE(&thr->level_sp[level], 0);
}

uint32_t rt_levels_used(const struct wire_thread *thr)
{
	uint32_t n = 0;
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++)
		n += LOAD_RELAXED(&thr->level_sp[l]) != 0;
	return n;
}

static bool is_nested(const struct wire_thread *thr)
{
	uint64_t any = 0;
#pragma GCC unroll 8
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++)
		any |= LOAD_RELAXED(&thr->level_sp[l]);
	return any;
}

static int level_for(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr, uint64_t sp)
{
	if (UNLIKELY(is_nested(thr)))
		rt_levels_reclaim(shm, proc, thr, sp, false);
	int level = take_level(thr, sp);
	if (LIKELY(level >= 0))
		return level;
	rt_levels_reclaim(shm, proc, thr, sp, true);
	return take_level(thr, sp);
}

/* The page that the stack pointer has just left is there, and while the thread
 * runs on it nobody takes it away. What else was known is of another stack. */
static void know_stack(struct wire_thread *thr, uint64_t sp)
{
	if (LIKELY(sp > thr->stack_lo && sp <= thr->stack_hi))
		return;
	uint64_t page = align_down(sp - 1, MEM_PAGE);
	thr->stack_lo = page;
	thr->stack_hi = page + MEM_PAGE;
}

struct rt_ctx *rt_enter(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr,
			const struct wire_site *site, uint64_t sp)
{
	int level = level_for(shm, proc, thr, sp);
	if (UNLIKELY(level < 0)) {
		add_local(&thr->level_drops, 1);
		return NULL;
	}
	know_stack(thr, sp);
	struct rt_ctx *ctx = (struct rt_ctx *)((uint8_t *)thr + shm->geom.ctx_off + (uint32_t)level * shm->geom.ctx_stride);
	ctx->shm = shm;
	ctx->proc = proc;
	ctx->thr = thr;
	ctx->site = site;
	ctx->rec = NULL;
	ctx->fault = 0;
	ctx->level = (uint32_t)level;
	ctx->alloca_used = 0;
	ctx->signals = 0;
	ctx->vtime = 0;
	ctx->stack_sum = 0;
	if (shm->this_bytes)
		mem_zero(ctx->scratch, shm->this_bytes);
	return ctx;
}

static void void_open(struct rt_ctx *ctx)
{
	ctx->rec->type = WIRE_REC_VOID;
	ctx->rec_used = sizeof(struct wire_rec);
	rt_rec_commit(ctx);
}

void rt_leave(struct rt_ctx *ctx)
{
	if (UNLIKELY(ctx->rec != NULL))
		void_open(ctx);
	struct wire_thread *thr = ctx->thr;
	uint64_t signals = ctx->signals;
	/* Noted twice: a nested probe in between notes its own, a longjmp in between comes too late. */
	STORE_RELEASE(&thr->level, ctx->level);
	STORE_RELEASE(&thr->level_sp[ctx->level], 0);
	STORE_RELEASE(&thr->level, ctx->level);
	if (UNLIKELY(signals != 0))
		rt_signals_raise(signals);
}

/* A flight recorder is always full: its consumer is told of each quarter. */
static void ring_quarter(struct rt_ctx *ctx, struct wire_ring *ring)
{
	uint64_t quarter = (ring_head(ring) & ~(ctx->shm->geom.ring_bytes / 4 - 1)) + 1;
	if (ring->rung == quarter)
		return;
	ring->rung = quarter;
	rt_ring_doorbell(ctx);
}

/* Once for each tail that a ring has of which a quarter is full: the consumer was told and has not read since. */
static void ring_if_quarter_full(struct rt_ctx *ctx, struct wire_ring *ring)
{
	uint64_t tail = LOAD_RELAXED(&ring->tail);
	if (UNLIKELY(ctx->shm->flight)) {
		ring_quarter(ctx, ring);
		return;
	}
	if (LIKELY(ring_head(ring) - tail < ctx->shm->geom.ring_bytes / 4) || ring->rung == tail + 1)
		return;
	ring->rung = tail + 1;
	rt_ring_doorbell(ctx);
}

/* A quick record whose body was left by a longjmp holds up all others. */
static bool quick_was_left(struct rt_ctx *ctx, bool crowded)
{
	struct wire_ring *ring = &ctx->thr->ring;
	uint64_t sp = LOAD_RELAXED(&ctx->thr->level_sp[ctx->level]);
	if (LIKELY(!ring_quick_is_open(ring)) ||
	    !rt_was_left(ctx->proc, LOAD_RELAXED(&ring->quick_sp) + RT_QUICK_STACK, sp, crowded))
		return false;
	ring_quick_abandon(ring, ring_of(ctx->shm, ctx->thr), ctx->shm->geom.ring_bytes);
	return true;
}

static struct wire_rec *reserve_in(struct rt_ctx *ctx, uint32_t bytes)
{
	struct wire_ring *ring = &ctx->thr->ring;
	uint8_t *data = ring_of(ctx->shm, ctx->thr);
	uint64_t ring_bytes = ctx->shm->geom.ring_bytes;
	return UNLIKELY(ctx->shm->flight) ? ring_reserve_over(ring, data, ring_bytes, ctx->level, bytes) :
		ring_reserve(ring, data, ring_bytes, ctx->level, bytes);
}

static struct wire_rec *reserve(struct rt_ctx *ctx, uint32_t bytes, uint16_t type)
{
	struct wire_ring *ring = &ctx->thr->ring;
	quick_was_left(ctx, false);
	struct wire_rec *rec = reserve_in(ctx, bytes);
	if (UNLIKELY(!rec) && quick_was_left(ctx, true))
		rec = reserve_in(ctx, bytes);
	ring_if_quarter_full(ctx, ring);
	ring_quick_renew(ring, ctx->shm->geom.ring_bytes);
	if (!rec)
		return NULL;
	rec->type = type;
	rec->clause = (uint16_t)ctx->clause;
	rec->site = (uint32_t)(ctx->site - (const struct wire_site *)((uint8_t *)ctx->shm + ctx->shm->site_off));
	rec->cpu = (uint16_t)rt_cpu(ctx->proc);
	rec->pad = 0;
	rec->tsc = ctx->tsc;
	return rec;
}

static void count_one(struct rt_ctx *ctx, uint32_t off)
{
	add_local((uint64_t *)((uint8_t *)ctx->thr + off) + ctx->clause, 1);
}

int rt_rec_open(struct rt_ctx *ctx, uint32_t payload_max, uint32_t fixed)
{
	uint32_t bytes = (uint32_t)align_up(sizeof(struct wire_rec) + payload_max, 8);
	if (UNLIKELY(ctx->rec != NULL))
		void_open(ctx);
	struct wire_rec *rec = reserve(ctx, bytes, WIRE_REC_DATA);
	if (!rec) {
		count_one(ctx, ctx->shm->geom.drops_off);
		return -1;
	}
	mem_zero(rec->payload, fixed);
	ctx->rec_max = bytes;
	ctx->rec_used = (uint32_t)sizeof(*rec) + fixed;
	ctx->rec = rec;
	return 0;
}

void rt_rec_commit(struct rt_ctx *ctx)
{
	if (!ctx->rec)
		return;
	ring_commit(&ctx->thr->ring, ring_of(ctx->shm, ctx->thr), ctx->shm->geom.ring_bytes, ctx->level, ctx->rec,
		    ctx->rec_used);
	ctx->rec = NULL;
}

void rt_rec_put(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr, const struct wire_rec *rec, uint64_t sp)
{
	const struct wire_site *site = (const struct wire_site *)((const uint8_t *)shm + shm->site_off) + rec->site;
	struct rt_ctx *ctx = rt_enter(shm, proc, thr, site, sp);
	if (!ctx)
		return;
	uint32_t bytes = rec->bytes - (uint32_t)sizeof(*rec);
	ctx->clause = rec->clause;
	ctx->tsc = rec->tsc;
	if (!rt_rec_open(ctx, bytes, 0)) {
		mem_copy(ctx->rec->payload, rec->payload, bytes);
		ctx->rec_used += bytes;
		rt_rec_commit(ctx);
	}
	rt_leave(ctx);
}

void rt_rec_publish(struct wire_shm *shm, struct wire_thread *thr, uint64_t late)
{
	if (!late)
		ring_publish(&thr->ring);
	else if (ring_quick_late(&thr->ring, ring_of(shm, thr), shm->geom.ring_bytes))
		add_local(&thr->level_drops, 1);
}

void rt_fault(struct rt_ctx *ctx)
{
	if (ctx->rec)
		void_open(ctx);
	struct wire_rec *rec = reserve(ctx, sizeof(*rec) + sizeof(struct wire_rec_error), WIRE_REC_ERROR);
	if (rec) {
		struct wire_rec_error *e = (struct wire_rec_error *)rec->payload;
		e->fault = ctx->fault;
		e->pc = ctx->pc;
		e->value = ctx->fault_value;
		e->action = ctx->action;
		ring_commit(&ctx->thr->ring, ring_of(ctx->shm, ctx->thr), ctx->shm->geom.ring_bytes, ctx->level, rec,
			    rec->bytes);
	} else {
		count_one(ctx, ctx->shm->geom.errors_off);
	}
	ctx->fault = 0;
}
