/* SPDX-License-Identifier: MIT */
/* Aggregations: merged over threads, sorted, printed, cleared, cut. */
#include "fixture.h"

/* @a[int key], @b[string key] */
static struct plan_val key_int = { .kind = PLAN_INT, .size = 4, .is_signed = true };
static struct plan_val key_str = { .kind = PLAN_STR };
static struct plan_val key_stack = { .kind = PLAN_USTACK };
static struct plan_agg aggs[] = {
	{ .name = (char *)"a", .keys = &key_int, .key_cnt = 1, .key_bytes = 8 },
	{ .name = (char *)"b", .keys = &key_str, .key_cnt = 1, .key_bytes = 8 },
	{ .name = (char *)"c", .keys = &key_int, .key_cnt = 1, .key_bytes = 8 },
	{ .name = (char *)"" },
	{ .name = (char *)"s", .keys = &key_stack, .key_cnt = 1, .key_bytes = 16 },
};
static struct wire_agg descs[] = {
	{ .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 },
	{ .fn = WIRE_AGG_MAX, .val_cnt = 1 }, { .fn = WIRE_AGG_AVG, .val_cnt = 2 },
	{ .fn = WIRE_AGG_COUNT, .val_cnt = 1 },
};
static struct plan_clause clauses[] = { { .mask_off = WIRE_NONE } };

static void setup(struct fx *fx) { fx_init(fx, clauses, 1, aggs, descs, 5); }

/* Adds through rt, as a program on thread @t does. */
static void add(struct fx *fx, uint32_t t, uint32_t agg, const void *key, uint32_t fixed, uint32_t bytes, int64_t v)
{
	struct wire_thread *thr = fx_thread(fx, t);
	struct wire_proc *proc = (struct wire_proc *)((uint8_t *)fx->shm + fx->shm->proc_off) + 1;
	const struct wire_site *site = (const struct wire_site *)((uint8_t *)fx->shm + fx->shm->site_off);
	struct rt_ctx *ctx = rt_enter(fx->shm, proc, thr, site, 0x1000);
	if (!CHECK(ctx != NULL))
		return;
	struct wire_tuple *tup = (struct wire_tuple *)ctx->scratch;
	tup->bytes = bytes;
	tup->fixed_bytes = fixed;
	memcpy(tup->data, key, bytes);
	rt_agg(ctx, agg, bytes ? 0 : WIRE_NONE, (uint64_t)v, 1);
	rt_leave(ctx);
}
static void add_int(struct fx *fx, uint32_t t, uint32_t agg, int64_t key, int64_t v) { add(fx, t, agg, &key, 8, 8, v); }
static void add_str(struct fx *fx, uint32_t t, uint32_t agg, const char *key, int64_t v)
{
	struct { struct wire_vref ref; char s[32]; } p = { .ref = { 8, (uint32_t)strlen(key) } };
	memcpy(p.s, key, strlen(key));
	add(fx, t, agg, &p, 8, 8 + (uint32_t)align_up(strlen(key) + 1, 8), v);
}

static void at_end(void)
{
	struct fx fx;
	struct err e;
	setup(&fx);
	add_int(&fx, 0, 0, 7, 1);
	add_int(&fx, 1, 0, 7, 1);
	add_int(&fx, 1, 0, -3, 1);
	add_str(&fx, 0, 1, "read", 100);
	add_str(&fx, 1, 1, "read", 11);
	add_str(&fx, 1, 1, "write", -5);
	add(&fx, 0, 3, "", 0, 0, 10);
	add(&fx, 1, 3, "", 0, 0, 5);
	CHECK_EQ(consume_print_aggs(fx.c, &e), 0);
	CHECK_STR(fx_out(&fx),
		  "       -3                1\n"
		  "        7                2\n"
		  "  write                                                            -5\n"
		  "  read                                                            111\n"
		  "                7\n");
	fx_deinit(&fx);
}

