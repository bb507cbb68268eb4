/* SPDX-License-Identifier: MIT */
/* Everything else. */
#include "proto/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int malformed(enum proto_type type, struct err *reterr)
{
	return err_setf(reterr, -EPROTO, "malformed message %s", proto_name(type));
}

/* ---- TAIL ---- */

bool proto_tails_encode(struct proto_out *o, const struct proto_tail *v, uint32_t cnt)
{
	proto_begin(o, PROTO_TAIL);
	proto_u32(o, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		proto_u32(o, v[i].slot);
		proto_u64(o, v[i].pos);
	}
	return proto_end(o);
}

int proto_tails_decode(struct proto_in *in, struct proto_tail ret[PROTO_TAILS], uint32_t *ret_cnt, struct err *reterr)
{
	uint32_t cnt = proto_get_u32(in);
	if (cnt > PROTO_TAILS)
		return malformed(PROTO_TAIL, reterr);
	for (uint32_t i = 0; i < cnt; i++) {
		ret[i].slot = proto_get_u32(in);
		ret[i].pos = proto_get_u64(in);
	}
	if (!proto_get_end(in))
		return malformed(PROTO_TAIL, reterr);
	*ret_cnt = cnt;
	return 0;
}

/* ---- RUN ---- */

bool proto_run_encode(struct proto_out *o, const pid_t *v, uint32_t cnt)
{
	proto_begin(o, PROTO_RUN);
	proto_u32(o, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		proto_u32(o, (uint32_t)v[i]);
	return proto_end(o);
}

int proto_run_decode(struct proto_in *in, pid_t **ret, uint32_t *ret_cnt, struct err *reterr)
{
	uint32_t cnt = proto_get_u32(in);
	pid_t *v = !in->bad && cnt <= PROTO_RUN_MAX && cnt <= in->left / 4 ? calloc(cnt + 1ul, sizeof(*v)) : NULL;
	for (uint32_t i = 0; v && i < cnt; i++) {
		v[i] = (pid_t)proto_get_u32(in);
		in->bad |= v[i] <= 0;
	}
	if (!v || !proto_get_end(in)) {
		free(v);
		return malformed(PROTO_RUN, reterr);
	}
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}

/* ---- MATCHED ---- */

bool proto_matched_encode(struct proto_out *o, const struct proto_matched *m)
{
	proto_begin(o, PROTO_MATCHED);
	proto_u32(o, m->proc);
	proto_u32(o, m->bad);
	proto_u32(o, (uint32_t)m->code);
	proto_u32(o, m->kernel);
	proto_u32(o, m->starting);
	proto_str(o, m->why ? m->why : "");
	proto_u32(o, m->cnt);
	for (uint32_t i = 0; i < m->cnt; i++)
		proto_u32(o, m->cnts[i]);
	return proto_end(o);
}

int proto_matched_decode(struct proto_in *in, struct proto_matched *ret, struct err *reterr)
{
	struct proto_matched m = { .proc = proto_get_u32(in) };
	m.bad = proto_get_u32(in);
	m.code = (int32_t)proto_get_u32(in);
	m.kernel = proto_get_u32(in);
	m.starting = proto_get_u32(in);
	m.why = proto_get_str(in, ERR_MSG_MAX);
	uint32_t cnt = proto_get_u32(in);
	m.cnts = !in->bad && cnt <= PROTO_DESCS_MAX && cnt <= in->left / 4 ? calloc(cnt + 1ul, sizeof(*m.cnts)) : NULL;
	for (uint32_t i = 0; m.cnts && i < cnt; i++)
		m.cnts[i] = proto_get_u32(in);
	m.cnt = cnt;
	if (!m.cnts || !proto_get_end(in)) {
		proto_matched_deinit(&m);
		return malformed(PROTO_MATCHED, reterr);
	}
	*ret = m;
	return 0;
}

void proto_matched_deinit(struct proto_matched *m)
{
	free(m->cnts);
	free(m->why);
	*m = (struct proto_matched){ 0 };
}

/* ---- ARMED ---- */

bool proto_armed_encode(struct proto_out *o, const struct proto_armed *a)
{
	proto_begin(o, PROTO_ARMED);
	proto_bytes(o, a->page, sizeof(a->page));
	proto_u64(o, a->bytes);
	proto_u64(o, a->own_off);
	proto_u64(o, a->own_bytes);
	proto_u32(o, a->sites);
	proto_u32(o, a->target_cnt);
	for (uint32_t i = 0; i < a->target_cnt; i++) {
		proto_u32(o, a->targets[i].proc);
		proto_u32(o, a->targets[i].pid);
	}
	return proto_end(o);
}

int proto_armed_decode(struct proto_in *in, struct proto_armed *ret, struct err *reterr)
{
	size_t cnt;
	const uint8_t *page = proto_get_bytes(in, &cnt);
	if (cnt != PROTO_PAGE)
		return malformed(PROTO_ARMED, reterr);
	memcpy(ret->page, page, PROTO_PAGE);
	ret->bytes = proto_get_u64(in);
	ret->own_off = proto_get_u64(in);
	ret->own_bytes = proto_get_u64(in);
	ret->sites = proto_get_u32(in);
	ret->target_cnt = proto_get_u32(in);
	if (ret->target_cnt > PROTO_TARGETS_MAX || ret->own_off > ret->bytes || ret->own_bytes > ret->bytes - ret->own_off)
		return malformed(PROTO_ARMED, reterr);
	for (uint32_t i = 0; i < ret->target_cnt; i++) {
		ret->targets[i].proc = proto_get_u32(in);
		ret->targets[i].pid = proto_get_u32(in);
	}
	return proto_get_end(in) ? 0 : malformed(PROTO_ARMED, reterr);
}

/* ---- SYMBOL ---- */

bool proto_symbol_encode(struct proto_out *o, const struct proto_symbol *s)
{
	proto_begin(o, PROTO_SYMBOL);
	proto_u32(o, (s->mod ? 1u : 0) | (s->name ? 2u : 0));
	proto_u64(o, s->mod_start);
	proto_u64(o, s->start);
	proto_str(o, s->mod ? s->mod : "");
	proto_str(o, s->name ? s->name : "");
	return proto_end(o);
}

int proto_symbol_decode(struct proto_in *in, struct proto_symbol *ret, struct err *reterr)
{
	struct proto_symbol s = { 0 };
	uint32_t has = proto_get_u32(in);
	s.mod_start = proto_get_u64(in);
	s.start = proto_get_u64(in);
	s.mod = proto_get_str(in, PROTO_SMALL_MAX);
	s.name = proto_get_str(in, PROTO_SMALL_MAX);
	if (!proto_get_end(in)) {
		proto_symbol_deinit(&s);
		return malformed(PROTO_SYMBOL, reterr);
	}
	if (!(has & 1)) {
		free(s.mod);
		s.mod = NULL;
	}
	if (!(has & 2)) {
		free(s.name);
		s.name = NULL;
	}
	*ret = s;
	return 0;
}

void proto_symbol_deinit(struct proto_symbol *s)
{
	free(s->mod);
	free(s->name);
	*s = (struct proto_symbol){ 0 };
}

/* ---- REFUSED, SAY, STOPPED ---- */

bool proto_said_encode(struct proto_out *o, enum proto_type type, int32_t code, const char *text)
{
	proto_begin(o, type);
	proto_u32(o, (uint32_t)code);
	proto_str(o, text);
	return proto_end(o);
}

int proto_said_decode(struct proto_in *in, struct proto_said *ret, struct err *reterr)
{
	int32_t code = (int32_t)proto_get_u32(in);
	char *text = proto_get_str(in, PROTO_SMALL_MAX);
	if (!proto_get_end(in)) {
		free(text);
		return err_setf(reterr, -EPROTO, "malformed message");
	}
	*ret = (struct proto_said){ code, text };
	return 0;
}
