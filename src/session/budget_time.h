/* SPDX-License-Identifier: MIT */
/* Processor time that other processes have had, as of now. */
#ifndef SESSION_BUDGET_TIME_H
#define SESSION_BUDGET_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_TIME_THREADS 64u /* of a process; one that had more when it was met has the coarse clock */

struct budget_time {
	int pid;
	uint64_t last_ns;
	uint32_t fd_cnt; /* 0: the coarse clock */
	int fds[BUDGET_TIME_THREADS];
};

/* From now on; a process that has ended has no more time.  To be given back with _deinit. */
void budget_time_init(struct budget_time *, int pid);
void budget_time_deinit(struct budget_time *);
/* What it had since it was asked last, in ns. */
uint64_t budget_time_passed(struct budget_time *);
/* Whether that is known only at the ticks of the processor that it runs on. */
bool budget_time_is_coarse(const struct budget_time *);

#endif
