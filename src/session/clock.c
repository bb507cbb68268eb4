/* SPDX-License-Identifier: MIT */
/* How the time stamp counter becomes nanoseconds. */
#include "session/session_int.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rt/rt.h"

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* The kernel's own factor, where it tells (perf_event_open(2), cap_user_time). */
static bool ask_kernel(struct wire_shm *shm)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return false;
	struct perf_event_mmap_page *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return false;
	bool ok = page->cap_user_time;
	if (ok) {
		shm->tsc_mult = page->time_mult;
		shm->tsc_shift = page->time_shift;
	}
	munmap(page, 4096);
	return ok && shm->tsc_mult;
}

/* Both clocks at one moment: the closest of a few tries. */
static void pair(clockid_t clock, uint64_t *ret_tsc, uint64_t *ret_ns)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 16; i++) {
		uint64_t before = rt_now_tsc(), ns = now_ns(clock), after = rt_now_tsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*ret_tsc = before + best / 2;
		*ret_ns = ns;
	}
}

static void measure(struct wire_shm *shm)
{
	uint64_t tsc0, ns0, tsc1, ns1;
	struct timespec wait = { .tv_nsec = 20000000 };
	pair(CLOCK_MONOTONIC_RAW, &tsc0, &ns0);
	nanosleep(&wait, NULL);
	pair(CLOCK_MONOTONIC_RAW, &tsc1, &ns1);
	shm->tsc_shift = 32;
	shm->tsc_mult = (uint64_t)(((unsigned __int128)(ns1 - ns0) << 32) / (tsc1 - tsc0));
}

int clock_calibrate(struct wire_shm *shm, struct err *reterr)
{
	uint64_t tsc;
	if (!ask_kernel(shm))
		measure(shm);
	if (!shm->tsc_mult)
		return err_setf(reterr, -ENOTSUP, "the time stamp counter stands still on this machine: no clock to use");
	pair(CLOCK_REALTIME, &tsc, &shm->wall_base);
	pair(CLOCK_MONOTONIC, &shm->tsc_base, &shm->ns_base);
	shm->wall_base += (uint64_t)(((__int128)(int64_t)(shm->tsc_base - tsc) * (int64_t)shm->tsc_mult) >> shm->tsc_shift);
	return 0;
}
