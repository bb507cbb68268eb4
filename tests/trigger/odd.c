/* SPDX-License-Identifier: MIT */
/*
 * Processes that are not as others are; calls work() for two seconds and says whether it lived.
 *
 *   odd fork     a child made by a raw fork(): it has its parent's thread id in its thread block
 *   odd filter   a thread whose own seccomp filter kills for the system call that copyin() makes
 *   odd lock     mlockall(), and says whether it got much memory
 *   odd share    two threads with one thread block
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char text[] = "text";
static volatile long sum;

void work(const char *s, long n);
__attribute__((noinline)) void work(const char *s, long n)
{
	sum += n + s[0];
	__asm__ volatile("");
}

static void run(void)
{
	for (long i = 0; i < 200; i++) {
		for (long k = 0; k < 1000; k++)
			work(text, k);
		usleep(10000);
	}
}

static int forked(void)
{
	int status = 0;
	long pid = syscall(SYS_fork);
	run();
	if (!pid)
		syscall(SYS_exit_group, 0);
	waitpid((pid_t)pid, &status, 0);
	return status;
}

static void *filtered(void *arg)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { 4, f };
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p))
		run();
	return arg;
}

static int locked(void)
{
	struct rusage use;
	mlockall(MCL_CURRENT | MCL_FUTURE); /* not permitted: then it is as others are */
	run();
	getrusage(RUSAGE_SELF, &use);
	return use.ru_maxrss > 200 << 10;
}

static int sharing(void *arg)
{
	(void)arg;
	for (;;)
		sched_yield();
	return 0;
}

static int share(void)
{
	enum { STACK = 65536 };
	char *stack = malloc(STACK);
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	if (!stack || clone(sharing, stack + STACK, flags, NULL) < 0)
		return 1;
	run();
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	pthread_t t;
	int r = 0;
	if (!strcmp(mode, "fork"))
		r = forked();
	else if (!strcmp(mode, "lock"))
		r = locked();
	else if (!strcmp(mode, "share"))
		r = share();
	else if (!pthread_create(&t, NULL, filtered, NULL))
		pthread_join(t, NULL);
	puts(r ? "not well" : "well");
	fflush(stdout);
	_exit(r != 0);
}
