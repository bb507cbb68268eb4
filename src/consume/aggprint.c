/* SPDX-License-Identifier: MIT */
/* printa() with and without a format, and what is shown at the end. */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>

struct hist_opts consume_agg_hist_opts(const struct consume *c, uint32_t agg)
{
	int64_t n = c->normal[agg];
	return (struct hist_opts){ .normal = n ? n : 1, .zoom = c->opts.aggzoom, .utf8 = c->opts.utf8_bars };
}

static void print_value(struct consume *c, FILE *fp, uint32_t agg, const int64_t *val)
{
	const struct wire_agg *a = &c->image->aggs[agg];
	struct hist_opts o = consume_agg_hist_opts(c, agg);
	int64_t n = c->normal[agg];
	switch (a->fn) {
	case WIRE_AGG_QUANTIZE:
		consume_hist_quantize(fp, val, &o);
		break;
	case WIRE_AGG_LQUANTIZE:
		consume_hist_lquantize(fp, a, val, &o);
		break;
	case WIRE_AGG_LLQUANTIZE:
		consume_hist_llquantize(fp, a, val, &o);
		break;
	case WIRE_AGG_AVG:
		fprintf(fp, " %16lld", val[0] ? (long long)(val[1] / n / val[0]) : 0);
		break;
	case WIRE_AGG_STDDEV:
		fprintf(fp, " %16llu", (unsigned long long)consume_stddev_of(val, n));
		break;
	default:
		fprintf(fp, " %16lld", (long long)(val[0] / n));
	}
}

void consume_agg_print_value(struct consume *c, FILE *fp, const struct agg_ent *e) { print_value(c, fp, e->agg, e->val); }

void consume_agg_print_cpus(struct consume *c, FILE *fp, const struct agg_ent *e)
{
	uint32_t cnt = consume_agg_val_cnt(c, e->agg);
	for (uint32_t i = 0; i < c->cpu_cnt; i++) {
		fprintf(fp, "\n    [CPU %u]", i);
		print_value(c, fp, e->agg, e->val + (1 + i) * cnt);
	}
}

static void print_keys(struct consume *c, FILE *fp, const struct agg_ent *e, bool packed)
{
	const struct plan_agg *pa = &c->plan->aggs[e->agg];
	struct datum_src src = { e->key, e->key_bytes, e->proc, NULL, 0 };
	for (uint32_t i = 0; i < pa->key_cnt; i++)
		consume_val_print_key(c, fp, &pa->keys[i], &src, packed);
}

/* @ents: of one aggregation. */
static void print_entries(struct consume *c, FILE *fp, struct agg_ent *const *ents, uint32_t cnt)
{
	struct pack p;
	consume_pack_begin(&p, c, fp, ents, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		print_keys(c, fp, ents[i], p.kind != PACK_NONE);
		consume_pack_value(&p, c, fp, ents[i]);
	}
}

static int print_row(struct consume *c, FILE *fp, const struct agg_ent *key,
		     const struct agg_ent *const *row, uint32_t cnt, void *arg)
{
	(void)arg;
	print_keys(c, fp, key, false);
	for (uint32_t i = 0; i < cnt; i++) {
		consume_agg_print_value(c, fp, row[i]);
		consume_agg_print_cpus(c, fp, row[i]);
		c->printed[row[i]->agg] = true;
	}
	putc('\n', fp);
	return 0;
}

static int print_fmt_row(struct consume *c, FILE *fp, const struct agg_ent *key,
			 const struct agg_ent *const *row, uint32_t cnt, void *arg)
{
	const struct plan_agg *pa = &c->plan->aggs[key->agg];
	struct datum_src src = { key->key, key->key_bytes, key->proc, NULL, 0 };
	struct fmt_aggs aggs = { row, cnt };
	for (uint32_t i = 0; i < cnt; i++)
		c->printed[row[i]->agg] = true;
	return consume_fmt_print(c, fp, arg, pa->keys, pa->key_cnt, &src, &aggs);
}

static bool want_one(void *arg, const struct agg_ent *e) { return e->agg == *(const uint32_t *)arg; }

/* Of one aggregation, in order; *ret: malloc'ed. */
static int sorted(struct consume *c, uint32_t agg, struct agg_ent ***ret, uint32_t *ret_cnt, struct err *reterr)
{
	int rc = consume_agg_collect(c, want_one, &agg, ret, ret_cnt, reterr);
	if (!rc)
		consume_agg_sort(c, *ret, *ret_cnt, AGG_BY_OPTIONS);
	return rc;
}

static int walk_one(struct consume *c, FILE *fp, uint32_t agg, agg_row_fn *fn, void *arg, struct err *reterr)
{
	struct agg_ent **ents;
	uint32_t cnt;
	int rc = sorted(c, agg, &ents, &cnt, reterr);
	if (rc)
		return rc;
	for (uint32_t i = 0; !rc && i < cnt; i++)
		rc = fn(c, fp, ents[i], (const struct agg_ent *const *)&ents[i], 1, arg);
	free(ents);
	return rc;
}

static int print_whole(struct consume *c, FILE *fp, uint32_t agg, struct err *reterr)
{
	struct agg_ent **ents;
	uint32_t cnt;
	int rc = sorted(c, agg, &ents, &cnt, reterr);
	if (rc)
		return rc;
	print_entries(c, fp, ents, cnt);
	c->printed[agg] = true;
	free(ents);
	return 0;
}

static int walk(struct consume *c, FILE *fp, const uint32_t *aggs, uint32_t cnt, agg_row_fn *fn, void *arg,
		struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (aggs[i] >= AGG_CNT(c))
			return err_setf(reterr, -EINVAL, "the plan names an aggregation that there is not");
	if (cnt == 1)
		return walk_one(c, fp, aggs[0], fn, arg, reterr);
	return consume_agg_walk_joined(c, fp, aggs, cnt, fn, arg, reterr);
}

int consume_agg_print_default(struct consume *c, FILE *fp, const uint32_t *aggs, uint32_t cnt, struct err *reterr)
{
	putc('\n', fp);
	if (cnt == 1 && (c->opts.agghist || c->opts.aggpack) && aggs[0] < AGG_CNT(c))
		return print_whole(c, fp, aggs[0], reterr);
	return walk(c, fp, aggs, cnt, print_row, NULL, reterr);
}

int consume_agg_print_fmt(struct consume *c, FILE *fp, const struct fmt *f, const uint32_t *aggs, uint32_t cnt,
		  struct err *reterr)
{
	int rc = walk(c, fp, aggs, cnt, print_fmt_row, (void *)f, reterr);
	if (rc == -EINVAL)
		return err_setf(reterr, rc, "processing aborted: Data record list does not match statement");
	return rc;
}

static bool want_unprinted(void *arg, const struct agg_ent *e) { return !((struct consume *)arg)->printed[e->agg]; }

int consume_agg_print_unprinted(struct consume *c, FILE *fp, struct err *reterr)
{
	struct agg_ent **ents;
	uint32_t cnt;
	c->snap_valid = false;
	int rc = consume_agg_collect(c, want_unprinted, c, &ents, &cnt, reterr);
	if (rc)
		return rc;
	consume_agg_sort(c, ents, cnt, AGG_BY_OPTIONS);
	for (uint32_t i = 0, n; i < cnt; i += n) {
		for (n = 1; i + n < cnt && ents[i + n]->agg == ents[i]->agg;)
			n++;
		print_entries(c, fp, &ents[i], n);
	}
	free(ents);
	return 0;
}
