/* SPDX-License-Identifier: MIT */
/* Subroutines, actions and aggregations. */
#include "d/check_int.h"
#include "d/lower_int.h"

/* What an argument that was left out is. */
static int64_t default_arg(enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_lltostr:
	case IR_HELPER_strtoll:
		return 10;
	case IR_HELPER_substr:
	case IR_HELPER_rindex:
		return INT64_MAX;
	default:
		return 0;
	}
}

/* The constant that a helper has as argument @i. */
static uint64_t const_arg(struct lw *l, const struct d_node *n, enum ir_helper h)
{
	if (h == IR_HELPER_strtok)
		return d_var_find(l->c, D_SELF, d_strtok_var(l->c))->off;
	if (h == IR_HELPER_kpath)
		return strcmp(n->func->name, "d_path") != 0;
	return d_resolve(n->type)->size; /* of bswap: the width */
}

static uint32_t lower_inline(struct lw *l, struct d_node *n)
{
	uint32_t v = lw_addr(l, n->args);
	switch ((enum d_inline)n->func->what) {
	case D_I_GETMAJOR: /* MAJOR() of linux/kdev_t.h */
		return lw_opk(l, IR_OP_SHR, lw_narrow(l, v, l->c->t.uint), 20);
	case D_I_GETMINOR:
		return lw_opk(l, IR_OP_AND, v, 0xfffff);
	case D_I_KERNEL:
		return lw_fault(l, WIRE_FAULT_KPRIV, v);
	}
	return v;
}

/* The size that copyinstr() is given counts the NUL, and is at most strsize; the helper counts characters. */
static uint32_t copyinstr_max(struct lw *l, const struct d_node *n, uint32_t max)
{
	if (!n->is_const)
		return lw_op(l, IR_OP_SUB, max, lw_op(l, IR_OP_SULT, lw_const(l, 1), max));
	uint64_t m = (uint64_t)n->val < l->c->opts.strsize ? (uint64_t)n->val : l->c->opts.strsize;
	return m > 1 ? lw_const(l, (int64_t)m - 1) : max;
}

uint32_t lw_subr(struct lw *l, struct d_node *n)
{
	enum ir_helper h = (enum ir_helper)n->func->what;
	if (n->func->kind == D_F_INLINE)
		return lower_inline(l, n);
	if (n->func->kind != D_F_SUBR)
		return lw_unsup(l, n, "this action inside of an expression");
	const struct ir_helper_desc *d = ir_helper(h);
	uint64_t args[8];
	uint32_t cnt = 0;
	struct d_node *a = n->args;
	for (const char *letter = d->args; *letter; letter++) {
		if (*letter == 'D' || *letter == 'k') {
			args[cnt++] = *letter == 'D' ? lw_str_slot(l) : const_arg(l, n, h);
			continue;
		}
		if (!a)
			args[cnt++] = lw_const(l, default_arg(h));
		else
			args[cnt++] = *letter == 's' ? lw_str(l, a) : lw_addr(l, a);
		a = a ? a->next : NULL;
	}
	if (h == IR_HELPER_copyinstr && n->args->next)
		args[1] = copyinstr_max(l, n->args->next, (uint32_t)args[1]);
	uint32_t v = lw_call(l, h, args, cnt);
	return v != WIRE_NONE && d_is_int(n->type) ? lw_narrow(l, v, n->type) : v;
}

/* ---- records ---- */

static void put(struct lw *l, const struct plan_val *v, uint32_t reg)
{
	ir_emit(l->b, IR_OP_STR, WIRE_NONE, reg, WIRE_NONE, v->off, 8);
}

static void put_mem(struct lw *l, const struct plan_val *v, uint32_t addr, uint32_t bytes)
{
	uint64_t args[] = { v->off, addr, lw_const(l, bytes), bytes };
	lw_call(l, IR_HELPER_rec_mem, args, 4);
}

static void put_node(struct lw *l, const struct plan_val *v, struct d_node *n)
{
	if (v->kind >= PLAN_TIME)
		return;
	if (v->kind == PLAN_USTACK && n->func->what == D_A_STACK) {
		uint64_t args[] = { v->off, v->depth };
		lw_call(l, IR_HELPER_rec_kstack, args, 2);
	} else if (v->kind == PLAN_USTACK) {
		uint64_t args[] = { v->off, v->depth, v->strbytes };
		lw_call(l, IR_HELPER_rec_ustack, args, 3);
	} else if (v->kind >= PLAN_USYM && v->kind <= PLAN_KMOD) {
		put(l, v, lw_addr(l, n->args));
	} else if (v->kind == PLAN_BYTES) {
		put_mem(l, v, lw_addr(l, n), d_resolve(n->type)->size);
	} else if (v->kind == PLAN_STR && !v->sref) {
		uint64_t args[] = { v->off, lw_str(l, n) };
		lw_call(l, IR_HELPER_rec_str, args, 2);
	} else {
		put(l, v, v->kind == PLAN_STR ? lw_str(l, n) : d_is_int(n->type) ? lw_as(l, n, n->type) : lw_addr(l, n));
	}
}

static void put_list(struct lw *l, const struct plan_act *act, struct d_node *n)
{
	for (uint32_t i = 0; n && i < act->val_cnt; n = n->next, i++)
		put_node(l, &act->vals[i], n);
}

static void lower_exit(struct lw *l, const struct plan_act *act, struct d_node *n)
{
	uint32_t v = lw_as(l, n->args, l->c->t.int_);
	uint64_t arg = v;
	put(l, &act->vals[0], v);
	lw_call(l, IR_HELPER_exit, &arg, 1);
}

