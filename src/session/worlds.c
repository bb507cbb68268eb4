/* SPDX-License-Identifier: MIT */
/* What a script is about: processes, the kernel; and how large its memory has to be for that. */
#include "session/session_int.h"

#include "kern/kern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a process, as far as its provider tells. */
static bool is_user(const struct session_desc *d)
{
	const char *prov = d->spec.prov;
	size_t len = strlen(prov);
	return !d->id && (!strncmp(prov, "pid", 3) || (len && isdigit((unsigned char)prov[len - 1])) || obj_is_glob(prov));
}

/* 0: none; -ENOMEM and the like are left to the real search. */
static uint32_t kernel_probes(struct probe_table *t, const struct probe_spec *s, uint32_t *ret_functions)
{
	uint32_t *found = NULL, cnt = 0, n = 0;
	struct err e;
	if (probe_match(t, s, NULL, NULL, 0, &found, &cnt, &e) < 0)
		return 0;
	for (uint32_t i = 0; i < cnt; i++) {
		n += probe_at(t, found[i])->kind == WIRE_SITE_KERNEL;
		*ret_functions += probe_is_kernel_function(probe_at(t, found[i]));
	}
	free(found);
	return n;
}

static bool id_is_kernel(struct probe_table *t, uint32_t id, uint32_t *ret_functions)
{
	static const struct probe_spec any = { "", "", "", "" };
	kernel_probes(t, &any, ret_functions);
	for (uint32_t i = 0; i < probe_cnt(t); i++)
		if (probe_at(t, i)->id == id)
			return probe_at(t, i)->kind == WIRE_SITE_KERNEL;
	return false;
}

static bool is_kernel(struct probe_table *t, const struct session_desc *d, uint32_t *ret_functions)
{
	return d->id ? id_is_kernel(t, d->id, ret_functions) : probe_may_be_kernel(&d->spec) && kernel_probes(t, &d->spec, ret_functions) > 0;
}

void session_worlds_of(const struct session_desc *descs, uint32_t cnt, struct session_worlds *ret)
{
	struct probe_table *t = probe_table_create();
	*ret = (struct session_worlds){ 0 };
	for (uint32_t i = 0; t && i < cnt; i++) {
		ret->kernel |= is_kernel(t, &descs[i], &ret->functions);
		ret->user |= is_user(&descs[i]);
	}
	probe_table_destroy(t);
}

#define KERNEL_AREA_LEAST (512ULL << 10)
#define AREA_LEAST (4ULL << 20) /* what the shared memory has for either at least: it is sparse */
#define KERNEL_THREAD_BYTES (1ull << 18)
#define DEFAULT_BYTES (4ull << 20)
#define KERNEL_CPU_BYTES (1ull << 20)
#define KERNEL_ALL_BYTES (192ull << 20) /* of all CPUs, each of which has two slots with a ring and aggregations */
#define KERNEL_LEAST_BYTES (64ull << 10)
#define KERNEL_THREADS 64u /* of processes, in memory that is the kernel's; more where they have more */
#define KERNEL_THREADS_MOST 272u

static uint64_t at_most(uint64_t v, uint64_t max)
{
	return v < max ? v : max;
}

/* A buffer of a CPU, where nobody says: a power of two, as rings are. */
static uint64_t kernel_cpu_bytes(void)
{
	uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_CONF), bytes = KERNEL_CPU_BYTES;
	while (bytes > KERNEL_LEAST_BYTES && bytes * 4 * cpus > KERNEL_ALL_BYTES)
		bytes /= 2;
	return bytes;
}

static uint32_t kernel_threads(uint32_t now)
{
	uint32_t want = 2 * now + 16; /* some will come */
	return want < KERNEL_THREADS ? KERNEL_THREADS : want > KERNEL_THREADS_MOST ? KERNEL_THREADS_MOST : want;
}

static uint64_t kernel_thread_bytes(uint32_t threads)
{
	uint64_t bytes = KERNEL_THREAD_BYTES;
	while (bytes > KERNEL_LEAST_BYTES && bytes * threads > KERNEL_THREAD_BYTES * KERNEL_THREADS)
		bytes /= 2;
	return bytes;
}

/* Sizes below that count as DTrace counts them: so many keys and values at their full size. */
static void set_limits(struct session_opts *so, uint64_t agg_elem_bytes, uint64_t dyn_elem_bytes)
{
	uint64_t least = so->kernel ? KERNEL_AREA_LEAST : AREA_LEAST;
	if (so->agg_bytes < least && agg_elem_bytes) {
		so->agg_max = so->agg_bytes / agg_elem_bytes;
		so->agg_bytes = least;
	}
	if (so->dyn_bytes < AREA_LEAST && dyn_elem_bytes) {
		so->dyn_max = so->dyn_bytes / dyn_elem_bytes;
		so->dyn_bytes = AREA_LEAST;
	}
}

void session_opts_fit(struct session_opts *so, const struct session_worlds *w, uint64_t agg_elem_bytes, uint64_t dyn_elem_bytes)
{
	uint32_t threads = kernel_threads(w->threads);
	/* What the kernel shares with processes is there in full for each of their threads. */
	uint64_t most = w->kernel && w->user && so->thread_cnt != 1 ? kernel_thread_bytes(threads) : UINT64_MAX;
	/* Nobody asked for the default: it takes time to make. */
	if (w->kernel && so->ring_bytes == DEFAULT_BYTES && so->agg_bytes == DEFAULT_BYTES)
		most = at_most(most, kernel_cpu_bytes());
	so->ring_bytes = at_most(so->ring_bytes, most);
	so->agg_bytes = at_most(so->agg_bytes, most);
	if (w->kernel && so->thread_cnt > 1)
		so->thread_cnt = threads;
	so->kernel = w->kernel && !so->looks_only;
	so->mixed = so->kernel && w->user;
	so->functions = so->kernel ? w->functions : 0;
	so->preempts = so->mixed || (so->kernel && w->functions && kern_can_fentry(NULL));
	so->uprobes = so->kernel && w->user && w->uprobes;
	set_limits(so, agg_elem_bytes, dyn_elem_bytes);
}
