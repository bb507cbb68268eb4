/* SPDX-License-Identifier: MIT */
/* Waits for locks: what lockstat gives. */
#include "session/recipe_int.h"

/* Kinds of locks, as contention_begin has them (include/trace/events/lock.h of the kernel). */
enum { LOCK_SPIN = 1, LOCK_READ = 2, LOCK_WRITE = 4, LOCK_PERCPU = 16, LOCK_MUTEX = 32 };

/* Fires where of the kinds in @mask exactly those of @kind are told; @rw: and that one reads or writes. */
static void lock_wait(struct make *m, int64_t mask, int64_t kind, bool rw)
{
	uint32_t flags = make_arg(m, 1);
	make_only_if(m, make_op(m, IR_OP_SEQ, make_op(m, IR_OP_AND, flags, make_const(m, mask)), make_const(m, kind)));
	if (rw)
		make_only_if(m, make_op(m, IR_OP_AND, flags, make_const(m, LOCK_READ | LOCK_WRITE)));
	m->val[1] = make_zero(m); /* how long it takes nobody knows yet */
	m->val[2] = make_op(m, IR_OP_SNE, make_op(m, IR_OP_AND, flags, make_const(m, LOCK_READ)), make_zero(m));
}

void recipe_lock(struct make *m, enum probe_kern_recipe recipe)
{
	const int64_t any = LOCK_SPIN | LOCK_READ | LOCK_WRITE | LOCK_PERCPU | LOCK_MUTEX;
	switch (recipe) {
	case PROBE_KERN_MUTEX_BLOCKS:
		lock_wait(m, LOCK_MUTEX | LOCK_SPIN, LOCK_MUTEX, false);
		break;
	case PROBE_KERN_MUTEX_SPINS:
		lock_wait(m, LOCK_MUTEX | LOCK_SPIN, LOCK_MUTEX | LOCK_SPIN, false);
		break;
	case PROBE_KERN_RW_BLOCKS:
		lock_wait(m, LOCK_PERCPU | LOCK_SPIN, 0, true);
		break;
	case PROBE_KERN_RW_SPINS:
		lock_wait(m, LOCK_PERCPU | LOCK_SPIN, LOCK_SPIN, true);
		break;
	default:
		lock_wait(m, any, LOCK_SPIN, false);
	}
}
