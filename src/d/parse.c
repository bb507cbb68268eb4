/* SPDX-License-Identifier: MIT */
/* Programs, clauses, descriptions and statements. */
#include "d/parse_int.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- what the whole parser uses ---- */

/* From the token to the end of its line: where DTrace looked ahead to see what a name is. */
static int rest_of_line(const struct d_parser *p)
{
	return (int)strcspn(p->text + p->tok.at.off, "\n");
}

static const char *near_text(struct d_parser *p)
{
	const struct d_tok *t = &p->tok;
	if (t->kind == T_EOF)
		return "syntax error near end of input";
	int len = (int)(p->pos - t->at.off);
	if (t->kind == T_IDENT && t->is_new)
		len = rest_of_line(p);
	if (t->kind == T_INT || t->kind == T_STR || t->kind == T_IDENT)
		return d_fmt(p->c, "syntax error near \"%.*s\"", len < 200 ? len : 200, p->text + t->at.off);
	return d_fmt(p->c, "syntax error near \"%.200s\"", t->str ? t->str : d_tok_text(t->kind));
}

_Noreturn void d_unexpected(struct d_parser *p, const char *expected)
{
	const char *near = near_text(p);
	if (!expected)
		d_fail(p, p->tok.at, "D_SYNTAX", "%s", near);
	d_fail_hint(p, p->tok.at, "D_SYNTAX", d_fmt(p->c, "expected %s", expected), "%s", near);
}

uint32_t d_seen(const struct d_parser *p)
{
	return p->tok.at.seen ? p->tok.at.seen : p->line;
}

bool d_accept(struct d_parser *p, enum d_tok_kind kind)
{
	if (p->tok.kind != kind)
		return false;
	d_next(p);
	return true;
}

void d_expect(struct d_parser *p, enum d_tok_kind kind, const char *where)
{
	if (p->tok.kind != kind)
		d_unexpected(p, d_fmt(p->c, "\"%s\" %s", d_tok_text(kind), where));
	d_next(p);
}

void d_enter(struct d_parser *p)
{
	if (++p->nest > D_NEST_MAX)
		d_fail(p, p->tok.at, "D_SYNTAX", "more than %d levels inside each other", D_NEST_MAX);
}

void d_leave(struct d_parser *p)
{
	p->nest--;
}

struct d_node *d_node_new(struct d_parser *p, enum d_node_kind kind, struct d_place at)
{
	struct d_node *n = d_alloc(p->c, sizeof(*n));
	n->kind = kind;
	n->at = at;
	n->guard = n->else_guard = -1;
	n->height = 1;
	return n;
}

static void raise_height(struct d_node *n, const struct d_node *child)
{
	if (child && child->height >= n->height)
		n->height = (uint16_t)(child->height + 1);
}

struct d_node *d_node_done(struct d_parser *p, struct d_node *n)
{
	raise_height(n, n->l);
	raise_height(n, n->r);
	raise_height(n, n->third);
	for (const struct d_node *a = n->args; a; a = a->next)
		raise_height(n, a);
	if (n->height > D_DEPTH_MAX)
		d_fail(p, n->at, "D_SYNTAX", "expression is too long: more than %d operations on top of each other",
			D_DEPTH_MAX);
	return n;
}

/* Keywords can be names of members and aggregations. */
const char *d_parse_name(struct d_parser *p, const char *what)
{
	if (p->tok.kind != T_IDENT && p->tok.kind < T_KEY_FIRST)
		d_unexpected(p, what);
	const char *name = p->tok.str;
	d_next(p);
	return name;
}

/* Before the token at which the mistake was seen, unless that is lines back. */
static void rewind_to_token(struct d_parser *p)
{
	if (p->tok.at.line == p->line && p->tok.at.off >= p->line_start && p->tok.at.off <= p->pos)
		p->pos = p->tok.at.off;
	if (p->pos == p->tok.at.off && p->tok.kind == T_LBRACE && p->braces)
		p->braces--;
	else if (p->pos == p->tok.at.off && p->tok.kind == T_RBRACE)
		p->braces++;
	p->in_pred = false;
}

/* ---- statements ---- */

static struct d_node *parse_stmt(struct d_parser *p);

static struct d_node *parse_stmt_safe(struct d_parser *p)
{
	jmp_buf here, *const outer = p->recover;
	const uint32_t nest = p->nest, braces = p->braces;
	if (setjmp(here)) {
		p->recover = outer;
		p->nest = nest;
		rewind_to_token(p);
		p->braces = braces;
		d_skip_to_stmt(p);
		d_next(p);
		return NULL;
	}
	p->recover = &here;
	struct d_node *n = parse_stmt(p);
	p->recover = outer;
	return n;
}

