/* SPDX-License-Identifier: MIT */
/*
 * Text to tokens, on demand: what a slash or a name is depends on where the
 * parser stands.  At the top the parser asks for a probe description first
 * (d_lex_top), everywhere else for a token (d_next).
 */
#include "d/parse_int.h"

#include <ctype.h>

struct d_place d_here(const struct d_parser *p, size_t pos)
{
	return (struct d_place){ p->src, p->line, (uint32_t)(pos - p->line_start) + 1, (uint32_t)pos };
}

static void skip_newline(struct d_parser *p)
{
	p->pos++;
	p->line++;
	p->line_start = p->pos;
}

static bool is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\f' || ch == '\v';
}

static bool at_line_start(const struct d_parser *p)
{
	for (size_t i = p->pos; i > p->line_start; i--)
		if (!is_space(p->text[i - 1]))
			return false;
	return true;
}

static void skip_comment(struct d_parser *p)
{
	struct d_place at = d_here(p, p->pos);
	p->pos += 2;
	while (p->text[p->pos] && !(p->text[p->pos] == '*' && p->text[p->pos + 1] == '/')) {
		if (p->text[p->pos] == '/' && p->text[p->pos + 1] == '*')
			d_fail(p, d_here(p, p->pos), "D_SYNTAX", "/* encountered inside a comment");
		if (p->text[p->pos] == '\n')
			skip_newline(p);
		else
			p->pos++;
	}
	if (!p->text[p->pos])
		d_fail_hint(p, at, "D_SYNTAX", "it begins here", "end-of-file encountered before matching */");
	p->pos += 2;
}

void d_skip_space(struct d_parser *p)
{
	for (;;) {
		char ch = p->text[p->pos];
		if (ch == '\n')
			skip_newline(p);
		else if (is_space(ch))
			p->pos++;
		else if (ch == '/' && p->text[p->pos + 1] == '*')
			skip_comment(p);
		else if (ch == '#' && at_line_start(p))
			d_directive(p);
		else
			return;
	}
}

/* Whether the slash at pos ends the predicate: what follows is a body or nothing. */
static bool ends_pred(const struct d_parser *p)
{
	size_t i = p->pos + 1;
	for (;;) {
		if (is_space(p->text[i]) || p->text[i] == '\n') {
			i++;
		} else if (p->text[i] == '/' && p->text[i + 1] == '*') {
			const char *end = strstr(p->text + i + 2, "*/");
			if (!end)
				return false;
			i = (size_t)(end + 2 - p->text);
		} else {
			return !p->text[i] || p->text[i] == '{' || p->text[i] == ';';
		}
	}
}

/* The line of the character behind white space. */
static uint32_t next_line(const struct d_parser *p, size_t i)
{
	uint32_t line = p->line;
	for (; is_space(p->text[i]) || p->text[i] == '\n'; i++)
		line += p->text[i] == '\n';
	return line;
}

static void check_open(struct d_parser *p, const struct d_tok *t)
{
	struct d_place at = t->at;
	at.seen = next_line(p, p->pos + 1);
	for (int i = 0; i < 2; i++)
		if (p->opens[i])
			d_fail(p, at, "D_SYNTAX", "closing %c expected in predicate before /", ")]"[i]);
}

static void count_open(struct d_parser *p, const struct d_tok *t)
{
	bool square = t->kind == T_LBRACK || t->kind == T_RBRACK;
	if (t->kind == T_LPAREN || t->kind == T_LBRACK) {
		p->opens[square]++;
	} else if (t->kind == T_RPAREN || t->kind == T_RBRACK) {
		if (!p->opens[square])
			d_fail(p, t->at, "D_SYNTAX", "extra %c in input stream", ")]"[square]);
		p->opens[square]--;
	}
}

