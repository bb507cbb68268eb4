/* SPDX-License-Identifier: MIT */
/*
 * String variables at fixed offsets: a struct wire_str of strsize characters. Other threads may
 * write meanwhile: a torn string is possible, one that is not terminated is not.
 *
 * A variable that was never set is "", one that NULL was assigned to has the length WIRE_STR_NULL.  But a
 * self-> variable that was never set is NULL, as DTrace has it: there all zeros are NULL, and an empty
 * string has a mark behind its NUL.
 */
#include "rt/helpers.h"

static bool is_null(const struct wire_str *var, uint32_t len, bool is_self)
{
	return is_self ? !len && !LOAD_RELAXED(&var->s[1]) : len == WIRE_STR_NULL;
}

static uint64_t load(struct rt_ctx *ctx, const uint8_t *var, uint64_t dst, bool is_self)
{
	const struct wire_str *from = (const struct wire_str *)var;
	struct wire_str *to = rt_slot(ctx, dst);
	uint32_t len = LOAD_ACQUIRE(&from->len);
	if (is_null(from, len, is_self)) {
		to->s[0] = 0;
		to->len = 0;
		return 0;
	}
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	mem_copy(to->s, from->s, len);
	to->s[len] = 0;
	to->len = len;
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

static void store(struct rt_ctx *ctx, uint8_t *var, uint64_t sref, bool is_self)
{
	struct wire_str *to = (struct wire_str *)var;
	uint32_t len;
	const char *s = rt_str(ctx, sref, &len);
	if (!sref) {
		to->s[0] = to->s[1] = 0;
		STORE_RELEASE(&to->len, is_self ? 0 : WIRE_STR_NULL);
		return;
	}
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	mem_copy(to->s, s, len);
	to->s[len] = 0;
	if (is_self && !len)
		to->s[1] = 1;
	STORE_RELEASE(&to->len, len);
}

static uint8_t *global_at(struct rt_ctx *ctx, uint64_t off)
{
	return (uint8_t *)ctx->shm + ctx->shm->global_off + off;
}

static uint8_t *self_at(struct rt_ctx *ctx, uint64_t off)
{
	return (uint8_t *)ctx->thr + ctx->shm->geom.self_off + off;
}

uint64_t rt_gstr_load(struct rt_ctx *ctx, uint64_t off, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	return load(ctx, global_at(ctx, off), dst, false);
}

uint64_t rt_gstr_store(struct rt_ctx *ctx, uint64_t off, uint64_t s, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	store(ctx, global_at(ctx, off), s, false);
	return 0;
}

uint64_t rt_tstr_load(struct rt_ctx *ctx, uint64_t off, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	return load(ctx, self_at(ctx, off), dst, true);
}

uint64_t rt_tstr_store(struct rt_ctx *ctx, uint64_t off, uint64_t s, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	store(ctx, self_at(ctx, off), s, true);
	return 0;
}
