/* SPDX-License-Identifier: MIT */
/* Records that are given together. */
#include "fixture.h"

#include <errno.h>

enum { MOST = 20000, CPUS = 2 };
static struct {
	uint64_t at[MOST]; /* what each had in its payload */
	uint32_t cnt, together, wrong;
	uint32_t cpu;      /* of the last */
	int64_t fail_at;   /* of on_recs; -1: never */
} got;

static void took(uint64_t v, uint32_t tid, uint32_t bytes)
{
	got.wrong += tid != 100 + v % 2 || bytes != 8;
	if (got.cnt < MOST)
		got.at[got.cnt++] = v;
}

static int on_recs(void *arg, const struct consume_who *who, const struct consume_rec *recs, uint32_t cnt, struct err *reterr)
{
	(void)arg;
	got.wrong += !cnt || cnt > CONSUME_RECS_MAX;
	if (got.fail_at >= 0 && got.together >= got.fail_at)
		return err_setf(reterr, -ENOSPC, "no room");
	for (uint32_t i = 0; i < cnt; i++) {
		uint64_t v;
		memcpy(&v, recs[i].payload, 8);
		got.wrong += recs[i].clause || recs[i].site != 1 || recs[i].cpu != v % 2;
		got.cpu = recs[i].cpu;
		took(v, who->tid, recs[i].bytes);
	}
	got.together += cnt;
	return 0;
}

static int on_event(void *arg, const struct consume_event *ev, struct err *reterr)
{
	uint64_t v = 0;
	(void)arg;
	(void)reterr;
	memcpy(&v, ev->payload, ev->bytes < 8 ? ev->bytes : 8);
	got.wrong += ev->clause != 1 && !ev->fault;
	got.cpu = ev->cpu;
	took(v, ev->tid, ev->bytes);
	return 0;
}

static const bool takes[2] = { true, false };
static struct plan_clause clauses[2] = { { .mask_off = WIRE_NONE }, { .mask_off = WIRE_NONE } };

static void begin(struct fx *fx)
{
	memset(&got, 0, sizeof(got));
	got.fail_at = -1;
	fx_init(fx, clauses, 2, NULL, NULL, 0);
	fx->opts.on_event = on_event;
	fx->opts.on_recs = on_recs;
	fx->opts.recs_clauses = takes;
	fx->opts.recs_clause_cnt = 1;
	consume_set_opts(fx->c, &fx->opts);
	fx->c->cpus = CPUS;
	struct wire_site *sites = (struct wire_site *)((uint8_t *)fx->shm + fx->shm->site_off);
	sites[1].kind = WIRE_SITE_ENTRY; /* the others are the tool's */
}

/* Number @v, of thread v % 2, at time @tsc. */
static void put(struct fx *fx, uint64_t v, uint64_t tsc, uint16_t clause)
{
	fx_rec(fx, (uint32_t)(v % 2), WIRE_REC_DATA, clause, 1, tsc, &v, 8);
}

static void in_order(uint32_t cnt)
{
	uint32_t wrong = got.wrong;
	for (uint32_t i = 0; i < got.cnt; i++)
		wrong += got.at[i] / 2 != i; /* its time's rank */
	CHECK_EQ(got.cnt, cnt);
	CHECK_EQ(wrong, 0);
}

/* Both rings, in rows of @row, over and over again round the rings. */
static void rows_of(uint32_t row, uint32_t every)
{
	struct fx fx;
	uint64_t at = 0;
	begin(&fx);
	for (uint32_t round = 0; round < 12; round++) {
		for (uint32_t i = 0; i < 1500; i++, at++)
			put(&fx, 2 * at + at / row % 2, 1000 + at, every && at % every == 0);
		fx_drain(&fx);
	}
	in_order(12 * 1500);
	CHECK(row > 1 ? got.together > got.cnt / 2 : got.together > 0);
	CHECK(every != 1 || !got.together);
	fx_deinit(&fx);
}

