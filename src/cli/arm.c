/* SPDX-License-Identifier: MIT */
#include "cli/cli_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct refusals {
	struct cli *cli;
	uint32_t cnt, no_return_cnt;
	struct place { /* for which the kernel is asked */
		const struct probe *probe;
		uint64_t addr;
		char *why;
	} *places;
	uint32_t place_cnt;
};
#define REFUSALS_SHOWN 20

/* By a description, without globs. */
static bool is_named(const struct cli *cli, const struct probe *p)
{
	for (uint32_t i = 0; i < cli->match_cnt; i++)
		if (!strcmp(cli->prog.plan.clauses[cli->matches[i].clause].descs[cli->matches[i].desc].func, p->func))
			return true;
	return false;
}

static bool postpone(struct refusals *r, const struct session_refusal *why)
{
	if (why->has_no_return || r->cli->args.opts.backend == CLI_BACKEND_JUMP)
		return false;
	struct place *v = realloc(r->places, (r->place_cnt + 1ul) * sizeof(*v));
	char *text = v ? strdup(why->why) : NULL;
	r->places = v ? v : r->places;
	if (text)
		v[r->place_cnt++] = (struct place){ why->probe, why->addr, text };
	return text != NULL;
}

static void refused(void *arg, const struct session_refusal *why)
{
	struct refusals *r = arg;
	if (postpone(r, why))
		return;
	const struct probe *p = why->probe;
	/* Nothing is lost where nothing returns: who asks for one such function gets to know, who asks for all does not. */
	bool shown = why->has_no_return ? !r->no_return_cnt++ && is_named(r->cli, p) : r->cnt++ < REFUSALS_SHOWN;
	if (shown || r->cli->args.verbose)
		cli_error("%s:%s:%s:%s at 0x%llx is not traced: %s", p->prov, p->mod, p->func, p->name,
			  (unsigned long long)why->addr, why->why);
}

static int arm_place(struct cli *cli, const struct place *p, const struct session_probe *v, uint32_t cnt, struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++) {
		if (v[i].probe != p->probe)
			continue;
		for (uint32_t k = 0; k < v[i].prog_cnt; k++)
			if (session_uses_self(&cli->prog.image.progs[v[i].progs[k]]))
				return err_setf(reterr, -ENOTSUP, "a uprobe of the kernel there would have self-> variables of its own; "
						"-x backend=uprobe places all of them so");
		return session_arm_uprobe(cli->session, &v[i], p->addr, reterr);
	}
	return err_setf(reterr, -ENOENT, "it is no more");
}

/* The last resort for what was refused; how many places it could have. */
static uint32_t arm_places(struct refusals *r, const struct session_probe *v, uint32_t cnt)
{
	uint32_t done = 0;
	for (uint32_t i = 0; i < r->place_cnt; i++) {
		struct place *p = &r->places[i];
		struct err e = { 0 };
		bool ok = r->cli->has_kernel && !arm_place(r->cli, p, v, cnt, &e);
		done += ok;
		if (ok ? r->cli->args.verbose : r->cnt++ < REFUSALS_SHOWN || r->cli->args.verbose)
			cli_error("%s:%s:%s:%s at 0x%llx %s: %s%s%s", p->probe->prov, p->probe->mod, p->probe->func, p->probe->name,
				  (unsigned long long)p->addr, ok ? "is a uprobe" : "is not traced", p->why, e.msg[0] && !ok ? "; " : "",
				  ok ? "" : e.msg);
	}
	return done;
}

static void free_places(struct refusals *r)
{
	for (uint32_t i = 0; i < r->place_cnt; i++)
		free(r->places[i].why);
	free(r->places);
}

static void count_refusals(const struct refusals *r, uint32_t sites)
{
	const char *why = r->cnt && r->cnt <= r->place_cnt ? cli_resort_why(r->cli) : NULL;
	const char *all = r->cnt > REFUSALS_SHOWN && !r->cli->args.verbose ? "; -v names them" : "";
	if (r->cnt > REFUSALS_SHOWN || why)
		cli_error("%u of %u places %s not traced%s%s%s", r->cnt, sites + r->cnt, r->cnt == 1 ? "is" : "are", all, why ? "; " : "",
			  why ? why : "");
}

static uint32_t collect(struct cli *cli, struct session_probe *v)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cli->probe_cnt; i++) {
		struct cli_probe *p = &cli->probes[i];
		if (p->armed || !p->prog_cnt)
			continue;
		p->armed = true;
		v[n++] = (struct session_probe){ .probe = probe_at(cli->table, i), .proc = p->proc, .progs = p->progs,
						 .prog_cnt = p->prog_cnt };
	}
	return n;
}

/* Arms what was matched and is not armed yet. CLI_OK or CLI_ERROR. */
int cli_arm_new(struct cli *cli)
{
	struct session_probe *v = calloc(cli->probe_cnt + 1ul, sizeof(*v));
	struct refusals r = { .cli = cli };
	uint32_t sites = 0;
	struct err e;
	if (!v) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	uint32_t n = collect(cli, v);
	/* Also where there is nothing yet: the session then watches for libraries. */
	int rc = session_arm(cli->session, v, n, refused, &r, &sites, &e);
	bool again = rc >= 0 && r.place_cnt && cli_resort(cli);
	if (!again)
		sites += arm_places(&r, v, rc < 0 ? 0 : n);
	free_places(&r);
	free(v);
	if (again)
		return CLI_ERROR;
	if (rc < 0 && cli_should_restart(cli))
		return CLI_ERROR;
	if (rc < 0) {
		cli_kernel_refused(cli, e.msg);
		return CLI_ERROR;
	}
	count_refusals(&r, sites);
	if (n && !sites && !cli->armed_cnt && r.cnt + r.no_return_cnt) {
		cli_error("none of the probes can be placed; explain shows why, and the offsets of other places (-l with an empty name)");
		return CLI_ERROR;
	}
	cli->armed_cnt += sites;
	if (cli->args.verbose)
		cli_error("%u probes armed at %u places", n, sites);
	return CLI_OK;
}
