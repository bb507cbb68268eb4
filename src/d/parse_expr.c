/* SPDX-License-Identifier: MIT */
/* Expressions, by precedence climbing. */
#include "d/parse_int.h"

static struct d_node *parse_unary(struct d_parser *p);

static struct d_node *binary(struct d_parser *p, enum d_node_kind kind, enum d_tok_kind op, struct d_place at,
			     struct d_node *l, struct d_node *r)
{
	struct d_node *n = d_node_new(p, kind, at);
	n->op = op;
	n->l = l;
	n->r = r;
	n->at.seen = d_seen(p); /* it is known to be whole by the token after it */
	return d_node_done(p, n);
}

struct d_node *d_parse_args(struct d_parser *p, enum d_tok_kind close)
{
	struct d_node *list = NULL, **tail = &list;
	if (p->tok.kind != close) {
		do {
			*tail = d_parse_asgn(p);
			tail = &(*tail)->next;
		} while (d_accept(p, T_COMMA));
	}
	p->close_line = p->tok.at.line;
	d_expect(p, close, "or \",\"");
	return list;
}

/* ---- primary ---- */

static struct d_node *parse_agg(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_AGG, p->tok.at);
	d_next(p);
	n->str = d_intern(p->c, "", 0);
	if (p->tok.kind == T_IDENT || p->tok.kind >= T_KEY_FIRST)
		n->str = d_parse_name(p, "a name");
	if (p->tok.kind == T_LBRACK) {
		struct d_place open = p->tok.at;
		d_next(p);
		n->args = d_parse_args(p, T_RBRACK);
		if (!n->args)
			d_fail(p, open, "D_SYNTAX", "syntax error: an aggregation's [ ] holds at least one key");
		if (p->tok.kind == T_LBRACK)
			d_fail(p, p->tok.at, "D_AGG_MDIM", "improper attempt to reference @%s as a multi-dimensional array", n->str);
	}
	return d_node_done(p, n);
}

static struct d_node *parse_scoped(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_IDENT, p->tok.at);
	n->scope = p->tok.kind == T_SELF ? D_SELF : D_THIS;
	d_next(p);
	d_expect(p, T_ARROW, n->scope == D_SELF ? "after self" : "after this");
	n->str = d_parse_name(p, "a variable's name");
	return n;
}

static struct d_node *parse_literal(struct d_parser *p)
{
	const struct d_tok *t = &p->tok;
	struct d_node *n = d_node_new(p, t->kind == T_STR ? N_STR : N_INT, t->at);
	if (t->kind == T_STR) {
		n->str = t->str;
		n->len = t->len;
		n->type = p->c->t.string;
	} else {
		const struct d_basics *b = &p->c->t;
		struct d_type *long_[] = { t->longs < 2 ? b->wlong : b->llong, t->longs < 2 ? b->wulong : b->ullong };
		struct d_type *try[] = { b->int_, b->uint, long_[0], long_[1], b->long_, b->ulong };
		n->val = (int64_t)t->val;
		n->is_const = true;
		n->type = t->longs < 2 ? b->ulong : b->ullong;
		for (size_t i = 0; i < ARRAY_CNT(try); i++) {
			bool is_signed = try[i]->is_signed;
			if ((t->longs && i < 2) || (t->is_unsigned && is_signed) || (t->is_decimal &&
				!t->is_unsigned && !is_signed))
				continue;
			if (t->is_int ? i == 0 : d_canon(try[i], n->val) == n->val && (!is_signed || n->val >= 0)) {
				n->type = try[i];
				break;
			}
		}
	}
	d_next(p);
	return n;
}

static bool paren_type(struct d_parser *p)
{
	struct d_parser save = *p;
	d_next(p);
	bool is_type = d_at_type(p);
	*p = save;
	return is_type;
}

static struct d_node *parse_paren(struct d_parser *p)
{
	d_next(p);
	struct d_node *n = d_parse_expr(p);
	d_expect(p, T_RPAREN, "");
	return n;
}

