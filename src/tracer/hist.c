/* SPDX-License-Identifier: MIT */
/* Distributions: of the time between entry and return, or of an argument. */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AGG "dyntrace_hist"
#define ARGS 10

struct hist {
	unsigned arg;
};

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct hist *h = tp->state;
	if (argc > 1)
		return err_setf(reterr, -EINVAL, "hist takes one argument, but there is '%s'", argv[1]);
	if (argc && tp->both)
		return err_setf(reterr, -EINVAL, "hist %s: with -e it is the time from entry to return; leave one of them out", argv[0]);
	if (argc && (strncmp(argv[0], "arg", 3) || argv[0][3] < '0' || argv[0][3] > '9' || argv[0][4]))
		return err_setf(reterr, -EINVAL, "hist wants arg0 to arg%d, not '%s'; d '@ = quantize(...)' takes any expression",
				ARGS - 1, argv[0]);
	h->arg = argc ? (unsigned)(argv[0][3] - '0') : 0;
	return 0;
}

/* Calls may nest: each has its own level. */
static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	const struct hist *h = tp->state;
	if (at == TRACER_RETURN)
		fputs("/self->dyntrace_level[id - 1] && self->dyntrace_since[id - 1, self->dyntrace_level[id - 1]]/\n"
		      "{ @" AGG "[id - 1] = quantize(timestamp - self->dyntrace_since[id - 1, self->dyntrace_level[id - 1]]);\n"
		      "self->dyntrace_since[id - 1, self->dyntrace_level[id - 1]] = 0;\n"
		      "self->dyntrace_level[id - 1]--; }", out);
	else if (tp->both)
		fputs("{ self->dyntrace_level[id]++; self->dyntrace_since[id, self->dyntrace_level[id]] = timestamp; }", out);
	else
		fprintf(out, "{ @" AGG "[id] = quantize((int64_t)arg%u); }", h->arg);
}

static void show_json(const int64_t *v, FILE *out)
{
	const char *sep = "";
	fputs(",\"buckets\":[", out);
	for (uint32_t i = 0; v && i < WIRE_QUANTIZE_CNT; i++) {
		if (!v[i])
			continue;
		fprintf(out, "%s{\"from\":%lld,\"count\":%lld}", sep, consume_hist_quantize_label(i), (long long)v[i]);
		sep = ",";
	}
	fputs("]", out);
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	const struct hist *h = tp->state;
	uint32_t agg = tracer_agg(tp->host, AGG);
	const int64_t key = tp->id, *v = agg == WIRE_NONE ? NULL : consume_agg_entry(tp->host->consume, agg, &key);
	if (json) {
		show_json(v, out);
		return;
	}
	if (tp->both)
		fprintf(out, "nanoseconds from entry to return%s\n", v ? ":" : ": no hits");
	else
		fprintf(out, "arg%u%s\n", h->arg, v ? ":" : ": no hits");
	if (v)
		consume_show_quantize(out, v);
}

const struct tracer tracer_hist = {
	.name = "hist", .args = "[argN]",
	.help = "the distribution of an argument (arg0), or with -e of the time from entry to return",
	.state_bytes = sizeof(struct hist), .parse = parse, .text = text, .show = show,
};
