/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <stdarg.h>
#include <stdlib.h>

const char *cli_name = "dyntrace";

void cli_error(const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "%s: ", cli_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
}

bool cli_testing(void) { return getenv("_DTRACE_TESTING") != NULL; }
