/* SPDX-License-Identifier: MIT */
/* Descriptions of a program to probes, and each probe's clauses. */
#include "aim/aim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_ids(const struct aim *a)
{
	for (uint32_t i = 0; i < a->desc_cnt; i++)
		if (a->descs[i].id)
			return true;
	return false;
}

/* Numbers are those that -l shows. */
static int make_numbered(struct aim *a)
{
	static const struct probe_spec any = { "", "", "", "" };
	uint32_t *found = NULL, cnt = 0;
	int rc = probe_match(a->table, &any, NULL, NULL, 0, &found, &cnt, NULL);
	free(found);
	return rc ? -ENOMEM : 0;
}

int aim_init(struct aim *a, const struct ir_image *image, struct session_desc *descs, uint32_t desc_cnt)
{
	*a = (struct aim){ .image = image, .descs = descs, .desc_cnt = desc_cnt, .table = probe_table_create() };
	int rc = a->table && descs ? 0 : -ENOMEM;
	rc = !rc && has_ids(a) ? make_numbered(a) : rc;
	if (rc)
		aim_deinit(a);
	return rc;
}

void aim_deinit(struct aim *a)
{
	for (uint32_t i = 0; i < a->probe_cnt; i++)
		free(a->probes[i].progs);
	free(a->probes);
	free(a->descs);
	probe_table_destroy(a->table);
	*a = (struct aim){ 0 };
}

struct aim_target *aim_targets(aim_target_fn *get, const void *arg, uint32_t cnt, uint32_t *ret_cnt)
{
	struct aim_target *v = calloc(cnt + 1ul, sizeof(*v));
	*ret_cnt = 0;
	for (uint32_t i = 0; v && i < cnt; i++)
		if (get(arg, i, &v[*ret_cnt]) && v[*ret_cnt].obj)
			(*ret_cnt)++;
	return v;
}

/* As probe_match() wants them. */
struct procs {
	struct obj_proc **procs;
	pid_t *pids;
	uint32_t cnt;
};

static int procs_init(struct procs *p, const struct aim_target *t, uint32_t cnt)
{
	*p = (struct procs){ calloc(cnt + 1ul, sizeof(*p->procs)), calloc(cnt + 1ul, sizeof(*p->pids)), cnt };
	for (uint32_t i = 0; p->procs && p->pids && i < cnt; i++) {
		p->procs[i] = t[i].obj;
		p->pids[i] = t[i].root ? t[i].root : t[i].pid;
	}
	return p->procs && p->pids ? 0 : -ENOMEM;
}

static void procs_deinit(struct procs *p)
{
	free(p->procs);
	free(p->pids);
}

/* A probe by its number; as many of them as of any description: 0 or 1. */
static int find_id(const struct aim *a, uint32_t id, uint32_t **ret, uint32_t *ret_cnt)
{
	*ret_cnt = 0;
	*ret = malloc(sizeof(**ret));
	for (uint32_t i = 0; *ret && !*ret_cnt && i < probe_cnt(a->table); i++)
		if (probe_at(a->table, i)->id == id)
			(*ret)[(*ret_cnt)++] = i;
	return *ret ? 0 : -ENOMEM;
}

static int find(struct aim *a, const struct session_desc *d, const struct procs *p, uint32_t **ret, uint32_t *ret_cnt,
		struct err *reterr)
{
	if (d->id)
		return find_id(a, d->id, ret, ret_cnt);
	int rc = probe_match(a->table, &d->spec, p->procs, p->pids, p->cnt, ret, ret_cnt, reterr);
	/* Scripts can wait, others that look for probes cannot. */
	if (!rc && reterr && reterr->msg[0] && reterr->code == PROBE_NO_MODULE) {
		size_t len = strlen(reterr->msg);
		snprintf(reterr->msg + len, sizeof(reterr->msg) - len, "; with -Z dyntrace waits for it to be loaded");
	}
	return rc;
}

int aim_find(struct aim *a, const struct session_desc *d, const struct aim_target *t, uint32_t target_cnt, uint32_t **ret,
	     uint32_t *ret_cnt, struct err *reterr)
{
	struct procs p;
	int rc = procs_init(&p, t, target_cnt);
	rc = rc ? err_setf(reterr, rc, "out of memory") : find(a, d, &p, ret, ret_cnt, reterr);
	procs_deinit(&p);
	return rc;
}

static int probes_room(struct aim *a)
{
	uint32_t cnt = probe_cnt(a->table);
	if (cnt <= a->probe_cnt)
		return 0;
	struct aim_probe *v = realloc(a->probes, cnt * sizeof(*v));
	if (!v)
		return -ENOMEM;
	memset(v + a->probe_cnt, 0, (cnt - a->probe_cnt) * sizeof(*v));
	a->probes = v;
	a->probe_cnt = cnt;
	return 0;
}

static bool has_module(struct obj_proc *obj, const struct obj_module *mod)
{
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		if (obj_module_at(obj, i) == mod)
			return true;
	return false;
}

/* Whose: followed ones have probes under the number of another, so the module tells. */
static uint32_t proc_of(const struct probe *p, const struct aim_target *v, uint32_t cnt)
{
	uint32_t proc = 0;
	for (uint32_t i = cnt; i-- && p->pid;) {
		if (p->module && has_module(v[i].obj, p->module))
			return v[i].proc;
		if (v[i].pid == p->pid)
			proc = v[i].proc;
	}
	return proc;
}

static int add_clause(struct aim_probe *p, uint32_t clause, uint32_t proc)
{
	uint32_t *v = realloc(p->progs, (p->prog_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->progs = v;
	v[p->prog_cnt++] = clause;
	p->proc = proc;
	return 0;
}

static int add_clauses(struct aim *a, uint32_t clause, const uint32_t *found, uint32_t cnt, const struct aim_target *v,
		       uint32_t target_cnt)
{
	int rc = probes_room(a);
	for (uint32_t i = 0; !rc && i < cnt; i++)
		if (!a->probes[found[i]].armed)
			rc = add_clause(&a->probes[found[i]], clause, proc_of(probe_at(a->table, found[i]), v, target_cnt));
	return rc;
}

int aim_match(struct aim *a, const struct aim_target *v, uint32_t target_cnt, aim_found_fn *found_fn, void *arg)
{
	struct procs p;
	int rc = procs_init(&p, v, target_cnt);
	for (uint32_t i = 0; i < a->probe_cnt; i++)
		if (!a->probes[i].armed)
			a->probes[i].prog_cnt = 0;
	for (uint32_t i = 0; !rc && i < a->desc_cnt; i++) {
		uint32_t *found = NULL, cnt = 0;
		struct err e = { 0 };
		int r = find(a, &a->descs[i], &p, &found, &cnt, &e);
		cnt = r ? 0 : cnt;
		rc = r == -ENOMEM ? r : found_fn(arg, i, r, found, cnt, e.msg);
		rc = rc ? rc : add_clauses(a, a->descs[i].clause, found, cnt, v, target_cnt);
		free(found);
	}
	procs_deinit(&p);
	return rc;
}
