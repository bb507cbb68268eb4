/* SPDX-License-Identifier: MIT */
/*
 * An image as bytes, all little-endian:
 *
 *   "DYIR", u32 version
 *   u32 prog_cnt agg_cnt dynvar_cnt global_bytes self_bytes this_bytes strsize str_bytes
 *   str_bytes bytes of strings
 *   aggregations: u32 fn val_cnt, i64 base limit step, u32 ll_factor ll_low ll_high ll_steps
 *   programs: u32 clause vreg_cnt scratch_bytes rec_bytes insn_cnt arg_cnt,
 *             instructions { u16 op aux, u32 dst a b, i64 imm }, u64 args
 *
 * and nothing after it.  Counts are checked against the bytes that are left
 * before anything is allocated; meaning is the verifier's.
 */
#include "ir/verify_int.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_MAGIC 0x52495944u /* "DYIR" */
#define IMAGE_VERSION 1u
#define HEAD_BYTES 40u
#define AGG_BYTES 48u
#define PROG_BYTES 24u
#define INSN_BYTES 24u

/* ---- writing ---- */

struct writer {
	uint8_t *p; /* the caller counted the bytes before */
};

static void put(struct writer *w, const void *bytes, size_t cnt)
{
	if (cnt)
		memcpy(w->p, bytes, cnt);
	w->p += cnt;
}

static void put16(struct writer *w, uint16_t v)
{
	v = htole16(v);
	put(w, &v, sizeof(v));
}

static void put32(struct writer *w, uint32_t v)
{
	v = htole32(v);
	put(w, &v, sizeof(v));
}

static void put64(struct writer *w, uint64_t v)
{
	v = htole64(v);
	put(w, &v, sizeof(v));
}

static void put_agg(struct writer *w, const struct wire_agg *a)
{
	put32(w, a->fn);
	put32(w, a->val_cnt);
	put64(w, (uint64_t)a->base);
	put64(w, (uint64_t)a->limit);
	put64(w, (uint64_t)a->step);
	put32(w, a->ll_factor);
	put32(w, a->ll_low);
	put32(w, a->ll_high);
	put32(w, a->ll_steps);
}

static void put_prog(struct writer *w, const struct ir_prog *p)
{
	put32(w, p->clause);
	put32(w, p->vreg_cnt);
	put32(w, p->scratch_bytes);
	put32(w, p->rec_bytes);
	put32(w, p->insn_cnt);
	put32(w, p->arg_cnt);
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		const struct ir_insn *in = &p->insns[i];
		put16(w, in->op);
		put16(w, in->aux);
		put32(w, in->dst);
		put32(w, in->a);
		put32(w, in->b);
		put64(w, (uint64_t)in->imm);
	}
	for (uint32_t i = 0; i < p->arg_cnt; i++)
		put64(w, p->args[i]);
}

static uint64_t image_bytes(const struct ir_image *img)
{
	uint64_t bytes = HEAD_BYTES + (uint64_t)img->str_bytes + (uint64_t)img->agg_cnt * AGG_BYTES;
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		bytes += PROG_BYTES + (uint64_t)img->progs[i].insn_cnt * INSN_BYTES + 8ULL * img->progs[i].arg_cnt;
	return bytes;
}

int ir_image_encode(const struct ir_image *img, uint8_t **ret, size_t *ret_bytes, struct err *reterr)
{
	uint64_t bytes = image_bytes(img);
	if (bytes > IR_IMAGE_BYTES_MAX)
		return err_setf(reterr, -E2BIG, "the script becomes %llu bytes; at most %u can be sent: make it smaller",
				(unsigned long long)bytes, IR_IMAGE_BYTES_MAX);
	uint8_t *buf = malloc(bytes);
	if (!buf)
		return err_setf(reterr, -ENOMEM, "no memory for an image of %llu bytes", (unsigned long long)bytes);
	struct writer w = { buf };
	const uint32_t head[] = { IMAGE_MAGIC, IMAGE_VERSION, img->prog_cnt, img->agg_cnt, img->dynvar_cnt,
		img->global_bytes, img->self_bytes, img->this_bytes, img->strsize, img->str_bytes };
	_Static_assert(sizeof(head) == HEAD_BYTES, "");
	for (size_t i = 0; i < ARRAY_CNT(head); i++)
		put32(&w, head[i]);
	put(&w, img->strs, img->str_bytes);
	for (uint32_t i = 0; i < img->agg_cnt; i++)
		put_agg(&w, &img->aggs[i]);
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		put_prog(&w, &img->progs[i]);
	*ret = buf;
	*ret_bytes = bytes;
	return 0;
}

/* ---- reading ---- */

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad; /* ran past the end: everything reads as 0 from there */
};

static void get(struct reader *r, void *to, size_t cnt)
{
	if (r->bad || cnt > r->left) {
		r->bad = true;
		memset(to, 0, cnt);
		return;
	}
	memcpy(to, r->p, cnt);
	r->p += cnt;
	r->left -= cnt;
}

