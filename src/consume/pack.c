/* SPDX-License-Identifier: MIT */
/*
 * -x agghist: the counts and sums of an aggregation as bars, a row for each
 * key.  -x aggpack: its histograms, a row for each key and a character for
 * each bucket.  Shapes as illumos has them since 2013.
 */
#include "consume/consume_int.h"

#include <math.h>

static bool is_sum(uint32_t fn)
{
	return fn == WIRE_AGG_COUNT || fn == WIRE_AGG_SUM;
}

static bool is_packable(uint32_t fn)
{
	return fn == WIRE_AGG_QUANTIZE || fn == WIRE_AGG_LQUANTIZE;
}

static int digits(long long v)
{
	return snprintf(NULL, 0, "%lld", v);
}

static int keys_width(const struct plan_agg *a)
{
	int width = 0;
	for (uint32_t i = 0; i < a->key_cnt; i++)
		width += consume_val_key_width(&a->keys[i]) + 1;
	return width;
}

/* Labels of the buckets at both ends, as wide as @ret_width. */
static void label(const struct wire_agg *a, uint32_t bucket, char *buf, size_t cap)
{
	if (a->fn == WIRE_AGG_QUANTIZE)
		snprintf(buf, cap, "%lld", consume_hist_quantize_label(bucket));
	else
		consume_hist_lquantize_label(a, bucket, buf, cap);
}

static int label_width(const struct wire_agg *a, uint32_t bucket, int least)
{
	int n = a->fn == WIRE_AGG_QUANTIZE ? digits(consume_hist_quantize_label(bucket)) : 8;
	return n < least ? least : n;
}

/* Those that hold anything for any key and one on either side; of lquantize() all. */
static void find_range(struct pack *p, const struct wire_agg *a, struct agg_ent *const *ents, uint32_t cnt)
{
	p->first = a->val_cnt - 1;
	p->last = 0;
	for (uint32_t e = 0; e < cnt; e++) {
		for (uint32_t i = 0; i < a->val_cnt; i++) {
			if (!ents[e]->val[i])
				continue;
			p->first = i < p->first ? i : p->first;
			p->last = i > p->last ? i : p->last;
		}
	}
	if (a->fn == WIRE_AGG_LQUANTIZE) {
		p->first = 0;
		p->last = a->val_cnt - 1;
	} else if (p->first > p->last) {
		p->first = WIRE_QUANTIZE_ZERO;
		p->last = WIRE_QUANTIZE_ZERO + 1;
	} else {
		p->first -= p->first && p->first != WIRE_QUANTIZE_ZERO;
		p->last += p->last + 1 < a->val_cnt;
	}
}

static void print_head(const struct pack *p, const struct wire_agg *a, FILE *fp, int width)
{
	if (p->kind == PACK_HIST) {
		consume_hist_head(fp, width ? "key" : "", width);
		return;
	}
	fprintf(fp, "\n%*s %*s .", width, width ? "key" : "", label_width(a, p->first, 3), "min");
	for (uint32_t i = p->first; i <= p->last; i++)
		putc('-', fp);
	fprintf(fp, ". %-*s | count\n", label_width(a, p->last, 3), "max");
}

void consume_pack_begin(struct pack *p, struct consume *c, FILE *fp, struct agg_ent *const *ents, uint32_t cnt)
{
	*p = (struct pack){ .kind = PACK_NONE };
	if (!cnt)
		return;
	uint32_t agg = ents[0]->agg;
	const struct wire_agg *a = &c->image->aggs[agg];
	if (c->opts.agghist && is_sum(a->fn))
		p->kind = PACK_HIST;
	else if (c->opts.aggpack && is_packable(a->fn))
		p->kind = PACK_BUCKETS;
	else
		return;
	p->o = consume_agg_hist_opts(c, agg);
	p->utf8 = c->opts.utf8;
	for (uint32_t i = 0; p->kind == PACK_HIST && i < cnt; i++)
		consume_hist_span_add(&p->span, &p->o, ents[i]->val[0]);
	if (p->kind == PACK_BUCKETS)
		find_range(p, a, ents, cnt);
	print_head(p, a, fp, keys_width(&c->plan->aggs[agg]));
}

/* One bucket of @val, where the row has @total: by height. */
static void print_bucket(const struct pack *p, FILE *fp, int64_t val, long double total)
{
	static const char up[] = "__xxxxXX", down[] = "vvvvVV";
	long double part = fabsl((long double)val) / (total ? total : 1);
	if (!val)
		putc(' ', fp);
	else if (val < 0)
		putc(down[(unsigned)(part * (sizeof(down) - 2) + 0.5L)], fp);
	else if (p->utf8) /* U+2581 is the lowest, U+2588 the full one */
		fprintf(fp, "\xe2\x96%c", (char)(0x81 + (unsigned)(part * 7 + 0.5L)));
	else
		putc(up[(unsigned)(part * (sizeof(up) - 2) + 0.5L)], fp);
}

static void print_buckets(const struct pack *p, const struct wire_agg *a, FILE *fp, const int64_t *val)
{
	struct hist_span span = { 0 };
	char text[48];
	long long count = 0;
	for (uint32_t i = p->first; i <= p->last; i++) {
		consume_hist_span_add(&span, &p->o, val[i]);
		count += val[i];
	}
	label(a, p->first, text, sizeof(text));
	fprintf(fp, " %*s :", label_width(a, p->first, 3), text);
	for (uint32_t i = p->first; i <= p->last; i++)
		print_bucket(p, fp, val[i], span.total);
	label(a, p->last, text, sizeof(text));
	fprintf(fp, ": %-*s | %lld\n", label_width(a, p->last, 3), text, (long long)(count / p->o.normal));
}

void consume_pack_value(const struct pack *p, struct consume *c, FILE *fp, const struct agg_ent *e)
{
	if (p->kind == PACK_HIST) {
		putc(' ', fp);
		consume_hist_bar(&p->span, &p->o, fp, e->val[0]);
	} else if (p->kind == PACK_BUCKETS) {
		print_buckets(p, &c->image->aggs[e->agg], fp, e->val);
	} else {
		consume_agg_print_value(c, fp, e);
		consume_agg_print_cpus(c, fp, e);
		putc('\n', fp);
	}
}
