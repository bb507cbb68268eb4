/* SPDX-License-Identifier: MIT */
/* Processor time that other processes have had, as of now. */
#ifndef SESSION_BUDGET_TIME_H
#define SESSION_BUDGET_TIME_H

#include "wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

/* That are watched one by one, of all processes together.  Those that they begin take no descriptor. */
#define BUDGET_TIME_THREADS 64u

struct budget_time {
	int pid;
	uint64_t last_ns;
	bool is_crowd;   /* it had more threads, when it was met, than could be watched */
	uint32_t fd_cnt; /* 0: the clock that goes on at ticks, since there may be no others */
	int fds[BUDGET_TIME_THREADS];
};

/* From now on, of @most threads at most; a process that has ended has no more time.  To be given back with _deinit. */
void budget_time_init(struct budget_time *, int pid, uint32_t most);
void budget_time_deinit(struct budget_time *);
/* What it had since it was asked last, in ns. */
uint64_t budget_time_passed(struct budget_time *);

/* Of several processes, which the list has on the heap. */
struct budget_times {
	struct budget_time *v[WIRE_PROC_MAX];
	uint32_t cnt;
};

/* @ret: the clocks of @pids (WIRE_PROC_MAX at most): those that @old has go on, others begin now; what there is no memory for is
 * missing.  @ret_gone: the others of @old, to be given back with _deinit.  What is in another
 * order than in @old begins anew, too. */
void budget_times_follow(const struct budget_times *old, const int *pids, uint32_t cnt, struct budget_times *ret,
			 struct budget_times *ret_gone);
void budget_times_deinit(struct budget_times *);
uint64_t budget_times_passed(const struct budget_times *);
/* Whether these are exactly @pids. */
bool budget_times_are(const struct budget_times *, const int *pids, uint32_t cnt);
/* Whether they are so many that nobody should have to wait while they are asked. */
bool budget_times_are_many(const struct budget_times *);

#endif
