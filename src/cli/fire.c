/* SPDX-License-Identifier: MIT */
/* Probes of the tool's own: BEGIN, END, ERROR at their moments, tick and profile by the clock. */
#include "cli/cli_int.h"

#include "ir/interp.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_CATCH_UP 64 /* firings that were missed and are made up for */

uint64_t cli_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* As dtrace has it on Linux: the probe, the clause, the place in it, what, and with which value. */
static void fire_error_args(struct cli *cli, uint32_t probe, uint32_t clause, const struct wire_rec_error *e)
{
	uint64_t args[10] = { 0, probe, clause, e->pc, e->fault, e->value };
	cli_fire_named(cli, "ERROR", args);
}

static bool is_error(const struct cli *cli, uint32_t idx)
{
	const struct probe *p = probe_at(cli->table, idx);
	return p->kind == WIRE_SITE_TOOL && !strcmp(p->name, "ERROR");
}

/* A clause of a tool's probe faulted: ERROR fires before the next clause runs. */
struct firing {
	struct cli *cli;
	uint32_t probe;
};
static void on_fault(void *arg, uint32_t clause, const struct wire_rec_error *e)
{
	const struct firing *f = arg;
	fire_error_args(f->cli, f->probe, clause, e);
}

static void fire_probe(struct cli *cli, uint32_t idx, const uint64_t args[10])
{
	const struct cli_probe *p = &cli->probes[idx];
	struct firing firing = { cli, probe_at(cli->table, idx)->id };
	const struct wire_site *site = session_tool_site(cli->session, probe_at(cli->table, idx)->id);
	const struct ir_prog **progs = calloc(p->prog_cnt + 1ul, sizeof(*progs));
	for (uint32_t i = 0; progs && i < p->prog_cnt; i++)
		progs[i] = &cli->prog.image.progs[p->progs[i]];
	if (site && progs)
		ir_interp_fire_hooked(session_shm(cli->session), site, progs, p->prog_cnt, args,
				      is_error(cli, idx) ? NULL : on_fault, &firing);
	free(progs);
}

static bool is_tool(const struct cli *cli, uint32_t idx)
{
	return cli->probes[idx].armed && probe_at(cli->table, idx)->kind == WIRE_SITE_TOOL;
}

void cli_fire_named(struct cli *cli, const char *name, const uint64_t args[10])
{
	for (uint32_t i = 0; i < cli->probe_cnt; i++)
		if (is_tool(cli, i) && !probe_at(cli->table, i)->period_ns && !strcmp(probe_at(cli->table, i)->name, name))
			fire_probe(cli, i, args);
}

/* Where in the script it was, once for each statement. */
void cli_fire_show(struct cli *cli, uint32_t clause, uint64_t action)
{
	uint64_t key = (uint64_t)clause << 32 | (uint32_t)action;
	if (cli_testing() || cli->fault_cnt == CLI_FAULTS)
		return;
	for (uint32_t i = 0; i < cli->fault_cnt; i++)
		if (cli->faults[i] == key)
			return;
	cli->faults[cli->fault_cnt++] = key;
	d_where_print(stderr, cli->d, clause, action);
}

/* Faults in a target are heard of when their records are read; those in the tool were then. */
void cli_fire_error(void *arg, const struct wire_rec *rec, const struct wire_rec_error *e)
{
	struct cli *cli = arg;
	const struct wire_shm *shm = session_shm(cli->session);
	cli_fire_show(cli, rec->clause, e->action);
	const struct wire_site *sites = (const struct wire_site *)((const uint8_t *)shm + shm->site_off);
	if (rec->site < shm->site_cap && sites[rec->site].kind != WIRE_SITE_TOOL)
		fire_error_args(cli, sites[rec->site].probe_id, rec->clause, e);
}

static uint64_t until_next(const struct cli *cli, uint64_t now)
{
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < cli->probe_cnt; i++) {
		uint64_t due = cli->probes[i].due_ns;
		if (due && due - now < least)
			least = due > now ? due - now : 0;
	}
	return least;
}

uint64_t cli_ticks_start(struct cli *cli)
{
	uint64_t now = cli_now_ns();
	for (uint32_t i = 0; i < cli->probe_cnt; i++)
		if (is_tool(cli, i) && probe_at(cli->table, i)->period_ns)
			cli->probes[i].due_ns = now + probe_at(cli->table, i)->period_ns;
	return until_next(cli, now);
}

/* The one that is due longest; probe_cnt: none. */
static uint32_t tick_due(const struct cli *cli, uint64_t now)
{
	uint32_t best = cli->probe_cnt;
	for (uint32_t i = 0; i < cli->probe_cnt; i++) {
		uint64_t due = cli->probes[i].due_ns;
		if (due && due <= now && (best == cli->probe_cnt || due < cli->probes[best].due_ns))
			best = i;
	}
	return best;
}

uint64_t cli_ticks_fire(struct cli *cli, bool *ret_fired)
{
	uint64_t now = cli_now_ns();
	const struct wire_shm *shm = session_shm(cli->session);
	for (uint32_t i; (i = tick_due(cli, now)) < cli->probe_cnt && !LOAD_ACQUIRE(&shm->exiting);) {
		uint64_t period = probe_at(cli->table, i)->period_ns;
		if (now - cli->probes[i].due_ns > period * TICK_CATCH_UP)
			cli->probes[i].due_ns = now;
		cli->probes[i].due_ns += period;
		fire_probe(cli, i, NULL);
		*ret_fired = true;
	}
	return until_next(cli, now);
}
