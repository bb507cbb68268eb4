/* SPDX-License-Identifier: MIT */
#include "d/parse_int.h"

#include <stdarg.h>

#define EXCERPT_MAX 160

/* The line around the place; long lines are cut to a window [@ret_lo, @ret_hi). */
static void window_of(const struct d_src *s, struct d_place at, size_t *ret_lo, size_t *ret_hi)
{
	size_t lo = at.off < s->len ? at.off : s->len, hi = lo;
	while (lo > 0 && s->text[lo - 1] != '\n')
		lo--;
	while (hi < s->len && s->text[hi] != '\n')
		hi++;
	if (at.off - lo > EXCERPT_MAX - 40)
		lo = at.off - (EXCERPT_MAX - 40);
	if (hi - lo > EXCERPT_MAX)
		hi = lo + EXCERPT_MAX;
	*ret_lo = lo;
	*ret_hi = hi;
}

static char *excerpt_of(struct d_compiler *c, struct d_place at, uint32_t *ret_col)
{
	const struct d_src *s = &c->srcs[at.src];
	size_t lo, hi;
	window_of(s, at, &lo, &hi);
	char *line = d_strndup(c, s->text + lo, hi - lo);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	*ret_col = (uint32_t)((at.off < hi ? at.off : hi) - lo) + 1;
	return line;
}

/* Mistakes in a library are met while the program behind it is compiled. */
static const struct d_src *program_of(const struct d_compiler *c, uint32_t src)
{
	return &c->srcs[c->srcs[src].src->kind == D_SRC_LIBRARY ? 0 : src];
}

void d_file_begin(struct d_parser *p, const char *name)
{
	struct d_src *s = &p->c->srcs[p->src];
	struct d_file *f = d_alloc(p->c, sizeof(*f));
	bool is_self = !strcmp(name, "/dev/stdin"); /* where the preprocessor reads it */
	*f = (struct d_file){ is_self ? NULL : name, p->pos, s->files };
	s->files = f;
}

static const char *file_of(const struct d_compiler *c, struct d_place at)
{
	const struct d_src *s = &c->srcs[at.src];
	const struct d_file *f = s->files;
	while (f && f->off > at.off)
		f = f->next;
	if (f && f->name)
		return f->name;
	return s->src->kind == D_SRC_LIBRARY ? s->name : NULL;
}

/* One mistake, one place, one report; and what the parser loses its way over in one line is shown a few times. */
static bool is_new(const struct d_compiler *c, struct d_place at, const char *tag)
{
	uint32_t same = 0;
	for (uint32_t i = 0; i < c->diag_cnt; i++) {
		const struct d_diag *d = &c->diags[i];
		if (d->src != at.src || d->line != at.line)
			continue;
		same += !strcmp(d->tag, "D_SYNTAX");
		if (d->col == at.col || (same == D_DIAG_LINE_MAX && !strcmp(tag, "D_SYNTAX")))
			return false;
	}
	return true;
}

bool d_in_header(const struct d_compiler *c, struct d_place at)
{
	return c->srcs[at.src].src->kind != D_SRC_LIBRARY && file_of(c, at);
}

static void PRINTF_LIKE(5, 0) report(struct d_compiler *c, struct d_place at, const char *tag, const char *hint,
				     const char *fmt, va_list ap)
{
	char msg[1024];
	c->err_cnt++;
	if (c->diag_cnt == D_DIAG_MAX)
		return;
	if (!is_new(c, at, tag))
		return;
	vsnprintf(msg, sizeof(msg), fmt, ap);
	struct d_diag *d = &c->diags[c->diag_cnt];
	*d = (struct d_diag){ .tag = tag, .src = at.src, .line = at.line, .col = at.col,
			      .region = c->region,
			      .dt_line = at.seen == D_NO_LINE ? 0 : at.seen ? at.seen : at.line };
	d->hint = hint ? d_strndup(c, hint, strlen(hint)) : NULL;
	d->msg = d_strndup(c, msg, strlen(msg));
	if (at.src < c->src_cnt) {
		const struct d_src *of = program_of(c, at.src);
		d->source = of->name;
		d->text = of->text;
		d->kind = of->src->kind;
		d->file = file_of(c, at);
		if (at.col)
			d->excerpt = excerpt_of(c, at, &d->excerpt_col);
	}
	c->diag_cnt++;
}

