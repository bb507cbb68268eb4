/* SPDX-License-Identifier: MIT */
/*
 * Translators, inlines and providers.
 *
 * What a translator gives has a type of its own, D_T_XLATED, and no value: only
 * its members can be used, and each becomes the translator's expression for it.
 * Parameters of translators and inlines are variables (D_VAR_PARAM) that are
 * seen only where the body is checked.
 */
#include "d/check_int.h"
#include "d/layout_int.h"

#include <ctype.h>

/* ---- parameters ---- */

struct d_var *d_param_push(struct d_compiler *c, const struct d_key *k)
{
	struct d_var *v = d_alloc(c, sizeof(*v));
	*v = (struct d_var){ .name = k->name, .kind = D_VAR_PARAM, .type = k->type, .at = k->at, .next_param = c->params };
	c->params = v;
	return v;
}

void d_param_pop(struct d_compiler *c, uint32_t cnt)
{
	while (cnt--)
		c->params = c->params->next_param;
}

/* ---- inlines ---- */

const char *d_var_kind_name(const struct d_var *v)
{
	if (v->kind == D_VAR_ENUMERATOR)
		return "enumerator";
	return v->kind == D_VAR_ASSOC || v->keys || v->id == D_B_ARGS || v->id == D_B_UREGS ? "associative array" : "scalar";
}

static bool is_new_name(struct d_compiler *c, const struct d_node *n)
{
	const struct d_var *v = d_var_find(c, D_GLOBAL, n->str);
	const struct d_func *f = d_func_find(c, n->str);
	if (!v && !f)
		return true;
	d_error(c, n->at, "D_DECL_IDRED", "identifier redefined: %s\n\t current: inline definition\n\tprevious: %s %s",
		n->str, v ? d_var_kind_name(v) : f->kind == D_F_AGG ? "aggregating function" : "function",
		v && (v->kind == D_VAR_INLINE || v->kind == D_VAR_ENUMERATOR) ? "inline" : "");
	return false;
}

static bool check_inline_type(struct d_compiler *c, struct d_node *n)
{
	struct d_type *t = d_resolve(n->type);
	if (t->kind == D_T_VOID)
		d_error(c, n->at, "D_DECL_VOIDOBJ", "cannot declare void inline: %s", n->str);
	else if (t->is_incomplete)
		d_error(c, n->at, "D_DECL_INCOMPLETE", "incomplete struct/union/enum %s: %s", d_type_str(c, n->type), n->str);
	else if (t->kind == D_T_ARRAY)
		d_error(c, n->at, "D_DECL_ARRNULL", t->cnt ? "inline declaration cannot be of scalar array type: %s" :
			"inline declaration requires array tuple signature: %s", n->str);
	else
		return true;
	return false;
}

static bool inline_fits(struct d_compiler *c, struct d_type *t, struct d_node *init)
{
	if (init->type->kind != D_T_XLATED)
		return d_assignable(c, t, init);
	struct d_type *to = d_resolve(t)->kind == D_T_PTR ? d_pointee(t) : t;
	return d_type_same(to, init->type->xl->dst);
}

/* The body, with the parameters in sight. */
static struct d_var **check_body(struct d_compiler *c, struct d_node *n)
{
	struct d_var **params = d_alloc(c, (n->key_cnt + 1ul) * sizeof(*params));
	for (uint32_t i = 0; i < n->key_cnt; i++)
		params[i] = d_param_push(c, &n->keys[i]);
	d_check_expr(c, n->l);
	d_param_pop(c, n->key_cnt);
	return params;
}

void d_check_inline(struct d_compiler *c, struct d_node *n)
{
	if (!is_new_name(c, n) || !check_inline_type(c, n))
		return;
	struct d_var **params = check_body(c, n);
	struct d_node *init = n->l;
	if (d_bad(init) || init->is_act) {
		if (!d_bad(init))
			d_not_in_expr(c, init);
		d_var_new(c, D_GLOBAL, n->str, D_VAR_SCALAR, c->t.err, n->at); /* its uses are no mistakes */
		return;
	}
	if (!inline_fits(c, n->type, init)) {
		bool xl = init->type->kind == D_T_XLATED;
		struct d_type *to = xl && d_resolve(n->type)->kind == D_T_PTR ? d_pointee(n->type) : n->type;
		d_error(c, n->at, "D_OP_INCOMPAT", "inline %s definition uses incompatible types: \"%s\" = \"%s\"",
			n->str, d_type_str(c, to), d_type_str(c, xl ? init->type->xl->dst : init->type));
		return;
	}
	struct d_var *v = d_var_new(c, D_GLOBAL, n->str, D_VAR_INLINE, init->type->kind == D_T_XLATED ? init->type : n->type,
		n->at);
	v->init = init;
	v->keys = n->keys;
	v->key_cnt = n->key_cnt;
	v->keys_known = n->keys != NULL;
	v->params = params;
}

