/* SPDX-License-Identifier: MIT */
/* Places of tracepoints in the process's code, and whose a record is. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_known(const struct keeper_point *pt, const struct probe *p, enum tracer_at at, uint32_t proc)
{
	for (uint32_t i = 0; i < pt->probe_cnt; i++) {
		const struct keeper_probe *o = &pt->probes[i];
		if (o->proc == proc && o->at == at && o->p.func_addr == p->func_addr && o->p.offset == p->offset)
			return true;
	}
	return false;
}

static bool add_probe(struct keeper_point *pt, const struct probe *p, enum tracer_at at, uint32_t proc)
{
	struct keeper_probe *v = realloc(pt->probes, (pt->probe_cnt + 1ul) * sizeof(*v));
	if (!v)
		return false;
	pt->probes = v;
	v[pt->probe_cnt] = (struct keeper_probe){ .p = *p, .at = at, .proc = proc };
	v[pt->probe_cnt++].p.id = pt->tp.id + (at == TRACER_RETURN);
	pt->tp.at[at].used = true;
	return true;
}

/* In what @obj is of process @proc of the session; all have probes of the number of the process that is attached. */
static int find_kind(struct keeper *k, struct keeper_point *pt, struct obj_proc *obj, uint32_t proc, const char *name, enum tracer_at at,
		     struct err *reterr)
{
	char prov[256];
	uint32_t *found = NULL, cnt = 0;
	struct probe_spec spec = { prov, pt->where.mod, pt->where.func, name };
	snprintf(prov, sizeof(prov), "%s%d", pt->where.prov ? pt->where.prov : "pid", (int)k->pid);
	int r = probe_match(k->table, &spec, &obj, &k->pid, 1, &found, &cnt, reterr);
	if (!r && !cnt)
		r = *reterr->msg ? -ENOENT : err_setf(reterr, -ENOENT, "process %d has no %s %s", (int)k->pid, pt->where.prov ? "probe" : "function",
						      pt->where.prov ? pt->place : pt->where.func);
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (!is_known(pt, probe_at(k->table, found[i]), at, proc) && !add_probe(pt, probe_at(k->table, found[i]), at, proc))
			r = err_setf(reterr, -ENOMEM, "out of memory");
	free(found);
	return r;
}

static int find_all(struct keeper *k, struct keeper_point *pt, struct obj_proc *obj, uint32_t proc, struct err *reterr)
{
	bool entry = !pt->where.prov && !strcmp(pt->where.name, "entry");
	if (pt->tp.both && !entry)
		return err_setf(reterr, -EINVAL, "-e is for the entry and exit of a function, and %s is inside of one", pt->place);
	reterr->msg[0] = 0;
	int r = find_kind(k, pt, obj, proc, pt->where.name, entry ? TRACER_ENTRY : TRACER_POINT, reterr);
	return r || !pt->tp.both ? r : find_kind(k, pt, obj, proc, "return", TRACER_RETURN, reterr);
}

int keeper_find(struct keeper *k, struct keeper_point *pt, struct err *reterr) { return find_all(k, pt, k->obj, k->proc, reterr); }

int keeper_find_in(struct keeper *k, struct keeper_point *pt, uint32_t proc)
{
	struct obj_proc *obj = session_obj(k->cli.session, proc);
	struct err e;
	uint32_t before = pt->probe_cnt;
	int r = obj && !pt->hook ? find_all(k, pt, obj, proc, &e) : 0;
	for (uint32_t i = before; i < pt->probe_cnt; i++)
		pt->probes[i].came = true;
	return r == -ENOMEM ? r : 0;
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
	if (pt && a->pt && pt != a->pt)
		cli_error("%s lost a place at 0x%llx: %s", pt->name, (unsigned long long)why->addr, why->why);
}

static struct keeper_site site_of(const struct wire_site *s)
{
	bool ours = s->kind != WIRE_SITE_HOOK && s->kind != WIRE_SITE_GUARD && s->kind != WIRE_SITE_TOOL;
	return (struct keeper_site){ ours ? s->probe_id : 0, s->kind == WIRE_SITE_RETURN ? s->func_addr : s->addr };
}

static const struct wire_site *sites_of(struct keeper *k)
{
	const struct wire_shm *shm = cli_shm(&k->cli);
	return (const struct wire_site *)((const uint8_t *)shm + shm->site_off);
}

/* What came to the session's list of sites. */
static int learn_sites(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	const uint32_t cnt = cli_shm(&k->cli)->site_cnt;
	const struct wire_site *sites = sites_of(k);
	struct keeper_site *v = realloc(k->sites, (cnt + 1ul) * sizeof(*v));
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	k->sites = v;
	for (; k->site_cnt < cnt; k->site_cnt++) {
		struct keeper_site s = v[k->site_cnt] = site_of(&sites[k->site_cnt]);
		if (pt && (s.id & ~1u) == pt->tp.id)
			pt->tp.at[at_of(pt, s.id)].place_cnt++;
	}
	return 0;
}

