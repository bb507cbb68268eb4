/* SPDX-License-Identifier: MIT */
/* Declarations and type names.  Types are made while parsing, because what
 * follows is parsed by what is a type. */
#include "d/check_int.h"
#include "d/decl_int.h"

bool d_at_type(struct d_parser *p)
{
	switch (p->tok.kind) {
	case T_CHAR: case T_CONST: case T_DOUBLE: case T_ENUM: case T_FLOAT: case T_INT_T: case T_LONG: case T_RESTRICT:
	case T_SHORT: case T_SIGNED: case T_STRING: case T_STRUCT: case T_UNION: case T_UNSIGNED: case T_VOID:
	case T_VOLATILE: case T_BOOL:
		return true;
	case T_IDENT:
		return d_typename(p->c, p->tok.str) || d_ext_at_type(p);
	default:
		return false;
	}
}

int64_t d_parse_const(struct d_parser *p, const char *tag, const char *what)
{
	struct d_node *n = d_parse_asgn(p);
	d_check_expr(p->c, n);
	if (!n->is_const || !d_is_int(n->type))
		d_fail(p, n->at, tag, "%s must be an integer constant", what);
	return n->val;
}

/* ---- specifiers ---- */

static enum storage storage_of(enum d_tok_kind k)
{
	switch (k) {
	case T_TYPEDEF: return ST_TYPEDEF;
	case T_SELF: return ST_SELF;
	case T_THIS: return ST_THIS;
	case T_EXTERN: return ST_EXTERN;
	case T_INLINE: return ST_INLINE;
	case T_STATIC: return ST_STATIC;
	case T_REGISTER: return ST_REGISTER;
	case T_AUTO: return ST_AUTO;
	default: return ST_NONE;
	}
}

static void add_type(struct d_parser *p, struct d_words *w, struct d_type *t, struct d_place at)
{
	if (d_words_kind(w))
		d_fail_hint(p, at, "D_DECL_COMBO", "a \";\" may be missing before this", "invalid type combination");
	w->type = t;
	d_words_check(p, w, at);
}

static bool type_word(struct d_parser *p, struct d_words *w, struct specs *s)
{
	struct d_place at = p->tok.at;
	struct d_type *t;
	if (d_words_add(p, w))
		return true;
	if (p->tok.kind == T_STRUCT || p->tok.kind == T_UNION || p->tok.kind == T_ENUM) {
		if (d_words_kind(w))
			add_type(p, w, NULL, at);
		add_type(p, w, d_parse_tagged(p, w, s), at);
		return true;
	}
	if (p->tok.kind == T_VOID)
		t = p->c->t.void_;
	else if (p->tok.kind == T_STRING)
		t = p->c->t.string;
	else if (p->tok.kind == T_IDENT && !w->any && !w->type)
		t = d_typename(p->c, p->tok.str) ? d_typename(p->c, p->tok.str) :
			d_ext_type_word(p, s->storage != ST_NONE);
	else
		return false;
	if (!t)
		return false;
	add_type(p, w, t, at);
	d_next(p);
	return true;
}

/* "static inline" and the like: in C's headers inline is no storage class. */
static bool is_c_inline(const struct d_parser *p, const struct specs *s, enum storage st)
{
	return st && s->storage && (st == ST_INLINE || s->storage == ST_INLINE) && d_in_header(p->c, p->tok.at);
}