/* ---- translators ---- */

static struct d_type *xlated_type(struct d_compiler *c, struct d_xlator *x, bool is_ptr)
{
	struct d_type *t = d_type_new(c, D_T_XLATED, is_ptr ? "pointer to translated data" : "translated data", 0);
	t->base = is_ptr ? d_type_ptr(c, x->dst) : x->dst;
	t->xl = x;
	return t;
}

static void check_xmember(struct d_compiler *c, struct d_xlator *x, struct d_xmember *m)
{
	m->memb = d_member_find(x->dst, m->name, &m->off);
	if (!m->memb) {
		d_error(c, m->at, "D_XLATE_MEMB", "translator member %s is not a member of %s", m->name,
			d_type_str(c, x->dst));
		return;
	}
	d_check_expr(c, m->expr);
	if (d_bad(m->expr))
		return;
	struct d_node as = { .type = m->memb->type };
	bool ok = d_assignable(c, m->memb->type, m->expr) ||
		(d_is_charptr(m->memb->type) && d_is_strlike(m->expr->type)) ||
		(d_is_ptr(m->memb->type) && d_ptr_compat(&as, m->expr));
	if (!ok)
		d_error(c, m->at, "D_XLATE_INCOMPAT", "translator member %s definition uses incompatible types: \"%s\" = "
			"\"%s\"", m->name, d_type_str(c, m->memb->type), d_type_str(c, m->expr->type));
}

/* Kernels differ. Of the built-in library a member that this one has nothing for is not there, and of several
 * definitions of one the first that fits it counts: all others go. */
static bool fits_kernel(struct d_compiler *c, struct d_xlator *x, struct d_xmember *m)
{
	uint32_t diags = c->diag_cnt, errs = c->err_cnt;
	for (const struct d_xmember *o = x->members; o != m; o = o->next)
		if (o->name == m->name)
			return false;
	check_xmember(c, x, m);
	bool ok = c->err_cnt == errs;
	c->diag_cnt = diags;
	c->err_cnt = errs;
	return ok;
}

static void check_built_in(struct d_compiler *c, struct d_xlator *x)
{
	struct d_xmember *m;
	for (struct d_xmember **at = &x->members; (m = *at);) {
		if (fits_kernel(c, x, m))
			at = &m->next;
		else
			*at = m->next;
	}
}

static struct d_xlator *find_exact(struct d_compiler *c, const struct d_xlator *like)
{
	for (struct d_xlator *x = c->xlators; x; x = x->next)
		if (d_type_same(x->dst, like->dst) && d_type_same(x->src, like->src))
			return x;
	return NULL;
}

void d_check_translator(struct d_compiler *c, struct d_node *n)
{
	struct d_xlator *x = n->xlator;
	struct d_type *dst = d_resolve(x->dst);
	if (find_exact(c, x)) {
		d_error(c, n->at, "D_XLATE_REDECL", "translator from %s to %s has already been declared",
			d_type_str(c, x->src), d_type_str(c, x->dst));
		return;
	}
	if (dst->is_incomplete) {
		d_error(c, n->at, "D_XLATE_SOU", "incomplete struct/union/enum %s", d_type_str(c, x->dst));
		return;
	}
	if (!d_is_sou(dst)) {
		d_error(c, n->at, "D_XLATE_SOU", "translator output type must be a struct or union");
		return;
	}
	x->sou_type = xlated_type(c, x, false);
	x->ptr_type = xlated_type(c, x, true);
	*(c->xlators ? c->xlator_tail : &c->xlators) = x;
	c->xlator_tail = &x->next;
	x->param->next_param = c->params;
	c->params = x->param;
	if (d_std_is(c->srcs[n->at.src].src))
		check_built_in(c, x);
	else
		for (struct d_xmember *m = x->members; m; m = m->next)
			check_xmember(c, x, m);
	d_param_pop(c, 1);
}

