/* SPDX-License-Identifier: MIT */
/* System calls and work below a chain of functions without frame pointers, one of them of libc; ends after so many
 * rounds, one without an argument.  usage: deep [ROUNDS] */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

volatile int deep_sum;

static __attribute__((noinline, noclone)) int deep_leaf(const char *p, int k)
{
	for (int i = 0; i < 3000; i++)
		deep_sum += p[i % k] ^ i;
	getppid();
	return deep_sum;
}

static __attribute__((noinline, noclone)) int deep_middle(int k)
{
	char buf[200];
	memset(buf, k, sizeof(buf));
	return deep_leaf(buf, 150) + 1;
}

static int compare(const void *a, const void *b)
{
	return deep_middle(*(const int *)a) == 1 ? 0 : *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1, v[2] = { 2, 1 };
	for (int i = 0; i < rounds; i++)
		qsort(v, 2, sizeof(*v), compare);
	return 0;
}
