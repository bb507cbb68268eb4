/* SPDX-License-Identifier: MIT */
/* Work of which one chain of functions without frame pointers does three times as much as another; ends when its input
 * does. */
#include <poll.h>

volatile unsigned shares_sum;

static __attribute__((noinline, noclone)) void shares_spin(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		shares_sum += i ^ n;
}

static __attribute__((noinline, noclone)) int shares_deep(unsigned n)
{
	volatile char room[300];
	room[n % 300] = 1;
	shares_spin(n * 1000);
	return room[n % 300];
}

static __attribute__((noinline, noclone)) int shares_much(unsigned n)
{
	return shares_deep(3 * n) + 1;
}

static __attribute__((noinline, noclone)) int shares_little(unsigned n)
{
	volatile char room[80];
	room[n % 80] = 2;
	return shares_deep(n) + room[n % 80];
}

int main(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	for (unsigned i = 0; poll(&in, 1, 0) == 0; i++)
		for (unsigned k = 0; k < 20; k++)
			shares_sum += (unsigned)(shares_much(40 + i % 7) + shares_little(40 + i % 7));
	return 0;
}
