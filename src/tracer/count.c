/* SPDX-License-Identifier: MIT */
/* count and none. */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <string.h>

#define AGG "dyntrace_count"

uint32_t tracer_agg(const struct tracer_host *h, const char *name)
{
	for (uint32_t i = 0; i < h->plan->agg_cnt; i++)
		if (!strcmp(h->plan->aggs[i].name, name))
			return i;
	return WIRE_NONE;
}

int tracer_no_args(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	return argc ? err_setf(reterr, -EINVAL, "%s takes no arguments, but there is '%s'%s", tp->tracer->name, argv[0],
			       *argv[0] == '-' ? ": options stand before the tracer" : "") : 0;
}

/*
 * An aggregation without keys costs a hit the least, so each tracepoint has one of its own, two with -e.  They are used
 * again, with the programs that count in them, and then begin with what is there.
 */
#define SLOTS 200
static bool taken[SLOTS];

struct count {
	uint32_t slot[TRACER_AT_CNT]; /* WIRE_NONE: none */
	int64_t before[TRACER_AT_CNT];
};

static int64_t now(const struct tracer_point *tp, enum tracer_at at)
{
	const struct count *c = tp->state;
	char name[32];
	snprintf(name, sizeof(name), AGG "_%u", c->slot[at]);
	uint32_t agg = c->slot[at] == WIRE_NONE ? WIRE_NONE : tracer_agg(tp->host, name);
	const int64_t *v = agg == WIRE_NONE ? NULL : consume_agg_entry(tp->host->consume, agg, NULL);
	return v ? *v : 0;
}

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct count *c = tp->state;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++)
		c->slot[a] = WIRE_NONE;
	return tracer_no_args(tp, argc, argv, reterr);
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	struct count *c = tp->state;
	uint32_t i = 0;
	while (i < SLOTS && taken[i])
		i++;
	if (i == SLOTS)
		return;
	taken[i] = true;
	c->slot[at] = i;
	fprintf(out, "{ @" AGG "_%u = count(); }", i);
}

static int begin(struct tracer_point *tp, struct err *reterr)
{
	struct count *c = tp->state;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++) {
		if (tp->at[a].used && c->slot[a] == WIRE_NONE)
			return err_setf(reterr, -ENOSPC, "there are %d counts already: remove one", SLOTS);
		c->before[a] = now(tp, (enum tracer_at)a);
	}
	return 0;
}

static int64_t value(const struct tracer_point *tp, enum tracer_at at)
{
	const struct count *c = tp->state;
	return now(tp, at) - c->before[at];
}

static void end(struct tracer_point *tp)
{
	const struct count *c = tp->state;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++)
		if (c->slot[a] != WIRE_NONE)
			taken[c->slot[a]] = false;
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	uint64_t hits[TRACER_AT_CNT];
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++)
		hits[a] = (uint64_t)value(tp, (enum tracer_at)a);
	tracer_show_hits(tp, hits, out, json);
}

const struct tracer tracer_count = {
	.name = "count", .args = "", .help = "count the hits, in the program itself",
	.state_bytes = sizeof(struct count), .parse = parse, .text = text, .begin = begin, .show = show, .end = end,
};

const struct tracer tracer_none = {
	.name = "none", .args = "", .help = "do nothing: to measure what a tracepoint costs", .parse = tracer_no_args,
};
