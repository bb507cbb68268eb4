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
	struct probe **v;
	uint32_t cnt;
	struct session_probe *want; /* while a message is worked on */
	uint32_t want_cnt, *clauses;
};

void points_deinit(struct worker *w)
{
	struct points *p = w->points;
	if (!p)
		return;
	for (uint32_t i = 0; i < p->cnt; i++)
		free(p->v[i]);
	free(p->v);
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

static const struct probe *copy_of(struct points *p, const struct probe *probe, uint32_t id)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (p->v[i]->id == id && p->v[i]->func_addr == probe->func_addr && p->v[i]->offset == probe->offset &&
		    p->v[i]->kind == probe->kind && p->v[i]->module == probe->module)
			return p->v[i];
	struct probe **more = realloc(p->v, (p->cnt + 1ul) * sizeof(struct probe *)), *c = more ? malloc(sizeof(*c)) : NULL;
	p->v = more ? more : p->v;
	if (!c)
		return NULL;
	*c = *probe;
	c->id = id;
	return p->v[p->cnt++] = c;
}

static int want(struct points *p, const struct probe *probe, const struct worker *w, uint32_t clause)
{
	struct session_probe *v = realloc(p->want, (p->want_cnt + 1ul) * sizeof(*v));
	if (!v || !probe)
		return -ENOMEM;
	p->want = v;
	v[p->want_cnt++] = (struct session_probe){ .probe = probe, .proc = w->targets[0].proc, .prog_cnt = clause != UINT32_MAX };
	return 0;
}

static int find(struct worker *w, struct points *p, const struct proto_point *pt, struct err *reterr)
{
	struct run_target *t = &w->targets[0];
	char prov[PROTO_PART_MAX + 16];
	const struct probe_spec spec = { prov, pt->part[0], pt->part[1], pt->part[2] };
	uint32_t *found = NULL, cnt = 0;
	snprintf(prov, sizeof(prov), "%s%d", *pt->part[3] ? pt->part[3] : "pid", (int)t->pid);
	if (pt->clause != UINT32_MAX && pt->clause >= w->image.prog_cnt)
		return err_setf(reterr, -EPROTO, "message POINTS is about a clause that is not there");
	int rc = probe_match(p->table, &spec, &t->obj, &t->pid, 1, &found, &cnt, reterr);
	uint32_t *clauses = rc ? NULL : realloc(p->clauses, (p->want_cnt + cnt + 1ul) * sizeof(*clauses));
	p->clauses = clauses ? clauses : p->clauses;
	for (uint32_t i = 0; i < cnt && clauses && !rc; i++) {
		const struct probe *probe = probe_at(p->table, found[i]);
		if (probe->kind == WIRE_SITE_TOOL || probe->kind == WIRE_SITE_KERNEL || !probe->module)
			continue;
		clauses[p->want_cnt] = pt->clause;
		rc = want(p, copy_of(p, probe, pt->id), w, pt->clause);
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

/* The functions in which something was or is to be. */
static uint64_t *changed_funcs(const struct points *p, uint32_t changed, uint32_t *ret_cnt)
{
	uint64_t *v = calloc(p->cnt + 1ul, sizeof(*v));
	*ret_cnt = 0;
	for (uint32_t i = 0; v && i < p->cnt; i++) {
		uint32_t k = 0;
		while (k < *ret_cnt && v[k] != p->v[i]->func_addr)
			k++;
		if ((p->v[i]->id & ~1u) == (changed & ~1u) && k == *ret_cnt)
			v[(*ret_cnt)++] = p->v[i]->func_addr;
	}
	return v;
}

static int rearm(struct worker *w, struct points *p, uint32_t changed, struct proto_pointed *r, struct err *reterr)
{
	uint32_t cnt, sites = 0;
	uint64_t *funcs = changed_funcs(p, changed, &cnt);
	if (!funcs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < p->want_cnt; i++)
		p->want[i].progs = &p->clauses[i];
	int rc = session_rearm(w->session, w->targets[0].proc, funcs, cnt, p->want, p->want_cnt, refused, r, &sites, reterr);
	free(funcs);
	log_sayf(rc ? LOG_WARNING : LOG_INFO, "%s (pid %d): tracepoints of process %d: %u places armed%s%s", w->peer.name,
		 (int)w->peer.pid, (int)w->targets[0].pid, sites, rc ? ": " : "", rc ? reterr->msg : "");
	return rc;
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
	rc = obj_proc_refresh(w->targets[0].obj, reterr);
	if (rc)
		return rc;
	p->want_cnt = 0;
	for (uint32_t i = 0; i < m->cnt && !rc; i++)
		rc = find(w, p, &m->v[i], reterr);
	return rc ? rc : rearm(w, p, m->changed, r, reterr);
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
	if (!(w->req.flags & PROTO_GROWS) || w->target_cnt != 1 || !w->targets[0].obj || w->targets[0].gone)
		rc = err_setf(reterr, -EPROTO, "message POINTS comes at the wrong time");
	else
		r.code = work(w, &m, &r, &e);
	r.why = e.msg;
	r.page = (const uint8_t *)session_shm(w->session);
	if (!rc && proto_pointed_encode(&w->io.out, &r))
		rc = worker_tell(w, reterr);
	for (uint32_t i = 0; i < r.cnt; i++)
		free(refusals[i].why);
	proto_points_deinit(&m);
	return rc;
}
