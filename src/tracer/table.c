/* SPDX-License-Identifier: MIT */
#include "tracer/tracer_int.h"

#include <string.h>

static const struct tracer *const table[] = { &tracer_log, &tracer_count, &tracer_hist, &tracer_d, &tracer_ctf, &tracer_lttng, &tracer_none };

const struct tracer *tracer_nth(uint32_t i)
{
	return i < ARRAY_CNT(table) ? table[i] : NULL;
}

const struct tracer *tracer_find(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_CNT(table); i++)
		if (!strcmp(table[i]->name, name))
			return table[i];
	return NULL;
}
