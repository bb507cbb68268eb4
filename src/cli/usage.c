/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

void cli_usage(FILE *fp)
{
	fprintf(fp, "Usage: %s [-eFlqSvVwZ] [-b bufsz] [-c cmd] [-d stage,...] [-o output] [-p pid]\n"
		"\t[-s script] [-x opt[=val]] [-P provider ACTION] [-m [provider:]module ACTION]\n"
		"\t[-f [[provider:]module:]func ACTION] [-n [[[provider:]module:]func:]name ACTION]\n"
		"\t[-i probe-id ACTION] [args ...]\n"
		"       %s explain (-n | -s ...) (-p pid | -c cmd)\n\n"
		"\tACTION: [/predicate/] [{ statements }]\n\n", cli_name, cli_name);
	fputs("\t-b  size of a thread's buffer of records\n"
	      "\t-c  run a command, trace it, end when it ends\n"
	      "\t-d  show what the compiler makes: ast, types, ir, jit; then end\n"
	      "\t-e  compile and look for the probes, then end\n"
	      "\t-f  enable or list probes of a function\n"
	      "\t-F  indent by entry and return\n"
	      "\t-h  show this\n"
	      "\t-i  enable or list the probe of an id\n"
	      "\t-l  list probes\n"
	      "\t-m  enable or list probes of a module\n"
	      "\t-n  enable or list probes by description\n"
	      "\t-o  append the output to a file\n"
	      "\t-p  trace a process\n"
	      "\t-P  enable or list probes of a provider\n"
	      "\t-q  show only what the script prints\n"
	      "\t-s  run a D script\n"
	      "\t-S  show the intermediate code\n"
	      "\t-v  say more\n"
	      "\t-V  show the version\n"
	      "\t-w  allow destructive actions\n"
	      "\t-x  set an option; -x help lists them\n"
	      "\t-Z  allow descriptions that match no probe (yet)\n\n"
	      "\texplain  show how each probe would be placed, and at what cost\n", fp);
}
