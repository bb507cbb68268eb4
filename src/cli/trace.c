/* SPDX-License-Identifier: MIT */
/* The main verb: run a script until it has its answer. */
#include "cli/cli_int.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct obj_proc *cli_symbols(void *arg, uint32_t proc)
{
	struct cli *cli = arg;
	return proc ? session_obj(cli->session, proc) : NULL;
}

void cli_agg_gen(void *arg, uint32_t agg, uint32_t gen)
{
	struct cli *cli = arg;
	session_agg_gen(cli->session, agg, gen);
}

uint32_t cli_proc_of(void *arg, uint32_t pid)
{
	struct cli *cli = arg;
	return session_proc_of(cli->session, pid);
}

#define POLICY_BYTES (1u << 20) /* of a ring, at least, where the consumer does the counting */

/* What targets record without a policy is not counted but has a place or none. */
static bool is_counted(const struct cli *cli)
{
	return cli_bufpolicy(cli) || (!cli->target_cnt && !cli->has_kernel);
}

uint64_t cli_ring_bytes(const struct cli *cli)
{
	uint64_t bytes = cli->args.opts.bufsize;
	return is_counted(cli) && bytes < POLICY_BYTES ? POLICY_BYTES : bytes;
}

static uint32_t max_frames(const struct cli *cli)
{
	uint64_t n = cli->args.opts.maxframes;
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

#define UPROBE_SITES (1u << 18) /* memory of the kernel's, so only where all of a large program may be asked for */

/* By its records the consumer does something that somebody sees elsewhere, or later. */
static bool clause_acts(void *arg, uint32_t clause)
{
	const struct cli *cli = arg;
	const struct plan_clause *c = clause < cli->prog.plan.clause_cnt ? &cli->prog.plan.clauses[clause] : NULL;
	for (uint32_t i = 0; c && i < c->act_cnt; i++)
		switch (c->acts[i].kind) {
		case PLAN_TRACE: case PLAN_TRACEMEM: case PLAN_PRINTF: case PLAN_PRINTA: case PLAN_STACK: case PLAN_SYM: case PLAN_PRINT:
			break;
		default:
			return true;
		}
	return false;
}

static struct session_opts session_options(struct cli *cli)
{
	bool all = cli->resorts || cli->args.opts.backend == CLI_BACKEND_AUTO || cli->args.opts.backend == CLI_BACKEND_UPROBE;
	const struct cli_options *o = &cli->args.opts;
	const struct session_worlds worlds = { cli->has_kernel, cli->has_user, cli->uprobes, cli->has_kernel ? cli_thread_cnt(cli) : 0,
					       cli->functions };
	/* The tool itself is one of them. */
	bool no_threads = (!cli->target_cnt && !cli->exe && !cli_commands_traced(cli)) || cli->watches;
	struct session_opts so = {
		.ring_bytes = cli_ring_bytes(cli),
		.agg_bytes = o->aggsize,
		.dyn_bytes = o->dynvarsize,
		.alloca_bytes = o->scratchsize,
		.spec_cnt = (uint32_t)o->nspec,
		.spec_bytes = o->specsize,
		.thread_cnt = no_threads ? 1 : (uint32_t)o->threads,
		.max_frames = max_frames(cli),
		.site_cap = cli->has_kernel && cli->has_user && all ? UPROBE_SITES : 0,
		.budget = (uint32_t)o->budget,
		.acts = clause_acts,
		.acts_arg = cli,
		.one_cpu = o->cpu != UINT32_MAX,
		.cpu = (uint32_t)o->cpu,
		.flight = cli_record_is_flight(cli),
		.follow = o->followfork || cli->exe || cli_commands_traced(cli),
		.forks_only = cli->exe && !o->followfork,
		.watch = cli->watches,
		.from_entry = cli_from_entry(cli),
		.unwinds = cli->has_kernel,
		.looks_only = cli->args.compile_only,
		.clock_later = true,
		.verifier_log = cli->args.dumps & DUMP_VERIFIER ? stderr : NULL,
	};
	session_opts_fit(&so, &worlds, cli->prog.plan.agg_elem_bytes, cli->prog.plan.dyn_elem_bytes);
	return so;
}

static int make_session(struct cli *cli)
{
	struct session_opts so = session_options(cli);
	if (so.budget && cli->has_kernel) {
		cli_error("-x budget is for probes of processes: leave it out, or trace the kernel's by a command of its own");
		return CLI_ERROR;
	}
	struct err e;
	int rc;
	cli_buffers_fit(cli, &so);
	do
		rc = session_create(&cli->prog.image, &so, &cli->session, &e);
	while ((rc == -E2BIG || rc == -ENOMEM) && cli_buffers_halve(&so));
	cli_buffers_note(cli, &so);
	if (rc < 0)
		cli_error("could not enable tracing: %s", e.msg);
	return rc < 0 ? CLI_ERROR : CLI_OK;
}

int cli_make_consume(struct cli *cli, struct wire_shm *shm)
{
	struct consume_opts co;
	struct err e;
	cli_consume_opts(cli, &co);
	if (cli->args.record)
		cli_record_hooks(cli, &co);
	if (!consume_create(shm, &cli->prog.plan, &cli->prog.image, &co, &cli->consume, &e))
		return CLI_OK;
	cli_error("could not enable tracing: %s", e.msg);
	return CLI_ERROR;
}

/* Matches; says what did and did not. */
static int find_probes(struct cli *cli)
{
	bool starting = cli_exe_pending(cli);
	if (cli_match_all(cli) || cli_should_restart(cli) || cli_targets_ended(cli))
		return CLI_ERROR;
	if (!cli->args.opts.zdefs && cli_match_complain(cli, false))
		return CLI_ERROR;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		starting |= cli->targets[i].starting;
	if (!starting || cli->args.compile_only)
		cli_match_notice(cli);
	if (cli->args.record && !starting && cli_record_check(cli))
		return CLI_ERROR;
	if (!cli_match_total(cli) && !starting && !cli->args.opts.zdefs) {
		cli_error("no probes %s", cli->args.src_cnt ? "matched" : "specified");
		return CLI_ERROR;
	}
	return CLI_OK;
}

#define ERROR_BYTES 64 /* of ERROR's record, which may always come: -b counts as dtrace does */

static bool has_end(const struct plan_clause *c)
{
	for (uint32_t i = 0; i < c->desc_cnt; i++)
		if (!strcmp(c->descs[i].name, "END"))
			return true;
	return false;
}

/* With a bufpolicy, sizes are those of the DTrace that had them. */
static int check_policy(struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	for (uint32_t i = 0; i < plan->clause_cnt; i++) {
		if (consume_clause_cost(cli->consume, i) <= cli->args.opts.bufsize)
			continue;
		bool end = has_end(&plan->clauses[i]) && cli_bufpolicy(cli) == CONSUME_FILL;
		cli_error("could not enable tracing: %s", end ? "END enablings exceed size of principal buffer" :
			  "Enabling exceeds size of buffer");
		return CLI_ERROR;
	}
	return CLI_OK;
}

/* A record or an aggregation that can never fit is an error, not a loss. */
int cli_check_sizes(struct cli *cli)
{
	bool bad = cli->args.opts.bufsize < ERROR_BYTES;
	if (cli_bufpolicy(cli))
		return check_policy(cli);
	for (uint32_t i = 0; i < cli->prog.plan.clause_cnt; i++)
		bad |= consume_clause_cost(cli->consume, i) > cli->args.opts.bufsize;
	bad |= cli->prog.plan.agg_elem_bytes > cli->args.opts.aggsize;
	bad |= cli->prog.plan.dyn_elem_bytes > cli->args.opts.dynvarsize;
	if (bad)
		cli_error("could not enable tracing: Enabling exceeds size of buffer");
	return bad ? CLI_ERROR : CLI_OK;
}

int cli_check_allowed(struct cli *cli)
{
	if (!cli->prog.plan.destructive || cli->args.opts.destructive)
		return CLI_OK;
	cli_error("could not enable tracing: Destructive actions not allowed");
	if (!cli_is_dtrace())
		cli_hint("-w allows them");
	return CLI_ERROR;
}

/* -x cpu: where the tool's own probes fire. */
static int pin(const struct cli *cli)
{
	uint64_t cpu = cli->args.opts.cpu;
	cpu_set_t *set;
	if (cpu == UINT32_MAX)
		return CLI_OK;
	int rc = -1;
	set = cpu < 1u << 20 ? CPU_ALLOC(cpu + 1) : NULL;
	if (set) {
		CPU_ZERO_S(CPU_ALLOC_SIZE(cpu + 1), set);
		CPU_SET_S(cpu, CPU_ALLOC_SIZE(cpu + 1), set);
		rc = sched_setaffinity(0, CPU_ALLOC_SIZE(cpu + 1), set);
		CPU_FREE(set);
	}
	if (rc)
		cli_error("could not enable tracing: this program cannot run on CPU %llu", (unsigned long long)cpu);
	return rc ? CLI_ERROR : CLI_OK;
}

static int begin(struct cli *cli)
{
	struct err e;
	if (pin(cli) || cli_check_allowed(cli) || cli_make_consume(cli, session_shm(cli->session)) || cli_check_sizes(cli) ||
	    cli_buffers_tell(cli) || cli_arm_new(cli) || cli_should_restart(cli))
		return CLI_ERROR;
	if (session_clock(cli->session, &e) < 0) {
		cli_error("could not enable tracing: %s", e.msg);
		return CLI_ERROR;
	}
	consume_clock(cli->consume);
	cli->may_restart = false; /* what BEGIN does, it does once */
	if (cli->args.opts.destructive && !cli->args.opts.quiet)
		cli_error("allowing destructive actions");
	if (cli->target_cnt == 1)
		session_tool_reads(cli->session, cli->targets[0].pid);
	if (cli->args.record && cli_record_begin(cli))
		return CLI_ERROR;
	cli_budget_armed(cli);
	cli->too_soon = cli_loop_interrupted();
	cli_fire_named(cli, "BEGIN", NULL);
	if (!LOAD_ACQUIRE(&session_shm(cli->session)->exiting))
		session_enable(cli->session, true);
	if (session_go(cli->session, &e) < 0) {
		cli_error("could not enable tracing: %s", e.msg);
		return CLI_ERROR;
	}
	return cli->args.record ? cli_record_go(cli) : CLI_OK;
}

/* Everything out, in dtrace's order: records, an empty line, aggregations, losses. */
int cli_show_rest(struct cli *cli, int rc)
{
	struct err e;
	if (cli_loop_impatient() && !cli->args.record) {
		if (cli_loop_unread())
			return rc;
		cli_hint("interrupted again: what was gathered is not shown");
		return CLI_ERROR;
	}
	if (consume_drain(cli->consume, true, &e) < 0) {
		cli_error("%s", e.msg);
		return cli->args.record ? cli_record_finish(cli, CLI_ERROR) : CLI_ERROR;
	}
	if (cli->args.record) {
		cli_budget_end(cli);
		return cli_record_finish(cli, rc);
	}
	if (!cli->args.script)
		putc('\n', cli->out);
	if (consume_print_aggs(cli->consume, &e) < 0) {
		cli_error("failed to print aggregations: %s", e.msg);
		rc = CLI_ERROR;
	}
	fflush(cli->out);
	if (cli->too_soon)
		cli_hint("interrupted before all probes were armed: little or nothing was counted");
	consume_report_drops(cli->consume);
	cli_losses_advise(cli);
	cli_silent_say(cli);
	cli_budget_end(cli);
	return rc;
}

/* Of processes that go on: our commands end with us. */
static void tell_stays(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (!cli->targets[i].gone && !cli->targets[i].spawned && session_stays(cli->session, cli->targets[i].pid))
			cli_error(SESSION_STAYS "dyntrace repair %d takes it away once none is", (int)cli->targets[i].pid,
				  (int)cli->targets[i].pid);
}

static int finish(struct cli *cli)
{
	struct err e;
	int rc = CLI_OK;
	struct cli_ending *ending = cli_ending_begin(cli);
	if (session_disarm(cli->session, &e) < 0)
		rc = CLI_ERROR;
	cli_ending_done(ending);
	if (rc)
		cli_error("%s", e.msg);
	tell_stays(cli);
	cli_fire_named(cli, "END", NULL);
	return cli_show_rest(cli, rc);
}

static int run_armed(struct cli *cli)
{
	int rc = begin(cli);
	if (cli->restart)
		return rc;
	if (cli->consume && !rc)
		rc = cli_loop_run(cli);
	if (!cli->consume)
		return rc;
	/* Where it failed, the target is let go; there is nothing to show but what is on disk. */
	if (rc) {
		struct err e;
		cli_targets_kill(cli); /* it may wait in its loader for the probes that there are not */
		session_disarm(cli->session, &e);
		return cli->args.record ? cli_record_finish(cli, rc) : rc;
	}
	rc = finish(cli);
	consume_exited(cli->consume, &cli->status);
	return rc ? rc : cli->status;
}

bool cli_should_restart(struct cli *cli)
{
	cli->restart = cli->may_restart && cli_targets_changed(cli);
	return cli->restart;
}

static void forget(struct cli *cli)
{
	consume_destroy(cli->consume);
	session_destroy(cli->session);
	aim_deinit(&cli->aim);
	free(cli->matches);
	cli->consume = NULL;
	cli->session = NULL;
	cli->matches = NULL;
	cli->match_cnt = 0;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		cli->targets[i].obj = NULL;
}

int cli_say_ended(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		cli_error("pid %d has ended", (int)cli->targets[i].pid);
	return cli_ended_status(cli);
}

static int trace(struct cli *cli)
{
	if (cli_kernel_look(cli) || make_session(cli))
		return CLI_ERROR;
	if (cli_targets_attach(cli) || find_probes(cli)) {
		if (cli->restart || !cli_targets_ended(cli))
			return CLI_ERROR;
		return cli_say_ended(cli);
	}
	return cli->args.compile_only ? CLI_OK : run_armed(cli);
}

#define RESTARTS 5 /* a shell's child becomes the program, which may be another script's interpreter, ... */

int cli_verb_trace(struct cli *cli)
{
	if (!cli->args.src_cnt) {
		if (!cli->args.compile_only)
			cli_error("no probes specified");
		cli_usage_no_probes(&cli->args);
		return cli->args.compile_only ? CLI_OK : cli_is_dtrace() || cli_testing() ? CLI_ERROR : CLI_USAGE;
	}
	if (cli_targets_open(cli) || cli_compile(cli) || cli_targets_add_named(cli))
		return CLI_ERROR;
	int rc = cli->args.dumps & ~(unsigned)DUMP_VERIFIER ? cli_dump(cli) : CLI_OK;
	if (rc || cli->args.dumps & ~(unsigned)(DUMP_CLAUSES | DUMP_VERIFIER))
		return rc;
	return cli_trace_compiled(cli);
}

int cli_trace_compiled(struct cli *cli)
{
	int rc = CLI_OK;
	cli_types_close(cli); /* the plan has copies of what it needs */
	cli_loop_signals();
	if (cli_remote_wanted(cli))
		return cli_remote_run(cli);
	for (int i = 0; i < RESTARTS; i++) {
		cli->may_restart = i < RESTARTS - 1;
		cli->restart = false;
		rc = trace(cli);
		if (!cli->restart)
			break;
		forget(cli);
	}
	return rc;
}
