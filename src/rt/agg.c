/* SPDX-License-Identifier: MIT */
/* Only the thread writes.  An entry is filled before the index shows it, so neither a nested probe nor the reader sees
 * half of one. */
#include "rt/agg.h"
#include "rt/helpers.h"
#include "rt/kept.h"

#define LOOK_MAX 1024

static uint64_t *entry_val(struct rt_agg_entry *e)
{
	return (uint64_t *)(e->key + e->key_bytes);
}

static void val_reset(const struct wire_agg *agg, uint64_t *val)
{
	uint64_t first = agg->fn == WIRE_AGG_MIN ? INT64_MAX : agg->fn == WIRE_AGG_MAX ? (uint64_t)INT64_MIN : 0;
	for (uint32_t i = 0; i < agg->val_cnt; i++)
		((volatile uint64_t *)val)[i] = i ? 0 : first;
}

/* What is looked for, and in whose tables. */
struct want {
	const struct wire_shm *shm;
	struct wire_thread *thr;
	const struct wire_agg *agg;
	uint32_t id, hash;
	const void *key;
	uint32_t key_bytes;
};

static struct rt_agg_entry *entry_create(uint8_t *arena, uint64_t arena_bytes, const struct want *w)
{
	uint64_t need = sizeof(struct rt_agg_entry) + w->key_bytes + 8ULL * w->agg->val_cnt;
	uint64_t *used = &w->thr->agg_used, at = LOAD_RELAXED(used), max = w->shm->agg_max;
	if (UNLIKELY(max && LOAD_RELAXED(&w->thr->agg_cnt) - LOAD_RELAXED(&w->thr->agg_read) >= max))
		return NULL;
	do {
		if (at > arena_bytes || need > arena_bytes - at)
			return NULL;
	} while (!cas_local(used, &at, at + need));
	struct rt_agg_entry *e = (struct rt_agg_entry *)(arena + at);
	e->agg = w->id;
	e->gen = LOAD_RELAXED(&w->agg->gen);
	e->hash = w->hash;
	e->key_bytes = w->key_bytes;
	e->val_cnt = w->agg->val_cnt;
	mem_copy(e->key, w->key, w->key_bytes);
	val_reset(w->agg, entry_val(e));
	add_local(&w->thr->agg_cnt, 1);
	return e;
}

static bool entry_is(const struct rt_agg_entry *e, const struct want *w)
{
	return e->hash == w->hash && e->agg == w->id && e->key_bytes == w->key_bytes &&
	       mem_equal(e->key, w->key, w->key_bytes);
}

static struct rt_agg_entry *entry_find(const struct want *w)
{
	struct rt_agg_table t = rt_agg_table(&w->shm->geom);
	uint32_t *index = (uint32_t *)((uint8_t *)w->thr + w->shm->geom.agg_off);
	uint8_t *arena = (uint8_t *)index + t.arena_off;
	struct rt_agg_entry *fresh = NULL;
	for (uint64_t i = 0; i < LOOK_MAX && i < t.index_cnt; i++) {
		uint32_t *slot = &index[(w->hash + i) & (t.index_cnt - 1)], place = LOAD_RELAXED(slot);
		if (!place) {
			if (!fresh)
				fresh = entry_create(arena, t.arena_bytes, w);
			if (!fresh)
				return NULL;
			/* A nested probe may have been faster, even with the same key: its bytes are lost. */
			if (cas_local32(slot, &place, (uint32_t)(((uint8_t *)fresh - arena) / 8 + 1)))
				return fresh;
		}
		struct rt_agg_entry *e = (struct rt_agg_entry *)(arena + (uint64_t)(place - 1) * 8);
		if (entry_is(e, w))
			return e;
	}
	return NULL;
}

/*
 * A stack is a long key, whose hash takes longer than to compare it.  So where it was found last is noted by its sum, which
 * the walk has made by the way; if another one is there, it is looked for as any key.
 */
static uint64_t *stack_place(const struct rt_ctx *ctx, const struct want *w)
{
	uint64_t mix = (ctx->stack_sum ^ *(const uint64_t *)w->key ^ w->id) * RT_AGG_HASH_MULT;
	return &w->thr->agg_stacks[mix >> 40 & (WIRE_AGG_STACKS - 1)];
}

