/* SPDX-License-Identifier: MIT */
/* Clauses to programs. */
#include "d/layout_int.h"
#include "d/lower_int.h"

#include <errno.h>
#include <stdlib.h>

/* ---- emitting ---- */

static uint32_t emit(struct lw *l, enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm, uint16_t aux)
{
	return ir_emit(l->b, op, dst, a, b, imm, aux);
}

uint32_t lw_const(struct lw *l, int64_t v)
{
	uint32_t r = ir_vreg(l->b);
	emit(l, IR_OP_CONST, r, WIRE_NONE, WIRE_NONE, v, 0);
	return r;
}

uint32_t lw_op(struct lw *l, enum ir_op op, uint32_t a, uint32_t b)
{
	uint32_t r = ir_vreg(l->b);
	emit(l, op, r, a, b, 0, 0);
	return r;
}

uint32_t lw_op1(struct lw *l, enum ir_op op, uint32_t a)
{
	return lw_op(l, op, a, WIRE_NONE);
}

uint32_t lw_opk(struct lw *l, enum ir_op op, uint32_t a, int64_t k)
{
	uint32_t b = lw_const(l, k);
	return lw_op(l, op, a, b);
}

uint32_t lw_branch(struct lw *l, enum ir_op op, uint32_t a)
{
	return emit(l, op, WIRE_NONE, a, WIRE_NONE, 0, 0);
}

void lw_land(struct lw *l, uint32_t insn)
{
	ir_patch_target(l->b, insn, ir_here(l->b));
}

uint32_t lw_call(struct lw *l, enum ir_helper h, const uint64_t *args, uint32_t cnt)
{
	uint32_t dst = ir_helper(h)->result == 'v' ? WIRE_NONE : ir_vreg(l->b);
	ir_emit_call(l->b, h, dst, args, cnt);
	return dst;
}

static uint32_t extend(struct lw *l, uint32_t v, uint32_t bytes, bool is_signed)
{
	uint32_t r = ir_vreg(l->b);
	emit(l, IR_OP_EXT, r, v, WIRE_NONE, 0, (uint16_t)(bytes * 8 | (is_signed ? IR_SIGNED : 0)));
	return r;
}

static void int_shape(struct d_type *t, uint32_t *bytes, bool *is_signed)
{
	t = d_resolve(t);
	*bytes = t->kind == D_T_INT || t->kind == D_T_ENUM ? t->size : 8;
	*is_signed = d_is_signed(t);
}

uint32_t lw_narrow(struct lw *l, uint32_t v, struct d_type *t)
{
	uint32_t bytes;
	bool is_signed;
	int_shape(t, &bytes, &is_signed);
	return bytes < 8 ? extend(l, v, bytes, is_signed) : v;
}

uint32_t lw_convert(struct lw *l, uint32_t v, struct d_type *from, struct d_type *to)
{
	uint32_t fb, tb;
	bool fs, ts;
	if (d_resolve(to)->is_bool && !d_resolve(from)->is_bool)
		return lw_opk(l, IR_OP_SNE, v, 0);
	int_shape(from, &fb, &fs);
	int_shape(to, &tb, &ts);
	if (tb == 8 || (fb == tb && fs == ts) || (fb < tb && (!fs || ts)))
		return v;
	return extend(l, v, tb, ts);
}

uint32_t lw_fault(struct lw *l, enum wire_fault kind, uint32_t value)
{
	uint32_t zero = lw_const(l, 0);
	uint32_t past = lw_branch(l, IR_OP_BRNZ, zero); /* never taken; so that what follows has a way to it */
	emit(l, IR_OP_FAULT, WIRE_NONE, value, WIRE_NONE, kind, 0);
	lw_land(l, past);
	return zero;
}

uint32_t lw_unsup(struct lw *l, const struct d_node *n, const char *what)
{
	d_error(l->c, n->at, "D_UNSUP", "%s is not supported by this version", what);
	return lw_const(l, 0);
}

/* ---- slots ---- */

