/* SPDX-License-Identifier: MIT */
#include "wire/layout.h"

#include <errno.h>
#include <string.h>

#define PAGE WIRE_PAGE
#define LINE 64u

/* Sizes below this cannot overflow when a few of them are added or one is
 * multiplied by a 32-bit count that was checked. */
#define AREA_MAX (1ULL << 36)

static uint64_t round_up_pow2(uint64_t v)
{
	uint64_t p = PAGE;
	while (p < v)
		p <<= 1;
	return p;
}

static int check_in(const struct wire_layout_in *in, struct err *reterr)
{
	const struct {
		const char *name;
		uint64_t v, max;
	} sizes[] = {
		{ "strsize", in->strsize, 1u << 20 },
		{ "number of clauses", in->clause_cnt, 1u << 16 },
		{ "number of aggregations", in->agg_cnt, 1u << 20 },
		{ "number of aggregations by site", in->place_cnt, WIRE_PLACES_MAX },
		{ "global variables", in->global_bytes, 1u << 30 },
		{ "self-> variables", in->self_bytes, 1u << 28 },
		{ "scratch memory", in->scratch_bytes, 1u << 26 },
		{ "registers", in->spill_bytes, 1u << 20 },
		{ "number of threads", in->thread_cnt, 1u << 20 },
		{ "number of sites", in->site_cap, 1u << 26 }, /* their offsets are 32 bits */
		{ "interned strings", in->str_cap, 1ULL << 32 }, /* offsets are 32 bits */
		{ "dynvarsize", in->dyn_bytes, AREA_MAX },
		{ "unwind tables", in->unw_bytes, AREA_MAX },
		{ "bufsize", in->ring_bytes, 1ULL << 30 }, /* lengths of records are 32 bits */
		{ "aggsize", in->agg_bytes, AREA_MAX },
		{ "context", in->ctx_bytes, 1u << 20 },
		{ "scratchsize", in->alloca_bytes, 1u << 24 },
		{ "nspec", in->spec_cnt, 1u << 20 },
		{ "number of processes", in->proc_cnt, WIRE_PROC_MAX },
	};
	for (size_t i = 0; i < ARRAY_CNT(sizes); i++)
		if (sizes[i].v > sizes[i].max)
			return err_setf(reterr, -E2BIG, "%s: %llu is too large; at most %llu can be used", sizes[i].name,
					(unsigned long long)sizes[i].v, (unsigned long long)sizes[i].max);
	if (!in->thread_cnt || !in->ctx_bytes)
		return err_setf(reterr, -EINVAL, "the shared memory needs at least one thread slot and a context");
	if (in->this_bytes > in->scratch_bytes)
		return err_setf(reterr, -EINVAL, "this-> variables do not lie inside the scratch memory");
	return 0;
}

static uint64_t take(uint64_t *pos, uint64_t bytes, uint64_t align)
{
	uint64_t at = align_up(*pos, align);
	*pos = at + bytes;
	return at;
}

/* Behind the registers of generated code, from the context's start. */
static uint64_t alloca_off(const struct wire_layout_in *in)
{
	return align_up(in->ctx_bytes + in->scratch_bytes + in->spill_bytes, 16);
}

static void layout_thread(struct wire_thread_geom *g, const struct wire_layout_in *in)
{
	uint64_t pos = sizeof(struct wire_thread);
	g->drops_off = (uint32_t)take(&pos, 8ULL * in->clause_cnt, LINE);
	g->errors_off = (uint32_t)take(&pos, 8ULL * in->clause_cnt, LINE);
	g->counts_off = (uint32_t)take(&pos, 8ULL * in->agg_cnt, LINE);
	g->cells_off = (uint32_t)take(&pos, sizeof(struct wire_cell) * in->agg_cnt, LINE);
	g->self_bytes = (uint32_t)in->self_bytes;
	g->self_off = (uint32_t)take(&pos, in->self_bytes, LINE);
	g->ctx_stride = (uint32_t)align_up(alloca_off(in) + in->alloca_bytes, LINE);
	g->ctx_off = (uint32_t)take(&pos, (uint64_t)g->ctx_stride * WIRE_LEVEL_MAX, LINE);
	g->place_cnt = in->place_cnt;
	g->places_off = take(&pos, sizeof(uint32_t) * (uint64_t)in->place_cnt * in->site_cap, PAGE);
	g->ring_bytes = round_up_pow2(in->ring_bytes);
	g->ring_off = take(&pos, g->ring_bytes, PAGE);
	g->agg_bytes = in->agg_bytes;
	g->agg_off = take(&pos, in->agg_bytes, PAGE);
	g->stride = align_up(pos, PAGE);
}

