/* SPDX-License-Identifier: MIT */
#include "ring/ring.h"

/*
 *   tail            published      open[0]        open[1]       head
 *    |  whole records  |  a nested    | level 0's    | level 1's   |
 *    |                 |  one, whole  | record       | record      |
 *
 * Levels nest, so what one level reserves lies behind what the levels below it
 * have open.  A nested probe may come between any two instructions, but it has
 * left when the next one runs.  Quick records do not touch head, so it is below
 * published after them; a level first takes it to where its record begins, with
 * a bit that keeps quick records away, then looks whether one came before that.
 */

#define NONE (~0ULL)
/* In open[]: head is being moved, so the headers from the position on may not follow each other. */
#define TRYING 1ULL

static uint64_t pad_before(uint64_t pos, uint64_t ring_bytes, uint64_t bytes)
{
	uint64_t to_end = ring_bytes - (pos & (ring_bytes - 1));
	return bytes > to_end ? to_end : 0;
}

static struct wire_rec *set_header(uint8_t *data, uint64_t ring_bytes, uint64_t pos, uint64_t bytes, uint16_t type)
{
	struct wire_rec *rec = (struct wire_rec *)(data + (pos & (ring_bytes - 1)));
	rec->bytes = (uint32_t)bytes;
	rec->type = type;
	return rec;
}

/* Everything below the oldest open record is complete. */
static uint64_t complete_below(const struct wire_ring *r)
{
	uint64_t limit = LOAD_RELAXED(&r->head) & ~RING_MOVING;
	if (ring_quick_is_open(r))
		return LOAD_RELAXED(&r->published);
	for (int i = 0; i < WIRE_LEVEL_MAX; i++) {
		uint64_t open = LOAD_RELAXED(&r->open[i]) & ~TRYING;
		if (open < limit)
			limit = open;
	}
	return limit;
}

/* A nested probe may publish more between the look and the store: never go back. */
void ring_publish(struct wire_ring *r)
{
	uint64_t old = LOAD_RELAXED(&r->published), new;
	do {
		new = complete_below(r);
		if (new <= old)
			return;
	} while (!cas_local(&r->published, &old, new));
}

static void close_level(struct wire_ring *r, uint32_t level)
{
	STORE_RELEASE(&r->open[level], NONE);
	ring_publish(r);
}

/* Where the level's record begins: head, with the bit, from which on nothing is reserved but by levels. */
static uint64_t take_head(struct wire_ring *r, uint32_t level)
{
	uint64_t head, pos;
	do {
		head = LOAD_RELAXED(&r->head);
		pos = ring_head(r);
		/* Before head moves: what a nested probe publishes must stop here. */
		STORE_RELAXED(&r->open[level], pos | TRYING);
		if (!ring_quick_is_open(r))
			STORE_RELAXED(&r->quick_sp, 0); /* one that is about to be opened is not */
	} while (!cas_local(&r->head, &head, pos | RING_MOVING) || ring_head(r) != pos);
	return pos;
}

struct wire_rec *ring_reserve(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes, uint32_t level, uint32_t bytes)
{
	uint64_t pos, pad, mine;
	do {
		pos = take_head(r, level);
		mine = pos | RING_MOVING;
		pad = pad_before(pos, ring_bytes, bytes);
		if (pos + pad + bytes - LOAD_ACQUIRE(&r->tail) > ring_bytes) {
			cas_local(&r->head, &mine, pos);
			close_level(r, level);
			return NULL;
		}
	} while (!cas_local(&r->head, &mine, pos + pad + bytes));
	if (pad)
		set_header(data, ring_bytes, pos, pad, WIRE_REC_PAD);
	struct wire_rec *rec = set_header(data, ring_bytes, pos + pad, bytes, WIRE_REC_DATA);
	STORE_RELEASE(&r->open[level], pos);
	return rec;
}

/* Lets the oldest complete record go; false: there is none. */
static bool forget_one(struct wire_ring *r, const uint8_t *data, uint64_t ring_bytes)
{
	uint64_t tail = LOAD_RELAXED(&r->tail);
	if (tail >= LOAD_RELAXED(&r->published))
		return false;
	const struct wire_rec *rec = (const struct wire_rec *)(data + (tail & (ring_bytes - 1)));
	uint64_t bytes = LOAD_RELAXED(&rec->bytes);
	bool is_data = LOAD_RELAXED(&rec->type) == WIRE_REC_DATA;
	if (bytes < 8)
		return false;
	/* A nested probe that came before this was here, too: then it has moved the tail. */
	if (cas_local(&r->tail, &tail, tail + bytes) && is_data)
		add_local(&r->forgotten, 1);
	return true;
}

