/* SPDX-License-Identifier: MIT */
/* What programs mean: each runs on the interpreter, optimised and not, and the
 * consumer shows its records. */
#include "../tap.h"

#include "consume/consume.h"
#include "d/d.h"
#include "ir/interp.h"
#include "mkshm.h"

#include <errno.h>

static struct {
	int32_t ints[4];
	char text[32];
	struct {
		unsigned low : 3, mid : 7;
		int neg : 5;
	} bits;
} memory = { { 10, -20, 30, 40 }, "in memory", { 5, 100, -3 } };

static const uint64_t args[10] = { 7, (uint64_t)-8, (uint64_t)(uintptr_t)&memory, 3, 4, 5, 6, 7, 8, 9 };

static int take_option(void *arg, const char *name, const char *value, struct err *reterr)
{
	(void)arg;
	(void)value;
	return strcmp(name, "bogus") ? 0 : err_setf(reterr, -ENOENT, "no such option");
}

static void fire(struct mkshm *m, const struct d_program *prog)
{
	const struct ir_prog *p;
	for (uint32_t i = 0; i < prog->image.prog_cnt; i++) {
		p = &prog->image.progs[i];
		ir_interp_fire(m->shm, mkshm_site(m, WIRE_SITE_TOOL), &p, 1, args);
	}
}

static void consume(struct mkshm *m, const struct d_program *prog, FILE *out)
{
	struct consume_opts opts = { .out = out, .errs = out, .progname = "d", .quiet = true, .no_ids = true, .stackindent = 14 };
	struct consume *c;
	struct err e;
	if (consume_create(m->shm, &prog->plan, &prog->image, &opts, &c, &e) < 0) {
		fprintf(out, "consume: %s\n", e.msg);
		return;
	}
	if (consume_drain(c, true, &e) < 0)
		fprintf(out, "drain: %s\n", e.msg);
	consume_destroy(c);
}

static void run_program(struct d_program *prog, FILE *out)
{
	struct mkshm m;
	struct err e;
	for (uint32_t i = 0; i < prog->image.agg_cnt; i++)
		prog->image.aggs[i].gen = 0;
	if (ir_image_verify(&prog->image, &e)) {
		fprintf(out, "verifier: %s\n", e.msg);
		return;
	}
	mkshm_init(&m, &prog->image, NULL, 0);
	fire(&m, prog);
	consume(&m, prog, out);
	mkshm_deinit(&m);
}

static char *run(const char *text, bool optimize)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	struct d_opts opts = { .macros = { .target = 1, .pid = 1 }, .set_option = take_option };
	struct d_source src = { .name = NULL, .text = text, .kind = D_SRC_NAME };
	struct d_program prog;
	struct d_compiler *c = d_create(&opts);
	if (d_compile(c, &src, 1, &prog)) {
		for (uint32_t i = 0; i < d_diag_cnt(c); i++)
			d_diag_print(f, "d", d_diag_at(c, i), true);
	} else {
		for (uint32_t i = 0; optimize && i < prog.image.prog_cnt; i++)
			ir_prog_optimize(&prog.image.progs[i]);
		run_program(&prog, f);
		d_program_deinit(&prog);
	}
	d_destroy(c);
	fclose(f);
	return out;
}

static void expect(const char *text, const char *want, int line)
{
	for (int optimize = 0; optimize < 2; optimize++) {
		char *got = run(text, optimize);
		tap_check(!strcmp(got, want), __FILE__, line, "%s\n# %s: \"%s\", not \"%s\"", text, optimize ? "optimised" : "plain", got,
			  want);
		free(got);
	}
}
#define RUN(text, want) expect(text, want, __LINE__)
/* One integer expression. */
#define INT(expr, want) expect("BEGIN { printf(\"%d\", (long)(" expr ")); }", want, __LINE__)
#define STR(expr, want) expect("BEGIN { printf(\"[%s]\", " expr "); }", "[" want "]", __LINE__)

