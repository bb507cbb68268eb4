/* SPDX-License-Identifier: MIT */
/*
 * A program that has this library offers itself to dyntraced (ADR 26).
 *
 *	constructor: is there a daemon? --no--> nothing
 *	     | makes a thread, waits until it has its own table of descriptors
 *	     v
 *	main()                 thread: connect, serve.c, and again when the daemon has gone
 *
 * In a process into which this object was mapped by hand none of it runs: there the weak names are 0, too.
 */
#include "agent/offer_int.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif
#define STACK_BYTES (128u << 10)
#define KERNEL_SIGSET_BYTES 8
/* 32 and 33 are glibc's: it stops threads by them, among others to change the user of all. */
#define ALL_SIGNALS (~(3ull << 31))
#define PAUSE_MAX_S 60
#define CONNECT_MS 1000 /* that the daemon has to take the connection: a start is not to wait for it */

#pragma weak getauxval
#pragma weak getenv
#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setstacksize
#pragma weak pthread_attr_setdetachstate
extern unsigned __nptl_nthreads __attribute__((weak, visibility("default")));
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *) __attribute__((weak, visibility("default")));

struct start {
	struct offer_place place;
	uint32_t ready;
};

static bool begins(const char *s, const char *with)
{
	for (; *with; s++, with++)
		if (*s != *with)
			return false;
	return true;
}

/* offers.sock beside the socket that clients are told of. */
static bool find_place(struct offer_place *ret)
{
	static const char usual[] = WIRE_OFFER_SOCKET, name[] = WIRE_OFFER_NAME;
	const char *told = getenv("DYNTRACED_SOCKET"), *from = told && *told ? told : usual;
	uint32_t n = 0, folder = 0, room = sizeof(ret->addr.sun_path);
	ret->addr.sun_family = AF_UNIX;
	for (; from[n] && n < room; n++) {
		ret->addr.sun_path[n] = from[n];
		folder = from[n] == '/' ? n + 1 : folder;
	}
	if (folder + sizeof(name) > room)
		return false;
	for (uint32_t i = 0; i < sizeof(name); i++)
		ret->addr.sun_path[folder + i] = name[i];
	ret->addr_bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + folder + sizeof(name));
	return true;
}

/* Whoever listens can make this program do anything: so it has to be root. */
static bool is_root(int fd)
{
	struct ucred c = { .uid = 1 };
	socklen_t len = sizeof(c);
	return !sys6(SYS_getsockopt, (uint64_t)fd, SOL_SOCKET, SO_PEERCRED, (uint64_t)&c, (uint64_t)&len, 0) && !c.uid;
}

int offer_connect(const struct offer_place *p)
{
	struct timeval limit = { .tv_sec = CONNECT_MS / 1000 };
	int fd = (int)sys6(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, 0, 0, 0);
	if (fd < 0)
		return fd;
	sys6(SYS_setsockopt, (uint64_t)fd, SOL_SOCKET, SO_SNDTIMEO, (uint64_t)&limit, sizeof(limit), 0);
	int r = (int)sys6(SYS_connect, (uint64_t)fd, (uint64_t)&p->addr, p->addr_bytes, 0, 0, 0);
	if (!r && !is_root(fd))
		r = -EPERM;
	if (r) {
		sys6(SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
		return r;
	}
	return fd;
}

static void nap(uint32_t s)
{
	struct timespec t = { .tv_sec = s };
	sys6(SYS_nanosleep, (uint64_t)&t, 0, 0, 0, 0, 0);
}

/* Never returns: glibc would count it as one that ended. */
static void *run(void *arg)
{
	struct start *start = arg;
	struct offer_place place = start->place; /* who made this thread goes on */
	int64_t alone = sys6(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE, 0, 0, 0);
	sys6(SYS_prctl, PR_SET_NAME, (uint64_t)"dyntrace-agent", 0, 0, 0, 0);
	STORE_RELEASE(&start->ready, 1);
	sys6(SYS_futex, (uint64_t)&start->ready, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
	for (uint32_t pause = 1;;) {
		int fd = alone ? -1 : offer_connect(&place);
		if (fd >= 0) {
			offer_serve(fd);
			sys6(SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
			pause = 1;
		}
		nap(pause);
		pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S;
	}
	return NULL;
}

static bool create(struct start *start)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (pthread_attr_init(&attr))
		return false;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int r = pthread_create(&thread, &attr, run, start);
	pthread_attr_destroy(&attr);
	return !r;
}

static void offer(void)
{
	struct start start = { .ready = 0 };
	uint64_t all = ALL_SIGNALS, old;
	int fd = find_place(&start.place) ? offer_connect(&start.place) : -1;
	if (fd < 0)
		return;
	sys6(SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
	sys6(SYS_rt_sigprocmask, SIG_BLOCK, (uint64_t)&all, (uint64_t)&old, KERNEL_SIGSET_BYTES, 0, 0);
	bool made = create(&start);
	if (made) /* when the program's last thread ends, it ends */
		__atomic_fetch_sub(&__nptl_nthreads, 1, __ATOMIC_SEQ_CST);
	while (made && !LOAD_ACQUIRE(&start.ready))
		sys6(SYS_futex, (uint64_t)&start.ready, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0);
	sys6(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)&old, 0, KERNEL_SIGSET_BYTES, 0, 0);
}

static bool has_libc(void)
{
	return getauxval && getenv && pthread_create && pthread_attr_init && pthread_attr_destroy && pthread_attr_setstacksize &&
	       pthread_attr_setdetachstate && &__nptl_nthreads;
}

/* What the filter does where it forbids something cannot be asked, only tried. */
static bool is_filtered(void)
{
	char buf[4096];
	int fd = (int)sys6(SYS_openat, (uint64_t)AT_FDCWD, (uint64_t)"/proc/self/status", O_RDONLY | O_CLOEXEC, 0, 0, 0);
	int64_t n = fd < 0 ? 0 : sys6(SYS_read, (uint64_t)fd, (uint64_t)buf, sizeof(buf) - 1, 0, 0, 0);
	if (fd >= 0)
		sys6(SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
	for (int64_t i = 0; i + 11 < n; i++)
		if (begins(buf + i, "\nSeccomp:\t"))
			return buf[i + 10] != '0';
	return true; /* it cannot be told */
}

__attribute__((constructor)) static void offer_at_start(void)
{
	if (!has_libc() || getauxval(AT_SECURE))
		return;
	const char *how = getenv("DYNTRACE_OFFER");
	if (!how)
		how = "";
	if (begins(how, "no") || (!begins(how, "always") && is_filtered()) || sys6(SYS_close_range, ~0u, ~0u, 0, 0, 0, 0))
		return;
	if (begins(how, "forks") && __register_atfork)
		__register_atfork(NULL, NULL, offer, NULL);
	offer();
}