uint32_t lw_str_slot(struct lw *l)
{
	if (l->str_used == l->str_cnt) {
		if (l->str_cnt == l->str_cap) {
			uint32_t cap = l->str_cap ? 2 * l->str_cap : 8, *s = d_alloc(l->c, cap * sizeof(*s));
			if (l->str_cnt)
				memcpy(s, l->strs, l->str_cnt * sizeof(*s));
			l->strs = s;
			l->str_cap = cap;
		}
		l->strs[l->str_cnt++] = ir_scratch(l->b, wire_str_bytes(l->c->opts.strsize));
	}
	return l->strs[l->str_used++];
}

static void grow_tuples(struct lw *l)
{
	uint32_t cap = l->tuple_cap ? 2 * l->tuple_cap : 8;
	struct lw_tuple *t = d_alloc(l->c, cap * sizeof(*t));
	if (l->tuple_cnt)
		memcpy(t, l->tuples, l->tuple_cnt * sizeof(*t));
	l->tuples = t;
	l->tuple_cap = cap;
}

uint32_t lw_tuple_slot(struct lw *l, uint32_t fixed, uint32_t bytes)
{
	for (uint32_t i = 0; i < l->tuple_cnt; i++) {
		struct lw_tuple *t = &l->tuples[i];
		if (!t->busy && t->fixed == fixed && t->bytes == bytes) {
			t->busy = true;
			return t->off;
		}
	}
	if (l->tuple_cnt == l->tuple_cap)
		grow_tuples(l);
	l->tuples[l->tuple_cnt] = (struct lw_tuple){ ir_scratch(l->b, bytes), fixed, bytes, true };
	return l->tuples[l->tuple_cnt++].off;
}

void lw_end_stmt(struct lw *l)
{
	l->str_used = 0;
	for (uint32_t i = 0; i < l->tuple_cnt; i++)
		l->tuples[i].busy = false;
}

/* ---- statements ---- */

static void lower_list(struct lw *l, struct d_node *list);

static void lower_branch(struct lw *l, struct d_node *list, int guard)
{
	if (guard >= 0) {
		uint32_t bit = lw_const(l, (int64_t)(1ULL << guard));
		emit(l, IR_OP_OR, l->mask, l->mask, bit, 0, 0);
	}
	lower_list(l, list);
}

static void lower_if(struct lw *l, struct d_node *n)
{
	uint32_t skip = lw_branch(l, IR_OP_BRZ, lw_value(l, n->l));
	lw_end_stmt(l);
	lower_branch(l, n->r, n->guard);
	if (!n->third) {
		lw_land(l, skip);
		return;
	}
	uint32_t end = lw_branch(l, IR_OP_JMP, WIRE_NONE);
	lw_land(l, skip);
	lower_branch(l, n->third, n->else_guard);
	lw_land(l, end);
}

static uint32_t stmt_cnt(const struct d_node *list)
{
	uint32_t n = 0;
	for (; list; list = list->next)
		n += list->kind == N_IF ? stmt_cnt(list->r) + stmt_cnt(list->third) : 1;
	return n;
}

static void note_stmt(struct lw *l, struct d_place at)
{
	l->stmts->at[l->stmts->cnt++] = at;
}

static void lower_stmt(struct lw *l, struct d_node *n)
{
	if (n->kind == N_IF) {
		lower_if(l, n);
		return;
	}
	note_stmt(l, n->at);
	emit(l, IR_OP_ACTION, WIRE_NONE, WIRE_NONE, WIRE_NONE, ++l->action, 0);
	if (n->l->kind == N_ASSIGN && n->l->l->kind == N_AGG)
		lw_agg_stmt(l, n->l);
	else if (d_is_action(n))
		lw_action(l, n->l);
	else
		lw_value(l, n->l);
	lw_end_stmt(l);
}

static void lower_list(struct lw *l, struct d_node *list)
{
	for (; list; list = list->next)
		lower_stmt(l, list);
}

/* An aggregation's instruction has 16 bits for its slot: these come first. */
static void reserve_agg_slots(struct lw *l, struct d_node *list)
{
	for (; list; list = list->next) {
		if (list->kind == N_IF) {
			reserve_agg_slots(l, list->r);
			reserve_agg_slots(l, list->third);
		} else if (list->l->kind == N_ASSIGN && list->l->l->kind == N_AGG) {
			lw_agg_slot(l, list->l->l->agg);
			lw_end_stmt(l);
		}
	}
}

