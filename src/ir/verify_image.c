/* SPDX-License-Identifier: MIT */
#include "ir/verify_int.h"

#include <errno.h>

int ir_verify_sizes(const struct ir_image *img, struct err *reterr)
{
	const struct {
		const char *what;
		uint32_t v, min, max;
	} limits[] = {
		{ "clauses", img->prog_cnt, 0, IR_PROGS_MAX },
		{ "aggregations", img->agg_cnt, 0, IR_AGGS_MAX },
		{ "dynamic variables", img->dynvar_cnt, 0, IR_DYNVARS_MAX },
		{ "bytes of globals", img->global_bytes, 0, IR_GLOBAL_MAX },
		{ "bytes of self-> variables", img->self_bytes, 0, IR_SELF_MAX },
		{ "bytes of this-> variables", img->this_bytes, 0, IR_SCRATCH_MAX },
		{ "bytes of constant strings", img->str_bytes, 0, IR_STRS_MAX },
		{ "characters of strsize", img->strsize, 1, IR_STRSIZE_MAX },
	};
	for (size_t i = 0; i < ARRAY_CNT(limits); i++)
		if (limits[i].v < limits[i].min || limits[i].v > limits[i].max)
			return err_setf(reterr, -EINVAL, "the script has %u %s; it must be %u..%u", limits[i].v, limits[i].what,
					limits[i].min, limits[i].max);
	return 0;
}

/* Whether the string at @off is whole, ends in NULs up to a multiple of 8; sets its size. */
static bool str_fine(const struct ir_image *img, uint32_t off, uint32_t *ret_bytes)
{
	uint32_t left = img->str_bytes - off;
	if (left < sizeof(struct wire_str))
		return false;
	const struct wire_str *w = (const struct wire_str *)(img->strs + off);
	uint64_t bytes = align_up(sizeof(*w) + (uint64_t)w->len + 1, 8);
	if (bytes > left)
		return false;
	for (uint64_t i = sizeof(*w) + w->len; i < bytes; i++)
		if (img->strs[off + i])
			return false;
	*ret_bytes = (uint32_t)bytes;
	return off || !w->len;
}

static int check_strs(const struct ir_image *img, struct err *reterr)
{
	uint32_t bytes;
	if (img->str_bytes && !img->strs)
		return err_setf(reterr, -EINVAL, "the constant strings are missing");
	for (uint32_t off = 0; off < img->str_bytes; off += bytes)
		if (!str_fine(img, off, &bytes))
			return err_setf(reterr, -EINVAL, "the constant string at offset %u is malformed", off);
	return 0;
}

/* Words that lquantize has, 0: its parameters make no sense. */
static uint32_t lquantize_words(const struct wire_agg *a)
{
	if (a->step <= 0 || a->limit <= a->base)
		return 0;
	uint64_t levels = ((uint64_t)a->limit - (uint64_t)a->base) / (uint64_t)a->step;
	return levels && levels <= IR_LEVELS_MAX ? (uint32_t)levels + 2 : 0;
}

/* Whether factor to the power of high + 1 is below 2^64, and the rest is in bounds. */
static bool llquantize_fine(const struct wire_agg *a)
{
	uint64_t v = 1;
	if (a->ll_factor < 2 || a->ll_factor > IR_LEVELS_MAX || a->ll_low > a->ll_high || a->ll_high > 62 ||
	    !a->ll_steps || a->ll_steps > IR_LEVELS_MAX ||
	    (a->ll_steps < a->ll_factor ? a->ll_factor % a->ll_steps : a->ll_steps % a->ll_factor))
		return false;
	for (uint32_t i = 0; i <= a->ll_high; i++)
		if (__builtin_mul_overflow(v, a->ll_factor, &v))
			return false;
	return true;
}

/* As DTrace has it: one middle bucket; on each side of it steps - steps/factor per power and one beyond. */
static uint32_t llquantize_words(const struct wire_agg *a)
{
	if (!llquantize_fine(a))
		return 0;
	uint64_t side = 1 + (uint64_t)(a->ll_high - a->ll_low + 1) * (a->ll_steps - a->ll_steps / a->ll_factor);
	uint64_t words = 2 * side + 1;
	return words <= IR_LEVELS_MAX ? (uint32_t)words : 0;
}

uint32_t ir_agg_words(const struct wire_agg *a)
{
	switch ((enum wire_agg_fn)a->fn) {
	case WIRE_AGG_COUNT:
	case WIRE_AGG_SUM:
	case WIRE_AGG_MIN:
	case WIRE_AGG_MAX:
		return 1;
	case WIRE_AGG_AVG:
		return 2;
	case WIRE_AGG_STDDEV:
		return 4;
	case WIRE_AGG_QUANTIZE:
		return WIRE_QUANTIZE_CNT;
	case WIRE_AGG_LQUANTIZE:
		return lquantize_words(a);
	case WIRE_AGG_LLQUANTIZE:
		return llquantize_words(a);
	}
	return 0;
}

static int check_aggs(const struct ir_image *img, struct err *reterr)
{
	if (img->agg_cnt && !img->aggs)
		return err_setf(reterr, -EINVAL, "the aggregations are missing");
	for (uint32_t i = 0; i < img->agg_cnt; i++) {
		uint32_t words = ir_agg_words(&img->aggs[i]);
		if (!words)
			return err_setf(reterr, -EINVAL, "aggregation %u: function %u cannot have these parameters", i,
					img->aggs[i].fn);
		if (img->aggs[i].val_cnt != words)
			return err_setf(reterr, -EINVAL, "aggregation %u has values of %u words, not of %u", i,
					img->aggs[i].val_cnt, words);
	}
	return 0;
}

int ir_image_verify(const struct ir_image *img, struct err *reterr)
{
	int r = ir_verify_sizes(img, reterr);
	if (!r)
		r = check_strs(img, reterr);
	if (!r)
		r = check_aggs(img, reterr);
	if (!r && img->prog_cnt && !img->progs)
		r = err_setf(reterr, -EINVAL, "the programs are missing");
	for (uint32_t i = 0; !r && i < img->prog_cnt; i++) {
		if (img->progs[i].clause != i)
			return err_setf(reterr, -EINVAL, "program %u says that it is clause %u", i, img->progs[i].clause);
		r = ir_prog_verify(&img->progs[i], img, reterr);
	}
	return r;
}
