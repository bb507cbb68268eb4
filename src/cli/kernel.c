/* SPDX-License-Identifier: MIT */
/* Scripts with probes of the kernel: whether there are any, and whether we may. */
#include "cli/cli_int.h"

#include "kern/kern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Of a process, as far as its provider tells. */
static bool is_user(const struct plan_probe_desc *d)
{
	size_t len = strlen(d->prov);
	return !strncmp(d->prov, "pid", 3) || (len && isdigit((unsigned char)d->prov[len - 1])) || obj_is_glob(d->prov);
}

/* 0: none; -ENOMEM and the like after a message are left to the real search. */
static uint32_t kernel_probes(struct probe_table *t, const struct probe_spec *s)
{
	uint32_t *found = NULL, cnt = 0, n = 0;
	struct err e;
	if (probe_match(t, s, NULL, NULL, 0, &found, &cnt, &e) < 0)
		return 0;
	for (uint32_t i = 0; i < cnt; i++)
		n += probe_at(t, found[i])->kind == WIRE_SITE_KERNEL;
	free(found);
	return n;
}

static bool id_is_kernel(struct probe_table *t, uint32_t id)
{
	static const struct probe_spec any = { "", "", "", "" };
	kernel_probes(t, &any);
	for (uint32_t i = 0; i < probe_cnt(t); i++)
		if (probe_at(t, i)->id == id)
			return probe_at(t, i)->kind == WIRE_SITE_KERNEL;
	return false;
}

bool cli_uses_self(const struct ir_prog *p)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		const struct ir_insn *in = &p->insns[i];
		if (in->op == IR_OP_LDT || in->op == IR_OP_STT)
			return true;
		if (in->op != IR_OP_CALL)
			continue;
		switch ((enum ir_helper)in->imm) {
		case IR_HELPER_tstr_load: case IR_HELPER_tstr_store:
			return true;
		case IR_HELPER_dyn_load: case IR_HELPER_dyn_store: case IR_HELPER_dyn_str_load: case IR_HELPER_dyn_str_store:
		case IR_HELPER_dyn_mem_load: case IR_HELPER_dyn_mem_store: case IR_HELPER_dyn_clear:
			if (p->args[in->a + 1] & 1)
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

/* A thread's variables are where its clauses run: those of both worlds have to run in one. */
static void look_for_shared(struct cli *cli, struct probe_table *t)
{
	const struct plan *plan = &cli->prog.plan;
	bool user = false, kernel = false;
	for (uint32_t i = 0; i < plan->clause_cnt; i++) {
		bool self = cli_uses_self(&cli->prog.image.progs[i]);
		for (uint32_t k = 0; self && k < plan->clauses[i].desc_cnt; k++) {
			const struct plan_probe_desc *d = &plan->clauses[i].descs[k];
			const struct probe_spec s = { d->prov ? d->prov : "", d->mod ? d->mod : "", d->func ? d->func : "",
						      d->name ? d->name : "" };
			user |= !d->id && is_user(d);
			kernel |= !d->id && probe_may_be_kernel(&s) && kernel_probes(t, &s) > 0;
		}
	}
	cli->shares_self = user && kernel;
}

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

int cli_kernel_look(struct cli *cli)
{
	struct probe_table *t = probe_table_create();
	const struct plan *plan = &cli->prog.plan;
	struct err e = { 0 };
	for (uint32_t i = 0; t && i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++) {
			const struct plan_probe_desc *d = &plan->clauses[i].descs[k];
			const struct probe_spec s = { d->prov ? d->prov : "", d->mod ? d->mod : "", d->func ? d->func : "",
						      d->name ? d->name : "" };
			if (d->id)
				cli->has_kernel |= id_is_kernel(t, d->id);
			else if (probe_may_be_kernel(&s))
				cli->has_kernel |= kernel_probes(t, &s) > 0;
			cli->has_user |= !d->id && is_user(d);
		}
	if (cli->has_user && cli->args.opts.backend >= CLI_BACKEND_AUTO)
		cli->has_kernel = true;
	/* Who starts a program and wants names for its addresses has to hear of its libraries before it is gone. */
	cli->watches = cli->has_kernel && !cli->has_user && !(cli->args.command_cnt && has_addresses(plan));
	if (t && cli->has_kernel && cli->has_user)
		look_for_shared(cli, t);
	cli->shares_self |= cli->has_user && cli->args.opts.backend == CLI_BACKEND_UPROBE;
	probe_table_destroy(t);
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