/* From afar nobody tells how many there are, when a followed program has new ones: of those that are not known yet nothing is
 * kept, as the number comes from the process. */
static struct keeper_site site_at(struct keeper *k, uint32_t site)
{
	if (site < k->site_cnt)
		return k->sites[site];
	return k->far && site < cli_shm(&k->cli)->site_cap ? site_of(&sites_of(k)[site]) : (struct keeper_site){ 0 };
}

static struct session_probe wanted(const struct keeper_point *pt, const struct keeper_probe *p)
{
	const struct tracer_part *part = &pt->tp.at[p->at];
	return (struct session_probe){ .probe = &p->p, .proc = p->proc, .progs = &part->clause, .prog_cnt = part->clause != WIRE_NONE,
				       .hook = pt->hook, .hook_text = pt->hook_text };
}

static uint32_t collect(struct keeper *k, const struct keeper_point *without, struct session_probe *v)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		struct keeper_point *pt = k->points[i];
		for (uint32_t p = 0; pt != without && p < pt->probe_cnt; p++)
			v[n++] = wanted(pt, &pt->probes[p]);
	}
	return n;
}

static int rearm(struct keeper *k, uint32_t proc, struct arming *a, const struct session_probe *v, uint32_t cnt, struct err *reterr)
{
	const struct keeper_point *pt = a->pt;
	uint64_t *funcs = calloc(pt->probe_cnt + 1ul, sizeof(*funcs));
	uint32_t n = 0, sites = 0;
	if (!funcs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < pt->probe_cnt; i++)
		if (pt->probes[i].proc == proc)
			funcs[n++] = pt->probes[i].p.func_addr;
	int r = n ? session_rearm(k->cli.session, proc, funcs, n, v, cnt, refused, a, &sites, reterr) : 0;
	free(funcs);
	return r;
}

/* Programs that are followed have what they have room for. */
static void rearm_kids(struct keeper *k, struct arming *a, const struct session_probe *v, uint32_t cnt)
{
	struct err e;
	for (uint32_t i = 0; i < k->kid_cnt && !k->far; i++)
		if (k->kids[i] != k->proc && rearm(k, k->kids[i], a, v, cnt, &e))
			cli_error("process %d: %s", (int)session_pid(k->cli.session, k->kids[i]), e.msg);
}

int keeper_arm(struct keeper *k, struct keeper_point *pt, bool with, struct err *reterr)
{
	struct arming a = { k, pt };
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < k->kid_cnt && with && !k->far; i++)
		if (k->kids[i] != k->proc && keeper_find_in(k, pt, k->kids[i]))
			return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < k->point_cnt; i++)
		cnt += k->points[i]->probe_cnt;
	struct session_probe *v = calloc(cnt + 1ul, sizeof(*v));
	int r = v ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	if (!r) {
		cnt = collect(k, with ? NULL : pt, v);
		r = k->far ? keeper_far_rearm(k, pt->tp.id, v, cnt, refused, &a, reterr) : rearm(k, k->proc, &a, v, cnt, reterr);
	}
	if (!r)
		r = learn_sites(k, pt, reterr);
	if (!r) {
		rearm_kids(k, &a, v, cnt);
		r = learn_sites(k, NULL, reterr);
	}
	for (uint32_t i = 0; i < pt->probe_cnt; i++)
		pt->probes[i].came = false;
	free(v);
	return r;
}

int keeper_arm_came(struct keeper *k, uint32_t proc, struct err *reterr)
{
	struct arming a = { k, NULL };
	uint32_t cnt = 0, n = 0, sites;
	for (uint32_t i = 0; i < k->point_cnt; i++)
		cnt += k->points[i]->probe_cnt;
	struct session_probe *v = calloc(cnt + 1ul, sizeof(*v));
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < k->point_cnt; i++)
		for (uint32_t p = 0; p < k->points[i]->probe_cnt; p++) {
			struct keeper_probe *kp = &k->points[i]->probes[p];
			if (kp->came && kp->proc == proc)
				v[n++] = wanted(k->points[i], kp);
			kp->came &= kp->proc != proc;
		}
	int r = session_arm(k->cli.session, v, n, refused, &a, &sites, reterr);
	free(v);
	return r ? r : learn_sites(k, NULL, reterr);
}

int keeper_event(void *arg, const struct consume_event *ev, struct err *reterr)
{
	struct keeper *k = arg;
	struct keeper_site site = site_at(k, ev->site);
	struct keeper_point *pt = site.id ? point_by_id(k, site.id) : NULL;
	if (!pt || ev->clause >= k->cli.prog.plan.clause_cnt)
		return 0; /* of one that went */
	struct tracer_event e = { .ev = ev, .at = at_of(pt, site.id), .clause = &k->cli.prog.plan.clauses[ev->clause],
				  .addr = site.addr };
	if (pt->tp.at[e.at].clause != ev->clause)
		return 0;
	pt->faults += ev->fault != 0;
	return pt->tp.tracer->on_event ? pt->tp.tracer->on_event(&pt->tp, &e, reterr) : 0;
}
