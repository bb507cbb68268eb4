/* SPDX-License-Identifier: MIT */
/* printf() conversions. */
#include "fixture.h"

#include <time.h>

static struct fx fx;

static void setup(void)
{
	static struct plan_clause cl = { .mask_off = WIRE_NONE };
	fx_init(&fx, &cl, 1, NULL, NULL, 0);
}

static char printed[512];
/* What @format makes of @vals. */
static const char *show(const char *format, const struct plan_val *vals, uint32_t cnt, const void *data, uint32_t bytes)
{
	struct fmt f;
	struct err e;
	struct datum_src src = { data, bytes, 0, NULL };
	FILE *fp = fmemopen(printed, sizeof(printed), "w");
	CHECK_EQ(consume_fmt_parse(format, &f, &e), 0);
	int rc = consume_fmt_print(fx.c, fp, &f, vals, cnt, &src, NULL);
	fclose(fp);
	consume_fmt_deinit(&f);
	return rc ? "(failed)" : printed;
}

static const char *show_int(const char *format, uint32_t size, bool is_signed, int64_t v)
{
	struct plan_val pv = { .kind = PLAN_INT, .size = size, .is_signed = is_signed };
	return show(format, &pv, 1, &v, 8);
}

static const char *show_str(const char *format, const char *s)
{
	struct plan_val pv = { .kind = PLAN_STR };
	struct { struct wire_vref ref; char s[64]; } p = { .ref = { 8, (uint32_t)strlen(s) } };
	memcpy(p.s, s, strlen(s));
	return show(format, &pv, 1, &p, sizeof(p));
}

static const char *show_bytes(const char *format, const void *bytes, uint32_t cnt)
{
	struct plan_val pv = { .kind = PLAN_BYTES, .size = cnt };
	struct { struct wire_vref ref; char b[64]; } p = { .ref = { 8, cnt } };
	memcpy(p.b, bytes, cnt);
	return show(format, &pv, 1, &p, sizeof(p));
}

static void floating_point(void)
{
	const float f = 1.5f;
	const double d = -0.125;
	const long double ld = 1e10L;
	setup();
	CHECK_STR(show_bytes("%f", &f, sizeof(f)), "1.500000");
	CHECK_STR(show_bytes("[%8.2f]", &d, sizeof(d)), "[   -0.12]");
	CHECK_STR(show_bytes("%e", &d, sizeof(d)), "-1.250000e-01");
	CHECK_STR(show_bytes("%G", &ld, sizeof(ld)), "1E+10");
	CHECK_STR(show_bytes("%Lf", &ld, sizeof(ld)), "10000000000.000000");
	CHECK_STR(show_bytes("%f", &ld, 3), "0.000000"); /* none */
	fx_deinit(&fx);
}

