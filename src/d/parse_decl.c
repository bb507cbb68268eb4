/* SPDX-License-Identifier: MIT */
/* Declarations and type names.  Types are made while parsing, because what
 * follows is parsed by what is a type. */
#include "d/d_int.h"

enum storage { ST_NONE, ST_TYPEDEF, ST_SELF, ST_THIS, ST_EXTERN, ST_INLINE, ST_BAD };

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

static void parse_bits(struct d_parser *p, struct d_member *m)
{
	struct d_place at = p->tok.at;
	int64_t bits = d_parse_const(p, "D_DECL_BFCONST", "the size of a bit-field");
	if (!d_is_int(m->type))
		d_fail(p, at, "D_DECL_BFTYPE", "a bit-field must be of an integer type");
	if (bits < 0 || (!bits && m->name))
		d_fail(p, at, "D_DECL_BFCONST", "the size of a bit-field must be positive");
	if (bits > (int64_t)m->type->size * 8)
		d_fail(p, at, "D_DECL_BFSIZE", "the bit-field is larger than its type");
	m->bits = (uint32_t)bits;
}

static void add_member(struct d_parser *p, struct d_type *sou, struct d_member ***tail, struct declr *d)
{
	struct d_member *m = d_alloc(p->c, sizeof(*m));
	uint32_t off;
	*m = (struct d_member){ .name = d->name, .type = d->type };
	if (d->name && d_member_find(sou, d->name, &off))
		d_fail(p, d->at, "D_UNKNOWN", "member %s is declared twice", d->name);
	if (d_accept(p, T_COLON))
		parse_bits(p, m);
	else if (d_resolve(d->type)->kind == D_T_VOID)
		d_fail(p, d->at, "D_DECL_VOIDOBJ", "cannot have a void member");
	else if (d_resolve(d->type)->kind == D_T_FUNC)
		d_fail(p, d->at, "D_DECL_VOIDOBJ", "a member cannot be a function");
	else if (d->keys)
		d_fail(p, d->at, "D_DECL_COMBO", "a member cannot be an associative array");
	else if (d_resolve(d->type)->is_incomplete)
		d_fail(p, d->at, "D_DECL_INCOMPLETE", "incomplete struct/union/enum %s", d_type_str(p->c, d->type));
	**tail = m;
	*tail = &m->next;
}

static void parse_members(struct d_parser *p, struct d_type *t)
{
	struct d_member **tail = &t->members;
	while (!d_accept(p, T_RBRACE)) {
		struct specs s;
		parse_specs(p, &s);
		if (s.storage)
			d_fail(p, s.at, "D_DECL_BADCLASS", "a member has no storage class");
		if (p->tok.kind == T_SEMI && d_is_sou(s.type)) {
			struct declr anon = { .at = s.at, .type = s.type };
			add_member(p, t, &tail, &anon);
		} else {
			do {
				struct declr d = { .type = s.type };
				if (p->tok.kind != T_COLON)
					parse_declr(p, &d);
				if (!d.name && p->tok.kind != T_COLON)
					d_fail(p, p->tok.at, "D_DECL_MNAME", "a member needs a name");
				add_member(p, t, &tail, &d);
			} while (d_accept(p, T_COMMA));
		}
		d_expect(p, T_SEMI, "after the member");
	}
	d_layout_sou(t);
	if (t->size == INT32_MAX)
		d_fail(p, p->tok.at, "D_DECL_ARRBIG", "the type is too large");
}

