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
	/* pid provider, USDT (a function that has the probe's places): */
	struct obj_module *module;
	uint64_t func_addr;
	uint64_t func_bytes;
	uint32_t offset; /* of an OFFSET probe */
	/* tool provider: tick-N and profile-N */
	uint64_t period_ns; /* 0: BEGIN, END, ERROR */
	pid_t pid;       /* pid provider, USDT: of the process; else 0 */
};

struct probe_table; /* all probes that were asked for so far, each once */

struct probe_table *probe_table_create(void);
void probe_table_destroy(struct probe_table *);
uint32_t probe_cnt(const struct probe_table *);
const struct probe *probe_at(const struct probe_table *, uint32_t i); /* NULL behind the last */

/* Finds the probes that @spec means in the tool and, for `pidN` specs, in the
 * processes given; adds new ones to the table; stores the indexes of all that
 * match (malloc'ed, caller frees), each once. @procs: those whose pid the provider
 * part may name.
 *
 * None is no error here: *ret_cnt is 0 and, if @reterr is given, its message says
 * what is missing and which names are near. Impossible descriptions are errors:
 *   -ESRCH   the process is not among @procs and never was (D_PROC_BADPID)
 *   -EINVAL  a pid probe's name that is none, or inside an instruction (D_PROC_NAME)
 *   -ERANGE  an offset or address outside the function or code (D_PROC_OFF)
 *   -ELIBBAD function "-" in a module other than a.out (D_PROC_LIB)
 *   -ENOMEM
 * The message is empty where something matched.
 *
 * Modules: by base name or path, globs allowed; "a.out" is the executable; where no name
 * matches as a whole, parts up to a dot do ("libc", "libc.so"), at last without regard to
 * the version; the vDSO only by its own name.
 * USDT: provider "PROVIDERpid"; two underscores in a probe's name are a dash, and either form is found.
 * Functions: by mangled or demangled name; a glob gives each address once, under its
 * preferred name.  Functions without any symbol are called sub_VADDR (hexadecimal); globs that
 * do not begin so mean them only in modules that have no names left. */
int probe_match(struct probe_table *, const struct probe_spec *spec, struct obj_proc *const *procs,
		const pid_t *pids, uint32_t proc_cnt, uint32_t **ret, uint32_t *ret_cnt, struct err *reterr);

/* Whether @u is a place of the USDT probe @p, which is in the same module. */
bool probe_usdt_is(const struct probe *p, const struct obj_usdt *u);

#endif
