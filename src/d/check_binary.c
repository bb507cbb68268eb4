/* SPDX-License-Identifier: MIT */
/* Binary operators and assignment. */
#include "d/check_int.h"

static const char *float_hint(const struct d_type *a, const struct d_type *b)
{
	bool has = d_resolve((struct d_type *)a)->kind == D_T_FLOAT || d_resolve((struct d_type *)b)->kind == D_T_FLOAT;
	return has ? "floating-point numbers can be kept and shown, but not computed with" : NULL;
}

static void incompatible(struct d_compiler *c, const struct d_node *n)
{
	d_error_hint(c, n->at, "D_OP_INCOMPAT", float_hint(n->l->type, n->r->type), "operands have incompatible types: \"%s\" %s \"%s\"", d_type_str(c,
		n->l->type),
		d_tok_text(n->op), d_type_str(c, n->r->type));
}

/* What can be added to: a pointer, but to void or to a function; a string stands for the address of its characters. */
static struct d_type *steps_over(struct d_compiler *c, struct d_type *t)
{
	struct d_type *to = d_is_string(t) ? c->t.char_ : d_pointee(t);
	enum d_type_kind kind = to ? d_resolve(to)->kind : D_T_VOID;
	return kind == D_T_VOID || kind == D_T_FUNC ? NULL : to;
}

static void check_ptr_arith(struct d_compiler *c, struct d_node *n, enum d_tok_kind op)
{
	struct d_type *a = steps_over(c, n->l->type), *b = steps_over(c, n->r->type), *to = a ? a : b;
	bool l_int = d_is_int(n->l->type), r_int = d_is_int(n->r->type);
	bool is_str = d_is_string(n->l->type) || d_is_string(n->r->type);
	bool same = a && b && op == T_SUB && d_type_same(a, b);
	if (!(a && r_int) && !(l_int && b && op == T_ADD) && !same) {
		incompatible(c, n);
		return;
	}
	if (same && d_mixes_alloca(n->l, n->r)) {
		d_error(c, n->at, "D_OP_INCOMPAT", "adding or subtracting pointers to alloca and non-alloca space is "
			"meaningless: \"%s\" %s \"%s\"", d_type_str(c, n->l->type), d_tok_text(n->op), d_type_str(c, n->r->type));
		return;
	}
	d_complete(c, to);
	if (!d_resolve(to)->size) {
		d_error(c, n->at, "D_OP_VFPTR", "operator %s requires an operand of known size", d_tok_text(n->op));
		return;
	}
	/* A string is one again behind some of its characters. */
	n->type = same ? c->t.wlong : is_str ? c->t.string : d_type_ptr(c, to);
}

/* += and -= of anything but integers. */
static bool check_step(struct d_compiler *c, struct d_node *n)
{
	bool sized = d_is_ptr(n->l->type) && steps_over(c, n->l->type);
	if (d_is_string(n->l->type) || d_is_string(n->r->type))
		incompatible(c, n);
	else if (!sized)
		d_error(c, n->at, "D_OP_VFPTR", "operator %s requires left-hand scalar operand of known size",
			d_tok_text(n->op));
	else if (!d_is_int(n->r->type))
		incompatible(c, n);
	else
		return true;
	return false;
}

static void check_compare(struct d_compiler *c, struct d_node *n)
{
	struct d_type *a = n->l->type, *b = n->r->type;
	if (d_is_int(a) && d_is_int(b))
		n->op_type = d_usual(c, a, b);
	else if ((d_is_strlike(a) || d_is_null(n->l)) && (d_is_strlike(b) || d_is_null(n->r)) && (d_is_string(a) ||
		d_is_string(b)))
		n->op_type = c->t.string;
	else if (d_ptr_compat(n->l, n->r))
		n->op_type = c->t.ulong;
	else {
		incompatible(c, n);
		return;
	}
	n->type = c->t.int_;
}

/* Computed as C does, but of a type that DTrace chooses. */
static void arith_type(struct d_compiler *c, struct d_node *n)
{
	n->op_type = d_usual(c, n->l->type, n->r->type);
	n->type = d_rank(c, n->l->type, n->r->type);
}

static void shift_type(struct d_compiler *c, struct d_node *n)
{
	n->op_type = d_promote(c, n->l->type);
	n->type = d_resolve(n->l->type)->kind == D_T_ENUM ? n->op_type : n->l->type;
}

static void check_ints(struct d_compiler *c, struct d_node *n, const char *tag, const char *what)
{
	if (!d_is_int(n->l->type) || !d_is_int(n->r->type))
		d_error_hint(c, n->at, tag, float_hint(n->l->type, n->r->type), "operator %s requires operands of %s type",
			d_tok_text(n->op), what);
	else
		arith_type(c, n);
}