static void parse_enumerators(struct d_parser *p, struct d_type *t)
{
	struct d_enumerator **tail = &t->enums;
	int64_t val = 0;
	do {
		struct d_place at = p->tok.at;
		if (p->tok.kind == T_RBRACE)
			break;
		if (p->tok.kind != T_IDENT)
			d_unexpected(p, "an enumerator's name");
		const char *name = p->tok.str;
		d_next(p);
		if (d_accept(p, T_ASGN))
			val = d_parse_const(p, "D_DECL_ENCONST", "an enumerator's value");
		if (val < INT32_MIN || val > INT32_MAX)
			d_fail(p, at, "D_DECL_ENOFLOW", "the enumerator's value does not fit an int");
		struct d_enumerator *e = d_alloc(p->c, sizeof(*e));
		*e = (struct d_enumerator){ name, val, NULL };
		*tail = e;
		tail = &e->next;
		if (d_var_find(p->c, D_GLOBAL, name))
			d_fail(p, at, "D_UNKNOWN", "enumerator redeclared: %s", name);
		d_var_new(p->c, D_GLOBAL, name, D_VAR_ENUMERATOR, p->c->t.int_, at)->val = val++;
	} while (d_accept(p, T_COMMA));
	d_expect(p, T_RBRACE, "after the enumerators");
	t->size = t->align = 4;
	t->is_signed = true;
	t->is_incomplete = false;
}

static struct d_type *parse_tagged(struct d_parser *p, struct specs *s)
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
	if (scope && p->tok.kind == T_LBRACE)
		d_fail(p, at, "D_SYNTAX", "syntax error near \"%s\": a type cannot be declared in another scope", name);
	struct d_type *ext = scope ? d_ext_tag(p->c, kind, name) : NULL;
	if (ext)
		return ext;
	if (scope)
		name = d_intern(p->c, scope + 1, strlen(scope + 1));
	struct d_type *t = tag_type(p, kind, name);
	if (!d_accept(p, T_LBRACE))
		return t;
	s->has_body = true;
	if (t->is_weak) {
		t->is_weak = false; /* programs have seen nothing of it */
		t->members = NULL;
		t->is_incomplete = true;
	}
	if (!t->is_incomplete)
		d_fail(p, at, "D_DECL_TYPERED", "type redeclared: %s", d_type_str(p->c, t));
	d_enter(p);
	if (kind == D_T_ENUM)
		parse_enumerators(p, t);
	else
		parse_members(p, t);
	d_leave(p);
	return t;
}

/* ---- specifiers ---- */

struct counts {
	unsigned is_signed, is_unsigned, is_short, longs, is_char, is_int, is_float, is_double, is_bool;
	struct d_type *type; /* void, string, a tag's, a typedef */
	bool any;
};

static enum storage storage_of(enum d_tok_kind k)
{
	switch (k) {
	case T_TYPEDEF: return ST_TYPEDEF;
	case T_SELF: return ST_SELF;
	case T_THIS: return ST_THIS;
	case T_EXTERN: return ST_EXTERN;
	case T_INLINE: return ST_INLINE;
	case T_AUTO: case T_REGISTER: case T_STATIC: case T_COUNTER: case T_IMPORT: return ST_BAD;
	default: return ST_NONE;
	}
}

static bool count_word(struct d_parser *p, struct counts *n)
{
	switch (p->tok.kind) {
	case T_SIGNED: n->is_signed++; break;
	case T_UNSIGNED: n->is_unsigned++; break;
	case T_SHORT: n->is_short++; break;
	case T_LONG: n->longs++; break;
	case T_CHAR: n->is_char++; break;
	case T_INT_T: n->is_int++; break;
	case T_FLOAT: n->is_float++; break;
	case T_DOUBLE: n->is_double++; break;
	case T_BOOL: n->is_bool++; break;
	default: return false;
	}
	n->any = true;
	d_next(p);
	return true;
}

static bool type_word(struct d_parser *p, struct counts *n, struct specs *s)
{
	struct d_type *t;
	if (count_word(p, n))
		return true;
	if (p->tok.kind == T_STRUCT || p->tok.kind == T_UNION || p->tok.kind == T_ENUM) {
		if (n->type)
			d_fail(p, p->tok.at, "D_DECL_COMBO", "invalid combination of types: a \";\" may be "
				"missing before this");
		n->type = parse_tagged(p, s);
		return true;
	}
	if (p->tok.kind == T_VOID)
		t = p->c->t.void_;
	else if (p->tok.kind == T_STRING)
		t = p->c->t.string;
	else if (p->tok.kind == T_IDENT && !n->any && !n->type)
		t = d_typename(p->c, p->tok.str) ? d_typename(p->c, p->tok.str) :
			d_ext_type_word(p, s->storage != ST_NONE);
	else
		return false;
	if (!t || n->type)
		return false;
	n->type = t;
	d_next(p);
	return true;
}

