/* SPDX-License-Identifier: MIT */
/* Variables: what a name is, and what its first assignment makes of it. */
#include "d/check_int.h"

static const char *prefix(enum d_scope s)
{
	return s == D_SELF ? "self->" : s == D_THIS ? "this->" : "";
}

static bool is_being_defined(const struct d_compiler *c, const char *name)
{
	for (const struct d_defining *d = c->defining; d; d = d->outer)
		if (d->name == name)
			return true;
	return false;
}

static void undefined(struct d_compiler *c, struct d_node *n)
{
	n->type = c->t.err;
	if (n->scope == D_GLOBAL && d_ext_ident(c, n))
		return;
	if (n->scope == D_THIS && c->defining && c->defining->local == n)
		d_error(c, n->at, "D_ARR_LOCAL", "local variables may not be used as associative arrays: %s", n->str);
	else if (n->scope != D_GLOBAL || is_being_defined(c, n->str))
		d_error_hint(c, n->at, "D_VAR_UNDEF", d_near_var(c, n->scope, n->str), "%s%s has not yet been declared or "
			"assigned", prefix(n->scope), n->str);
	else if (strchr(n->str, '`'))
		d_error(c, n->at, "D_IDENT_UNDEF", "failed to resolve %s: symbols of the kernel and of programs "
			"cannot be named "
			"in this version", n->str);
	else if (d_func_find(c, n->str))
		d_error(c, n->at, "D_IDENT_BADREF", "function '%s' may not be referenced as a variable", n->str);
	else
		d_error_hint(c, n->at, "D_IDENT_UNDEF", d_near_var(c, D_GLOBAL, n->str), "failed to resolve %s: Unknown "
			"variable name", n->str);
}

static void check_builtin(struct d_compiler *c, struct d_node *n, const struct d_var *v)
{
	n->type = v->id == D_B_CURTHREAD && c->any_kernel ? c->task_ptr : v->type;
	if (v->id == D_B_UNSUP) {
		d_error(c, n->at, "D_VAR_UNSUP", "variable %s is not supported by this version", v->name);
		n->type = c->t.err;
	} else if (v->id == D_B_ARGS || v->id == D_B_UREGS) {
		d_error(c, n->at, "D_IDENT_BADREF", "array '%s' may not be referenced as a scalar", v->name);
		n->type = c->t.err;
	}
}

void d_check_ident(struct d_compiler *c, struct d_node *n)
{
	struct d_var *v = d_var_find(c, n->scope, n->str);
	n->var = v;
	if (!v) {
		undefined(c, n);
		return;
	}
	n->type = v->type;
	switch (v->kind) {
	case D_VAR_BUILTIN:
		check_builtin(c, n, v);
		break;
	case D_VAR_ASSOC:
		d_error(c, n->at, "D_IDENT_BADREF", "associative array '%s%s' may not be referenced as scalar",
			prefix(v->scope), v->name);
		n->type = c->t.err;
		break;
	case D_VAR_ENUMERATOR:
		n->is_const = true;
		n->val = v->val;
		break;
	case D_VAR_INLINE:
		if (v->keys) {
			d_error(c, n->at, "D_IDENT_BADREF", "associative array '%s' may not be referenced as scalar", v->name);
			n->type = c->t.err;
			break;
		}
		if (v->init->is_const && d_is_int(v->type)) {
			n->is_const = true;
			n->val = d_canon(v->type, v->init->val);
		}
		break;
	default:
		break;
	}
}

/* ---- keys ---- */

static bool key_type_ok(struct d_type *t)
{
	t = d_resolve(t);
	return d_is_scalar(t) || d_is_string(t) || d_is_whole(t) || t->kind == D_T_STACK || t->kind == D_T_USYM;
}

/* A key's type for good: arrays of characters are strings. */
static struct d_type *key_type(struct d_compiler *c, struct d_type *t)
{
	return d_resolve(t)->kind == D_T_ARRAY && d_is_charptr(t) ? c->t.string : t;
}

bool d_key_fits(struct d_type *want, struct d_type *have)
{
	const struct d_node a = { .type = want }, b = { .type = have };
	if (d_is_int(want) && d_is_int(have))
		return true;
	if (d_is_string(want))
		return d_is_strlike(have);
	if (d_resolve(want)->kind == D_T_PTR)
		return d_resolve(have)->kind == D_T_PTR && d_ptr_compat(&a, &b);
	if (d_is_whole(want))
		return d_type_same(want, have);
	return d_resolve(want) == d_resolve(have);
}

/* NULL is a pointer to anything. */
static bool key_ok(struct d_type *want, const struct d_node *n)
{
	return d_key_fits(want, n->type) || (d_resolve(want)->kind == D_T_PTR && d_is_null(n) && d_is_int(n->type));
}

