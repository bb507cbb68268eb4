/* SPDX-License-Identifier: MIT */
/* Which thread is this? */
#include "../tap.h"
#include "shm.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TID_OFF 0x2d0 /* any but 0: the check word is then the thread's id */

static struct wire_shm *shm;
static struct wire_proc *proc;

static void begin(uint32_t thread_cnt)
{
	shm = shm_create(&(struct shm_opts){ .thread_cnt = thread_cnt, .ring_bytes = 4096, .agg_bytes = 4096, .dyn_bytes = 4096 });
	proc = shm_proc(shm, 0);
	proc->tid_off = TID_OFF;
}

static uint32_t slot_of(const struct wire_thread *thr)
{
	for (uint32_t i = 0; i < shm->thread_cnt; i++)
		if (thr == shm_thread(shm, i))
			return i;
	return UINT32_MAX;
}

static struct wire_thread *find(uint64_t key, uint32_t tid)
{
	return rt_thread_find(shm, proc, key, tid);
}

static void registers_and_finds_again(void)
{
	begin(8);
	struct wire_thread *a = find(0x7f0000001000, 101), *b = find(0x7f0000002000, 102);
	CHECK_EQ(slot_of(a), 1);
	CHECK_EQ(slot_of(b), 2);
	CHECK(a->state == WIRE_THREAD_LIVE && a->tid == 101 && a->check == 101 && a->key == 0x7f0000001000 && a->incarnation == 1);
	CHECK_EQ(a->ring.open[3], UINT64_MAX);
	CHECK(find(0x7f0000001000, 101) == a && find(0x7f0000002000, 102) == b);
	uint32_t h = wire_hash(a->key);
	CHECK_EQ(proc->hash_key[h], a->key); /* where generated code looks */
	CHECK_EQ(proc->hash_thread[h], (uint64_t)((uint8_t *)a - (uint8_t *)proc));
	shm_destroy(shm);
}

static void block_used_again_is_a_new_thread(void)
{
	begin(8);
	struct wire_thread *a = find(0x7f0000001000, 101), *b = find(0x7f0000001000, 102);
	CHECK(a != b);
	CHECK_EQ(a->state, WIRE_THREAD_DEAD);
	CHECK_EQ(b->state, WIRE_THREAD_LIVE);
	CHECK(find(0x7f0000001000, 102) == b);
	shm_destroy(shm);
}

static void same_thread_under_another_key(void)
{
	begin(8);
	uint32_t me = (uint32_t)gettid();
	struct wire_thread *a = find(0, 0); /* before there was a thread block: asks the kernel */
	CHECK_EQ(a->tid, me);
	CHECK(find(0, 0) == a);
	CHECK(find(0x7f0000001000, me) == a);
	CHECK_EQ(a->key, 0x7f0000001000);
	CHECK(find(0x7f0000001000, me) == a);
	shm_destroy(shm);
}

static void without_system_calls(void)
{
	begin(8);
	proc->tid_off = 0;
	proc->flags = WIRE_PROC_NO_SYSCALL;
	struct wire_thread *a = find(0x7f0000001000, 5), *b = find(0x7f0000002000, 5);
	CHECK(a && b && a != b && a->tid != b->tid);
	CHECK(find(0x7f0000001000, 5) == a);
	shm_destroy(shm);
}

/* A block that names itself says what all threads have, unless some are known to have none. */
static void blocks_are_noted(void)
{
	uint64_t block = (uint64_t)(uintptr_t)&block;
	for (uint32_t was = WIRE_FS_UNKNOWN; was <= WIRE_FS_NEVER; was++) {
		begin(8);
		proc->flags = WIRE_PROC_FSGSBASE;
		proc->fs_set = was;
		CHECK(find(block, 5) != NULL);
		CHECK_EQ(proc->fs_set, was == WIRE_FS_NEVER ? WIRE_FS_NEVER : WIRE_FS_SET);
		shm_destroy(shm);
	}
}

static void freed_slot_is_taken_with_a_new_incarnation(void)
{
	begin(3);
	struct wire_thread *a = find(0x1000, 101);
	CHECK(find(0x2000, 102) != NULL);
	CHECK(!find(0x3000, 103));
	CHECK(!find(0x3000, 103));
	CHECK_EQ(proc->lost_threads, 2);
	a->state = WIRE_THREAD_FREE;
	CHECK(find(0x3000, 103) == a);
	CHECK_EQ(a->incarnation, 2);
	shm_destroy(shm);
}

