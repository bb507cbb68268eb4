/* SPDX-License-Identifier: MIT */
/* Speculations as producers see them, from several threads too; what changes the process. */
#include "../tap.h"
#include "shm.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

static struct wire_shm *shm;
static struct rt_ctx *ctx;

static void begin(void)
{
	shm = shm_create(NULL);
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
}

static void end(void)
{
	shm_destroy(shm);
}

static struct wire_spec *spec(uint32_t id)
{
	return (struct wire_spec *)((char *)shm + shm->spec_off) + (id - 1);
}

/* What the consumer does when it has seen all of it. */
static void give_back(uint32_t id)
{
	spec(id)->bytes = 0;
	spec(id)->gen++;
	STORE_RELEASE(&spec(id)->state, WIRE_SPEC_FREE);
}

static void fault(uint32_t kind)
{
	CHECK_EQ(ctx->fault, kind);
	ctx->fault = 0;
}

static void ids_come_and_go(void)
{
	begin();
	for (uint64_t id = 1; id <= SHM_SPEC_CNT; id++)
		CHECK_EQ(rt_speculation(ctx, 0, 0, 0, 0), id);
	CHECK_EQ(rt_speculation(ctx, 0, 0, 0, 0), 0);
	CHECK(shm->spec_unavail == 1 && !shm->spec_busy);
	ctx->tsc = 77;
	CHECK_EQ(rt_commit(ctx, 2, 0, 0, 0), WIRE_SPEC_TOKEN(2, 0));
	CHECK(spec(2)->state == WIRE_SPEC_COMMIT && spec(2)->end_tsc == 77);
	CHECK_EQ(rt_commit(ctx, 2, 0, 0, 0), 0);
	CHECK_EQ(rt_discard(ctx, 2, 0, 0, 0), 0);
	CHECK_EQ(spec(2)->state, WIRE_SPEC_COMMIT);
	CHECK_EQ(rt_speculation(ctx, 0, 0, 0, 0), 0);
	CHECK(shm->spec_unavail == 1 && shm->spec_busy == 1);
	give_back(2);
	CHECK_EQ(rt_speculation(ctx, 0, 0, 0, 0), 2);
	CHECK_EQ(rt_discard(ctx, 2, 0, 0, 0), WIRE_SPEC_TOKEN(2, 1));
	CHECK_EQ(spec(2)->state, WIRE_SPEC_DISCARD);
	CHECK_EQ(rt_commit(ctx, 0, 0, 0, 0), 0);
	fault(WIRE_FAULT_NONE);
	rt_commit(ctx, SHM_SPEC_CNT + 1, 0, 0, 0);
	fault(WIRE_FAULT_ILLOP);
	rt_discard(ctx, (uint64_t)-1, 0, 0, 0);
	fault(WIRE_FAULT_ILLOP);
	end();
}

static void records_are_claimed_or_void(void)
{
	begin();
	uint64_t id = rt_speculation(ctx, 0, 0, 0, 0);
	CHECK_EQ(rt_rec_open(ctx, 16, 16), 0);
	CHECK_EQ(rt_speculate(ctx, id, SHM_SPEC_BYTES, 0, 0), WIRE_SPEC_TOKEN(id, 0));
	CHECK_EQ(ctx->rec->type, WIRE_REC_DATA);
	spec(1)->bytes = 1;
	CHECK_EQ(rt_speculate(ctx, id, SHM_SPEC_BYTES, 0, 0), 0);
	CHECK_EQ(ctx->rec->type, WIRE_REC_VOID);
	CHECK_EQ(shm->spec_drops, 1);
	rt_rec_commit(ctx);
	static const uint64_t not_active[] = { 0, 2, SHM_SPEC_CNT + 1, (uint64_t)-1 };
	for (size_t i = 0; i < ARRAY_CNT(not_active); i++)
		CHECK_EQ(rt_speculate(ctx, not_active[i], 0, 0, 0), 0);
	rt_discard(ctx, id, 0, 0, 0);
	CHECK_EQ(rt_speculate(ctx, id, 0, 0, 0), 0);
	CHECK_EQ(shm->spec_drops, 1);
	fault(WIRE_FAULT_NONE);
	end();
}

static uint64_t taken[4], ended[4];

/* Takes and ends ids; the main thread gives them back. */
static void *take(void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;
	struct rt_ctx own = { .shm = shm, .proc = shm_proc(shm, 0), .thr = shm_thread(shm, i) };
	for (int n = 0; n < 20000; n++) {
		uint64_t id = rt_speculation(&own, 0, 0, 0, 0);
		if (!id)
			continue;
		taken[i]++;
		if (n & 1 ? rt_commit(&own, id, 0, 0, 0) : rt_discard(&own, id, 0, 0, 0))
			ended[i]++;
	}
	return NULL;
}

