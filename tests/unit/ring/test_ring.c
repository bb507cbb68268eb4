/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "ring/ring.h"

#define BYTES 4096u
#define HEAD ((uint32_t)sizeof(struct wire_rec))

static struct wire_ring ring;
static uint8_t data[BYTES] __attribute__((aligned(64)));
static struct ring_reader reader;

static void start(void)
{
	memset(&ring, 0, sizeof(ring));
	memset(data, 0xa5, sizeof(data));
	memset(ring.open, 0xff, sizeof(ring.open));
	ring_reader_init(&reader, &ring, data, BYTES);
}

static struct wire_rec *reserve(uint32_t level, uint32_t payload)
{
	return ring_reserve(&ring, data, BYTES, level, HEAD + payload);
}

static void commit(uint32_t level, struct wire_rec *rec, uint64_t tag)
{
	rec->tsc = tag;
	ring_commit(&ring, data, BYTES, level, rec, rec->bytes);
}

static bool put(uint64_t tag, uint32_t payload)
{
	struct wire_rec *rec = reserve(0, payload);
	if (rec)
		commit(0, rec, tag);
	return rec != NULL;
}

/* The tag of the next record; 0: there is none. */
static uint64_t get(void)
{
	const struct wire_rec *rec = ring_reader_next(&reader);
	return rec ? rec->tsc : 0;
}

static void reads_what_was_written(void)
{
	start();
	CHECK_EQ(get(), 0);
	CHECK(put(1, 0) && put(2, 16));
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 2);
	CHECK_EQ(get(), 0);
	CHECK_EQ(ring.tail, 0);
	ring_reader_release(&reader);
	CHECK_EQ(ring.tail, ring.head);
}

static void goes_round(void)
{
	start();
	uint64_t next = 1;
	for (uint64_t i = 1; i < 2000; i++) {
		CHECK(put(i, (uint32_t)(i * 8 % 480)));
		if (i % 5)
			continue;
		for (; next <= i; next++)
			CHECK_EQ(get(), next);
		ring_reader_release(&reader);
	}
	CHECK_EQ(reader.bad, 0);
}

static void full_is_refused_and_recovers(void)
{
	start();
	uint64_t n = 0;
	while (put(n + 1, 40))
		n++;
	CHECK_EQ(n, BYTES / 64);
	CHECK_EQ(ring.open[0], UINT64_MAX);
	CHECK_EQ(get(), 1);
	CHECK(!put(n + 1, 40)); /* not released yet */
	ring_reader_release(&reader);
	CHECK(put(n + 1, 40));
	for (uint64_t i = 2; i <= n + 1; i++)
		CHECK_EQ(get(), i);
	CHECK(!reserve(0, BYTES)); /* larger than the ring */
}

static void commit_gives_back(void)
{
	start();
	struct wire_rec *rec = reserve(0, 1000);
	rec->tsc = 1;
	ring_commit(&ring, data, BYTES, 0, rec, HEAD + 3);
	CHECK_EQ(ring.head, HEAD + 8);
	CHECK(put(2, 8));
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 2);
}

static void keeps_its_size_when_something_follows(void)
{
	start();
	struct wire_rec *outer = reserve(0, 200), *inner = reserve(1, 8);
	commit(1, inner, 2);
	outer->tsc = 1;
	ring_commit(&ring, data, BYTES, 0, outer, HEAD);
	CHECK_EQ(outer->bytes, HEAD + 200);
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 2);
	CHECK_EQ(get(), 0);
}

static void outer_holds_back_inner(void)
{
	start();
	struct wire_rec *a = reserve(0, 8), *b = reserve(1, 8), *c = reserve(2, 8);
	commit(2, c, 3);
	commit(1, b, 2);
	CHECK_EQ(get(), 0);
	commit(0, a, 1);
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 2);
	CHECK_EQ(get(), 3);
}

/* Level 0 was about to reserve when level 1 took the last room. */
static void refused_level_publishes_for_others(void)
{
	start();
	while (ring.head < BYTES - 128)
		CHECK(put(1, 40));
	ring.open[0] = ring.head | 1;
	struct wire_rec *inner = reserve(1, 104);
	commit(1, inner, 9);
	CHECK(ring.published < ring.head);
	CHECK(!reserve(0, 104));
	CHECK_EQ(ring.published, ring.head);
}

static void abandoned_record_is_skipped(void)
{
	start();
	CHECK(put(1, 8));
	CHECK(reserve(0, 64) != NULL);
	struct wire_rec *inner = reserve(1, 8);
	commit(1, inner, 2);
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 0);
	ring_abandon(&ring, data, BYTES, 0);
	CHECK_EQ(get(), 2);
	ring_abandon(&ring, data, BYTES, 0); /* nothing open: nothing happens */
	CHECK(put(3, 8));
	CHECK_EQ(get(), 3);
}

