/* SPDX-License-Identifier: MIT */
/* printf() formats against their arguments. */
#include "d/check_int.h"

#include <ctype.h>

struct conv {
	const char *start;
	const char *bad; /* why it is none; NULL: it is one */
	char name[8];    /* size and letter, as messages name it */
	bool dyn_width, dyn_prec, agg, other_flags;
	uint32_t size_cnt; /* of the name's characters, how many are of the size */
	char letter;
};

static const char positional[] = "uses unsupported positional format (%n$)";

/* Flags, width and precision; what follows them, and what is wrong with them. */
static const char *parse_flags(const char *p, struct conv *cv)
{
	bool dot = false;
	for (; *p && strchr("#-+ 0'@?*.123456789$", *p); p++) {
		bool again = *p == '*' && (dot ? cv->dyn_prec : cv->dyn_width);
		if (*p == '$')
			cv->bad = positional;
		else if (again)
			cv->bad = dot ? "has more than one '*' specified for the output precision" :
				"has more than one '*' specified for the output width";
		else if (*p == '.' && dot)
			cv->bad = "has more than one '.' specified";
		if (cv->bad)
			return p;
		if (*p == '*' && dot)
			cv->dyn_prec = true;
		else if (*p == '*')
			cv->dyn_width = true;
		dot |= *p == '.';
		cv->agg |= *p == '@';
		cv->other_flags = true;
	}
	return p;
}

/* The letters that each size modifier goes with. */
static bool is_conv(const struct conv *cv)
{
	static const struct { const char *size, *letters; } convs[] = {
		{ "", "aAcCdeEfgGikopsSTuxXY%" }, { "h", "diouxX" }, { "l", "cdiosuxX" }, { "ll", "diouxX" },
		{ "L", "eEfgG" }, { "w", "cs" },
	};
	for (size_t i = 0; i < ARRAY_CNT(convs); i++)
		if (strlen(convs[i].size) == cv->size_cnt && !strncmp(convs[i].size, cv->name, cv->size_cnt))
			return strchr(convs[i].letters, cv->letter) != NULL;
	return false;
}

/* @p is behind the percent sign; returns what is behind the conversion, NULL if it is none. */
static const char *parse_conv(const char *p, struct conv *cv)
{
	*cv = (struct conv){ .start = p };
	p = parse_flags(p, cv);
	for (; !cv->bad && *p && strchr("hlLw", *p); p++)
		if (cv->size_cnt < sizeof(cv->name) - 2)
			cv->name[cv->size_cnt++] = *p;
	cv->letter = *p;
	cv->name[cv->size_cnt] = *p;
	if (cv->bad)
		return NULL;
	if (!*p)
		cv->bad = "name expected before end of format string";
	else if (*p == '%' && (cv->other_flags || cv->size_cnt))
		cv->bad = "cannot be combined with other format flags: %%";
	else if (!is_conv(cv))
		cv->bad = "is undefined: %";
	return cv->bad ? NULL : p + 1;
}

/* Bytes of the integer or floating-point number that the size modifier is for; 0: it has none. */
static uint32_t wanted_size(const struct d_compiler *c, const struct conv *cv)
{
	switch (cv->size_cnt ? cv->name[0] : 0) {
	case 'h': return 2;
	case 'l': return cv->letter == 'c' ? 4 : cv->size_cnt > 1 ? 8 : c->t.wlong->size;
	case 'w': return 4;
	case 'L': return 16;
	default: return 0;
	}
}

static const char *wanted_int(const struct conv *cv)
{
	bool u = strchr("ou", cv->letter);
	switch (cv->size_cnt ? cv->name[0] : 0) {
	case 'h': return u ? "unsigned short" : "short";
	case 'l':
		if (cv->size_cnt > 1)
			return u ? "unsigned long long" : "long long";
		return u ? "unsigned long" : "long";
	default: return "char, short, int, long, or long long";
	}
}

static const char *wanted(const struct conv *cv)
{
	switch (cv->letter) {
	case 'a': case 'p': return "pointer or integer";
	case 'A': return "pointer or integer (with -p/-c) or _usymaddr (without -p/-c)";
	case 's': case 'S': return cv->size_cnt ? "wchar_t []" : "char [] or string (or use stringof)";
	case 'k': return "stack";
	case 'e': case 'E': case 'f': case 'g': case 'G':
		return cv->size_cnt ? "long double" : "float, double, or long double";
	case 'c': case 'C': return cv->size_cnt ? "int" : "char, short, or int";
	case 'T': case 'Y': return "int64_t";
	default: return wanted_int(cv);
	}
}