static void lower_tracemem(struct lw *l, const struct plan_act *act, struct d_node *n)
{
	struct d_node *size = n->args->next;
	put_mem(l, &act->vals[0], lw_addr(l, n->args), (uint32_t)size->val);
	if (size->next)
		put(l, &act->vals[1], lw_as(l, size->next, l->c->t.long_));
}

static void lower_print(struct lw *l, const struct plan_act *act, struct d_node *n)
{
	uint32_t addr = lw_addr(l, n->args);
	put(l, &act->vals[0], addr);
	put_mem(l, &act->vals[1], addr, d_print_bytes(n));
}

static void lower_speculate(struct lw *l, struct d_node *n)
{
	uint64_t args[] = { lw_as(l, n->args, l->c->t.int_), l->pc->spec_bytes };
	uint32_t token = lw_call(l, IR_HELPER_speculate, args, 2);
	l->skip = lw_branch(l, IR_OP_BRZ, token);
	ir_emit(l->b, IR_OP_STR, WIRE_NONE, token, WIRE_NONE, l->pc->spec_off, 8);
}

/* Actions that are nothing but a call of a helper; the result of commit() and discard() is recorded. */
static void lower_helper(struct lw *l, const struct plan_act *act, struct d_node *n, enum ir_helper h)
{
	uint64_t arg = n->args ? lw_as(l, n->args, l->c->t.long_) : 0;
	uint32_t v = lw_call(l, h, &arg, n->args ? 1 : 0);
	if (v != WIRE_NONE)
		put(l, &act->vals[0], v);
}

void lw_action(struct lw *l, struct d_node *n)
{
	const struct plan_act *act = l->pc->acts ? &l->pc->acts[n->act] : NULL; /* some clauses have none */
	switch ((enum d_action)n->func->what) {
	case D_A_PRINTF: case D_A_SYSTEM: case D_A_FREOPEN:
		put_list(l, act, n->args->next);
		break;
	case D_A_TRACE: case D_A_SETOPT:
		put_list(l, act, n->args);
		break;
	case D_A_TRACEMEM:
		lower_tracemem(l, act, n);
		break;
	case D_A_PRINT:
		lower_print(l, act, n);
		break;
	case D_A_SPECULATE:
		lower_speculate(l, n);
		break;
	case D_A_COMMIT:
		lower_helper(l, act, n, IR_HELPER_commit);
		break;
	case D_A_DISCARD:
		lower_helper(l, act, n, IR_HELPER_discard);
		break;
	case D_A_RAISE:
		lower_helper(l, act, n, IR_HELPER_raise);
		break;
	case D_A_STOP:
		lower_helper(l, act, n, IR_HELPER_stop);
		break;
	case D_A_CHILL:
		lower_helper(l, act, n, IR_HELPER_chill);
		break;
	case D_A_KERNEL:
		lw_fault(l, WIRE_FAULT_KPRIV, lw_const(l, 0));
		break;
	case D_A_USTACK: case D_A_USYM: case D_A_UADDR: case D_A_UMOD: case D_A_UFUNC:
	case D_A_STACK: case D_A_SYM: case D_A_MOD:
		put_node(l, &act->vals[0], n);
		break;
	case D_A_EXIT:
		lower_exit(l, act, n);
		break;
	case D_A_TRUNC: case D_A_NORMALIZE:
		if (act->val_cnt)
			put(l, &act->vals[0], lw_as(l, n->args->next, l->c->t.long_));
		break;
	default:
		break;
	}
}

/* ---- aggregations ---- */

uint32_t lw_agg_slot(struct lw *l, const struct d_agg *a)
{
	if (!a->fixed_bytes)
		return IR_NO_TUPLE;
	return lw_tuple_slot(l, a->fixed_bytes, (uint32_t)sizeof(struct wire_tuple) + a->fixed_bytes + a->tail_bytes);
}

/* @w times the hits that this one stands for. */
static uint32_t weighed(struct lw *l, uint32_t w)
{
	uint32_t hits = ir_vreg(l->b);
	ir_emit(l->b, IR_OP_ENV, hits, WIRE_NONE, WIRE_NONE, WIRE_ENV_WEIGHT, 0);
	if (w == WIRE_NONE)
		return hits;
	uint32_t v = ir_vreg(l->b);
	ir_emit(l->b, IR_OP_MUL, v, w, hits, 0, 0);
	return v;
}

void lw_agg_stmt(struct lw *l, struct d_node *n)
{
	struct d_agg *agg = n->l->agg;
	struct d_node *val = n->r->args, *weight = val;
	uint32_t skip = agg->fn->what == WIRE_AGG_LQUANTIZE ? 4 : agg->fn->what == WIRE_AGG_LLQUANTIZE ? 5 : 1;
	uint32_t v = val ? lw_addr(l, val) : lw_const(l, 1), w = WIRE_NONE;
	for (uint32_t i = 0; weight && i < skip; i++)
		weight = weight->next;
	if (weight)
		w = lw_as(l, weight, l->c->t.long_);
	if (l->c->opts.weighs && agg->fn->what != WIRE_AGG_MIN && agg->fn->what != WIRE_AGG_MAX)
		w = weighed(l, w);
	uint32_t slot = lw_agg_slot(l, agg);
	if (slot > IR_NO_TUPLE) {
		d_error(l->c, n->at, "D_LIMIT", "the clause needs too much memory for the keys of its "
			"aggregations: split it");
		return;
	}
	if (slot != IR_NO_TUPLE)
		lw_key_tuple(l, n->l->args, agg->keys, slot, agg);
	ir_emit(l->b, IR_OP_AGG, WIRE_NONE, v, w, agg->id, (uint16_t)slot);
}
