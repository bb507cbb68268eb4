/* SPDX-License-Identifier: MIT */
/* Names and types: clauses, statements and declarations. */
#include "d/d_int.h"

bool d_bad(const struct d_node *n)
{
	return n->type->kind == D_T_ERR;
}

static void check_cond(struct d_compiler *c, struct d_node *n, const char *tag, const char *what)
{
	d_check_expr(c, n);
	if (d_bad(n))
		return;
	if (n->is_act)
		d_error(c, n->at, "D_CG_EXPR", "%s( ) may not be called from a D expression: it is a statement of "
			"its own", n->str);
	else if (!d_is_scalar(n->type))
		d_error(c, n->at, tag, "%s must be of scalar type, not %s", what, d_type_str(c, n->type));
}

static void check_expr_stmt(struct d_compiler *c, struct d_node *n)
{
	struct d_node *e = n->l;
	if (e->kind == N_ASSIGN && e->l->kind == N_AGG) {
		d_check_agg_stmt(c, e);
	} else if (e->kind == N_AGG) {
		const struct d_agg *agg = d_map_get(&c->aggs, e->str);
		d_check_agg_ref(c, e);
		d_error(c, e->at, agg ? "D_AGG_NULL" : "D_IDENT_UNDEF", agg ? "expression has null effect: @%s" :
			"failed to resolve @%s: no aggregating function was assigned to it", e->str);
	} else if (e->kind == N_CALL && d_func_find(c, e->str) && d_func_find(c, e->str)->kind == D_F_ACTION) {
		d_check_action(c, e);
	} else {
		d_check_expr(c, e);
		if (e->is_act)
			d_error(c, e->at, "D_CG_EXPR", "%s( ) may not be called from a D expression",
				e->kind == N_CALL ? e->str : "action");
	}
}

static void check_stmts(struct d_compiler *c, struct d_node *list)
{
	for (struct d_node *n = list; n; n = n->next) {
		if (n->kind == N_IF) {
			check_cond(c, n->l, "D_OP_SCALAR", "the condition of if");
			check_stmts(c, n->r);
			check_stmts(c, n->third);
		} else {
			check_expr_stmt(c, n);
		}
	}
}

static bool assigns(const struct d_node *n)
{
	if (!n)
		return false;
	if (n->kind == N_ASSIGN || (n->kind == N_UNARY && n->op >= T_PREINC && n->op <= T_POSTDEC))
		return true;
	for (const struct d_node *a = n->args; a; a = a->next)
		if (assigns(a))
			return true;
	return assigns(n->l) || assigns(n->r) || assigns(n->third);
}

static void check_pred(struct d_compiler *c, struct d_node *n)
{
	c->region = "predicate";
	check_cond(c, n->l, "D_PRED_SCALAR", "predicate result");
	c->region = NULL;
}

/* The body first, as in DTrace: what it defines, the predicate can use. */
static void check_clause(struct d_compiler *c, struct d_node *n)
{
	bool pred_first = n->l && assigns(n->l);
	c->clause = n;
	if (pred_first)
		check_pred(c, n);
	c->clause_did = 0;
	c->whole_used = c->whole_base;
	c->region = "action list";
	check_stmts(c, n->r);
	if (n->l && !pred_first)
		check_pred(c, n);
	c->region = NULL;
	c->clause = NULL;
	n->clause = c->clause_cnt++;
}

/* ---- declarations ---- */

/* An object of this type can be a variable. */
bool d_check_object(struct d_compiler *c, struct d_node *n, struct d_type *type)
{
	struct d_type *t = d_resolve(type);
	if (t->kind == D_T_VOID)
		d_error(c, n->at, "D_DECL_VOIDOBJ", "cannot have void object: %s", n->str);
	else if (!d_complete(c, t))
		d_error(c, n->at, "D_DECL_INCOMPLETE", "incomplete struct/union/enum %s: %s", d_type_str(c, t), n->str);
	else if (t->kind == D_T_ARRAY && !t->cnt)
		d_error(c, n->at, "D_DECL_ARRNULL", "array declaration requires array dimension or tuple "
			"signature: %s", n->str);
	else
		return true;
	return false;
}

static void check_keys_decl(struct d_compiler *c, struct d_node *n)
{
	for (uint32_t i = 0; i < n->key_cnt; i++) {
		struct d_type *t = n->keys[i].type;
		if (!d_is_scalar(t) && !d_is_string(t) && !d_is_whole(t))
			d_error(c, n->at, "D_DECL_PROTO_TYPE", "array prototype may not use parameter of type %s: "
				"%s, parameter #%u", d_type_str(c, t), n->keys[i].name ? n->keys[i].name :
				"(anonymous)", i + 1);
	}
}

static void check_decl(struct d_compiler *c, struct d_node *n)
{
	struct d_var *v = d_var_find(c, n->scope, n->str);
	if (d_resolve(n->type)->kind == D_T_FUNC) /* a prototype: nothing to define */
		return;
	if ((v && v->kind == D_VAR_BUILTIN) || (n->scope == D_GLOBAL && d_func_find(c, n->str))) {
		d_error(c, n->at, "D_DECL_IDRED", "built-in identifier redeclared: %s", n->str);
		return;
	}
	if (!v && d_typename(c, n->str)) {
		d_error(c, n->at, "D_DECL_IDRED", "typedef identifier redeclared: %s", n->str);
		return;
	}
	if (v && (v->kind != (n->keys ? D_VAR_ASSOC : D_VAR_SCALAR) || !d_type_same(v->type, n->type))) {
		d_error(c, n->at, "D_DECL_IDRED", "identifier redeclared: %s\n\t current: %s %s\n\tprevious: %s %s",
			n->str, n->keys ? "associative array" : "scalar", d_type_str(c, n->type), d_var_kind_name(v),
			d_type_str(c, v->type));
		return;
	}
	if (n->keys && n->scope == D_THIS) {
		d_error(c, n->at, "D_DECL_LOCASSC", "associative arrays may not be declared as local variables: %s",
			n->str);
		return;
	}
	if (v || !d_check_object(c, n, n->type))
		return;
	check_keys_decl(c, n);
	v = d_var_new(c, n->scope, n->str, n->keys ? D_VAR_ASSOC : D_VAR_SCALAR, n->type, n->at);
	v->keys = n->keys;
	v->key_cnt = n->key_cnt;
	v->keys_known = n->keys != NULL;
}

void d_check_top(struct d_compiler *c, struct d_node *n)
{
	switch (n->kind) {
	case N_CLAUSE:
		check_clause(c, n);
		break;
	case N_DECL:
		check_decl(c, n);
		break;
	case N_INLINE:
		d_check_inline(c, n);
		break;
	case N_XLATOR:
		d_check_translator(c, n);
		break;
	case N_PROVIDER:
		d_check_provider(c, n);
		break;
	default:
		break;
	}
}
