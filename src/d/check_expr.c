/* SPDX-License-Identifier: MIT */
/* Types of expressions: C's rules, with D's strings. */
#include "d/check_int.h"

bool d_is_null(const struct d_node *n)
{
	return n->is_const && !n->val;
}

bool d_is_dynamic(const struct d_node *n)
{
	return n->type->kind == D_T_AGG || n->type->kind == D_T_XLATED;
}

bool d_is_action_call(const struct d_node *n)
{
	return n->kind == N_CALL && n->func && (n->func->kind == D_F_ACTION || n->func->kind == D_F_AGG);
}

void d_not_in_expr(struct d_compiler *c, const struct d_node *n)
{
	d_error(c, n->at, "D_CG_EXPR", "%s function %s( ) may not be called from a D expression (D program context "
		"required)", n->func->kind == D_F_AGG ? "aggregating" : "tracing", n->func->name);
}

bool d_is_lvalue(const struct d_node *n)
{
	switch (n->kind) {
	case N_IDENT:
		return n->var && n->var->kind == D_VAR_SCALAR;
	case N_INDEX:
		return n->var ? n->var->kind == D_VAR_ASSOC : d_resolve(n->l->type)->kind != D_T_STRING;
	case N_UNARY:
		return n->op == T_DEREF && d_resolve(n->l->type)->kind != D_T_STRING;
	case N_MEMBER:
		return !n->xl_memb && (n->op == T_ARROW || d_is_lvalue(n->l));
	default:
		return false;
	}
}

/* An object, but not one that a program may change: built-in variables, inlines, characters of strings, what a
 * translator gives. */
static bool is_read_only(const struct d_node *n)
{
	switch (n->kind) {
	case N_IDENT:
		return n->var && !d_is_lvalue(n);
	case N_INDEX:
		return n->var ? !d_is_lvalue(n) : d_is_string(n->l->type);
	case N_UNARY:
		return n->op == T_DEREF && d_is_string(n->l->type);
	case N_MEMBER:
		return n->xl_memb && n->op == T_ARROW;
	default:
		return false;
	}
}

/* Memory is written through a variable of the script; what a cast makes of a number of the program's is not one. */
static bool is_writable(const struct d_node *n)
{
	switch (n->kind) {
	case N_IDENT:
		return n->var && n->var->kind == D_VAR_SCALAR;
	case N_INDEX:
		return n->var ? n->var->kind == D_VAR_ASSOC : is_writable(n->l);
	case N_UNARY:
		return n->op != T_ADDR && is_writable(n->l);
	case N_BINARY:
		return (n->op == T_ADD || n->op == T_SUB) && (is_writable(n->l) || is_writable(n->r));
	case N_MEMBER: case N_ASSIGN:
		return is_writable(n->l);
	case N_COMMA:
		return is_writable(n->r);
	case N_CALL: case N_CAST: case N_COND:
		return d_points_to_alloca(n);
	default:
		return false;
	}
}

bool d_check_writable(struct d_compiler *c, const struct d_node *n, const char *op)
{
	struct d_type *t = d_resolve(n->type);
	bool is_object = n->is_target || d_is_lvalue(n) || is_read_only(n);
	bool in_pred = c->region && !strcmp(c->region, "predicate");
	const char *meant = in_pred && !strcmp(op, "=") ? "did you mean ==?" : NULL;
	if (!is_object)
		d_error_hint(c, n->at, "D_OP_LVAL", meant, "operator %s requires modifiable lvalue as an operand", op);
	else if (n->is_target || is_read_only(n) || !is_writable(n))
		d_error_hint(c, n->at, "D_OP_WRITE", meant, "operator %s can only be applied to a writable variable", op);
	else if (t->kind == D_T_ARRAY)
		d_error(c, n->at, "D_OP_ARRFUN", "operator %s may not be applied to operand of type \"%s\"", op,
			d_type_str(c, n->type));
	else
		return true;
	return false;
}

bool d_ptr_compat(const struct d_node *l, const struct d_node *r)
{
	struct d_type *a = d_pointee(l->type), *b = d_pointee(r->type);
	if (a && !b)
		return d_is_null(r);
	if (b && !a)
		return d_is_null(l);
	return a && b && (d_resolve(a)->kind == D_T_VOID || d_resolve(b)->kind == D_T_VOID || d_type_same(a, b) ||
			  (d_is_charptr(l->type) && d_is_charptr(r->type)));
}

