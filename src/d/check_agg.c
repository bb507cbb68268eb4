/* SPDX-License-Identifier: MIT */
/* Aggregations: one function and one signature of keys for each name. */
#include "d/check_int.h"
#include "d/layout_int.h"

struct d_agg *d_agg_get(struct d_compiler *c, const char *name, struct d_place at)
{
	struct d_agg *a = d_map_get(&c->aggs, name);
	if (a)
		return a;
	a = d_alloc(c, sizeof(*a));
	*a = (struct d_agg){ .name = name, .at = at, .id = c->agg_cnt++ };
	d_map_put(c, &c->aggs, name, a);
	*c->agg_tail = a;
	c->agg_tail = &a->next;
	return a;
}

void d_check_agg_ref(struct d_compiler *c, struct d_node *n)
{
	n->type = c->t.agg;
	n->agg = d_map_get(&c->aggs, n->str);
	for (struct d_node *a = n->args; a; a = a->next)
		d_check_expr(c, a);
	if (!n->agg && !n->args) {
		d_error_hint(c, n->at, "D_IDENT_UNDEF", d_near_agg(c, n->str), "failed to resolve @%s: Unknown variable name",
			n->str);
		n->type = c->t.err;
	}
}

/* ---- parameters of lquantize and llquantize ---- */

struct param {
	const char *type_tag, *val_tag, *match_tag, *name, *what;
	int64_t min, max;
};

static const struct param lq_params[] = {
	{ "D_LQUANT_BASETYPE", "D_LQUANT_BASEVAL", "D_LQUANT_MATCHBASE", "base", "a 32-bit quantity", INT32_MIN, INT32_MAX },
	{ "D_LQUANT_LIMTYPE", "D_LQUANT_LIMVAL", "D_LQUANT_MATCHLIM", "limit", "a 32-bit quantity", INT32_MIN, INT32_MAX },
	{ "D_LQUANT_STEPTYPE", "D_LQUANT_STEPVAL", "D_LQUANT_MATCHSTEP", "step", "a 16-bit quantity", 1, UINT16_MAX },
};
static const struct param llq_params[] = {
	{ "D_LLQUANT_FACTORTYPE", "D_LLQUANT_FACTORVAL", "D_LLQUANT_MATCHFACTOR", "factor", "an unsigned 16-bit quantity "
	  "greater than or equal to 2", 2, UINT16_MAX },
	{ "D_LLQUANT_LMAGTYPE", "D_LLQUANT_LMAGVAL", "D_LLQUANT_MATCHLMAG", "lmag", "an unsigned 16-bit quantity", 0,
	  UINT16_MAX },
	{ "D_LLQUANT_HMAGTYPE", "D_LLQUANT_HMAGVAL", "D_LLQUANT_MATCHHMAG", "hmag", "an unsigned 16-bit quantity", 0,
	  UINT16_MAX },
	{ "D_LLQUANT_STEPTYPE", "D_LLQUANT_STEPVAL", "D_LLQUANT_MATCHSTEPS", "steps", "an unsigned 16-bit quantity", 1,
	  UINT16_MAX },
};

/* The constants behind the first argument, which messages do not count. False where one is wrong. */
static bool read_params(struct d_compiler *c, struct d_node *call, const struct param *params, uint32_t cnt,
	int64_t *vals)
{
	struct d_node *a = call->args->next;
	for (uint32_t i = 0; i < cnt && a; i++, a = a->next) {
		if (i == 2 && params == lq_params && vals[0] >= vals[1])
			return true; /* lquantize_ok() says so */
		if (!a->is_const || !d_is_int(a->type) || (params[i].min == 1 && a->val <= 0)) {
			d_error(c, a->at, params[i].type_tag, "%s( ) argument #%u must be a%s integer constant",
				call->str, i + 1,
				params[i].min == 1 ? " non-zero positive" : "n");
			return false;
		}
		if (a->val < params[i].min || a->val > params[i].max) {
			d_error(c, a->at, params[i].val_tag, "%s( ) argument #%u must be %s", call->str, i + 1,
				params[i].what);
			return false;
		}
		vals[i] = a->val;
	}
	return true;
}

