/* SPDX-License-Identifier: MIT */
/*
 * Calls functions a known number of times: "go" on standard input makes every
 * thread run a round and prints "done".  "fork" makes a child that runs one
 * round when its parent's input ends.  The exit status is 0 if all sums came
 * out right.
 *
 *   calls [THREADS [ROUND]]; with ROUND 0 the threads run until the end
 */
#include <dlfcn.h>
#if __has_include(<linux/filter.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

long leaf(long a, long b);
long branchy(long a);
long work(long a, long b);
double floating(double a, double b);

NOINLINE long leaf(long a, long b)
{
	__asm__ volatile("");
	return a * 3 + b;
}

NOINLINE long branchy(long a)
{
	if (a & 1)
		return leaf(a, 1) + 1;
	if (a & 2)
		return leaf(a, 2) - 1;
	return a;
}

NOINLINE long work(long a, long b)
{
	char buf[64];
	memset(buf, (int)a, sizeof(buf));
	__asm__ volatile("" : : "r"(buf) : "memory");
	return leaf(a, b) + branchy(a) + buf[a & 63];
}

NOINLINE double floating(double a, double b)
{
	__asm__ volatile("");
	return a * 1.5 + b;
}

static long rounds = 1000, threads = 1;
static atomic_long wrong, turn, finished;
static atomic_bool end;

static long plain(long i)
{
	long leaf2 = i & 1 ? i * 3 + 2 : i & 2 ? i * 3 + 1 : i;
	return i * 3 + (i + 1) + leaf2 + (char)i;
}

static void run_round(long n)
{
	for (long i = 0; i < n; i++) {
		if (work(i, i + 1) != plain(i))
			wrong++;
		if (floating((double)i, 0.25) != (double)i * 1.5 + 0.25)
			wrong++;
	}
}

static void *run(void *arg)
{
	long seen = 0;
	while (!end) {
		if (!rounds) {
			run_round(1000);
			continue;
		}
		if (turn == seen) {
			usleep(100);
			continue;
		}
		seen++;
		run_round(rounds);
		finished++;
	}
	return arg;
}

static void go(void)
{
	long before = finished;
	turn++;
	while (finished < before + threads)
		usleep(100);
}

static void load(const char *path)
{
	void *h = dlopen(path, RTLD_NOW);
	long (*fn)(long) = h ? (long (*)(long))dlsym(h, "plugin_work") : NULL;
	for (long i = 0; fn && i < rounds; i++)
		wrong += fn(i) != i + 7;
	if (h)
		dlclose(h);
	else
		fprintf(stderr, "%s\n", dlerror());
	wrong += !fn;
}

/* From here on only what the rounds need; anything else kills the process. */
static void lock_up(void)
{
#ifdef SECCOMP_SET_MODE_FILTER
	static const int fine[] = { SYS_read, SYS_write, SYS_clock_nanosleep, SYS_nanosleep, SYS_futex, SYS_exit,
				    SYS_exit_group, SYS_restart_syscall, SYS_munmap, SYS_madvise, SYS_rt_sigprocmask,
				    SYS_set_robust_list, SYS_rseq /* threads that only begin */ };
	enum { CNT = sizeof(fine) / sizeof(fine[0]) };
	struct sock_filter f[CNT + 3] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	for (int i = 0; i < CNT; i++)
		f[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)fine[i], (unsigned char)(CNT - i), 0);
	f[CNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	f[CNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { CNT + 3, f };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
		wrong++;
#else
	wrong++; /* a libc without the kernel's headers */
#endif
}

int main(int argc, char **argv)
{
	char line[512];
	pthread_t t;
	if (argc > 1)
		threads = atol(argv[1]);
	if (argc > 2)
		rounds = atol(argv[2]);
	for (long i = 0; i < threads; i++)
		pthread_create(&t, NULL, run, NULL);
	puts("ready");
	fflush(stdout);
	pid_t child = 0;
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (!strcmp(line, "go"))
			go();
		else if (!strcmp(line, "seccomp"))
			lock_up();
		else if (!strcmp(line, "fork") && !(child = fork())) {
			pause();
			_exit(0);
		} else if (!strncmp(line, "load ", 5))
			load(line + 5);
		else if (!strcmp(line, "fork"))
			printf("%d ", (int)child);
		puts("done");
		fflush(stdout);
	}
	end = true;
	usleep(10000);
	if (child)
		kill(child, SIGTERM);
	return wrong != 0;
}
