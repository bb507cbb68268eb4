/* SPDX-License-Identifier: MIT */
/*
 *      processor time of the processes  -------------------------------------------------------->
 *      hot sites, one thread            on C C C C C C C C C C C C C C C C C C C C C C C C C on C C C C ...
 *      hot sites, several               on C C C C off off off off off off off off off off off on C C C C off ...
 *
 * on: each hit stands for W.  C: hits are counted only, which next to nothing is added to by, unless several threads write to
 * the counter.  With one thread that has hits, all of them are known, and one part of W of them is on:
 *
 *      owed = hits counted - (W - 1) * hits while on                 is kept near 0
 *
 * With several it is one part of W of the processes' own time, which is processor time without what hits take:
 *
 *      owed = time off - (W - 1) * own time of what was on           is kept near 0
 *
 * where a hit's own time is what passes from one to the next while they are counted.  It is processor time, so that a process
 * that waits, or gets no processor since somebody else has it, is not taken for one that calls little.  A window that became
 * too long is made up for by a longer pause.
 *
 * How large W is depends on what hits take: at first an estimate from what their programs do, all of them then multiplied by
 * what was measured.  Which sites are hot is decided anew every LOOK_NS.  Only what would take more than the share together
 * is sampled, so rare events are all there.
 */
#include "session/budget.h"
#include "session/budget_time.h"

#include "host/host.h"
#include "wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000ull  /* of the wall's clock */
#define FIRST_NS 5000000ull   /* until the first look */
#define ON_NS 200000ull       /* of a window, of processor time; it varies by half, so as not to run with what repeats */
#define ON_LEAST_NS 50000ull  /* where hits are known */
#define ROUND 0.02            /* a window and its pause, of all the time so far: half of it is what a program's end may leave out */
#define PAUSE_MAX_NS 5000000ull
#define WEIGHT_MAX 100    /* the more, the worse is a window that became too long */
#define AIM 0.7               /* of the share */
#define OFF_NS 1.5            /* of a hit while it is off */
#define COUNT_LONGER 8u       /* windows of counting than those that are on, at most: their ends, beside which we run, weigh less */
#define OWN_LEAST 0.05        /* of a process's time is its own, whatever the estimate says */
#define FADE 0.985            /* what was measured before counts less, at each window */
#define BELIEF 2.0            /* windows after which what was measured counts as much as the estimate */
#define NICE (-10)            /* of the thread that switches, where it may not run ahead of all others */
#define HITS_LEAST 500        /* fewer say nothing about what a hit takes, or how long it is to the next */

struct place {
	uint32_t site;
	float hit_ns;     /* what a hit takes, by the estimate */
	uint64_t hits;    /* when they were read last */
	uint64_t counted; /* since the last look, while the hot ones counted; of one that is not hot, all of the time */
	float load;       /* what it would take of the processes' own time, all hits counted */
	uint32_t weight;  /* the most there was */
	bool stateless, hot;
};

/* Windows of a kind, of hot sites. */
struct windows {
	double ns, hits;
	double hit_ns; /* of those hits, by the estimate */
	double cnt;
};

struct budget {
	struct wire_shm *shm;
	double share;
	pthread_t thread;
	pthread_mutex_t lock;
	bool ends, keeps_variables, too_hot;
	bool has_many; /* processes or threads, too many to go first */
	struct place *places;
	uint32_t place_cnt, place_cap;
	uint32_t *hot; /* indexes, as much room as there is for places */
	uint32_t hot_cnt;
	struct budget_times procs;
	uint32_t weight;               /* of the hot ones */
	uint64_t all_ns;               /* processor time of theirs */
	uint64_t time_ns, counting_ns; /* the same since the last look; with the hot ones counting */
	struct windows on, counting;   /* fading */
	double scale;                  /* of the estimates */
	bool counts_all;               /* hits are known while they are off */
	double owed;                   /* hits; of several threads ns */
	uint64_t random;
};

static struct wire_rate *rate_of(const struct budget *b, uint32_t site)
{
	return (struct wire_rate *)((uint8_t *)b->shm + b->shm->rate_off) + site;
}

static void sleep_unlocked(struct budget *b, uint64_t ns)
{
	const struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
	pthread_mutex_unlock(&b->lock);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	pthread_mutex_lock(&b->lock);
}

static void set_hot(struct budget *b, uint32_t weight)
{
	for (uint32_t i = 0; i < b->hot_cnt; i++)
		STORE_RELEASE(&rate_of(b, b->places[b->hot[i]].site)->weight, weight);
}

