/* SPDX-License-Identifier: MIT */
/* The words that basic types are made of, in any order: unsigned long int. */
#include "d/parse_int.h"

enum d_words_kind d_words_kind(const struct d_words *w)
{
	if (w->type)
		return D_WORDS_TYPE;
	if (w->base)
		return w->base == T_FLOAT || w->base == T_DOUBLE ? D_WORDS_FLOAT : D_WORDS_INT;
	return D_WORDS_NONE;
}

void d_words_check(struct d_parser *p, const struct d_words *w, struct d_place at)
{
	enum d_words_kind kind = d_words_kind(w);
	bool sized = w->is_short || w->longs, sign = w->is_signed || w->is_unsigned;
	if (kind == D_WORDS_NONE)
		return;
	if (w->base == T_CHAR && sized)
		d_fail(p, at, "D_DECL_CHARATTR", "invalid type declaration: short and long may not be used with char "
			"type");
	if (w->type && w->type->kind == D_T_VOID && (sized || sign))
		d_fail(p, at, "D_DECL_VOIDATTR", "invalid type declaration: attributes may not be used with void type");
	if (kind != D_WORDS_INT && sign)
		d_fail(p, at, "D_DECL_SIGNINT", "invalid type declaration: signed and unsigned may only be used with "
			"integer type");
	if (kind == D_WORDS_TYPE && w->longs)
		d_fail(p, at, "D_DECL_LONGINT", "invalid type declaration: long and long long may only be used with "
			"integer or floating-point type");
}

bool d_words_add(struct d_parser *p, struct d_words *w)
{
	enum d_tok_kind k = p->tok.kind;
	struct d_place at = p->tok.at;
	switch (k) {
	case T_SIGNED: w->is_signed = true; break;
	case T_UNSIGNED: w->is_unsigned = true; break;
	case T_SHORT: w->is_short = true; break;
	case T_LONG: w->longs++; break;
	case T_CHAR: case T_INT_T: case T_FLOAT: case T_DOUBLE: case T_BOOL:
		if (d_words_kind(w))
			d_fail(p, at, "D_DECL_COMBO", "invalid type combination");
		w->base = k;
		break;
	default:
		return false;
	}
	w->any = true;
	d_words_check(p, w, at);
	d_next(p);
	return true;
}

/* As DTrace looks for it. */
static const char *words_str(struct d_compiler *c, const struct d_words *w)
{
	bool sized = w->is_short || w->longs;
	const char *base = !w->base || (sized && d_words_kind(w) == D_WORDS_INT) ? "" : d_tok_text(w->base);
	return d_fmt(c, "%s%s%s%s%s%s", w->is_signed ? "signed " : "", w->is_unsigned ? "unsigned " : "",
		w->is_short ? "short " : "", w->longs % 2 ? "long " : "", w->longs > 1 ? "long long " : "", base);
}

static struct d_type *int_type(const struct d_basics *b, const struct d_words *w)
{
	bool u = w->is_unsigned;
	if (w->base == T_BOOL)
		return b->bool_;
	if (w->base == T_CHAR)
		return u ? b->uchar : w->is_signed ? b->schar : b->char_;
	if (w->is_short)
		return u ? b->ushort : b->short_;
	if (w->longs)
		return w->longs == 1 ? (u ? b->wulong : b->wlong) : u ? b->ullong : b->llong;
	return u ? b->uint : b->int_;
}

struct d_type *d_words_type(struct d_parser *p, const struct d_words *w, struct d_place at)
{
	const struct d_basics *b = &p->c->t;
	bool is_float = d_words_kind(w) == D_WORDS_FLOAT;
	if (w->type)
		return w->type;
	bool ok = !(w->is_signed && w->is_unsigned) && !(w->is_short && (w->longs || is_float)) && w->longs <= 2 &&
		!(is_float && w->longs > (w->base == T_DOUBLE)) && !(w->base == T_BOOL && (w->is_short || w->longs));
	if (!ok)
		d_fail(p, at, "D_UNKNOWN", "failed to resolve type %s: Unknown type name", words_str(p->c, w));
	if (!is_float)
		return int_type(b, w);
	return w->base == T_FLOAT ? b->float_ : w->longs ? b->ldouble : b->double_;
}
