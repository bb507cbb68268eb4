/* SPDX-License-Identifier: MIT */
/* How the time stamp counter becomes nanoseconds. */
#include "session/session_int.h"

#include <errno.h>
#include <time.h>

#include "rt/rt.h"

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/*
 * The kernel has a factor of its own (perf_event_open(2), cap_user_time), but to be told takes longer than to measure
 * one (the first event of a system changes its code), and guests are not told.  Pairs are good to some nanoseconds, so
 * that this is right to about 1 in 10^6: less than what a clock is slewed by.
 */
#define MEASURE_NS 6000000
#define TRIES 256

/* Both clocks at one moment: the closest of some tries. */
static void pair(clockid_t clock, uint64_t *ret_tsc, uint64_t *ret_ns)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = rt_now_tsc(), ns = now_ns(clock), after = rt_now_tsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*ret_tsc = before + best / 2;
		*ret_ns = ns;
	}
}

static uint64_t first_tsc, first_ns;

/* What the program does until a session wants the clock is time to measure in. */
__attribute__((constructor)) static void start(void)
{
	pair(CLOCK_MONOTONIC_RAW, &first_tsc, &first_ns);
}

/* The first pair of a daemon's worker may be of days ago, with a suspend in between that only one of the clocks saw. */
#define STALE_NS 1000000000

#define ARMING_NS 60000000000ull /* what a session may take from its beginning until it wants the clock */

static uint64_t since_first(uint64_t stale_ns)
{
	uint64_t since = now_ns(CLOCK_MONOTONIC_RAW) - first_ns;
	if (since <= stale_ns)
		return since;
	start();
	return 0;
}

void clock_begin(void)
{
	since_first(STALE_NS);
}

static void measure(struct wire_shm *shm)
{
	uint64_t tsc, ns, since = since_first(ARMING_NS);
	if (since < MEASURE_NS)
		nanosleep(&(struct timespec){ .tv_nsec = (long)(MEASURE_NS - since) }, NULL);
	pair(CLOCK_MONOTONIC_RAW, &tsc, &ns);
	shm->tsc_mult = tsc > first_tsc ? (uint64_t)(((unsigned __int128)(ns - first_ns) << WIRE_TSC_SHIFT) / (tsc - first_tsc)) : 0;
}

int clock_calibrate(struct wire_shm *shm, struct err *reterr)
{
	uint64_t tsc;
	measure(shm);
	if (!shm->tsc_mult)
		return err_setf(reterr, -ENOTSUP, "the time stamp counter stands still on this machine: no clock to use");
	pair(CLOCK_REALTIME, &tsc, &shm->wall_base);
	pair(CLOCK_MONOTONIC, &shm->tsc_base, &shm->ns_base);
	shm->wall_base += (uint64_t)(((__int128)(int64_t)(shm->tsc_base - tsc) * (int64_t)shm->tsc_mult) >> WIRE_TSC_SHIFT);
	return 0;
}
