/* SPDX-License-Identifier: MIT */
/*
 * Structures, unions, arrays and floating-point numbers are handled by their
 * address: in the traced process, in alloca memory, or in the areas of
 * variables.  An element of an associative array that is one is copied to a
 * place among the this-> variables first, and back when it changes.
 */
#include "d/check_int.h"
#include "d/lower_int.h"

uint32_t lw_place_addr(struct lw *l, const struct lw_place *p)
{
	static const uint32_t areas[] = { [LW_GLOBAL] = WIRE_AREA_GLOBAL, [LW_SELF] = WIRE_AREA_SELF, [LW_THIS] = WIRE_AREA_THIS };
	if (p->kind == LW_MEM)
		return p->off ? lw_opk(l, IR_OP_ADD, p->addr, p->off) : p->addr;
	if (p->kind == LW_BAD || p->kind == LW_DYN)
		return lw_const(l, 0);
	uint64_t args[] = { areas[p->kind], (uint64_t)p->off };
	return lw_call(l, IR_HELPER_var_addr, args, 2);
}

struct lw_place lw_in_memory(struct lw *l, const struct lw_place *p)
{
	struct lw_place to = *p;
	if (p->kind == LW_MEM || p->kind == LW_BAD)
		return to;
	to.addr = lw_place_addr(l, p);
	to.kind = LW_MEM;
	to.off = 0;
	return to;
}

static void dyn_mem(struct lw *l, enum ir_helper h, const struct d_var *v, uint32_t tuple, uint32_t addr)
{
	uint64_t args[] = { v->id, (v->scope == D_SELF) + 2ul * d_resolve(v->type)->size, tuple, addr };
	lw_call(l, h, args, h == IR_HELPER_dyn_clear ? 3 : 4);
}

void lw_put_back(struct lw *l, const struct lw_place *p)
{
	if (p->back)
		dyn_mem(l, IR_HELPER_dyn_mem_store, p->back, p->back_tuple, p->back_addr);
}

struct lw_place lw_element(struct lw *l, const struct lw_place *dyn, const struct d_node *n)
{
	struct lw_place at = { .kind = LW_THIS, .off = n->whole + l->c->this_vars, .addr = WIRE_NONE };
	at = lw_in_memory(l, &at);
	at.back = dyn->var;
	at.back_tuple = dyn->tuple;
	at.back_addr = at.addr;
	dyn_mem(l, IR_HELPER_dyn_mem_load, dyn->var, dyn->tuple, at.addr);
	return at;
}

static void copy(struct lw *l, uint32_t from, uint32_t to, uint32_t bytes)
{
	uint64_t args[] = { from, to, bytes };
	lw_call(l, IR_HELPER_var_copy, args, 3);
}

static void zero(struct lw *l, uint32_t at, uint32_t bytes)
{
	uint64_t args[] = { at, bytes };
	lw_call(l, IR_HELPER_var_zero, args, 2);
}

/* 0 stands for all zeros, and deletes an element. */
void lw_assign_whole(struct lw *l, const struct lw_place *to, struct d_type *t, struct d_node *from)
{
	uint32_t bytes = d_resolve(t)->size, addr;
	if (from->type->kind == D_T_XLATED) {
		lw_assign_xlated(l, to, from);
		return;
	}
	if (to->back && d_is_null(from)) {
		dyn_mem(l, IR_HELPER_dyn_clear, to->back, to->back_tuple, WIRE_NONE);
		return;
	}
	addr = d_is_null(from) ? WIRE_NONE : lw_value(l, from);
	if (addr == WIRE_NONE)
		zero(l, lw_place_addr(l, to), bytes);
	else
		copy(l, addr, lw_place_addr(l, to), bytes);
	lw_put_back(l, to);
}

/* ---- bit-fields ---- */

static uint32_t extract(struct lw *l, uint32_t v, uint32_t bit_off, const struct d_member *m)
{
	struct d_type *t = d_resolve(m->type);
	bool is_signed = t->kind == D_T_ENUM || t->is_signed;
	v = lw_opk(l, IR_OP_SHL, v, 64 - bit_off - m->bits);
	return lw_opk(l, is_signed ? IR_OP_SAR : IR_OP_SHR, v, 64 - m->bits);
}

static uint32_t unit_of(const struct d_member *m)
{
	return d_resolve(m->type)->size;
}

uint32_t lw_load_bits(struct lw *l, const struct lw_place *p, const struct d_member *m)
{
	return extract(l, lw_load_int(l, p, unit_of(m), false), m->bit_off, m);
}

uint32_t lw_store_bits(struct lw *l, const struct lw_place *p, const struct d_member *m, uint32_t v)
{
	uint64_t mask = (m->bits == 64 ? ~0ULL : (1ULL << m->bits) - 1) << m->bit_off;
	uint32_t old = lw_opk(l, IR_OP_AND, lw_load_int(l, p, unit_of(m), false), (int64_t)~mask);
	uint32_t in = lw_opk(l, IR_OP_AND, lw_opk(l, IR_OP_SHL, v, m->bit_off), (int64_t)mask);
	lw_store_int(l, p, unit_of(m), lw_op(l, IR_OP_OR, old, in));
	return extract(l, v, 0, m);
}
