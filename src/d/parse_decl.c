/* SPDX-License-Identifier: MIT */
/* Declarations and type names.  Types are made while parsing, because what
 * follows is parsed by what is a type. */
#include "d/d_int.h"

enum storage { ST_NONE, ST_TYPEDEF, ST_SELF, ST_THIS, ST_EXTERN, ST_INLINE, ST_STATIC, ST_REGISTER, ST_AUTO };

struct specs {
	enum storage storage;
	struct d_type *type;
	struct d_place at;
	bool has_body; /* struct { ... }: a declaration by itself */
};

/* A declarator's parts, in the order in which they are applied to the base. */
struct deriv {
	enum { DV_PTR, DV_ARRAY, DV_TUPLE, DV_FUNC } kind;
	uint64_t cnt;
	struct d_key *keys;
	uint32_t key_cnt;
	struct d_place at;
	struct deriv *next;
};

struct declr {
	const char *name; /* NULL: abstract */
	struct d_place at;
	struct deriv *parts;
	struct d_type *type;
	struct d_key *keys;
	uint32_t key_cnt;
};

static void parse_specs(struct d_parser *p, struct specs *s);
static void parse_declr(struct d_parser *p, struct declr *d);

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

/* ---- struct, union, enum ---- */

static struct d_type *tag_type(struct d_parser *p, enum d_type_kind kind, const char *name)
{
	/* DTrace keeps the tags of structs, unions and enums apart. */
	struct d_map *tags = &p->c->tags[kind == D_T_STRUCT ? 0 : kind == D_T_UNION ? 1 : 2];
	struct d_type *t = name ? d_map_get(tags, name) : NULL;
	if (t)
		return t;
	t = d_type_new(p->c, kind, name, 0);
	t->is_incomplete = true;
	if (name)
		d_map_put(p->c, tags, name, t);
	return t;
}

static const char *or_anon(const char *name)
{
	return name ? name : "(anon)";
}

static void parse_bits(struct d_parser *p, struct d_member *m)
{
	struct d_place at = p->tok.at;
	struct d_node *n = d_parse_asgn(p);
	d_check_expr(p->c, n);
	bool is_const = n->is_const && d_is_int(n->type);
	if (is_const && !n->val && !m->name) /* ends the unit */
		return;
	if (!is_const || n->val <= 0)
		d_fail(p, at, "D_DECL_BFCONST", "positive integral constant expression expected as bit-field size");
	if (d_resolve(m->type)->kind != D_T_INT)
		d_fail(p, at, "D_DECL_BFTYPE", "invalid type for bit-field: %s", or_anon(m->name));
	if (n->val > (int64_t)m->type->size * 8)
		d_fail(p, at, "D_DECL_BFSIZE", "bit-field too big for type: %s", or_anon(m->name));
	m->bits = (uint32_t)n->val;
}

static void check_member_type(struct d_parser *p, const struct declr *d)
{
	struct d_type *t = d_resolve(d->type);
	if (d->keys)
		d_fail(p, d->at, "D_DECL_DYNOBJ", "cannot have dynamic member: %s", or_anon(d->name));
	if (!d_complete(p->c, t))
		d_fail(p, d->at, "D_DECL_INCOMPLETE", "incomplete struct/union/enum %s: %s", d_type_str(p->c, d->type),
			or_anon(d->name));
	if (t->kind == D_T_VOID || t->kind == D_T_FUNC)
		d_fail(p, d->at, "D_DECL_VOIDOBJ", "cannot have void member: %s", or_anon(d->name));
}

static void add_member(struct d_parser *p, struct d_type *sou, struct d_member ***tail, struct declr *d)
{
	struct d_member *m = d_alloc(p->c, sizeof(*m));
	uint32_t off;
	*m = (struct d_member){ .name = d->name, .type = d->type };
	if (d->name && strchr(d->name, '`'))
		d_fail(p, d->at, "D_DECL_SCOPE", "D scoping operator may not be used in a member name (%s)", d->name);
	check_member_type(p, d);
	if (d_accept(p, T_COLON))
		parse_bits(p, m);
	if (d->name && d_member_find(sou, d->name, &off))
		d_fail(p, d->at, "D_UNKNOWN", "failed to define member '%s': Duplicate member or variable name", d->name);
	**tail = m;
	*tail = &m->next;
}