bool d_assignable(struct d_compiler *c, struct d_type *to, struct d_node *from)
{
	struct d_node as = { .type = to };
	(void)c;
	if (d_bad(from) || to->kind == D_T_ERR)
		return true;
	if (from->is_act)
		return false;
	if (d_is_string(to))
		return d_is_strlike(from->type) || d_is_null(from);
	if (d_is_int(to))
		return d_is_int(from->type);
	if (from->type->kind == D_T_XLATED)
		return from->type == from->type->xl->sou_type && d_type_same(to, from->type->xl->dst);
	if (d_is_sou(to) || d_resolve(to)->kind == D_T_FLOAT)
		return d_type_same(to, from->type);
	return d_resolve(to)->kind == D_T_PTR && d_ptr_compat(&as, from);
}

/* ---- folding ---- */

static bool fold_binary(struct d_node *n, int64_t a, int64_t b, int64_t *ret)
{
	struct d_type *ot = n->op_type ? d_resolve(n->op_type) : NULL;
	bool u = ot && !ot->is_signed;
	switch (n->op) {
	case T_ADD: *ret = (int64_t)((uint64_t)a + (uint64_t)b); return true;
	case T_SUB: *ret = (int64_t)((uint64_t)a - (uint64_t)b); return true;
	case T_MUL: *ret = (int64_t)((uint64_t)a * (uint64_t)b); return true;
	case T_DIV:
		*ret = u ? (int64_t)((uint64_t)a / (uint64_t)b) : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
		return true;
	case T_MOD:
		*ret = u ? (int64_t)((uint64_t)a % (uint64_t)b) : b == -1 ? 0 : a % b;
		return true;
	case T_AND: *ret = a & b; return true;
	case T_OR: *ret = a | b; return true;
	case T_XOR: *ret = a ^ b; return true;
	case T_LSH: *ret = (int64_t)((uint64_t)a << (b & 63)); return true;
	case T_RSH: *ret = u ? (int64_t)((uint64_t)a >> (b & 63)) : a >> (b & 63); return true;
	case T_EQ: *ret = a == b; return true;
	case T_NE: *ret = a != b; return true;
	case T_LT: *ret = u ? (uint64_t)a < (uint64_t)b : a < b; return true;
	case T_LE: *ret = u ? (uint64_t)a <= (uint64_t)b : a <= b; return true;
	case T_GT: *ret = u ? (uint64_t)a > (uint64_t)b : a > b; return true;
	case T_GE: *ret = u ? (uint64_t)a >= (uint64_t)b : a >= b; return true;
	case T_LAND: *ret = a && b; return true;
	case T_LOR: *ret = a || b; return true;
	case T_LXOR: *ret = !a != !b; return true;
	default: return false;
	}
}

static int64_t as_operand(const struct d_node *n, const struct d_node *child)
{
	return n->op_type ? d_convert(child->type, n->op_type, child->val) : child->val;
}

void d_fold(struct d_compiler *c, struct d_node *n)
{
	int64_t v;
	if (n->kind == N_UNARY && n->l->is_const && d_is_int(n->l->type)) {
		int64_t a = as_operand(n, n->l);
		switch (n->op) {
		case T_NEG: v = (int64_t)(0 - (uint64_t)a); break;
		case T_BNOT: v = ~a; break;
		case T_PLUS: v = a; break;
		case T_LNOT: v = !a; break;
		default: return;
		}
	} else if (n->kind == N_BINARY && n->l->is_const && n->r->is_const && d_is_int(n->l->type) &&
		d_is_int(n->r->type)) {
		int64_t b = n->op == T_LSH || n->op == T_RSH ? n->r->val : as_operand(n, n->r);
		if ((n->op == T_DIV || n->op == T_MOD) && !b) {
			d_error(c, n->at, "D_DIV_ZERO", "expression contains division by zero");
			n->type = c->t.err;
			return;
		}
		if (!fold_binary(n, as_operand(n, n->l), b, &v))
			return;
	} else if (n->kind == N_CAST && n->l->is_const && d_is_scalar(n->l->type) && d_is_scalar(n->type)) {
		v = n->l->val;
	} else {
		return;
	}
	n->is_const = true;
	/* Arithmetic keeps 64 bits, as at run time. */
	n->val = n->kind == N_CAST ? d_canon(n->type, v) : n->kind == N_UNARY && n->op_type ? d_canon(n->op_type, v) : v;
}

/* ---- unary ---- */

