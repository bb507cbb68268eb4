/* SPDX-License-Identifier: MIT */
/* Values out of records and keys, and their default forms. */
#include "consume/consume_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

uint64_t consume_val_u64(const struct plan_val *v, const struct datum_src *src)
{
	uint64_t u = 0;
	if (v->kind == PLAN_TIME)
		return src->ns;
	if (src->bytes >= 8 && v->off <= src->bytes - 8)
		memcpy(&u, src->data + v->off, 8);
	return u;
}

/* The value as its type has it: cut to its size, extended by its sign. */
int64_t consume_val_int(const struct plan_val *v, const struct datum_src *src)
{
	uint64_t u = consume_val_u64(v, src);
	uint32_t bits = v->size && v->size < 8 ? v->size * 8 : 64;
	if (bits == 64)
		return (int64_t)u;
	u <<= 64 - bits;
	return v->is_signed ? (int64_t)u >> (64 - bits) : (int64_t)(u >> (64 - bits));
}

static const uint8_t *site_name(const struct consume *c, const struct plan_val *v, const struct wire_site *site,
				uint32_t *ret_cnt)
{
	uint32_t off = 0;
	if (site)
		off = v->kind == PLAN_PROBEPROV ? site->prov : v->kind == PLAN_PROBEMOD ? site->mod :
			v->kind == PLAN_PROBEFUNC ? site->func : site->name;
	return (const uint8_t *)consume_site_str(c, off, ret_cnt);
}

const uint8_t *consume_val_bytes(const struct consume *c, const struct plan_val *v, const struct datum_src *src,
			 uint32_t *ret_cnt)
{
	*ret_cnt = 0;
	if (v->kind >= PLAN_PROBEPROV)
		return site_name(c, v, src->site, ret_cnt);
	uint64_t u = consume_val_u64(v, src);
	if (v->kind == PLAN_STR && v->sref) {
		if (u >> WIRE_SREF_TAG_SHIFT != WIRE_SREF_INTERN)
			return (const uint8_t *)"";
		return (const uint8_t *)consume_site_str(c, (uint32_t)u, ret_cnt);
	}
	struct wire_vref ref;
	memcpy(&ref, &u, sizeof(ref));
	if (ref.off > src->bytes || ref.bytes > src->bytes - ref.off)
		return (const uint8_t *)"";
	*ret_cnt = ref.bytes;
	return src->data + ref.off;
}

bool consume_val_is_string(const struct plan_val *v) { return v->kind == PLAN_STR || v->kind >= PLAN_PROBEPROV; }

bool consume_val_is_symbol(const struct plan_val *v)
{
	return v->kind == PLAN_USYM || v->kind == PLAN_UFUNC || v->kind == PLAN_UADDR || v->kind == PLAN_UMOD ||
	       v->kind == PLAN_KSYM || v->kind == PLAN_KMOD;
}

/* A table of hexadecimal bytes, sixteen a row, as characters beside it. */
void consume_val_print_raw(FILE *fp, const uint8_t *p, uint32_t cnt)
{
	if (!cnt)
		return;
	fprintf(fp, "\n%11s", "");
	for (int i = 0; i < 16; i++)
		fprintf(fp, "  %x", i);
	fprintf(fp, "  0123456789abcdef\n");
	for (uint32_t row = 0; row < cnt; row += 16) {
		uint32_t n = cnt - row < 16 ? cnt - row : 16;
		fprintf(fp, "%5s%5x:", "", row);
		for (uint32_t i = 0; i < n; i++)
			fprintf(fp, " %02x", p[row + i]);
		fprintf(fp, "%*s  ", (int)(16 - n) * 3, "");
		for (uint32_t i = 0; i < n; i++)
			putc(p[row + i] < ' ' || p[row + i] > '~' ? '.' : p[row + i], fp);
		putc('\n', fp);
	}
}

/* Printable text, perhaps with NULs behind it; its length without them, or -1. */
static int64_t text_len(const uint8_t *p, uint32_t cnt)
{
	uint32_t i = 0;
	while (i < cnt && (isprint(p[i]) || isspace(p[i]) || p[i] == '\b' || p[i] == '\a'))
		i++;
	int64_t len = i;
	while (i < cnt && !p[i])
		i++;
	return i == cnt && len ? len : -1;
}

bool consume_float_text(char text[CONSUME_FLOAT_MAX], const uint8_t *p, uint32_t bytes)
{
	float f;
	double d;
	long double l;
	if (bytes == sizeof(f)) {
		memcpy(&f, p, sizeof(f));
		d = (double)f;
	} else if (bytes == sizeof(d)) {
		memcpy(&d, p, sizeof(d));
	} else if (bytes == sizeof(l)) {
		memcpy(&l, p, sizeof(l));
		snprintf(text, CONSUME_FLOAT_MAX, "%Lg", l);
		return true;
	} else {
		return false;
	}
	snprintf(text, CONSUME_FLOAT_MAX, "%g", d);
	return true;
}

static bool print_float(struct consume *c, FILE *fp, const struct plan_val *v, const struct datum_src *src, bool quiet)
{
	char text[CONSUME_FLOAT_MAX];
	uint32_t cnt;
	const uint8_t *p = v->is_float && !c->opts.rawbytes ? consume_val_bytes(c, v, src, &cnt) : NULL;
	if (!p || !consume_float_text(text, p, cnt))
		return false;
	fprintf(fp, quiet ? "%s" : " %16s", text);
	return true;
}

