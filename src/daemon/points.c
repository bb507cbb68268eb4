/* SPDX-License-Identifier: MIT */
/* POINTS: tracepoints of a keeper, which compiles and counts as its user; here they are found and armed. */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* Copies, each with its tracepoint's number; the session refers to them, so they stay. */
struct points {
	struct probe_table *table;
	struct copied {
		struct probe p;
		uint32_t proc;
	} **v;
	uint32_t cnt;
	struct session_probe *want; /* while a message is worked on */
	uint32_t want_cnt, *clauses;
	struct proto_points now;    /* what is wanted of programs that are followed; its image is not kept */
};

void points_deinit(struct worker *w)
{
	struct points *p = w->points;
	if (!p)
		return;
	for (uint32_t i = 0; i < p->cnt; i++)
		free(p->v[i]);
	free(p->v);
	proto_points_deinit(&p->now);
	free(p->want);
	free(p->clauses);
	probe_table_destroy(p->table);
	free(p);
	w->points = NULL;
}

static struct points *points_make(struct worker *w)
{
	if (w->points)
		return w->points;
	w->points = calloc(1, sizeof(*w->points));
	if (w->points && !(w->points->table = probe_table_create()))
		points_deinit(w);
	return w->points;
}

static const struct probe *copy_of(struct points *p, const struct probe *probe, uint32_t id, uint32_t proc)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		const struct probe *o = &p->v[i]->p;
		if (o->id == id && o->func_addr == probe->func_addr && o->offset == probe->offset && o->kind == probe->kind &&
		    o->module == probe->module && p->v[i]->proc == proc)
			return o;
	}
	struct copied **more = realloc(p->v, (p->cnt + 1ul) * sizeof(struct copied *)), *c = more ? malloc(sizeof(*c)) : NULL;
	p->v = more ? more : p->v;
	if (!c)
		return NULL;
	*c = (struct copied){ *probe, proc };
	c->p.id = id;
	p->v[p->cnt++] = c;
	return &c->p;
}

static int want(struct points *p, const struct probe *probe, uint32_t proc, uint32_t clause)
{
	struct session_probe *v = probe ? realloc(p->want, (p->want_cnt + 1ul) * sizeof(*v)) : NULL;
	if (!v)
		return -ENOMEM;
	p->want = v;
	v[p->want_cnt++] = (struct session_probe){ .probe = probe, .proc = proc, .prog_cnt = clause != UINT32_MAX };
	return 0;
}

/* That was attached, or its followed program: it has probes of its own.  All have them by the number of the first. */
static bool is_searched(const struct run_target *t) { return t->obj && !t->gone; }

/* That what is asked for is of: the process, or the program that it has become. */
static struct run_target *main_target(struct worker *w)
{
	for (uint32_t i = w->target_cnt; i--;)
		if (w->targets[i].pid == w->targets[0].pid && is_searched(&w->targets[i]))
			return &w->targets[i];
	return NULL;
}

static int find(struct worker *w, struct points *p, struct run_target *t, const struct proto_point *pt, struct err *reterr)
{
	const pid_t pid = w->targets[0].pid;
	char prov[PROTO_PART_MAX + 16];
	const struct probe_spec spec = { prov, pt->part[0], pt->part[1], pt->part[2] };
	uint32_t *found = NULL, cnt = 0;
	snprintf(prov, sizeof(prov), "%s%d", *pt->part[3] ? pt->part[3] : "pid", (int)pid);
	if (pt->clause != UINT32_MAX && pt->clause >= w->image.prog_cnt)
		return err_setf(reterr, -EPROTO, "message POINTS is about a clause that is not there");
	int rc = probe_match(p->table, &spec, &t->obj, &pid, 1, &found, &cnt, reterr);
	uint32_t *clauses = rc ? NULL : realloc(p->clauses, (p->want_cnt + cnt + 1ul) * sizeof(*clauses));
	p->clauses = clauses ? clauses : p->clauses;
	for (uint32_t i = 0; i < cnt && clauses && !rc; i++) {
		const struct probe *probe = probe_at(p->table, found[i]);
		if (probe->kind == WIRE_SITE_TOOL || probe->kind == WIRE_SITE_KERNEL || !probe->module)
			continue;
		clauses[p->want_cnt] = pt->clause;
		if (want(p, copy_of(p, probe, pt->id, t->proc), t->proc, pt->clause))
			rc = err_setf(reterr, -ENOMEM, "out of memory");
	}
	free(found);
	return rc || clauses ? rc : err_setf(reterr, -ENOMEM, "out of memory");
}

static void refused(void *arg, const struct session_refusal *why)
{
	struct proto_pointed *r = arg;
	char *text = r->cnt < PROTO_REFUSALS_MAX ? strdup(why->why) : NULL;
	if (text)
		r->v[r->cnt++] = (struct proto_refusal){ why->probe->id, why->probe->func_addr, why->addr, text };
}

/* The functions of process @proc in which something was or is to be. */
static uint64_t *changed_funcs(const struct points *p, uint32_t proc, uint32_t changed, uint32_t *ret_cnt)
{
	uint64_t *v = calloc(p->cnt + 1ul, sizeof(*v));
	*ret_cnt = 0;
	for (uint32_t i = 0; v && i < p->cnt; i++) {
		uint32_t k = 0;
		while (k < *ret_cnt && v[k] != p->v[i]->p.func_addr)
			k++;
		if (p->v[i]->proc == proc && (p->v[i]->p.id & ~1u) == (changed & ~1u) && k == *ret_cnt)
			v[(*ret_cnt)++] = p->v[i]->p.func_addr;
	}
	return v;
}

