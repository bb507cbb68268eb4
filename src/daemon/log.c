/* SPDX-License-Identifier: MIT */
#include "daemon/daemon_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static bool to_terminal;

void log_open(bool terminal)
{
	to_terminal = terminal;
	openlog("dyntraced", LOG_PID, LOG_DAEMON);
}

/* What clients named is in it: no line may look like another's. */
static void make_plain(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			*s = '?';
}

void log_sayf(int priority, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	make_plain(text);
	syslog(priority, "%s", text);
	if (to_terminal)
		fprintf(stderr, "dyntraced: %s\n", text);
}
