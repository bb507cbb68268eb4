/* SPDX-License-Identifier: MIT */
#include "../tap.h"

#include "d/d_int.h"

#include <errno.h>

struct result {
	struct d_compiler *c;
	struct d_program prog;
	int rc;
};

static struct result compile_srcs(const struct d_opts *opts, const struct d_source *srcs, uint32_t cnt)
{
	struct result r = { .c = d_create(opts) };
	r.rc = d_compile(r.c, srcs, cnt, &r.prog);
	return r;
}

static struct result compile(const char *text)
{
	struct d_opts opts = { 0 };
	struct d_source src = { .text = text, .kind = D_SRC_NAME };
	return compile_srcs(&opts, &src, 1);
}

static void result_deinit(struct result *r)
{
	if (!r->rc)
		d_program_deinit(&r->prog);
	d_destroy(r->c);
}

static const char *first_tag(const struct result *r)
{
	return d_diag_cnt(r->c) ? d_diag_at(r->c, 0)->tag : "none";
}

static char *printed(const struct d_diag *d, bool tags)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	d_diag_print(f, "dtrace", d, tags);
	fclose(f);
	return out;
}

/* ---- diagnostics ---- */

static void diag_formats(void)
{
	struct d_opts opts = { 0 };
	struct d_source script = { .name = "s.d", .text = "BEGIN\n{\n\ttrace(oops);\n}\n", .kind = D_SRC_PROGRAM };
	struct result r = compile_srcs(&opts, &script, 1);
	CHECK_EQ(r.rc, -EINVAL);
	CHECK_EQ(d_diag_cnt(r.c), 1);
	const struct d_diag *d = d_diag_at(r.c, 0);
	CHECK_STR(d->tag, "D_IDENT_UNDEF");
	CHECK_EQ(d->line, 3);
	CHECK_EQ(d->col, 8);
	char *s = printed(d, false);
	CHECK_STR(s, "dtrace: failed to compile script s.d: line 3: failed to resolve oops: Unknown variable name\n"
		  "     3 |  trace(oops);\n       |        ^\n");
	free(s);
	s = printed(d, true);
	CHECK(!strncmp(s, "dtrace: failed to compile script s.d: [D_IDENT_UNDEF] line 3: ", 62));
	free(s);
	result_deinit(&r);

	r = compile("BEGIN /oops/ { trace(1) }");
	s = printed(d_diag_at(r.c, 0), false);
	CHECK(!strncmp(s, "dtrace: invalid probe specifier BEGIN /oops/ { trace(1) }: in predicate: failed to", 81));
	free(s);
	result_deinit(&r);

	r = compile("BEGIN { trace(oops) }");
	CHECK_STR(d_diag_at(r.c, 0)->region, "action list");
	result_deinit(&r);
}

static void diag_limit(void)
{
	char text[4096] = "BEGIN {";
	for (int i = 0; i < 100; i++)
		strcat(text, " x = = 1;\n");
	strcat(text, "}");
	struct result r = compile(text);
	CHECK_EQ(d_diag_cnt(r.c), D_DIAG_MAX);
	CHECK(!d_diag_at(r.c, D_DIAG_MAX));
	result_deinit(&r);
	for (char *s = text; (s = strchr(s, '\n')); s++)
		*s = ' ';
	r = compile(text);
	CHECK_EQ(d_diag_cnt(r.c), D_DIAG_LINE_MAX);
	result_deinit(&r);
}

static void outputs_untouched(void)
{
	struct d_program prog, old;
	struct d_opts opts = { 0 };
	struct d_source bad = { .text = "BEGIN { @a = count(); trace(x) }", .kind = D_SRC_NAME };
	struct d_compiler *c = d_create(&opts);
	memset(&prog, 0x5a, sizeof(prog));
	old = prog;
	CHECK_EQ(d_compile(c, &bad, 1, &prog), -EINVAL);
	CHECK(!memcmp(&prog, &old, sizeof(prog)));
	/* The same compiler is good for another program. */
	struct d_source good = { .text = "BEGIN { trace(1) }", .kind = D_SRC_NAME };
	CHECK_EQ(d_compile(c, &good, 1, &prog), 0);
	CHECK_EQ(d_diag_cnt(c), 0);
	d_program_deinit(&prog);
	d_program_deinit(NULL);
	d_destroy(c);
	d_destroy(NULL);
}

