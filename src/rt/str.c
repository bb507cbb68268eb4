/* SPDX-License-Identifier: MIT */
/* Strings: handles (WIRE_SREF) to struct wire_str in scratch or among the interned ones. */
#include "rt/helpers.h"

static struct wire_str *str_resolve(struct rt_ctx *ctx, uint64_t sref)
{
	uint64_t off = (uint32_t)sref;
	if (off % 8)
		return NULL;
	if (sref >> WIRE_SREF_TAG_SHIFT == WIRE_SREF_INTERN && off + sizeof(struct wire_str) < ctx->shm->str_cap)
		return (struct wire_str *)((uint8_t *)ctx->shm + ctx->shm->str_off + off);
	if (sref >> WIRE_SREF_TAG_SHIFT == WIRE_SREF_SCRATCH && off + sizeof(struct wire_str) < ctx->shm->scratch_bytes)
		return (struct wire_str *)(ctx->scratch + off);
	return NULL;
}

const char *rt_str(struct rt_ctx *ctx, uint64_t sref, uint32_t *ret_len)
{
	const struct wire_str *s = str_resolve(ctx, sref);
	*ret_len = 0;
	if (!s)
		return "";
	uint64_t room = sref >> WIRE_SREF_TAG_SHIFT == WIRE_SREF_INTERN ? ctx->shm->str_cap - (uint32_t)sref :
									  ctx->shm->scratch_bytes - (uint32_t)sref;
	uint32_t len = LOAD_RELAXED(&s->len);
	if (len + sizeof(*s) + 1 > room)
		return "";
	*ret_len = len;
	return s->s;
}

struct text {
	const char *s;
	uint32_t len;
};

static struct text get(struct rt_ctx *ctx, uint64_t sref)
{
	struct text t;
	t.s = rt_str(ctx, sref, &t.len);
	return t;
}

/* Of what must be a string: NULL is a fault. */
static struct text need(struct rt_ctx *ctx, uint64_t sref)
{
	if (!sref)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	return get(ctx, sref);
}