/* Can be given where the parameter is wanted. */
static bool source_fits(struct d_compiler *c, struct d_type *param, struct d_node *src)
{
	if (d_is_strlike(param) && d_is_strlike(src->type))
		return true;
	struct d_node as = { .type = param };
	return d_assignable(c, param, src) || (d_is_ptr(param) && d_ptr_compat(&as, src));
}

/* The translator whose parameter is just the source's type, then one that takes it. */
static struct d_xlator *find_xlator(struct d_compiler *c, struct d_type *dst, struct d_node *src)
{
	for (struct d_xlator *x = c->xlators; x; x = x->next)
		if (d_type_same(x->dst, dst) && d_type_same(x->src, src->type))
			return x;
	for (struct d_xlator *x = c->xlators; x; x = x->next)
		if (d_type_same(x->dst, dst) && source_fits(c, x->src, src))
			return x;
	return NULL;
}

bool d_can_xlate(struct d_compiler *c, struct d_type *to, struct d_node *from)
{
	struct d_type *dst = d_resolve(to)->kind == D_T_PTR ? d_pointee(to) : to;
	return d_is_sou(dst) && find_xlator(c, dst, from);
}

void d_check_xlate(struct d_compiler *c, struct d_node *n)
{
	bool is_ptr = d_resolve(n->op_type)->kind == D_T_PTR;
	struct d_type *dst = is_ptr ? d_pointee(n->op_type) : n->op_type;
	n->type = c->t.err;
	d_check_expr(c, n->l);
	if (d_bad(n->l))
		return;
	/* What was only declared may be what the translator knows by a scope. */
	if (d_pointee(n->l->type))
		d_complete(c, d_pointee(n->l->type));
	struct d_xlator *x = d_is_sou(dst) ? find_xlator(c, dst, n->l) : NULL;
	if (x)
		n->type = is_ptr ? x->ptr_type : x->sou_type;
	else
		d_error(c, n->at, "D_XLATE_NONE", "cannot translate from \"%s\" to \"%s\"", d_type_str(c, n->l->type),
			d_type_str(c, n->op_type));
}

struct d_node *d_xlate_of(struct d_node *n)
{
	for (;;) {
		if (n->kind == N_IDENT && n->var && n->var->kind == D_VAR_INLINE)
			n = n->var->init;
		else if (n->kind == N_INDEX && n->var && n->var->kind == D_VAR_INLINE)
			n = n->var->init;
		else if (n->kind == N_UNARY)
			n = n->l;
		else
			return n->kind == N_XLATE ? n : NULL;
	}
}

/* n->l is what a translator gives. */
void d_check_xlated_member(struct d_compiler *c, struct d_node *n)
{
	const struct d_type *t = n->l->type;
	bool is_ptr = d_resolve(t->base)->kind == D_T_PTR;
	const struct d_xmember *m = t->xl->members;
	while (m && m->name != n->str)
		m = m->next;
	if (!m)
		d_error_hint(c, n->at, "D_XLATE_NOCONV", d_near_converted(c, t->xl, n->str), "translator does not define conversion for member: %s", n->str);
	else if (n->op == T_ARROW && !is_ptr)
		d_error(c, n->at, "D_OP_PTR", "operator -> must be applied to a pointer");
	else if (n->op == T_DOT && is_ptr)
		d_error(c, n->at, "D_OP_SOU", "operator . cannot be applied to type \"%s\"; must be applied to a struct or "
			"union", d_type_str(c, t->base));
	else if (m->memb) {
		n->xl_memb = m;
		n->memb = m->memb;
		n->type = m->memb->type;
	}
}

/* ---- providers ---- */

static bool check_name(struct d_compiler *c, const struct d_node *n, const char *what, size_t max)
{
	size_t len = strlen(n->str);
	if (strchr(n->str, '`'))
		d_error(c, n->at, "D_PROV_BADNAME", "%s name may not contain scoping operator: %s", what, n->str);
	else if (len >= max)
		d_error(c, n->at, "D_PROV_BADNAME", "%s name may not exceed %zu characters: %s", what, max - 1, n->str);
	else if (n->kind == N_PROVIDER && isdigit((unsigned char)n->str[len - 1]))
		d_error(c, n->at, "D_PROV_BADNAME", "provider name may not end with a digit: %s", n->str);
	else
		return true;
	return false;
}

