/* SPDX-License-Identifier: MIT */
/* Lines that begin with '#': options, positions from a preprocessor, pragmas. */
#include "d/d_int.h"

#include <ctype.h>
#include <stdlib.h>

static const char *word(struct d_parser *p, const char **s)
{
	while (**s == ' ' || **s == '\t')
		(*s)++;
	const char *start = *s;
	while (**s && !isspace((unsigned char)**s))
		(*s)++;
	return d_intern(p->c, start, (size_t)(*s - start));
}

/* 512, 4k, 1m; or @otherwise where it is no size. */
static uint32_t size_of(const char *v, uint32_t otherwise)
{
	char *end;
	unsigned long long n = v ? strtoull(v, &end, 0) : 0;
	if (!v || end == v)
		return otherwise;
	switch (tolower((unsigned char)*end)) {
	case 'g': n <<= 10; /* fallthrough */
	case 'm': n <<= 10; /* fallthrough */
	case 'k': n <<= 10; end++;
	}
	return *end || n > UINT32_MAX ? otherwise : (uint32_t)n;
}

static bool is_on(const char *v)
{
	return !v || !strcmp(v, "on") || !strcmp(v, "yes") || !strcmp(v, "true") || !strcmp(v, "1") || !strcmp(v,
		"enable");
}

/* Options that change how the rest is compiled. */
static void own_option(struct d_opts *o, const char *name, const char *value)
{
	if (!strcmp(name, "strsize"))
		o->strsize = size_of(value, o->strsize);
	else if (!strcmp(name, "scratchsize"))
		o->scratchsize = size_of(value, o->scratchsize);
	else if (!strcmp(name, "zdefs"))
		o->zdefs = is_on(value);
	else if (!strcmp(name, "defaultargs"))
		o->defaultargs = is_on(value);
	else if (!strcmp(name, "ustackframes"))
		o->ustackframes = size_of(value, o->ustackframes);
	else if (!strcmp(name, "jstackframes"))
		o->jstackframes = size_of(value, o->jstackframes);
	else if (!strcmp(name, "stackframes"))
		o->stackframes = size_of(value, o->stackframes);
}

static void option(struct d_parser *p, struct d_place at, const char *s)
{
	const char *arg = word(p, &s);
	if (!*arg || *word(p, &s)) {
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma D option: use <option> or <option>=<value>");
		return;
	}
	char *name = d_strndup(p->c, arg, strlen(arg)), *value = strchr(name, '=');
	if (value)
		*value++ = 0;
	struct err e = { 0 };
	if (p->c->opts.set_option && p->c->opts.set_option(p->c->opts.set_option_arg, name, value, &e) < 0) {
		if (value)
			d_error(p->c, at, "D_PRAGMA_OPTSET", "failed to set option '%s' to '%s': %s", name, value,
				e.msg);
		else
			d_error(p->c, at, "D_PRAGMA_OPTSET", "failed to set option '%s': %s", name, e.msg);
		return;
	}
	own_option(&p->c->opts, name, value);
}

static void pragma_d(struct d_parser *p, struct d_place at, const char *s)
{
	const char *what = word(p, &s);
	if (!strcmp(what, "option")) {
		option(p, at, s);
	} else if (!strcmp(what, "attributes") || !strcmp(what, "binding") || !strcmp(what, "depends_on")) {
		/* Stability changes no meaning. */
		if (!*word(p, &s) || !*word(p, &s))
			d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma D %s: two words are wanted", what);
	} else if (!strcmp(what, "error")) {
		d_error(p->c, at, "D_PRAGERR", "#error:%s", s);
	} else {
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid #pragma D \"%s\"", what);
	}
}

static void pragma(struct d_parser *p, struct d_place at, const char *s)
{
	const char *what = word(p, &s);
	if (!strcmp(what, "D")) {
		pragma_d(p, at, s);
	} else if (!strcmp(what, "error")) {
		while (*s == ' ' || *s == '\t')
			s++;
		d_error(p->c, at, "D_PRAGERR", "#%s: %s", what, s);
	} else if (strcmp(what, "ident") && strcmp(what, "line")) {
		/* Others belong to C compilers. */
		return;
	}
}

/* # 12 "file": the next line is line 12. */
static bool position(struct d_parser *p, const char *s)
{
	char *end;
	while (*s == ' ' || *s == '\t')
		s++;
	if (!isdigit((unsigned char)*s))
		return false;
	unsigned long n = strtoul(s, &end, 10);
	p->line = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	p->line--; /* the newline adds it */
	return true;
}

/* A backslash joins the next line. */
static size_t directive_end(const struct d_parser *p, size_t pos, uint32_t *ret_joined)
{
	*ret_joined = 0;
	while (p->text[pos] && p->text[pos] != '\n') {
		if (p->text[pos] == '\\' && p->text[pos + 1] == '\n') {
			(*ret_joined)++;
			pos++;
		}
		pos++;
	}
	return pos;
}

void d_directive(struct d_parser *p)
{
	struct d_place at = d_here(p, p->pos);
	uint32_t joined;
	size_t start = p->pos + 1, end = directive_end(p, start, &joined);
	char *text = d_strndup(p->c, p->text + start, end - start);
	for (char *q = text; *q; q++)
		if (*q == '\\' && q[1] == '\n')
			q[0] = q[1] = ' ';
	p->pos = end;
	p->line += joined;
	const char *s = text;
	if (*s == '!' && at.off == p->line_start && at.line == 1)
		return;
	if (position(p, s))
		return;
	const char *what = word(p, &s);
	if (!strcmp(what, "pragma"))
		pragma(p, at, s);
	else if (!strcmp(what, "line"))
		position(p, s);
	else if (!strcmp(what, "error"))
		d_error(p->c, at, "D_PRAGERR", "#error: %s", *s ? s + 1 : s);
	else if (*what && strcmp(what, "ident"))
		d_error(p->c, at, "D_PRAGCTL_INVAL", "invalid control directive: #%s", what);
}