static bool lquantize_ok(struct d_compiler *c, struct d_node *call, const int64_t *v)
{
	int64_t levels = (v[1] - v[0]) / v[2];
	if (v[0] >= v[1])
		d_error(c, call->at, "D_LQUANT_MISMATCH", "lquantize( ) base (argument #1) must be less than limit "
			"(argument #2)");
	else if (!levels)
		d_error(c, call->at, "D_LQUANT_STEPLARGE", "lquantize( ) step (argument #3) too large: must have at least "
			"one quantization level");
	else if (levels > UINT16_MAX - 2)
		d_error(c, call->at, "D_LQUANT_STEPSMALL", "lquantize( ) step (argument #3) too small: number of "
			"quantization levels must be a 16-bit quantity");
	else
		return true;
	return false;
}

static bool powers_fit(int64_t factor, int64_t high)
{
	uint64_t p = 1;
	for (int64_t i = 0; i <= high; i++)
		if (__builtin_mul_overflow(p, (uint64_t)factor, &p))
			return false;
	return true;
}

static const char *bad_steps(const int64_t *v)
{
	int64_t factor = v[0], low = v[1], steps = v[3], p = factor;
	if (steps < factor)
		return factor % steps ? "evenly divide argument #1 (factor) when steps<factor" : NULL;
	if (steps % factor)
		return "be a multiple of argument #1 (factor) when steps>factor";
	for (int64_t i = 0; i < (low ? low : 1) && p < INT32_MAX; i++)
		p *= factor;
	if (steps == factor || !(p % steps))
		return NULL;
	return low ? "evenly divide pow(argument #1 (factor), lmag (argument #2) + 1) when steps>factor and lmag>0" :
		"evenly divide the square of argument #1 (factor) when steps>factor and lmag==0";
}

static bool llquantize_ok(struct d_compiler *c, struct d_node *call, const int64_t *v)
{
	const char *why;
	if (v[2] < v[1])
		d_error(c, call->at, "D_LLQUANT_HMAGVAL", "llquantize( ) argument #3 (high magnitude) must be at least "
			"argument #2 (low magnitude)");
	else if (!powers_fit(v[0], v[2]))
		d_error(c, call->at, "D_LLQUANT_HMAGVAL", "llquantize( ) argument #3 (high magnitude) will cause overflow "
			"of 64 bits");
	else if ((why = bad_steps(v)))
		d_error(c, call->at, "D_LLQUANT_STEPVAL", "llquantize() argument #4 (steps) must %s", why);
	else
		return true;
	return false;
}

static void set_desc(struct d_agg *agg, enum wire_agg_fn fn, const int64_t *v)
{
	struct wire_agg *w = &agg->desc;
	w->fn = fn;
	if (fn == WIRE_AGG_LQUANTIZE) {
		w->base = v[0];
		w->limit = v[1];
		w->step = v[2];
	} else if (fn == WIRE_AGG_LLQUANTIZE) {
		w->ll_factor = (uint32_t)v[0];
		w->ll_low = (uint32_t)v[1];
		w->ll_high = (uint32_t)v[2];
		w->ll_steps = (uint32_t)v[3];
	}
	w->val_cnt = ir_agg_words(w);
}

static int64_t last_level(const int64_t *v)
{
	return v[0] + (v[1] - v[0]) / v[2] * v[2];
}

static void check_match(struct d_compiler *c, struct d_node *call, const struct d_agg *agg, const struct param *params,
			uint32_t cnt, int64_t *vals)
{
	int64_t old[4];
	memcpy(old, agg->params, sizeof(old));
	if (params == lq_params) { /* what counts is where the last level ends */
		old[1] = last_level(old);
		vals[1] = last_level(vals);
	}
	for (uint32_t i = 0; i < cnt; i++)
		if (old[i] != vals[i]) {
			d_error(c, call->at, params[i].match_tag, "%s %s (argument #%u) doesn't match previous declaration: "
				"expected %lld, found %lld", params == lq_params ? "lquantize( )" : "llquantize()", params[i].name, i + 1,
				(long long)old[i], (long long)vals[i]);
			return;
		}
}

/* ---- @a[k] = f(x) ---- */

