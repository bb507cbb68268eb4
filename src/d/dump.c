/* SPDX-License-Identifier: MIT */
/* The tree as text: a node a line, its children indented under it. */
#include "d/layout_int.h"

#include <ctype.h>
#include <inttypes.h>

static const char *const names[N_CNT] = {
#define D_NODE(name, text) [N_##name] = text,
	D_NODES(D_NODE)
#undef D_NODE
};

struct dump {
	struct d_compiler *c;
	FILE *f;
	bool types;
};

static void dump_node(struct dump *d, const struct d_node *n, int depth);

static void indent(struct dump *d, int depth)
{
	fprintf(d->f, "%*s", depth * 2, "");
}

static void dump_quoted(FILE *f, const char *s, size_t len)
{
	putc('"', f);
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)s[i];
		if (ch == '"' || ch == '\\')
			fprintf(f, "\\%c", ch);
		else if (isprint(ch))
			putc(ch, f);
		else
			fprintf(f, "\\%03o", ch);
	}
	putc('"', f);
}

static const char *prefix(enum d_scope s)
{
	return s == D_SELF ? "self->" : s == D_THIS ? "this->" : "";
}

static void dump_desc(FILE *f, const struct plan_probe_desc *d)
{
	if (d->id)
		fprintf(f, " id %u", d->id);
	else
		fprintf(f, " %s:%s:%s:%s", d->prov, d->mod, d->func, d->name);
}

static void dump_params(struct dump *d, const struct d_key *keys, uint32_t cnt)
{
	putc('(', d->f);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(d->f, "%s%s%s%s", i ? ", " : "", d_type_str(d->c, keys[i].type), keys[i].name ? " " : "",
			keys[i].name ? keys[i].name : "");
	putc(')', d->f);
}

static void dump_detail(struct dump *d, const struct d_node *n)
{
	FILE *f = d->f;
	switch (n->kind) {
	case N_INT:
		fprintf(f, " %" PRId64, n->val);
		break;
	case N_STR:
		putc(' ', f);
		dump_quoted(f, n->str, n->len);
		break;
	case N_IDENT:
		fprintf(f, " %s%s", prefix(n->scope), n->str);
		break;
	case N_AGG:
		fprintf(f, " @%s", n->str);
		break;
	case N_CALL:
		fprintf(f, " %s", n->str);
		break;
	case N_UNARY:
		fprintf(f, n->op == T_POSTINC || n->op == T_POSTDEC ? " postfix %s" : " %s", d_tok_text(n->op));
		break;
	case N_BINARY:
	case N_ASSIGN:
		fprintf(f, " %s", d_tok_text(n->op));
		break;
	case N_MEMBER:
		fprintf(f, " %s%s", d_tok_text(n->op), n->str);
		break;
	case N_CAST:
		if (!d->types)
			fprintf(f, " (%s)", d_type_str(d->c, n->type));
		break;
	case N_SIZEOF: case N_OFFSETOF: case N_XLATE:
		if (n->op_type)
			fprintf(f, " (%s)", d_type_str(d->c, n->op_type));
		if (n->str)
			fprintf(f, " %s", n->str);
		break;
	case N_PDESC:
		dump_desc(f, n->desc);
		break;
	case N_DECL: case N_TYPEDEF: case N_INLINE:
		fprintf(f, " %s%s: %s", prefix(n->scope), n->str, d_type_str(d->c, n->type));
		for (uint32_t i = 0; i < n->key_cnt; i++)
			fprintf(f, "%s%s%s", i ? ", " : " [", d_type_str(d->c, n->keys[i].type),
				i + 1 == n->key_cnt ? "]" : "");
		break;
	case N_XLATOR:
		fprintf(f, " %s < %s %s >", d_type_str(d->c, n->xlator->dst), d_type_str(d->c, n->xlator->src),
			n->xlator->param->name);
		break;
	case N_PROVIDER:
		fprintf(f, " %s", n->str);
		break;
	case N_PROBE:
		fprintf(f, " %s", n->str);
		dump_params(d, n->keys, n->key_cnt);
		if (n->has_out)
			fprintf(f, " :");
		if (n->has_out)
			dump_params(d, n->out_keys, n->out_key_cnt);
		break;
	case N_TYPEDECL:
		fprintf(f, " %s", d_type_str(d->c, n->type));
		break;
	default:
		break;
	}
}