static struct d_type *int_type(const struct d_basics *b, const struct counts *n)
{
	bool u = n->is_unsigned;
	if (n->is_char)
		return u ? b->uchar : n->is_signed ? b->schar : b->char_;
	if (n->is_short)
		return u ? b->ushort : b->short_;
	if (n->longs)
		return n->longs == 1 ? (u ? b->ulong : b->long_) : u ? b->ullong : b->llong;
	return u ? b->uint : b->int_;
}

static struct d_type *resolve_words(struct d_parser *p, const struct counts *n, struct d_place at, bool has_storage)
{
	const struct d_basics *b = &p->c->t;
	unsigned kinds = n->is_char + n->is_int + n->is_float + n->is_double + n->is_bool;
	if (n->type && n->any)
		d_fail(p, at, n->type->kind == D_T_VOID ? "D_DECL_VOIDATTR" : n->is_signed + n->is_unsigned ?
			"D_DECL_SIGNINT" :
		       n->longs + n->is_short ? "D_DECL_LONGINT" : "D_DECL_COMBO", "%s cannot be combined with "
			"other type words",
		       d_type_str(p->c, n->type));
	if (n->type)
		return n->type;
	if (!n->any && has_storage)
		return b->int_;
	if (!n->any)
		d_unexpected(p, "a type");
	if (n->is_char && n->longs + n->is_short)
		d_fail(p, at, "D_DECL_CHARATTR", "char cannot be long or short");
	if ((n->is_float || n->is_double || n->is_bool) && n->is_signed + n->is_unsigned)
		d_fail(p, at, "D_DECL_SIGNINT", "signed and unsigned go with integers only");
	if (kinds > 1 || n->is_signed + n->is_unsigned > 1 || n->is_short + !!n->longs > 1 || n->longs > 2 ||
	    ((n->is_float || n->is_bool) && n->longs + n->is_short) || (n->is_double && (n->longs > 1 || n->is_short)))
		d_fail(p, at, "D_DECL_COMBO", "invalid combination of type words");
	if (n->is_bool)
		return b->bool_;
	if (n->is_float)
		return b->float_;
	if (n->is_double)
		return n->longs ? b->ldouble : b->double_;
	return int_type(b, n);
}

static void parse_specs(struct d_parser *p, struct specs *s)
{
	struct counts n = { 0 };
	*s = (struct specs){ .at = p->tok.at };
	for (;;) {
		enum storage st = storage_of(p->tok.kind);
		if (st == ST_BAD)
			d_fail(p, p->tok.at, "D_DECL_BADCLASS", "storage class %s is not for D",
				d_tok_text(p->tok.kind));
		if (st && s->storage)
			d_fail(p, p->tok.at, "D_DECL_CLASS", "only one storage class can be given");
		if (st) {
			s->storage = st;
			d_next(p);
		} else if (p->tok.kind == T_CONST || p->tok.kind == T_VOLATILE || p->tok.kind == T_RESTRICT) {
			d_next(p);
		} else if (!type_word(p, &n, s)) {
			break;
		}
	}
	s->type = resolve_words(p, &n, s->at, s->storage != ST_NONE);
}

/* ---- declarators ---- */

static struct deriv *new_part(struct d_parser *p, int kind)
{
	struct deriv *v = d_alloc(p->c, sizeof(*v));
	v->kind = kind;
	v->at = p->tok.at;
	return v;
}

