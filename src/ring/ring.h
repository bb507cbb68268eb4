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
 * Generated code writes small records by itself and without a level (jit/x86_64/quick_rec.c):
 *
 *     only where published == head, so nothing is open, and where they fit without padding
 *     note rsp, and the end of the record with bit 0 set (quick_end)
 *     compare-and-swap head to that
 *     write the record
 *     add its length to published; clear bit 0 of head
 *     if head is not published then, others came in between: ring_publish()
 *
 * While bit 0 is set published does not move but by its owner: what nests
 * takes a level, and its records wait.
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

#define RING_QUICK 1ULL
static inline uint64_t ring_head(const struct wire_ring *r)
{
	return LOAD_RELAXED(&r->head) & ~RING_QUICK;
}
/* One instruction; once more does no harm: a body that a forked child has too, or two that give the same one up. */
static inline void ring_quick_end(struct wire_ring *r)
{
	__asm__ volatile("andq %1, %0" : "+m"(r->head) : "e"(~RING_QUICK) : "memory", "cc");
}
/* Publishes what is complete. */
void ring_publish(struct wire_ring *);
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
/* Gives what was read back to the producer. */
void ring_reader_release(struct ring_reader *);

#endif
