/* SPDX-License-Identifier: MIT */
/*
 * Targets that are shells, or what begins some other program: who names a script, a wrapper of some program, is told that what
 * the script starts is another process, where nothing was found or nothing came.
 */
#include "cli/keeper/keeper_int.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli_shell {
	pid_t pid;
	const char *kind;
	char line[128]; /* how it was called */
	char exe[256], ran[256]; /* its file; of what it started, "" not seen */
};

static void exe_of(pid_t pid, char *ret, size_t cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, ret, cap - 1);
	ret[n > 0 ? n : 0] = 0;
}

/* What a program is that begins others; NULL: it is none. */
static const char *kind_of(const char *exe)
{
	static const char *const shells[] = { "sh", "dash", "bash", "ash", "ksh", "ksh93", "mksh", "zsh" };
	static const char *const others[] = { "env", "nice", "ionice", "chrt", "taskset", "nohup", "setsid", "stdbuf", "time", "timeout",
		"sudo", "runuser", "xargs" };
	const char *slash = strrchr(exe, '/');
	for (size_t i = 0; slash && i < ARRAY_CNT(shells); i++)
		if (!strcmp(slash + 1, shells[i]))
			return "a shell";
	for (size_t i = 0; slash && i < ARRAY_CNT(others); i++)
		if (!strcmp(slash + 1, others[i]))
			return others[i];
	return NULL;
}

/* One without arguments is somebody's own. */
void cli_shell_note(struct cli *cli, const struct cli_target *t)
{
	struct cli_shell s = { .pid = t->pid };
	exe_of(t->pid, s.exe, sizeof(s.exe));
	s.kind = kind_of(s.exe);
	if (cli->shell || !s.kind)
		return;
	procs_command(t->pid, s.line, sizeof(s.line));
	procs_plain(s.line);
	if (strchr(s.line, ' ') && (cli->shell = malloc(sizeof(s))))
		*cli->shell = s;
}

/* The first child, or it itself, once that has another program; where that is of the same sort, what comes next. */
void cli_shell_look(struct cli *cli)
{
	struct cli_shell *s = cli->shell;
	char path[80], text[64], exe[256];
	if (!s || (*s->ran && !kind_of(s->ran)))
		return;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	exe_of(isdigit((unsigned char)*text) ? atoi(text) : s->pid, exe, sizeof(exe));
	if (*exe && strcmp(exe, s->exe))
		memcpy(s->ran, exe, sizeof(s->ran));
}

void cli_shell_say(const struct cli *cli)
{
	const struct cli_shell *s = cli->shell;
	if (!s || cli->args.opts.followfork || cli_is_dtrace() || cli_testing())
		return;
	cli_hint("process %d is %s, \"%s\": what it runs%s%s%s is another program, which -x followfork -x zdefs traces, too", (int)s->pid,
		 s->kind, s->line, *s->ran ? " (" : "", s->ran, *s->ran ? ")" : "");
}
