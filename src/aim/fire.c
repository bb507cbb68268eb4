/* SPDX-License-Identifier: MIT */
/* Probes of the tool's own: BEGIN, END, ERROR at their moments, tick and profile by the clock. */
#include "aim/aim.h"

#include "host/host.h"
#include "ir/interp.h"

#include <stdlib.h>
#include <string.h>

#define TICK_CATCH_UP 64 /* firings that were missed and are made up for */

void aim_fire_error(struct aim *a, struct session *s, uint32_t probe, uint32_t clause, const struct wire_rec_error *e)
{
	const uint64_t args[10] = { 0, probe, clause, e->pc, e->fault, e->value };
	aim_fire(a, s, "ERROR", args);
}

/* A clause of a tool's probe faulted: ERROR fires before the next clause runs. */
struct firing {
	struct aim *aim;
	struct session *session;
	uint32_t probe;
};

static void on_fault(void *arg, uint32_t clause, const struct wire_rec_error *e)
{
	const struct firing *f = arg;
	aim_fire_error(f->aim, f->session, f->probe, clause, e);
}

static void fire_probe(struct aim *a, struct session *s, uint32_t idx, const uint64_t args[10])
{
	const struct aim_probe *p = &a->probes[idx];
	const struct probe *probe = probe_at(a->table, idx);
	struct firing firing = { a, s, probe->id };
	const struct wire_site *site = session_tool_site(s, probe->id);
	const struct ir_prog **progs = calloc(p->prog_cnt + 1ul, sizeof(*progs));
	for (uint32_t i = 0; progs && i < p->prog_cnt; i++)
		progs[i] = &a->image->progs[p->progs[i]];
	if (site && progs)
		ir_interp_fire_hooked(session_shm(s), site, progs, p->prog_cnt, args, strcmp(probe->name, "ERROR") ? on_fault : NULL,
				      &firing);
	free(progs);
}

static bool is_tool(const struct aim *a, uint32_t idx)
{
	return a->probes[idx].armed && probe_at(a->table, idx)->kind == WIRE_SITE_TOOL;
}

void aim_fire(struct aim *a, struct session *s, const char *name, const uint64_t args[10])
{
	for (uint32_t i = 0; i < a->probe_cnt; i++)
		if (is_tool(a, i) && !probe_at(a->table, i)->period_ns && !strcmp(probe_at(a->table, i)->name, name))
			fire_probe(a, s, i, args);
}

static uint64_t until_next(const struct aim *a, uint64_t now)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < a->probe_cnt; i++) {
		uint64_t due = a->probes[i].due_ns, left = due > now ? due - now : 0;
		if (due && left < least)
			least = left;
	}
	return least;
}

uint64_t aim_ticks_start(struct aim *a)
{
	uint64_t now = host_now_ns();
	for (uint32_t i = 0; i < a->probe_cnt; i++)
		if (is_tool(a, i) && probe_at(a->table, i)->period_ns)
			a->probes[i].due_ns = now + probe_at(a->table, i)->period_ns;
	return until_next(a, now);
}

/* The one that is due longest; probe_cnt: none. */
static uint32_t tick_due(const struct aim *a, uint64_t now)
{
	uint32_t best = a->probe_cnt;
	for (uint32_t i = 0; i < a->probe_cnt; i++) {
		uint64_t due = a->probes[i].due_ns;
		if (due && due <= now && (best == a->probe_cnt || due < a->probes[best].due_ns))
			best = i;
	}
	return best;
}

uint64_t aim_ticks_fire(struct aim *a, struct session *s, bool *ret_fired)
{
	uint64_t now = host_now_ns();
	const struct wire_shm *shm = session_shm(s);
	for (uint32_t i; (i = tick_due(a, now)) < a->probe_cnt && !LOAD_ACQUIRE(&shm->exiting);) {
		uint64_t period = probe_at(a->table, i)->period_ns;
		if (now - a->probes[i].due_ns > period * TICK_CATCH_UP)
			a->probes[i].due_ns = now;
		a->probes[i].due_ns += period;
		fire_probe(a, s, i, NULL);
		*ret_fired = true;
	}
	return until_next(a, now);
}