struct wire_rec *ring_reserve_over(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes, uint32_t level,
				   uint32_t bytes)
{
	for (;;) {
		uint64_t head = ring_head(r), need = pad_before(head, ring_bytes, bytes) + bytes;
		if (head + need - LOAD_RELAXED(&r->tail) > ring_bytes) {
			if (forget_one(r, data, ring_bytes))
				continue;
			close_level(r, level);
			return NULL;
		}
		struct wire_rec *rec = ring_reserve(r, data, ring_bytes, level, bytes);
		if (rec)
			return rec;
	}
}

void ring_commit(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes, uint32_t level, struct wire_rec *rec,
		 uint32_t used_bytes)
{
	uint64_t start = LOAD_RELAXED(&r->open[level]);
	uint64_t at = (uint64_t)((uint8_t *)rec - data);
	uint64_t pos = start + ((at - start) & (ring_bytes - 1)); /* past the padding, if there was any */
	uint64_t used = align_up(used_bytes, 8);
	if (used < rec->bytes) {
		uint64_t end = pos + rec->bytes;
		STORE_RELAXED(&r->open[level], start | TRYING);
		if (cas_local(&r->head, &end, pos + used))
			rec->bytes = (uint32_t)used;
	}
	close_level(r, level);
}

/* The first position after @start that another level has open, or head. */
static uint64_t end_of_dead(const struct wire_ring *r, uint32_t level, uint64_t start)
{
	uint64_t end = ring_head(r);
	for (uint32_t i = 0; i < WIRE_LEVEL_MAX; i++) {
		uint64_t open = LOAD_RELAXED(&r->open[i]) & ~TRYING;
		if (i != level && open >= start && open < end)
			end = open;
	}
	return end;
}

/* It is not known whether the level moved head: all that was written since is
 * given up, so that headers follow each other again. */
static void void_since(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes, uint32_t level, uint64_t start)
{
	uint64_t end = end_of_dead(r, level, start), bytes, published = LOAD_RELAXED(&r->published);
	if (start < published)
		start = published; /* quick records that came before head was moved */
	for (; start < end; start += bytes) {
		bytes = ring_bytes - (start & (ring_bytes - 1));
		if (bytes > end - start)
			bytes = end - start;
		set_header(data, ring_bytes, start, bytes, WIRE_REC_VOID);
	}
}

void ring_abandon(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes, uint32_t level)
{
	uint64_t start = LOAD_RELAXED(&r->open[level]);
	if (start == NONE)
		return;
	if (start & TRYING) {
		void_since(r, data, ring_bytes, level, start & ~TRYING);
	} else {
		struct wire_rec *rec = (struct wire_rec *)(data + (start & (ring_bytes - 1)));
		if (rec->type == WIRE_REC_PAD)
			rec = (struct wire_rec *)data;
		rec->type = WIRE_REC_VOID;
	}
	and_local(&r->head, ~RING_MOVING);
	close_level(r, level);
}

void ring_quick_renew(struct wire_ring *r, uint64_t ring_bytes)
{
	uint64_t tail = LOAD_RELAXED(&r->tail), quarter = ring_bytes / 4, end = (ring_head(r) | (ring_bytes - 1)) + 1;
	/* Once the consumer was told they need not stop there, but for another quarter that it has not read. */
	uint64_t limit = tail + (LOAD_RELAXED(&r->rung) == tail + 1 ? 3 : 1) * quarter;
	STORE_RELAXED(&r->quick_limit, limit < end ? limit : end);
}

bool ring_quick_late(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes)
{
	uint64_t published = LOAD_RELAXED(&r->published);
	STORE_RELAXED(&r->quick_end, 0);
	bool lost = published == LOAD_RELAXED(&r->quick_at) && published < ring_head(r);
	if (lost)
		void_since(r, data, ring_bytes, WIRE_LEVEL_MAX, published);
	ring_publish(r);
	return lost;
}