static void check_incdec(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	d_define(c, n->l, c->t.long_);
	d_check_expr(c, n->l);
	if (d_bad(n->l))
		return;
	struct d_type *to = d_pointee(n->l->type);
	if (to)
		d_complete(c, to);
	if (!d_is_scalar(n->l->type))
		d_error(c, n->at, "D_OP_SCALAR", "operator %s requires operand of scalar type", op);
	else if (to && !to->size)
		d_error(c, n->at, "D_OP_VFPTR", "operator %s requires an operand of known size", op);
	else if (d_check_writable(c, n->l, op))
		n->type = n->l->type;
}

static void check_deref(struct d_compiler *c, struct d_node *n)
{
	struct d_type *to = d_pointee(n->l->type);
	if (n->l->type->kind == D_T_XLATED && d_resolve(n->l->type->base)->kind == D_T_PTR) {
		n->type = n->l->type->xl->sou_type;
		return;
	}
	if (to)
		d_complete(c, to);
	if (d_is_string(n->l->type)) {
		n->type = c->t.char_;
		return;
	}
	if (!to)
		d_error(c, n->at, "D_DEREF_NONPTR", "cannot dereference non-pointer type");
	else if (d_resolve(to)->kind == D_T_VOID)
		d_error(c, n->at, "D_DEREF_VOID", "cannot dereference pointer to void");
	else if (d_resolve(to)->kind == D_T_FUNC)
		d_error(c, n->at, "D_DEREF_FUNC", "cannot dereference pointer to function");
	else if (d_resolve(to)->is_incomplete)
		d_error(c, n->at, "D_OP_INCOMPLETE", "operator * cannot be applied to a forward declaration: no "
			"%s definition is "
			"available", d_type_str(c, to));
	else
		n->type = to;
}

bool d_is_memory(const struct d_node *n)
{
	if (n->kind == N_MEMBER)
		return n->op == T_ARROW || d_is_memory(n->l);
	if (n->kind == N_INDEX)
		return !n->var && (d_resolve(n->l->type)->kind != D_T_ARRAY || d_is_memory(n->l));
	return n->kind == N_UNARY && n->op == T_DEREF && (d_resolve(n->l->type)->kind != D_T_ARRAY ||
		d_is_memory(n->l));
}

static void check_addr(struct d_compiler *c, struct d_node *n)
{
	if (n->l->kind == N_IDENT || (n->l->kind == N_INDEX && n->l->var))
		d_error(c, n->at, "D_ADDROF_VAR", "cannot take address of dynamic variable");
	else if (n->l->kind == N_MEMBER && n->l->memb && n->l->memb->bits)
		d_error(c, n->at, "D_ADDROF_BITFIELD", "cannot take address of bit-field");
	else if (d_is_dynamic(n->l))
		d_error(c, n->at, "D_ADDROF_VAR", "cannot take address of dynamic object");
	else if (!d_is_lvalue(n->l))
		d_error(c, n->at, "D_ADDROF_LVAL", "unacceptable operand for unary & operator");
	else
		n->type = d_type_ptr(c, n->l->type);
}

/* Computed as C does, but of the operand's type. */
static void propagate(struct d_compiler *c, struct d_node *n)
{
	n->op_type = d_promote(c, n->l->type);
	n->type = d_resolve(n->l->type)->kind == D_T_ENUM ? n->op_type : n->l->type;
}

static void check_unary(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	if (n->op >= T_PREINC && n->op <= T_POSTDEC) {
		check_incdec(c, n);
		return;
	}
	d_check_expr(c, n->l);
	if (n->op == T_ADDR && n->l->kind == N_AGG) {
		d_error(c, n->at, "D_ADDROF_VAR", "cannot take address of dynamic variable");
		return;
	}
	if (d_bad(n->l))
		return;
	struct d_type *t = n->l->type;
	switch (n->op) {
	case T_DEREF:
		check_deref(c, n);
		return;
	case T_ADDR:
		check_addr(c, n);
		return;
	case T_LNOT:
		if (!d_is_scalar(t))
			d_error(c, n->at, "D_OP_SCALAR", "operator ! requires an operand of scalar type");
		else
			n->type = c->t.int_;
		break;
	case T_BNOT:
		if (!d_is_int(t))
			d_error(c, n->at, "D_OP_INT", "operator ~ requires an operand of integral type");
		else
			propagate(c, n);
		break;
	default:
		if (!d_is_int(t))
			d_error(c, n->at, "D_OP_ARITH", "operator %s requires an operand of arithmetic type", op);
		else
			propagate(c, n);
	}
	if (!d_bad(n))
		d_fold(c, n);
}

/* ---- the rest ---- */

