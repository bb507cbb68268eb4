/* SPDX-License-Identifier: MIT */
/* Names of tokens; numbers, strings and characters. */
#include "d/parse_int.h"

#include <ctype.h>

static const char *const texts[T_CNT] = {
	[T_EOF] = "end of input", [T_INT] = "integer", [T_STR] = "string", [T_IDENT] = "identifier",
	[T_PDESC] = "probe description", [T_EPRED] = "/",
	[T_PREINC] = "++", [T_PREDEC] = "--", [T_POSTINC] = "++", [T_POSTDEC] = "--",
	[T_NEG] = "-", [T_PLUS] = "+", [T_DEREF] = "*", [T_ADDR] = "&",
#define D_TOK(name, text) [T_##name] = text,
	D_PUNCTS(D_TOK)
	D_KEYWORDS(D_TOK)
#undef D_TOK
};

const char *d_tok_text(enum d_tok_kind k)
{
	return k < T_CNT ? texts[k] : "?";
}

enum d_tok_kind d_keyword(const char *s, size_t len)
{
	static const char *const reserved[] = { "__signed__", "__const__", "__volatile__", "__restrict__", "__inline__" };
	for (size_t i = 0; len > 2 && i < ARRAY_CNT(reserved); i++) /* as headers write them */
		if (!strncmp(reserved[i], s, len) && (!reserved[i][len] || !strcmp(&reserved[i][len], "__")))
			return d_keyword(s + 2, len - (reserved[i][len] ? 2 : 4));
	for (int k = T_KEY_FIRST; k < T_CNT; k++)
		if (!strncmp(texts[k], s, len) && !texts[k][len])
			return (enum d_tok_kind)k;
	return T_IDENT;
}

static int digit_of(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return isxdigit((unsigned char)ch) ? tolower((unsigned char)ch) - 'a' + 10 : 99;
}

/* u, l and ll in any order, each once. */
static bool parse_suffix(struct d_parser *p, struct d_tok *t)
{
	for (;; p->pos++) {
		char ch = (char)tolower((unsigned char)p->text[p->pos]);
		if (ch == 'u' && !t->is_unsigned)
			t->is_unsigned = true;
		else if (ch == 'l' && t->longs < 2 && (!t->longs || tolower((unsigned char)p->text[p->pos - 1]) == 'l'))
			t->longs++;
		else
			return !isalnum((unsigned char)ch) && ch != '_';
	}
}

static int number_len(const char *s)
{
	int n = 0;
	while (n < 80 && (isalnum((unsigned char)s[n]) || s[n] == '_'))
		n++;
	return n;
}

void d_lex_number(struct d_parser *p, struct d_tok *t)
{
	const char *s = p->text;
	int base = 10;
	t->kind = T_INT;
	if (s[p->pos] == '0' && (s[p->pos + 1] == 'x' || s[p->pos + 1] == 'X') &&
		isxdigit((unsigned char)s[p->pos + 2])) {
		base = 16;
		p->pos += 2;
	} else if (s[p->pos] == '0') {
		base = 8;
	}
	t->is_decimal = base == 10;
	size_t end = p->pos + strspn(s + p->pos, "0123456789");
	if (base != 16 && (s[end] == '.' || ((s[end] == 'e' || s[end] == 'E') && isdigit((unsigned char)s[end + 1]))))
		d_fail(p, t->at, "D_SYNTAX", "floating-point constants are not permitted");
	for (;; p->pos++) {
		int d = digit_of(s[p->pos]);
		if (d == 99 || (base != 16 && d > 9))
			break;
		if (d >= base)
			d_fail(p, d_here(p, p->pos), "D_INT_DIGIT", "constant %.*s contains invalid digit %c",
				number_len(s + t->at.off), s + t->at.off, s[p->pos]);
		if (__builtin_mul_overflow(t->val, (uint64_t)base, &t->val) ||
		    __builtin_add_overflow(t->val, (uint64_t)d, &t->val))
			d_fail(p, t->at, "D_INT_OFLOW", "constant %.*s results in integer overflow",
				number_len(s + t->at.off), s + t->at.off);
	}
	if (!parse_suffix(p, t))
		d_fail(p, d_here(p, p->pos), "D_SYNTAX", "'%c' is not valid in an integer constant", s[p->pos]);
}

