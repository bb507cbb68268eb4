/* SPDX-License-Identifier: MIT */
/*
 * The clock of another process (clock_getcpuclockid(3)) goes on while it runs at the ticks of its processor only, which are
 * 4 ms apart (thread_group_cputime(), kernel/sched/cputime.c): whoever waits for some time to pass by it waits for a tick, and
 * takes what was before for his own.  A software event of perf counts the same time, and is asked for by an interrupt where
 * the thread runs.  The process sees nothing of it, but the kernel has more to do for it: each clone() makes an event for the
 * new thread, and each switch from one thread to another begins and ends them.
 */
#include "session/budget_time.h"

#include "base/base.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOKS_MAX 4 /* at the list of threads, which begin others meanwhile */

/* @tid's, and of the threads that it or they will begin (inherit_thread: since Linux 5.13). */
static int open_thread(int tid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_TASK_CLOCK,
		.inherit = 1, .inherit_thread = 1, .exclude_kernel = 1, .exclude_hv = 1,
	};
	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool has_tid(const int *tids, uint32_t cnt, int tid)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

/* Threads that are not yet in @tids; -1: too many, or they cannot be watched. */
static int open_more(struct budget_time *t, int *tids, uint32_t most)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	DIR *dir = opendir(path);
	int more = dir ? 0 : -1;
	for (struct dirent *e; more >= 0 && (e = readdir(dir));) {
		int tid = atoi(e->d_name);
		if (tid <= 0 || has_tid(tids, t->fd_cnt, tid))
			continue;
		t->is_crowd = t->fd_cnt >= most;
		int fd = t->is_crowd ? -1 : open_thread(tid);
		more = fd < 0 ? -1 : more + 1;
		if (fd >= 0) {
			tids[t->fd_cnt] = tid;
			t->fds[t->fd_cnt++] = fd;
		}
	}
	if (dir)
		closedir(dir);
	return more;
}

static uint64_t coarse_ns(int pid)
{
	struct timespec now;
	clockid_t id;
	return clock_getcpuclockid(pid, &id) || clock_gettime(id, &now) ? 0 :
		(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t time_ns(const struct budget_time *t)
{
	uint64_t sum = 0, v;
	if (!t->fd_cnt)
		return coarse_ns(t->pid);
	for (uint32_t i = 0; i < t->fd_cnt; i++)
		sum += read(t->fds[i], &v, sizeof(v)) == (ssize_t)sizeof(v) ? v : 0;
	return sum;
}

void budget_time_init(struct budget_time *t, int pid, uint32_t most)
{
	int tids[BUDGET_TIME_THREADS], more = 1;
	*t = (struct budget_time){ .pid = pid };
	for (int i = 0; i < LOOKS_MAX && more > 0; i++)
		more = open_more(t, tids, most);
	if (more < 0)
		budget_time_deinit(t);
	t->last_ns = time_ns(t);
}

void budget_time_deinit(struct budget_time *t)
{
	for (uint32_t i = 0; i < t->fd_cnt; i++)
		close(t->fds[i]);
	t->fd_cnt = 0;
}

uint64_t budget_time_passed(struct budget_time *t)
{
	uint64_t now = time_ns(t), last = t->last_ns;
	if (now <= last)
		return 0;
	t->last_ns = now;
	return now - last;
}

/* ---- several ---- */

static struct budget_time *create(int pid, uint32_t most)
{
	struct budget_time *t = malloc(sizeof(*t));
	if (t)
		budget_time_init(t, pid, most);
	return t;
}

/* From @at on; as many as there are: nowhere. */
static uint32_t find(const struct budget_times *ts, uint32_t at, int pid)
{
	while (at < ts->cnt && ts->v[at]->pid != pid)
		at++;
	return at;
}

void budget_times_follow(const struct budget_times *old, const int *pids, uint32_t cnt, struct budget_times *ret,
			 struct budget_times *ret_gone)
{
	uint32_t next = 0, left = BUDGET_TIME_THREADS;
	ret->cnt = ret_gone->cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t at = find(old, next, pids[i]);
		ret->v[i] = at < old->cnt ? old->v[at] : NULL;
		if (!ret->v[i])
			continue;
		while (next < at)
			ret_gone->v[ret_gone->cnt++] = old->v[next++];
		next++;
		left -= ret->v[i]->fd_cnt;
	}
	while (next < old->cnt)
		ret_gone->v[ret_gone->cnt++] = old->v[next++];
	for (uint32_t i = 0; i < cnt; i++) {
		bool is_new = !ret->v[i];
		struct budget_time *t = is_new ? create(pids[i], left) : ret->v[i];
		if (!t)
			continue;
		left -= is_new ? t->fd_cnt : 0;
		ret->v[ret->cnt++] = t;
	}
}

void budget_times_deinit(struct budget_times *ts)
{
	for (uint32_t i = 0; i < ts->cnt; i++) {
		budget_time_deinit(ts->v[i]);
		free(ts->v[i]);
	}
	ts->cnt = 0;
}

uint64_t budget_times_passed(const struct budget_times *ts)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < ts->cnt; i++)
		sum += budget_time_passed(ts->v[i]);
	return sum;
}

bool budget_times_are(const struct budget_times *ts, const int *pids, uint32_t cnt)
{
	bool same = ts->cnt == cnt;
	for (uint32_t i = 0; i < cnt && same; i++)
		same = ts->v[i]->pid == pids[i];
	return same;
}

bool budget_times_are_many(const struct budget_times *ts)
{
	bool many = ts->cnt > BUDGET_TIME_THREADS;
	for (uint32_t i = 0; i < ts->cnt && !many; i++)
		many = ts->v[i]->is_crowd;
	return many;
}
