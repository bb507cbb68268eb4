/* SPDX-License-Identifier: MIT */
/* All verbs but ready scripts, which name themselves (script.c). */
#include "cli/keeper/keeper_int.h"
#include "cli/record/record_int.h"
#include "cli/script.h"

#include <string.h>

/* In the order in which names that are near are looked for. */
static const struct cli_verb verbs[] = {
	{ "add", points_main, 0 },
	{ "attach", points_main, 0 },
	{ "detach", points_main, 0 },
	{ "dump", cli_replay_main, 0 },
	{ "enable-event", event_main, 0 },
	{ "explain", NULL, MODE_EXPLAIN },
	{ "list-functions", cli_functions_main, 0 },
	{ "list-processes", procs_main, 0 },
	{ "list-symbols", symbols_main, 0 },
	{ "list-tracepoints", points_main, 0 },
	{ "record", NULL, MODE_RECORD },
	{ "repair", NULL, MODE_REPAIR },
	{ "rm", points_main, 0 },
	{ "run", run_main, 0 },
	{ "trace", trace_main, 0 },
	{ "verify", NULL, MODE_VERIFY },
};

const struct cli_verb *cli_verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

const char *cli_verb_name(uint32_t i)
{
	return i < ARRAY_CNT(verbs) ? verbs[i].name : cli_script_name(i - (uint32_t)ARRAY_CNT(verbs));
}
