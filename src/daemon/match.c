/* SPDX-License-Identifier: MIT */
/* Descriptions to probes, each probe's clauses, and all of it armed: as cli/match.c and cli/arm.c do for a local run. */
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

struct match_procs {
	struct obj_proc **procs;
	pid_t *pids;
	uint32_t cnt;
};

static int procs_collect(struct worker *w, struct match_procs *ret)
{
	ret->procs = calloc(w->target_cnt + 1ul, sizeof(*ret->procs));
	ret->pids = calloc(w->target_cnt + 1ul, sizeof(*ret->pids));
	for (uint32_t i = 0; ret->procs && ret->pids && i < w->target_cnt; i++) {
		const struct run_target *t = &w->targets[i];
		if (t->gone || !t->obj)
			continue;
		ret->procs[ret->cnt] = t->obj;
		ret->pids[ret->cnt++] = t->root ? t->root : t->pid;
	}
	return ret->procs && ret->pids ? 0 : -ENOMEM;
}

static void procs_free(struct match_procs *p)
{
	free(p->procs);
	free(p->pids);
}

static int probes_room(struct worker *w)
{
	uint32_t cnt = probe_cnt(w->table);
	if (cnt <= w->probe_cnt)
		return 0;
	struct run_probe *v = realloc(w->probes, cnt * sizeof(*v));
	if (!v)
		return -ENOMEM;
	memset(v + w->probe_cnt, 0, (cnt - w->probe_cnt) * sizeof(*v));
	w->probes = v;
	w->probe_cnt = cnt;
	return 0;
}

static bool has_module(struct obj_proc *obj, const struct obj_module *mod)
{
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		if (obj_module_at(obj, i) == mod)
			return true;
	return false;
}

/* Followed processes have probes under the number of another, so the module tells. */
static uint32_t probe_proc(struct worker *w, const struct probe *p)
{
	uint32_t proc = 0;
	for (uint32_t i = w->target_cnt; i-- && p->pid;) {
		const struct run_target *t = &w->targets[i];
		if (t->gone || !t->obj)
			continue;
		if (p->module && has_module(t->obj, p->module))
			return t->proc;
		if (t->pid == p->pid)
			proc = t->proc;
	}
	return proc;
}

