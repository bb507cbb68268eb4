/* SPDX-License-Identifier: MIT */
/*
 * Dynamic variables: elements of associative arrays, shared by all threads of
 * all traced processes and the tool.
 *
 *   dyn_off:  struct dyn_head     free elements, by size
 *             struct bucket[n]    a chain of elements each
 *             arena               struct dyn, key, value
 *
 * A chain is read and changed under its bucket's lock, which is only ever
 * tried: who cannot get it within microseconds drops the operation, and the
 * drop is counted.  So a probe that nests in the holder of the lock does not
 * wait for itself, and nobody waits for a holder that was killed: a lock that
 * stands still for about a second is taken over.  All changes of a chain are
 * single stores, so what a dead holder left is a chain.
 *
 * A deleted element goes to a list of its size and serves the next new one: a
 * script that sets and clears elements for ever needs no more memory than was
 * ever live at once.
 *
 * Places and sizes are checked against the geometry: in the tool this runs
 * over memory that targets can write.
 */
#include "rt/helpers.h"

#define SIZE_STEP 16u
#define SIZE_FINE 1024u /* up to here every multiple of SIZE_STEP is a class, then every power of two */
#define CLASS_FINE (SIZE_FINE / SIZE_STEP)
#define CLASS_CNT (CLASS_FINE + 1 + 16)
#define CLASS_LOOK 8 /* larger classes that may help out when the arena is full */
#define CHAIN_MAX 1024
#define LOCK_TRIES 64
#define POP_TRIES 16
#define STUCK_TSC (1ULL << 32) /* a second or two */

struct dyn_head {
	uint64_t used; /* bytes of the arena */
	/* The lock that was last found to stand still, and since when. */
	uint64_t stuck_lock, stuck_tsc, stuck_bucket;
	uint64_t live; /* elements, where there may be only so many */
	uint64_t pad[3];
	uint64_t free[CLASS_CNT]; /* stacks: count of changes in the high half, place of the first in the low */
};

struct bucket {
	uint64_t lock;  /* owner in the high half, 0: free; number of times it was held in the low */
	uint32_t first; /* place: arena offset / 8 + 1; 0: none */
	uint32_t pad;
};

struct dyn {
	uint32_t next; /* place */
	uint32_t class;
	uint32_t hash;
	uint32_t var;
	uint64_t owner; /* 0: global; else thread slot and incarnation */
	uint32_t key_bytes;
	uint32_t pad;
	uint8_t key[]; /* then the value */
};

struct table {
	struct dyn_head *head;
	struct bucket *buckets;
	uint64_t cnt; /* a power of two; 0: too little memory for a table */
	uint8_t *arena;
	uint64_t arena_bytes;
};

/* What is looked for, and the lock that is held for it. */
struct want {
	struct table t;
	uint32_t var, hash;
	uint64_t owner;
	const struct wire_tuple *key;
	uint32_t val_bytes;
	uint64_t need; /* bytes of an element for it */
	uint64_t max;  /* elements there may be; 0: as many as fit */
	struct bucket *bucket;
	uint64_t lock;
};

static struct table table_of(const struct rt_ctx *ctx)
{
	uint64_t bytes = ctx->shm->dyn_bytes;
	struct table t = { .head = (struct dyn_head *)((uint8_t *)ctx->shm + ctx->shm->dyn_off) };
	if (bytes < 4096)
		return t;
	t.cnt = 1ULL << (63 - __builtin_clzll(bytes / 128));
	t.buckets = (struct bucket *)(t.head + 1);
	t.arena = (uint8_t *)(t.buckets + t.cnt);
	t.arena_bytes = bytes - (uint64_t)(t.arena - (uint8_t *)t.head);
	if (t.arena_bytes > 1ULL << 35)
		t.arena_bytes = 1ULL << 35;
	return t;
}

static uint64_t thread_number(const struct rt_ctx *ctx)
{
	return ((uint64_t)((uint8_t *)ctx->thr - (uint8_t *)ctx->shm) >> 12) + 1;
}

