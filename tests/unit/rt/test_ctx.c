/* SPDX-License-Identifier: MIT */
/* Firing: levels, records, faults; with real signals. */
#include "../tap.h"
#include "ring/ring.h"
#include "shm.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

static struct wire_shm *shm;
static struct ring_reader reader;

static void begin(const struct shm_opts *o)
{
	shm = shm_create(o);
	ring_reader_init(&reader, &shm_thread(shm, 0)->ring, shm_ring(shm, 0), shm->geom.ring_bytes);
}

static struct rt_ctx *enter_at(uint64_t sp)
{
	return rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, 0), shm_site(shm, WIRE_SITE_ENTRY), sp);
}

static void enter_fills(void)
{
	begin(&(struct shm_opts){ .this_bytes = 24 });
	struct rt_ctx *ctx = enter_at(0x7000010);
	memset(ctx->scratch, 0xff, 32);
	ctx->fault = 1;
	ctx->alloca_used = 9;
	rt_leave(ctx);
	ctx = enter_at(0x7000010);
	CHECK(ctx->shm == shm && ctx->proc == shm_proc(shm, 0) && ctx->thr == shm_thread(shm, 0));
	CHECK(ctx->site == shm_site(shm, WIRE_SITE_ENTRY) && !ctx->rec && !ctx->fault && !ctx->alloca_used);
	for (int i = 0; i < 24; i++)
		CHECK_EQ(ctx->scratch[i], 0);
	CHECK_EQ(ctx->scratch[24], 0xff);
	CHECK_EQ(ctx->level, 0);
	CHECK_EQ(ctx->thr->level, 1);
	CHECK_EQ(ctx->thr->stack_lo, 0x7000000);
	CHECK_EQ(ctx->thr->stack_hi, 0x7001000);
	rt_leave(ctx);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 0);
	shm_destroy(shm);
}

static void levels_nest_and_run_out(void)
{
	begin(NULL);
	struct rt_ctx *ctx[WIRE_LEVEL_MAX];
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++) {
		ctx[l] = enter_at(0x7fff00000000 - 4096 * l);
		CHECK(ctx[l] && ctx[l]->level == l);
	}
	CHECK(!enter_at(0x7ffe00000000));
	CHECK_EQ(shm_thread(shm, 0)->level_drops, 1);
	rt_leave(ctx[3]);
	struct rt_ctx *again = enter_at(0x7ffe00000000);
	CHECK(again == ctx[3]);
	rt_leave(again);
	for (int l = 2; l >= 0; l--)
		rt_leave(ctx[l]);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 0);
	shm_destroy(shm);
}

/* A program that switches stacks in handlers leaves in another order. */
static void levels_left_out_of_order(void)
{
	begin(NULL);
	struct rt_ctx *a = enter_at(0x10000000), *b = enter_at(0x20000000);
	CHECK(a && b && a != b);
	rt_leave(a);
	struct rt_ctx *c = enter_at(0x30000000);
	CHECK(c == a && c != b);
	struct rt_ctx *d = enter_at(0x40000000);
	CHECK(d != b && d != c);
	rt_leave(b);
	rt_leave(c);
	rt_leave(d);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 0);
	shm_destroy(shm);
}

static void longjmp_gives_level_back(void)
{
	begin(NULL);
	struct rt_ctx *ctx = enter_at(0x7fff00001000);
	CHECK_EQ(rt_rec_open(ctx, 64, 64), 0);
	struct rt_ctx *nested = enter_at(0x7fff00000000); /* a handler, far below: both are alive */
	CHECK(nested != ctx && nested->level == 1);
	rt_leave(nested);
	struct rt_ctx *next = enter_at(0x7fff00001000); /* the same place again: the first was left */
	CHECK(next == ctx && next->level == 0);
	CHECK_EQ(rt_rec_open(next, 8, 8), 0);
	next->rec->tsc = 77;
	rt_rec_commit(next);
	rt_leave(next);
	const struct wire_rec *rec = ring_reader_next(&reader);
	CHECK(rec && rec->tsc == 77);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 0);
	shm_destroy(shm);
}

static void far_away_only_when_crowded(void)
{
	begin(NULL);
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++)
		CHECK(enter_at(0x7fff00000000 + (1ULL << 20) * l) != NULL);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), WIRE_LEVEL_MAX);
	struct rt_ctx *ctx = enter_at(0x7fff00000000 + (1ULL << 20) * WIRE_LEVEL_MAX);
	CHECK(ctx != NULL);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 1);
	shm_destroy(shm);
}

