/* SPDX-License-Identifier: MIT */
/* explain: how each probe would be placed. */
#include "cli/cli_int.h"

static int explain_probes(struct cli *cli)
{
	struct err e;
	for (uint32_t i = 0; i < cli->aim.probe_cnt; i++) {
		const struct probe *p = probe_at(cli->aim.table, i);
		if (!cli->aim.probes[i].prog_cnt)
			continue;
		if (p->kind == WIRE_SITE_TOOL)
			fprintf(cli->out, "%s:%s:%s:%s\n  fired by the tool itself, in the interpreter\n", p->prov, p->mod,
				p->func, p->name);
		else if (cli->uprobes && p->kind != WIRE_SITE_KERNEL)
			fprintf(cli->out, "%s:%s:%s:%s\n  a uprobe of the kernel, a trap for each hit: -x backend=uprobe asks for it\n", p->prov, p->mod, p->func,
				p->name);
		else if (session_explain(cli->session, cli->aim.probes[i].proc, p, cli->out, &e) < 0)
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
	if (cli_kernel_look(cli))
		return CLI_ERROR;
	if (session_create(&cli->prog.image, &(struct session_opts){ 0 }, &cli->session, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (cli_targets_look(cli) || cli_match_all(cli))
		return CLI_ERROR;
	if (!cli->args.opts.zdefs && cli_match_complain(cli, true))
		return CLI_ERROR;
	return explain_probes(cli);
}
