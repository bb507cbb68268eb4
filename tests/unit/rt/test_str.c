/* SPDX-License-Identifier: MIT */
/* Strings as DTrace's subroutines define them. */
#include "../tap.h"
#include "shm.h"

#define A 0u
#define B 512u
#define DST 1024u
#define END INT64_MAX

static struct wire_shm *shm;
static struct rt_ctx *ctx;

static void begin(void)
{
	shm = shm_create(NULL);
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
}

static void end(void)
{
	CHECK_EQ(ctx->fault, 0);
	shm_destroy(shm);
}

static uint64_t a(const char *s) { return shm_str(ctx, A, s); }
static uint64_t b(const char *s) { return shm_str(ctx, B, s); }

static void handles_are_checked(void)
{
	begin();
	uint32_t len, off = shm_intern(shm, "interned");
	CHECK_STR(shm_text(ctx, WIRE_SREF(WIRE_SREF_INTERN, off)), "interned");
	CHECK_STR(shm_text(ctx, a("scratch")), "scratch");
	static const uint64_t forged[] = { 0, 1, ~0ULL, WIRE_SREF(WIRE_SREF_SCRATCH, SHM_SCRATCH), WIRE_SREF(WIRE_SREF_SCRATCH, 4),
					   WIRE_SREF(WIRE_SREF_SCRATCH, ~7u), WIRE_SREF(WIRE_SREF_INTERN, ~7u), WIRE_SREF(3, 0) };
	for (size_t i = 0; i < ARRAY_CNT(forged); i++) {
		CHECK_STR(rt_str(ctx, forged[i], &len), "");
		CHECK_EQ(len, 0);
	}
	((struct wire_str *)rt_slot(ctx, A))->len = SHM_SCRATCH;
	CHECK_STR(rt_str(ctx, WIRE_SREF(WIRE_SREF_SCRATCH, A), &len), "");
	((struct wire_str *)rt_slot(ctx, A))->len = UINT32_MAX;
	CHECK_STR(rt_str(ctx, WIRE_SREF(WIRE_SREF_SCRATCH, A), &len), "");
	end();
}

static void comparing_and_copying(void)
{
	begin();
	CHECK_EQ(rt_str_cmp(ctx, a("abc"), b("abc"), 0, 0), 0);
	CHECK((int64_t)rt_str_cmp(ctx, a("abb"), b("abc"), 0, 0) < 0);
	CHECK((int64_t)rt_str_cmp(ctx, a("abcd"), b("abc"), 0, 0) > 0);
	CHECK((int64_t)rt_str_cmp(ctx, a("\xff"), b("a"), 0, 0) > 0);
	CHECK_EQ(rt_str_cmp(ctx, a(""), 0, 0, 0), 1); /* NULL is less than any */
	CHECK_EQ(rt_str_cmp(ctx, 0, a(""), 0, 0), -1);
	CHECK_EQ(rt_str_cmp(ctx, 0, 0, 0, 0), 0);
	CHECK_STR(shm_text(ctx, rt_str_copy(ctx, a("text"), DST, 0, 0)), "text");
	CHECK_STR(shm_text(ctx, rt_str_copy(ctx, a("text"), A, 0, 0)), "text");
	CHECK_EQ(rt_strlen(ctx, a("12345"), 0, 0, 0), 5);
	CHECK_EQ(rt_str_index(ctx, a("x\xff"), 0, 0, 0), 'x');
	CHECK_EQ(rt_str_index(ctx, a("x\xff"), 1, 0, 0), -1); /* char is signed */
	CHECK_EQ(rt_str_index(ctx, a("x"), 1, 0, 0), 0);
	CHECK_EQ(rt_str_index(ctx, a("x"), ~0ULL, 0, 0), 0);
	CHECK_STR((const char *)rt_str_addr(ctx, a("here"), 0, 0, 0), "here");
	CHECK_EQ(ctx->fault, 0);
	rt_str_index(ctx, 0, 3, 0, 0);
	CHECK_EQ(ctx->fault, WIRE_FAULT_BADADDR);
	CHECK_EQ(ctx->fault_value, 3);
	ctx->fault = 0;
	end();
}

static void behind_characters(void)
{
	begin();
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), 1, DST, 0)), "bc");
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), 0, DST, 0)), "abc");
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), 3, DST, 0)), "");
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), 4, DST, 0)), "");
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), ~0ULL, DST, 0)), "");
	CHECK_STR(shm_text(ctx, rt_str_plus(ctx, a("abc"), 2, A, 0)), "c");
	CHECK_EQ(ctx->fault, 0);
	rt_str_plus(ctx, 0, 2, DST, 0);
	CHECK_EQ(ctx->fault, WIRE_FAULT_BADADDR);
	CHECK_EQ(ctx->fault_value, 2);
	ctx->fault = 0;
	end();
}

