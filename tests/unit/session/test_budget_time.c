/* SPDX-License-Identifier: MIT */
/* Processor time of a process with threads that begin and end, against what it says itself. */
#include "../tap.h"
#include "session/budget_time.h"

#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPINS_NS 30000000ull /* of each thread */
#define THREADS 3

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Whether we may watch threads of @pid at all: what is checked then cannot be the other clock. */
static bool may_watch(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_TASK_CLOCK,
		.inherit = 1, .inherit_thread = 1, .exclude_kernel = 1, .exclude_hv = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd >= 0 && !close(fd);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void *spin(void *arg)
{
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < SPINS_NS)
		;
	return arg;
}

/* A thread that is there already spins, and begins one that spins, when it is told to; both end. */
static int go[2], done[2];
static void *parent_of_one(void *arg)
{
	char c;
	pthread_t id;
	if (read(go[0], &c, 1) != 1 || pthread_create(&id, NULL, spin, NULL))
		return NULL;
	spin(NULL);
	pthread_join(id, NULL);
	return arg;
}

static void child(void)
{
	pthread_t id;
	char c = 0;
	if (pthread_create(&id, NULL, parent_of_one, NULL) || write(done[1], &c, 1) != 1)
		_exit(1);
	pthread_join(id, NULL);
	spin(NULL);
	if (write(done[1], &c, 1) != 1)
		_exit(1);
	pause();
}

static void all_threads_count(void)
{
	struct budget_time t;
	char c = 0;
	CHECK(!pipe(go) && !pipe(done));
	pid_t pid = fork();
	if (!pid)
		child();
	CHECK(read(done[0], &c, 1) == 1);
	budget_time_init(&t, pid, BUDGET_TIME_THREADS);
	CHECK_EQ(t.fd_cnt, may_watch(pid) ? 2 : 0);
	CHECK(write(go[1], &c, 1) == 1);
	CHECK(read(done[0], &c, 1) == 1);
	uint64_t passed = budget_time_passed(&t);
	CHECK_MSG(passed > THREADS * SPINS_NS * 9 / 10, "%llu ns", (unsigned long long)passed);
	end(pid);
	budget_time_passed(&t);
	CHECK_EQ(budget_time_passed(&t), 0); /* it has ended */
	budget_time_deinit(&t);
	CHECK_EQ(t.fd_cnt, 0);
}

static void no_process_has_no_time(void)
{
	struct budget_time t;
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	budget_time_init(&t, pid, BUDGET_TIME_THREADS);
	CHECK_EQ(budget_time_passed(&t), 0);
	budget_time_deinit(&t);
}

static void *wait_for_ever(void *arg)
{
	pause();
	return arg;
}

/* More threads than are watched one by one: by the process's own clock, and no descriptor stays open. */
static void many_threads_have_one_clock(void)
{
	struct budget_time t;
	char c = 0;
	CHECK(!pipe(done));
	pid_t pid = fork();
	if (!pid) {
		pthread_t id;
		for (uint32_t i = 0; i < BUDGET_TIME_THREADS; i++)
			if (pthread_create(&id, NULL, wait_for_ever, NULL))
				_exit(1);
		_exit(write(done[1], &c, 1) == 1 ? (pause(), 0) : 1);
	}
	CHECK(read(done[0], &c, 1) == 1);
	budget_time_init(&t, pid, BUDGET_TIME_THREADS);
	CHECK_EQ(t.fd_cnt, 0);
	CHECK_EQ(t.is_crowd, may_watch(pid));
	end(pid);
	int fd = dup(0);
	CHECK(fd <= done[1] + 1);
	close(fd);
	budget_time_deinit(&t);
}

/* ---- several processes ---- */

static pid_t waits(void)
{
	pid_t pid = fork();
	if (!pid)
		pause();
	return pid;
}

/* One in the middle ends, another comes there and one behind: who stays keeps its clock, and that what it has opened. */
static void who_stays_keeps_its_clock(void)
{
	struct budget_times none = { .cnt = 0 }, first, next, gone;
	const int pids[] = { waits(), waits(), waits() };
	const int then[] = { pids[0], waits(), pids[2], waits() };
	budget_times_follow(&none, pids, 3, &first, &gone);
	CHECK(first.cnt == 3 && gone.cnt == 0 && budget_times_are(&first, pids, 3));
	CHECK(!budget_times_are_many(&first));
	budget_times_follow(&first, then, 4, &next, &gone);
	CHECK(next.cnt == 4 && budget_times_are(&next, then, 4) && !budget_times_are(&next, pids, 3));
	CHECK(next.v[0] == first.v[0] && next.v[2] == first.v[2]);
	CHECK(gone.cnt == 1 && gone.v[0] == first.v[1]);
	for (uint32_t i = 0; i < next.cnt; i++)
		CHECK_EQ(next.v[i]->fd_cnt, may_watch(then[i]));
	budget_times_deinit(&gone);
	budget_times_follow(&next, NULL, 0, &first, &gone);
	CHECK(first.cnt == 0 && gone.cnt == 4);
	budget_times_deinit(&gone);
	for (int i = 0; i < 4; i++)
		end(then[i]);
	end(pids[1]);
}

#define PROCS (BUDGET_TIME_THREADS + 3)

static uint32_t watched(const struct budget_times *ts)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < ts->cnt; i++)
		cnt += ts->v[i]->fd_cnt;
	return cnt;
}

/* The descriptors are for all of them together, and those of who ended are there for who comes. */
static void many_processes_share(void)
{
	struct budget_times none = { .cnt = 0 }, first, next, gone;
	int pids[PROCS];
	for (uint32_t i = 0; i < PROCS; i++)
		pids[i] = waits();
	uint32_t most = may_watch(pids[0]) ? BUDGET_TIME_THREADS : 0;
	budget_times_follow(&none, pids, PROCS - 1, &first, &gone);
	CHECK_EQ(first.cnt, PROCS - 1);
	CHECK_EQ(watched(&first), most);
	CHECK(budget_times_are_many(&first));
	budget_times_follow(&first, pids + 1, PROCS - 1, &next, &gone);
	CHECK_EQ(watched(&next), most);
	CHECK_EQ(next.v[PROCS - 2]->fd_cnt, may_watch(pids[PROCS - 1]));
	budget_times_deinit(&gone);
	budget_times_follow(&next, pids + PROCS - 1, 1, &first, &gone);
	CHECK(first.cnt == 1 && !budget_times_are_many(&first));
	budget_times_deinit(&gone);
	budget_times_deinit(&first);
	for (uint32_t i = 0; i < PROCS; i++)
		end(pids[i]);
}

TAP_MAIN(TEST(all_threads_count), TEST(no_process_has_no_time), TEST(many_threads_have_one_clock),
	 TEST(who_stays_keeps_its_clock), TEST(many_processes_share))
