/* SPDX-License-Identifier: MIT */
/* A hot function in a loop: prints the ns per call of each tenth of a second.  usage: target [TENTHS] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

long work(long a, long b);
volatile long work_sum;

/* As compilers make them: no frame pointer, a first instruction that uprobes have to single-step. */
__attribute__((noinline, noclone)) long work(long a, long b)
{
	__asm__ volatile("" ::: "memory");
	return (a ^ b) + (a >> 3);
}

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
	long tenths = argc > 1 ? atol(argv[1]) : 1L << 40;
	for (long n = 0; n < tenths; n++) {
		double start = now_ns(), end;
		long calls = 0;
		do {
			for (int i = 0; i < 2000; i++)
				work_sum += work(i, calls);
			calls += 2000;
			end = now_ns();
		} while (end - start < 1e8);
		printf("%.3f\n", (end - start) / (double)calls);
		fflush(stdout);
	}
	return 0;
}
