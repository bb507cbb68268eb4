/* SPDX-License-Identifier: MIT */
/*
 * Programs of tracepoints.  All texts are compiled together, each as a source with one clause, in the order in which they
 * came; what was there before must come out as it was, because it runs.
 */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int push_source(struct cli *cli, char *text)
{
	struct cli_args *a = &cli->args;
	struct cli_source *s = realloc(a->srcs, (a->src_cnt + 1ul) * sizeof(*s));
	if (!s)
		return -ENOMEM;
	a->srcs = s;
	s[a->src_cnt] = (struct cli_source){ .kind = D_SRC_NAME, .arg = strdup(text), .name = strdup(text), .text = text };
	if (!s[a->src_cnt].arg || !s[a->src_cnt].name) {
		free(s[a->src_cnt].arg);
		free(s[a->src_cnt].name);
		return -ENOMEM;
	}
	a->src_cnt++;
	return 0;
}

static void pop_source(struct cli *cli)
{
	struct cli_source *s = &cli->args.srcs[--cli->args.src_cnt];
	free(s->arg);
	free(s->name);
	free(s->text);
}

static const char *not_allowed(const struct d_program *p)
{
	const struct plan_clause *c = &p->plan.clauses[p->plan.clause_cnt - 1];
	if (p->plan.destructive)
		return "destructive actions are not allowed in tracepoints";
	for (uint32_t i = 0; i < c->act_cnt; i++)
		if (c->acts[i].kind == PLAN_EXIT)
			return "exit() would end all tracepoints of the process; rm removes one";
	return NULL;
}

static int accept(struct keeper *k, const struct d_program *old, struct err *reterr)
{
	struct cli *cli = &k->cli;
	const char *why = cli->prog.plan.clause_cnt != cli->args.src_cnt ? "it is more than one clause" : not_allowed(&cli->prog);
	if (why)
		return err_setf(reterr, -EINVAL, "%s", why);
	if (!ir_image_continues(&old->image, &cli->prog.image))
		return err_setf(reterr, -EBUSY, "the clause would change others that run (more this-> variables, or an aggregation with "
				"other keys): remove them first, or use other names");
	int r = k->far ? keeper_far_grow(k, reterr) : session_grow(cli->session, &cli->prog.image, reterr);
	return r ? r : consume_grow(cli->consume, &cli->prog.plan, &cli->prog.image, reterr);
}

static int cannot_compile(const struct cli *cli, struct err *reterr)
{
	bool taken = false;
	for (uint32_t i = 0; cli->d && i < d_diag_cnt(cli->d); i++)
		taken |= !strcmp(d_diag_at(cli->d, i)->tag, "D_AGG_REDEF") || !strcmp(d_diag_at(cli->d, i)->tag, "D_PROTO_LEN");
	return err_setf(reterr, -EINVAL, "the clause cannot be compiled%s", taken && cli->args.src_cnt > 1 ?
			": it shares its names with the other clauses of the process (list-tracepoints shows them); use another, such as @other" : "");
}

static int compile(struct keeper *k, struct err *reterr)
{
	struct cli *cli = &k->cli;
	struct d_program old = cli->prog;
	d_destroy(cli->d);
	cli->d = NULL;
	cli->prog = (struct d_program){ 0 };
	int r = cli_compile(cli) ? cannot_compile(cli, reterr) : accept(k, &old, reterr);
	cli_types_close(cli);
	if (r) {
		d_program_deinit(&cli->prog);
		cli->prog = old;
	} else {
		d_program_deinit(&old);
	}
	return r;
}

int keeper_clause(struct keeper *k, char *text, uint32_t *ret, struct err *reterr)
{
	struct cli *cli = &k->cli;
	for (uint32_t i = 0; i < cli->args.src_cnt; i++)
		if (!strcmp(cli->args.srcs[i].text, text)) {
			*ret = i;
			free(text);
			return 0;
		}
	if (push_source(cli, text)) {
		free(text);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	int r = compile(k, reterr);
	if (r)
		pop_source(cli);
	else
		*ret = cli->args.src_cnt - 1;
	return r;
}

void keeper_image_reset(struct keeper *k)
{
	struct cli *cli = &k->cli;
	while (cli->args.src_cnt)
		pop_source(cli);
	d_program_deinit(&cli->prog);
	d_destroy(cli->d);
	cli->d = NULL;
}
