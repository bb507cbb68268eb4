/* SPDX-License-Identifier: MIT */
/*
 * Types of the traced program: by name out of whatever the caller has
 * (d_opts.types), into types of ours.  A structure's members come when they are
 * first looked at, because one structure of a large program leads to all others.
 */
#include "d/parse_int.h"

#include <ctype.h>

#define MODULE_MAX 256 /* characters of a module's name */

struct d_ext {
	struct d_compiler *c;
	const struct tdesc *desc;
	bool loaded;
};

/* ---- descriptions to types ---- */

static const char *intern(struct d_compiler *c, const char *s)
{
	return s ? d_intern(c, s, strlen(s)) : NULL;
}

static uint32_t size_of(const struct tdesc *t)
{
	return t->bytes > INT32_MAX ? 0 : (uint32_t)t->bytes;
}

static uint32_t align_of(uint32_t size)
{
	uint32_t a = size & -size;
	return !a || a > 8 ? 8 : a;
}

static struct d_type *named(struct d_compiler *c, enum d_type_kind kind, const struct tdesc *d)
{
	struct d_type *t = d_type_new(c, kind, intern(c, d->name), size_of(d));
	t->align = align_of(t->size);
	t->is_signed = d->is_signed;
	t->ext = d_alloc(c, sizeof(*t->ext));
	*t->ext = (struct d_ext){ c, d, false };
	return t;
}

/* What has no size that a register can hold is kept as bytes. */
static struct d_type *int_type(struct d_compiler *c, const struct tdesc *d)
{
	static const uint8_t ranks[9] = { [1] = 1, [2] = 2, [4] = 3, [8] = 4 };
	uint8_t rank = d->bytes <= 8 ? ranks[d->bytes] : 0;
	if (!rank)
		return named(c, D_T_STRUCT, d);
	struct d_type *t = d_type_new(c, D_T_INT, intern(c, d->name ? d->name : "int"), size_of(d));
	t->is_signed = d->is_signed;
	t->is_bool = d->is_bool;
	t->rank = rank + (rank == 4 && strstr(t->name, "long long"));
	return t;
}

static struct d_type *convert_kind(struct d_compiler *c, const struct tdesc *d)
{
	struct d_type *t;
	switch (d->kind) {
	case TDESC_INT:
		return int_type(c, d);
	case TDESC_FLOAT:
		return d_type_new(c, D_T_FLOAT, intern(c, d->name ? d->name : "double"), size_of(d));
	case TDESC_PTR:
		return d_type_ptr(c, d_ext_type(c, d->base));
	case TDESC_ARRAY:
		return d_type_array(c, d_ext_type(c, d->base), d->bytes > INT32_MAX ? 0 : d->cnt);
	case TDESC_STRUCT:
	case TDESC_UNION:
		t = named(c, d->kind == TDESC_STRUCT ? D_T_STRUCT : D_T_UNION, d);
		t->is_incomplete = d->is_decl;
		return t;
	case TDESC_ENUM:
		return d->bytes > 4 ? int_type(c, d) : named(c, D_T_ENUM, d);
	case TDESC_TYPEDEF:
		t = d_type_new(c, D_T_TYPEDEF, intern(c, d->name ? d->name : "type"), 0);
		t->base = d_ext_type(c, d->base);
		t->size = t->base->size;
		t->align = t->base->align;
		t->height = t->base->height == UINT8_MAX ? UINT8_MAX : (uint8_t)(t->base->height + 1);
		return t;
	case TDESC_FUNC:
		t = d_type_new(c, D_T_FUNC, NULL, 0);
		t->base = d_ext_type(c, d->base);
		return t;
	default:
		return c->t.void_;
	}
}

struct d_type *d_ext_type(struct d_compiler *c, const struct tdesc *d)
{
	/* A description stands for itself as a key: maps hash pointers. */
	const char *key = (const char *)d;
	if (!d || d->kind == TDESC_VOID)
		return c->t.void_;
	struct d_type *t = d_map_get(&c->exts, key);
	if (t)
		return t;
	t = convert_kind(c, d);
	d_map_put(c, &c->exts, key, t);
	return t;
}

/* ---- parts, when they are wanted ---- */

