/* SPDX-License-Identifier: MIT */
/* Lines that begin with '#': options, positions from a preprocessor, pragmas. */
#include "d/parse_int.h"

#include <ctype.h>
#include <stdlib.h>

#define WORDS_MAX 64 /* of a line; more are none of ours */

struct word {
	enum { W_WORD, W_INT, W_STR } kind;
	const char *s;
	uint64_t val;
};
struct control {
	struct d_place at;
	struct word words[WORDS_MAX];
	uint32_t cnt;
};

/* ---- what a line holds ---- */

static bool is_blank(char ch) { return ch == ' ' || ch == '\t' || ch == '\f' || ch == '\v' || ch == '\r'; }

static bool is_int(const char *s, size_t len, uint64_t *ret)
{
	char *end;
	*ret = isdigit((unsigned char)*s) ? strtoull(s, &end, 0) : 0;
	if (!isdigit((unsigned char)*s))
		return false;
	end += *end == 'u' || *end == 'U';
	end += *end == 'l' || *end == 'L';
	end += *end == 'l' || *end == 'L';
	return (size_t)(end - s) == len;
}

static const char *take_string(struct d_parser *p, struct d_place at, const char *s, struct word *w)
{
	const char *end = s + 1;
	while (*end && *end != '"')
		end += *end == '\\' && end[1] ? 2 : 1;
	if (!*end)
		d_fail(p, at, "D_STR_NL", "newline encountered in string literal");
	*w = (struct word){ W_STR, d_strndup(p->c, s + 1, (size_t)(end - s - 1)), 0 };
	return end + 1;
}

static const char *take_word(struct d_parser *p, const char *s, struct word *w)
{
	size_t len = 0;
	while (s[len] && !is_blank(s[len]) && s[len] != '\n' && s[len] != '"')
		len++;
	w->kind = is_int(s, len, &w->val) ? W_INT : W_WORD;
	w->s = d_strndup(p->c, s, len);
	return s + len;
}

static void split(struct d_parser *p, struct control *ctl, const char *s)
{
	for (ctl->cnt = 0; *s && ctl->cnt < WORDS_MAX;) {
		if (is_blank(*s))
			s++;
		else if (*s == '"')
			s = take_string(p, ctl->at, s, &ctl->words[ctl->cnt++]);
		else
			s = take_word(p, s, &ctl->words[ctl->cnt++]);
	}
}

/* ---- #pragma D option ---- */

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

/* Options that change how the rest is compiled. */
static void own_option(struct d_opts *o, const char *name, const char *value)
{
	static const struct { const char *name; size_t off; } sizes[] = {
		{ "strsize", offsetof(struct d_opts, strsize) }, { "scratchsize", offsetof(struct d_opts, scratchsize) },
		{ "tregs", offsetof(struct d_opts, tregs) }, { "dynvarsize", offsetof(struct d_opts, dynvarsize) }, { "ustackframes", offsetof(struct d_opts, ustackframes) },
		{ "maxframes", offsetof(struct d_opts, maxframes) }, { "jstackframes", offsetof(struct d_opts, jstackframes) },
		{ "stackframes", offsetof(struct d_opts, stackframes) },
	};
	static const struct { const char *name; size_t off; } switches[] = {
		{ "zdefs", offsetof(struct d_opts, zdefs) }, { "defaultargs", offsetof(struct d_opts, defaultargs) },
		{ "argref", offsetof(struct d_opts, argref) }, { "empty", offsetof(struct d_opts, empty_ok) },
		{ "pspec", offsetof(struct d_opts, pspec) }, { "aggpercpu", offsetof(struct d_opts, aggpercpu) },
	};
	for (size_t i = 0; i < ARRAY_CNT(sizes); i++)
		if (!strcmp(name, sizes[i].name)) {
			uint32_t *v = (uint32_t *)((char *)o + sizes[i].off);
			*v = size_of(value, *v);
		}
	for (size_t i = 0; i < ARRAY_CNT(switches); i++)
		if (!strcmp(name, switches[i].name))
			*(bool *)((char *)o + switches[i].off) = true;
}

