/* SPDX-License-Identifier: MIT */
/*
 * How much slower traced processes may become (ADR 40).
 *
 * A thread of the tool's looks how often each site is hit, and switches the hot ones on in short windows that hold one part of W of
 * their hits.  What they count meanwhile stands for W hits (struct wire_rate, WIRE_ENV_WEIGHT).
 */
#ifndef SESSION_BUDGET_H
#define SESSION_BUDGET_H

#include "ir/ir.h"

struct budget;
struct session;

/* @fd: of the memory, borrowed; @share: percent.  NULL: no memory or no thread. */
struct budget *budget_create(struct wire_shm *, int fd, uint32_t share);
/* All sites are on, and stay so.  NULL is fine. */
void budget_destroy(struct budget *);
/* A site that is about to be armed and what it runs; @acts: it is not to be sampled, whatever that is.  0 or -ENOMEM. */
int budget_site(struct budget *, uint32_t site, const struct ir_image *img, const uint32_t *progs,
		uint32_t cnt, bool acts);
/* Nobody ever hit a site with a number from @first on: its number may be given to another. */
void budget_forget(struct budget *, uint32_t first);
/* The processes that count; those of the time before that are missing no longer do. */
void budget_procs(struct budget *, const int *pids, uint32_t cnt);

/* What came of it; shares are of the time on processors that the processes needed for themselves. */
struct budget_report {
	uint32_t sampled; /* sites that were */
	double counted;   /* share of all their hits that were on */
	bool is_vain;     /* there are sites, and none of them can be sampled */
	double off;       /* share that hits take even if they are only counted */
	double on;        /* besides, by hits that were on, where they can be sampled */
	double unsampled; /* by those that cannot */
};
struct budget_report budget_report(struct budget *);
/* All sites, those first that took most; to be freed.  NULL: no memory. */
struct budget_told {
	uint32_t site;
	uint32_t weight; /* the most hits that one stood for; 1: all are there */
	double taken;    /* share, those that were off included */
};
struct budget_told *budget_places(struct budget *, uint32_t *ret_cnt);

#endif
