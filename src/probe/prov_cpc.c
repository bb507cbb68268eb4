/* SPDX-License-Identifier: MIT */
/*
 * cpc:::EVENT-MODE-COUNT: every COUNT times that the processor or the kernel
 * counts EVENT (DTrace guide, "cpc Provider").  What a machine does not count
 * is not there.
 */
#include "probe/probe_int.h"

#include <ctype.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT_MIN 5000u        /* as on other systems: below it the machine does nothing else */
#define COUNT_READY 1000000000u /* of those that are listed */

static const struct {
	const char *name;
	uint32_t type;
	uint64_t config;
} events[] = {
	{ "cpu_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK }, { "task_clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
	{ "page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS }, { "faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "cs", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "cpu_migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "minor_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN },
	{ "major_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ },
	{ "alignment_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_ALIGNMENT_FAULTS },
	{ "emulation_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_EMULATION_FAULTS },
	{ "cpu_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES }, { "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
	{ "cache_references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES },
	{ "cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES },
	{ "branch_instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	{ "branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS },
	{ "branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES },
	{ "bus_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES },
	{ "ref_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES },
	{ "stalled_cycles_frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND },
	{ "stalled_cycles_backend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND },
};

static int try(size_t i)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .type = events[i].type, .config = events[i].config,
					.sample_period = COUNT_READY, .disabled = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int add(struct found *f, size_t i, const char *mode, uint64_t count, const char *name)
{
	const struct probe p = { .prov = "cpc", .mod = "", .func = "", .name = name, .kind = WIRE_SITE_KERNEL,
		.place = { .at = PROBE_KERN_COUNTER, .name = events[i].name, .counter_type = events[i].type,
			   .counter = events[i].config, .period = count, .not_user = !strcmp(mode, "kernel"),
			   .not_kernel = !strcmp(mode, "user") } };
	return probe_found(f, &p);
}

static int match_named(const struct probe_query *q, struct found *f)
{
	int rc = 0;
	for (size_t i = 0; i < ARRAY_CNT(events) && !rc; i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s-all-%u", events[i].name, COUNT_READY);
		if (probe_glob(q->spec->name, name) && !try(i))
			rc = add(f, i, "all", COUNT_READY, name);
	}
	return rc;
}

static int event_at(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_CNT(events); i++)
		if (strlen(events[i].name) == len && !strncmp(events[i].name, name, len))
			return (int)i;
	return -1;
}

static bool mode_at(const char *s, char *mode, size_t cap)
{
	static const char *const modes[] = { "all", "user", "kernel" };
	snprintf(mode, cap, "%.*s", (int)strcspn(s, "-"), s);
	for (size_t i = 0; i < ARRAY_CNT(modes); i++)
		if (!strcmp(mode, modes[i]))
			return true;
	return false;
}

static int match_exact(const struct probe_query *q, struct found *f)
{
	const char *name = q->spec->name, *end;
	size_t len = strcspn(name, "-");
	char mode[16], *tail;
	int i = event_at(name, len), rc;
	if (!name[len] || !mode_at(name + len + 1, mode, sizeof(mode)) || !isdigit((unsigned char)*(end = name + len + 2 + strlen(mode)))) {
		err_setf(q->reterr, 0, "cpc probes are called EVENT-MODE-COUNT, where MODE is all, user or kernel");
		return 0;
	}
	uint64_t count = strtoull(end, &tail, 10);
	if (i < 0 || *tail)
		err_setf(q->reterr, 0, "cpc knows no event %.*s (dyntrace -lP cpc shows what this machine counts)", (int)len, name);
	else if (count < COUNT_MIN)
		err_setf(q->reterr, 0, "%s is too often: the least count is %u", name, COUNT_MIN);
	else if ((rc = try((size_t)i)) < 0)
		err_setf(q->reterr, 0, "not supported: this machine does not count %s: %s", events[i].name, strerror(-rc));
	else
		return add(f, (size_t)i, mode, count, name);
	return 0;
}

static int match(const struct probe_query *q, struct found *f)
{
	const struct probe_spec *s = q->spec;
	if (!probe_glob(s->prov, "cpc") || (!*s->prov && *s->name) || !probe_glob(s->mod, "") || !probe_glob(s->func, ""))
		return 0;
	return !*s->name || obj_is_glob(s->name) ? match_named(q, f) : match_exact(q, f);
}

const struct probe_provider probe_cpc = { "cpc", match };
