/* SPDX-License-Identifier: MIT */
#include "fixture.h"

static struct plan_val int8b = { .kind = PLAN_INT, .off = 0, .size = 8, .is_signed = true };
static struct plan_val int4b = { .kind = PLAN_INT, .off = 0, .size = 4, .is_signed = true };
static struct plan_val str0 = { .kind = PLAN_STR, .off = 0 };

static struct plan_act act(enum plan_act_kind kind, struct plan_val *v, uint32_t cnt)
{
	return (struct plan_act){ .kind = kind, .guard = -1, .vals = v, .val_cnt = cnt };
}
static struct plan_clause clause(struct plan_act *acts, uint32_t cnt)
{
	return (struct plan_clause){ .acts = acts, .act_cnt = cnt, .mask_off = WIRE_NONE };
}

/* A string field and its tail. */
struct str_payload {
	struct wire_vref ref;
	char s[24];
};
static struct str_payload str_payload(const char *s)
{
	struct str_payload p = { .ref = { 8, (uint32_t)strlen(s) } };
	memcpy(p.s, s, strlen(s));
	return p;
}

static void heading_and_prefix(void)
{
	struct plan_act a[] = { act(PLAN_TRACE, &int4b, 1), act(PLAN_EXIT, &int4b, 1) };
	struct plan_clause cl[] = { clause(&a[0], 1), clause(NULL, 0), clause(&a[1], 1) };
	struct fx fx;
	int status = 0;
	fx_init(&fx, cl, 3, NULL, NULL, 0);
	int64_t v = -5, st = 3;
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 0, 10, &v, 8);
	fx_rec(&fx, 1, WIRE_REC_DATA, 1, 1, 11, NULL, 0);
	fx_rec(&fx, 0, WIRE_REC_DATA, 2, 0, 12, &st, 8);
	CHECK(!consume_exited(fx.c, &status));
	fx_drain(&fx);
	CHECK(consume_exited(fx.c, &status));
	CHECK_EQ(status, 3);
	CHECK_STR(fx_out(&fx),
		  "CPU     ID                    FUNCTION:NAME\n"
		  "  0      1                           :BEGIN          -5\n"
		  "  1     42                     malloc:entry \n"
		  "  0      1                           :BEGIN \n");
	fx_deinit(&fx);
}

static void trace_forms(void)
{
	static const struct { struct plan_val v; uint64_t u; const char *loud, *quiet; } cases[] = {
		{ { .size = 1, .is_signed = true }, (uint64_t)-1, "  -1", "-1" },
		{ { .size = 2, .is_signed = true }, (uint64_t)-2, "    -2", "-2" },
		{ { .size = 4 }, 7, "          7", "7" },
		{ { .size = 8, .is_signed = true }, 7, "                   7", "7" },
		{ { .size = 8 }, UINT64_MAX, " 18446744073709551615", "18446744073709551615" },
	};
	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct plan_val v = cases[i].v;
		struct plan_act a = act(PLAN_TRACE, &v, 1);
		struct plan_clause cl = clause(&a, 1);
		struct fx fx;
		fx_init(&fx, &cl, 1, NULL, NULL, 0);
		struct datum_src src = { (const uint8_t *)&cases[i].u, 8, 0, NULL };
		consume_val_print_trace(fx.c, fx.out_fp, &v, &src);
		CHECK_STR(fx_out(&fx), cases[i].loud);
		fx.c->opts.quiet = true;
		rewind(fx.out_fp);
		consume_val_print_trace(fx.c, fx.out_fp, &v, &src);
		fputc(0, fx.out_fp);
		CHECK_STR(fx_out(&fx), cases[i].quiet);
		fx_deinit(&fx);
	}
}

