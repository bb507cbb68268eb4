/* SPDX-License-Identifier: MIT */
#include "agent/agent.h"
#include "rt/helpers.h"

extern const struct agent_info dyntrace_agent_info;

__attribute__((visibility("default"))) const struct agent_info dyntrace_agent_info = {
	.magic = AGENT_MAGIC,
	.version = WIRE_VERSION,
	.helper_cnt = AGENT_HELPER_CNT,
	.fns = {
#define FN(name) (const void *)rt_##name,
		AGENT_FNS(FN)
#undef FN
	},
	.helpers = {
#define HELPER(name, result, args, faults) (const void *)rt_##name,
#include "wire/helpers.def"
#undef HELPER
	},
};
