/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

static void say(void *arg, const char *text)
{
	(void)arg;
	cli_error("%s", text);
}

/* Arms what was matched and is not armed yet. CLI_OK or CLI_ERROR. */
int cli_arm_new(struct cli *cli)
{
	const struct aim_arming how = { .say = say, .verbose = cli->args.verbose,
					.may_uprobe = cli->args.opts.backend == CLI_BACKEND_AUTO };
	struct err e;
	int rc = aim_arm(&cli->aim, cli->session, &how, &e);
	if (rc > 0)
		cli_error("%s", e.msg);
	else if (rc < 0 && !cli_should_restart(cli))
		cli_kernel_refused(cli, e.msg);
	return rc ? CLI_ERROR : CLI_OK;
}