static void want_init(struct want *w, struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint32_t val_bytes)
{
	w->t = table_of(ctx);
	w->var = (uint32_t)var;
	w->key = rt_slot(ctx, tuple);
	w->val_bytes = val_bytes;
	w->need = sizeof(struct dyn) + w->key->bytes + val_bytes;
	w->max = ctx->shm->dyn_max;
	w->owner = scope ? ((uint64_t)ctx->thr->incarnation << 32) + thread_number(ctx) : 0;
	w->hash = (uint32_t)mem_hash(w->var ^ w->owner * 0x9e3779b9u, w->key->data, w->key->bytes);
}

/* ---- memory ---- */

/* NULL: no element of @bytes can be there. */
static struct dyn *dyn_at(const struct table *t, uint32_t place, uint64_t bytes)
{
	uint64_t at = (uint64_t)(place - 1) * 8;
	return place && bytes <= t->arena_bytes && at <= t->arena_bytes - bytes ? (struct dyn *)(t->arena + at) : NULL;
}

static uint32_t place_of(const struct table *t, const struct dyn *e)
{
	return (uint32_t)(((const uint8_t *)e - t->arena) / 8 + 1);
}

static uint32_t class_of(uint64_t bytes)
{
	if (bytes <= SIZE_FINE)
		return (uint32_t)((bytes + SIZE_STEP - 1) / SIZE_STEP);
	return CLASS_FINE + (64 - (uint32_t)__builtin_clzll((bytes - 1) / SIZE_FINE));
}

static uint64_t class_bytes(uint32_t class)
{
	return class <= CLASS_FINE ? class * SIZE_STEP : (uint64_t)SIZE_FINE << (class - CLASS_FINE);
}

