/* SPDX-License-Identifier: MIT */
/* Printing by a format: each conversion takes the next value, or with @ the next aggregation. */
#include "consume/consume_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fmt_run {
	struct consume *c;
	FILE *fp;
	const struct fmt_conv *cv;
	int width, prec;
	const struct plan_val *v;
	const struct datum_src *src;
	char spec[64]; /* C's format of this conversion */
};

/* "%-#0+' 20.10" and @tail. */
static const char *run_spec(struct fmt_run *r, const char *tail)
{
	static const struct { uint32_t flag; char ch; } marks[] = {
		{ FMT_ALT, '#' }, { FMT_ZERO, '0' }, { FMT_PLUS, '+' }, { FMT_GROUP, '\'' }, { FMT_SPACE, ' ' },
	};
	char *p = r->spec, *end = r->spec + sizeof(r->spec);
	*p++ = '%';
	for (size_t i = 0; i < ARRAY_CNT(marks); i++)
		if (r->cv->flags & marks[i].flag)
			*p++ = marks[i].ch;
	if (r->width < 0 || r->cv->flags & FMT_LEFT)
		*p++ = '-';
	if (r->width)
		p += snprintf(p, (size_t)(end - p), "%d", abs(r->width));
	if (r->prec > 0)
		p += snprintf(p, (size_t)(end - p), ".%d", r->prec);
	snprintf(p, (size_t)(end - p), "%s", tail);
	return r->spec;
}

static void run_int(struct fmt_run *r, int64_t i, uint32_t size, bool is_signed)
{
	char tail[4] = { 'l', 'l', r->cv->conv, 0 };
	if (tail[2] == 'p')
		tail[2] = 'x';
	if (strchr("di", tail[2])) {
		if (!is_signed && !r->cv->size[0])
			tail[2] = 'u';
	} else if (size && size < 8) {
		/* A negative int is %u and %x of its own size, not of 64 bits. */
		i &= (int64_t)((1ULL << size * 8) - 1);
	}
	fprintf(r->fp, run_spec(r, tail), (long long)i);
}

static void run_text(struct fmt_run *r, const char *s) { fprintf(r->fp, run_spec(r, "s"), s); }

/* Strings hold what the target had there; the format sees them up to their first NUL. */
static void run_chars(struct fmt_run *r, const uint8_t *p, uint32_t cnt)
{
	char *s = strndup((const char *)p, cnt);
	if (s)
		run_text(r, s);
	free(s);
}

static size_t escape_char(char *q, uint8_t ch)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\", to[] = "abfnrtv\"\\";
	const char *hit = ch ? strchr(from, ch) : NULL;
	if (!ch || hit)
		return (size_t)sprintf(q, "\\%c", ch ? to[hit - from] : '0');
	return (size_t)sprintf(q, isprint(ch) ? "%c" : "\\%03o", ch);
}

/* dtrace shows the NUL that ends a string, too. */
static void run_escaped(struct fmt_run *r, const uint8_t *p, uint32_t cnt, bool ends)
{
	char *s = malloc(cnt * 4ul + 3), *q = s;
	uint32_t i;
	if (!s)
		return;
	for (i = 0; i < cnt && p[i]; i++)
		q += escape_char(q, p[i]);
	if (ends || i < cnt)
		q += escape_char(q, 0);
	*q = 0;
	run_text(r, s);
	free(s);
}

static void run_time(struct fmt_run *r, uint64_t ns)
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	char buf[64];
	localtime_r(&sec, &tm);
	strftime(buf, sizeof(buf), r->cv->conv == 'Y' ? "%Y %b %e %H:%M:%S" : "%a, %d %b %Y %H:%M:%S %Z", &tm);
	run_text(r, buf);
}

static void run_addr(struct fmt_run *r, enum plan_val_kind kind, uint64_t addr)
{
	char buf[1024];
	consume_sym_format(r->c, kind, r->src->proc, addr, buf, sizeof(buf));
	run_text(r, buf);
}

/* A left-aligned stack takes its width as the indent of all its lines. */
static void run_stack(struct fmt_run *r)
{
	uint32_t indent = r->width < 0 || r->cv->flags & FMT_LEFT ? (uint32_t)abs(r->width) : 0;
	if (indent)
		r->width = 0;
	consume_sym_print_stack(r->c, r->fp, run_spec(r, "s"), indent, r->v, r->src);
}

