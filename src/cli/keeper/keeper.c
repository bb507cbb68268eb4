/* SPDX-License-Identifier: MIT */
/* The life of a keeper. */
#include "cli/keeper/keeper_int.h"
#include "cli/remote_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_NS 100000000ull
#define FIRST_ID 2u /* even */
#define SAID_MAX (256 << 10)

/* Somebody knocks: the wait ends as if the process had rung. */
static uint32_t *doorbell;

static void on_knock(int sig)
{
	(void)sig;
	if (doorbell)
		__atomic_add_fetch(doorbell, 1, __ATOMIC_RELEASE);
}

/* ---- attached ---- */

static void direct(struct tracer_host *h, FILE *out)
{
	struct keeper *k = (struct keeper *)((char *)h - offsetof(struct keeper, host));
	struct consume_opts o;
	k->cli.out = out;
	cli_consume_opts(&k->cli, &o);
	o.on_event = keeper_event;
	consume_set_opts(k->cli.consume, &o);
}

static int make_consumer(struct keeper *k, struct err *reterr)
{
	struct cli *cli = &k->cli;
	struct consume_opts o;
	cli->out = stdout; /* /dev/null: what tracers print goes elsewhere */
	cli_consume_opts(cli, &o);
	o.on_event = keeper_event;
	int r = consume_create(cli_shm(cli), &cli->prog.plan, &cli->prog.image, &o, &cli->consume, reterr);
	if (r)
		return r;
	k->host.consume = cli->consume;
	k->host.plan = &cli->prog.plan;
	k->host.image = &cli->prog.image;
	k->host.obj = k->obj;
	k->host.real_offset_ns = consume_real_offset_ns(cli->consume);
	return 0;
}

static int open_own(struct keeper *k, struct err *reterr)
{
	struct cli *cli = &k->cli;
	struct session_opts so = { .ring_bytes = cli->args.opts.bufsize, .agg_bytes = cli->args.opts.aggsize,
				   .dyn_bytes = cli->args.opts.dynvarsize, .thread_cnt = (uint32_t)cli->args.opts.threads,
				   .alloca_bytes = cli->args.opts.scratchsize, .spec_cnt = (uint32_t)cli->args.opts.nspec,
				   .spec_bytes = cli->args.opts.specsize, .grows = true,
				   .follow = cli->args.opts.followfork && !k->child };
	int r = session_create(&cli->prog.image, &so, &cli->session, reterr);
	if (!r && k->child) {
		struct session_child *c = k->child;
		k->child = NULL; /* freed in any case */
		r = session_adopt(cli->session, c, &k->proc, reterr);
	} else if (!r) {
		r = session_attach(cli->session, k->pid, &k->proc, reterr);
	}
	k->obj = r ? NULL : session_obj(cli->session, k->proc);
	return r;
}

static int go(struct keeper *k, struct err *reterr)
{
	struct session *s = k->cli.session;
	uint32_t sites;
	int r = session_arm(s, NULL, 0, NULL, NULL, &sites, reterr);
	if (r)
		return r;
	session_tool_reads(s, k->pid);
	session_enable(s, true);
	doorbell = &session_shm(s)->doorbell;
	return 0;
}