/* A bit-field is read with the word of its type that holds it; where none does, with eight bytes. */
static void place_bits(struct d_compiler *c, struct d_member *m, const struct tdesc_member *from)
{
	uint64_t unit = d_resolve(m->type)->size * 8ul;
	if (!unit)
		return;
	m->bits = from->bits;
	m->off = (uint32_t)(from->bit_off / unit * unit / 8);
	m->bit_off = (uint32_t)(from->bit_off - m->off * 8ul);
	if (m->bit_off + m->bits <= unit)
		return;
	m->type = d_resolve(m->type)->is_signed ? c->t.long_ : c->t.ulong;
	m->off = (uint32_t)(from->bit_off / 8);
	m->bit_off = (uint32_t)(from->bit_off % 8);
}

static void load_members(struct d_type *t, struct d_compiler *c, const struct tdesc *d)
{
	struct d_member **tail = &t->members;
	for (uint32_t i = 0; i < d->part_cnt; i++) {
		const struct tdesc_member *from = &d->members[i];
		struct d_member *m = d_alloc(c, sizeof(*m));
		m->name = intern(c, from->name);
		m->type = d_ext_type(c, from->type);
		m->off = (uint32_t)(from->bit_off / 8);
		if (from->bits)
			place_bits(c, m, from);
		*tail = m;
		tail = &m->next;
	}
}

static void load_enumerators(struct d_type *t, struct d_compiler *c, const struct tdesc *d)
{
	struct d_enumerator **tail = &t->enums;
	for (uint32_t i = 0; i < d->part_cnt; i++) {
		struct d_enumerator *e = d_alloc(c, sizeof(*e));
		*e = (struct d_enumerator){ intern(c, d->enumerators[i].name), d->enumerators[i].val, NULL };
		*tail = e;
		tail = &e->next;
	}
}

void d_ext_load(struct d_type *t)
{
	struct d_ext *x = t->ext;
	if (!x || x->loaded || t->is_incomplete)
		return;
	x->loaded = true;
	x->c->opts.types.load(x->c->opts.types.arg, x->desc);
	if (t->kind == D_T_ENUM && x->desc->kind == TDESC_ENUM)
		load_enumerators(t, x->c, x->desc);
	else if (x->desc->kind == TDESC_STRUCT || x->desc->kind == TDESC_UNION)
		load_members(t, x->c, x->desc);
}

bool d_ext_same(const struct d_type *a, const struct d_type *b)
{
	return a->ext && b->ext && a->kind == b->kind && a->name && a->name == b->name &&
		(a->size == b->size || a->is_incomplete || b->is_incomplete);
}

/* ---- names ---- */

static const struct tdesc *find(struct d_compiler *c, const char *scope, enum tdesc_kind kind, const char *name)
{
	return c->opts.types.find ? c->opts.types.find(c->opts.types.arg, scope, kind, name) : NULL;
}

static enum tdesc_kind tag_kind(enum d_type_kind kind)
{
	return kind == D_T_STRUCT ? TDESC_STRUCT : kind == D_T_UNION ? TDESC_UNION : TDESC_ENUM;
}

/* The part before the last `; *ret_name: behind it. NULL: any scope. */
static const char *split_scope(struct d_compiler *c, const char *name, const char **ret_name)
{
	const char *tick = strrchr(name, '`');
	*ret_name = tick ? tick + 1 : name;
	return tick && tick != name ? d_intern(c, name, (size_t)(tick - name)) : NULL;
}

static void complete_from(struct d_type *t, struct d_compiler *c, const struct tdesc *d)
{
	if (!t->ext)
		t->ext = d_alloc(c, sizeof(*t->ext));
	*t->ext = (struct d_ext){ c, d, false };
	t->size = size_of(d);
	t->align = align_of(t->size);
	t->is_signed = d->is_signed;
	t->is_incomplete = false;
}

bool d_complete(struct d_compiler *c, struct d_type *t)
{
	t = d_resolve(t);
	if (!t->is_incomplete || t->ext_tried)
		return !t->is_incomplete;
	t->ext_tried = true;
	if (t->ext) {
		c->opts.types.load(c->opts.types.arg, t->ext->desc);
		if (!t->ext->desc->is_decl)
			complete_from(t, c, t->ext->desc);
		return !t->is_incomplete;
	}
	const struct tdesc *d = t->name ? find(c, NULL, tag_kind(t->kind), t->name) : NULL;
	if (d && !d->is_decl)
		complete_from(t, c, d);
	return !t->is_incomplete;
}