static void lex_punct(struct d_parser *p, struct d_tok *t)
{
	const char *s = p->text + p->pos;
	size_t best = 0;
	if (*s == '/' && p->in_pred && ends_pred(p)) {
		check_open(p, t);
		t->at.seen = next_line(p, p->pos + 1);
		t->kind = T_EPRED;
		p->pos++;
		return;
	}
	for (int k = T_PUNCT_FIRST; k < T_KEY_FIRST; k++) {
		const char *text = d_tok_text((enum d_tok_kind)k);
		size_t len = strlen(text);
		if (len > best && !strncmp(s, text, len)) {
			best = len;
			t->kind = (enum d_tok_kind)k;
		}
	}
	if (!best) {
		if (isprint((unsigned char)*s))
			d_fail(p, t->at, "D_SYNTAX", "syntax error near \"%c\"", *s);
		d_fail(p, t->at, "D_SYNTAX", "syntax error near byte 0x%02x", (unsigned char)*s);
	}
	p->pos += best;
	p->braces += t->kind == T_LBRACE;
	p->braces -= t->kind == T_RBRACE && p->braces;
	count_open(p, t);
}

static bool is_ident(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_' || ch == '`';
}

/* DTrace takes a name for a variable once something like an assignment follows it, which shows in its messages. */
static void note_ident(struct d_parser *p, struct d_tok *t)
{
	const char *s = p->text + p->pos;
	t->is_new = !d_map_get(&p->c->seen, t->str) && !d_var_find(p->c, D_GLOBAL, t->str);
	if (!t->is_new || p->in_typedef)
		return;
	s += strspn(s, "\f\n\r\t\v ");
	if (*s == '[' || *s == ';' || (*s == '=' && s[1] != '=') || ((*s == '+' || *s == '-') && s[1] == *s) ||
	    (*s == ',' && !p->opens[0]))
		d_map_put(p->c, &p->c->seen, t->str, p);
}

static void lex_word(struct d_parser *p, struct d_tok *t)
{
	size_t start = p->pos;
	while (is_ident(p->text[p->pos]))
		p->pos++;
	p->pos = d_ext_word_end(p->text, start, p->pos);
	t->kind = d_keyword(p->text + start, p->pos - start);
	t->str = d_intern(p->c, p->text + start, p->pos - start);
	t->len = (uint32_t)(p->pos - start);
	if (t->kind == T_IDENT)
		note_ident(p, t);
}

void d_next(struct d_parser *p)
{
	struct d_tok *t = &p->tok;
	d_skip_space(p);
	*t = (struct d_tok){ .at = d_here(p, p->pos) };
	char ch = p->text[p->pos];
	if (!ch)
		t->kind = T_EOF;
	else if (isdigit((unsigned char)ch) || (ch == '.' && isdigit((unsigned char)p->text[p->pos + 1])))
		d_lex_number(p, t);
	else if (is_ident(ch))
		lex_word(p, t);
	else if (ch == '"' || ch == '\'')
		d_lex_string(p, t);
	else if (ch == '$')
		d_lex_macro(p, t);
	else
		lex_punct(p, t);
}

/* ---- at the top ---- */

static bool is_pdesc(char ch)
{
	return ch && (isalnum((unsigned char)ch) || strchr("-$:_.?*\\[]!`\"@+~<>()&=^%", ch));
}

static bool begins_decl(enum d_tok_kind k)
{
	switch (k) {
	case T_AUTO: case T_CHAR: case T_CONST: case T_COUNTER: case T_DOUBLE: case T_ENUM: case T_EXTERN: case T_FLOAT:
	case T_IMPORT: case T_INLINE: case T_INT_T: case T_LONG: case T_PROVIDER: case T_REGISTER: case T_RESTRICT:
	case T_SELF: case T_SHORT: case T_SIGNED: case T_STATIC: case T_STRING: case T_STRUCT: case T_THIS:
	case T_TRANSLATOR: case T_TYPEDEF: case T_UNION: case T_UNSIGNED: case T_VOID: case T_VOLATILE: case T_BOOL:
		return true;
	default:
		return false;
	}
}

/* A declaration begins with a keyword or with a type's name and another name. */
static bool at_decl(struct d_parser *p)
{
	size_t end = p->pos;
	while (is_ident(p->text[end]))
		end++;
	if (end == p->pos || p->text[end] == ':' || p->text[end] == '-')
		return false;
	if (p->c->opts.pspec && is_pdesc(p->text[end]))
		return false;
	if (begins_decl(d_keyword(p->text + p->pos, end - p->pos)))
		return true;
	if (!d_typename(p->c, d_intern(p->c, p->text + p->pos, end - p->pos)))
		return d_ext_at_decl(p, end);
	end += strspn(p->text + end, " \t");
	return is_ident(p->text[end]) || p->text[end] == '*' || p->text[end] == '(' || p->text[end] == ';';
}

