/* SPDX-License-Identifier: MIT */
/*
 * agent: libdyntrace-agent.so, the resident rooms as one object.  The
 * controller maps it into a target by hand (session/agent_load.c); it has no
 * writable data, no undefined symbols and only RELATIVE relocations, so one
 * read-only executable mapping serves.  It is an ordinary shared library too.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "base/base.h"

#define AGENT_MAGIC 0x746e656761727964ULL /* "dyragent" */

/* Functions of rt that generated code calls around programs. */
#define AGENT_FNS(FN) \
	FN(thread_find) FN(enter) FN(leave) FN(rec_open) FN(rec_commit) FN(fault) FN(agg) FN(agg_plain) FN(agg_key) FN(agg_ustack) FN(rec_put) FN(rec_publish) FN(vfork_id_at) \
	FN(env) FN(site_args) FN(child_enter)

enum agent_fn {
#define FN(name) AGENT_FN_##name,
	AGENT_FNS(FN)
#undef FN
	AGENT_FN_CNT
};

enum {
	AGENT_HELPER_CNT = 0
#define HELPER(name, result, args, faults) +1
#include "wire/helpers.def"
#undef HELPER
};

/* The one exported symbol, dyntrace_agent_info. */
struct agent_info {
	uint64_t magic;
	uint32_t version;    /* WIRE_VERSION */
	uint32_t helper_cnt; /* of helpers.def when it was built */
	const void *fns[AGENT_FN_CNT];
	const void *helpers[AGENT_HELPER_CNT]; /* in the order of helpers.def */
};

#endif