/* An entry of this aggregation with as long a key, @at from the thread; NULL: there is none. */
static inline struct rt_agg_entry *entry_at(const struct want *w, uint64_t at)
{
	const struct wire_thread_geom *geom = &w->shm->geom;
	uint64_t off = at - geom->agg_off;
	if (at % 8 || off > geom->agg_bytes ||
	    geom->agg_bytes - off < sizeof(struct rt_agg_entry) + w->key_bytes + 8ULL * w->agg->val_cnt)
		return NULL;
	struct rt_agg_entry *e = (struct rt_agg_entry *)((uint8_t *)w->thr + at);
	return e->agg == w->id && e->key_bytes == w->key_bytes ? e : NULL;
}

static struct rt_agg_entry *entry_guess(const struct want *w, const uint64_t *place)
{
	struct rt_agg_entry *e = entry_at(w, LOAD_RELAXED(place));
	return e && mem_equal(e->key, w->key, w->key_bytes) ? e : NULL;
}

/* Bucket of quantize: WIRE_QUANTIZE_ZERO + 1 + log2. */
static uint32_t quantize_bucket(int64_t v)
{
	if (!v)
		return WIRE_QUANTIZE_ZERO;
	uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v;
	uint32_t log = 63 - (uint32_t)__builtin_clzll(abs);
	if (v < 0)
		return log >= WIRE_QUANTIZE_ZERO ? 0 : WIRE_QUANTIZE_ZERO - 1 - log;
	return WIRE_QUANTIZE_ZERO + 1 + log;
}

static uint32_t lquantize_bucket(const struct wire_agg *agg, int64_t v)
{
	if (v < agg->base)
		return 0;
	if (v >= agg->limit)
		return agg->val_cnt - 1;
	return 1 + (uint32_t)(((uint64_t)v - (uint64_t)agg->base) / (uint64_t)agg->step);
}

/* Distance from the middle bucket: 0 below factor^low, then steps - steps/factor
 * per power, linear within it; the last one is everything from factor^(high+1). */
static uint64_t llq_distance(const struct wire_agg *agg, uint64_t abs)
{
	uint64_t per = agg->ll_steps / agg->ll_factor, power = 1;
	uint32_t mag = agg->ll_low;
	for (uint32_t i = 0; i < mag; i++)
		power *= agg->ll_factor;
	if (abs < power)
		return 0;
	uint64_t first = 1;
	for (; mag <= agg->ll_high; mag++, power *= agg->ll_factor, first += agg->ll_steps - per) {
		uint64_t next = power * agg->ll_factor;
		if (abs >= next)
			continue;
		if (!mag && agg->ll_steps > agg->ll_factor)
			return first + (abs - 1) * per;
		if (next >= agg->ll_steps)
			return first + abs / (next / agg->ll_steps) - per;
		return first + abs * agg->ll_steps / next - per;
	}
	return first;
}

uint32_t rt_agg_llq_bucket(const struct wire_agg *agg, int64_t v)
{
	uint64_t mid = 1 + (uint64_t)(agg->ll_high - agg->ll_low + 1) * (agg->ll_steps - agg->ll_steps / agg->ll_factor);
	uint64_t dist = llq_distance(agg, v < 0 ? -(uint64_t)v : (uint64_t)v);
	if (dist > mid)
		dist = mid;
	return (uint32_t)(v < 0 ? mid - dist : mid + dist);
}

/* Sums are changed by one instruction, so that a nested probe's addition is never lost. */

static void add_squares(uint64_t *p, int64_t v, uint64_t cnt)
{
	uint64_t abs = v < 0 ? -(uint64_t)v : (uint64_t)v, lo, hi, high;
	__asm__ volatile("mulq %2" : "=a"(lo), "=d"(high) : "r"(abs), "a"(abs) : "cc");
	__asm__ volatile("mulq %2" : "=a"(lo), "=d"(hi) : "r"(cnt), "a"(lo) : "cc");
	hi += high * cnt;
	/* A nested addition between the two comes out right: each carry reaches the high half once. */
	__asm__ volatile("addq %2, %0\n\tadcq %3, %1" : "+m"(p[0]), "+m"(p[1]) : "r"(lo), "r"(hi) : "memory", "cc");
}

static void keep_extreme(uint64_t *p, int64_t v, bool min)
{
	uint64_t old = LOAD_RELAXED(p);
	while (min ? v < (int64_t)old : v > (int64_t)old)
		if (cas_local(p, &old, (uint64_t)v))
			return;
}

