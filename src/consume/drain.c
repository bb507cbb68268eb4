/* SPDX-License-Identifier: MIT */
/*
 * Records of all threads in the order of time.
 *
 *   ring of thread 0  r r r   --.
 *   ring of thread 1  r         +-- heads in a heap by tsc --> consume_act_record()
 *   ring of thread 2  r r r r --'
 *
 * Each ring is in order.  A record can still appear that is older than what
 * another ring shows already: its probe runs now.  So nothing is performed
 * that is younger than the watermark, the oldest moment that may be missing:
 * the start of this drain, or of a probe that runs.
 */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_STUCK_NS 1000000000ULL /* a probe that runs longer does not hold up the others */
#define STORED_NS 1000u /* longer than a processor takes for what it does out of order */

static bool earlier(const struct consume *c, uint32_t a, uint32_t b)
{
	uint64_t x = c->slots[a].head_tsc, y = c->slots[b].head_tsc;
	return x < y || (x == y && a < b);
}

static void heap_down(struct consume *c, uint32_t i)
{
	for (;;) {
		uint32_t least = i;
		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < c->heap_cnt; k++)
			if (earlier(c, c->heap[k], c->heap[least]))
				least = k;
		if (least == i)
			return;
		uint32_t t = c->heap[i];
		c->heap[i] = c->heap[least];
		c->heap[least] = t;
		i = least;
	}
}

static void heap_add(struct consume *c, uint32_t slot)
{
	uint32_t i = c->heap_cnt++;
	for (; i && earlier(c, slot, c->heap[(i - 1) / 2]); i = (i - 1) / 2)
		c->heap[i] = c->heap[(i - 1) / 2];
	c->heap[i] = slot;
}

/* The next record with something in it; false: none. */
static bool slot_next(struct consume_slot *s)
{
	do {
		s->head_pos = s->reader.pos;
		s->head_seen = s->reader.seen;
		s->head = ring_reader_next(&s->reader);
	} while (s->head && s->head->type != WIRE_REC_DATA && s->head->type != WIRE_REC_ERROR);
	if (s->head)
		s->head_tsc = s->head->tsc;
	return s->head != NULL;
}

bool consume_slot_is_folded(const struct consume *c, uint32_t slot)
{
	const struct consume_slot *s = &c->slots[slot];
	const struct wire_thread *thr = consume_thread(c, slot);
	return s->folded && LOAD_ACQUIRE(&thr->state) == WIRE_THREAD_DEAD && thr->tid == s->folded_tid &&
	       thr->incarnation == s->folded_incarnation;
}

static void slot_open(struct consume *c, uint32_t i, struct wire_thread *thr)
{
	struct consume_slot *s = &c->slots[i];
	ring_reader_init(&s->reader, &thr->ring, (const uint8_t *)thr + c->geo.geom.ring_off, c->geo.geom.ring_bytes);
	s->reader.flight = c->geo.flight;
	s->missed = 0;
	s->released = s->reader.pos;
	s->tid = LOAD_RELAXED(&thr->tid);
	s->live = true;
	s->folded = false;
}

static void heads_load(struct consume *c)
{
	c->heap_cnt = 0;
	for (uint32_t i = 0; i < c->geo.thread_cnt && !consume_is_last(c, i); i++) {
		struct wire_thread *thr = consume_thread(c, i);
		uint32_t state = LOAD_ACQUIRE(&thr->state);
		struct consume_slot *s = &c->slots[i];
		s->head = NULL;
		s->who.known = false;
		if (state != WIRE_THREAD_LIVE && state != WIRE_THREAD_DEAD)
			continue;
		if (!s->live && !consume_slot_is_folded(c, i))
			slot_open(c, i, thr);
		if (!s->live || !slot_next(s))
			continue;
		heap_add(c, i);
		c->heard |= LOAD_RELAXED(&thr->proc) != 0;
	}
}

static void slot_release(struct consume *c, uint32_t i)
{
	struct consume_slot *s = &c->slots[i];
	if (!c->opts.writer.tail)
		ring_reader_release(&s->reader);
	else if (!s->reader.flight && s->reader.pos != s->released)
		c->opts.writer.tail(c->opts.arg, i, s->reader.pos);
	s->released = s->reader.pos;
}

/* What was read but not performed is read again next time. */
static void heads_return(struct consume *c)
{
	for (uint32_t i = 0; i < c->geo.thread_cnt; i++) {
		struct consume_slot *s = &c->slots[i];
		if (!s->live)
			continue;
		if (s->head) {
			s->reader.pos = s->head_pos;
			s->reader.seen = s->head_seen;
		}
		s->head = NULL;
		slot_release(c, i);
	}
	c->heap_cnt = 0;
}

