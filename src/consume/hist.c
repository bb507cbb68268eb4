/* SPDX-License-Identifier: MIT */
/* quantize(), lquantize(), llquantize(): rows of a label and a bar of 40 columns. */
#include "consume/consume_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BAR 40

struct hist {
	FILE *fp;
	const struct hist_opts *o;
	struct hist_span span;
};

static void repeat(FILE *fp, char ch, int cnt)
{
	while (cnt-- > 0)
		putc(ch, fp);
}

/* The highest value fills this much of the line. */
#define ZOOM_MAX 0.95L

void consume_hist_span_add(struct hist_span *s, const struct hist_opts *o, int64_t val)
{
	long double v = fabsl((long double)val);
	s->pos |= val > 0;
	s->neg |= val < 0;
	if (!o->zoom)
		s->total += v;
	else if (s->total < v / ZOOM_MAX)
		s->total = v / ZOOM_MAX;
}

static int bar_len(const struct hist_span *s, int64_t val, int full)
{
	return s->total == 0 ? 0 : (int)(fabsl((long double)val) * full / s->total + 0.5L);
}

/* In eighths of a column: U+2588 is a full one, U+258f an eighth. */
static void bar_utf8(const struct hist_span *s, FILE *fp, int64_t val)
{
	int eighths = s->total == 0 ? 0 : (int)(fabsl((long double)val) * BAR * 8 / s->total);
	for (int i = 0; i < eighths / 8; i++)
		fputs("\u2588", fp);
	if (eighths % 8)
		fprintf(fp, "\xe2\x96%c", 0x90 - eighths % 8);
	repeat(fp, ' ', BAR - (eighths + 7) / 8);
}

/* Negative counts grow to the left of the line; with both signs it stands in the middle. */
void consume_hist_bar(const struct hist_span *s, const struct hist_opts *o, FILE *fp, int64_t val)
{
	int full = s->pos && s->neg ? BAR / 2 : BAR;
	int len = bar_len(s, val, full);
	if (s->neg && val <= 0) {
		repeat(fp, ' ', full - len);
		repeat(fp, '@', len);
		putc('|', fp);
		repeat(fp, ' ', BAR - full);
	} else {
		repeat(fp, ' ', BAR - full);
		putc('|', fp);
		if (o->utf8 && !s->neg) {
			bar_utf8(s, fp, val);
		} else {
			repeat(fp, '@', len);
			repeat(fp, ' ', full - len);
		}
	}
	fprintf(fp, " %-9lld\n", (long long)(val / o->normal));
}

void consume_hist_head(FILE *fp, const char *what, int width)
{
	fprintf(fp, "\n%*s %41s %-9s\n", width, what, "------------- Distribution -------------", "count");
}

static void hist_bar(const struct hist *h, int64_t val)
{
	consume_hist_bar(&h->span, h->o, h->fp, val);
}

static void hist_init(struct hist *h, FILE *fp, const int64_t *val, uint32_t first, uint32_t last, const struct hist_opts *o)
{
	*h = (struct hist){ .fp = fp, .o = o };
	for (uint32_t i = first; i <= last; i++)
		consume_hist_span_add(&h->span, o, val[i]);
	consume_hist_head(fp, "value", 16);
}

/* The buckets that hold anything and one on either side; false: all are empty. */
static bool hist_range(const int64_t *val, uint32_t cnt, uint32_t *first, uint32_t *last)
{
	uint32_t f = 0, l = cnt - 1;
	while (f < cnt && !val[f])
		f++;
	if (f == cnt)
		return false;
	while (!val[l])
		l--;
	*first = f ? f - 1 : f;
	*last = l + 1 < cnt ? l + 1 : l;
	return true;
}

long long consume_hist_quantize_label(uint32_t i)
{
	if (i == WIRE_QUANTIZE_ZERO)
		return 0;
	return i > WIRE_QUANTIZE_ZERO ? 1LL << (i - WIRE_QUANTIZE_ZERO - 1) : -(1LL << (WIRE_QUANTIZE_ZERO - 1 - i));
}