void d_parse_specs(struct d_parser *p, struct specs *s)
{
	struct d_words n = { 0 };
	*s = (struct specs){ .at = p->tok.at };
	for (;;) {
		enum storage st = storage_of(p->tok.kind);
		if (is_c_inline(p, s, st)) {
			s->storage = s->storage == ST_INLINE ? st : s->storage;
			d_next(p);
			continue;
		}
		if (st && s->storage == ST_INLINE)
			d_fail(p, p->tok.at, "D_DECL_BADCLASS", "specified storage class not appropriate for inline declaration");
		if (st == ST_INLINE && s->storage)
			d_unexpected(p, "\"inline\" to be the first word");
		if (st && s->storage)
			d_fail(p, p->tok.at, "D_DECL_CLASS", "only one storage class allowed in a declaration");
		if (st) {
			s->storage = st;
			p->in_typedef = st == ST_TYPEDEF;
			d_next(p);
		} else if (p->tok.kind == T_CONST || p->tok.kind == T_VOLATILE || p->tok.kind == T_RESTRICT) {
			d_next(p);
		} else if (!type_word(p, &n, s)) {
			break;
		}
	}
	if (!d_words_kind(&n) && !n.any && !s->storage)
		d_unexpected(p, "a type");
	s->type = d_words_type(p, &n, s->at);
}

/* ---- declarators ---- */

static struct deriv *new_part(struct d_parser *p, int kind)
{
	struct deriv *v = d_alloc(p->c, sizeof(*v));
	v->kind = kind;
	v->at = p->tok.at;
	return v;
}

bool d_parse_param(struct d_parser *p, struct d_key *ret)
{
	struct specs s;
	*ret = (struct d_key){ .at = p->tok.at };
	if (d_accept(p, T_ELLIPSIS))
		return false;
	d_enter(p);
	d_parse_specs(p, &s);
	if (s.storage && s.storage != ST_REGISTER)
		d_fail(p, s.at, "D_DECL_PARMCLASS", "inappropriate storage class for function or associative array "
			"parameter");
	struct declr d = { .type = s.type };
	d_parse_declr(p, &d);
	if (d.keys)
		d_fail(p, d.at, "D_DECL_PROTO_TYPE", "an associative array cannot be a parameter");
	ret->type = d.type;
	ret->name = d.name;
	d_leave(p);
	return true;
}

static void parse_tuple(struct d_parser *p, struct deriv *v)
{
	struct d_params ps;
	d_parse_params(p, &ps, T_RBRACK, "array", D_PARAMS_ANON, NULL);
	v->kind = DV_TUPLE;
	v->keys = ps.keys;
	v->key_cnt = ps.cnt;
}

static struct deriv *parse_bracket(struct d_parser *p)
{
	struct deriv *v = new_part(p, DV_ARRAY);
	d_next(p);
	if (p->tok.kind == T_RBRACK) {
		v->cnt = 0;
	} else if (d_at_type(p) || p->tok.kind == T_ELLIPSIS) {
		parse_tuple(p, v);
	} else {
		struct d_node *n = d_parse_asgn(p);
		d_check_expr(p->c, n);
		bool is_const = n->is_const && d_is_int(n->type);
		if (!is_const || !n->val || (n->val < 0 && d_resolve(n->type)->is_signed))
			d_fail(p, v->at, "D_DECL_ARRSUB", "positive integral constant expression or tuple signature "
				"expected as array declaration subscript");
		if ((uint64_t)n->val > INT32_MAX)
			d_fail(p, v->at, "D_DECL_ARRBIG", "array dimension too big");
		v->cnt = (uint64_t)n->val;
	}
	d_expect(p, T_RBRACK, "of the declaration");
	return v;
}

/* Parameters do not matter to what D can do with a function's type. */
static struct deriv *parse_function(struct d_parser *p)
{
	struct deriv *v = new_part(p, DV_FUNC);
	struct d_params ps;
	d_next(p);
	d_parse_params(p, &ps, T_RPAREN, "function", D_PARAMS_VARARGS | D_PARAMS_VOID | D_PARAMS_ANON, NULL);
	d_next(p);
	return v;
}

static bool nested_declr(struct d_parser *p)
{
	struct d_parser save = *p;
	d_next(p);
	bool nested = p->tok.kind != T_RPAREN && !d_at_type(p);
	*p = save;
	return nested;
}

static struct deriv **append(struct deriv **tail, struct deriv *list)
{
	*tail = list;
	while (*tail)
		tail = &(*tail)->next;
	return tail;
}

