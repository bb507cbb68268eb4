/* SPDX-License-Identifier: MIT */
/*
 * A thread that has no thread block comes late: work() is called 3000 times, a third of them by it.
 *
 *   baseless clone     begun by the libc's clone()
 *   baseless syscall   by syscall(SYS_clone)
 *   baseless clone3    by syscall(SYS_clone3)
 *   baseless inline    by a system call of its own
 *   baseless moved     the first thread takes its own block away for a while
 *   baseless shared    it has the block of who begins it
 */
#include <asm/prctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 65536, CALLS = 1000 };

static volatile long sum, done;
static char stack[STACK] __attribute__((aligned(16)));
static const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;

void work(long n);
__attribute__((noinline)) void work(long n)
{
	sum += n;
	__asm__ volatile("");
}

static void run(void)
{
	for (long i = 0; i < CALLS; i++)
		work(i);
}

static long call(long nr, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

/* Nothing of the libc can be used here. */
static int other(void *arg)
{
	(void)arg;
	run();
	done = 1;
	return (int)call(SYS_exit, 0, 0, 0);
}

/* The new thread returns from the system call to what stands on its stack. */
static void **begin(void)
{
	void **top = (void **)(stack + STACK) - 2;
	*top = (void *)(uintptr_t)other;
	return top;
}

static long by_inline(void)
{
	long r;
	register long r10 __asm__("r10") = 0;
	register long r8 __asm__("r8") = 0;
	__asm__ volatile("mov $56,%%eax\n\tsyscall\n\ttest %%eax,%%eax\n\tjnz 1f\n\tret\n1:"
			 : "=&a"(r) : "D"(flags), "S"(begin()), "d"(0), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}

static long moved(void)
{
	unsigned long own;
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &own) || syscall(SYS_arch_prctl, ARCH_SET_FS, 0))
		return -1;
	run();
	done = 1;
	return call(SYS_arch_prctl, ARCH_SET_FS, (long)own, 0) ? -1 : 1;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	struct clone_args a = { .flags = (uint64_t)flags, .stack = (uint64_t)(uintptr_t)stack, .stack_size = STACK - 16 };
	long r = -1;
	run();
	if (!strcmp(how, "clone"))
		r = clone(other, stack + STACK, (int)flags, NULL, NULL, NULL, NULL);
	else if (!strcmp(how, "shared"))
		r = clone(other, stack + STACK, (int)(flags & ~CLONE_SETTLS), NULL);
	else if (!strcmp(how, "syscall"))
		r = syscall(SYS_clone, flags, begin(), 0, 0, 0);
	else if (!strcmp(how, "clone3") && begin())
		r = syscall(SYS_clone3, &a, sizeof(a));
	else if (!strcmp(how, "inline"))
		r = by_inline();
	else if (!strcmp(how, "moved"))
		r = moved();
	while (r > 0 && !done)
		usleep(1000);
	run();
	puts(r > 0 ? "well" : "not well");
	return r <= 0;
}
