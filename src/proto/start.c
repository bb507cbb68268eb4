/* SPDX-License-Identifier: MIT */
/* The request. */
#include "proto/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ORDER enum proto_size.  What a session could never use is refused here. */
static const struct {
	const char *name;
	uint64_t max;
} sizes[PROTO_SIZE_CNT] = {
	{ "bufsize", 1ull << 30 }, { "aggsize", 1ull << 36 }, { "dynvarsize", 1ull << 36 }, { "threads", 1u << 16 },
	{ "scratchsize", 1u << 24 }, { "nspec", 1u << 20 }, { "specsize", 1ull << 40 }, { "cpu", UINT32_MAX }, { "maxframes", UINT32_MAX },
	{ "size of an aggregation", 1u << 30 }, { "size of a variable", 1u << 30 },
};

bool proto_start_encode(struct proto_out *o, const struct proto_start *s)
{
	proto_begin(o, PROTO_START);
	for (uint32_t i = 0; i < PROTO_SIZE_CNT; i++)
		proto_u64(o, s->sizes[i]);
	proto_u32(o, s->flags);
	proto_str(o, s->progname);
	proto_u32(o, s->target_cnt);
	for (uint32_t i = 0; i < s->target_cnt; i++) {
		proto_u32(o, s->targets[i].pid);
		proto_u32(o, s->targets[i].is_new);
	}
	proto_u64(o, s->exe_dev);
	proto_u64(o, s->exe_ino);
	proto_u32(o, s->exe_root);
	proto_u32(o, s->clause_cnt);
	proto_u32(o, s->desc_cnt);
	for (uint32_t i = 0; i < s->desc_cnt; i++) {
		proto_u32(o, s->descs[i].clause);
		proto_u32(o, s->descs[i].id);
		for (int k = 0; k < 4; k++)
			proto_str(o, s->descs[i].part[k]);
	}
	proto_bytes(o, s->image, s->image_bytes);
	return proto_end(o);
}

static int get_sizes(struct proto_in *in, struct proto_start *s, struct err *reterr)
{
	for (uint32_t i = 0; i < PROTO_SIZE_CNT; i++) {
		s->sizes[i] = proto_get_u64(in);
		if (s->sizes[i] > sizes[i].max)
			return err_setf(reterr, -EPROTO, "%s is too large", sizes[i].name);
	}
	s->flags = proto_get_u32(in);
	s->progname = proto_get_str(in, 64);
	if (in->bad || s->flags & ~(uint32_t)PROTO_FLAGS)
		return err_setf(reterr, -EPROTO, "malformed request: options");
	return 0;
}

/* Counts are checked against the bytes that are left before memory is taken for them. */
static uint32_t get_cnt(struct proto_in *in, uint32_t max, uint32_t least_bytes)
{
	uint32_t cnt = proto_get_u32(in);
	if (cnt > max || cnt > in->left / least_bytes)
		in->bad = true;
	return in->bad ? 0 : cnt;
}

static int get_targets(struct proto_in *in, struct proto_start *s, struct err *reterr)
{
	uint32_t cnt = get_cnt(in, PROTO_TARGETS_MAX, 8);
	s->targets = calloc(cnt + 1ul, sizeof(*s->targets));
	if (!s->targets)
		return err_setf(reterr, -ENOMEM, "out of memory");
	s->target_cnt = cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		struct proto_target *t = &s->targets[i];
		*t = (struct proto_target){ proto_get_u32(in), 0 };
		t->is_new = proto_get_u32(in);
		if (!t->pid || t->pid > INT32_MAX || t->is_new > 1)
			in->bad = true;
		for (uint32_t k = 0; k < i; k++)
			in->bad |= s->targets[k].pid == t->pid;
	}
	s->exe_dev = proto_get_u64(in);
	s->exe_ino = proto_get_u64(in);
	s->exe_root = proto_get_u32(in);
	if (s->exe_root > INT32_MAX || (s->exe_ino && !s->exe_root))
		in->bad = true;
	return in->bad ? err_setf(reterr, -EPROTO, "malformed request: processes") : 0;
}

static int get_descs(struct proto_in *in, struct proto_start *s, struct err *reterr)
{
	s->clause_cnt = proto_get_u32(in);
	uint32_t cnt = get_cnt(in, PROTO_DESCS_MAX, 24), last = 0;
	s->descs = calloc(cnt + 1ul, sizeof(*s->descs));
	if (!s->descs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	s->desc_cnt = cnt;
	for (uint32_t i = 0; i < cnt && !in->bad; i++) {
		struct proto_desc *d = &s->descs[i];
		d->clause = proto_get_u32(in);
		d->id = proto_get_u32(in);
		for (int k = 0; k < 4; k++)
			d->part[k] = proto_get_str(in, PROTO_PART_MAX);
		if (d->clause >= s->clause_cnt || d->clause < last)
			in->bad = true;
		last = d->clause;
	}
	return in->bad || s->clause_cnt > PROTO_CLAUSES_MAX ? err_setf(reterr, -EPROTO, "malformed request: descriptions") : 0;
}

int proto_start_decode(struct proto_in *in, struct proto_start *ret, struct err *reterr)
{
	struct proto_start s = { 0 };
	int rc = get_sizes(in, &s, reterr);
	rc = rc ? rc : get_targets(in, &s, reterr);
	rc = rc ? rc : get_descs(in, &s, reterr);
	s.image = proto_get_bytes(in, &s.image_bytes);
	if (!rc && !proto_get_end(in))
		rc = err_setf(reterr, -EPROTO, "malformed request: its length");
	if (rc)
		proto_start_deinit(&s);
	else
		*ret = s;
	return rc;
}

void proto_start_deinit(struct proto_start *s)
{
	if (!s)
		return;
	free(s->progname);
	free(s->targets);
	for (uint32_t i = 0; s->descs && i < s->desc_cnt; i++)
		for (int k = 0; k < 4; k++)
			free(s->descs[i].part[k]);
	free(s->descs);
	*s = (struct proto_start){ 0 };
}
