/* SPDX-License-Identifier: MIT */
/* strtok(): the string and the place in it are kept in a self-> string of the compiler's. */
#include "rt/helpers.h"

struct set { /* of bytes */
	uint64_t bits[4];
};

static void set_fill(struct set *set, const char *s, uint32_t len)
{
	*set = (struct set){ { 0 } };
	for (uint32_t i = 0; i < len; i++)
		set->bits[(uint8_t)s[i] / 64] |= 1ULL << (uint8_t)s[i] % 64;
}

static bool set_has(const struct set *set, char c)
{
	return set->bits[(uint8_t)c / 64] >> (uint8_t)c % 64 & 1;
}

/* What is kept: the rest of the string.  Only this thread changes it, but a
 * signal's probe may come between: a length is never larger than the text. */
static void keep(struct rt_ctx *ctx, struct wire_str *rest, const char *s, uint32_t len)
{
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	STORE_RELAXED(&rest->len, 0);
	mem_move(rest->s, s, len);
	rest->s[len] = 0;
	STORE_RELAXED(&rest->len, len);
}

uint64_t rt_strtok(struct rt_ctx *ctx, uint64_t s, uint64_t delims, uint64_t self_off, uint64_t dst)
{
	struct wire_str *rest = (struct wire_str *)((uint8_t *)ctx->thr + ctx->shm->geom.self_off + self_off);
	struct set set;
	uint32_t len, from = 0, to;
	const char *d = rt_str(ctx, delims, &len);
	if (!delims) {
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, 0);
		return 0;
	}
	set_fill(&set, d, len);
	const char *p = s ? rt_str(ctx, s, &len) : rest->s;
	if (!s)
		len = rest->len;
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	while (from < len && set_has(&set, p[from]))
		from++;
	for (to = from; to < len && !set_has(&set, p[to]);)
		to++;
	uint64_t token = from < len ? rt_str_put(ctx, dst, p + from, to - from) : 0;
	keep(ctx, rest, p + to, len - to); /* from the delimiter on, which counts where the next call has others */
	return token;
}