static void update(const struct wire_agg *agg, uint64_t *val, uint64_t v, uint64_t weight)
{
	switch (agg->fn) {
	case WIRE_AGG_COUNT:
		add_local(&val[0], weight);
		break;
	case WIRE_AGG_SUM:
		add_local(&val[0], v * weight);
		break;
	case WIRE_AGG_MIN:
	case WIRE_AGG_MAX:
		keep_extreme(&val[0], (int64_t)v, agg->fn == WIRE_AGG_MIN);
		break;
	case WIRE_AGG_AVG:
		add_local(&val[0], weight);
		add_local(&val[1], v * weight);
		break;
	case WIRE_AGG_STDDEV:
		add_local(&val[0], weight);
		add_local(&val[1], v * weight);
		add_squares(&val[2], (int64_t)v, weight);
		break;
	case WIRE_AGG_QUANTIZE:
		add_local(&val[quantize_bucket((int64_t)v)], weight);
		break;
	case WIRE_AGG_LQUANTIZE:
		add_local(&val[lquantize_bucket(agg, (int64_t)v)], weight);
		break;
	case WIRE_AGG_LLQUANTIZE:
		add_local(&val[rt_agg_llq_bucket(agg, (int64_t)v)], weight);
		break;
	}
}

/* Reset where it is of an older generation. */
static inline void entry_renew(const struct want *w, struct rt_agg_entry *e)
{
	uint32_t gen = LOAD_RELAXED(&w->agg->gen);
	if (UNLIKELY(e->gen != gen)) {
		val_reset(w->agg, entry_val(e));
		STORE_RELEASE(&e->gen, gen);
	}
}

/* NULL: no room, which was counted. */
static struct rt_agg_entry *entry_now(const struct want *w)
{
	struct rt_agg_entry *e = entry_find(w);
	if (e)
		entry_renew(w, e);
	else
		add_local(&w->thr->agg_drops, 1);
	return e;
}

/* The same of a key with a stack. */
static struct rt_agg_entry *entry_of_stack(const struct rt_ctx *ctx, struct want *w)
{
	uint64_t *place = stack_place(ctx, w);
	struct rt_agg_entry *e = entry_guess(w, place);
	if (LIKELY(e != NULL)) {
		entry_renew(w, e);
		return e;
	}
	w->hash = (uint32_t)mem_hash(w->id, w->key, w->key_bytes);
	e = entry_now(w);
	if (e)
		STORE_RELAXED(place, (uint64_t)((uint8_t *)e - (uint8_t *)w->thr));
	return e;
}

static struct want want_of(const struct wire_shm *shm, struct wire_thread *thr, uint32_t id)
{
	const struct wire_agg *agg = (const struct wire_agg *)((const uint8_t *)shm + shm->agg_desc_off) + id;
	return (struct want){ .shm = shm, .thr = thr, .agg = agg, .id = id };
}

/* With this tuple; NULL: no room, which was counted. */
static inline struct rt_agg_entry *entry_of_tuple(const struct rt_ctx *ctx, struct want *w, const struct wire_tuple *key)
{
	w->key = key->data;
	w->key_bytes = key->bytes;
	if (ctx->stack_sum)
		return entry_of_stack(ctx, w);
	w->hash = (uint32_t)mem_hash(w->id, w->key, w->key_bytes);
	return entry_now(w);
}

void rt_agg(struct rt_ctx *ctx, uint32_t id, uint64_t tuple_off, uint64_t val, uint64_t weight)
{
	struct want w = want_of(ctx->shm, ctx->thr, id);
	if (tuple_off == WIRE_NONE) {
		rt_agg_plain(ctx->shm, ctx->thr, id, val, weight);
		return;
	}
	struct rt_agg_entry *e = entry_of_tuple(ctx, &w, rt_slot(ctx, tuple_off));
	if (e)
		update(w.agg, entry_val(e), val, weight);
}

/* ---- a stack alone as the key: of a walk that is kept, its entry is, too ---- */

/* As rt_tuple_ustack() makes it; the first word is a struct wire_vref, written at once for who reads it as a word. */
struct stack_key {
	uint64_t vref;
	uint64_t pc;
	uint64_t above[];
};

