/* SPDX-License-Identifier: MIT */
/*
 * What was lost, in dtrace's words; which thread and clause lost it is said
 * behind them where the option dropdetail asks for it.  Counters in thread
 * areas only grow; what was said already is kept in the slot.
 */
#include "consume/consume_int.h"

#include <string.h>

static void say(struct consume *c, uint64_t n, const char *tag, const char *what, const char *where)
{
	char head[40] = "";
	if (c->opts.droptags)
		snprintf(head, sizeof(head), "[DTRACEDROP_%s] ", tag);
	consume_complain(c, "%s%llu %s%s%s", head, (unsigned long long)n, what, n > 1 ? "s" : "", where);
	c->total_drops += n;
}

static void clause_text(const struct consume *c, uint32_t clause, char *buf, size_t cap)
{
	const struct plan_clause *cl = &c->plan->clauses[clause];
	if (!cl->desc_cnt) {
		snprintf(buf, cap, "clause %u", clause + 1);
		return;
	}
	const struct plan_probe_desc *d = &cl->descs[0];
	snprintf(buf, cap, "%s:%s:%s:%s%s", d->prov ? d->prov : "", d->mod ? d->mod : "", d->func ? d->func : "",
		 d->name ? d->name : "", cl->desc_cnt > 1 ? ",..." : "");
}

/* The difference since last time; a slot that was zeroed starts again. */
static uint64_t grown(const uint64_t *now, uint64_t *seen)
{
	uint64_t n = LOAD_RELAXED(now), d = n >= *seen ? n - *seen : n;
	*seen = n;
	return d;
}

static void say_on_cpu(struct consume *c, const struct consume_slot *s, uint64_t n, const char *tag, const char *what,
		       const char *clause)
{
	char where[512];
	int len = snprintf(where, sizeof(where), " on CPU %u", s->cpu);
	if (c->opts.dropdetail)
		snprintf(where + len, sizeof(where) - (size_t)len, " (thread %u%s%s)", s->tid, clause ? ": " : "",
			 clause ? clause : "");
	if (n)
		say(c, n, tag, what, where);
}

static void report_clauses(struct consume *c, struct consume_slot *s, const struct wire_thread *thr)
{
	uint64_t all_drops = 0, all_errors = 0;
	const uint64_t *drops = (const uint64_t *)((const uint8_t *)thr + c->geo.geom.drops_off);
	const uint64_t *errors = (const uint64_t *)((const uint8_t *)thr + c->geo.geom.errors_off);
	for (uint32_t i = 0; i < c->plan->clause_cnt && i < c->geo.clause_cnt; i++) {
		uint64_t d = grown(&drops[i], &s->drops[i]);
		uint64_t e = grown(&errors[i], &s->drops[c->geo.clause_cnt + i]);
		char text[400];
		all_drops += d;
		all_errors += e;
		if (!c->opts.dropdetail || (!d && !e))
			continue;
		clause_text(c, i, text, sizeof(text));
		say_on_cpu(c, s, d, "PRINCIPAL", "drop", text);
		say_on_cpu(c, s, e, "DBLERROR", "unreported error", text);
	}
	c->lacked[CONSUME_RECORDS] |= all_drops > 0;
	if (c->opts.dropdetail)
		return;
	if (s == c->slots)
		all_drops += grown(&c->look_drops, &c->look_drops_said);
	say_on_cpu(c, s, all_drops, "PRINCIPAL", "drop", NULL);
	say_on_cpu(c, s, all_errors, "DBLERROR", "unreported error", NULL);
}

