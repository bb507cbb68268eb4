/* SPDX-License-Identifier: MIT */
/*
 * usage: golden STAGE FOLDER [--bless] [NAME...]
 *
 * STAGE is parse, types or ir.  Compiles each NAME.d of FOLDER and compares
 * what that stage says with NAME.ast, NAME.types or NAME.ir; a program that is
 * wrong says its diagnostics instead.  --bless writes them.  A comment
 * "args: A B" at the very start gives macro arguments.  STAGE "show" with files
 * prints all stages.
 */
#include "d/d.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 1000

static const char *folder, *stage, *self;
static bool bless;

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t n, len = 0;
	if (!f)
		return NULL;
	FILE *m = open_memstream(&text, &len);
	char buf[4096];
	while ((n = fread(buf, 1, sizeof(buf), f)))
		fwrite(buf, 1, n, m);
	fclose(m);
	fclose(f);
	return text;
}

static void print_val(FILE *f, const struct plan_val *v)
{
	static const char *const kinds[] = { "int", "str", "bytes", "ustack", "usym", "uaddr", "umod", "ufunc", "ksym",
		"kmod", "ptr", "time", "probeprov", "probemod", "probefunc", "probename" };
	fprintf(f, " %s", kinds[v->kind]);
	if (v->kind < PLAN_TIME)
		fprintf(f, "@%u", v->off);
	if (v->kind == PLAN_INT)
		fprintf(f, "(%s%u)", v->is_signed ? "s" : "u", v->size * 8);
	if (v->sref)
		fprintf(f, "(sref)");
	if (v->kind == PLAN_USTACK)
		fprintf(f, "(%u,%u)", v->depth, v->strbytes);
}

static void print_act(FILE *f, const struct plan_act *a)
{
	static const char *const kinds[] = { "trace", "tracemem", "printf", "printa", "stack", "sym", "exit", "clear", "trunc",
		"normalize", "denormalize", "system", "freopen", "setopt", "print",
		"commit", "discard", "ftruncate" };
	fprintf(f, "  act %s", kinds[a->kind]);
	if (a->guard >= 0)
		fprintf(f, " if bit %d", a->guard);
	if (a->fmt) {
		fprintf(f, " \"");
		for (const char *p = a->fmt; *p; p++)
			fprintf(f, *p == '\n' ? "\\n" : "%c", *p);
		fprintf(f, "\"");
	}
	for (uint32_t i = 0; i < a->agg_cnt; i++)
		fprintf(f, " agg %u", a->aggs[i]);
	for (uint32_t i = 0; i < a->val_cnt; i++)
		print_val(f, &a->vals[i]);
	fprintf(f, "\n");
}

static void print_plan(FILE *f, const struct plan *p)
{
	for (uint32_t i = 0; i < p->clause_cnt; i++) {
		const struct plan_clause *c = &p->clauses[i];
		fprintf(f, "plan %u%s", i, c->is_default ? " default" : "");
		if (c->mask_off != WIRE_NONE)
			fprintf(f, " mask@%u", c->mask_off);
		for (uint32_t k = 0; k < c->desc_cnt; k++)
			fprintf(f, "%s %s:%s:%s:%s", k ? "," : "", c->descs[k].prov, c->descs[k].mod, c->descs[k].func, c->descs[k].name);
		fprintf(f, "\n");
		for (uint32_t k = 0; k < c->act_cnt; k++)
			print_act(f, &c->acts[k]);
	}
	for (uint32_t i = 0; i < p->agg_cnt; i++) {
		fprintf(f, "agg %u @%s %s", i, p->aggs[i].name, p->aggs[i].is_signed ? "signed" : "unsigned");
		for (uint32_t k = 0; k < p->aggs[i].key_cnt; k++)
			print_val(f, &p->aggs[i].keys[k]);
		fprintf(f, "\n");
	}
}

static void print_stage(FILE *f, const char *what, struct d_compiler *c, const struct d_program *prog)
{
	struct err e;
	if (!strcmp(what, "parse")) {
		d_dump_ast(c, f);
	} else if (!strcmp(what, "types")) {
		d_dump_types(c, f);
	} else {
		ir_image_print(f, &prog->image);
		print_plan(f, &prog->plan);
		if (ir_image_verify(&prog->image, &e))
			fprintf(f, "VERIFIER: %s\n", e.msg);
	}
}

