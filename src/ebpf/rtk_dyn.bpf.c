/* SPDX-License-Identifier: MIT */
/* Dynamic variables: elements of associative arrays, in the table that rt/dynvar.c describes. */
#include "ebpf/rtk_bpf.h"

#define SIZE_STEP 16u
#define SIZE_FINE 1024u
#define CLASS_FINE (SIZE_FINE / SIZE_STEP)
#define CLASS_CNT (CLASS_FINE + 1 + 16)
#define CLASS_LOOK 8
#define CHAIN_MAX 256
/* A holder needs a microsecond, but an interrupt, or the machine below a virtual one, may hold it up: so many tries, by so
 * many by so many, take a millisecond.  One that may be preempted is waited for by a spell only. */
#define LOCK_TRIES 64
#define LOCK_SPELL 8
#define LOCK_SPELLS 256
#define CHAIN_STEPS 16
#define TRIES 8

struct dyn_head {
	uint64_t used;
	uint64_t stuck_lock, stuck_tsc, stuck_bucket;
	uint64_t live;
	uint64_t pad[3];
	uint64_t free[CLASS_CNT];
};
struct bucket {
	uint64_t lock;
	uint32_t first;
	uint32_t pad;
};
struct dyn {
	uint32_t next;
	uint32_t class;
	uint32_t hash;
	uint32_t var;
	uint64_t owner;
	uint32_t key_bytes;
	uint32_t pad;
};

#define HEAD(field) (K(DYN) + offsetof(struct dyn_head, field))
#define FIELD(e, field) ((e) + offsetof(struct dyn, field))

/* What is looked for: on the context's page, for functions have five arguments. */
struct want {
	uint64_t bucket; /* offset */
	uint64_t owner;
	uint64_t key, key_bytes;
	uint32_t var, hash;
	uint32_t val_bytes, locked;
};
_Static_assert(sizeof(struct want) <= sizeof(((struct rtk_more *)0)->want), "");

INLINE struct want *want_of(uint64_t ctx)
{
	return at(ctx + MORE(want));
}

INLINE uint64_t thread_number(uint64_t ctx)
{
	return (ctx_at(ctx)->thr >> 12) + 1;
}

/* An element's offset by its place; 0: none can be there. */
INLINE uint64_t dyn_at(uint32_t place, uint64_t bytes)
{
	uint64_t off = (uint64_t)(place - 1) * 8;
	return place && bytes <= K(DYN_ARENA_BYTES) && off <= K(DYN_ARENA_BYTES) - bytes ? K(DYN_ARENA) + off : 0;
}

INLINE uint32_t place_of(uint64_t e)
{
	return (uint32_t)((e - K(DYN_ARENA)) / 8 + 1);
}

GLOBAL uint64_t rtk_dyn_class(uint64_t bytes)
{
	if (bytes <= SIZE_FINE)
		return (bytes + SIZE_STEP - 1) / SIZE_STEP;
	uint64_t v = (bytes - 1) / SIZE_FINE, n = 0;
	if (v >> 16) { n += 16; v >>= 16; }
	if (v >> 8) { n += 8; v >>= 8; }
	if (v >> 4) { n += 4; v >>= 4; }
	if (v >> 2) { n += 2; v >>= 2; }
	return CLASS_FINE + 1 + n + (v >> 1);
}

INLINE uint64_t class_bytes(uint64_t class)
{
	return class <= CLASS_FINE ? class * SIZE_STEP : (uint64_t)SIZE_FINE << ((class - CLASS_FINE) & 31);
}

/* Owner of what is kept by thread. */
INLINE uint64_t owner_of(uint64_t ctx, uint64_t scope)
{
	if (!scope)
		return 0;
	if (K(SELF_IN_SLOT))
		return ((uint64_t)thr_of(ctx)->incarnation << 32) + thread_number(ctx);
	return rtk_self(ctx, 1) ? ctx_at(ctx)->owner : 1ULL << 63;
}

GLOBAL uint64_t rtk_dyn_want(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t val_bytes)
{
	struct want *w = want_of(ctx);
	uint64_t tuple = scratch(ctx, slot), owner = owner_of(ctx, scope);
	w->var = (uint32_t)var;
	w->owner = owner;
	w->key = tuple + sizeof(struct wire_tuple);
	w->key_bytes = ld32(tuple);
	w->val_bytes = (uint32_t)val_bytes;
	w->hash = (uint32_t)rtk_hash((uint32_t)var ^ owner * 0x9e3779b9u, w->key, w->key_bytes);
	w->bucket = K(DYN_BUCKETS) + sizeof(struct bucket) * (w->hash & (K(DYN_CNT) - 1));
	return 0;
}

