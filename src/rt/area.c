/* SPDX-License-Identifier: MIT */
/*
 * Variables that are structures, unions and arrays: by their address in this
 * process.  An address counts as a variable's only where it lies in the areas
 * of the calling thread and program, so nothing else is ever written; what of
 * the variables it is does not matter, for all that they hold is checked
 * where it is used.
 */
#include "rt/helpers.h"

static uint8_t *area_of(struct rt_ctx *ctx, uint64_t area, uint64_t *ret_bytes)
{
	switch (area) {
	case WIRE_AREA_GLOBAL:
		*ret_bytes = ctx->shm->global_bytes;
		return (uint8_t *)ctx->shm + ctx->shm->global_off;
	case WIRE_AREA_SELF:
		*ret_bytes = ctx->shm->geom.self_bytes;
		return (uint8_t *)ctx->thr + ctx->shm->geom.self_off;
	default:
		*ret_bytes = ctx->shm->this_bytes;
		return ctx->scratch;
	}
}

bool rt_in_vars(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes)
{
	for (uint64_t area = 0; area < WIRE_AREA_CNT; area++) {
		uint64_t size, lo = (uint64_t)area_of(ctx, area, &size);
		if (addr >= lo && addr - lo <= size && bytes <= size - (addr - lo))
			return true;
	}
	return false;
}

static bool writable(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes)
{
	if (rt_in_vars(ctx, addr, bytes))
		return true;
	rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return false;
}

uint64_t rt_var_addr(struct rt_ctx *ctx, uint64_t area, uint64_t off, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	uint64_t size;
	return (uint64_t)area_of(ctx, area, &size) + off;
}

uint64_t rt_var_copy(struct rt_ctx *ctx, uint64_t from, uint64_t to, uint64_t bytes, uint64_t d)
{
	UNUSED(0, 0, d);
	if (writable(ctx, to, bytes) && rt_mem_read(ctx, (void *)to, from, bytes))
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, from);
	return 0;
}

uint64_t rt_var_zero(struct rt_ctx *ctx, uint64_t at, uint64_t bytes, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	if (writable(ctx, at, bytes))
		mem_zero((void *)at, bytes);
	return 0;
}

uint64_t rt_var_str_store(struct rt_ctx *ctx, uint64_t at, uint64_t sref, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	struct wire_str *to = (struct wire_str *)at;
	uint32_t len;
	const char *s = rt_str(ctx, sref, &len);
	if (len > ctx->shm->strsize)
		len = ctx->shm->strsize;
	if (!rt_in_vars(ctx, at, wire_str_bytes(ctx->shm->strsize)))
		return rt_alloca_str_store(ctx, at, s, len);
	mem_move(to->s, s, len);
	to->s[len] = 0;
	to->len = len;
	return 0;
}

/* Only variables have lengths before their characters; alloca memory and the program's are as in C. */
uint64_t rt_var_str_load(struct rt_ctx *ctx, uint64_t at, uint64_t dst, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	if (rt_in_vars(ctx, at, wire_str_bytes(ctx->shm->strsize)))
		at += offsetof(struct wire_str, s);
	return rt_copyinstr(ctx, at, 0, dst, 0);
}