static int open_session(struct keeper *k, struct err *reterr)
{
	struct cli *cli = &k->cli;
	if (cli_compile(cli))
		return err_setf(reterr, -EINVAL, "an empty script cannot be compiled");
	k->far = !k->child && keeper_far_wanted(k);
	int r = k->far ? keeper_far_open(k, reterr) : open_own(k, reterr);
	if (!r && host_pidfd_ended(k->host.pidfd)) /* another may have its number */
		r = err_setf(reterr, -ESRCH, "process %d has ended", (int)k->pid);
	if (r)
		return r;
	cli->targets[0].proc = k->proc;
	cli->targets[0].obj = k->obj;
	k->table = probe_table_create();
	r = k->table ? make_consumer(k, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	return r || k->far ? r : go(k, reterr);
}

static int disarm(struct keeper *k, struct err *reterr)
{
	if (k->far)
		return client_stop(k->cli.client, reterr);
	session_enable(k->cli.session, false);
	return session_disarm(k->cli.session, reterr);
}

int keeper_attach(struct keeper *k, struct err *reterr)
{
	if (k->attached)
		return 0;
	int r = open_session(k, reterr);
	k->attached = true;
	if (r)
		keeper_reset(k);
	return r;
}

void keeper_reset(struct keeper *k)
{
	struct cli *cli = &k->cli;
	struct err e;
	if (!k->attached)
		return;
	/* Who is told that all is gone finds nothing left. */
	if (k->far && cli->client && client_stop(cli->client, &e))
		cli_error("%s", e.msg);
	doorbell = NULL;
	cli_types_close(cli);
	consume_destroy(cli->consume);
	session_destroy(cli->session);
	client_close(cli->client);
	client_look_end();
	if (k->far)
		obj_proc_close(k->obj);
	k->obj = NULL;
	cli->consume = NULL;
	cli->session = NULL;
	cli->client = NULL;
	cli->targets[0].obj = NULL;
	probe_table_destroy(k->table);
	k->table = NULL;
	keeper_image_reset(k);
	free(k->sites);
	k->sites = NULL;
	k->site_cnt = 0;
	free(k->kids);
	k->kids = NULL;
	k->kid_cnt = 0;
	k->attached = false;
}

void keeper_end_points(struct keeper *k)
{
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		if (k->points[i]->tp.tracer->end)
			k->points[i]->tp.tracer->end(&k->points[i]->tp);
		keeper_point_free(k->points[i]);
	}
	k->point_cnt = 0;
}

/* Once: then the name may be another keeper's. */
void keeper_unlink(struct keeper *k)
{
	if (!k->is_unlinked)
		keep_unlink(k->pid);
	k->is_unlinked = true;
}

/* Nothing fires any more, and all that was recorded is read. */
static int finish(struct keeper *k, struct err *reterr)
{
	int r = k->attached ? disarm(k, reterr) : 0;
	if (k->attached)
		keeper_drain(k, true);
	return r;
}

static void give_back(struct keeper *k)
{
	keeper_end_points(k);
	client_close(k->cli.client);
	k->cli.client = NULL;
	keeper_reset(k);
}

/* When the answer is there, what tracepoints write is complete, and the process is anybody's: what may have to stay in it (a
 * thread sleeps in there) names no owner any more. */
int keeper_detach(struct keeper *k, FILE *out, bool json, struct err *reterr)
{
	int r = finish(k, reterr);
	if (json)
		keeper_list(k, out, true, true);
	for (uint32_t i = 0; i < k->point_cnt && !json; i++) {
		fprintf(out, "%s removed\n", k->points[i]->name);
		keeper_show_gathered(k->points[i], out);
	}
	give_back(k);
	keeper_unlink(k);
	k->ends = true;
	return r;
}

static bool keep_thread(void *arg, uint32_t slot)
{
	struct keeper *k = arg;
	struct err e;
	if (!consume_thread_drained(k->cli.consume, slot))
		return false;
	if (!consume_fold_thread(k->cli.consume, slot, &e))
		return true;
	cli_error("%s", e.msg);
	return false;
}

int keeper_drain(struct keeper *k, bool final)
{
	struct err e;
	int64_t n = consume_drain(k->cli.consume, final, &e);
	if (n < 0)
		cli_error("%s", e.msg);
	for (uint32_t i = 0; n && i < k->point_cnt; i++)
		if (k->points[i]->tp.tracer->drained)
			k->points[i]->tp.tracer->drained(&k->points[i]->tp);
	if (k->far)
		cli_remote_drained(&k->cli);
	else
		session_reap_threads(k->cli.session, keep_thread, k);
	consume_report_drops(k->cli.consume);
	return n < 0 ? (int)n : 0;
}

