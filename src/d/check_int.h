/* SPDX-License-Identifier: MIT */
/* Private to d: names and types into the tree. */
#ifndef D_CHECK_INT_H
#define D_CHECK_INT_H

#include "d/d_int.h"

void d_check_top(struct d_compiler *, struct d_node *);
void d_check_expr(struct d_compiler *, struct d_node *);
void d_check_call(struct d_compiler *, struct d_node *);
void d_check_args(struct d_compiler *, struct d_node *, const struct d_func *, const char *args);
void d_check_action(struct d_compiler *, struct d_node *);
/* A plain assignment, whose sides were checked. */
void d_check_alloca(struct d_compiler *, const struct d_node *);
bool d_check_alloca_arg(struct d_compiler *, const struct d_node *call, const struct d_node *arg, uint32_t i);
bool d_points_to_alloca(const struct d_node *);
bool d_mixes_alloca(const struct d_node *, const struct d_node *); /* one points to such memory, the other not */
/* A call of @f comes next in the clause. */
void d_check_order(struct d_compiler *, const struct d_node *, const struct d_func *f);
const char *d_strtok_var(struct d_compiler *); /* the hidden self-> variable that strtok() keeps its string in */
bool d_is_destructive(const struct d_func *);
void d_check_ident(struct d_compiler *, struct d_node *);
void d_check_index(struct d_compiler *, struct d_node *);
void d_check_keys(struct d_compiler *, struct d_node *, struct d_key **keys, uint32_t *cnt, bool *known, bool is_agg);
bool d_key_fits(struct d_type *want, struct d_type *have);
#define D_OTHER_AGG "an aggregation has one function and one number of keys: call this one @other, or the like"
void d_check_agg_ref(struct d_compiler *, struct d_node *);
void d_check_agg_stmt(struct d_compiler *, struct d_node *);
void d_check_format(struct d_compiler *, struct d_node *call, const char *fmt, struct d_node *fmt_node,
		    struct d_node *args, bool aggs);
/* stability.c */
struct d_stability d_stability_of(const struct d_node *); /* checked */
void d_check_stability(struct d_compiler *);
/* check_xlate.c */
void d_check_translator(struct d_compiler *, struct d_node *);
void d_check_provider(struct d_compiler *, struct d_node *);
void d_check_xlate(struct d_compiler *, struct d_node *);
void d_check_xlated_member(struct d_compiler *, struct d_node *);
bool d_can_xlate(struct d_compiler *, struct d_type *to, struct d_node *from);
struct d_node *d_xlate_of(struct d_node *); /* the N_XLATE that a node of type D_T_XLATED stands for */
const char *d_var_kind_name(const struct d_var *);
void d_check_inline(struct d_compiler *, struct d_node *);
bool d_check_object(struct d_compiler *, struct d_node *, struct d_type *); /* can be a variable */
struct d_var *d_param_push(struct d_compiler *, const struct d_key *); /* seen before other names, until popped */
void d_param_pop(struct d_compiler *, uint32_t cnt);
void d_check_assign(struct d_compiler *, struct d_node *);
void d_check_binary(struct d_compiler *, struct d_node *);
/* Defines what is assigned to for the first time. */
void d_define(struct d_compiler *, struct d_node *target, struct d_type *);
bool d_assignable(struct d_compiler *, struct d_type *to, struct d_node *from);
bool d_is_dynamic(const struct d_node *);     /* an aggregation, what a translator gives: no value */
bool d_is_action_call(const struct d_node *); /* aggregating functions too */
void d_not_in_expr(struct d_compiler *, const struct d_node *call); /* the error */
bool d_check_writable(struct d_compiler *, const struct d_node *, const char *op);
bool d_ptr_compat(const struct d_node *, const struct d_node *);
bool d_is_lvalue(const struct d_node *);
bool d_is_null(const struct d_node *);
bool d_is_memory(const struct d_node *); /* lies in memory of the traced process: it has an address */
void d_fold(struct d_compiler *, struct d_node *);
struct d_agg *d_agg_get(struct d_compiler *, const char *name, struct d_place);
bool d_bad(const struct d_node *); /* its type is unknown: reported already */

/* ext_args.c: become what they stand for */
void d_check_args_index(struct d_compiler *, struct d_node *);
bool d_ext_ident(struct d_compiler *, struct d_node *); /* false: it names no variable of a program */

/* print.c */
void d_check_print(struct d_compiler *, struct d_node *);
uint32_t d_print_bytes(const struct d_node *call);
uint32_t d_print_type(struct d_compiler *, const struct d_node *call); /* index in the plan */

#endif
