/* SPDX-License-Identifier: MIT */
/*
 * Ready scripts: NAME [-p PID | -c COMMAND] ... runs share/scripts/NAME.d behind a few lines that say which processes it
 * is about:
 *
 *	wanted[pid]	whether a process is one of them: those that were named, and what they start
 */
#include "cli/script.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define HZ_DEFAULT "99"

#define SCRIPTS(S) \
	S(biolatency, "", "how long block devices take") \
	S(execsnoop, "pc", "programs that are started") \
	S(offcpu, "pc", "where threads wait: folded stacks, microseconds") \
	S(opensnoop, "pc", "files that are opened") \
	S(profile, "pcF", "where processors spend their time: folded stacks, samples") \
	S(runqlat, "pc", "how long threads wait for a processor") \
	S(syscalls, "pc", "time, calls and errors of system calls")

#define TEXT(name, opts, help) extern const char embedded_##name[];
SCRIPTS(TEXT)
#undef TEXT

static const struct script {
	const char *name, *opts, *help, *text;
} scripts[] = {
#define ENTRY(name, opts, help) { #name, opts, help, embedded_##name },
	SCRIPTS(ENTRY)
#undef ENTRY
};

enum { OPT_SHOW_D = 256, OPT_HELP };
static const struct option longopts[] = {
	{ "show-d", no_argument, NULL, OPT_SHOW_D },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

struct request {
	const struct script *script;
	const char *hz, *seconds;
	bool show_d;
};

static const struct script *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(scripts); i++)
		if (!strcmp(scripts[i].name, name))
			return &scripts[i];
	return NULL;
}

bool cli_script_is(const char *name) { return find(name) != NULL; }

const char *cli_script_name(uint32_t i) { return i < ARRAY_CNT(scripts) ? scripts[i].name : NULL; }

void cli_script_list(FILE *fp)
{
	for (size_t i = 0; i < ARRAY_CNT(scripts); i++)
		fprintf(fp, "\t%-10s  %s\n", scripts[i].name, scripts[i].help);
}

static void usage(FILE *fp, const struct script *s)
{
	fprintf(fp, "Usage: %s %s%s%s [-d SECONDS] [-o FILE] [-x OPT[=VAL]] [--show-d]\n\n\t%s\n\n", cli_name, s->name,
		strchr(s->opts, 'p') ? " [-p PID|NAME ... | -c COMMAND]" : "", strchr(s->opts, 'F') ? " [-F HZ]" : "", s->help);
	if (strchr(s->opts, 'p'))
		fputs("\t-c  run a command: it, and what it starts\n", fp);
	fputs("\t-d  end after so many seconds\n", fp);
	if (strchr(s->opts, 'F'))
		fputs("\t-F  samples a second on each processor (" HZ_DEFAULT ")\n", fp);
	fputs("\t-o  append the output to a file\n", fp);
	if (strchr(s->opts, 'p'))
		fputs("\t-p  a process (its number or its name), and what it starts from now on; may be given several times\n", fp);
	fputs("\t-x  set an option; dyntrace -x help lists them\n"
	      "\t--show-d  print the D program that does it, and end\n", fp);
}

static bool is_number(const char *s) { return *s && strlen(s) <= 6 && strspn(s, "0123456789") == strlen(s) && atoi(s) > 0; }

static int take_number(const char **ret, int opt, const char *arg, const char *what)
{
	if (!is_number(arg)) {
		cli_error("-%c needs a number of %s, not '%s'", opt, what, arg);
		return CLI_USAGE;
	}
	*ret = arg;
	return CLI_OK;
}

static int one_option(struct cli_args *a, struct request *q, int opt, const char *arg)
{
	if ((opt == 'p' || opt == 'c' || opt == 'F') && !strchr(q->script->opts, opt)) {
		cli_error("%s: there is no -%c", q->script->name, opt);
		return CLI_USAGE;
	}
	switch (opt) {
	case 'F': return take_number(&q->hz, opt, arg, "samples a second");
	case 'd': return take_number(&q->seconds, opt, arg, "seconds");
	case 'p': case 'c': case 'o': case 'x': return cli_args_option(a, opt, arg);
	case OPT_SHOW_D: q->show_d = true; return CLI_OK;
	case OPT_HELP: a->mode = MODE_NOTHING; usage(stdout, q->script); return CLI_OK;
	default: usage(stderr, q->script); return CLI_USAGE;
	}
}

static void put_followed(FILE *fp, const struct cli_args *a)
{
	fputs("int followed[int];\n"
	      "inline int wanted[int p] = followed[p];\n"
	      "BEGIN {", fp);
	for (uint32_t i = 0; i < a->pid_cnt; i++)
		fprintf(fp, " followed[%d] = 1;", (int)a->pids[i]);
	fputs(a->command_cnt ? " followed[$target] = 1; }\n" : " }\n", fp);
	fputs("proc:::create /followed[pid]/ { followed[args[0]->pr_pid] = 1; }\n", fp);
}

static char *whole_text(const struct cli_args *a, const struct request *q)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return NULL;
	fputs("#pragma D option quiet\n", fp);
	if (a->pid_cnt + a->command_cnt)
		put_followed(fp, a);
	else
		fputs("inline int wanted[int p] = p && p != $pid;\n", fp); /* neither the idle task nor we */
	if (q->seconds)
		fprintf(fp, "tick-%ss { exit(0); }\n", q->seconds);
	fputs(q->script->text, fp);
	if (!fclose(fp))
		return text;
	free(text);
	return NULL;
}

static int add_source(struct cli_args *a, const struct request *q, char *text)
{
	a->srcs = calloc(1, sizeof(*a->srcs));
	a->macros = calloc(3, sizeof(*a->macros));
	if (!a->srcs || !a->macros || !text) {
		free(text);
		cli_error("out of memory");
		return CLI_ERROR;
	}
	a->srcs[a->src_cnt++] = (struct cli_source){ .kind = D_SRC_PROGRAM, .arg = strdup(q->script->name), .text = text,
						     .name = strdup(q->script->name) };
	a->script = true;
	a->macros[0] = (char *)q->script->name;
	if (strchr(q->script->opts, 'F'))
		a->macros[1] = (char *)q->hz;
	return CLI_OK;
}

/* As it runs: with the value that stands for $1. */
static void show_d(const struct cli_args *a)
{
	const char *p = a->srcs[0].text, *end;
	for (; a->macros[1] && (end = strstr(p, "$1")); p = end + 2)
		printf("%.*s%s", (int)(end - p), p, a->macros[1]);
	fputs(p, stdout);
}

int cli_script_parse(struct cli_args *a, int argc, char **argv)
{
	struct request q = { .script = find(argv[0]), .hz = HZ_DEFAULT };
	int opt, rc = CLI_OK;
	argv[0] = (char *)cli_name;
	optind = 1;
	while (rc == CLI_OK && a->mode == MODE_TRACE && (opt = getopt_long(argc, argv, "c:d:F:o:p:x:", longopts, NULL)) != -1)
		rc = one_option(a, &q, opt, optarg);
	if (rc || a->mode != MODE_TRACE)
		return rc;
	if (optind < argc) {
		cli_error("%s takes options only, not '%s'", q.script->name, argv[optind]);
		cli_args_hint_pids(a, argv[optind]);
		return CLI_USAGE;
	}
	if (a->command_cnt > 1) {
		cli_error("%s runs one command", q.script->name);
		return CLI_USAGE;
	}
	rc = add_source(a, &q, whole_text(a, &q));
	if (rc == CLI_OK && q.show_d) {
		show_d(a);
		a->mode = MODE_NOTHING;
	}
	return rc;
}