static struct dyn *pop(const struct table *t, uint32_t class)
{
	uint64_t *list = &t->head->free[class], top = LOAD_ACQUIRE(list);
	for (int i = 0; i < POP_TRIES; i++) {
		struct dyn *e = dyn_at(t, (uint32_t)top, class_bytes(class));
		if (!e)
			return NULL;
		uint64_t next = ((top >> 32) + 1) << 32 | LOAD_RELAXED(&e->next);
		if (__atomic_compare_exchange_n(list, &top, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return e;
	}
	return NULL;
}

static void push(const struct table *t, struct dyn *e, uint32_t class)
{
	uint64_t *list = &t->head->free[class], top = LOAD_RELAXED(list), next;
	do {
		STORE_RELAXED(&e->next, (uint32_t)top);
		next = ((top >> 32) + 1) << 32 | place_of(t, e);
	} while (!__atomic_compare_exchange_n(list, &top, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

static struct dyn *take_fresh(const struct table *t, uint32_t class)
{
	uint64_t bytes = class_bytes(class);
	uint64_t at = LOAD_RELAXED(&t->head->used);
	do {
		if (at % 8 || bytes > t->arena_bytes || at > t->arena_bytes - bytes)
			return NULL;
	} while (!__atomic_compare_exchange_n(&t->head->used, &at, at + bytes, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return (struct dyn *)(t->arena + at);
}

static struct dyn *dyn_alloc(const struct table *t, uint64_t bytes)
{
	uint32_t class = class_of(bytes);
	if (class >= CLASS_CNT)
		return NULL;
	struct dyn *e = pop(t, class);
	if (!e && (e = take_fresh(t, class)))
		e->class = class;
	for (uint32_t c = class + 1; !e && c < CLASS_CNT && c <= class + CLASS_LOOK; c++)
		e = pop(t, c);
	return e;
}

static void dyn_free(const struct table *t, struct dyn *e, uint64_t bytes)
{
	uint32_t class = LOAD_RELAXED(&e->class);
	if (class >= CLASS_CNT || class_bytes(class) < bytes || !dyn_at(t, place_of(t, e), class_bytes(class)))
		class = class_of(bytes);
	push(t, e, class);
}

/* ---- locks ---- */

static bool lock_cas(struct want *w, uint64_t seen, uint64_t new)
{
	w->lock = new;
	return __atomic_compare_exchange_n(&w->bucket->lock, &seen, new, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* @seen is still held after a while: takes it over if it is the same that somebody saw long ago. */
static bool lock_take_over(struct want *w, const struct rt_ctx *ctx, uint64_t me, uint64_t seen)
{
	struct dyn_head *h = w->t.head;
	uint64_t now = rt_tsc(ctx), bucket = (uint64_t)(w->bucket - w->t.buckets);
	if (LOAD_RELAXED(&h->stuck_lock) == seen && LOAD_RELAXED(&h->stuck_bucket) == bucket)
		return now - LOAD_RELAXED(&h->stuck_tsc) > STUCK_TSC && lock_cas(w, seen, me | (uint32_t)(seen + 1));
	STORE_RELAXED(&h->stuck_tsc, now);
	STORE_RELAXED(&h->stuck_bucket, bucket);
	STORE_RELAXED(&h->stuck_lock, seen);
	return false;
}

static bool lock_try(struct want *w, struct rt_ctx *ctx)
{
	uint64_t me = thread_number(ctx) << 32, seen = 0;
	if (!w->t.cnt)
		return false;
	w->bucket = &w->t.buckets[w->hash & (w->t.cnt - 1)];
	for (int i = 0; i < LOCK_TRIES; i++) {
		seen = LOAD_RELAXED(&w->bucket->lock);
		if (!(seen >> 32) && lock_cas(w, seen, me | (uint32_t)seen))
			return true;
		if (seen >> 32 == me >> 32) /* a probe that we interrupted, or that was left by a longjmp */
			return rt_levels_used(ctx->thr) <= 1 && lock_cas(w, seen, me | (uint32_t)(seen + 1));
		__asm__ volatile("pause");
	}
	return seen >> 32 && lock_take_over(w, ctx, me, seen);
}

static bool lock(struct want *w, struct rt_ctx *ctx)
{
	if (lock_try(w, ctx))
		return true;
	add_local(&ctx->thr->dyn_drops, 1);
	return false;
}

static void unlock(struct want *w)
{
	if (LOAD_RELAXED(&w->bucket->lock) == w->lock) /* else it was taken over */
		STORE_RELEASE(&w->bucket->lock, (uint32_t)(w->lock + 1));
}

/* ---- chains, under the lock ---- */

static bool is_it(const struct want *w, uint32_t place, const struct dyn *e)
{
	return e->hash == w->hash && e->var == w->var && e->owner == w->owner && e->key_bytes == w->key->bytes &&
	       dyn_at(&w->t, place, w->need) && mem_equal(e->key, w->key->data, w->key->bytes);
}

/* The element or NULL; *ret_link: where its place is kept. */
static struct dyn *find(const struct want *w, uint32_t **ret_link)
{
	uint32_t *link = &w->bucket->first;
	for (int i = 0; i < CHAIN_MAX; i++) {
		uint32_t place = LOAD_RELAXED(link);
		struct dyn *e = dyn_at(&w->t, place, sizeof(*e));
		if (!e)
			return NULL;
		if (is_it(w, place, e)) {
			*ret_link = link;
			return e;
		}
		link = &e->next;
	}
	return NULL;
}

static uint8_t *val_of(const struct want *w, struct dyn *e)
{
	return e->key + w->key->bytes;
}

/* Counts one more, if there may be. */
static bool count_in(const struct want *w)
{
	uint64_t *live = &w->t.head->live;
	if (!w->max || __atomic_add_fetch(live, 1, __ATOMIC_RELAXED) <= w->max)
		return true;
	__atomic_sub_fetch(live, 1, __ATOMIC_RELAXED);
	return false;
}

static void count_out(const struct want *w)
{
	if (w->max)
		__atomic_sub_fetch(&w->t.head->live, 1, __ATOMIC_RELAXED);
}

/* Not in its chain yet. */
static struct dyn *dyn_make(const struct want *w)
{
	if (!count_in(w))
		return NULL;
	struct dyn *e = dyn_alloc(&w->t, w->need);
	if (!e) {
		count_out(w);
		return NULL;
	}
	e->hash = w->hash;
	e->var = w->var;
	e->owner = w->owner;
	e->key_bytes = w->key->bytes;
	mem_copy(e->key, w->key->data, w->key->bytes);
	e->next = w->bucket->first;
	return e;
}

/* ---- what programs do ---- */

/* Copies the value to @dst; false: there is none. */
static bool load(struct rt_ctx *ctx, struct want *w, void *dst)
{
	uint32_t *link;
	if (!lock(w, ctx))
		return false;
	struct dyn *e = find(w, &link);
	if (e)
		mem_copy(dst, val_of(w, e), w->val_bytes);
	unlock(w);
	return e != NULL;
}

/* A scalar, or the characters of a string. */
struct value {
	const void *p;
	uint32_t bytes;
	bool is_str;
};

static void set_value(uint8_t *to, const struct value *v)
{
	struct wire_str *str = (struct wire_str *)to;
	mem_copy(v->is_str ? (void *)str->s : to, v->p, v->bytes);
	if (v->is_str) {
		str->len = v->bytes;
		str->s[v->bytes] = 0;
	}
}

static void store(struct rt_ctx *ctx, struct want *w, const struct value *v)
{
	uint32_t *link;
	if (!lock(w, ctx))
		return;
	struct dyn *e = find(w, &link), *fresh = e ? NULL : dyn_make(w);
	if (e || fresh)
		set_value(val_of(w, e ? e : fresh), v);
	else
		add_local(&ctx->thr->dyn_drops, 1);
	if (fresh)
		STORE_RELEASE(&w->bucket->first, place_of(&w->t, fresh));
	unlock(w);
}

static void clear(struct rt_ctx *ctx, struct want *w)
{
	uint32_t *link;
	if (!lock(w, ctx))
		return;
	struct dyn *e = find(w, &link);
	if (e) {
		STORE_RELEASE(link, e->next);
		dyn_free(&w->t, e, w->need);
		count_out(w);
	}
	unlock(w);
}

uint64_t rt_dyn_load(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t d)
{
	UNUSED(0, 0, d);
	struct want w;
	uint64_t v = 0;
	want_init(&w, ctx, var, scope, tuple, sizeof(v));
	return load(ctx, &w, &v) ? v : 0;
}

uint64_t rt_dyn_store(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t v)
{
	struct want w;
	want_init(&w, ctx, var, scope, tuple, sizeof(v));
	struct value val = { &v, sizeof(v), false };
	if (v)
		store(ctx, &w, &val);
	else
		clear(ctx, &w);
	return 0;
}

uint64_t rt_dyn_str_load(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t dst)
{
	struct wire_str *to = rt_slot(ctx, dst);
	struct want w;
	want_init(&w, ctx, var, scope, tuple, wire_str_bytes(ctx->shm->strsize));
	bool found = load(ctx, &w, to);
	if (!found || to->len > ctx->shm->strsize)
		to->len = 0;
	to->s[to->len] = 0;
	return found ? WIRE_SREF(WIRE_SREF_SCRATCH, dst) : 0;
}

uint64_t rt_dyn_str_store(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t sref)
{
	struct want w;
	want_init(&w, ctx, var, scope, tuple, wire_str_bytes(ctx->shm->strsize));
	struct value val = { .is_str = true };
	val.p = rt_str(ctx, sref, &val.bytes);
	if (val.bytes > ctx->shm->strsize)
		val.bytes = ctx->shm->strsize;
	if (sref)
		store(ctx, &w, &val);
	else
		clear(ctx, &w);
	return 0;
}

/* Scope and size of an element share a constant: helpers have four arguments. */
static void want_mem(struct want *w, struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple)
{
	want_init(w, ctx, var, scope & 1, tuple, (uint32_t)(scope >> 1));
}

static bool is_var(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes)
{
	if (rt_in_vars(ctx, addr, bytes))
		return true;
	rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return false;
}

uint64_t rt_dyn_mem_load(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t addr)
{
	struct want w;
	want_mem(&w, ctx, var, scope, tuple);
	if (is_var(ctx, addr, w.val_bytes) && !load(ctx, &w, (void *)addr))
		mem_zero((void *)addr, w.val_bytes);
	return 0;
}

uint64_t rt_dyn_mem_store(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t addr)
{
	struct want w;
	want_mem(&w, ctx, var, scope, tuple);
	struct value val = { (const void *)addr, w.val_bytes, false };
	if (is_var(ctx, addr, w.val_bytes))
		store(ctx, &w, &val);
	return 0;
}

uint64_t rt_dyn_clear(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t d)
{
	UNUSED(0, 0, d);
	struct want w;
	want_mem(&w, ctx, var, scope, tuple);
	clear(ctx, &w);
	return 0;
}
