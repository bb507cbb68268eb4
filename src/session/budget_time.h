/* SPDX-License-Identifier: MIT */
/* Processor time that other processes have had, as of now. */
#ifndef SESSION_BUDGET_TIME_H
#define SESSION_BUDGET_TIME_H

#include <stdint.h>

#define BUDGET_TIME_THREADS 64u /* of a process; one that had more when it was met has a clock that goes on at ticks */

struct budget_time {
	int pid;
	uint64_t last_ns;
	uint32_t fd_cnt; /* 0: the clock that goes on at ticks, since there may be no others */
	int fds[BUDGET_TIME_THREADS];
};

/* From now on; a process that has ended has no more time.  To be given back with _deinit. */
void budget_time_init(struct budget_time *, int pid);
void budget_time_deinit(struct budget_time *);
/* What it had since it was asked last, in ns. */
uint64_t budget_time_passed(struct budget_time *);

#endif
