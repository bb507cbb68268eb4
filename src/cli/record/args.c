/* SPDX-License-Identifier: MIT */
#include "cli/record/record_int.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OPT_RING = 256, OPT_SHOW_D, OPT_FOLLOW, OPT_HELP };
static const struct option longopts[] = {
	{ "ring", required_argument, NULL, OPT_RING },
	{ "show-d", no_argument, NULL, OPT_SHOW_D },
	{ "follow", no_argument, NULL, OPT_FOLLOW },
	{ "duration", required_argument, NULL, 'd' },
	{ "output", required_argument, NULL, 'o' },
	{ "pid", required_argument, NULL, 'p' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static void usage(FILE *fp)
{
	fprintf(fp, "Usage: %s record (-p PID|NAME[,PID|NAME...] | -c COMMAND) [-d SECONDS] [-o DIR] [-g] [--ring SIZE]\n"
		"\t[--follow] [--show-d] [-b SIZE] [-x OPT[=VAL]] PROBE...\n\n"
		"\tPROBE: FUNC, [[[PROVIDER:]MODULE:]FUNC:]NAME, FUNC%%return or FUNC+OFFSET,\n"
		"\tin the same word: [NAME=EXPRESSION...] for what is to be recorded there\n\n"
		"\t-b  size of a thread's buffer of records\n"
		"\t-c  run a command and record it; may be given several times\n"
		"\t-d  end after so many seconds\n"
		"\t-g  record user stacks\n"
		"\t-o  the folder of the trace; it must not hold one\n"
		"\t-p  record these processes, by number or name\n"
		"\t-x  set an option; dyntrace -x help lists them\n"
		"\t--ring    keep only the last events, as many as fit into SIZE\n"
		"\t--follow  print what is recorded, too, as dump does\n"
		"\t--show-d  print the D program that does it, and end\n", cli_name);
}

static int add_pid(struct cli_args *a, const char *text, size_t len)
{
	char word[16], *end;
	if (isalpha((unsigned char)*text))
		return cli_args_named(a, text, len);
	snprintf(word, sizeof(word), "%.*s", (int)(len < 15 ? len : 15), text);
	long pid = strtol(word, &end, 10);
	if (!isdigit((unsigned char)*word) || *end || pid <= 0 || pid > INT32_MAX) {
		cli_error("-p needs processes (numbers or names) with commas between them, not '%.*s'", (int)len, text);
		return CLI_USAGE;
	}
	return cli_args_pid(a, (pid_t)pid);
}

static int add_pids(struct cli_args *a, const char *list)
{
	int rc;
	do {
		size_t len = strcspn(list, ",");
		rc = add_pid(a, list, len);
		list += len;
	} while (!rc && *list++ == ',');
	return rc;
}

static int add_command(struct cli_args *a, const char *arg)
{
	char **v = realloc(a->commands, (a->command_cnt + 1) * sizeof(*v));
	if (!v)
		return CLI_ERROR;
	a->commands = v;
	return (v[a->command_cnt++] = strdup(arg)) ? CLI_OK : CLI_ERROR;
}

static int set_option(struct cli_args *a, const char *name, size_t len, const char *value)
{
	char word[64];
	struct err e;
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	if (!cli_options_set(&a->opts, word, value, FROM_ARGS, &e))
		return CLI_OK;
	cli_error("failed to set -x %s: %s", word, e.msg);
	return CLI_ERROR;
}

static int set_x(struct cli_args *a, const char *arg)
{
	size_t len = strcspn(arg, "=");
	return set_option(a, arg, len, arg[len] ? arg + len + 1 : NULL);
}

static int set_duration(struct cli_record *r, const char *arg)
{
	char *end;
	double s = strtod(arg, &end);
	if (end == arg || *end || !isfinite(s) || s <= 0 || s > 1e9) {
		cli_error("-d needs a number of seconds, not '%s'", arg);
		return CLI_USAGE;
	}
	r->duration_ns = (uint64_t)(s * 1e9);
	return CLI_OK;
}

static int set_ring(struct cli_record *r, const char *arg)
{
	if (cli_optvalue_size(arg, &r->ring_bytes) && r->ring_bytes >= 65536)
		return CLI_OK;
	cli_error("--ring needs a size of at least 64k, such as 64M, not '%s'", arg);
	return CLI_USAGE;
}

static int set_dir(struct cli_record *r, const char *arg)
{
	free(r->dir);
	r->dir = strdup(arg);
	return r->dir ? CLI_OK : CLI_ERROR;
}

static int one_option(struct cli_args *a, int opt, const char *arg)
{
	struct cli_record *r = a->record;
	switch (opt) {
	case 'b': return set_option(a, "bufsize", 7, arg);
	case 'c': return add_command(a, arg);
	case 'd': return set_duration(r, arg);
	case 'g': r->stacks = true; return CLI_OK;
	case 'o': return set_dir(r, arg);
	case 'p': return add_pids(a, arg);
	case 'x': return set_x(a, arg);
	case OPT_RING: return set_ring(r, arg);
	case OPT_SHOW_D: r->show_d = true; return CLI_OK;
	case OPT_FOLLOW: r->follow = true; return CLI_OK;
	case OPT_HELP: a->mode = MODE_HELP; usage(stdout); return CLI_OK;
	default: usage(stderr); return CLI_USAGE;
	}
}

/* dyntrace-20261121-115500.4711 */
static int name_dir(struct cli_record *r)
{
	char name[64];
	time_t now = time(NULL);
	struct tm tm;
	if (r->dir)
		return CLI_OK;
	localtime_r(&now, &tm);
	size_t n = strftime(name, sizeof(name), "dyntrace-%Y%m%d-%H%M%S", &tm);
	snprintf(name + n, sizeof(name) - n, ".%d", (int)getpid());
	return set_dir(r, name);
}

/* What a probe records stands in its own word. */
static int check_words(const struct cli_args *a)
{
	const struct cli_record *r = a->record;
	for (uint32_t i = 0; i < r->probe_cnt; i++) {
		const char *p = r->probes[i];
		if (cli_args_is_another_pid(a, p)) {
			cli_error("%s is a process and no PROBE: several processes are one word, -p %d,%s", p, (int)a->pids[a->pid_cnt - 1], p);
			return CLI_USAGE;
		}
		size_t n = strcspn(p, " :*?[=");
		if (p[n] != '=')
			continue;
		cli_error("'%s' has no probe: what is to be recorded stands in the probe's word, as in '%s %s'", p,
			  i ? r->probes[i - 1] : "malloc", p);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int check(const struct cli_args *a)
{
	if (!a->pid_cnt && !a->command_cnt)
		cli_error("record needs a process: -p PID, or a command: -c COMMAND");
	else if (!a->record->probe_cnt)
		cli_error("record needs at least one PROBE, such as malloc or libc.so.6:open*:entry");
	else
		return check_words(a);
	return CLI_USAGE;
}

/* Said before a command runs. */
static int check_dir(const struct cli_record *r)
{
	struct err e;
	if (r->show_d || !export_writer_may(r->dir, &e))
		return CLI_OK;
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

static char no_macros[] = "record";

int cli_record_parse(struct cli_args *a, int argc, char **argv)
{
	int opt, rc = CLI_OK;
	struct cli_record *r = a->record = calloc(1, sizeof(*r));
	if (!r)
		return CLI_ERROR;
	a->mode = MODE_RECORD;
	a->opts.quiet = 1;
	if (!getenv("DTRACE_OPT_BUFSIZE"))
		a->opts.bufsize = RECORD_BUFSIZE_ANY;
	optind = 1;
	while (!rc && a->mode == MODE_RECORD && (opt = getopt_long(argc, argv, "b:c:d:go:p:x:", longopts, NULL)) != -1)
		rc = one_option(a, opt, optarg);
	r->probes = calloc((size_t)argc + 1, sizeof(*r->probes));
	a->macros = calloc(2, sizeof(*a->macros));
	if (rc || !r->probes || !a->macros)
		return rc ? rc : CLI_ERROR;
	a->macros[0] = no_macros;
	for (int i = optind; i < argc; i++)
		r->probes[r->probe_cnt++] = argv[i];
	if (a->mode != MODE_RECORD) {
		a->mode = MODE_NOTHING;
		return CLI_OK;
	}
	rc = check(a);
	rc = rc ? rc : name_dir(r);
	return rc ? rc : check_dir(r);
}

void cli_record_free(struct cli_record *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->clause_cnt; i++) {
		for (uint32_t k = 0; k < r->clauses[i].cnt; k++)
			free(r->clauses[i].fields[k].name);
		free(r->clauses[i].fields);
	}
	host_strmap_deinit(&r->names);
	export_writer_close(r->writer);
	free(r->clauses);
	free(r->vals);
	free(r->takes);
	free(r->probes);
	free(r->dir);
	free(r);
}
