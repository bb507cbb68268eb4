/* SPDX-License-Identifier: MIT */
/*
 * Strings, as in rt/str.c.  Loops run over a pointer that was clamped once: no
 * string is longer than the guard behind the memory.  Every string has a NUL
 * behind its characters.
 */
#include "ebpf/rtk_bpf.h"

INLINE volatile uint8_t *chars(uint64_t off) { return at(off); }

/* Of what must be a string: NULL is a fault. */
INLINE struct text need(uint64_t ctx, uint64_t sref)
{
	if (!sref)
		set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	struct text t = text_of(ctx, sref);
	t.len = capped(t.len, K(STR_MOST));
	return t;
}

GLOBAL uint64_t rtk_str_put(uint64_t ctx, uint64_t dst, uint64_t s, uint64_t len)
{
	return str_put(ctx, dst, s, len);
}

/* Whether @bytes at two places are the same. */
GLOBAL uint64_t rtk_str_same(uint64_t a, uint64_t b, uint64_t bytes)
{
	volatile uint8_t *p = chars(a), *q = chars(b);
	for (uint64_t i = 0; i < K(STR_MOST) && i < bytes; i++)
		if (p[i] != q[i])
			return 0;
	return 1;
}

GLOBAL uint64_t rtk_str_addr(uint64_t ctx, uint64_t s)
{
	return K(OWN) + text_of(ctx, s).s;
}

GLOBAL uint64_t rtk_str_cmp(uint64_t ctx, uint64_t a, uint64_t b)
{
	if (!a || !b) /* NULL is less than any string */
		return (uint64_t)(int64_t)(!a == !b ? 0 : !a ? -1 : 1);
	volatile uint8_t *p = chars(text_of(ctx, a).s), *q = chars(text_of(ctx, b).s);
	for (uint64_t i = 0; i <= K(STR_MOST); i++) {
		uint8_t x = p[i], y = q[i];
		if (x != y)
			return x < y ? ~0ULL : 1;
		if (!x)
			break;
	}
	return 0;
}

GLOBAL uint64_t rtk_str_copy(uint64_t ctx, uint64_t s, uint64_t dst)
{
	struct text t = text_of(ctx, s);
	uint64_t ref = str_put(ctx, dst, t.s, t.len);
	if (s)
		return ref;
	st32(scratch(ctx, dst), WIRE_STR_NULL);
	return 0;
}

GLOBAL uint64_t rtk_strlen(uint64_t ctx, uint64_t s)
{
	if (!s)
		set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	return text_of(ctx, s).len;
}

GLOBAL uint64_t rtk_strjoin(uint64_t ctx, uint64_t a, uint64_t b, uint64_t dst)
{
	struct text x = need(ctx, a), y = need(ctx, b);
	uint64_t out = scratch(ctx, dst), used = capped(x.len, K(STRSIZE)), room = K(STRSIZE) - used, n = y.len < room ? y.len : room;
	uint64_t ref = str_put(ctx, dst, x.s, x.len);
	copy(out + sizeof(struct wire_str) + used, y.s, n);
	st8(out + sizeof(struct wire_str) + used + n, 0);
	st32(out, (uint32_t)(used + n));
	return ref;
}

GLOBAL uint64_t rtk_substr(uint64_t ctx, uint64_t s, uint64_t index, uint64_t count, uint64_t dst)
{
	struct text t = need(ctx, s);
	int64_t from = (int64_t)index, left = (int64_t)count, len = (int64_t)t.len;
	if (left == INT64_MAX)
		left = (int64_t)K(STRSIZE);
	if (from < 0)
		from += len;
	if (from < 0 && left > 0 && left + from > 0) {
		left += from;
		from = 0;
	}
	if (from < 0 || from >= len)
		return str_put(ctx, dst, t.s, 0);
	if (left < 0)
		left = left < from - len ? 0 : left + len - from;
	if (left > len - from)
		left = len - from;
	return str_put(ctx, dst, t.s + (uint64_t)from, (uint64_t)left);
}

GLOBAL uint64_t rtk_strchr(uint64_t ctx, uint64_t s, uint64_t ch, uint64_t dst)
{
	struct text t = need(ctx, s);
	volatile uint8_t *p = chars(t.s);
	for (uint64_t i = 0; i <= K(STR_MOST) && i <= t.len; i++)
		if (p[i] == (uint8_t)ch)
			return rtk_str_put(ctx, dst, t.s + i, t.len - i);
	return 0;
}

GLOBAL uint64_t rtk_strrchr(uint64_t ctx, uint64_t s, uint64_t ch, uint64_t dst)
{
	struct text t = need(ctx, s);
	volatile uint8_t *p = chars(t.s);
	volatile uint64_t *last = cells(ctx);
	*last = ~0ULL;
	for (uint64_t i = 0; i <= K(STR_MOST) && i <= t.len; i++)
		if (p[i] == (uint8_t)ch)
			*last = i;
	uint64_t from = *last;
	return from == ~0ULL ? 0 : rtk_str_put(ctx, dst, t.s + from, t.len - from);
}