static uint64_t new_hits(struct budget *b, struct place *p)
{
	uint64_t now = LOAD_RELAXED(&rate_of(b, p->site)->hits), more = now - p->hits;
	p->hits = now;
	return more;
}

/* ---- which are hot ---- */

/* What hits take more than while they are counted: of two equally long windows the one with them on has so many hits less. */
static void measure_hits(struct budget *b)
{
	const struct windows *on = &b->on, *counting = &b->counting;
	if (on->hits < HITS_LEAST || counting->hits < HITS_LEAST)
		return;
	if (on->ns <= 0 || on->hit_ns <= 0 || counting->ns <= 0)
		return;
	double own = on->hits / on->ns / (counting->hits / counting->ns);
	double taken = on->ns * (1 - (own < OWN_LEAST ? OWN_LEAST : own));
	double scale = taken / on->hit_ns;
	scale = scale < 0.2 ? 0.2 : scale > 3 ? 3 : scale;
	b->scale = (BELIEF + on->cnt * scale) / (BELIEF + on->cnt);
}

static void fade(struct windows *w)
{
	w->ns *= FADE;
	w->hits *= FADE;
	w->hit_ns *= FADE;
	w->cnt *= FADE;
}

static double read_loads(struct budget *b, uint32_t *ret_active)
{
	double spent = 0, all = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		struct place *p = &b->places[i];
		if (!p->hot) {
			p->counted += new_hits(b, p);
			spent += (double)p->counted * (double)p->hit_ns * b->scale;
		}
	}
	double own = (double)b->time_ns - spent;
	own = own > (double)b->time_ns * OWN_LEAST ? own : (double)b->time_ns * OWN_LEAST;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		struct place *p = &b->places[i];
		double over = p->hot ? (double)b->counting_ns : own;
		p->load = over > 0 ? (float)((double)p->counted * (double)p->hit_ns * b->scale / over) : 0;
		p->counted = 0;
		all += (double)p->load;
		*ret_active += p->load > 0;
	}
	return all;
}

static uint32_t weight_for(struct budget *b, float least, double aim)
{
	double hot = 0, off = 0, rest = aim;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		const struct place *p = &b->places[i];
		if (p->stateless && p->load > least) {
			hot += (double)p->load;
			off += OFF_NS / ((double)p->hit_ns * b->scale) * (double)p->load;
		} else {
			rest -= (double)p->load;
		}
	}
	b->keeps_variables |= rest < aim / 4;
	b->too_hot |= off > b->share && b->counting.hits > HITS_LEAST;
	rest = rest - off > off / 2 ? rest - off : off / 2; /* beyond that nobody would feel it */
	if (rest * WEIGHT_MAX <= hot)
		return WEIGHT_MAX;
	uint32_t w = (uint32_t)(hot / rest) + 1;
	return w < 2 ? 2 : w;
}

static void choose(struct budget *b, bool sample, float least)
{
	b->hot_cnt = 0;
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		struct place *p = &b->places[i];
		bool hot = sample && p->stateless && p->load > least;
		if (p->hot && !hot)
			STORE_RELEASE(&rate_of(b, p->site)->weight, 1);
		p->hot = hot;
		if (hot)
			b->hot[b->hot_cnt++] = i;
		if (hot && p->weight < b->weight)
			p->weight = b->weight;
	}
	if (!b->hot_cnt)
		b->weight = 1;
}

static void look(struct budget *b)
{
	double aim = AIM * b->share;
	uint32_t active = 0;
	if (b->time_ns < FIRST_NS / 2 || (b->weight > 1 && b->counting_ns < ON_NS))
		return; /* too little to tell */
	double all = read_loads(b, &active);
	/* Those below this take less than half of it together. */
	float least = active ? (float)(aim / 2 / active) : 0;
	bool sample = all > (b->weight > 1 ? aim * 0.8 : aim);
	if (sample) {
		uint32_t w = weight_for(b, least, aim);
		b->weight = b->weight > 1 && w * 5 > b->weight * 4 && w * 4 < b->weight * 5 ? b->weight : w;
	}
	choose(b, sample, least);
	b->time_ns = b->counting_ns = 0;
}

/* ---- windows ---- */

static uint64_t passed(struct budget *b)
{
	uint64_t got = budget_times_passed(&b->procs);
	b->time_ns += got;
	b->all_ns += got;
	return got;
}

