/* SPDX-License-Identifier: MIT */
/* The tool's own probes: the client's clauses, run by the interpreter. */
#include "daemon/daemon_int.h"

#include "ir/interp.h"

#include <stdlib.h>
#include <string.h>

#define TICK_CATCH_UP 64

struct firing {
	struct worker *w;
	uint32_t probe;
};

static void on_fault(void *arg, uint32_t clause, const struct wire_rec_error *e)
{
	const struct firing *f = arg;
	const uint64_t args[10] = { 0, f->probe, clause, e->pc, e->fault, e->value };
	run_fire(f->w, "ERROR", args);
}

static void fire_probe(struct worker *w, uint32_t idx, const uint64_t args[10])
{
	const struct run_probe *p = &w->probes[idx];
	const struct probe *probe = probe_at(w->table, idx);
	struct firing firing = { w, probe->id };
	const struct wire_site *site = session_tool_site(w->session, probe->id);
	const struct ir_prog **progs = calloc(p->prog_cnt + 1ul, sizeof(*progs));
	for (uint32_t i = 0; progs && i < p->prog_cnt; i++)
		progs[i] = &w->image.progs[p->progs[i]];
	if (site && progs)
		ir_interp_fire_hooked(session_shm(w->session), site, progs, p->prog_cnt, args,
				      strcmp(probe->name, "ERROR") ? on_fault : NULL, &firing);
	free(progs);
}

static bool is_tool(const struct worker *w, uint32_t idx)
{
	return w->probes[idx].armed && probe_at(w->table, idx)->kind == WIRE_SITE_TOOL;
}

void run_fire(struct worker *w, const char *name, const uint64_t args[10])
{
	for (uint32_t i = 0; i < w->probe_cnt; i++)
		if (is_tool(w, i) && !probe_at(w->table, i)->period_ns && !strcmp(probe_at(w->table, i)->name, name))
			fire_probe(w, i, args);
}

static uint64_t until_next(const struct worker *w, uint64_t now)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < w->probe_cnt; i++) {
		uint64_t due = w->probes[i].due_ns, left = due > now ? due - now : 0;
		if (due && left < least)
			least = left;
	}
	return least;
}

void run_ticks_start(struct worker *w)
{
	uint64_t now = io_now_ns();
	for (uint32_t i = 0; i < w->probe_cnt; i++)
		if (is_tool(w, i) && probe_at(w->table, i)->period_ns)
			w->probes[i].due_ns = now + probe_at(w->table, i)->period_ns;
}

static uint32_t tick_due(const struct worker *w, uint64_t now)
{
	uint32_t best = w->probe_cnt;
	for (uint32_t i = 0; i < w->probe_cnt; i++) {
		uint64_t due = w->probes[i].due_ns;
		if (due && due <= now && (best == w->probe_cnt || due < w->probes[best].due_ns))
			best = i;
	}
	return best;
}

uint64_t run_ticks(struct worker *w, bool *ret_fired)
{
	uint64_t now = io_now_ns();
	const struct wire_shm *shm = session_shm(w->session);
	for (uint32_t i; (i = tick_due(w, now)) < w->probe_cnt && !LOAD_ACQUIRE(&shm->exiting);) {
		uint64_t period = probe_at(w->table, i)->period_ns;
		if (now - w->probes[i].due_ns > period * TICK_CATCH_UP)
			w->probes[i].due_ns = now;
		w->probes[i].due_ns += period;
		fire_probe(w, i, NULL);
		*ret_fired = true;
	}
	return until_next(w, now);
}