static void option(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	if (i >= ctl->cnt || ctl->words[i].kind != W_WORD)
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #pragma option <option>=<val>");
	if (i + 1 < ctl->cnt)
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "superfluous arguments specified for #pragma option");
	char *name = d_strndup(p->c, ctl->words[i].s, strlen(ctl->words[i].s)), *value = strchr(name, '=');
	if (value)
		*value++ = 0;
	struct err e = { 0 };
	const struct d_opts *o = &p->c->opts;
	if (o->set_option && o->set_option(o->set_option_arg, name, value, &e) < 0)
		d_fail(p, ctl->at, "D_PRAGMA_OPTSET", "failed to set option '%s'%s%s%s: %s", name, value ? " to '" : "",
		       value ? value : "", value ? "'" : "", e.msg);
	own_option(&p->c->opts, name, value);
	p->c->t.string->size = wire_str_bytes(p->c->opts.strsize);
}

/* ---- other pragmas ---- */

static bool has(const struct control *ctl, uint32_t i, int first, int second)
{
	return i + 1 < ctl->cnt && (int)ctl->words[i].kind == first && (int)ctl->words[i + 1].kind == second;
}

/* What it names may come later: kept until names are known. */
static struct d_pragma *keep(struct d_parser *p, struct d_place at, const char *what, const char *name)
{
	struct d_pragma *k = d_alloc(p->c, sizeof(*k));
	*k = (struct d_pragma){ .what = what, .name = d_intern(p->c, name, strlen(name)), .at = at,
				.next = p->c->pragmas };
	return p->c->pragmas = k;
}

static bool is_part(const char *s)
{
	return !strcmp(s, "provider") || !strcmp(s, "module") || !strcmp(s, "function") || !strcmp(s, "name") ||
		!strcmp(s, "args");
}

/* attributes provider NAME PART */
static void provider_attributes(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	if (!has(ctl, i + 1, W_WORD, W_WORD))
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #pragma attributes <attributes> provider <name> <part>");
	if (!is_part(ctl->words[i + 2].s))
		d_fail(p, ctl->at, "D_PRAGMA_INVAL", "invalid component \"%s\" in attribute #pragma for provider %s",
		       ctl->words[i + 1].s, ctl->words[i + 2].s);
}

static void attributes(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	struct d_stability s;
	if (!has(ctl, i, W_WORD, W_WORD))
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #pragma attributes <attributes> <ident>");
	if (!d_stability_parse(ctl->words[i].s, &s))
		d_fail(p, ctl->at, "D_PRAGMA_INVAL", "invalid attributes specified by #pragma attributes");
	if (!strcmp(ctl->words[i + 1].s, "provider")) {
		provider_attributes(p, ctl, i + 1);
		return;
	}
	struct d_pragma *k = keep(p, ctl->at, "attributes", ctl->words[i + 1].s);
	k->has_stability = true;
	k->stability = s;
}

static bool is_version(const char *s)
{
	size_t len = strspn(s, "0123456789.");
	return len && !s[len] && *s != '.' && s[len - 1] != '.' && !strstr(s, "..");
}

static void binding(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	if (!has(ctl, i, W_STR, W_WORD))
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #pragma binding \"version\" <ident>");
	if (!is_version(ctl->words[i].s))
		d_fail(p, ctl->at, "D_PRAGMA_INVAL", "invalid version string specified by #pragma binding");
	keep(p, ctl->at, "binding", ctl->words[i + 1].s);
}

static void depends_on(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	const struct d_opts *o = &p->c->opts;
	if (!has(ctl, i, W_WORD, W_WORD))
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #pragma depends_on <class> <name>");
	const char *class = ctl->words[i].s, *name = ctl->words[i + 1].s;
	bool is_lib = p->c->srcs[p->src].src->kind == D_SRC_LIBRARY;
	if (!strcmp(class, "library") && !is_lib)
		d_fail(p, ctl->at, "D_PRAGMA_DEPEND", "main program may not explicitly depend on a library");
	else if (strcmp(class, "library") && strcmp(class, "provider") && strcmp(class, "module"))
		d_fail(p, ctl->at, "D_PRAGMA_INVAL", "invalid class %s specified by #pragma depends_on", class);
	else if (!is_lib && o->depends && !o->depends(class, name))
		d_fail(p, ctl->at, "D_PRAGMA_DEPEND", "program requires %s %s", class, name);
}