/* Hits since they were read last; @counted: they belong to no window that is on. */
static struct windows hits_since(struct budget *b, bool counted)
{
	struct windows w = { 0 };
	for (uint32_t i = 0; i < b->hot_cnt; i++) {
		struct place *p = &b->places[b->hot[i]];
		uint64_t hits = new_hits(b, p);
		p->counted += counted ? hits : 0;
		w.hits += (double)hits;
		w.hit_ns += (double)hits * (double)p->hit_ns;
	}
	return w;
}

/* And the time.  That takes longer to be told, so the hits come behind it, next to what changes what becomes of them. */
static struct windows since(struct budget *b, bool counted)
{
	double ns = (double)passed(b);
	struct windows w = hits_since(b, counted);
	w.ns = ns;
	return w;
}

static void add(struct windows *sum, struct windows w, double part)
{
	sum->ns += w.ns * part;
	sum->hits += w.hits * part;
	sum->hit_ns += w.hit_ns * part;
}

/* From @before to @weight.  What is hit meanwhile belongs to either half and half. */
static void turn(struct budget *b, uint32_t weight, struct windows *before, bool counted, struct windows *behind)
{
	add(before, since(b, counted), 1);
	set_hot(b, weight);
	struct windows w = hits_since(b, false);
	add(before, w, 0.5);
	add(behind, w, 0.5);
}

/* For about @wanted ns of the processes. */
static void spend(struct budget *b, struct windows *w, double wanted, bool counted)
{
	for (unsigned i = 0; w->ns < wanted && i < 100 && !b->ends; i++) {
		double left = wanted - w->ns;
		sleep_unlocked(b, left < (double)PAUSE_MAX_NS ? (uint64_t)left : PAUSE_MAX_NS);
		add(w, since(b, counted), 1);
	}
}

/* For about as long, but until there was a hit; how long it was is of no matter. */
static void spend_on_hits(struct budget *b, struct windows *w, uint64_t wanted)
{
	for (unsigned i = 0; w->hits <= 0 && i < 100 && !b->ends; i++) {
		sleep_unlocked(b, i < 8 ? wanted : 4 * wanted);
		add(w, since(b, false), 1);
	}
}

/* For good: machines have quick moments and slow ones, and what was measured long ago says little about this one. */
static void learn(struct budget *b, struct windows on, struct windows counting)
{
	fade(&b->on);
	fade(&b->counting);
	add(&b->on, on, 1);
	add(&b->counting, counting, 1);
	b->on.cnt++;
	b->counting_ns += (uint64_t)counting.ns;
	measure_hits(b);
}

/* From one hit to the next without what it takes, in ns; 0: not known. */
static double own_ns(const struct budget *b)
{
	return b->counting.hits < HITS_LEAST ? 0 : b->counting.ns / b->counting.hits;
}

/* How much of a window that was on was the processes' own. */
static double own_time(const struct budget *b, struct windows on)
{
	double each = own_ns(b), own = each > 0 ? on.hits * each : on.ns - b->scale * on.hit_ns;
	return own > on.ns ? on.ns : own > on.ns * OWN_LEAST ? own : on.ns * OWN_LEAST;
}

/* Until so much is owed. */
static void pause_until(struct budget *b, struct windows *off, double owed, double ns_each)
{
	for (unsigned i = 0; b->owed < owed && i < 1000 && !b->ends; i++) {
		double left = (owed - b->owed) * ns_each;
		sleep_unlocked(b, left < (double)PAUSE_MAX_NS ? (uint64_t)left + 20000 : PAUSE_MAX_NS);
		struct windows w = since(b, b->counts_all);
		add(off, w, 1);
		b->owed += b->counts_all ? w.hits : w.ns;
	}
}

/* What is owed: half before a window, half behind it, since the program may end at any time. */

static void window_of_hits(struct budget *b, uint64_t wanted)
{
	struct windows before = { 0 }, on = { 0 }, counting = { 0 };
	turn(b, b->weight, &before, true, &on);
	spend_on_hits(b, &on, wanted);
	turn(b, WIRE_RATE_COUNTS, &on, false, &counting);
	double due = on.hits * (b->weight - 1.0);
	b->owed += before.hits + counting.hits - due;
	pause_until(b, &counting, due / 2, own_ns(b) > 0 ? own_ns(b) : on.ns / (on.hits + 1));
	add(&counting, before, 1);
	learn(b, on, counting);
}

