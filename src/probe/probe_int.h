/* SPDX-License-Identifier: MIT */
#ifndef PROBE_INT_H
#define PROBE_INT_H

#include "probe/probe.h"

#include <stdlib.h>

/* Indexes of the probes that a description matched so far. */
struct hits {
	uint32_t *v;
	uint32_t cnt, cap;
};

/* The probe with these names, made if there is none; equal ones are one. 0 or -ENOMEM;
 * its index goes to @hits. */
int table_add(struct probe_table *, const struct probe *, struct hits *);
uint32_t table_next_id(const struct probe_table *);

struct match {
	struct probe_table *table;
	const struct probe_spec *spec;
	struct obj_proc *const *procs;
	const pid_t *pids;
	uint32_t proc_cnt;
	struct hits hits;
};

/* A provider: adds to m->hits what the description means in its world. 0 or -errno with a message. */
struct probe_provider {
	const char *name;
	int (*match)(struct match *, struct err *reterr);
	/* Says what is missing where nothing matched; leaves *reterr alone if the description is not its own. */
	void (*why_none)(const struct match *, struct err *reterr);
};
extern const struct probe_provider probe_tool, probe_profile, probe_pid;

/* Names near @want among what _offer() is given: for messages. */
struct near {
	const char *want;
	struct {
		char name[96];
		uint32_t distance;
	} best[5];
	uint32_t cnt;
};
void near_offer(struct near *, const char *name);
/* "; near names: a, b" or "". */
void near_print(const struct near *, char *buf, size_t cap);

#endif
