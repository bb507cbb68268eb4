/* SPDX-License-Identifier: MIT */
/*
 *      processor time of the processes  -------------------------------------------------------->
 *      hot sites                        on C off off off off off on C off off off off off off on ...
 *
 * on: each hit stands for W.  C: hits are counted only, so that what a hit takes can be told: while they are on there are fewer
 * of them in the same time.  On for one part of W of the processes' own time, which is processor time without what hits take:
 *
 *      owed = time off - (W - 1) * (time on - hits * what each takes)        is kept near 0
 *
 * It is processor time, so that a process that waits, or gets no processor since somebody else has it, is not taken for one that
 * calls little.  A window that became too long is made up for by a longer pause.  What a hit takes is first an estimate from
 * what its program does, all of them then multiplied by what was measured; so is what is owed for windows of the past.
 *
 * Which sites are hot is decided anew every LOOK_NS.  Only what would take more than the share together is sampled, so
 * rare events are all there.
 */
#include "session/budget.h"

#include "wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000000ull  /* of the wall's clock */
#define FIRST_NS 5000000ull   /* until the first look */
#define ON_NS 100000ull       /* of a window, of processor time; it varies by half, so as not to run with what repeats */
#define PAUSE_MAX_NS 5000000ull
#define WEIGHT_MAX 100    /* the more, the worse is a window that became too long */
#define AIM 0.7               /* of the share */
#define OFF_NS 1.5            /* of a hit while it is off */
#define COUNT_NS 3.0          /* while it is only counted: so much longer, and fewer of them in the same time, than while it is off */
#define COUNT_LONGER 4u       /* than those that are on, at most: their ends, when we run beside them, weigh less then */
#define OWN_LEAST 0.05        /* of a process's time is its own, whatever the estimate says */
#define FADE 0.98             /* what was measured before counts less, at each look */
#define BELIEF 2.0            /* windows after which what was measured counts as much as the estimate */
#define NICE (-10)            /* of the thread that switches, which is late otherwise where processors have other work */
#define HITS_LEAST 500        /* fewer say nothing about what a hit takes */
#define PROCS_MAX WIRE_PROC_MAX

struct place {
	uint32_t site;
	float hit_ns;     /* what a hit takes, by the estimate */
	uint64_t hits;    /* when they were read last */
	uint64_t counted; /* since the last look, while the hot ones counted; of one that is not hot, all of the time */
	float load;       /* what it would take of the processes' own time, all hits counted */
	uint32_t weight;  /* the most there was */
	bool stateless, hot;
};

struct proc_time {
	int pid;
	uint64_t last_ns;
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
	struct place *places;
	uint32_t place_cnt, place_cap;
	uint32_t *hot; /* indexes, as much room as there is for places */
	uint32_t hot_cnt;
	struct proc_time procs[PROCS_MAX];
	uint32_t proc_cnt;
	uint32_t weight;               /* of the hot ones */
	uint64_t time_ns, counting_ns; /* processor time since the last look; with the hot ones counting */
	struct windows on, counting;   /* fading */
	double scale;                  /* of the estimates */
	double off_ns, due_ns, due_hit_ns; /* what is owed: off_ns - (due_ns - scale * due_hit_ns) */
	uint64_t random;
};

