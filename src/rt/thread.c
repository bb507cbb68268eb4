/* SPDX-License-Identifier: MIT */
/* The slow path of "which thread is this?" (ADR 6). */
#include "rt/mem.h"

#include <sys/syscall.h>

#define PROBES_MAX 64

/* hash_thread of @key. */
static uint64_t *hash_slot(struct wire_proc *proc, uint64_t key)
{
	uint32_t h = wire_hash(key);
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		uint32_t at = (h + i) % WIRE_HASH_CNT;
		uint64_t *slot = &proc->hash_key[at], old = LOAD_ACQUIRE(slot);
		if (old == key)
			return &proc->hash_thread[at];
		if (!old && __atomic_compare_exchange_n(slot, &old, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return &proc->hash_thread[at];
		if (old == key)
			return &proc->hash_thread[at];
	}
	/* Crowded by threads that are long gone: their place is as good as any. */
	STORE_RELAXED(&proc->hash_thread[h], 0);
	STORE_RELEASE(&proc->hash_key[h], key);
	return &proc->hash_thread[h];
}

static struct wire_thread *thread_at(struct wire_shm *shm, uint32_t i)
{
	return (struct wire_thread *)((uint8_t *)shm + shm->thread_off + i * shm->geom.stride);
}

static bool is_live(const struct wire_thread *thr, uint32_t proc, uint32_t tid)
{
	return LOAD_ACQUIRE(&thr->state) == WIRE_THREAD_LIVE && thr->proc == proc && thr->tid == tid;
}

/* The thread may be known under another fs base: it had none when it registered first. */
static struct wire_thread *find_tid(struct wire_shm *shm, uint32_t proc, uint32_t tid)
{
	for (uint32_t i = 1; i < shm->thread_cnt; i++) {
		struct wire_thread *thr = thread_at(shm, i);
		if (is_live(thr, proc, tid))
			return thr;
		if (LOAD_RELAXED(&thr->state) == WIRE_THREAD_FREE && !thr->incarnation)
			break; /* slots are taken in order: none behind was ever used */
	}
	return NULL;
}

static struct wire_thread *claim(struct wire_shm *shm, uint32_t proc, uint32_t tid)
{
	for (uint32_t i = 1; i < shm->thread_cnt; i++) {
		struct wire_thread *thr = thread_at(shm, i);
		uint32_t free = WIRE_THREAD_FREE;
		if (LOAD_RELAXED(&thr->state) != WIRE_THREAD_FREE ||
		    !__atomic_compare_exchange_n(&thr->state, &free, WIRE_THREAD_CLAIM, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_RELAXED))
			continue;
		thr->tid = tid;
		thr->proc = proc;
		thr->incarnation++;
		thr->own_used = 0;
		for (int l = 0; l < WIRE_LEVEL_MAX; l++)
			thr->ring.open[l] = ~0ULL;
		return thr;
	}
	return NULL;
}

/* Slots are taken in order, and those of threads that have ended are free once they were read. */
static void ring_if_scarce(struct wire_shm *shm, const struct wire_proc *proc, const struct wire_thread *thr)
{
	uint64_t i = (uint64_t)((const uint8_t *)thr - (const uint8_t *)thread_at(shm, 0)) / shm->geom.stride;
	if (i >= shm->thread_cnt / 4 && i % (shm->thread_cnt / 16 + 1) == 0)
		rt_ring(shm, proc);
}

static uint32_t own_tid(const struct wire_proc *proc, uint64_t key, uint32_t check)
{
	if (proc->tid_off && check)
		return check;
	if (proc->flags & WIRE_PROC_NO_SYSCALL)
		return (uint32_t)(key >> 6) | WIRE_TID_MADE_UP; /* cannot ask: any number of its own */
	return (uint32_t)sys6(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* A thread block that begins with its own address was made by a libc, which had then made those of all threads (but for
 * rt/base.c).  From here on generated code reads that word, which is cheaper than the fs base. */
static void note_block(struct wire_proc *proc, uint64_t key)
{
	uint32_t was = WIRE_FS_UNKNOWN;
	if (key && proc->flags & WIRE_PROC_FSGSBASE && LOAD_RELAXED(&proc->fs_set) == was && *(const uint64_t *)key == key)
		__atomic_compare_exchange_n(&proc->fs_set, &was, WIRE_FS_SET, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---- the first thread: struct wire_wipe ---- */

static struct wire_wipe *wipe_of(const struct wire_proc *proc)
{
	return (struct wire_wipe *)proc->wipe_addr;
}

void rt_thread_forget_main(const struct wire_proc *proc)
{
	if (proc->wipe_addr)
		__atomic_store_n(&wipe_of(proc)->main_thread, 0, __ATOMIC_SEQ_CST);
}

static bool is_all_well(struct wire_shm *shm, const struct wire_proc *proc)
{
	bool blocks = !(proc->flags & WIRE_PROC_FSGSBASE) || __atomic_load_n(&proc->fs_set, __ATOMIC_SEQ_CST) == WIRE_FS_SET;
	return blocks && __atomic_load_n(&wipe_of(proc)->proc, __ATOMIC_SEQ_CST) && __atomic_load_n(&shm->armed, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&shm->exiting, __ATOMIC_SEQ_CST) &&
	       !__atomic_load_n(&rt_proc_shared(shm, proc)->no_main, __ATOMIC_SEQ_CST);
}

/* Who takes that back says why before, so one of the two looks comes after it.  A process that was made with the memory, but is no
 * thread, has an id of its own, and ends before the memory does. */
static void note_main(struct wire_shm *shm, const struct wire_proc *proc, struct wire_thread *thr)
{
	if (!proc->wipe_addr || !thr->key || thr->tid != proc->leader || !is_all_well(shm, proc))
		return;
	__atomic_store_n(&wipe_of(proc)->main_thread, (uint64_t)thr, __ATOMIC_SEQ_CST);
	if (!is_all_well(shm, proc))
		rt_thread_forget_main(proc);
}

/* Its libc gave the block to a new thread: the old one has ended. */
static void note_end(const struct wire_proc *proc, struct wire_thread *thr)
{
	uint32_t live = WIRE_THREAD_LIVE;
	if (proc->wipe_addr && wipe_of(proc)->main_thread == (uint64_t)thr)
		rt_thread_forget_main(proc);
	STORE_RELAXED(&thr->key, 0);
	__atomic_compare_exchange_n(&thr->state, &live, WIRE_THREAD_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

struct wire_thread *rt_thread_find(struct wire_shm *shm, struct wire_proc *proc, uint64_t key, uint32_t check)
{
	if (proc->wipe_addr && !LOAD_RELAXED(&wipe_of(proc)->proc))
		return NULL; /* a forked child */
	uint32_t tid = own_tid(proc, key, check);
	uint64_t *slot = key ? hash_slot(proc, key) : NULL;
	struct wire_thread *thr = NULL;
	if (slot && LOAD_RELAXED(slot)) {
		thr = (struct wire_thread *)((uint8_t *)proc + *slot);
		if (!is_live(thr, proc->idx, tid)) {
			if (thr->key == key && thr->proc == proc->idx)
				note_end(proc, thr);
			thr = NULL;
		}
	}
	if (!thr)
		thr = find_tid(shm, proc->idx, tid);
	if (!thr && (thr = claim(shm, proc->idx, tid)))
		ring_if_scarce(shm, proc, thr);
	if (!thr) {
		__atomic_fetch_add(&rt_proc_shared(shm, proc)->lost_threads, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	note_block(proc, key);
	thr->key = key;
	thr->check = check;
	STORE_RELEASE(&thr->state, WIRE_THREAD_LIVE);
	if (slot)
		STORE_RELEASE(slot, (uint64_t)((uint8_t *)thr - (uint8_t *)proc));
	note_main(shm, proc, thr);
	return thr;
}
