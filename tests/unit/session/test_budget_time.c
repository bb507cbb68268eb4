/* SPDX-License-Identifier: MIT */
/* Processor time of a process with threads that begin and end, against what it says itself. */
#include "../tap.h"
#include "session/budget_time.h"

#include <pthread.h>
#include <signal.h>
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
	budget_time_init(&t, pid);
	CHECK(write(go[1], &c, 1) == 1);
	CHECK(read(done[0], &c, 1) == 1);
	uint64_t passed = budget_time_passed(&t);
	CHECK_MSG(passed > THREADS * SPINS_NS * 9 / 10, "%llu ns", (unsigned long long)passed);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	budget_time_init(&t, pid);
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
	budget_time_init(&t, pid);
	CHECK_EQ(t.fd_cnt, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	int fd = dup(0);
	CHECK(fd <= done[1] + 1);
	close(fd);
	budget_time_deinit(&t);
}

TAP_MAIN(TEST(all_threads_count), TEST(no_process_has_no_time), TEST(many_threads_have_one_clock))
