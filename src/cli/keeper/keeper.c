/* SPDX-License-Identifier: MIT */
/* The life of a keeper. */
#include "cli/keeper/keeper_int.h"
#include "cli/remote_int.h"

#include <unistd.h>

#define WAIT_NS 100000000ull

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
	int r = k->attached ? keeper_disarm(k, reterr) : 0;
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
		session_reap_threads(k->cli.session, cli_loop_keep_thread, &k->cli);
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
		keeper_bound_messages();
	return ev;
}

void keeper_end(struct keeper *k)
{
	struct err e;
	if (finish(k, &e))
		cli_error("%s", e.msg);
	give_back(k);
}

void keeper_live(struct keeper *k)
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
