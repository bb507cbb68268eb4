/* SPDX-License-Identifier: MIT */
/* Associative arrays. */
#include "../tap.h"
#include "shm.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

enum { GLOBAL, SELF };
enum { VAR, VAR_STR }; /* ids */
#define KEY 0u
#define TEXT 512u
#define RESULT 1024u

static struct wire_shm *shm;

static void set(struct rt_ctx *ctx, uint64_t scope, uint64_t key, uint64_t v)
{
	rt_dyn_store(ctx, VAR, scope, shm_tuple(ctx, KEY, 1, &key), v);
}

static uint64_t get(struct rt_ctx *ctx, uint64_t scope, uint64_t key)
{
	return rt_dyn_load(ctx, VAR, scope, shm_tuple(ctx, KEY, 1, &key), 0);
}

static void set_str(struct rt_ctx *ctx, uint64_t key, const char *s)
{
	rt_dyn_str_store(ctx, VAR_STR, GLOBAL, shm_tuple(ctx, KEY, 1, &key), s ? shm_str(ctx, TEXT, s) : 0);
}

static const char *get_str(struct rt_ctx *ctx, uint64_t key)
{
	return shm_text(ctx, rt_dyn_str_load(ctx, VAR_STR, GLOBAL, shm_tuple(ctx, KEY, 1, &key), RESULT));
}

static void keeps_changes_and_forgets(void)
{
	shm = shm_create(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	CHECK_EQ(get(ctx, GLOBAL, 1), 0);
	set(ctx, GLOBAL, 1, 11);
	set(ctx, GLOBAL, 2, 22);
	CHECK_EQ(get(ctx, GLOBAL, 1), 11);
	set(ctx, GLOBAL, 1, 111);
	CHECK_EQ(get(ctx, GLOBAL, 1), 111);
	set(ctx, GLOBAL, 1, 0);
	CHECK_EQ(get(ctx, GLOBAL, 1), 0);
	CHECK_EQ(get(ctx, GLOBAL, 2), 22);
	set(ctx, GLOBAL, 7, 0); /* nothing there */
	uint64_t two[2] = { 2, 0 };
	CHECK_EQ(rt_dyn_load(ctx, VAR, GLOBAL, shm_tuple(ctx, KEY, 2, two), 0), 0); /* another key */
	CHECK_EQ(rt_dyn_load(ctx, VAR_STR, GLOBAL, shm_tuple(ctx, KEY, 1, two), 0), 0); /* another variable */
	CHECK_EQ(ctx->thr->dyn_drops, 0);
	shm_destroy(shm);
}

static void strings(void)
{
	shm = shm_create(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	char longer[SHM_STRSIZE + 20];
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	CHECK_STR(get_str(ctx, 1), "");
	set_str(ctx, 1, "first");
	set_str(ctx, 2, longer);
	CHECK_STR(get_str(ctx, 1), "first");
	CHECK_EQ(strlen(get_str(ctx, 2)), SHM_STRSIZE);
	set_str(ctx, 1, "");
	CHECK_STR(get_str(ctx, 1), "");
	set_str(ctx, 2, NULL);
	CHECK_STR(get_str(ctx, 2), "");
	shm_destroy(shm);
}

static void self_is_the_threads_own(void)
{
	shm = shm_create(NULL);
	struct wire_thread *other = shm_thread(shm, 1);
	memset(other->ring.open, 0xff, sizeof(other->ring.open));
	struct rt_ctx *a = shm_enter(shm, 0, WIRE_SITE_ENTRY), *b = shm_enter(shm, 1, WIRE_SITE_ENTRY);
	set(a, SELF, 1, 10);
	set(b, SELF, 1, 20);
	set(a, GLOBAL, 1, 30);
	CHECK_EQ(get(a, SELF, 1), 10);
	CHECK_EQ(get(b, SELF, 1), 20);
	CHECK_EQ(get(b, GLOBAL, 1), 30);
	other->incarnation++; /* a new thread in the slot */
	CHECK_EQ(get(b, SELF, 1), 0);
	shm_destroy(shm);
}

static void random_operations_against_model(void)
{
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 1 << 20 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	static uint64_t model[2][500];
	uint64_t rnd = 1;
	memset(model, 0, sizeof(model));
	for (int i = 0; i < 200000; i++) {
		uint64_t r = shm_random(&rnd), scope = r & 1, key = (r >> 8) % 500;
		if (r & 6) {
			CHECK_EQ(get(ctx, scope, key), model[scope][key]);
			continue;
		}
		model[scope][key] = r & 8 ? r >> 20 : 0;
		set(ctx, scope, key, model[scope][key]);
	}
	CHECK_EQ(ctx->thr->dyn_drops, 0);
	shm_destroy(shm);
}

/* start[arg0] = timestamp; ... start[arg0] = 0; for ever, with keys that never come again. */
static void cleared_memory_serves_again(void)
{
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 8192 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	for (uint64_t i = 1; i < 200000; i++) {
		set(ctx, GLOBAL, i, i);
		if (i >= 20)
			CHECK_EQ(get(ctx, GLOBAL, i - 19), i - 19);
		if (i >= 20)
			set(ctx, GLOBAL, i - 19, 0);
	}
	CHECK_EQ(ctx->thr->dyn_drops, 0);
	for (uint64_t i = 1; i < 50000; i++) { /* keys of all lengths */
		uint64_t key[12];
		for (int k = 0; k < 12; k++)
			key[k] = i * 12;
		shm_tuple(ctx, KEY, 1 + i % 12, key);
		rt_dyn_store(ctx, VAR, GLOBAL, KEY, i);
		CHECK_EQ(rt_dyn_load(ctx, VAR, GLOBAL, KEY, 0), i);
		rt_dyn_store(ctx, VAR, GLOBAL, KEY, 0);
	}
	CHECK_EQ(ctx->thr->dyn_drops, 0);
	shm_destroy(shm);
}

static void full_is_counted_and_passes(void)
{
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 8192 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t n = 0;
	for (; !ctx->thr->dyn_drops; n++)
		set(ctx, GLOBAL, n + 1, n + 1);
	CHECK(n > 60);
	CHECK_EQ(get(ctx, GLOBAL, n), 0);
	CHECK_EQ(get(ctx, GLOBAL, n - 1), n - 1);
	set(ctx, GLOBAL, 1, 0);
	set(ctx, GLOBAL, n, n);
	CHECK_EQ(get(ctx, GLOBAL, n), n);
	CHECK_EQ(ctx->thr->dyn_drops, 1);
	shm_destroy(shm);
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 64 });
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	set(ctx, GLOBAL, 1, 1);
	CHECK_EQ(get(ctx, GLOBAL, 1), 0);
	CHECK_EQ(ctx->thr->dyn_drops, 2);
	shm_destroy(shm);
}