static void integers(void)
{
	INT("1 + 2 * 3 - 4 / 2 % 3", "5");
	INT("arg0 * arg1", "-56");
	INT("arg1 / 3", "-2");
	INT("arg1 % 3", "-2");
	INT("(uint64_t)arg1 / 2 > 1000", "1");
	INT("arg1 >> 1", "-4");
	INT("(uint64_t)arg1 >> 63", "1");
	INT("(int)arg1 < (unsigned int)arg0", "0");
	INT("(long)(int)arg1 < (unsigned int)arg0", "1");
	INT("(char)(arg0 + 250)", "1");
	INT("(unsigned char)arg1", "248");
	INT("(uint16_t)arg1", "65528");
	INT("(int)(2147483640 + (int)arg0 + 1)", "-2147483648");
	/* 64 bits until it is stored, cast to fewer or shown, as in DTrace. */
	INT("(unsigned int)4294967290 + (unsigned int)arg0", "4294967297");
	INT("(unsigned int)((unsigned int)4294967290 + (unsigned int)arg0)", "1");
	INT("~arg0", "-8");
	INT("-arg0", "-7");
	INT("!arg0 + !0", "1");
	INT("(arg0 ^ 5) | 8 & 12", "10");
	INT("1 << arg0", "128");
	INT("(int)arg0 << 29", "3758096384");
	INT("(int)((int)arg0 << 29)", "-536870912");
	INT("(_Bool)arg0 + (_Bool)0", "1");
	INT("'a' + '\\n'", "107");
	INT("0x10 + 010", "24");
	INT("sizeof (int) + sizeof (char *) + sizeof (arg0)", "20");
	INT("18446744073709551615 == -1", "1");
	INT("-1 / 2u", "2147483647");
	INT("-1 > 0u", "1");
	INT("-1L > 0u", "0");
}

static void logic(void)
{
	INT("arg0 && arg1", "1");
	INT("0 || !arg0", "0");
	INT("arg0 ^^ arg1", "0");
	INT("arg0 == 7 ? arg1 < 0 ? 1 : 2 : 3", "1");
	INT("(arg0, arg1, 5)", "5");
	RUN("BEGIN { x = 1; y = 0 && (x = 2); y = 1 || (x = 3); printf(\"%d %d\", x, y); }", "1 1");
	RUN("BEGIN { if (arg0 > 8) printf(\"a\"); else if (arg0 == 7) { printf(\"b\"); if (0) printf(\"c\"); else printf(\"d\"); } "
	    "else printf(\"e\"); printf(\"f\"); }", "bdf");
	RUN("BEGIN /arg0 == 8/ { printf(\"no\"); } BEGIN /arg0 == 7/ { printf(\"yes\"); }", "yes");
	RUN("BEGIN /0/ { x = 1; } BEGIN { printf(\"%d\", x); }", "0");
}

static void variables(void)
{
	RUN("BEGIN { x = 5; x += 3; x *= 2; x -= 1; x /= 2; x %= 4; x <<= 3; x >>= 1; x |= 1; x ^= 3; x &= 14; printf(\"%d\", x); }", "14");
	RUN("BEGIN { x = 5; printf(\"%d %d \", x++, ++x); printf(\"%d %d %d\", x--, --x, x); }", "5 7 7 5 5");
	RUN("char c; BEGIN { c = 127; c++; printf(\"%d\", c); }", "-128");
	RUN("uint8_t c; BEGIN { c = 255; c++; printf(\"%d\", c); }", "0");
	RUN("unsigned int u; BEGIN { u = 0; u--; printf(\"%u\", u); }", "4294967295");
	RUN("BEGIN { self->a = 1; this->b = 2; c = 3; } BEGIN { self->a += 10; this->b = c; printf(\"%d %d\", self->a, this->b); }", "11 3");
	RUN("this int t; BEGIN { this->t = 4; printf(\"%d \", this->t); } BEGIN { printf(\"%d\", this->t); }", "4 0");
	RUN("int g; BEGIN { printf(\"%d \", g); g = timestamp != 0; printf(\"%d\", g); }", "0 1");
	RUN("BEGIN { count1++; count1++; printf(\"%d\", count1); }", "2");
	RUN("inline int K = 4 * 2; enum { A, B = 5 }; BEGIN { printf(\"%d %d\", K + 1, A + B); }", "9 5");
	RUN("struct s { char c; int i; long l[2]; }; struct s g; self struct s t; BEGIN { g.i = -5; g.c = 300; self->t.l[1] = g.i; "
	    "printf(\"%d %d %d %d\", g.i, g.c, self->t.l[1], self->t.l[0]); }", "-5 44 -5 0");
	RUN("int a[3]; BEGIN { a[1] = 4; a[2] = a[1] + 1; printf(\"%d %d %d\", a[0], a[1], a[2]); }", "0 4 5");
}

