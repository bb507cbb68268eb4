/* SPDX-License-Identifier: MIT */
/* Scripts with probes of the kernel: whether there are any, and whether we may. */
#include "cli/cli_int.h"

#include "kern/kern.h"

#include <stdlib.h>

static bool has_addresses(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		if (plan->clauses[i].pid_off != WIRE_NONE)
			return true;
	for (uint32_t i = 0; i < plan->agg_cnt; i++)
		if (plan->aggs[i].pid_off != WIRE_NONE)
			return true;
	return false;
}

struct session_desc *cli_descs(const struct cli *cli, uint32_t *ret_cnt)
{
	const struct plan *plan = &cli->prog.plan;
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		cnt += plan->clauses[i].desc_cnt;
	struct session_desc *v = calloc(cnt + 1ul, sizeof(*v));
	*ret_cnt = 0;
	for (uint32_t i = 0; v && i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++) {
			const struct plan_probe_desc *d = &plan->clauses[i].descs[k];
			v[(*ret_cnt)++] = (struct session_desc){ .clause = i, .id = d->id, .spec = {
				d->prov ? d->prov : "", d->mod ? d->mod : "", d->func ? d->func : "", d->name ? d->name : "" } };
		}
	return v;
}

bool cli_has_addresses(const struct cli *cli) { return has_addresses(&cli->prog.plan); }

int cli_kernel_look(struct cli *cli)
{
	struct session_worlds w;
	struct err e = { 0 };
	uint32_t cnt;
	struct session_desc *descs = cli_descs(cli, &cnt);
	if (!descs) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	session_worlds_of(descs, cnt, &w);
	free(descs);
	cli->has_kernel |= w.kernel || cli->args.script; /* profile-N of our own would sample ourselves alone */
	cli->has_user |= w.user;
	cli->functions += w.functions;
	bool may_resort = cli->args.opts.backend == CLI_BACKEND_AUTO && kern_may_trace(&e);
	if (cli->has_user && (cli->args.opts.backend == CLI_BACKEND_UPROBE || may_resort || cli->resorts))
		cli->has_kernel = true;
	cli->uprobes = cli->has_user && cli->args.opts.backend == CLI_BACKEND_UPROBE;
	if (cli->args.opts.followfork && cli->has_user && (cli->uprobes || may_resort))
		cli_error("places that are uprobes of the kernel fire in the processes named and in programs that their children run, not "
			  "in forked children (-x backend)");
	/* Who starts a program and wants names for its addresses has to hear of its libraries before it is gone. */
	cli->watches = cli->has_kernel && !cli->has_user && !(cli->args.command_cnt && cli_has_addresses(cli));
	if (!cli->has_kernel || kern_may_trace(&e))
		return CLI_OK;
	cli_error("could not enable tracing: %s", e.msg);
	return CLI_ERROR;
}

/* As a mistake in the script: what the kernel cannot do is at some place in it. */
void cli_kernel_refused(struct cli *cli, const char *why)
{
	uint32_t clause = session_failed_clause(cli->session);
	if (clause >= cli->prog.plan.clause_cnt || !cli->prog.plan.clauses[clause].desc_cnt) {
		cli_error("could not enable tracing: %s", why);
		return;
	}
	const struct plan_probe_desc *d = &cli->prog.plan.clauses[clause].descs[0];
	const struct cli_source *s = &cli->args.srcs[d->src];
	if (s->kind == D_SRC_PROGRAM)
		cli_error("could not enable tracing: %s, line %u: %s", s->arg, d->line, why);
	else
		cli_error("could not enable tracing: %s: %s", s->arg, why);
}
