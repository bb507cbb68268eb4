/* SPDX-License-Identifier: MIT */
/* What somebody may have meant by a name that there is not: the nearest of its kind. */
#include "d/d_int.h"

#include "base/near.h"

struct near {
	const char *wanted, *best;
	uint32_t dist; /* of the best; above it nothing counts */
};

static void offer(struct near *n, const char *name)
{
	uint32_t max = n->best ? n->dist - 1 : near_max(n->wanted);
	uint32_t d = name && (!n->best || n->dist) ? near_distance(name, n->wanted, max) : UINT32_MAX;
	if (d > max)
		return;
	n->best = name;
	n->dist = d;
}

/* Short names are near to too many others. */
static struct near begin(const char *wanted)
{
	return (struct near){ .wanted = strlen(wanted) < 3 || strchr(wanted, '`') ? NULL : wanted };
}

static const char *hint(struct d_compiler *c, const struct near *n, const char *prefix, const char *suffix)
{
	return n->best ? d_fmt(c, "did you mean %s%s%s?", prefix, n->best, suffix) : NULL;
}

static bool is_usual(const struct d_var *v)
{
	return v->name[0] != '_' && !strchr(v->name, '(') && !strchr(v->name, '['); /* not ours alone */
}

/* Where a script has no probe of the kernel, they are not there either. */
static const char *only_in_kernel(const char *name)
{
	static const char *const v[] = { "fds", "cwd", "root", "curlwpsinfo", "chip", "lgrp", "pset", "cgroup" };
	for (size_t i = 0; i < ARRAY_CNT(v); i++)
		if (!strcmp(v[i], name))
			return "it is known in scripts that have a probe of the kernel (syscall, sched, profile and others)";
	return NULL;
}

const char *d_near_var(struct d_compiler *c, enum d_scope scope, const char *name)
{
	static const char *const prefix[] = { [D_GLOBAL] = "", [D_SELF] = "self->", [D_THIS] = "this->" }, *const words[] = { "self", "this" };
	struct near n = begin(name);
	const char *foreign = scope == D_GLOBAL ? d_foreign_var(c, name) : NULL;
	foreign = foreign || scope != D_GLOBAL ? foreign : only_in_kernel(name);
	if (foreign || !n.wanted)
		return foreign;
	for (const struct d_var *v = c->params; v && scope == D_GLOBAL; v = v->next_param)
		offer(&n, v->name);
	for (size_t i = 0; scope == D_GLOBAL && i < ARRAY_CNT(words); i++)
		offer(&n, words[i]);
	for (const struct d_var *v = c->var_list; v; v = v->next)
		if (v->scope == scope && v->type->kind != D_T_ERR && is_usual(v))
			offer(&n, v->name);
	return hint(c, &n, prefix[scope], "");
}

static bool is_char(const struct d_compiler *c, const struct d_node *n)
{
	const struct d_src *s = &c->srcs[n->at.src];
	return n->kind == N_INT && n->at.off < s->len && s->text[n->at.off] == '\'';
}

const char *d_meant_arg(const struct d_compiler *c, const struct d_node *arg, bool wants_str)
{
	if (arg->kind == N_AGG)
		return "printa( ) shows aggregations";
	return wants_str && is_char(c, arg) ? "\"strings\" have double quotes; single ones make a number of a character" : NULL;
}

const char *d_near_func(struct d_compiler *c, const char *name)
{
	struct near n = begin(name);
	const char *foreign = d_foreign_func(c, name);
	for (uint32_t i = 0; !foreign && n.wanted && d_func_at(i); i++)
		if (d_func_at(i)->kind != D_F_UNSUP)
			offer(&n, d_func_at(i)->name);
	return foreign ? foreign : hint(c, &n, "", "( )");
}

const char *d_near_agg(struct d_compiler *c, const char *name)
{
	struct near n = begin(name);
	for (const struct d_agg *a = n.wanted ? c->agg_list : NULL; a; a = a->next)
		if (a->fn)
			offer(&n, a->name);
	return hint(c, &n, "@", "");
}

const char *d_near_member(struct d_compiler *c, const struct d_type *sou, const char *name)
{
	struct near n = begin(name);
	for (const struct d_member *m = n.wanted ? sou->members : NULL; m; m = m->next)
		offer(&n, m->name);
	return hint(c, &n, "", "");
}

const char *d_near_converted(struct d_compiler *c, const struct d_xlator *x, const char *name)
{
	struct near n = begin(name);
	for (const struct d_xmember *m = n.wanted ? x->members : NULL; m; m = m->next)
		offer(&n, m->name);
	return hint(c, &n, "", "");
}
