/* SPDX-License-Identifier: MIT */
/* Values of options, in dtrace's ways to write them. */
#include "cli/cli_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool parse_number(const char *s, char **end, uint64_t *ret)
{
	errno = 0;
	*ret = strtoull(s, end, 0);
	return !errno && *end != s && *s != '-';
}

bool cli_optvalue_flag(const char *s, uint64_t *ret)
{
	static const char *const words[][2] = {
		{ "no", "yes" }, { "disable", "enable" }, { "disabled", "enabled" },
		{ "false", "true" }, { "off", "on" }, { "unset", "set" }, { "", "" },
	};
	char *end;
	for (size_t i = 0; i < ARRAY_CNT(words); i++) {
		for (unsigned k = 0; k < 2; k++) {
			if (strcasecmp(s, words[i][k]))
				continue;
			*ret = k;
			return true;
		}
	}
	return parse_number(s, &end, ret) && !*end;
}

bool cli_optvalue_size(const char *s, uint64_t *ret)
{
	static const char units[] = "kmgt";
	char *end;
	if (!parse_number(s, &end, ret))
		return false;
	const char *u = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	for (long shift = u ? u - units + 1 : 0; shift > 0; shift--) {
		if (*ret >> 54)
			return false;
		*ret <<= 10;
	}
	return !*end || (u && !end[1]);
}

bool cli_optvalue_rate(const char *s, uint64_t *ret)
{
	static const struct { const char *name; uint64_t ns; } units[] = {
		{ "", 1 }, { "ns", 1 }, { "nsec", 1 }, { "us", 1000 }, { "usec", 1000 }, { "ms", 1000000 },
		{ "msec", 1000000 }, { "s", 1000000000 }, { "sec", 1000000000 }, { "m", 60000000000 },
		{ "min", 60000000000 }, { "h", 3600000000000 }, { "hour", 3600000000000 },
		{ "d", 86400000000000 }, { "day", 86400000000000 }, { "hz", 0 },
	};
	char *end;
	if (!parse_number(s, &end, ret))
		return false;
	for (size_t i = 0; i < ARRAY_CNT(units); i++) {
		if (strcasecmp(end, units[i].name))
			continue;
		if (units[i].ns)
			return !__builtin_mul_overflow(*ret, units[i].ns, ret);
		*ret = *ret ? 1000000000 / *ret : 0;
		return true;
	}
	return false;
}

/* Words of the flags are numbers too; off is the default. */
bool cli_optvalue_count(const char *s, uint64_t dflt, uint64_t *ret)
{
	if (!cli_optvalue_flag(s, ret) || *ret > UINT32_MAX)
		return false;
	if (!*ret && !isdigit((unsigned char)*s))
		*ret = dflt;
	return true;
}

/* Its number from 1; 0: none of them. */
static unsigned one_of(const char *value, const char *words)
{
	size_t len = strlen(value);
	unsigned nr = 1;
	for (const char *w = words; *w; w += strspn(w, " "), nr++) {
		size_t n = strcspn(w, " ");
		if (n == len && !memcmp(w, value, len))
			return nr;
		w += n;
	}
	return 0;
}

static const char invalid[] = "Invalid value for specified option";

static int check_version(const char *value, struct err *reterr)
{
	unsigned a, b, c = 0;
	int n = 0;
	if (sscanf(value, "%u.%u%n.%u%n", &a, &b, &n, &c, &n) < 2 || value[n] || a > 255 || b > 4095 || c > 4095)
		return err_setf(reterr, -EINVAL, "Version is not properly formatted or is too large");
	if (!c && strspn(value, "0123456789.") == strlen(value)) {
		char shortest[32];
		snprintf(shortest, sizeof(shortest), "%u.%u", a, b);
		if (one_of(shortest, "1.0 1.1 1.2 1.3 1.4 1.5 1.6 2.0"))
			return 0;
	} else if (one_of(value, "1.2.1 1.2.2 1.4.1 1.6.1 1.6.2 1.6.3 1.6.4 2.0.1")) {
		return 0;
	}
	return err_setf(reterr, -EINVAL, "Requested version is not supported by compiler");
}

static int check_lockmem(const char *value)
{
	uint64_t v;
	return !strcmp(value, "unlimited") || cli_optvalue_size(value, &v) ? 0 : -EINVAL;
}

