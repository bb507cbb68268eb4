/* SPDX-License-Identifier: MIT */
/* Thousands of random programs: the interpreter does the same twice, and the
 * same after optimizing. */
#include "exec.h"
#include "gen.h"

#include "../unit/tap.h"

static struct {
	unsigned long records, errors, aggs, dyns;
} seen;

static unsigned long count(const char *text, const char *what)
{
	unsigned long n = 0;
	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void look(const char *text)
{
	seen.records += count(text, "record type 1");
	seen.errors += count(text, "record type 2");
	seen.aggs += count(text, "\naggs+");
	seen.dyns += count(text, "\ndyn+");
}

static bool agree(const char *a, const char *b, uint64_t seed, const char *what)
{
	char line[512];
	if (!exec_diff(a, b, line, sizeof(line)))
		return true;
	return CHECK_MSG(false, "seed %llu, %s: %s", (unsigned long long)seed, what, line);
}

/* Whether seed @seed agrees. */
static bool try(uint64_t seed, unsigned flags)
{
	enum wire_site_kind kind = (enum wire_site_kind)
		(seed % (flags & GEN_FAULTS ? WIRE_SITE_USDT + 1 : WIRE_SITE_OFFSET + 1)); /* an argument there cannot be read */
	struct ir_image img;
	struct mkshm m;
	const struct ir_prog *progs[4];
	gen_image(&(struct gen_opts){ .seed = seed, .flags = flags }, &img);
	mkshm_init(&m, &img, NULL, 0);
	for (uint32_t i = 0; i < img.prog_cnt; i++)
		progs[i] = &img.progs[i];
	char *first = exec_run(&m, exec_interp, NULL, kind, progs, img.prog_cnt, 0);
	char *again = exec_run(&m, exec_interp, NULL, kind, progs, img.prog_cnt, 0);
	char *plain = exec_run(&m, exec_interp, NULL, kind, progs, img.prog_cnt, EXEC_NO_PC);
	for (uint32_t i = 0; i < img.prog_cnt; i++)
		ir_prog_optimize(&img.progs[i]);
	char *optimized = exec_run(&m, exec_interp, NULL, kind, progs, img.prog_cnt, EXEC_NO_PC);
	look(first);
	bool ok = agree(first, again, seed, "second run") && agree(plain, optimized, seed, "optimized");
	free(first);
	free(again);
	free(plain);
	free(optimized);
	mkshm_deinit(&m);
	ir_image_deinit(&img);
	return ok;
}

static void run(unsigned flags, uint64_t cnt)
{
	memset(&seen, 0, sizeof(seen));
	for (uint64_t seed = 0; seed < cnt; seed++)
		if (!try(seed, flags))
			return;
}

static void arithmetic(void) { run(0, 1000); }

static void helpers(void)
{
	run(GEN_CALLS, 1000);
	CHECK(seen.dyns > 100);
	CHECK_EQ(seen.errors, 0);
}

static void aggregations(void)
{
	run(GEN_CALLS | GEN_AGGS, 500);
	CHECK(seen.aggs > 100);
}

static void records(void)
{
	run(GEN_CALLS | GEN_RECORDS, 500);
	CHECK(seen.records > 100);
}

static void all(void)
{
	run(GEN_ALL, 2000);
	CHECK(seen.records > 100 && seen.errors > 100 && seen.aggs > 100);
}

TAP_MAIN(TEST(arithmetic), TEST(helpers), TEST(aggregations), TEST(records), TEST(all))