static void say_armed(const struct worker *w, pid_t pid, uint32_t sites, int rc, const struct err *e)
{
	log_sayf(rc ? LOG_WARNING : LOG_INFO, "%s (pid %d): tracepoints of process %d: %u places armed%s%s", w->peer.name,
		 (int)w->peer.pid, (int)pid, sites, rc ? ": " : "", rc ? e->msg : "");
}

static void point_at_clauses(struct points *p)
{
	for (uint32_t i = 0; i < p->want_cnt; i++)
		p->want[i].progs = &p->clauses[i];
}

static int rearm(struct worker *w, struct points *p, const struct run_target *t, uint32_t changed, struct proto_pointed *r, struct err *reterr)
{
	uint32_t cnt, sites = 0;
	uint64_t *funcs = changed_funcs(p, t->proc, changed, &cnt);
	if (!funcs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int rc = session_rearm(w->session, t->proc, funcs, cnt, p->want, p->want_cnt, refused, r, &sites, reterr);
	free(funcs);
	say_armed(w, t->pid, sites, rc, reterr);
	return rc;
}

/* Programs that are followed have what they have room for. */
static void rearm_followed(struct worker *w, struct points *p, const struct run_target *first, uint32_t changed)
{
	struct err e;
	for (uint32_t i = 0; i < w->target_cnt; i++) {
		struct proto_refusal none[PROTO_REFUSALS_MAX];
		struct proto_pointed r = { .v = none };
		if (is_searched(&w->targets[i]) && &w->targets[i] != first)
			rearm(w, p, &w->targets[i], changed, &r, &e);
		while (r.cnt)
			free(none[--r.cnt].why);
	}
}

static int find_all(struct worker *w, struct points *p, struct run_target *t, const struct proto_points *m, struct err *reterr)
{
	int rc = 0;
	for (uint32_t i = 0; i < m->cnt && !rc; i++)
		rc = find(w, p, t, &m->v[i], reterr);
	return rc;
}

void points_followed(struct worker *w, struct run_target *t)
{
	struct points *p = w->points;
	struct err e = { 0 };
	uint32_t sites = 0, n = 0;
	if (!p || !t->obj)
		return;
	const uint32_t known = p->cnt;
	p->want_cnt = 0;
	int rc = find_all(w, p, t, &p->now, &e);
	point_at_clauses(p);
	/* Those that were found before are armed. */
	for (uint32_t i = 0; i < p->want_cnt && !rc; i++)
		for (uint32_t k = known; k < p->cnt; k++)
			if (p->want[i].probe == &p->v[k]->p)
				p->want[n++] = p->want[i];
	rc = rc ? rc : session_arm(w->session, p->want, n, NULL, NULL, &sites, &e);
	say_armed(w, t->pid, sites, rc, &e);
}

/* The session keeps a reference to the image where it stands. */
static int grow(struct worker *w, const struct proto_points *m, struct err *reterr)
{
	struct ir_image now, old = w->image;
	int rc = ir_image_decode(m->image, m->image_bytes, &now, reterr);
	if (rc)
		return err_prefixf(reterr, "the program is not accepted");
	if (!ir_image_continues(&old, &now))
		rc = err_setf(reterr, -EPROTO, "the program is not accepted: it changes what runs");
	rc = rc ? rc : request_check_rights(w, &now, reterr);
	if (!rc) {
		w->image = now;
		rc = session_grow(w->session, &w->image, reterr);
	}
	if (rc) {
		w->image = old;
		ir_image_deinit(&now);
		return rc;
	}
	ir_image_deinit(&old);
	return 0;
}

static int work(struct worker *w, const struct proto_points *m, struct proto_pointed *r, struct err *reterr)
{
	struct points *p = points_make(w);
	int rc = p ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	if (!rc && m->image_bytes)
		rc = grow(w, m, reterr);
	if (rc || m->changed == PROTO_UNCHANGED)
		return rc;
	struct run_target *first = main_target(w);
	rc = first ? obj_proc_refresh(first->obj, reterr) : err_setf(reterr, -ESRCH, "the process has ended");
	p->want_cnt = 0;
	for (uint32_t i = 0; i < w->target_cnt && !rc; i++)
		if (is_searched(&w->targets[i]))
			rc = find_all(w, p, &w->targets[i], m, reterr);
	if (rc)
		return rc;
	point_at_clauses(p);
	rc = rearm(w, p, first, m->changed, r, reterr);
	if (!rc)
		rearm_followed(w, p, first, m->changed);
	return rc;
}

/* What is wanted of programs that come. */
static void keep(struct points *p, struct proto_points *m)
{
	proto_points_deinit(&p->now);
	p->now = *m;
	p->now.image = NULL;
	*m = (struct proto_points){ 0 };
}

int points(struct worker *w, struct proto_in *in, struct err *reterr)
{
	struct proto_points m;
	struct proto_refusal refusals[PROTO_REFUSALS_MAX];
	struct proto_pointed r = { .v = refusals };
	struct err e = { 0 };
	int rc = proto_points_decode(in, &m, reterr);
	if (rc)
		return rc;
	if (!(w->req.flags & PROTO_GROWS) || w->req.target_cnt != 1 || !main_target(w))
		rc = err_setf(reterr, -EPROTO, "message POINTS comes at the wrong time");
	else
		r.code = work(w, &m, &r, &e);
	if (!rc && !r.code && m.changed != PROTO_UNCHANGED)
		keep(w->points, &m);
	r.why = e.msg;
	r.page = (const uint8_t *)session_shm(w->session);
	if (!rc && proto_pointed_encode(&w->io.out, &r))
		rc = worker_tell(w, reterr);
	for (uint32_t i = 0; i < r.cnt; i++)
		free(refusals[i].why);
	proto_points_deinit(&m);
	return rc;
}