static void threads_never_share_one(void)
{
	begin();
	pthread_t t[4];
	uint64_t back = 0, all_taken = 0, all_ended = 0;
	for (uintptr_t i = 0; i < ARRAY_CNT(t); i++)
		pthread_create(&t[i], NULL, take, (void *)i);
	for (int idle = 0; idle < 20000000; idle++)
		for (uint32_t id = 1; id <= SHM_SPEC_CNT; id++)
			if (LOAD_ACQUIRE(&spec(id)->state) >= WIRE_SPEC_COMMIT) {
				give_back(id);
				back++;
				idle = 0;
			}
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		pthread_join(t[i], NULL);
		all_taken += taken[i];
		all_ended += ended[i];
	}
	for (uint32_t id = 1; id <= SHM_SPEC_CNT; id++)
		back += spec(id)->state >= WIRE_SPEC_COMMIT;
	CHECK(all_taken > 0);
	CHECK_EQ(all_ended, all_taken);
	CHECK_EQ(back, all_taken);
	end();
}

static void writing_the_process(void)
{
	begin();
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char text[] = "to be copied";
	rt_copyout(ctx, (uint64_t)text, (uint64_t)page, sizeof(text), 0);
	CHECK_STR(page, "to be copied");
	rt_copyoutstr(ctx, shm_str(ctx, 0, "short"), (uint64_t)page, 3, 0);
	CHECK_STR(page, "shobe copied");
	rt_copyoutstr(ctx, shm_str(ctx, 0, "short"), (uint64_t)page, 100, 0);
	CHECK_STR(page, "short");
	memset(page, 'x', 8192);
	rt_copyout(ctx, (uint64_t)page + 4096, (uint64_t)page, 1000, 0);
	fault(WIRE_FAULT_NONE);
	mprotect(page + 4096, 4096, PROT_READ);
	rt_copyout(ctx, (uint64_t)text, (uint64_t)page + 4096, 4, 0);
	fault(WIRE_FAULT_BADADDR);
	rt_copyout(ctx, 8, (uint64_t)page, 4, 0);
	fault(WIRE_FAULT_BADADDR);
	rt_copyout(ctx, (uint64_t)text, (uint64_t)shm + shm->bytes - 2, 4, 0); /* ours */
	fault(WIRE_FAULT_BADADDR);
	shm_proc(shm, 0)->flags |= WIRE_PROC_NO_SYSCALL;
	rt_copyout(ctx, (uint64_t)text, (uint64_t)page, 4, 0);
	fault(WIRE_FAULT_BADADDR);
	munmap(page, 8192);
	end();
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals = signals * 100 + sig;
}

static void signals_come_after_the_probe(void)
{
	begin();
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	rt_raise(ctx, SIGUSR2, 0, 0, 0);
	rt_raise(ctx, SIGUSR1, 0, 0, 0);
	CHECK_EQ(signals, 0);
	CHECK_EQ(shm_thread(shm, 0)->level, 1);
	rt_leave(ctx);
	CHECK(signals == SIGUSR1 * 100 + SIGUSR2 || signals == SIGUSR2 * 100 + SIGUSR1);
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	CHECK_EQ(ctx->signals, 0);
	static const uint64_t wrong[] = { 0, 65, (uint64_t)-1 };
	for (size_t i = 0; i < ARRAY_CNT(wrong); i++) {
		rt_raise(ctx, wrong[i], 0, 0, 0);
		fault(WIRE_FAULT_ILLOP);
	}
	shm_proc(shm, 0)->flags |= WIRE_PROC_NO_SYSCALL;
	rt_stop(ctx, 0, 0, 0, 0);
	fault(WIRE_FAULT_UPRIV);
	CHECK_EQ(ctx->signals, 0);
	end();
}

static void chilling_has_a_limit(void)
{
	begin();
	uint64_t start = rt_now_tsc();
	rt_chill(ctx, 1000000, 0, 0, 0);
	CHECK(rt_now_tsc() - start >= 1000000); /* a tick is a nanosecond here */
	fault(WIRE_FAULT_NONE);
	rt_chill(ctx, 500000000, 0, 0, 0);
	fault(WIRE_FAULT_ILLOP);
	rt_chill(ctx, (uint64_t)-1, 0, 0, 0);
	fault(WIRE_FAULT_ILLOP);
	end();
}

TAP_MAIN(TEST(ids_come_and_go), TEST(records_are_claimed_or_void), TEST(threads_never_share_one),
	 TEST(writing_the_process), TEST(signals_come_after_the_probe), TEST(chilling_has_a_limit))