/* Values that are words, or of which nothing but the form matters here. */
static const struct {
	const char *name;
	const char *words; /* that are allowed; NULL: a number from @least to @most */
	long least, most;
} values[] = {
	{ "backend", "jump auto uprobe", 0, 0 },
	{ "budget", NULL, 1, 50 },
	{ "bufpolicy", "ring fill switch", 0, 0 }, { "bufresize", "auto manual", 0, 0 }, { "daemon", "auto always never", 0, 0 }, { "encoding", "ascii utf8", 0, 0 }, { "inject", "auto ptrace agent", 0, 0 }, { "debugassert", "mutexes", 0, 0 },
	{ "evaltime", "exec preinit postinit main", 0, 0 }, { "late", "dynamic static", 0, 0 },
	{ "linkmode", "kernel dynamic static", 0, 0 }, { "linktype", "elf dof ELF DOF", 0, 0 },
	{ "disasm", NULL, 0, INT32_MAX }, { "pgmax", NULL, 0, INT32_MAX }, { "tree", NULL, 1, INT32_MAX },
	{ "tregs", NULL, 1, INT32_MAX }, { "useruid", NULL, 0, INT32_MAX },
};

static bool check_form(const char *name, const char *value, uint64_t *ret)
{
	for (size_t i = 0; i < ARRAY_CNT(values); i++) {
		if (strcmp(name, values[i].name))
			continue;
		if (values[i].words)
			return (*ret = one_of(value, values[i].words)) != 0;
		long n = atol(value); /* as dtrace does: what is no number is 0 */
		*ret = (uint64_t)n;
		return n >= values[i].least && n <= values[i].most;
	}
	return true;
}

/* "a, b or c" */
static void list_words(const char *words, char *buf, size_t cap)
{
	size_t len = 0;
	for (const char *w = words; *w && len < cap;) {
		int n = (int)strcspn(w, " ");
		const char *next = w + n + strspn(w + n, " ");
		len += (size_t)snprintf(buf + len, cap - len, "%s%.*s", w == words ? "" : *next ? ", " : " or ", n, w);
		w = next;
	}
}

static bool is_listed(const char *name, char *buf, size_t cap)
{
	for (size_t i = 0; i < ARRAY_CNT(values); i++) {
		if (strcmp(name, values[i].name))
			continue;
		if (!values[i].words)
			snprintf(buf, cap, values[i].most == INT32_MAX ? "a number from %ld on" : "a number from %ld to %ld", values[i].least,
				 values[i].most);
		else
			list_words(values[i].words, buf, cap);
		return true;
	}
	return false;
}

/* The tests of dtrace compare messages. */
int cli_optvalue_invalid(const char *name, const char *form, struct err *reterr)
{
	char buf[128] = "";
	if (!cli_testing() && (form || is_listed(name, buf, sizeof(buf))))
		return err_setf(reterr, -EINVAL, "%s: %s takes %s", invalid, name, form ? form : buf);
	return err_setf(reterr, -EINVAL, "%s", invalid);
}

int cli_optvalue_check(const char *name, const char *value, uint64_t *ret, struct err *reterr)
{
	uint64_t v;
	*ret = 0;
	if (!strcmp(name, "lazyload") || !strcmp(name, "linknommap"))
		return 0;
	if (!value || (!strcmp(name, "lockmem") && check_lockmem(value)) ||
	    (!strcmp(name, "preallocate") && !cli_optvalue_size(value, &v)))
		return cli_optvalue_invalid(name, !strcmp(name, "lockmem") ? "a size (4m) or unlimited" :
					    !strcmp(name, "preallocate") ? "a size (4m)" : NULL, reterr);
	if (!strcmp(name, "version"))
		return check_version(value, reterr);
	if (!strcmp(name, "iregs") && atoi(value) > 0 && atoi(value) < 8)
		return err_setf(reterr, -EINVAL, "Insufficient registers to generate code");
	if (!strcmp(name, "iregs") ? atoi(value) != 8 : !check_form(name, value, ret))
		return cli_optvalue_invalid(name, !strcmp(name, "iregs") ? "8" : NULL, reterr);
	return 0;
}
