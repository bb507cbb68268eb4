/* SPDX-License-Identifier: MIT */
/* Names of tokens; numbers, strings and characters. */
#include "d/d_int.h"

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
		d_fail(p, t->at, "D_SYNTAX", "floating-point constants are not permitted in D");
	for (;; p->pos++) {
		int d = digit_of(s[p->pos]);
		if (d == 99 || (base != 16 && d > 9))
			break;
		if (d >= base)
			d_fail(p, d_here(p, p->pos), "D_INT_DIGIT", "digit '%c' is not valid in a base-%d constant",
				s[p->pos], base);
		if (__builtin_mul_overflow(t->val, (uint64_t)base, &t->val) ||
		    __builtin_add_overflow(t->val, (uint64_t)d, &t->val))
			d_fail(p, t->at, "D_INT_OFLOW", "integer constant cannot be represented in any built-in "
				"integral type");
	}
	if (!parse_suffix(p, t))
		d_fail(p, d_here(p, p->pos), "D_INT_DIGIT", "'%c' is not valid in an integer constant", s[p->pos]);
}

/* The character behind a backslash; pos stands on it. */
static char parse_escape(struct d_parser *p)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	char ch = p->text[p->pos];
	const char *f = ch ? strchr(from, ch) : NULL;
	unsigned v = 0;
	if (f) {
		p->pos++;
		return to[f - from];
	}
	if (ch >= '0' && ch <= '7') {
		for (int n = 0; n < 3 && p->text[p->pos] >= '0' && p->text[p->pos] <= '7'; n++)
			v = v * 8 + (unsigned)(p->text[p->pos++] - '0');
		return (char)v;
	}
	if (ch == 'x' && isxdigit((unsigned char)p->text[p->pos + 1])) {
		p->pos++;
		for (int n = 0; n < 2 && isxdigit((unsigned char)p->text[p->pos]); n++)
			v = v * 16 + (unsigned)digit_of(p->text[p->pos++]);
		return (char)v;
	}
	p->pos++;
	return ch;
}

static void lex_char(struct d_parser *p, struct d_tok *t, const char *s, size_t len)
{
	t->kind = T_INT;
	t->is_char = true;
	if (!len)
		d_fail(p, t->at, "D_CHR_NULL", "empty character constant");
	if (len > 8)
		d_fail(p, t->at, "D_CHR_OFLOW", "character constant is too long");
	t->val = len == 1 ? (uint64_t)(int64_t)(signed char)s[0] : 0;
	for (size_t i = 0; len > 1 && i < len; i++)
		t->val = t->val << 8 | (uint8_t)s[i];
	t->is_char = len <= 4;
	if (len == 4)
		t->val = (uint64_t)(int64_t)(int32_t)t->val;
	t->is_decimal = true;
}

void d_lex_string(struct d_parser *p, struct d_tok *t)
{
	char quote = p->text[p->pos++];
	size_t cap = strcspn(p->text + p->pos, "\n");
	char *buf = d_alloc(p->c, cap + 1);
	size_t len = 0;
	while (p->text[p->pos] != quote) {
		if (!p->text[p->pos])
			d_fail(p, t->at, quote == '"' ? "D_STR_NL" : "D_CHR_NL", "unterminated %s that begins here",
			       quote == '"' ? "string" : "character constant");
		if (p->text[p->pos] == '\n')
			d_fail(p, t->at, quote == '"' ? "D_STR_NL" : "D_CHR_NL", "newline in %s that begins here",
			       quote == '"' ? "string literal" : "character constant");
		if (p->text[p->pos] != '\\') {
			buf[len++] = p->text[p->pos++];
			continue;
		}
		p->pos++;
		if (p->text[p->pos] && p->text[p->pos] != '\n')
			buf[len++] = parse_escape(p);
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
			buf[n++] = parse_escape(&sub);
		} else {
			buf[n++] = sub.text[sub.pos++];
		}
	}
	buf[n] = 0;
	return buf;
}
