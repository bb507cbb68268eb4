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

#include <dirent.h>
#include <stdio.h>

#define PLACES_MOST 20000u /* the kernel's memory has room for some more */
#define LONG_NS 1000000000ull /* who waits for that does not want to wait twice, and his process may be short-lived */
#define THREADS_MOST 24u /* of all targets: the kernel's memory has room for 32 */

static uint32_t thread_cnt(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static bool has_self(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->prog.image.prog_cnt; i++)
		if (session_uses_self(&cli->prog.image.progs[i]))
			return true;
	return false;
}

/* What runs for the first time: it stands in the middle of its start when its libraries are known. */
static bool is_spawned(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].spawned)
			return true;
	return false;
}

/* Where goroutines may still be in what the first session made, that stays, and the second finds less room. */
static bool is_go(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct obj_proc *p = cli->targets[i].obj;
		for (uint32_t k = 0; p && k < obj_module_cnt(p); k++)
			if (obj_module_at(p, k)->is_exe && obj_module_is_go(p, obj_module_at(p, k)))
				return true;
	}
	return false;
}

const char *cli_resort_why(const struct cli *cli, uint32_t refused)
{
	struct err e;
	uint32_t threads = 0;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		threads += cli->targets[i].gone ? 0 : thread_cnt(cli->targets[i].pid);
	if (cli->args.opts.backend == CLI_BACKEND_JUMP)
		return "-x backend=jump wants nothing else";
	if (!kern_may_trace(&e))
		return "root would have uprobes of the kernel there";
	if (cli->has_kernel)
		return "the kernel cannot have them either";
	if (has_self(cli))
		return "-x backend=uprobe would place all probes through the kernel; a clause with self-> variables is not split";
	if (!cli->may_restart || is_go(cli) || is_spawned(cli) || cli->exe || cli->args.record || cli->args.opts.followfork)
		return "-x backend=auto makes such places uprobes of the kernel";
	if (!cli->resorts && refused > CLI_RESORT_MAX)
		return "-x backend=auto makes such places uprobes of the kernel, which takes a while for so many";
	if (!cli->resorts && host_now_ns() - cli->arm_ns > LONG_NS)
		return "-x backend=auto makes such places uprobes of the kernel, which takes as long once more";
	return threads > THREADS_MOST ? "-x backend=auto makes such places uprobes of the kernel, for at most 32 threads" : NULL;
}

bool cli_resort(struct cli *cli, uint32_t refused, uint32_t places)
{
	if (cli->resorts || places > PLACES_MOST || host_now_ns() - cli->arm_ns > LONG_NS || cli_resort_why(cli, refused))
		return false;
	cli->resorts = true;
	cli->restart = true;
	return true;
}
