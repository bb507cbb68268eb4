/* SPDX-License-Identifier: MIT */
/* Variables by their address: what is theirs can be written, nothing else. */
#include "../tap.h"
#include "shm.h"

#define DST 1024u

static struct wire_shm *shm;
static struct rt_ctx *ctx;

static void begin(void)
{
	shm = shm_create(NULL);
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
}

static void end(void)
{
	shm_destroy(shm);
}

static void refused(uint64_t at)
{
	CHECK_EQ(ctx->fault, WIRE_FAULT_BADADDR);
	CHECK_EQ(ctx->fault_value, at);
	ctx->fault = 0;
}

static uint64_t size_of(uint64_t area)
{
	return area == WIRE_AREA_GLOBAL ? shm->global_bytes : area == WIRE_AREA_SELF ? shm->geom.self_bytes : shm->this_bytes;
}

static void copies(void)
{
	begin();
	char from[16] = "0123456789abcde";
	for (uint64_t area = 0; area < WIRE_AREA_CNT; area++) {
		if (size_of(area) < 16)
			continue;
		uint64_t at = rt_var_addr(ctx, area, 0, 0, 0), last = at + size_of(area);
		rt_var_copy(ctx, (uint64_t)from, at, 16, 0);
		CHECK_EQ(ctx->fault, 0);
		CHECK_EQ(memcmp((void *)at, from, 16), 0);
		rt_var_zero(ctx, at, 3, 0, 0);
		CHECK_EQ(memcmp((void *)at, "\0\0\0003456", 7), 0);
		rt_poke(ctx, at, 0x41, 1, 0);
		CHECK_EQ(*(char *)at, 'A');
		rt_var_copy(ctx, (uint64_t)from, last - 8, 9, 0);
		refused(last - 8);
	}
	end();
}

static void nothing_else_is_written(void)
{
	begin();
	char mine[8] = "mine";
	rt_var_copy(ctx, (uint64_t)"other", (uint64_t)mine, 5, 0);
	refused((uint64_t)mine);
	rt_var_zero(ctx, (uint64_t)shm, 8, 0, 0);
	refused((uint64_t)shm);
	rt_var_zero(ctx, ~7ULL, 16, 0, 0);
	refused(~7ULL);
	uint64_t at = rt_var_addr(ctx, WIRE_AREA_GLOBAL, 0, 0, 0);
	rt_var_copy(ctx, 8, at, 8, 0);
	refused(8);
	rt_var_str_store(ctx, at + shm->global_bytes - 4, 0, 0, 0);
	refused(at + shm->global_bytes - 4);
	CHECK_EQ(strcmp(mine, "mine"), 0);
	end();
}

static void elements(void)
{
	begin();
	struct { uint64_t head, key; } *tuple = (void *)(ctx->scratch + DST);
	uint64_t at = rt_var_addr(ctx, WIRE_AREA_GLOBAL, 0, 0, 0), scope = 2 * 16;
	uint64_t *v = (uint64_t *)at;
	rt_tuple_begin(ctx, DST, 8, 0, 0);
	tuple->key = 7;
	v[0] = v[1] = 5;
	rt_dyn_mem_load(ctx, 0, scope, DST, at);
	CHECK_EQ(v[0], 0);
	CHECK_EQ(v[1], 0);
	v[0] = 1;
	v[1] = 2;
	rt_dyn_mem_store(ctx, 0, scope, DST, at);
	v[0] = v[1] = 0;
	rt_dyn_mem_load(ctx, 0, scope, DST, at);
	CHECK_EQ(v[0], 1);
	CHECK_EQ(v[1], 2);
	rt_dyn_clear(ctx, 0, scope, DST, 0);
	rt_dyn_mem_load(ctx, 0, scope, DST, at);
	CHECK_EQ(v[1], 0);
	CHECK_EQ(ctx->fault, 0);
	rt_dyn_mem_store(ctx, 0, scope, DST, (uint64_t)&scope);
	refused((uint64_t)&scope);
	end();
}

TAP_MAIN(TEST(copies), TEST(nothing_else_is_written), TEST(elements))