/* Generated code counts there, by an offset of 32 bits and one of the row, of 31. */
static void layout_hits(struct wire_shm *out, uint64_t *pos, const struct wire_layout_in *in)
{
	uint64_t row = in->rates ? round_up_pow2(8ULL * in->site_cap) : 0, rows = WIRE_HIT_ROWS;
	while (row * rows > 1u << 31)
		rows /= 2;
	out->hits_row_bytes = row;
	out->hits_rows = in->rates ? rows : 0;
	out->hits_off = take(pos, row * rows, PAGE);
}

static void layout_areas(struct wire_shm *out, const struct wire_layout_in *in)
{
	uint64_t pos = sizeof(struct wire_shm);
	out->proc_off = take(&pos, sizeof(struct wire_proc) * out->proc_cnt, PAGE);
	out->str_off = take(&pos, in->str_cap, PAGE);
	out->site_off = take(&pos, (uint64_t)in->site_cap * sizeof(struct wire_site), PAGE);
	out->rate_off = in->rates ? take(&pos, (uint64_t)in->site_cap * sizeof(struct wire_rate), PAGE) : 0;
	out->global_off = take(&pos, in->global_bytes, PAGE);
	out->spec_off = take(&pos, (uint64_t)in->spec_cnt * sizeof(struct wire_spec), PAGE);
	layout_hits(out, &pos, in);
	out->dyn_off = take(&pos, in->dyn_bytes, PAGE);
	out->unw_off = take(&pos, in->unw_bytes, PAGE);
	out->agg_desc_off = take(&pos, (uint64_t)in->agg_cnt * sizeof(struct wire_agg), PAGE);
	out->thread_off = align_up(pos, PAGE);
}

int wire_layout(struct wire_shm *out, const struct wire_layout_in *in, struct err *reterr)
{
	int r = check_in(in, reterr);
	if (r < 0)
		return r;
	struct wire_shm shm = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.strsize = in->strsize,
		.clause_cnt = in->clause_cnt,
		.agg_cnt = in->agg_cnt,
		.thread_cnt = in->thread_cnt,
		.site_cap = in->site_cap,
		.str_cap = in->str_cap,
		.global_bytes = in->global_bytes,
		.dyn_bytes = in->dyn_bytes,
		.dyn_max = in->dyn_max,
		.agg_max = in->agg_max,
		.unw_bytes = in->unw_bytes,
		.scratch_bytes = in->scratch_bytes,
		.this_bytes = in->this_bytes,
		.alloca_off = alloca_off(in),
		.alloca_bytes = in->alloca_bytes,
		.spec_cnt = in->spec_cnt,
		.proc_cnt = in->proc_cnt ? in->proc_cnt : WIRE_PROC_USUAL,
	};
	layout_areas(&shm, in);
	if (in->rates && shm.hits_off > INT32_MAX / 2 - shm.hits_row_bytes)
		return err_setf(reterr, -E2BIG, "with a budget, strings and variables may take less than %u MiB", INT32_MAX / 2 >> 20);
	layout_thread(&shm.geom, in);
	if (shm.geom.stride > (WIRE_LAYOUT_BYTES_MAX - shm.thread_off) / in->thread_cnt)
		return err_setf(reterr, -E2BIG, "%u threads of %llu bytes are too much; lower bufsize, aggsize or the number of threads",
				in->thread_cnt, (unsigned long long)shm.geom.stride);
	shm.bytes = shm.thread_off + shm.geom.stride * in->thread_cnt;
	*out = shm;
	return 0;
}
