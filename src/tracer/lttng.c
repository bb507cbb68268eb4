/* SPDX-License-Identifier: MIT */
/* Events of LTTng: what runs in the program is a library's function (lttng/hit.c). */
#include "tracer/tracer_int.h"

#include <stdlib.h>

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	uint64_t nested = 0;
	if (tp->host->read_symbol(tp->host, tp->tracer->library, "dyntrace_lttng_nested", &nested, sizeof(nested)))
		return;
	if (json)
		fprintf(out, ",\"nested\":%llu", (unsigned long long)nested);
	else if (nested)
		fprintf(out, "%llu hits in the process were within LTTng's own work, and gave no event\n", (unsigned long long)nested);
}

const struct tracer tracer_lttng = {
	.name = "lttng", .args = "",
	.help = "events of LTTng-UST, provider dyntrace_lttng: tracepoint_hit, or with -e function_entry and function_exit",
	.library = "libdyntrace-lttng.so", .hook = "dyntrace_lttng_hit", .parse = tracer_no_args, .show = show,
};
