/* SPDX-License-Identifier: MIT */
/* The main verb: run a script until it has its answer. */
#include "cli/cli_int.h"

#include <errno.h>
#include <string.h>

static struct obj_proc *symbols(void *arg, uint32_t proc)
{
	struct cli *cli = arg;
	return proc ? session_obj(cli->session, proc) : NULL;
}

static int make_session(struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	struct session_opts so = { .ring_bytes = o->bufsize, .agg_bytes = o->aggsize, .dyn_bytes = o->dynvarsize,
				   .alloca_bytes = o->scratchsize, .spec_cnt = (uint32_t)o->nspec,
				   .spec_bytes = o->specsize,
				   /* The tool itself is one of them. */
				   .thread_cnt = cli->target_cnt ? (uint32_t)o->threads : 1 };
	struct err e;
	if (!session_create(&cli->prog.image, &so, &cli->session, &e))
		return CLI_OK;
	cli_error("could not enable tracing: %s", e.msg);
	return CLI_ERROR;
}

static int make_consume(struct cli *cli)
{
	struct consume_opts co;
	struct err e;
	cli_consume_opts(cli, &co);
	co.obj = symbols;
	if (!consume_create(session_shm(cli->session), &cli->prog.plan, &cli->prog.image, &co, &cli->consume, &e))
		return CLI_OK;
	cli_error("could not enable tracing: %s", e.msg);
	return CLI_ERROR;
}

/* Matches; says what did and did not. */
static int find_probes(struct cli *cli)
{
	bool starting = false;
	if (cli_match_all(cli))
		return CLI_ERROR;
	if (!cli->args.opts.zdefs && cli_match_complain(cli, false))
		return CLI_ERROR;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		starting |= cli->targets[i].starting;
	if (!starting || cli->args.compile_only)
		cli_match_notice(cli);
	if (!cli_match_total(cli) && !starting && !cli->args.opts.zdefs) {
		cli_error("no probes %s", cli->args.src_cnt ? "matched" : "specified");
		return CLI_ERROR;
	}
	return CLI_OK;
}

#define DTRACE_REC_BYTES 56 /* before a record's data: -b counts as dtrace does */

/* A record or an aggregation that can never fit is an error, not a loss. */
static int check_sizes(struct cli *cli)
{
	const struct ir_image *im = &cli->prog.image;
	bool bad = false;
	for (uint32_t i = 0; i < im->prog_cnt; i++)
		bad |= DTRACE_REC_BYTES + im->progs[i].rec_bytes > cli->args.opts.bufsize;
	for (uint32_t i = 0; i < im->agg_cnt; i++)
		bad |= (im->aggs[i].val_cnt + 1) * sizeof(uint64_t) > cli->args.opts.aggsize;
	if (bad)
		cli_error("could not enable tracing: Enabling exceeds size of buffer");
	return bad ? CLI_ERROR : CLI_OK;
}

static int check_allowed(struct cli *cli)
{
	if (!cli->prog.plan.destructive || cli->args.opts.destructive)
		return CLI_OK;
	cli_error("could not enable tracing: Destructive actions not allowed");
	return CLI_ERROR;
}

static int begin(struct cli *cli)
{
	struct err e;
	if (check_allowed(cli) || check_sizes(cli) || cli_arm_new(cli) || make_consume(cli))
		return CLI_ERROR;
	if (cli->args.opts.destructive && !cli->args.opts.quiet)
		cli_error("allowing destructive actions");
	if (cli->target_cnt == 1)
		session_tool_reads(cli->session, cli->targets[0].pid);
	cli_fire_named(cli, "BEGIN", NULL);
	if (!LOAD_ACQUIRE(&session_shm(cli->session)->exiting))
		session_enable(cli->session, true);
	if (session_go(cli->session, &e) < 0) {
		cli_error("could not enable tracing: %s", e.msg);
		return CLI_ERROR;
	}
	return CLI_OK;
}

/* Everything out, in dtrace's order: records, an empty line, aggregations, losses. */
static int finish(struct cli *cli)
{
	struct err e;
	int rc = CLI_OK;
	session_enable(cli->session, false);
	if (session_disarm(cli->session, &e) < 0) {
		cli_error("%s", e.msg);
		rc = CLI_ERROR;
	}
	cli_fire_named(cli, "END", NULL);
	if (cli_loop_impatient())
		return rc;
	if (consume_drain(cli->consume, true, &e) < 0) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	putc('\n', cli->out);
	if (consume_print_aggs(cli->consume, &e) < 0) {
		cli_error("failed to print aggregations: %s", e.msg);
		rc = CLI_ERROR;
	}
	fflush(cli->out);
	consume_report_drops(cli->consume);
	return rc;
}

static int run_armed(struct cli *cli)
{
	int rc = begin(cli);
	if (cli->consume && !rc)
		rc = cli_loop_run(cli);
	if (!cli->consume)
		return rc;
	/* Where it failed, the target is let go; there is nothing to show. */
	if (rc) {
		struct err e;
		session_enable(cli->session, false);
		session_disarm(cli->session, &e);
		return rc;
	}
	rc = finish(cli);
	consume_exited(cli->consume, &cli->status);
	return rc ? rc : cli->status;
}

int cli_verb_trace(struct cli *cli)
{
	if (!cli->args.src_cnt) {
		if (!cli->args.compile_only)
			cli_error("no probes specified");
		return cli->args.compile_only ? CLI_OK : CLI_ERROR;
	}
	if (cli_targets_open(cli) || cli_compile(cli) || cli_targets_add_named(cli))
		return CLI_ERROR;
	if (cli->args.dumps)
		return cli_dump(cli);
	cli_types_close(cli); /* the plan has copies of what it needs */
	cli_loop_signals();
	if (make_session(cli) || cli_targets_attach(cli) || find_probes(cli))
		return CLI_ERROR;
	if (cli->args.compile_only)
		return CLI_OK;
	return run_armed(cli);
}