/* ---- sources ---- */

static void several_sources(void)
{
	struct d_opts opts = { 0 };
	struct d_source srcs[] = {
		{ .name = "a.d", .text = "int g; BEGIN { g = 1; }", .kind = D_SRC_PROGRAM },
		{ .text = "tick-1s { trace(g); }", .kind = D_SRC_NAME },
		{ .text = "END { trace(g) }", .kind = D_SRC_NAME },
	};
	struct result r = compile_srcs(&opts, srcs, 3);
	CHECK_EQ(r.rc, 0);
	CHECK_EQ(r.prog.image.prog_cnt, 3);
	CHECK_STR(r.prog.plan.clauses[1].descs[0].name, "tick-1s");
	CHECK_EQ(r.prog.plan.clauses[2].descs[0].src, 2);
	result_deinit(&r);
	srcs[2].text = "END { trace(h) }";
	r = compile_srcs(&opts, srcs, 3);
	CHECK_EQ(d_diag_at(r.c, 0)->src, 2);
	CHECK_STR(d_diag_at(r.c, 0)->text, "END { trace(h) }");
	result_deinit(&r);
}

static void check_desc(const char *text, enum d_source_kind kind, const char *want)
{
	struct d_opts opts = { 0 };
	struct d_source src = { .text = text, .kind = kind };
	struct result r = compile_srcs(&opts, &src, 1);
	char got[200];
	if (r.rc) {
		snprintf(got, sizeof(got), "%s", first_tag(&r));
	} else {
		const struct plan_probe_desc *d = &r.prog.plan.clauses[0].descs[0];
		snprintf(got, sizeof(got), "%s:%s:%s:%s:%u", d->prov, d->mod, d->func, d->name, d->id);
	}
	CHECK_STR(got, want);
	result_deinit(&r);
}

static void specifiers(void)
{
	check_desc("BEGIN", D_SRC_NAME, ":::BEGIN:0");
	check_desc("f:entry", D_SRC_NAME, "::f:entry:0");
	check_desc("p:m:f:n { x = 1 }", D_SRC_NAME, "p:m:f:n:0");
	check_desc("p", D_SRC_PROVIDER, "p::::0");
	check_desc("p:m", D_SRC_PROVIDER, "D_PDESC_INVAL");
	check_desc("m", D_SRC_MODULE, ":m:::0");
	check_desc("p:m", D_SRC_MODULE, "p:m:::0");
	check_desc("f /arg0/ { }", D_SRC_FUNCTION, "::f::0");
	check_desc("f /arg0/", D_SRC_FUNCTION, "D_SYNTAX");
	check_desc("p:m:f { }", D_SRC_FUNCTION, "p:m:f::0");
	check_desc("12", D_SRC_ID, "::::12");
	check_desc("x", D_SRC_ID, ":::x:0");
	check_desc("0", D_SRC_ID, "D_PDESC_INVAL");
	check_desc("p::\"a::b(int, char)\":entry", D_SRC_NAME, "p::a::b(int, char):entry:0");
	check_desc("p::\"a::operator()\":", D_SRC_NAME, "p::a::operator()::0");
	check_desc("int*:::", D_SRC_NAME, "D_SYNTAX");
	check_desc("a:b:c:d:e", D_SRC_NAME, "D_PDESC_INVAL");
	check_desc("", D_SRC_NAME, "D_EMPTY");
}