/* Where @needle first begins at or behind @from, or -1; both ends as character offsets, lengths in one word. */
GLOBAL uint64_t rtk_str_find(uint64_t hay, uint64_t needle, uint64_t lens, uint64_t from)
{
	uint64_t hay_len = lens >> 32, len = (uint32_t)lens;
	volatile uint8_t *p = chars(hay + from);
	uint8_t first = ld8(needle);
	if (from + len > hay_len)
		return ~0ULL;
	uint64_t last = hay_len - len - from;
	for (uint64_t i = 0; i <= K(STR_MOST) && i <= last; i++)
		if ((!len || p[i] == first) && rtk_str_same(hay + from + i, needle, len))
			return from + i;
	return ~0ULL;
}

/* The last one at or before @from. */
GLOBAL uint64_t rtk_str_rfind(uint64_t ctx, uint64_t hay, uint64_t needle, uint64_t lens, uint64_t from)
{
	uint64_t hay_len = lens >> 32, len = (uint32_t)lens;
	volatile uint64_t *last = cells(ctx);
	volatile uint8_t *p = chars(hay);
	uint8_t first = ld8(needle);
	*last = ~0ULL;
	if (len > hay_len)
		return *last;
	uint64_t end = hay_len - len;
	if (end > from)
		end = from;
	for (uint64_t i = 0; i <= K(STR_MOST) && i <= end; i++)
		if ((!len || p[i] == first) && rtk_str_same(hay + i, needle, len))
			*last = i;
	return *last;
}

GLOBAL uint64_t rtk_strstr(uint64_t ctx, uint64_t a, uint64_t b, uint64_t dst)
{
	struct text hay = need(ctx, a), needle = need(ctx, b);
	uint64_t i = rtk_str_find(hay.s, needle.s, hay.len << 32 | needle.len, 0);
	return i == ~0ULL ? 0 : rtk_str_put(ctx, dst, hay.s + i, hay.len - i);
}

GLOBAL uint64_t rtk_strrstr(uint64_t ctx, uint64_t a, uint64_t b, uint64_t dst)
{
	struct text hay = need(ctx, a), needle = need(ctx, b);
	uint64_t i = rtk_str_rfind(ctx, hay.s, needle.s, hay.len << 32 | needle.len, hay.len);
	return i == ~0ULL ? 0 : rtk_str_put(ctx, dst, hay.s + i, hay.len - i);
}

GLOBAL uint64_t rtk_index(uint64_t ctx, uint64_t a, uint64_t b, uint64_t from)
{
	struct text hay = need(ctx, a), needle = need(ctx, b);
	if ((int64_t)from < 0)
		from = 0;
	if (from > hay.len)
		return needle.len ? ~0ULL : hay.len;
	return rtk_str_find(hay.s, needle.s, hay.len << 32 | needle.len, from);
}

GLOBAL uint64_t rtk_rindex(uint64_t ctx, uint64_t a, uint64_t b, int64_t from)
{
	struct text hay = need(ctx, a), needle = need(ctx, b);
	if (from < 0)
		return needle.len ? ~0ULL : 0;
	return rtk_str_rfind(ctx, hay.s, needle.s, hay.len << 32 | needle.len, (uint64_t)from);
}

INLINE bool base_fine(uint64_t ctx, uint64_t base)
{
	if (base >= 2 && base <= 36)
		return true;
	set_fault(ctx, WIRE_FAULT_ILLOP, base);
	return false;
}

/* Digits from the last to the first, ending behind @end; how many. */
GLOBAL uint64_t rtk_digits(uint64_t ctx, uint64_t end, uint64_t v, uint64_t base)
{
	volatile uint64_t *left = cells(ctx);
	*left = v;
	for (uint64_t n = 0; n < 64; n++) {
		uint64_t x = *left, digit = x % base;
		st8(end - 1 - n, (uint8_t)(digit < 10 ? '0' + digit : 'a' + digit - 10));
		*left = x / base;
		if (x < base)
			return n + 1;
	}
	return 64;
}

/* The digits are made behind the frames of stacks, which nobody needs meanwhile. */
GLOBAL uint64_t rtk_lltostr(uint64_t ctx, uint64_t v, uint64_t base, uint64_t dst)
{
	uint64_t end = ctx + MORE(frames) + 80;
	bool neg = base == 10 && (int64_t)v < 0, octal = base == 8 && v;
	if (!base_fine(ctx, base))
		return str_put(ctx, dst, end, 0);
	uint64_t n = rtk_digits(ctx, end, neg ? -v : v, base);
	if (base == 16)
		st8(end - ++n, 'x');
	if (base == 16 || octal)
		st8(end - ++n, '0');
	if (neg)
		st8(end - ++n, '-');
	return str_put(ctx, dst, end - n, n);
}