static int add_clause(struct worker *w, uint32_t idx, uint32_t clause)
{
	struct run_probe *p = &w->probes[idx];
	if (p->armed)
		return 0;
	uint32_t *v = realloc(p->progs, (p->prog_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->progs = v;
	v[p->prog_cnt++] = clause;
	p->proc = probe_proc(w, probe_at(w->table, idx));
	return 0;
}

static int match_id(struct worker *w, uint32_t id, uint32_t **ret, uint32_t *ret_cnt)
{
	*ret_cnt = 0;
	*ret = malloc(sizeof(**ret));
	for (uint32_t i = 0; *ret && !*ret_cnt && i < probe_cnt(w->table); i++)
		if (probe_at(w->table, i)->id == id)
			(*ret)[(*ret_cnt)++] = i;
	return *ret ? 0 : -ENOMEM;
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
static int match_one(struct worker *w, uint32_t desc, const struct match_procs *procs)
{
	const struct proto_desc *d = &w->req.descs[desc];
	const struct probe_spec spec = { d->part[0], d->part[1], d->part[2], d->part[3] };
	uint32_t *found = NULL, cnt = 0;
	struct err e = { 0 };
	int rc = d->id ? match_id(w, d->id, &found, &cnt) :
		probe_match(w->table, &spec, procs->procs, procs->pids, procs->cnt, &found, &cnt, &e);
	if (rc == -ENOMEM)
		return rc;
	if (rc || !cnt)
		note_bad(w, desc, rc, e.msg);
	w->match_cnts[desc] = rc ? 0 : cnt;
	rc = rc ? 0 : probes_room(w);
	for (uint32_t i = 0; !rc && i < w->match_cnts[desc]; i++)
		rc = add_clause(w, found[i], d->clause);
	free(found);
	return rc;
}

static int tables_make(struct worker *w)
{
	static const struct probe_spec any = { "", "", "", "" };
	uint32_t *found = NULL, cnt = 0;
	bool ids = false;
	if (w->table)
		return 0;
	w->table = probe_table_create();
	w->match_cnts = calloc(w->req.desc_cnt + 1ul, sizeof(*w->match_cnts));
	for (uint32_t i = 0; i < w->req.desc_cnt; i++)
		ids |= w->req.descs[i].id != 0;
	if (w->table && ids)
		probe_match(w->table, &any, NULL, NULL, 0, &found, &cnt, NULL);
	free(found);
	return w->table && w->match_cnts ? 0 : -ENOMEM;
}

int run_match_all(struct worker *w, struct err *reterr)
{
	struct match_procs procs = { 0 };
	int rc = tables_make(w);
	rc = rc ? rc : procs_collect(w, &procs);
	for (uint32_t i = 0; i < w->probe_cnt; i++)
		if (!w->probes[i].armed)
			w->probes[i].prog_cnt = 0;
	w->bad = UINT32_MAX;
	w->bad_code = 0;
	w->bad_why[0] = 0;
	for (uint32_t i = 0; !rc && i < w->req.desc_cnt; i++)
		rc = match_one(w, i, &procs);
	procs_free(&procs);
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
static int check_tool(struct worker *w, const struct session_probe *v, uint32_t cnt, struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t k = 0; v[i].probe->kind == WIRE_SITE_TOOL && k < v[i].prog_cnt; k++)
			if (raises(&w->image.progs[v[i].progs[k]]))
				return err_setf(reterr, -EPERM, "raise() and stop() cannot be used in %s through dyntraced", v[i].probe->name);
	return 0;
}

struct refusals {
	struct worker *w;
	uint32_t cnt, no_return_cnt;
};

#define REFUSALS_SHOWN 20

static bool is_named(const struct worker *w, const struct probe *p)
{
	for (uint32_t i = 0; i < w->req.desc_cnt; i++)
		if (!strcmp(w->req.descs[i].part[2], p->func))
			return true;
	return false;
}

static void refused(void *arg, const struct session_refusal *why)
{
	struct refusals *r = arg;
	const struct probe *p = why->probe;
	/* Nothing is lost where nothing returns: who asks for one such function gets to know, who asks for all does not. */
	if (why->has_no_return ? !r->no_return_cnt++ && is_named(r->w, p) : r->cnt++ < REFUSALS_SHOWN)
		worker_sayf(r->w, "%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
			    (unsigned long long)why->addr, why->why);
}

static uint32_t collect(struct worker *w, struct session_probe *v)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < w->probe_cnt; i++) {
		struct run_probe *p = &w->probes[i];
		if (p->armed || !p->prog_cnt)
			continue;
		p->armed = true;
		v[n++] = (struct session_probe){ .probe = probe_at(w->table, i), .proc = p->proc, .progs = p->progs,
						 .prog_cnt = p->prog_cnt };
	}
	return n;
}

int run_arm_new(struct worker *w, struct err *reterr)
{
	struct session_probe *v = calloc(w->probe_cnt + 1ul, sizeof(*v));
	struct refusals r = { .w = w };
	uint32_t sites = 0, n = v ? collect(w, v) : 0;
	int rc = v ? check_tool(w, v, n, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	rc = rc ? rc : session_arm(w->session, v, n, refused, &r, &sites, reterr);
	free(v);
	if (rc)
		return rc;
	if (r.cnt > REFUSALS_SHOWN)
		worker_sayf(w, "%u more places are not traced; -v names them", r.cnt - REFUSALS_SHOWN);
	if (n && !sites && !w->armed_cnt && r.cnt + r.no_return_cnt)
		return err_setf(reterr, -ENOTSUP, "none of the probes can be placed; explain shows why, and the offsets of other places "
				"(-l with an empty name)");
	w->armed_cnt += sites;
	return 0;
}
