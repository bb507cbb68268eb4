/* SPDX-License-Identifier: MIT */
/* -l and explain: what there is, without arming it. */
#include "cli/cli_int.h"

#include <stdlib.h>
#include <string.h>

static void list_head(FILE *fp)
{
	fprintf(fp, "%5s %10s %17s %33s %s\n", "ID", "PROVIDER", "MODULE", "FUNCTION", "NAME");
}

static void list_probe(struct cli *cli, const struct probe *p)
{
	FILE *fp = cli->out;
	fprintf(fp, "%5u %10s %17s %33s %s\n", p->id, p->prov, p->mod, p->func, p->name);
	if (cli->args.verbose)
		cli_types_args(cli, p, fp);
}

static void list_matches(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->probe_cnt; i++)
		if (cli->probes[i].prog_cnt)
			list_probe(cli, probe_at(cli->table, i));
	for (uint32_t i = 0; i < cli->match_cnt; i++) {
		const struct cli_match *m = &cli->matches[i];
		const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
		if (!m->cnt)
			cli_error("failed to match %s:%s:%s:%s: No probe matches description", d->prov, d->mod, d->func,
				  d->name);
	}
}

static int list_all(struct cli *cli)
{
	struct probe_spec any = { "", "", "", "" };
	uint32_t *found = NULL, cnt = 0;
	struct err e;
	cli->table = probe_table_create();
	if (!cli->table || probe_match(cli->table, &any, NULL, NULL, 0, &found, &cnt, &e) < 0)
		return CLI_ERROR;
	for (uint32_t i = 0; i < cnt; i++)
		list_probe(cli, probe_at(cli->table, found[i]));
	free(found);
	return CLI_OK;
}

int cli_verb_list(struct cli *cli)
{
	if (cli_targets_open(cli))
		return CLI_ERROR;
	if (!cli->args.src_cnt) {
		list_head(cli->out);
		return list_all(cli);
	}
	if (cli_compile(cli) || cli_targets_add_named(cli) || cli_targets_attach(cli) || cli_match_all(cli))
		return CLI_ERROR;
	list_head(cli->out);
	list_matches(cli);
	return CLI_OK;
}

static int explain_probes(struct cli *cli)
{
	struct err e;
	for (uint32_t i = 0; i < cli->probe_cnt; i++) {
		const struct probe *p = probe_at(cli->table, i);
		if (!cli->probes[i].prog_cnt)
			continue;
		if (p->kind == WIRE_SITE_TOOL)
			fprintf(cli->out, "%s:%s:%s:%s\n  fired by the tool itself, in the interpreter\n", p->prov, p->mod,
				p->func, p->name);
		else if (session_explain(cli->session, cli->probes[i].proc, p, cli->out, &e) < 0)
			cli_error("%s:%s:%s:%s: %s", p->prov, p->mod, p->func, p->name, e.msg);
	}
	return CLI_OK;
}

int cli_verb_explain(struct cli *cli)
{
	struct err e;
	if (!cli->args.src_cnt) {
		cli_error("explain needs probes: -n or -s");
		return CLI_USAGE;
	}
	if (cli_targets_open(cli) || cli_compile(cli) || cli_targets_add_named(cli))
		return CLI_ERROR;
	if (session_create(&cli->prog.image, &(struct session_opts){ 0 }, &cli->session, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (cli_targets_attach(cli) || cli_match_all(cli))
		return CLI_ERROR;
	if (!cli->args.opts.zdefs && cli_match_complain(cli, true))
		return CLI_ERROR;
	return explain_probes(cli);
}
