/* SPDX-License-Identifier: MIT */
/*
 * Speculations (ADR 8).  A producer takes an id and ends it; only the consumer
 * gives it back, because what was recorded lies in the rings until then.
 *
 *   FREE --speculation()--> ACTIVE --commit()--> ENDING --> COMMIT  --consumer--> FREE
 *                                  --discard()-> ENDING --> DISCARD --consumer--> FREE
 */
#include "rt/helpers.h"

static struct wire_spec *spec_at(const struct rt_ctx *ctx, uint64_t id)
{
	struct wire_spec *specs = (struct wire_spec *)((uint8_t *)ctx->shm + ctx->shm->spec_off);
	return id && id <= ctx->shm->spec_cnt ? &specs[id - 1] : NULL;
}

static void count_one(uint32_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static bool change(struct wire_spec *s, uint32_t from, uint32_t to)
{
	return LOAD_RELAXED(&s->state) == from &&
	       __atomic_compare_exchange_n(&s->state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

uint64_t rt_speculation(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	bool busy = false;
	for (uint64_t id = 1; id <= ctx->shm->spec_cnt; id++) {
		struct wire_spec *s = spec_at(ctx, id);
		if (change(s, WIRE_SPEC_FREE, WIRE_SPEC_ACTIVE))
			return id;
		busy |= LOAD_RELAXED(&s->state) > WIRE_SPEC_ACTIVE;
	}
	count_one(busy ? &ctx->shm->spec_busy : &ctx->shm->spec_unavail);
	return 0;
}

/* The consumer counts, for it sees how a record ended; so a burst can be larger than it shows. */
static bool has_room(struct rt_ctx *ctx, const struct wire_spec *s, uint64_t bytes)
{
	if (LOAD_RELAXED(&s->bytes) + bytes <= ctx->shm->spec_bytes)
		return true;
	count_one(&ctx->shm->spec_drops);
	return false;
}

uint64_t rt_speculate(struct rt_ctx *ctx, uint64_t id, uint64_t bytes, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct wire_spec *s = spec_at(ctx, id);
	if (s && LOAD_ACQUIRE(&s->state) == WIRE_SPEC_ACTIVE && has_room(ctx, s, bytes))
		return WIRE_SPEC_TOKEN(id, LOAD_RELAXED(&s->gen));
	if (ctx->rec)
		ctx->rec->type = WIRE_REC_VOID;
	return 0;
}

static uint64_t end(struct rt_ctx *ctx, uint64_t id, uint32_t state)
{
	struct wire_spec *s = spec_at(ctx, id);
	if (id > ctx->shm->spec_cnt)
		rt_set_fault(ctx, WIRE_FAULT_ILLOP, id);
	if (!s || !change(s, WIRE_SPEC_ACTIVE, WIRE_SPEC_ENDING))
		return 0;
	uint64_t token = WIRE_SPEC_TOKEN(id, LOAD_RELAXED(&s->gen));
	STORE_RELAXED(&s->end_tsc, ctx->tsc);
	STORE_RELEASE(&s->state, state);
	return token;
}

uint64_t rt_commit(struct rt_ctx *ctx, uint64_t id, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	return end(ctx, id, WIRE_SPEC_COMMIT);
}

uint64_t rt_discard(struct rt_ctx *ctx, uint64_t id, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	return end(ctx, id, WIRE_SPEC_DISCARD);
}