static uint16_t get16(struct reader *r)
{
	uint16_t v;
	get(r, &v, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(struct reader *r)
{
	uint32_t v;
	get(r, &v, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(struct reader *r)
{
	uint64_t v;
	get(r, &v, sizeof(v));
	return le64toh(v);
}

/* An array of @cnt elements that take @enc_bytes each in the image, zeroed; NULL if
 * they cannot be there, or there is no memory. */
static void *alloc_array(struct reader *r, uint32_t cnt, size_t enc_bytes, size_t size)
{
	if (r->bad || cnt > r->left / enc_bytes) {
		r->bad = true;
		return NULL;
	}
	return calloc(cnt ? cnt : 1, size);
}

static int get_aggs(struct reader *r, struct ir_image *img, uint32_t cnt)
{
	img->aggs = alloc_array(r, cnt, AGG_BYTES, sizeof(*img->aggs));
	if (!img->aggs)
		return r->bad ? -EINVAL : -ENOMEM;
	img->agg_cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		struct wire_agg *a = &img->aggs[i];
		a->fn = get32(r);
		a->val_cnt = get32(r);
		a->base = (int64_t)get64(r);
		a->limit = (int64_t)get64(r);
		a->step = (int64_t)get64(r);
		a->ll_factor = get32(r);
		a->ll_low = get32(r);
		a->ll_high = get32(r);
		a->ll_steps = get32(r);
	}
	return 0;
}

static int get_prog(struct reader *r, struct ir_prog *p)
{
	p->clause = get32(r);
	p->vreg_cnt = get32(r);
	p->scratch_bytes = get32(r);
	p->rec_bytes = get32(r);
	uint32_t insn_cnt = get32(r), arg_cnt = get32(r);
	p->insns = alloc_array(r, insn_cnt, INSN_BYTES, sizeof(*p->insns));
	if (!p->insns)
		return r->bad ? -EINVAL : -ENOMEM;
	p->insn_cnt = insn_cnt;
	for (uint32_t i = 0; i < insn_cnt; i++) {
		struct ir_insn *in = &p->insns[i];
		in->op = get16(r);
		in->aux = get16(r);
		in->dst = get32(r);
		in->a = get32(r);
		in->b = get32(r);
		in->imm = (int64_t)get64(r);
	}
	p->args = alloc_array(r, arg_cnt, sizeof(uint64_t), sizeof(*p->args));
	if (!p->args)
		return r->bad ? -EINVAL : -ENOMEM;
	p->arg_cnt = arg_cnt;
	for (uint32_t i = 0; i < arg_cnt; i++)
		p->args[i] = get64(r);
	return 0;
}

static int get_progs(struct reader *r, struct ir_image *img, uint32_t cnt)
{
	img->progs = alloc_array(r, cnt, PROG_BYTES, sizeof(*img->progs));
	if (!img->progs)
		return r->bad ? -EINVAL : -ENOMEM;
	img->prog_cnt = cnt;
	int res = 0;
	for (uint32_t i = 0; !res && i < cnt; i++)
		res = get_prog(r, &img->progs[i]);
	return res;
}

static int get_strs(struct reader *r, struct ir_image *img)
{
	uint32_t bytes = img->str_bytes;
	img->str_bytes = 0;
	img->strs = alloc_array(r, bytes, 1, 1);
	if (!img->strs)
		return r->bad ? -EINVAL : -ENOMEM;
	img->str_bytes = bytes;
	get(r, img->strs, bytes);
	return 0;
}

static void get_head(struct reader *r, struct ir_image *head)
{
	head->prog_cnt = get32(r);
	head->agg_cnt = get32(r);
	head->dynvar_cnt = get32(r);
	head->global_bytes = get32(r);
	head->self_bytes = get32(r);
	head->this_bytes = get32(r);
	head->strsize = get32(r);
	head->str_bytes = get32(r);
}

/* What follows the head.  A count is set in *img once its array exists, so that
 * ir_image_deinit() frees what there is. */
static int get_body(struct reader *r, const struct ir_image *head, struct ir_image *img)
{
	*img = *head;
	img->agg_cnt = img->prog_cnt = 0;
	int res = get_strs(r, img);
	if (!res)
		res = get_aggs(r, img, head->agg_cnt);
	if (!res)
		res = get_progs(r, img, head->prog_cnt);
	return !res && (r->bad || r->left) ? -EINVAL : res;
}

static int decode(struct reader *r, struct ir_image *img, struct err *reterr)
{
	struct ir_image head = { 0 };
	get_head(r, &head);
	int res = ir_verify_sizes(&head, reterr);
	if (res)
		return res;
	res = get_body(r, &head, img);
	if (res == -ENOMEM)
		return err_setf(reterr, res, "no memory for an IR image");
	if (res)
		return err_setf(reterr, res, "the IR image is cut short or longer than it says");
	return ir_image_verify(img, reterr);
}

int ir_image_decode(const uint8_t *bytes, size_t cnt, struct ir_image *ret, struct err *reterr)
{
	struct reader r = { .p = bytes, .left = cnt };
	if (cnt > IR_IMAGE_BYTES_MAX)
		return err_setf(reterr, -E2BIG, "an image of %zu bytes is too large; at most %u are taken", cnt, IR_IMAGE_BYTES_MAX);
	if (get32(&r) != IMAGE_MAGIC)
		return err_setf(reterr, -EINVAL, "this is no IR image");
	uint32_t version = get32(&r);
	if (version != IMAGE_VERSION)
		return err_setf(reterr, -EINVAL, "the IR image has version %u, this program reads %u: use the same release on both sides",
				version, IMAGE_VERSION);
	struct ir_image img = { 0 };
	int res = decode(&r, &img, reterr);
	if (res) {
		ir_image_deinit(&img);
		return res;
	}
	*ret = img;
	return 0;
}