static void handle(struct keeper *k, enum session_event ev, uint32_t proc)
{
	switch (ev) {
	case SESSION_EXITED:
		k->ends |= proc == k->proc;
		keeper_left(k, proc);
		break;
	case SESSION_EXECED:
		if (proc != k->proc) {
			keeper_left(k, proc);
		} else if (k->is_parent) {
			cli_error("pid %d runs another program now; its tracepoints are gone", (int)k->pid);
			k->was_execed = true;
		} else {
			keeper_execed(k);
		}
		break;
	case SESSION_STARTED:
		keeper_followed(k, proc);
		break;
	case SESSION_MODULES:
		keeper_modules_came(k, proc);
		break;
	default:
		break;
	}
}

/* Nobody asks for days, perhaps: the first of what was said is kept. */
static void bound_messages(void)
{
	static const char more[] = "dyntrace: and more of the like\n";
	fflush(stderr);
	off_t n = lseek(STDERR_FILENO, 0, SEEK_END);
	if (n <= SAID_MAX || ftruncate(STDERR_FILENO, SAID_MAX))
		return;
	if (pwrite(STDERR_FILENO, more, sizeof(more) - 1, SAID_MAX - (off_t)sizeof(more)) > 0)
		lseek(STDERR_FILENO, 0, SEEK_END);
}

enum session_event keeper_step(struct keeper *k, int *ret_status)
{
	uint32_t proc = k->proc; /* of others nobody tells from afar */
	enum session_event ev = k->far ? keeper_far_wait(k, WAIT_NS) : session_wait(k->cli.session, WAIT_NS, &proc, ret_status);
	if ((ev != SESSION_MODULES || !k->is_parent) && !(k->far && ev == SESSION_MODULES))
		handle(k, ev, proc);
	if (!k->attached)
		return ev;
	keeper_drain(k, false);
	if (k->said_fd < 0)
		bound_messages();
	return ev;
}

void keeper_end(struct keeper *k)
{
	struct err e;
	if (finish(k, &e))
		cli_error("%s", e.msg);
	give_back(k);
}

static void live(struct keeper *k)
{
	struct obj_proc_info info;
	int status;
	cli_spare_keep(&k->cli);
	while (!k->ends && !cli_loop_interrupted()) {
		if (k->attached)
			keeper_step(k, &status);
		else
			usleep(WAIT_NS / 1000); /* a knock ends it */
		k->ends |= !k->attached && obj_proc_info(k->pid, &info, NULL);
		if (!k->ends && keeper_serve(k))
			cli_spare_keep(&k->cli);
		cli_spare_give(&k->cli);
		if (k->ends || cli_loop_interrupted())
			keeper_unlink(k);
	}
	keeper_end(k);
}

/* ---- its beginning ---- */

int keeper_gather_messages(void)
{
	int said = memfd_create("dyntrace-keeper", MFD_CLOEXEC);
	int r = said < 0 || dup2(said, STDERR_FILENO) < 0 ? -errno : 0;
	if (said >= 0)
		close(said);
	return r;
}

void keeper_relay(struct keeper *k)
{
	char *text = k->said_fd >= 0 ? keeper_take_messages() : NULL;
	if (text && *text && write(k->said_fd, text, strlen(text)) < 0)
		k->said_fd = -1;
	free(text);
}

int keeper_init(struct keeper *k, pid_t pid)
{
	struct cli *cli = &k->cli;
	*k = (struct keeper){ .pid = pid, .listener = -1, .said_fd = -1, .next_id = FIRST_ID };
	k->host = (struct tracer_host){ .pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0), .direct = direct, .read_symbol = keeper_lib_read };
	cli_options_init(&cli->args.opts);
	cli->args.opts.quiet = 1;
	cli->args.opts.empty = 1;
	cli->grows = true;
	cli->args.record = calloc(1, sizeof(*cli->args.record));
	cli->args.macros = calloc(1, sizeof(*cli->args.macros));
	cli->targets = calloc(1, sizeof(*cli->targets));
	if (!cli->args.record || !cli->args.macros || !cli->targets)
		return -ENOMEM;
	cli->targets[0] = (struct cli_target){ .pid = pid };
	cli->target_cnt = 1;
	return 0;
}

