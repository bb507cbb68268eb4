/* SPDX-License-Identifier: MIT */
/*
 * The gate against bytes from anywhere: decode and verify.  What passes must
 * print, survive the optimizer, encode to the same bytes, and run without
 * touching anything outside its memory.
 */
#include "fuzz.h"

#include "exec.h"
#include "gen.h"
#include "harmless.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	struct ir_image img;
	uint8_t *bytes;
	size_t cnt;
	if (i >= 48)
		return 0;
	gen_image(&(struct gen_opts){ .seed = i, .flags = GEN_ALL & ~GEN_EXIT, .prog_cnt = 1 + i % 3, .statements = 1 + i }, &img);
	if (ir_image_encode(&img, &bytes, &cnt, NULL) < 0 || cnt > cap)
		abort();
	memcpy(buf, bytes, cnt);
	free(bytes);
	ir_image_deinit(&img);
	return cnt;
}

static void print(const struct ir_image *img)
{
	static FILE *null;
	if (!null)
		null = fopen("/dev/null", "w");
	if (null)
		ir_image_print(null, img);
}

static void encodes_the_same(const struct ir_image *img, const uint8_t *data, size_t bytes)
{
	uint8_t *again;
	size_t cnt;
	if (ir_image_encode(img, &again, &cnt, NULL) < 0 || cnt != bytes || memcmp(again, data, bytes))
		abort();
	free(again);
}

static char *run(struct ir_image *img, struct mkshm *m)
{
	const struct ir_prog *progs[16];
	uint32_t cnt = 0;
	for (; cnt < img->prog_cnt && cnt < ARRAY_CNT(progs); cnt++)
		progs[cnt] = &img->progs[cnt];
	return exec_run(m, exec_interp, NULL, WIRE_SITE_ENTRY, progs, cnt, EXEC_NO_PC);
}

static void is_untouched(const uint8_t *p, const uint8_t *end)
{
	for (; p < end; p++)
		if (*p)
			abort();
}

/* Nothing ran on the next level: what stands there came over the end of the scratch or the alloca() memory. */
static void stayed_inside(struct mkshm *m)
{
	const struct wire_shm *shm = m->shm;
	const uint8_t *ctx = (const uint8_t *)mkshm_ctx(m, 0, 0);
	const uint8_t *alloca_mem = ctx + shm->alloca_off;
	is_untouched(mkshm_ctx(m, 0, 0)->scratch + shm->scratch_bytes, alloca_mem);
	is_untouched(alloca_mem + shm->alloca_bytes, ctx + (uint64_t)shm->geom.ctx_stride * WIRE_LEVEL_MAX);
}

/* Reads memory that may have changed meanwhile: of the addresses only those that the seeds have are known to stay. */
static bool reads_memory(int64_t helper)
{
	return helper == IR_HELPER_copyin || helper == IR_HELPER_copyinto || helper == IR_HELPER_copyinstr ||
	       helper == IR_HELPER_copyin_u;
}

/* Time, chance and memory make two runs differ. */
static bool repeats(const struct ir_image *img)
{
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		for (uint32_t k = 0; k < img->progs[i].insn_cnt; k++) {
			const struct ir_insn *in = &img->progs[i].insns[k];
			if (in->op == IR_OP_ENV && (in->imm <= WIRE_ENV_WALLTIMESTAMP || in->imm == WIRE_ENV_CPU))
				return false;
			if (in->op == IR_OP_CALL && (in->imm == IR_HELPER_rand || reads_memory(in->imm)))
				return false;
		}
	return true;
}

static void run_both(struct ir_image *img)
{
	struct mkshm m;
	char line[1024];
	if (!fuzz_is_harmless(img) || img->global_bytes > 1 << 16 || img->self_bytes > 1 << 16)
		return;
	mkshm_init(&m, img, &(struct mkshm_opts){ .agg_bytes = 64 << 10, .dyn_bytes = 64 << 10 }, 0);
	bool same = repeats(img);
	char *before = run(img, &m);
	stayed_inside(&m);
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		ir_prog_optimize(&img->progs[i]);
	struct err err;
	if (ir_image_verify(img, &err) < 0) {
		fprintf(stderr, "optimized: %s\n", err.msg);
		abort();
	}
	char *after = run(img, &m);
	stayed_inside(&m);
	if (same && exec_diff(before, after, line, sizeof(line))) {
		fprintf(stderr, "optimized differs: %s\n", line);
		abort();
	}
	free(before);
	free(after);
	mkshm_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct ir_image img;
	if (ir_image_decode(data, bytes, &img, NULL) < 0)
		return 0;
	print(&img);
	encodes_the_same(&img, data, bytes);
	run_both(&img);
	ir_image_deinit(&img);
	return 0;
}