static void window_of_time(struct budget *b, uint64_t wanted)
{
	struct windows before = { 0 }, on = { 0 }, counting = { 0 }, off = { 0 };
	turn(b, b->weight, &before, false, &on);
	spend(b, &on, (double)wanted, false);
	turn(b, WIRE_RATE_COUNTS, &on, false, &counting);
	/* A part of the time that they are off in any case. */
	uint64_t longer = (b->weight - 1) / 2 < COUNT_LONGER ? (b->weight - 1) / 2 : COUNT_LONGER;
	spend(b, &counting, (double)(longer ? longer * wanted : wanted), true);
	turn(b, 0, &counting, true, &off);
	learn(b, on, counting);
	b->owed += before.ns + counting.ns + off.ns - own_time(b, on) * (b->weight - 1.0);
	pause_until(b, &off, (double)wanted * (b->weight - 1.0) / 2, 1);
}

/* Whether one thread at most has hits, so that they can all be counted. */
static bool has_one_thread(const struct budget *b)
{
	const struct wire_shm *shm = b->shm;
	uint32_t cnt = 0;
	for (uint64_t i = 1; i < shm->thread_cnt && cnt < 2; i++) { /* the first is the tool's */
		const struct wire_thread *thr = (const void *)((const uint8_t *)shm + shm->thread_off + i * shm->geom.stride);
		uint32_t state = LOAD_ACQUIRE(&thr->state);
		if (state == WIRE_THREAD_FREE && !thr->incarnation)
			break;
		cnt += state == WIRE_THREAD_LIVE;
	}
	return cnt < 2;
}

/* About how long the next window that is on is to be.  Where hits are known, its ends do no harm but what they cost. */
static uint64_t window_ns(struct budget *b)
{
	double most = b->counts_all ? (double)b->all_ns * ROUND / b->weight : ON_NS;
	uint64_t ns = most > ON_NS ? ON_NS : most < ON_LEAST_NS ? ON_LEAST_NS : (uint64_t)most;
	b->random = b->random * 6364136223846793005u + 1442695040888963407u;
	return ns / 2 + (b->random >> 33) % ns;
}

static void one_of_weight(struct budget *b)
{
	if (b->counts_all != has_one_thread(b)) {
		b->counts_all = !b->counts_all;
		b->owed = 0; /* of something else */
	}
	if (b->counts_all)
		window_of_hits(b, window_ns(b));
	else
		window_of_time(b, window_ns(b));
}

/* A window that is on until a processor has nothing better to do stands for W times what it should: this thread goes first,
 * where we may.  It sleeps nearly all of the time, unless there are so @many to be asked that nobody should have to wait for it. */
static void run_in_time(bool many)
{
	const struct sched_param first = { .sched_priority = sched_get_priority_min(SCHED_FIFO) }, usual = { 0 };
	if (!many && !pthread_setschedparam(pthread_self(), SCHED_FIFO, &first))
		return;
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &usual);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
}

static void *run(void *arg)
{
	struct budget *b = arg;
	uint64_t next = host_now_ns() + FIRST_NS;
	unsigned looks = 0;
	bool many = false;
	prctl(PR_SET_TIMERSLACK, 1ul);
	run_in_time(many);
	pthread_mutex_lock(&b->lock);
	while (!b->ends) {
		uint64_t now = host_now_ns();
		if (many != b->has_many) {
			many = b->has_many;
			run_in_time(many);
		}
		if (now >= next) {
			look(b);
			next = now + (b->weight > 1 && looks++ > 10 ? LOOK_NS : 2 * FIRST_NS);
		}
		if (b->weight > 1) {
			one_of_weight(b);
		} else {
			sleep_unlocked(b, next > now ? next - now : FIRST_NS);
			passed(b);
		}
	}
	b->weight = 1;
	set_hot(b, 1);
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* ---- what programs are ---- */

/* What others of these programs see, or somebody else does, is not done for one of W hits.  Values may be read. */
static bool is_harmless(enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_copyin_u: case IR_HELPER_copyinstr: case IR_HELPER_copyin: case IR_HELPER_copyinto: case IR_HELPER_alloca:
	case IR_HELPER_bcopy: case IR_HELPER_str_addr: case IR_HELPER_str_cmp: case IR_HELPER_str_copy: case IR_HELPER_strlen:
	case IR_HELPER_strjoin: case IR_HELPER_substr: case IR_HELPER_strchr: case IR_HELPER_strrchr: case IR_HELPER_strstr:
	case IR_HELPER_strrstr: case IR_HELPER_index: case IR_HELPER_rindex: case IR_HELPER_lltostr: case IR_HELPER_strtoll:
	case IR_HELPER_basename: case IR_HELPER_dirname: case IR_HELPER_rand: case IR_HELPER_str_index: case IR_HELPER_str_plus:
	case IR_HELPER_cleanpath: case IR_HELPER_inet_ntoa: case IR_HELPER_inet_ntoa6: case IR_HELPER_inet_ntop:
	case IR_HELPER_link_ntop: case IR_HELPER_bswap: case IR_HELPER_progenyof: case IR_HELPER_gstr_load: case IR_HELPER_tstr_load:
	case IR_HELPER_dyn_load: case IR_HELPER_dyn_str_load: case IR_HELPER_tuple_begin: case IR_HELPER_tuple_str:
	case IR_HELPER_tuple_mem: case IR_HELPER_tuple_ustack: case IR_HELPER_rec_str: case IR_HELPER_rec_mem:
	case IR_HELPER_rec_ustack: case IR_HELPER_uaddr_caller: case IR_HELPER_errno: case IR_HELPER_arg:
	case IR_HELPER_walltimestamp: case IR_HELPER_vtimestamp: case IR_HELPER_ustackdepth: case IR_HELPER_curthread:
	case IR_HELPER_xmm:
		return true;
	default:
		return false;
	}
}

