/* SPDX-License-Identifier: MIT */
/* Places of tracepoints in the process's code, and whose a record is. */
#include "cli/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool add_probe(struct keeper_point *pt, const struct probe *p, enum tracer_at at)
{
	struct keeper_probe *v = realloc(pt->probes, (pt->probe_cnt + 1ul) * sizeof(*v));
	if (!v)
		return false;
	pt->probes = v;
	v[pt->probe_cnt] = (struct keeper_probe){ .p = *p, .at = at };
	v[pt->probe_cnt++].p.id = pt->tp.id + (at == TRACER_RETURN);
	pt->tp.at[at].used = true;
	return true;
}

static int find_kind(struct keeper *k, struct keeper_point *pt, const char *name, enum tracer_at at, struct err *reterr)
{
	char prov[256];
	uint32_t *found = NULL, cnt = 0;
	struct obj_proc *obj = k->obj;
	struct probe_spec spec = { prov, pt->where.mod, pt->where.func, name };
	snprintf(prov, sizeof(prov), "%s%d", pt->where.prov ? pt->where.prov : "pid", (int)k->pid);
	int r = probe_match(k->table, &spec, &obj, &k->pid, 1, &found, &cnt, reterr);
	if (!r && !cnt)
		r = *reterr->msg ? -ENOENT : err_setf(reterr, -ENOENT, "process %d has no %s %s", (int)k->pid, pt->where.prov ? "probe" : "function",
						      pt->where.prov ? pt->place : pt->where.func);
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (!add_probe(pt, probe_at(k->table, found[i]), at))
			r = err_setf(reterr, -ENOMEM, "out of memory");
	free(found);
	return r;
}

int keeper_find(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	bool entry = !pt->where.prov && !strcmp(pt->where.name, "entry");
	if (pt->tp.both && !entry)
		return err_setf(reterr, -EINVAL, "-e is for the entry and exit of a function, and %s is inside of one", pt->place);
	reterr->msg[0] = 0;
	int r = find_kind(k, pt, pt->where.name, entry ? TRACER_ENTRY : TRACER_POINT, reterr);
	return r || !pt->tp.both ? r : find_kind(k, pt, "return", TRACER_RETURN, reterr);
}

static struct keeper_point *point_by_id(const struct keeper *k, uint32_t id)
{
	uint32_t lo = 0, hi = k->point_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (k->points[mid]->tp.id < (id & ~1u))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < k->point_cnt && k->points[lo]->tp.id == (id & ~1u) ? k->points[lo] : NULL;
}

static enum tracer_at at_of(const struct keeper_point *pt, uint32_t id)
{
	return id & 1 ? TRACER_RETURN : pt->tp.at[TRACER_ENTRY].used ? TRACER_ENTRY : TRACER_POINT;
}

struct arming {
	struct keeper *k;
	struct keeper_point *pt;
};

static void refused(void *arg, const struct session_refusal *why)
{
	struct arming *a = arg;
	struct keeper_point *pt = point_by_id(a->k, why->probe->id);
	for (uint32_t i = 0; pt && i < pt->probe_cnt; i++)
		if (&pt->probes[i].p == why->probe) {
			free((char *)pt->probes[i].why);
			pt->probes[i].why = strdup(why->why);
		}
	if (pt && pt != a->pt)
		cli_error("%s lost a place at 0x%llx: %s", pt->name, (unsigned long long)why->addr, why->why);
}

/* What came to the session's list of sites. */
static int learn_sites(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	const struct wire_shm *shm = cli_shm(&k->cli);
	const struct wire_site *sites = (const struct wire_site *)((const uint8_t *)shm + shm->site_off);
	struct keeper_site *v = realloc(k->sites, (shm->site_cnt + 1ul) * sizeof(*v));
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	k->sites = v;
	for (; k->site_cnt < shm->site_cnt; k->site_cnt++) {
		const struct wire_site *s = &sites[k->site_cnt];
		bool ours = s->kind != WIRE_SITE_HOOK && s->kind != WIRE_SITE_GUARD && s->kind != WIRE_SITE_TOOL;
		v[k->site_cnt] = (struct keeper_site){ ours ? s->probe_id : 0, s->kind == WIRE_SITE_RETURN ? s->func_addr : s->addr };
		if (ours && pt && (s->probe_id & ~1u) == pt->tp.id)
			pt->tp.at[at_of(pt, s->probe_id)].place_cnt++;
	}
	return 0;
}

static uint32_t collect(struct keeper *k, const struct keeper_point *without, struct session_probe *v)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		struct keeper_point *pt = k->points[i];
		for (uint32_t p = 0; pt != without && p < pt->probe_cnt; p++) {
			const struct tracer_part *part = &pt->tp.at[pt->probes[p].at];
			v[n++] = (struct session_probe){ .probe = &pt->probes[p].p, .proc = k->proc, .progs = &part->clause,
							 .prog_cnt = part->clause != WIRE_NONE, .hook = pt->hook,
							 .hook_text = pt->hook_text };
		}
	}
	return n;
}

int keeper_arm(struct keeper *k, struct keeper_point *pt, bool with, struct err *reterr)
{
	struct arming a = { k, pt };
	uint32_t cnt = 0, sites = 0;
	for (uint32_t i = 0; i < k->point_cnt; i++)
		cnt += k->points[i]->probe_cnt;
	struct session_probe *v = calloc(cnt + 1ul, sizeof(*v));
	uint64_t *funcs = calloc(pt->probe_cnt + 1ul, sizeof(*funcs));
	int r = v && funcs ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < pt->probe_cnt && !r; i++)
		funcs[i] = pt->probes[i].p.func_addr;
	if (!r) {
		cnt = collect(k, with ? NULL : pt, v);
		r = k->far ? keeper_far_rearm(k, pt->tp.id, v, cnt, refused, &a, reterr) :
			session_rearm(k->cli.session, k->proc, funcs, pt->probe_cnt, v, cnt, refused, &a, &sites, reterr);
	}
	if (!r)
		r = learn_sites(k, pt, reterr);
	free(funcs);
	free(v);
	return r;
}

int keeper_event(void *arg, const struct consume_event *ev, struct err *reterr)
{
	struct keeper *k = arg;
	uint32_t id = ev->site < k->site_cnt ? k->sites[ev->site].id : 0;
	struct keeper_point *pt = id ? point_by_id(k, id) : NULL;
	if (!pt || ev->clause >= k->cli.prog.plan.clause_cnt)
		return 0; /* of one that went */
	struct tracer_event e = { .ev = ev, .at = at_of(pt, id), .clause = &k->cli.prog.plan.clauses[ev->clause],
				  .addr = k->sites[ev->site].addr };
	if (pt->tp.at[e.at].clause != ev->clause)
		return 0;
	pt->faults += ev->fault != 0;
	return pt->tp.tracer->on_event ? pt->tp.tracer->on_event(&pt->tp, &e, reterr) : 0;
}
