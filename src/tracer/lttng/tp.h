/* SPDX-License-Identifier: MIT */
/* Events of provider dyntrace_lttng; read several times by lttng/tracepoint-event.h. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER dyntrace_lttng

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./tp.h"

#if !defined(TRACER_LTTNG_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define TRACER_LTTNG_TP_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(dyntrace_lttng, tracepoint_hit,
	LTTNG_UST_TP_ARGS(uint64_t, address_arg, const char *, name_arg, const uint64_t *, args_arg),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer_hex(uint64_t, address, address_arg)
		lttng_ust_field_string(name, name_arg)
		lttng_ust_field_array_hex(uint64_t, args, args_arg, 6)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(dyntrace_lttng, function_entry,
	LTTNG_UST_TP_ARGS(uint64_t, address_arg, const char *, name_arg, const uint64_t *, args_arg),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer_hex(uint64_t, address, address_arg)
		lttng_ust_field_string(name, name_arg)
		lttng_ust_field_array_hex(uint64_t, args, args_arg, 6)
	)
)

LTTNG_UST_TRACEPOINT_EVENT(dyntrace_lttng, function_exit,
	LTTNG_UST_TP_ARGS(uint64_t, address_arg, const char *, name_arg, uint64_t, ret_arg),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer_hex(uint64_t, address, address_arg)
		lttng_ust_field_string(name, name_arg)
		lttng_ust_field_integer_hex(uint64_t, ret, ret_arg)
	)
)

#endif

#include <lttng/tracepoint-event.h>
