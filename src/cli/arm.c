/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include "host/host.h"

static void say(void *arg, const char *text)
{
	(void)arg;
	cli_error("%s", text);
}

static bool again(void *arg, uint32_t places)
{
	return cli_resort(arg, places);
}

static const char *why_not(void *arg)
{
	return cli_resort_why(arg);
}

/* Arms what was matched and is not armed yet. CLI_OK or CLI_ERROR. */
int cli_arm_new(struct cli *cli)
{
	const struct aim_arming how = { .say = say, .verbose = cli->args.verbose,
					.arg = cli, .again = again, .why_not = why_not,
					.may_uprobe = cli->has_kernel && cli->args.opts.backend != CLI_BACKEND_JUMP };
	struct err e;
	cli->arm_ns = host_now_ns();
	int rc = aim_arm(&cli->aim, cli->session, &how, &e);
	if (rc == AIM_NOTHING)
		cli_error("%s", e.msg);
	else if (rc < 0 && !cli_should_restart(cli))
		cli_kernel_refused(cli, e.msg);
	return rc ? CLI_ERROR : CLI_OK;
}