INLINE uint64_t elem_bytes(const struct want *w)
{
	return sizeof(struct dyn) + w->key_bytes + w->val_bytes;
}

/* A free element of a class. */
GLOBAL uint64_t rtk_dyn_pop(uint64_t class)
{
	uint64_t list = HEAD(free) + 8 * class;
	for (int i = 0; i < TRIES; i++) {
		uint64_t top = ld64(list), e = dyn_at((uint32_t)top, class_bytes(class));
		if (!e)
			return 0;
		uint64_t next = ((top >> 32) + 1) << 32 | ld32(FIELD(e, next));
		if (cas64(list, top, next) == top)
			return e;
	}
	return 0;
}

GLOBAL uint64_t rtk_dyn_push(uint64_t e, uint64_t class)
{
	uint64_t list = HEAD(free) + 8 * class;
	for (int i = 0; i < 2 * TRIES; i++) {
		uint64_t top = ld64(list);
		st32(FIELD(e, next), (uint32_t)top);
		if (cas64(list, top, ((top >> 32) + 1) << 32 | place_of(e)) == top)
			return 1;
	}
	return 0;
}

GLOBAL uint64_t rtk_dyn_fresh(uint64_t class)
{
	uint64_t bytes = class_bytes(class);
	for (int i = 0; i < 2 * TRIES; i++) {
		uint64_t used = ld64(HEAD(used));
		if (used % 8 || bytes > K(DYN_ARENA_BYTES) || used > K(DYN_ARENA_BYTES) - bytes)
			return 0;
		if (cas64(HEAD(used), used, used + bytes) == used)
			return K(DYN_ARENA) + used;
	}
	return 0;
}

GLOBAL uint64_t rtk_dyn_alloc(uint64_t bytes)
{
	uint64_t class = rtk_dyn_class(bytes);
	if (class >= CLASS_CNT)
		return 0;
	uint64_t e = rtk_dyn_pop(class);
	if (!e) {
		e = rtk_dyn_fresh(class);
		if (e)
			st32(FIELD(e, class), (uint32_t)class);
	}
	for (uint64_t n = 1; !e && n <= CLASS_LOOK; n++)
		if (class + n < CLASS_CNT)
			e = rtk_dyn_pop(class + n);
	return e;
}

enum lock { LOCK_BUSY, LOCK_TAKEN, LOCK_OWN };

/* Tries for a while; LOCK_OWN: this thread holds it, further down. */
GLOBAL uint64_t rtk_dyn_try(uint64_t ctx)
{
	uint64_t lock = want_of(ctx)->bucket + offsetof(struct bucket, lock), me = thread_number(ctx) << 32;
	for (int i = 0; i < LOCK_TRIES; i++) {
		uint64_t seen = ld64(lock);
		if (seen >> 32 == me >> 32)
			return LOCK_OWN;
		if (!(seen >> 32) && cas64(lock, seen, me | (uint32_t)seen) == seen)
			return LOCK_TAKEN;
	}
	return LOCK_BUSY;
}

GLOBAL uint64_t rtk_dyn_wait(uint64_t ctx)
{
	uint64_t r = LOCK_BUSY;
	for (int i = 0; i < LOCK_SPELL && r == LOCK_BUSY; i++)
		r = rtk_dyn_try(ctx);
	return r;
}

/* It may be held by who waits for the very CPU that would wait for it: by a uprobe's program, or in a process. */
INLINE uint64_t may_be_preempted(uint64_t holder)
{
	uint64_t slot = ((holder - 1) << 12) - K(THREAD);
	return holder && slot >= K(CPU_CNT) * K(STRIDE);
}