static struct wire_rate *rate_of(const struct budget *b, uint32_t site)
{
	return (struct wire_rate *)((uint8_t *)b->shm + b->shm->rate_off) + site;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	return clock_gettime(id, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What the processes had of processors since it was asked last. */
static uint64_t time_passed(struct budget *b)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < b->proc_cnt; i++) {
		clockid_t id;
		uint64_t now = clock_getcpuclockid(b->procs[i].pid, &id) ? 0 : clock_ns(id);
		if (now > b->procs[i].last_ns) {
			sum += now - b->procs[i].last_ns;
			b->procs[i].last_ns = now;
		}
	}
	return sum;
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

/* How long the same hits would have taken while they were off. */
static double as_off(const struct windows *counting)
{
	double ns = counting->ns - (COUNT_NS - OFF_NS) * counting->hits;
	return ns > counting->ns / 2 ? ns : counting->ns / 2;
}

/* What hits take more than while they are off: of two equally long windows the one with them on has so many hits less. */
static void measure_hits(struct budget *b)
{
	const struct windows *on = &b->on, *counting = &b->counting;
	if (on->hits < HITS_LEAST || counting->hits < HITS_LEAST)
		return;
	double own = on->hits / on->ns / (counting->hits / as_off(counting));
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
	fade(&b->on);
	fade(&b->counting);
	b->time_ns = b->counting_ns = 0;
}

/* ---- windows ---- */

static double owed(const struct budget *b)
{
	double own = b->due_ns - b->scale * b->due_hit_ns;
	return b->off_ns - (own > b->due_ns * OWN_LEAST ? own : b->due_ns * OWN_LEAST);
}

static uint64_t passed(struct budget *b)
{
	uint64_t got = time_passed(b);
	b->time_ns += got;
	return got;
}

/* Half of the time that it took, in which they may have been on or not: somebody else may have had the processor. */
static double switched(struct budget *b, uint32_t weight)
{
	set_hot(b, weight);
	return (double)passed(b) / 2;
}

/* The hot ones with @weight for about @wanted ns of the processes; how long it was, and with how many hits. */
static struct windows window(struct budget *b, uint32_t weight, uint64_t wanted)
{
	struct windows w = { 0 };
	uint64_t got = 0;
	b->off_ns += (double)passed(b);
	double begin = switched(b, weight);
	b->off_ns += begin;
	for (unsigned i = 0; got < wanted && i < 100 && !b->ends; i++) {
		sleep_unlocked(b, wanted - got < PAUSE_MAX_NS ? wanted - got : PAUSE_MAX_NS);
		got += passed(b);
	}
	got += passed(b);
	double end = switched(b, 0);
	b->off_ns += end;
	w.ns = (double)got + begin + end;
	for (uint32_t i = 0; i < b->hot_cnt; i++) {
		struct place *p = &b->places[b->hot[i]];
		uint64_t hits = new_hits(b, p);
		p->counted += weight == WIRE_RATE_COUNTS ? hits : 0;
		w.hits += (double)hits;
		w.hit_ns += (double)hits * (double)p->hit_ns;
	}
	return w;
}

static void add(struct windows *sum, struct windows w)
{
	sum->ns += w.ns;
	sum->hits += w.hits;
	sum->hit_ns += w.hit_ns;
	sum->cnt++;
}

static void one_of_weight(struct budget *b)
{
	b->random = b->random * 6364136223846793005u + 1442695040888963407u;
	uint64_t wanted = ON_NS / 2 + (b->random >> 33) % ON_NS;
	struct windows on = window(b, b->weight, wanted);
	add(&b->on, on);
	b->due_ns += on.ns * (b->weight - 1.0);
	b->due_hit_ns += on.hit_ns * (b->weight - 1.0);
	/* A part of the time that they are off in any case. */
	uint64_t longer = (b->weight - 1) / 2 < COUNT_LONGER ? (b->weight - 1) / 2 : COUNT_LONGER;
	struct windows counting = window(b, WIRE_RATE_COUNTS, longer ? longer * wanted : wanted);
	add(&b->counting, counting);
	b->counting_ns += (uint64_t)counting.ns;
	b->off_ns += as_off(&counting);
	measure_hits(b);
	/* Half before, half behind: the program may end at any time. */
	double half = (double)wanted * (b->weight - 1.0) / 2;
	for (unsigned i = 0; owed(b) < half && i < 1000 && !b->ends; i++) {
		double left = half - owed(b);
		sleep_unlocked(b, left < (double)PAUSE_MAX_NS ? (uint64_t)left + 20000 : PAUSE_MAX_NS);
		b->off_ns += (double)passed(b);
	}
}

static void *run(void *arg)
{
	struct budget *b = arg;
	uint64_t next = clock_ns(CLOCK_MONOTONIC) + FIRST_NS;
	unsigned looks = 0;
	prctl(PR_SET_TIMERSLACK, 1ul);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* where we may */
	pthread_mutex_lock(&b->lock);
	while (!b->ends) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
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

void budget_procs(struct budget *b, const int *pids, uint32_t cnt)
{
	pthread_mutex_lock(&b->lock);
	for (uint32_t i = 0; i < cnt && i < PROCS_MAX; i++) {
		if (i < b->proc_cnt && b->procs[i].pid == pids[i])
			continue;
		clockid_t id;
		b->procs[i] = (struct proc_time){ pids[i], clock_getcpuclockid(pids[i], &id) ? 0 : clock_ns(id) };
	}
	b->proc_cnt = cnt < PROCS_MAX ? cnt : PROCS_MAX;
	pthread_mutex_unlock(&b->lock);
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

struct budget *budget_create(struct wire_shm *shm, uint32_t share)
{
	struct budget *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->shm = shm;
	b->share = share / 100.0;
	b->weight = 1;
	b->scale = 1;
	b->random = clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_init(&b->lock, NULL);
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
	free(b->hot);
	free(b->places);
	free(b);
}