static void slots_of_other_processes_are_theirs(void)
{
	begin(8);
	struct wire_proc *other = shm_proc(shm, 1);
	other->idx = 1;
	other->tid_off = TID_OFF;
	struct wire_thread *a = find(0x1000, 7), *b = rt_thread_find(shm, other, 0x1000, 7);
	CHECK(a && b && a != b && b->proc == 1);
	CHECK(find(0x1000, 7) == a);
	shm_destroy(shm);
}

/* More keys over time than the table has places. */
static void crowded_table_goes_on(void)
{
	begin(4);
	for (uint64_t i = 1; i < 3 * WIRE_HASH_CNT; i++) {
		struct wire_thread *thr = find(i << 12, (uint32_t)i);
		if (!CHECK_MSG(thr && thr->tid == i, "thread %u was not registered", (unsigned)i))
			break;
		CHECK(find(i << 12, (uint32_t)i) == thr);
		thr->state = WIRE_THREAD_FREE;
	}
	shm_destroy(shm);
}

static void forked_child_is_silent(void)
{
	begin(8);
	struct wire_wipe *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (madvise(page, 4096, MADV_WIPEONFORK))
		SKIP("no MADV_WIPEONFORK");
	page->proc = 1;
	proc->wipe_addr = (uint64_t)page;
	struct wire_thread *a = find(0x1000, 7);
	pid_t child = fork();
	if (!child)
		_exit(find(0x1000, 7) || find(0x2000, 8) || find(0, 0));
	int status = -1;
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
	CHECK(a && find(0x1000, 7) == a);
	CHECK_EQ(proc->lost_threads, 0);
	munmap(page, 4096);
	shm_destroy(shm);
}

/* See struct wire_wipe. */
static void the_first_thread_is_named(void)
{
	uint32_t me = (uint32_t)getpid() + 1; /* what the kernel says of who runs is not asked: it may share the memory alone */
	for (int forbidden = 0; forbidden < 6; forbidden++) {
		struct wire_wipe wipe = { .proc = forbidden != 1 };
		begin(8);
		shm->armed = forbidden != 2;
		shm->exiting = forbidden == 3;
		proc->no_main = forbidden == 4;
		proc->flags = forbidden == 5 ? WIRE_PROC_FSGSBASE : 0;
		proc->fs_set = WIRE_FS_NEVER;
		proc->leader = me;
		proc->wipe_addr = (uint64_t)(uintptr_t)&wipe;
		struct wire_thread *other = find(0x1000, me + 1), *none = find(0, me);
		CHECK_EQ(wipe.main_thread, 0);
		CHECK(forbidden == 1 ? !other && !none : other && none);
		struct wire_thread *thr = find(0x2000, me);
		CHECK_EQ(wipe.main_thread, forbidden ? 0 : (uint64_t)(uintptr_t)thr);
		find(0x3000, me + 2);
		CHECK_EQ(wipe.main_thread, forbidden ? 0 : (uint64_t)(uintptr_t)thr);
		find(0x2000, me + 3); /* its block is another's: it has ended */
		CHECK_EQ(wipe.main_thread, 0);
		shm_destroy(shm);
	}
}

#define THREADS 12
#define ROUNDS 300

static void *come_and_go(void *arg)
{
	uint64_t base = (uint64_t)arg << 32, bad = 0;
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		uint32_t tid = (uint32_t)(base >> 16 | i);
		struct wire_thread *thr = find(base + (i << 12), tid);
		if (!thr || thr->tid != tid || find(base + (i << 12), tid) != thr || thr->tid != tid) {
			bad++;
			continue;
		}
		thr->tid = 0;
		STORE_RELEASE(&thr->state, WIRE_THREAD_FREE);
	}
	return (void *)bad;
}

static void many_at_once(void)
{
	begin(THREADS + 1);
	pthread_t t[THREADS];
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, come_and_go, (void *)(i + 1));
	for (int i = 0; i < THREADS; i++) {
		void *bad;
		pthread_join(t[i], &bad);
		CHECK_EQ(bad, NULL);
	}
	CHECK_EQ(proc->lost_threads, 0);
	shm_destroy(shm);
}

TAP_MAIN(TEST(registers_and_finds_again), TEST(block_used_again_is_a_new_thread), TEST(same_thread_under_another_key),
	 TEST(without_system_calls), TEST(blocks_are_noted), TEST(freed_slot_is_taken_with_a_new_incarnation),
	 TEST(slots_of_other_processes_are_theirs), TEST(crowded_table_goes_on), TEST(forked_child_is_silent), TEST(the_first_thread_is_named), TEST(many_at_once))