static void lower_body(struct lw *l, struct d_node *n, const struct d_rec_layout *r)
{
	if (r->has_data) {
		ir_set_rec_bytes(l->b, r->fixed + r->tail);
		emit(l, IR_OP_REC, WIRE_NONE, WIRE_NONE, WIRE_NONE, r->fixed + r->tail, (uint16_t)r->fixed);
	}
	if (r->has_data && l->pc->pid_off != WIRE_NONE)
		emit(l, IR_OP_STR, WIRE_NONE, lw_env(l, WIRE_ENV_PID), WIRE_NONE, l->pc->pid_off, 8);
	if (r->guard_cnt)
		l->mask = lw_const(l, 0);
	lower_list(l, n->r);
	if (r->guard_cnt)
		emit(l, IR_OP_STR, WIRE_NONE, l->mask, WIRE_NONE, l->pc->mask_off, 8);
	if (r->has_data)
		emit(l, IR_OP_COMMIT, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	emit(l, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	if (l->skip == WIRE_NONE)
		return;
	lw_land(l, l->skip); /* the record is void */
	emit(l, IR_OP_COMMIT, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	emit(l, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
}

static void lower_clause(struct d_compiler *c, struct d_node *n)
{
	struct plan_clause *pc = &c->prog.plan.clauses[n->clause];
	struct d_rec_layout r = { .c = c, .pc = pc };
	d_layout_clause(&r, n);
	if (r.failed)
		return;
	c->builder = ir_builder_create(n->clause);
	if (!c->builder)
		d_oom(c);
	struct lw l = { .c = c, .b = c->builder, .pc = pc, .mask = WIRE_NONE, .skip = WIRE_NONE,
			.stmts = &c->stmts[n->clause] };
	l.stmts->at = d_alloc(c, (stmt_cnt(n->r) + 1) * sizeof(*l.stmts->at));
	note_stmt(&l, n->l ? n->l->at : n->at);
	ir_scratch(l.b, c->prog.image.this_bytes);
	reserve_agg_slots(&l, n->r);
	uint32_t skip = WIRE_NONE;
	if (n->l)
		skip = lw_branch(&l, IR_OP_BRZ, lw_value(&l, n->l));
	lw_end_stmt(&l);
	lower_body(&l, n, &r);
	if (n->l) {
		lw_land(&l, skip);
		emit(&l, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	}
	int rc = ir_builder_finish(c->builder, &c->prog.image.progs[n->clause]);
	c->prog.image.progs[n->clause].clause = n->clause;
	ir_builder_destroy(c->builder);
	c->builder = NULL;
	if (rc)
		d_oom(c);
}

static void verify_clause(struct d_compiler *c, const struct d_node *n)
{
	struct err e = { 0 };
	int rc = ir_prog_verify(&c->prog.image.progs[n->clause], &c->prog.image, &e);
	if (rc == -ENOMEM)
		d_oom(c);
	if (rc)
		d_error(c, n->at, "D_LIMIT", "the clause cannot run: %s", e.msg);
}

void d_lower_program(struct d_compiler *c)
{
	struct ir_image *img = &c->prog.image;
	img->strsize = c->opts.strsize;
	img->progs = calloc(c->clause_cnt ? c->clause_cnt : 1, sizeof(*img->progs));
	c->prog.plan.clauses = calloc(c->clause_cnt ? c->clause_cnt : 1, sizeof(*c->prog.plan.clauses));
	c->stmts = d_alloc(c, c->clause_cnt * sizeof(*c->stmts));
	if (!img->progs || !c->prog.plan.clauses || ir_image_intern(img, "", 0) == WIRE_NONE)
		d_oom(c);
	d_map_put(c, &c->strs, d_intern(c, "", 0), (void *)(uintptr_t)1);
	img->prog_cnt = c->prog.plan.clause_cnt = c->clause_cnt;
	for (struct d_node *n = c->tops; n; n = n->next)
		if (n->kind == N_CLAUSE)
			lower_clause(c, n);
	for (struct d_node *n = c->tops; n && !c->err_cnt; n = n->next)
		if (n->kind == N_CLAUSE)
			verify_clause(c, n);
}
