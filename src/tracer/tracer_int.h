/* SPDX-License-Identifier: MIT */
#ifndef TRACER_TRACER_INT_H
#define TRACER_TRACER_INT_H

#include "tracer/tracer.h"

extern const struct tracer tracer_log, tracer_count, tracer_hist, tracer_d, tracer_none, tracer_lttng, tracer_ctf;

/* The number of an aggregation of the plan, by name; WIRE_NONE: no clause has it. */
uint32_t tracer_agg(const struct tracer_host *, const char *name);
int tracer_no_args(struct tracer_point *, int argc, char *const *argv, struct err *reterr);
/* How often it was hit, as a line or as members of a JSON object. */
void tracer_show_hits(const struct tracer_point *, const uint64_t hits[TRACER_AT_CNT], FILE *out, bool json);

#endif
