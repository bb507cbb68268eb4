/* SPDX-License-Identifier: MIT */
/* -l: what there is, without arming it. */
#include "cli/cli_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void list_head(FILE *fp)
{
	fprintf(fp, "%5s %10s %17s %33s %s\n", "ID", "PROVIDER", "MODULE", "FUNCTION", "NAME");
}

/* dtrace says what the columns are before it knows whether there will be any. */
static bool is_head_first(void) { return cli_is_dtrace() || cli_testing(); }

static void list_probe(struct cli *cli, const struct probe *p)
{
	fprintf(cli->out, "%5u %10s %17s %33s %s\n", p->id, p->prov, p->mod, p->func, p->name);
	if (cli->args.verbose)
		cli_report_probe(cli, p);
}

static void list_found(struct cli *cli, uint32_t *found, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		list_probe(cli, probe_at(cli->aim.table, found[i]));
	free(found);
}

/* Every description for itself, in the order of the script. */
static int list_matches(struct cli *cli)
{
	int rc = CLI_OK;
	bool any = !cli->match_cnt, has_head = is_head_first();
	if (has_head)
		list_head(cli->out);
	for (uint32_t i = 0; i < cli->match_cnt && !rc; i++) {
		const struct cli_match *m = &cli->matches[i];
		const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
		uint32_t *found = NULL, cnt = 0;
		rc = cli_match_probes(cli, i, &found, &cnt) ? CLI_ERROR : CLI_OK;
		if (!rc && !cnt) {
			char why[ERR_MSG_MAX] = "";
			cli_error("failed to match %s:%s:%s:%s: No probe matches description", d->prov, d->mod, d->func,
				  d->name);
			if (!d->id)
				cli_match_why(cli, i, why, sizeof(why));
			if (*why)
				cli_hint("%s", why);
		}
		if (cnt && !has_head)
			list_head(cli->out);
		has_head |= cnt > 0;
		list_found(cli, found, cnt);
		any |= cnt > 0;
	}
	/* dtrace says so, and has status 0. */
	return rc || any || cli_is_dtrace() ? rc : CLI_ERROR;
}

static int list_all(struct cli *cli)
{
	struct probe_spec any = { "", "", "", "" };
	uint32_t *found = NULL, cnt = 0;
	struct err e;
	cli->aim.table = probe_table_create();
	if (!cli->aim.table || probe_match(cli->aim.table, &any, NULL, NULL, 0, &found, &cnt, &e) < 0)
		return CLI_ERROR;
	list_head(cli->out);
	list_found(cli, found, cnt);
	return CLI_OK;
}

/* A number that no probe has is a mistake in the script; a name, only a name. */
static int check_ids(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->match_cnt; i++) {
		const struct cli_match *m = &cli->matches[i];
		if (cli->prog.plan.clauses[m->clause].descs[m->desc].id && !m->cnt)
			return cli_match_complain(cli, true) ? CLI_ERROR : CLI_OK;
	}
	return CLI_OK;
}

int cli_verb_list(struct cli *cli)
{
	if (cli_targets_open(cli))
		return CLI_ERROR;
	if (!cli->args.src_cnt)
		return list_all(cli);
	if (cli_compile(cli) || cli_targets_add_named(cli) || cli_targets_look(cli) || cli_match_all(cli) ||
	    check_ids(cli))
		return CLI_ERROR;
	return list_matches(cli);
}
