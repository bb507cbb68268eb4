/* SPDX-License-Identifier: MIT */
/* For test programs: start a small target and wait until it says that it is ready. */
#ifndef TESTS_TRIGGER_TARGET_H
#define TESTS_TRIGGER_TARGET_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct target {
	pid_t pid;
	int out; /* its standard output */
	int in;  /* its standard input */
};

/* Reads one line of its output; false at the end. */
static inline bool target_line(struct target *t, char *buf, size_t cap)
{
	size_t n = 0;
	while (n < cap - 1 && read(t->out, buf + n, 1) == 1 && buf[n] != '\n')
		n++;
	buf[n] = 0;
	return n > 0;
}

static inline bool target_start(struct target *t, char *const argv[])
{
	int p[2], q[2];
	char line[64];
	*t = (struct target){ .out = -1, .in = -1 };
	if (pipe2(p, O_CLOEXEC) || pipe2(q, O_CLOEXEC))
		return false;
	t->pid = fork();
	if (!t->pid) {
		dup2(p[1], 1);
		dup2(q[0], 0);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(p[1]);
	close(q[0]);
	t->out = p[0];
	t->in = q[1];
	return t->pid > 0 && target_line(t, line, sizeof(line));
}

/* Writes a line to it and waits for its answer. */
static inline bool target_tell(struct target *t, const char *what, char *answer, size_t cap)
{
	char line[512];
	snprintf(line, sizeof(line), "%s\n", what);
	return write(t->in, line, strlen(line)) == (ssize_t)strlen(line) && target_line(t, answer, cap);
}

static inline int target_wait(struct target *t)
{
	int status = 0;
	close(t->in);
	waitpid(t->pid, &status, 0);
	close(t->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Its exit status after SIGTERM; -signal if one killed it. */
static inline int target_end(struct target *t)
{
	int status = 0;
	kill(t->pid, SIGTERM);
	waitpid(t->pid, &status, 0);
	close(t->in);
	close(t->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* -1 once it has ended. */
static inline char target_state(const struct target *t)
{
	char path[64], buf[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)t->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return -1;
	close(fd);
	char *q = strrchr(buf, ')');
	return q ? q[2] : -1;
}

#endif
