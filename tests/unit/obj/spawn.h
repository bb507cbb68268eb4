/* SPDX-License-Identifier: MIT */
/* Starts a target that prints "name hex" lines up to "ready" and then waits for the end of its input. */
#ifndef TESTS_OBJ_SPAWN_H
#define TESTS_OBJ_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct spawned {
	pid_t pid;
	int in;
	struct {
		char name[64];
		unsigned long addr;
	} said[64];
	int cnt;
};

static inline bool spawn_read(struct spawned *s, int fd)
{
	char line[256];
	bool ready = false;
	FILE *f = fdopen(fd, "r");
	while (f && !ready && s->cnt < 64 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lx", s->said[s->cnt].name, &s->said[s->cnt].addr) == 2)
			ready = !strcmp(s->said[s->cnt++].name, "ready");
	}
	if (f)
		fclose(f);
	return ready;
}

static inline bool spawn(struct spawned *s, const char *path)
{
	int in[2], out[2];
	*s = (struct spawned){ .in = -1 };
	if (pipe(in) || pipe(out))
		return false;
	s->pid = fork();
	if (!s->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	return spawn_read(s, out[0]);
}

static inline unsigned long spawn_addr(const struct spawned *s, const char *name)
{
	for (int i = 0; i < s->cnt; i++)
		if (!strcmp(s->said[i].name, name))
			return s->said[i].addr;
	return 0;
}

static inline void spawn_end(struct spawned *s)
{
	close(s->in);
	waitpid(s->pid, NULL, 0);
}

#endif
