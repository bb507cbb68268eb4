/* SPDX-License-Identifier: MIT */
/*
 * crowd SECONDS, or until SIGTERM: 8 threads that compute, allocate, map and talk through pipes, 254 that wait in epoll: what they see is
 * checked, EINTR above all.  crowd SECONDS LOOKS: also calls look() with LOOKS addresses, most of which are nothing, while
 * memory comes and goes, and takes faults of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUSY 8
#define WAITING 254
#define LOOKING 2
#define ARENA ((char *)0x600000000000)
#define ARENA_PAGES 4096

static volatile int stop;
static volatile long bad, rounds, own_faults, looks;
static int epoll, looks_wanted;

static void complain(const char *what)
{
	__atomic_add_fetch(&bad, 1, __ATOMIC_SEQ_CST);
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
}

__attribute__((noinline)) long work(long n)
{
	long sum = 0;
	for (long i = 0; i < n; i++)
		sum += i ^ (sum >> 3);
	return sum;
}

static void *busy(void *arg)
{
	long want = work(1000);
	int fds[2];
	char c = 'x', got;
	if (pipe(fds))
		complain("pipe");
	while (!stop) {
		if (work(1000) != want)
			complain("work");
		if (write(fds[1], &c, 1) != 1 || read(fds[0], &got, 1) != 1 || got != c)
			complain("pipe");
		char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 7, 65536);
		char *q = malloc(5000);
		memcpy(q, p, 5000);
		if (q[4999] != 7)
			complain("memory");
		free(q);
		munmap(p, 65536);
		struct timespec t = { 0, 200000 };
		if (nanosleep(&t, NULL))
			complain("nanosleep");
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	}
	return arg;
}

static void *waiting(void *arg)
{
	struct epoll_event e;
	while (!stop)
		if (epoll_wait(epoll, &e, 1, 300) != 0)
			complain("epoll_wait");
	return arg;
}

__attribute__((noinline)) void look(const void *at)
{
	__asm__ volatile("" : : "r"(at) : "memory");
	__atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED);
}

/* @seed lies on the stack. */
static const void *some_address(unsigned *seed)
{
	uint64_t r = (uint64_t)rand_r(seed) << 33 ^ (uint64_t)rand_r(seed) << 16 ^ (uint64_t)rand_r(seed);
	switch (r % 4) {
	case 0:
		return (void *)(r >> 2);
	case 1:
		return (void *)(r >> 17);
	case 2:
		return (void *)((uintptr_t)seed + (r >> 5) % 65536);
	default:
		return ARENA + (r >> 5) % ((uint64_t)ARENA_PAGES * 4096);
	}
}

static void *looking(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	for (int i = 0; i < looks_wanted / LOOKING; i++)
		look(some_address(&seed));
	return arg;
}

/* Pages come and go below what is looked at. */
static void *moving(void *arg)
{
	unsigned seed = 99;
	while (!stop) {
		char *at = ARENA + (uint64_t)((unsigned)rand_r(&seed) % ARENA_PAGES) * 4096;
		int prot = rand_r(&seed) % 3 ? PROT_READ | PROT_WRITE : PROT_NONE;
		if (rand_r(&seed) % 2)
			mmap(at, 4096 * 8, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		else
			munmap(at, 4096 * 8);
	}
	return arg;
}

static __thread sigjmp_buf env;
static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (info->si_addr != (void *)64)
		_exit(9);
	siglongjmp(env, sig);
}

static void *faulting(void *arg)
{
	while (!stop) {
		if (!sigsetjmp(env, 1))
			*(volatile char *)64 = 1;
		__atomic_add_fetch(&own_faults, 1, __ATOMIC_RELAXED);
		usleep(500);
	}
	return arg;
}

int main(int argc, char **argv)
{
	static pthread_t t[BUSY + WAITING + LOOKING + 2];
	int n = 0, seconds = argc > 1 ? atoi(argv[1]) : 5;
	pthread_attr_t small;
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	epoll = epoll_create1(0);
	looks_wanted = argc > 2 ? atoi(argv[2]) : 0;
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	for (int i = 0; i < BUSY; i++)
		pthread_create(&t[n++], &small, busy, NULL);
	for (int i = 0; i < WAITING && !looks_wanted; i++)
		pthread_create(&t[n++], &small, waiting, NULL);
	if (looks_wanted) {
		pthread_create(&t[n++], &small, moving, NULL);
		pthread_create(&t[n++], &small, faulting, NULL);
	}
	puts("ready");
	fflush(stdout);
	for (uintptr_t i = 0; i < LOOKING && looks_wanted; i++) {
		pthread_t l;
		pthread_create(&l, NULL, looking, (void *)(i + 1));
		t[n++] = l;
	}
	if (looks_wanted) {
		pthread_join(t[--n], NULL);
		pthread_join(t[--n], NULL);
	}
	for (int i = 0; i < 10 * seconds && !stop; i++) {
		struct timespec tenth = { 0, 100000000 };
		stop = sigtimedwait(&term, NULL, &tenth) == SIGTERM;
	}
	stop = 1;
	while (n)
		pthread_join(t[--n], NULL);
	printf("bad %ld, looks %ld, rounds %s, own faults %s\n", bad, looks, rounds > 10 ? "many" : "few",
	       looks_wanted && !own_faults ? "none" : "fine");
	return bad != 0;
}
