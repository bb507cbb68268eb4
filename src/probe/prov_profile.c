/* SPDX-License-Identifier: MIT */
/*
 * tick-N and profile-N (DTrace guide, "profile Provider").  Some are always
 * there, as with dtrace; others when somebody names them.  Globs match those.
 */
#include "probe/probe_int.h"

#include "kern/kern.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_PERIOD_NS 200000u /* as DTrace has it: 5 kHz */

static const struct {
	const char *name;
	uint64_t ns; /* 0: a rate */
} units[] = {
	{ "", 0 }, { "hz", 0 }, { "ns", 1 }, { "nsec", 1 }, { "us", 1000 }, { "usec", 1000 },
	{ "ms", 1000000 }, { "msec", 1000000 }, { "s", 1000000000 }, { "sec", 1000000000 },
	{ "m", 60000000000 }, { "min", 60000000000 }, { "h", 3600000000000 }, { "hour", 3600000000000 },
	{ "d", 86400000000000 }, { "day", 86400000000000 },
};

/* In ns; 0: of a rate beyond 1 GHz.  -EINVAL: no such unit; -ERANGE: @n is 0. */
static int period_of(uint64_t n, const char *unit, uint64_t *ret_ns)
{
	for (size_t i = 0; i < ARRAY_CNT(units); i++) {
		if (strcasecmp(unit, units[i].name))
			continue;
		if (!n)
			return -ERANGE;
		if (!units[i].ns)
			*ret_ns = 1000000000 / n;
		else if (__builtin_mul_overflow(n, units[i].ns, ret_ns))
			*ret_ns = UINT64_MAX;
		return 0;
	}
	return -EINVAL;
}

/* -EINVAL: it is no such name; -ERANGE: it has a 0. */
static int parse(const char *name, uint64_t *ret_ns)
{
	const char *num = !strncmp(name, "tick-", 5) ? name + 5 : !strncmp(name, "profile-", 8) ? name + 8 : NULL;
	if (!num || !isdigit((unsigned char)*num))
		return -EINVAL;
	char *unit;
	errno = 0;
	uint64_t n = strtoull(num, &unit, 10);
	return errno ? -EINVAL : period_of(n, unit, ret_ns);
}

static const struct {
	const char *name;
	uint32_t hz;
} ready[] = {
	{ "profile-97", 97 }, { "profile-199", 199 }, { "profile-499", 499 }, { "profile-997", 997 },
	{ "profile-1999", 1999 }, { "profile-4001", 4001 }, { "profile-4999", 4999 },
	{ "tick-1", 1 }, { "tick-10", 10 }, { "tick-100", 100 }, { "tick-500", 500 }, { "tick-1000", 1000 },
	{ "tick-5000", 5000 },
};

/* profile-N is the kernel's, on every processor; without the right to that it is ours, like tick-N. */
static void place(struct probe *p)
{
	if (strncmp(p->name, "profile-", 8) || !kern_may_trace(NULL))
		return;
	p->kind = WIRE_SITE_KERNEL;
	p->place = (struct probe_kern_place){ .at = PROBE_KERN_CLOCK, .name = "clock", .period = p->period_ns };
}

static int make_ready(struct probe_table *t)
{
	struct found made = { .table = t };
	int rc = 0;
	for (size_t i = 0; i < ARRAY_CNT(ready) && !rc; i++) {
		struct probe p = { .prov = "profile", .mod = "", .func = "", .name = ready[i].name,
					 .kind = WIRE_SITE_TOOL, .period_ns = 1000000000u / ready[i].hz };
		place(&p);
		rc = probe_found(&made, &p);
	}
	free(made.v);
	return rc;
}

static int match_named(const struct probe_query *q, struct found *f)
{
	if (make_ready(f->table))
		return -ENOMEM;
	uint32_t cnt = probe_cnt(f->table);
	for (uint32_t i = 0; i < cnt; i++) {
		const struct probe p = *probe_at(f->table, i);
		if (strcmp(p.prov, "profile") || !probe_glob(q->spec->name, p.name))
			continue;
		int rc = probe_found(f, &p);
		if (rc)
			return rc;
	}
	return 0;
}

static int match(const struct probe_query *q, struct found *f)
{
	const struct probe_spec *s = q->spec;
	if (!probe_glob(s->prov, "profile") || !probe_glob(s->mod, "") || !probe_glob(s->func, ""))
		return 0;
	if (!*s->name || obj_is_glob(s->name))
		return match_named(q, f);
	struct probe p = { .prov = "profile", .mod = "", .func = "", .name = s->name, .kind = WIRE_SITE_TOOL };
	int rc = parse(s->name, &p.period_ns);
	if (rc == -ERANGE)
		err_setf(q->reterr, 0, "%s never comes: a rate must be between 1 and 5000 (hz), a time at least 200us", s->name);
	else if (rc && (!strcmp(s->prov, "profile") || !strncmp(s->name, "tick-", 5) || !strncmp(s->name, "profile-", 8)))
		err_setf(q->reterr, 0, "profile has no probe %s: it has tick-N and profile-N, where N is a rate in hz "
			 "or a time with one of ns us ms s m h d", s->name);
	if (rc)
		return 0;
	if (p.period_ns < MIN_PERIOD_NS) {
		err_setf(q->reterr, 0, "%s is too often: a rate must be between 1 and 5000 (hz), a time at least 200us", s->name);
		return 0;
	}
	place(&p);
	return probe_found(f, &p);
}

const struct probe_provider probe_profile = { "profile", match };