static struct deriv *parse_parts(struct d_parser *p, struct declr *d)
{
	struct deriv *list = NULL, **tail = &list, *inner = NULL, *suffixes = NULL;
	d_enter(p);
	while (p->tok.kind == T_MUL) {
		tail = append(tail, new_part(p, DV_PTR));
		d_next(p);
		while (p->tok.kind == T_CONST || p->tok.kind == T_VOLATILE || p->tok.kind == T_RESTRICT)
			d_next(p);
	}
	if (p->tok.kind == T_IDENT) {
		d->at = p->tok.at;
		d->name = p->tok.str;
		d_next(p);
	} else if (p->tok.kind == T_LPAREN && nested_declr(p)) {
		d_next(p);
		inner = parse_parts(p, d);
		d_expect(p, T_RPAREN, "of the declarator");
	}
	while (p->tok.kind == T_LBRACK || p->tok.kind == T_LPAREN) {
		struct deriv *v = p->tok.kind == T_LBRACK ? parse_bracket(p) : parse_function(p);
		v->next = suffixes;
		suffixes = v;
	}
	tail = append(tail, suffixes);
	append(tail, inner);
	d_leave(p);
	return list;
}

static void apply_part(struct d_parser *p, struct declr *d, const struct deriv *v)
{
	struct d_type *base = d_resolve(d->type);
	if (d->keys)
		d_fail(p, v->at, "D_DECL_DYNOBJ", "cannot declare array of associative arrays");
	if (d->type->height > D_NEST_MAX)
		d_fail(p, v->at, "D_SYNTAX", "more than %d levels of types", D_NEST_MAX);
	switch (v->kind) {
	case DV_PTR:
		d->type = d_type_ptr(p->c, d->type);
		break;
	case DV_ARRAY:
		d_complete(p->c, base);
		if (base->kind == D_T_VOID)
			d_fail(p, v->at, "D_DECL_VOIDOBJ", "cannot declare array of void");
		if (base->kind == D_T_FUNC || base->is_incomplete)
			d_fail(p, v->at, "D_DECL_INCOMPLETE", "cannot have an array of %s", d_type_str(p->c, d->type));
		if (v->cnt * base->size > INT32_MAX)
			d_fail(p, v->at, "D_DECL_ARRBIG", "array dimension too big");
		d->type = d_type_array(p->c, d->type, v->cnt);
		break;
	case DV_TUPLE:
		d->keys = v->keys;
		d->key_cnt = v->key_cnt;
		break;
	case DV_FUNC: {
		struct d_type *f = d_type_new(p->c, D_T_FUNC, NULL, 0);
		f->base = d->type;
		f->height = (uint8_t)(d->type->height + 1);
		d->type = f;
		break;
	}
	}
}

/* d->type is the base on entry, what is declared afterwards. */
void d_parse_declr(struct d_parser *p, struct declr *d)
{
	d->at = p->tok.at;
	d->parts = parse_parts(p, d);
	for (const struct deriv *v = d->parts; v; v = v->next)
		apply_part(p, d, v);
}

struct d_type *d_parse_type_name(struct d_parser *p)
{
	struct specs s;
	d_enter(p);
	d_parse_specs(p, &s);
	if (s.storage)
		d_fail(p, s.at, "D_DECL_BADCLASS", "specified storage class not appropriate in D");
	struct declr d = { .type = s.type };
	d_parse_declr(p, &d);
	if (d.name)
		d_fail(p, d.at, "D_DECL_IDENT", "old-style declaration or incorrect type specified");
	if (d.keys)
		d_fail(p, d.at, "D_DECL_COMBO", "an associative array is no type");
	d_leave(p);
	return d.type;
}

/* ---- at the top ---- */

static struct d_node *decl_node(struct d_parser *p, enum d_node_kind kind, const struct declr *d)
{
	struct d_node *n = d_node_new(p, kind, d->at);
	n->str = d->name;
	n->type = d->type;
	n->keys = d->keys;
	n->key_cnt = d->key_cnt;
	d_add_top(p, n);
	return n;
}

