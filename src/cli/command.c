/* SPDX-License-Identifier: MIT */
/*
 * Commands of system(), where a script asks for probes of whatever process it may be ("python*:::") and names none: what
 * it starts itself is traced from its start, children included.
 */
#include "cli/cli_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_WAIT_NS 50000000

bool cli_commands_traced(const struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	if (cli->args.command_cnt + cli->args.pid_cnt || !plan->destructive)
		return false;
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++) {
			const char *prov = plan->clauses[i].descs[k].prov;
			/* As processes end their names: "pid*", "python*". */
			if (prov && prov[0] && prov[0] != '*' && prov[strlen(prov) - 1] == '*')
				return true;
		}
	return false;
}

static int start(struct cli *cli, const char *cmd, uint32_t *ret_proc)
{
	char *argv[] = { "/bin/sh", "-c", (char *)cmd, NULL };
	struct session_child *child;
	struct err e;
	int rc = session_child_start(argv, &child, &e);
	if (rc < 0)
		return rc;
	pid_t pid = session_child_pid(child);
	rc = session_adopt(cli->session, child, ret_proc, &e);
	if (rc < 0)
		return rc;
	rc = cli_targets_follow(cli, *ret_proc);
	struct cli_target *t = &cli->targets[cli->target_cnt - 1];
	if (!rc) {
		t->spawned = true;
		t->obj = session_obj(cli->session, *ret_proc);
		rc = cli_match_all(cli);
		rc = rc ? rc : cli_arm_new(cli);
	}
	if (session_go(cli->session, &e) < 0)
		cli_error("pid %d: %s", (int)pid, e.msg);
	return rc ? -ECANCELED : 0;
}

static bool is_live(struct cli *cli, uint32_t proc)
{
	const struct cli_target *t = cli_target_by_proc(cli, proc);
	return t && !t->gone;
}

int cli_command_run(void *arg, const char *cmd)
{
	struct cli *cli = arg;
	uint32_t command, proc;
	int rc = start(cli, cmd, &command), status;
	while (!rc && is_live(cli, command) && !cli_loop_interrupted()) {
		enum session_event ev = session_wait(cli->session, COMMAND_WAIT_NS, &proc, &status);
		rc = cli_loop_handle(cli, ev, proc, status) ? -ECANCELED : 0;
	}
	return rc;
}