/* 1: locked.  Who finds it held for long drops what it wanted, counted; who nests in its holder at once. */
GLOBAL uint64_t rtk_dyn_lock(uint64_t ctx)
{
	uint64_t lock = want_of(ctx)->bucket + offsetof(struct bucket, lock), r = LOCK_BUSY;
	for (int i = 0; i < LOCK_SPELLS && K(DYN_CNT) && r == LOCK_BUSY; i++) {
		r = rtk_dyn_wait(ctx);
		if (r == LOCK_BUSY && may_be_preempted(ld64(lock) >> 32))
			break;
	}
	if (r == LOCK_TAKEN)
		return 1;
	add_here(ctx_at(ctx)->thr + offsetof(struct wire_thread, dyn_drops), 1);
	return 0;
}

GLOBAL uint64_t rtk_dyn_unlock(uint64_t ctx)
{
	uint64_t lock = want_of(ctx)->bucket + offsetof(struct bucket, lock), held = ld64(lock);
	if (held >> 32 == thread_number(ctx))
		cas64(lock, held, (uint32_t)(held + 1));
	return 0;
}

GLOBAL uint64_t rtk_dyn_is(uint64_t ctx, uint64_t e)
{
	struct want *w = want_of(ctx);
	struct dyn *d = at(e);
	return d->hash == w->hash && d->var == w->var && d->owner == w->owner && d->key_bytes == w->key_bytes &&
	       rtk_same(e + sizeof(struct dyn), w->key, w->key_bytes);
}

/* Some elements of a chain, from the one that @link leads to: the link to the wanted one; 0: the chain has ended, and
 * the context's cell is 0; or it goes on at the link in that cell. */
GLOBAL uint64_t rtk_dyn_chain(uint64_t ctx, uint64_t link)
{
	volatile uint64_t *more = cells(ctx);
	*more = 0;
	for (int i = 0; i < CHAIN_STEPS; i++) {
		uint64_t e = dyn_at(ld32(link), sizeof(struct dyn));
		if (!e)
			return 0;
		if (rtk_dyn_is(ctx, e))
			return link;
		link = FIELD(e, next);
	}
	*more = link;
	return 0;
}

/* The offset of the link that leads to the element; 0: there is none. */
GLOBAL uint64_t rtk_dyn_find(uint64_t ctx)
{
	uint64_t link = want_of(ctx)->bucket + offsetof(struct bucket, first);
	for (int i = 0; i < CHAIN_MAX / CHAIN_STEPS; i++) {
		uint64_t found = rtk_dyn_chain(ctx, link);
		link = *cells(ctx);
		if (found || !link)
			return found;
	}
	return 0;
}

INLINE uint64_t element(uint64_t link)
{
	return link ? dyn_at(ld32(link), sizeof(struct dyn)) : 0;
}

INLINE uint64_t val_of(struct want *w, uint64_t e)
{
	return e + sizeof(struct dyn) + w->key_bytes;
}

GLOBAL uint64_t rtk_dyn_make(uint64_t ctx)
{
	struct want *w = want_of(ctx);
	if (K(DYN_MAX) && __sync_fetch_and_add((uint64_t *)at8(HEAD(live)), 1) >= K(DYN_MAX)) {
		add64(HEAD(live), ~0ULL);
		return 0;
	}
	uint64_t e = rtk_dyn_alloc(elem_bytes(w));
	if (!e) {
		if (K(DYN_MAX))
			add64(HEAD(live), ~0ULL);
		return 0;
	}
	struct dyn *d = at(e);
	d->hash = w->hash;
	d->var = w->var;
	d->owner = w->owner;
	d->key_bytes = (uint32_t)w->key_bytes;
	copy(e + sizeof(struct dyn), w->key, w->key_bytes);
	d->next = ld32(w->bucket + offsetof(struct bucket, first));
	return e;
}

/* Copies the value to @dst; 0: there is none. */
GLOBAL uint64_t rtk_dyn_get(uint64_t ctx, uint64_t dst)
{
	if (!rtk_dyn_lock(ctx))
		return 0;
	uint64_t e = element(rtk_dyn_find(ctx));
	if (e)
		copy(dst, val_of(want_of(ctx), e), want_of(ctx)->val_bytes);
	rtk_dyn_unlock(ctx);
	return e != 0;
}

