/* SPDX-License-Identifier: MIT */
/* Expressions. */
#include "d/check_int.h"
#include "d/lower_int.h"

static uint32_t move(struct lw *l, uint32_t dst, uint32_t v)
{
	ir_emit(l->b, IR_OP_MOV, dst, v, WIRE_NONE, 0, 0);
	return dst;
}

static void set(struct lw *l, uint32_t dst, int64_t v)
{
	ir_emit(l->b, IR_OP_CONST, dst, WIRE_NONE, WIRE_NONE, v, 0);
}

/* ---- strings ---- */

static uint32_t const_str(struct lw *l, const struct d_node *n)
{
	uint32_t len = n->len < l->c->opts.strsize ? n->len : l->c->opts.strsize, off;
	const char *key = d_intern(l->c, n->str, len);
	uintptr_t known = (uintptr_t)d_map_get(&l->c->strs, key);
	if (known)
		return lw_const(l, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, known - 1));
	off = ir_image_append(&l->c->prog.image, key, len);
	if (off != WIRE_NONE) {
		d_map_put(l->c, &l->c->strs, key, (void *)((uintptr_t)off + 1));
	} else {
		d_error(l->c, n->at, "D_LIMIT", "no room for this string: all constant strings can have at most "
			"%u bytes", IR_STRS_MAX);
		off = 0;
	}
	return lw_const(l, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, off));
}

static uint32_t copyinstr(struct lw *l, uint32_t addr, uint32_t max)
{
	uint64_t args[] = { addr, lw_const(l, max), lw_str_slot(l) };
	return lw_call(l, IR_HELPER_copyinstr, args, 3);
}

uint32_t lw_str(struct lw *l, struct d_node *n)
{
	struct d_type *t = d_resolve(n->type);
	if (t->kind == D_T_STRING)
		return lw_value(l, n);
	if (d_is_null(n))
		return lw_const(l, 0);
	uint32_t max = t->kind == D_T_ARRAY && t->cnt < l->c->opts.strsize ? (uint32_t)t->cnt : 0;
	return copyinstr(l, lw_addr(l, n), max);
}

uint32_t lw_addr(struct lw *l, struct d_node *n)
{
	uint32_t v = lw_value(l, n);
	uint64_t arg = v;
	return d_is_string(n->type) ? lw_call(l, IR_HELPER_str_addr, &arg, 1) : v;
}

/* ---- operators ---- */

static uint32_t str_index(struct lw *l, struct d_node *s, uint32_t i)
{
	uint64_t args[] = { lw_str(l, s), i };
	return lw_narrow(l, lw_call(l, IR_HELPER_str_index, args, 2), l->c->t.char_);
}

static uint32_t step_of(struct d_type *ptr)
{
	struct d_type *to = d_pointee(ptr);
	uint32_t size = to ? d_resolve(to)->size : 1;
	return size ? size : 1;
}

static uint32_t lower_incdec(struct lw *l, struct d_node *n)
{
	bool inc = n->op == T_PREINC || n->op == T_POSTINC;
	struct lw_place p = lw_place_of(l, n->l);
	uint32_t old = lw_load(l, &p, n->l), step = lw_const(l, d_is_int(n->type) ? 1 : step_of(n->type));
	uint32_t val = lw_narrow(l, lw_op(l, inc ? IR_OP_ADD : IR_OP_SUB, old, step), n->type);
	val = lw_store(l, &p, val, n->l);
	return n->op == T_PREINC || n->op == T_PREDEC ? val : old;
}

static uint32_t lower_unary(struct lw *l, struct d_node *n)
{
	struct lw_place p;
	switch (n->op) {
	case T_PREINC: case T_PREDEC: case T_POSTINC: case T_POSTDEC:
		return lower_incdec(l, n);
	case T_DEREF:
		if (d_is_string(n->l->type))
			return str_index(l, n->l, lw_const(l, 0));
		p = lw_place_of(l, n);
		return lw_load(l, &p, n);
	case T_ADDR:
		p = lw_place_of(l, n->l);
		return lw_place_addr(l, &p);
	case T_LNOT:
		return lw_opk(l, IR_OP_SEQ, lw_value(l, n->l), 0);
	case T_NEG:
		return lw_narrow(l, lw_op1(l, IR_OP_NEG, lw_as(l, n->l, n->type)), n->type);
	case T_BNOT:
		return lw_narrow(l, lw_op1(l, IR_OP_NOT, lw_as(l, n->l, n->type)), n->type);
	default:
		return lw_as(l, n->l, n->type);
	}
}

