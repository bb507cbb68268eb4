/* SPDX-License-Identifier: MIT */
/* Tuples in scratch and the open record: a fixed part of fields, then a tail. */
#include "rt/helpers.h"

/* Where a tail grows: base of the fixed part, bytes used so far, room in all. */
struct tail {
	uint8_t *base;
	uint32_t used, room;
};

/* Takes @bytes of the tail for the field at @field; NULL: no room. */
static uint8_t *tail_take(struct tail *t, uint64_t field, uint64_t bytes)
{
	uint64_t end = align_up(t->used + bytes, 8);
	if (end > t->room || field + 8 > t->room)
		return NULL;
	uint8_t *at = t->base + t->used;
	if (bytes % 8)
		mem_zero(t->base + end - 8, 8);
	*(struct wire_vref *)(t->base + field) = (struct wire_vref){ t->used, (uint32_t)bytes };
	t->used = (uint32_t)end;
	return at;
}

static void tail_str(struct rt_ctx *ctx, struct tail *t, uint64_t field, uint64_t sref)
{
	uint32_t len;
	const char *s = rt_str(ctx, sref, &len);
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	uint8_t *at = tail_take(t, field, len);
	if (at)
		mem_copy(at, s, len);
}

static void tail_ustack(struct rt_ctx *ctx, struct tail *t, uint64_t field, uint64_t max)
{
	uint64_t room = (t->room - t->used) / 8;
	uint32_t n = rt_stack_walk(ctx, (uint64_t *)(t->base + t->used), (uint32_t)(max < room ? max : room));
	tail_take(t, field, 8ULL * n);
}

static void tail_mem(struct rt_ctx *ctx, struct tail *t, uint64_t field, uint64_t addr, uint64_t bytes)
{
	uint8_t *at = tail_take(t, field, bytes);
	if (at && bytes && rt_mem_read(ctx, at, addr, bytes))
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
}

/* The verifier has summed up what a tuple's slot must hold, so a tuple has room to the end of scratch. */
static struct tail tuple_tail(struct rt_ctx *ctx, uint64_t slot)
{
	struct wire_tuple *tuple = rt_slot(ctx, slot);
	return (struct tail){ tuple->data, tuple->bytes, (uint32_t)(ctx->shm->scratch_bytes - slot - sizeof(*tuple)) };
}

uint64_t rt_tuple_begin(struct rt_ctx *ctx, uint64_t slot, uint64_t fixed, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct wire_tuple *tuple = rt_slot(ctx, slot);
	tuple->bytes = tuple->fixed_bytes = (uint32_t)fixed;
	mem_zero(tuple->data, fixed);
	return 0;
}

uint64_t rt_tuple_str(struct rt_ctx *ctx, uint64_t slot, uint64_t field, uint64_t sref, uint64_t d)
{
	UNUSED(0, 0, d);
	struct tail t = tuple_tail(ctx, slot);
	if (!sref)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	tail_str(ctx, &t, field, sref);
	((struct wire_tuple *)rt_slot(ctx, slot))->bytes = t.used;
	return 0;
}

uint64_t rt_tuple_mem(struct rt_ctx *ctx, uint64_t slot, uint64_t field, uint64_t addr, uint64_t bytes)
{
	if (bytes > ctx->shm->strsize) {
		rt_set_fault(ctx, WIRE_FAULT_TUPOFLOW, bytes);
		return 0;
	}
	struct tail t = tuple_tail(ctx, slot);
	tail_mem(ctx, &t, field, addr, bytes);
	((struct wire_tuple *)rt_slot(ctx, slot))->bytes = t.used;
	return 0;
}

uint64_t rt_tuple_ustack(struct rt_ctx *ctx, uint64_t slot, uint64_t field, uint64_t frames, uint64_t d)
{
	UNUSED(0, 0, d);
	struct tail t = tuple_tail(ctx, slot);
	tail_ustack(ctx, &t, field, frames);
	((struct wire_tuple *)rt_slot(ctx, slot))->bytes = t.used;
	return 0;
}

static struct tail rec_tail(struct rt_ctx *ctx)
{
	uint32_t head = sizeof(struct wire_rec);
	return (struct tail){ ctx->rec->payload, ctx->rec_used - head, ctx->rec_max - head };
}

static void rec_used(struct rt_ctx *ctx, const struct tail *t)
{
	ctx->rec_used = t->used + (uint32_t)sizeof(struct wire_rec);
}

uint64_t rt_rec_str(struct rt_ctx *ctx, uint64_t field, uint64_t sref, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct tail t = rec_tail(ctx);
	if (!sref)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	tail_str(ctx, &t, field, sref);
	rec_used(ctx, &t);
	return 0;
}

uint64_t rt_rec_mem(struct rt_ctx *ctx, uint64_t field, uint64_t addr, uint64_t bytes, uint64_t max)
{
	struct tail t = rec_tail(ctx);
	tail_mem(ctx, &t, field, addr, bytes < max ? bytes : max);
	rec_used(ctx, &t);
	return 0;
}

uint64_t rt_rec_ustack(struct rt_ctx *ctx, uint64_t field, uint64_t frames, uint64_t strbytes, uint64_t d)
{
	UNUSED(strbytes, 0, d);
	struct tail t = rec_tail(ctx);
	tail_ustack(ctx, &t, field, frames);
	rec_used(ctx, &t);
	return 0;
}

/* ---- of the kernel: no frames ---- */

uint64_t rt_tuple_kstack(struct rt_ctx *ctx, uint64_t slot, uint64_t field, uint64_t frames, uint64_t d)
{
	return rt_tuple_ustack(ctx, slot, field, frames & 0, d);
}

uint64_t rt_rec_kstack(struct rt_ctx *ctx, uint64_t field, uint64_t frames, uint64_t c, uint64_t d)
{
	return rt_rec_ustack(ctx, field, frames & 0, c, d);
}

uint64_t rt_kstackdepth(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	(void)ctx;
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	return 0;
}

uint64_t rt_kcaller(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return rt_kstackdepth(ctx, a, b, c, d);
}
