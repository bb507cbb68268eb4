/* SPDX-License-Identifier: MIT */
/* Larger images in the same shared memory, while programs run in it. */
#include "session/session_int.h"
#include "rt/rt.h"
#include "wire/layout.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CLAUSES 1024u
#define AGGS 256u
#define SCRATCH_BYTES (96u << 10)
#define SPILL_BYTES (64u << 10)

bool grow_uses_stacks(const struct ir_image *image)
{
	for (uint32_t p = 0; p < image->prog_cnt; p++)
		for (uint32_t i = 0; i < image->progs[p].insn_cnt; i++) {
			const struct ir_insn *in = &image->progs[p].insns[i];
			if (in->op == IR_OP_CALL && (in->imm == IR_HELPER_tuple_ustack || in->imm == IR_HELPER_rec_ustack ||
						     in->imm == IR_HELPER_uaddr_caller || in->imm == IR_HELPER_ustackdepth))
				return true;
		}
	return false;
}

/* What is not touched takes no memory. */
void grow_layout(struct wire_layout_in *in)
{
	in->clause_cnt += CLAUSES;
	in->agg_cnt += AGGS;
	in->place_cnt = WIRE_PLACES_MAX;
	in->global_bytes += 256u << 10;
	in->self_bytes += 32u << 10;
	in->scratch_bytes += SCRATCH_BYTES;
	in->spill_bytes += SPILL_BYTES;
	in->str_cap += GROW_STR_BYTES;
}

/* NULL, or what of it does not fit. */
static const char *too_large(const struct session *s, const struct ir_image *image)
{
	const struct wire_shm *shm = s->shm;
	struct wire_layout_in in = { 0 };
	ir_image_layout(image, &in);
	if (in.clause_cnt > shm->clause_cnt)
		return "clauses";
	if (in.agg_cnt > shm->agg_cnt)
		return "aggregations";
	if (in.global_bytes > shm->global_bytes)
		return "variables";
	if (in.self_bytes > shm->geom.self_bytes)
		return "self-> variables";
	if (in.scratch_bytes > shm->scratch_bytes || in.scratch_bytes + in.spill_bytes > shm->alloca_off - sizeof(struct rt_ctx))
		return "intermediate values";
	if (in.this_bytes > shm->this_bytes)
		return "this-> variables";
	if (image->str_bytes - s->const_bytes > s->const_reserved)
		return "strings";
	return NULL;
}

/* This process has its own copy of what is written here. */
static int add_aggs(struct session *s, const struct ir_image *image, uint32_t from, struct err *reterr)
{
	uint64_t off = s->shm->agg_desc_off + from * sizeof(struct wire_agg);
	size_t bytes = (image->agg_cnt - from) * sizeof(struct wire_agg);
	if (!bytes)
		return 0;
	memcpy((uint8_t *)s->shm + off, image->aggs + from, bytes);
	if (pwrite(s->shm_fd, image->aggs + from, bytes, (off_t)off) != (ssize_t)bytes)
		return err_setf(reterr, -EIO, "cannot write to the shared memory");
	return 0;
}

int session_grow(struct session *s, const struct ir_image *image, struct err *reterr)
{
	const char *what = too_large(s, image);
	if (what)
		return err_setf(reterr, -ENOSPC, "there is no room for more %s while others are in use", what);
	int r = intern_grow(s->strings, image, s->const_bytes, s->const_reserved);
	if (r)
		return err_setf(reterr, r, "there is no memory for the strings");
	s->const_reserved -= image->str_bytes - s->const_bytes;
	s->const_bytes = image->str_bytes;
	r = add_aggs(s, image, s->agg_cnt, reterr);
	if (r)
		return r;
	s->agg_cnt = image->agg_cnt;
	s->image = image;
	s->uses_stacks |= grow_uses_stacks(image);
	return 0;
}