static void wide_text(void)
{
	const uint32_t text[] = { 'A', 0xe9, 0x20ac, 0x1f600, 0, 'x' }, odd[] = { 0xd800, 0x110000 };
	setup();
	CHECK_STR(show_bytes("%ls|", text, sizeof(text)), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|");
	CHECK_STR(show_bytes("%ws", text, 7), "A");
	CHECK_STR(show_bytes("%ls", odd, sizeof(odd)), "??");
	CHECK_STR(show_int("[%3lc]", 4, true, 'y'), "[  y]");
	fx_deinit(&fx);
}

static void integers(void)
{
	setup();
	CHECK_STR(show_int("%d", 4, true, -3), "-3");
	CHECK_STR(show_int("%d", 4, false, 0xfffffffd), "4294967293");
	CHECK_STR(show_int("%u", 4, true, -3), "4294967293");
	CHECK_STR(show_int("%x", 2, true, -1), "ffff");
	CHECK_STR(show_int("%x", 8, true, -1), "ffffffffffffffff");
	CHECK_STR(show_int("%#x|", 8, true, 255), "0xff|");
	CHECK_STR(show_int("%p", 8, false, 0x1234), "1234");
	CHECK_STR(show_int("[%6d]", 8, true, 42), "[    42]");
	CHECK_STR(show_int("[%-6d]", 8, true, 42), "[42    ]");
	CHECK_STR(show_int("[%06d]", 8, true, 42), "[000042]");
	CHECK_STR(show_int("[%+d]", 8, true, 42), "[+42]");
	CHECK_STR(show_int("[%.4d]", 8, true, 42), "[0042]");
	CHECK_STR(show_int("%?x", 8, true, 0xab), "              ab");
	CHECK_STR(show_int("%o", 8, true, 8), "10");
	CHECK_STR(show_int("%lld", 8, true, -9), "-9");
	CHECK_STR(show_int("%hd", 2, true, -9), "-9");
	CHECK_STR(show_int("%i%%", 8, true, 100), "100%");
	fx_deinit(&fx);
}

/* Numbers of all lengths, in what goes through stdio and in what does not. */
static void as_printf_has_them(void)
{
	static const char *const shapes[] = { "", "3", "-3", "03", "24", "-24", "024", "+", " ", "#", "#24", "+24", ".3", "24.7" };
	static const char convs[] = "dioxXu";
	setup();
	for (size_t s = 0; s < ARRAY_CNT(shapes); s++) {
		for (size_t k = 0; convs[k]; k++) {
			char ours[16], theirs[16], want[64];
			snprintf(ours, sizeof(ours), "%%%s%c", shapes[s], convs[k]);
			snprintf(theirs, sizeof(theirs), "%%%sll%c", shapes[s], convs[k]);
			for (uint32_t n = 0; n < 64; n++) {
				int64_t v = (int64_t)(0x9e3779b97f4a7c15ULL >> n) * (n % 3 == 1 ? -1 : 1);
				v = n == 1 ? INT64_MIN : n == 2 ? 0 : n == 3 ? 99 : n == 4 ? 100 : v;
				snprintf(want, sizeof(want), theirs, (long long)v);
				CHECK_STR(show_int(ours, 8, true, v), want);
			}
		}
	}
	CHECK_STR(show_str("[%5s]", "abc"), "[  abc]");
	CHECK_STR(show_str("[%-5s]", "abc"), "[abc  ]");
	CHECK_STR(show_str("[%2s]", "abc"), "[abc]");
	CHECK_STR(show_str("[%.2s]", "abc"), "[ab]");
	CHECK_STR(show_str("100%% [%1s]", ""), "100% [ ]");
	fx_deinit(&fx);
}

static void characters(void)
{
	setup();
	CHECK_STR(show_int("%c", 1, true, 'x'), "x");
	CHECK_STR(show_int("%C", 1, true, '\n'), "\\n");
	CHECK_STR(show_int("%C", 1, true, 1), "\\001");
	CHECK_STR(show_str("%s", "text"), "text");
	CHECK_STR(show_str("[%8s]", "text"), "[    text]");
	CHECK_STR(show_str("[%-8s]", "text"), "[text    ]");
	CHECK_STR(show_str("%.2s", "text"), "te");
	CHECK_STR(show_str("%S", "a\tb\"\\"), "a\\tb\\\"\\\\\\0");
	fx_deinit(&fx);
}

static void stars(void)
{
	setup();
	struct plan_val v[] = { { .off = 0, .size = 4, .is_signed = true }, { .off = 8, .size = 4, .is_signed = true },
				{ .off = 16, .size = 8, .is_signed = true } };
	int64_t d[] = { 8, 3, 5 };
	CHECK_STR(show("[%*.*d]", v, 3, d, sizeof(d)), "[     005]");
	d[0] = -8;
	CHECK_STR(show("[%*.*d]", v, 3, d, sizeof(d)), "[005     ]");
	CHECK_STR(show("%d", v, 0, d, sizeof(d)), "(failed)");
	fx_deinit(&fx);
}

static void times(void)
{
	setup();
	setenv("TZ", "UTC", 1);
	tzset();
	CHECK_STR(show_int("%Y", 8, false, 123456789LL * 1000000000), "1973 Nov 29 21:33:09");
	CHECK_STR(show_int("%T", 8, false, 0), "Thu, 01 Jan 1970 00:00:00 UTC");
	fx_deinit(&fx);
}

static void addresses(void)
{
	setup();
	/* No process to ask: the bare address. */
	CHECK_STR(show_int("%A", 8, false, 0x4000), "0x4000");
	CHECK_STR(show_int("[%10a]", 8, false, 0x4000), "[    0x4000]");
	fx_deinit(&fx);
}

static void bad_formats(void)
{
	struct fmt f;
	struct err e;
	CHECK_EQ(consume_fmt_parse("%", &f, &e) < 0, 1);
	CHECK_EQ(consume_fmt_parse("%1$d", &f, &e) < 0, 1);
	CHECK_EQ(consume_fmt_parse("%y", &f, &e) < 0, 1);
	CHECK_EQ(consume_fmt_parse("", &f, &e), 0);
	consume_fmt_deinit(&f);
}

TAP_MAIN(TEST(floating_point), TEST(wide_text), TEST(integers), TEST(as_printf_has_them),
	 TEST(characters), TEST(stars), TEST(times), TEST(addresses), TEST(bad_formats))