void ring_quick_abandon(struct wire_ring *r, uint8_t *data, uint64_t ring_bytes)
{
	if (ring_quick_is_open(r)) {
		uint64_t start = LOAD_RELAXED(&r->quick_at), end = LOAD_RELAXED(&r->quick_end);
		set_header(data, ring_bytes, start & ~7ULL, end - start, WIRE_REC_VOID);
		cas_local(&r->published, &start, end);
	}
	ring_publish(r); /* what waited for it; also where its body was left between its last two steps */
}

/* ---- consumer ---- */

void ring_reader_init(struct ring_reader *rd, struct wire_ring *ring, const uint8_t *data, uint64_t ring_bytes)
{
	*rd = (struct ring_reader){ .ring = ring, .data = data, .ring_bytes = ring_bytes };
	rd->pos = rd->end = LOAD_RELAXED(&ring->tail);
	rd->seen = LOAD_RELAXED(&ring->forgotten);
}

static const struct wire_rec *bad_batch(struct ring_reader *rd)
{
	rd->bad++;
	rd->pos = rd->end;
	return NULL;
}

/* A record's place is in use again. */
static bool was_overwritten(const struct ring_reader *rd, uint64_t pos)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return rd->flight && LOAD_RELAXED(&rd->ring->tail) > pos;
}

/* On to the oldest record that is left. */
static void catch_up(struct ring_reader *rd)
{
	uint64_t forgotten = LOAD_ACQUIRE(&rd->ring->forgotten), tail = LOAD_ACQUIRE(&rd->ring->tail);
	if (tail <= rd->pos)
		return;
	rd->pos = tail;
	rd->end = LOAD_ACQUIRE(&rd->ring->published);
	if (rd->end < tail)
		rd->end = tail;
	if (forgotten > rd->seen) {
		rd->missed += forgotten - rd->seen;
		rd->seen = forgotten;
	}
}

#define PREFETCH_BYTES 512u /* another processor has just written them */

/* One step; false: it has to be made again. */
static bool step(struct ring_reader *rd, const struct wire_rec **ret)
{
	uint64_t pos = rd->pos, off = pos & (rd->ring_bytes - 1);
	uint64_t left = rd->end - pos, to_end = rd->ring_bytes - off;
	const struct wire_rec *rec = (const struct wire_rec *)(rd->data + off);
	*ret = NULL;
	if (pos % 8) { /* of a number that no producer of ours has written */
		bad_batch(rd);
		return true;
	}
	__builtin_prefetch(rd->data + ((pos + PREFETCH_BYTES) & (rd->ring_bytes - 1)));
	uint64_t bytes = LOAD_RELAXED(&rec->bytes);
	uint16_t type = LOAD_RELAXED(&rec->type);
	if (was_overwritten(rd, pos)) {
		catch_up(rd);
		return false;
	}
	bool is_rec = type != WIRE_REC_PAD && type != WIRE_REC_VOID;
	if (bytes < 8 || bytes % 8 || bytes > left || bytes > to_end || (is_rec && bytes < sizeof(*rec))) {
		bad_batch(rd);
		return true;
	}
	rd->pos += bytes;
	if (!is_rec)
		return false;
	rd->seen += type == WIRE_REC_DATA;
	rd->rec_pos = pos;
	rd->rec_bytes = (uint32_t)bytes;
	*ret = rec;
	return true;
}

const struct wire_rec *ring_reader_next(struct ring_reader *rd)
{
	const struct wire_rec *rec = NULL;
	if (rd->flight)
		catch_up(rd);
	if (rd->pos == rd->end)
		rd->end = LOAD_ACQUIRE(&rd->ring->published);
	if (rd->end - rd->pos > rd->ring_bytes) {
		if (!was_overwritten(rd, rd->pos))
			return bad_batch(rd);
		catch_up(rd);
	}
	while (rd->pos != rd->end && !step(rd, &rec))
		;
	return rec;
}

bool ring_reader_intact(const struct ring_reader *rd) { return !was_overwritten(rd, rd->rec_pos); }

void ring_reader_release(struct ring_reader *rd)
{
	if (!rd->flight)
		STORE_RELEASE(&rd->ring->tail, rd->pos);
}