/* What stands behind a backslash, to @to; pos stands on it.  Backslashes that mean nothing stay, as in DTrace. */
static size_t parse_escape(struct d_parser *p, char *to)
{
	static const char from[] = "abfnrtv\"\\", as[] = "\a\b\f\n\r\t\v\"\\";
	char ch = p->text[p->pos];
	const char *f = strchr(from, ch);
	unsigned v = 0;
	if (ch >= '0' && ch <= '7') {
		for (int n = 0; n < 3 && p->text[p->pos] >= '0' && p->text[p->pos] <= '7'; n++)
			v = v * 8 + (unsigned)(p->text[p->pos++] - '0');
		*to = (char)v;
	} else if (ch == 'x') {
		for (p->pos++; isxdigit((unsigned char)p->text[p->pos]); p->pos++)
			v = v * 16 + (unsigned)digit_of(p->text[p->pos]);
		*to = (char)v;
	} else {
		p->pos++;
		if (!f) {
			to[0] = '\\';
			to[1] = ch;
			return 2;
		}
		*to = as[f - from];
	}
	return 1;
}

/* The characters are the bytes of the number, the first one the highest. */
static void lex_char(struct d_parser *p, struct d_tok *t, const char *s, size_t len)
{
	t->kind = T_INT;
	if (!len)
		d_fail(p, t->at, "D_CHR_NULL", "empty character constant");
	if (len > 8)
		d_fail(p, t->at, "D_CHR_OFLOW", "character constant is too long");
	for (size_t i = 0; i < len; i++)
		t->val = t->val << 8 | (uint8_t)s[i];
	t->is_decimal = true;
}

static struct d_place behind_line(struct d_place at)
{
	at.seen = at.line + 1;
	return at;
}

/* Characters up to the closing quote, or to where it should have been. */
static size_t string_room(const char *s, char quote)
{
	size_t n = 0;
	while (s[n] && s[n] != quote && s[n] != '\n')
		n += s[n] == '\\' && s[n + 1] && s[n + 1] != '\n' ? 2 : 1;
	return n;
}

void d_lex_string(struct d_parser *p, struct d_tok *t)
{
	char quote = p->text[p->pos++];
	char *buf = d_alloc(p->c, string_room(p->text + p->pos, quote) + 2);
	size_t len = 0;
	while (p->text[p->pos] != quote) {
		if (!p->text[p->pos])
			d_fail_hint(p, t->at, "D_SYNTAX", "it has no end", "syntax error near \"%c\"", quote);
		if (p->text[p->pos] == '\n')
			d_fail(p, behind_line(t->at), quote == '"' ? "D_STR_NL" : "D_CHR_NL", "newline encountered in %s",
			       quote == '"' ? "string literal" : "character constant");
		if (p->text[p->pos] != '\\') {
			buf[len++] = p->text[p->pos++];
			continue;
		}
		p->pos++;
		if (p->text[p->pos] && p->text[p->pos] != '\n')
			len += parse_escape(p, buf + len);
	}
	p->pos++;
	if (quote == '\'') {
		lex_char(p, t, buf, len);
		return;
	}
	t->kind = T_STR;
	t->str = buf;
	t->len = (uint32_t)strlen(buf); /* a string ends at its first NUL */
}

const char *d_unescape(struct d_parser *p, const char *s, size_t len)
{
	struct d_parser sub = { .c = p->c, .text = d_strndup(p->c, s, len) };
	char *buf = d_alloc(p->c, len + 1);
	size_t n = 0;
	while (sub.text[sub.pos]) {
		if (sub.text[sub.pos] == '\\' && sub.text[sub.pos + 1]) {
			sub.pos++;
			n += parse_escape(&sub, buf + n);
		} else {
			buf[n++] = sub.text[sub.pos++];
		}
	}
	buf[n] = 0;
	return buf;
}
