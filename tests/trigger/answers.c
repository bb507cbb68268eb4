/* SPDX-License-Identifier: MIT */
/* Calls square(1..3) as often as argv[1] says (once), and prints the sum. */
#include <stdio.h>
#include <stdlib.h>

long square(long x, void *whence);

__attribute__((noinline)) long square(long x, void *whence)
{
	__asm__ volatile("" : : "r"(whence) : "memory");
	return x * x;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1, sum = 0;
	for (long i = 0; i < rounds; i++)
		for (long x = 1; x <= 3; x++)
			sum += square(x, (void *)main);
	printf("sum %ld\n", sum);
	puts("done");
	return 0;
}