static void check_cond(struct d_compiler *c, struct d_node *n)
{
	d_check_expr(c, n->l);
	d_check_expr(c, n->r);
	d_check_expr(c, n->third);
	if (d_bad(n->l) || d_bad(n->r) || d_bad(n->third))
		return;
	struct d_type *a = n->r->type, *b = n->third->type;
	if (!d_is_scalar(n->l->type))
		d_error(c, n->l->at, "D_OP_SCALAR", "operator ?: expression must be of scalar type");
	else if (d_is_dynamic(n->r) || d_is_dynamic(n->third))
		d_error(c, n->at, "D_OP_DYN", "operator ?: operands cannot be of dynamic type");
	else if ((d_is_action_call(n->r) || d_is_action_call(n->third)) && d_resolve(a)->kind == d_resolve(b)->kind)
		d_error(c, n->at, "D_OP_ACT", "action cannot be used in a conditional context");
	else if (d_is_int(a) && d_is_int(b))
		n->type = d_usual(c, a, b);
	else if ((d_is_strlike(a) || d_is_null(n->r)) && (d_is_strlike(b) || d_is_null(n->third)) &&
		 (d_is_string(a) || d_is_string(b)))
		n->type = c->t.string;
	else if (d_ptr_compat(n->r, n->third))
		n->type = d_resolve(d_pointee(a) ? a : b);
	else if (d_resolve(a)->kind == D_T_VOID && d_resolve(b)->kind == D_T_VOID)
		n->type = c->t.void_;
	else
		d_error(c, n->at, "D_OP_INCOMPAT", "operator ?: operands must have compatible types");
	if (d_resolve(n->type)->kind == D_T_ARRAY)
		n->type = d_type_ptr(c, d_pointee(n->type));
}

static bool cast_ok(struct d_type *to, struct d_type *from)
{
	to = d_resolve(to);
	from = d_resolve(from);
	if (to->kind == D_T_VOID)
		return true;
	if (from->kind == D_T_XLATED)
		return false;
	if (d_is_sou(to) || to->kind == D_T_FLOAT)
		return d_type_same(to, from);
	if (to->kind == D_T_STRING)
		return d_is_strlike(from) || d_is_scalar(from);
	return d_is_scalar(to) && (d_is_scalar(from) || from->kind == D_T_ARRAY);
}

static void check_cast(struct d_compiler *c, struct d_node *n)
{
	struct d_type *to = n->type;
	d_check_expr(c, n->l);
	if (d_bad(n->l)) {
		n->type = c->t.err;
	} else if (!cast_ok(to, n->l->type)) {
		d_error(c, n->at, "D_CAST_INVAL", "invalid cast expression: \"%s\" to \"%s\"", d_type_str(c,
			n->l->type),
			d_type_str(c, to));
		n->type = c->t.err;
	} else if (d_is_action_call(n->l)) {
		d_not_in_expr(c, n->l);
		n->type = c->t.err;
	} else {
		d_fold(c, n);
	}
}

static void check_sizeof(struct d_compiler *c, struct d_node *n)
{
	struct d_type *t = n->op_type;
	uint32_t size;
	n->type = c->t.wulong;
	/* sizeof (foo_t), where only the traced program knows the word */
	if (n->l && n->l->kind == N_IDENT && n->l->scope == D_GLOBAL && !d_var_find(c, D_GLOBAL, n->l->str) &&
	    (t = d_ext_named(c, n->l->str)))
		n->l = NULL;
	if (n->l) {
		d_check_expr(c, n->l);
		t = n->l->type;
		if (d_bad(n->l))
			return;
	}
	d_complete(c, t);
	size = n->l && n->l->kind == N_STR ? n->l->len + 1 : d_is_string(t) ? c->opts.strsize : d_resolve(t)->size;
	if (n->l && n->l->kind == N_MEMBER && n->l->memb && n->l->memb->bits)
		d_error(c, n->at, "D_SIZEOF_BITFIELD", "cannot apply sizeof to a bit-field");
	else if (!size || d_resolve(t)->is_incomplete || d_resolve(t)->kind == D_T_USYM)
		d_error(c, n->at, "D_SIZEOF_TYPE", "cannot apply sizeof to an operand of unknown size");
	n->is_const = true;
	n->val = size;
}

