/* SPDX-License-Identifier: MIT */
/* record --follow: what is recorded is printed meanwhile, by a process of its own that reads the trace (`dump --follow`): so
 * who reads slowly holds nothing up. */
#include "cli/record/record_int.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int cli_record_live(struct cli_record *r)
{
	if (!r->follow)
		return CLI_OK;
	fflush(stdout);
	r->follower = fork();
	if (r->follower < 0) {
		cli_error("cannot start what prints events: %s", strerror(errno));
		return CLI_ERROR;
	}
	if (r->follower)
		return CLI_OK;
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* It ends when the recording does, which a terminal's Ctrl-C is for. */
	signal(SIGINT, SIG_IGN);
	execl("/proc/self/exe", cli_name, "dump", "--follow", r->dir, NULL);
	_exit(127);
}

void cli_record_live_end(struct cli_record *r)
{
	while (r->follower > 0 && waitpid(r->follower, NULL, 0) < 0 && errno == EINTR)
		;
	r->follower = 0;
}