static void rows_of_any_length(void)
{
	static const uint32_t rows[] = { 1, 2, 3, 127, 128, 129, 1000, 100000 };
	for (uint32_t i = 0; i < ARRAY_CNT(rows); i++) {
		rows_of(rows[i], 0);
		if (rows[i] > 1)
			rows_of(rows[i], 7);
	}
}

/* Equal times: the lower area first, as it is one by one. */
static void at_the_same_time(void)
{
	struct fx fx;
	begin(&fx);
	for (uint64_t i = 0; i < 10; i++)
		put(&fx, 2 * (10 + i) + 1, 500, 0);
	for (uint64_t i = 0; i < 10; i++)
		put(&fx, 2 * i, 500, 0);
	fx_drain(&fx);
	in_order(20);
	fx_deinit(&fx);
}

/* Faults and what the tool's probes record are not given so. */
static void others_go_their_way(void)
{
	struct wire_rec_error fault = { .fault = WIRE_FAULT_DIVZERO };
	struct fx fx;
	uint64_t v = 0;
	begin(&fx);
	put(&fx, 0, 10, 0);
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 3, 11, &v, 8);
	put(&fx, 2, 12, 0);
	fx_rec(&fx, 0, WIRE_REC_ERROR, 0, 1, 13, &fault, sizeof(fault));
	put(&fx, 4, 14, 0);
	fx_drain(&fx);
	CHECK_EQ(got.together, 3);
	CHECK_EQ(got.cnt, 4);
	fx_deinit(&fx);
}

/* The process wrote over what it had recorded. */
static void headers_that_lie(void)
{
	static const uint32_t lengths[] = { 0, 7, 8, 16, 23, 24, 33, 40, 65536, 65528, UINT32_MAX, UINT32_MAX - 7 };
	for (uint32_t i = 0; i < ARRAY_CNT(lengths); i++) {
		struct fx fx;
		struct err e;
		begin(&fx);
		for (uint64_t n = 0; n < 10; n++)
			put(&fx, 2 * n, 100 + n, 0);
		uint8_t *data = (uint8_t *)fx_thread(&fx, 0) + fx.shm->geom.ring_off;
		((struct wire_rec *)(data + 3 * (sizeof(struct wire_rec) + 8)))->bytes = lengths[i];
		((struct wire_rec *)(data + 5 * (sizeof(struct wire_rec) + 8)))->clause = 0xffff;
		((struct wire_rec *)(data + 6 * (sizeof(struct wire_rec) + 8)))->site = 0xffffffff;
		CHECK(consume_drain(fx.c, true, &e) >= 3);
		CHECK(got.cnt >= 3);
		fx_deinit(&fx);
	}
}

/* A number of a CPU that there is not is no other CPU, whichever way the record goes. */
static void cpus_that_there_are_not(void)
{
	static const uint16_t says[] = { 0, 1, CPUS, CPUS + 1, 0x7fff, 0xffff };
	for (uint32_t i = 0; i < 2 * ARRAY_CNT(says); i++) {
		struct fx fx;
		begin(&fx);
		put(&fx, 0, 100, i % 2);
		((struct wire_rec *)((uint8_t *)fx_thread(&fx, 0) + fx.shm->geom.ring_off))->cpu = says[i / 2];
		fx_drain(&fx);
		CHECK_EQ(got.cnt, 1);
		CHECK_EQ(got.together, i % 2 ? 0 : 1);
		CHECK_EQ(got.cpu, says[i / 2] < CPUS ? says[i / 2] : 0);
		fx_deinit(&fx);
	}
}

static void an_error_ends_it(void)
{
	struct fx fx;
	struct err e = { 0 };
	begin(&fx);
	got.fail_at = 128;
	for (uint64_t n = 0; n < 500; n++)
		put(&fx, 2 * n, 100 + n, 0);
	CHECK_EQ(consume_drain(fx.c, true, &e), -ENOSPC);
	CHECK_STR(e.msg, "no room");
	CHECK_EQ(got.cnt, 128);
	fx_deinit(&fx);
}

TAP_MAIN(TEST(rows_of_any_length), TEST(at_the_same_time), TEST(others_go_their_way), TEST(headers_that_lie),
	 TEST(cpus_that_there_are_not), TEST(an_error_ends_it))
