/* SPDX-License-Identifier: MIT */
/* Aggregations against simple models. */
#include "../tap.h"
#include "rt/agg.h"
#include "shm.h"

static struct wire_shm *shm;

static void make(uint32_t i, enum wire_agg_fn fn, uint32_t val_cnt)
{
	*shm_agg(shm, i) = (struct wire_agg){ .fn = fn, .val_cnt = val_cnt, .base = -20, .limit = 100, .step = 7 };
}

#define LQ_WORDS ((100 + 20) / 7 + 2)

static void begin(const struct shm_opts *o)
{
	shm = shm_create(o);
	make(WIRE_AGG_COUNT, WIRE_AGG_COUNT, 1);
	make(WIRE_AGG_SUM, WIRE_AGG_SUM, 1);
	make(WIRE_AGG_MIN, WIRE_AGG_MIN, 1);
	make(WIRE_AGG_MAX, WIRE_AGG_MAX, 1);
	make(WIRE_AGG_AVG, WIRE_AGG_AVG, 2);
	make(WIRE_AGG_STDDEV, WIRE_AGG_STDDEV, 4);
	make(WIRE_AGG_QUANTIZE, WIRE_AGG_QUANTIZE, WIRE_QUANTIZE_CNT);
	make(WIRE_AGG_LQUANTIZE, WIRE_AGG_LQUANTIZE, LQ_WORDS);
}

/* ---- what the walk shows ---- */

struct row {
	uint32_t agg, gen, key_bytes;
	uint64_t key[8];
	uint64_t val[WIRE_QUANTIZE_CNT];
};
struct rows {
	struct row r[4096];
	uint32_t cnt;
};
static struct rows rows;

static int collect(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val,
		   uint32_t val_cnt)
{
	struct rows *all = arg;
	struct row *r = &all->r[all->cnt++];
	r->agg = agg;
	r->gen = gen;
	r->key_bytes = key_bytes;
	memcpy(r->key, key, key_bytes < sizeof(r->key) ? key_bytes : sizeof(r->key));
	memcpy(r->val, val, 8 * (val_cnt < WIRE_QUANTIZE_CNT ? val_cnt : WIRE_QUANTIZE_CNT));
	return all->cnt == ARRAY_CNT(all->r);
}

static void walk(void)
{
	rows.cnt = 0;
	rt_agg_walk(shm, shm_thread(shm, 0), shm_agg(shm, 0), 16, collect, &rows);
}

static const struct row *row(uint32_t agg, uint32_t key_cnt, const uint64_t *key)
{
	for (uint32_t i = 0; i < rows.cnt; i++)
		if (rows.r[i].agg == agg && rows.r[i].key_bytes == 8 * key_cnt &&
		    (!key_cnt || !memcmp(rows.r[i].key, key, 8 * key_cnt)))
			return &rows.r[i];
	return NULL;
}

static void add(struct rt_ctx *ctx, uint32_t agg, uint32_t key_cnt, const uint64_t *key, int64_t val, uint64_t weight)
{
	rt_agg(ctx, agg, key_cnt ? shm_tuple(ctx, 0, key_cnt, key) : WIRE_NONE, (uint64_t)val, weight);
}

/* ---- values ---- */

static void scalars(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	static const int64_t vals[] = { 5, -3, INT64_MAX, INT64_MIN, 0, -1 };
	for (uint32_t a = WIRE_AGG_COUNT; a <= WIRE_AGG_STDDEV; a++)
		for (size_t i = 0; i < ARRAY_CNT(vals); i++)
			add(ctx, a, 0, NULL, vals[i], 1);
	walk();
	CHECK_EQ(rows.cnt, WIRE_AGG_STDDEV + 1);
	CHECK_EQ(row(WIRE_AGG_COUNT, 0, NULL)->val[0], 6);
	CHECK_EQ(row(WIRE_AGG_SUM, 0, NULL)->val[0], 0);
	CHECK_EQ(row(WIRE_AGG_MIN, 0, NULL)->val[0], INT64_MIN);
	CHECK_EQ(row(WIRE_AGG_MAX, 0, NULL)->val[0], INT64_MAX);
	CHECK_EQ(row(WIRE_AGG_AVG, 0, NULL)->val[0], 6);
	const struct row *r = row(WIRE_AGG_STDDEV, 0, NULL);
	unsigned __int128 want = 25 + 9 + 1 + (unsigned __int128)INT64_MAX * INT64_MAX + ((unsigned __int128)1 << 126);
	CHECK_EQ(r->val[2], (uint64_t)want);
	CHECK_EQ(r->val[3], (uint64_t)(want >> 64));
	shm_destroy(shm);
}