static void check_value(struct d_compiler *c, struct d_node *call, uint32_t param_cnt)
{
	struct d_node *v = call->args, *w = v;
	if (!v || d_bad(v))
		return;
	if (!d_is_scalar(v->type) || v->is_act) {
		d_error(c, d_arg_at(call, v), "D_AGG_SCALAR", "%s( ) argument #1 must be of scalar type", call->str);
		return;
	}
	for (uint32_t i = 0; w && i <= param_cnt; i++)
		w = w->next;
	if (w && !d_bad(w) && !d_is_int(w->type))
		d_error(c, w->at, "D_PROTO_ARG", "%s( ) increment value (argument #%u) must be of scalar type",
			call->str, param_cnt + 2);
}

static bool check_fn(struct d_compiler *c, struct d_node *n, struct d_agg *agg, const struct d_func *f)
{
	int64_t vals[4] = { 0, 0, 1, 0 };
	const struct param *params = f->what == WIRE_AGG_LQUANTIZE ? lq_params : llq_params;
	uint32_t cnt = f->what == WIRE_AGG_LQUANTIZE ? 3 : f->what == WIRE_AGG_LLQUANTIZE ? 4 : 0;
	check_value(c, n->r, cnt);
	if (cnt && !read_params(c, n->r, params, cnt, vals))
		return false;
	if (f->what == WIRE_AGG_LQUANTIZE && !lquantize_ok(c, n->r, vals))
		return false;
	if (f->what == WIRE_AGG_LLQUANTIZE && !llquantize_ok(c, n->r, vals))
		return false;
	if (agg->fn && agg->fn != f) {
		d_error_hint(c, n->at, "D_AGG_REDEF", D_OTHER_AGG, "aggregation redefined: @%s\n\t current: @%s = %s( "
			")\n\tprevious: @%s = %s( ) : line %u",
			agg->name, agg->name, f->name, agg->name, agg->fn->name, agg->at.line);
		return false;
	}
	if (agg->fn) {
		check_match(c, n->r, agg, params, cnt, vals);
		return true;
	}
	agg->fn = f;
	agg->at = n->at;
	memcpy(agg->params, vals, sizeof(vals));
	set_desc(agg, (enum wire_agg_fn)f->what, vals);
	if (!agg->desc.val_cnt)
		d_error(c, n->r->at, f->what == WIRE_AGG_LQUANTIZE ? "D_LQUANT_STEPSMALL" : "D_LLQUANT_STEPVAL",
			"%s( ) with these parameters has too many levels", f->name);
	struct d_type *t = n->r->args ? d_resolve(n->r->args->type) : NULL;
	agg->is_signed = t && t->is_signed;
	return true;
}

static void note_keys(struct d_compiler *c, struct d_node *l, struct d_agg *agg)
{
	uint32_t i = 0;
	for (struct d_node *a = l->args; a && i < agg->key_cnt; a = a->next, i++) {
		uint32_t depth = a->type->kind == D_T_STACK ? d_stack_frames(c, a) : 0;
		agg->keys[i].mixed |= !d_is_interned(c, a);
		if (depth > agg->keys[i].depth)
			agg->keys[i].depth = depth;
	}
}

void d_check_agg_stmt(struct d_compiler *c, struct d_node *n)
{
	const struct d_func *f = n->r->kind == N_CALL ? d_func_find(c, n->r->str) : NULL;
	n->type = n->l->type = c->t.void_;
	if (!f || f->kind != D_F_AGG || n->op != T_ASGN) {
		if (!f || f->kind != D_F_AGG)
			d_check_expr(c, n->r);
		if ((f && f->kind == D_F_AGG) || !d_bad(n->r))
			d_error(c, n->at, "D_AGG_FUNC", "@%s must be assigned the result of an aggregating "
				"function", n->l->str);
		return;
	}
	n->r->func = f;
	n->r->type = c->t.void_;
	d_check_order(c, n, f);
	d_check_args(c, n->r, f, f->args);
	struct d_agg *agg = d_agg_get(c, n->l->str, n->at);
	n->l->agg = agg;
	if (!agg->keys_known && !n->l->args)
		agg->keys_known = true;
	d_check_keys(c, n->l, &agg->keys, &agg->key_cnt, &agg->keys_known, true);
	note_keys(c, n->l, agg);
	if (!d_bad(n->r))
		check_fn(c, n, agg, f);
}
