/* SPDX-License-Identifier: MIT */
/* Tuples in scratch and the open record: a fixed part of fields, then a tail. */
#include "ebpf/rtk_bpf.h"

#define FIXED_WORDS 16u
#define SHORT_WORDS 4u /* strings of names: faster than a call of the kernel */

/* Takes @bytes of a tail: @base of the fixed part, @used so far of @room, for the field at @field.  The new use;
 * 0: no room. */
INLINE uint64_t tail_take(uint64_t base, uint64_t used, uint64_t room, uint64_t field, uint64_t bytes)
{
	uint64_t end = align_up(used + bytes, 8);
	if (end > room || field + 8 > room)
		return 0;
	if (bytes % 8)
		st64(base + end - 8, 0);
	struct wire_vref *ref = at(base + field);
	ref->off = (uint32_t)used;
	ref->bytes = (uint32_t)bytes;
	return end;
}

GLOBAL uint64_t rtk_tail_str(uint64_t base, uint64_t used_room, uint64_t field, uint64_t s, uint64_t len)
{
	uint64_t used = (uint32_t)used_room, end = tail_take(base, used, used_room >> 32, field, len);
	if (!end)
		return used;
	if (len > 8 * SHORT_WORDS) {
		copy(base + used, s, len);
		return end;
	}
	volatile uint64_t *to = at(base + used), *from = at(s);
	for (uint64_t i = 0; i < SHORT_WORDS && 8 * i + 8 <= len; i++)
		to[i] = from[i];
	if (len % 8)
		st64(base + end - 8, ld64(s + (len & ~7ULL)) & (1ULL << 8 * (len % 8)) - 1);
	return end;
}

INLINE uint64_t tuple_room(uint64_t slot)
{
	return K(SCRATCH_BYTES) - slot - sizeof(struct wire_tuple);
}

GLOBAL uint64_t rtk_tuple_begin(uint64_t ctx, uint64_t slot, uint64_t fixed)
{
	uint64_t tuple = scratch(ctx, slot);
	struct wire_tuple *t = at(tuple);
	volatile uint64_t *p = (volatile uint64_t *)t->data;
	t->bytes = (uint32_t)fixed;
	t->fixed_bytes = (uint32_t)fixed;
	if (fixed > 8 * FIXED_WORDS)
		return rtk_zero_own(tuple + sizeof(struct wire_tuple), fixed);
	for (uint64_t i = 0; i < FIXED_WORDS && 8 * i < fixed; i++)
		p[i] = 0;
	return 0;
}

GLOBAL uint64_t rtk_tuple_str(uint64_t ctx, uint64_t slot, uint64_t field, uint64_t sref)
{
	uint64_t tuple = scratch(ctx, slot);
	struct text t = text_of(ctx, sref);
	if (!sref)
		set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	if (t.len > K(STRSIZE))
		t.len = K(STRSIZE);
	st32(tuple, (uint32_t)rtk_tail_str(tuple + sizeof(struct wire_tuple), ld32(tuple) | tuple_room(slot) << 32, field, t.s, t.len));
	return 0;
}

GLOBAL uint64_t rtk_rec_str(uint64_t ctx, uint64_t field, uint64_t sref)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t head = sizeof(struct wire_rec);
	struct text t = text_of(ctx, sref);
	if (!sref)
		set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	if (t.len > K(STRSIZE))
		t.len = K(STRSIZE);
	uint64_t used = rtk_tail_str(c->rec + head, (c->rec_used - head) | (uint64_t)(c->rec_max - head) << 32, field, t.s, t.len);
	c->rec_used = (uint32_t)(used + head);
	return 0;
}

/* @bytes at @addr to a tail.  The arguments that do not fit are in the context: a function has five. */
INLINE uint64_t tail_mem(uint64_t ctx, uint64_t base, uint64_t used, uint64_t room, uint64_t field, uint64_t addr, uint64_t bytes)
{
	uint64_t end = tail_take(base, used, room, field, bytes);
	if (!end)
		return used;
	if (bytes && rtk_read(ctx, base + used, addr, bytes))
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return end;
}

GLOBAL uint64_t rtk_tuple_mem(uint64_t ctx, uint64_t slot, uint64_t field, uint64_t addr, uint64_t bytes)
{
	uint64_t tuple = scratch(ctx, slot);
	if (bytes > K(STRSIZE)) {
		set_fault(ctx, WIRE_FAULT_TUPOFLOW, bytes);
		return 0;
	}
	st32(tuple, (uint32_t)tail_mem(ctx, tuple + sizeof(struct wire_tuple), ld32(tuple), tuple_room(slot), field, addr, bytes));
	return 0;
}

GLOBAL uint64_t rtk_rec_mem(uint64_t ctx, uint64_t field, uint64_t addr, uint64_t bytes, uint64_t max)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t head = sizeof(struct wire_rec);
	uint64_t used = tail_mem(ctx, c->rec + head, c->rec_used - head, c->rec_max - head, field, addr, bytes < max ? bytes : max);
	c->rec_used = (uint32_t)(used + head);
	return 0;
}
