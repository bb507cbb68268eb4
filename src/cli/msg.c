/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
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

/* An error in between is remembered by the stream, but not why: what a pipe says tells. */
static bool nobody_reads(FILE *fp)
{
	struct pollfd p = { .fd = fileno(fp), .events = POLLOUT };
	return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

enum cli_written cli_flush(FILE *fp, const char *path)
{
	int err = fflush(fp) == EOF ? errno : 0;
	if (!ferror(fp))
		return CLI_WRITTEN;
	clearerr(fp);
	if (err == EPIPE || nobody_reads(fp))
		return CLI_NOBODY_READS;
	cli_error("failed to write to %s: %s", path ? path : "<stdout>", err ? strerror(err) : "output was lost (is the disk full?)");
	return CLI_NOT_WRITTEN;
}
