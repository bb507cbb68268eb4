/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <stdlib.h>

struct refusals {
	struct cli *cli;
	uint32_t cnt, no_return_cnt;
	struct session_refusal no_return; /* the first */
};
#define REFUSALS_SHOWN 20

static void show_refusal(const struct session_refusal *why)
{
	const struct probe *p = why->probe;
	cli_error("%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
		  (unsigned long long)why->addr, why->why);
}

static void refused(void *arg, const struct session_refusal *why)
{
	struct refusals *r = arg;
	if (r->cli->args.verbose || (!why->has_no_return && r->cnt < REFUSALS_SHOWN))
		show_refusal(why);
	else if (why->has_no_return && !r->no_return_cnt)
		r->no_return = *why;
	r->cnt += !why->has_no_return;
	r->no_return_cnt += why->has_no_return;
}

static void count_refusals(const struct refusals *r)
{
	if (r->cnt > REFUSALS_SHOWN)
		cli_error("%u more places are not traced; -v names them", r->cnt - REFUSALS_SHOWN);
	/* Who asks for one gets to know; who asks for many misses no event. */
	if (r->no_return_cnt == 1 && !r->cli->args.verbose)
		show_refusal(&r->no_return);
	else if (r->no_return_cnt && !r->cli->args.verbose && !r->cli->args.opts.quiet)
		cli_error("%u functions have no return instruction; -v names them", r->no_return_cnt);
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
