/* SPDX-License-Identifier: MIT */
/* -S: the variables of a clause, in the table that dtrace -S has. */
#include "d/d_int.h"

#define USED_READ 1
#define USED_WRITTEN 2
#define USED_BUSY 4 /* an inline whose value is being walked */

/* Variables are marked while a clause's tree is walked, then shown in the order of their creation. */
static void mark(const struct d_node *n, uint8_t how);

static void mark_list(const struct d_node *n)
{
	for (; n; n = n->next)
		mark(n, USED_READ);
}

static bool is_step(enum d_tok_kind op)
{
	return op == T_PREINC || op == T_PREDEC || op == T_POSTINC || op == T_POSTDEC;
}

/* A part of a variable that is written: the variable is used. */
static void mark_target(const struct d_node *n, uint8_t how)
{
	bool whole = n->kind == N_IDENT || (n->kind == N_INDEX && n->var);
	mark(n, whole ? how : USED_READ);
}

static void mark_name(struct d_var *v, uint8_t how)
{
	if (!v)
		return;
	v->used |= how;
	if (v->kind == D_VAR_INLINE && v->init && !(v->used & USED_BUSY)) {
		v->used |= USED_BUSY;
		mark(v->init, USED_READ);
		v->used &= (uint8_t)~USED_BUSY;
	}
}

static void mark(const struct d_node *n, uint8_t how)
{
	if (!n)
		return;
	if (n->kind == N_IDENT) {
		mark_name(n->var, how);
	} else if (n->kind == N_INDEX && n->var) {
		mark_name(n->var, how);
		mark_list(n->args);
	} else if (n->kind == N_ASSIGN && n->l) {
		mark_target(n->l, n->op == T_ASGN ? USED_WRITTEN : USED_READ | USED_WRITTEN);
		mark(n->r, USED_READ);
	} else if (n->kind == N_UNARY && is_step(n->op)) {
		mark_target(n->l, USED_READ | USED_WRITTEN);
	} else {
		mark_list(n->l);
		mark_list(n->r);
		mark_list(n->third);
		mark_list(n->args);
	}
}

static const char *kind_name(const struct d_type *t)
{
	switch (t->kind) {
	case D_T_INT: return "integer";
	case D_T_ENUM: return "enum";
	case D_T_FLOAT: return "float";
	case D_T_PTR: return "pointer";
	case D_T_ARRAY: return "array";
	case D_T_STRUCT: return "struct";
	case D_T_UNION: return "union";
	default: return "unknown";
	}
}

/* Without what is behind the last member: dtrace counts none of that. */
static uint32_t shown_size(struct d_type *t)
{
	uint32_t end = 0;
	if (!d_is_sou(t))
		return t->size;
	for (const struct d_member *m = t->members; m; m = m->next) {
		uint32_t e = m->off + (m->bits ? (m->bit_off + m->bits + 7) / 8 : d_resolve(m->type)->size);
		end = e > end ? e : end;
	}
	return end;
}

static void print_var(const struct d_compiler *c, FILE *f, const struct d_var *v, uint32_t id, uint32_t insns)
{
	static const char *const scopes[] = { "glb", "tls", "loc" };
	struct d_type *t = d_resolve(v->type);
	bool builtin = v->kind == D_VAR_BUILTIN, is_str = t->kind == D_T_STRING;
	char off[12] = "", range[24];
	const char *flags = v->used == USED_READ ? "r" : v->used == USED_WRITTEN ? "w" : "r/w";
	if (!builtin)
		snprintf(off, sizeof(off), "%u", v->scope == D_SELF || v->kind == D_VAR_ASSOC ? 0 : v->off);
	snprintf(range, sizeof(range), "[0-%u]", insns ? insns - 1 : 0);
	fprintf(f, "%-16s %-4x %-6s %-3s %-3s %-11s %-4s %s (%s) %s(size %u)\n", v->name, id, off,
		v->kind == D_VAR_ASSOC ? "arr" : "scl", scopes[v->scope], range, flags, is_str ? "string" : "D type",
		kind_name(t), is_str || d_is_whole(t) ? "by ref " : "", is_str ? c->opts.strsize + 1 : shown_size(t));
}

static const struct d_node *find_clause(const struct d_compiler *c, uint32_t clause)
{
	for (const struct d_node *n = c->tops; n; n = n->next)
		if (n->kind == N_CLAUSE && n->clause == clause)
			return n;
	return NULL;
}

void d_dump_vars(struct d_compiler *c, FILE *f, uint32_t clause, uint32_t insns)
{
	const struct d_node *n = c->checked ? find_clause(c, clause) : NULL;
	uint32_t id = 0;
	bool heading = false;
	if (!n)
		return;
	for (struct d_var *v = c->var_list; v; v = v->next)
		v->used = 0;
	mark(n, USED_READ);
	for (struct d_var *v = c->var_list; v; v = v->next, id++) {
		if (!v->used || v->kind == D_VAR_INLINE || v->kind == D_VAR_ENUMERATOR)
			continue;
		if (!heading)
			fprintf(f, "\n%-16s %-4s %-6s %-3s %-3s %-11s %-4s %s\n", "NAME", "ID", "OFFSET", "KND", "SCP", "RANGE",
				"FLAG", "TYPE");
		heading = true;
		print_var(c, f, v, id, insns);
	}
}
