/* SPDX-License-Identifier: MIT */
/* Events of LTTng: what runs in the program is a library's function (lttng/hit.c). */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRACER_LTTNG_NAME_MAX 200 /* of 255 with the provider and a suffix */

struct lttng {
	bool named;
};

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct lttng *l = tp->state;
	l->named = argc == 1 && !strcmp(argv[0], "named");
	if (l->named && strlen(tp->name) > TRACER_LTTNG_NAME_MAX)
		return err_setf(reterr, -ENAMETOOLONG, "a name of LTTng's has at most %d characters", TRACER_LTTNG_NAME_MAX);
	return argc && !l->named ? err_setf(reterr, -EINVAL, "lttng takes no arguments but 'named', and there is '%s'", argv[0]) : 0;
}

static bool tells(const struct tracer_point *tp)
{
	return ((const struct lttng *)tp->state)->named;
}

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
	.name = "lttng", .args = "[named]", .state_bytes = sizeof(struct lttng), .tells = tells,
	.help = "events of LTTng-UST, provider dyntrace_lttng: tracepoint_hit, or with -e function_entry and function_exit; named: "
		"NAME, or NAME_entry and NAME_exit",
	.library = "libdyntrace-lttng.so", .hook = "dyntrace_lttng_hit", .parse = parse, .show = show,
};