static void trace_string(void)
{
	struct plan_act a = act(PLAN_TRACE, &str0, 1);
	struct plan_clause cl = clause(&a, 1);
	struct fx fx;
	fx_init(&fx, &cl, 1, NULL, NULL, 0);
	struct str_payload p = str_payload("hello"), q = str_payload("a\0b");
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 1, 1, &p, sizeof(p));
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 1, 2, &q, sizeof(q));
	fx_drain(&fx);
	CHECK_STR(fx_out(&fx),
		  "CPU     ID                    FUNCTION:NAME\n"
		  "  0     42                     malloc:entry   hello                            \n"
		  "  0     42                     malloc:entry   a                                \n");
	fx_deinit(&fx);
}

/* One clause that prints "%d " of an int64_t, and nothing else. */
struct numbers {
	struct fx fx;
	struct plan_val v[1];
	struct plan_act a;
	struct plan_clause cl;
};

static void numbers_init(struct numbers *n)
{
	n->v[0] = int8b;
	n->a = act(PLAN_PRINTF, n->v, 1);
	n->a.fmt = (char *)"%d ";
	n->cl = clause(&n->a, 1);
	fx_init(&n->fx, &n->cl, 1, NULL, NULL, 0);
	n->fx.c->opts.quiet = true;
}

static void merged_by_time(void)
{
	struct numbers n;
	numbers_init(&n);
	for (uint64_t i = 0; i < 9; i++)
		fx_rec(&n.fx, i % 3 == 1, WIRE_REC_DATA, 0, 0, 100 + i, &i, 8);
	fx_drain(&n.fx);
	CHECK_STR(fx_out(&n.fx), "0 1 2 3 4 5 6 7 8 ");
	fx_deinit(&n.fx);
}

/* What a running probe may still write is waited for, and what is younger with it. */
static void watermark_holds_back(void)
{
	struct numbers n;
	struct err e;
	numbers_init(&n);
	uint64_t now = rt_now_tsc(), one = 1, two = 2, three = 3;
	struct wire_thread *t1 = fx_thread(&n.fx, 1);
	struct rt_ctx *ctx = (struct rt_ctx *)((uint8_t *)t1 + n.fx.shm->geom.ctx_off);
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, now - 100, &one, 8);
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, now - 10, &three, 8);
	ctx->tsc = now - 50;
	t1->level = 1;
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 1);
	CHECK_STR(fx_out(&n.fx), "1 ");
	CHECK(!consume_thread_drained(n.fx.c, 0));
	fx_rec(&n.fx, 1, WIRE_REC_DATA, 0, 0, now - 50, &two, 8);
	t1->level = 0;
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 2);
	CHECK_STR(fx_out(&n.fx), "1 2 3 ");
	CHECK(consume_thread_drained(n.fx.c, 0));
	/* A probe of the kernel that has not asked for the time. */
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, now - 5, &one, 8);
	ctx->tsc = 0;
	t1->level = 1;
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 1);
	CHECK_STR(fx_out(&n.fx), "1 2 3 1 ");
	fx_deinit(&n.fx);
}

/* So is what a quick record may become that is open: no older than the last look at which it was not. */
static void watermark_sees_quick_records(void)
{
	struct numbers n;
	struct err e;
	numbers_init(&n);
	uint64_t one = 1, two = 2, three = 3;
	struct wire_thread *t1 = fx_thread(&n.fx, 1);
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, rt_now_tsc(), &one, 8);
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 1);
	t1->ring.timed = 1;
	uint64_t then = rt_now_tsc();
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, rt_now_tsc(), &three, 8);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(consume_drain(n.fx.c, false, &e), 0);
	t1->ring.timed = 0;
	fx_rec(&n.fx, 1, WIRE_REC_DATA, 0, 0, then, &two, 8);
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 2);
	CHECK_STR(fx_out(&n.fx), "1 2 3 ");
	/* One that is open in the ring. */
	t1->ring.quick_at = t1->ring.published;
	t1->ring.quick_end = t1->ring.published + 32;
	then = rt_now_tsc();
	fx_rec(&n.fx, 0, WIRE_REC_DATA, 0, 0, rt_now_tsc(), &three, 8);
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 0);
	t1->ring.quick_end = 0;
	fx_rec(&n.fx, 1, WIRE_REC_DATA, 0, 0, then, &two, 8);
	uint32_t drains = n.fx.shm->drains;
	CHECK_EQ(consume_drain(n.fx.c, false, &e), 2);
	CHECK_STR(fx_out(&n.fx), "1 2 3 2 3 ");
	CHECK_EQ(n.fx.shm->drains, drains + 1);
	fx_deinit(&n.fx);
}

