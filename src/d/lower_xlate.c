/* SPDX-License-Identifier: MIT */
/* Translated members, and inlines with parameters: their expressions in place, with what is given in registers. */
#include "d/check_int.h"
#include "d/lower_int.h"

#define EXPAND_MAX 64 /* inside each other: a translator can use itself */

static uint32_t bind(struct lw *l, struct d_var *param, struct d_node *arg)
{
	uint32_t old = param->reg;
	param->reg = lw_as(l, arg, param->type);
	return old;
}

static bool enter(struct lw *l, const struct d_node *n)
{
	if (l->expanding < EXPAND_MAX) {
		l->expanding++;
		return true;
	}
	d_error(l->c, n->at, "D_LIMIT", "inlines and translators use each other more than %d levels deep", EXPAND_MAX);
	return false;
}

/* What is given to the parameters of an inline; returns what they had. */
static uint32_t *bind_keys(struct lw *l, struct d_node *n)
{
	struct d_var *v = n->var;
	uint32_t *old = d_alloc(l->c, (v->key_cnt + 1ul) * sizeof(*old)), i = 0;
	/* All are computed before any is seen: they may be parameters of the same inline. */
	for (struct d_node *a = n->args; a; a = a->next, i++)
		old[i] = lw_as(l, a, v->params[i]->type);
	for (i = 0; i < v->key_cnt; i++) {
		uint32_t reg = old[i];
		old[i] = v->params[i]->reg;
		v->params[i]->reg = reg;
	}
	return old;
}

static void unbind_keys(const struct d_node *n, const uint32_t *old)
{
	for (uint32_t i = 0; i < n->var->key_cnt; i++)
		n->var->params[i]->reg = old[i];
}

uint32_t lw_inline_index(struct lw *l, struct d_node *n)
{
	if (!enter(l, n))
		return lw_const(l, 0);
	uint32_t *old = bind_keys(l, n);
	uint32_t r = lw_as(l, n->var->init, n->var->type);
	unbind_keys(n, old);
	l->expanding--;
	return r;
}

/* The inline with parameters that gives what is translated; NULL: none does. */
static struct d_node *inline_index(struct d_node *n)
{
	while (n->kind == N_UNARY || (n->kind == N_IDENT && n->var && n->var->kind == D_VAR_INLINE))
		n = n->kind == N_UNARY ? n->l : n->var->init;
	return n->kind == N_INDEX && n->var && n->var->kind == D_VAR_INLINE ? n : NULL;
}

uint32_t lw_xlated_member(struct lw *l, struct d_node *n)
{
	struct d_node *x = d_xlate_of(n->l), *by = inline_index(n->l);
	struct d_var *param = x->type->xl->param;
	if (!enter(l, n))
		return lw_const(l, 0);
	uint32_t *keys = by ? bind_keys(l, by) : NULL;
	uint32_t old = bind(l, param, x->l);
	uint32_t v = lw_as(l, n->xl_memb->expr, n->type);
	param->reg = old;
	if (by)
		unbind_keys(by, keys);
	l->expanding--;
	return v;
}

/* A structure that is assigned what is translated: all of its members. */
void lw_assign_xlated(struct lw *l, const struct lw_place *to, struct d_node *from)
{
	struct d_node *x = d_xlate_of(from);
	const struct d_xlator *xl = x->type->xl;
	if (!enter(l, from))
		return;
	uint32_t old = bind(l, xl->param, x->l);
	for (const struct d_xmember *m = xl->members; m; m = m->next) {
		struct d_node target = { .kind = N_MEMBER, .type = m->memb->type, .memb = m->memb, .at = m->at };
		struct lw_place p = *to;
		p.off += m->off;
		p.back = NULL; /* once, at the end */
		if (d_is_sou(target.type))
			lw_assign_whole(l, &p, target.type, m->expr);
		else if (d_resolve(target.type)->kind == D_T_ARRAY)
			lw_unsup(l, m->expr, "an array as a member that is translated as a whole");
		else
			lw_store(l, &p, lw_as(l, m->expr, target.type), &target);
	}
	xl->param->reg = old;
	l->expanding--;
	lw_put_back(l, to);
}