struct text_buf {
	char *s;
	size_t len, cap;
};

static void buf_add(struct d_parser *p, struct text_buf *b, const char *s, size_t len)
{
	if (b->cap - b->len <= len) {
		size_t cap = (b->cap + len) * 2 + 32;
		char *n = d_alloc(p->c, cap);
		if (b->len)
			memcpy(n, b->s, b->len);
		b->s = n;
		b->cap = cap;
	}
	memcpy(b->s + b->len, s, len);
	b->len += len;
	b->s[b->len] = 0;
}

/* Between quotes a colon is a character of the name; \1 stands for it until
 * the parts are split. */
static void pdesc_quoted(struct d_parser *p, struct text_buf *b)
{
	struct d_place at = d_here(p, p->pos);
	for (p->pos++; p->text[p->pos] != '"'; p->pos++) {
		if (!p->text[p->pos] || p->text[p->pos] == '\n')
			d_fail(p, at, "D_SYNTAX", "the quote that begins here has no end");
		buf_add(p, b, p->text[p->pos] == ':' ? "\1" : p->text + p->pos, 1);
	}
	p->pos++;
}

static void lex_pdesc(struct d_parser *p, struct d_tok *t)
{
	struct text_buf b = { 0 };
	buf_add(p, &b, "", 0);
	while (is_pdesc(p->text[p->pos])) {
		if (p->text[p->pos] == '$' && (is_ident(p->text[p->pos + 1]) || p->text[p->pos + 1] == '$')) {
			const char *s = d_macro_text(p);
			buf_add(p, &b, s, strlen(s));
		} else if (p->text[p->pos] == '"') {
			pdesc_quoted(p, &b);
		} else {
			buf_add(p, &b, p->text + p->pos++, 1);
		}
	}
	t->kind = T_PDESC;
	t->str = b.s;
	t->len = (uint32_t)b.len;
}

bool d_lex_top(struct d_parser *p)
{
	d_skip_space(p);
	p->tok = (struct d_tok){ .at = d_here(p, p->pos) };
	if (!p->text[p->pos])
		return true;
	if (at_decl(p)) {
		d_next(p);
		return false;
	}
	if (is_pdesc(p->text[p->pos]))
		lex_pdesc(p, &p->tok);
	else
		d_next(p);
	return true;
}

/* ---- recovery: raw, so that a second look at the mistake reports nothing ---- */

static void skip_quoted(struct d_parser *p)
{
	char quote = p->text[p->pos++];
	while (p->text[p->pos] && p->text[p->pos] != quote && p->text[p->pos] != '\n')
		p->pos += p->text[p->pos] == '\\' && p->text[p->pos + 1] && p->text[p->pos + 1] != '\n' ? 2 : 1;
	if (p->text[p->pos] == quote)
		p->pos++;
}

static void skip_raw(struct d_parser *p)
{
	char ch = p->text[p->pos];
	if (ch == '\n') {
		skip_newline(p);
	} else if (ch == '"' || ch == '\'') {
		skip_quoted(p);
	} else if (ch == '/' && p->text[p->pos + 1] == '*') {
		for (p->pos += 2; p->text[p->pos] && strncmp(p->text + p->pos, "*/", 2);) {
			if (p->text[p->pos] == '\n')
				skip_newline(p);
			else
				p->pos++;
		}
		if (p->text[p->pos])
			p->pos += 2;
	} else {
		p->pos++;
	}
}

/* Behind the next semicolon, or before the brace that closes the block. */
void d_skip_to_stmt(struct d_parser *p)
{
	uint32_t braces = 0;
	for (char ch; (ch = p->text[p->pos]); skip_raw(p)) {
		if (ch == '{')
			braces++;
		if (ch == '}' && !braces--)
			return;
		if (ch == ';' && !braces) {
			p->pos++;
			return;
		}
	}
}

/* Behind the body of the clause, or the semicolon of the declaration. */
void d_skip_to_top(struct d_parser *p)
{
	for (char ch; (ch = p->text[p->pos]); skip_raw(p)) {
		if (ch == '{')
			p->braces++;
		if ((ch == '}' && (!p->braces || !--p->braces)) || (ch == ';' && !p->braces)) {
			p->pos++;
			return;
		}
	}
}