/* It takes no place in the record. */
static void its_own_time(void)
{
	struct plan_val v[] = { { .kind = PLAN_TIME, .size = 8 }, int8b };
	struct plan_act a = act(PLAN_PRINTF, v, 2);
	struct plan_clause cl = clause(&a, 1);
	struct fx fx;
	a.fmt = (char *)"%d %d";
	fx_init(&fx, &cl, 1, NULL, NULL, 0);
	fx.c->opts.quiet = true;
	uint64_t seven = 7, tsc = fx.shm->tsc_base + 12345678;
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 0, tsc, &seven, 8);
	fx_drain(&fx);
	char want[64];
	snprintf(want, sizeof(want), "%llu 7", (unsigned long long)rt_tsc_to_ns(fx.shm, tsc));
	CHECK_STR(fx_out(&fx), want);
	fx_deinit(&fx);
}

static void branches(void)
{
	struct plan_val v[] = { { .kind = PLAN_INT, .off = 8, .size = 8 } };
	struct plan_act a[] = { act(PLAN_PRINTF, v, 1), act(PLAN_PRINTF, NULL, 0) };
	a[0].fmt = (char *)"yes %d";
	a[0].guard = 1;
	a[1].fmt = (char *)"no";
	a[1].guard = 0;
	struct plan_clause cl = clause(a, 2);
	cl.mask_off = 0;
	struct fx fx;
	fx_init(&fx, &cl, 1, NULL, NULL, 0);
	fx.c->opts.quiet = true;
	uint64_t p[] = { 2, 77 };
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 0, 1, p, sizeof(p));
	fx_drain(&fx);
	CHECK_STR(fx_out(&fx), "yes 77");
	fx_deinit(&fx);
}

static void flow(void)
{
	struct plan_clause cl[] = { clause(NULL, 0) };
	struct fx fx;
	fx_init(&fx, cl, 1, NULL, NULL, 0);
	fx.c->opts.flowindent = true;
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 1, 1, NULL, 0);
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 0, 2, NULL, 0);
	fx_rec(&fx, 0, WIRE_REC_DATA, 0, 2, 3, NULL, 0);
	fx_drain(&fx);
	CHECK_STR(fx_out(&fx),
		  "CPU FUNCTION                                 \n"
		  "  0  -> malloc                                \n"
		  "  0   | :BEGIN                                \n"
		  "  0  <- malloc                                \n");
	fx_deinit(&fx);
}

static uint32_t errors_seen;
static void on_error(void *arg, const struct wire_rec *rec, const struct wire_rec_error *e)
{
	(void)arg;
	errors_seen++;
	CHECK_EQ(rec->site, 1);
	CHECK_EQ(e->action, 2);
}