static void parse_members(struct d_parser *p, struct d_type *t)
{
	struct d_member **tail = &t->members;
	if (p->tok.kind == T_RBRACE)
		d_unexpected(p, "a member");
	while (!d_accept(p, T_RBRACE)) {
		struct specs s;
		parse_specs(p, &s);
		if (s.storage)
			d_fail(p, s.at, "D_DECL_BADCLASS", "specified storage class not appropriate in D");
		if (p->tok.kind == T_SEMI && d_is_sou(s.type)) {
			struct declr anon = { .at = s.at, .type = s.type };
			add_member(p, t, &tail, &anon);
		} else {
			do {
				struct declr d = { .type = s.type };
				if (p->tok.kind != T_COLON)
					parse_declr(p, &d);
				if (!d.name && p->tok.kind != T_COLON)
					d_fail(p, p->tok.at, "D_DECL_MNAME", "member declaration requires a name");
				add_member(p, t, &tail, &d);
			} while (d_accept(p, T_COMMA));
		}
		d_expect(p, T_SEMI, "after the member");
	}
	d_layout_sou(t);
	if (t->size == INT32_MAX)
		d_fail(p, p->tok.at, "D_DECL_ARRBIG", "the type is too large");
}

static void add_enumerator(struct d_parser *p, struct d_type *t, const char *name, struct d_place at, int64_t val)
{
	struct d_var *old = d_var_find(p->c, D_GLOBAL, name);
	if (strchr(name, '`'))
		d_fail(p, at, "D_DECL_SCOPE", "D scoping operator may not be used in an enumerator name (%s)", name);
	if (old && old->kind == D_VAR_ENUMERATOR && old->type == t)
		d_fail(p, at, "D_UNKNOWN", "failed to define enumerator '%s': Duplicate member or variable name", name);
	bool taken = old || d_func_find(p->c, name);
	if (taken && d_in_header(p->c, at)) /* it can be named where it is compared with such an enum */
		return;
	if (taken)
		d_fail(p, at, "D_DECL_IDRED", "identifier redeclared: %s", name);
	d_var_new(p->c, D_GLOBAL, name, D_VAR_ENUMERATOR, t, at)->val = val;
}

static int64_t parse_enum_value(struct d_parser *p, const char *name)
{
	struct d_node *n = d_parse_asgn(p);
	d_check_expr(p->c, n);
	if (!n->is_const || !d_is_int(n->type))
		d_fail(p, n->at, "D_DECL_ENCONST", "enumerator '%s' must be assigned to an integral constant expression",
			name);
	if (n->val < INT32_MIN || n->val > INT32_MAX)
		d_fail(p, n->at, "D_DECL_ENOFLOW", "enumerator '%s' value overflows INT_MAX (%d)", name, INT32_MAX);
	return n->val;
}

static void parse_enumerators(struct d_parser *p, struct d_type *t)
{
	struct d_enumerator **tail = &t->enums;
	int64_t val = 0;
	t->size = t->align = 4;
	t->is_signed = true;
	t->is_incomplete = false;
	do {
		struct d_place at = p->tok.at;
		if (p->tok.kind != T_IDENT)
			d_unexpected(p, "an enumerator's name");
		const char *name = p->tok.str;
		d_next(p);
		if (d_accept(p, T_ASGN))
			val = parse_enum_value(p, name);
		add_enumerator(p, t, name, at, (int32_t)val);
		struct d_enumerator *e = d_alloc(p->c, sizeof(*e));
		*e = (struct d_enumerator){ name, (int32_t)val++, NULL };
		*tail = e;
		tail = &e->next;
	} while (d_accept(p, T_COMMA) && p->tok.kind != T_RBRACE);
	d_expect(p, T_RBRACE, "after the enumerators");
}