static void check_offsetof(struct d_compiler *c, struct d_node *n)
{
	struct d_type *t = d_resolve(n->op_type);
	uint32_t off = 0;
	n->type = c->t.wulong;
	n->is_const = true;
	d_complete(c, t);
	if (!d_is_sou(t) || t->is_incomplete) {
		d_error(c, n->at, "D_OFFSETOF_TYPE", "offsetof operand must be a struct or union type");
		return;
	}
	const struct d_member *m = d_member_find(t, n->str, &off);
	if (!m)
		d_error(c, n->at, "D_UNKNOWN", "failed to determine offset of %s: Member name not found", n->str);
	else if (m->bits)
		d_error(c, n->at, "D_OFFSETOF_BITFIELD", "cannot take offset of a bit-field: %s", n->str);
	n->val = off;
}

static void check_member(struct d_compiler *c, struct d_node *n)
{
	const char *op = d_tok_text(n->op);
	d_check_expr(c, n->l);
	if (d_bad(n->l))
		return;
	struct d_type *t = d_resolve(n->l->type);
	if (t->kind == D_T_XLATED) {
		d_check_xlated_member(c, n);
		return;
	}
	if (n->op == T_ARROW && !d_is_ptr(t)) {
		d_error(c, n->at, "D_OP_PTR", "operator -> must be applied to a pointer");
		return;
	}
	if (n->op == T_ARROW)
		t = d_resolve(d_pointee(t));
	if (!d_is_sou(t)) {
		d_error(c, n->at, "D_OP_SOU", "operator %s cannot be applied to %s\"%s\"; must be applied to a "
			"struct or union%s", op, n->op == T_ARROW ? "pointer to type " : "type ", d_type_str(c, t),
			n->op == T_ARROW ? " pointer" : "");
		return;
	}
	if (!d_complete(c, t)) {
		d_error(c, n->at, "D_OP_INCOMPLETE", "operator %s cannot be applied to a forward declaration: no "
			"%s definition is "
			"available", op, d_type_str(c, t));
		return;
	}
	n->memb = d_member_find(t, n->str, &n->memb_off);
	if (!n->memb)
		d_error_hint(c, n->at, "D_TYPE_MEMBER", d_near_member(c, t, n->str), "%s is not a member of %s", n->str,
			d_type_str(c, t));
	else
		n->type = n->memb->type;
}

static void check_stringof(struct d_compiler *c, struct d_node *n)
{
	d_check_expr(c, n->l);
	n->type = c->t.string;
	if (!d_bad(n->l) && !d_is_strlike(n->l->type) && !d_is_scalar(n->l->type))
		d_error(c, n->at, "D_STRINGOF_TYPE", "cannot apply stringof to a value of type %s", d_type_str(c,
			n->l->type));
}

static void check_comma(struct d_compiler *c, struct d_node *n)
{
	d_check_expr(c, n->l);
	d_check_expr(c, n->r);
	if (d_bad(n->l) || d_bad(n->r))
		return;
	if (d_is_dynamic(n->l) || d_is_dynamic(n->r))
		d_error(c, n->at, "D_OP_DYN", "operator , operands cannot be of dynamic type");
	else if (d_is_action_call(n->l) || d_is_action_call(n->r))
		d_error(c, n->at, "D_OP_ACT", "operator , operands cannot be actions");
	else
		n->type = n->r->type;
}

static bool check_leaf(struct d_compiler *c, struct d_node *n)
{
	switch (n->kind) {
	case N_INT:
	case N_STR:
		return true;
	case N_IDENT:
		d_check_ident(c, n);
		return true;
	case N_SIZEOF:
		check_sizeof(c, n);
		return true;
	case N_OFFSETOF:
		check_offsetof(c, n);
		return true;
	case N_CAST:
		check_cast(c, n);
		return true;
	case N_AGG:
		d_check_agg_ref(c, n);
		return true;
	default:
		return false;
	}
}

void d_check_expr(struct d_compiler *c, struct d_node *n)
{
	if (check_leaf(c, n))
		return;
	n->type = c->t.err;
	switch (n->kind) {
	case N_INDEX:
		d_check_index(c, n);
		break;
	case N_CALL:
		d_check_call(c, n);
		break;
	case N_UNARY:
		check_unary(c, n);
		break;
	case N_BINARY:
		d_check_binary(c, n);
		break;
	case N_ASSIGN:
		d_check_assign(c, n);
		break;
	case N_COND:
		check_cond(c, n);
		break;
	case N_COMMA:
		check_comma(c, n);
		break;
	case N_STRINGOF:
		check_stringof(c, n);
		break;
	case N_MEMBER:
		check_member(c, n);
		break;
	default:
		d_check_xlate(c, n);
	}
}
