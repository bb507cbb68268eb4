/* SPDX-License-Identifier: MIT */
/* -x budget: what is said of it, before and behind. */
#include "cli/cli_int.h"

#define SHOWN 8u /* places */

/* Whose programs cannot be sampled at all does not wait for the end to get to know that. */
void cli_budget_armed(struct cli *cli)
{
	if (!cli->session || !cli->args.opts.budget || cli->budget_told)
		return;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].starting)
			return;
	cli->budget_told = session_budget_report(cli->session, NULL, 0).is_vain;
	if (cli->budget_told)
		cli_hint("nothing can be sampled, since all clauses change variables, or do more than aggregate and record: where they are "
			 "hot, -x budget=%u%% is not kept", (unsigned)cli->args.opts.budget);
}

void cli_budget_end(struct cli *cli)
{
	struct session_sampled found[SHOWN];
	struct session_budget b = { 0 };
	if (cli->session && cli->args.opts.budget)
		b = session_budget_report(cli->session, found, SHOWN);
	for (uint32_t i = 0; i < b.cnt && i < SHOWN; i++)
		cli_hint("%s was sampled, at most 1 hit of %u, as -x budget=%u%% asks: what it aggregates is scaled, its records are not all there",
			 found[i].place, found[i].weight, (unsigned)cli->args.opts.budget);
	if (b.cnt > SHOWN)
		cli_hint("so were %u other places", b.cnt - SHOWN);
	if (b.keeps_variables)
		cli_hint("the budget was not kept: clauses that change variables, or anything but aggregations and records, are not sampled");
	if (b.too_hot)
		cli_hint("the budget was not kept: functions are called so often that probes which are off take more");
}
