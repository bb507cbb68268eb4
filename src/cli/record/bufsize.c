/* SPDX-License-Identifier: MIT */
/* The size of a thread's buffer where nobody says one: what writes millions of records a second is not to lose them while the reader waits
 * for a processor, and what could be recorded with a script's size still can. */
#include "cli/record/record_int.h"

#include <errno.h>
#include <sys/resource.h>

#define BUFSIZE_MOST (16ull << 20)
#define BUFSIZE_SCRIPTS (4ull << 20) /* what scripts have */
#define BUFSIZE_LEAST (1ull << 20)
#define BUFSIZE_ALL (512ull << 20)   /* of all threads that there are */
#define THREADS_OF_A_COMMAND 32u     /* as many may come */

/* Of addresses that a process may have, half: there is room for as many threads as -x threads says, whoever uses it. */
static uint64_t space_of(pid_t pid)
{
	struct rlimit l;
	return prlimit(pid, RLIMIT_AS, NULL, &l) || l.rlim_cur == RLIM_INFINITY ? UINT64_MAX : l.rlim_cur / 2;
}

static uint64_t least_space(const struct cli *cli)
{
	uint64_t least = space_of(0);
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		uint64_t space = space_of(cli->targets[i].pid);
		least = space < least ? space : least;
	}
	return least;
}

/* What the kernel shares has sizes of its own. */
void cli_record_choose_bufsize(struct cli *cli)
{
	struct cli_options *o = &cli->args.opts;
	uint64_t bytes = BUFSIZE_MOST, threads = cli_thread_cnt(cli) + cli->args.command_cnt * THREADS_OF_A_COMMAND;
	uint64_t all = BUFSIZE_ALL / (threads ? threads : 1), each = least_space(cli) / (o->threads ? o->threads : 1);
	if (o->bufsize != RECORD_BUFSIZE_ANY)
		return;
	while (bytes > BUFSIZE_SCRIPTS && (cli->args.record->has_kernel || bytes > all || bytes > each))
		bytes /= 2;
	o->bufsize = bytes;
	cli->args.record->may_lower = true;
}

/* What was started stands in the middle of its start, which is not had twice. */
bool cli_record_lower_bufsize(struct cli *cli, int rc)
{
	struct cli_record *r = cli->args.record;
	if ((rc != -ENOMEM && rc != -EAGAIN) || !r || !r->may_lower || !cli->may_restart || cli_targets_spawned(cli))
		return false;
	if (cli->args.opts.bufsize <= BUFSIZE_LEAST)
		return false;
	cli->args.opts.bufsize /= 2;
	cli->restart = true;
	return true;
}
