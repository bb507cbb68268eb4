/* SPDX-License-Identifier: MIT */
#include "cli/script.h"

#include "base/near.h"

#include <string.h>

static void synopsis(FILE *fp)
{
	fprintf(fp, "Usage: %s [-CeFGhHlqSvVwZ] [-b bufsz] [-c cmd] [-d stage,...] [-D name[=def]]\n"
		"\t[-I path] [-L path] [-o output] [-p pid] [-s script] [-U name] [-x opt[=val]]\n"
		"\t[-X a|c|s|t] [-P provider ACTION] [-m [provider:]module ACTION]\n"
		"\t[-f [[provider:]module:]func ACTION] [-n [[[provider:]module:]func:]name ACTION]\n"
		"\t[-i probe-id ACTION] [args ...]\n"
		"       %s explain (-n | -s ...) (-p pid | -c cmd)\n"
		"       %s verify | repair [-qv] pid|name ...\n"
		"       %s record | dump | list-functions --help\n"
		"       %s attach | detach | add | rm | run | list-tracepoints | list-processes | list-symbols --help\n"
		"       %s enable-event | trace --help\n"
		"       %s SCRIPT --help\n\n"
		"\tACTION: [/predicate/] [{ statements }]\n", cli_name, cli_name, cli_name, cli_name, cli_name, cli_name,
		cli_name);
}

void cli_usage_wrong(void)
{
	synopsis(stderr);
	if (!cli_is_dtrace())
		cli_hint("%s --help says what each is", cli_name);
}

void cli_usage(FILE *fp)
{
	synopsis(fp);
	fputs("\n"
	      "\t-b  size of a thread's buffer of records\n"
	      "\t-c  run a command, trace it, end when it ends\n"
	      "\t-C  run the C preprocessor on scripts\n"
	      "\t-d  show what the compiler makes: ast, types, ir, jit; then end\n"
	      "\t-D  define a macro for the preprocessor\n"
	      "\t-e  compile and look for the probes, then end\n"
	      "\t-f  enable or list probes of a function\n"
	      "\t-F  indent by entry and return\n"
	      "\t-G  write an object file that says where object files call probes, for builds that link one\n"
	      "\t-h  write a C header with macros for the probes that a script declares\n"
	      "\t-H  the preprocessor names the files that it includes\n"
	      "\t-i  enable or list the probe of an id\n"
	      "\t-I  a folder with headers for the preprocessor\n"
	      "\t-l  list probes\n"
	      "\t-L  a folder with D libraries\n"
	      "\t-m  enable or list probes of a module\n"
	      "\t-n  enable or list probes by description\n"
	      "\t-o  append the output to a file\n"
	      "\t-p  trace a process, by its number or its name\n"
	      "\t-P  enable or list probes of a provider\n"
	      "\t-q  show only what the script prints\n"
	      "\t-s  run a D script\n"
	      "\t-S  show the intermediate code and the variables, and go on\n"
	      "\t-U  forget a macro of the preprocessor\n"
	      "\t-v  say more; with -l and -e, stability and types of arguments\n"
	      "\t-V  show the version\n"
	      "\t-w  allow destructive actions\n"
	      "\t-x  set an option; -x help lists them\n"
	      "\t-X  the preprocessor's standard\n"
	      "\t-Z  allow descriptions that match no probe (yet)\n\n"
	      "\thelp     show what follows --help, of a verb too\n"
	      "\texplain  show how each probe would be placed, and at what cost\n"
	      "\tverify   compare the code of processes with their files\n"
	      "\trepair   take away what a dyntrace that was killed left in processes\n"
	      "\trecord   write events to a trace; dump prints it, list-functions what a file has\n"
	      "\tadd      place a tracepoint that stays in a process; attach, rm, list-... go with it\n"
	      "\ttrace    run a command and record events of it; enable-event does so in a process that runs\n\n", fp);
	cli_script_list(fp);
}

bool cli_usage_verb(enum cli_mode mode)
{
	switch (mode) {
	case MODE_EXPLAIN:
		printf("Usage: %s explain (-n DESCRIPTION | -s SCRIPT) ... (-p PID|NAME | -c COMMAND) [-x OPT[=VAL]]\n\n"
		       "\tshows how each probe would be placed: the form, the bytes before and after, what is displaced, the reason\n"
		       "\twhere it is refused, and its cost; nothing is changed\n", cli_name);
		return true;
	case MODE_VERIFY:
		printf("Usage: %s verify [-qv] PID|NAME ...\n       %s verify -n DESCRIPTION -c COMMAND\n\n"
		       "\tcompares the code of processes with their files, and says who changed what: 0 is as in the files, 1 is not,\n"
		       "\t2 cannot be told; with a script and a command: runs both with jumps and with uprobes, and compares\n\n"
		       "\t-q  only the status\n\t-v  all places, not the first of them\n", cli_name, cli_name);
		return true;
	case MODE_REPAIR:
		printf("Usage: %s repair [-qv] PID|NAME ...\n\n\ttakes away what a dyntrace that was killed left in processes: 0 nothing is left, 1 something is\n",
		       cli_name);
		return true;
	default:
		return false;
	}
}

/* Some of its letters, in their order: list-procs. */
static bool is_short_for(const char *word, const char *verb)
{
	if (strlen(word) < 3 || *word != *verb)
		return false;
	for (; *word && *verb; verb++)
		word += *word == *verb;
	return !*word;
}

static bool is_verb(const char *word) { return cli_verb_find(word) || cli_script_is(word); }

static const char *near_verb(const char *word)
{
	const char *best = NULL, *name;
	uint32_t max = near_max(word);
	for (uint32_t i = 0; (name = cli_verb_name(i)); i++) {
		uint32_t d = near_distance(name, word, max);
		if (d > max)
			continue;
		best = name;
		max = d;
	}
	for (uint32_t i = 0; !best && (name = cli_verb_name(i)); i++)
		best = is_short_for(word, name) ? name : NULL;
	return best;
}

static void no_verb(const char *word, const char *advice)
{
	const char *verb = near_verb(word);
	if (verb)
		cli_hint("there is no verb %s: did you mean %s?", word, verb);
	else
		cli_hint("there is no verb %s (--help names them)%s", word, advice);
}

static char help_option[] = "--help";

void cli_usage_no_probes(const struct cli_args *a)
{
	const char *word = a->macros && a->macros[0] ? a->macros[1] : NULL;
	if (!word || cli_is_dtrace())
		return;
	if (strchr(word, '{') || strchr(word, ':'))
		cli_hint("a program is given with -n, or with -s in a file%s", a->compile_only ? "; -e only checks it" : "");
	else if (is_verb(word) || !strcmp(word, "help"))
		cli_hint("%s is a verb: it comes before the options", word);
	else
		no_verb(word, "; scripts are given with -s");
}

int cli_usage_help(int *argc, char **argv)
{
	if (cli_is_dtrace() || *argc < 2 || strcmp(argv[1], "help"))
		return CLI_OK;
	if (*argc > 3) {
		fprintf(stderr, "Usage: %s help [VERB]\n", cli_name);
		return CLI_USAGE;
	}
	bool of_verb = *argc == 3 && *argv[2] != '-' && strcmp(argv[2], "help");
	if (of_verb && !is_verb(argv[2])) {
		no_verb(argv[2], "");
		return CLI_USAGE;
	}
	argv[1] = of_verb ? argv[2] : help_option;
	if (of_verb)
		argv[2] = help_option;
	*argc = of_verb ? 3 : 2;
	return CLI_OK;
}
