/* SPDX-License-Identifier: MIT */
/*
 * A hot function in a loop.
 *
 *   target [plain]                 prints for each tenth of a second the ns of processor time per call
 *   target rate PER_SECOND SECONDS waits for a line, calls at that rate, prints how often it did and the seconds it took
 *   target keys CNT                as the first, with so many different first arguments
 *   target turns FILE ME SLICES    so many times 30,000 calls of a function that takes some 70 ns, a slice in turn with another process
 *                                  on the same processor; ME: 0 or 1, FILE: theirs.  Prints for each slice the ns of processor time per call
 *   target threads CNT TENTHS      as the first, CNT threads in turn; one figure over all of them
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef LTTNG
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_tp.h"
#define STATIC_TRACEPOINT(a, b) lttng_ust_tracepoint(bench, work, a, b)
#else
#define STATIC_TRACEPOINT(a, b) (void)0
#endif

#define KEYS 1000
#define BATCH KEYS

volatile long work_sum;

#define HIDE __asm__ volatile("" ::: "memory")
#define FRAME __attribute__((noinline, noclone))

/* As compilers make them: no frame pointer, a first instruction that uprobes have to single-step. */
FRAME long work(long a, long b)
{
	HIDE;
	STATIC_TRACEPOINT(a, b);
	return (a ^ b) + (a >> 3);
}

FRAME long work_slow(long a, long b)
{
	for (int i = 0; i < 100; i++)
		__asm__ volatile("imul $7, %0, %0" : "+r"(a));
	return a + b;
}

static double clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* @keys: how many different first arguments.  The sum is in a register, see pairs.c. */
FRAME static void loop(long keys)
{
	long key = 0;
	for (;;) {
		double cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC), now;
		long calls = 0, all = 0;
		do {
			for (int i = 0; i < BATCH; i++) {
				all += work(key, calls);
				key = key + 1 < keys ? key + 1 : 0;
			}
			calls += BATCH;
			now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		} while (now - cpu < 1e8 && clock_ns(CLOCK_MONOTONIC) - wall < 1e9);
		work_sum += all;
		printf("%.3f\n", (now - cpu) / (double)calls);
		fflush(stdout);
	}
}

#define SLICE_CALLS 30000

/* Of two processes the one goes on whose number it is.  It counts slices, so who comes too late or has ended is no matter. */
static void wait_turn(uint32_t *turn, uint32_t me)
{
	for (uint32_t now; (now = __atomic_load_n(turn, __ATOMIC_ACQUIRE)) % 2 != me;)
		syscall(SYS_futex, turn, FUTEX_WAIT, now, NULL, NULL, 0);
}

static void give_turn(uint32_t *turn)
{
	__atomic_add_fetch(turn, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int run_turns(const char *file, uint32_t me, long slices)
{
	int fd = open(file, O_RDWR);
	uint32_t *turn = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	double *ns = calloc((size_t)slices, sizeof(*ns));
	if (turn == MAP_FAILED || !ns)
		return 1;
	cpu_set_t first;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);
	for (long i = 0; i < slices; i++) {
		wait_turn(turn, me);
		double cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		long all = 0;
		for (long k = 0; k < SLICE_CALLS; k++)
			all += work_slow(k, k);
		work_sum += all;
		ns[i] = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / SLICE_CALLS;
		give_turn(turn);
	}
	for (long i = 0; i < slices; i++)
		printf("%.3f\n", ns[i]);
	return 0;
}

/* What is more than a millisecond late is left out, so that a moment without a processor is no burst. */
static int run_rate(double per_sec, double seconds)
{
	char line[16];
	long done = 0;
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	double start = clock_ns(CLOCK_MONOTONIC), last = start, now, due = 0;
	while ((now = clock_ns(CLOCK_MONOTONIC)) < start + seconds * 1e9) {
		due += (now - last) * per_sec / 1e9;
		last = now;
		if (due > per_sec / 1000)
			due = per_sec / 1000;
		for (; due >= 1; due--, done++)
			work_sum += work(done % KEYS, done);
	}
	printf("%ld %.3f\n", done, (now - start) / 1e9);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : 1; /* stays until the tracer has left */
}

static pthread_barrier_t turn;
static long calls_each;

static void *thread_main(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_barrier_wait(&turn);
		for (long i = 0; i < calls_each; i++)
			work_sum += work(i % KEYS, i);
		pthread_barrier_wait(&turn);
	}
	return NULL;
}

static int run_threads(unsigned cnt, long tenths)
{
	pthread_attr_t attr;
	pthread_t id;
	calls_each = 4000000 / cnt;
	pthread_barrier_init(&turn, NULL, cnt + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (unsigned i = 0; i < cnt; i++)
		if (pthread_create(&id, &attr, thread_main, NULL))
			return 1;
	for (long n = 0; n < tenths; n++) {
		double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
		printf("%.3f\n", (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / ((double)calls_each * cnt));
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "plain";
	long n = argc > 2 ? atol(argv[2]) : 0;
	if (!strcmp(kind, "rate"))
		return argc > 3 ? run_rate(atof(argv[2]), atof(argv[3])) : 2;
	if (!strcmp(kind, "threads"))
		return argc > 3 ? run_threads((unsigned)n, atol(argv[3])) : 2;
	if (!strcmp(kind, "turns"))
		return argc > 4 ? run_turns(argv[2], (uint32_t)atoi(argv[3]), atol(argv[4])) : 2;
	if (!strcmp(kind, "keys"))
		return loop(n), 0;
	if (!strcmp(kind, "plain"))
		return loop(KEYS), 0;
	fprintf(stderr, "target: unknown kind %s\n", kind);
	return 2;
}