static void sorting(void)
{
	struct fx fx;
	struct err e;
	uint32_t a = 2;
	setup(&fx);
	add_int(&fx, 0, 2, 1, 30);
	add_int(&fx, 0, 2, 2, 10);
	add_int(&fx, 0, 2, 3, 20);
	consume_agg_print_default(fx.c, fx.out_fp, &a, 1, &e);
	fx.c->opts.aggsortrev = true;
	consume_agg_print_default(fx.c, fx.out_fp, &a, 1, &e);
	fx.c->opts.aggsortkey = true;
	consume_agg_print_default(fx.c, fx.out_fp, &a, 1, &e);
	CHECK_STR(fx_out(&fx),
		  "\n        2               10\n        3               20\n        1               30\n"
		  "\n        1               30\n        3               20\n        2               10\n"
		  "\n        3               20\n        2               10\n        1               30\n");
	size_t len = fx.out_len;
	CHECK_EQ(consume_print_aggs(fx.c, &e), 0);
	fx_out(&fx);
	CHECK_EQ(fx.out_len, len); /* shown already */
	fx_deinit(&fx);
}

static const char *shown(struct fx *fx, uint32_t agg)
{
	static char buf[2000];
	struct err e;
	size_t before = fx->out_len;
	fx_out(fx);
	before = fx->out_len;
	fx->c->snap_valid = false;
	consume_agg_print_default(fx->c, fx->out_fp, &agg, 1, &e);
	snprintf(buf, sizeof(buf), "%s", fx_out(fx) + before);
	return buf;
}

static void clear_keeps_keys(void)
{
	struct fx fx;
	struct err e;
	setup(&fx);
	add_int(&fx, 0, 0, 1, 1);
	add_int(&fx, 1, 0, 2, 1);
	add_int(&fx, 1, 2, 9, 9);
	CHECK_EQ(consume_agg_clear(fx.c, 0, &e), 0);
	CHECK_STR(shown(&fx, 0), "\n        1                0\n        2                0\n");
	CHECK_STR(shown(&fx, 2), "\n        9                9\n");
	add_int(&fx, 0, 0, 2, 1);
	CHECK_STR(shown(&fx, 0), "\n        1                0\n        2                1\n");
	fx_deinit(&fx);
}

static void trunc_keeps_the_top(void)
{
	struct fx fx;
	struct err e;
	setup(&fx);
	for (int i = 1; i <= 5; i++)
		add_int(&fx, i & 1, 2, i, i * 10);
	CHECK_EQ(consume_agg_trunc(fx.c, 2, 2, &e), 0);
	CHECK_STR(shown(&fx, 2), "\n        4               40\n        5               50\n");
	add_int(&fx, 0, 2, 1, 45);
	CHECK_STR(shown(&fx, 2), "\n        4               40\n        1               45\n        5               50\n");
	CHECK_EQ(consume_agg_trunc(fx.c, 2, -1, &e), 0);
	CHECK_STR(shown(&fx, 2), "\n        4               40\n");
	CHECK_EQ(consume_agg_trunc(fx.c, 2, 0, &e), 0);
	CHECK_STR(shown(&fx, 2), "\n");
	fx_deinit(&fx);
}

static void normalized(void)
{
	struct fx fx;
	setup(&fx);
	add_str(&fx, 0, 1, "x", 1000);
	fx.c->normal[1] = 10;
	CHECK_STR(shown(&fx, 1), "\n  x                                                               100\n");
	fx.c->normal[1] = 1;
	CHECK_STR(shown(&fx, 1), "\n  x                                                              1000\n");
	fx_deinit(&fx);
}