static uint32_t quantize_model(int64_t v)
{
	if (v < 0) {
		for (uint32_t i = 0; i < WIRE_QUANTIZE_ZERO; i++)
			if (v <= -(1LL << (WIRE_QUANTIZE_ZERO - 1 - i)))
				return i;
	}
	for (uint32_t i = WIRE_QUANTIZE_ZERO + 1; v >= 0 && i < WIRE_QUANTIZE_CNT; i++)
		if (v < 1LL << (i - WIRE_QUANTIZE_ZERO - 1))
			return i - 1;
	return WIRE_QUANTIZE_CNT - 1;
}

static int64_t odd_number(uint64_t *rnd)
{
	static const int64_t edge[] = { 0, 1, -1, 2, -2, 3, -3, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1LL << 62, -(1LL << 62) };
	uint64_t v = shm_random(rnd);
	return v % 8 ? (int64_t)v >> (v / 8 % 64) : edge[v / 8 % ARRAY_CNT(edge)];
}

static void quantize_buckets(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t rnd = 1, want[WIRE_QUANTIZE_CNT] = { 0 };
	for (int i = 0; i < 20000; i++) {
		int64_t v = odd_number(&rnd);
		want[quantize_model(v)] += (uint64_t)i;
		add(ctx, WIRE_AGG_QUANTIZE, 0, NULL, v, (uint64_t)i);
	}
	walk();
	CHECK(!memcmp(rows.r[0].val, want, sizeof(want)));
	shm_destroy(shm);
}

static void lquantize_buckets(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t want[LQ_WORDS] = { 0 };
	for (int64_t v = -40; v < 130; v++) {
		uint32_t levels = LQ_WORDS - 2;
		int64_t level = v < -20 ? -1 : (v + 20) / 7;
		want[level < 0 ? 0 : level < levels ? level + 1 : levels + 1]++;
		add(ctx, WIRE_AGG_LQUANTIZE, 0, NULL, v, 1);
	}
	add(ctx, WIRE_AGG_LQUANTIZE, 0, NULL, INT64_MAX, 1);
	add(ctx, WIRE_AGG_LQUANTIZE, 0, NULL, INT64_MIN, 1);
	want[0]++;
	want[LQ_WORDS - 1]++;
	walk();
	CHECK(!memcmp(rows.r[0].val, want, sizeof(want)));
	shm_destroy(shm);
}

/* Bounds of the buckets written down one after the other, as the guide describes them: each power
 * of the factor from low to high in steps equal parts, of which the first steps / factor belong to
 * the power below; parts narrower than 1 do not exist. */
static uint32_t llq_model(const struct wire_agg *a, int64_t v)
{
	uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v, lo = 1;
	uint32_t per = a->ll_steps / a->ll_factor, dist = 0, mid = 1 + (a->ll_high - a->ll_low + 1) * (a->ll_steps - per);
	for (uint32_t i = 0; i < a->ll_low; i++)
		lo *= a->ll_factor;
	if (abs < lo)
		return mid;
	for (uint32_t mag = a->ll_low, n = 1; mag <= a->ll_high; mag++, lo *= a->ll_factor)
		for (uint32_t step = per; step < a->ll_steps; step++, n++)
			if ((unsigned __int128)abs * a->ll_steps >= (unsigned __int128)lo * a->ll_factor * step)
				dist = n;
	if (abs >= lo)
		dist = mid;
	return v < 0 ? mid - dist : mid + dist;
}

static void llquantize_buckets(void)
{
	static const struct { uint32_t factor, low, high, steps; } p[] = {
		{ 10, 0, 6, 20 }, { 10, 0, 3, 10 }, { 2, 0, 10, 2 }, { 2, 0, 40, 4 }, { 10, 3, 9, 100 }, { 5, 0, 5, 25 },
		{ 10, 2, 2, 10 }, { 3, 1, 4, 9 }, { 10, 0, 17, 10 }, { 2, 5, 61, 8 },
	};
	uint64_t rnd = 7;
	for (size_t i = 0; i < ARRAY_CNT(p); i++) {
		struct wire_agg a = { .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = p[i].factor, .ll_low = p[i].low, .ll_high = p[i].high,
				      .ll_steps = p[i].steps };
		a.val_cnt = 3 + 2 * (a.ll_high - a.ll_low + 1) * (a.ll_steps - a.ll_steps / a.ll_factor);
		for (int k = -2000; k < 20000; k++) {
			int64_t v = k < 2000 ? k : odd_number(&rnd);
			uint32_t got = rt_agg_llq_bucket(&a, v), want = llq_model(&a, v);
			if (!CHECK_MSG(got == want && got < a.val_cnt, "llquantize(%lld, %u, %u, %u, %u) is in bucket %u, not %u",
				       (long long)v, a.ll_factor, a.ll_low, a.ll_high, a.ll_steps, got, want))
				break;
		}
	}
}