/* float, double and long double are kept as the bytes they are. */
static void run_double(struct fmt_run *r)
{
	uint32_t cnt;
	const uint8_t *p = consume_val_bytes(r->c, r->v, r->src, &cnt);
	float f = 0;
	double d = 0;
	long double ld = 0;
	char tail[3] = { 'L', r->cv->conv, 0 };
	if (cnt == sizeof(f)) {
		memcpy(&f, p, sizeof(f));
		ld = f;
	} else if (cnt == sizeof(d)) {
		memcpy(&d, p, sizeof(d));
		ld = d;
	} else if (cnt == sizeof(ld)) {
		memcpy(&ld, p, sizeof(ld));
	}
	fprintf(r->fp, run_spec(r, tail), ld);
}

/* A character of wide text as UTF-8, whatever the locale; what is none as a question mark. */
static char *put_wide(char *q, uint32_t ch)
{
	if (ch > 0x10ffff || (ch >= 0xd800 && ch < 0xe000))
		ch = '?';
	if (ch < 0x80) {
		*q++ = (char)ch;
	} else if (ch < 0x800) {
		*q++ = (char)(0xc0 | ch >> 6);
		*q++ = (char)(0x80 | (ch & 0x3f));
	} else {
		if (ch < 0x10000)
			*q++ = (char)(0xe0 | ch >> 12);
		else
			*q++ = (char)(0xf0 | ch >> 18), *q++ = (char)(0x80 | (ch >> 12 & 0x3f));
		*q++ = (char)(0x80 | (ch >> 6 & 0x3f));
		*q++ = (char)(0x80 | (ch & 0x3f));
	}
	return q;
}

static void run_wide(struct fmt_run *r, const uint8_t *p, uint32_t cnt)
{
	char *s = malloc(cnt + 1ul), *q = s;
	if (!s)
		return;
	for (uint32_t ch; cnt >= sizeof(ch); p += sizeof(ch), cnt -= (uint32_t)sizeof(ch)) {
		memcpy(&ch, p, sizeof(ch));
		if (!ch)
			break;
		q = put_wide(q, ch);
	}
	*q = 0;
	run_text(r, s);
	free(s);
}

static void run_string_conv(struct fmt_run *r)
{
	uint32_t cnt;
	const uint8_t *p = consume_val_bytes(r->c, r->v, r->src, &cnt);
	if (r->cv->size[0])
		run_wide(r, p, cnt);
	else if (r->cv->conv == 'S')
		run_escaped(r, p, cnt, consume_val_is_string(r->v));
	else
		run_chars(r, p, cnt);
}

static void run_char(struct fmt_run *r)
{
	uint32_t wide = (uint32_t)consume_val_int(r->v, r->src);
	uint8_t ch = (uint8_t)wide;
	if (r->cv->size[0])
		run_wide(r, (const uint8_t *)&wide, sizeof(wide));
	else if (r->cv->conv == 'C')
		run_escaped(r, &ch, 1, false);
	else
		fprintf(r->fp, run_spec(r, "c"), ch);
}

static void run_value(struct fmt_run *r)
{
	if (r->v->kind == PLAN_USTACK) {
		run_stack(r);
		return;
	}
	if (consume_val_is_symbol(r->v) && !strchr("dioupxX", r->cv->conv)) {
		run_addr(r, r->v->kind, consume_val_u64(r->v, r->src));
		return;
	}
	switch (r->cv->conv) {
	case 'a': case 'A': run_addr(r, PLAN_UADDR, consume_val_u64(r->v, r->src)); break;
	case 'c': case 'C': run_char(r); break;
	case 's': case 'S': run_string_conv(r); break;
	case 'T': case 'Y': run_time(r, consume_val_u64(r->v, r->src)); break;
	case 'e': case 'E': case 'f': case 'g': case 'G': run_double(r); break;
	default: run_int(r, consume_val_int(r->v, r->src), r->v->size, r->v->is_signed);
	}
}

/* An aggregation's number, also as a time or an address. */
static void run_agg_int(struct fmt_run *r, int64_t i, bool is_signed)
{
	if (strchr("TY", r->cv->conv))
		run_time(r, (uint64_t)i);
	else if (strchr("aA", r->cv->conv))
		run_addr(r, PLAN_UADDR, (uint64_t)i);
	else
		run_int(r, i, 8, is_signed);
}

static void run_agg(struct fmt_run *r, const struct agg_ent *e)
{
	const struct wire_agg *a = &r->c->image->aggs[e->agg];
	int64_t n = r->c->normal[e->agg];
	switch (a->fn) {
	case WIRE_AGG_AVG: run_agg_int(r, e->val[0] ? e->val[1] / n / e->val[0] : 0, true); break;
	case WIRE_AGG_STDDEV: run_agg_int(r, (int64_t)consume_stddev_of(e->val, n), true); break;
	case WIRE_AGG_COUNT: run_agg_int(r, e->val[0] / n, false); break;
	case WIRE_AGG_SUM: case WIRE_AGG_MIN: case WIRE_AGG_MAX: run_agg_int(r, e->val[0] / n, true); break;
	default: consume_agg_print_value(r->c, r->fp, e);
	}
}

