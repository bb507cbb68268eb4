/* SPDX-License-Identifier: MIT */
/* Processes of an executable, as they come (ADR 23). */
#include "aim/aim.h"

#include "base/pids.h"
#include "host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS 100000000ULL /* for who looks through /proc */
#define HEAR_NS 10000000ULL  /* for who is told */

bool aim_exe_runs(const struct aim_exe *x, pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return !stat(path, &st) && st.st_dev == x->dev && st.st_ino == x->ino;
}

/* Their pids, malloc'ed, in the order of their numbers. */
static int scan(const struct aim_exe *x, pid_t **ret, uint32_t *ret_cnt)
{
	pid_t *v;
	uint32_t all, cnt = 0;
	int r = base_pids("/proc", &v, &all);
	for (uint32_t i = 0; i < all && !r; i++)
		if (v[i] != getpid() && aim_exe_runs(x, v[i]))
			v[cnt++] = v[i];
	if (r)
		return r;
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}

int aim_exe_open(struct aim_exe *x, uint64_t dev, uint64_t ino, bool hears)
{
	*x = (struct aim_exe){ .dev = dev, .ino = ino, .execs = hears ? session_execs_open(NULL) : NULL };
	return scan(x, &x->seen, &x->seen_cnt);
}

void aim_exe_close(struct aim_exe *x)
{
	session_execs_close(x->execs);
	free(x->seen);
	*x = (struct aim_exe){ 0 };
}

uint64_t aim_exe_gap_ns(const struct aim_exe *x) { return x->execs ? HEAR_NS : LOOK_NS; }

void aim_exe_execed(struct aim_exe *x, pid_t pid)
{
	for (uint32_t i = 0; i < x->seen_cnt; i++)
		if (x->seen[i] == pid)
			x->seen[i] = 0;
}

static bool was_seen(const struct aim_exe *x, pid_t pid)
{
	for (uint32_t i = 0; i < x->seen_cnt; i++)
		if (x->seen[i] == pid)
			return true;
	return false;
}

static int look(struct aim_exe *x, aim_exe_take_fn *take, void *arg)
{
	pid_t *v;
	uint32_t cnt;
	int rc = 0;
	if (scan(x, &v, &cnt))
		return 0;
	for (uint32_t i = 0; i < cnt && !rc; i++)
		if (!was_seen(x, v[i]))
			rc = take(arg, v[i], &x->came);
	free(x->seen);
	x->seen = v;
	x->seen_cnt = cnt;
	return rc;
}

int aim_exe_look(struct aim_exe *x, aim_exe_take_fn *take, void *arg)
{
	bool lost = !x->execs;
	pid_t pid = 0;
	int rc = 0;
	while (!rc && !lost && (pid = session_execs_next(x->execs, &lost)))
		if (aim_exe_runs(x, pid))
			rc = take(arg, pid, &x->came);
	/* It may have forked before it was traced. */
	lost |= x->came;
	x->came = false;
	uint64_t now = host_now_ns();
	if (rc || !lost || (!x->execs && now - x->looked_ns < LOOK_NS))
		return rc;
	x->looked_ns = now;
	return look(x, take, arg);
}
