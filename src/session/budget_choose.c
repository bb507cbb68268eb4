/* SPDX-License-Identifier: MIT */
/*
 * Which places are hot, and how large W is to be.  It depends on what hits take: at first an estimate from what their programs
 * do, all of them then multiplied by what was measured.  Only what would take more than the share together is sampled, so rare
 * events are all there.
 */
#include "session/budget_int.h"

#define AIM 0.7           /* of the share: what is measured may be wrong, and the machine has slower moments */
/* The larger W, the longer it is from one window to the next, which at first is to be little of the time so far. */
#define WEIGHT_MAX 500.0
#define WEIGHT_FIRST 100.0
#define WEIGHT_EACH_NS 2.5e6
#define PART_COUNTERS (1u << 18) /* that are read at a time, and those of a block */
#define BLOCK_COUNTERS 64u       /* to find out about a page takes as long as to read so many */

/* Its weight stays: some hits have been counted, and are about to ask for it. */
void budget_set(struct budget *b, const struct budget_place *p, uint32_t weight)
{
	struct wire_rate *rate = (struct wire_rate *)((uint8_t *)b->shm + b->shm->rate_off) + p->site;
	if (weight)
		STORE_RELEASE(&rate->weight, weight);
	STORE_RELEASE(&rate->only_counts, !weight);
}

/* Those of the next block; how many counters that were. */
static uint64_t read_cold(struct budget *b)
{
	uint32_t cnt = 0, block = b->places[b->next].site / BUDGET_BLOCK_SITES;
	for (; b->next < b->place_cnt && b->places[b->next].site / BUDGET_BLOCK_SITES == block; b->next++)
		if (!b->places[b->next].hot)
			b->list[cnt++] = b->next;
	budget_look(b, b->list, cnt);
	budget_read(b, b->list, cnt, true);
	return (uint64_t)(cnt + BLOCK_COUNTERS) * (budget_hits_rows(&b->hits, block) + 1);
}

/* Whether it was the last part.  The hot ones are read all the time. */
static bool read_part(struct budget *b)
{
	uint64_t cnt = 0;
	while (b->next < b->place_cnt && cnt < PART_COUNTERS)
		cnt += read_cold(b);
	b->next = b->next < b->place_cnt ? b->next : 0;
	return !b->next;
}

static double loads(struct budget *b, uint32_t *ret_active)
{
	double spent = 0, all = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++)
		if (!b->places[i].hot)
			spent += (double)b->places[i].counted * (double)b->places[i].cost.hit_ns * b->scale;
	double own = (double)b->time_ns - spent;
	own = own > (double)b->time_ns * BUDGET_OWN_LEAST ? own : (double)b->time_ns * BUDGET_OWN_LEAST;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		struct budget_place *p = &b->places[i];
		double over = p->hot ? (double)b->counting_ns : own;
		p->load = over > 0 ? (float)((double)p->counted * (double)p->cost.hit_ns * b->scale / over) : 0;
		p->counted = 0;
		all += (double)p->load;
		*ret_active += p->load > 0;
	}
	return all;
}

/* What hits may take while they are on, @taken being what the others and those that are off take of the share.  Of the least
 * of these nobody would feel anything. */
static double left_over(const struct budget *b, double taken)
{
	double left = AIM * b->share - taken, half = (b->share - taken) / 2, least = b->share / 10;
	left = left > half ? left : half;
	return left > least ? left : least;
}

static uint32_t weight_for(const struct budget *b, float least)
{
	double hot = 0, taken = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		const struct budget_place *p = &b->places[i];
		double off = BUDGET_OFF_NS / ((double)p->cost.hit_ns * b->scale) * (double)p->load;
		taken += off;
		if (p->cost.stateless && p->load > least)
			hot += (double)p->load;
		else
			taken += (double)p->load;
	}
	double w = hot / left_over(b, taken) + 1, most = (double)b->all_ns / WEIGHT_EACH_NS;
	most = most < WEIGHT_FIRST ? WEIGHT_FIRST : most > WEIGHT_MAX ? WEIGHT_MAX : most;
	return (uint32_t)(w < 2 ? 2 : w < most ? w : most);
}

/* Of one block.  Hits up to here were on, or counted; from here on it is the other. */
static void become(struct budget *b, const uint32_t *idx, uint32_t cnt, bool hot)
{
	for (uint32_t i = 0; i < cnt; i++)
		budget_set(b, &b->places[idx[i]], hot ? 0 : 1);
	budget_read(b, idx, cnt, hot);
	for (uint32_t i = 0; i < cnt; i++) {
		struct budget_place *p = &b->places[idx[i]];
		b->owed += hot ? 0 : (double)p->more;
		p->hot = hot;
	}
}

/* Those that are to be @hot, or not, and were otherwise. */
static void change(struct budget *b, bool hot, bool sample, float least)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		const struct budget_place *p = &b->places[i];
		if (p->hot != hot && hot == (sample && p->cost.stateless && p->load > least))
			b->list[cnt++] = i;
	}
	budget_look(b, b->list, cnt);
	for (uint32_t i = 0, n; i < cnt; i += n) {
		n = budget_block_cnt(b, b->list + i, cnt - i);
		become(b, b->list + i, n, hot);
	}
}

static void choose(struct budget *b, bool sample, float least)
{
	change(b, false, sample, least);
	change(b, true, sample, least);
	b->hot_cnt = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		struct budget_place *p = &b->places[i];
		if (p->hot)
			b->hot[b->hot_cnt++] = i;
		if (p->hot && p->weight < b->weight)
			p->weight = b->weight;
	}
	if (!b->hot_cnt)
		b->weight = 1;
}

void budget_choose(struct budget *b)
{
	double aim = AIM * b->share;
	uint32_t active = 0;
	if (!read_part(b) || b->time_ns < BUDGET_FIRST_NS / 2 || (b->weight > 1 && b->counting_ns < BUDGET_ON_NS))
		return; /* too little to tell yet */
	double all = loads(b, &active);
	/* Those below this take less than half of it together. */
	float least = active ? (float)(aim / 2 / active) : 0;
	bool sample = all > (b->weight > 1 ? aim * 0.8 : aim);
	if (sample) {
		uint32_t w = weight_for(b, least);
		b->weight = b->weight > 1 && w * 5 > b->weight * 4 && w * 4 < b->weight * 5 ? b->weight : w;
	}
	choose(b, sample, least);
	b->time_ns = b->counting_ns = 0;
}