static void dump_xmembers(struct dump *d, const struct d_xlator *x, int depth)
{
	for (const struct d_xmember *m = x->members; m; m = m->next) {
		indent(d, depth);
		fprintf(d->f, "%s =\n", m->name);
		dump_node(d, m->expr, depth + 1);
	}
}

static void dump_members(struct dump *d, const struct d_type *t, int depth)
{
	for (const struct d_member *m = t->members; m; m = m->next) {
		indent(d, depth);
		fprintf(d->f, "+%u %s: %s", m->off, m->name ? m->name : "(anonymous)", d_type_str(d->c, m->type));
		if (m->bits)
			fprintf(d->f, " bits %u..%u", m->bit_off, m->bit_off + m->bits - 1);
		putc('\n', d->f);
	}
}

static bool has_value(const struct d_node *n)
{
	return n->kind <= N_XLATE;
}

static void dump_typing(struct dump *d, const struct d_node *n)
{
	if (!d->types || !has_value(n) || !n->type)
		return;
	fprintf(d->f, " : %s", d_type_str(d->c, n->type));
	if (n->op_type && n->op_type != n->type && (n->kind == N_BINARY || n->kind == N_ASSIGN))
		fprintf(d->f, " (as %s)", d_type_str(d->c, n->op_type));
	if (n->is_const && n->kind != N_INT)
		fprintf(d->f, " = %" PRId64, n->val);
}

static void dump_list(struct dump *d, const struct d_node *list, int depth, const char *label)
{
	if (list && label) {
		indent(d, depth++);
		fprintf(d->f, "%s\n", label);
	}
	for (; list; list = list->next)
		dump_node(d, list, depth);
}

static void dump_one(struct dump *d, const struct d_node *n, int depth, const char *label)
{
	if (!n)
		return;
	if (label) {
		indent(d, depth++);
		fprintf(d->f, "%s\n", label);
	}
	dump_node(d, n, depth);
}

static void dump_node(struct dump *d, const struct d_node *n, int depth)
{
	if (n->kind == N_EXPR_STMT) {
		dump_node(d, n->l, depth);
		return;
	}
	indent(d, depth);
	fprintf(d->f, "%s", names[n->kind]);
	dump_detail(d, n);
	dump_typing(d, n);
	putc('\n', d->f);
	if (n->kind == N_CLAUSE) {
		dump_list(d, n->args, depth + 1, NULL);
		dump_one(d, n->l, depth + 1, "predicate");
		dump_list(d, n->r, depth + 1, "body");
	} else if (n->kind == N_IF) {
		dump_node(d, n->l, depth + 1);
		dump_list(d, n->r, depth + 1, "then");
		dump_list(d, n->third, depth + 1, "else");
	} else {
		dump_one(d, n->l, depth + 1, NULL);
		dump_one(d, n->r, depth + 1, NULL);
		dump_one(d, n->third, depth + 1, NULL);
		dump_list(d, n->args, depth + 1, NULL);
		if (n->kind == N_XLATOR)
			dump_xmembers(d, n->xlator, depth + 1);
		if (n->kind == N_TYPEDECL)
			dump_members(d, d_resolve(n->type), depth + 1);
	}
}

static void dump_vars(struct dump *d)
{
	for (const struct d_var *v = d->c->var_list; v; v = v->next) {
		if (v->kind != D_VAR_SCALAR && v->kind != D_VAR_ASSOC)
			continue;
		fprintf(d->f, "variable %s%s", prefix(v->scope), v->name);
		for (uint32_t i = 0; i < v->key_cnt; i++)
			fprintf(d->f, "%s%s%s", i ? ", " : "[", d_type_str(d->c, v->keys[i].type),
				i + 1 == v->key_cnt ? "]" : "");
		fprintf(d->f, " : %s\n", d_type_str(d->c, v->type));
	}
	for (const struct d_agg *a = d->c->agg_list; a; a = a->next) {
		fprintf(d->f, "aggregation @%s", a->name);
		for (uint32_t i = 0; i < a->key_cnt; i++)
			fprintf(d->f, "%s%s%s", i ? ", " : "[", d_type_str(d->c, a->keys[i].type),
				i + 1 == a->key_cnt ? "]" : "");
		fprintf(d->f, " = %s\n", a->fn ? a->fn->name : "?");
	}
}

void d_dump_tops(struct d_compiler *c, FILE *f, bool types)
{
	struct dump d = { .c = c, .f = f, .types = types };
	dump_list(&d, c->tops, 0, NULL);
	if (types)
		dump_vars(&d);
}
