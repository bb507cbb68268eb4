/* SPDX-License-Identifier: MIT */
/* struct, union, enum: tags and what is between their braces. */
#include "d/check_int.h"
#include "d/decl_int.h"

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
		d_parse_specs(p, &s);
		if (s.storage)
			d_fail(p, s.at, "D_DECL_BADCLASS", "specified storage class not appropriate in D");
		if (p->tok.kind == T_SEMI && d_is_sou(s.type)) {
			struct declr anon = { .at = s.at, .type = s.type };
			add_member(p, t, &tail, &anon);
		} else {
			do {
				struct declr d = { .type = s.type };
				if (p->tok.kind != T_COLON)
					d_parse_declr(p, &d);
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

struct d_type *d_parse_tagged(struct d_parser *p, const struct d_words *w, struct specs *s)
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