/* ---- keys ---- */

#define MODEL_KEYS 700
struct model {
	uint64_t key[3], count;
	int64_t sum, min, max;
};

static void random_keys_against_model(void)
{
	static struct model m[MODEL_KEYS];
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t rnd = 3;
	memset(m, 0, sizeof(m));
	for (int i = 0; i < 60000; i++) {
		uint64_t k = shm_random(&rnd) % MODEL_KEYS;
		struct model *e = &m[k];
		uint64_t key[3] = { k % 10, k, k << 40 };
		uint32_t key_cnt = 1 + (uint32_t)(k % 3);
		int64_t v = odd_number(&rnd) >> 20;
		memcpy(e->key, key, sizeof(key));
		e->min = !e->count || v < e->min ? v : e->min;
		e->max = !e->count || v > e->max ? v : e->max;
		e->count++;
		e->sum += v;
		key[0] = k; /* unique under each length */
		for (uint32_t a = WIRE_AGG_COUNT; a <= WIRE_AGG_MAX; a++)
			add(ctx, a, key_cnt, key, v, 1);
	}
	walk();
	uint32_t seen = 0;
	for (uint64_t k = 0; k < MODEL_KEYS; k++) {
		uint64_t key[3] = { k, k, k << 40 };
		uint32_t key_cnt = 1 + (uint32_t)(k % 3);
		if (!m[k].count)
			continue;
		seen += 4;
		const struct row *c = row(WIRE_AGG_COUNT, key_cnt, key), *s = row(WIRE_AGG_SUM, key_cnt, key);
		const struct row *lo = row(WIRE_AGG_MIN, key_cnt, key), *hi = row(WIRE_AGG_MAX, key_cnt, key);
		if (!CHECK(c && s && lo && hi))
			break;
		CHECK(c->val[0] == m[k].count && s->val[0] == (uint64_t)m[k].sum);
		CHECK(lo->val[0] == (uint64_t)m[k].min && hi->val[0] == (uint64_t)m[k].max);
	}
	CHECK_EQ(rows.cnt, seen);
	CHECK_EQ(shm_thread(shm, 0)->agg_drops, 0);
	shm_destroy(shm);
}

static void strings_and_memory_as_keys(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	static const char *const words[] = { "one", "two", "three", "one", "", "one" };
	for (size_t i = 0; i < ARRAY_CNT(words); i++) {
		rt_tuple_begin(ctx, 0, 16, 0, 0);
		rt_tuple_str(ctx, 0, 0, shm_str(ctx, 1024, words[i]), 0);
		rt_tuple_mem(ctx, 0, 8, (uint64_t)"abcdefgh", 5);
		rt_agg(ctx, 0, 0, 1, 1);
	}
	walk();
	CHECK_EQ(rows.cnt, 4);
	for (uint32_t i = 0; i < rows.cnt; i++) {
		const struct wire_vref *v = (const struct wire_vref *)rows.r[i].key;
		bool one = v[0].bytes == 3 && !memcmp((char *)rows.r[i].key + v[0].off, "one\0\0\0\0", 8);
		CHECK_EQ(rows.r[i].val[0], one ? 3 : 1);
		CHECK(v[1].bytes == 5 && !memcmp((char *)rows.r[i].key + v[1].off, "abcde\0\0", 8));
	}
	shm_destroy(shm);
}

