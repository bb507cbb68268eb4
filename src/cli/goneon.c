/* SPDX-License-Identifier: MIT */
/*
 * Commands of ours that went on as another program, and are not followed: none of their probes is left, but tracing
 * still ends with them, as if the one program had run all the time.  When it is noticed must not change how a run ends.
 */
#include "cli/cli_int.h"

#include <sys/wait.h>

bool cli_goneon_any(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].gone_on)
			return true;
	return false;
}

/* -1: it runs. */
static int status_of(pid_t pid)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, WNOHANG);
	return got ? got == pid ? status : 0 : -1;
}

void cli_goneon_look(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		int status = t->gone_on ? status_of(t->pid) : -1;
		if (status < 0)
			continue;
		t->gone_on = false;
		cli->live_cnt -= t->awaited;
		cli_goneon_say(t, status);
	}
}