/* Behind the opening brace, to the closing one, which stays the current token. */
static struct d_node *parse_stmts(struct d_parser *p, struct d_place open)
{
	struct d_node *list = NULL, **tail = &list;
	while (p->tok.kind != T_RBRACE) {
		if (p->tok.kind == T_EOF)
			d_fail_hint(p, open, "D_SYNTAX", "this \"{\" has no \"}\"", "syntax error near end of input");
		struct d_node *n = parse_stmt_safe(p);
		if (n) {
			*tail = n;
			tail = &n->next;
		}
	}
	return list;
}

static struct d_node *parse_branch(struct d_parser *p)
{
	struct d_place open = p->tok.at;
	if (!d_accept(p, T_LBRACE))
		return parse_stmt(p);
	struct d_node *list = parse_stmts(p, open);
	d_next(p);
	return list;
}

static struct d_node *parse_if(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_IF, p->tok.at);
	d_next(p);
	d_expect(p, T_LPAREN, "after if");
	n->l = d_parse_expr(p);
	d_expect(p, T_RPAREN, "after the condition");
	d_enter(p);
	n->r = parse_branch(p);
	if (d_accept(p, T_ELSE))
		n->third = parse_branch(p);
	d_leave(p);
	return n;
}

static struct d_node *parse_stmt(struct d_parser *p)
{
	switch (p->tok.kind) {
	case T_SEMI:
		d_next(p);
		return NULL;
	case T_IF:
		return parse_if(p);
	case T_FOR: case T_WHILE: case T_DO: case T_GOTO: case T_SWITCH: case T_BREAK: case T_CONTINUE: case T_RETURN:
	case T_CASE: case T_DEFAULT:
		d_fail_hint(p, p->tok.at, "D_SYNTAX", "D has no loops and jumps, so that every clause ends", "syntax "
			"error near \"%s\"", d_tok_text(p->tok.kind));
	default:
		break;
	}
	struct d_node *n = d_node_new(p, N_EXPR_STMT, p->tok.at);
	n->l = d_parse_expr(p);
	if (p->tok.kind != T_RBRACE && p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" or \"}\" after the statement");
	d_accept(p, T_SEMI);
	return n;
}

/* ---- clauses ---- */

static void parse_pred(struct d_parser *p, struct d_node *n)
{
	p->in_pred = true;
	d_next(p);
	n->l = d_parse_expr(p);
	if (p->tok.kind != T_EPRED)
		d_unexpected(p, "\"/\" and the clause's body after the predicate");
	p->in_pred = false;
	d_next(p);
}

static struct d_node *parse_clause(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_CLAUSE, p->tok.at);
	d_parse_pdesc(p, n);
	for (d_next(p); p->tok.kind == T_COMMA; d_next(p)) {
		if (!d_lex_top(p))
			d_unexpected(p, "a probe description");
		d_parse_pdesc(p, n);
	}
	if (p->tok.kind == T_DIV)
		parse_pred(p, n);
	if (p->tok.kind == T_LBRACE) {
		struct d_place open = p->tok.at;
		d_next(p);
		n->r = parse_stmts(p, open);
		return n;
	}
	struct d_place at = n->at;
	at.seen = at.line;
	if (n->l)
		d_fail(p, at, "D_SYNTAX", "expected actions { } following probe description and predicate");
	if (!n->l && p->c->srcs[p->src].src->kind == D_SRC_PROGRAM && p->c->srcs[p->src].name)
		d_fail(p, at, "D_SYNTAX", "expected predicate and/or actions following probe description");
	if (p->tok.kind != T_EOF && p->tok.kind != T_SEMI)
		d_unexpected(p, "\",\", \"/\" or \"{\" after the probe description");
	return n;
}

void d_add_top(struct d_parser *p, struct d_node *n)
{
	*p->c->top_tail = n;
	p->c->top_tail = &n->next;
}

/* One clause or declaration. False at the end. */
static bool parse_top(struct d_parser *p)
{
	jmp_buf here;
	if (setjmp(here)) {
		p->nest = 0;
		rewind_to_token(p);
		d_skip_to_top(p);
		p->opens[0] = p->opens[1] = 0;
		return true;
	}
	p->recover = &here;
	p->braces = 0;
	if (!d_lex_top(p))
		d_parse_decl(p);
	else if (p->tok.kind == T_EOF)
		return false;
	else if (p->tok.kind != T_SEMI)
		d_add_top(p, parse_clause(p));
	return true;
}

void d_parse_source(struct d_compiler *c, uint32_t src)
{
	struct d_parser p = { .c = c, .src = src, .text = c->srcs[src].text, .len = c->srcs[src].len, .line = 1 };
	uint32_t errs = c->err_cnt;
	while (parse_top(&p) && c->err_cnt - errs < D_DIAG_MAX)
		;
	c->srcs[src].end_line = p.line;
}
