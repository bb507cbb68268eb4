/* SPDX-License-Identifier: MIT */
/*
 * The D compiler on any bytes.  The first one chooses how the rest is taken.
 * What compiles must pass the verifier and be printable; what does not must
 * say why.
 */
#include "fuzz.h"

#include "d/d.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const seeds[] = {
	"0pid$target::malloc:entry, BEGIN /arg0 > 10 && execname == \"x\"/ { @[\"bytes\", probefunc] = quantize(arg0); self->t = timestamp; }",
	"0#!/usr/sbin/dtrace -s\n#pragma D option quiet\n#pragma D option strsize=40\nint g; string s[int, string]; self int *p; "
	"this struct t { int a : 3; union { long l; char c[4]; } u; } v;\nBEGIN { g = s[1, \"x\"] == \"y\" ? 1 : 2; this->v.a; }",
	"0tick-1s /self->a[1]++ || this->b/ { if (x) { printf(\"%d %s %*d\\n\", 1, \"a\", 3, 4); ustack(5); } else if (y) trace(1); else { exit(0) } }",
	"0typedef struct s { struct s *next; char name[16]; } s_t; enum e { A, B = 3, C }; inline int K = A + sizeof (s_t);\n"
	"BEGIN { this->p = (s_t *)arg0; trace(this->p->next->name[K]); trace(&this->p[2].name[1]); *(int *)copyin(arg0, 4) += -~!K; }",
	"0BEGIN { @a[ustack(3), usym(arg0), umod(1)] = lquantize(arg0, 0, 100, 10, 2); @b = llquantize(arg1, 10, 0, 6, 20); printa(\"%k %A %A %@d\", @a); "
	"clear(@a); trunc(@b, 5); normalize(@b, 1000); }",
	"0BEGIN { s = strjoin(substr(copyinstr(arg0), 1, 2), lltostr(arg1, 16)); x = strlen(s) + index(s, \"a\") + s[1] + *s; s = 0; a[s]--; a[s] <<= 3 }",
	"1pid$target:libc.so*:\"ns::f(int)\":1c { tracemem(arg0, 16, arg1); trace($1 + $$2); uregs[R_RAX]; }",
	"2prov /1/ { trace(1) }", "3prov:mod { }", "4a:b:c { x ^^= 1, y = 2; }", "512 { trace(ucaller); }",
	"0/* comment */ BEGIN { trace('a' + '\\n' + '\\x41' + 0x1fUL + 017 - 1LL % 2u >> 3 | 4 & 5 ^ 6 ^^ 7); trace(offsetof(struct s, m)); }",
	"0# 1 \"file\"\nunsigned long long (*(*fp[3])(int, ...))[2]; int a[int, string *], b[2][3];\nEND { b[1][2] = a[1, 0]; }",
};

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	if (i >= ARRAY_CNT(seeds) || strlen(seeds[i]) > cap)
		return 0;
	memcpy(buf, seeds[i], strlen(seeds[i]));
	return strlen(seeds[i]);
}

static void check_success(struct d_compiler *c, struct d_program *prog, FILE *null)
{
	struct err e;
	if (ir_image_verify(&prog->image, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	ir_image_print(null, &prog->image);
	for (uint32_t i = 0; i < prog->image.prog_cnt; i++)
		ir_prog_optimize(&prog->image.progs[i]);
	if (ir_image_verify(&prog->image, &e)) {
		fprintf(stderr, "optimised: %s\n", e.msg);
		abort();
	}
	d_dump_types(c, null);
	d_program_deinit(prog);
}

static void check_failure(struct d_compiler *c, FILE *null)
{
	if (!d_diag_cnt(c))
		abort();
	for (uint32_t i = 0; i < d_diag_cnt(c); i++)
		d_diag_print(null, "fuzz", d_diag_at(c, i), i & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static FILE *null;
	char *args[] = { "fuzz", "42", "name", NULL };
	struct d_opts opts = { .macros = { .target = 1 }, .defaultargs = true };
	struct d_program prog = { 0 };
	if (!null)
		null = fopen("/dev/null", "w");
	if (!bytes || bytes > 1 << 16 || !null)
		return 0;
	char *text = malloc(bytes);
	struct d_compiler *c = d_create(&opts);
	if (!text || !c)
		abort();
	memcpy(text, data + 1, bytes - 1);
	text[bytes - 1] = 0;
	struct d_source src = { .name = data[0] & 8 ? "f.d" : NULL, .text = text, .kind = (enum d_source_kind)((data[0] & 7) % 6),
				.macro_args = args };
	int rc = d_compile(c, &src, 1, &prog);
	d_dump_ast(c, null);
	if (!rc)
		check_success(c, &prog, null);
	else if (rc == -EINVAL)
		check_failure(c, null);
	d_destroy(c);
	free(text);
	return 0;
}