static bool is_stateful(const struct ir_insn *in)
{
	return in->op == IR_OP_STT || in->op == IR_OP_STG || (in->op == IR_OP_CALL && !is_harmless((enum ir_helper)in->imm));
}

/* From what body_cost measures, rather too much. */
static float insn_ns(const struct ir_insn *in)
{
	switch ((enum ir_op)in->op) {
	case IR_OP_AGG:
		return in->aux == IR_NO_TUPLE ? 3 : 8;
	case IR_OP_REC:
		return 15;
	case IR_OP_ENV:
		return in->imm == WIRE_ENV_TIMESTAMP || in->imm == WIRE_ENV_WALLTIMESTAMP ? 12 : 1;
	case IR_OP_CALL:
		return in->imm == IR_HELPER_tuple_begin ? 1 :
		       in->imm == IR_HELPER_tuple_ustack || in->imm == IR_HELPER_rec_ustack ? 90 : 30;
	default:
		return 0.5F;
	}
}

/* ---- the seam ---- */

int budget_site(struct budget *b, uint32_t site, const struct ir_image *img, const uint32_t *progs,
		uint32_t cnt, bool acts)
{
	struct place p = { .site = site, .hit_ns = 4, .stateless = !acts, .weight = 1 };
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t j = 0; j < img->progs[progs[i]].insn_cnt; j++) {
			p.hit_ns += insn_ns(&img->progs[progs[i]].insns[j]);
			p.stateless &= !is_stateful(&img->progs[progs[i]].insns[j]);
		}
	int r = 0;
	pthread_mutex_lock(&b->lock);
	if (b->place_cnt == b->place_cap) {
		uint32_t cap = b->place_cap ? 2 * b->place_cap : 64;
		struct place *more = realloc(b->places, cap * sizeof(*more));
		b->places = more ? more : b->places;
		uint32_t *hot = realloc(b->hot, cap * sizeof(*hot));
		b->hot = hot ? hot : b->hot;
		r = more && hot ? 0 : -ENOMEM;
		b->place_cap = r ? b->place_cap : cap;
	}
	if (!r)
		b->places[b->place_cnt++] = p;
	pthread_mutex_unlock(&b->lock);
	return r;
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

struct budget_report budget_report(struct budget *b, struct budget_sampled *ret, uint32_t cap)
{
	pthread_mutex_lock(&b->lock);
	struct budget_report r = { .keeps_variables = b->keeps_variables, .too_hot = b->too_hot,
				   .is_vain = b->place_cnt > 0 };
	for (uint32_t i = 0; i < b->place_cnt; i++) {
		r.is_vain &= !b->places[i].stateless;
		if (b->places[i].weight < 2)
			continue;
		if (r.sampled < cap)
			ret[r.sampled] = (struct budget_sampled){ b->places[i].site, b->places[i].weight };
		r.sampled++;
	}
	pthread_mutex_unlock(&b->lock);
	return r;
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

struct budget *budget_create(struct wire_shm *shm, uint32_t share)
{
	struct budget *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->shm = shm;
	b->share = share / 100.0;
	b->weight = 1;
	b->scale = 1;
	b->random = host_now_ns();
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
	free(b->hot);
	free(b->places);
	free(b);
}
