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

/* ---- words of a line ---- */

#define WORDS_MAX 16

struct words {
	const char *s[WORDS_MAX];
	bool quoted[WORDS_MAX];
	uint32_t cnt;
};

/* Words between white space, and strings. */
static void split(struct d_parser *p, const char *s, struct words *w)
{
	*w = (struct words){ 0 };
	while (w->cnt < WORDS_MAX) {
		s += strspn(s, " \t\f\v\r");
		if (!*s)
			return;
		bool quoted = *s == '"' && strchr(s + 1, '"');
		size_t len = quoted ? strcspn(s + 1, "\"") : strcspn(s, " \t\f\v\r");
		w->quoted[w->cnt] = quoted;
		w->s[w->cnt++] = d_intern(p->c, s + quoted, len);
		s += len + 2ul * quoted;
	}
}

/* ---- #pragma D ---- */

static void option(struct d_parser *p, struct d_place at, const struct words *w)
{
	if (!w->cnt || w->quoted[0]) {
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma option <option>=<val>");
		return;
	}
	if (w->cnt > 1) {
		d_error(p->c, at, "D_PRAGMA_MALFORM", "superfluous arguments specified for #pragma option");
		return;
	}
	char *name = d_strndup(p->c, w->s[0], strlen(w->s[0])), *value = strchr(name, '=');
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
	p->c->t.string->size = wire_str_bytes(p->c->opts.strsize);
}

/* What it names may come later: kept until names are known. */
static struct d_pragma *keep(struct d_parser *p, struct d_place at, const char *what, const char *name)
{
	struct d_pragma *k = d_alloc(p->c, sizeof(*k));
	*k = (struct d_pragma){ .what = what, .name = name, .at = at, .next = p->c->pragmas };
	return p->c->pragmas = k;
}

static bool is_part(const char *s)
{
	return !strcmp(s, "provider") || !strcmp(s, "module") || !strcmp(s, "function") || !strcmp(s, "name") ||
		!strcmp(s, "args");
}

static void attributes(struct d_parser *p, struct d_place at, const struct words *w)
{
	struct d_stability s;
	if (w->cnt < 2 || w->quoted[0] || w->quoted[1]) {
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma attributes <attributes> <ident>");
		return;
	}
	if (!d_stability_parse(w->s[0], &s)) {
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid attributes specified by #pragma attributes");
		return;
	}
	if (strcmp(w->s[1], "provider") != 0) {
		struct d_pragma *k = keep(p, at, "attributes", w->s[1]);
		k->has_stability = true;
		k->stability = s;
	} else if (w->cnt != 4) {
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma attributes <attributes> provider <name> <part>");
	} else if (!is_part(w->s[3])) {
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid component \"%s\" in attribute #pragma for provider %s",
			w->s[2], w->s[3]);
	}
}

static bool is_version(const char *s)
{
	size_t len = strspn(s, "0123456789.");
	return len && !s[len] && *s != '.' && s[len - 1] != '.' && !strstr(s, "..");
}

static void binding(struct d_parser *p, struct d_place at, const struct words *w)
{
	if (w->cnt < 2 || !w->quoted[0] || w->quoted[1])
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma binding \"version\" <ident>");
	else if (!is_version(w->s[0]))
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid version string specified by #pragma binding");
	else
		keep(p, at, "binding", w->s[1]);
}

/* Libraries come in the order that their dependencies ask for; probes that are not there are reported when they are
 * looked for. */
static void depends_on(struct d_parser *p, struct d_place at, const struct words *w)
{
	if (w->cnt < 2 || w->quoted[0] || w->quoted[1])
		d_error(p->c, at, "D_PRAGMA_MALFORM", "malformed #pragma depends_on <class> <name>");
	else if (!strcmp(w->s[0], "library") && !p->c->srcs[p->src].src->is_lib)
		d_error(p->c, at, "D_PRAGMA_DEPEND", "main program may not explicitly depend on a library");
	else if (strcmp(w->s[0], "library") != 0 && strcmp(w->s[0], "provider") != 0 && strcmp(w->s[0], "module") != 0)
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid class %s specified by #pragma depends_on", w->s[0]);
}

static void error(struct d_parser *p, struct d_place at, const struct words *w)
{
	const char *text = "";
	for (uint32_t i = 0; i < w->cnt; i++)
		text = d_fmt(p->c, "%s%s ", text, w->s[i]);
	d_error(p->c, at, "D_PRAGERR", "#error: %s", text);
}

static void pragma_d(struct d_parser *p, struct d_place at, const char *s)
{
	const char *what = word(p, &s);
	struct words w;
	split(p, s, &w);
	if (!strcmp(what, "option"))
		option(p, at, &w);
	else if (!strcmp(what, "attributes"))
		attributes(p, at, &w);
	else if (!strcmp(what, "binding"))
		binding(p, at, &w);
	else if (!strcmp(what, "depends_on"))
		depends_on(p, at, &w);
	else if (!strcmp(what, "error"))
		error(p, at, &w);
	else if (*what && strcmp(what, "ident") && strcmp(what, "line"))
		d_error(p->c, at, "D_PRAGMA_INVAL", "invalid D pragma: %s", what);
}

/* Others belong to C compilers. */
static void pragma(struct d_parser *p, struct d_place at, const char *s)
{
	const char *what = word(p, &s);
	struct words w;
	if (!strcmp(what, "D")) {
		pragma_d(p, at, s);
	} else if (!strcmp(what, "error")) {
		split(p, s, &w);
		error(p, at, &w);
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
	if (!p->text[end])
		d_fail(p, at, "D_SYNTAX", "end-of-file encountered before end of control line");
	if (position(p, s))
		return;
	const char *what = word(p, &s);
	if (!strcmp(what, "pragma"))
		pragma(p, at, s);
	else if (!strcmp(what, "line"))
		position(p, s);
	else if (!strcmp(what, "error")) {
		struct words w;
		split(p, s, &w);
		error(p, at, &w);
	} else if (*what && strcmp(what, "ident"))
		d_error(p->c, at, "D_PRAGCTL_INVAL", "invalid control directive: #%s", what);
}
