/* SPDX-License-Identifier: MIT */
/*
 * Where we may not trace by ourselves: dyntraced matches, arms and disarms; the program was compiled here, and what
 * it records is read and shown here (ADR 17).
 */
#include "cli/remote_int.h"

#include "host/host.h"
#include "kern/kern.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAEMON_AUTO, DAEMON_ALWAYS = 2, DAEMON_NEVER = 3 }; /* of -x daemon: 1 is auto too */
enum { INJECT_PTRACE = 2, INJECT_AGENT = 3 }; /* likewise of -x inject */

static bool is_nobody(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

/* Whether we could get in by ourselves. */
static bool is_closed(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDWR | O_CLOEXEC), e = errno;
	if (fd >= 0)
		close(fd);
	return fd < 0 && (e == EACCES || e == EPERM);
}

static bool any_is_closed(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (!cli->targets[i].spawned && is_closed(cli->targets[i].pid))
			return true;
	return false;
}

static bool is_own(const struct probe_spec *s)
{
	return !strcmp(s->name, "BEGIN") || !strcmp(s->name, "END") || !strcmp(s->name, "ERROR") || !strncmp(s->name, "tick-", 5);
}

/* Descriptions of the kernel, which only who may trace it can look up.  Profiles of one's own are better than none. */
static bool is_kernel(const struct session_desc *d)
{
	return !d->id && !is_own(&d->spec) && strncmp(d->spec.prov, "pid", 3) &&
		(probe_may_be_kernel(&d->spec) || !strncmp(d->spec.name, "profile-", 8));
}

static bool kernel_is_closed(const struct cli *cli)
{
	uint32_t cnt;
	bool found = false;
	struct session_desc *v = geteuid() && !kern_may_trace(NULL) ? cli_descs(cli, &cnt) : NULL;
	for (uint32_t i = 0; v && i < cnt && !found; i++)
		found = is_kernel(&v[i]);
	free(v);
	return found;
}

/* Where there is nobody, the usual message says what is missing; where there is, its own. */
static bool is_there(void)
{
	struct client *c = NULL;
	struct err e;
	int rc = client_open(NULL, &c, &e);
	client_close(c);
	if (is_nobody(rc) && geteuid())
		cli_hint("%s; it could trace this for members of group dyntrace", e.msg);
	return !is_nobody(rc);
}

void cli_remote_hint(int rc, const char *said)
{
	struct client *c = NULL;
	struct err e;
	if ((rc != -EPERM && rc != -EACCES) || !geteuid())
		return;
	rc = client_open(NULL, &c, &e);
	client_close(c);
	if (is_nobody(rc))
		cli_hint("%s; it could do this for members of group dyntrace", e.msg);
	else if (rc && strcmp(e.msg, said) != 0)
		cli_hint("%s", e.msg);
}

/* Another tracer has it, but it offered itself to the daemon. */
static bool is_offered(pid_t pid)
{
	struct obj_proc_info info;
	return !obj_proc_info(pid, &info, NULL) && info.tracer && client_has_offer(pid);
}

static bool any_is_offered(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt && cli->args.opts.inject != INJECT_PTRACE; i++)
		if (!cli->targets[i].spawned && is_offered(cli->targets[i].pid))
			return true;
	return false;
}

bool cli_remote_is_for(const struct cli *cli, pid_t pid)
{
	uint64_t how = cli->args.opts.inject == INJECT_AGENT ? DAEMON_ALWAYS : cli->args.opts.daemon;
	return how == DAEMON_ALWAYS || (how != DAEMON_NEVER && (is_closed(pid) || is_offered(pid)) && is_there());
}

/* Others see processes of their own only; but better those than none. */
bool cli_remote_takes_exe(const struct cli *cli)
{
	uint64_t how = cli->args.opts.daemon;
	struct client *c = NULL;
	if (how == DAEMON_ALWAYS || how == DAEMON_NEVER || !geteuid() || cli->args.compile_only)
		return how == DAEMON_ALWAYS;
	bool takes = !client_open(NULL, &c, NULL) && client_rights(c) & PROTO_RIGHT_ANY;
	client_close(c);
	return takes;
}

#define PATIENCE_NS 10000000000ull /* with a daemon that is busy, once somebody wants to end */
#define HINT_NS 2000000000ull
#define AGAIN_NS 500000000ull      /* likewise, who says so twice */

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void hint_stopped(uint64_t waited_ns, pid_t stopped)
{
	static bool hinted;
	if (!stopped || hinted || waited_ns < HINT_NS)
		return;
	cli_hint("dyntraced (process %d) does not answer, since it is stopped (SIGSTOP): this goes on when it does; ^C ends the waiting", (int)stopped);
	hinted = true;
}

