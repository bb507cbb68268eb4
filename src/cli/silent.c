/* SPDX-License-Identifier: MIT */
/* Where nothing at all came of processes that were traced: whoever waited for it is told that it was not there. */
#include "cli/cli_int.h"

#include <string.h>
#include <unistd.h>

/* A number may be any probe's. */
static bool is_tools_own(const struct plan_probe_desc *d)
{
	const char *name = d->name ? d->name : "";
	return d->id || !strcmp(name, "BEGIN") || !strcmp(name, "END") || !strcmp(name, "ERROR") || !strncmp(name, "tick-", 5) ||
	       !strncmp(name, "profile-", 8);
}

static bool is_of_processes(const struct plan_clause *c)
{
	for (uint32_t i = 0; i < c->desc_cnt; i++)
		if (!is_tools_own(&c->descs[i]))
			return true;
	return false;
}

static bool is_jump(const struct ir_insn *in) { return in->op == IR_OP_JMP || in->op == IR_OP_BRZ || in->op == IR_OP_BRNZ; }

/* Where a predicate does not hold: behind the end of what it guards. */
static bool is_predicates(const struct ir_prog *p, const struct ir_insn *in)
{
	return p->insn_cnt > 1 && in->imm == p->insn_cnt - 1 && p->insns[p->insn_cnt - 2].op == IR_OP_RET;
}

/* Whether it does so in each run that its predicate allows: no if jumps over it. */
static bool aggregates(const struct ir_prog *p)
{
	int64_t behind = 0; /* of the jumps so far */
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		const struct ir_insn *in = &p->insns[i];
		if (in->op == IR_OP_AGG && i >= behind)
			return true;
		if (is_jump(in) && !is_predicates(p, in) && in->imm > behind)
			behind = in->imm;
	}
	return false;
}

/* Each hit of a process shows, if there are such probes: a clause that only changes variables may run without a trace of it. */
static bool is_told(const struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < plan->clause_cnt && i < cli->prog.image.prog_cnt; i++) {
		const struct plan_clause *c = &plan->clauses[i];
		if (!is_of_processes(c))
			continue;
		if (!c->act_cnt && !c->is_default && !aggregates(&cli->prog.image.progs[i]))
			return false;
		cnt++;
	}
	return cnt > 0;
}

/* With -Z, of what was to be found in processes. */
static bool none_was_found(const struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	bool wanted = false;
	for (uint32_t i = 0; i < cli->match_cnt; i++) {
		const struct cli_match *m = &cli->matches[i];
		if (is_tools_own(&plan->clauses[m->clause].descs[m->desc]))
			continue;
		if (m->cnt)
			return false;
		wanted = true;
	}
	return wanted;
}

void cli_silent_say(const struct cli *cli)
{
	bool is_wanted = isatty(STDERR_FILENO) || !cli->args.opts.quiet;
	if (!is_wanted || cli_is_dtrace() || cli->args.script || cli->too_soon || !cli->target_cnt || cli->has_kernel)
		return;
	if (none_was_found(cli)) {
		cli_shell_say(cli);
		return;
	}
	if (!cli_match_total(cli) || consume_heard(cli->consume) || consume_lost(cli->consume) || !is_told(cli))
		return;
	cli_hint("no probe fired while this was traced, or no predicate held: %s explain shows how they are placed; functions that are inlined are "
		 "not called", cli_name);
	cli_shell_say(cli);
}