static bool is_wide_text(struct d_type *t)
{
	return t->kind == D_T_ARRAY && d_is_int(t->base) && d_resolve(t->base)->size == 4;
}

/* What is no constant 0, which has no size of its own, has the size that is wanted. */
static bool takes_int(const struct d_compiler *c, const struct conv *cv, const struct d_node *a, struct d_type *t)
{
	uint32_t size = wanted_size(c, cv);
	if (d_is_null(a))
		return true;
	return d_is_int(t) && (!size || (t->kind == D_T_ENUM ? 4 : t->size) == size);
}

static bool takes(const struct d_compiler *c, const struct conv *cv, const struct d_node *a)
{
	struct d_type *t = d_resolve(a->type);
	if (a->is_act)
		return false;
	switch (cv->letter) {
	case 'a': case 'A':
		return d_is_scalar(t) || t->kind == D_T_USYM;
	case 'p':
		return d_is_scalar(t);
	case 's': case 'S':
		return cv->size_cnt ? is_wide_text(t) : d_is_strlike(t) || t->kind == D_T_USYM;
	case 'k':
		return t->kind == D_T_STACK;
	case 'e': case 'E': case 'f': case 'g': case 'G':
		return t->kind == D_T_FLOAT && (!cv->size_cnt || t->size == wanted_size(c, cv));
	case 'c': case 'C':
		return takes_int(c, cv, a, t) && t->size <= 4;
	case 'T': case 'Y':
		return d_is_null(a) || (d_is_int(t) && t->size == 8);
	default:
		return takes_int(c, cv, a, t);
	}
}

/* Arguments of a printf(), as they are used up. */
struct pf_args {
	struct d_node *next;
	uint32_t used; /* the format included */
};

static bool check_dyn(struct d_compiler *c, const char *fn, const struct conv *cv, uint32_t i, struct pf_args *args,
		      const char *what, struct d_node *fmt)
{
	struct d_node *a = args->next;
	if (!a) {
		d_error(c, fmt->at, "D_PRINTF_DYN_PROTO", "%s( ) prototype mismatch: conversion #%u (%%%s) is missing "
			"a corresponding \"%s\" argument", fn, i, cv->name, what);
		return false;
	}
	args->used++;
	if (!d_bad(a) && !d_is_int(a->type)) {
		d_error(c, d_arg_at(fmt, a), "D_PRINTF_DYN_TYPE", "%s( ) argument #%u is incompatible with conversion #%u "
			"prototype:\n\tconversion: %% %s %s\n\t prototype: int\n\t  argument: %s", fn, args->used, i,
			what, cv->name, d_type_str(c, a->type));
		return false;
	}
	args->next = a->next;
	return true;
}

static bool check_conv(struct d_compiler *c, const char *fn, const struct conv *cv, uint32_t i, struct pf_args *args,
		       struct d_node *fmt)
{
	if (cv->dyn_width && !check_dyn(c, fn, cv, i, args, "*", fmt))
		return false;
	if (cv->dyn_prec && !check_dyn(c, fn, cv, i, args, ".*", fmt))
		return false;
	if (cv->agg) {
		d_error(c, fmt->at, "D_PRINTF_AGG_CONV", "%%@ conversion requires an aggregation and is not for "
			"use with %s( )", fn);
		return false;
	}
	struct d_node *a = args->next;
	if (!a) {
		d_error(c, fmt->at, "D_PRINTF_ARG_PROTO", "%s( ) prototype mismatch: conversion #%u (%%%s) is missing "
			"a corresponding value argument", fn, i, cv->name);
		return false;
	}
	args->used++;
	if (!d_bad(a) && !takes(c, cv, a)) {
		d_error_hint(c, d_arg_at(fmt, a), "D_PRINTF_ARG_TYPE", d_meant_arg(c, a, cv->letter == 's'), "%s( ) argument #%u is "
			"incompatible with conversion #%u prototype:\n\tconversion: %%%s\n\t prototype: %s\n\t  argument: %s", fn, args->used, i,
			cv->name, wanted(cv), a->kind == N_AGG ? "aggregation" : d_type_str(c, a->type));
		return false;
	}
	a->as_string = (cv->letter == 's' || cv->letter == 'S') && d_is_charptr(a->type);
	args->next = a->next;
	return true;
}

/* printa(): the keys are the values, in order; %@ stands for an aggregation's. */
struct pf_keys {
	const struct d_agg *agg;
	uint32_t next;
};