static void joined(void)
{
	struct fx fx;
	struct err e;
	struct fmt f;
	uint32_t both[] = { 0, 2 };
	setup(&fx);
	add_int(&fx, 0, 0, 1, 1);
	add_int(&fx, 1, 0, 1, 1);
	add_int(&fx, 0, 0, 2, 1);
	add_int(&fx, 1, 2, 3, 33);
	add_int(&fx, 1, 2, 1, 11);
	CHECK_EQ(consume_agg_print_default(fx.c, fx.out_fp, both, 2, &e), 0);
	CHECK_EQ(consume_fmt_parse("%d: %@d and %@x\n", &f, &e), 0);
	CHECK_EQ(consume_agg_print_fmt(fx.c, fx.out_fp, &f, both, 2, &e), 0);
	fx.c->opts.aggsortpos = 1;
	CHECK_EQ(consume_agg_print_fmt(fx.c, fx.out_fp, &f, both, 2, &e), 0);
	consume_fmt_deinit(&f);
	CHECK_STR(fx_out(&fx),
		  "\n        3                0               33\n"
		  "        2                1                0\n"
		  "        1                2               11\n"
		  "3: 0 and 21\n2: 1 and 0\n1: 2 and b\n"
		  "2: 1 and 0\n1: 2 and b\n3: 0 and 21\n");
	fx_deinit(&fx);
}

static void thread_that_ends(void)
{
	struct fx fx;
	struct err e;
	setup(&fx);
	add_int(&fx, 0, 0, 1, 1);
	add_int(&fx, 1, 0, 1, 1);
	fx_thread(&fx, 1)->state = WIRE_THREAD_DEAD;
	CHECK_STR(shown(&fx, 0), "\n        1                2\n");
	CHECK_EQ(consume_fold_thread(fx.c, 1, &e), 0);
	CHECK_STR(shown(&fx, 0), "\n        1                2\n");
	memset(fx_thread(&fx, 1), 0, fx.shm->geom.stride);
	CHECK_STR(shown(&fx, 0), "\n        1                2\n");
	fx_deinit(&fx);
}

/* Another thread in the same slot, which has ended. */
static void short_thread(struct fx *fx, uint32_t nr, int64_t key)
{
	struct err e;
	memset(fx_thread(fx, 1), 0, fx->shm->geom.stride);
	fx_thread_start(fx, 1);
	fx_thread(fx, 1)->incarnation = nr;
	add_int(fx, 1, 0, key, 1);
	add_str(fx, 1, 1, "zero", 0);
	fx_thread(fx, 1)->state = WIRE_THREAD_DEAD;
	CHECK_EQ(consume_fold_thread(fx->c, 1, &e), 0);
}

static void truncate_all(struct fx *fx)
{
	struct err e;
	fx->c->snap_valid = false;
	CHECK_EQ(consume_agg_trunc(fx->c, 0, 0, &e), 0);
	fx->c->snap_valid = false;
	CHECK_EQ(consume_agg_trunc(fx->c, 1, 0, &e), 0);
}

/* What was shown and truncated of threads that ended takes no memory for ever. */
static void many_short_threads(void)
{
	struct fx fx;
	setup(&fx);
	add_int(&fx, 0, 0, 7000, 1);
	add_str(&fx, 0, 1, "zero", 0);
	for (uint32_t i = 1; i <= 2000; i++) {
		char want[64];
		short_thread(&fx, i, i);
		if (i == 1000)
			add_int(&fx, 0, 0, 7000, 1);
		snprintf(want, sizeof(want), i == 1 || i == 1000 ? "\n %8u                1\n     7000                1\n" :
			 "\n %8u                1\n", i);
		CHECK_STR(shown(&fx, 0), want);
		truncate_all(&fx);
		CHECK_STR(shown(&fx, 0), "\n");
		CHECK_STR(shown(&fx, 1), "\n");
	}
	CHECK(fx.c->base.cnt < 200 && fx.c->floor.cnt < 200);
	short_thread(&fx, 2001, 5); /* a key that was there before */
	CHECK_STR(shown(&fx, 0), "\n        5                1\n");
	fx_deinit(&fx);
}

static void add_stack(struct fx *fx, uint32_t t, const uint64_t *pcs, uint32_t cnt)
{
	struct { struct wire_vref ref; uint64_t pid, pcs[8]; } p = { .ref = { 16, 8 * cnt }, .pid = 1000 + t };
	memcpy(p.pcs, pcs, 8ul * cnt);
	add(fx, t, 4, &p, 16, 16 + 8 * cnt, 1);
}
#define STACK(fx, t, ...) \
	add_stack(fx, t, (const uint64_t[]){ __VA_ARGS__ }, ARRAY_CNT(((const uint64_t[]){ __VA_ARGS__ })))

