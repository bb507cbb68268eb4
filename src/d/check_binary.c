/* SPDX-License-Identifier: MIT */
/* Binary operators and assignment. */
#include "d/d_int.h"

static void incompatible(struct d_compiler *c, const struct d_node *n)
{
	d_error(c, n->at, "D_OP_INCOMPAT", "operands have incompatible types: \"%s\" %s \"%s\"", d_type_str(c,
		n->l->type),
		d_tok_text(n->op), d_type_str(c, n->r->type));
}

/* Pointer and integer; a string stands for the address of its characters. */
static void check_ptr_arith(struct d_compiler *c, struct d_node *n, enum d_tok_kind op)
{
	struct d_type *lt = d_is_string(n->l->type) ? d_type_ptr(c, c->t.char_) : n->l->type;
	struct d_type *rt = d_is_string(n->r->type) ? d_type_ptr(c, c->t.char_) : n->r->type;
	struct d_type *a = d_pointee(lt), *b = d_pointee(rt);
	struct d_type *to = a ? a : b;
	if (to && d_resolve(to)->kind == D_T_VOID) {
		d_error(c, n->at, "D_OP_VFPTR", "operator %s requires operands of known size: cast the pointer to "
			"a type",
			d_tok_text(n->op));
		return;
	}
	if (!to || (a && b && op == T_ADD) || (b && !a && op == T_SUB) || (!a && !d_is_int(lt)) || (!b &&
		!d_is_int(rt))) {
		incompatible(c, n);
		return;
	}
	if (a && b && !d_type_same(a, b)) {
		incompatible(c, n);
		return;
	}
	if (d_resolve(to)->kind == D_T_FUNC || d_resolve(to)->is_incomplete || !d_resolve(to)->size) {
		d_error(c, n->at, "D_OP_VFPTR", "operator %s requires an operand of known size", d_tok_text(n->op));
		return;
	}
	n->type = a && b ? c->t.long_ : d_type_ptr(c, to);
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
		d_error(c, n->at, tag, "operator %s requires operands of %s type", d_tok_text(n->op), what);
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

void d_check_binary(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	d_check_expr(c, n->l);
	d_check_expr(c, n->r);
	if (!d_operand_ok(c, n->l, op) || !d_operand_ok(c, n->r, op))
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

void d_check_assign(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	d_check_expr(c, n->r);
	if (n->l->kind == N_AGG) {
		d_error(c, n->at, "D_CG_EXPR", "an aggregation can only be assigned to as a statement of its own");
		return;
	}
	bool right_ok = d_operand_ok(c, n->r, op);
	if (right_ok && d_resolve(n->r->type)->kind == D_T_VOID) {
		d_error(c, n->r->at, "D_OP_VFPTR", "operator %s cannot assign a void expression", op);
		right_ok = false;
	}
	/* A name that a mistake was to define is known as wrong, so that its uses are not reported too. */
	struct d_type *rt = n->r->type->kind == D_T_XLATED ? n->r->type->base : n->r->type;
	d_define(c, n->l, !right_ok ? c->t.err : n->op == T_ASGN ? rt : c->t.long_);
	d_check_expr(c, n->l);
	if (right_ok && (d_resolve(n->l->type)->kind == D_T_ARRAY || d_resolve(n->l->type)->kind == D_T_FUNC)) {
		d_error(c, n->at, "D_OP_ARRFUN", "operator %s may not be applied to operand of type \"%s\"", op,
			d_type_str(c, n->l->type));
		return;
	}
	if (!right_ok || !d_operand_ok(c, n->l, op) || !d_check_writable(c, n->l, op))
		return;
	if (n->op == T_ASGN) {
		check_simple_assign(c, n);
		if (!d_bad(n))
			d_check_alloca(c, n);
		return;
	}
	enum d_tok_kind plain = plain_op(n->op);
	if (d_resolve(n->l->type)->kind == D_T_STRING) {
		incompatible(c, n);
		return;
	}
	binary_type(c, n, plain);
	if (d_bad(n))
		return;
	if ((plain == T_DIV || plain == T_MOD) && d_is_null(n->r))
		d_error(c, n->at, "D_DIV_ZERO", "expression contains division by zero");
	else if (!d_is_int(n->l->type) && !d_pointee(n->type))
		incompatible(c, n);
	n->type = n->l->type;
}
