/* SPDX-License-Identifier: MIT */
/*
 * Walks that are kept: looking.  What a walk finds depends on the tables, on the registers with which it begins and on the words
 * that it reads, and on nothing else.  So a walk that was the same several times is kept as the list of those words (rt/stack.c);
 * where all of them are as they were, so is the walk.  They do not wait for each other, as frames do.
 *
 * A nested probe may come between any two instructions.  It changes what is kept only with the first level, so not while
 * another one does, and seq tells who compares meanwhile.
 */
#ifndef RT_KEPT_H
#define RT_KEPT_H

#include "rt/mem.h"

#define KEPT_LEAST 4u /* frames */

static inline uint64_t kept_word(uint64_t addr)
{
	return ((const struct mem_word *)addr)->v;
}

static inline uint64_t kept_what(struct wire_shm *shm, const struct wire_proc *proc, uint32_t max)
{
	return (uint64_t)LOAD_ACQUIRE(&rt_proc_shared(shm, proc)->unw_cur) << 32 | max;
}

/* Where this walk is kept, if it is, and how far above sp the last word is that is known; NULL: such walks are not.
 * The end of what is known is read first: if a nested probe comes from another stack, then either both ends are of that one, or this
 * one is not. */
static inline struct wire_unw_kept *kept_place(struct wire_thread *thr, const struct wire_site *site, uint64_t sp, uint32_t max,
					       uint64_t *ret_last)
{
	uint64_t hi = LOAD_ACQUIRE(&thr->stack_hi), lo = LOAD_RELAXED(&thr->stack_lo);
	uint16_t kind = site->kind;
	if (max < KEPT_LEAST || (kind != WIRE_SITE_ENTRY && kind != WIRE_SITE_RETURN) || sp <= lo || sp >= hi || hi - sp < 8)
		return NULL;
	*ret_last = hi - sp - 8;
	uint64_t mix = (kept_word(sp) + (sp << 20) + max) * WIRE_MULT;
	return &thr->unw_kept[mix >> 40 & (WIRE_UNW_KEPT - 1)];
}

/* Whether the walk at @k, with fewer frames than @max above the probed pc, is that from @sp and @bp: its seq; 0: it is not.  The
 * addresses go to @ret_pcs if that is not NULL.  What the caller reads of @k holds if kept_still() afterwards. */
static inline __attribute__((always_inline)) uint64_t kept_same(const struct wire_unw_kept *k, uint64_t what, uint64_t sp, uint64_t bp,
								uint64_t last, uint32_t max, uint64_t *ret_pcs)
{
	uint64_t seq = LOAD_ACQUIRE(&k->seq);
	uint32_t pcs = k->pc_cnt, bps = k->bp_cnt;
	if (!seq || k->what != what || k->sp != sp || (k->by_bp && k->bp != bp) || pcs >= max || pcs > WIRE_UNW_KEPT_FRAMES ||
	    bps > WIRE_UNW_KEPT_FRAMES)
		return 0;
	for (uint32_t i = 0; i < pcs; i++) {
		uint64_t at = k->pc_at[i], pc = k->pc[i];
		if (at > last || kept_word(sp + at) != pc)
			return 0;
		if (ret_pcs)
			ret_pcs[i] = pc;
	}
	for (uint32_t i = 0; i < bps; i++) {
		uint64_t at = k->bp_at[i];
		if (at > last || kept_word(sp + at) != k->saved_bp[i])
			return 0;
	}
	return seq;
}

static inline bool kept_still(const struct wire_unw_kept *k, uint64_t seq)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return LOAD_RELAXED(&k->seq) == seq;
}

/* stack.c: rt_stack_walk() where nothing that is kept at @k (or NULL) helps; if it comes again and again, it is kept there. */
uint32_t rt_stack_walk_at(struct rt_ctx *, uint64_t *ret_pcs, uint32_t max, struct wire_unw_kept *k);

#endif
