/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <stdlib.h>

struct refusals {
	struct cli *cli;
	uint32_t cnt;
};
#define REFUSALS_SHOWN 20

static void refused(void *arg, const struct probe *p, uint64_t addr, const char *why)
{
	struct refusals *r = arg;
	if (++r->cnt > REFUSALS_SHOWN && !r->cli->args.verbose)
		return;
	cli_error("%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
		  (unsigned long long)addr, why);
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
		cli_error("could not enable tracing: %s", e.msg);
		return CLI_ERROR;
	}
	if (r.cnt > REFUSALS_SHOWN && !cli->args.verbose)
		cli_error("%u more places are not traced; -v names them", r.cnt - REFUSALS_SHOWN);
	if (cli->args.verbose)
		cli_error("%u probes armed at %u places", n, sites);
	return CLI_OK;
}
