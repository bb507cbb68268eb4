/* SPDX-License-Identifier: MIT */
/* The generator keeps the verifier's rules, and the optimizer does too. */
#include "gen.h"

#include "../unit/tap.h"

static void same_seed_same_image(void)
{
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct ir_image a, b;
		struct gen_opts o = { .seed = seed, .flags = GEN_ALL };
		gen_image(&o, &a);
		gen_image(&o, &b);
		uint8_t *x, *y;
		size_t nx, ny;
		CHECK_EQ(ir_image_encode(&a, &x, &nx, NULL), 0);
		CHECK_EQ(ir_image_encode(&b, &y, &ny, NULL), 0);
		CHECK(nx == ny && !memcmp(x, y, nx));
		free(x);
		free(y);
		ir_image_deinit(&a);
		ir_image_deinit(&b);
	}
}

static void verify_all(unsigned flags, uint32_t statements, uint64_t cnt)
{
	for (uint64_t seed = 0; seed < cnt; seed++) {
		struct ir_image img;
		struct err err = { 0 };
		gen_image(&(struct gen_opts){ .seed = seed, .flags = flags, .statements = statements }, &img);
		if (!CHECK_MSG(ir_image_verify(&img, &err) == 0, "seed %llu: %s", (unsigned long long)seed, err.msg))
			return;
		for (uint32_t i = 0; i < img.prog_cnt; i++)
			ir_prog_optimize(&img.progs[i]);
		if (!CHECK_MSG(ir_image_verify(&img, &err) == 0, "seed %llu, optimized: %s", (unsigned long long)seed, err.msg))
			return;
		ir_image_deinit(&img);
	}
}

static void all_are_valid(void) { verify_all(GEN_ALL, 0, 5000); }
static void plain_ones_are_valid(void) { verify_all(0, 0, 1000); }
static void long_ones_are_valid(void) { verify_all(GEN_ALL, 3000, 20); }

static void optimizing_twice_changes_nothing(void)
{
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct ir_image img;
		gen_image(&(struct gen_opts){ .seed = seed, .flags = GEN_ALL }, &img);
		for (uint32_t i = 0; i < img.prog_cnt; i++) {
			ir_prog_optimize(&img.progs[i]);
			uint32_t insns = img.progs[i].insn_cnt, vregs = img.progs[i].vreg_cnt;
			ir_prog_optimize(&img.progs[i]);
			CHECK_MSG(img.progs[i].insn_cnt == insns && img.progs[i].vreg_cnt == vregs, "seed %llu", (unsigned long long)seed);
		}
		ir_image_deinit(&img);
	}
}

TAP_MAIN(TEST(same_seed_same_image), TEST(all_are_valid), TEST(plain_ones_are_valid), TEST(long_ones_are_valid),
	 TEST(optimizing_twice_changes_nothing))
