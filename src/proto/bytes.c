/* SPDX-License-Identifier: MIT */
#include "proto/proto.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ORDER enum proto_type */
static const struct kind {
	const char *name;
	bool from_client;
	uint32_t max;
	uint32_t words; /* UINT32_MAX: other content */
} kinds[PROTO_TYPE_CNT] = {
	[PROTO_HELLO] = { "HELLO", true, 16, 2 },
	[PROTO_START] = { "START", true, PROTO_START_MAX, UINT32_MAX },
	[PROTO_ARM] = { "ARM", true, 0, 0 },
	[PROTO_TAIL] = { "TAIL", true, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_FOLDED] = { "FOLDED", true, 16, 2 },  /* slot, incarnation */
	[PROTO_GEN] = { "GEN", true, 16, 2 },        /* aggregation, generation */
	[PROTO_SPEC] = { "SPEC", true, 24, 3 },      /* enum proto_spec_what, id, bytes or generation */
	[PROTO_ERROR] = { "ERROR", true, 40, 5 },    /* probe, clause, pc, fault, value */
	[PROTO_LOOKUP] = { "LOOKUP", true, 16, 2 },  /* process, address */
	[PROTO_PROC_OF] = { "PROC_OF", true, 8, 1 }, /* pid */
	[PROTO_STOP] = { "STOP", true, 0, 0 },
	[PROTO_AGGS_READ] = { "AGGS_READ", true, 0, 0 },
	[PROTO_LOOK] = { "LOOK", true, 32, 4 },      /* pid, enum proto_look, start, end */
	[PROTO_FILE] = { "FILE", false, 8, 1 },      /* 0 and a descriptor, or errno */
	[PROTO_POINTS] = { "POINTS", true, PROTO_START_MAX, UINT32_MAX },
	[PROTO_POINTED] = { "POINTED", false, PROTO_MATCHED_MAX, UINT32_MAX },
	[PROTO_RUNNING] = { "RUNNING", true, 16, 2 }, /* device, inode */
	[PROTO_RUN] = { "RUN", false, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_DRAINS] = { "DRAINS", true, 0, 0 },
	[PROTO_WELCOME] = { "WELCOME", false, 16, 2 }, /* version, enum proto_right */
	[PROTO_REFUSED] = { "REFUSED", false, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_MATCHED] = { "MATCHED", false, PROTO_MATCHED_MAX, UINT32_MAX },
	[PROTO_ARMED] = { "ARMED", false, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_SAY] = { "SAY", false, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_RUNG] = { "RUNG", false, 8, 1 },      /* enum proto_rung */
	[PROTO_EVENT] = { "EVENT", false, 32, 4 },    /* enum proto_event, process, pid, status */
	[PROTO_FIRED] = { "FIRED", false, 0, 0 },
	[PROTO_SYMBOL] = { "SYMBOL", false, PROTO_SMALL_MAX, UINT32_MAX },
	[PROTO_PROC] = { "PROC", false, 8, 1 },
	[PROTO_STOPPED] = { "STOPPED", false, PROTO_SMALL_MAX, UINT32_MAX },
};

const char *proto_name(enum proto_type type)
{
	return type < PROTO_TYPE_CNT && kinds[type].name ? kinds[type].name : "unknown";
}

uint32_t proto_word_cnt(enum proto_type type) { return type < PROTO_TYPE_CNT ? kinds[type].words : UINT32_MAX; }

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }

int proto_head_decode(const uint8_t *p, bool from_client, struct proto_head *ret, struct err *reterr)
{
	struct proto_head h = { get32(p), get16(p + 4), get16(p + 6) };
	if (h.zero || h.type >= PROTO_TYPE_CNT || !kinds[h.type].name || kinds[h.type].from_client != from_client)
		return err_setf(reterr, -EPROTO, "message of unknown type %u", h.type);
	if (h.bytes > kinds[h.type].max)
		return err_setf(reterr, -EPROTO, "message %s of %u bytes: at most %u", kinds[h.type].name, h.bytes, kinds[h.type].max);
	*ret = h;
	return 0;
}

/* ---- writing ---- */