static void print_bytes(struct consume *c, FILE *fp, const uint8_t *p, uint32_t cnt, int width)
{
	int64_t len = c->opts.rawbytes ? -1 : text_len(p, cnt);
	if (len < 0)
		consume_val_print_raw(fp, p, cnt);
	else if (c->opts.quiet && width < 50)
		fprintf(fp, "%.*s", (int)len, p);
	else
		fprintf(fp, "  %-*.*s", width, (int)len, p);
}

static void print_string(FILE *fp, const uint8_t *s, uint32_t len, int width)
{
	/* A string ends at its first NUL, wherever its bytes came from. */
	len = (uint32_t)strnlen((const char *)s, len);
	if (width)
		fprintf(fp, "  %-*.*s", width, (int)len, s);
	else
		fwrite(s, 1, len, fp);
}

/* Columns by size: dtrace gives a key's number its sign's place, trace() too. */
static void print_int(FILE *fp, const struct plan_val *v, int64_t i, bool quiet)
{
	int s = v->size == 1 ? 3 : v->size == 2 ? 5 : v->size == 4 ? 10 : v->is_signed ? 19 : 20;
	struct text t;
	consume_text_begin(&t, fp);
	if (!quiet)
		consume_text_add(&t, " ", 1);
	if (v->is_signed)
		consume_text_signed(&t, i, quiet ? 0 : s, false);
	else
		consume_text_unsigned(&t, (uint64_t)i, 'u', quiet ? 0 : s, false);
	consume_text_end(&t);
}

/* What is in common to trace() and keys; false: not one of them. */
static bool print_addr(struct consume *c, FILE *fp, const struct plan_val *v, const struct datum_src *src)
{
	char buf[1024];
	if (v->kind == PLAN_USTACK) {
		consume_sym_print_stack(c, fp, "%s", c->opts.stackindent, v, src);
	} else if (consume_val_is_symbol(v)) {
		consume_sym_format(c, v->kind, src->proc, consume_val_u64(v, src), buf, sizeof(buf));
		fprintf(fp, "  %-50s", buf);
	} else {
		return false;
	}
	return true;
}

/* All the bytes that a string has room for. */
static void raw_string(const struct consume *c, FILE *fp, const uint8_t *p, uint32_t cnt)
{
	uint32_t room = c->image->strsize ? c->image->strsize + 1 : cnt + 1;
	uint8_t *s = calloc(room, 1);
	if (!s)
		return;
	memcpy(s, p, cnt < room ? cnt : room - 1);
	consume_val_print_raw(fp, s, room);
	free(s);
}

static void raw_scalar(FILE *fp, const struct plan_val *v, const struct datum_src *src)
{
	uint64_t u = consume_val_u64(v, src);
	consume_val_print_raw(fp, (const uint8_t *)&u, v->size && v->size < 8 ? v->size : 8);
}

void consume_val_print_trace(struct consume *c, FILE *fp, const struct plan_val *v, const struct datum_src *src)
{
	uint32_t cnt;
	if (print_addr(c, fp, v, src) || print_float(c, fp, v, src, c->opts.quiet))
		return;
	if (v->kind == PLAN_BYTES || consume_val_is_string(v)) {
		const uint8_t *p = consume_val_bytes(c, v, src, &cnt);
		if (v->kind == PLAN_BYTES && (c->opts.rawbytes || v->size != 1))
			consume_val_print_raw(fp, p, cnt);
		else if (c->opts.rawbytes)
			raw_string(c, fp, p, cnt);
		else
			print_string(fp, p, cnt, c->opts.quiet ? 0 : 33);
	} else if (c->opts.rawbytes) {
		raw_scalar(fp, v, src);
	} else {
		print_int(fp, v, consume_val_int(v, src), c->opts.quiet);
	}
}

int consume_val_key_width(const struct plan_val *v)
{
	return v->size == 1 ? 3 : v->size == 2 ? 5 : v->size == 4 ? 8 : 16;
}

void consume_val_print_key(struct consume *c, FILE *fp, const struct plan_val *v, const struct datum_src *src, bool packed)
{
	uint32_t cnt;
	if (print_addr(c, fp, v, src) || print_float(c, fp, v, src, false))
		return;
	if (v->kind == PLAN_BYTES || consume_val_is_string(v)) {
		const uint8_t *p = consume_val_bytes(c, v, src, &cnt);
		if (packed)
			fprintf(fp, " %16.*s", (int)strnlen((const char *)p, cnt), p);
		else if (v->kind == PLAN_BYTES)
			print_bytes(c, fp, p, cnt, 50);
		else
			print_string(fp, p, cnt, 50);
		return;
	}
	int width = consume_val_key_width(v);
	uint64_t u = consume_val_u64(v, src);
	/* By size alone, whatever the type says: one and two bytes without sign, more with it. */
	long long i = v->size == 1 ? (uint8_t)u : v->size == 2 ? (uint16_t)u : v->size == 4 ? (int32_t)u : (int64_t)u;
	fprintf(fp, " %*lld", width, i);
}
