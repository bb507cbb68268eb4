/* SPDX-License-Identifier: MIT */
/*
 * Threads blocked in many kinds of system call, and threads that compute with
 * all registers.  SIGTERM ends it; the exit status counts what went wrong:
 * calls that came back although nothing happened, registers that changed.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static atomic_int wrong, ready;
static atomic_bool done;

static void note(const char *what, long r)
{
	if (done)
		return;
	fprintf(stderr, "%s came back with %ld, %s\n", what, r, strerror(errno));
	wrong++;
}

static int quiet_pipe(void)
{
	int p[2];
	return pipe(p) ? -1 : p[0];
}

static void in_read(void) { char c; note("read", read(quiet_pipe(), &c, 1)); }
static void in_poll(void) { struct pollfd p = { quiet_pipe(), POLLIN, 0 }; note("poll", poll(&p, 1, -1)); }
static void in_select(void)
{
	int fd = quiet_pipe();
	fd_set s;
	FD_ZERO(&s);
	FD_SET(fd, &s);
	note("select", select(fd + 1, &s, NULL, NULL, NULL));
}
static void in_epoll(void)
{
	struct epoll_event ev;
	note("epoll_wait", epoll_wait(epoll_create1(0), &ev, 1, -1));
}
static void in_epoll_long(void)
{
	struct epoll_event ev;
	note("epoll_wait", epoll_wait(epoll_create1(0), &ev, 1, 100000));
}
static void in_futex(void) { static int word; note("futex", syscall(SYS_futex, &word, 0, 0, NULL)); }
static void in_futex_timed(void)
{
	static int word;
	struct timespec ts = { 1000, 0 };
	note("futex", syscall(SYS_futex, &word, 0, 0, &ts));
}
static void in_sleep(void) { struct timespec ts = { 1000, 0 }; note("nanosleep", nanosleep(&ts, NULL)); }
static void in_sigwait(void)
{
	sigset_t s;
	struct timespec ts = { 1000, 0 };
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	note("sigtimedwait", sigtimedwait(&s, NULL, &ts));
}
static void in_sem(void)
{
	struct sembuf op = { 0, -1, 0 };
	int id = semget(IPC_PRIVATE, 1, 0600);
	atomic_fetch_add(&ready, 0);
	long r = semop(id, &op, 1);
	semctl(id, 0, IPC_RMID);
	note("semop", r);
}
static void in_recv(void)
{
	int sv[2];
	char c;
	struct timeval tv = { 1000, 0 };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		return;
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	note("recv", recv(sv[0], &c, 1, 0));
}
static void in_accept(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (bind(s, (struct sockaddr *)&a, sizeof(a.sun_family)) || listen(s, 1))
		return;
	note("accept", accept(s, NULL, NULL));
}
static void in_pause(void) { note("pause", pause()); }

/* Sixteen general registers and some of xmm hold values that nothing may change. */
static void compute(void)
{
	while (!done) {
		uint64_t bad;
		__asm__ volatile(
			"mov $0x1111111111111111,%%rax\n movq %%rax,%%xmm5\n mov %%rax,%%rcx\n"
			"lea 1(%%rax),%%rdx\n lea 2(%%rax),%%rsi\n lea 3(%%rax),%%rdi\n lea 4(%%rax),%%r8\n"
			"lea 5(%%rax),%%r9\n lea 6(%%rax),%%r10\n lea 7(%%rax),%%r11\n lea 8(%%rax),%%r12\n"
			"lea 9(%%rax),%%r13\n lea 10(%%rax),%%r14\n movq %%rax,-64(%%rsp)\n"
			"mov $2000000,%%r15d\n"
			"1: dec %%r15d\n jnz 1b\n"
			"xor %%r15,%%r15\n"
			"cmp %%rax,%%rcx\n setne %%r15b\n"
			"sub %%rax,%%rdx\n sub %%rax,%%rsi\n sub %%rax,%%rdi\n sub %%rax,%%r8\n sub %%rax,%%r9\n"
			"sub %%rax,%%r10\n sub %%rax,%%r11\n sub %%rax,%%r12\n sub %%rax,%%r13\n sub %%rax,%%r14\n"
			"add %%rsi,%%rdx\n add %%rdi,%%rdx\n add %%r8,%%rdx\n add %%r9,%%rdx\n add %%r10,%%rdx\n"
			"add %%r11,%%rdx\n add %%r12,%%rdx\n add %%r13,%%rdx\n add %%r14,%%rdx\n sub $55,%%rdx\n"
			"or %%rdx,%%r15\n movq %%xmm5,%%rcx\n sub %%rax,%%rcx\n or %%rcx,%%r15\n"
			"mov -64(%%rsp),%%rcx\n sub %%rax,%%rcx\n or %%rcx,%%r15\n mov %%r15,%0\n"
			: "=r"(bad)
			:: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			   "xmm5", "cc", "memory");
		if (bad) {
			fprintf(stderr, "a register changed: %llx\n", (unsigned long long)bad);
			wrong++;
		}
	}
}

static void (*const jobs[])(void) = { in_read, in_poll, in_select, in_epoll, in_epoll_long, in_futex, in_futex_timed,
	in_sleep, in_sigwait, in_sem, in_recv, in_accept, in_pause, compute, compute };
#define JOB_CNT (sizeof(jobs) / sizeof(jobs[0]))

static void *run(void *arg)
{
	ready++;
	jobs[(size_t)arg % JOB_CNT]();
	return NULL;
}

static void *short_lived(void *arg)
{
	return arg;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	for (size_t i = 0; i < rounds * JOB_CNT; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, run, (void *)i))
			return 100;
	}
	while (ready < (int)(rounds * JOB_CNT))
		usleep(1000);
	usleep(20000);
	puts("ready");
	fflush(stdout);
	for (;;) {
		struct timespec ts = { 0, 1000000 };
		pthread_t t;
		sigdelset(&s, SIGUSR2);
		int sig = sigtimedwait(&s, NULL, &ts);
		if (sig == SIGTERM)
			break;
		if (sig < 0 && errno != EAGAIN)
			note("sigtimedwait", sig);
		if (!pthread_create(&t, NULL, short_lived, NULL))
			pthread_join(t, NULL);
	}
	done = true;
	return wrong > 99 ? 99 : wrong;
}