static struct d_node *parse_offsetof(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_OFFSETOF, p->tok.at);
	d_next(p);
	d_expect(p, T_LPAREN, "after offsetof");
	n->op_type = d_parse_type_name(p);
	d_expect(p, T_COMMA, "after the type");
	n->str = d_parse_name(p, "a member's name");
	d_expect(p, T_RPAREN, "after the member");
	return n;
}

static struct d_node *parse_primary(struct d_parser *p)
{
	switch (p->tok.kind) {
	case T_INT:
	case T_STR:
		return parse_literal(p);
	case T_IDENT: {
		struct d_node *n = d_node_new(p, N_IDENT, p->tok.at);
		n->str = p->tok.str;
		d_next(p);
		return n;
	}
	case T_SELF:
	case T_THIS:
		return parse_scoped(p);
	case T_AT:
		return parse_agg(p);
	case T_LPAREN:
		return parse_paren(p);
	case T_OFFSETOF:
		return parse_offsetof(p);
	case T_XLATE:
		return d_parse_xlate(p);
	default:
		d_unexpected(p, d_at_type(p) ? "an expression: variables are declared outside of the clauses, or made by "
			     "assigning to them, as in this->x = 1" : "an expression");
	}
}

static struct d_node *parse_call(struct d_parser *p, struct d_node *fn)
{
	struct d_node *n = d_node_new(p, N_CALL, fn->at);
	if (fn->kind != N_IDENT || fn->scope != D_GLOBAL)
		d_fail(p, fn->at, "D_FUNC_IDENT", "function designator is not of function type");
	n->str = fn->str;
	d_next(p);
	n->args = d_parse_args(p, T_RPAREN);
	n->at.seen = n->at.line;
	return d_node_done(p, n);
}

static struct d_node *parse_index(struct d_parser *p, struct d_node *base)
{
	struct d_node *n = d_node_new(p, N_INDEX, p->tok.at);
	n->l = base;
	d_next(p);
	n->args = d_parse_args(p, T_RBRACK);
	n->at.seen = p->close_line;
	if (!n->args)
		d_fail(p, n->at, "D_SYNTAX", "syntax error: [ ] holds at least one expression");
	return d_node_done(p, n);
}

static struct d_node *parse_member(struct d_parser *p, struct d_node *base)
{
	struct d_node *n = d_node_new(p, N_MEMBER, p->tok.at);
	n->op = p->tok.kind;
	n->l = base;
	d_next(p);
	n->str = d_parse_name(p, "a member's name");
	return d_node_done(p, n);
}

static struct d_node *parse_postfix(struct d_parser *p)
{
	struct d_node *n = parse_primary(p);
	for (;;) {
		struct d_place at = p->tok.at;
		switch (p->tok.kind) {
		case T_LPAREN:
			n = parse_call(p, n);
			break;
		case T_LBRACK:
			n = parse_index(p, n);
			break;
		case T_DOT:
		case T_ARROW:
			n = parse_member(p, n);
			break;
		case T_INC:
		case T_DEC:
			n = binary(p, N_UNARY, p->tok.kind == T_INC ? T_POSTINC : T_POSTDEC, at, n, NULL);
			d_next(p);
			break;
		default:
			return n;
		}
	}
}

/* ---- unary ---- */

static struct d_node *parse_cast(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_CAST, p->tok.at);
	d_next(p);
	n->type = d_parse_type_name(p);
	d_expect(p, T_RPAREN, "after the type");
	n->l = parse_unary(p);
	n->at.seen = d_seen(p);
	return d_node_done(p, n);
}

static struct d_node *parse_sizeof(struct d_parser *p)
{
	struct d_node *n = d_node_new(p, N_SIZEOF, p->tok.at);
	d_next(p);
	if (p->tok.kind == T_LPAREN && paren_type(p)) {
		d_next(p);
		n->op_type = d_parse_type_name(p);
		d_expect(p, T_RPAREN, "after the type");
	} else {
		n->l = parse_unary(p);
	}
	return d_node_done(p, n);
}