/* ---- several at once ---- */

#define THREADS 4
#define ROUNDS 60000

static struct rt_ctx *thread_begin(uint64_t i)
{
	struct wire_thread *thr = shm_thread(shm, (uint32_t)i);
	memset(thr->ring.open, 0xff, sizeof(thr->ring.open));
	return shm_enter(shm, (uint32_t)i, WIRE_SITE_ENTRY);
}

/* Own keys beside those of the others: what was set is there, what was cleared is not. A drop may
 * leave the old value, and is counted. */
static void *own_keys(void *arg)
{
	uint64_t me = (uint64_t)arg, rnd = me, bad = 0, held[16] = { 0 };
	struct rt_ctx *ctx = thread_begin(me);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t r = shm_random(&rnd), k = r % 16, drops = ctx->thr->dyn_drops, key = k << 8 | me;
		uint64_t got = get(ctx, GLOBAL, key);
		if (ctx->thr->dyn_drops == drops && got != held[k])
			bad++;
		drops = ctx->thr->dyn_drops;
		uint64_t v = r & 64 ? r << 8 | me : 0;
		set(ctx, GLOBAL, key, v);
		if (ctx->thr->dyn_drops == drops)
			held[k] = v;
	}
	return (void *)bad;
}

/* All on the same few keys: a value is always one that somebody stored for that very key, whole. */
static void *shared_keys(void *arg)
{
	uint64_t me = (uint64_t)arg, rnd = me, bad = 0;
	struct rt_ctx *ctx = thread_begin(me);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t r = shm_random(&rnd), key = r % 3;
		char text[SHM_STRSIZE + 1] = "";
		memset(text, (int)('a' + key * 8 + me), r >> 8 & 63);
		if (r & 1 << 20) {
			set_str(ctx, key, r & 1 << 21 ? text : NULL);
			continue;
		}
		const char *got = get_str(ctx, key);
		for (const char *p = got; *p; p++)
			bad += *p != *got || (uint64_t)(*p - 'a') / 8 != key;
	}
	return (void *)bad;
}

static void run_threads(void *(*fn)(void *))
{
	pthread_t t[THREADS];
	uint64_t drops = 0;
	shm = shm_create(NULL);
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, fn, (void *)(i + 1));
	for (uint32_t i = 0; i < THREADS; i++) {
		void *bad;
		pthread_join(t[i], &bad);
		CHECK_EQ(bad, NULL);
		drops += shm_thread(shm, i + 1)->dyn_drops;
	}
	CHECK_MSG(drops < THREADS * ROUNDS / 2, "%u of %u operations were dropped", (unsigned)drops, THREADS * ROUNDS);
	shm_destroy(shm);
}

