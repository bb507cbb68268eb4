/* SPDX-License-Identifier: MIT */
/* Private to probe: the table, and what a provider is. */
#ifndef PROBE_INT_H
#define PROBE_INT_H

#include "base/sorted.h"
#include "probe/probe.h"

/* Indexes found so far for one description. */
struct found {
	struct probe_table *table;
	uint32_t *v;
	uint32_t cnt, cap;
};
/* The probe that equals @p (strings are copied), made if there is none. 0 or -ENOMEM. */
int probe_found(struct found *, const struct probe *p);

struct probe_query {
	const struct probe_spec *spec;
	struct obj_proc *const *procs;
	const pid_t *pids;
	uint32_t proc_cnt;
	struct err *reterr; /* never NULL */
};

/* Each finds, and makes, its own probes. */
struct probe_provider {
	const char *name;
	int (*match)(const struct probe_query *, struct found *);
};
extern const struct probe_provider probe_dtrace, probe_profile, probe_kernel, probe_cpc, probe_fbt, probe_usdt, probe_pid;

/* kern_sdt.c: per provider */
extern const struct probe_kern *const probe_kern_sdt[];
extern const uint32_t probe_kern_sdt_cnt[], probe_kern_sdt_provs;

/* ---- pid: modules and functions (pid_mod.c, pid_func.c) ---- */

/* How well @pattern means @mod: 0 not at all; see probe_match(). */
int pid_mod_rank(const char *pattern, const struct obj_module *mod);
/* The best of all modules: those that have it are meant. */
int pid_mod_best(const char *pattern, const struct obj_proc *);

struct pid_func {
	struct obj_module *mod;
	uint64_t addr, bytes;
	const char *name; /* NULL: own */
	char own[24];     /* sub_VADDR */
	struct obj_sym sym;
};
struct pid_funcs {
	struct pid_func *v;
	uint32_t cnt, cap;
	const char *unresolved; /* an IFUNC that nobody has resolved, or NULL */
};
/* Functions of @mod whose name matches, sorted by address, each address once. */
int pid_funcs_find(struct obj_proc *, struct obj_module *mod, const char *pattern, struct pid_funcs *ret,
		   struct err *reterr);

/* ---- pid_code.c ---- */

/* Offsets of all instructions (malloc'ed), as the file has them. */
int pid_insn_offsets(struct obj_proc *, struct obj_module *, uint64_t addr, uint64_t bytes, uint32_t **ret,
		     uint32_t *ret_cnt);

/* ---- near.c ---- */

/* What to say where nothing matched. */
void near_modules(struct obj_proc *, const char *pattern, struct err *reterr);
void near_kernel_functions(const struct probe_spec *, struct err *reterr);
void near_kernel(const struct probe_spec *, struct err *reterr);
void near_probes(const struct probe_spec *, struct err *reterr); /* providers, and names of the tool's own */
bool near_shifted(const struct probe_spec *, struct err *reterr); /* whether its provider stands where the module or function is */
const char *near_meant(const struct probe_spec *); /* by words of bpftrace; NULL */
void near_functions(struct obj_proc *, const char *mod_pattern, const char *pattern, struct err *reterr);

#endif