static enum d_tok_kind unary_op(enum d_tok_kind k)
{
	switch (k) {
	case T_INC: return T_PREINC;
	case T_DEC: return T_PREDEC;
	case T_SUB: return T_NEG;
	case T_ADD: return T_PLUS;
	case T_MUL: return T_DEREF;
	case T_AND: return T_ADDR;
	case T_LNOT:
	case T_BNOT: return k;
	default: return T_EOF;
	}
}

static struct d_node *parse_unary1(struct d_parser *p)
{
	struct d_place at = p->tok.at;
	enum d_tok_kind op = unary_op(p->tok.kind);
	if (op != T_EOF) {
		d_next(p);
		return binary(p, N_UNARY, op, at, parse_unary(p), NULL);
	}
	switch (p->tok.kind) {
	case T_SIZEOF:
		return parse_sizeof(p);
	case T_STRINGOF:
		d_next(p);
		return binary(p, N_STRINGOF, T_STRINGOF, at, parse_unary(p), NULL);
	case T_LPAREN:
		if (paren_type(p))
			return parse_cast(p);
		/* fallthrough */
	default:
		return parse_postfix(p);
	}
}

static struct d_node *parse_unary(struct d_parser *p)
{
	d_enter(p);
	struct d_node *n = parse_unary1(p);
	d_leave(p);
	return n;
}

/* ---- binary ---- */

static int precedence(enum d_tok_kind k)
{
	switch (k) {
	case T_LOR: return 1;
	case T_LXOR: return 2;
	case T_LAND: return 3;
	case T_OR: return 4;
	case T_XOR: return 5;
	case T_AND: return 6;
	case T_EQ: case T_NE: return 7;
	case T_LT: case T_LE: case T_GT: case T_GE: return 8;
	case T_LSH: case T_RSH: return 9;
	case T_ADD: case T_SUB: return 10;
	case T_MUL: case T_DIV: case T_MOD: return 11;
	default: return 0;
	}
}

static struct d_node *parse_binary(struct d_parser *p, int min)
{
	struct d_node *n = parse_unary(p);
	for (int prec; (prec = precedence(p->tok.kind)) >= min && prec;) {
		enum d_tok_kind op = p->tok.kind;
		struct d_place at = p->tok.at;
		d_next(p);
		n = binary(p, N_BINARY, op, at, n, parse_binary(p, prec + 1));
	}
	return n;
}

static bool is_asgn(enum d_tok_kind k)
{
	return k >= T_ASGN && k <= T_OR_EQ;
}

static struct d_node *parse_cond(struct d_parser *p)
{
	struct d_node *n = parse_binary(p, 1);
	if (p->tok.kind != T_QUESTION)
		return n;
	struct d_node *q = d_node_new(p, N_COND, p->tok.at);
	q->l = n;
	d_next(p);
	d_enter(p);
	q->r = d_parse_expr(p);
	d_expect(p, T_COLON, "of the conditional");
	q->third = parse_cond(p);
	q->at.seen = d_seen(p);
	d_leave(p);
	return d_node_done(p, q);
}

struct d_node *d_parse_asgn(struct d_parser *p)
{
	struct d_node *n = parse_cond(p);
	if (!is_asgn(p->tok.kind))
		return n;
	enum d_tok_kind op = p->tok.kind;
	struct d_place at = p->tok.at;
	d_next(p);
	d_enter(p);
	n = binary(p, N_ASSIGN, op, at, n, d_parse_asgn(p));
	d_leave(p);
	return n;
}

struct d_node *d_parse_expr(struct d_parser *p)
{
	struct d_node *n = d_parse_asgn(p);
	while (p->tok.kind == T_COMMA) {
		struct d_place at = p->tok.at;
		d_next(p);
		n = binary(p, N_COMMA, T_COMMA, at, n, d_parse_asgn(p));
	}
	return n;
}
