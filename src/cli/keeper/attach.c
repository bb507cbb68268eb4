/* SPDX-License-Identifier: MIT */
/* A keeper's session, from when it attaches to when all is taken back. */
#include "cli/keeper/keeper_int.h"
#include "cli/remote_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Somebody knocks: the wait ends as if the process had rung. */
static uint32_t *doorbell;

static void on_knock(int sig)
{
	(void)sig;
	if (doorbell)
		__atomic_add_fetch(doorbell, 1, __ATOMIC_RELEASE);
}

void keeper_catch_knocks(int fd)
{
	struct sigaction sa = { .sa_handler = on_knock };
	sigaction(SIGIO, &sa, NULL);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK);
}

void keeper_direct(struct tracer_host *h, FILE *out)
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

/* What had to stay in the process is said by the daemon. */
static int stop_far(struct keeper *k, struct err *reterr)
{
	int r = client_stop(k->cli.client, reterr);
	cli_remote_said(&k->cli);
	return r;
}

int keeper_disarm(struct keeper *k, struct err *reterr)
{
	if (k->far)
		return stop_far(k, reterr);
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
	if (k->far && cli->client && stop_far(k, &e))
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