static void full_table_counts_drops(void)
{
	begin(&(struct shm_opts){ .agg_bytes = 8192 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t k = 0;
	for (; !ctx->thr->agg_drops && k < 100000; k++)
		add(ctx, WIRE_AGG_COUNT, 1, &k, 1, 1);
	CHECK(k > 8192 / 64);
	add(ctx, WIRE_AGG_COUNT, 1, (uint64_t[]){ 0 }, 1, 1); /* an old one still has its place */
	CHECK_EQ(ctx->thr->agg_drops, 1);
	walk();
	CHECK_EQ(rows.cnt, k - 1);
	CHECK_EQ(row(WIRE_AGG_COUNT, 1, (uint64_t[]){ 0 })->val[0], 2);
	shm_destroy(shm);
	begin(&(struct shm_opts){ .agg_bytes = 64 }); /* no table at all */
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	add(ctx, WIRE_AGG_SUM, 0, NULL, 1, 1);
	CHECK_EQ(ctx->thr->agg_drops, 1);
	walk();
	CHECK_EQ(rows.cnt, 0);
	add(ctx, WIRE_AGG_COUNT, 0, NULL, 1, 1); /* needs none */
	CHECK_EQ(ctx->thr->agg_drops, 1);
	walk();
	CHECK_EQ(rows.cnt, 1);
	CHECK_EQ(row(WIRE_AGG_COUNT, 0, NULL)->val[0], 1);
	shm_destroy(shm);
}

/* It has no entry. */
static void a_count_without_a_key(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	walk();
	CHECK_EQ(rows.cnt, 0);
	add(ctx, WIRE_AGG_COUNT, 0, NULL, 1, 0);
	walk();
	CHECK_EQ(rows.cnt, 0);
	add(ctx, WIRE_AGG_COUNT, 0, NULL, 1, 2);
	add(ctx, WIRE_AGG_COUNT, 0, NULL, 1, 1);
	add(ctx, WIRE_AGG_COUNT, 1, (uint64_t[]){ 0 }, 1, 5);
	walk();
	CHECK_EQ(rows.cnt, 2);
	CHECK_EQ(row(WIRE_AGG_COUNT, 0, NULL)->val[0], 3);
	CHECK_EQ(row(WIRE_AGG_COUNT, 1, (uint64_t[]){ 0 })->val[0], 5);
	CHECK_EQ(ctx->thr->agg_cnt, 1);
	shm_destroy(shm);
}

static void new_generation_starts_afresh(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	for (uint32_t a = WIRE_AGG_SUM; a <= WIRE_AGG_STDDEV; a++)
		add(ctx, a, 0, NULL, -7, 1);
	for (uint32_t a = WIRE_AGG_SUM; a <= WIRE_AGG_STDDEV; a++)
		shm_agg(shm, a)->gen++;
	walk();
	CHECK_EQ(rows.r[0].gen, 0);
	for (uint32_t a = WIRE_AGG_SUM; a <= WIRE_AGG_STDDEV; a++)
		add(ctx, a, 0, NULL, -2, 1);
	walk();
	CHECK_EQ(rows.cnt, WIRE_AGG_STDDEV);
	for (uint32_t i = 0; i < rows.cnt; i++)
		CHECK_EQ(rows.r[i].gen, 1);
	CHECK_EQ(row(WIRE_AGG_SUM, 0, NULL)->val[0], -2);
	CHECK_EQ(row(WIRE_AGG_MIN, 0, NULL)->val[0], -2);
	CHECK_EQ(row(WIRE_AGG_MAX, 0, NULL)->val[0], -2);
	CHECK_EQ(row(WIRE_AGG_STDDEV, 0, NULL)->val[2], 4);
	shm_destroy(shm);
}

/* ---- a target that writes what it likes ---- */

static int touch(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val,
		 uint32_t val_cnt)
{
	const uint8_t *lo = (const uint8_t *)shm_thread(shm, 0) + shm->geom.agg_off, *hi = lo + shm->geom.agg_bytes;
	bool in = key >= lo && key + key_bytes <= hi && (const uint8_t *)val >= lo && (const uint8_t *)(val + val_cnt) <= hi;
	(void)gen;
	return *(uint64_t *)arg += !in || agg >= 16, 0;
}

static void walk_trusts_nothing(void)
{
	begin(&(struct shm_opts){ .agg_bytes = 16384 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	for (uint64_t k = 0; k < 100; k++)
		add(ctx, WIRE_AGG_COUNT, 1, &k, 1, 1);
	uint64_t rnd = 5, outside = 0;
	uint32_t *words = (uint32_t *)((uint8_t *)shm_thread(shm, 0) + shm->geom.agg_off);
	for (int i = 0; i < 3000; i++) {
		uint64_t v = shm_random(&rnd);
		words[v % (16384 / 4)] = (uint32_t)(v >> 32) >> (v >> 20 & 31);
		rt_agg_walk(shm, shm_thread(shm, 0), shm_agg(shm, 0), 16, touch, &outside);
	}
	CHECK_EQ(outside, 0);
	shm_destroy(shm);
}

/* How many entries are where a look begins. */
static uint32_t at_home(void)
{
	struct rt_agg_table t = rt_agg_table(&shm->geom);
	const uint8_t *index = (const uint8_t *)shm_thread(shm, 0) + shm->geom.agg_off;
	uint32_t n = 0;
	for (uint32_t i = 0; i < t.index_cnt; i++) {
		uint64_t place = ((const uint32_t *)index)[i];
		const struct rt_agg_entry *e = (const struct rt_agg_entry *)(index + t.arena_off + (place - 1) * 8);
		n += place && (e->hash & (t.index_cnt - 1)) == i;
	}
	return n;
}

/* Stacks: keys of many words that differ in one bit, wherever it is, or in their order. */
static void long_keys(void)
{
	static const uint32_t bits[] = { 0, 33, 63 }, lengths[] = { 5, 7, 8, 11, 12, 16, 24 };
	uint32_t cnt = 0;
	begin(&(struct shm_opts){ .agg_bytes = 1 << 18 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t l = 0; l < ARRAY_CNT(lengths); l++)
			for (uint32_t i = 0; i < lengths[l] * 4; i++) {
				uint64_t key[24], word = i / 4;
				for (uint32_t k = 0; k < lengths[l]; k++)
					key[k] = 0x7f0012345678ULL + (i % 4 < 3 ? k : (k + word) % lengths[l]) * 64;
				if (i % 4 < 3)
					key[word] ^= 1ULL << bits[i % 4];
				add(ctx, WIRE_AGG_COUNT, lengths[l], key, 1, 1);
				cnt += !round;
			}
	walk();
	CHECK_EQ(rows.cnt, cnt);
	for (uint32_t i = 0; i < rows.cnt; i++)
		CHECK_EQ(rows.r[i].val[0], 2);
	CHECK(at_home() > cnt * 9 / 10);
	rt_leave(ctx);
	shm_destroy(shm);
}

/* Where keys with stacks were is guessed: nothing comes of it, whatever is guessed. */
static void guesses_change_no_key(void)
{
	static uint32_t want[2][40];
	begin(NULL);
	struct wire_thread *thr = shm_thread(shm, 0);
	uint64_t rnd = 3;
	memset(want, 0, sizeof(want));
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t r = shm_random(&rnd), key[8] = { 8 }, n = r % 40;
		uint32_t agg = r >> 8 & 1 ? WIRE_AGG_SUM : WIRE_AGG_COUNT, words = n % 2 ? 8 : 7;
		key[1 + n % 7 % (words - 1)] = 1ULL << n;
		struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
		ctx->stack_sum = 1 + (r >> 9) % 4; /* many keys share a place */
		uint64_t *place = &thr->agg_stacks[(r >> 16) % WIRE_AGG_STACKS];
		if (r >> 11 & 1)
			*place = r >> 12 & 1 ? shm_random(&rnd) : shm->geom.agg_off + (r >> 24) % shm->geom.agg_bytes;
		add(ctx, agg, words, key, 1, 1);
		rt_leave(ctx);
		want[agg == WIRE_AGG_SUM][n]++;
	}
	walk();
	for (uint32_t n = 0; n < 40; n++)
		for (uint32_t a = 0; a < 2; a++) {
			uint64_t key[8] = { 8 };
			uint32_t words = n % 2 ? 8 : 7;
			key[1 + n % 7 % (words - 1)] = 1ULL << n;
			CHECK_EQ(row(a ? WIRE_AGG_SUM : WIRE_AGG_COUNT, words, key)->val[0], want[a][n]);
		}
	CHECK_EQ(rows.cnt, 2 * 40);
	/* values of another generation begin anew there, too */
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t key[7] = { 8, 1 };
	ctx->stack_sum = 1;
	shm_agg(shm, WIRE_AGG_COUNT)->gen++;
	add(ctx, WIRE_AGG_COUNT, 7, key, 1, 1);
	rt_leave(ctx);
	walk();
	CHECK_EQ(row(WIRE_AGG_COUNT, 7, key)->val[0], 1);
	CHECK_EQ(row(WIRE_AGG_COUNT, 7, key)->gen, 1);
	shm_destroy(shm);
}

TAP_MAIN(TEST(long_keys), TEST(guesses_change_no_key), TEST(scalars), TEST(quantize_buckets), TEST(lquantize_buckets), TEST(llquantize_buckets),
	 TEST(random_keys_against_model), TEST(strings_and_memory_as_keys), TEST(full_table_counts_drops),
	 TEST(a_count_without_a_key), TEST(new_generation_starts_afresh), TEST(walk_trusts_nothing))