static void macros(void)
{
	char *args[] = { "prog", "42", "name", NULL };
	struct d_opts opts = { .macros = { .target = 77, .uid = 5 } };
	struct d_source srcs[] = {
		{ .text = "pid$target:$2:f$1: { trace($uid); }", .kind = D_SRC_NAME, .macro_args = args },
		{ .text = "BEGIN { trace(1); }", .kind = D_SRC_NAME, .macro_args = args }, /* uses none of them: fine */
	};
	struct result r = compile_srcs(&opts, srcs, 2);
	CHECK_EQ(r.rc, 0);
	CHECK_STR(r.prog.plan.clauses[0].descs[0].prov, "pid77");
	CHECK_STR(r.prog.plan.clauses[0].descs[0].mod, "name");
	CHECK_STR(r.prog.plan.clauses[0].descs[0].func, "f42");
	result_deinit(&r);
	r = compile_srcs(&opts, srcs + 1, 1);
	CHECK_STR(first_tag(&r), "D_MACRO_UNUSED");
	result_deinit(&r);
	struct d_source missing = { .text = "BEGIN { trace($1 + 1); trace($$2); }", .kind = D_SRC_NAME };
	r = compile_srcs(&opts, &missing, 1);
	CHECK_STR(first_tag(&r), "D_MACRO_UNDEF");
	result_deinit(&r);
	opts.defaultargs = true;
	r = compile_srcs(&opts, &missing, 1);
	CHECK_EQ(r.rc, 0);
	result_deinit(&r);
	opts.macros.target = 0;
	missing.text = "pid$target:::entry";
	r = compile_srcs(&opts, &missing, 1);
	CHECK_STR(first_tag(&r), "D_MACRO_UNDEF");
	result_deinit(&r);
}

/* ---- options ---- */

static char seen[200];

static int note_option(void *arg, const char *name, const char *value, struct err *reterr)
{
	(void)arg;
	snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s;", name, value ? value : "-");
	return strcmp(name, "bad") ? 0 : err_setf(reterr, -ENOENT, "there is no such option");
}

static void options(void)
{
	struct d_opts opts = { .set_option = note_option };
	struct d_source src = { .text = "#pragma D option quiet\n#pragma D option strsize=2k\n#pragma\tD  option  bufsize=4m \n"
				"BEGIN { s = \"x\"; }", .kind = D_SRC_PROGRAM };
	seen[0] = 0;
	struct result r = compile_srcs(&opts, &src, 1);
	CHECK_EQ(r.rc, 0);
	CHECK_STR(seen, "quiet=-;strsize=2k;bufsize=4m;");
	CHECK_EQ(r.prog.image.strsize, 2048);
	CHECK_EQ(r.prog.image.global_bytes, wire_str_bytes(2048));
	result_deinit(&r);
	src.text = "#pragma D option bad=3\nBEGIN { }";
	r = compile_srcs(&opts, &src, 1);
	CHECK_STR(first_tag(&r), "D_PRAGMA_OPTSET");
	CHECK(strstr(d_diag_at(r.c, 0)->msg, "there is no such option"));
	result_deinit(&r);
	opts = (struct d_opts){ .strsize = 64, .empty_ok = true };
	src.text = "";
	r = compile_srcs(&opts, &src, 1);
	CHECK_EQ(r.rc, 0);
	CHECK_EQ(r.prog.image.prog_cnt, 0);
	CHECK_EQ(r.prog.image.strsize, 64);
	result_deinit(&r);
}

/* ---- types ---- */

static void with_types(void (*fn)(struct d_compiler *))
{
	struct d_opts opts = { 0 };
	struct d_compiler *c = d_create(&opts);
	if (!setjmp(c->oom)) {
		d_types_init(c);
		fn(c);
	}
	d_destroy(c);
}

