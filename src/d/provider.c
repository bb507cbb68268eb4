/* SPDX-License-Identifier: MIT */
/* What provider declarations say, for who makes probes of them. */
#include "d/d_int.h"

#include <errno.h>

static struct d_type *pointed_to(struct d_type *t)
{
	while (t->kind == D_T_PTR || t->kind == D_T_ARRAY)
		t = t->base;
	return t;
}

/* As a parameter: an array is a pointer. */
static struct d_type *as_param(struct d_compiler *c, struct d_type *t)
{
	return t->kind == D_T_ARRAY ? d_type_ptr(c, t->base) : t;
}

static void describe(struct d_compiler *c, struct d_type *t, struct d_probe_arg *ret)
{
	struct d_type *p = as_param(c, t), *base = pointed_to(p), *r = d_resolve(p);
	bool tagged = base->kind == D_T_STRUCT || base->kind == D_T_UNION;
	*ret = (struct d_probe_arg){
		.type = p->kind == D_T_STRING ? "char *" : d_type_str(c, p),
		.tag = tagged && base->name ? d_type_str(c, base) : NULL,
		.is_signed = r->kind == D_T_ENUM || (r->kind == D_T_INT && r->is_signed),
		.is_float = r->kind == D_T_FLOAT,
	};
}

static int each_probe(struct d_compiler *c, const struct d_node *prov, const struct d_node *probe, d_probe_decl_fn *fn,
		      void *arg)
{
	struct d_probe_arg *args = d_alloc(c, (probe->key_cnt + 1ul) * sizeof(*args));
	for (uint32_t i = 0; i < probe->key_cnt; i++)
		describe(c, probe->keys[i].type, &args[i]);
	return fn(arg, prov->str, probe->str, args, probe->key_cnt);
}

int d_providers_each(struct d_compiler *c, d_probe_decl_fn *fn, void *arg)
{
	int rc = 0;
	if (setjmp(c->oom))
		return -ENOMEM;
	for (const struct d_node *n = c->tops; n && !rc; n = n->next)
		for (const struct d_node *p = n->kind == N_PROVIDER ? n->args : NULL; p && !rc; p = p->next)
			rc = each_probe(c, n, p, fn, arg);
	return rc;
}

/* ---- what scripts see ---- */

static uint32_t native_of(const struct d_node *probe, const char *name)
{
	for (uint32_t i = 0; i < probe->key_cnt; i++)
		if (probe->keys[i].name == name)
			return i;
	return UINT32_MAX;
}

static const char *type_of(struct d_compiler *c, struct d_type *t)
{
	struct d_probe_arg a;
	describe(c, t, &a);
	return a.type;
}

static bool has_outs(const struct d_node *probe)
{
	return probe->out_key_cnt && d_resolve(probe->out_keys[0].type)->kind != D_T_VOID;
}

static int each_out(struct d_compiler *c, const struct d_node *prov, const struct d_node *probe, d_probe_out_fn *fn,
		    void *arg)
{
	const struct d_key *keys = has_outs(probe) ? probe->out_keys : probe->keys;
	uint32_t cnt = has_outs(probe) ? probe->out_key_cnt : probe->key_cnt;
	struct d_probe_out *outs = d_alloc(c, (cnt + 1ul) * sizeof(*outs));
	for (uint32_t i = 0; i < cnt; i++)
		outs[i] = (struct d_probe_out){ type_of(c, keys[i].type), keys == probe->keys ? i : native_of(probe, keys[i].name) };
	return fn(arg, prov->str, probe->str, outs, cnt);
}

int d_providers_outs_each(struct d_compiler *c, d_probe_out_fn *fn, void *arg)
{
	int rc = 0;
	if (setjmp(c->oom))
		return -ENOMEM;
	for (const struct d_node *n = c->tops; n && !rc; n = n->next)
		for (const struct d_node *p = n->kind == N_PROVIDER ? n->args : NULL; p && !rc; p = p->next)
			rc = each_out(c, n, p, fn, arg);
	return rc;
}
