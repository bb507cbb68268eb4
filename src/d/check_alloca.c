/* SPDX-License-Identifier: MIT */
/*
 * Memory of alloca() and other memory do not go into one variable: scripts
 * that do so would not run on other implementations of DTrace, where such
 * pointers are offsets.
 */
#include "d/check_int.h"

enum kind { OTHER, ALLOCA, MIXED };

static bool has_memory(const struct d_node *n)
{
	return d_resolve(n->type)->kind == D_T_ARRAY || d_is_sou(n->type);
}

static enum kind either(enum kind a, enum kind b)
{
	return a == MIXED || b == MIXED ? MIXED : a == ALLOCA || b == ALLOCA ? ALLOCA : OTHER;
}

static enum kind kind_of(const struct d_node *n);

/* What the address of an object points to. */
static enum kind kind_of_addr(const struct d_node *n)
{
	if ((n->kind == N_INDEX && !n->var) || (n->kind == N_UNARY && n->op == T_DEREF))
		return kind_of(n->l);
	if (n->kind == N_MEMBER)
		return n->op == T_ARROW ? kind_of(n->l) : kind_of_addr(n->l);
	return kind_of(n);
}

static enum kind kind_of_unary(const struct d_node *n)
{
	if (n->op == T_ADDR)
		return kind_of_addr(n->l);
	if (n->op >= T_PREINC && n->op <= T_POSTDEC)
		return kind_of(n->l);
	return n->op == T_DEREF && has_memory(n) ? kind_of(n->l) : OTHER;
}

static enum kind kind_of_binary(const struct d_node *n)
{
	if ((n->op != T_ADD && n->op != T_SUB) || (d_is_ptr(n->l->type) && d_is_ptr(n->r->type)))
		return OTHER;
	return either(kind_of(n->l), kind_of(n->r));
}

static enum kind kind_of_cond(const struct d_node *n)
{
	enum kind a = kind_of(n->r), b = kind_of(n->third);
	return a != b ? MIXED : a;
}

static bool makes_memory(const struct d_node *call)
{
	return call->func && call->func->kind == D_F_SUBR &&
	       (call->func->what == IR_HELPER_alloca || call->func->what == IR_HELPER_copyin);
}

/* What an expression, which was checked, points to. */
static enum kind kind_of(const struct d_node *n)
{
	switch (n->kind) {
	case N_CALL: return makes_memory(n) ? ALLOCA : OTHER;
	case N_IDENT: return n->var && n->var->holds_alloca ? ALLOCA : OTHER;
	case N_CAST: return kind_of(n->l);
	case N_UNARY: return kind_of_unary(n);
	case N_BINARY: return kind_of_binary(n);
	case N_COMMA: return kind_of(n->r);
	case N_COND: return kind_of_cond(n);
	case N_ASSIGN: return kind_of(n->l);
	case N_MEMBER: return has_memory(n) ? kind_of(n->l) : OTHER;
	case N_INDEX:
		if (n->l->var && n->l->var->kind == D_VAR_ASSOC)
			return n->l->var->holds_alloca ? ALLOCA : OTHER;
		return has_memory(n) ? kind_of(n->l) : OTHER;
	default: return OTHER;
	}
}

bool d_points_to_alloca(const struct d_node *n)
{
	return kind_of(n) != OTHER;
}

bool d_check_alloca_arg(struct d_compiler *c, const struct d_node *call, const struct d_node *arg, uint32_t i)
{
	if (d_bad(arg) || d_points_to_alloca(arg))
		return true;
	d_error(c, d_arg_at(call, arg), "D_PROTO_ARG", "%s( ) argument #%u is incompatible with prototype:\n\tprototype: alloca "
		"pointer\n\t argument: non-alloca pointer", call->func->name, i);
	return false;
}

bool d_mixes_alloca(const struct d_node *a, const struct d_node *b)
{
	return d_points_to_alloca(a) != d_points_to_alloca(b);
}

void d_check_alloca(struct d_compiler *c, const struct d_node *n)
{
	const struct d_node *id = n->l->kind == N_INDEX ? n->l->l : n->l;
	struct d_var *v = id->kind == N_IDENT ? id->var : NULL;
	enum kind kind = kind_of(n->r);
	if (!v || (n->l->kind == N_INDEX && v->kind != D_VAR_ASSOC) || d_is_string(n->r->type))
		return;
	if (kind == MIXED) {
		d_error(c, n->at, "D_ALLOCA_INCOMPAT", "ternary conditional with alloca and non-alloca branches cannot be "
			"assigned to a variable");
		return;
	}
	if (!v->holds_alloca && !v->holds_other)
		v->at = n->at;
	if (kind == ALLOCA)
		v->holds_alloca = true;
	else if (!d_is_null(n->r))
		v->holds_other = true;
	if (v->holds_alloca && v->holds_other) {
		d_error(c, v->at, "D_ALLOCA_INCOMPAT", "%s: cannot reuse the same identifier for both alloca and "
			"non-alloca allocations", v->name);
		v->holds_other = false;
	}
}
