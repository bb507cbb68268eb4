/* SPDX-License-Identifier: MIT */
/*
 * Probes are taken away while who asked for them waits.  That takes seconds where many busy threads share few processors: each has to
 * get its turn, to leave our code.  A thread of ours looks at the clock meanwhile, since who traces stands in system calls.
 */
#include "cli/cli_int.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LONG_S 1

struct cli_ending {
	const struct cli *cli;
	uint32_t threads; /* in which probes are; 0: they are the kernel's */
	pthread_t clock;
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool is_over;
};

static void say(const struct cli_ending *e)
{
	if (e->cli->args.record)
		fputs("\r\033[K", stderr); /* its progress */
	if (!e->threads)
		cli_hint("probes are being taken away");
	else
		cli_hint("probes are being taken away: this waits for %u thread%s to leave their code", e->threads, e->threads == 1 ? "" : "s");
}

static void *watch(void *arg)
{
	struct cli_ending *e = arg;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LONG_S;
	pthread_mutex_lock(&e->lock);
	while (!e->is_over)
		if (pthread_cond_timedwait(&e->change, &e->lock, &until)) {
			say(e);
			break;
		}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Signals are the first thread's to take. */
static bool start(struct cli_ending *e)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->change, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int rc = pthread_create(&e->clock, NULL, watch, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return !rc;
}

struct cli_ending *cli_ending_begin(const struct cli *cli)
{
	struct cli_ending *e = isatty(STDERR_FILENO) && !cli_is_dtrace() ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->cli = cli;
	e->threads = cli->has_kernel && !cli->has_user ? 0 : cli_thread_cnt(cli);
	if (start(e))
		return e;
	free(e);
	return NULL;
}

void cli_ending_done(struct cli_ending *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->is_over = true;
	pthread_cond_signal(&e->change);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->clock, NULL);
	pthread_cond_destroy(&e->change);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