INLINE uint64_t digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10u : 99;
}

/* Where the digits begin: behind blanks, a sign and 0x. */
GLOBAL uint64_t rtk_number_start(uint64_t ctx, uint64_t s, uint64_t len, uint64_t base)
{
	volatile uint8_t *p = chars(s);
	volatile uint64_t *at_ = cells(ctx);
	*at_ = len;
	for (uint64_t i = 0; i < K(STR_MOST) && i < len; i++)
		if (p[i] != ' ' && p[i] != '\t') {
			*at_ = i;
			break;
		}
	uint64_t i = *at_;
	uint8_t c = i < len ? ld8(s + i) : 0;
	if (c == '-' || c == '+')
		i++;
	if (base == 16 && i + 2 < len && ld8(s + i) == '0' && (ld8(s + i + 1) | 32) == 'x' && digit_of(ld8(s + i + 2)) < 16)
		i += 2;
	return i | (uint64_t)(c == '-') << 32;
}

GLOBAL uint64_t rtk_strtoll(uint64_t ctx, uint64_t s, uint64_t base)
{
	struct text t = need(ctx, s);
	if (!base_fine(ctx, base))
		return 0;
	uint64_t start = rtk_number_start(ctx, t.s, t.len, base), from = (uint32_t)start;
	volatile uint64_t *v = cells(ctx);
	volatile uint8_t *p = chars(t.s + from);
	*v = 0;
	for (uint64_t i = 0; i < K(STR_MOST) && i + from < t.len; i++) {
		uint64_t digit = digit_of(p[i]);
		if (digit >= base)
			break;
		*v = *v * base + digit;
	}
	return start >> 32 ? -*v : *v;
}

GLOBAL uint64_t rtk_str_index(uint64_t ctx, uint64_t s, uint64_t i)
{
	struct text t = text_of(ctx, s);
	if (!s)
		set_fault(ctx, WIRE_FAULT_BADADDR, i);
	return i < t.len ? (uint64_t)(int64_t)(int8_t)ld8(t.s + i) : 0;
}

GLOBAL uint64_t rtk_str_plus(uint64_t ctx, uint64_t s, uint64_t i, uint64_t dst)
{
	struct text t = text_of(ctx, s);
	if (!s)
		set_fault(ctx, WIRE_FAULT_BADADDR, i);
	if (i > t.len)
		i = t.len;
	return str_put(ctx, dst, t.s + i, t.len - i);
}

/* ---- string variables ---- */

INLINE uint64_t var_load(uint64_t ctx, uint64_t var, uint64_t dst, bool is_self)
{
	uint64_t to = scratch(ctx, dst), len = ld32(var);
	bool null = is_self ? !len && !ld8(var + sizeof(struct wire_str) + 1) : len == WIRE_STR_NULL;
	if (null) {
		st8(to + sizeof(struct wire_str), 0);
		st32(to, 0);
		return 0;
	}
	return str_put(ctx, dst, var + sizeof(struct wire_str), len);
}

INLINE void var_store(uint64_t ctx, uint64_t var, uint64_t sref, bool is_self)
{
	uint64_t chars_at = var + sizeof(struct wire_str);
	struct text t = text_of(ctx, sref);
	if (!sref) {
		st8(chars_at, 0);
		st8(chars_at + 1, 0);
		st32(var, is_self ? 0 : WIRE_STR_NULL);
		return;
	}
	t.len = capped(t.len, K(STRSIZE));
	copy(chars_at, t.s, t.len);
	st8(chars_at + t.len, 0);
	if (is_self && !t.len)
		st8(chars_at + 1, 1);
	st32(var, (uint32_t)t.len);
}

GLOBAL uint64_t rtk_gstr_load(uint64_t ctx, uint64_t off, uint64_t dst)
{
	return var_load(ctx, K(GLOBAL) + off, dst, false);
}

GLOBAL uint64_t rtk_gstr_store(uint64_t ctx, uint64_t off, uint64_t s)
{
	var_store(ctx, K(GLOBAL) + off, s, false);
	return 0;
}

GLOBAL uint64_t rtk_tstr_load(uint64_t ctx, uint64_t off, uint64_t dst)
{
	uint64_t self = rtk_self(ctx, 0);
	return self ? var_load(ctx, self + off, dst, true) : str_put(ctx, dst, K(STR), 0) & 0;
}

GLOBAL uint64_t rtk_tstr_store(uint64_t ctx, uint64_t off, uint64_t s)
{
	uint64_t self = rtk_self(ctx, 1);
	if (self)
		var_store(ctx, self + off, s, true);
	return 0;
}
