/* SPDX-License-Identifier: MIT */
/* A static tracepoint of LTTng-UST with two arguments; its records have the time.  And one like it that nobody enables. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng_tp.h"

#if !defined(BENCH_LTTNG_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_TP_H

#include <lttng/tracepoint.h>

#define BENCH_EVENT(name) \
	LTTNG_UST_TRACEPOINT_EVENT(bench, name, LTTNG_UST_TP_ARGS(long, a, long, b), \
		LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(long, a, a) lttng_ust_field_integer(long, b, b)))
BENCH_EVENT(work)
BENCH_EVENT(base)

#endif
#include <lttng/tracepoint-event.h>
