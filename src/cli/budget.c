/* SPDX-License-Identifier: MIT */
/* -x budget: what is said of it, before and behind. */
#include "cli/cli_int.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN 4u  /* names of places that were sampled */
#define COSTLY 3u /* those that took most, where it was too much */
#define MOST 50   /* per cent that -x budget takes */

/* Whose programs cannot be sampled at all does not wait for the end to get to know that. */
void cli_budget_armed(struct cli *cli)
{
	if (!cli->session || !cli->args.opts.budget || cli->budget_told)
		return;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].starting)
			return;
	cli->budget_told = session_budget_report(cli->session).is_vain;
	if (cli->budget_told)
		cli_hint("nothing can be sampled, since all clauses change variables, or do more than aggregate and record: where they are "
			 "hot, -x budget=%u%% is not kept", (unsigned)cli->args.opts.budget);
}

/* One of each name is left, in front, with the most that its places stood for: a function has several returns, and may be
 * in several processes.  Returns how many; *ret_rest: places with other names. */
static uint32_t merge(struct session_sampled *v, uint32_t cnt, uint32_t *ret_rest)
{
	uint32_t n = 0;
	*ret_rest = 0;
	for (uint32_t i = 0, k; i < cnt; i++) {
		for (k = 0; k < n && strcmp(v[k].place, v[i].place);)
			k++;
		if (k == n && n == SHOWN)
			++*ret_rest;
		else if (k == n)
			v[n++] = v[i];
		else if (v[i].weight > v[k].weight)
			v[k].weight = v[i].weight;
	}
	return n;
}

static double taken_of(const struct session_budget *b) { return b->off + b->on + b->unsampled; }

static bool is_kept(const struct cli *cli, const struct session_budget *b) { return taken_of(b) * 100 < cli->args.opts.budget + 0.5; }

/* Of which part of the hits what is shown was made, and what all of them took; what was too much is said by itself. */
static void describe_share(const struct cli *cli, const struct session_budget *b, bool one, char *buf, size_t cap)
{
	double part = b->counted * 100, taken = taken_of(b) * 100;
	int n = snprintf(buf, cap, "what %s scaled from %.*f%% of %s hits, %s records are not all there", one ? "it aggregates is" : "they aggregate is",
			 part < 9.95, part, one ? "its" : "their", one ? "its" : "their");
	if (taken > 0 && is_kept(cli, b))
		snprintf(buf + n, cap - (size_t)n, "; probes took some %.1f%% of the processes' own time", taken);
}

static void tell_sampled(struct cli *cli, const struct session_budget *b)
{
	uint32_t cnt = b->sampled;
	struct session_sampled *v = cnt ? calloc(cnt, sizeof(*v)) : NULL;
	char list[SHOWN * (sizeof(v->place) + 32)] = "", more[32] = "", share[192];
	uint32_t rest, n = v ? merge(v, session_budget_places(cli->session, v, cnt, true), &rest) : 0;
	for (uint32_t i = 1, at = 0; i < n; i++)
		at += (uint32_t)sprintf(list + at, "%s%s (%u)", i + 1 < n || rest ? ", " : " and ", v[i].place, v[i].weight);
	if (n && rest)
		snprintf(more, sizeof(more), " and %u other%s", rest, rest > 1 ? "s" : "");
	describe_share(cli, b, n == 1 && !rest, share, sizeof(share));
	if (n == 1 && !rest)
		cli_hint("%s was sampled, at most 1 hit of %u, as -x budget=%u%% asks: %s", v->place, v->weight, (unsigned)cli->args.opts.budget,
			 share);
	else if (n)
		cli_hint("%s (1 hit of %u, at most)%s%s were sampled, as -x budget=%u%% asks: %s", v->place, v->weight, list, more,
			 (unsigned)cli->args.opts.budget, share);
	free(v);
}

static void tell_costly(struct cli *cli)
{
	struct session_sampled found[COSTLY];
	uint32_t cnt = session_budget_places(cli->session, found, COSTLY, false);
	for (uint32_t i = 0; i < cnt && (!i || found[i].taken > 0.005); i++)
		cli_hint("%s took %.1f%%", found[i].place, found[i].taken * 100);
}

/* What takes most is what one can do something about. */
/* What a hit takes that is off is an estimate, and the processes' own time is what it leaves of all: of nearly nothing there is no share. */
static bool is_far(const struct session_budget *b) { return b->off >= 1 && b->off >= b->on && b->off >= b->unsampled; }

static void tell_excess(const struct cli *cli, const struct session_budget *b)
{
	double taken = taken_of(b);
	unsigned enough = (unsigned)(taken * 100) + 1;
	char budget[64] = "";
	if (enough <= MOST)
		snprintf(budget, sizeof(budget), ", or allow -x budget=%u%%", enough);
	cli_hint("-x budget=%u%% was not kept: probes took some %.1f%% of the processes' own time", (unsigned)cli->args.opts.budget, taken * 100);
	if (b->unsampled >= b->off && b->unsampled >= b->on)
		cli_hint("%.1f%% was by clauses that are not sampled, since they change variables, or do more than aggregate and record: "
			 "count or aggregate without variables, probe fewer functions%s", b->unsampled * 100, budget);
	else if (b->off >= b->on)
		cli_hint("%.1f%% was by being hit at all, with hits left out: probe fewer functions, or others that are called less often%s",
			 b->off * 100, budget);
	else
		cli_hint("%.1f%% was by hits that were not left out, as in the first moments, or when next to none were on already: trace for longer, "
			 "do less in a clause (count() instead of a stack or a record), probe fewer functions%s", b->on * 100, budget);
}

void cli_budget_end(struct cli *cli)
{
	if (!cli->session || !cli->args.opts.budget)
		return;
	struct session_budget b = session_budget_report(cli->session);
	tell_sampled(cli, &b);
	if (is_kept(cli, &b))
		return;
	if (is_far(&b)) {
		cli_hint("-x budget=%u%% was not kept, by far: what is probed is called so often, and does so little, that being hit at all takes about "
			 "as long: probe functions that are called less often", (unsigned)cli->args.opts.budget);
		return;
	}
	tell_excess(cli, &b);
	tell_costly(cli);
}