static void threads_with_own_keys(void) { run_threads(own_keys); }
static void threads_with_shared_keys(void) { run_threads(shared_keys); }

/* ---- locks that nobody will give back ---- */

static uint64_t *word_at(uint64_t off)
{
	return (uint64_t *)((uint8_t *)shm + shm->dyn_off + off);
}

static uint64_t lock_place(void)
{
	/* where something changes when a key is used: its bucket's lock counts */
	static uint64_t before[1024];
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	memcpy(before, word_at(0), sizeof(before));
	get(ctx, GLOBAL, 12345);
	rt_leave(ctx);
	for (uint64_t i = 0; i < 1024; i++)
		if (*word_at(8 * i) != before[i])
			return 8 * i;
	return 0;
}

static void left_lock_is_taken_over(void)
{
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 8192 });
	uint64_t *lock = word_at(lock_place());
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	set(ctx, GLOBAL, 12345, 5);
	uint64_t mine = ((uint64_t)((uint8_t *)ctx->thr - (uint8_t *)shm) >> 12) + 1;

	*lock |= mine << 32; /* we were left by a longjmp: nothing of ours runs */
	CHECK_EQ(get(ctx, GLOBAL, 12345), 5);
	CHECK_EQ(ctx->thr->dyn_drops, 0);

	*lock |= mine << 32; /* a probe that we interrupted holds it */
	ctx->thr->level_sp[1] = (uint64_t)&ctx;
	CHECK_EQ(get(ctx, GLOBAL, 12345), 0);
	CHECK_EQ(ctx->thr->dyn_drops, 1);
	ctx->thr->level_sp[1] = 0;
	CHECK_EQ(get(ctx, GLOBAL, 12345), 5);

	*lock |= 0xabcdefULL << 32; /* another thread, and it was killed */
	set(ctx, GLOBAL, 12345, 6);
	CHECK_EQ(ctx->thr->dyn_drops, 2);
	for (uint64_t start = rt_now_tsc(); rt_now_tsc() - start < 5000000000ULL;)
		;
	CHECK_EQ(get(ctx, GLOBAL, 12345), 5);
	CHECK_EQ(ctx->thr->dyn_drops, 2);
	shm_destroy(shm);
}

static void on_alarm(int sig)
{
	(void)sig;
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	if (!ctx)
		return;
	for (uint64_t k = 100; k < 120; k++) {
		set(ctx, GLOBAL, k, k);
		set(ctx, GLOBAL, k, 0);
	}
	rt_leave(ctx);
}

static void signals_in_between(void)
{
	struct itimerval every = { { 0, 50 }, { 0, 50 } }, never = { 0 };
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 8192 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	for (uint64_t i = 1; i < 300000; i++) {
		uint64_t k = i % 30;
		set(ctx, GLOBAL, k, i);
		CHECK_EQ(get(ctx, GLOBAL, k), i);
		set(ctx, GLOBAL, k, 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	CHECK(ctx->thr->dyn_drops < 20000); /* those that met the lock of what they interrupted */
	shm_destroy(shm);
}

/* The tool reads what a target may have damaged: nothing outside may be touched. */
static void damaged_memory_harms_nobody(void)
{
	shm = shm_create(&(struct shm_opts){ .dyn_bytes = 16384 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint64_t rnd = 9;
	uint8_t *after = (uint8_t *)shm + align_up(shm->dyn_off + shm->dyn_bytes, 4096);
	uint8_t copy[4096];
	memcpy(copy, after, sizeof(copy));
	for (int i = 0; i < 20000; i++) {
		uint64_t r = shm_random(&rnd), v = shm_random(&rnd);
		uint32_t *word = (uint32_t *)((uint8_t *)shm + shm->dyn_off) + r % 4096;
		*word = (uint32_t)v >> (v >> 32 & 31);
		for (uint64_t k = 0; k < 10; k++) {
			set(ctx, GLOBAL, k, r & 1 << k ? r : 0);
			get(ctx, GLOBAL, k);
			set_str(ctx, k, r & 2 << k ? "something" : NULL);
			get_str(ctx, k);
		}
	}
	CHECK(!memcmp(copy, after, sizeof(copy)));
	shm_destroy(shm);
}

TAP_MAIN(TEST(keeps_changes_and_forgets), TEST(strings), TEST(self_is_the_threads_own),
	 TEST(random_operations_against_model), TEST(cleared_memory_serves_again), TEST(full_is_counted_and_passes),
	 TEST(threads_with_own_keys), TEST(threads_with_shared_keys), TEST(left_lock_is_taken_over), TEST(signals_in_between),
	 TEST(damaged_memory_harms_nobody))
