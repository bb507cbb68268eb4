/* SPDX-License-Identifier: MIT */
/*
 * ring: the way of records from one traced thread to the consumer.
 *
 * One ring per thread, one consumer.  Positions count bytes for ever.  Probes
 * nest when a signal handler's probe interrupts one: each level notes the
 * position of the record that it has open, and a commit publishes everything
 * below the oldest open one.  So a reader sees whole records only and needs
 * no commit mark in them, and the producer needs no lock prefix: interrupted
 * code always resumes after the nested probe has left.  A level that a
 * longjmp left behind is closed by rt_enter().
 *
 * A record never wraps: WIRE_REC_PAD fills the ring's end.
 *
 * Generated code writes small records by itself and without a level (jit/x86_64/quick_rec.c), with plain stores only:
 *
 *     only where no other quick record is open: note rsp
 *     only where no level has one open, either, and where its end is not above quick_limit
 *     note the record's place, [quick_at, quick_end): now it is open
 *     only if the rsp that is noted is still this one, so nothing else was begun since: else ring_quick_late(), and take a
 *     level
 *     only if no drain has begun since before the record's time was read (wire_shm.drains): else read the time again
 *     write the record
 *     add its length to published: now it is closed
 *     if head is above published then, others came in between: ring_publish()
 *
 * While it is open published does not move but by its owner: what nests
 * takes a level, begins behind it, and its records wait.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "wire/wire.h"

/* Producer.  Context: probe path.  Reserves @bytes (header included; a
 * multiple of 8) for @level, which has nothing open; NULL: full.  The header's
 * bytes and type (DATA) are set, the rest is not. */
struct wire_rec *ring_reserve(struct wire_ring *, uint8_t *data, uint64_t ring_bytes,
			      uint32_t level, uint32_t bytes);
/* The same of a flight recorder: where the ring is full, its oldest records go.  NULL: what is open or
 * unpublished needs all of it.  The tail is the producer's then. */
struct wire_rec *ring_reserve_over(struct wire_ring *, uint8_t *data, uint64_t ring_bytes, uint32_t level,
				   uint32_t bytes);
/* Gives back what of the reservation is unused, if nothing was reserved after
 * it (else the record keeps its size), and publishes. */
void ring_commit(struct wire_ring *, uint8_t *data, uint64_t ring_bytes, uint32_t level,
		 struct wire_rec *, uint32_t used_bytes);
/* Closes what level left open (after a longjmp): the record becomes VOID.  Of
 * a level that was left in the middle of a reservation or a commit, the whole
 * records that nested probes wrote behind it are lost too. */
void ring_abandon(struct wire_ring *, uint8_t *data, uint64_t ring_bytes, uint32_t level);

/* Bit of head: a level is about to move it, so a quick record must not begin. */
#define RING_MOVING 1ULL
/* Whether a quick record is open.  One whose body is bound to find out that it came too late is not; nor is one that has
 * begun and ended meanwhile. */
static inline bool ring_quick_is_open(const struct wire_ring *r)
{
	uint64_t published = LOAD_RELAXED(&r->published), end = LOAD_RELAXED(&r->quick_end), head = LOAD_RELAXED(&r->head);
	bool is_open = end > published && LOAD_RELAXED(&r->quick_at) == published && (head <= published || head >= end);
	return is_open && LOAD_RELAXED(&r->quick_sp) && LOAD_RELAXED(&r->published) == published;
}
/* Where the next record of a level begins. */
static inline uint64_t ring_head(const struct wire_ring *r)
{
	uint64_t head = LOAD_RELAXED(&r->head) & ~RING_MOVING, published = LOAD_RELAXED(&r->published);
	uint64_t whole = ring_quick_is_open(r) ? LOAD_RELAXED(&r->quick_end) : published;
	return head > whole ? head : whole;
}

/* Publishes what is complete. */
void ring_publish(struct wire_ring *);
/* How far quick records may go without padding: to where a quarter of the ring is full and the consumer is told, then as far as three.  So
 * it is told where half is full, at the latest: it gives back quarters. */
void ring_quick_renew(struct wire_ring *, uint64_t ring_bytes);
/* The record that its body has noted was too late: it is closed, and of what was begun before and waits behind it nothing is
 * known.  Whether that was lost. */
bool ring_quick_late(struct wire_ring *, uint8_t *data, uint64_t ring_bytes);
/* Closes the quick record that is open, if there is one: its body will not go on.  What lies behind it is kept. */
void ring_quick_abandon(struct wire_ring *, uint8_t *data, uint64_t ring_bytes);

/* Consumer.  Checks every length against @ring_bytes, its own knowledge. */
struct ring_reader {
	struct wire_ring *ring;
	const uint8_t *data;
	uint64_t ring_bytes;
	uint64_t pos;  /* next to read */
	uint64_t end;  /* published when last looked */
	uint32_t rec_bytes; /* of the record that _next gave, as they were checked: its header may change */
	/* Of a flight recorder: what is read may be overwritten meanwhile. */
	bool flight;
	uint64_t rec_pos;      /* of the record that _next gave */
	uint64_t seen, missed; /* records with data read; overwritten before they were */
	uint64_t bad;  /* records whose header made no sense: the rest of that batch was skipped */
};
void ring_reader_init(struct ring_reader *, struct wire_ring *, const uint8_t *data, uint64_t ring_bytes);
/* The next record (its length: rec_bytes), or NULL when all that is published has been read.  Valid until
 * ring_reader_release(). */
const struct wire_rec *ring_reader_next(struct ring_reader *);
/* Whether what was copied out of the record that _next gave is that record. */
bool ring_reader_intact(const struct ring_reader *);
/* Whether a quick record may be open at @published, or waits in its body's frame: its time is older than what a reader may pass. */
static inline bool ring_quick_seen(const struct wire_ring *r, uint64_t published)
{
	return LOAD_ACQUIRE(&r->timed) || (LOAD_ACQUIRE(&r->quick_at) == published && LOAD_ACQUIRE(&r->quick_end) > published);
}
/* Gives what was read back to the producer. */
void ring_reader_release(struct ring_reader *);

#endif
