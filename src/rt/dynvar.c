/* SPDX-License-Identifier: MIT */
/*
 * Dynamic variables: elements of associative arrays, shared by all threads and
 * the tool.
 *
 *   dyn_off:  struct dyn_head
 *             uint32_t index[n]   arena offset / 8 + 1; 0: empty, never emptied again
 *             arena               struct dyn
 *
 * Nobody waits: an element is a small sequence lock that is only ever tried.
 * Even version: stable.  A writer makes it odd with a compare-and-swap, which
 * also proves that nothing changed since it looked.  A deleted element
 * (not live) is taken over by the next key that meets it on its way, so a
 * script that sets and clears elements for ever needs no more than were ever
 * live at once.
 */
#include "rt/helpers.h"

struct dyn_head {
	uint64_t used; /* bytes of the arena */
	uint64_t pad[7];
};

struct dyn {
	uint32_t version;
	uint32_t live;
	uint32_t hash;
	uint32_t var;
	uint64_t owner;     /* 0: global; else thread slot and incarnation */
	uint32_t key_bytes;
	uint32_t key_cap;   /* bytes reserved for the key */
	uint32_t val_cap;   /* bytes reserved for the value */
	uint32_t pad;
	uint8_t key[];      /* key_cap, then the value */
};

#define LOOK_MAX 128
#define TRIES_MAX 16

struct table {
	struct dyn_head *head;
	uint32_t *index;
	uint64_t cnt;
	uint8_t *arena;
	uint64_t arena_bytes;
};

/* What is looked for. */
struct want {
	uint32_t var, hash;
	uint64_t owner;
	const struct wire_tuple *key;
	uint32_t val_bytes;
};

static struct table table_of(struct rt_ctx *ctx)
{
	uint64_t bytes = ctx->shm->dyn_bytes, cnt = 64;
	while (cnt * 2 * 4 <= bytes / 8)
		cnt *= 2;
	uint8_t *base = (uint8_t *)ctx->shm + ctx->shm->dyn_off;
	uint64_t fixed = sizeof(struct dyn_head) + cnt * 4;
	return (struct table){ (struct dyn_head *)base, (uint32_t *)(base + sizeof(struct dyn_head)), cnt, base + fixed,
			       bytes > fixed ? bytes - fixed : 0 };
}

static struct want want_of(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint32_t val_bytes)
{
	struct want w = { .var = (uint32_t)var, .key = rt_slot(ctx, tuple), .val_bytes = val_bytes };
	if (scope)
		w.owner = ((uint64_t)ctx->thr->incarnation << 32) + ((uint64_t)((uint8_t *)ctx->thr - (uint8_t *)ctx->shm) >> 12) + 1;
	w.hash = (uint32_t)mem_hash(w.var ^ w.owner * 0x9e3779b9u, w.key->data, w.key->bytes);
	return w;
}

static struct dyn *dyn_at(const struct table *t, uint32_t place)
{
	return (struct dyn *)(t->arena + (uint64_t)(place - 1) * 8);
}

static uint8_t *dyn_val(struct dyn *e)
{
	return e->key + e->key_cap;
}

static bool is_it(const struct dyn *e, const struct want *w)
{
	return e->live && e->hash == w->hash && e->var == w->var && e->owner == w->owner &&
	       e->key_bytes == w->key->bytes && mem_equal(e->key, w->key->data, w->key->bytes);
}

static bool fits(const struct dyn *e, const struct want *w)
{
	return !e->live && e->key_cap >= w->key->bytes && e->val_cap >= w->val_bytes;
}

static bool try_lock(struct dyn *e, uint32_t version)
{
	return !(version & 1) && __atomic_compare_exchange_n(&e->version, &version, version + 1, false, __ATOMIC_ACQ_REL,
							     __ATOMIC_RELAXED);
}

static void unlock(struct dyn *e)
{
	STORE_RELEASE(&e->version, e->version + 1);
}

static bool unchanged(const struct dyn *e, uint32_t version)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(version & 1) && LOAD_RELAXED(&e->version) == version;
}

/* The element, with the version at which it was it; else NULL and, in *ret_free,
 * one that can be taken over, in *ret_empty the index slot at which the way ends. */
static struct dyn *look(const struct table *t, const struct want *w, uint32_t *ret_version, struct dyn **ret_free,
			uint32_t *ret_free_version, uint32_t **ret_empty)
{
	*ret_free = NULL;
	*ret_empty = NULL;
	for (uint64_t i = 0; i < LOOK_MAX; i++) {
		uint32_t *slot = &t->index[(w->hash + i) & (t->cnt - 1)];
		uint32_t place = LOAD_ACQUIRE(slot);
		if (!place) {
			*ret_empty = slot;
			return NULL;
		}
		struct dyn *e = dyn_at(t, place);
		uint32_t version = LOAD_ACQUIRE(&e->version);
		if (is_it(e, w) && unchanged(e, version)) {
			*ret_version = version;
			return e;
		}
		if (!*ret_free && fits(e, w) && unchanged(e, version)) {
			*ret_free = e;
			*ret_free_version = version;
		}
	}
	return NULL;
}