static void faults(void)
{
	struct plan_clause cl[] = { clause(NULL, 0) };
	struct fx fx;
	fx_init(&fx, cl, 1, NULL, NULL, 0);
	fx.c->opts.on_error = on_error;
	struct wire_rec_error e = { WIRE_FAULT_BADADDR, 12, 0x10, 2 };
	fx_rec(&fx, 0, WIRE_REC_ERROR, 0, 1, 1, &e, sizeof(e));
	e.fault = WIRE_FAULT_DIVZERO;
	fx_rec(&fx, 0, WIRE_REC_ERROR, 0, 1, 2, &e, sizeof(e));
	/* An ERROR clause that fails does not fire itself, and is counted. */
	fx_rec(&fx, 0, WIRE_REC_ERROR, 0, 3, 3, &e, sizeof(e));
	fx_rec(&fx, 0, WIRE_REC_ERROR, 0, 3, 4, &e, sizeof(e));
	errors_seen = 0;
	fx_drain(&fx);
	CHECK_EQ(errors_seen, 2);
	CHECK_EQ(consume_report_drops(fx.c), 2);
	CHECK_EQ(consume_report_drops(fx.c), 2);
	CHECK_STR(fx_errs(&fx),
		  "dtrace: error in dt_clause_0 for probe ID 42 (pid7:libc.so.6:malloc:entry): invalid address (0x10) at BPF pc 12\n"
		  "dtrace: error in dt_clause_0 for probe ID 42 (pid7:libc.so.6:malloc:entry): divide-by-zero at BPF pc 12\n"
		  "dtrace: 2 errors in ERROR probe enabling\n");
	fx_deinit(&fx);
}

static void losses(void)
{
	struct plan_probe_desc d = { (char *)"pid$target", (char *)"", (char *)"malloc", (char *)"entry", 1, 1 };
	struct plan_clause cl[] = { clause(NULL, 0) };
	cl[0].descs = &d;
	cl[0].desc_cnt = 1;
	struct fx fx;
	fx_init(&fx, cl, 1, NULL, NULL, 0);
	fx_rec(&fx, 1, WIRE_REC_DATA, 0, 1, 1, NULL, 0);
	fx_drain(&fx);
	struct wire_thread *t = fx_thread(&fx, 1);
	uint64_t *drops = (uint64_t *)((uint8_t *)t + fx.shm->geom.drops_off);
	drops[0] = 3;
	t->agg_drops = 1;
	CHECK_EQ(consume_report_drops(fx.c), 4);
	fx.opts.dropdetail = true;
	consume_set_opts(fx.c, &fx.opts);
	t->agg_drops = 2;
	drops[0] = 4;
	t->dyn_drops = 2;
	CHECK_EQ(consume_report_drops(fx.c), 8);
	CHECK_EQ(consume_report_drops(fx.c), 8);
	CHECK_STR(fx_errs(&fx),
		  "dtrace: 3 drops on CPU 1\n"
		  "dtrace: 1 aggregation drop on CPU 1\n"
		  "dtrace: 1 drop on CPU 1 (thread 101: pid$target::malloc:entry)\n"
		  "dtrace: 1 aggregation drop on CPU 1 (thread 101)\n"
		  "dtrace: 2 dynamic variable drops\n");
	fx_deinit(&fx);
}

/* A slot that changes hands: the next thread's records are read from its start. */
static void slot_reused(void)
{
	struct numbers n;
	struct err e;
	numbers_init(&n);
	for (uint64_t i = 1; i <= 3; i++) {
		fx_rec(&n.fx, 1, WIRE_REC_DATA, 0, 0, i, &i, 8);
		fx_thread(&n.fx, 1)->state = WIRE_THREAD_DEAD;
		fx_drain(&n.fx);
		CHECK(consume_thread_drained(n.fx.c, 1));
		CHECK_EQ(consume_fold_thread(n.fx.c, 1, &e), 0);
		fx_drain(&n.fx);
		memset(fx_thread(&n.fx, 1), 0, sizeof(struct wire_thread));
		fx_thread_start(&n.fx, 1);
		fx_thread(&n.fx, 1)->incarnation = (uint32_t)i;
	}
	CHECK_STR(fx_out(&n.fx), "1 2 3 ");
	fx_deinit(&n.fx);
}

TAP_MAIN(TEST(heading_and_prefix), TEST(trace_forms), TEST(trace_string), TEST(merged_by_time),
	 TEST(watermark_holds_back), TEST(watermark_sees_quick_records), TEST(its_own_time), TEST(branches), TEST(flow), TEST(faults),
	 TEST(losses), TEST(slot_reused))
