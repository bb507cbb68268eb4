/* SPDX-License-Identifier: MIT */
/*
 * probe: probe descriptions to places.  One file per provider, behind struct
 * probe_provider.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "obj/obj.h"

/* A description after macro expansion: globs allowed, "" matches all. */
struct probe_spec {
	const char *prov, *mod, *func, *name;
};

/* A probe that exists. */
struct probe {
	uint32_t id;     /* as -l shows it; counted over the session */
	const char *prov, *mod, *func, *name; /* owned by the table */
	uint8_t kind;    /* enum wire_site_kind */
	/* pid provider: */
	struct obj_module *module;
	uint64_t func_addr;
	uint64_t func_bytes;
	uint32_t offset; /* of an OFFSET probe */
	/* tool provider: tick-N and profile-N */
	uint64_t period_ns; /* 0: BEGIN, END, ERROR */
};

struct probe_table; /* all probes that were asked for so far, each once */

struct probe_table *probe_table_create(void);
void probe_table_destroy(struct probe_table *);
uint32_t probe_cnt(const struct probe_table *);
const struct probe *probe_at(const struct probe_table *, uint32_t i);

struct probe_match_opts {
	const char *line_hint; /* reserved */
	bool list_all;         /* -l: also what cannot be armed */
};

/* Finds the probes that @spec means in the tool and, for `pidN` specs, in the
 * processes given; adds new ones to the table; stores the indexes of all that
 * match (malloc'ed, caller frees). @procs: those whose pid the provider part
 * may name. None is no error here: *ret_cnt is 0 and, if @reterr is given, its
 * message says what is missing and which names are near. -errno where the
 * description itself is impossible (offset outside the function, no such process). */
int probe_match(struct probe_table *, const struct probe_spec *spec, struct obj_proc *const *procs,
		const pid_t *pids, uint32_t proc_cnt, uint32_t **ret, uint32_t *ret_cnt, struct err *reterr);

#endif