static void abandoned_behind_padding(void)
{
	start();
	while (ring.head < BYTES - 64)
		CHECK(put(1, 40));
	while (get())
		;
	ring_reader_release(&reader);
	struct wire_rec *rec = reserve(0, 200);
	CHECK((uint8_t *)rec == data);
	ring_abandon(&ring, data, BYTES, 0);
	CHECK(put(2, 8));
	CHECK_EQ(get(), 2);
	CHECK_EQ(reader.bad, 0);
}

/* longjmp between the two steps of a reservation: with and without having got the place. */
static void abandoned_in_the_middle(void)
{
	start();
	CHECK(put(1, 8));
	uint64_t pos = ring.head;
	ring.open[0] = pos | 1; /* did not get it; a nested probe did */
	commit(1, reserve(1, 8), 2);
	ring_abandon(&ring, data, BYTES, 0);
	CHECK(put(3, 8));
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 3);

	pos = ring.head;
	ring.open[0] = pos | 1; /* got it and wrote no header */
	memset(data + (pos & (BYTES - 1)), 0xff, 128);
	ring.head += 128;
	ring_abandon(&ring, data, BYTES, 0);
	CHECK(put(4, 8));
	CHECK_EQ(get(), 4);

	ring_reader_release(&reader);
	while (ring.head % BYTES < BYTES - 64)
		CHECK(put(5, 40));
	while (get())
		;
	ring_reader_release(&reader);
	ring.open[0] = ring.head | 1; /* across the ring's end */
	ring.head += 256;
	struct wire_rec *alive = reserve(1, 8);
	ring_abandon(&ring, data, BYTES, 0);
	commit(1, alive, 6); /* what another level has open is not touched */
	CHECK_EQ(get(), 6);
	CHECK_EQ(reader.bad, 0);
}

static void reader_trusts_nothing(void)
{
	static const uint32_t bad[] = { 0, 4, 12, 16, BYTES, BYTES + 8, UINT32_MAX - 7, 0x80000000u };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start();
		CHECK(put(1, 8) && put(2, 8));
		((struct wire_rec *)data)->bytes = bad[i];
		CHECK_EQ(get(), 0);
		CHECK_EQ(reader.bad, 1);
		ring_reader_release(&reader);
		CHECK(put(3, 8));
		CHECK_EQ(get(), 3);
	}
	start();
	ring.published = 3ULL * BYTES;
	CHECK_EQ(get(), 0);
	ring.published = UINT64_MAX;
	CHECK_EQ(get(), 0);
	CHECK(reader.bad == 2);
}

/* Random nesting against a list of what must come out, in the order of the reservations. */
struct model {
	uint64_t tags[4096];
	uint32_t cnt, read;
};

static uint64_t rnd;
static uint32_t below(uint32_t n)
{
	rnd = rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rnd >> 33) % n;
}

/* What generated code does; @sp is the body's. */
static struct wire_rec *quick_reserve(uint32_t bytes, uint64_t sp)
{
	uint64_t pos = ring.published;
	ring_quick_renew(&ring, BYTES);
	if (pos < ring.quick_end || pos < ring.head || pos + bytes > ring.quick_limit)
		return NULL;
	ring.quick_sp = sp;
	ring.quick_at = pos;
	ring.quick_end = pos + bytes;
	return (struct wire_rec *)(data + (pos & (BYTES - 1)));
}

static void quick_commit(struct wire_rec *rec)
{
	add_local(&ring.published, rec->bytes);
	if (ring.head > ring.published)
		ring_publish(&ring);
}

static void nest(struct model *m, uint32_t level);

static bool nest_quick(struct model *m, uint32_t level)
{
	uint32_t bytes = HEAD + 8 * below(4), at = m->cnt;
	struct wire_rec *rec = quick_reserve(bytes, 1);
	if (!rec)
		return false;
	m->tags[at] = ++m->cnt;
	for (uint32_t n = below(3); n && m->cnt < 4000; n--)
		nest(m, level);
	if (below(8) == 0) {
		m->tags[at] = 0;
		ring_quick_abandon(&ring, data, BYTES);
		return true;
	}
	*rec = (struct wire_rec){ .bytes = bytes, .type = WIRE_REC_DATA, .tsc = m->tags[at] };
	quick_commit(rec);
	return true;
}

