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
	return argc ? err_setf(reterr, -EINVAL, "%s takes no arguments, but there is '%s'", tp->tracer->name, argv[0]) : 0;
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	(void)tp;
	(void)at;
	fputs("{ @" AGG "[id] = count(); }", out);
}

static int64_t value(const struct tracer_point *tp, uint32_t id)
{
	uint32_t agg = tracer_agg(tp->host, AGG);
	const int64_t *v = agg == WIRE_NONE ? NULL : consume_agg_entry(tp->host->consume, agg, id);
	return v ? *v : 0;
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	int64_t hits = value(tp, tp->id), returns = tp->both ? value(tp, tp->id + 1) : 0;
	if (json) {
		fprintf(out, ",\"hits\":%lld", (long long)hits);
		if (tp->both)
			fprintf(out, ",\"returns\":%lld", (long long)returns);
	} else if (tp->both) {
		fprintf(out, "%lld entered, %lld returned\n", (long long)hits, (long long)returns);
	} else {
		fprintf(out, "%lld hits\n", (long long)hits);
	}
}

const struct tracer tracer_count = {
	.name = "count", .args = "", .help = "count the hits, in the program itself",
	.parse = tracer_no_args, .text = text, .show = show,
};

const struct tracer tracer_none = {
	.name = "none", .args = "", .help = "do nothing: to measure what a tracepoint costs", .parse = tracer_no_args,
};
