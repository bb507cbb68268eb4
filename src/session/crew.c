/* SPDX-License-Identifier: MIT */
/* Work that is done by all processors that we may use, while our threads live for that moment and take no signals. */
#include "session/session_int.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

struct hand {
	crew_fn *fn;
	void *arg;
};

static void *run(void *arg)
{
	const struct hand *h = arg;
	h->fn(h->arg);
	return NULL;
}

uint32_t crew_size(void)
{
	cpu_set_t set;
	uint32_t cnt = sched_getaffinity(0, sizeof(set), &set) ? 1 : (uint32_t)CPU_COUNT(&set);
	return cnt < CREW_MAX ? cnt : CREW_MAX;
}

/* Signals are the first thread's to take. */
void crew_run(crew_fn *fn, void *args, size_t stride, uint32_t cnt)
{
	pthread_t threads[CREW_MAX];
	struct hand hands[CREW_MAX];
	sigset_t all, old;
	uint32_t n = 1;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (; n < cnt; n++) {
		hands[n] = (struct hand){ fn, (uint8_t *)args + n * stride };
		if (pthread_create(&threads[n], NULL, run, &hands[n]))
			break;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	fn(args);
	for (uint32_t i = n; i < cnt; i++) /* whoever has no thread */
		fn((uint8_t *)args + i * stride);
	for (uint32_t i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
}