void consume_hist_quantize(FILE *fp, const int64_t *val, const struct hist_opts *o)
{
	uint32_t first = WIRE_QUANTIZE_ZERO - 1, last = WIRE_QUANTIZE_ZERO + 1;
	hist_range(val, WIRE_QUANTIZE_CNT, &first, &last);
	struct hist h;
	hist_init(&h, fp, val, first, last, o);
	for (uint32_t i = first; i <= last; i++) {
		fprintf(fp, "%16lld ", consume_hist_quantize_label(i));
		hist_bar(&h, val[i]);
	}
}

void consume_hist_lquantize_label(const struct wire_agg *a, uint32_t i, char *buf, size_t cap)
{
	uint32_t levels = a->val_cnt - 2;
	if (i == 0)
		snprintf(buf, cap, "< %lld", (long long)a->base);
	else if (i == levels + 1)
		snprintf(buf, cap, ">= %lld", (long long)(a->base + (int64_t)levels * a->step));
	else
		snprintf(buf, cap, "%lld", (long long)(a->base + (int64_t)(i - 1) * a->step));
}

void consume_hist_lquantize(FILE *fp, const struct wire_agg *a, const int64_t *val, const struct hist_opts *o)
{
	uint32_t first = 0, last = a->val_cnt > 2 ? 2 : a->val_cnt - 1;
	hist_range(val, a->val_cnt, &first, &last);
	struct hist h;
	hist_init(&h, fp, val, first, last, o);
	for (uint32_t i = first; i <= last; i++) {
		char label[48];
		consume_hist_lquantize_label(a, i, label, sizeof(label));
		fprintf(fp, "%16s ", label);
		hist_bar(&h, val[i]);
	}
}

/*
 * llquantize: per power of ll_factor from ll_low to ll_high, ll_steps buckets
 * of which ll_steps / ll_factor belong to the power below.  Words: below the
 * range, negative buckets downwards, |v| < factor^low, positive buckets,
 * above the range.  At low == 0 with more steps than the factor, buckets
 * narrower than 1 exist but are never used: the first power then has only
 * every (steps / factor)th of them.
 */
struct llq {
	uint32_t bin0, bin_cnt; /* the middle one; how many */
	uint64_t factor, steps, per; /* per = steps / factor */
	uint32_t low, high;
};

static void llq_init(struct llq *q, const struct wire_agg *a)
{
	q->factor = a->ll_factor;
	q->steps = a->ll_steps;
	q->per = q->steps / q->factor;
	q->low = a->ll_low;
	q->high = a->ll_high;
	q->bin0 = 1 + (q->high - q->low + 1) * (uint32_t)(q->steps - q->per);
	q->bin_cnt = 2 * q->bin0 + 1;
}

static uint64_t ipow(uint64_t b, uint32_t e)
{
	uint64_t r = 1;
	while (e--)
		r *= b;
	return r;
}

/* Lower bounds of the positive buckets by distance from the middle; 0: a
 * bucket that does not exist.  lo[bin0] is where the overflow starts. */
static uint64_t *llq_bounds(const struct llq *q)
{
	uint64_t *lo = calloc(q->bin0 + 1, sizeof(*lo));
	if (!lo)
		return NULL;
	uint32_t i = 1, mag = q->low;
	lo[1] = ipow(q->factor, q->low);
	if (!q->low && q->steps > q->factor) {
		for (uint64_t step = 2; step <= q->factor; step++) {
			i += (uint32_t)q->per;
			if (i <= q->bin0)
				lo[i] = step;
		}
		mag++;
	}
	uint64_t scale = ipow(q->factor, mag + 1) / q->steps;
	for (; mag <= q->high; mag++, scale *= q->factor)
		for (uint64_t step = q->per + 1; step <= q->steps; step++)
			if (++i <= q->bin0)
				lo[i] = step * scale;
	lo[q->bin0] = ipow(q->factor, q->high + 1);
	return lo;
}

