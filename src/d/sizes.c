/* SPDX-License-Identifier: MIT */
/*
 * What an element of the script's arrays and aggregations takes as DTrace
 * counts, from which aggsize and dynvarsize say how many there can be: keys
 * at their full size, all elements as large as the largest.
 */
#include "d/check_int.h"
#include "d/layout_int.h"

#include <string.h>

static uint32_t type_bytes(const struct d_compiler *c, struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_STRING ? c->opts.strsize + 1 : t->kind == D_T_ENUM ? 4 : t->size;
}

static uint32_t tuple_bytes(const struct d_compiler *c, const struct d_key *keys, uint32_t cnt)
{
	uint64_t bytes = 4; /* the variable's number */
	for (uint32_t i = 0; i < cnt; i++) {
		const struct d_type *t = keys[i].type;
		uint32_t size = type_bytes(c, keys[i].type);
		if (t->kind == D_T_STACK)
			bytes = align_up(bytes, 8) + 8 + 8ul * keys[i].depth;
		else if (t->kind == D_T_USYM)
			bytes = align_up(bytes, 8) + 16;
		else if (d_is_scalar(keys[i].type) && size)
			bytes = align_up(bytes, size) + size;
		else
			bytes += size;
	}
	return (uint32_t)bytes + 8; /* the thread, if it is one's own */
}

static uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

void d_layout_sizes(struct d_compiler *c)
{
	uint32_t tuple = 0, value = 0, data = 0;
	for (const struct d_var *v = c->var_list; v; v = v->next) {
		if (v->kind == D_VAR_ASSOC)
			tuple = max(tuple, tuple_bytes(c, v->keys, v->key_cnt));
		if (v->kind == D_VAR_ASSOC || (v->kind == D_VAR_SCALAR && v->scope == D_SELF))
			value = max(value, type_bytes(c, v->type));
	}
	for (const struct d_agg *a = c->agg_list; a; a = a->next) {
		if (!a->fn)
			continue;
		tuple = max(tuple, tuple_bytes(c, a->keys, a->key_cnt));
		data = max(data, 8 + 8 * a->desc.val_cnt);
	}
	c->prog.plan.dyn_elem_bytes = value ? tuple + value : 0;
	c->prog.plan.agg_elem_bytes = data ? tuple + data : 0;
}

#define THREADS 512 /* that have them, at most */

static bool can_count(struct d_compiler *c, const struct d_var *v)
{
	return v->kind == D_VAR_SCALAR && v->scope == D_SELF && !d_is_whole(v->type) &&
		strcmp(v->name, d_strtok_var(c)) != 0;
}

/* They have a place of their own each, unless there are fewer bytes than they may take. */
void d_count_self(struct d_compiler *c)
{
	uint64_t cnt = 0;
	for (const struct d_var *v = c->var_list; v; v = v->next)
		cnt += can_count(c, v);
	if (!c->opts.dynvarsize || c->opts.dynvarsize >= cnt * THREADS * c->prog.plan.dyn_elem_bytes)
		return;
	for (struct d_var *v = c->var_list; v; v = v->next)
		v->is_counted = can_count(c, v);
}