static uint64_t ns_to_tsc(const struct consume *c, uint64_t ns)
{
	uint64_t mult = c->geo.tsc_mult;
	long double scale = (long double)(1ULL << WIRE_TSC_SHIFT);
	return mult ? (uint64_t)((long double)ns * scale / (long double)mult) : ns;
}

/* The firing's tsc of the outermost probe that runs on this thread; @now if none.  A probe of the kernel has 0 until it asks
 * for the time (struct rtk_ctx): what it records is later than now. */
static uint64_t running_since(const struct consume *c, const struct wire_thread *thr, uint64_t now)
{
	uint32_t level = LOAD_ACQUIRE(&thr->level);
	if (!level || level > WIRE_LEVEL_MAX)
		return now;
	const struct rt_ctx *ctx = (const struct rt_ctx *)((const uint8_t *)thr + c->geo.geom.ctx_off);
	uint64_t tsc = LOAD_RELAXED(&ctx->tsc);
	return tsc && tsc < now ? tsc : now;
}

/* A quick record that is open, or waits in a frame, is no older than the last look at which it was not.  Meanwhile
 * published stays, but for nested ones. */
static uint64_t quick_since(const struct consume *c, uint32_t slot, uint64_t now)
{
	struct consume_slot *s = &c->slots[slot];
	const struct wire_ring *ring = &consume_thread(c, slot)->ring;
	uint64_t looked = s->looked, at = LOAD_ACQUIRE(&ring->published);
	s->looked = now;
	if (!ring_quick_seen(ring, at))
		return now;
	if (s->quick_at != at)
		s->quick_since = looked;
	s->quick_at = at;
	return s->quick_since;
}

/* Whoever has read the time before what this returns, and has no record open yet, reads it again.  A processor may read the clock a
 * little before the word that it has to read first, and what it has stored is seen by others a little later. */
static uint64_t begin_look(const struct consume *c)
{
	uint64_t little = ns_to_tsc(c, STORED_NS), now = rt_now_tsc();
	if (c->opts.writer.drains)
		c->opts.writer.drains(c->opts.arg);
	else
		__atomic_add_fetch(&c->shm->drains, 1, __ATOMIC_SEQ_CST);
	for (uint64_t end = rt_now_tsc() + little; rt_now_tsc() < end;)
		;
	return now - little;
}

static uint64_t watermark(const struct consume *c)
{
	uint64_t now = begin_look(c), mark = now, oldest = now - ns_to_tsc(c, DRAIN_STUCK_NS);
	for (uint32_t i = 0; i < c->geo.thread_cnt && !consume_is_last(c, i); i++) {
		const struct wire_thread *thr = consume_thread(c, i);
		if (LOAD_ACQUIRE(&thr->state) != WIRE_THREAD_LIVE)
			continue;
		uint64_t since = running_since(c, thr, now), quick = quick_since(c, i, now);
		if (since < mark)
			mark = since;
		if (quick < mark)
			mark = quick;
	}
	return mark < oldest ? oldest : mark;
}

#define SHORT_BYTES 64u

/* A call takes longer than a few words do. */
static inline void copy_words(uint64_t *to, const uint64_t *from, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		to[i] = LOAD_RELAXED(&from[i]);
}

/* The target can change a record while it is looked at: what is checked and what is used must be the same. */
static int copy_head(struct consume *c, const struct consume_slot *s)
{
	uint32_t bytes = s->reader.rec_bytes;
	if (bytes > c->rec_cap) {
		struct wire_rec *more = realloc(c->rec, bytes);
		if (!more)
			return -ENOMEM;
		c->rec = more;
		c->rec_cap = bytes;
	}
	if (bytes <= SHORT_BYTES)
		copy_words((uint64_t *)c->rec, (const uint64_t *)s->head, bytes / 8);
	else
		memcpy(c->rec, s->head, bytes);
	c->rec->bytes = bytes;
	/* Of a flight recorder, the place may have been used again while it was copied. */
	if (!ring_reader_intact(&s->reader))
		c->rec->type = WIRE_REC_VOID;
	return 0;
}

static int perform_head(struct consume *c, uint32_t slot, struct err *reterr)
{
	struct consume_slot *s = &c->slots[slot];
	if (copy_head(c, s))
		return err_setf(reterr, -ENOMEM, "out of memory");
	const struct wire_rec *rec = c->rec;
	int rc = 0;
	s->cpu = rec->cpu;
	if (rec->type == WIRE_REC_VOID)
		return 0;
	if (c->opts.on_event && consume_event_give(c, slot, rec, &rc, reterr))
		return rc;
	if (rec->type == WIRE_REC_DATA && consume_policy_drops(c, slot, rec))
		return 0;
	if (rec->type == WIRE_REC_DATA)
		return consume_act_record(c, rec, LOAD_RELAXED(&consume_thread(c, slot)->proc), reterr);
	if (rec->type == WIRE_REC_ERROR)
		consume_fault_report(c, rec);
	return 0;
}