static void joining(void)
{
	begin();
	CHECK_STR(shm_text(ctx, rt_strjoin(ctx, a("foo"), b("bar"), DST, 0)), "foobar");
	CHECK_STR(shm_text(ctx, rt_strjoin(ctx, a(""), b(""), DST, 0)), "");
	char forty[41];
	memset(forty, 'z', 40);
	forty[40] = 0;
	CHECK_EQ(strlen(shm_text(ctx, rt_strjoin(ctx, a(forty), b(forty), DST, 0))), SHM_STRSIZE);
	end();
}

static void substr(void)
{
	static const struct { const char *s; int64_t index, count; const char *want; } t[] = {
		{ "abcdef", 0, END, "abcdef" }, { "abcdef", 2, END, "cdef" }, { "abcdef", 6, END, "" }, { "abcdef", 7, 1, "" },
		{ "abcdef", 1, 3, "bcd" }, { "abcdef", 4, 9, "ef" }, { "abcdef", 1, 0, "" }, { "abcdef", 1, -2, "bcd" },
		{ "abcdef", 1, -5, "" }, { "abcdef", 1, -9, "" }, { "abcdef", 0, -6, "" }, { "abcdef", 0, -5, "a" },
		{ "abcdef", -2, END, "ef" }, { "abcdef", -2, 1, "e" }, { "abcdef", -6, 2, "ab" }, { "abcdef", -7, 2, "a" },
		{ "abcdef", -8, 2, "" }, { "abcdef", -9, 2, "" }, { "abcdef", -9, END, "abcdef" }, { "abcdef", -6 - (int)SHM_STRSIZE, END, "" }, { "abcdef", -9, 7, "abcd" },
		{ "abcdef", -4, -2, "cd" }, { "abcdef", -9, -2, "" }, { "", 0, END, "" }, { "", -1, 1, "" }, { "", 0, -1, "" },
		{ "abcdef", INT64_MIN, END, "" }, { "abcdef", INT64_MIN, INT64_MIN, "" }, { "abcdef", 3, INT64_MIN, "" },
		{ "abcdef", INT64_MAX, INT64_MAX, "" }, { "abcdef", 5, INT64_MAX - 1, "f" },
	};
	begin();
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		const char *got = shm_text(ctx, rt_substr(ctx, a(t[i].s), (uint64_t)t[i].index, (uint64_t)t[i].count, DST));
		CHECK_MSG(!strcmp(got, t[i].want), "substr(\"%s\", %lld, %lld) is \"%s\", not \"%s\"", t[i].s,
			  (long long)t[i].index, (long long)t[i].count, got, t[i].want);
	}
	CHECK_STR(shm_text(ctx, rt_substr(ctx, a("abcdef"), 2, END, A)), "cdef"); /* onto itself */
	end();
}

static void finding(void)
{
	begin();
	CHECK_STR(shm_text(ctx, rt_strchr(ctx, a("abcabc"), 'b', DST, 0)), "bcabc");
	CHECK_STR(shm_text(ctx, rt_strrchr(ctx, a("abcabc"), 'b', DST, 0)), "bc");
	CHECK_EQ(rt_strchr(ctx, a("abc"), 'x', DST, 0), 0);
	CHECK_EQ(rt_strrchr(ctx, a(""), 'x', DST, 0), 0);
	CHECK_STR(shm_text(ctx, rt_strchr(ctx, a("abc"), 0, DST, 0)), "");
	CHECK(rt_strchr(ctx, a("abc"), 0, DST, 0) != 0);
	CHECK_STR(shm_text(ctx, rt_strstr(ctx, a("foobarbaz"), b("bar"), DST, 0)), "barbaz");
	CHECK_STR(shm_text(ctx, rt_strstr(ctx, a("foo"), b(""), DST, 0)), "foo");
	CHECK_EQ(rt_strstr(ctx, a("foo"), b("foox"), DST, 0), 0);
	CHECK_STR(shm_text(ctx, rt_strrstr(ctx, a("barfoobarbaz"), b("bar"), DST, 0)), "barbaz");
	CHECK_STR(shm_text(ctx, rt_strrstr(ctx, a("foo"), b(""), DST, 0)), "");
	CHECK_EQ(rt_strrstr(ctx, a("foo"), b("foox"), DST, 0), 0);
	end();
}

