/* SPDX-License-Identifier: MIT */
/*
 * attach -x followfork.  Forked children have what stands in their parent's code; a program that one of them, or the
 * process itself, runs next has each tracepoint at the places that are called so there.
 */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void drop_probes(struct keeper *k, uint32_t proc)
{
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		struct keeper_point *pt = k->points[i];
		uint32_t n = 0;
		for (uint32_t p = 0; p < pt->probe_cnt; p++) {
			if (pt->probes[p].proc != proc)
				pt->probes[n++] = pt->probes[p];
			else
				free((char *)pt->probes[p].why);
		}
		pt->probe_cnt = n;
	}
}

void keeper_left(struct keeper *k, uint32_t proc)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < k->kid_cnt; i++)
		if (k->kids[i] != proc)
			k->kids[n++] = k->kids[i];
	if (n != k->kid_cnt)
		drop_probes(k, proc);
	k->kid_cnt = n;
}

static bool is_kid(const struct keeper *k, uint32_t proc)
{
	for (uint32_t i = 0; i < k->kid_cnt; i++)
		if (k->kids[i] == proc)
			return true;
	return false;
}

static int add_kid(struct keeper *k, uint32_t proc)
{
	uint32_t *v = realloc(k->kids, (k->kid_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	k->kids = v;
	v[k->kid_cnt++] = proc;
	return 0;
}

/* What it has of it now. */
static void arm(struct keeper *k, uint32_t proc)
{
	struct err e = { .msg = "out of memory" };
	int r = 0;
	for (uint32_t i = 0; i < k->point_cnt && !r; i++)
		r = keeper_find_in(k, k->points[i], proc);
	r = r ? r : keeper_arm_came(k, proc, &e);
	if (r)
		cli_error("process %d: %s", (int)session_pid(k->cli.session, proc), e.msg);
}

/* It is the process itself: what is asked of the process is asked of this program from now on. */
static void become(struct keeper *k, uint32_t proc)
{
	drop_probes(k, k->proc);
	k->proc = proc;
	k->obj = session_obj(k->cli.session, proc);
	k->host.obj = k->obj;
	k->cli.targets[0].proc = proc;
	k->cli.targets[0].obj = k->obj;
	cli_error("process %d runs another program now; its tracepoints are where that has such places", (int)k->pid);
}

void keeper_followed(struct keeper *k, uint32_t proc)
{
	struct err e;
	pid_t pid = session_pid(k->cli.session, proc);
	for (uint32_t i = k->kid_cnt; i--;)
		if (session_pid(k->cli.session, k->kids[i]) == pid)
			keeper_left(k, k->kids[i]);
	if (pid == k->pid)
		become(k, proc);
	if (add_kid(k, proc))
		cli_error("out of memory");
	else
		arm(k, proc);
	if (session_go(k->cli.session, &e) < 0)
		cli_error("process %d: %s", (int)pid, e.msg);
}

void keeper_modules_came(struct keeper *k, uint32_t proc)
{
	struct err e;
	uint32_t sites;
	if (is_kid(k, proc))
		arm(k, proc);
	else if (session_arm(k->cli.session, NULL, 0, NULL, NULL, &sites, &e))
		cli_error("%s", e.msg);
	if (session_modules_done(k->cli.session, proc, &e))
		cli_error("%s", e.msg);
}

void keeper_execed(struct keeper *k)
{
	cli_error("process %d runs another program now: its tracepoints are gone (attach -x followfork follows)", (int)k->pid);
	keeper_drain(k, true);
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		fprintf(stderr, "%s\n", k->points[i]->name);
		keeper_show_gathered(k->points[i], stderr);
	}
	keeper_end_points(k);
	keeper_reset(k);
	k->stays = true;
}