static void parse_tuple(struct d_parser *p, struct deriv *v)
{
	struct d_key keys[64] = { 0 };
	do {
		if (v->key_cnt == ARRAY_CNT(keys))
			d_fail(p, p->tok.at, "D_SYNTAX", "more than %zu keys", ARRAY_CNT(keys));
		if (p->tok.kind == T_ELLIPSIS)
			d_fail(p, p->tok.at, "D_DECL_PROTO_VARARGS", "the keys of an array cannot be of a "
				"variable number");
		keys[v->key_cnt++].type = d_parse_type_name(p);
	} while (d_accept(p, T_COMMA));
	v->kind = DV_TUPLE;
	v->keys = d_alloc(p->c, v->key_cnt * sizeof(*keys));
	memcpy(v->keys, keys, v->key_cnt * sizeof(*keys));
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
		int64_t n = d_parse_const(p, "D_DECL_ARRSUB", "the size of an array");
		if (n < 0)
			d_fail(p, v->at, "D_DECL_ARRSUB", "the size of an array must be a positive integer constant");
		if (n > INT32_MAX)
			d_fail(p, v->at, "D_DECL_ARRBIG", "the array is too large");
		v->cnt = (uint64_t)n;
	}
	d_expect(p, T_RBRACK, "of the declaration");
	return v;
}

/* Parameters do not matter to what D can do with a function's type. */
static struct deriv *parse_params(struct d_parser *p)
{
	struct deriv *v = new_part(p, DV_FUNC);
	uint32_t open = 1;
	for (d_next(p); open; d_next(p)) {
		if (p->tok.kind == T_EOF)
			d_unexpected(p, "\")\"");
		if (storage_of(p->tok.kind) && p->tok.kind != T_REGISTER)
			d_fail(p, p->tok.at, "D_DECL_PARMCLASS", "a parameter has no storage class");
		open += p->tok.kind == T_LPAREN;
		if (p->tok.kind == T_RPAREN && !--open)
			break;
	}
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
		struct deriv *v = p->tok.kind == T_LBRACK ? parse_bracket(p) : parse_params(p);
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
		d_fail(p, v->at, "D_DECL_COMBO", "nothing can be made of an associative array");
	if (d->type->height > D_NEST_MAX)
		d_fail(p, v->at, "D_SYNTAX", "more than %d levels of types", D_NEST_MAX);
	switch (v->kind) {
	case DV_PTR:
		d->type = d_type_ptr(p->c, d->type);
		break;
	case DV_ARRAY:
		d_complete(p->c, base);
		if (base->kind == D_T_VOID || base->kind == D_T_FUNC || base->is_incomplete)
			d_fail(p, v->at, "D_DECL_INCOMPLETE", "cannot have an array of %s", d_type_str(p->c, d->type));
		if (v->cnt * base->size > INT32_MAX)
			d_fail(p, v->at, "D_DECL_ARRBIG", "the array is too large");
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
		d_fail(p, s.at, "D_DECL_BADCLASS", "a type's name has no storage class");
	struct declr d = { .type = s.type };
	parse_declr(p, &d);
	if (d.name)
		d_fail(p, d.at, "D_DECL_IDENT", "unexpected identifier %s in a type's name", d.name);
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

static void declare(struct d_parser *p, const struct specs *s, struct declr *d)
{
	if (!d->name)
		d_unexpected(p, "a name");
	if (strchr(d->name, '`'))
		d_fail(p, d->at, "D_DECL_SCOPE", "D scoping operator may not be used in a declaration name (%s)",
			d->name);
	if (s->storage == ST_TYPEDEF) {
		if (d->keys)
			d_fail(p, d->at, "D_DECL_COMBO", "an associative array is no type");
		if (d_typename(p->c, d->name))
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
	}
}

/* Skips what cannot be compiled yet, so that only this one thing is said about it. */
static void unsupported(struct d_parser *p, const char *what)
{
	d_fail(p, p->tok.at, "D_UNSUP", "%s are not supported by this version", what);
}

void d_parse_decl(struct d_parser *p)
{
	struct specs s;
	if (p->tok.kind == T_PROVIDER)
		unsupported(p, "provider declarations");
	if (p->tok.kind == T_TRANSLATOR)
		unsupported(p, "translators");
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
		declare(p, &s, &d);
	} while (d_accept(p, T_COMMA));
	if (p->tok.kind != T_SEMI)
		d_unexpected(p, "\";\" after the declaration");
}
