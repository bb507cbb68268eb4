/* SPDX-License-Identifier: MIT */
/*
 *      hits of hot sites      on C C C C C C C C C C C C C C C C C C C C C C C C C on C C C C C C ...
 *
 * on: each hit stands for W.  C: hits are only counted, by each thread for itself, so all of them are known whoever has them, and
 * one part of W of them is to be on:
 *
 *      owed = hits counted - (W - 1) * hits while on                 is kept near 0
 *
 * So it does not matter how long windows are, or when this thread got a processor to end one.  A window that became too long is
 * made up for by a longer pause.
 */
#include "session/budget_int.h"

#include "host/host.h"

#include <time.h>

#define ON_LEAST_NS 20e3
#define ROUND 0.02            /* a window and its pause, of all the time so far: half of it is what a program's end may leave out */
#define ROUND_NS 20e6         /* of more there is no use, where windows are long enough */
#define PAUSE_MAX_NS 5000000ull
#define READ_PART 20u         /* of a processor's time goes to reading within windows, and as much within pauses, at most */
#define READ_MAX_NS 10000000u /* what takes longer may have a larger part: nobody is to wait for seconds at the end */
#define READS 4u              /* of those in read_ns, in a round */
#define FADE 0.985            /* what was measured before counts less, at each window */
#define BELIEF 2.0            /* windows after which what was measured counts as much as the estimate */

void budget_sleep_unlocked(struct budget *b, uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
	pthread_mutex_unlock(&b->lock);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	pthread_mutex_lock(&b->lock);
}

static void set_all_hot(struct budget *b, uint32_t weight)
{
	for (uint32_t i = 0; i < b->hot_cnt; i++)
		budget_set(b, &b->places[b->hot[i]], weight);
}

/* ---- what hits take ---- */

/* More than while they are counted: of two equally long windows the one with them on has so many hits less. */
static void measure_hits(struct budget *b)
{
	const struct budget_windows *on = &b->on, *counting = &b->counting;
	if (on->hits < BUDGET_HITS_LEAST || counting->hits < BUDGET_HITS_LEAST)
		return;
	if (on->ns <= 0 || on->hit_ns <= 0 || counting->ns <= 0)
		return;
	double own = on->hits / on->ns / (counting->hits / counting->ns);
	double taken = on->ns * (1 - (own < BUDGET_OWN_LEAST ? BUDGET_OWN_LEAST : own));
	double scale = taken / on->hit_ns;
	scale = scale < 0.2 ? 0.2 : scale > 5 ? 5 : scale;
	b->scale = (BELIEF + on->cnt * scale) / (BELIEF + on->cnt);
}

static void fade(struct budget_windows *w)
{
	w->ns *= FADE;
	w->wall_ns *= FADE;
	w->hits *= FADE;
	w->hit_ns *= FADE;
	w->cnt *= FADE;
}

static void add(struct budget_windows *sum, struct budget_windows w, double part)
{
	sum->ns += w.ns * part;
	sum->wall_ns += w.wall_ns * part;
	sum->hits += w.hits * part;
	sum->hit_ns += w.hit_ns * part;
}

/* For good: machines have quick moments and slow ones, and what was measured long ago says little about this one. */
static void learn(struct budget *b, struct budget_windows on, struct budget_windows counting)
{
	fade(&b->on);
	fade(&b->counting);
	add(&b->on, on, 1);
	add(&b->counting, counting, 1);
	b->on.cnt++;
	b->counting_ns += (uint64_t)counting.ns;
	measure_hits(b);
}

/* How long it may be from one hit to the next by the wall's clock, in ns: several processors have them, or nobody for a while. */
static double between(const struct budget_windows *w)
{
	return (w->ns < w->wall_ns ? w->ns : w->wall_ns) / (w->hits + 1);
}

/* ---- windows ---- */

