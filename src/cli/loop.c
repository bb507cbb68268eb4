/* SPDX-License-Identifier: MIT */
/* From armed to told to stop: drain, tick, follow the targets. */
#include "cli/cli_int.h"
#include "client/client.h"
#include "host/host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define DRAIN_GAP_NS 2000000 /* between two drains, at least */

static volatile sig_atomic_t interrupts;
static bool nobody_reads;

#define ECHO_NS 100000000 /* timeout(1) sends its signal to us, and to all of our group: that is no second time */

static void on_signal(int sig)
{
	static volatile sig_atomic_t last_sig;
	static volatile uint64_t last_ns;
	uint64_t now = host_now_ns();
	if (sig == last_sig && now - last_ns <= ECHO_NS)
		return;
	interrupts++;
	last_sig = sig;
	last_ns = now; /* of those that count: a key that is held repeats sooner */
}

bool cli_loop_interrupted(void) { return interrupts > 0; }
bool cli_loop_impatient(void) { return interrupts > 1; }
bool cli_loop_unread(void) { return nobody_reads; }

static void catch_signal(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags }, old;
	if (!sigaction(sig, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(sig, &sa, NULL);
}

void cli_loop_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	for (size_t i = 0; i < ARRAY_CNT(sigs); i++)
		catch_signal(sigs[i], on_signal, 0);
}

static void on_failed_write(int sig) { (void)sig; }

/* Handlers, where SIG_IGN would be passed on to children. */
void cli_write_signals(void)
{
	catch_signal(SIGPIPE, on_failed_write, SA_RESTART);
	catch_signal(SIGXFSZ, on_failed_write, SA_RESTART);
}

static int modules_came(struct cli *cli, uint32_t proc)
{
	struct cli_target *t = cli_target_by_proc(cli, proc);
	struct err e;
	int rc = cli_match_all(cli);
	if (rc && !(t && t->starting))
		rc = CLI_OK; /* told already; what runs is not ended for what came later */
	if (!rc && t && t->starting) {
		t->starting = false;
		if (!cli->args.opts.zdefs && cli_match_complain(cli, false))
			rc = CLI_ERROR;
		else
			cli_match_notice(cli);
	}
	rc = rc ? rc : cli_arm_new(cli);
	cli_budget_armed(cli);
	if (!rc && cli->args.record)
		rc = cli_record_modules(cli, proc);
	if (session_modules_done(cli->session, proc, &e) < 0)
		cli_error("%s", e.msg);
	return rc;
}

static void target_gone(struct cli *cli, uint32_t proc, const char *why)
{
	struct cli_target *t = cli_target_by_proc(cli, proc);
	if (!t || t->gone)
		return;
	t->gone = true;
	cli->live_cnt -= t->awaited && !t->gone_on;
	if (why)
		cli_error("pid %d %s", (int)t->pid, why);
	/* A description that was left open for a program that ended before it loaded anything. */
	if (t->starting && !t->of_exe && !cli->args.opts.zdefs) {
		t->starting = false;
		if (cli_match_complain(cli, false))
			cli->status = CLI_ERROR;
	}
}

/* Under dtrace's name it is no error. */
int cli_ended_status(const struct cli *cli)
{
	return cli->args.record || cli_is_dtrace() ? CLI_OK : CLI_ERROR;
}

static void say_signal(char *buf, size_t cap, int sig)
{
	const char *name = sigabbrev_np(sig); /* none: of those for real time */
	if (name)
		snprintf(buf, cap, "terminated by SIG%s", name);
	else
		snprintf(buf, cap, "terminated by SIGRTMIN+%d", sig - SIGRTMIN);
}

void cli_goneon_say(const struct cli_target *t, int status)
{
	char why[64];
	if (!WIFSIGNALED(status))
		return;
	say_signal(why, sizeof(why), WTERMSIG(status));
	cli_error("pid %d %s", (int)t->pid, why);
}

