/* SPDX-License-Identifier: MIT */
/*
 * vforks N: N children of vfork() that call who('c') in their parent's memory; the parent calls who('p') before, between
 * and behind, and starts as many with posix_spawn(), whose children only exec.  hand_on() leaves by a tail call.
 */
#define NOINLINE __attribute__((noipa))

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static NOINLINE int who(int which)
{
	__asm__ volatile("" : : "r"(which) : "memory");
	return which + 1;
}

static NOINLINE int hand_on(int which) { return who(which); }

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	char *args[] = { argv[0], "0", NULL };
	pid_t pid;
	hand_on('p');
	for (int i = 0; i < n; i++) {
		pid = vfork();
		if (!pid) {
			who('c');
			execv(argv[0], args);
			_exit(1);
		}
		who('p');
		waitpid(pid, NULL, 0);
		if (!posix_spawn(&pid, argv[0], NULL, NULL, args, environ))
			waitpid(pid, NULL, 0);
		who('p');
	}
	return 0;
}