static void nest(struct model *m, uint32_t level)
{
	if (below(2) && nest_quick(m, level))
		return;
	struct wire_rec *rec = reserve(level, 8 * below(20));
	if (!rec)
		return;
	uint64_t tag = ++m->cnt;
	uint32_t at = m->cnt - 1;
	m->tags[at] = tag;
	for (uint32_t n = below(3); n && level + 1 < WIRE_LEVEL_MAX && m->cnt < 4000; n--)
		nest(m, level + 1);
	if (below(8) == 0) {
		m->tags[at] = 0;
		ring_abandon(&ring, data, BYTES, level);
		return;
	}
	rec->tsc = tag;
	ring_commit(&ring, data, BYTES, level, rec, HEAD + below(rec->bytes - HEAD + 1));
}

static void model_read(struct model *m)
{
	uint64_t tag;
	while ((tag = get())) {
		while (!m->tags[m->read])
			m->read++;
		if (!CHECK_MSG(tag == m->tags[m->read], "record %u, not %u", (unsigned)tag, (unsigned)m->tags[m->read]))
			return;
		m->read++;
	}
	ring_reader_release(&reader);
}

static void quick_goes_by_quarters(void)
{
	start();
	ring.head = ring.published = ring.tail = 5 * BYTES;
	ring_quick_renew(&ring, BYTES);
	CHECK_EQ(ring.quick_limit, ring.tail + BYTES / 4);
	ring.rung = ring.tail + 1; /* the consumer was told */
	ring_quick_renew(&ring, BYTES);
	CHECK_EQ(ring.quick_limit, ring.tail + 3 * BYTES / 4);
	ring.tail += BYTES / 2; /* and has read */
	ring_quick_renew(&ring, BYTES);
	CHECK_EQ(ring.quick_limit, ring.tail + BYTES / 4);
	ring.rung = ring.tail + 1;
	ring.head = ring.published = ring.tail;
	ring_quick_renew(&ring, BYTES);
	CHECK_EQ(ring.quick_limit, 6 * BYTES); /* without padding */
}

static void nests_at_random(void)
{
	for (rnd = 1; rnd < 30; rnd++) {
		static struct model m;
		uint64_t seed = rnd;
		m.cnt = m.read = 0;
		start();
		while (m.cnt < 3900) {
			nest(&m, 0);
			if (below(4) == 0)
				model_read(&m);
		}
		model_read(&m);
		while (m.read < m.cnt && !m.tags[m.read])
			m.read++;
		CHECK_EQ(m.read, m.cnt);
		CHECK_EQ(reader.bad, 0);
		rnd = seed;
	}
}

static void quick_holds_back_nested(void)
{
	start();
	CHECK(put(1, 8));
	struct wire_rec *rec = quick_reserve(HEAD, 1);
	CHECK(rec != NULL && !quick_reserve(HEAD, 2));
	CHECK(put(3, 8)); /* nested */
	CHECK_EQ(get(), 1);
	CHECK_EQ(get(), 0);
	*rec = (struct wire_rec){ .bytes = HEAD, .type = WIRE_REC_DATA, .tsc = 2 };
	quick_commit(rec);
	CHECK_EQ(get(), 2);
	CHECK_EQ(get(), 3);
	CHECK_EQ(get(), 0);
	CHECK_EQ(ring.head, ring.published);
	rec = quick_reserve(HEAD + 8, 1);
	CHECK(put(4, 8));
	ring_quick_abandon(&ring, data, BYTES);
	ring_quick_abandon(&ring, data, BYTES); /* once more */
	CHECK(put(5, 8));
	CHECK_EQ(get(), 4);
	CHECK_EQ(get(), 5);
	rec = quick_reserve(HEAD, 1);
	*rec = (struct wire_rec){ .bytes = HEAD, .type = WIRE_REC_DATA, .tsc = 6 };
	CHECK(put(7, 8));
	add_local(&ring.published, HEAD);
	ring_quick_abandon(&ring, data, BYTES); /* left when it was published, and what waited for it was not */
	CHECK_EQ(get(), 6);
	CHECK_EQ(get(), 7);
	CHECK_EQ(reader.bad, 0);
	CHECK_EQ(ring.head, ring.published);
}

/* ---- a quick record in its steps: between any two there may be others ---- */

struct quick {
	uint64_t sp, at, end;
};

static void quick_look(struct quick *q, uint64_t sp, uint32_t bytes)
{
	CHECK(ring.published >= ring.quick_end && ring.published >= ring.head);
	ring.quick_sp = sp;
	*q = (struct quick){ sp, ring.published, ring.published + bytes };
}

static void quick_note(const struct quick *q)
{
	ring.quick_at = q->at;
	ring.quick_end = q->end;
}

static bool quick_gives_up(const struct quick *q)
{
	return CHECK(ring.quick_sp != q->sp) && ring_quick_late(&ring, data, BYTES);
}

