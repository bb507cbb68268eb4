/* SPDX-License-Identifier: MIT */
/* As loop.c, for a session that dyntraced has. */
#include "cli/remote_int.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void folded(void *arg, uint32_t slot, uint32_t incarnation)
{
	client_folded(((struct cli *)arg)->client, slot, incarnation);
}

int cli_remote_drained(struct cli *cli)
{
	struct err e;
	client_tails_flush(cli->client);
	if (!consume_fold_ended(cli->consume, folded, cli, &e))
		return CLI_OK;
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

static int add_target(struct cli *cli, const uint64_t *v)
{
	struct cli_target *more = realloc(cli->targets, (cli->target_cnt + 1) * sizeof(*more));
	if (!more)
		return CLI_ERROR;
	cli->targets = more;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (more[i].proc == v[1] && more[i].gone)
			more[i].proc = 0;
	bool of_exe = cli->exe != NULL;
	more[cli->target_cnt++] = (struct cli_target){ .pid = (pid_t)v[2], .proc = (uint32_t)v[1], .awaited = !of_exe, .followed = true,
						       .of_exe = of_exe, .starting = of_exe && !cli->noticed };
	cli->live_cnt += !of_exe;
	return CLI_OK;
}

/* What is loaded now goes into a trace. */
static int record_modules(struct cli *cli, uint32_t proc)
{
	struct cli_target *t = cli->args.record ? cli_target_by_proc(cli, proc) : NULL;
	struct err e;
	if (!t || (t->obj ? obj_proc_refresh(t->obj, &e) : obj_proc_open(t->pid, &t->obj, &e)))
		return CLI_OK; /* it has ended */
	return cli_record_modules(cli, proc);
}

/* How a command of ours ended is for us to know. */
static int status_of(struct cli *cli, const uint64_t *v)
{
	const struct cli_target *t = cli_target_by_proc(cli, (uint32_t)v[1]);
	int status = 0;
	while (t && t->spawned && waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int event(struct cli *cli, const uint64_t *v)
{
	switch (v[0]) {
	case PROTO_EV_EXITED:
		return cli_loop_handle(cli, SESSION_EXITED, (uint32_t)v[1], status_of(cli, v));
	case PROTO_EV_EXECED:
		return cli_loop_handle(cli, SESSION_EXECED, (uint32_t)v[1], 0);
	case PROTO_EV_STARTED:
		for (uint32_t i = 0; i < cli->target_cnt; i++) {
			struct cli_target *t = &cli->targets[i];
			if ((uint64_t)t->pid != v[2] || t->gone)
				continue;
			t->gone = true;
			cli->live_cnt -= t->awaited;
		}
		return add_target(cli, v) || record_modules(cli, (uint32_t)v[1]) ? CLI_ERROR : CLI_OK;
	default:
		return add_target(cli, v);
	}
}

static int modules_came(struct cli *cli, const struct proto_matched *m)
{
	const struct cli_target *t = cli_target_by_proc(cli, m->proc);
	bool was_starting = t && t->starting;
	int rc = cli_remote_matched(cli, m);
	if (was_starting && !rc && !m->starting)
		cli_match_notice(cli);
	if (record_modules(cli, m->proc))
		return CLI_ERROR;
	if (was_starting && !rc && t->spawned && m->bad < cli->match_cnt)
		kill(t->pid, SIGCONT); /* the daemon has stopped it, as something matched nothing */
	return was_starting ? rc : CLI_OK;
}

static int handle(struct cli *cli, const struct client_event *ev)
{
	switch (ev->type) {
	case PROTO_SAY:
		cli_error("%s", ev->said.text);
		return CLI_OK;
	case PROTO_EVENT:
		return event(cli, ev->words);
	case PROTO_MATCHED:
		return modules_came(cli, &ev->matched);
	default:
		return CLI_OK;
	}
}

static int turn(struct cli *cli)
{
	struct client_event ev;
	struct err e;
	int rc = client_wait(cli->client, cli_loop_idle_ns(cli), &ev, &e);
	if (rc == -EINTR)
		return CLI_OK;
	if (rc) {
		cli_error("%s", e.msg);
		cli->client_gone = true;
		return CLI_ERROR;
	}
	rc = handle(cli, &ev);
	bool rung = ev.type == PROTO_RUNG, ticked = rung && ev.words[0] & PROTO_RUNG_TICKED, data = rung && ev.words[0] & PROTO_RUNG_DATA;
	client_event_deinit(&ev);
	cli_loop_aggs(cli);
	cli_goneon_look(cli);
	return rc ? rc : cli_loop_drain(cli, ticked, data);
}

int cli_remote_loop(struct cli *cli)
{
	int rc = cli_loop_drain(cli, false, false);
	while (!rc && !cli_loop_done(cli))
		rc = turn(cli);
	return rc;
}

/* What was gathered is still here. */
int cli_remote_failed(struct cli *cli, int rc)
{
	struct err e;
	cli_targets_kill(cli); /* one that waits in its loader, stopped, is in nobody's way then */
	if (cli->client_gone)
		return cli_show_rest(cli, rc);
	if (!cli->args.record || !cli->consume)
		return rc;
	client_stop(cli->client, &e);
	return cli_record_finish(cli, rc);
}

int cli_remote_finish(struct cli *cli)
{
	struct err e;
	struct cli_ending *ending = cli_ending_begin(cli);
	int rc = client_stop(cli->client, &e) ? CLI_ERROR : CLI_OK;
	cli_ending_done(ending);
	if (rc)
		cli_error("%s", e.msg);
	cli_remote_said(cli);
	return cli_show_rest(cli, rc);
}
