/* SPDX-License-Identifier: MIT */
/* Making programs and images. */
#include "ir/ir_int.h"
#include "wire/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ir_builder {
	struct ir_prog prog;
	uint32_t insn_cap, arg_cap;
	bool failed; /* out of memory: later calls do nothing */
};

/* Makes room for @need elements of @size bytes in *p. */
static bool grow(void **p, uint32_t *cap, uint64_t need, size_t size)
{
	if (need <= *cap)
		return true;
	uint64_t want = *cap ? 2ULL * *cap : 64;
	if (want < need)
		want = need;
	if (want > UINT32_MAX)
		return false;
	void *q = realloc(*p, (size_t)want * size);
	if (!q)
		return false;
	*p = q;
	*cap = (uint32_t)want;
	return true;
}

struct ir_builder *ir_builder_create(uint32_t clause)
{
	struct ir_builder *b = calloc(1, sizeof(*b));
	if (b)
		b->prog.clause = clause;
	return b;
}

void ir_builder_destroy(struct ir_builder *b)
{
	if (!b)
		return;
	ir_prog_deinit(&b->prog);
	free(b);
}

uint32_t ir_vreg(struct ir_builder *b)
{
	return b->prog.vreg_cnt++;
}

uint32_t ir_emit(struct ir_builder *b, enum ir_op op, uint32_t dst, uint32_t a, uint32_t src_b, int64_t imm,
		 uint16_t aux)
{
	struct ir_prog *p = &b->prog;
	uint32_t at = p->insn_cnt;
	if (b->failed || !grow((void **)&p->insns, &b->insn_cap, (uint64_t)at + 1, sizeof(*p->insns))) {
		b->failed = true;
		return at;
	}
	p->insns[at] = (struct ir_insn){ .op = (uint16_t)op, .aux = aux, .dst = dst, .a = a, .b = src_b, .imm = imm };
	p->insn_cnt++;
	return at;
}

uint32_t ir_emit_call(struct ir_builder *b, enum ir_helper h, uint32_t dst, const uint64_t *args, uint32_t arg_cnt)
{
	struct ir_prog *p = &b->prog;
	uint32_t first = p->arg_cnt;
	if (b->failed || !grow((void **)&p->args, &b->arg_cap, (uint64_t)first + arg_cnt, sizeof(*p->args))) {
		b->failed = true;
		return p->insn_cnt;
	}
	if (arg_cnt)
		memcpy(p->args + first, args, arg_cnt * sizeof(*args));
	p->arg_cnt += arg_cnt;
	return ir_emit(b, IR_OP_CALL, dst, first, arg_cnt, h, 0);
}

uint32_t ir_here(const struct ir_builder *b)
{
	return b->prog.insn_cnt;
}

void ir_patch_target(struct ir_builder *b, uint32_t insn, uint32_t target)
{
	if (insn < b->prog.insn_cnt)
		b->prog.insns[insn].imm = target;
}

uint32_t ir_scratch(struct ir_builder *b, uint32_t bytes)
{
	uint32_t at = (uint32_t)align_up(b->prog.scratch_bytes, 8);
	uint64_t end = align_up((uint64_t)at + bytes, 8);
	if (end > UINT32_MAX - 7)
		end = UINT32_MAX - 7; /* the verifier refuses it */
	b->prog.scratch_bytes = (uint32_t)end;
	return at;
}

void ir_set_rec_bytes(struct ir_builder *b, uint32_t bytes)
{
	b->prog.rec_bytes = bytes;
}

int ir_builder_finish(struct ir_builder *b, struct ir_prog *ret)
{
	if (b->failed)
		return -ENOMEM;
	*ret = b->prog;
	b->prog = (struct ir_prog){ .clause = ret->clause };
	b->insn_cap = b->arg_cap = 0;
	return 0;
}

void ir_prog_deinit(struct ir_prog *p)
{
	if (!p)
		return;
	free(p->insns);
	free(p->args);
	*p = (struct ir_prog){ 0 };
}

void ir_image_deinit(struct ir_image *img)
{
	if (!img)
		return;
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		ir_prog_deinit(&img->progs[i]);
	free(img->progs);
	free(img->aggs);
	free(img->strs);
	*img = (struct ir_image){ 0 };
}

/* Bytes that a string of @len takes among the interned ones. */
static uint64_t str_bytes(uint64_t len)
{
	return align_up(sizeof(struct wire_str) + len + 1, 8);
}

/* The offset of an equal string that is there already, or WIRE_NONE. */
static uint32_t find_str(const struct ir_image *img, const char *s, size_t len)
{
	for (uint32_t off = 0; off < img->str_bytes;) {
		const struct wire_str *w = (const struct wire_str *)(img->strs + off);
		if (w->len == len && !memcmp(w->s, s, len))
			return off;
		off += (uint32_t)str_bytes(w->len);
	}
	return WIRE_NONE;
}

uint32_t ir_image_append(struct ir_image *img, const char *s, size_t len)
{
	if (len > IR_STRS_MAX || img->str_bytes + str_bytes(len) > IR_STRS_MAX)
		return WIRE_NONE;
	uint32_t off = img->str_bytes, bytes = (uint32_t)str_bytes(len);
	uint8_t *p = realloc(img->strs, (size_t)off + bytes);
	if (!p)
		return WIRE_NONE;
	img->strs = p;
	memset(p + off, 0, bytes);
	struct wire_str *w = (struct wire_str *)(p + off);
	w->len = (uint32_t)len;
	if (len)
		memcpy(w->s, s, len);
	img->str_bytes += bytes;
	return off;
}

uint32_t ir_image_intern(struct ir_image *img, const char *s, size_t len)
{
	if (!img->str_bytes && ir_image_append(img, "", 0) == WIRE_NONE)
		return WIRE_NONE;
	uint32_t off = find_str(img, s, len);
	return off != WIRE_NONE ? off : ir_image_append(img, s, len);
}

/* So many rows that the first aggregations with keys have one each. */
static uint32_t place_cnt(const struct ir_image *img)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		for (uint32_t pc = 0; pc < img->progs[i].insn_cnt; pc++) {
			const struct ir_insn *in = &img->progs[i].insns[pc];
			if (in->op == IR_OP_AGG && in->aux != IR_NO_TUPLE && in->imm >= cnt && in->imm < WIRE_PLACES_MAX)
				cnt = (uint32_t)in->imm + 1;
		}
	return cnt;
}

void ir_image_layout(const struct ir_image *img, struct wire_layout_in *in)
{
	uint32_t scratch = img->this_bytes, vregs = 0;
	for (uint32_t i = 0; i < img->prog_cnt; i++) {
		if (img->progs[i].scratch_bytes > scratch)
			scratch = img->progs[i].scratch_bytes;
		if (img->progs[i].vreg_cnt > vregs)
			vregs = img->progs[i].vreg_cnt;
	}
	in->strsize = img->strsize;
	in->clause_cnt = img->prog_cnt;
	in->agg_cnt = img->agg_cnt;
	in->place_cnt = place_cnt(img);
	in->global_bytes = img->global_bytes;
	in->self_bytes = img->self_bytes;
	in->this_bytes = img->this_bytes;
	in->scratch_bytes = align_up(scratch, 16);
	in->spill_bytes = 8ULL * vregs; /* nobody pays for what is not touched */
	in->str_cap = img->str_bytes;
}
