/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"
#include "rt/helpers.h"

#define COUNT(name, result, args, faults) +1
enum {
#define HELPER COUNT
	HELPER_CNT = 0
#include "wire/helpers.def"
#undef HELPER
};

struct table {
	struct agent_info info; /* ends in a flexible array: these are its elements */
	const void *helpers[HELPER_CNT];
};

extern const struct table dyntrace_agent_info;

__attribute__((visibility("default"))) const struct table dyntrace_agent_info = {
	.info = {
		.magic = AGENT_MAGIC,
		.version = WIRE_VERSION,
		.helper_cnt = HELPER_CNT,
		.fns = {
#define FN(name) (const void *)rt_##name,
			AGENT_FNS(FN)
#undef FN
		},
	},
	.helpers = {
#define HELPER(name, result, args, faults) (const void *)rt_##name,
#include "wire/helpers.def"
#undef HELPER
	},
};