uint64_t rt_str_put(struct rt_ctx *ctx, uint64_t dst, const char *s, uint64_t len)
{
	struct wire_str *d = rt_slot(ctx, dst);
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	mem_move(d->s, s, len);
	d->s[len] = 0;
	d->len = (uint32_t)len;
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

uint64_t rt_str_addr(struct rt_ctx *ctx, uint64_t s, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	return (uint64_t)get(ctx, s).s;
}

uint64_t rt_str_cmp(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct text x = get(ctx, a), y = get(ctx, b);
	if (!a || !b) /* NULL is less than any string */
		return (uint64_t)(int64_t)(!a == !b ? 0 : !a ? -1 : 1);
	for (uint32_t i = 0;; i++) {
		int cx = i < x.len ? (uint8_t)x.s[i] : 0, cy = i < y.len ? (uint8_t)y.s[i] : 0;
		if (cx != cy)
			return (uint64_t)(int64_t)(cx < cy ? -1 : 1);
		if (!cx)
			return 0;
	}
}

uint64_t rt_str_copy(struct rt_ctx *ctx, uint64_t s, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct text t = get(ctx, s);
	uint64_t ref = rt_str_put(ctx, dst, t.s, t.len);
	if (s)
		return ref;
	((struct wire_str *)rt_slot(ctx, dst))->len = WIRE_STR_NULL;
	return 0;
}

uint64_t rt_strlen(struct rt_ctx *ctx, uint64_t s, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	return need(ctx, s).len;
}

uint64_t rt_strjoin(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text x = need(ctx, a), y = need(ctx, b);
	uint64_t ref = rt_str_put(ctx, dst, x.s, x.len);
	struct wire_str *out = rt_slot(ctx, dst);
	uint32_t room = ctx->shm->strsize - out->len, n = y.len < room ? y.len : room;
	mem_move(out->s + out->len, y.s, n);
	out->len += n;
	out->s[out->len] = 0;
	return ref;
}

/* A negative index counts from the end; one before the start uses up the
 * count.  A negative count leaves that many characters at the end; none means strsize. */
uint64_t rt_substr(struct rt_ctx *ctx, uint64_t s, uint64_t index, uint64_t count, uint64_t dst)
{
	struct text t = need(ctx, s);
	int64_t at = (int64_t)index, left = (int64_t)count, len = t.len;
	if (left == INT64_MAX)
		left = ctx->shm->strsize;
	if (at < 0)
		at += len;
	if (at < 0 && left > 0 && left + at > 0) {
		left += at;
		at = 0;
	}
	if (at < 0 || at >= len)
		return rt_str_put(ctx, dst, "", 0);
	if (left < 0)
		left = left < at - len ? 0 : left + len - at;
	if (left > len - at)
		left = len - at;
	return rt_str_put(ctx, dst, t.s + at, (uint64_t)left);
}

uint64_t rt_strchr(struct rt_ctx *ctx, uint64_t s, uint64_t ch, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text t = need(ctx, s);
	for (uint32_t i = 0; i <= t.len; i++)
		if (t.s[i] == (char)ch)
			return rt_str_put(ctx, dst, t.s + i, t.len - i);
	return 0;
}

uint64_t rt_strrchr(struct rt_ctx *ctx, uint64_t s, uint64_t ch, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text t = need(ctx, s);
	for (int64_t i = t.len; i >= 0; i--)
		if (t.s[i] == (char)ch)
			return rt_str_put(ctx, dst, t.s + i, t.len - (uint64_t)i);
	return 0;
}

static int64_t find(struct text hay, struct text needle, int64_t from, int64_t step)
{
	for (int64_t i = from; i >= 0 && i + needle.len <= hay.len; i += step)
		if (mem_equal(hay.s + i, needle.s, needle.len))
			return i;
	return -1;
}

uint64_t rt_strstr(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text hay = need(ctx, a);
	int64_t at = find(hay, need(ctx, b), 0, 1);
	return at < 0 ? 0 : rt_str_put(ctx, dst, hay.s + at, hay.len - (uint64_t)at);
}

uint64_t rt_strrstr(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text hay = need(ctx, a), needle = need(ctx, b);
	int64_t at = find(hay, needle, (int64_t)hay.len - needle.len, -1);
	return at < 0 ? 0 : rt_str_put(ctx, dst, hay.s + at, hay.len - (uint64_t)at);
}

uint64_t rt_index(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t from, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text hay = need(ctx, a), needle = need(ctx, b);
	int64_t at = (int64_t)from < 0 ? 0 : (int64_t)from;
	if (at > hay.len)
		return (uint64_t)(needle.len ? -1 : (int64_t)hay.len);
	return (uint64_t)find(hay, needle, at, 1);
}

uint64_t rt_rindex(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t from, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text hay = need(ctx, a), needle = need(ctx, b);
	int64_t at = (int64_t)from, last = (int64_t)hay.len - needle.len;
	if (at < 0)
		return (uint64_t)(needle.len ? -1 : 0);
	return (uint64_t)find(hay, needle, at < last ? at : last, -1);
}

static bool base_fine(struct rt_ctx *ctx, uint64_t base)
{
	if (base >= 2 && base <= 36)
		return true;
	rt_set_fault(ctx, WIRE_FAULT_ILLOP, base);
	return false;
}

/* Digits of @v up to @end; returns where they start. */
static char *digits(char *end, uint64_t v, uint32_t base)
{
	do {
		uint32_t digit = (uint32_t)(v % base);
		*--end = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
		v /= base;
	} while (v);
	return end;
}

uint64_t rt_lltostr(struct rt_ctx *ctx, uint64_t v, uint64_t base, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	char buf[72], *end = buf + sizeof(buf);
	bool neg = base == 10 && (int64_t)v < 0;
	if (!base_fine(ctx, base))
		return rt_str_put(ctx, dst, "", 0);
	char *at = digits(end, neg ? -v : v, (uint32_t)base);
	if (base == 16)
		*--at = 'x';
	if (base == 16 || (base == 8 && v))
		*--at = '0';
	if (neg)
		*--at = '-';
	return rt_str_put(ctx, dst, at, (uint64_t)(end - at));
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return 99;
}

/* What a sum too large for 64 bits becomes is its low 64 bits, as in DTrace. */
uint64_t rt_strtoll(struct rt_ctx *ctx, uint64_t s, uint64_t base, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct text t = need(ctx, s);
	const char *p = t.s, *end = t.s + t.len;
	if (!base_fine(ctx, base))
		return 0;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	bool neg = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (base == 16 && end - p > 2 && p[0] == '0' && (p[1] | 32) == 'x' && digit_of(p[2]) < 16)
		p += 2;
	uint64_t v = 0;
	for (; p < end && (uint64_t)digit_of(*p) < base; p++)
		v = v * base + (uint64_t)digit_of(*p);
	return neg ? -v : v;
}

uint64_t rt_rand(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	UNUSED(a, 0, 0);
	uint64_t x = rt_tsc(ctx) ^ (uint64_t)ctx->thr ^ ctx->thr->ring.published;
	x *= 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return (x ^ (x >> 32)) & INT64_MAX;
}

uint64_t rt_str_index(struct rt_ctx *ctx, uint64_t s, uint64_t i, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct text t = get(ctx, s);
	if (!s)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, i);
	return i < t.len ? (uint64_t)(int64_t)t.s[i] : 0;
}

/* Before its beginning and behind its end there is nothing that a program may see. */
uint64_t rt_str_plus(struct rt_ctx *ctx, uint64_t s, uint64_t i, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct text t = get(ctx, s);
	if (!s)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, i);
	if (i > t.len)
		i = t.len;
	return rt_str_put(ctx, dst, t.s + i, t.len - i);
}