/* A command's end is what was waited for; a process that was traced while it ran should have gone on. */
static void exited(struct cli *cli, uint32_t proc, int status)
{
	const struct cli_target *t = cli_target_by_proc(cli, proc);
	char why[64] = "";
	/* The kernel has seen all of it. */
	bool watched = cli->has_kernel && !cli->has_user;
	if (WIFSIGNALED(status))
		say_signal(why, sizeof(why), WTERMSIG(status));
	else if (t && !t->spawned && !t->followed && !watched && (t->awaited || !cli->args.opts.quiet))
		snprintf(why, sizeof(why), "has ended");
	target_gone(cli, proc, *why ? why : NULL);
	if (t && !t->spawned && !t->followed && t->awaited && !watched && cli_ended_status(cli))
		cli->status = CLI_ERROR;
}

/* Whoever ends at once as the new program has just ended; so a command's status is the same here. */
static void execed(struct cli *cli, uint32_t proc)
{
	struct cli_target *t = cli_target_by_proc(cli, proc);
	bool followed = t && t->followed;
	if (t)
		cli_exe_execed(cli, t->pid);
	if (t && t->spawned && !followed && !t->gone)
		t->gone_on = true;
	target_gone(cli, proc, followed ? NULL : t && t->gone_on ? "runs another program now (exec); it is no longer traced, and its end is "
		    "awaited" : "runs another program now; it is no longer traced");
	if (!followed && !(t && t->gone_on) && cli_ended_status(cli))
		cli->status = CLI_ERROR;
}

int cli_loop_handle(struct cli *cli, enum session_event ev, uint32_t proc, int status)
{
	switch (ev) {
	case SESSION_MODULES:
		return modules_came(cli, proc);
	case SESSION_STARTED:
		return cli_targets_started(cli, proc);
	case SESSION_FORKED:
		return cli_targets_follow(cli, proc);
	case SESSION_EXITED:
		exited(cli, proc, status);
		return CLI_OK;
	case SESSION_EXECED:
		execed(cli, proc);
		return CLI_OK;
	default:
		return CLI_OK;
	}
}

bool cli_loop_keep_thread(void *arg, uint32_t slot)
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

struct wire_shm *cli_shm(const struct cli *cli)
{
	return cli->client ? client_shm(cli->client) : session_shm(cli->session);
}

#define FEW_RECORDS 10000 /* when there is time for other things */

static int drain(struct cli *cli)
{
	struct err e;
	int64_t records = consume_drain(cli->consume, false, &e);
	if (records < 0) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (records <= FEW_RECORDS)
		cli_spare_give(cli);
	if (cli->client && cli_remote_drained(cli))
		return CLI_ERROR;
	if (cli->session)
		session_reap_threads(cli->session, cli_loop_keep_thread, cli);
	if (cli->args.record && cli_record_progress(cli))
		return CLI_ERROR;
	enum cli_written w = cli_flush(cli->out, cli->args.out);
	nobody_reads |= w == CLI_NOBODY_READS;
	if (nobody_reads)
		interrupts = 2;
	return w == CLI_NOT_WRITTEN ? CLI_ERROR : CLI_OK;
}

/* 0: as records come. Buffers that are kept to the end (ring, fill) are not switched. */
static uint64_t switch_gap(const struct cli *cli)
{
	return cli_bufpolicy(cli) == CONSUME_SWITCH ? cli->args.opts.switchrate : 0;
}

/* exit() counts where it was called. With -x switchrate it counts when its record is due, as everything else does. */
static bool told_to_exit(const struct cli *cli)
{
	if (switch_gap(cli))
		return cli->exit_is_due;
	return LOAD_ACQUIRE(&cli_shm(cli)->exiting) || consume_exited(cli->consume, NULL);
}

