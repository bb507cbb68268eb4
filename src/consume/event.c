/* SPDX-License-Identifier: MIT */
/* Records for who keeps them instead of printing them. */
#include "consume/consume_int.h"

#include <string.h>

bool consume_heard(const struct consume *c) { return c->heard; }

uint64_t consume_lost(const struct consume *c) { return c->total_drops; }

int64_t consume_real_offset_ns(const struct consume *c)
{
	return (int64_t)(c->geo.wall_base - c->geo.ns_base);
}

static void look_up(const struct consume *c, uint32_t slot, struct consume_who *ret)
{
	const struct wire_thread *thr = consume_thread(c, slot);
	uint32_t proc = LOAD_RELAXED(&thr->proc);
	ret->proc = proc < WIRE_PROC_MAX ? proc : 0;
	const struct wire_proc *p = (const struct wire_proc *)((const uint8_t *)c->shm + c->geo.proc_off) + ret->proc;
	ret->pid = LOAD_RELAXED(&p->pid);
	ret->tid = LOAD_RELAXED(&thr->tid) & ~WIRE_TID_MADE_UP;
	ret->execname = consume_site_str(c, LOAD_RELAXED(&p->execname), NULL);
	ret->known = true;
}

const struct consume_who *consume_who_of(struct consume *c, uint32_t slot)
{
	struct consume_who *who = &c->slots[slot].who;
	if (!who->known)
		look_up(c, slot, who);
	return who;
}

static void fill_fault(struct consume_event *ev, const struct wire_rec *rec)
{
	struct wire_rec_error e = { .fault = WIRE_FAULT_ILLOP };
	if (rec->bytes >= sizeof(*rec) + sizeof(e))
		memcpy(&e, rec->payload, sizeof(e));
	ev->fault = e.fault ? e.fault : WIRE_FAULT_ILLOP;
	ev->fault_value = e.value;
}

bool consume_event_give(struct consume *c, uint32_t slot, const struct wire_rec *rec, int *ret_rc, struct err *reterr)
{
	const struct wire_site *site = consume_site_at(c, rec->site);
	if (site->kind == WIRE_SITE_TOOL || rec->clause >= c->plan->clause_cnt)
		return false;
	const struct consume_who *who = consume_who_of(c, slot);
	const struct consume_scale scale = consume_scale(c);
	struct consume_event ev = {
		.ns = consume_ns(&scale, rec->tsc), .clause = rec->clause, .site = rec->site,
		.cpu = consume_cpu(rec->cpu, c->cpus),
		.proc = who->proc, .pid = who->pid, .tid = who->tid, .execname = who->execname,
		.payload = rec->payload, .bytes = rec->bytes - (uint32_t)sizeof(*rec),
	};
	if (rec->type == WIRE_REC_ERROR)
		fill_fault(&ev, rec);
	*ret_rc = c->opts.on_event(c->opts.arg, &ev, reterr);
	return *ret_rc != CONSUME_PERFORM;
}

/* Few who get events ask for each. */
void consume_event_probe(const struct consume *c, const struct consume_event *ev, struct consume_probe *ret)
{
	const struct wire_site *site = consume_site_at(c, ev->site);
	*ret = (struct consume_probe){
		.prov = consume_site_str(c, site->prov, NULL), .mod = consume_site_str(c, site->mod, NULL),
		.func = consume_site_str(c, site->func, NULL), .name = consume_site_str(c, site->name, NULL),
	};
}

int64_t consume_event_int(const struct consume_event *ev, const struct plan_val *v)
{
	struct datum_src src = { .data = ev->payload, .bytes = ev->bytes, .proc = ev->proc, .ns = ev->ns };
	return consume_val_int(v, &src);
}

const uint8_t *consume_event_bytes(const struct consume *c, const struct consume_event *ev, const struct plan_val *v,
				   uint32_t *ret_cnt)
{
	struct datum_src src = { .data = ev->payload, .bytes = ev->bytes, .proc = ev->proc };
	return consume_val_bytes(c, v, &src, ret_cnt);
}