void keeper_deinit(struct keeper *k)
{
	struct cli *cli = &k->cli;
	if (k->listener >= 0)
		close(k->listener);
	if (k->host.pidfd >= 0)
		close(k->host.pidfd);
	free(k->points);
	free(cli->targets);
	cli_args_deinit(&cli->args);
}

void keeper_catch_knocks(int fd)
{
	struct sigaction sa = { .sa_handler = on_knock };
	sigaction(SIGIO, &sa, NULL);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK);
}

/* No terminal, no files but these three and @keep: the last one of three gathers what is to be said. */
static int leave_terminal(const int keep[3])
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || keeper_gather_messages() || chdir("/"))
		return -errno;
	for (int fd = 3; fd < 1024; fd++)
		if (fd != keep[0] && fd != keep[1] && fd != keep[2])
			close(fd);
	return 0;
}

struct news {
	int code;
	char msg[ERR_MSG_MAX];
};

static void tell(int fd, int code, const struct err *e)
{
	struct news n = { .code = code };
	if (code)
		snprintf(n.msg, sizeof(n.msg), "%s", e->msg);
	if (write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		_exit(CLI_ERROR);
	close(fd);
}

static int set_options(struct keeper *k, const char *const *options, struct err *reterr)
{
	int r = 0;
	for (; options && *options && !r; options++) {
		char *name = strdup(*options), *value = name ? strchr(name, '=') : NULL;
		if (value)
			*value++ = 0;
		r = name ? cli_options_set(&k->cli.args.opts, name, value, FROM_ARGS, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
		free(name);
	}
	if (!r && k->cli.args.opts.budget)
		r = err_setf(reterr, -ENOTSUP, "-x budget is for scripts: a keeper keeps none");
	return r;
}

static void run(pid_t pid, const char *const *options, int tell_fd)
{
	struct keeper k;
	struct err e = { .msg = "out of memory" };
	int r = keeper_init(&k, pid);
	r = r ? r : set_options(&k, options, &e);
	r = r ? r : (k.listener = keep_listen(pid, &e)) < 0 ? k.listener : 0;
	r = r ? r : leave_terminal((const int[]){ tell_fd, k.listener, k.host.pidfd });
	if (!r) {
		struct obj_proc_info info = { .comm = "" };
		obj_proc_info(pid, &info, NULL);
		prctl(PR_SET_NAME, "dyntrace-keeper");
		host_title_set("dyntrace-keeper: tracepoints of process %d (%s)", (int)pid, info.comm);
		keeper_catch_knocks(k.listener);
		cli_loop_signals();
		signal(SIGHUP, SIG_IGN);
		r = keeper_attach(&k, &e);
		if (r)
			keep_unlink(pid);
	}
	tell(tell_fd, r, &e);
	if (!r)
		live(&k);
	keeper_deinit(&k);
	_exit(CLI_OK);
}

int keeper_start(pid_t pid, const char *const *options, struct err *reterr)
{
	int p[2];
	struct news n = { .code = -EPIPE, .msg = "the keeper ended at once" };
	int fd = keep_connect(pid, NULL);
	if (fd >= 0) {
		close(fd);
		return options && *options ? err_setf(reterr, -EEXIST, "process %d is attached already, without %s: detach it first", (int)pid,
						      *options) : 0;
	}
	if (pipe2(p, O_CLOEXEC))
		return err_setf(reterr, -errno, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	pid_t child = fork();
	if (!child) {
		close(p[0]);
		run(pid, options, p[1]);
	}
	close(p[1]);
	int r = child < 0 ? err_setf(reterr, -errno, "cannot fork: %s", strerror(errno)) : 0;
	if (!r && keep_read(p[0], &n, sizeof(n)) < 0)
		n.code = -EPIPE;
	close(p[0]);
	if (!r && n.code && n.code != -EEXIST)
		r = err_setf(reterr, n.code, "%s", n.msg);
	return r;
}
