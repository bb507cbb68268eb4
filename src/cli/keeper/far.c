/* SPDX-License-Identifier: MIT */
/*
 * A keeper of a process that its user may not trace by himself, where dyntraced may for him: it compiles, reads and
 * counts here, as for any run (remote.c); tracepoints go there as descriptions, with the image that they use.
 */
#include "cli/keeper/keeper_int.h"
#include "cli/remote_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool keeper_far_wanted(const struct keeper *k) { return cli_remote_is_for(&k->cli, k->pid); }

int keeper_far_open(struct keeper *k, struct err *reterr)
{
	struct cli *cli = &k->cli;
	cli->args.opts.zdefs = 1; /* what there is comes later */
	int r = client_open(NULL, &cli->client, reterr);
	r = r ? r : cli_remote_request(cli, reterr);
	r = r ? r : client_arm(cli->client, reterr);
	r = r ? r : obj_proc_open(k->pid, &k->obj, reterr);
	if (r > 0)
		r = err_setf(reterr, -EPERM, "dyntraced refuses");
	if (!r && client_armed(cli->client)->target_cnt)
		k->proc = client_armed(cli->client)->targets[0].proc;
	return r;
}

/* One for each description of a tracepoint: places of it are found there as they were here. */
static uint32_t describe(const struct session_probe *v, uint32_t cnt, const struct keeper *k, struct proto_point *ret)
{
	static char at_return[] = "return", none[] = "";
	uint32_t n = 0;
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		const struct keeper_point *pt = k->points[i];
		bool is_wanted = false;
		for (uint32_t j = 0; j < cnt && !is_wanted; j++)
			is_wanted = (v[j].probe->id & ~1u) == pt->tp.id;
		for (uint32_t at = 0; at < TRACER_AT_CNT && is_wanted; at++)
			if (pt->tp.at[at].used)
				ret[n++] = (struct proto_point){ .id = pt->tp.id + (at == TRACER_RETURN), .clause = pt->tp.at[at].clause,
					.part = { pt->where.mod, pt->where.func, at == TRACER_RETURN ? at_return : pt->where.name,
						  pt->where.prov ? pt->where.prov : none } };
	}
	return n;
}

static void tell_refusals(const struct proto_pointed *r, const struct session_probe *v, uint32_t cnt, session_refused_fn *refused, void *arg)
{
	for (uint32_t i = 0; i < r->cnt; i++)
		for (uint32_t j = 0; j < cnt; j++)
			if (v[j].probe->id == r->v[i].id && v[j].probe->func_addr == r->v[i].func) {
				refused(arg, &(struct session_refusal){ .probe = v[j].probe, .addr = r->v[i].addr, .why = r->v[i].why });
				break;
			}
}

int keeper_far_grow(struct keeper *k, struct err *reterr)
{
	struct proto_points p = { .changed = PROTO_UNCHANGED };
	struct proto_pointed r = { 0 };
	uint8_t *image = NULL;
	int rc = ir_image_encode(&k->cli.prog.image, &image, &p.image_bytes, reterr);
	p.image = image;
	rc = rc ? rc : client_points(k->cli.client, &p, &r, reterr);
	free(image);
	if (rc)
		return rc;
	rc = r.code ? err_setf(reterr, r.code, "%s", r.why) : 0;
	proto_pointed_deinit(&r);
	return rc;
}

int keeper_far_rearm(struct keeper *k, uint32_t changed, const struct session_probe *v, uint32_t cnt, session_refused_fn *refused, void *arg,
		     struct err *reterr)
{
	struct proto_points p = { .changed = changed };
	struct proto_pointed r = { 0 };
	p.v = calloc(k->point_cnt * (size_t)TRACER_AT_CNT + 1, sizeof(*p.v));
	if (!p.v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	p.cnt = describe(v, cnt, k, p.v);
	int rc = client_points(k->cli.client, &p, &r, reterr);
	free(p.v);
	if (rc)
		return rc;
	tell_refusals(&r, v, cnt, refused, arg);
	rc = r.code ? err_setf(reterr, r.code, "%s", r.why) : 0;
	proto_pointed_deinit(&r);
	return rc;
}

/* The process runs another program, which the daemon follows; addresses are of that from now on. */
static void become(struct keeper *k, uint32_t proc)
{
	struct err e;
	k->proc = proc;
	k->cli.targets[0].proc = proc;
	if (obj_proc_refresh(k->obj, &e))
		cli_error("%s", e.msg);
	for (uint32_t i = 0; i < k->point_cnt; i++)
		for (uint32_t p = 0; p < k->points[i]->probe_cnt; p++)
			k->points[i]->probes[p].proc = proc;
	cli_error("process %d runs another program now; its tracepoints are where that has such places", (int)k->pid);
}

static enum session_event event_of(struct keeper *k, const struct client_event *ev)
{
	switch (ev->type) {
	case PROTO_SAY:
		cli_error("%s", ev->said.text);
		return SESSION_NOTHING;
	case PROTO_EVENT:
		if (ev->words[0] == PROTO_EV_STARTED && (pid_t)ev->words[2] == k->pid)
			become(k, (uint32_t)ev->words[1]);
		return (uint32_t)ev->words[1] != k->proc ? SESSION_NOTHING : ev->words[0] == PROTO_EV_EXITED ? SESSION_EXITED :
		       ev->words[0] == PROTO_EV_EXECED ? SESSION_EXECED : SESSION_NOTHING;
	case PROTO_RUNG:
		return SESSION_DATA;
	default:
		return SESSION_NOTHING;
	}
}

enum session_event keeper_far_wait(struct keeper *k, uint64_t timeout_ns)
{
	struct client_event ev;
	struct err e;
	int rc = client_wait(k->cli.client, timeout_ns, &ev, &e);
	if (rc == -EINTR)
		return SESSION_NOTHING;
	if (rc) {
		cli_error("the tracepoints of process %d are gone: %s", (int)k->pid, e.msg);
		k->ends = true;
		return SESSION_NOTHING;
	}
	enum session_event what = event_of(k, &ev);
	client_event_deinit(&ev);
	return what;
}