/* Who interrupts is heard, whatever the daemon does. */
static bool gives_up(uint64_t waited_ns, pid_t stopped)
{
	static uint64_t from_ns;
	static bool hinted;
	if (!cli_loop_interrupted()) {
		hint_stopped(waited_ns, stopped);
		return false;
	}
	from_ns = from_ns ? from_ns : host_now_ns();
	uint64_t ns = smaller(waited_ns, host_now_ns() - from_ns);
	if (!hinted && !stopped && ns >= HINT_NS) {
		cli_hint("dyntraced has not answered yet; interrupted again, this ends without it");
		hinted = true;
	}
	return stopped || ns >= PATIENCE_NS || (cli_loop_impatient() && !cli_loop_unread() && ns >= AGAIN_NS);
}

bool cli_remote_wanted(struct cli *cli)
{
	client_set_patience(gives_up);
	uint64_t how = cli->args.opts.inject == INJECT_AGENT ? DAEMON_ALWAYS : cli->args.opts.daemon;
	if (how == DAEMON_NEVER || cli->args.compile_only || cli->args.is_32)
		return false;
	if (cli->exe)
		return cli_exe_is_far(cli);
	return how == DAEMON_ALWAYS || ((any_is_closed(cli) || any_is_offered(cli) || kernel_is_closed(cli)) && is_there());
}

/* ---- what consume asks for ---- */

static void write_tail(void *arg, uint32_t slot, uint64_t pos) { client_tail(((struct cli *)arg)->client, slot, pos); }
static void write_gen(void *arg, uint32_t agg, uint32_t gen) { client_agg_gen(((struct cli *)arg)->client, agg, gen); }

static void write_aggs_read(void *arg) { client_aggs_read(((struct cli *)arg)->client); }
static void write_drains(void *arg) { client_drains(((struct cli *)arg)->client); }

static void write_spec_bytes(void *arg, uint32_t id, uint64_t bytes)
{
	client_spec(((struct cli *)arg)->client, PROTO_SPEC_BYTES_KEPT, id, bytes);
}

static void write_spec_free(void *arg, uint32_t id, uint32_t gen)
{
	client_spec(((struct cli *)arg)->client, PROTO_SPEC_FREE, id, gen);
}

static bool symbolize(void *arg, uint32_t proc, uint64_t addr, struct consume_sym *ret)
{
	struct cli *cli = arg;
	const struct proto_symbol *s = client_symbol(cli->client, proc, addr);
	*ret = (struct consume_sym){ s->mod, s->name, s->mod_start, s->start };
	return s->mod != NULL;
}

static uint32_t proc_of(void *arg, uint32_t pid)
{
	struct cli *cli = arg;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if ((uint32_t)cli->targets[i].pid == pid && cli->targets[i].proc)
			return cli->targets[i].proc;
	return client_proc_of(cli->client, pid);
}

static bool has_error(const struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++) {
			const struct plan_probe_desc *d = &plan->clauses[i].descs[k];
			if (d->id || !d->name || !*d->name || obj_glob(d->name, "ERROR"))
				return true;
		}
	return false;
}

static void fire_error(void *arg, const struct wire_rec *rec, const struct wire_rec_error *e)
{
	struct cli *cli = arg;
	const struct wire_shm *shm = client_shm(cli->client);
	cli_fire_show(cli, rec->clause, e->action);
	const struct wire_site *sites = (const struct wire_site *)((const uint8_t *)shm + shm->site_off);
	if (rec->site >= shm->site_cap || sites[rec->site].kind == WIRE_SITE_TOOL || !has_error(cli))
		return;
	client_error(cli->client, (uint64_t[]){ sites[rec->site].probe_id, rec->clause, e->pc, e->fault, e->value });
}

void cli_remote_hooks(struct consume_opts *o)
{
	o->obj = NULL;
	o->symbolize = symbolize;
	o->proc_of = proc_of;
	o->on_error = fire_error;
	o->run_command = NULL;
	o->writer = (struct consume_writer){ write_tail, write_gen, write_aggs_read, write_drains, write_spec_bytes, write_spec_free };
}

/* ---- the request ---- */

