/* SPDX-License-Identifier: MIT */
#include "daemon/daemon_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static bool to_terminal;

/* Of a service, it leads to where syslog's lines go anyway: each would stand there twice. */
static bool stderr_is_journal(void)
{
	const char *said = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	return said && sscanf(said, "%llu:%llu", &dev, &ino) == 2 && !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

void log_open(bool terminal)
{
	to_terminal = terminal && !stderr_is_journal();
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