static void error(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	const char *text = "";
	for (; i < ctl->cnt; i++)
		if (ctl->words[i].kind != W_INT)
			text = d_fmt(p->c, "%s%s ", text, ctl->words[i].s);
	d_fail(p, ctl->at, "D_PRAGERR", "#error: %s", text);
}

/* 12 "file" 1: the next line is line 12 of it. */
static void position(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	bool ok = i < ctl->cnt && ctl->words[i].kind == W_INT;
	for (uint32_t k = i + 1; ok && k < ctl->cnt; k++)
		ok = ctl->words[k].kind == (k == i + 1 ? W_STR : W_INT);
	if (!ok)
		d_fail(p, ctl->at, "D_PRAGMA_MALFORM", "malformed #line <line> [ [\"file\"] state ]");
	p->line = ctl->words[i].val > UINT32_MAX ? UINT32_MAX : (uint32_t)ctl->words[i].val;
	p->line--; /* the newline adds it */
	if (i + 1 < ctl->cnt)
		d_file_begin(p, ctl->words[i + 1].s);
}

static void nothing(struct d_parser *p, const struct control *ctl, uint32_t i)
{
	(void)p;
	(void)ctl;
	(void)i;
}

/* Directives may stand behind #, #pragma and #pragma D, the rest only behind #pragma D. */
static const struct {
	const char *name;
	void (*run)(struct d_parser *, const struct control *, uint32_t first);
	bool directive;
} pragmas[] = {
	{ "attributes", attributes, false }, { "binding", binding, false }, { "depends_on", depends_on, false },
	{ "error", error, true }, { "ident", nothing, true }, { "line", position, true }, { "option", option, false },
};

static void run(struct d_parser *p, const struct control *ctl)
{
	uint32_t i = 0, level = 0;
	while (level < 2 && i < ctl->cnt && ctl->words[i].kind == W_WORD &&
	       !strcmp(ctl->words[i].s, level ? "D" : "pragma")) {
		level++;
		i++;
	}
	if (i == ctl->cnt)
		return;
	if (ctl->words[i].kind == W_INT) {
		position(p, ctl, i);
		return;
	}
	if (ctl->words[i].kind != W_WORD)
		d_fail(p, ctl->at, "D_PRAGCTL_INVAL", "invalid control directive");
	for (size_t k = 0; k < ARRAY_CNT(pragmas); k++)
		if (!strcmp(pragmas[k].name, ctl->words[i].s) && (level == 2 || pragmas[k].directive)) {
			pragmas[k].run(p, ctl, i + 1);
			return;
		}
	if (!level)
		d_fail(p, ctl->at, "D_PRAGCTL_INVAL", "invalid control directive: #%s", ctl->words[i].s);
	if (level == 2) /* other pragmas belong to C compilers */
		d_fail(p, ctl->at, "D_PRAGMA_INVAL", "invalid D pragma: %s", ctl->words[i].s);
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

/* Mistakes here are of this line alone: what follows is read as if it were not there. */
static void run_safely(struct d_parser *p, struct control *ctl, const char *text)
{
	jmp_buf here, *const outer = p->recover;
	if (!setjmp(here)) {
		p->recover = &here;
		split(p, ctl, text);
		run(p, ctl);
	}
	p->recover = outer;
}

void d_directive(struct d_parser *p)
{
	struct control ctl = { .at = d_here(p, p->pos) };
	uint32_t joined;
	size_t start = p->pos + 1, end = directive_end(p, start, &joined);
	char *text = d_strndup(p->c, p->text + start, end - start);
	for (char *q = text; *q; q++)
		if (*q == '\\' && q[1] == '\n')
			q[0] = q[1] = ' ';
	p->pos = end;
	p->line += joined;
	if (*text == '!')
		return;
	if (!p->text[end]) {
		ctl.at.line = p->line;
		d_fail(p, ctl.at, "D_SYNTAX", "end-of-file encountered before end of control line");
	}
	run_safely(p, &ctl, text);
}