static void first_keys(struct d_compiler *c, struct d_node *n, struct d_key **keys, uint32_t *cnt)
{
	uint32_t i = 0;
	*cnt = d_node_cnt(n->args);
	*keys = d_alloc(c, (*cnt + 1ul) * sizeof(**keys));
	for (struct d_node *a = n->args; a; a = a->next, i++) {
		(*keys)[i].type = key_type(c, a->type);
		(*keys)[i].first = a;
	}
}

void d_check_keys(struct d_compiler *c, struct d_node *n, struct d_key **keys, uint32_t *cnt, bool *known, bool is_agg)
{
	const struct d_node *id = n->kind == N_INDEX ? n->l : n;
	uint32_t i = 0;
	bool ok = true;
	for (struct d_node *a = n->args; a; a = a->next) {
		d_check_expr(c, a);
		i++;
		ok &= !d_bad(a);
		if (!d_bad(a) && !is_agg && (d_resolve(a->type)->kind == D_T_STACK || a->type->kind == D_T_USYM)) {
			d_not_in_expr(c, a);
			ok = false;
		} else if (!d_bad(a) && !key_type_ok(a->type)) {
			d_error(c, d_arg_at(id, a), "D_KEY_TYPE", "%s expression may not be used as %s index: key #%u",
				d_type_str(c, a->type),
				is_agg ? "aggregation" : "array", i);
			ok = false;
		}
	}
	if (!ok)
		return;
	if (!*known) {
		first_keys(c, n, keys, cnt);
		*known = true;
		return;
	}
	const char *name = n->kind == N_AGG ? d_fmt(c, "@%s", n->str) : d_fmt(c, "%s%s", prefix(n->l->scope),
		n->l->str);
	if (i != *cnt) {
		d_error_hint(c, d_arg_at(id, n), "D_PROTO_LEN", is_agg ? D_OTHER_AGG : NULL, "%s[ ] prototype mismatch: %u key%s passed, "
			"%u expected", name, i, i == 1 ? "" : "s", *cnt);
		return;
	}
	i = 0;
	for (struct d_node *a = n->args; a; a = a->next, i++)
		if (!key_ok((*keys)[i].type, a))
			d_error(c, d_arg_at(id, a), "D_PROTO_ARG", "%s[ ] key #%u is incompatible with "
				"prototype:\n\tprototype: %s\n\t      key: %s",
				name, i + 1, d_type_str(c, (*keys)[i].type), d_type_str(c, a->type));
}

/* ---- a[b] ---- */

static bool is_reg(int64_t i)
{
	return (i >= 0 && i < WIRE_REG_CNT) || (i >= WIRE_XMM0 && i < WIRE_XMM0 + WIRE_XMM_CNT);
}

static void check_uregs(struct d_compiler *c, struct d_node *n)
{
	struct d_node *a = n->args;
	d_check_expr(c, a);
	n->type = n->var->type;
	if (a->next)
		d_error(c, n->at, "D_PROTO_LEN", "uregs[ ] prototype mismatch: %u args passed, 1 expected", d_node_cnt(a));
	else if (!d_bad(a) && (!a->is_const || !d_is_int(a->type)))
		d_error(c, a->at, "D_PROTO_ARG", "uregs[ ] argument #1 is incompatible with "
			"prototype:\n\tprototype: integer constant\n"
			"\t argument: %s", d_type_str(c, a->type));
	else if (a->is_const && a->val < 0)
		d_error(c, a->at, "D_REGS_IDX", "index %lld is out of range for array uregs", (long long)a->val);
	else if (a->is_const && !is_reg(a->val))
		d_error(c, a->at, "D_UNKNOWN", "uregs[]: index out of bounds (%lld)", (long long)a->val);
}

/* Each use in a clause has its own, for values that are wholes are addresses. */
static uint32_t whole_slot(struct d_compiler *c, uint32_t bytes)
{
	uint32_t off = c->whole_used;
	c->whole_used += (uint32_t)align_up(bytes, 16);
	if (c->whole_used > c->whole_max)
		c->whole_max = c->whole_used;
	if (!c->region)
		c->whole_base = c->whole_used;
	return off;
}

