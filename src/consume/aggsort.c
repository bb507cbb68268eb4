/* SPDX-License-Identifier: MIT */
/* The order in which aggregations are shown. */
#include "consume/consume_int.h"

#include <stdlib.h>
#include <string.h>

#define CMP(a, b) (((a) > (b)) - ((a) < (b)))

static uint64_t narrow(const struct plan_val *v, const struct datum_src *src)
{
	uint64_t u = consume_val_u64(v, src);
	return v->size && v->size < 8 ? u & ((1ULL << v->size * 8) - 1) : u;
}

static int cmp_bytes(const uint8_t *a, uint32_t an, const uint8_t *b, uint32_t bn)
{
	int r = memcmp(a, b, an < bn ? an : bn);
	return r ? r : CMP(an, bn);
}

/* Numbers compare without sign, as dtrace has it; text and stacks by their bytes. */
static int cmp_datum(const struct consume *c, const struct plan_val *v, const struct datum_src *a,
		     const struct plan_val *w, const struct datum_src *b)
{
	if (consume_val_is_string(v) || v->kind == PLAN_BYTES || v->kind == PLAN_USTACK) {
		uint32_t an, bn;
		const uint8_t *ap = consume_val_bytes(c, v, a, &an), *bp = consume_val_bytes(c, w, b, &bn);
		int r = v->kind == PLAN_USTACK ? CMP(a->proc, b->proc) : 0;
		return r ? r : cmp_bytes(ap, an, bp, bn);
	}
	uint64_t x = narrow(v, a), y = narrow(w, b);
	int r = consume_val_is_symbol(v) ? CMP(a->proc, b->proc) : 0;
	return r ? r : CMP(x, y);
}

int consume_agg_cmp_key(const struct consume *c, const struct agg_ent *a, const struct agg_ent *b, uint32_t keypos)
{
	const struct plan_agg *pa = &c->plan->aggs[a->agg], *pb = &c->plan->aggs[b->agg];
	struct datum_src sa = { a->key, a->key_bytes, a->proc, NULL, 0 }, sb = { b->key, b->key_bytes, b->proc, NULL, 0 };
	int r = CMP(pa->key_cnt, pb->key_cnt);
	if (keypos >= pa->key_cnt)
		keypos = 0;
	for (uint32_t i = 0; !r && i < pa->key_cnt; i++) {
		uint32_t at = (i + keypos) % pa->key_cnt;
		r = cmp_datum(c, &pa->keys[at], &sa, &pb->keys[at], &sb);
	}
	return r;
}

static int cmp_hist(const struct consume *c, const struct agg_ent *a, const struct agg_ent *b)
{
	int64_t az, bz;
	long double aw = consume_hist_weight(&c->image->aggs[a->agg], a->val, &az);
	long double bw = consume_hist_weight(&c->image->aggs[b->agg], b->val, &bz);
	int r = CMP(aw, bw);
	return r ? r : CMP(az, bz);
}

int consume_agg_cmp_val(const struct consume *c, const struct agg_ent *a, const struct agg_ent *b)
{
	uint32_t af = c->image->aggs[a->agg].fn, bf = c->image->aggs[b->agg].fn;
	if (af != bf)
		return CMP(af, bf);
	switch (af) {
	case WIRE_AGG_AVG: {
		int64_t x = a->val[0] ? a->val[1] / a->val[0] : 0, y = b->val[0] ? b->val[1] / b->val[0] : 0;
		return CMP(x, y);
	}
	case WIRE_AGG_STDDEV: {
		uint64_t x = consume_stddev_of(a->val, 1), y = consume_stddev_of(b->val, 1);
		return CMP(x, y);
	}
	case WIRE_AGG_QUANTIZE:
	case WIRE_AGG_LQUANTIZE:
	case WIRE_AGG_LLQUANTIZE:
		return cmp_hist(c, a, b);
	default:
		return CMP(a->val[0], b->val[0]);
	}
}

struct sort_arg {
	struct consume *c;
	enum agg_order order;
};

static int cmp_options(struct consume *c, const struct agg_ent *a, const struct agg_ent *b)
{
	int r = CMP(a->agg, b->agg);
	if (!r && !c->opts.aggsortkey)
		r = consume_agg_cmp_val(c, a, b);
	if (!r)
		r = consume_agg_cmp_key(c, a, b, c->opts.aggsortkeypos);
	return c->opts.aggsortrev ? -r : r;
}

static int cmp_ents(const void *pa, const void *pb, void *arg)
{
	const struct agg_ent *a = *(struct agg_ent *const *)pa, *b = *(struct agg_ent *const *)pb;
	struct sort_arg *s = arg;
	int r;
	switch (s->order) {
	case AGG_BY_OPTIONS:
		return cmp_options(s->c, a, b);
	case AGG_BY_KEY:
		r = consume_agg_cmp_key(s->c, a, b, 0);
		return r ? r : CMP(a->agg, b->agg);
	default:
		r = consume_agg_cmp_val(s->c, a, b);
		if (!r)
			r = consume_agg_cmp_key(s->c, a, b, 0);
		return s->order == AGG_BY_VALUE_REV ? -r : r;
	}
}

void consume_agg_sort(struct consume *c, struct agg_ent **ents, uint32_t cnt, enum agg_order order)
{
	struct sort_arg arg = { c, order };
	qsort_r(ents, cnt, sizeof(struct agg_ent *), cmp_ents, &arg);
}
