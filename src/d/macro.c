/* SPDX-License-Identifier: MIT */
/* Macro variables: $1, $$1, $target, $pid and the like. */
#include "d/parse_int.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const struct {
	const char *name;
	size_t off;
} macros[] = {
#define MACRO(name) { #name, offsetof(struct d_macros, name) }
	MACRO(target), MACRO(pid), MACRO(ppid), MACRO(uid), MACRO(gid), MACRO(euid), MACRO(egid), MACRO(sid),
	MACRO(pgid), MACRO(projid), MACRO(taskid),
#undef MACRO
};

/* $N.  NULL: there is none, which defaultargs allows. */
static const char *arg_text(struct d_parser *p, struct d_place at, const char *digits)
{
	struct d_src *s = &p->c->srcs[p->src];
	unsigned long n = strtoul(digits, NULL, 10);
	if (n < 256)
		s->args_used[n / 64] |= 1ULL << (n % 64);
	if (n < s->arg_cnt)
		return d_strndup(p->c, s->src->macro_args[n], strlen(s->src->macro_args[n]));
	if (!p->c->opts.defaultargs)
		d_fail_hint(p, at, "D_MACRO_UNDEF", "its value comes behind the options; -x defaultargs: 0 or \"\" without one",
			    "macro argument $%s is not defined", digits);
	return NULL;
}

static const char *name_text(struct d_parser *p, struct d_place at, const char *name)
{
	for (size_t i = 0; i < ARRAY_CNT(macros); i++)
		if (!strcmp(macros[i].name, name)) {
			int64_t v;
			memcpy(&v, (const char *)&p->c->opts.macros + macros[i].off, sizeof(v));
			if (!v && !strcmp(name, "target"))
				d_fail(p, at, "D_MACRO_UNDEF", "$target needs a process: give one with -p or -c");
			return d_fmt(p->c, "%" PRId64, v);
		}
	d_fail(p, at, "D_MACRO_UNDEF", "macro variable $%s is not defined", name);
}

/* Text of the macro at pos, behind its dollars; NULL as arg_text(). */
static const char *macro_at(struct d_parser *p, struct d_place at)
{
	size_t start = p->pos;
	bool is_arg = isdigit((unsigned char)p->text[start]);
	while (is_arg ? isdigit((unsigned char)p->text[p->pos]) :
	       isalnum((unsigned char)p->text[p->pos]) || p->text[p->pos] == '_')
		p->pos++;
	if (p->pos == start)
		d_fail_hint(p, at, "D_SYNTAX", "a name or a number is wanted behind it", "syntax error near \"$\"");
	const char *name = d_intern(p->c, p->text + start, p->pos - start);
	return is_arg ? arg_text(p, at, name) : name_text(p, at, name);
}

const char *d_macro_text(struct d_parser *p)
{
	struct d_place at = d_here(p, p->pos);
	p->pos += p->text[p->pos + 1] == '$' ? 2 : 1;
	const char *s = macro_at(p, at);
	return s ? s : "0";
}

/* With a mistake behind the digits it is one still, unless it can only be a string. */
static bool is_number(const char *s)
{
	bool is_signed = *s == '-' || *s == '+';
	size_t len = is_signed;
	while (isalnum((unsigned char)s[len]) || s[len] == '_')
		len++;
	return isdigit((unsigned char)s[is_signed]) && !s[len];
}

static void number_token(struct d_parser *p, struct d_tok *t, const char *s)
{
	char *end;
	t->kind = T_INT;
	t->is_decimal = true;
	errno = 0;
	t->val = *s == '-' ? (uint64_t)strtoll(s, &end, 0) : strtoull(s, &end, 0);
	if (errno)
		d_fail(p, t->at, "D_MACRO_OFLOW", "macro argument %.*s constant %s results in integer overflow",
		       (int)(p->pos - t->at.off), p->text + t->at.off, s);
	end += strspn(end, "uUlL");
	if (*end)
		d_fail(p, t->at, "D_SYNTAX", "syntax error near \"%s\"", s);
	t->is_int = *s == '-' && (int64_t)t->val >= INT32_MIN;
	if (*s == '-' && !t->is_int)
		t->longs = 1;
}

static bool is_name(const char *s)
{
	size_t len = 0;
	while (isalnum((unsigned char)s[len]) || s[len] == '_' || s[len] == '`')
		len++;
	return len && !s[len];
}

/* The shell may have left the quotes on. */
static void string_token(struct d_parser *p, struct d_tok *t, const char *s)
{
	size_t len = strlen(s);
	bool quoted = len > 1 && s[0] == '"' && s[len - 1] == '"';
	t->kind = T_STR;
	t->str = d_unescape(p, s + quoted, len - 2 * quoted);
	t->len = (uint32_t)strlen(t->str);
}

/* $1 is a number, a name or else a string; $$1 is always a string. */
void d_lex_macro(struct d_parser *p, struct d_tok *t)
{
	bool quoted = p->text[p->pos + 1] == '$';
	p->pos += quoted ? 2 : 1;
	const char *s = macro_at(p, t->at);
	if (quoted) {
		t->kind = T_STR;
		t->str = d_unescape(p, s ? s : "", s ? strlen(s) : 0);
		t->len = (uint32_t)strlen(t->str);
		return;
	}
	if (!s || is_number(s)) {
		number_token(p, t, s ? s : "0");
		return;
	}
	if (!is_name(s)) {
		string_token(p, t, s);
		return;
	}
	t->kind = d_keyword(s, strlen(s));
	t->str = d_intern(p->c, s, strlen(s));
	t->len = (uint32_t)strlen(s);
}

/* Sources share their arguments: one that any of them uses is used. */
static bool arg_used(const struct d_compiler *c, uint32_t arg)
{
	for (uint32_t i = 0; i < c->src_cnt; i++)
		if (c->srcs[i].args_used[arg / 64] >> (arg % 64) & 1)
			return true;
	return false;
}

/* The last one stands for all, as with dtrace: those before it have to be counted past. */
void d_macros_done(struct d_compiler *c)
{
	for (uint32_t src = 0; src < c->src_cnt && !c->opts.argref; src++) {
		const struct d_src *s = &c->srcs[src];
		uint32_t last = s->arg_cnt - 1;
		if (s->arg_cnt < 2 || last > 255 || arg_used(c, last))
			continue;
		d_error(c, (struct d_place){ .src = src, .line = s->end_line }, "D_MACRO_UNUSED", "extraneous argument "
			"'%s' ($%u is not referenced)", s->src->macro_args[last], last);
		return;
	}
}