/* With both operands typed: the type that @op gives. */
static void binary_type(struct d_compiler *c, struct d_node *n, enum d_tok_kind op)
{
	switch (op) {
	case T_ADD:
	case T_SUB:
		if (d_is_int(n->l->type) && d_is_int(n->r->type))
			arith_type(c, n);
		else
			check_ptr_arith(c, n, op);
		break;
	case T_MUL:
	case T_DIV:
		check_ints(c, n, "D_OP_ARITH", "arithmetic");
		break;
	case T_MOD: case T_AND: case T_OR: case T_XOR:
		check_ints(c, n, "D_OP_INT", "integral");
		break;
	case T_LSH:
	case T_RSH:
		check_ints(c, n, "D_OP_INT", "integral");
		if (!d_bad(n))
			shift_type(c, n);
		break;
	case T_LAND: case T_LOR: case T_LXOR:
		if (!d_is_scalar(n->l->type) || !d_is_scalar(n->r->type))
			d_error(c, n->at, "D_OP_SCALAR", "operator %s requires operands of scalar type",
				d_tok_text(n->op));
		else
			n->type = c->t.int_;
		break;
	default:
		check_compare(c, n);
	}
}

/* Compared with an enum, a name is one of its enumerators first. False: there is another thing of that name. */
static bool check_enum_tag(struct d_compiler *c, struct d_node *n)
{
	struct d_type *t = d_resolve(n->l->type);
	struct d_node *r = n->r;
	const struct d_enumerator *e = NULL;
	if (t->kind == D_T_ENUM && r->scope == D_GLOBAL) {
		d_ext_load(t);
		for (e = t->enums; e && e->name != r->str; e = e->next)
			;
	}
	if (!e)
		return true;
	const struct d_var *v = d_var_find(c, D_GLOBAL, r->str);
	const struct d_func *f = d_func_find(c, r->str);
	if (v && v->kind == D_VAR_ENUMERATOR && d_resolve(v->type) == t)
		return true;
	if (v || f) {
		d_error(c, r->at, "D_IDENT_AMBIG", "ambiguous use of operator %s: %s is both a %s enum tag and a global %s",
			d_tok_text(n->op), r->str, d_type_str(c, n->l->type), v ? d_var_kind_name(v) : "function");
		return false;
	}
	*r = (struct d_node){ .kind = N_INT, .at = r->at, .next = r->next, .height = 1, .type = n->l->type, .is_const = true,
			      .val = e->val };
	return true;
}

void d_check_binary(struct d_compiler *c, struct d_node *n)
{
	d_check_expr(c, n->l);
	if (n->op >= T_EQ && n->op <= T_GE && n->r->kind == N_IDENT && !check_enum_tag(c, n))
		return;
	d_check_expr(c, n->r);
	if (d_bad(n->l) || d_bad(n->r))
		return;
	binary_type(c, n, n->op);
	if (d_bad(n))
		return;
	if ((n->op == T_DIV || n->op == T_MOD) && n->r->is_const && !n->r->val) {
		d_error(c, n->at, "D_DIV_ZERO", "expression contains division by zero");
		n->type = c->t.err;
		return;
	}
	d_fold(c, n);
}

static enum d_tok_kind plain_op(enum d_tok_kind op)
{
	switch (op) {
	case T_MUL_EQ: return T_MUL;
	case T_DIV_EQ: return T_DIV;
	case T_MOD_EQ: return T_MOD;
	case T_ADD_EQ: return T_ADD;
	case T_SUB_EQ: return T_SUB;
	case T_LSH_EQ: return T_LSH;
	case T_RSH_EQ: return T_RSH;
	case T_AND_EQ: return T_AND;
	case T_XOR_EQ: return T_XOR;
	default: return T_OR;
	}
}

static void check_simple_assign(struct d_compiler *c, struct d_node *n)
{
	const struct d_var *v = n->l->var;
	bool clears = d_is_null(n->r) && v && n->l->kind != N_MEMBER && (v->kind == D_VAR_ASSOC || v->scope == D_SELF);
	if (!clears && !d_assignable(c, n->l->type, n->r))
		incompatible(c, n);
	else
		n->type = n->l->type;
}

