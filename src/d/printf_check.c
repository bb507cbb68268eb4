/* SPDX-License-Identifier: MIT */
/* printf() formats against their arguments. */
#include "d/d_int.h"

#include <ctype.h>

struct conv {
	const char *start;
	int len;
	bool dyn_width, dyn_prec, agg;
	char size[3];
	char letter;
};

/* @p is behind the percent sign; returns what is behind the conversion, NULL if it has none. */
static const char *parse_conv(const char *p, struct conv *cv)
{
	bool dot = false;
	*cv = (struct conv){ .start = p };
	for (; *p && strchr("#-+ 0'@?*.123456789hlLw", *p); p++) {
		if (*p == '*' && dot)
			cv->dyn_prec = true;
		else if (*p == '*')
			cv->dyn_width = true;
		dot |= *p == '.';
		cv->agg |= *p == '@';
		if (strchr("hlLw", *p)) {
			size_t n = strlen(cv->size);
			if (n == 2)
				return NULL;
			cv->size[n] = *p;
		}
	}
	cv->letter = *p;
	cv->len = (int)(p - cv->start) + 1;
	return *p && strchr("aAcCdeEfgGikopsSTuxXY%", *p) ? p + 1 : NULL;
}

static const char *wanted(const struct conv *cv)
{
	switch (cv->letter) {
	case 'a': case 'A': return "pointer or integer";
	case 'p': return "pointer or integer";
	case 's': case 'S': return "char [] or string (or use stringof)";
	case 'k': return "stack";
	case 'e': case 'E': case 'f': case 'g': case 'G': return "float, double, or long double";
	case 'c': case 'C': return "char, short, or int";
	default: return "integer type";
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

static bool check_dyn(struct d_compiler *c, const char *fn, const struct conv *cv, uint32_t i, struct d_node **args,
		      const char *what, struct d_node *fmt)
{
	struct d_node *a = *args;
	if (!a) {
		d_error(c, fmt->at, "D_PRINTF_DYN_PROTO", "%s( ) prototype mismatch: conversion #%u (%%%.*s) is "
			"missing a corresponding "
			"\"%s\" argument", fn, i, cv->len, cv->start, what);
		return false;
	}
	if (!d_bad(a) && !d_is_int(a->type)) {
		d_error(c, a->at, "D_PRINTF_DYN_TYPE", "%s( ) argument for conversion #%u (%%%.*s) is "
			"incompatible with prototype:\n"
			"\tconversion: \"%s\" of type int\n\t  argument: %s", fn, i, cv->len, cv->start, what,
			d_type_str(c, a->type));
		return false;
	}
	*args = a->next;
	return true;
}

static bool check_conv(struct d_compiler *c, const char *fn, const struct conv *cv, uint32_t i, struct d_node **args,
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
	struct d_node *a = *args;
	if (!a) {
		d_error(c, fmt->at, "D_PRINTF_ARG_PROTO", "%s( ) prototype mismatch: conversion #%u (%%%.*s) is "
			"missing a corresponding "
			"value argument", fn, i, cv->len, cv->start);
		return false;
	}
	if (!d_bad(a) && !takes(cv, a)) {
		d_error(c, a->at, "D_PRINTF_ARG_TYPE", "%s( ) argument for conversion #%u (%%%.*s) is "
			"incompatible with prototype:\n"
			"\tconversion: %s\n\t  argument: %s", fn, i, cv->len, cv->start, wanted(cv), d_type_str(c,
			a->type));
		return false;
	}
	a->as_string = (cv->letter == 's' || cv->letter == 'S') && d_is_charptr(a->type);
	*args = a->next;
	return true;
}

/* printa(): the keys are the values, in order; %@ stands for an aggregation's. */
static bool check_agg_conv(struct d_compiler *c, const struct conv *cv, uint32_t i, const struct d_agg *agg,
	uint32_t *key,
			   struct d_node *fmt)
{
	if (cv->agg)
		return true;
	if (*key >= agg->key_cnt) {
		d_error(c, fmt->at, "D_PRINTF_ARG_PROTO", "printa( ) prototype mismatch: conversion #%u (%%%.*s) "
			"is missing a "
			"corresponding key: @%s has %u", i, cv->len, cv->start, agg->name, agg->key_cnt);
		return false;
	}
	struct d_node as = { .type = agg->keys[(*key)++].type };
	bool is_addr = (cv->letter == 's' || cv->letter == 'S') && d_is_ptr(as.type); /* a key is kept as what it is */
	if (takes(cv, &as) && !is_addr)
		return true;
	d_error(c, fmt->at, "D_PRINTF_ARG_TYPE", "printa( ) key #%u for conversion #%u (%%%.*s) is incompatible "
		"with prototype:\n"
		"\tconversion: %s\n\t       key: %s", *key, i, cv->len, cv->start, wanted(cv), d_type_str(c, as.type));
	return false;
}

void d_check_format(struct d_compiler *c, struct d_node *call, const char *fmt, struct d_node *fmt_node,
		    struct d_node *args, bool aggs)
{
	struct conv cv;
	uint32_t i = 0, key = 0, used = 0;
	if (!*fmt) {
		d_error(c, fmt_node->at, "D_PRINTF_FMT_EMPTY", "%s( ) format string is empty", call->str);
		return;
	}
	for (const char *p = strchr(fmt, '%'); p; p = strchr(p, '%')) {
		const char *next = parse_conv(p + 1, &cv);
		if (!next) {
			d_error(c, fmt_node->at, "D_SYNTAX", cv.letter ? "format conversion #%u (%%%.*s) is not known" :
				"format conversion #%u has no letter", i + 1, cv.len, cv.start);
			return;
		}
		p = next;
		if (cv.letter == '%' && cv.len > 1) {
			d_error(c, fmt_node->at, "D_SYNTAX", "format conversion #%u (%%%.*s): %%%% takes no flags",
				i + 1, cv.len, cv.start);
			return;
		}
		if (cv.letter == '%')
			continue;
		i++;
		if (aggs ? !check_agg_conv(c, &cv, i, args->agg, &key, fmt_node) :
		    !check_conv(c, call->str, &cv, i, &args, fmt_node))
			return;
		used++;
	}
	if (!aggs && args)
		d_error(c, args->at, "D_PRINTF_ARG_EXTRA", "%s( ) prototype mismatch: only %u arguments required "
			"by this format string",
			call->str, used);
}