struct d_place d_arg_at(const struct d_node *call, const struct d_node *arg)
{
	struct d_place at = arg->at;
	at.seen = call->at.seen ? call->at.seen : call->at.line;
	return at;
}

void d_error(struct d_compiler *c, struct d_place at, const char *tag, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	report(c, at, tag, NULL, fmt, ap);
	va_end(ap);
}

void d_error_hint(struct d_compiler *c, struct d_place at, const char *tag, const char *hint, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	report(c, at, tag, hint, fmt, ap);
	va_end(ap);
}

_Noreturn void d_fail(struct d_parser *p, struct d_place at, const char *tag, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!at.seen)
		at.seen = p->line;
	report(p->c, at, tag, NULL, fmt, ap);
	va_end(ap);
	longjmp(*p->recover, 1);
}

_Noreturn void d_fail_hint(struct d_parser *p, struct d_place at, const char *tag, const char *hint, const char *fmt,
			   ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!at.seen)
		at.seen = p->line;
	report(p->c, at, tag, hint, fmt, ap);
	va_end(ap);
	longjmp(*p->recover, 1);
}

uint32_t d_diag_cnt(const struct d_compiler *c)
{
	return c->diag_cnt;
}

const struct d_diag *d_diag_at(const struct d_compiler *c, uint32_t i)
{
	return i < c->diag_cnt ? &c->diags[i] : NULL;
}

/* A long text is named by how it begins: the line that matters is shown below. */
#define LABEL_MAX 60

const char *d_label(const char *text, int *ret_len)
{
	const char *first = text + strspn(text, " \t\r\n");
	size_t len = strcspn(first, "\n");
	bool all = len <= LABEL_MAX && !first[len];
	*ret_len = -1;
	if (all)
		return text;
	for (len = len < LABEL_MAX ? len : LABEL_MAX; len && ((unsigned char)first[len] & 0xc0) == 0x80;) /* in a character */
		len--;
	*ret_len = (int)len;
	return first;
}

static void print_head(FILE *f, const char *progname, const struct d_diag *d, bool tags)
{
	int len = -1;
	const char *label = d->text && d->excerpt ? d_label(d->text, &len) : d->text;
	fprintf(f, "%s: ", progname);
	if (d->source)
		fprintf(f, "failed to compile script %s: ", d->source);
	else if (d->text)
		fprintf(f, "invalid probe specifier %.*s%s: ", len, label, len < 0 ? "" : "...");
	if (tags)
		fprintf(f, "[%s] ", d->tag);
	if (d->file)
		fprintf(f, "\"%s\", line %u: ", d->file, d->line);
	else if (d->source && d->line)
		fprintf(f, "line %u: ", d->line);
	else if (!d->source && d->region)
		fprintf(f, "in %s: ", d->region);
}

void d_diag_print(FILE *f, const char *progname, const struct d_diag *d, bool tags)
{
	print_head(f, progname, d, tags);
	fprintf(f, "%s\n", d->msg);
	if (d->excerpt)
		fprintf(f, "%6u | %s\n       | %*s^%s%s\n", d->line, d->excerpt, (int)d->excerpt_col - 1, "",
			d->hint ? " " : "", d->hint ? d->hint : "");
}

void d_where_print(FILE *f, const struct d_compiler *c, uint32_t clause, uint64_t action)
{
	const struct d_stmts *st = clause < c->clause_cnt && c->stmts ? &c->stmts[clause] : NULL;
	size_t lo, hi;
	if (!st || action >= st->cnt)
		return;
	struct d_place at = st->at[action];
	const struct d_src *s = &c->srcs[at.src];
	window_of(s, at, &lo, &hi);
	fprintf(f, "%6u | ", at.line);
	for (size_t i = lo; i < hi; i++)
		putc((unsigned char)s->text[i] < ' ' ? ' ' : s->text[i], f);
	fprintf(f, "\n       | %*s^\n", (int)((at.off < hi ? at.off : hi) - lo), "");
}
