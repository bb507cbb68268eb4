/* SPDX-License-Identifier: MIT */
/*
 * Private to budget*.c.
 *
 *   budget.c         its thread, and what others ask of it
 *   budget_window.c  hot sites on, in windows, and off
 *   budget_choose.c  which are hot, and one of how many hits is to be on
 *   budget_told.c    what all of it took
 *   budget_cost.c    what programs take, by what they are made of
 *   budget_hits.c    the counters that hits write to
 *   budget_time.c    processor time of the processes
 */
#ifndef SESSION_BUDGET_INT_H
#define SESSION_BUDGET_INT_H

#include "session/budget.h"
#include "session/budget_time.h"
#include "wire/wire.h"

#include <pthread.h>

#define BUDGET_FIRST_NS 5000000ull   /* until the first look */
#define BUDGET_ON_NS 200000ull       /* of a window; it varies by half, so as not to run with what repeats */
#define BUDGET_OFF_NS 2.5            /* of a hit that is only counted: 1.3 to 4, the more it is in the way of what the program does */
#define BUDGET_OWN_LEAST 0.05        /* of a process's time is its own, whatever the estimate says */
#define BUDGET_HITS_LEAST 500        /* fewer say nothing about what a hit takes, or how long it is to the next */

/* ---- budget_hits.c ---- */

#define BUDGET_BLOCK_SITES (WIRE_PAGE / 8)

/* The counters of so many sites, a page in each row. */
struct budget_block {
	uint64_t rows[WIRE_HIT_ROWS / 64]; /* bits: where somebody has written to it */
	uint32_t row_cnt;
};

struct budget_hits {
	const struct wire_shm *shm;
	int fd;
	uint32_t block_cnt;
	struct budget_block *blocks; /* from the first site's on */
};

/* @fd: of the memory; borrowed. */
void budget_hits_init(struct budget_hits *, const struct wire_shm *, int fd);
void budget_hits_deinit(struct budget_hits *);
/* @site is about to be asked for.  0 or -ENOMEM. */
int budget_hits_follow(struct budget_hits *, uint32_t site);
/* Pages of the blocks from @first to @last that are new: their hits belong to what is asked next. */
void budget_hits_look(struct budget_hits *, uint32_t first, uint32_t last);
/* In how many rows somebody has written to @block. */
uint32_t budget_hits_rows(const struct budget_hits *, uint32_t block);
/* All hits so far, of sites of one block. */
void budget_hits_sum(const struct budget_hits *, const uint32_t *sites, uint32_t cnt, uint64_t *ret);

/* ---- budget_cost.c ---- */

struct budget_cost {
	float hit_ns;   /* beside what is taken while it is off */
	bool stateless; /* so that one hit may stand for others */
};
struct budget_cost budget_cost_of(const struct ir_image *, const uint32_t *progs, uint32_t cnt);

/* ---- what is known ---- */

struct budget_place {
	uint32_t site;
	struct budget_cost cost;
	uint64_t hits;          /* when they were read last */
	uint64_t counted;       /* since the last look, while the hot ones counted; of one that is not hot, all of the time */
	uint64_t fired, passed; /* of all hits: those that were on, and off */
	uint64_t more;          /* what came to that when they were read last */
	float load;             /* what it would take of the processes' own time, all hits counted */
	uint32_t weight;        /* the most there was */
	bool hot;
};

/* Windows of a kind, of hot sites. */
struct budget_windows {
	double ns, wall_ns, hits;
	double hit_ns; /* of those hits, by the estimate */
	double cnt;
};

struct budget {
	struct wire_shm *shm;
	double share;
	pthread_t thread;
	pthread_mutex_t lock;
	bool ends;
	bool has_many; /* processes or threads, too many to go first */
	struct budget_place *places;
	uint32_t place_cnt, place_cap;
	uint32_t *hot; /* indexes, as much room as there is for places */
	uint32_t hot_cnt;
	uint32_t *list; /* as much room, for whoever needs it; with the lock */
	uint32_t next;  /* place that a look begins with */
	struct budget_hits hits;
	struct budget_times procs;
	uint64_t wall_ns;                    /* when the time was asked last */
	uint32_t weight;                     /* of the hot ones */
	uint64_t all_ns;                     /* processor time of theirs */
	uint64_t time_ns, counting_ns;       /* the same since the last look; with the hot ones counting */
	struct budget_windows on, counting;  /* fading */
	double scale;                        /* of the estimates */
	uint64_t read_ns;                    /* what it takes this thread to read the hot ones twice */
	double owed;                         /* hits that none stands for yet */
	uint64_t random;
};

/* Of the places @idx, ascending: how many of the first are in one block, @cnt or fewer. */
uint32_t budget_block_cnt(const struct budget *, const uint32_t *idx, uint32_t cnt);
/* Counters of theirs that are new belong to what is read next. */
void budget_look(struct budget *, const uint32_t *idx, uint32_t cnt);
/* Reads their hits anew (place.more), which were @fired or only counted. */
void budget_read(struct budget *, const uint32_t *idx, uint32_t cnt, bool fired);
/* Processor time of this thread. */
uint64_t budget_cpu_ns(void);
/* Processor time since it was asked last, in ns. */
uint64_t budget_passed(struct budget *);
/* Hits stand for @weight each; 0: they are only counted.  All with the lock, as what follows. */
void budget_set(struct budget *, const struct budget_place *, uint32_t weight);
/* Reads a part of the places that are not hot; if that was the last one: which are hot from here on. */
void budget_choose(struct budget *);
/* A window, and the pause behind it; the lock is given away meanwhile. */
void budget_window(struct budget *);
void budget_sleep_unlocked(struct budget *, uint64_t ns);

#endif