/* The entry with the walk at @k, if that is from here still; NULL: it has to be looked for. */
static inline struct rt_agg_entry *entry_kept(struct want *w, const struct wire_unw_kept *k, const struct wire_site *site, uint64_t seq)
{
	uint64_t entry = LOAD_RELAXED(&k->entry);
	w->key_bytes = (uint32_t)sizeof(struct stack_key) + 8 * k->pc_cnt;
	if (entry >> 32 != w->id || !kept_still(k, seq))
		return NULL;
	struct rt_agg_entry *e = entry_at(w, 8 * (uint64_t)(uint32_t)entry);
	/* The place is as well that of another function's that is called from there. */
	return e && ((const struct stack_key *)e->key)->pc == site->addr ? e : NULL;
}

/* Nobody else changes what is kept, for this has the first level. */
static __attribute__((noinline)) void keep_entry(struct wire_unw_kept *k, const struct want *w, const struct rt_agg_entry *e)
{
	uint64_t at = (uint64_t)((const uint8_t *)e - (const uint8_t *)w->thr) / 8;
	if (w->key_bytes == sizeof(struct stack_key) + 8ULL * k->pc_cnt && k->pc_cnt <= WIRE_UNW_KEPT_FRAMES && at <= UINT32_MAX &&
	    mem_equal(((const struct stack_key *)e->key)->above, k->pc, 8ULL * k->pc_cnt))
		STORE_RELEASE(&k->entry, (uint64_t)w->id << 32 | at);
}

/* With a context; @k as kept_place(). */
static inline void add_stack(struct rt_ctx *ctx, struct want *w, struct wire_unw_kept *k, const struct rt_stack_add *a)
{
	struct wire_tuple *tuple = rt_slot(ctx, a->slot);
	struct stack_key *key = (struct stack_key *)tuple->data;
	uint64_t room = (ctx->shm->scratch_bytes - a->slot - sizeof(*tuple) - sizeof(key->vref)) / 8; /* the verifier has seen to it */
	uint32_t cnt = rt_stack_walk_at(ctx, &key->pc, a->frames < room ? a->frames : (uint32_t)room, k);
	uint64_t bytes = 8ULL * cnt;
	_Static_assert(offsetof(struct wire_vref, off) == 0 && offsetof(struct wire_vref, bytes) == 4, "");
	key->vref = bytes << 32 | sizeof(key->vref);
	tuple->fixed_bytes = sizeof(key->vref);
	tuple->bytes = (uint32_t)(sizeof(key->vref) + bytes);
	struct rt_agg_entry *e = entry_of_tuple(ctx, w, tuple);
	if (!e)
		return;
	update(w->agg, entry_val(e), a->val, 1);
	if (k && k->seq && !ctx->level)
		keep_entry(k, w, e);
}

void rt_agg_ustack(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr, const struct wire_site *site, uint64_t sp,
		   const struct rt_stack_add *a)
{
	struct want w = want_of(shm, thr, a->agg);
	uint64_t last = 0;
	struct wire_unw_kept *k = kept_place(thr, site, sp, a->frames, &last);
	uint64_t seq = k ? kept_same(k, kept_what(shm, proc, a->frames), sp, a->bp, last, a->frames, NULL) : 0;
	struct rt_agg_entry *e = seq ? entry_kept(&w, k, site, seq) : NULL;
	if (LIKELY(e != NULL)) {
		entry_renew(&w, e);
		update(w.agg, entry_val(e), a->val, 1);
		return;
	}
	struct rt_ctx *ctx = rt_enter(shm, proc, thr, site, sp);
	if (!ctx)
		return;
	ctx->clause = a->clause;
	ctx->regs[WIRE_RSP] = sp;
	ctx->regs[WIRE_RBP] = a->bp;
	ctx->regs[WIRE_RBX] = a->bx;
	ctx->regs[WIRE_R10] = a->r10;
	add_stack(ctx, &w, k, a);
	rt_leave(ctx);
}

/* Both words at once: a handler's probe may come between any two instructions. */
static void set_cell(struct wire_cell *cell, uint64_t off, uint32_t gen)
{
	_Static_assert(offsetof(struct wire_cell, gen) == 4 && sizeof(*cell) == 8, "");
	if (off <= UINT32_MAX)
		STORE_RELEASE((uint64_t *)cell, (gen + 1ULL) << 32 | off);
}

static const uint64_t *counts_of(const struct wire_shm *geometry, const struct wire_thread *thr)
{
	return (const uint64_t *)((const uint8_t *)thr + geometry->geom.counts_off);
}

