/* SPDX-License-Identifier: MIT */
/*
 * What ps shows of a process.  The kernel reads it where the words of the command stand, and behind them those of the
 * environment, which then have to be elsewhere; a command line whose last byte is not 0 goes on there (proc_pid_cmdline(5)).
 */
#include "host/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *first, *end;

void host_title_init(char **argv)
{
	if (!*argv)
		return;
	first = end = argv[0];
	for (char **v = argv; *v == end; v++)
		end += strlen(*v) + 1;
	for (char **v = environ; v && *v == end; v++)
		end += strlen(*v) + 1;
}

static bool move_environment(void)
{
	uint32_t n = 0;
	while (environ && environ[n])
		n++;
	char **v = calloc(n + 1ul, sizeof(*v));
	for (uint32_t i = 0; i < n && v; i++)
		if (!(v[i] = strdup(environ[i])))
			return false;
	if (v)
		environ = v;
	return v != NULL;
}

void host_title_set(const char *fmt, ...)
{
	va_list ap;
	if (!first || end - first < 2 || !move_environment())
		return;
	memset(first, 0, (size_t)(end - first));
	va_start(ap, fmt);
	vsnprintf(first, (size_t)(end - first), fmt, ap);
	va_end(ap);
}
