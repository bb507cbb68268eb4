/* SPDX-License-Identifier: MIT */
/* LTTng's sessions, through its own command. */
#include "cli/cli_int.h"
#include "cli/events_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAID_MAX 1024

static const char *lttng_home(void)
{
	const char *h = getenv("LTTNG_HOME");
	return h && *h ? h : getenv("HOME");
}

static bool connects(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a));
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool daemon_runs(void)
{
	char path[256];
	const char *home = lttng_home();
	if (connects("/var/run/lttng/client-lttng-sessiond"))
		return true;
	snprintf(path, sizeof(path), "%s/.lttng/client-lttng-sessiond", home ? home : "");
	return home && connects(path);
}

static void read_all(int fd, char *buf, size_t cap)
{
	size_t at = 0;
	char rest[256];
	for (ssize_t n; (n = read(fd, at + 1 < cap ? buf + at : rest, at + 1 < cap ? cap - 1 - at : sizeof(rest))) > 0 || (n < 0 && errno == EINTR);)
		at += n > 0 && at + 1 < cap ? (size_t)n : 0;
	buf[at] = 0;
}

/* Its status; -1: it did not end by itself. @said: its standard error, in English. */
static int run_lttng(const char *const argv[], char said[SAID_MAX])
{
	int status = -1, p[2];
	said[0] = 0;
	if (pipe2(p, O_CLOEXEC))
		return -1;
	pid_t pid = fork();
	if (!pid) {
		dup2(p[1], STDERR_FILENO);
		setenv("LC_ALL", "C", 1);
		/* What went well is for us to say. */
		if (freopen("/dev/null", "w", stdout))
			execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(p[1]);
	read_all(p[0], said, SAID_MAX);
	close(p[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The file outlives sessions: of a daemon that was killed, say, or before the machine was started again. */
static bool is_known(const char *session)
{
	const char *const argv[] = { "lttng", "list", session, NULL };
	char said[SAID_MAX];
	int rc = run_lttng(argv, said);
	if (rc && rc != 127)
		cli_hint("LTTng has no session %s any more (lttng create, lttng set-session): events go to a trace of their own", session);
	if (rc == 127)
		cli_hint("there is no command lttng (lttng-tools): events go to a trace of their own");
	return !rc;
}

void event_session(char *buf, size_t cap)
{
	char path[4096], line[512];
	const char *home = lttng_home();
	buf[0] = 0;
	snprintf(path, sizeof(path), "%s/.lttngrc", home ? home : "");
	FILE *fp = home ? fopen(path, "re") : NULL;
	while (fp && !*buf && fgets(line, sizeof(line), fp))
		if (!strncmp(line, "session=", 8))
			snprintf(buf, cap, "%.*s", (int)strcspn(line + 8, "\r\n"), line + 8);
	if (fp)
		fclose(fp);
	if (*buf && (!daemon_runs() || !is_known(buf)))
		buf[0] = 0;
}

/* A rule that is there already, of an event that was enabled before, is as good. */
static int record_one(const char *session, const char *channel, const struct event *e, const char *suffix)
{
	char *name = NULL, said[SAID_MAX];
	if (asprintf(&name, "dyntrace_lttng:%s%s", e->name, suffix) < 0)
		return CLI_ERROR;
	const char *const argv[] = { "lttng", "enable-event", "-u", name, "-s", session, channel ? "-c" : NULL, channel, NULL };
	int rc = run_lttng(argv, said);
	if (rc && strstr(said, "already enabled"))
		rc = 0;
	if (rc) {
		fputs(said, stderr);
		cli_error("lttng could not enable event %s in session %s", e->name, session);
		if (!channel && strstr(said, "channel"))
			cli_hint("the session has channels of its own: --channel says which one");
	}
	free(name);
	return rc ? CLI_ERROR : CLI_OK;
}

int event_record(const char *session, const char *channel, const struct event *e)
{
	int rc = record_one(session, channel, e, e->function ? "_entry" : "");
	return rc || !e->function ? rc : record_one(session, channel, e, "_exit");
}
