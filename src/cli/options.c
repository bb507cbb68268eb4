/* SPDX-License-Identifier: MIT */
/* -x and #pragma D option: a table, and dtrace's way to write values. */
#include "cli/cli_int.h"

#include "base/near.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum opt_kind { OPT_FLAG, OPT_SWITCH, OPT_SIZE, OPT_RATE, OPT_COUNT, OPT_TEXT, OPT_STAB, OPT_CPP, OPT_VALUE };
enum opt_when { OPT_ARGS, OPT_START, OPT_ANY };

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

static bool parse_stability(const char *s, uint64_t *ret)
{
	struct d_stability st;
	if (!d_stability_parse(s, &st))
		return false;
	*ret = 1u << 24 | (uint32_t)st.name << 16 | (uint32_t)st.data << 8 | st.dep;
	return true;
}

/* No value: 0, which for a flag is on. */
static bool parse_value(const struct opt *opt, const char *s, uint64_t *ret)
{
	*ret = 0;
	switch (opt->kind) {
	case OPT_FLAG:
		*ret = 1;
		return !s || cli_optvalue_flag(s, ret);
	case OPT_SWITCH:
		*ret = 1;
		return !s;
	case OPT_SIZE:
		return !s || cli_optvalue_size(s, ret);
	case OPT_RATE:
		return !s || cli_optvalue_rate(s, ret);
	case OPT_COUNT:
		return !s || cli_optvalue_count(s, opt->dflt, ret);
	case OPT_STAB:
		return s && parse_stability(s, ret);
	case OPT_TEXT:
		return s != NULL;
	case OPT_CPP:
	case OPT_VALUE:
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
	static const char *const args[] = { "-std=c99", "-std=c99", "-traditional-cpp", "-std=gnu17" };
	static const char letters[] = "acst";
	const char *hit = value[0] && !value[1] ? strchr(letters, value[0]) : NULL;
	if (!hit)
		return false;
	return cpp_add(o, "", args[hit - letters]);
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
	free(o->exe_path);
}

static bool set_text(struct cli_options *o, const char *name, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return false;
	if (!strcmp(name, "libdir") && o->libdir_cnt < ARRAY_CNT(o->libdirs)) {
		o->libdirs[o->libdir_cnt++] = copy;
		return true;
	}
	if (!strcmp(name, "exe")) {
		free(o->exe_path);
		o->exe_path = copy;
		return true;
	}
	free(copy);
	return strcmp(name, "libdir") != 0;
}

static int check_when(const struct opt *opt, enum cli_from from, struct err *reterr)
{
	if (from == FROM_RUN && opt->when == OPT_START)
		return err_setf(reterr, -EBUSY, "Operation illegal when tracing is active");
	if (from == FROM_PROGRAM && opt->when == OPT_ARGS)
		return err_setf(reterr, -EINVAL, "Option cannot be used from within a D program");
	return 0;
}

static const char *form_of(const struct opt *opt)
{
	/* ORDER enum opt_kind */
	static const char *const forms[] = { "on or off", "no value", "a size (512k, 4m)", "a rate or a time (10hz, 100ms)",
		"a number", "a text", "a stability (Stable/Stable/Common)", "a text", NULL };
	return !strcmp(opt->name, "stdc") ? "a, c, s or t" : !strcmp(opt->name, "strsize") ? "a size from 2 on" : forms[opt->kind];
}

static int set_one(struct cli_options *o, const struct opt *opt, const char *value, enum cli_from from,
		   struct err *reterr)
{
	uint64_t v, word = 0;
	int rc = from == FROM_RUN ? check_when(opt, from, reterr) : 0;
	if (!rc && opt->kind == OPT_VALUE)
		rc = cli_optvalue_check(opt->name, value, &word, reterr);
	if (rc)
		return rc;
	if (!parse_value(opt, value, &v) || (!strcmp(opt->name, "strsize") && v < 2) ||
	    (opt->kind == OPT_CPP && !value && opt->dflt != 'H'))
		return cli_optvalue_invalid(opt->name, form_of(opt), reterr);
	rc = check_when(opt, from, reterr);
	if (rc)
		return rc;
	if ((opt->kind == OPT_CPP && !cpp_set(o, (char)opt->dflt, value)) ||
	    (opt->kind == OPT_TEXT && !set_text(o, opt->name, value)))
		return cli_optvalue_invalid(opt->name, form_of(opt), reterr);
	*opt_field(o, opt) = opt->kind == OPT_VALUE ? word : v;
	return 0;
}

/* The tests of dtrace compare messages. */
static int no_such_option(const char *name, struct err *reterr)
{
	const char *best = NULL;
	uint32_t least = near_max(name) + 1;
	for (size_t i = 0; i < ARRAY_CNT(opts) && !cli_testing(); i++) {
		uint32_t d = near_distance(opts[i].name, name, near_max(name));
		if (d >= least)
			continue;
		least = d;
		best = opts[i].name;
	}
	if (best)
		return err_setf(reterr, -ENOENT, "Invalid option name; did you mean %s?", best);
	return err_setf(reterr, -ENOENT, "Invalid option name%s", cli_testing() ? "" : "; -x help lists them");
}

int cli_options_set(struct cli_options *o, const char *name, const char *value, enum cli_from from, struct err *reterr)
{
	for (size_t i = 0; i < ARRAY_CNT(opts); i++)
		if (!strcmp(opts[i].name, name))
			return set_one(o, &opts[i], value, from, reterr);
	return no_such_option(name, reterr);
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
			cli_options_set(o, opts[i].name, v, FROM_ARGS, NULL);
	}
}

static void list_default(const struct opt *opt, char *buf, size_t cap)
{
	unsigned long long v = opt->dflt;
	if (!v || v == UINT32_MAX || opt->kind == OPT_FLAG || opt->kind == OPT_CPP)
		snprintf(buf, cap, "-");
	else if (opt->kind == OPT_RATE && v % 1000000)
		snprintf(buf, cap, "%lluhz", 1000000000 / v);
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
	static const char *const kinds[] = { "on|off", "", "size", "rate", "count", "text", "a/b/c", "text", "word" };
	fprintf(fp, "%-14s %-8s %-8s %s\n", "OPTION", "VALUE", "DEFAULT", "MEANING");
	for (size_t i = 0; i < ARRAY_CNT(opts); i++) {
		char dflt[32];
		list_default(&opts[i], dflt, sizeof(dflt));
		fprintf(fp, "%-14s %-8s %-8s %s\n", opts[i].name, kinds[opts[i].kind], dflt, opts[i].doc);
	}
}
