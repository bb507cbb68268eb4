/* SPDX-License-Identifier: MIT */
/* Private to d: where variables, records and keys lie; the plan; and dumps of all of it. */
#ifndef D_LAYOUT_INT_H
#define D_LAYOUT_INT_H

#include "d/d_int.h"

/* ---- layout and lowering ---- */

void d_layout_vars(struct d_compiler *);
/* std.c: names and a source that every script may use; NULL: none, or it is not wanted. */
struct d_var *d_std_name(struct d_compiler *, const char *name);
extern const char d_std_kernel[], d_std_kernel_net[];  /* std_kern.c */
const struct d_source *d_std_source(const struct d_source *srcs, uint32_t cnt);
bool d_std_is(const struct d_source *);
void d_count_self(struct d_compiler *); /* after it: which self-> variables dynvarsize can be too small for */
void d_layout_sizes(struct d_compiler *); /* sizes.c */
void d_layout_aggs(struct d_compiler *);
struct d_rec_layout {
	struct d_compiler *c;
	struct plan_clause *pc;
	uint32_t fixed, tail; /* bytes */
	int guard, guard_cnt;
	bool speculates;
	uint64_t nominal; /* bytes as DTrace would count them: strings have their full length */
	bool has_data;
	bool has_addrs; /* of a process */
	bool failed;
};
void d_layout_clause(struct d_rec_layout *, struct d_node *clause);
bool d_is_action(const struct d_node *stmt);
uint32_t d_stack_frames(const struct d_compiler *, const struct d_node *call);
bool d_is_interned(const struct d_compiler *, const struct d_node *); /* its string is always an interned one */
void d_lower_program(struct d_compiler *);

/* ---- dumps ---- */

void d_dump_tops(struct d_compiler *, FILE *, bool types);

#endif