/* Nothing is held up, and what is published are records. */
static void goes_on(uint64_t tag)
{
	CHECK(put(tag, 8) && put(tag + 1, 8));
	uint64_t t, last[2] = { 0 };
	while ((t = get())) {
		last[0] = last[1];
		last[1] = t;
	}
	CHECK(last[0] == tag && last[1] == tag + 1);
	CHECK_EQ(reader.bad, 0);
	CHECK_EQ(ring.published, ring_head(&ring));
}

static void quick_comes_too_late(void)
{
	struct quick a, b;
	start(); /* B is opened in A's signal handler, another waits behind it, B is left */
	quick_look(&a, 9000, HEAD + 8);
	quick_look(&b, 5000, HEAD + 16);
	quick_note(&b);
	CHECK(put(2, 8));
	quick_note(&a);
	CHECK(quick_gives_up(&a));
	goes_on(3);
	start(); /* B is left before it is noted; another comes when A is, before A's last look */
	quick_look(&a, 9000, HEAD + 8);
	quick_look(&b, 5000, HEAD + 16);
	quick_note(&a);
	CHECK(put(2, 8));
	CHECK(quick_gives_up(&a));
	goes_on(3);
	for (int left = 0; left < 2; left++) { /* a level that finds no room, then one that does; A gives up, or is left */
		start();
		CHECK(put(1, 8));
		quick_look(&a, 9000, HEAD + 8);
		CHECK(!put(9, BYTES - HEAD));
		quick_note(&a);
		CHECK(put(2, 8));
		CHECK(left || !quick_gives_up(&a));
		goes_on(3);
	}
}

static bool put_over(uint64_t tag, uint32_t payload)
{
	struct wire_rec *rec = ring_reserve_over(&ring, data, BYTES, 0, HEAD + payload);
	if (rec)
		commit(0, rec, tag);
	return rec != NULL;
}

static void start_flight(void)
{
	start();
	reader.flight = true;
}

static void flight_keeps_the_last(void)
{
	uint64_t last = 0, cnt = 0, t;
	start_flight();
	for (uint64_t i = 1; i <= 1000; i++)
		CHECK(put_over(i, (uint32_t)(i % 7) * 8));
	while ((t = get())) {
		CHECK(!last || t == last + 1);
		CHECK(ring_reader_intact(&reader));
		last = t;
		cnt++;
	}
	CHECK_EQ(last, 1000);
	CHECK(cnt > 40);
	CHECK_EQ(cnt + reader.missed, 1000);
	CHECK_EQ(reader.bad, 0);
}

static void flight_tells_what_is_overwritten_under_the_reader(void)
{
	start_flight();
	CHECK(put_over(1, 0) && put_over(2, 0));
	CHECK_EQ(get(), 1);
	CHECK(ring_reader_intact(&reader));
	for (uint64_t i = 3; i < 400; i++)
		CHECK(put_over(i, 0));
	CHECK(!ring_reader_intact(&reader));
	uint64_t next = get();
	CHECK(next > 200 && next < 400);
	CHECK_EQ(reader.missed, next - 2);
	ring_reader_release(&reader);
	CHECK(put_over(400, 0));
}

static void flight_spares_what_is_open(void)
{
	start_flight();
	struct wire_rec *outer = ring_reserve_over(&ring, data, BYTES, 0, HEAD);
	uint32_t cnt = 0;
	while (cnt < 1000) {
		struct wire_rec *rec = ring_reserve_over(&ring, data, BYTES, 1, HEAD);
		if (!rec)
			break;
		commit(1, rec, ++cnt);
	}
	CHECK_EQ(cnt, BYTES / HEAD - 1);
	commit(0, outer, 5000);
	CHECK_EQ(get(), 5000);
	CHECK_EQ(get(), 1);
	CHECK(put_over(1001, 0));
}

TAP_MAIN(TEST(flight_keeps_the_last), TEST(flight_tells_what_is_overwritten_under_the_reader),
	 TEST(flight_spares_what_is_open), TEST(reads_what_was_written), TEST(goes_round), TEST(full_is_refused_and_recovers), TEST(commit_gives_back),
	 TEST(keeps_its_size_when_something_follows), TEST(outer_holds_back_inner), TEST(refused_level_publishes_for_others),
	 TEST(abandoned_record_is_skipped), TEST(abandoned_behind_padding), TEST(abandoned_in_the_middle),
	 TEST(reader_trusts_nothing), TEST(quick_holds_back_nested), TEST(quick_comes_too_late), TEST(quick_goes_by_quarters), TEST(nests_at_random))