static uint32_t lower_logical(struct lw *l, struct d_node *n)
{
	uint32_t r = ir_vreg(l->b), zero;
	enum ir_op br = n->op == T_LAND ? IR_OP_BRZ : IR_OP_BRNZ;
	if (n->op == T_LXOR) {
		zero = lw_const(l, 0);
		uint32_t a = lw_op(l, IR_OP_SNE, lw_value(l, n->l), zero);
		return lw_op(l, IR_OP_XOR, a, lw_op(l, IR_OP_SNE, lw_value(l, n->r), zero));
	}
	uint32_t b1 = lw_branch(l, br, lw_value(l, n->l));
	uint32_t b2 = lw_branch(l, br, lw_value(l, n->r));
	set(l, r, n->op == T_LAND);
	uint32_t end = lw_branch(l, IR_OP_JMP, WIRE_NONE);
	lw_land(l, b1);
	lw_land(l, b2);
	set(l, r, n->op != T_LAND);
	lw_land(l, end);
	return r;
}

static enum ir_op plain_ir_op(enum d_tok_kind op, bool is_signed)
{
	switch (op) {
	case T_ADD: return IR_OP_ADD;
	case T_SUB: return IR_OP_SUB;
	case T_MUL: return IR_OP_MUL;
	case T_DIV: return is_signed ? IR_OP_SDIV : IR_OP_UDIV;
	case T_MOD: return is_signed ? IR_OP_SREM : IR_OP_UREM;
	case T_AND: return IR_OP_AND;
	case T_OR: return IR_OP_OR;
	case T_XOR: return IR_OP_XOR;
	case T_LSH: return IR_OP_SHL;
	default: return is_signed ? IR_OP_SAR : IR_OP_SHR;
	}
}

/* Both operands are of op_type already (a shift's count of its own).  As in DTrace, the result keeps 64 bits until it is
 * stored, cast or shown: 3600 * 1000000000 is a number of nanoseconds. */
uint32_t lw_arith(struct lw *l, struct d_node *n, enum d_tok_kind op, uint32_t a, uint32_t b)
{
	struct d_type *t = n->op_type;
	return lw_op(l, plain_ir_op(op, d_resolve(t)->is_signed), a, b);
}

static uint32_t lower_compare(struct lw *l, struct d_node *n)
{
	bool swap = n->op == T_GT || n->op == T_GE, u = false;
	uint32_t a, b;
	if (d_is_string(n->op_type)) {
		uint64_t args[2] = { lw_str(l, n->l), 0 };
		args[1] = lw_str(l, n->r);
		a = lw_call(l, IR_HELPER_str_cmp, args, 2);
		b = lw_const(l, 0);
	} else {
		a = lw_operand(l, n->l, n->op_type);
		b = lw_operand(l, n->r, n->op_type);
		u = !d_resolve(n->op_type)->is_signed;
	}
	if (swap) {
		uint32_t t = a;
		a = b;
		b = t;
	}
	switch (n->op) {
	case T_EQ: return lw_op(l, IR_OP_SEQ, a, b);
	case T_NE: return lw_op(l, IR_OP_SNE, a, b);
	case T_LT: case T_GT: return lw_op(l, u ? IR_OP_SULT : IR_OP_SLT, a, b);
	default: return lw_op(l, u ? IR_OP_SULE : IR_OP_SLE, a, b);
	}
}

static uint32_t scale(struct lw *l, uint32_t v, uint32_t size)
{
	return size == 1 ? v : lw_opk(l, IR_OP_MUL, v, size);
}