/* What is wrong with the words before a body is said at its brace. */
static void check_body(struct d_parser *p, const struct d_words *w, const struct d_type *t, struct d_place at)
{
	struct d_words words = *w;
	words.type = p->c->t.err;
	at.seen = p->tok.at.line;
	d_words_check(p, &words, at);
	if (!t->is_incomplete)
		d_fail(p, at, "D_DECL_TYPERED", "type redeclared: %s", d_type_str(p->c, t));
}

static struct d_type *parse_tagged(struct d_parser *p, const struct d_words *w, struct specs *s)
{
	enum d_type_kind kind = p->tok.kind == T_STRUCT ? D_T_STRUCT : p->tok.kind == T_UNION ? D_T_UNION : D_T_ENUM;
	struct d_place at = p->tok.at;
	const char *name = NULL;
	d_next(p);
	if (p->tok.kind == T_IDENT)
		name = d_parse_name(p, "a tag");
	else if (p->tok.kind != T_LBRACE)
		d_unexpected(p, "a tag or \"{\"");
	/* struct D`foo: foo as a D program declared it, which is all that there are. */
	const char *scope = name ? strrchr(name, '`') : NULL;
	if (scope && p->tok.kind == T_LBRACE) {
		d_next(p);
		if (p->tok.kind == T_RBRACE)
			d_unexpected(p, "what is in it");
		d_fail(p, at, "D_DECL_SCOPE", "D scoping operator may not be used in a type name");
	}
	struct d_type *ext = scope ? d_ext_tag(p->c, kind, name) : NULL;
	if (ext)
		return ext;
	if (scope)
		name = d_intern(p->c, scope + 1, strlen(scope + 1));
	struct d_type *t = tag_type(p, kind, name);
	if (p->tok.kind != T_LBRACE)
		return t;
	s->has_body = true;
	if (t->is_weak) {
		t->is_weak = false; /* programs have seen nothing of it */
		t->members = NULL;
		t->is_incomplete = true;
	}
	check_body(p, w, t, at);
	d_next(p);
	d_enter(p);
	if (kind == D_T_ENUM)
		parse_enumerators(p, t);
	else
		parse_members(p, t);
	d_leave(p);
	return t;
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
		add_type(p, w, parse_tagged(p, w, s), at);
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

static void parse_specs(struct d_parser *p, struct specs *s)
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
	parse_specs(p, &s);
	if (s.storage && s.storage != ST_REGISTER)
		d_fail(p, s.at, "D_DECL_PARMCLASS", "inappropriate storage class for function or associative array "
			"parameter");
	struct declr d = { .type = s.type };
	parse_declr(p, &d);
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
static void parse_declr(struct d_parser *p, struct declr *d)
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
	parse_specs(p, &s);
	if (s.storage)
		d_fail(p, s.at, "D_DECL_BADCLASS", "specified storage class not appropriate in D");
	struct declr d = { .type = s.type };
	parse_declr(p, &d);
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
	parse_specs(p, &s);
	if (p->tok.kind == T_SEMI) {
		if (!s.has_body && !(d_is_sou(s.type) && s.type->is_incomplete))
			d_fail(p, s.at, "D_DECL_USELESS", "useless declaration");
		struct declr d = { .at = s.at, .type = s.type };
		decl_node(p, N_TYPEDECL, &d);
		return;
	}
	do {
		struct declr d = { .type = s.type };
		parse_declr(p, &d);
		if (p->tok.kind == T_IDENT && d.name && d_typename(p->c, d.name)) /* int size_t n */
			d_fail(p, p->tok.at, "D_DECL_IDENT", "old-style declaration or incorrect type specified");
		skip_body(p, &s, &d);
		declare(p, &s, &d);
	} while (d_accept(p, T_COMMA));
	if (p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" after the declaration");
}