/* Two underscores stand for a hyphen. */
static const char *probe_name(struct d_compiler *c, const char *s)
{
	char *name = d_strndup(c, s, strlen(s)), *to = name;
	for (const char *from = name; *from; from++) {
		bool two = from[0] == '_' && from[1] == '_';
		*to++ = two ? '-' : *from;
		from += two;
	}
	*to = 0;
	return d_intern(c, name, strlen(name));
}

static int input_named(const struct d_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->key_cnt; i++)
		if (n->keys[i].name == name)
			return (int)i;
	return -1;
}

static void check_output(struct d_compiler *c, struct d_node *prov, struct d_node *n, uint32_t i)
{
	struct d_key *k = &n->out_keys[i];
	int in = input_named(n, k->name);
	if (in < 0)
		return;
	struct d_node src = { .kind = N_IDENT, .type = n->keys[in].type }, dst = { .type = k->type };
	struct d_type *sou = d_resolve(k->type)->kind == D_T_PTR ? d_pointee(k->type) : k->type;
	bool ok = (d_is_sou(sou) && find_xlator(c, sou, &src)) || d_assignable(c, k->type, &src) || d_ptr_compat(&src, &dst);
	if (!ok)
		d_error(c, n->at, "D_PROV_PRXLATOR", "translator for %s:%s output argument #%u from %s to %s is not defined",
			prov->str, n->str, i + 1, d_type_str(c, src.type), d_type_str(c, k->type));
}

static struct d_node *find_probe(struct d_node *prov, const char *name, const struct d_node *before)
{
	for (struct d_node *n = prov->args; n && n != before; n = n->next)
		if (n->str == name)
			return n;
	return NULL;
}

/* The same provider again: it has to say the same. */
static void check_again(struct d_compiler *c, struct d_node *prov, struct d_node *n, const struct d_node *old)
{
	if (!old) {
		d_error(c, n->at, "D_PROV_INCOMPAT", "provider interface mismatch: %s\n\t current: probe %s:%s defined\n\t"
			"previous: probe %s:%s not defined", prov->str, prov->str, n->str, prov->str, n->str);
		return;
	}
	if (old->key_cnt != n->key_cnt) {
		d_error(c, n->at, "D_PROV_INCOMPAT", "probe %s:%s output prototype mismatch:\n\t current: %u arg%s\n\t"
			"previous: %u arg%s", prov->str, n->str, n->key_cnt, n->key_cnt == 1 ? "" : "s", old->key_cnt,
			old->key_cnt == 1 ? "" : "s");
		return;
	}
	for (uint32_t i = 0; i < n->key_cnt; i++) {
		if (d_type_same(old->keys[i].type, n->keys[i].type))
			continue;
		d_error(c, n->at, "D_PROV_INCOMPAT", "probe %s:%s output prototype argument #%u mismatch:\n\t current: %s\n\t"
			"previous: %s", prov->str, n->str, i + 1, d_type_str(c, n->keys[i].type),
			d_type_str(c, old->keys[i].type));
		return;
	}
}

static void check_probe(struct d_compiler *c, struct d_node *prov, struct d_node *n, struct d_node *old_prov)
{
	n->str = probe_name(c, n->str);
	if (!check_name(c, n, "probe", 64))
		return;
	for (uint32_t i = 0; i < n->out_key_cnt; i++)
		check_output(c, prov, n, i);
	if (old_prov)
		check_again(c, prov, n, find_probe(old_prov, n->str, NULL));
	else if (find_probe(prov, n->str, n))
		d_error(c, n->at, "D_PROV_PRDUP", "probe redeclared: %s:%s", prov->str, n->str);
}

void d_check_provider(struct d_compiler *c, struct d_node *n)
{
	struct d_node *old = d_map_get(&c->providers, n->str);
	if (!check_name(c, n, "provider", 64))
		return;
	for (struct d_node *p = n->args; p; p = p->next)
		check_probe(c, n, p, old);
	if (!old)
		d_map_put(c, &c->providers, n->str, n);
}