/* Pointer and integer, or two pointers; n->l and n->r are operands of @op. */
static uint32_t lower_ptr_arith(struct lw *l, struct d_node *n, enum d_tok_kind op, uint32_t a, uint32_t b)
{
	bool lp = !d_is_int(n->l->type), rp = !d_is_int(n->r->type);
	uint32_t size = d_is_string(lp ? n->l->type : n->r->type) ? 1 : step_of(lp ? n->l->type : n->r->type);
	if (lp && rp)
		return lw_opk(l, IR_OP_SDIV, lw_op(l, IR_OP_SUB, a, b), size);
	if (rp)
		return lw_op(l, IR_OP_ADD, scale(l, a, size), b);
	return lw_op(l, op == T_ADD ? IR_OP_ADD : IR_OP_SUB, a, scale(l, b, size));
}

/* A string and a number of characters. */
static uint32_t str_plus(struct lw *l, struct d_node *n)
{
	bool right = d_is_string(n->r->type);
	uint64_t args[3] = { lw_str(l, right ? n->r : n->l), lw_value(l, right ? n->l : n->r), 0 };
	if (n->op == T_SUB)
		args[1] = lw_op1(l, IR_OP_NEG, (uint32_t)args[1]);
	args[2] = lw_str_slot(l);
	return lw_call(l, IR_HELPER_str_plus, args, 3);
}

uint32_t lw_binary(struct lw *l, struct d_node *n)
{
	switch (n->op) {
	case T_LAND: case T_LOR: case T_LXOR:
		return lower_logical(l, n);
	case T_EQ: case T_NE: case T_LT: case T_LE: case T_GT: case T_GE:
		return lower_compare(l, n);
	case T_ADD: case T_SUB:
		if (d_is_string(n->type))
			return str_plus(l, n);
		if (!d_is_int(n->l->type) || !d_is_int(n->r->type)) {
			uint32_t a = lw_addr(l, n->l);
			return lower_ptr_arith(l, n, n->op, a, lw_addr(l, n->r));
		}
		break;
	default:
		break;
	}
	uint32_t a = lw_operand(l, n->l, n->op_type);
	bool shift = n->op == T_LSH || n->op == T_RSH;
	return lw_arith(l, n, n->op, a, shift ? lw_value(l, n->r) : lw_operand(l, n->r, n->op_type));
}

/* ---- assignment ---- */

static enum d_tok_kind plain_op(enum d_tok_kind op)
{
	static const enum d_tok_kind ops[] = { T_MUL, T_DIV, T_MOD, T_ADD, T_SUB, T_LSH, T_RSH, T_AND, T_XOR, T_OR };
	return ops[op - T_MUL_EQ];
}

static uint32_t lower_assign(struct lw *l, struct d_node *n)
{
	if (d_is_whole(n->type)) {
		struct lw_place p = lw_place_of(l, n->l);
		lw_assign_whole(l, &p, n->type, n->r);
		return lw_place_addr(l, &p);
	}
	if (n->op == T_ASGN) {
		/* The value first: in a[i] = f() a fault in f() stores nothing, and this->x = this->x + 1 reads the old one. */
		uint32_t v = lw_as(l, n->r, n->type);
		struct lw_place p = lw_place_of(l, n->l);
		return lw_store(l, &p, v, n->l);
	}
	enum d_tok_kind op = plain_op(n->op);
	struct lw_place p = lw_place_of(l, n->l);
	uint32_t old = lw_load(l, &p, n->l), v;
	if (!d_is_int(n->type)) {
		v = lower_ptr_arith(l, n, op, old, lw_value(l, n->r));
	} else {
		bool shift = op == T_LSH || op == T_RSH;
		uint32_t a = lw_convert(l, old, n->l->type, n->op_type);
		v = lw_arith(l, n, op, a, shift ? lw_value(l, n->r) : lw_operand(l, n->r, n->op_type));
		v = lw_narrow(l, lw_convert(l, v, n->op_type, n->type), n->type);
	}
	return lw_store(l, &p, v, n->l);
}

/* ---- the rest ---- */

static uint32_t lower_cond(struct lw *l, struct d_node *n)
{
	bool is_void = d_resolve(n->type)->kind == D_T_VOID;
	uint32_t r = ir_vreg(l->b), no = lw_branch(l, IR_OP_BRZ, lw_value(l, n->l));
	uint32_t v = is_void ? lw_value(l, n->r) : lw_as(l, n->r, n->type);
	if (!is_void)
		move(l, r, v);
	uint32_t end = lw_branch(l, IR_OP_JMP, WIRE_NONE);
	lw_land(l, no);
	v = is_void ? lw_value(l, n->third) : lw_as(l, n->third, n->type);
	if (!is_void)
		move(l, r, v);
	lw_land(l, end);
	return r;
}