static void indexes(void)
{
	static const struct { const char *s, *t; int64_t from; int index, rindex; } t[] = {
		{ "foobarbaz", "ba", 0, 3, -1 }, { "foobarbaz", "ba", 4, 6, 3 }, { "foobarbaz", "ba", 7, -1, 6 },
		{ "foobarbaz", "ba", -5, 3, -1 }, { "foobarbaz", "ba", 99, -1, 6 }, { "foobarbaz", "foobarbazz", 0, -1, -1 },
		{ "foo", "", 0, 0, 0 }, { "foo", "", 2, 2, 2 }, { "foo", "", 3, 3, 3 }, { "foo", "", 9, 3, 3 },
		{ "foo", "", -3, 0, 0 }, { "", "", 0, 0, 0 }, { "", "", 7, 0, 0 }, { "", "", -7, 0, 0 }, { "", "x", 0, -1, -1 },
		{ "foo", "foo", 0, 0, 0 }, { "aaa", "a", INT64_MAX, -1, 2 }, { "aaa", "a", INT64_MIN, 0, -1 },
	};
	begin();
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		int64_t got = (int64_t)rt_index(ctx, a(t[i].s), b(t[i].t), (uint64_t)t[i].from, 0);
		CHECK_MSG(got == t[i].index, "index(\"%s\", \"%s\", %lld) is %lld, not %d", t[i].s, t[i].t, (long long)t[i].from,
			  (long long)got, t[i].index);
		got = (int64_t)rt_rindex(ctx, a(t[i].s), b(t[i].t), (uint64_t)t[i].from, 0);
		CHECK_MSG(got == t[i].rindex, "rindex(\"%s\", \"%s\", %lld) is %lld, not %d", t[i].s, t[i].t,
			  (long long)t[i].from, (long long)got, t[i].rindex);
	}
	end();
}

static void numbers_to_text(void)
{
	static const struct { int64_t v; uint64_t base; const char *want; } t[] = {
		{ 0, 10, "0" }, { 1234, 10, "1234" }, { -1, 10, "-1" }, { INT64_MIN, 10, "-9223372036854775808" },
		{ INT64_MAX, 10, "9223372036854775807" }, { 255, 16, "0xff" }, { 0, 16, "0x0" }, { 8, 8, "010" }, { 0, 8, "0" },
		{ 5, 2, "101" }, { 0, 2, "0" }, { 35, 36, "z" }, { -1, 16, "0xffffffffffffffff" },
		{ -1, 8, "01777777777777777777777" },
		{ -1, 2, "1111111111111111111111111111111111111111111111111111111111111111" },
	};
	begin();
	for (size_t i = 0; i < ARRAY_CNT(t); i++)
		CHECK_STR(shm_text(ctx, rt_lltostr(ctx, (uint64_t)t[i].v, t[i].base, DST, 0)), t[i].want);
	static const uint64_t bad[] = { 0, 1, 37, ~0ULL };
	for (size_t i = 0; i < ARRAY_CNT(bad); i++) {
		rt_lltostr(ctx, 1, bad[i], DST, 0);
		CHECK_EQ(ctx->fault, WIRE_FAULT_ILLOP);
		ctx->fault = 0;
		rt_strtoll(ctx, a("1"), bad[i], 0, 0);
		CHECK_EQ(ctx->fault, WIRE_FAULT_ILLOP);
		ctx->fault = 0;
	}
	end();
}

static void text_to_numbers(void)
{
	static const struct { const char *s; uint64_t base; int64_t want; } t[] = {
		{ "", 10, 0 }, { "123", 10, 123 }, { " \t-42xyz", 10, -42 }, { "+7", 10, 7 }, { "0x1F", 16, 31 }, { "-0X1f", 16, -31 },
		{ "0xg", 16, 0 }, { "0x", 16, 0 }, { "1f", 16, 31 }, { "0x10", 10, 0 }, { "777", 8, 511 }, { "789", 8, 7 },
		{ "zZ", 36, 35 * 36 + 35 }, { "--1", 10, 0 }, { "- 1", 10, 0 }, { "9223372036854775807", 10, INT64_MAX },
		{ "-9223372036854775808", 10, INT64_MIN }, { "101", 2, 5 }, { "2", 2, 0 },
	};
	begin();
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		int64_t got = (int64_t)rt_strtoll(ctx, a(t[i].s), t[i].base, 0, 0);
		CHECK_MSG(got == t[i].want, "strtoll(\"%s\", %u) is %lld, not %lld", t[i].s, (unsigned)t[i].base, (long long)got,
			  (long long)t[i].want);
	}
	end();
}

