/* SPDX-License-Identifier: MIT */
/* What came of it.  What hits took is known of those that were sampled: by a ratio, times their number.  That of the others is
 * by the estimate, and so is what one takes that is off. */
#include "session/budget_int.h"

#include <math.h>
#include <stdlib.h>

/* Of the processes' time, in ns. */
static double off_ns(const struct budget_place *p)
{
	return (double)(p->fired + p->passed) * BUDGET_OFF_NS;
}

static double taken_ns(const struct budget *b, const struct budget_place *p)
{
	return off_ns(p) + (double)p->fired * (double)p->cost.hit_ns * b->scale;
}

static void read_hits(struct budget *b)
{
	uint32_t cnt = 0;
	budget_passed(b);
	for (uint32_t i = 0; i < b->place_cnt; i++)
		if (!b->places[i].hot)
			b->list[cnt++] = i;
	budget_look(b, b->list, cnt);
	budget_read(b, b->list, cnt, true);
	budget_look(b, b->hot, b->hot_cnt);
	budget_read(b, b->hot, b->hot_cnt, false);
}

/* What the processes needed for themselves, in ns. */
static double own_ns(const struct budget *b)
{
	double own = (double)b->all_ns, least = own * BUDGET_OWN_LEAST;
	for (uint32_t i = 0; i < b->place_cnt; i++)
		own -= taken_ns(b, &b->places[i]);
	return own > least ? own : least > 0 ? least : 1;
}

struct budget_report budget_report(struct budget *b)
{
	struct budget_report r = { .is_vain = b->place_cnt > 0 };
	uint64_t counted = 0, all = 0;
	pthread_mutex_lock(&b->lock);
	read_hits(b);
	double own = b->all_ns < BUDGET_FIRST_NS ? INFINITY : own_ns(b);
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		const struct budget_place *p = &b->places[i];
		double on = taken_ns(b, p) - off_ns(p);
		r.is_vain &= !p->cost.stateless;
		r.sampled += p->weight > 1;
		counted += p->weight > 1 ? p->fired : 0;
		all += p->weight > 1 ? p->fired + p->passed : 0;
		r.off += off_ns(p) / own;
		*(p->cost.stateless ? &r.on : &r.unsampled) += on / own;
	}
	pthread_mutex_unlock(&b->lock);
	r.counted = all ? (double)counted / (double)all : 0;
	return r;
}

static int by_taken(const void *x, const void *y)
{
	const struct budget_told *a = x, *b = y;
	return a->taken < b->taken ? 1 : a->taken > b->taken ? -1 : a->site < b->site ? -1 : 1;
}

struct budget_told *budget_places(struct budget *b, uint32_t *ret_cnt)
{
	pthread_mutex_lock(&b->lock);
	struct budget_told *v = calloc(b->place_cnt + 1ul, sizeof(*v));
	double own = own_ns(b);
	*ret_cnt = v ? b->place_cnt : 0;
	for (uint32_t i = 0; i < *ret_cnt; i++) {
		const struct budget_place *p = &b->places[i];
		v[i] = (struct budget_told){ p->site, p->weight, taken_ns(b, p) / own };
	}
	pthread_mutex_unlock(&b->lock);
	if (v)
		qsort(v, *ret_cnt, sizeof(*v), by_taken);
	return v;
}