static char **macro_args(char *text)
{
	static char *args[16], line[200];
	int n = 0;
	args[n++] = "golden";
	if (!strncmp(text, "/* args:", 8)) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text + 8, "*"), text + 8);
		for (char *w = strtok(line, " "); w && n < 15; w = strtok(NULL, " "))
			args[n++] = w;
	}
	args[n] = NULL;
	return args;
}

static char *compile(const char *name, char *text)
{
	char *out = NULL;
	size_t len;
	struct d_opts opts = { .macros = { .target = 1234, .pid = 99, .ppid = 1, .uid = 1000 },
			       .parse_only = !strcmp(stage, "parse") };
	struct d_source src = { .name = name, .text = text, .kind = D_SRC_PROGRAM, .macro_args = macro_args(text) };
	struct d_program prog = { 0 };
	struct d_compiler *c = d_create(&opts);
	FILE *f = open_memstream(&out, &len);
	if (!c || !f)
		exit(2);
	int rc = d_compile(c, &src, 1, &prog);
	for (uint32_t i = 0; i < d_diag_cnt(c); i++)
		d_diag_print(f, "dtrace", d_diag_at(c, i), true);
	if (!rc && !strcmp(stage, "show")) {
		print_stage(f, "parse", c, &prog);
		print_stage(f, "types", c, &prog);
	}
	if (!rc) {
		print_stage(f, stage, c, &prog);
		d_program_deinit(&prog);
	}
	fclose(f);
	d_destroy(c);
	return out;
}

static void print_commented(const char *text)
{
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n");
		printf("#   %.*s\n", (int)n, p);
		p += n + !!p[n];
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "wb");
	if (!f || fputs(text, f) < 0 || fclose(f)) {
		perror(path);
		exit(2);
	}
}

static bool test_one(const char *name, int n)
{
	char in[1024], expected[1024];
	const char *ext = !strcmp(stage, "parse") ? "ast" : stage;
	snprintf(in, sizeof(in), "%s/%s.d", folder, name);
	snprintf(expected, sizeof(expected), "%s/%s.%s", folder, name, ext);
	char *text = slurp(in), *want = slurp(expected), *file = NULL;
	if (asprintf(&file, "%s.d", name) < 0 || !text)
		exit(2);
	char *got = compile(file, text);
	bool ok = want && !strcmp(want, got);
	if (bless && !ok)
		write_file(expected, got);
	ok |= bless;
	printf("%sok %d - %s/%s\n", ok ? "" : "not ", n, stage, name);
	if (!ok) {
		printf("# again: %s %s %s %s; --bless accepts what it says now:\n", self, stage, folder, name);
		print_commented(got);
	}
	free(text);
	free(want);
	free(got);
	free(file);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(char **names)
{
	DIR *d = opendir(folder);
	int cnt = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		size_t len = strlen(e->d_name);
		if (len > 2 && !strcmp(e->d_name + len - 2, ".d") && cnt < NAMES_MAX)
			names[cnt++] = strndup(e->d_name, len - 2);
	}
	if (d)
		closedir(d);
	qsort(names, (size_t)cnt, sizeof(*names), by_name);
	return cnt;
}

static int show(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		char *text = slurp(argv[i]);
		if (!text) {
			perror(argv[i]);
			return 2;
		}
		char *out = compile(argv[i], text);
		fputs(out, stdout);
		free(out);
		free(text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char *names[NAMES_MAX];
	int cnt = 0, bad = 0;
	self = argv[0];
	if (argc < 3)
		return 2;
	stage = argv[1];
	folder = argv[2];
	if (!strcmp(stage, "show"))
		return show(argc, argv);
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--bless"))
			bless = true;
		else
			names[cnt++] = strdup(argv[i]);
	}
	if (!cnt)
		cnt = list_folder(names);
	for (int i = 0; i < cnt; i++) {
		bad += !test_one(names[i], i + 1);
		free(names[i]);
	}
	printf("1..%d\n", cnt);
	return bad ? 1 : 0;
}