static void check_types(struct d_compiler *c)
{
	struct d_basics *b = &c->t;
	CHECK(d_usual(c, b->char_, b->ushort) == b->int_);
	CHECK(d_usual(c, b->int_, b->uint) == b->uint);
	CHECK(d_usual(c, b->uint, b->long_) == b->long_);
	CHECK(d_usual(c, b->long_, b->ulong) == b->ulong);
	CHECK(d_usual(c, b->ulong, b->llong) == b->ullong);
	CHECK_EQ(d_canon(b->char_, 200), -56);
	CHECK_EQ(d_canon(b->uint, -1), 4294967295);
	CHECK_EQ(d_canon(b->bool_, 256), 1);
	CHECK_EQ(d_canon(b->long_, INT64_MIN), INT64_MIN);
	CHECK(d_type_same(b->long_, b->llong));
	CHECK(!d_type_same(b->long_, b->ulong));
	CHECK(d_type_ptr(c, b->int_) == d_type_ptr(c, b->int_));
	CHECK_STR(d_type_str(c, d_type_ptr(c, d_type_ptr(c, b->char_))), "char **");
	CHECK_STR(d_type_str(c, d_type_array(c, b->uint, 3)), "unsigned int [3]");
	CHECK(d_is_charptr(d_type_array(c, b->char_, 3)));
	CHECK(!d_is_scalar(b->string));
}

static void types(void)
{
	with_types(check_types);
}

static void check_interning(struct d_compiler *c)
{
	const char *a = d_intern(c, "abc", 3);
	CHECK(a == d_intern(c, "abcd", 3));
	CHECK(a != d_intern(c, "ab", 2));
	struct d_map m = { 0 };
	for (int i = 0; i < 1000; i++) {
		const char *k = d_fmt(c, "key%d", i);
		d_map_put(c, &m, d_intern(c, k, strlen(k)), (void *)(uintptr_t)(i + 1));
	}
	CHECK_EQ((uintptr_t)d_map_get(&m, d_intern(c, "key777", 6)), 778);
	CHECK(!d_map_get(&m, a));
}

static void interning(void)
{
	with_types(check_interning);
}

/* ---- size ---- */

/* A long script compiles, and its limits are errors. */
static void long_script(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	for (int i = 0; i < 10000; i++)
		fprintf(f, "pid1:m:f%d:entry /arg0 > %d/ { @a%d[probefunc, \"k%d\"] = count(); self->v%d = arg%d + %d; }\n", i, i, i % 50,
			i % 7, i % 100, i % 10, i);
	fclose(f);
	struct result r = compile(text);
	CHECK_EQ(r.rc, 0);
	CHECK_EQ(r.prog.image.prog_cnt, 10000);
	result_deinit(&r);
	free(text);
}

static void too_large(void)
{
	struct result r = compile("struct s { char c[100000000]; }; struct s g; BEGIN { g.c[0] = 1; }");
	CHECK_STR(first_tag(&r), "D_LIMIT");
	result_deinit(&r);
	r = compile("BEGIN { tracemem(arg0, 500000); tracemem(arg0, 500000); tracemem(arg0, 500000); }");
	CHECK_STR(first_tag(&r), "D_LIMIT");
	result_deinit(&r);
}

static void dumps(void)
{
	struct result r = compile("BEGIN { x = 1; }");
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	CHECK_EQ(d_dump_ast(r.c, f), 0);
	CHECK_EQ(d_dump_types(r.c, f), 0);
	fclose(f);
	CHECK_STR(out, "clause\n  probe :::BEGIN\n  body\n    assign =\n      ident x\n      int 1\n"
		  "clause\n  probe :::BEGIN\n  body\n    assign = : int\n      ident x : int\n      int 1 : int\nvariable x : int\n");
	free(out);
	result_deinit(&r);
}

TAP_MAIN(TEST(diag_formats), TEST(diag_limit), TEST(outputs_untouched), TEST(several_sources), TEST(specifiers), TEST(macros),
	 TEST(options), TEST(types), TEST(interning), TEST(long_script), TEST(too_large), TEST(dumps))