/* Gives room back early where a ring is long: its producer may be waiting for none. */
static void slot_advance(struct consume *c, uint32_t slot)
{
	struct consume_slot *s = &c->slots[slot];
	if (s->reader.pos - s->released > c->geo.geom.ring_bytes / 4)
		slot_release(c, slot);
	if (slot_next(s)) {
		heap_down(c, 0);
	} else {
		c->heap[0] = c->heap[--c->heap_cnt];
		heap_down(c, 0);
	}
}

static int64_t drain_upto(struct consume *c, uint64_t mark, struct err *reterr)
{
	int64_t seen = 0, n;
	int rc = 0;
	heads_load(c);
	while (!rc && c->heap_cnt && c->slots[c->heap[0]].head_tsc <= mark) {
		uint32_t slot = c->heap[0];
		n = consume_run(c, slot, mark, reterr);
		if (!n)
			rc = perform_head(c, slot, reterr);
		else if (n < 0)
			rc = (int)n;
		slot_advance(c, slot);
		seen += n > 0 ? n : 1;
	}
	heads_return(c);
	rc = rc ? rc : consume_spec_sweep(c, mark, reterr);
	return rc ? rc : seen;
}

/* With an aggrate, what is shown is what was read when it was last time to. That begins with the first records behind
 * those of BEGIN. */
static int read_aggs(struct consume *c, bool final, struct err *reterr)
{
	uint64_t now = rt_now_tsc(), rate = c->opts.aggrate_ns;
	if (rate && !final && now < c->next_snap_tsc)
		return 0;
	c->snap_valid = false;
	c->snap_tsc = now;
	return rate ? consume_agg_snap(c, reterr) : 0;
}

int64_t consume_drain(struct consume *c, bool final, struct err *reterr)
{
	int64_t total = 0, n;
	int rc = read_aggs(c, final, reterr);
	if (rc)
		return rc;
	c->look_bytes = 0;
	/* ERROR clauses fired meanwhile leave new records. */
	do {
		n = drain_upto(c, final ? UINT64_MAX : watermark(c), reterr);
		if (n < 0)
			return n;
		total += n;
	} while (final && n);
	if (total && c->next_snap_tsc <= c->snap_tsc)
		c->next_snap_tsc = c->has_drained ? c->snap_tsc + ns_to_tsc(c, c->opts.aggrate_ns) : 0;
	c->has_drained |= total > 0;
	rc = final ? consume_policy_end(c, reterr) : 0;
	return rc ? rc : total;
}

bool consume_thread_drained(const struct consume *c, uint32_t slot)
{
	const struct consume_slot *s = &c->slots[slot];
	const struct wire_thread *thr = consume_thread(c, slot);
	if (consume_slot_is_folded(c, slot))
		return true;
	return s->live ? s->reader.pos == LOAD_ACQUIRE(&thr->ring.published) : !LOAD_ACQUIRE(&thr->ring.published);
}

int consume_fold_thread(struct consume *c, uint32_t slot, struct err *reterr)
{
	struct consume_slot *s = &c->slots[slot];
	if (consume_slot_is_folded(c, slot))
		return 0;
	int rc = consume_agg_fold(c, slot, reterr);
	if (rc)
		return rc;
	if (s->live)
		consume_report_slot(c, slot);
	memset(s->drops, 0, 2ul * c->geo.clause_cnt * sizeof(*s->drops));
	s->level_drops = s->agg_drops = s->dyn_drops = s->bad = s->missed = 0;
	s->reader = (struct ring_reader){ 0 };
	s->live = false;
	s->folded = true;
	s->folded_tid = consume_thread(c, slot)->tid;
	s->folded_incarnation = consume_thread(c, slot)->incarnation;
	consume_agg_prune(c);
	return 0;
}

int consume_fold_ended(struct consume *c, consume_folded_fn *folded, void *arg, struct err *reterr)
{
	for (uint32_t i = 1; i < c->geo.thread_cnt; i++) {
		const struct wire_thread *thr = consume_thread(c, i);
		uint32_t state = LOAD_ACQUIRE(&thr->state);
		if (state == WIRE_THREAD_FREE && !thr->incarnation)
			break; /* slots are taken in order */
		if (state != WIRE_THREAD_DEAD || consume_slot_is_folded(c, i) || !consume_thread_drained(c, i))
			continue;
		int rc = consume_fold_thread(c, i, reterr);
		if (rc)
			return rc;
		folded(arg, i, c->slots[i].folded_incarnation);
	}
	return 0;
}