static void report_thread(struct consume *c, struct consume_slot *s, const struct wire_thread *thr)
{
	char where[80];
	report_clauses(c, s, thr);
	uint64_t n = grown(&thr->agg_drops, &s->agg_drops);
	c->lacked[CONSUME_AGGS] |= n > 0;
	say_on_cpu(c, s, n, "AGGREGATION", "aggregation drop", NULL);
	n = grown(&thr->dyn_drops, &s->dyn_drops);
	c->lacked[CONSUME_DYNS] |= n > 0;
	if (n)
		say(c, n, "DYNAMIC", "dynamic variable drop", "");
	snprintf(where, sizeof(where), " on CPU %u (thread %u: probes nested too deep)", s->cpu, s->tid);
	n = grown(&thr->level_drops, &s->level_drops);
	if (n)
		say(c, n, "PRINCIPAL", "drop", where);
	snprintf(where, sizeof(where), " on CPU %u (thread %u: damaged records)", s->cpu, s->tid);
	n = grown(&s->reader.bad, &s->bad);
	if (n)
		say(c, n, "PRINCIPAL", "drop", where);
	say_on_cpu(c, s, grown(&s->reader.missed, &s->missed), "PRINCIPAL", "overwritten record", NULL);
}

static void report_procs(struct consume *c)
{
	const struct wire_proc *procs = (const struct wire_proc *)((const uint8_t *)c->shm + c->geo.proc_off);
	for (uint32_t i = 0; i < c->geo.proc_cnt; i++) {
		if (i > 1 && LOAD_RELAXED(&procs[i].state) == WIRE_PROC_FREE)
			continue;
		uint32_t n = LOAD_RELAXED(&procs[i].lost_threads);
		uint64_t d = n >= c->lost_seen[i] ? n - c->lost_seen[i] : n;
		char where[160];
		c->lost_seen[i] = n;
		snprintf(where, sizeof(where), LOAD_RELAXED(&procs[i].shares) ?
			 " in process %u (it began a thread that shares another's thread block: its probes fire no more)" :
			 " in process %u (more threads than areas: raise -x threads)", procs[i].pid);
		if (d)
			say(c, d, "PRINCIPAL", "drop", where);
	}
}

/* ORDER wire_shm.spec_drops, spec_busy, spec_unavail, lost_children */
static const struct {
	const char *tag, *what, *where;
	enum consume_room room; /* CONSUME_ROOMS: none would help */
} spec_texts[] = {
	{ "SPEC", "speculative drop", "", CONSUME_SPECS },
	{ "SPECBUSY", "failed speculation", " (available buffer(s) still busy)", CONSUME_SPEC_CNT },
	{ "SPECUNAVAIL", "failed speculation", " (no speculative buffer available)", CONSUME_SPEC_CNT },
	{ "PRINCIPAL", "forked child not traced", " (too many at a time, or faster than they are read)", CONSUME_ROOMS },
};

static void report_specs(struct consume *c)
{
	const uint32_t *now[] = { &c->shm->spec_drops, &c->shm->spec_busy, &c->shm->spec_unavail,
				  &c->shm->lost_children };
	for (size_t i = 0; i < ARRAY_CNT(now); i++) {
		uint32_t n = LOAD_RELAXED(now[i]) + (i ? 0 : c->spec_dropped), d = n - c->spec_seen[i];
		c->spec_seen[i] = n;
		if (!d)
			continue;
		say(c, d, spec_texts[i].tag, spec_texts[i].what, spec_texts[i].where);
		if (spec_texts[i].room < CONSUME_ROOMS)
			c->lacked[spec_texts[i].room] = true;
	}
}

void consume_report_slot(struct consume *c, uint32_t slot) { report_thread(c, &c->slots[slot], consume_thread(c, slot)); }

bool consume_lacked(const struct consume *c, enum consume_room room) { return c->lacked[room]; }

uint64_t consume_report_drops(struct consume *c)
{
	for (uint32_t i = 0; i < c->geo.thread_cnt; i++)
		if (c->slots[i].live)
			report_thread(c, &c->slots[i], consume_thread(c, i));
	report_procs(c);
	report_specs(c);
	uint64_t n = grown(&c->double_faults, &c->double_faults_said);
	if (n)
		say(c, n, "DBLERROR", "error", " in ERROR probe enabling");
	return c->total_drops;
}