bool cli_loop_done(const struct cli *cli)
{
	return interrupts || told_to_exit(cli) || consume_filled(cli->consume) ||
	       (cli->args.command_cnt + cli->args.pid_cnt && !cli->live_cnt);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

#define SWITCH_NS 100000000 /* where nobody says how often, and nobody rings */
#define GONE_ON_NS 20000000 /* how late the end of a command is seen that is another program now */
#define FIRST_NS 250000     /* sooner in the beginning: somebody may wait for the first event */

static int drain_on_schedule(struct cli *cli, uint64_t now)
{
	bool exiting = LOAD_ACQUIRE(&cli_shm(cli)->exiting) || consume_exited(cli->consume, NULL);
	cli->exit_is_due = exiting && cli->last_drain_ns;
	if (!cli->last_drain_ns)
		cli_spare_keep(cli);
	cli->last_drain_ns = now;
	cli_shell_look(cli);
	int rc = drain(cli); /* may change the options */
	cli->drain_gap_ns = smaller(cli->drain_gap_ns ? 2 * cli->drain_gap_ns : FIRST_NS, SWITCH_NS);
	cli->next_drain_ns = now + (switch_gap(cli) ? larger(switch_gap(cli), DRAIN_GAP_NS) : cli->drain_gap_ns);
	return rc;
}

/* A speculation that has ended serves again once it was read. */
static bool must_clean(const struct cli *cli, uint64_t now)
{
	return now >= cli->next_clean_ns && consume_spec_ending(cli->consume);
}

/* dtrace's bounds, and what it does where nobody says. */
static uint64_t clean_gap(const struct cli *cli)
{
	uint64_t ns = cli->args.opts.cleanrate;
	return ns ? smaller(larger(ns, 200000), 60000000000) : 1000000000 / 101;
}

/* Records are read at a rate; before it where a ring fills. Soon after a tick too, since what it prints or clears
 * is due now, unless it was said when that is. */
int cli_loop_drain(struct cli *cli, bool ticked, bool rang)
{
	uint64_t now = host_now_ns();
	bool soon = rang || (ticked && !switch_gap(cli)), cleans = must_clean(cli, now);
	int rc = CLI_OK;
	/* Who rang too soon does not ring again. */
	if (soon && !cli->early_drain_ns)
		cli->early_drain_ns = larger(now, cli->last_drain_ns + DRAIN_GAP_NS);
	if (now >= cli->next_drain_ns) {
		rc = drain_on_schedule(cli, now);
		cli->early_drain_ns = 0;
	} else if (cleans || (cli->early_drain_ns && now >= cli->early_drain_ns)) {
		cli->early_drain_ns = 0;
		cli->last_drain_ns = now;
		rc = drain(cli);
	}
	if (now >= cli->next_clean_ns)
		cli->next_clean_ns = now + clean_gap(cli);
	if (now >= cli->next_status_ns) {
		if (cli->next_status_ns)
			consume_report_drops(cli->consume);
		cli->next_status_ns = now + larger(cli->args.opts.statusrate, DRAIN_GAP_NS);
	}
	return rc;
}

static bool reads_aggs(const struct cli *cli)
{
	return cli->args.opts.aggrate && cli_shm(cli)->agg_max;
}

void cli_loop_aggs(struct cli *cli)
{
	uint64_t now = host_now_ns();
	if (!reads_aggs(cli) || now < cli->next_aggs_ns)
		return;
	cli->next_aggs_ns = now + larger(cli->args.opts.aggrate, DRAIN_GAP_NS);
	consume_aggs_read(cli->consume);
}

/* How long nothing is due but ticks. */
uint64_t cli_loop_idle_ns(const struct cli *cli)
{
	uint64_t now = host_now_ns(), next = smaller(cli->next_drain_ns, cli->next_status_ns);
	if (consume_speculates(cli->consume))
		next = smaller(next, cli->next_clean_ns);
	if (reads_aggs(cli))
		next = smaller(next, cli->next_aggs_ns);
	if (cli->early_drain_ns)
		next = smaller(next, cli->early_drain_ns);
	if (cli_goneon_any(cli))
		next = smaller(next, now + GONE_ON_NS);
	return next > now ? next - now : 0;
}

int cli_loop_run(struct cli *cli)
{
	uint64_t tick = aim_ticks_start(&cli->aim);
	int rc = cli_loop_drain(cli, false, false);
	while (rc == CLI_OK && !cli_loop_done(cli)) {
		uint32_t proc = 0;
		int status = 0;
		bool ticked = false;
		uint64_t gap = smaller(cli_exe_gap_ns(cli), cli_loop_idle_ns(cli));
		enum session_event ev = session_wait(cli->session, smaller(tick, gap), &proc, &status);
		rc = cli_loop_handle(cli, ev, proc, status);
		rc = rc ? rc : cli_exe_look(cli);
		tick = aim_ticks_fire(&cli->aim, cli->session, &ticked);
		cli_loop_aggs(cli);
		cli_goneon_look(cli);
		rc = rc ? rc : cli_loop_drain(cli, ticked, ev == SESSION_DATA);
	}
	return rc;
}
