/* SPDX-License-Identifier: MIT */
#include "../tap.h"

#include "proto/proto.h"

#include <errno.h>

static struct proto_in content(const struct proto_out *o)
{
	return (struct proto_in){ .p = o->p + PROTO_HEAD_BYTES, .left = o->cnt - PROTO_HEAD_BYTES };
}

static void heads(void)
{
	static const struct { uint8_t b[8]; bool ok; } v[] = {
		{ { 16, 0, 0, 0, PROTO_HELLO }, true }, { { 17, 0, 0, 0, PROTO_HELLO }, false }, { { 0, 0, 0, 0, PROTO_NONE }, false },
		{ { 0, 0, 0, 0, PROTO_TYPE_CNT }, false }, { { 0, 0, 0, 0, PROTO_WELCOME }, false }, { { 0, 0, 0, 0xff, PROTO_START }, false },
		{ { 0, 0, 0, 6, PROTO_START }, true }, { { 1, 0, 0, 6, PROTO_START }, false }, { { 0, 0, 0, 0, PROTO_ARM, 0, 1 }, false },
		{ { 0, 0, 0, 0, PROTO_ARM }, true }, { { 0, 0, 0, 0, PROTO_ARM, 1 }, false },
	};
	struct proto_head h;
	for (size_t i = 0; i < ARRAY_CNT(v); i++)
		CHECK_MSG(proto_head_decode(v[i].b, true, &h, NULL) == (v[i].ok ? 0 : -EPROTO), "head %zu", i);
	CHECK_EQ(proto_head_decode((const uint8_t[8]){ 0, 0, 0, 0, PROTO_ARM }, false, &h, NULL), -EPROTO);
}

static void strings_and_counts(void)
{
	struct proto_out o = { 0 };
	proto_begin(&o, PROTO_SAY);
	proto_u32(&o, 7);
	proto_str(&o, "one");
	proto_bytes(&o, "a\0b", 3);
	proto_u32(&o, UINT32_MAX); /* as a length: of nothing */
	CHECK(proto_end(&o));
	struct proto_in in = content(&o);
	CHECK_EQ(proto_get_u32(&in), 7);
	char *s = proto_get_str(&in, 3);
	CHECK_STR(s, "one");
	free(s);
	CHECK(!proto_get_str(&in, 10) && in.bad); /* a NUL in it */
	in.bad = false;
	size_t cnt;
	CHECK(!proto_get_bytes(&in, &cnt) && !cnt && in.bad);
	CHECK_EQ(proto_get_u64(&in), 0);
	proto_out_deinit(&o);
}

static struct proto_start request(struct proto_target *targets, struct proto_desc *descs)
{
	return (struct proto_start){ .progname = (char *)"dyntrace", .targets = targets, .target_cnt = 2, .descs = descs, .desc_cnt = 2,
		.clause_cnt = 2, .image = (const uint8_t *)"image", .image_bytes = 5 };
}

static void requests(void)
{
	struct proto_target targets[] = { { 5, 0 }, { 6, 1 } };
	struct proto_desc descs[] = { { { (char *)"pid5", (char *)"", (char *)"f", (char *)"entry" }, 0, 0 },
				      { { (char *)"", (char *)"", (char *)"", (char *)"END" }, 1, 0 } };
	struct proto_start s = request(targets, descs), got;
	struct proto_out o = { 0 };
	struct err e;
	s.exe_dev = 66;
	s.exe_ino = 1ull << 40;
	s.exe_root = 5;
	CHECK(proto_start_encode(&o, &s));
	struct proto_in in = content(&o);
	CHECK_EQ(proto_start_decode(&in, &got, &e), 0);
	CHECK_EQ(got.target_cnt, 2);
	CHECK_EQ(got.targets[1].is_new, 1);
	CHECK(got.exe_dev == 66 && got.exe_ino == 1ull << 40 && got.exe_root == 5);
	CHECK_STR(got.descs[1].part[3], "END");
	CHECK(got.image_bytes == 5 && !memcmp(got.image, "image", 5));
	proto_start_deinit(&got);
	for (size_t cut = PROTO_HEAD_BYTES; cut < o.cnt; cut++) {
		in = (struct proto_in){ .p = o.p + PROTO_HEAD_BYTES, .left = cut - PROTO_HEAD_BYTES };
		CHECK_MSG(proto_start_decode(&in, &got, &e) == -EPROTO, "cut at %zu", cut);
	}
	proto_out_deinit(&o);
}

