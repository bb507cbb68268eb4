/* SPDX-License-Identifier: MIT */
/* System calls in a loop: prints the ns per call of each tenth of a second. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
	static char buf[4096];
	int fd = open("/dev/zero", O_RDONLY);
	for (;;) {
		double start = now_ns(), end;
		long calls = 0;
		do {
			for (int i = 0; i < 200; i++)
				if (read(fd, buf, 1u << (i & 7)) < 0)
					return 1;
			calls += 200;
			end = now_ns();
		} while (end - start < 1e8);
		printf("%.3f\n", (end - start) / (double)calls);
		fflush(stdout);
	}
}