/* Whether the index is into a variable with keys, or a built-in array. */
static bool check_named(struct d_compiler *c, struct d_node *n)
{
	struct d_var *v = n->l->kind == N_IDENT ? d_var_find(c, n->l->scope, n->l->str) : NULL;
	n->var = v;
	if (v && v->kind == D_VAR_ASSOC) {
		d_check_keys(c, n, &v->keys, &v->key_cnt, &v->keys_known, false);
		n->type = v->type;
		n->l->type = v->type;
		n->l->var = v;
		n->whole = d_is_whole(v->type) ? whole_slot(c, d_resolve(v->type)->size) : 0;
		return true;
	}
	if (v && v->kind == D_VAR_INLINE && v->keys) {
		d_check_keys(c, n, &v->keys, &v->key_cnt, &v->keys_known, false);
		n->type = v->type;
		n->l->type = v->type;
		n->l->var = v;
		return true;
	}
	if (v && v->kind == D_VAR_BUILTIN && v->id == D_B_UREGS) {
		n->l->var = v;
		n->l->type = v->type;
		check_uregs(c, n);
		return true;
	}
	if (v && v->kind == D_VAR_BUILTIN && v->id == D_B_ARGS) {
		d_check_args_index(c, n);
		return true;
	}
	n->var = NULL;
	return false;
}

static void check_bounds(struct d_compiler *c, const struct d_node *n)
{
	const struct d_type *t = d_resolve(n->l->type);
	const struct d_node *a = n->args;
	bool in_assoc = n->l->kind == N_INDEX && n->l->var && n->l->var->kind == D_VAR_ASSOC; /* a fault, as in DTrace */
	if (t->kind == D_T_ARRAY && t->cnt > 1 && !in_assoc && a->is_const && (uint64_t)a->val >= t->cnt)
		d_error(c, a->at, "D_ARR_BOUNDS", "index outside array bounds: %llu, max is %llu",
			(unsigned long long)a->val, (unsigned long long)t->cnt);
}

void d_check_index(struct d_compiler *c, struct d_node *n)
{
	if (check_named(c, n))
		return;
	struct d_defining def = { n->l->kind == N_IDENT ? n->l->str : NULL, n->l, c->defining };
	n->type = c->t.err;
	c->defining = &def; /* an index makes an array of a name: it is known, but has no value */
	d_check_expr(c, n->l);
	c->defining = def.outer;
	for (struct d_node *a = n->args; a; a = a->next)
		d_check_expr(c, a);
	if (d_bad(n->l) || d_bad(n->args))
		return;
	struct d_type *t = d_resolve(n->l->type), *to = d_pointee(n->l->type);
	if (n->args->next) {
		d_error(c, n->at, "D_ARR_BADREF", "cannot access %s as an associative array",
			n->l->kind == N_IDENT ? d_fmt(c, "%s%s", prefix(n->l->scope), n->l->str) : d_type_str(c,
				n->l->type));
		return;
	}
	/* a[i] is *(a + i), and so are its mistakes. */
	bool is_ptr = t->kind == D_T_STRING || (to && d_resolve(to)->kind != D_T_VOID && d_resolve(to)->kind != D_T_FUNC);
	if (d_is_int(t) && d_is_int(n->args->type)) {
		d_error(c, n->at, "D_DEREF_NONPTR", "cannot dereference non-pointer type");
		return;
	}
	if (!is_ptr || !d_is_int(n->args->type)) {
		d_error(c, n->at, "D_OP_INCOMPAT", "operands have incompatible types: \"%s\" + \"%s\"", d_type_str(c,
			n->l->type), d_type_str(c, n->args->type));
		return;
	}
	if (to && !d_complete(c, to)) {
		d_error(c, n->at, "D_OP_INCOMPLETE", "operator [ ] cannot be applied to a forward declaration: no "
			"%s definition is "
			"available", d_type_str(c, to));
		return;
	}
	check_bounds(c, n);
	n->type = to ? to : c->t.char_;
}

/* ---- definition by assignment ---- */

static bool can_define(struct d_compiler *c, const struct d_node *id, struct d_type *t)
{
	if (strchr(id->str, '`') || (id->scope == D_GLOBAL && d_func_find(c, id->str)))
		return false;
	return d_is_scalar(t) || d_is_string(t) || d_is_whole(t) || t->kind == D_T_ERR;
}

void d_define(struct d_compiler *c, struct d_node *target, struct d_type *t)
{
	struct d_node *id = target->kind == N_INDEX ? target->l : target;
	if (id->kind != N_IDENT || d_var_find(c, id->scope, id->str))
		return;
	if (!can_define(c, id, t))
		return;
	if (target->kind == N_INDEX && id->scope == D_THIS) {
		d_error(c, id->at, "D_ARR_LOCAL", "local variables may not be used as associative arrays: %s", id->str);
		t = c->t.err;
	}
	d_var_new(c, id->scope, id->str, target->kind == N_INDEX ? D_VAR_ASSOC : D_VAR_SCALAR, t, id->at);
}
