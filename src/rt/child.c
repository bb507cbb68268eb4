/* SPDX-License-Identifier: MIT */
/*
 * Forked children that are followed.  A child has its parent's patched text and mappings, but it must not use its
 * parent's areas: the wipe page, which reads as zero there, keeps its probes silent.  Where children are followed,
 * the first one that fires there takes a free struct wire_proc, and maps it to where generated code looks for that of
 * the parent; the wipe page then says that all is well.  No other thread is there yet.
 *
 * Memory of the kernel's cannot be mapped twice: then it is a copy that comes to that place, and what the controller reads
 * or writes is looked for where it is shared (rt_proc_shared()).
 */
#include "rt/mem.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define REMAP_MAYMOVE 1
#define REMAP_FIXED 2

static struct wire_proc *claim(struct wire_shm *shm)
{
	struct wire_proc *procs = (struct wire_proc *)((uint8_t *)shm + shm->proc_off);
	for (uint32_t i = 1; i < shm->proc_cnt; i++) {
		uint32_t free = WIRE_PROC_FREE;
		if (LOAD_RELAXED(&procs[i].state) == WIRE_PROC_FREE &&
		    __atomic_compare_exchange_n(&procs[i].state, &free, WIRE_PROC_CLAIM, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			procs[i].idx = i;
			procs[i].row_seed = WIRE_ROW_SEED(i);
			return &procs[i];
		}
	}
	return NULL;
}

static void describe(struct wire_proc *child, const struct wire_proc *parent)
{
	child->parent = parent->idx;
	child->pid = (uint32_t)sys6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	child->leader = child->pid;
	child->ppid = (uint32_t)sys6(SYS_getppid, 0, 0, 0, 0, 0, 0);
	child->tid_off = parent->tid_off;
	child->flags = parent->flags;
	child->errno_off = parent->errno_off;
	child->fs_set = parent->fs_set;
	child->coarse_tsc = parent->coarse_tsc;
	child->uid = parent->uid;
	child->gid = parent->gid;
	child->execname = parent->execname;
	child->psargs = parent->psargs;
	child->shm_addr = parent->shm_addr;
	child->wipe_addr = parent->wipe_addr;
	child->dl_seq = child->dl_ack = 0;
	child->unw_cur = parent->unw_cur;
	child->exec_tid = 0;
	child->lost_threads = 0;
	child->no_main = 0;
	child->shares = 0;
	for (int i = 0; i < 2; i++) {
		child->unw_off[i] = parent->unw_off[i];
		child->unw_cnt[i] = parent->unw_cnt[i];
	}
	child->ancestors[0] = child->ppid;
	for (int i = 1; i < WIRE_ANCESTOR_MAX; i++)
		child->ancestors[i] = parent->ancestors[i - 1];
}

static void ring(struct wire_shm *shm)
{
	__atomic_fetch_add(&shm->doorbell, 1, __ATOMIC_SEQ_CST);
	sys6(SYS_futex, (uint64_t)&shm->doorbell, FUTEX_WAKE, 1, 0, 0, 0);
}

static bool is_error(int64_t addr)
{
	return addr < 0 && addr > -4096;
}

/* What is at @at goes to @place, in one step: a signal may come at any time. */
static bool move_to(int64_t at, struct wire_proc *place)
{
	if (!is_error(sys6(SYS_mremap, (uint64_t)at, sizeof(*place), sizeof(*place), REMAP_MAYMOVE | REMAP_FIXED, (uint64_t)place, 0)))
		return true;
	sys6(SYS_munmap, (uint64_t)at, sizeof(*place), 0, 0, 0, 0);
	return false;
}

static bool copy_into_place(const struct wire_proc *child, struct wire_proc *place)
{
	int64_t at = sys6(SYS_mmap, 0, sizeof(*child), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
	if (is_error(at))
		return false;
	struct wire_proc *copy = (struct wire_proc *)at;
	for (uint32_t i = 0; i < sizeof(copy->page) / 8; i++)
		((uint64_t *)copy->page)[i] = ((const uint64_t *)child->page)[i];
	return move_to(at, place);
}

/* Not at once to its place: the kernel takes away what is there before it says that there can be no second mapping. */
static bool take_place(struct wire_proc *child, struct wire_proc *place)
{
	int64_t at = sys6(SYS_mremap, (uint64_t)child, 0, sizeof(*child), REMAP_MAYMOVE, 0, 0);
	return is_error(at) ? copy_into_place(child, place) : move_to(at, place);
}

uint64_t rt_child_enter(struct wire_shm *shm, struct wire_proc *parent)
{
	struct wire_wipe *wipe = (struct wire_wipe *)parent->wipe_addr;
	if (wipe->proc || wipe->followed)
		return wipe->proc; /* a signal came first; or it was tried in vain */
	wipe->followed = 1;
	struct wire_proc *child = claim(shm);
	if (!child) {
		__atomic_fetch_add(&shm->lost_children, 1, __ATOMIC_RELAXED);
		return 0;
	}
	describe(child, parent);
	if (!take_place(child, parent)) {
		STORE_RELEASE(&child->state, WIRE_PROC_FREE);
		__atomic_fetch_add(&shm->lost_children, 1, __ATOMIC_RELAXED);
		return 0;
	}
	wipe->proc = (uint64_t)parent; /* the child's is there */
	STORE_RELEASE(&child->state, WIRE_PROC_LIVE);
	ring(shm);
	return wipe->proc;
}
