/* SPDX-License-Identifier: MIT */
/* attach, detach, add, rm, list-tracepoints: what keepers are asked for. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void list_tracers(FILE *fp)
{
	fputs("\n\tTracers:\n", fp);
	for (uint32_t i = 0; tracer_nth(i); i++)
		fprintf(fp, "\t%s%s%s\n\t\t%s\n", tracer_nth(i)->name, *tracer_nth(i)->args ? " " : "", tracer_nth(i)->args,
			tracer_nth(i)->help);
}

static void usage_add(FILE *fp)
{
	fprintf(fp, "Usage: %s add PID|NAME:PLACE [-e] [-n NAME] [--json] TRACER [ARGS...]\n\n"
		"\tPLACE: [MODULE:]SYMBOL[+OFFSET], SYMBOL@MODULE or ADDRESS; numbers are octal, decimal or hexadecimal\n\n"
		"\t-e  entry and exit of the function\n"
		"\t-n  the tracepoint's name; without it one is made up. It is printed\n"
		"\t--json  all of it is, for scripts\n", cli_name);
	list_tracers(fp);
}

#define JSON "\n\n\t--json  for scripts"

static const struct verb {
	const char *name, *args, *help;
	int least, most; /* words behind the verb, without options */
} verbs[] = {
	{ "attach", "PID|NAME [-x OPTION[=VALUE]]... [--json]", "Makes a process ready for tracepoints: a keeper of yours stays with it until it ends.\n\n"
	  "\t-x followfork  its children, and the programs that they run, too\n\t-x OPTION      as when a script is run: bufsize, inject, ..." JSON, 1, 255 },
	{ "detach", "PID|NAME [--json]", "Removes all tracepoints of a process, shows what they gathered; the keeper ends." JSON, 1, 2 },
	{ "add", NULL, NULL, 1, 255 },
	{ "rm", "PID|NAME:TRACEPOINT [--json]", "Removes a tracepoint, and shows what it gathered." JSON, 1, 2 },
	{ "list-tracepoints", "PID|NAME [-a] [--json]", "Tracepoints of a process and what they gathered so far.\n\n"
	  "\t-a      their places too, also those that could not be traced\n\t--json  for scripts", 1, 3 },
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int usage(const struct verb *v, bool asked)
{
	FILE *fp = asked ? stdout : stderr;
	if (v->args)
		fprintf(fp, "Usage: %s %s %s\n\n\t%s\n", cli_name, v->name, v->args, v->help);
	else
		usage_add(fp);
	return asked ? CLI_OK : CLI_USAGE;
}

static int ask(pid_t pid, int argc, const char *const *argv)
{
	char *out = NULL, *err = NULL;
	struct err e;
	int r = keep_ask(pid, argc, argv, &out, &err, &e);
	if (r < 0) {
		cli_error("%s", e.msg);
		if (r == -ENOENT)
			whose_hint(pid);
		return CLI_ERROR;
	}
	fputs(out, stdout);
	fputs(err, stderr);
	free(out);
	free(err);
	return fflush(stdout) ? CLI_ERROR : r;
}

static int start(pid_t pid, const char *const *options)
{
	struct err e;
	int r = keeper_start(pid, options, &e);
	if (r)
		cli_error("%s", e.msg);
	cli_remote_hint(r, e.msg);
	return r ? CLI_ERROR : CLI_OK;
}

/* Before the tracer, whose arguments are its own. */
static bool is_option_of_add(const char *word)
{
	return !strncmp(word, "-n", 2) || !strcmp(word, "-e") || !strcmp(word, "--json");
}

/* What is wrong is said; the rest is long. */
static int see_help(void)
{
	cli_hint("see %s add --help", cli_name);
	return CLI_USAGE;
}

/* *ret_rest: its place; NULL: there is none. 0: no such process; it is said. */
static pid_t process_of(const char *arg, const char **ret_rest)
{
	pid_t pid = procs_split(arg, ret_rest);
	if (!pid && *ret_rest && keeper_place_is_kernel(arg, strcspn(arg, ":")))
		cli_hint("tracepoints are in processes (add PID:PLACE); for probes of the kernel: dyntrace -n '%s { ... }'", arg);
	return pid;
}

/* What is asked for first is a process, and a place in it. */
static int no_tracer(const char *place)
{
	const char *rest = NULL;
	if (!process_of(place, &rest))
		return rest ? CLI_ERROR : see_help();
	cli_error("add needs a tracer behind the place, which says what is done there; to count its hits: %s add %s count", cli_name, place);
	return see_help();
}

static int check_options(int argc, char **argv)
{
	const char *place = NULL;
	int words = 0; /* the place, the tracer */
	for (int i = 1; i < argc && words < 2; i++) {
		if (*argv[i] != '-' && !words++)
			place = argv[i];
		if (*argv[i] == '-' && !is_option_of_add(argv[i])) {
			cli_error("add has no option %s", argv[i]);
			return see_help();
		}
		i += !strcmp(argv[i], "-n");
	}
	return words == 1 ? no_tracer(place) : words ? CLI_OK : usage(find("add"), false);
}

static int add(int argc, char **argv)
{
	const char **words = calloc((size_t)argc + 1, sizeof(*words)), *rest = NULL;
	pid_t pid = 0;
	int bad = words ? check_options(argc, argv) : CLI_ERROR;
	if (bad) {
		free(words);
		return bad;
	}
	words[0] = "add";
	/* The place is the first word that is no option. */
	for (int i = 1; i < argc; i++) {
		words[i] = argv[i];
		if (!rest && *argv[i] != '-' && strcmp(argv[i - 1], "-n")) {
			pid = process_of(argv[i], &rest);
			if (!rest)
				break;
			words[i] = rest;
		}
	}
	int rc = !rest ? CLI_USAGE : !pid ? CLI_ERROR : start(pid, NULL);
	rc = rc ? rc : ask(pid, argc, words);
	free(words);
	return rc;
}

static int rm(const char *who, bool json)
{
	const char *rest = NULL;
	pid_t pid = procs_split(who, &rest);
	const char *const words[] = { "rm", rest, "--json" };
	return !rest ? CLI_USAGE : pid ? ask(pid, 2 + json, words) : CLI_ERROR;
}

static int attach(int argc, char **argv)
{
	static const char *const words[] = { "attach", "--json" };
	const char **options = calloc((size_t)argc + 1, sizeof(*options)), *who = NULL;
	int n = 0, rc = options ? CLI_OK : CLI_ERROR;
	bool json = false;
	for (int i = 1; i < argc && !rc; i++) {
		if (!strcmp(argv[i], "-x") && i + 1 < argc)
			options[n++] = argv[++i];
		else if (!strncmp(argv[i], "-x", 2) && argv[i][2])
			options[n++] = argv[i] + 2;
		else if (!strcmp(argv[i], "--json"))
			json = true;
		else if (*argv[i] == '-' || who)
			rc = usage(find("attach"), false);
		else
			who = argv[i];
	}
	rc = rc || who ? rc : usage(find("attach"), false);
	pid_t pid = rc ? 0 : procs_one(who, strlen(who));
	rc = rc || pid ? rc : CLI_ERROR;
	rc = rc ? rc : start(pid, options);
	free(options);
	return rc ? rc : ask(pid, 1 + json, words);
}

static int detach(const char *who, bool json)
{
	static const char *const words[] = { "detach", "--json" };
	pid_t pid = procs_one(who, strlen(who));
	return pid ? ask(pid, 1 + json, words) : CLI_ERROR;
}

static int list(int argc, char **argv)
{
	const char *words[4] = { "list-tracepoints" }, *who = NULL;
	int n = 1;
	for (int i = 1; i < argc; i++) {
		bool opt = !strcmp(argv[i], "-a") || !strcmp(argv[i], "--json");
		if (!opt && (who || *argv[i] == '-'))
			return usage(find("list-tracepoints"), false);
		if (opt)
			words[n++] = argv[i];
		else
			who = argv[i];
	}
	if (!who)
		return usage(find("list-tracepoints"), false);
	pid_t pid = procs_one(who, strlen(who));
	return pid ? ask(pid, n, words) : CLI_ERROR;
}

int points_main(int argc, char **argv)
{
	const struct verb *v = find(strrchr(argv[0], ' ') + 1);
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(v, true);
	if (argc - 1 < v->least || argc - 1 > v->most)
		return usage(v, false);
	if (!strcmp(v->name, "add"))
		return add(argc, argv);
	if (!strcmp(v->name, "list-tracepoints"))
		return list(argc, argv);
	if (!strcmp(v->name, "attach"))
		return attach(argc, argv);
	/* One word, and perhaps --json, before it or behind. */
	bool first = !strcmp(argv[1], "--json"), json = argc == 3 && (first || !strcmp(argv[2], "--json"));
	const char *who = argv[1 + (json && first)];
	if (argc - 1 - json != 1 || *who == '-')
		return usage(v, false);
	return !strcmp(v->name, "rm") ? rm(who, json) : detach(who, json);
}
