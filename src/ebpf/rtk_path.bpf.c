/* SPDX-License-Identifier: MIT */
/* Names of files, tokens: rt/path.c and rt/strtok.c in one pass each, for loops are dear here. */
#include "ebpf/rtk_bpf.h"

/* Where a path ends without its last slashes, and where its last name begins, in one word. */
GLOBAL uint64_t rtk_path_parts(uint64_t ctx, uint64_t s, uint64_t len)
{
	volatile uint8_t *p = chars(s);
	volatile uint64_t *start = cells(ctx), *end = start + 1;
	*start = *end = 0;
	for (uint64_t i = 0; i < K(STR_MOST) && i < len; i++) {
		if (p[i] == '/')
			continue;
		if (!i || p[i - 1] == '/')
			*start = i;
		*end = i + 1;
	}
	return *start << 32 | *end;
}

GLOBAL uint64_t rtk_basename(uint64_t ctx, uint64_t s, uint64_t dst)
{
	struct text t = need(ctx, s);
	uint64_t parts = rtk_path_parts(ctx, t.s, t.len), start = parts >> 32, end = (uint32_t)parts;
	if (end)
		return rtk_str_put(ctx, dst, t.s + start, end - start);
	uint64_t ref = rtk_str_put(ctx, dst, t.s, 1), out = scratch(ctx, dst);
	st32(out, 1);
	st8(out + 4, t.len ? '/' : '.');
	st8(out + 5, 0);
	return ref;
}

/* Up to the last slash before the last name, without the slashes there. */
GLOBAL uint64_t rtk_dirname(uint64_t ctx, uint64_t s, uint64_t dst)
{
	struct text t = need(ctx, s);
	uint64_t start = rtk_path_parts(ctx, t.s, t.len) >> 32, dir = (uint32_t)rtk_path_parts(ctx, t.s, start);
	bool slash = t.len && ld8(t.s) == '/';
	if (dir)
		return rtk_str_put(ctx, dst, t.s, dir);
	uint64_t ref = rtk_str_put(ctx, dst, t.s, 1), out = scratch(ctx, dst);
	st32(out, 1);
	st8(out + 4, slash ? '/' : '.');
	st8(out + 5, 0);
	return ref;
}

/* What is left when the last element is taken back. */
GLOBAL uint64_t rtk_path_back(uint64_t ctx, uint64_t out, uint64_t len)
{
	volatile uint8_t *p = chars(out);
	volatile uint64_t *at_ = cells(ctx) + 2;
	*at_ = 0;
	for (uint64_t i = 0; i < K(STR_MOST) && i < len; i++)
		if (p[i] == '/')
			*at_ = i;
	return *at_;
}

GLOBAL uint64_t rtk_cleanpath(uint64_t ctx, uint64_t s, uint64_t dst)
{
	struct text t = need(ctx, s);
	uint64_t ref = rtk_str_put(ctx, dst, t.s, t.len), out = scratch(ctx, dst) + sizeof(struct wire_str);
	volatile uint8_t *p = chars(out);
	volatile uint64_t *len = cells(ctx), *next = len + 1;
	*len = *next = 0;
	t.len = capped(t.len, K(STRSIZE));
	for (uint64_t i = 0; i < K(STRSIZE) && i < t.len; i++) {
		uint64_t skip = 0;
		if (i < *next)
			continue;
		if (p[i] == '/') {
			uint8_t b = p[i + 1], c = p[i + 2], d = p[i + 3];
			skip = i + 1 < t.len && b == '/' ? 1 : 0;
			if (i + 2 < t.len && b == '.' && c == '/')
				skip = 2;
			if (i + 3 < t.len && b == '.' && c == '.' && d == '/')
				skip = 3;
		}
		*next = i + (skip ? skip : 1);
		if (!skip) {
			st8(out + *len, p[i]);
			*len += 1;
		} else if (skip == 3) {
			*len = rtk_path_back(ctx, out, *len);
		}
	}
	st8(out + *len, 0);
	st32(out - sizeof(struct wire_str), (uint32_t)*len);
	return ref;
}

/* Whether a character is one of a string's. */
GLOBAL uint64_t rtk_str_has(uint64_t s, uint64_t len, uint64_t c)
{
	volatile uint8_t *p = chars(s);
	for (uint64_t i = 0; i < K(STR_MOST) && i < len; i++)
		if (p[i] == (uint8_t)c)
			return 1;
	return 0;
}

/* The first character at or behind @from that is (@want) or is not one of the delimiters; @len: none. */
GLOBAL uint64_t rtk_span(uint64_t s, uint64_t from_len, uint64_t delims, uint64_t delims_len, uint64_t want)
{
	uint64_t from = from_len >> 32, len = (uint32_t)from_len;
	volatile uint8_t *p = chars(s + from);
	for (uint64_t i = 0; i < K(STR_MOST) && i + from < len; i++)
		if (rtk_str_has(delims, delims_len, p[i]) == want)
			return i + from;
	return len;
}

GLOBAL uint64_t rtk_strtok(uint64_t ctx, uint64_t s, uint64_t delims, uint64_t self_off, uint64_t dst)
{
	uint64_t self = rtk_self(ctx, 1), rest = self + self_off;
	struct text d = text_of(ctx, delims), t = { rest + sizeof(struct wire_str), 0 };
	if (!delims) {
		set_fault(ctx, WIRE_FAULT_BADADDR, 0);
		return 0;
	}
	if (!self)
		return 0;
	if (s)
		t = text_of(ctx, s);
	else
		t.len = ld32(rest);
	if (t.len > K(STRSIZE))
		t.len = K(STRSIZE);
	d.len = capped(d.len, K(STR_MOST));
	uint64_t from = rtk_span(t.s, t.len, d.s, d.len, 0), to = rtk_span(t.s, from << 32 | t.len, d.s, d.len, 1);
	uint64_t token = from < t.len ? rtk_str_put(ctx, dst, t.s + from, to - from) : 0;
	copy(rest + sizeof(struct wire_str), t.s + to, t.len - to);
	st8(rest + sizeof(struct wire_str) + (t.len - to), 0);
	st32(rest, (uint32_t)(t.len - to));
	return token;
}
