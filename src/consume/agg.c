/* SPDX-License-Identifier: MIT */
/*
 * Aggregations of all threads as one.
 *
 *   base   what threads that are gone left
 *   floor  what clear() and trunc() took away
 *   snap   base and the tables of all live threads, merged, less floor: what is printed
 *
 * Threads only ever add, so that what clear() and trunc() take away is what was shown and nothing that came meanwhile,
 * however busy a thread and however far its memory is.  Where a key is in base and floor only, and they are equal, it is
 * forgotten.  A minimum or maximum cannot be subtracted: there threads begin
 * anew (wire_agg.gen), and base has what was kept.
 *
 * Keys are merged as they print: addresses that show as one symbol are one
 * key, so are stacks that fold to one text (fold.c), and interned strings are
 * compared by their text.
 */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX (1u << 20) /* nothing that a program can build is longer */

uint32_t consume_agg_val_cnt(const struct consume *c, uint32_t agg) { return c->image->aggs[agg].val_cnt; }
uint32_t consume_agg_words(const struct consume *c, uint32_t agg) { return c->image->aggs[agg].val_cnt * (1 + c->cpu_cnt); }

void consume_agg_tab_clear(struct agg_tab *t)
{
	for (uint32_t b = 0; b < t->bucket_cnt; b++) {
		struct agg_ent *e = t->buckets[b], *next;
		for (; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(t->buckets);
	*t = (struct agg_tab){ 0 };
}

static int tab_grow(struct agg_tab *t)
{
	uint32_t cnt = t->bucket_cnt ? t->bucket_cnt * 2 : 64;
	struct agg_ent **b = calloc(cnt, sizeof(*b));
	if (!b)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->bucket_cnt; i++) {
		struct agg_ent *e = t->buckets[i], *next;
		for (; e; e = next) {
			next = e->next;
			e->next = b[e->hash & (cnt - 1)];
			b[e->hash & (cnt - 1)] = e;
		}
	}
	free(t->buckets);
	t->buckets = b;
	t->bucket_cnt = cnt;
	return 0;
}

static uint32_t hash_bytes(uint32_t seed, const uint8_t *p, uint32_t cnt)
{
	uint64_t h = seed * WIRE_MULT;
	for (uint32_t i = 0; i < cnt; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return (uint32_t)(h ^ h >> 32);
}

struct agg_key {
	uint32_t agg, proc, hash, bytes;
	const uint8_t *p;
};

static struct agg_ent *tab_find(const struct agg_tab *t, const struct agg_key *k)
{
	struct agg_ent *e = t->bucket_cnt ? t->buckets[k->hash & (t->bucket_cnt - 1)] : NULL;
	while (e && (e->hash != k->hash || e->agg != k->agg || e->proc != k->proc || e->key_bytes != k->bytes ||
		     (k->bytes && memcmp(e->key, k->p, k->bytes))))
		e = e->next;
	return e;
}

static struct agg_ent *tab_add(struct agg_tab *t, const struct agg_key *k, uint32_t val_cnt)
{
	if (t->cnt >= t->bucket_cnt && tab_grow(t))
		return NULL;
	size_t key_room = align_up(k->bytes, 8);
	struct agg_ent *e = malloc(sizeof(*e) + key_room + val_cnt * sizeof(*e->val));
	if (!e)
		return NULL;
	*e = (struct agg_ent){ .agg = k->agg, .proc = k->proc, .hash = k->hash, .key_bytes = k->bytes };
	e->val = (int64_t *)(e->key + key_room);
	if (k->bytes)
		memcpy(e->key, k->p, k->bytes);
	e->next = t->buckets[k->hash & (t->bucket_cnt - 1)];
	t->buckets[k->hash & (t->bucket_cnt - 1)] = e;
	t->cnt++;
	return e;
}

static void part_merge(const struct wire_agg *a, int64_t *dst, const int64_t *src)
{
	switch (a->fn) {
	case WIRE_AGG_MIN:
		*dst = *src < *dst ? *src : *dst;
		break;
	case WIRE_AGG_MAX:
		*dst = *src > *dst ? *src : *dst;
		break;
	case WIRE_AGG_STDDEV:
		consume_stddev_add(dst, src);
		break;
	default:
		for (uint32_t i = 0; i < a->val_cnt; i++)
			dst[i] = (int64_t)((uint64_t)dst[i] + (uint64_t)src[i]);
	}
}

static void val_merge(const struct consume *c, const struct wire_agg *a, int64_t *dst, const int64_t *src)
{
	for (uint32_t i = 0; i <= c->cpu_cnt; i++)
		part_merge(a, dst + i * a->val_cnt, src + i * a->val_cnt);
}

void consume_agg_empty(const struct consume *c, uint32_t agg, int64_t *val)
{
	const struct wire_agg *a = &c->image->aggs[agg];
	memset(val, 0, consume_agg_words(c, agg) * sizeof(*val));
	for (uint32_t i = 0; i <= c->cpu_cnt && (a->fn == WIRE_AGG_MIN || a->fn == WIRE_AGG_MAX); i++)
		val[i * a->val_cnt] = a->fn == WIRE_AGG_MIN ? INT64_MAX : INT64_MIN;
}

static int tab_merge(struct consume *c, struct agg_tab *t, const struct agg_key *k, const int64_t *val)
{
	const struct wire_agg *a = &c->image->aggs[k->agg];
	struct agg_ent *e = tab_find(t, k);
	if (e) {
		val_merge(c, a, e->val, val);
		return 0;
	}
	e = tab_add(t, k, consume_agg_words(c, k->agg));
	if (!e)
		return -ENOMEM;
	memcpy(e->val, val, consume_agg_words(c, k->agg) * sizeof(*val));
	return 0;
}

static int tab_merge_ent(struct consume *c, struct agg_tab *t, const struct agg_ent *e)
{
	struct agg_key k = { e->agg, e->proc, e->hash, e->key_bytes, e->key };
	return tab_merge(c, t, &k, e->val);
}

/* The first sref seen with this text stands for all. */
static uint64_t canon_str(struct consume *c, uint64_t sref)
{
	uint32_t len;
	const char *s = consume_site_str(c, (uint32_t)sref, &len);
	struct canon *e = &c->canon[hash_bytes(0, (const uint8_t *)s, len) & (CANON_CNT - 1)];
	if (e->tag == 2 && e->from == len && !memcmp(consume_site_str(c, (uint32_t)e->to, NULL), s, len))
		return e->to;
	*e = (struct canon){ len, sref, 2 };
	return sref;
}

/* Rewrites the fixed part of a key to what stands for all that print alike.
 * Whether it matters whose addresses they are: *ret_addrs. */
static void key_reduce(struct consume *c, uint32_t agg, uint32_t proc, uint8_t *key, uint32_t bytes, bool *ret_addrs)
{
	const struct plan_agg *pa = &c->plan->aggs[agg];
	*ret_addrs = false;
	for (uint32_t i = 0; i < pa->key_cnt; i++) {
		const struct plan_val *v = &pa->keys[i];
		uint64_t u;
		if (v->off > bytes || bytes - v->off < 8)
			continue;
		memcpy(&u, key + v->off, 8);
		*ret_addrs |= consume_val_is_symbol(v) ||
			      (v->kind == PLAN_USTACK && !consume_fold_key(c, v, proc, key, bytes));
		if (consume_val_is_symbol(v))
			u = consume_sym_reduce(c, v->kind, proc, u);
		else if (v->kind == PLAN_STR && v->sref)
			u = canon_str(c, u);
		memcpy(key + v->off, &u, 8);
	}
}

static void clear_word(uint8_t *key, uint32_t off, uint32_t bytes)
{
	if (off <= bytes && bytes - off >= 8)
		memset(key + off, 0, 8);
}

struct merge {
	struct consume *c;
	struct agg_tab *tab;
	uint32_t proc;
	uint8_t *buf;
	uint32_t buf_cap;
	int64_t *wide; /* with values of CPUs */
	uint32_t wide_cap;
	int rc;
};

static bool merge_room(struct merge *m, uint32_t bytes)
{
	if (bytes <= m->buf_cap)
		return true;
	uint8_t *b = bytes <= KEY_MAX ? realloc(m->buf, bytes) : NULL;
	if (!b)
		return false;
	m->buf = b;
	m->buf_cap = bytes;
	return true;
}

/* The value as that of all and of the CPU that the key names, which is no part of it any more. */
static const int64_t *widen(struct merge *m, uint32_t agg, uint32_t key_bytes, const int64_t *val)
{
	const struct consume *c = m->c;
	uint32_t off = c->plan->aggs[agg].cpu_off, words = consume_agg_words(c, agg), cnt = consume_agg_val_cnt(c, agg);
	uint64_t cpu = UINT64_MAX;
	if (!c->cpu_cnt)
		return val;
	if (m->wide_cap < words) {
		int64_t *w = realloc(m->wide, words * sizeof(*w));
		if (!w)
			return NULL;
		m->wide = w;
		m->wide_cap = words;
	}
	if (off <= key_bytes && key_bytes - off >= 8)
		memcpy(&cpu, m->buf + off, 8);
	clear_word(m->buf, off, key_bytes);
	consume_agg_empty(c, agg, m->wide);
	memcpy(m->wide, val, cnt * sizeof(*val));
	if (cpu < c->cpu_cnt)
		memcpy(m->wide + (1 + cpu) * cnt, val, cnt * sizeof(*val));
	return m->wide;
}

static int merge_one(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes,
		     const uint64_t *val, uint32_t val_cnt)
{
	struct merge *m = arg;
	struct consume *c = m->c;
	bool addrs;
	c->heard |= m->proc != 0;
	if (agg >= AGG_CNT(c) || gen != c->gen[agg] || val_cnt != consume_agg_val_cnt(c, agg))
		return 0;
	if (!merge_room(m, key_bytes)) {
		m->rc = -ENOMEM;
		return 1;
	}
	if (key_bytes)
		memcpy(m->buf, key, key_bytes);
	const int64_t *wide = widen(m, agg, key_bytes, (const int64_t *)val);
	if (!wide) {
		m->rc = -ENOMEM;
		return 1;
	}
	struct datum_src src = { m->buf, key_bytes, m->proc, NULL, 0 };
	uint32_t proc = consume_proc(c, c->plan->aggs[agg].pid_off, &src);
	key_reduce(c, agg, proc, m->buf, key_bytes, &addrs);
	if (!addrs)
		clear_word(m->buf, c->plan->aggs[agg].pid_off, key_bytes); /* of the kernel: beside keys with addresses */
	struct agg_key k = { agg, addrs ? proc : 0, 0, key_bytes, m->buf };
	k.hash = hash_bytes(agg << 8 | k.proc, m->buf, key_bytes);
	m->rc = tab_merge(c, m->tab, &k, wide);
	return m->rc;
}

static int merge_thread(struct consume *c, struct agg_tab *t, uint32_t slot)
{
	const struct wire_thread *thr = consume_thread(c, slot);
	struct merge m = { .c = c, .tab = t, .proc = LOAD_RELAXED(&thr->proc) };
	int rc = rt_agg_walk(&c->geo, thr, c->image->aggs, c->image->agg_cnt, merge_one, &m);
	free(m.buf);
	free(m.wide);
	return m.rc < 0 ? m.rc : rc < 0 ? rc : 0;
}

static int merge_threads(struct consume *c, struct agg_tab *t)
{
	int rc = 0;
	for (uint32_t i = 0; !rc && i < c->geo.thread_cnt && !consume_is_last(c, i); i++) {
		uint32_t state = LOAD_ACQUIRE(&consume_thread(c, i)->state);
		if (state == WIRE_THREAD_LIVE || (state == WIRE_THREAD_DEAD && !consume_slot_is_folded(c, i)))
			rc = merge_thread(c, t, i);
	}
	return rc;
}

static int snap_base(struct consume *c)
{
	consume_agg_tab_clear(&c->snap);
	for (uint32_t b = 0; b < c->base.bucket_cnt; b++)
		for (const struct agg_ent *e = c->base.buckets[b]; e; e = e->next)
			if (tab_merge_ent(c, &c->snap, e))
				return -ENOMEM;
	return 0;
}

static void val_sub(const struct consume *c, const struct wire_agg *a, int64_t *dst, const int64_t *src)
{
	for (uint32_t i = 0; i <= c->cpu_cnt && a->fn == WIRE_AGG_STDDEV; i++)
		consume_stddev_sub(dst + i * a->val_cnt, src + i * a->val_cnt);
	for (uint32_t i = 0; i < a->val_cnt * (1 + c->cpu_cnt) && a->fn != WIRE_AGG_STDDEV; i++)
		dst[i] = (int64_t)((uint64_t)dst[i] - (uint64_t)src[i]);
}

static bool is_zero(const int64_t *val, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (val[i])
			return false;
	return true;
}

/* Takes out of @t what @drop says. */
static void tab_remove(struct agg_tab *t, bool (*drop)(void *arg, struct agg_ent *), void *arg)
{
	for (uint32_t b = 0; b < t->bucket_cnt; b++) {
		struct agg_ent **pe = &t->buckets[b], *e;
		while ((e = *pe)) {
			if (!drop(arg, e)) {
				pe = &e->next;
				continue;
			}
			*pe = e->next;
			t->cnt--;
			free(e);
		}
	}
}

/* Whether trunc() removed its key, and nothing came since. */
static bool lower(void *arg, struct agg_ent *e)
{
	struct consume *c = arg;
	const struct wire_agg *a = &c->image->aggs[e->agg];
	struct agg_key k = { e->agg, e->proc, e->hash, e->key_bytes, e->key };
	const struct agg_ent *f = tab_find(&c->floor, &k);
	if (!f)
		return false;
	val_sub(c, a, e->val, f->val);
	return f->gone && is_zero(e->val, consume_agg_words(c, e->agg));
}

int consume_agg_snap(struct consume *c, struct err *reterr)
{
	if (c->snap_valid || !AGG_CNT(c))
		return 0;
	int rc = snap_base(c);
	rc = rc ? rc : merge_threads(c, &c->snap);
	if (rc)
		return err_setf(reterr, rc, "cannot read the aggregations: %s", strerror(-rc));
	tab_remove(&c->snap, lower, c);
	c->snap_valid = true;
	return 0;
}

int consume_agg_fold(struct consume *c, uint32_t slot, struct err *reterr)
{
	int rc = AGG_CNT(c) ? merge_thread(c, &c->base, slot) : 0;
	if (rc)
		return err_setf(reterr, rc, "cannot keep the aggregations of a thread that ended: %s", strerror(-rc));
	return 0;
}

/* ---- forgetting ---- */

#define PRUNE_AT 64u /* and when the floor has doubled: all tables are looked through for it */

struct prune {
	struct consume *c;
	struct agg_tab now; /* what threads that are not folded have */
};

/* Whether the floor takes away all that there is of a key, and nobody else has it: sums that are 0 would show again. */
static bool cancels(void *arg, struct agg_ent *e)
{
	const struct prune *p = arg;
	struct agg_key k = { e->agg, e->proc, e->hash, e->key_bytes, e->key };
	struct agg_ent *f = tab_find(&p->c->floor, &k);
	if (!f || !f->gone || memcmp(f->val, e->val, consume_agg_words(p->c, e->agg) * sizeof(*e->val)) || tab_find(&p->now, &k))
		return false;
	f->is_over = true;
	return true;
}

static bool is_over(void *arg, struct agg_ent *e)
{
	(void)arg;
	return e->is_over;
}

void consume_agg_prune(struct consume *c)
{
	struct prune p = { .c = c };
	if (c->floor.cnt < PRUNE_AT || c->floor.cnt / 2 < c->floor_pruned)
		return;
	if (!merge_threads(c, &p.now)) {
		tab_remove(&c->base, cancels, &p);
		tab_remove(&c->floor, is_over, NULL);
	}
	consume_agg_tab_clear(&p.now);
	c->floor_pruned = c->floor.cnt;
}

static bool want_agg(void *arg, const struct agg_ent *e) { return e->agg == *(uint32_t *)arg; }

int consume_agg_collect(struct consume *c, bool (*want)(void *arg, const struct agg_ent *), void *arg,
		struct agg_ent ***ret, uint32_t *ret_cnt, struct err *reterr)
{
	int rc = consume_agg_snap(c, reterr);
	if (rc)
		return rc;
	struct agg_ent **v = malloc((c->snap.cnt + 1ul) * sizeof(*v));
	uint32_t n = 0;
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t b = 0; b < c->snap.bucket_cnt; b++)
		for (struct agg_ent *e = c->snap.buckets[b]; e; e = e->next)
			if (!want || want(arg, e))
				v[n++] = e;
	*ret = v;
	*ret_cnt = n;
	return 0;
}

/* ---- clear() and trunc() ---- */

static bool has_floor(const struct consume *c, uint32_t agg)
{
	return c->image->aggs[agg].fn != WIRE_AGG_MIN && c->image->aggs[agg].fn != WIRE_AGG_MAX;
}

static int floor_raise(struct consume *c, const struct agg_ent *e, bool gone)
{
	struct agg_key k = { e->agg, e->proc, e->hash, e->key_bytes, e->key };
	int rc = tab_merge_ent(c, &c->floor, e);
	struct agg_ent *f = rc ? NULL : tab_find(&c->floor, &k);
	if (f)
		f->gone = gone;
	return rc;
}

static bool is_of(void *arg, struct agg_ent *e) { return e->agg == *(uint32_t *)arg; }

/* An extreme that is another one than was shown came since then. */
static int keep_later(struct consume *c, const struct agg_tab *now, uint32_t agg)
{
	int rc = 0;
	for (uint32_t b = 0; b < now->bucket_cnt; b++)
		for (const struct agg_ent *e = now->buckets[b]; e && !rc; e = e->next) {
			struct agg_key k = { e->agg, e->proc, e->hash, e->key_bytes, e->key };
			const struct agg_ent *shown = e->agg == agg ? tab_find(&c->snap, &k) : NULL;
			bool is_min = c->image->aggs[agg].fn == WIRE_AGG_MIN;
			if (e->agg == agg && (!shown || (is_min ? *e->val < *shown->val : *e->val > *shown->val)))
				rc = tab_merge_ent(c, &c->base, e);
		}
	return rc;
}

/* Threads' entries of @agg count for nothing from now on, but for what came since they were shown. */
static int next_gen(struct consume *c, uint32_t agg)
{
	struct wire_agg *desc = (struct wire_agg *)((uint8_t *)c->shm + c->geo.agg_desc_off) + agg;
	struct agg_tab now = { 0 };
	if (c->opts.writer.agg_gen)
		c->opts.writer.agg_gen(c->opts.arg, agg, c->gen[agg] + 1);
	else
		STORE_RELEASE(&desc->gen, c->gen[agg] + 1);
	int rc = merge_threads(c, &now);
	rc = rc ? rc : keep_later(c, &now, agg);
	c->gen[agg]++;
	consume_agg_tab_clear(&now);
	return rc;
}

/* Of an extreme: the base takes those that stay. */
static int rebase(struct consume *c, uint32_t agg, struct agg_ent *const *ents, uint32_t keep, bool empty)
{
	tab_remove(&c->base, is_of, &agg);
	int rc = next_gen(c, agg);
	for (uint32_t i = 0; !rc && i < keep; i++) {
		if (empty)
			consume_agg_empty(c, agg, ents[i]->val);
		rc = tab_merge_ent(c, &c->base, ents[i]);
	}
	return rc;
}

static int no_memory(int rc, struct err *reterr)
{
	return rc ? err_setf(reterr, rc, "out of memory") : 0;
}

/* The keys stay, with empty values.  What was shown stays valid: others may be cleared along with it. */
int consume_agg_clear(struct consume *c, uint32_t agg, struct err *reterr)
{
	struct agg_ent **ents;
	uint32_t cnt;
	int rc = consume_agg_collect(c, want_agg, &agg, &ents, &cnt, reterr);
	if (rc)
		return rc;
	for (uint32_t i = 0; !rc && i < cnt && has_floor(c, agg); i++) {
		rc = floor_raise(c, ents[i], false);
		consume_agg_empty(c, agg, ents[i]->val);
	}
	if (!has_floor(c, agg))
		rc = rebase(c, agg, ents, cnt, true);
	free(ents);
	return no_memory(rc, reterr);
}

static bool is_gone(void *arg, struct agg_ent *e)
{
	(void)arg;
	return e->gone;
}

int consume_agg_trunc(struct consume *c, uint32_t agg, int64_t keep, struct err *reterr)
{
	struct agg_ent **ents;
	uint32_t cnt;
	int rc = consume_agg_collect(c, want_agg, &agg, &ents, &cnt, reterr);
	if (rc)
		return rc;
	uint64_t n = keep < 0 ? 0 - (uint64_t)keep : (uint64_t)keep;
	uint32_t kept = n < cnt ? (uint32_t)n : cnt;
	consume_agg_sort(c, ents, cnt, keep < 0 ? AGG_BY_VALUE : AGG_BY_VALUE_REV);
	if (!has_floor(c, agg))
		rc = rebase(c, agg, ents, kept, false);
	for (uint32_t i = kept; !rc && i < cnt; i++) {
		rc = has_floor(c, agg) ? floor_raise(c, ents[i], true) : 0;
		ents[i]->gone = true;
	}
	tab_remove(&c->snap, is_gone, NULL);
	free(ents);
	return no_memory(rc, reterr);
}
