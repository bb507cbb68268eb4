/* SPDX-License-Identifier: MIT */
/* Tracepoints that come and go while others stay. */
#include "proto/proto.h"

#include <errno.h>
#include <stdlib.h>

bool proto_points_encode(struct proto_out *o, const struct proto_points *p)
{
	proto_begin(o, PROTO_POINTS);
	proto_u32(o, p->changed);
	proto_u32(o, p->cnt);
	for (uint32_t i = 0; i < p->cnt; i++) {
		proto_u32(o, p->v[i].id);
		proto_u32(o, p->v[i].clause);
		for (int k = 0; k < 4; k++)
			proto_str(o, p->v[i].part[k]);
	}
	proto_bytes(o, p->image, p->image_bytes);
	return proto_end(o);
}

int proto_points_decode(struct proto_in *in, struct proto_points *ret, struct err *reterr)
{
	struct proto_points p = { .changed = proto_get_u32(in) };
	uint32_t cnt = proto_get_u32(in);
	p.v = !in->bad && cnt <= PROTO_POINTS_MAX && cnt <= in->left / 24 ? calloc(cnt + 1ul, sizeof(*p.v)) : NULL;
	for (; p.v && p.cnt < cnt && !in->bad; p.cnt++) {
		struct proto_point *v = &p.v[p.cnt];
		v->id = proto_get_u32(in);
		v->clause = proto_get_u32(in);
		for (int k = 0; k < 4; k++)
			v->part[k] = proto_get_str(in, PROTO_PART_MAX);
	}
	p.image = proto_get_bytes(in, &p.image_bytes);
	if (p.v && proto_get_end(in)) {
		*ret = p;
		return 0;
	}
	proto_points_deinit(&p);
	return err_setf(reterr, -EPROTO, "malformed message POINTS");
}

void proto_points_deinit(struct proto_points *p)
{
	for (uint32_t i = 0; p->v && i < p->cnt; i++)
		for (int k = 0; k < 4; k++)
			free(p->v[i].part[k]);
	free(p->v);
	*p = (struct proto_points){ 0 };
}

bool proto_pointed_encode(struct proto_out *o, const struct proto_pointed *p)
{
	proto_begin(o, PROTO_POINTED);
	proto_u32(o, (uint32_t)p->code);
	proto_str(o, p->why ? p->why : "");
	proto_bytes(o, p->page, PROTO_PAGE);
	proto_u32(o, p->cnt);
	for (uint32_t i = 0; i < p->cnt; i++) {
		proto_u32(o, p->v[i].id);
		proto_u64(o, p->v[i].func);
		proto_u64(o, p->v[i].addr);
		proto_str(o, p->v[i].why);
	}
	return proto_end(o);
}

int proto_pointed_decode(struct proto_in *in, struct proto_pointed *ret, struct err *reterr)
{
	struct proto_pointed p = { .code = (int32_t)proto_get_u32(in) };
	size_t bytes;
	p.why = proto_get_str(in, ERR_MSG_MAX);
	p.page = proto_get_bytes(in, &bytes);
	uint32_t cnt = proto_get_u32(in);
	p.v = !in->bad && bytes == PROTO_PAGE && cnt <= PROTO_REFUSALS_MAX ? calloc(cnt + 1ul, sizeof(*p.v)) : NULL;
	for (; p.v && p.cnt < cnt && !in->bad; p.cnt++) {
		struct proto_refusal *v = &p.v[p.cnt];
		v->id = proto_get_u32(in);
		v->func = proto_get_u64(in);
		v->addr = proto_get_u64(in);
		v->why = proto_get_str(in, ERR_MSG_MAX);
	}
	if (p.v && proto_get_end(in)) {
		*ret = p;
		return 0;
	}
	proto_pointed_deinit(&p);
	return err_setf(reterr, -EPROTO, "malformed message POINTED");
}

void proto_pointed_deinit(struct proto_pointed *p)
{
	for (uint32_t i = 0; p->v && i < p->cnt; i++)
		free(p->v[i].why);
	free(p->v);
	free(p->why);
	*p = (struct proto_pointed){ 0 };
}
