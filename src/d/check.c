/* SPDX-License-Identifier: MIT */
/* Names and types: clauses, statements and declarations. */
#include "d/check_int.h"
#include "d/parse_int.h"

bool d_bad(const struct d_node *n)
{
	return n->type->kind == D_T_ERR;
}

static void check_cond(struct d_compiler *c, struct d_node *n, const char *tag, const char *what)
{
	d_check_expr(c, n);
	if (d_bad(n))
		return;
	if (!d_is_scalar(n->type))
		d_error(c, n->at, tag, "%s must be of scalar type", what);
}

static void check_expr_stmt(struct d_compiler *c, struct d_node *n)
{
	struct d_node *e = n->l;
	if (e->kind == N_ASSIGN && e->l->kind == N_AGG) {
		d_check_agg_stmt(c, e);
	} else if (e->kind == N_AGG) {
		d_check_agg_ref(c, e);
		if (!d_bad(e))
			d_error(c, e->at, "D_AGG_NULL", "expression has null effect: @%s", e->str);
	} else if (e->kind == N_CALL && d_func_find(c, e->str) && d_func_find(c, e->str)->kind == D_F_ACTION) {
		d_check_action(c, e);
	} else {
		d_check_expr(c, e);
		if (d_is_action_call(e) && !d_bad(e))
			d_not_in_expr(c, e);
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

/* There is nothing to define; that functions of C are declared twice alike is C's affair. */
static void check_proto(struct d_compiler *c, const struct d_node *n)
{
	struct d_type *old = d_map_get(&c->protos, n->str);
	if (!old)
		d_map_put(c, &c->protos, n->str, n->type);
	else if (!d_in_header(c, n->at) && !d_type_same(d_resolve(old)->base, d_resolve(n->type)->base))
		d_error(c, n->at, "D_DECL_IDRED", "identifier redeclared: D`%s\n\t current: %s\n\tprevious: %s", n->str,
			d_type_str(c, n->type), d_type_str(c, old));
}

/* An associative array that is declared again has the same keys. */
static bool same_tuple(struct d_compiler *c, const struct d_node *n, const struct d_var *v)
{
	static const char array[] = "associative array";
	for (uint32_t i = 0; i < n->key_cnt && i < v->key_cnt; i++) {
		if (d_type_same(n->keys[i].type, v->keys[i].type))
			continue;
		d_error(c, n->at, "D_DECL_IDRED", "identifier redeclared: %s\n\t current: %s, key #%u of type %s\n"
			"\tprevious: %s, key #%u of type %s", n->str, array, i + 1, d_type_str(c, n->keys[i].type), array, i + 1,
			d_type_str(c, v->keys[i].type));
		return false;
	}
	if (n->key_cnt == v->key_cnt)
		return true;
	d_error(c, n->at, "D_DECL_IDRED", "identifier redeclared: %s\n\t current: %s of %s, tuple length %u\n"
		"\tprevious: %s of %s, tuple length %u", n->str, array, d_type_str(c, n->type), n->key_cnt, array,
		d_type_str(c, v->type), v->key_cnt);
	return false;
}

static void check_decl(struct d_compiler *c, struct d_node *n)
{
	struct d_var *v = d_var_find(c, n->scope, n->str);
	if (d_resolve(n->type)->kind == D_T_FUNC) {
		check_proto(c, n);
		return;
	}
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
	if (v && n->keys && !same_tuple(c, n, v))
		return;
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