/* Sets the value to @bytes at @src: of a string (@is_str) the characters. */
GLOBAL uint64_t rtk_dyn_set(uint64_t ctx, uint64_t src, uint64_t bytes, uint64_t is_str)
{
	struct want *w = want_of(ctx);
	if (!rtk_dyn_lock(ctx))
		return 0;
	uint64_t e = element(rtk_dyn_find(ctx)), fresh = e ? 0 : rtk_dyn_make(ctx);
	if (e || fresh) {
		uint64_t val = val_of(w, e ? e : fresh);
		copy(is_str ? val + sizeof(struct wire_str) : val, src, bytes);
		if (is_str) {
			st32(val, (uint32_t)bytes);
			st8(val + sizeof(struct wire_str) + bytes, 0);
		}
	} else {
		add_here(ctx_at(ctx)->thr + offsetof(struct wire_thread, dyn_drops), 1);
	}
	if (fresh)
		st32(w->bucket + offsetof(struct bucket, first), place_of(fresh));
	rtk_dyn_unlock(ctx);
	return 0;
}

GLOBAL uint64_t rtk_dyn_remove(uint64_t ctx)
{
	struct want *w = want_of(ctx);
	if (!rtk_dyn_lock(ctx))
		return 0;
	uint64_t link = rtk_dyn_find(ctx), e = element(link);
	if (e) {
		uint64_t class = ld32(FIELD(e, class)), bytes = elem_bytes(w);
		st32(link, ld32(FIELD(e, next)));
		if (class >= CLASS_CNT || class_bytes(class) < bytes)
			class = rtk_dyn_class(bytes);
		rtk_dyn_push(e, class);
		if (K(DYN_MAX))
			add64(HEAD(live), ~0ULL);
	}
	rtk_dyn_unlock(ctx);
	return 0;
}

GLOBAL uint64_t rtk_dyn_load(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot)
{
	rtk_dyn_want(ctx, var, scope, slot, 8);
	return rtk_dyn_get(ctx, buffer(ctx)) ? ld64(buffer(ctx)) : 0;
}

GLOBAL uint64_t rtk_dyn_store(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t v)
{
	rtk_dyn_want(ctx, var, scope, slot, 8);
	st64(buffer(ctx), v);
	if (v)
		rtk_dyn_set(ctx, buffer(ctx), 8, 0);
	else
		rtk_dyn_remove(ctx);
	return 0;
}

GLOBAL uint64_t rtk_dyn_str_load(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t dst)
{
	uint64_t to = scratch(ctx, dst);
	rtk_dyn_want(ctx, var, scope, slot, str_bytes());
	bool found = rtk_dyn_get(ctx, to);
	if (!found || ld32(to) > K(STRSIZE))
		st32(to, 0);
	st8(to + sizeof(struct wire_str) + ld32(to), 0);
	return found ? WIRE_SREF(WIRE_SREF_SCRATCH, dst) : 0;
}

GLOBAL uint64_t rtk_dyn_str_store(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t sref)
{
	rtk_dyn_want(ctx, var, scope, slot, str_bytes());
	struct text t = text_of(ctx, sref);
	if (sref)
		rtk_dyn_set(ctx, t.s, capped(t.len, K(STRSIZE)), 1);
	else
		rtk_dyn_remove(ctx);
	return 0;
}

INLINE bool is_var(uint64_t ctx, uint64_t addr, uint64_t bytes)
{
	if (rtk_in_vars(ctx, addr - K(OWN), bytes))
		return true;
	set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return false;
}

GLOBAL uint64_t rtk_dyn_mem_load(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t addr)
{
	uint64_t bytes = (uint32_t)(scope >> 1);
	rtk_dyn_want(ctx, var, scope & 1, slot, bytes);
	if (is_var(ctx, addr, bytes) && !rtk_dyn_get(ctx, addr - K(OWN)))
		rtk_zero_own(addr - K(OWN), bytes);
	return 0;
}

GLOBAL uint64_t rtk_dyn_mem_store(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot, uint64_t addr)
{
	uint64_t bytes = (uint32_t)(scope >> 1);
	rtk_dyn_want(ctx, var, scope & 1, slot, bytes);
	if (is_var(ctx, addr, bytes))
		rtk_dyn_set(ctx, addr - K(OWN), bytes, 0);
	return 0;
}

GLOBAL uint64_t rtk_dyn_clear(uint64_t ctx, uint64_t var, uint64_t scope, uint64_t slot)
{
	rtk_dyn_want(ctx, var, scope & 1, slot, (uint32_t)(scope >> 1));
	rtk_dyn_remove(ctx);
	return 0;
}