static bool llq_label(const struct llq *q, const uint64_t *lo, uint32_t i, bool negatives, char *buf, size_t cap)
{
	unsigned long long b = i == q->bin0 ? lo[1] : i > q->bin0 ? lo[i - q->bin0] : lo[q->bin0 - i];
	if (!b)
		return false;
	if (i == q->bin0)
		snprintf(buf, cap, b == 1 ? "0" : negatives ? "abs() < %llu" : "< %llu", b);
	else
		snprintf(buf, cap, i == 0 ? "<= -%llu" : i == q->bin_cnt - 1 ? ">= %llu" : i < q->bin0 ? "-%llu" :
			 "%llu", b);
	return true;
}

/* A row of context may fall on a bucket that does not exist: go on outwards. */
static uint32_t llq_real(const struct llq *q, const uint64_t *lo, uint32_t i, int dir)
{
	while (i > 0 && i < q->bin_cnt - 1 && i != q->bin0 && !(i > q->bin0 ? lo[i - q->bin0] : lo[q->bin0 - i]))
		i = (uint32_t)((int)i + dir);
	return i;
}

void consume_hist_llquantize(FILE *fp, const struct wire_agg *a, const int64_t *val, const struct hist_opts *o)
{
	struct llq q;
	llq_init(&q, a);
	uint64_t *lo = llq_bounds(&q);
	if (!lo || q.bin_cnt > a->val_cnt) {
		free(lo);
		return;
	}
	uint32_t first = q.bin0, last = q.bin0 + 2;
	hist_range(val, q.bin_cnt, &first, &last);
	first = llq_real(&q, lo, first, -1);
	last = llq_real(&q, lo, last, 1);
	struct hist h;
	hist_init(&h, fp, val, first, last, o);
	for (uint32_t i = first; i <= last; i++) {
		char label[48];
		if (!llq_label(&q, lo, i, first < q.bin0, label, sizeof(label)))
			continue;
		fprintf(fp, "%16s ", label);
		hist_bar(&h, val[i]);
	}
	free(lo);
}

static long double llq_weight(const struct wire_agg *a, const int64_t *val, int64_t *ret_zero)
{
	struct llq q;
	llq_init(&q, a);
	uint64_t *lo = llq_bounds(&q);
	long double sum = 0;
	*ret_zero = q.bin0 < a->val_cnt ? val[q.bin0] : 0;
	for (uint32_t i = 1; lo && i < q.bin0 && q.bin0 + i < a->val_cnt; i++)
		sum += (long double)lo[i] * (long double)(val[q.bin0 + i] - val[q.bin0 - i]);
	free(lo);
	return sum;
}

static long double lq_weight(const struct wire_agg *a, const int64_t *val, int64_t *ret_zero)
{
	uint32_t levels = a->val_cnt - 2;
	long double sum = (long double)val[0] * (long double)(a->base - 1);
	int64_t at = a->base;
	*ret_zero = a->base == 1 ? val[0] : 0;
	for (uint32_t i = 1; i <= levels; i++, at += a->step) {
		sum += (long double)val[i] * (long double)at;
		if (!at)
			*ret_zero = val[i];
	}
	return sum + (long double)val[levels + 1] * (long double)(at + 1);
}

/* What sorts histograms: the sum of all values, each taken as its bucket's
 * label; where that ties, the count at zero. */
long double consume_hist_weight(const struct wire_agg *a, const int64_t *val, int64_t *ret_zero)
{
	if (a->fn == WIRE_AGG_LQUANTIZE)
		return lq_weight(a, val, ret_zero);
	if (a->fn == WIRE_AGG_LLQUANTIZE)
		return llq_weight(a, val, ret_zero);
	long double sum = 0;
	for (uint32_t i = 0; i < WIRE_QUANTIZE_CNT; i++)
		sum += (long double)consume_hist_quantize_label(i) * (long double)val[i];
	*ret_zero = val[WIRE_QUANTIZE_ZERO];
	return sum;
}
