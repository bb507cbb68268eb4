/* SPDX-License-Identifier: MIT */
/* What would have lost less: said at the end, behind what was lost. */
#include "cli/cli_int.h"

/* A budget samples what runs in processes, and only if a clause does nothing but aggregate and record. */
static bool may_sample(const struct cli *cli)
{
	return cli->session && !cli->has_kernel && cli->target_cnt && !cli->args.opts.budget && !cli_bufpolicy(cli);
}

static void advise_records(const struct cli *cli)
{
	char more[CLI_SIZE_MAX];
	cli_hint("a buffer was full: -x bufsize=%s loses less, and so do fewer probes%s%s", cli_size_text(cli->args.opts.bufsize * 4, more),
		 cli->args.record ? "" : ", a predicate", may_sample(cli) ? ", or -x budget=5%, which samples what is hot" : "");
}

static void advise(const struct cli *cli, enum consume_room room, const char *what, const char *option, uint64_t size)
{
	char more[CLI_SIZE_MAX];
	if (consume_lacked(cli->consume, room))
		cli_hint("%s: -x %s=%s loses less", what, option, cli_size_text(size * 4, more));
}

void cli_losses_advise(const struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	if (cli_is_dtrace())
		return;
	if (consume_lacked(cli->consume, CONSUME_RECORDS))
		advise_records(cli);
	advise(cli, CONSUME_AGGS, "there was no room for more keys of aggregations", "aggsize", o->aggsize);
	advise(cli, CONSUME_DYNS, "there was no room for more variables", "dynvarsize", o->dynvarsize);
	advise(cli, CONSUME_SPECS, "there was no room in speculations", "specsize", o->specsize);
	advise(cli, CONSUME_SPEC_CNT, "all speculations were in use", "nspec", o->nspec);
}
