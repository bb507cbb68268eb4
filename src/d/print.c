/* SPDX-License-Identifier: MIT */
/* print(): its check, and the type that the consumer shows the bytes by. */
#include "d/check_int.h"

#include <stdlib.h>

#define BYTES_MAX (IR_REC_MAX / 4) /* of one object; -x printsize shows less */
#define LEVELS_MAX 12

/* print(*p) means what print(p) does; a variable that is a structure has an address, too. */
static void take_address(struct d_compiler *c, struct d_node *n)
{
	struct d_node *a = n->args, *addr;
	bool has_addr = d_is_memory(a) || (d_is_whole(a->type) && d_is_lvalue(a));
	if (!has_addr || d_resolve(a->type)->kind == D_T_PTR || (a->kind == N_MEMBER && a->memb && a->memb->bits))
		return;
	addr = d_alloc(c, sizeof(*addr));
	*addr = (struct d_node){ .kind = N_UNARY, .op = T_ADDR, .at = a->at, .l = a,
				 .height = (uint16_t)(a->height + 1), .type = d_type_ptr(c, a->type) };
	n->args = addr;
}

void d_check_print(struct d_compiler *c, struct d_node *n)
{
	take_address(c, n);
	struct d_node *a = n->args;
	struct d_type *to = d_pointee(a->type);
	if (!to) {
		d_error_hint(c, a->at, "D_PROTO_ARG", d_meant_arg(c, a, false), "print( ) argument #1 is incompatible with "
			"prototype:\n\tprototype: void *\n\t argument: %s", d_type_str(c, a->type));
		return;
	}
	d_complete(c, to);
	if (d_resolve(to)->is_incomplete || !d_resolve(to)->size)
		d_error(c, a->at, "D_PRINT_SIZE", "print( ) argument #1 reference has type '%s' with size 0; cannot "
			"print( ) it.", d_type_str(c, to));
}

uint32_t d_print_bytes(const struct d_node *n)
{
	uint32_t size = d_resolve(d_pointee(n->args->type))->size;
	return size > BYTES_MAX ? BYTES_MAX : size;
}

/* ---- types for the plan ---- */

static char *heap_str(struct d_compiler *c, const char *s)
{
	char *copy = s ? strdup(s) : NULL;
	if (s && !copy)
		d_oom(c);
	return copy;
}

static uint32_t new_type(struct d_compiler *c, struct d_type *t)
{
	struct plan *p = &c->prog.plan;
	if (!(p->type_cnt & (p->type_cnt - 1))) { /* a power of two: it is full */
		struct plan_type *v = realloc(p->types, (p->type_cnt ? 2ul * p->type_cnt : 1) * sizeof(*v));
		if (!v)
			d_oom(c);
		p->types = v;
	}
	p->types[p->type_cnt] = (struct plan_type){ 0 };
	/* The number plus one: 0 is none. */
	d_map_put(c, &c->print_types, (const char *)t, (void *)(uintptr_t)(p->type_cnt + 1ul));
	return p->type_cnt++;
}

static const char *shown_name(struct d_compiler *c, const struct d_type *t)
{
	if (t->kind == D_T_STRUCT || t->kind == D_T_UNION || t->kind == D_T_ENUM)
		if (!t->name)
			return t->kind == D_T_STRUCT ? "struct" : t->kind == D_T_UNION ? "union" : "enum";
	if (t->kind == D_T_ARRAY)
		return d_fmt(c, "%s [%llu]", shown_name(c, t->base), (unsigned long long)t->cnt);
	return d_type_str(c, t);
}

static enum plan_type_kind kind_of(const struct d_type *t, const struct d_type *shown)
{
	switch (t->kind) {
	case D_T_INT: return !strcmp(shown->name ? shown->name : "", "char") ? PLAN_TYPE_CHAR : PLAN_TYPE_INT;
	case D_T_ENUM: return PLAN_TYPE_ENUM;
	case D_T_FLOAT: return PLAN_TYPE_FLOAT;
	case D_T_PTR: return PLAN_TYPE_PTR;
	case D_T_ARRAY: return PLAN_TYPE_ARRAY;
	case D_T_STRUCT: case D_T_UNION: return PLAN_TYPE_SOU;
	default: return PLAN_TYPE_NONE;
	}
}

static uint32_t add_type(struct d_compiler *c, struct d_type *shown, uint32_t level);

/* In the plan at once: it is who frees them. */
static struct plan_part *new_parts(struct d_compiler *c, uint32_t at, uint32_t cnt)
{
	struct plan_part *v = calloc(cnt + 1ul, sizeof(*v));
	if (!v)
		d_oom(c);
	c->prog.plan.types[at].parts = v;
	c->prog.plan.types[at].part_cnt = cnt;
	return v;
}

static void add_members(struct d_compiler *c, const struct d_type *t, uint32_t at, uint32_t level)
{
	uint32_t cnt = 0, i = 0;
	for (const struct d_member *m = t->members; m; m = m->next)
		cnt++;
	struct plan_part *v = new_parts(c, at, cnt);
	for (const struct d_member *m = t->members; m; m = m->next, i++)
		v[i] = (struct plan_part){ .name = heap_str(c, m->name), .type = add_type(c, m->type, level + 1),
					   .off = m->off, .bit_off = m->bit_off, .bits = m->bits };
}

static void add_enumerators(struct d_compiler *c, const struct d_type *t, uint32_t at)
{
	uint32_t cnt = 0, i = 0;
	for (const struct d_enumerator *e = t->enums; e; e = e->next)
		cnt++;
	struct plan_part *v = new_parts(c, at, cnt);
	for (const struct d_enumerator *e = t->enums; e; e = e->next, i++)
		v[i] = (struct plan_part){ .name = heap_str(c, e->name), .val = e->val };
}

static uint32_t add_type(struct d_compiler *c, struct d_type *shown, uint32_t level)
{
	uint32_t at = (uint32_t)(uintptr_t)d_map_get(&c->print_types, (const char *)shown);
	struct d_type *t = d_resolve(shown);
	if (at)
		return at - 1;
	at = new_type(c, shown);
	d_complete(c, t);
	d_ext_load(t);
	struct plan_type *v = &c->prog.plan.types[at];
	/* Deeper ones are not shown; types by value cannot be endless, but a hostile file's can. */
	v->kind = level > LEVELS_MAX ? PLAN_TYPE_NONE : kind_of(t, shown);
	v->bytes = t->size;
	v->is_signed = t->is_signed;
	v->is_char = t->kind == D_T_INT && t->size == 1 && !t->is_bool;
	v->cnt = (uint32_t)t->cnt;
	v->name = heap_str(c, shown_name(c, shown));
	enum plan_type_kind kind = v->kind;
	if (kind == PLAN_TYPE_ARRAY) {
		uint32_t base = add_type(c, t->base, level + 1); /* moves the table */
		c->prog.plan.types[at].base = base;
	} else if (kind == PLAN_TYPE_SOU) {
		add_members(c, t, at, level);
	} else if (kind == PLAN_TYPE_ENUM) {
		add_enumerators(c, t, at);
	}
	return at;
}

uint32_t d_print_type(struct d_compiler *c, const struct d_node *n)
{
	return add_type(c, d_pointee(n->args->type), 0);
}