static void paths(void)
{
	static const struct { const char *s, *base, *dir; } t[] = {
		{ "/usr/lib/x.so", "x.so", "/usr/lib" }, { "/usr/", "usr", "/" }, { "usr", "usr", "." }, { "/", "/", "/" },
		{ "//", "/", "/" }, { "///a//", "a", "/" }, { "a/b", "b", "a" }, { "a//b//", "b", "a" }, { ".", ".", "." },
		{ "..", "..", "." }, { "", ".", "." }, { "/a", "a", "/" }, { "a/", "a", "." }, { "//a/b", "b", "//a" },
	};
	begin();
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		CHECK_STR(shm_text(ctx, rt_basename(ctx, a(t[i].s), DST, 0, 0)), t[i].base);
		CHECK_STR(shm_text(ctx, rt_dirname(ctx, a(t[i].s), DST, 0, 0)), t[i].dir);
	}
	end();
}

static void string_variables(void)
{
	begin();
	rt_gstr_store(ctx, 64, a("global"), 0, 0);
	rt_tstr_store(ctx, 64, a("thread's own"), 0, 0);
	CHECK_STR(shm_text(ctx, rt_gstr_load(ctx, 64, DST, 0, 0)), "global");
	CHECK_STR(shm_text(ctx, rt_tstr_load(ctx, 64, DST, 0, 0)), "thread's own");
	CHECK_STR(shm_text(ctx, rt_gstr_load(ctx, 256, DST, 0, 0)), "");
	CHECK_EQ(rt_tstr_load(ctx, 256, DST, 0, 0), 0); /* never set */
	rt_gstr_store(ctx, 64, 0, 0, 0);
	rt_tstr_store(ctx, 64, 0, 0, 0);
	CHECK_EQ(rt_gstr_load(ctx, 64, DST, 0, 0), 0);
	CHECK_EQ(rt_tstr_load(ctx, 64, DST, 0, 0), 0);
	rt_gstr_store(ctx, 64, a(""), 0, 0);
	rt_tstr_store(ctx, 64, a(""), 0, 0);
	CHECK_STR(shm_text(ctx, rt_gstr_load(ctx, 64, DST, 0, 0)), "");
	CHECK(rt_tstr_load(ctx, 64, DST, 0, 0) != 0);
	memset((uint8_t *)shm + shm->global_off + 64, 0xfe, 16); /* damaged: ends somewhere */
	uint32_t len;
	rt_str(ctx, rt_gstr_load(ctx, 64, DST, 0, 0), &len);
	CHECK_EQ(len, SHM_STRSIZE);
	end();
}

static void environment(void)
{
	begin();
	shm->tsc_base = 1000;
	shm->ns_base = 5;
	shm->wall_base = 7;
	shm->tsc_mult = 3ULL << 31;
	ctx->tsc = 1000 + (1ULL << 40);
	ctx->clause = 3;
	CHECK_EQ(rt_env(ctx, WIRE_ENV_TIMESTAMP), 5 + (3ULL << 39));
	CHECK_EQ(rt_env(ctx, WIRE_ENV_WALLTIMESTAMP), 7 + (3ULL << 39));
	CHECK_EQ(rt_env(ctx, WIRE_ENV_PID), shm_proc(shm, 0)->pid);
	CHECK_EQ(rt_env(ctx, WIRE_ENV_TID), ctx->thr->tid);
	CHECK_EQ(rt_env(ctx, WIRE_ENV_CLAUSE), 3);
	CHECK_EQ(rt_env(ctx, WIRE_ENV_PROBEID), 7 + WIRE_SITE_ENTRY);
	CHECK_EQ(rt_env(ctx, WIRE_ENV_RET_OFFSET), 16 * WIRE_SITE_ENTRY);
	CHECK_EQ(rt_env(ctx, WIRE_ENV_CNT), 0);
	CHECK_STR(shm_text(ctx, rt_env(ctx, WIRE_ENV_EXECNAME)), "test");
	CHECK_STR(shm_text(ctx, rt_env(ctx, WIRE_ENV_PROBEPROV)), "pid1");
	CHECK_STR(shm_text(ctx, rt_env(ctx, WIRE_ENV_PROBEMOD)), "a.out");
	CHECK_STR(shm_text(ctx, rt_env(ctx, WIRE_ENV_PROBEFUNC)), "main");
	CHECK_STR(shm_text(ctx, rt_env(ctx, WIRE_ENV_PROBENAME)), "entry");
	uint64_t x = rt_rand(ctx, 0, 0, 0, 0), y = rt_rand(ctx, 0, 0, 0, 0);
	CHECK(x != y);
	end();
}

TAP_MAIN(TEST(handles_are_checked), TEST(comparing_and_copying), TEST(behind_characters), TEST(joining), TEST(substr), TEST(finding), TEST(indexes),
	 TEST(numbers_to_text), TEST(text_to_numbers), TEST(paths), TEST(string_variables), TEST(environment))