void rt_agg_plain(struct wire_shm *shm, struct wire_thread *thr, uint32_t id, uint64_t val, uint64_t weight)
{
	struct want w = want_of(shm, thr, id);
	if (w.agg->fn == WIRE_AGG_COUNT) {
		add_local((uint64_t *)counts_of(shm, thr) + id, weight);
		return;
	}
	w.hash = (uint32_t)mem_hash(id, NULL, 0);
	struct rt_agg_entry *e = entry_now(&w);
	if (!e)
		return;
	struct wire_cell *cells = (struct wire_cell *)((uint8_t *)thr + shm->geom.cells_off);
	set_cell(&cells[id], (uint64_t)((uint8_t *)entry_val(e) - (uint8_t *)thr), e->gen);
	update(w.agg, entry_val(e), val, weight);
}

static uint32_t place_of(const struct want *w, const struct rt_agg_entry *e)
{
	const uint8_t *arena = (const uint8_t *)w->thr + w->shm->geom.agg_off + rt_agg_table(&w->shm->geom).arena_off;
	return (uint32_t)(((const uint8_t *)e - arena) / 8 + 1);
}

uint32_t rt_agg_key(struct wire_shm *shm, struct wire_thread *thr, uint64_t agg_and_words, uint64_t val, uint64_t weight,
		    const uint64_t *key)
{
	struct want w = want_of(shm, thr, (uint32_t)agg_and_words);
	w.key = key;
	w.key_bytes = 8 * (uint32_t)(agg_and_words >> 32);
	w.hash = (uint32_t)mem_hash(w.id, w.key, w.key_bytes);
	struct rt_agg_entry *e = entry_now(&w);
	if (!e)
		return 0;
	update(w.agg, entry_val(e), val, weight);
	return place_of(&w, e);
}

/* ---- the reader's side: every number is checked against the geometry ---- */

static int walk_entry(const struct rt_agg_entry *e, uint64_t room, const struct wire_agg *aggs, uint32_t agg_cnt,
		      rt_agg_cb *cb, void *arg)
{
	uint32_t id = LOAD_RELAXED(&e->agg), key_bytes = LOAD_RELAXED(&e->key_bytes);
	if (id >= agg_cnt || key_bytes % 8)
		return 0;
	uint32_t val_cnt = aggs[id].val_cnt;
	if (sizeof(*e) + key_bytes + 8ULL * val_cnt > room)
		return 0;
	return cb(arg, id, LOAD_ACQUIRE(&e->gen), e->key, key_bytes, (const uint64_t *)(e->key + key_bytes), val_cnt);
}

/* Those without a key, which have no entry. */
static int walk_counts(const struct wire_shm *geometry, const struct wire_thread *thr, const struct wire_agg *aggs, uint32_t agg_cnt,
		       rt_agg_cb *cb, void *arg)
{
	const uint64_t *counts = counts_of(geometry, thr);
	int r = 0;
	for (uint32_t i = 0; i < agg_cnt && i < geometry->agg_cnt && !r; i++) {
		uint64_t cnt = aggs[i].fn == WIRE_AGG_COUNT ? LOAD_RELAXED(&counts[i]) : 0;
		if (cnt)
			r = cb(arg, i, aggs[i].gen, (const uint8_t *)&counts[i], 0, &cnt, 1);
	}
	return r;
}

int rt_agg_walk(const struct wire_shm *geometry, const void *thread_area, const struct wire_agg *aggs, uint32_t agg_cnt,
		rt_agg_cb *cb, void *arg)
{
	struct rt_agg_table t = rt_agg_table(&geometry->geom);
	const struct wire_thread *thr = thread_area;
	const uint32_t *index = (const uint32_t *)((const uint8_t *)thread_area + geometry->geom.agg_off);
	int counts = walk_counts(geometry, thr, aggs, agg_cnt, cb, arg);
	if (counts || !LOAD_ACQUIRE(&thr->agg_used))
		return counts; /* spares the index's pages */
	const uint8_t *arena = (const uint8_t *)index + t.arena_off;
	for (uint64_t i = 0; i < t.index_cnt; i++) {
		uint32_t place = LOAD_ACQUIRE(&index[i]);
		if (!place)
			continue;
		uint64_t at = (uint64_t)(place - 1) * 8;
		if (at > t.arena_bytes - sizeof(struct rt_agg_entry))
			continue;
		int r = walk_entry((const struct rt_agg_entry *)(arena + at), t.arena_bytes - at, aggs, agg_cnt, cb, arg);
		if (r)
			return r;
	}
	return 0;
}
