/* SPDX-License-Identifier: MIT */
/* Translators and providers. */
#include "d/parse_int.h"

static const char *parse_ident(struct d_parser *p, const char *what)
{
	if (p->tok.kind != T_IDENT)
		d_unexpected(p, what);
	return d_parse_name(p, what);
}

struct d_node *d_parse_xlate(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_XLATE, p->tok.at);
	d_next(p);
	d_expect(p, T_LT, "after xlate");
	n->op_type = d_parse_type_name(p);
	d_expect(p, T_GT, "after the type");
	d_expect(p, T_LPAREN, "and what is to be translated");
	n->l = d_parse_expr(p);
	d_expect(p, T_RPAREN, "after what is to be translated");
	return d_node_done(p, n);
}

/* ---- translator dst < src name > { member = expr; ... }; ---- */

static struct d_xmember *parse_xmember(struct d_parser *p)
{
	struct d_xmember *m = d_alloc(p->c, sizeof(*m));
	m->at = p->tok.at;
	m->name = parse_ident(p, "a member's name");
	d_expect(p, T_ASGN, "after the member");
	m->expr = d_parse_asgn(p);
	d_expect(p, T_SEMI, "after the expression");
	return m;
}

static struct d_var *parse_xparam(struct d_parser *p, struct d_xlator *x)
{
	struct d_key k;
	if (!d_parse_param(p, &k) || !k.name)
		d_unexpected(p, "a name for what is translated");
	x->src = k.type;
	struct d_var *v = d_alloc(p->c, sizeof(*v));
	*v = (struct d_var){ .name = k.name, .kind = D_VAR_PARAM, .type = k.type, .at = k.at };
	return v;
}

void d_parse_translator(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_XLATOR, p->tok.at);
	struct d_xlator *x = n->xlator = d_alloc(p->c, sizeof(*x));
	struct d_xmember **tail = &x->members;
	d_next(p);
	n->at = p->tok.at;
	x->dst = d_parse_type_name(p);
	d_expect(p, T_LT, "after the type that is translated to");
	x->param = parse_xparam(p, x);
	d_expect(p, T_GT, "after what is translated");
	d_expect(p, T_LBRACE, "before the members");
	while (p->tok.kind != T_RBRACE) {
		*tail = parse_xmember(p);
		tail = &(*tail)->next;
	}
	d_next(p);
	if (p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" after the translator");
	n->at.seen = p->tok.at.line;
	for (struct d_xmember *m = x->members; m; m = m->next)
		m->at.seen = n->at.seen;
	d_add_top(p, n);
}

/* ---- provider name { probe name(types) : (types); ... }; ---- */

static struct d_node *parse_probe(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_PROBE, p->tok.at);
	d_expect(p, T_PROBE, "or \"}\" in the provider");
	n->at = p->tok.at;
	n->str = parse_ident(p, "a probe's name");
	struct d_params in, out = { 0 };
	d_expect(p, T_LPAREN, "before the parameters");
	d_parse_params(p, &in, T_RPAREN, "probe input", D_PARAMS_VOID | D_PARAMS_ANON, NULL);
	d_next(p);
	n->has_out = d_accept(p, T_COLON);
	if (n->has_out) {
		d_expect(p, T_LPAREN, "before the parameters");
		d_parse_params(p, &out, T_RPAREN, "probe output", D_PARAMS_VOID, &in);
		d_next(p);
	}
	n->keys = in.keys;
	n->key_cnt = in.cnt;
	n->out_keys = out.keys;
	n->out_key_cnt = out.cnt;
	d_expect(p, T_SEMI, "after the probe");
	return n;
}

void d_parse_provider(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_PROVIDER, p->tok.at), **tail = &n->args;
	d_next(p);
	n->at = p->tok.at;
	n->str = parse_ident(p, "a provider's name");
	d_expect(p, T_LBRACE, "before the probes");
	while (p->tok.kind != T_RBRACE) {
		*tail = parse_probe(p);
		tail = &(*tail)->next;
	}
	d_next(p);
	if (p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" after the provider");
	d_add_top(p, n);
}
