/* SPDX-License-Identifier: MIT */
/* Names of files: their parts. */
#include "rt/helpers.h"

/* Of the kernel's memory, which no process sees. */
uint64_t rt_kpath(struct rt_ctx *ctx, uint64_t addr, uint64_t of_mount, uint64_t dst, uint64_t d)
{
	UNUSED(of_mount, dst, d);
	rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return 0;
}

struct path {
	const char *s;
	uint32_t len;
};

static struct path path_get(struct rt_ctx *ctx, uint64_t sref)
{
	struct path p;
	if (!sref)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, 0);
	p.s = rt_str(ctx, sref, &p.len);
	return p;
}

static uint32_t trim_slashes(struct path t)
{
	uint32_t end = t.len;
	while (end > 1 && t.s[end - 1] == '/')
		end--;
	return end;
}

uint64_t rt_basename(struct rt_ctx *ctx, uint64_t s, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct path t = path_get(ctx, s);
	uint32_t end = trim_slashes(t), start = end;
	if (!end)
		return rt_str_put(ctx, dst, ".", 1);
	while (start > 0 && t.s[start - 1] != '/')
		start--;
	if (start == end)
		return rt_str_put(ctx, dst, "/", 1);
	return rt_str_put(ctx, dst, t.s + start, end - start);
}

uint64_t rt_dirname(struct rt_ctx *ctx, uint64_t s, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct path t = path_get(ctx, s);
	uint32_t end = trim_slashes(t);
	while (end > 0 && t.s[end - 1] != '/')
		end--;
	if (!end)
		return rt_str_put(ctx, dst, ".", 1);
	while (end > 1 && t.s[end - 1] == '/')
		end--;
	return rt_str_put(ctx, dst, t.s, end);
}

/* How long the redundant element is that the slash at @at begins: "/" of "//", "/." of "/./",
 * "/.." of "/../"; 0: none. */
static uint32_t redundant(struct path p, uint32_t at)
{
	uint32_t end = at + 1;
	while (end < p.len && p.s[end] == '.' && end - at < 3)
		end++;
	return end < p.len && p.s[end] == '/' ? end - at : 0;
}

/* Works on the characters alone, as DTrace does: an element counts where a
 * slash follows it, and what ".." takes along is what was put out last.  No
 * output is ahead of its input, so the slot may be the source's. */
uint64_t rt_cleanpath(struct rt_ctx *ctx, uint64_t s, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct path t = path_get(ctx, s);
	uint64_t ref = rt_str_put(ctx, dst, t.s, t.len);
	struct wire_str *out = rt_slot(ctx, dst);
	struct path in = { out->s, out->len };
	uint32_t len = 0, skip;
	for (uint32_t at = 0; at < in.len; at += skip ? skip : 1) {
		skip = in.s[at] == '/' ? redundant(in, at) : 0;
		if (!skip)
			out->s[len++] = in.s[at];
		else if (skip == 3)
			while (len && out->s[--len] != '/')
				;
	}
	out->s[len] = 0;
	out->len = len;
	return ref;
}