struct d_type *d_ext_tag(struct d_compiler *c, enum d_type_kind kind, const char *name)
{
	const char *last, *scope = split_scope(c, name, &last);
	if (!scope || !strcmp(scope, "D"))
		return NULL;
	const struct tdesc *d = find(c, scope, tag_kind(kind), last);
	return d ? d_ext_type(c, d) : NULL;
}

static struct d_type *find_typedef(struct d_compiler *c, const char *name)
{
	const char *last, *scope = split_scope(c, name, &last);
	if (!c->opts.types.find || d_map_get(&c->ext_missing, name))
		return NULL;
	if (scope && !strcmp(scope, "D"))
		return d_typename(c, d_intern(c, last, strlen(last)));
	const struct tdesc *d = *last ? find(c, scope, TDESC_TYPEDEF, last) : NULL;
	if (!d || (d->kind == TDESC_INT && d->bytes > 8)) {
		d_map_put(c, &c->ext_missing, name, c);
		return NULL;
	}
	struct d_type *t = d_ext_type(c, d);
	d_map_put(c, &c->typedefs, name, t);
	return t;
}

/* ---- where a word may be a type ---- */

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static bool begins_word(char ch)
{
	return isalpha((unsigned char)ch) || ch == '_';
}

/* What follows a type in parentheses: stars and the end, or, without stars, what is cast. */
static bool looks_like_type(const char *s)
{
	s = skip_blanks(s);
	if (*s == '*') {
		do
			s = skip_blanks(s + (strncmp(s, "const", 5) ? 1 : 5));
		while (*s == '*' || !strncmp(s, "const", 5));
		return *s == ')' || *s == ',' || *s == '[' || *s == '(';
	}
	if (*s != ')')
		return false;
	s = skip_blanks(s + 1);
	return isalnum((unsigned char)*s) || (*s && strchr("_\"$(`~", *s));
}

static bool is_other(struct d_compiler *c, const char *name)
{
	return d_var_find(c, D_GLOBAL, name) || d_func_find(c, name);
}

/* The current token is a word that D does not know. */
bool d_ext_at_type(struct d_parser *p)
{
	const char *name = p->tok.str;
	return looks_like_type(p->text + p->pos) && !is_other(p->c, name) && find_typedef(p->c, name);
}

struct d_type *d_ext_type_word(struct d_parser *p, bool has_storage)
{
	char next = *skip_blanks(p->text + p->pos);
	if (is_other(p->c, p->tok.str) || (has_storage && !begins_word(next) && next != '*'))
		return NULL;
	return find_typedef(p->c, p->tok.str);
}

bool d_ext_at_decl(struct d_parser *p, size_t end)
{
	const char *name = d_intern(p->c, p->text + p->pos, end - p->pos);
	char next = p->text[end + strspn(p->text + end, " \t")];
	return begins_word(*name) && (begins_word(next) || next == '*') && next != p->text[end] &&
		!is_other(p->c, name) && find_typedef(p->c, name);
}

struct d_type *d_ext_named(struct d_compiler *c, const char *name)
{
	return find_typedef(c, name);
}

/* ---- words with a module or namespaces ---- */

static bool is_word(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_' || ch == '`';
}

static bool in_module_name(char ch)
{
	return isalnum((unsigned char)ch) || (ch && strchr("_.+-", ch));
}

size_t d_ext_word_end(const char *text, size_t start, size_t end)
{
	size_t at = end;
	/* libc.so.6`FILE, a.out`global */
	if (text[at] == '.' && !memchr(text + start, '`', end - start)) {
		while (at - end < MODULE_MAX && in_module_name(text[at]))
			at++;
		if (text[at] == '`' && begins_word(text[at + 1]))
			end = at;
		while (is_word(text[end]))
			end++;
	}
	while (text[end] == ':' && text[end + 1] == ':' && begins_word(text[end + 2]) && begins_word(text[start])) {
		end += 2;
		while (is_word(text[end]))
			end++;
	}
	return end;
}
