/* SPDX-License-Identifier: MIT */
/* From armed to told to stop: drain, tick, follow the targets. */
#include "cli/cli_int.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t interrupts;

static void on_signal(int sig)
{
	(void)sig;
	interrupts++;
}

bool loop_interrupted(void) { return interrupts > 0; }
bool loop_impatient(void) { return interrupts > 1; }

/* A reader of our output that went away must not leave the target armed, either. */
void loop_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal }, old;
	for (size_t i = 0; i < ARRAY_CNT(sigs); i++)
		if (!sigaction(sigs[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

static int modules_came(struct cli *cli, uint32_t proc)
{
	struct cli_target *t = target_by_proc(cli, proc);
	struct err e;
	int rc = match_all(cli);
	if (!rc && t && t->starting) {
		t->starting = false;
		if (!cli->args.opts.zdefs && match_complain(cli, false))
			rc = CLI_ERROR;
		else
			match_notice(cli);
	}
	rc = rc ? rc : arm_new(cli);
	if (session_modules_done(cli->session, proc, &e) < 0)
		cli_error("%s", e.msg);
	return rc;
}

static void target_gone(struct cli *cli, uint32_t proc, const char *why)
{
	struct cli_target *t = target_by_proc(cli, proc);
	if (!t || t->gone)
		return;
	t->gone = true;
	cli->live_cnt--;
	if (why)
		cli_error("pid %d %s", (int)t->pid, why);
	/* A description that was left open for a program that ended before it loaded anything. */
	if (t->starting && !cli->args.opts.zdefs) {
		t->starting = false;
		if (match_complain(cli, false))
			cli->status = CLI_ERROR;
	}
}

static int handle(struct cli *cli, enum session_event ev, uint32_t proc)
{
	switch (ev) {
	case SESSION_MODULES:
		return modules_came(cli, proc);
	case SESSION_EXITED:
		target_gone(cli, proc, NULL);
		return CLI_OK;
	case SESSION_EXECED:
		target_gone(cli, proc, "runs another program now; it is no longer traced");
		return CLI_OK;
	default:
		return CLI_OK;
	}
}

/* A thread's area may go to another one once what it holds is kept. */
static bool keep_thread(void *arg, uint32_t slot)
{
	struct cli *cli = arg;
	struct err e;
	if (!consume_thread_drained(cli->consume, slot))
		return false;
	if (!consume_fold_thread(cli->consume, slot, &e))
		return true;
	cli_error("%s", e.msg);
	return false;
}

static int drain(struct cli *cli)
{
	struct err e;
	if (consume_drain(cli->consume, false, &e) < 0) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	session_reap_threads(cli->session, keep_thread, cli);
	if (fflush(cli->out) == EOF && errno == EPIPE)
		interrupts = 2;
	return CLI_OK;
}

static bool told_to_stop(const struct cli *cli)
{
	const struct wire_shm *shm = session_shm(cli->session);
	return interrupts || LOAD_ACQUIRE(&shm->exiting) || consume_exited(cli->consume, NULL) ||
	       (cli->target_cnt && !cli->live_cnt);
}

int loop_run(struct cli *cli)
{
	uint64_t every = cli->args.opts.switchrate ? cli->args.opts.switchrate : 1000000;
	uint64_t next_drain = cli_now_ns() + every, next_status = cli_now_ns() + cli->args.opts.statusrate;
	uint64_t tick = ticks_start(cli);
	int rc = CLI_OK;
	while (rc == CLI_OK && !told_to_stop(cli)) {
		uint64_t now = cli_now_ns(), wait = next_drain > now ? next_drain - now : 0;
		uint32_t proc = 0;
		int status = 0;
		enum session_event ev = session_wait(cli->session, tick < wait ? tick : wait, &proc, &status);
		rc = handle(cli, ev, proc);
		tick = ticks_fire(cli);
		now = cli_now_ns();
		if (rc || (ev != SESSION_DATA && now < next_drain))
			continue;
		rc = drain(cli);
		next_drain = now + every;
		if (now >= next_status) {
			consume_report_drops(cli->consume);
			next_status = now + cli->args.opts.statusrate;
		}
	}
	return rc;
}
