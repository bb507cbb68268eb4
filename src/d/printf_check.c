/* SPDX-License-Identifier: MIT */
/* printf() formats against their arguments. */
#include "d/d_int.h"

#include <ctype.h>

struct conv {
	const char *start;
	int len;
	const char *bad; /* why it is none; NULL: it is one */
	char name[4];    /* size and letter, as messages name it */
	bool dyn_width, dyn_prec, agg, other_flags;
	char size[3];
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

/* @p is behind the percent sign; returns what is behind the conversion, NULL if it is none. */
static const char *parse_conv(const char *p, struct conv *cv)
{
	*cv = (struct conv){ .start = p };
	p = parse_flags(p, cv);
	size_t n = 0;
	for (; !cv->bad && *p && strchr("hlLw", *p) && n < 2; p++)
		cv->size[n] = cv->name[n] = *p, n++;
	cv->letter = *p;
	cv->name[n] = *p;
	cv->len = (int)(p - cv->start) + 1;
	if (cv->bad)
		return NULL;
	if (!*p)
		cv->bad = "name expected before end of format string";
	else if (*p == '%' && (cv->other_flags || n))
		cv->bad = "cannot be combined with other format flags: %%";
	else if (!strchr("aAcCdeEfgGikopsSTuxXY%", *p))
		cv->bad = "is undefined: %";
	return cv->bad ? NULL : p + 1;
}

static const char *wanted(const struct conv *cv)
{
	switch (cv->letter) {
	case 'a': case 'p': return "pointer or integer";
	case 'A': return "pointer or integer (with -p/-c) or _usymaddr (without -p/-c)";
	case 's': case 'S': return "char [] or string (or use stringof)";
	case 'k': return "stack";
	case 'e': case 'E': case 'f': case 'g': case 'G':
		return cv->size[0] ? "long double" : "float, double, or long double";
	case 'c': case 'C': return "char, short, or int";
	case 'T': case 'Y': return "int64_t";
	case 'o': case 'u':
		return cv->size[0] == 'h' ? "unsigned short" : cv->size[1] ? "unsigned long long" : cv->size[0] ?
			"unsigned long" : "char, short, int, long, or long long";
	default:
		return cv->size[0] == 'h' ? "short" : cv->size[1] ? "long long" : cv->size[0] ? "long" :
			"char, short, int, long, or long long";
	}
}

static bool takes(const struct conv *cv, const struct d_node *a)
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
		return d_is_strlike(t) || t->kind == D_T_USYM;
	case 'k':
		return t->kind == D_T_STACK;
	case 'e': case 'E': case 'f': case 'g': case 'G':
		return t->kind == D_T_FLOAT;
	default:
		return d_is_int(t) || d_is_null(a);
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
		d_error(c, a->at, "D_PRINTF_DYN_TYPE", "%s( ) argument #%u is incompatible with conversion #%u "
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
	if (!d_bad(a) && !takes(cv, a)) {
		d_error(c, a->at, "D_PRINTF_ARG_TYPE", "%s( ) argument #%u is incompatible with conversion #%u "
			"prototype:\n\tconversion: %%%s\n\t prototype: %s\n\t  argument: %s", fn, args->used, i,
			cv->name, wanted(cv), a->kind == N_AGG ? "aggregation" : d_type_str(c, a->type));
		return false;
	}
	a->as_string = (cv->letter == 's' || cv->letter == 'S') && d_is_charptr(a->type);
	args->next = a->next;
	return true;
}

/* printa(): the keys are the values, in order; %@ stands for an aggregation's. */
static bool check_agg_conv(struct d_compiler *c, const struct conv *cv, uint32_t i, const struct d_agg *agg,
			   uint32_t *key, struct d_node *fmt)
{
	if (cv->agg)
		return true;
	if (*key >= agg->key_cnt) {
		d_error(c, fmt->at, "D_PRINTF_ARG_PROTO", "printa( ) prototype mismatch: conversion #%u (%%%s) is "
			"missing a corresponding value argument: @%s has %u key%s", i, cv->name, agg->name, agg->key_cnt,
			agg->key_cnt == 1 ? "" : "s");
		return false;
	}
	struct d_node as = { .type = agg->keys[(*key)++].type };
	bool is_addr = (cv->letter == 's' || cv->letter == 'S') && d_is_ptr(as.type); /* a key is kept as what it is */
	if (takes(cv, &as) && !is_addr)
		return true;
	d_error(c, fmt->at, "D_PRINTF_ARG_TYPE", "printa( ) argument #%u is incompatible with conversion #%u "
		"prototype:\n\tconversion: %%%s\n\t prototype: %s\n\t  argument: %s", *key + 1, i, cv->name, wanted(cv),
		d_type_str(c, as.type));
	return false;
}

void d_check_format(struct d_compiler *c, struct d_node *call, const char *fmt, struct d_node *fmt_node,
		    struct d_node *list, bool aggs)
{
	struct conv cv;
	struct pf_args args = { list, 1 };
	uint32_t i = 0, key = 0;
	if (!*fmt && call->func->what != D_A_FREOPEN) { /* freopen(""): back to the first output */
		d_error(c, fmt_node->at, "D_PRINTF_FMT_EMPTY", "%s( ) format string is empty", call->str);
		return;
	}
	for (const char *p = strchr(fmt, '%'); p; p = strchr(p, '%')) {
		p = parse_conv(p + 1, &cv);
		if (cv.bad) {
			d_error(c, fmt_node->at, "D_SYNTAX", "format conversion #%u %s%s", i + 1, cv.bad,
				cv.bad[strlen(cv.bad) - 1] == '%' && cv.letter != '%' ? cv.name : "");
			return;
		}
		if (cv.letter == '%')
			continue;
		i++;
		if (aggs ? !check_agg_conv(c, &cv, i, list->agg, &key, fmt_node) :
		    !check_conv(c, call->str, &cv, i, &args, fmt_node))
			return;
	}
	if (!aggs && args.next)
		d_error(c, args.next->at, "D_PRINTF_ARG_EXTRA", "%s( ) prototype mismatch: only %u arguments required "
			"by this format string", call->str, args.used - 1);
}
