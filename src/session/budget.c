/* SPDX-License-Identifier: MIT */
/* The thread that keeps the budget (ADR 40), and what others ask of it. */
#include "session/budget_int.h"

#include "host/host.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000ull  /* of the wall's clock */
#define NICE (-10)            /* of the thread that switches, where it may not run ahead of all others */
#define LONG_NS 1000000u      /* who needs that at a time lets others go first */
#define LOOK_PART 20u         /* of a processor's time goes to looks, at most */

static uint32_t block_of(const struct budget *b, uint32_t place)
{
	return b->places[place].site / BUDGET_BLOCK_SITES;
}

uint32_t budget_block_cnt(const struct budget *b, const uint32_t *idx, uint32_t cnt)
{
	uint32_t n = 1;
	while (n < cnt && n < BUDGET_BLOCK_SITES && block_of(b, idx[n]) == block_of(b, idx[0]))
		n++;
	return n;
}

void budget_look(struct budget *b, const uint32_t *idx, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt;) {
		uint32_t first = block_of(b, idx[i]), last = first;
		while (++i < cnt && (block_of(b, idx[i]) == last || block_of(b, idx[i]) == last + 1))
			last = block_of(b, idx[i]);
		budget_hits_look(&b->hits, first, last);
	}
}

static void read_block(struct budget *b, const uint32_t *idx, uint32_t cnt, bool fired)
{
	uint32_t sites[BUDGET_BLOCK_SITES] = { 0 };
	uint64_t now[BUDGET_BLOCK_SITES];
	for (uint32_t i = 0; i < cnt; i++)
		sites[i] = b->places[idx[i]].site;
	budget_hits_sum(&b->hits, sites, cnt, now);
	for (uint32_t i = 0; i < cnt; i++) {
		struct budget_place *p = &b->places[idx[i]];
		p->more = now[i] - p->hits;
		p->hits = now[i];
		*(fired ? &p->fired : &p->passed) += p->more;
		p->counted += fired && p->hot ? 0 : p->more;
	}
}

void budget_read(struct budget *b, const uint32_t *idx, uint32_t cnt, bool fired)
{
	for (uint32_t i = 0, n; i < cnt; i += n) {
		n = budget_block_cnt(b, idx + i, cnt - i);
		read_block(b, idx + i, n, fired);
	}
}

uint64_t budget_cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t budget_passed(struct budget *b)
{
	uint64_t got = budget_times_passed(&b->procs);
	b->time_ns += got;
	b->all_ns += got;
	return got;
}

/* A window that is on until a processor has nothing better to do takes what many should: this thread goes first, where we may.
 * It sleeps nearly all of the time, unless there are so @many to be asked or read that nobody should have to wait for it. */
static void run_in_time(bool many)
{
	const struct sched_param first = { .sched_priority = sched_get_priority_min(SCHED_FIFO) }, usual = { 0 };
	if (!many && !pthread_setschedparam(pthread_self(), SCHED_FIFO, &first))
		return;
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &usual);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}

/* When to look again: parts of a look follow each other soon. */
static uint64_t look(struct budget *b, unsigned looks)
{
	uint64_t before = budget_cpu_ns();
	budget_choose(b);
	uint64_t least = b->weight > 1 && looks > 10 && !b->next ? LOOK_NS : 2 * BUDGET_FIRST_NS;
	uint64_t most = LOOK_PART * (budget_cpu_ns() - before);
	return least > most ? least : most;
}

static void *run(void *arg)
{
	struct budget *b = arg;
	uint64_t next = host_now_ns() + BUDGET_FIRST_NS;
	unsigned looks = 0;
	bool many = false;
	prctl(PR_SET_TIMERSLACK, 1ul);
	run_in_time(many);
	pthread_mutex_lock(&b->lock);
	while (!b->ends) {
		uint64_t now = host_now_ns();
		if (many != (b->has_many || b->read_ns > LONG_NS)) {
			many = !many;
			run_in_time(many);
		}
		if (now >= next)
			next = now + look(b, looks++);
		if (b->weight > 1) {
			budget_window(b);
		} else {
			budget_sleep_unlocked(b, next > now ? next - now : BUDGET_FIRST_NS);
			budget_passed(b);
		}
	}
	for (uint32_t i = 0; i < b->hot_cnt; i++)
		budget_set(b, &b->places[b->hot[i]], 1);
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* ---- the seam ---- */

int budget_site(struct budget *b, uint32_t site, const struct ir_image *img, const uint32_t *progs,
		uint32_t cnt, bool acts)
{
	struct budget_place p = { .site = site, .cost = budget_cost_of(img, progs, cnt), .weight = 1 };
	p.cost.stateless &= !acts;
	int r = 0;
	pthread_mutex_lock(&b->lock);
	if (b->place_cnt == b->place_cap) {
		uint32_t cap = b->place_cap ? 2 * b->place_cap : 64;
		struct budget_place *more = realloc(b->places, cap * sizeof(*more));
		b->places = more ? more : b->places;
		uint32_t *hot = realloc(b->hot, cap * sizeof(*hot));
		b->hot = hot ? hot : b->hot;
		uint32_t *list = realloc(b->list, cap * sizeof(*list));
		b->list = list ? list : b->list;
		r = more && hot && list ? 0 : -ENOMEM;
		b->place_cap = r ? b->place_cap : cap;
	}
	r = r ? r : budget_hits_follow(&b->hits, site);
	if (!r)
		b->places[b->place_cnt++] = p;
	pthread_mutex_unlock(&b->lock);
	return r;
}

/* They are the last, and in order. */
void budget_forget(struct budget *b, uint32_t first)
{
	pthread_mutex_lock(&b->lock);
	while (b->place_cnt && b->places[b->place_cnt - 1].site >= first)
		b->place_cnt--;
	b->next = b->next < b->place_cnt ? b->next : 0;
	pthread_mutex_unlock(&b->lock);
}

/* Only this changes the list, so it may be read without the lock; what takes long is done while the thread goes on. */
void budget_procs(struct budget *b, const int *pids, uint32_t cnt)
{
	struct budget_times now, gone;
	cnt = cnt < WIRE_PROC_MAX ? cnt : WIRE_PROC_MAX;
	if (budget_times_are(&b->procs, pids, cnt))
		return;
	budget_times_follow(&b->procs, pids, cnt, &now, &gone);
	pthread_mutex_lock(&b->lock);
	b->procs = now;
	b->has_many = budget_times_are_many(&now);
	pthread_mutex_unlock(&b->lock);
	budget_times_deinit(&gone);
}

/* Who holds it when the thread that switches wants it runs as soon as that would. */
static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

struct budget *budget_create(struct wire_shm *shm, int fd, uint32_t share)
{
	struct budget *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->shm = shm;
	b->share = share / 100.0;
	b->weight = 1;
	b->scale = 1;
	b->random = b->wall_ns = host_now_ns();
	budget_hits_init(&b->hits, shm, fd);
	lock_init(&b->lock);
	if (!pthread_create(&b->thread, NULL, run, b))
		return b;
	pthread_mutex_destroy(&b->lock);
	free(b);
	return NULL;
}

void budget_destroy(struct budget *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->ends = true;
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	pthread_mutex_destroy(&b->lock);
	budget_times_deinit(&b->procs);
	budget_hits_deinit(&b->hits);
	free(b->list);
	free(b->hot);
	free(b->places);
	free(b);
}