/* What is assigned is something that a variable can hold. */
static bool has_value(struct d_compiler *c, const struct d_node *n)
{
	const struct d_node *r = n->r;
	enum d_type_kind kind = d_resolve(r->type)->kind;
	if (n->op != T_ASGN)
		return true;
	if (kind == D_T_STACK || kind == D_T_USYM)
		d_not_in_expr(c, r);
	else if (kind == D_T_VOID || kind == D_T_AGG)
		d_error_hint(c, n->at, "D_OP_INCOMPAT", kind == D_T_AGG && n->l->kind == N_IDENT ?
			d_fmt(c, "did you mean @%s?", n->l->str) : NULL, "operands have incompatible types: \"%s\" = "
			"\"%s\"", d_type_str(c, r->type), d_type_str(c, r->type));
	else
		return true;
	return false;
}

/* += and the like read what they change. */
static void has_been_defined(struct d_compiler *c, const struct d_node *l)
{
	static const char *const prefix[] = { [D_GLOBAL] = "", [D_SELF] = "self->", [D_THIS] = "this->" };
	const struct d_node *id = l->kind == N_INDEX ? l->l : l;
	if (id->kind != N_IDENT || strchr(id->str, '`') || d_var_find(c, id->scope, id->str) ||
	    (id->scope == D_GLOBAL && d_func_find(c, id->str)))
		return;
	d_error_hint(c, id->at, "D_VAR_UNDEF", d_near_var(c, id->scope, id->str), "%s%s has not yet been declared or "
		"assigned", prefix[id->scope], id->str);
}

/* What is assigned to is there already: then its mistakes come before those of the value, as in DTrace. */
static bool is_known(struct d_compiler *c, const struct d_node *l)
{
	const struct d_node *id = l->kind == N_INDEX ? l->l : l;
	return id->kind == N_IDENT ? d_var_find(c, id->scope, id->str) != NULL : l->kind != N_AGG;
}

static void check_right(struct d_compiler *c, struct d_node *n)
{
	const struct d_node *id = n->l->kind == N_INDEX ? n->l->l : n->l;
	struct d_defining def = { id->kind == N_IDENT && id->scope == D_GLOBAL ? id->str : NULL, NULL, c->defining };
	c->defining = &def;
	d_check_expr(c, n->r);
	c->defining = def.outer;
}

/* += and the like, where both sides are right. */
static void check_changing_assign(struct d_compiler *c, struct d_node *n)
{
	enum d_tok_kind plain = plain_op(n->op);
	bool ints = d_is_int(n->l->type) && d_is_int(n->r->type);
	if ((plain == T_ADD || plain == T_SUB) && !ints && !check_step(c, n))
		return;
	binary_type(c, n, plain);
	if (d_bad(n) || !d_check_writable(c, n->l, d_tok_text(n->op)))
		return;
	if ((plain == T_DIV || plain == T_MOD) && d_is_null(n->r))
		d_error(c, n->at, "D_DIV_ZERO", "expression contains division by zero");
	else if (!d_is_int(n->l->type) && !d_pointee(n->type))
		incompatible(c, n);
	n->type = n->l->type;
}

void d_check_assign(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	if (n->l->kind == N_ASSIGN && n->l->l->kind == N_AGG) {
		d_error(c, n->at, "D_OP_LVAL", "operator %s requires modifiable lvalue as an operand", op);
		return;
	}
	bool is_old = is_known(c, n->l);
	if (is_old)
		d_check_expr(c, n->l);
	else if (n->op != T_ASGN)
		has_been_defined(c, n->l);
	check_right(c, n);
	if (n->l->kind == N_AGG) {
		d_error(c, n->at, "D_CG_EXPR", "an aggregation can only be assigned to as a statement of its own");
		return;
	}
	bool right_ok = !d_bad(n->r) && has_value(c, n);
	/* A name that a mistake was to define is known as wrong, so that its uses are not reported too. */
	struct d_type *rt = n->r->type->kind == D_T_XLATED ? n->r->type->base : n->r->type;
	if (!is_old) {
		d_define(c, n->l, right_ok && n->op == T_ASGN ? rt : c->t.err);
		d_check_expr(c, n->l);
	}
	bool is_array = d_resolve(n->l->type)->kind == D_T_ARRAY || d_resolve(n->l->type)->kind == D_T_FUNC;
	if (right_ok && is_array && (n->op == T_ASGN || n->op == T_ADD_EQ || n->op == T_SUB_EQ)) {
		d_error(c, n->at, "D_OP_ARRFUN", "operator %s may not be applied to operand of type \"%s\"", op,
			d_type_str(c, n->l->type));
		return;
	}
	if (!right_ok || d_bad(n->l))
		return;
	if (n->op != T_ASGN) {
		check_changing_assign(c, n);
		return;
	}
	check_simple_assign(c, n);
	if (!d_bad(n) && d_check_writable(c, n->l, op))
		d_check_alloca(c, n);
}