/* A new element, locked, not in the index yet. */
static struct dyn *dyn_create(const struct table *t, const struct want *w)
{
	uint32_t key_cap = (uint32_t)align_up(w->key->bytes, 16);
	uint64_t need = sizeof(struct dyn) + key_cap + w->val_bytes;
	if (LOAD_RELAXED(&t->head->used) + need > t->arena_bytes)
		return NULL;
	uint64_t at = __atomic_fetch_add(&t->head->used, need, __ATOMIC_RELAXED);
	if (at + need > t->arena_bytes)
		return NULL;
	struct dyn *e = (struct dyn *)(t->arena + at);
	e->key_cap = key_cap;
	e->val_cap = w->val_bytes;
	e->version = 1;
	return e;
}

static void set_key(struct dyn *e, const struct want *w)
{
	e->hash = w->hash;
	e->var = w->var;
	e->owner = w->owner;
	e->key_bytes = w->key->bytes;
	mem_copy(e->key, w->key->data, w->key->bytes);
	mem_zero(dyn_val(e), w->val_bytes);
	e->live = 1;
}

/* Shows a new element in the index; false if another took the slot (the element is then left as a
 * free one that nobody finds: its bytes are lost, so this is tried again at the next slot). */
static bool show(const struct table *t, const struct want *w, struct dyn *e)
{
	uint32_t place = (uint32_t)(((uint8_t *)e - t->arena) / 8 + 1);
	for (uint64_t i = 0; i < LOOK_MAX; i++) {
		uint32_t *slot = &t->index[(w->hash + i) & (t->cnt - 1)];
		uint32_t empty = 0;
		if (!LOAD_RELAXED(slot) && __atomic_compare_exchange_n(slot, &empty, place, false, __ATOMIC_ACQ_REL,
								       __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

/* The element of @w, locked for writing; made if @make.  NULL: there is none, or no room or no luck (counted). */
static struct dyn *lock(struct rt_ctx *ctx, const struct want *w, bool make)
{
	struct table t = table_of(ctx);
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		uint32_t version, free_version, *empty;
		struct dyn *free, *e = look(&t, w, &version, &free, &free_version, &empty);
		if (e) {
			if (try_lock(e, version))
				return e;
			continue;
		}
		if (!make)
			return NULL;
		if (free) {
			if (!try_lock(free, free_version))
				continue;
			set_key(free, w);
			return free;
		}
		e = empty ? dyn_create(&t, w) : NULL;
		if (!e)
			break;
		set_key(e, w);
		if (show(&t, w, e))
			return e;
		break;
	}
	ctx->thr->dyn_drops++;
	return NULL;
}

/* Copies the value of @w to @dst; false: there is none. */
static bool read_val(struct rt_ctx *ctx, const struct want *w, void *dst)
{
	struct table t = table_of(ctx);
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		uint32_t version, free_version, *empty;
		struct dyn *free, *e = look(&t, w, &version, &free, &free_version, &empty);
		if (!e)
			return false;
		mem_copy(dst, dyn_val(e), w->val_bytes);
		if (unchanged(e, version))
			return true;
	}
	return false;
}

uint64_t rt_dyn_load(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t d)
{
	UNUSED(0, 0, d);
	struct want w = want_of(ctx, var, scope, tuple, 8);
	uint64_t v = 0;
	return read_val(ctx, &w, &v) ? v : 0;
}

static void finish(struct dyn *e, bool live)
{
	e->live = live;
	unlock(e);
}

uint64_t rt_dyn_store(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t v)
{
	struct want w = want_of(ctx, var, scope, tuple, 8);
	struct dyn *e = lock(ctx, &w, v != 0);
	if (e) {
		*(uint64_t *)dyn_val(e) = v;
		finish(e, v != 0);
	}
	return 0;
}

uint64_t rt_dyn_str_load(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t dst)
{
	struct want w = want_of(ctx, var, scope, tuple, wire_str_bytes(ctx->shm->strsize));
	struct wire_str *to = rt_slot(ctx, dst);
	if (!read_val(ctx, &w, to) || to->len > ctx->shm->strsize)
		to->len = 0;
	to->s[to->len] = 0;
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

uint64_t rt_dyn_str_store(struct rt_ctx *ctx, uint64_t var, uint64_t scope, uint64_t tuple, uint64_t sref)
{
	struct want w = want_of(ctx, var, scope, tuple, wire_str_bytes(ctx->shm->strsize));
	struct dyn *e = lock(ctx, &w, sref != 0);
	if (!e)
		return 0;
	struct wire_str *to = (struct wire_str *)dyn_val(e);
	uint32_t len;
	const char *s = rt_str(ctx, sref, &len);
	to->len = len < ctx->shm->strsize ? len : ctx->shm->strsize;
	mem_copy(to->s, s, to->len);
	to->s[to->len] = 0;
	finish(e, sref != 0);
	return 0;
}
