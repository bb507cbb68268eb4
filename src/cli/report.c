/* SPDX-License-Identifier: MIT */
/* -v: stability of programs and of probes, in dtrace's form. */
#include "cli/cli_int.h"

static void attributes(FILE *fp, const char *title, const struct d_stability *s)
{
	fprintf(fp, "\n\t%s Attributes\n\t\tIdentifier Names: %s\n\t\tData Semantics:   %s\n\t\tDependency Class: %s\n",
		title, d_stability_name(s->name), d_stability_name(s->data), d_stability_class(s->dep));
}

static void report_desc(FILE *fp, const struct plan_probe_desc *d)
{
	struct d_stability desc, args;
	d_stability_probe(d, &desc, &args);
	attributes(fp, "Probe Description", &desc);
	attributes(fp, "Argument", &args);
}

void cli_report_probe(struct cli *cli, const struct probe *p)
{
	const struct plan_probe_desc d = { .prov = (char *)p->prov, .mod = (char *)p->mod, .func = (char *)p->func,
					   .name = (char *)p->name };
	report_desc(cli->out, &d);
	cli_types_args(cli, p, cli->out);
}

/* Of a source that is only looked at (-e): what its descriptions say, by an example. */
static void report_matches(struct cli *cli, uint32_t src)
{
	for (uint32_t i = 0; i < cli->match_cnt; i++) {
		const struct cli_match *m = &cli->matches[i];
		const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
		if (m->src != src || d->id)
			continue;
		fprintf(cli->out, "\n%s:%s:%s:%s\n", d->prov, d->mod, d->func, d->name);
		report_desc(cli->out, d);
		const struct probe *p = cli_match_first(cli, i);
		if (p)
			cli_types_args(cli, p, cli->out);
		else
			fprintf(cli->out, "\n\tArgument Types\n\t\tNone\n\n");
	}
}

void cli_report_source(struct cli *cli, uint32_t src)
{
	const struct cli_source *s = &cli->args.srcs[src];
	struct d_stability desc, stmt;
	d_stability(cli->d, src, &desc, &stmt);
	fprintf(cli->out, "\nStability attributes for %s %s:\n", s->kind == D_SRC_PROGRAM ? "script" : "description", s->name);
	attributes(cli->out, "Minimum Probe Description", &desc);
	attributes(cli->out, "Minimum Statement", &stmt);
	if (cli->args.compile_only)
		report_matches(cli, src);
	else
		putc('\n', cli->out);
}