static void arrays(void)
{
	RUN("BEGIN { a[1] = 5; a[2] = a[1] + 1; printf(\"%d %d %d\", a[1], a[2], a[3]); }", "5 6 0");
	RUN("BEGIN { a[\"x\", arg0] = 5; a[\"x\", 7]++; a[\"y\", 7] += 2; printf(\"%d %d\", a[\"x\", 7], a[\"y\", 7]); }", "6 2");
	RUN("BEGIN { a[probefunc] = 3; printf(\"%d\", a[\"function\"]); }", "3");
	RUN("BEGIN { self->s[1] = \"one\"; self->s[2] = self->s[1]; self->s[1] = 0; printf(\"%d[%s]\", self->s[1] == NULL, "
	    "self->s[2]); }", "1[one]");
	RUN("BEGIN { a[1] = 1; a[1] = 0; printf(\"%d\", a[1]); }", "0");
	RUN("BEGIN { a[1] = 2; a[2] = 3; printf(\"%d\", a[a[1]]); }", "3");
	RUN("int v[int, string]; BEGIN { v[(char)1, \"k\"] = 3; printf(\"%d\", v[257 - 256, \"k\"]); }", "3");
	RUN("BEGIN { g[strjoin(\"a\", \"b\")] = strjoin(\"c\", \"d\"); printf(\"%s\", g[\"ab\"]); }", "cd");
}

static void strings(void)
{
	STR("strjoin(strjoin(\"a\", \"b\"), strjoin(\"c\", \"d\"))", "abcd");
	STR("substr(\"hello\", 1, 3)", "ell");
	STR("substr(\"hello\", 3)", "lo");
	STR("lltostr(arg1)", "-8");
	STR("lltostr(255, 16)", "0xff");
	STR("strchr(\"hello\", 'l')", "llo");
	STR("strrchr(\"hello\", 'l')", "lo");
	STR("strstr(\"hello\", \"ll\")", "llo");
	STR("basename(\"/a/b\")", "b");
	STR("dirname(\"/a/b\")", "/a");
	STR("probefunc", "function");
	STR("probename", "BEGIN");
	STR("arg0 ? \"yes\" : probemod", "yes");
	STR("arg0 ? probemod : \"no\"", "a.out");
	INT("strlen(\"hello\") + index(\"hello\", \"l\") + rindex(\"hello\", \"l\") + index(\"a\", \"b\")", "9");
	INT("index(\"hello\", \"l\", 3)", "3");
	INT("strtoll(\"12\") + strtoll(\"12\", 8)", "22");
	INT("\"abc\" < \"abd\" && \"b\" > \"a\" && \"x\" == \"x\" && probefunc != \"x\"", "1");
	INT("\"abc\"[1] + *\"a\"", "195");
	RUN("string g; self string s; BEGIN { g = \"one\"; self->s = g; this->t = self->s; g = \"two\"; this->u = this->t; "
	    "this->t = \"three\"; printf(\"%s %s %s %s\", g, self->s, this->t, this->u); }", "two one three one");
	RUN("BEGIN { s = \"x\"; s = 0; printf(\"%d%d\", s == NULL, s == \"\"); }", "10");
	RUN("#pragma D option strsize=3\nBEGIN { s = \"abcdef\"; printf(\"%s %d\", s, sizeof (s)); }", "abc 3");
}

static void target_memory(void)
{
	INT("*(int *)arg2", "10");
	INT("((int *)arg2)[1]", "-20");
	INT("*((int *)arg2 + 2)", "30");
	INT("(int *)arg2 + 3 - (int *)arg2", "3");
	INT("&((int *)arg2)[2] == (int *)arg2 + 2", "1");
	INT("((char *)arg2)[17]", "110");
	INT("*(unsigned int *)(arg2 + 4)", "4294967276");
	STR("copyinstr(arg2 + 16)", "in memory");
	STR("copyinstr(arg2 + 16, 4)", "in ");
	STR("copyinstr(arg2 + 16, 3)", "in");
	STR("stringof((char *)arg2 + 19)", "memory");
	STR("(char *)arg2 + 19", "memory");
	RUN("struct m { int i[4]; char text[32]; struct { unsigned low : 3, mid : 7; int neg : 5; } bits; };\n"
	    "BEGIN { this->m = (struct m *)arg2; printf(\"%d %d %d %d %s %d %d %d\", this->m->i[1], this->m->i[arg3], this->m->text[1], "
	    "(*this->m).i[2], this->m->text, this->m->bits.low, this->m->bits.mid, this->m->bits.neg); }",
	    "-20 40 110 30 in memory 5 100 -3");
	RUN("BEGIN { this->p = (int *)arg2; this->p++; this->p += 1; printf(\"%d\", *this->p); }", "30");
	INT("*(int *)copyin(arg2 + 8, 4)", "30");
	RUN("BEGIN { this->b = (char *)alloca(4); this->b[0] = 'h'; this->b[1] = 105; this->b[2] = 0; printf(\"%s\", stringof(this->b)); }",
	    "hi");
	RUN("BEGIN { this->b = (int *)alloca(8); bcopy((void *)arg2, this->b, 8); *this->b += 5; printf(\"%d %d\", this->b[0], this->b[1]); }",
	    "15 -20");
	RUN("BEGIN { this->b = (int *)alloca(8); copyinto(arg2 + 8, 4, this->b); printf(\"%d\", *this->b); }", "30");
	RUN("BEGIN { tracemem(arg2 + 16, 9); }", "\n             0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f  0123456789abcdef\n"
	    "         0: 69 6e 20 6d 65 6d 6f 72 79                       in memory\n");
}