static const struct plan_val *take(const struct plan_val *vals, uint32_t cnt, uint32_t *next)
{
	return *next < cnt ? &vals[(*next)++] : NULL;
}

static bool take_int(const struct plan_val *vals, uint32_t cnt, uint32_t *next, const struct datum_src *src, int *ret)
{
	const struct plan_val *v = take(vals, cnt, next);
	if (!v)
		return false;
	int n = (int)consume_val_int(v, src);
	*ret = n > FMT_NUM_MAX ? FMT_NUM_MAX : n < -FMT_NUM_MAX ? -FMT_NUM_MAX : n;
	return true;
}

/* The flags that the short way knows. */
#define QUICK_FLAGS ((uint32_t)(FMT_ZERO | FMT_LEFT | FMT_DYNWIDTH))

static bool quick_int(const struct fmt_run *r, struct text *t)
{
	int64_t i = consume_val_int(r->v, r->src);
	bool zeros = r->cv->flags & FMT_ZERO;
	int width = r->cv->flags & FMT_LEFT ? -abs(r->width) : r->width;
	char conv = r->cv->conv == 'p' ? 'x' : r->cv->conv;
	if (conv == 'd' || conv == 'i') {
		if (r->v->is_signed || r->cv->size[0])
			consume_text_signed(t, i, width, zeros);
		else
			consume_text_unsigned(t, (uint64_t)i, 'u', width, zeros);
		return true;
	}
	if (r->v->size && r->v->size < 8)
		i &= (int64_t)((1ULL << r->v->size * 8) - 1);
	consume_text_unsigned(t, (uint64_t)i, conv, width, zeros);
	return true;
}

static bool quick_str(const struct fmt_run *r, struct text *t)
{
	uint32_t cnt;
	if (r->cv->size[0] || r->cv->flags & FMT_ZERO)
		return false;
	const uint8_t *p = consume_val_bytes(r->c, r->v, r->src, &cnt);
	consume_text_str(t, (const char *)p, strnlen((const char *)p, cnt), r->cv->flags & FMT_LEFT ? -abs(r->width) : r->width);
	return true;
}

/* What nearly all conversions are; false: it is another one. */
static bool quick_value(const struct fmt_run *r, struct text *t)
{
	if (r->v->kind == PLAN_USTACK || r->cv->flags & ~QUICK_FLAGS || r->prec > 0)
		return false;
	switch (r->cv->conv) {
	case 'd': case 'i': case 'u': case 'o': case 'x': case 'X': case 'p': return quick_int(r, t);
	case 's': return !consume_val_is_symbol(r->v) && quick_str(r, t);
	default: return false;
	}
}

/* 0, or -EINVAL where the format wants more than there is. */
static int print(struct text *t, struct consume *c, const struct fmt *f, const struct plan_val *vals, uint32_t val_cnt,
		 const struct datum_src *src, const struct fmt_aggs *aggs)
{
	uint32_t next = 0, agg = 0;
	struct fmt_run r;
	for (uint32_t i = 0; i < f->cnt; i++) {
		const struct fmt_conv *cv = &f->convs[i];
		r.c = c, r.fp = t->fp, r.cv = cv, r.width = cv->width, r.prec = cv->prec, r.src = src;
		consume_text_add(t, cv->text, cv->text_len);
		if (!cv->conv)
			continue;
		if (cv->conv == '%') {
			consume_text_add(t, "%", 1);
			continue;
		}
		if (cv->flags & FMT_DYNWIDTH && !take_int(vals, val_cnt, &next, src, &r.width))
			return -EINVAL;
		if (cv->flags & FMT_DYNPREC && !take_int(vals, val_cnt, &next, src, &r.prec))
			return -EINVAL;
		if (cv->flags & FMT_AGG) {
			if (!aggs || !aggs->cnt)
				return -EINVAL;
			consume_text_end(t);
			/* What is too many shows the last one again. */
			run_agg(&r, aggs->ents[agg]);
			agg += agg + 1 < aggs->cnt;
			continue;
		}
		r.v = take(vals, val_cnt, &next);
		if (!r.v)
			return -EINVAL;
		if (quick_value(&r, t))
			continue;
		consume_text_end(t);
		run_value(&r);
	}
	return 0;
}

int consume_fmt_print(struct consume *c, FILE *fp, const struct fmt *f, const struct plan_val *vals, uint32_t val_cnt,
	      const struct datum_src *src, const struct fmt_aggs *aggs)
{
	struct text t;
	consume_text_begin(&t, fp);
	int rc = print(&t, c, f, vals, val_cnt, src, aggs);
	consume_text_end(&t);
	return rc;
}
