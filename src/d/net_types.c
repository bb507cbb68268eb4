/* SPDX-License-Identifier: MIT */
/*
 * Types and constants of networks that D programs use without a header: those
 * that DTrace takes from the kernel and its libraries.  A program may declare
 * the structures itself.
 */
#include "d/d_int.h"

static const char *name_of(struct d_compiler *c, const char *s)
{
	return d_intern(c, s, strlen(s));
}

static void member(struct d_compiler *c, struct d_type *sou, const char *name, struct d_type *t)
{
	struct d_member *m = d_alloc(c, sizeof(*m)), **tail = &sou->members;
	*m = (struct d_member){ .name = name_of(c, name), .type = t };
	while (*tail)
		tail = &(*tail)->next;
	*tail = m;
}

struct d_type *d_net_weak_struct(struct d_compiler *c, const char *tag)
{
	struct d_type *t = d_type_new(c, D_T_STRUCT, name_of(c, tag), 0);
	t->is_weak = true;
	d_map_put(c, &c->tags[0], t->name, t);
	return t;
}

static void alias(struct d_compiler *c, const char *name, struct d_type *t)
{
	if (!d_typename(c, name_of(c, name)))
		d_type_typedef(c, name_of(c, name), t);
}

static void add_structs(struct d_compiler *c)
{
	const struct d_basics *b = &c->t;
	struct d_type *in4 = d_net_weak_struct(c, "in_addr"), *in6 = d_net_weak_struct(c, "in6_addr");
	struct d_type *u = d_type_new(c, D_T_UNION, NULL, 0);
	member(c, in4, "s_addr", b->uint);
	member(c, u, "u6_addr8", d_type_array(c, b->uchar, 16));
	member(c, u, "u6_addr16", d_type_array(c, b->ushort, 8));
	member(c, u, "u6_addr32", d_type_array(c, b->uint, 4));
	d_layout_sou(u);
	member(c, in6, "in6_u", u);
	d_layout_sou(in4);
	d_layout_sou(in6);
	alias(c, "in6_addr_t", in6);
	alias(c, "ipaddr_t", b->uint);
	alias(c, "in_addr_t", b->uint);
	alias(c, "dev_t", b->uint);
}

void d_net_types_init(struct d_compiler *c)
{
	static const struct {
		const char *name;
		int64_t val;
	} constants[] = {
		{ "AF_INET", 2 }, { "AF_INET6", 10 }, { "ARPHRD_ETHER", 1 }, { "ARPHRD_INFINIBAND", 32 },
	};
	for (size_t i = 0; i < ARRAY_CNT(constants); i++)
		d_var_new(c, D_GLOBAL, name_of(c, constants[i].name), D_VAR_ENUMERATOR, c->t.int_,
			  (struct d_place){ 0 })->val = constants[i].val;
	add_structs(c);
}
