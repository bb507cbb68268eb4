/* SPDX-License-Identifier: MIT */
/*
 * How much slower traced processes may become (ADR 40).
 *
 * A thread of the tool's looks how often each site is hit, and switches the hot ones on in short windows that hold one part of W of
 * their hits; where several threads have them, of the processes' time on processors.  What they count meanwhile stands for W hits
 * (struct wire_rate, WIRE_ENV_WEIGHT).
 */
#ifndef SESSION_BUDGET_H
#define SESSION_BUDGET_H

#include "ir/ir.h"

struct budget;
struct session;

/* @share: percent.  NULL: no memory or no thread. */
struct budget *budget_create(struct wire_shm *, uint32_t share);
/* All sites are on, and stay so.  NULL is fine. */
void budget_destroy(struct budget *);
/* A site that is about to be armed and what it runs; @acts: it is not to be sampled, whatever that is.  0 or -ENOMEM. */
int budget_site(struct budget *, uint32_t site, const struct ir_image *img, const uint32_t *progs,
		uint32_t cnt, bool acts);
/* The processes that count; those of the time before that are missing no longer do. */
void budget_procs(struct budget *, const int *pids, uint32_t cnt);

/* What came of it: how many sites were sampled; @ret: the first @cap of them, with the most hits that one stood for. */
struct budget_sampled {
	uint32_t site, weight;
};
struct budget_report {
	uint32_t sampled;
	bool keeps_variables; /* hot sites whose clauses keep variables were not sampled */
	bool too_hot;         /* even those that are off cost more than that */
	bool is_vain;         /* there are sites, and none of them can be sampled */
};
struct budget_report budget_report(struct budget *, struct budget_sampled *ret, uint32_t cap);

#endif
