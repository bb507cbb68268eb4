/* SPDX-License-Identifier: MIT */
/* -x and #pragma D option: a table, and dtrace's way to write values. */
#include "cli/cli_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum opt_kind { OPT_FLAG, OPT_SIZE, OPT_RATE, OPT_COUNT, OPT_CPP, OPT_IGNORED, OPT_STAB, OPT_LIBDIR };
enum opt_when { OPT_START, OPT_ANY };

static const struct opt {
	const char *name;
	enum opt_kind kind;
	enum opt_when when;
	size_t field;
	uint64_t dflt;
	const char *doc;
} opts[] = {
#define OPTION(name, kind, when, dflt, doc) \
	{ #name, OPT_##kind, OPT_##when, offsetof(struct cli_options, name), dflt, doc },
#include "cli/options.def"
#undef OPTION
};

static uint64_t *opt_field(struct cli_options *o, const struct opt *opt)
{
	return (uint64_t *)((char *)o + opt->field);
}

static bool parse_number(const char *s, char **end, uint64_t *ret)
{
	errno = 0;
	*ret = strtoull(s, end, 0);
	return !errno && *end != s && *s != '-';
}

static bool parse_flag(const char *s, uint64_t *ret)
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

static bool parse_size(const char *s, uint64_t *ret)
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

static bool parse_rate(const char *s, uint64_t *ret)
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

static bool parse_stability(const char *s, uint64_t *ret)
{
	struct d_stability st;
	if (!d_stability_parse(s, &st))
		return false;
	*ret = 1u << 24 | (uint32_t)st.name << 16 | (uint32_t)st.data << 8 | st.dep;
	return true;
}

static bool parse_value(const struct opt *opt, const char *s, uint64_t *ret)
{
	char *end;
	switch (opt->kind) {
	case OPT_STAB:
		return s && parse_stability(s, ret);
	case OPT_LIBDIR:
		*ret = 0;
		return s && *s;
	case OPT_FLAG:
		*ret = 1;
		return !s || parse_flag(s, ret);
	case OPT_SIZE:
		return s && parse_size(s, ret);
	case OPT_RATE:
		return s && parse_rate(s, ret);
	case OPT_COUNT:
		return s && parse_number(s, &end, ret) && !*end && *ret <= UINT32_MAX;
	case OPT_CPP:
	case OPT_IGNORED:
		*ret = 0;
		return true;
	}
	return false;
}

static bool cpp_add(struct cli_options *o, const char *prefix, const char *value)
{
	char *arg;
	if (o->cpp_argc == CLI_CPP_ARGS || asprintf(&arg, "%s%s", prefix, value) < 0)
		return false;
	o->cpp_argv[o->cpp_argc++] = arg;
	return true;
}

static bool cpp_words(struct cli_options *o, const char *value)
{
	char **words = cli_args_split(value);
	bool ok = words != NULL;
	for (char **w = words; ok && *w; w++)
		ok = cpp_add(o, "", *w);
	cli_args_split_free(words);
	return ok;
}

static bool cpp_standard(struct cli_options *o, const char *value)
{
	static const char *const args[] = { "", "-std=c99", "-traditional-cpp", "" };
	const char *hit = value[0] && !value[1] ? strchr("acst", value[0]) : NULL;
	if (!hit)
		return false;
	const char *arg = args[strcspn("acst", value)];
	return !*arg || cpp_add(o, "", arg);
}

/* An argument of the preprocessor, as the option's letter says. */
static bool cpp_set(struct cli_options *o, char letter, const char *value)
{
	char prefix[3] = { '-', letter, 0 };
	if (letter == 'H')
		return cpp_add(o, prefix, "");
	if (!value)
		return false;
	switch (letter) {
	case 0: return cpp_words(o, value);
	case 1:
		free(o->cpp_path);
		return (o->cpp_path = strdup(value)) != NULL;
	case 2: return cpp_standard(o, value);
	default: return cpp_add(o, prefix, value);
	}
}

void cli_options_deinit(struct cli_options *o)
{
	for (uint32_t i = 0; i < o->cpp_argc; i++)
		free(o->cpp_argv[i]);
	for (uint32_t i = 0; i < o->libdir_cnt; i++)
		free(o->libdirs[i]);
	free(o->cpp_path);
}

static bool libdir_add(struct cli_options *o, const char *dir)
{
	if (o->libdir_cnt == CLI_LIBDIRS)
		return false;
	o->libdirs[o->libdir_cnt] = strdup(dir);
	return o->libdirs[o->libdir_cnt] && ++o->libdir_cnt;
}

int cli_options_set(struct cli_options *o, const char *name, const char *value, bool armed, struct err *reterr)
{
	for (size_t i = 0; i < ARRAY_CNT(opts); i++) {
		uint64_t v;
		if (strcmp(opts[i].name, name))
			continue;
		if (armed && opts[i].when == OPT_START)
			return err_setf(reterr, -EBUSY, "Operation illegal when tracing is active");
		if (!parse_value(&opts[i], value, &v) || (!strcmp(name, "strsize") && v < 4) ||
		    (opts[i].kind == OPT_LIBDIR && !libdir_add(o, value)) || (opts[i].kind == OPT_CPP && !cpp_set(o, (char)opts[i].dflt, value)))
			return err_setf(reterr, -EINVAL, "Invalid value for specified option");
		*opt_field(o, &opts[i]) = v;
		return 0;
	}
	return err_setf(reterr, -ENOENT, "Invalid option name");
}

void cli_options_init(struct cli_options *o)
{
	for (size_t i = 0; i < ARRAY_CNT(opts); i++) {
		char env[64] = "DTRACE_OPT_";
		for (size_t n = strlen(env), k = 0; opts[i].name[k] && n + 1 < sizeof(env); k++)
			env[n++] = (char)toupper((unsigned char)opts[i].name[k]);
		*opt_field(o, &opts[i]) = opts[i].kind == OPT_CPP ? 0 : opts[i].dflt;
		const char *v = getenv(env);
		if (v)
			cli_options_set(o, opts[i].name, v, false, NULL);
	}
}

static void list_default(const struct opt *opt, char *buf, size_t cap)
{
	unsigned long long v = opt->dflt;
	if (opt->kind == OPT_FLAG || opt->kind == OPT_IGNORED || opt->kind == OPT_CPP || opt->kind == OPT_STAB ||
	    opt->kind == OPT_LIBDIR)
		snprintf(buf, cap, "-");
	else if (opt->kind == OPT_RATE)
		snprintf(buf, cap, "%llums", v / 1000000);
	else if (opt->kind == OPT_SIZE && v && !(v & 0xfffff))
		snprintf(buf, cap, "%llum", v >> 20);
	else
		snprintf(buf, cap, "%llu", v);
}

void cli_options_list(FILE *fp)
{
	/* ORDER enum opt_kind */
	static const char *const kinds[] = { "flag", "size", "rate", "count", "text", "ignored", "stability", "folder" };
	fprintf(fp, "%-14s %-8s %-8s %s\n", "OPTION", "VALUE", "DEFAULT", "MEANING");
	for (size_t i = 0; i < ARRAY_CNT(opts); i++) {
		char dflt[32];
		list_default(&opts[i], dflt, sizeof(dflt));
		fprintf(fp, "%-14s %-8s %-8s %s\n", opts[i].name, kinds[opts[i].kind], dflt, opts[i].doc);
	}
}
