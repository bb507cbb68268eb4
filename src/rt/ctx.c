/* SPDX-License-Identifier: MIT */
/* Contexts of running probes and the records that they write. */
#include "rt/mem.h"
#include "ring/ring.h"

struct rt_ctx *rt_enter(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr,
			const struct wire_site *site, uint64_t sp)
{
	/* A signal between the two finds the higher level and gives it back. */
	uint32_t level = thr->level;
	if (level >= WIRE_LEVEL_MAX) {
		thr->level_drops++;
		return NULL;
	}
	STORE_RELAXED(&thr->level, level + 1);
	thr->level_sp[level] = sp;
	if (sp < thr->stack_lo || sp >= thr->stack_hi) /* another stack than last time: nothing is known of it */
		thr->stack_lo = thr->stack_hi = 0;
	struct rt_ctx *ctx = (struct rt_ctx *)((uint8_t *)thr + shm->geom.ctx_off + level * shm->geom.ctx_stride);
	ctx->shm = shm;
	ctx->proc = proc;
	ctx->thr = thr;
	ctx->site = site;
	ctx->rec = NULL;
	ctx->fault = 0;
	ctx->level = level;
	ctx->alloca_used = 0;
	if (shm->this_bytes)
		mem_zero(ctx->scratch, shm->this_bytes);
	return ctx;
}

void rt_leave(struct rt_ctx *ctx)
{
	STORE_RELEASE(&ctx->thr->level, ctx->level);
}

static uint8_t *ring_data(struct rt_ctx *ctx)
{
	return (uint8_t *)ctx->thr + ctx->shm->geom.ring_off;
}

static struct wire_rec *reserve(struct rt_ctx *ctx, uint32_t bytes, uint16_t type)
{
	struct wire_ring *ring = &ctx->thr->ring;
	uint64_t size = ctx->shm->geom.ring_bytes;
	struct wire_rec *rec = ring_reserve(ring, ring_data(ctx), size, ctx->level, bytes);
	if (!rec)
		return NULL;
	uint64_t used = ring->head - LOAD_RELAXED(&ring->tail);
	if (used >= size / 2 && used - bytes < size / 2)
		rt_ring_doorbell(ctx);
	rec->type = type;
	rec->clause = (uint16_t)ctx->clause;
	rec->site = (uint32_t)(ctx->site - (const struct wire_site *)((uint8_t *)ctx->shm + ctx->shm->site_off));
	rec->cpu = (uint16_t)rt_cpu();
	rec->pad = 0;
	rec->tsc = ctx->tsc;
	return rec;
}

static uint64_t *counter(struct rt_ctx *ctx, uint32_t off)
{
	return (uint64_t *)((uint8_t *)ctx->thr + off) + ctx->clause;
}

int rt_rec_open(struct rt_ctx *ctx, uint32_t payload_max, uint32_t fixed)
{
	uint32_t bytes = (uint32_t)align_up(sizeof(struct wire_rec) + payload_max, 8);
	struct wire_rec *rec = reserve(ctx, bytes, WIRE_REC_DATA);
	if (!rec) {
		++*counter(ctx, ctx->shm->geom.drops_off);
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
	ring_commit(&ctx->thr->ring, ring_data(ctx), ctx->shm->geom.ring_bytes, ctx->level, ctx->rec, ctx->rec_used);
	ctx->rec = NULL;
}

void rt_fault(struct rt_ctx *ctx)
{
	if (ctx->rec) {
		ctx->rec->type = WIRE_REC_VOID;
		ctx->rec_used = sizeof(struct wire_rec);
		rt_rec_commit(ctx);
	}
	struct wire_rec *rec = reserve(ctx, sizeof(*rec) + sizeof(struct wire_rec_error), WIRE_REC_ERROR);
	if (rec) {
		struct wire_rec_error *e = (struct wire_rec_error *)rec->payload;
		e->fault = ctx->fault;
		e->pc = ctx->pc;
		e->value = ctx->fault_value;
		e->action = ctx->action;
		ring_commit(&ctx->thr->ring, ring_data(ctx), ctx->shm->geom.ring_bytes, ctx->level, rec, rec->bytes);
	} else {
		++*counter(ctx, ctx->shm->geom.errors_off);
	}
	ctx->fault = 0;
}