static void record_with_drop_and_fault(void)
{
	begin(&(struct shm_opts){ .ring_bytes = 4096 });
	struct wire_thread *thr = shm_thread(shm, 0);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	ctx->clause = 2;
	CHECK_EQ(rt_rec_open(ctx, 100, 16), 0);
	CHECK_EQ(ctx->rec->bytes, 128);
	CHECK_EQ(ctx->rec->clause, 2);
	CHECK_EQ(ctx->rec->site, WIRE_SITE_ENTRY);
	CHECK_EQ(ctx->rec->payload[15], 0);
	rt_rec_commit(ctx);
	CHECK(!ctx->rec);
	const struct wire_rec *rec = ring_reader_next(&reader);
	CHECK(rec && rec->bytes == sizeof(*rec) + 16 && rec->tsc == ctx->tsc);

	CHECK_EQ(rt_rec_open(ctx, 100, 16), 0);
	ctx->fault = WIRE_FAULT_BADADDR;
	ctx->fault_value = 0xdead;
	ctx->pc = 5;
	ctx->action = 3;
	rt_fault(ctx);
	CHECK_EQ(ctx->fault, 0);
	rec = ring_reader_next(&reader);
	CHECK(rec && rec->type == WIRE_REC_ERROR && rec->clause == 2);
	const struct wire_rec_error *e = (const struct wire_rec_error *)rec->payload;
	CHECK(e->fault == WIRE_FAULT_BADADDR && e->value == 0xdead && e->pc == 5 && e->action == 3);

	while (!rt_rec_open(ctx, 100, 100))
		rt_rec_commit(ctx);
	CHECK_EQ(((uint64_t *)((uint8_t *)thr + shm->geom.drops_off))[2], 1);
	while (!((uint64_t *)((uint8_t *)thr + shm->geom.errors_off))[2])
		rt_fault(ctx);
	rt_leave(ctx);
	shm_destroy(shm);
}

static void open_record_does_not_outlive_the_probe(void)
{
	begin(NULL);
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	CHECK_EQ(rt_rec_open(ctx, 8, 8), 0);
	CHECK_EQ(rt_rec_open(ctx, 8, 8), 0);
	rt_leave(ctx);
	CHECK(!ring_reader_next(&reader));
	CHECK_EQ(shm_thread(shm, 0)->ring.published, shm_thread(shm, 0)->ring.head);
	shm_destroy(shm);
}

static void doorbell_at_a_quarter(void)
{
	begin(&(struct shm_opts){ .ring_bytes = 4096 });
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	uint32_t rings = 0;
	for (int i = 0; i < 200; i++) {
		uint32_t before = shm->doorbell;
		CHECK_EQ(rt_rec_open(ctx, 40, 40), 0);
		rt_rec_commit(ctx);
		if (shm->doorbell == before)
			continue;
		rings++;
		CHECK(shm_thread(shm, 0)->ring.head - reader.pos >= 1024);
		while (ring_reader_next(&reader))
			;
		ring_reader_release(&reader);
	}
	CHECK_EQ(rings, 200 * 64 / 1024);
	while (!rt_rec_open(ctx, 40, 40))
		rt_rec_commit(ctx);
	CHECK_EQ(shm->doorbell, rings + 1); /* once until somebody reads */
	rt_exit(ctx, 3, 0, 0, 0);
	rt_exit(ctx, 4, 0, 0, 0);
	CHECK_EQ(shm->doorbell, rings + 3);
	CHECK_EQ(shm->exit_status, 3);
	CHECK_EQ(shm->exiting, 1);
	rt_leave(ctx);
	shm_destroy(shm);
}

/* ---- storms ---- */

#define WORDS 6
static uint64_t fired, lost_levels; /* by all levels; changed by single instructions */

/* One firing: a record of WORDS words that belong together, or a drop. */
static void fire(void)
{
	struct rt_ctx *ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	if (!ctx) {
		add_local(&lost_levels, 1);
		return;
	}
	add_local(&fired, 1);
	uint64_t n = rt_now_tsc();
	if (!rt_rec_open(ctx, 256, 8 * WORDS)) {
		for (uint64_t i = 0; i < WORDS; i++)
			((volatile uint64_t *)ctx->rec->payload)[i] = n + i;
		ctx->rec_used += (uint32_t)(n % 8 * 8);
		rt_rec_commit(ctx);
	}
	rt_agg(ctx, 0, WIRE_NONE, 1, 1);
	rt_leave(ctx);
}

static void on_alarm(int sig)
{
	(void)sig;
	for (int i = 0; i < 3; i++)
		fire();
}

static _Atomic bool stop;
static uint64_t records, torn;

static void read_all(void)
{
	const struct wire_rec *rec;
	while ((rec = ring_reader_next(&reader))) {
		const uint64_t *w = (const uint64_t *)rec->payload;
		records++;
		for (uint64_t i = 0; i < WORDS; i++)
			torn += w[i] != w[0] + i;
	}
	ring_reader_release(&reader);
}

static void *consume(void *arg)
{
	(void)arg;
	while (!stop)
		read_all();
	return NULL;
}