static void put(struct proto_out *o, const void *p, size_t cnt)
{
	if (o->bad)
		return;
	if (cnt > o->cap - o->cnt) {
		size_t cap = 2 * o->cap + cnt + 64;
		uint8_t *more = cnt <= PROTO_START_MAX ? realloc(o->p, cap) : NULL;
		if (!more) {
			o->bad = true;
			return;
		}
		o->p = more;
		o->cap = cap;
	}
	if (cnt)
		memcpy(o->p + o->cnt, p, cnt);
	o->cnt += cnt;
}

void proto_begin(struct proto_out *o, enum proto_type type)
{
	const uint8_t head[PROTO_HEAD_BYTES] = { 0, 0, 0, 0, (uint8_t)type, (uint8_t)(type >> 8), 0, 0 };
	o->cnt = 0;
	o->bad = false;
	put(o, head, sizeof(head));
}

void proto_u32(struct proto_out *o, uint32_t v)
{
	v = htole32(v);
	put(o, &v, sizeof(v));
}

void proto_u64(struct proto_out *o, uint64_t v)
{
	v = htole64(v);
	put(o, &v, sizeof(v));
}

void proto_bytes(struct proto_out *o, const void *p, size_t cnt)
{
	if (cnt > UINT32_MAX)
		o->bad = true;
	proto_u32(o, (uint32_t)cnt);
	put(o, p, cnt);
}

void proto_str(struct proto_out *o, const char *s) { proto_bytes(o, s, strlen(s)); }

bool proto_end(struct proto_out *o)
{
	if (o->bad || o->cnt < PROTO_HEAD_BYTES || o->cnt - PROTO_HEAD_BYTES > kinds[get16(o->p + 4)].max)
		return false;
	uint32_t bytes = htole32((uint32_t)(o->cnt - PROTO_HEAD_BYTES));
	memcpy(o->p, &bytes, sizeof(bytes));
	return true;
}

void proto_out_deinit(struct proto_out *o)
{
	free(o->p);
	*o = (struct proto_out){ 0 };
}

/* ---- reading ---- */

static const uint8_t *take(struct proto_in *in, size_t cnt)
{
	if (in->bad || in->left < cnt) {
		in->bad = true;
		return NULL;
	}
	const uint8_t *p = in->p;
	in->p += cnt;
	in->left -= cnt;
	return p;
}

uint32_t proto_get_u32(struct proto_in *in)
{
	const uint8_t *p = take(in, 4);
	return p ? get32(p) : 0;
}

uint64_t proto_get_u64(struct proto_in *in)
{
	const uint8_t *p = take(in, 8);
	return p ? get32(p) | (uint64_t)get32(p + 4) << 32 : 0;
}

const uint8_t *proto_get_bytes(struct proto_in *in, size_t *ret_cnt)
{
	*ret_cnt = proto_get_u32(in);
	const uint8_t *p = take(in, *ret_cnt);
	if (!p)
		*ret_cnt = 0;
	return p;
}

char *proto_get_str(struct proto_in *in, size_t max)
{
	size_t cnt;
	const uint8_t *p = proto_get_bytes(in, &cnt);
	char *s = p && cnt <= max && !memchr(p, 0, cnt) ? malloc(cnt + 1) : NULL;
	if (!s) {
		in->bad = true;
		return NULL;
	}
	memcpy(s, p, cnt);
	s[cnt] = 0;
	return s;
}

bool proto_get_end(const struct proto_in *in) { return !in->bad && !in->left; }

/* ---- a few numbers ---- */

bool proto_words_encode(struct proto_out *o, enum proto_type type, const uint64_t *v)
{
	proto_begin(o, type);
	for (uint32_t i = 0; i < kinds[type].words; i++)
		proto_u64(o, v[i]);
	return proto_end(o);
}

int proto_words_decode(struct proto_in *in, enum proto_type type, uint64_t ret[PROTO_WORDS], struct err *reterr)
{
	uint64_t v[PROTO_WORDS] = { 0 };
	for (uint32_t i = 0; i < kinds[type].words && i < PROTO_WORDS; i++)
		v[i] = proto_get_u64(in);
	if (!proto_get_end(in))
		return err_setf(reterr, -EPROTO, "message %s has the wrong length", kinds[type].name);
	memcpy(ret, v, sizeof(v));
	return 0;
}