/* Functions of 256 bytes; process 2 has them 0x10000 higher. */
static bool by_hundreds(void *arg, uint32_t proc, uint64_t addr, struct consume_sym *ret)
{
	static const char *const names[] = { "zero", "one", "two;three" };
	(void)arg;
	addr -= proc == 2 ? 0x10000 : 0;
	if (addr >> 8 >= ARRAY_CNT(names))
		return false;
	*ret = (struct consume_sym){ .mod = "a.out", .name = names[addr >> 8], .start = addr & ~0xffULL };
	return true;
}

/* Wherever in its functions a stack was taken, and in whichever process: as one line it is one key. */
static void folded_stacks(void)
{
	struct fx fx;
	setup(&fx);
	aggs[4].pid_off = 8; /* as in programs of the kernel */
	fx.c->opts.symbolize = by_hundreds;
	fx.c->opts.foldstacks = true;
	fx_thread(&fx, 1)->proc = 2;
	STACK(&fx, 0, 0x101, 0x207);
	STACK(&fx, 0, 0x1f0, 0x207);
	STACK(&fx, 1, 0x10120, 0x10210);
	STACK(&fx, 1, 0x10120, 0x999999); /* in no module */
	STACK(&fx, 0, 0x140, 0x207, 0x301);
	STACK(&fx, 0, 0x140, 0, 0x301); /* its end, then what nobody shows */
	STACK(&fx, 0, 0x141, 0, 0x301);
	CHECK_STR(shown(&fx, 4), "\n;0x301;two_three;one                1\n;0x999999;one                1\n;one                2\n"
		  ";two_three;one                3\n");
	/* What is counted and forgotten goes by the same keys. */
	struct err e;
	CHECK_EQ(consume_agg_trunc(fx.c, 4, 0, &e), 0);
	STACK(&fx, 1, 0x10177, 0x10266);
	CHECK_STR(shown(&fx, 4), "\n;two_three;one                1\n");
	fx.c->opts.foldstacks = false;
	STACK(&fx, 0, 0x100);
	CHECK(strstr(shown(&fx, 4), "a.out`one\n") != NULL);
	fx_deinit(&fx);
}

static bool has_come, is_other;

/* A library that comes later; and another program under the same number. */
static bool in_time(void *arg, uint32_t proc, uint64_t addr, struct consume_sym *ret)
{
	(void)arg;
	(void)proc;
	if (addr >> 8 != 1 && !has_come)
		return false;
	*ret = (struct consume_sym){ .mod = "lib", .name = is_other ? "other" : addr >> 8 == 1 ? "one" : "late" };
	return true;
}

/* What an address was called stands until it is known better, or is of another process. */
static void folded_anew(void)
{
	struct fx fx;
	setup(&fx);
	struct wire_proc *procs = (struct wire_proc *)((uint8_t *)fx.shm + fx.shm->proc_off);
	aggs[4].pid_off = 8; /* as in programs of the kernel */
	procs[1].pid = 7;
	fx.c->opts.symbolize = in_time;
	fx.c->opts.foldstacks = true;
	STACK(&fx, 0, 0x101, 0x501);
	CHECK_STR(shown(&fx, 4), "\n;0x501;one                1\n");
	has_come = true;
	STACK(&fx, 1, 0x101, 0x501);
	CHECK_STR(shown(&fx, 4), "\n;late;one                2\n");
	procs[1].pid = 8;
	is_other = true;
	CHECK_STR(shown(&fx, 4), "\n;other;other                2\n");
	fx_deinit(&fx);
}

TAP_MAIN(TEST(at_end), TEST(sorting), TEST(clear_keeps_keys), TEST(trunc_keeps_the_top), TEST(normalized), TEST(joined),
	 TEST(thread_that_ends), TEST(many_short_threads), TEST(folded_stacks), TEST(folded_anew))
