/* SPDX-License-Identifier: MIT */
/* dtrace:::BEGIN, END, ERROR, and profile:::tick-N, profile-N: probes of the tool itself. */
#include "probe/probe_int.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

static const char *const names[] = { "BEGIN", "END", "ERROR" };

static bool fits(const char *pattern, const char *name)
{
	return !*pattern || obj_glob(pattern, name);
}

static int match_tool(struct match *m, struct err *reterr)
{
	(void)reterr;
	const struct probe_spec *s = m->spec;
	if (!fits(s->prov, "dtrace") || *s->mod || *s->func)
		return 0;
	for (uint32_t i = 0; i < ARRAY_CNT(names); i++) {
		struct probe p = { .id = i + 1, .prov = "dtrace", .mod = "", .func = "", .name = names[i], .kind = WIRE_SITE_TOOL };
		/* An empty name means them all only where the provider is named. */
		if ((*s->name || *s->prov) && fits(s->name, names[i]) && table_add(m->table, &p, &m->hits))
			return -ENOMEM;
	}
	return 0;
}

static void no_why(const struct match *m, struct err *reterr)
{
	(void)m;
	(void)reterr;
}

const struct probe_provider probe_tool = { "dtrace", match_tool, no_why };

static const struct unit {
	const char *suffix;
	uint64_t ns;
} units[] = {
	{ "ns", 1 }, { "nsec", 1 }, { "us", 1000 }, { "usec", 1000 }, { "ms", 1000000 }, { "msec", 1000000 },
	{ "s", 1000000000 }, { "sec", 1000000000 }, { "m", 60000000000 }, { "min", 60000000000 },
	{ "h", 3600000000000 }, { "hour", 3600000000000 }, { "d", 86400000000000 }, { "day", 86400000000000 },
	{ "hz", 0 }, { "", 0 },
};

/* The period that "97", "10ms", "2s" mean; 0: none. A bare number is Hz. */
static uint64_t period_of(const char *s)
{
	char *end;
	if (!isdigit((unsigned char)*s))
		return 0;
	unsigned long long n = strtoull(s, &end, 10);
	for (size_t i = 0; i < ARRAY_CNT(units) && n; i++) {
		if (strcasecmp(end, units[i].suffix))
			continue;
		if (!units[i].ns)
			return 1000000000ULL / n;
		return n > UINT64_MAX / units[i].ns ? 0 : n * units[i].ns;
	}
	return 0;
}

static bool is_timer(const char *name, uint64_t *ret_period)
{
	const char *n = !strncmp(name, "tick-", 5) ? name + 5 : !strncmp(name, "profile-", 8) ? name + 8 : NULL;
	*ret_period = n ? period_of(n) : 0;
	return n != NULL;
}

static int match_profile(struct match *m, struct err *reterr)
{
	const struct probe_spec *s = m->spec;
	uint64_t period;
	if (!fits(s->prov, "profile") || *s->mod || *s->func || !is_timer(s->name, &period))
		return 0;
	if (obj_is_glob(s->name))
		return 0;
	if (!period)
		return err_setf(reterr, -EINVAL, "%s: the period is a number and one of ns us ms s m h d hz", s->name);
	struct probe p = { .prov = "profile", .mod = "", .func = "", .name = s->name, .kind = WIRE_SITE_TOOL, .period_ns = period };
	return table_add(m->table, &p, &m->hits);
}

const struct probe_provider probe_profile = { "profile", match_profile, no_why };
