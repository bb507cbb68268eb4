/* SPDX-License-Identifier: MIT */
/*
 * A process to arm: loads a library, and has threads that call one small function of their own.  Each notes the longest time that
 * went by from one round to the next, which is 0.2 ms and how long it was stopped; a line on stdin makes it print the
 * first one's, in ns, with the calls per second since the last time.
 *
 *	loader THREADS [LIBRARY...]
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 1024

static struct worker {
	_Alignas(64) _Atomic uint64_t longest_ns, calls;
} workers[THREADS_MAX];
static int thread_cnt;

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

__attribute__((noinline)) uint64_t probed(uint64_t x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}

/* They wake up often and do little: threads that would wait for a processor would seem to be stopped. */
static void *work(void *arg)
{
	struct worker *w = arg;
	const struct timespec pause = { .tv_nsec = 200000 };
	uint64_t last = now_ns();
	for (;;) {
		for (int i = 0; i < 100; i++)
			probed((uint64_t)i);
		w->calls += 100;
		nanosleep(&pause, NULL);
		uint64_t now = now_ns();
		if (now - last > w->longest_ns)
			w->longest_ns = now - last;
		last = now;
	}
	return NULL;
}

static void report(void)
{
	static uint64_t last_ns, last_calls;
	uint64_t longest = workers[0].longest_ns, calls = workers[0].calls, now = now_ns();
	workers[0].longest_ns = 0;
	printf("%llu %llu\n", (unsigned long long)longest,
	       (unsigned long long)(last_ns ? (calls - last_calls) * 1000000000ull / (now - last_ns) : 0));
	fflush(stdout);
	last_ns = now;
	last_calls = calls;
}

int main(int argc, char **argv)
{
	thread_cnt = argc > 1 ? atoi(argv[1]) : 4;
	for (int i = 2; i < argc; i++)
		if (!dlopen(argv[i], RTLD_NOW)) {
			fprintf(stderr, "%s\n", dlerror());
			return 1;
		}
	for (int i = 0; i < thread_cnt && i < THREADS_MAX; i++) {
		pthread_t t;
		pthread_create(&t, NULL, work, &workers[i]);
	}
	printf("ready\n");
	fflush(stdout);
	for (char line[16]; fgets(line, sizeof(line), stdin);)
		report();
	return 0;
}