static uint32_t lower_cast(struct lw *l, struct d_node *n)
{
	struct d_type *t = d_resolve(n->type);
	if (t->kind == D_T_VOID) {
		lw_value(l, n->l);
		return WIRE_NONE;
	}
	if (t->kind == D_T_STRING)
		return lw_str(l, n->l);
	return lw_as(l, n->l, n->type);
}

static uint32_t lower_ident(struct lw *l, struct d_node *n)
{
	struct d_var *v = n->var;
	if (v->kind == D_VAR_BUILTIN)
		return lw_builtin(l, n);
	if (v->kind == D_VAR_INLINE)
		return lw_as(l, v->init, v->type);
	if (v->kind == D_VAR_PARAM)
		return v->reg;
	if (v->kind == D_VAR_ENUMERATOR)
		return lw_const(l, v->val);
	struct lw_place p = lw_place_of(l, n);
	return lw_load(l, &p, n);
}

static uint32_t lower_index(struct lw *l, struct d_node *n)
{
	if (n->var && n->var->kind == D_VAR_BUILTIN)
		return lw_builtin(l, n);
	if (n->var && n->var->kind == D_VAR_INLINE)
		return lw_inline_index(l, n);
	if (!n->var && d_is_string(n->l->type)) {
		uint32_t i = lw_value(l, n->args);
		return str_index(l, n->l, i);
	}
	struct lw_place p = lw_place_of(l, n);
	return lw_load(l, &p, n);
}

uint32_t lw_value(struct lw *l, struct d_node *n)
{
	struct lw_place p;
	if (n->is_const && d_is_scalar(n->type))
		return lw_const(l, n->val);
	switch (n->kind) {
	case N_STR:
		return const_str(l, n);
	case N_IDENT:
		return lower_ident(l, n);
	case N_INDEX:
		return lower_index(l, n);
	case N_UNARY:
		return lower_unary(l, n);
	case N_BINARY:
		return lw_binary(l, n);
	case N_ASSIGN:
		return lower_assign(l, n);
	case N_COND:
		return lower_cond(l, n);
	case N_COMMA:
		lw_value(l, n->l);
		return lw_value(l, n->r);
	case N_CAST:
		return lower_cast(l, n);
	case N_STRINGOF:
		return lw_str(l, n->l);
	case N_MEMBER:
		if (n->xl_memb)
			return lw_xlated_member(l, n);
		p = lw_place_of(l, n);
		return lw_load(l, &p, n);
	case N_CALL:
		return lw_subr(l, n);
	default:
		return lw_unsup(l, n, "this expression");
	}
}

/* Its register may have more bits than its type. */
static bool is_wide(const struct d_node *n)
{
	switch (n->kind) {
	case N_BINARY:
		return n->op == T_ADD || n->op == T_SUB || n->op == T_MUL || n->op == T_DIV || n->op == T_LSH || !d_is_int(n->type) ||
		       d_resolve(n->type)->size < 4;
	case N_UNARY:
		return n->op == T_NEG || n->op == T_BNOT || n->op == T_PLUS;
	case N_COMMA:
		return is_wide(n->r);
	default:
		return false;
	}
}

uint32_t lw_operand(struct lw *l, struct d_node *n, struct d_type *t)
{
	if (n->is_const && d_is_scalar(n->type))
		return lw_const(l, d_convert(n->type, t, n->val));
	return lw_convert(l, lw_addr(l, n), n->type, t);
}

uint32_t lw_as(struct lw *l, struct d_node *n, struct d_type *t)
{
	if (d_is_string(t))
		return lw_str(l, n);
	if (n->is_const && d_is_scalar(n->type))
		return lw_const(l, d_canon(t, n->val));
	if (d_is_int(t) && !d_resolve(t)->is_bool && is_wide(n))
		return lw_narrow(l, lw_addr(l, n), t);
	return lw_operand(l, n, t);
}