/* Headers of C define again what D has anyway. */
static bool is_as(struct d_type *a, struct d_type *b)
{
	a = d_resolve(a);
	b = d_resolve(b);
	return d_type_same(a, b) || (d_is_int(a) && d_is_int(b) && a->size == b->size && a->is_signed == b->is_signed);
}

/* Functions that headers of C define are only declared. */
static void skip_body(struct d_parser *p, struct specs *s, const struct declr *d)
{
	uint32_t depth = 0;
	if (p->tok.kind != T_LBRACE || d_resolve(d->type)->kind != D_T_FUNC || !d_in_header(p->c, d->at))
		return;
	do {
		depth += p->tok.kind == T_LBRACE;
		depth -= p->tok.kind == T_RBRACE;
		if (p->tok.kind == T_EOF)
			d_unexpected(p, "the end of the function");
		if (depth)
			d_next(p);
	} while (depth);
	p->tok.kind = T_SEMI; /* so that the declaration ends with it */
	s->storage = ST_EXTERN;
}

static void declare(struct d_parser *p, const struct specs *s, struct declr *d)
{
	if (!d->name)
		d_unexpected(p, "a name");
	if (strchr(d->name, '`'))
		d_fail(p, d->at, "D_DECL_SCOPE", "D scoping operator may not be used in a declaration name (%s)",
			d->name);
	bool is_func = d_resolve(d->type)->kind == D_T_FUNC;
	if (s->storage == ST_AUTO || s->storage == ST_REGISTER || (s->storage == ST_STATIC && !is_func))
		d_fail(p, s->at, "D_DECL_BADCLASS", "specified storage class not appropriate in D");
	if (s->storage == ST_TYPEDEF) {
		if (d_var_find(p->c, D_GLOBAL, d->name))
			d_fail(p, d->at, "D_DECL_IDRED", "global variable identifier redeclared: %s", d->name);
		if (d->keys)
			d_fail(p, d->at, "D_DECL_COMBO", "an associative array is no type");
		struct d_type *old = d_typename(p->c, d->name);
		bool again = old && d_in_header(p->c, d->at);
		if (again && is_as(old, d->type))
			return;
		if (old && !(again && old->is_weak))
			d_fail(p, d->at, "D_DECL_IDRED", "typedef redeclared: %s", d->name);
		d_type_typedef(p->c, d->name, d->type);
		decl_node(p, N_TYPEDEF, d);
		return;
	}
	struct d_node *n = decl_node(p, s->storage == ST_INLINE ? N_INLINE : N_DECL, d);
	n->scope = s->storage == ST_SELF ? D_SELF : s->storage == ST_THIS ? D_THIS : D_GLOBAL;
	if (s->storage == ST_INLINE) {
		d_expect(p, T_ASGN, "in the inline definition");
		n->l = d_parse_asgn(p);
		n->at.seen = p->tok.at.line;
	}
}

void d_parse_decl(struct d_parser *p)
{
	struct specs s;
	if (p->tok.kind == T_PROVIDER) {
		d_parse_provider(p);
		return;
	}
	if (p->tok.kind == T_TRANSLATOR) {
		d_parse_translator(p);
		return;
	}
	p->in_typedef = false;
	d_parse_specs(p, &s);
	if (p->tok.kind == T_SEMI) {
		if (!s.has_body && !(d_is_sou(s.type) && s.type->is_incomplete))
			d_fail(p, s.at, "D_DECL_USELESS", "useless declaration");
		struct declr d = { .at = s.at, .type = s.type };
		decl_node(p, N_TYPEDECL, &d);
		return;
	}
	do {
		struct declr d = { .type = s.type };
		d_parse_declr(p, &d);
		if (p->tok.kind == T_IDENT && d.name && d_typename(p->c, d.name)) /* int size_t n */
			d_fail(p, p->tok.at, "D_DECL_IDENT", "old-style declaration or incorrect type specified");
		skip_body(p, &s, &d);
		declare(p, &s, &d);
	} while (d_accept(p, T_COMMA));
	if (p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" after the declaration");
}
