/* SPDX-License-Identifier: MIT */
/*
 * The last resort for places without room for a jump: uprobes of the kernel (ADR 14).
 *
 * Those need a session whose memory is the kernel's, which is smaller and there in full.  Nobody pays for that who has
 * no such place: a script is armed as ever, and where places are refused that could be uprobes, before it has begun, the
 * session is made again.
 */
#include "cli/cli_int.h"

#include "host/host.h"
#include "kern/kern.h"

#include <unistd.h>

#define PLACES_MOST 250000u /* the kernel's memory has room for some more */
#define LONG_NS 1000000000ull /* who waits for that does not want to wait twice, and his process may be short-lived */
#define THREADS_MOST 120u /* of all targets: the kernel's memory is there in full for each of twice as many */

const char *cli_resort_why(const struct cli *cli)
{
	struct err e;
	if (cli->args.opts.backend == CLI_BACKEND_JUMP)
		return "-x backend=jump wants nothing else";
	if (cli->args.opts.budget)
		return "with -x budget there are no uprobes of the kernel";
	if (!kern_may_trace(&e))
		return geteuid() ? "root would have uprobes of the kernel there" :
		       "uprobes of the kernel, which could be there, need CAP_BPF and CAP_PERFMON, and these are missing here";
	if (cli->has_kernel)
		return "the kernel cannot have them either";
	if (!cli->may_restart || cli_targets_spawned(cli) || cli->exe || cli->args.record || cli->args.opts.followfork)
		return "-x backend=auto makes such places uprobes of the kernel";
	if (!cli->resorts && host_now_ns() - cli->arm_ns > LONG_NS)
		return "-x backend=auto makes such places uprobes of the kernel, which takes as long once more";
	return cli_thread_cnt(cli) > THREADS_MOST ? "-x backend=auto makes such places uprobes of the kernel, for at most 120 threads" : NULL;
}

bool cli_resort(struct cli *cli, uint32_t places)
{
	if (cli->resorts || cli_loop_interrupted() || places > PLACES_MOST || host_now_ns() - cli->arm_ns > LONG_NS || cli_resort_why(cli))
		return false;
	cli->resorts = true;
	cli->restart = true;
	return true;
}