static bool no_key(struct d_compiler *c, const struct conv *cv, uint32_t i, const char *what, struct d_node *fmt)
{
	d_error(c, fmt->at, what ? "D_PRINTF_DYN_PROTO" : "D_PRINTF_ARG_PROTO", "printa( ) prototype mismatch: conversion "
		"#%u (%%%s) is missing a corresponding %s%s%s argument", i, cv->name, what ? "\"" : "",
		what ? what : "value", what ? "\"" : "");
	return false;
}

static bool check_agg_dyn(struct d_compiler *c, const struct conv *cv, uint32_t i, struct pf_keys *keys,
			  const char *what, struct d_node *fmt)
{
	if (keys->next >= keys->agg->key_cnt)
		return no_key(c, cv, i, what, fmt);
	struct d_type *t = keys->agg->keys[keys->next++].type;
	if (d_is_int(t))
		return true;
	d_error(c, fmt->at, "D_PRINTF_DYN_TYPE", "printa( ) argument #%u is incompatible with conversion #%u "
		"prototype:\n\tconversion: %% %s %s\n\t prototype: int\n\t  argument: %s", keys->next + 1, i, what, cv->name,
		d_type_str(c, t));
	return false;
}

static bool check_agg_conv(struct d_compiler *c, const struct conv *cv, uint32_t i, struct pf_keys *keys,
			   struct d_node *fmt)
{
	if (cv->dyn_width && !check_agg_dyn(c, cv, i, keys, "*", fmt))
		return false;
	if (cv->dyn_prec && !check_agg_dyn(c, cv, i, keys, ".*", fmt))
		return false;
	if (!cv->agg && keys->next >= keys->agg->key_cnt)
		return no_key(c, cv, i, NULL, fmt);
	bool is_count = keys->agg->fn && keys->agg->fn->what == WIRE_AGG_COUNT;
	struct d_node as = { .type = is_count ? c->t.ulong : c->t.long_ };
	if (!cv->agg)
		as.type = keys->agg->keys[keys->next++].type;
	bool is_addr = strchr("sS", cv->letter) && d_is_ptr(as.type); /* a key is kept as what it is */
	if (takes(c, cv, &as) && !is_addr)
		return true;
	const char *which = cv->agg ? "aggregating action" : d_fmt(c, "argument #%u", keys->next + 1);
	d_error(c, fmt->at, "D_PRINTF_ARG_TYPE", "printa( ) %s is incompatible with conversion #%u "
		"prototype:\n\tconversion: %%%s\n\t prototype: %s\n\t  argument: %s", which, i, cv->name, wanted(cv),
		cv->agg ? is_count ? "uint64_t" : "int64_t" : d_type_str(c, as.type));
	return false;
}

/* All of the format first: what is no conversion is worse than what does not fit. */
static bool check_syntax(struct d_compiler *c, const char *fmt, struct d_node *fmt_node)
{
	struct conv cv;
	uint32_t i = 0;
	for (const char *p = strchr(fmt, '%'); p; p = strchr(p, '%')) {
		p = parse_conv(p + 1, &cv);
		i++;
		if (!cv.bad)
			continue;
		d_error(c, fmt_node->at, "D_SYNTAX", "format conversion #%u %s%s", i, cv.bad,
			cv.bad[strlen(cv.bad) - 1] == '%' && cv.letter != '%' ? cv.name : "");
		return false;
	}
	return true;
}

void d_check_format(struct d_compiler *c, struct d_node *call, const char *fmt, struct d_node *fmt_node,
		    struct d_node *list, bool aggs)
{
	struct conv cv;
	struct pf_args args = { list, 1 };
	struct pf_keys keys = { aggs ? list->agg : NULL, 0 };
	uint32_t i = 0;
	fmt_node->at = d_arg_at(call, fmt_node);
	if (!*fmt && call->func->what != D_A_FREOPEN) { /* freopen(""): back to the first output */
		d_error(c, fmt_node->at, "D_PRINTF_FMT_EMPTY", "%s( ) format string is empty", call->str);
		return;
	}
	if (!check_syntax(c, fmt, fmt_node))
		return;
	for (const char *p = strchr(fmt, '%'); p; p = strchr(p, '%')) {
		p = parse_conv(p + 1, &cv);
		i++;
		if (cv.letter == '%')
			continue;
		if (aggs ? !check_agg_conv(c, &cv, i, &keys, fmt_node) :
		    !check_conv(c, call->str, &cv, i, &args, fmt_node))
			return;
	}
	if (!aggs && args.next)
		d_error(c, d_arg_at(fmt_node, args.next), "D_PRINTF_ARG_EXTRA", "%s( ) prototype mismatch: only %u arguments required "
			"by this format string", call->str, args.used - 1);
}
