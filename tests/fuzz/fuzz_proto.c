/* SPDX-License-Identifier: MIT */
/*
 * Messages from anywhere, to either side: what is decoded encodes to the same
 * bytes, or at least decodes again; nothing else may happen.
 */
#include "fuzz.h"

#include "proto/proto.h"

#include <stdlib.h>
#include <string.h>

static size_t take(struct proto_out *o, uint8_t *buf, size_t cap)
{
	size_t cnt = proto_end(o) && o->cnt <= cap ? o->cnt : 0;
	memcpy(buf, o->p, cnt);
	proto_out_deinit(o);
	return cnt;
}

static void seed_start(struct proto_out *o)
{
	struct proto_target targets[] = { { 1, 0 }, { 77, 1 } };
	struct proto_desc descs[] = { { { (char *)"pid1", (char *)"a.out", (char *)"f*", (char *)"entry" }, 0, 0 },
				      { { (char *)"", (char *)"", (char *)"", (char *)"" }, 1, 5 } };
	struct proto_start s = { .sizes = { 4096, 4096, 4096, 8, 256, 1, 64, UINT32_MAX, 0, 24, 32 }, .flags = PROTO_FOLLOW,
		.progname = (char *)"dyntrace", .targets = targets, .target_cnt = 2, .descs = descs, .desc_cnt = 2, .clause_cnt = 2,
		.image = (const uint8_t *)"DYIR", .image_bytes = 4 };
	proto_start_encode(o, &s);
}

static void seed_answer(struct proto_out *o, unsigned i)
{
	static struct proto_armed armed = { .bytes = 1 << 20, .own_off = 4096, .own_bytes = 8192, .sites = 3, .target_cnt = 1 };
	uint32_t cnts[] = { 1, 0, 3 };
	if (i == 0)
		proto_matched_encode(o, &(struct proto_matched){ .cnts = cnts, .cnt = 3, .bad = 1, .why = (char *)"no such" });
	else if (i == 1)
		proto_armed_encode(o, &armed);
	else if (i == 2)
		proto_symbol_encode(o, &(struct proto_symbol){ (char *)"libc.so.6", (char *)"write", 4096, 8192 });
	else
		proto_said_encode(o, i == 3 ? PROTO_REFUSED : PROTO_SAY, -1, "not permitted");
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	static const uint64_t v[PROTO_WORDS] = { PROTO_MAGIC, PROTO_VERSION, 1, 2, 3 };
	struct proto_out o = { 0 };
	if (i >= PROTO_TYPE_CNT + 6)
		return 0;
	if (i >= PROTO_TYPE_CNT + 1)
		seed_answer(&o, i - PROTO_TYPE_CNT - 1);
	else if (i == PROTO_TYPE_CNT)
		proto_tails_encode(&o, (struct proto_tail[]){ { 1, 64 }, { 2, 4096 } }, 2);
	else if (i != PROTO_NONE && proto_word_cnt((enum proto_type)i) != UINT32_MAX)
		proto_words_encode(&o, (enum proto_type)i, v);
	else
		seed_start(&o);
	return take(&o, buf, cap);
}

static void same(struct proto_out *o, bool encoded, const uint8_t *p, size_t cnt)
{
	if (!encoded || o->cnt != cnt || memcmp(o->p, p, cnt))
		abort();
	proto_out_deinit(o);
}

static void start(struct proto_in *in, const uint8_t *p, size_t cnt)
{
	struct proto_start s;
	struct proto_out o = { 0 };
	struct err e;
	if (proto_start_decode(in, &s, &e))
		return;
	same(&o, proto_start_encode(&o, &s), p, cnt);
	proto_start_deinit(&s);
}

static void tails(struct proto_in *in, const uint8_t *p, size_t cnt)
{
	struct proto_tail v[PROTO_TAILS];
	struct proto_out o = { 0 };
	uint32_t n;
	if (!proto_tails_decode(in, v, &n, NULL))
		same(&o, proto_tails_encode(&o, v, n), p, cnt);
}

static void tracepoints(struct proto_in *in, const uint8_t *p, size_t cnt)
{
	struct proto_points v;
	struct proto_out o = { 0 };
	if (proto_points_decode(in, &v, NULL))
		return;
	same(&o, proto_points_encode(&o, &v), p, cnt);
	proto_points_deinit(&v);
}

static void answer(enum proto_type type, struct proto_in *in, const uint8_t *p, size_t cnt)
{
	static struct proto_armed armed;
	struct proto_matched m;
	struct proto_symbol sym;
	struct proto_said said;
	struct proto_pointed pointed;
	struct proto_out o = { 0 };
	pid_t *pids;
	uint32_t cnt_pids;
	if (type == PROTO_RUN && !proto_run_decode(in, &pids, &cnt_pids, NULL)) {
		same(&o, proto_run_encode(&o, pids, cnt_pids), p, cnt);
		free(pids);
	}
	if (type == PROTO_POINTED && !proto_pointed_decode(in, &pointed, NULL)) {
		same(&o, proto_pointed_encode(&o, &pointed), p, cnt);
		proto_pointed_deinit(&pointed);
	} else if (type == PROTO_MATCHED && !proto_matched_decode(in, &m, NULL)) {
		same(&o, proto_matched_encode(&o, &m), p, cnt);
		proto_matched_deinit(&m);
	} else if (type == PROTO_ARMED && !proto_armed_decode(in, &armed, NULL)) {
		same(&o, proto_armed_encode(&o, &armed), p, cnt);
	} else if (type == PROTO_SYMBOL && !proto_symbol_decode(in, &sym, NULL)) {
		proto_symbol_encode(&o, &sym); /* what is not there has no bytes, whatever came with it */
		proto_out_deinit(&o);
		proto_symbol_deinit(&sym);
	} else if ((type == PROTO_REFUSED || type == PROTO_SAY || type == PROTO_STOPPED) && !proto_said_decode(in, &said, NULL)) {
		same(&o, proto_said_encode(&o, type, said.code, said.text), p, cnt);
		free(said.text);
	}
}

static void few_words(enum proto_type type, struct proto_in *in, const uint8_t *p, size_t cnt)
{
	uint64_t v[PROTO_WORDS];
	struct proto_out o = { 0 };
	if (!proto_words_decode(in, type, v, NULL))
		same(&o, proto_words_encode(&o, type, v), p, cnt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct proto_head h;
	struct err e;
	if (bytes < PROTO_HEAD_BYTES || (proto_head_decode(data, true, &h, &e) && proto_head_decode(data, false, &h, &e)))
		return 0;
	if (h.bytes > bytes - PROTO_HEAD_BYTES)
		return 0;
	/* A copy that ends where the message does, for the sanitizers to see. */
	uint8_t *p = malloc(h.bytes + 1ul);
	memcpy(p, data + PROTO_HEAD_BYTES, h.bytes);
	uint8_t *exact = realloc(p, h.bytes ? h.bytes : 1);
	struct proto_in in = { .p = exact ? exact : p, .left = h.bytes };
	size_t cnt = PROTO_HEAD_BYTES + h.bytes;
	if (h.type == PROTO_START)
		start(&in, data, cnt);
	else if (h.type == PROTO_TAIL)
		tails(&in, data, cnt);
	else if (h.type == PROTO_POINTS)
		tracepoints(&in, data, cnt);
	else if (proto_word_cnt((enum proto_type)h.type) != UINT32_MAX)
		few_words((enum proto_type)h.type, &in, data, cnt);
	else
		answer((enum proto_type)h.type, &in, data, cnt);
	free(exact ? exact : p);
	return 0;
}
