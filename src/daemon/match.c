/* SPDX-License-Identifier: MIT */
/* The client's descriptions matched and armed, and the processes that they are matched in. */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run_target *run_target_add(struct worker *w, pid_t pid, uint32_t proc)
{
	for (uint32_t i = 0; proc && i < w->target_cnt; i++)
		if (w->targets[i].proc == proc && w->targets[i].gone)
			w->targets[i].proc = 0;
	struct run_target *v = realloc(w->targets, (w->target_cnt + 1) * sizeof(*v));
	if (!v)
		return NULL;
	w->targets = v;
	v[w->target_cnt] = (struct run_target){ .pid = pid, .proc = proc, .pidfd = -1 };
	return &v[w->target_cnt++];
}

struct run_target *run_target_by_proc(struct worker *w, uint32_t proc)
{
	for (uint32_t i = 0; i < w->target_cnt; i++)
		if (proc && w->targets[i].proc == proc)
			return &w->targets[i];
	return NULL;
}

static bool target_at(const void *arg, uint32_t i, struct aim_target *ret)
{
	const struct worker *w = arg;
	const struct run_target *t = &w->targets[i];
	*ret = (struct aim_target){ t->pid, t->root, t->proc, t->obj };
	return !t->gone;
}

static void note_bad(struct worker *w, uint32_t desc, int code, const char *why)
{
	if (w->bad != UINT32_MAX && (w->bad_code || !code))
		return;
	w->bad = desc;
	w->bad_code = code;
	strcpy(w->bad_why, why);
}

/* An impossible description is the client's to hear of, not an error here. */
static int on_found(void *arg, uint32_t desc, int rc, const uint32_t *found, uint32_t cnt, const char *why)
{
	struct worker *w = arg;
	(void)found;
	bool may_come = rc == -ESRCH && w->exe.ino;
	if (!cnt)
		note_bad(w, desc, may_come ? 0 : rc, may_come ? "" : why);
	w->match_cnts[desc] = cnt;
	return 0;
}

static int make_aim(struct worker *w)
{
	w->match_cnts = calloc(w->req.desc_cnt + 1ul, sizeof(*w->match_cnts));
	return w->match_cnts ? aim_init(&w->aim, &w->image, request_descs(w), w->req.desc_cnt) : -ENOMEM;
}

int run_match_all(struct worker *w, struct err *reterr)
{
	uint32_t cnt;
	struct aim_target *v = aim_targets(target_at, w, w->target_cnt, &cnt);
	int rc = !v ? -ENOMEM : w->match_cnts ? 0 : make_aim(w);
	w->bad = UINT32_MAX;
	w->bad_code = 0;
	w->bad_why[0] = 0;
	rc = rc ? rc : aim_match(&w->aim, v, cnt, on_found, w);
	free(v);
	return rc ? err_setf(reterr, rc, "out of memory") : 0;
}

/* ---- arming ---- */

static bool raises(const struct ir_prog *p)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		if (p->insns[i].op == IR_OP_CALL && (p->insns[i].imm == IR_HELPER_raise || p->insns[i].imm == IR_HELPER_stop))
			return true;
	return false;
}

/* The tool's own probes run here: a signal would be for this process. */
static int check_tool(const struct worker *w, struct err *reterr)
{
	for (uint32_t i = 0; i < w->aim.probe_cnt; i++) {
		const struct aim_probe *p = &w->aim.probes[i];
		const struct probe *probe = probe_at(w->aim.table, i);
		for (uint32_t k = 0; probe->kind == WIRE_SITE_TOOL && k < p->prog_cnt; k++)
			if (raises(&w->image.progs[p->progs[k]]))
				return err_setf(reterr, -EPERM, "raise() and stop() cannot be used in %s through dyntraced", probe->name);
	}
	return 0;
}

static void say(void *arg, const char *text)
{
	worker_sayf(arg, "%s", text);
}

int run_arm_new(struct worker *w, struct err *reterr)
{
	const struct aim_arming how = { .say = say, .arg = w };
	int rc = check_tool(w, reterr);
	rc = rc ? rc : aim_arm(&w->aim, w->session, &how, reterr);
	return rc > 0 ? -ENOTSUP : rc;
}