static int fill_request(struct cli *cli, struct proto_start *s, uint8_t **ret_image)
{
	const struct cli_options *o = &cli->args.opts;
	const struct plan *plan = &cli->prog.plan;
	struct err e;
	uint32_t cnt, n = 0;
	struct session_desc *descs = cli_descs(cli, &cnt);
	*s = (struct proto_start){ .sizes = {
		[PROTO_RING_BYTES] = cli_ring_bytes(cli), [PROTO_MAX_FRAMES] = o->maxframes,
		[PROTO_AGG_BYTES] = o->aggsize, [PROTO_DYN_BYTES] = o->dynvarsize, [PROTO_THREADS] = o->threads,
		[PROTO_ALLOCA_BYTES] = o->scratchsize, [PROTO_SPEC_CNT] = o->nspec, [PROTO_SPEC_BYTES] = o->specsize,
		[PROTO_CPU] = o->cpu, [PROTO_AGG_ELEM_BYTES] = plan->agg_elem_bytes, [PROTO_DYN_ELEM_BYTES] = plan->dyn_elem_bytes } };
	s->flags = (o->followfork ? PROTO_FOLLOW : 0) | (o->destructive ? PROTO_DESTRUCTIVE : 0) |
		(cli_has_addresses(cli) ? PROTO_ADDRESSES : 0) | (cli_record_is_flight(cli) ? PROTO_FLIGHT : 0) |
		(cli->grows ? PROTO_GROWS : 0) | (o->backend == CLI_BACKEND_UPROBE ? PROTO_UPROBES : 0) |
		(o->inject == INJECT_AGENT ? PROTO_BY_AGENT : o->inject == INJECT_PTRACE ? PROTO_BY_PTRACE : 0);
	if (o->backend == CLI_BACKEND_AUTO)
		cli_hint("dyntraced places jumps, or with -x backend=uprobe nothing but uprobes: a process may not see what the kernel "
			 "records for you");
	s->progname = (char *)cli_name;
	s->clause_cnt = plan->clause_cnt;
	s->targets = calloc(cli->target_cnt + 1ul, sizeof(*s->targets));
	s->descs = calloc(cnt + 1ul, sizeof(*s->descs));
	if (!descs || !s->targets || !s->descs || ir_image_encode(&cli->prog.image, ret_image, &s->image_bytes, &e)) {
		free(descs);
		return -ENOMEM;
	}
	s->image = *ret_image;
	cli_exe_file(cli, &s->exe_dev, &s->exe_ino);
	s->exe_root = s->exe_ino ? (uint32_t)cli_exe_root(cli) : 0;
	for (; s->target_cnt < cli->target_cnt && s->target_cnt < PROTO_TARGETS_MAX; s->target_cnt++)
		s->targets[s->target_cnt] = (struct proto_target){ (uint32_t)cli->targets[s->target_cnt].pid,
								   cli->targets[s->target_cnt].spawned };
	for (; n < cnt; n++) {
		const struct probe_spec *p = &descs[n].spec;
		s->descs[n] = (struct proto_desc){ { (char *)p->prov, (char *)p->mod, (char *)p->func, (char *)p->name }, descs[n].clause,
						   descs[n].id };
	}
	s->desc_cnt = n;
	free(descs);
	return 0;
}

static int hand_over(struct cli *cli)
{
	struct err e;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		if (!t->child)
			continue;
		struct session_child *child = t->child;
		t->child = NULL;
		if (session_child_hand_over(child, &e)) {
			cli_error("%s", e.msg);
			return CLI_ERROR;
		}
	}
	return CLI_OK;
}

int cli_remote_matched(struct cli *cli, const struct proto_matched *m)
{
	for (uint32_t i = 0; i < cli->match_cnt && i < m->cnt; i++)
		cli->matches[i].cnt = m->cnts[i];
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		cli->targets[i].starting = (cli->targets[i].spawned || (cli->targets[i].of_exe && !cli->noticed)) && m->starting &&
			!cli->targets[i].gone;
	if (m->bad >= cli->match_cnt)
		return CLI_OK;
	const struct cli_match *bad = &cli->matches[m->bad];
	if (m->code < 0) {
		cli_source_error(cli, bad->src, cli_match_tag(m->code), cli->prog.plan.clauses[bad->clause].descs[bad->desc].line, m->why);
		return CLI_ERROR;
	}
	for (uint32_t i = m->bad; i < cli->match_cnt && !cli->args.opts.zdefs; i++) {
		if (cli->matches[i].cnt || cli_match_may_come(cli, &cli->matches[i]))
			continue;
		cli_match_none(cli, &cli->matches[i], i == m->bad ? m->why : "");
		cli_shell_say(cli);
		return CLI_ERROR;
	}
	return CLI_OK;
}

