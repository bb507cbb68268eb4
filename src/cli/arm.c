/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <stdlib.h>
#include <string.h>

struct refusals {
	struct cli *cli;
	uint32_t cnt, no_return_cnt;
};
#define REFUSALS_SHOWN 20

/* By a description, without globs. */
static bool is_named(const struct cli *cli, const struct probe *p)
{
	for (uint32_t i = 0; i < cli->match_cnt; i++)
		if (!strcmp(cli->prog.plan.clauses[cli->matches[i].clause].descs[cli->matches[i].desc].func, p->func))
			return true;
	return false;
}

static void refused(void *arg, const struct session_refusal *why)
{
	struct refusals *r = arg;
	const struct probe *p = why->probe;
	/* Nothing is lost where nothing returns: who asks for one such function gets to know, who asks for all does not. */
	bool shown = why->has_no_return ? !r->no_return_cnt++ && is_named(r->cli, p) : r->cnt++ < REFUSALS_SHOWN;
	if (shown || r->cli->args.verbose)
		cli_error("%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
			  (unsigned long long)why->addr, why->why);
}

static void count_refusals(const struct refusals *r)
{
	if (r->cnt > REFUSALS_SHOWN)
		cli_error("%u more places are not traced; -v names them", r->cnt - REFUSALS_SHOWN);
}

static uint32_t collect(struct cli *cli, struct session_probe *v)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cli->probe_cnt; i++) {
		struct cli_probe *p = &cli->probes[i];
		if (p->armed || !p->prog_cnt)
			continue;
		p->armed = true;
		v[n++] = (struct session_probe){ .probe = probe_at(cli->table, i), .proc = p->proc, .progs = p->progs,
						 .prog_cnt = p->prog_cnt };
	}
	return n;
}

/* Arms what was matched and is not armed yet. CLI_OK or CLI_ERROR. */
int cli_arm_new(struct cli *cli)
{
	struct session_probe *v = calloc(cli->probe_cnt + 1ul, sizeof(*v));
	struct refusals r = { .cli = cli };
	uint32_t sites = 0;
	struct err e;
	if (!v) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	uint32_t n = collect(cli, v);
	/* Also where there is nothing yet: the session then watches for libraries. */
	int rc = session_arm(cli->session, v, n, refused, &r, &sites, &e);
	free(v);
	if (rc < 0 && cli_should_restart(cli))
		return CLI_ERROR;
	if (rc < 0) {
		cli_kernel_refused(cli, e.msg);
		return CLI_ERROR;
	}
	if (!cli->args.verbose)
		count_refusals(&r);
	if (n && !sites && !cli->armed_cnt && r.cnt + r.no_return_cnt) {
		cli_error("none of the probes can be placed; explain shows why, and the offsets of other places (-l with an empty name)");
		return CLI_ERROR;
	}
	cli->armed_cnt += sites;
	if (cli->args.verbose)
		cli_error("%u probes armed at %u places", n, sites);
	return CLI_OK;
}
