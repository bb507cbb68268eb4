/* SPDX-License-Identifier: MIT */
/*
 * consume: from rings and aggregation tables to what people see: drain, merge
 * by time, perform the plan's actions, print as dtrace(1) does.
 */
#ifndef CONSUME_CONSUME_H
#define CONSUME_CONSUME_H

#include "ir/plan.h"
#include "obj/obj.h"

struct consume;

struct consume_opts {
	FILE *out;          /* owned by the caller */
	const char *progname; /* for messages */
	bool quiet, flowindent, rawbytes;
	uint32_t stackindent; /* 14 */
	/* aggregation output */
	bool aggsortkey, aggsortrev, aggzoom, agghist, aggpack;
	uint32_t aggsortpos, aggsortkeypos;
	/* Symbols of process @proc (wire_proc index); NULL if it is gone. */
	struct obj_proc *(*obj)(void *arg, uint32_t proc);
	/* ERROR probes: fire ERROR clauses in the tool with these arguments
	 * (arg1 epid, arg2 action, arg3 pc, arg4 fault, arg5 value). NULL: only report. */
	void (*on_error)(void *arg, const struct wire_rec *, const struct wire_rec_error *);
	/* setopt("quiet") and the like at run time. */
	int (*set_option)(void *arg, const char *name, const char *value, struct err *reterr);
	void *arg;
	bool destructive;
};

int consume_create(struct wire_shm *shm, const struct plan *plan, const struct ir_image *image,
		   const struct consume_opts *, struct consume **ret, struct err *reterr);
void consume_destroy(struct consume *);
void consume_set_opts(struct consume *, const struct consume_opts *);

/* Reads all rings, merges what is complete by time, performs actions. With
 * @final everything is output, else records newer than the oldest
 * unfinished moment wait for the next call. Returns records seen, or -errno. */
int64_t consume_drain(struct consume *, bool final, struct err *reterr);
/* exit() was met in the records: its status. */
bool consume_exited(const struct consume *, int *ret_status);
/* Prints all aggregations that no printa() has shown, as at the end of dtrace. */
int consume_print_aggs(struct consume *, struct err *reterr);
/* Losses that were not reported yet, as dtrace reports them, on stderr; returns how many in all so far. */
uint64_t consume_report_drops(struct consume *);

/* printf format against the argument kinds, for the compiler: NULL if fine, else what is wrong. */

#endif
