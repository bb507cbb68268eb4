/* SPDX-License-Identifier: MIT */
/*
 * Levels that nobody will leave any more.
 *
 * A probe that runs is interrupted by a signal, and the handler does not
 * return but jumps (longjmp) to where the program goes on.  The level stays
 * taken and its open record holds up all later ones.
 *
 * Where both are on one stack, a probe that nests in another fires at least a
 * signal frame below it.  So a probe that fires higher proves that the other
 * has been left.  A handler on an alternate stack can be anywhere, though: the
 * kernel knows whether the two are on the same one.  Of stacks that the
 * program switches by itself nobody knows, and taking a level for dead that is
 * not would harm the program.  So while there are free levels only one is
 * given up that was left near by, where a longjmp leads; when there are none,
 * one that was left anywhere below.
 */
#include "rt/mem.h"

#include <sys/syscall.h>

#define FRAME_MIN 512 /* no signal frame is smaller (uc_mcontext and the x87 state alone are larger) */
#define NEAR_BYTES (32u << 10)
#define FAR_BYTES (8u << 20)

struct altstack { /* stack_t */
	uint64_t sp;
	int32_t flags, pad;
	uint64_t bytes;
};

static bool on_altstack(const struct altstack *a, uint64_t sp)
{
	return sp - 1 - a->sp < a->bytes;
}

static bool same_stack(uint64_t a, uint64_t b)
{
	struct altstack alt = { 0 };
	if (sys6(SYS_sigaltstack, 0, (uint64_t)&alt, 0, 0, 0, 0))
		return false;
	return on_altstack(&alt, a) == on_altstack(&alt, b);
}

/* The probe at @old has been left: another fires at @sp. */
bool rt_was_left(const struct wire_proc *proc, uint64_t old, uint64_t sp, bool crowded)
{
	uint64_t above = sp + FRAME_MIN - old - 1; /* wraps where @sp is below */
	if (above >= (crowded ? FAR_BYTES : NEAR_BYTES))
		return false;
	return proc->flags & WIRE_PROC_NO_SYSCALL ? crowded : same_stack(old, sp);
}

void rt_levels_reclaim(struct wire_shm *shm, const struct wire_proc *proc, struct wire_thread *thr, uint64_t sp,
		       bool crowded)
{
	for (uint32_t l = 0; l < WIRE_LEVEL_MAX; l++) {
		uint64_t old = LOAD_RELAXED(&thr->level_sp[l]);
		if (old && rt_was_left(proc, old, sp, crowded))
			rt_level_free(shm, thr, l);
	}
}