static void storm_begin(int flags)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_NODEFER | flags };
	struct itimerval every = { { 0, 50 }, { 0, 50 } };
	sigset_t alarm_only;
	begin(NULL);
	shm_agg(shm, 0)->fn = WIRE_AGG_COUNT;
	shm_agg(shm, 0)->val_cnt = 1;
	fired = lost_levels = records = torn = 0;
	stop = false;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void alarms(int how)
{
	sigset_t alarm_only;
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	pthread_sigmask(how, &alarm_only, NULL);
}

static void storm_end(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
}

static int count_entry(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val,
		       uint32_t val_cnt)
{
	(void)agg, (void)gen, (void)key, (void)key_bytes, (void)val_cnt;
	*(uint64_t *)arg += val[0];
	return 0;
}

/* Signals at any instruction: every record whole, none missing, every count there. */
static void signal_storm(void)
{
	pthread_t t;
	storm_begin(0);
	pthread_create(&t, NULL, consume, NULL);
	alarms(SIG_UNBLOCK);
	for (uint64_t end = rt_now_tsc() + 3000000000ULL; rt_now_tsc() < end;)
		fire();
	alarms(SIG_BLOCK);
	storm_end();
	stop = true;
	pthread_join(t, NULL);
	read_all();
	struct wire_thread *thr = shm_thread(shm, 0);
	uint64_t drops = *(uint64_t *)((uint8_t *)thr + shm->geom.drops_off), counted = 0;
	rt_agg_walk(shm, thr, shm_agg(shm, 0), 1, count_entry, &counted);
	CHECK_EQ(records + drops, fired);
	CHECK_EQ(counted, fired);
	CHECK_EQ(torn, 0);
	CHECK_EQ(reader.bad, 0);
	CHECK_EQ(thr->level, 0);
	CHECK_EQ(rt_levels_used(thr), 0);
	CHECK_EQ(thr->level_drops, lost_levels);
	CHECK(records > 10000);
	shm_destroy(shm);
}

static sigjmp_buf back;
static void jump_out(int sig)
{
	(void)sig;
	fire();
	siglongjmp(back, 1);
}

/* Handlers that never return to the interrupted probe, on their own stack if @flags says so. */
static void jumps(int flags)
{
	static volatile uint64_t jumped;
	jumped = 0;
	struct sigaction sa = { .sa_handler = jump_out, .sa_flags = flags };
	storm_begin(flags);
	sigaction(SIGALRM, &sa, NULL);
	uint64_t end = rt_now_tsc() + 2000000000ULL;
	if (sigsetjmp(back, 1)) {
		jumped++;
		read_all();
	}
	alarms(SIG_UNBLOCK);
	while (rt_now_tsc() < end)
		fire();
	alarms(SIG_BLOCK);
	storm_end();
	fire(); /* gives back what the last jump may have left */
	read_all();
	uint64_t before = records;
	fire();
	fire();
	read_all();
	struct wire_thread *thr = shm_thread(shm, 0);
	CHECK(jumped > 100);
	CHECK_EQ(records, before + 2); /* still heard */
	CHECK_EQ(torn, 0);
	CHECK_EQ(reader.bad, 0);
	CHECK_EQ(thr->level, 0);
	CHECK_EQ(rt_levels_used(thr), 0);
	shm_destroy(shm);
}

static void signals_that_jump(void) { jumps(0); }

static void signals_that_jump_from_another_stack(void)
{
#ifdef __SANITIZE_ADDRESS__
	SKIP("the sanitizer reads all maps at such a jump: the next alarm is there before it is through");
#endif
	char mem[64 << 10];
	stack_t alt = { .ss_sp = mem, .ss_size = sizeof(mem) }, none = { .ss_flags = SS_DISABLE };
	sigaltstack(&alt, NULL);
	jumps(SA_ONSTACK);
	sigaltstack(&none, NULL);
}

/* The handler's stack lies just above the interrupted probe, which must not be taken for left. */
static void alternate_stack_above(void)
{
	char mem[24 << 10];
	begin(NULL);
	stack_t alt = { .ss_sp = mem, .ss_size = sizeof(mem) }, none = { .ss_flags = SS_DISABLE };
	uint64_t here = (uint64_t)mem - 512, there = (uint64_t)mem + 8192;
	struct rt_ctx *a = enter_at(here);
	sigaltstack(&alt, NULL);
	struct rt_ctx *b = enter_at(there);
	CHECK(b && b != a);
	CHECK_EQ(rt_levels_used(shm_thread(shm, 0)), 2);
	sigaltstack(&none, NULL);
	struct rt_ctx *c = enter_at(there); /* as without that stack */
	CHECK(c == a);
	shm_destroy(shm);
}

TAP_MAIN(TEST(enter_fills), TEST(levels_nest_and_run_out), TEST(levels_left_out_of_order), TEST(longjmp_gives_level_back),
	 TEST(far_away_only_when_crowded), TEST(record_with_drop_and_fault), TEST(open_record_does_not_outlive_the_probe),
	 TEST(doorbell_at_a_quarter), TEST(signal_storm), TEST(signals_that_jump), TEST(signals_that_jump_from_another_stack),
	 TEST(alternate_stack_above))