/* Hits since they were read last. */
static struct budget_windows hits_since(struct budget *b, bool fired)
{
	struct budget_windows w = { 0 };
	budget_read(b, b->hot, b->hot_cnt, fired);
	for (uint32_t i = 0; i < b->hot_cnt; i++) {
		const struct budget_place *p = &b->places[b->hot[i]];
		w.hits += (double)p->more;
		w.hit_ns += (double)p->more * (double)p->cost.hit_ns;
	}
	return w;
}

/* And the time.  That takes longer to be told, so the hits come behind it, next to what changes what becomes of them. */
static struct budget_windows since(struct budget *b, bool fired)
{
	uint64_t now = host_now_ns();
	double ns = (double)budget_passed(b), wall = (double)(now - b->wall_ns);
	b->wall_ns = now;
	struct budget_windows w = hits_since(b, fired);
	w.ns = ns;
	w.wall_ns = wall;
	return w;
}

/* From @before, when hits were @fired or counted, to @weight (0: only counted).  What is hit meanwhile belongs to either half and half,
 * so nothing that takes long stands between its two readings: no system call. */
static void turn(struct budget *b, uint32_t weight, struct budget_windows *before, bool fired, struct budget_windows *behind)
{
	uint64_t began = budget_cpu_ns();
	budget_look(b, b->hot, b->hot_cnt); /* who has begun since then belongs to it */
	add(before, since(b, fired), 1);
	set_all_hot(b, weight);
	struct budget_windows w = hits_since(b, fired);
	add(before, w, 0.5);
	add(behind, w, 0.5);
	b->read_ns = budget_cpu_ns() - began;
	b->read_ns = b->read_ns < READ_MAX_NS ? b->read_ns : READ_MAX_NS;
}

/* For about as long, but until there was a hit; how long it was is of no matter. */
static void spend_on_hits(struct budget *b, struct budget_windows *w, uint64_t wanted)
{
	for (unsigned i = 0; w->hits <= 0 && i < 100 && !b->ends; i++) {
		budget_sleep_unlocked(b, i < 8 ? wanted : 4 * wanted);
		add(w, since(b, true), 1);
	}
}

/* Until so much is owed. */
static void pause_until(struct budget *b, struct budget_windows *counting, double owed, double ns_each)
{
	uint64_t least = READ_PART / 2 * b->read_ns, most = PAUSE_MAX_NS > least ? PAUSE_MAX_NS : least;
	for (unsigned i = 0; b->owed < owed && i < 1000 && !b->ends; i++) {
		double left = (owed - b->owed) * ns_each;
		uint64_t ns = left < (double)most ? (uint64_t)left + 20000 : most;
		budget_sleep_unlocked(b, ns > least ? ns : least);
		struct budget_windows w = since(b, false);
		add(counting, w, 1);
		b->owed += w.hits;
	}
}

/* About how long the next window that is on is to be.  Its ends do no harm but what they cost. */
static uint64_t window_ns(struct budget *b)
{
	double on = (double)b->all_ns * ROUND / b->weight, most = ROUND_NS / b->weight;
	most = most > BUDGET_ON_NS ? most : BUDGET_ON_NS;
	uint64_t ns = (uint64_t)(on > most ? most : on > ON_LEAST_NS ? on : ON_LEAST_NS), least = READS * READ_PART * b->read_ns / b->weight;
	ns = ns > least ? ns : least;
	b->random = b->random * 6364136223846793005u + 1442695040888963407u;
	return ns / 2 + (b->random >> 33) % ns;
}

/* What is owed: half before a window, half behind it, since the program may end at any time. */
void budget_window(struct budget *b)
{
	struct budget_windows before = { 0 }, on = { 0 }, counting = { 0 };
	turn(b, b->weight, &before, false, &on);
	spend_on_hits(b, &on, window_ns(b));
	turn(b, 0, &on, true, &counting);
	double due = on.hits * (b->weight - 1.0);
	b->owed += before.hits + counting.hits - due;
	pause_until(b, &counting, due / 2, b->counting.hits < BUDGET_HITS_LEAST ? between(&on) : between(&b->counting));
	add(&counting, before, 1);
	learn(b, on, counting);
}