static void faults(void)
{
	char *got = run("BEGIN { x = 1; trace(arg0 / (arg0 - 7)); }\nBEGIN { printf(\"x=%d\", x); }", false);
	CHECK_MSG(strstr(got, "divide-by-zero") && strstr(got, "x=1"), "%s", got);
	free(got);
	got = run("BEGIN { y = 1; y = *(int *)8; }\nBEGIN { printf(\"y=%d\", y); }", false);
	CHECK_MSG(strstr(got, "invalid address (0x8)") && strstr(got, "y=1"), "%s", got);
	free(got);
}

static void aggregations(void)
{
	RUN("BEGIN { @a = sum(5); @a = sum(arg1); printa(\"%@d\", @a); }", "-3");
	RUN("BEGIN { @a[probefunc, 1] = count(); @a[\"function\", 1] = count(); printa(\"%s %d %@d\", @a); }", "function 1 2");
	RUN("BEGIN { @a[strjoin(\"x\", \"y\")] = max(3); @a[\"xy\"] = max(arg0); printa(\"%s %@d\", @a); }", "xy 7");
	RUN("BEGIN { @a = avg(4); @a = avg(8); @b = min(arg1); printa(\"%@d %@d\", @a, @b); }", "6 -8");
	RUN("BEGIN { @a[1] = sum(10); @a[2] = sum(20); trunc(@a, 1); printa(\"%d %@d\", @a); }", "2 20");
	RUN("BEGIN { @a = sum(3000); normalize(@a, 1000); printa(\"%@d\", @a); }", "3");
	RUN("BEGIN { @a[(char)arg1] = count(); printa(\"%d %@d\", @a); }", "-8 1");
	RUN("BEGIN { @a = quantize(arg0, 3); @a = quantize(0); printa(@a); }",
	    "\n\n           value  ------------- Distribution ------------- count    \n"
	    "              -1 |                                         0        \n"
	    "               0 |@@@@@@@@@@                               1        \n"
	    "               1 |                                         0        \n"
	    "               2 |                                         0        \n"
	    "               4 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@           3        \n"
	    "               8 |                                         0        \n\n");
	RUN("BEGIN { @a = lquantize(arg0, 0, 10, 5); @b = llquantize(arg0, 10, 0, 1, 10); printa(\"%@d\", @a); }",
	    "\n           value  ------------- Distribution ------------- count    \n"
	    "               0 |                                         0        \n"
	    "               5 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 1        \n"
	    "           >= 10 |                                         0        \n");
}

static void records(void)
{
	RUN("BEGIN { printf(\"%s/%s/%s/%s\", probeprov, probemod, probefunc, probename); }", "pid1/a.out/function/BEGIN");
	RUN("BEGIN { printf(\"%d %d %d %d\", (char)arg1, (unsigned char)arg1, arg1, (short)arg1); }", "-8 248 -8 -8");
	RUN("BEGIN { printf(\"%s %s %d %s\", \"a\", strjoin(\"b\", \"c\"), arg0, execname); }", "a bc 7 test");
	RUN("BEGIN { trace(arg0); trace(\"s\"); trace(probename); }", "7sBEGIN");
	RUN("BEGIN { printf(\"%d%%\\n\", 50); }", "50%\n");
	RUN("BEGIN { printf(\"%*d|%-5d|%.2s\", 4, 1, 2, \"abc\"); }", "   1|2    |ab");
	RUN("BEGIN { printf(\"%d %d %d %d\", arg6, arg9, epid, id); }", "6 9 1 100");
	RUN("BEGIN { if (arg0) { printf(\"x\"); x = 1; } if (!arg0) printf(\"y\"); if (x) { if (arg0) printf(\"z\"); } }", "xz");
	RUN("BEGIN { printf(\"%d\", 1); exit(3); printf(\"%d\", 2); }", "12");
}

TAP_MAIN(TEST(integers), TEST(logic), TEST(variables), TEST(arrays), TEST(strings), TEST(target_memory), TEST(faults),
	 TEST(aggregations), TEST(records))