int cli_remote_request(struct cli *cli, struct err *reterr)
{
	struct proto_start s;
	struct proto_matched m;
	uint8_t *image = NULL;
	if (cli->args.opts.budget)
		return err_setf(reterr, -ENOTSUP, "-x budget is kept by the tool itself, not by dyntraced: trace processes of your own%s, with "
				"-x daemon=never", geteuid() ? ", or as root" : "");
	int rc = fill_request(cli, &s, &image);
	rc = rc ? err_setf(reterr, rc, "out of memory") : client_start(cli->client, &s, &m, reterr);
	free(s.targets);
	free(s.descs);
	free(image);
	if (rc)
		return rc;
	rc = cli_remote_matched(cli, &m);
	bool starting = m.starting || cli_exe_pending(cli);
	if (!rc && !starting)
		cli_match_notice(cli);
	if (!rc && cli->args.record && !cli->grows && !starting && cli_record_check(cli))
		rc = CLI_ERROR;
	if (!rc && !cli_match_total(cli) && !starting && !cli->args.opts.zdefs) {
		cli_error("no probes %s", cli->args.src_cnt ? "matched" : "specified");
		rc = CLI_ERROR;
	}
	cli->has_kernel = m.kernel;
	proto_matched_deinit(&m);
	return rc;
}

/* Modules and symbols go into the trace from here. */
static int record(struct cli *cli)
{
	struct err e;
	if (!cli->args.record)
		return CLI_OK;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		if (!t->obj && obj_proc_open(t->pid, &t->obj, &e))
			cli_error("%s", e.msg);
	}
	return cli_record_begin(cli) || cli_record_go(cli) ? CLI_ERROR : CLI_OK;
}

/* Those of -x exe that had gone before they were traced are no more. */
static void take_numbers(struct cli *cli, const struct proto_armed *a)
{
	for (uint32_t k = 0; k < cli->target_cnt; k++) {
		struct cli_target *t = &cli->targets[k];
		for (uint32_t i = 0; i < a->target_cnt; i++)
			if ((uint32_t)t->pid == a->targets[i].pid)
				t->proc = a->targets[i].proc;
		t->gone |= t->of_exe && !t->proc;
	}
}

/* Those whose sizes are wrong are not to be armed; the memory comes with arming. */
static int arm(struct cli *cli, struct err *reterr)
{
	int rc = client_arm(cli->client, reterr);
	if (rc)
		return rc;
	take_numbers(cli, client_armed(cli->client));
	if (cli_make_consume(cli, client_shm(cli->client)) || cli_check_sizes(cli) || record(cli))
		return CLI_ERROR;
	if (cli->args.opts.destructive && !cli->args.opts.quiet)
		cli_error("allowing destructive actions");
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].spawned)
			kill(cli->targets[i].pid, SIGCONT);
	return 0;
}

static int connect_to(struct cli *cli)
{
	struct err e;
	int rc = client_open(NULL, &cli->client, &e);
	if (!rc)
		return CLI_OK;
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

void cli_remote_said(struct cli *cli)
{
	struct client_event ev;
	while (!client_wait_kept(cli->client, &ev)) {
		if (ev.type == PROTO_SAY)
			cli_error("%s", ev.said.text);
		client_event_deinit(&ev);
	}
}

/* What was said before comes first. */
static void complain(struct cli *cli, int rc, const struct err *e)
{
	static const char grab[] = "failed to grab";
	cli_remote_said(cli);
	if (!strncmp(e->msg, grab, sizeof(grab) - 1) || rc == -ENOTSUP)
		cli_error("%s", e->msg);
	else
		cli_error("could not enable tracing: %s", e->msg);
}

static int try(struct cli *cli, bool last, bool *ret_ended)
{
	struct err e;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		cli_shell_note(cli, &cli->targets[i]);
	if (connect_to(cli) || hand_over(cli))
		return CLI_ERROR;
	if (!cli->matches && cli_matches_make(cli)) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	int rc = cli_remote_request(cli, &e);
	rc = rc ? rc : arm(cli, &e);
	if (rc == -ESTALE && !last)
		return rc;
	if (rc && cli_targets_ended(cli)) {
		*ret_ended = true;
		return cli_say_ended(cli);
	}
	if (rc < 0)
		complain(cli, rc, &e);
	return rc ? CLI_ERROR : CLI_OK;
}

#define TRIES 5 /* as long as the process is becoming other programs */

int cli_remote_run(struct cli *cli)
{
	int rc = cli_check_allowed(cli) ? CLI_ERROR : -ESTALE;
	bool ended = false;
	client_look_end(); /* the compiler's; there is a limit on connections */
	for (int i = 0; rc == -ESTALE && i < TRIES; i++) {
		client_close(cli->client);
		cli->client = NULL;
		rc = try(cli, i == TRIES - 1, &ended);
	}
	if (ended)
		return rc;
	rc = rc ? rc : cli_remote_loop(cli);
	if (rc)
		return cli_remote_failed(cli, rc);
	rc = cli_remote_finish(cli);
	consume_exited(cli->consume, &cli->status);
	return rc ? rc : cli->status;
}
