/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *cli_name = "dyntrace";

static void say(const char *fmt, va_list ap)
{
	fprintf(stderr, "%s: ", cli_name);
	vfprintf(stderr, fmt, ap);
	putc('\n', stderr);
}

void cli_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void cli_hint(const char *fmt, ...)
{
	va_list ap;
	if (cli_testing())
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

bool cli_testing(void) { return getenv("_DTRACE_TESTING") != NULL; }
bool cli_is_dtrace(void) { return !strcmp(cli_name, "dtrace"); }