static void wrong_requests(void)
{
	struct proto_out o = { 0 };
	struct err e;
	for (int i = 0; i < 9; i++) {
		struct proto_target targets[] = { { 5, 0 }, { 6, 1 } };
		struct proto_desc descs[] = { { { (char *)"", (char *)"", (char *)"", (char *)"" }, 0, 0 },
					      { { (char *)"", (char *)"", (char *)"", (char *)"" }, 1, 0 } };
		struct proto_start s = request(targets, descs), got;
		targets[1].pid = i == 0 ? 5 : i == 1 ? 0 : i == 2 ? 1u << 31 : 6;
		targets[0].is_new = i == 3 ? 2 : 0;
		descs[0].clause = i == 4 ? 1 : 0;
		descs[1].clause = i == 4 ? 0 : i == 5 ? 2 : 1;
		s.flags = i == 6 ? PROTO_FLAGS + 1 : 0;
		s.exe_ino = i == 7;
		s.exe_root = i == 8 ? 1u << 31 : 0;
		CHECK(proto_start_encode(&o, &s));
		struct proto_in in = content(&o);
		CHECK_MSG(proto_start_decode(&in, &got, &e) == -EPROTO, "request %d", i);
	}
	proto_out_deinit(&o);
}

static void tracepoints(void)
{
	struct proto_point v[] = { { 2, 0, { (char *)"a.out", (char *)"f", (char *)"entry", (char *)"" } },
				   { 3, UINT32_MAX, { (char *)"", (char *)"", (char *)"done", (char *)"myapp" } } };
	struct proto_points p = { .changed = 2, .v = v, .cnt = 2, .image = (const uint8_t *)"image", .image_bytes = 5 }, got;
	struct proto_out o = { 0 };
	struct err e;
	CHECK(proto_points_encode(&o, &p));
	struct proto_in in = content(&o);
	CHECK_EQ(proto_points_decode(&in, &got, &e), 0);
	CHECK(got.changed == 2 && got.cnt == 2 && got.v[1].clause == UINT32_MAX && got.image_bytes == 5);
	CHECK_STR(got.v[1].part[2], "done");
	CHECK_STR(got.v[1].part[3], "myapp");
	proto_points_deinit(&got);
	for (size_t cut = PROTO_HEAD_BYTES; cut < o.cnt; cut++) {
		in = (struct proto_in){ .p = o.p + PROTO_HEAD_BYTES, .left = cut - PROTO_HEAD_BYTES };
		CHECK_MSG(proto_points_decode(&in, &got, &e) == -EPROTO, "cut at %zu", cut);
	}
	proto_out_deinit(&o);
}

static void what_became_of_them(void)
{
	static const uint8_t page[PROTO_PAGE] = { 7 };
	struct proto_refusal v[] = { { 2, 0x1000, 0x1004, (char *)"too short" } };
	struct proto_pointed p = { .code = -ENOENT, .why = (char *)"no", .page = page, .v = v, .cnt = 1 }, got;
	struct proto_out o = { 0 };
	struct err e;
	CHECK(proto_pointed_encode(&o, &p));
	struct proto_in in = content(&o);
	CHECK_EQ(proto_pointed_decode(&in, &got, &e), 0);
	CHECK(got.code == -ENOENT && got.page[0] == 7 && got.cnt == 1 && got.v[0].addr == 0x1004);
	CHECK_STR(got.v[0].why, "too short");
	proto_pointed_deinit(&got);
	for (size_t cut = PROTO_HEAD_BYTES; cut < o.cnt; cut += cut < 40 ? 1 : 97) {
		in = (struct proto_in){ .p = o.p + PROTO_HEAD_BYTES, .left = cut - PROTO_HEAD_BYTES };
		CHECK_MSG(proto_pointed_decode(&in, &got, &e) == -EPROTO, "cut at %zu", cut);
	}
	proto_out_deinit(&o);
}

static void processes_that_run(void)
{
	const pid_t v[] = { 1, 4711, INT32_MAX };
	pid_t *got;
	uint32_t cnt;
	struct proto_out o = { 0 };
	struct err e;
	CHECK(proto_run_encode(&o, v, 3));
	struct proto_in in = content(&o);
	CHECK_EQ(proto_run_decode(&in, &got, &cnt, &e), 0);
	CHECK(cnt == 3 && got[1] == 4711 && got[2] == INT32_MAX);
	free(got);
	for (size_t cut = PROTO_HEAD_BYTES; cut < o.cnt; cut++) {
		in = (struct proto_in){ .p = o.p + PROTO_HEAD_BYTES, .left = cut - PROTO_HEAD_BYTES };
		CHECK_MSG(proto_run_decode(&in, &got, &cnt, &e) == -EPROTO, "cut at %zu", cut);
	}
	CHECK(proto_run_encode(&o, (const pid_t[]){ 0 }, 1));
	in = content(&o);
	CHECK_EQ(proto_run_decode(&in, &got, &cnt, &e), -EPROTO);
	proto_out_deinit(&o);
}

TAP_MAIN(TEST(heads), TEST(strings_and_counts), TEST(requests), TEST(wrong_requests), TEST(tracepoints), TEST(what_became_of_them),
	 TEST(processes_that_run))
