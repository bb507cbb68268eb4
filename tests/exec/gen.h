/* SPDX-License-Identifier: MIT */
/*
 * Random valid programs.  The same seed gives the same image (of one build).  Programs use
 * what is deterministic only: run twice from the same memory (see exec.h)
 * they do the same, whatever executes them.
 */
#ifndef TESTS_EXEC_GEN_H
#define TESTS_EXEC_GEN_H

#include "ir/ir.h"

#define GEN_CALLS 1u   /* strings, dynamic variables, reads of memory, alloca */
#define GEN_AGGS 2u
#define GEN_RECORDS 4u
#define GEN_FAULTS 8u  /* division by unknown values, reads at bad addresses, FAULT */
#define GEN_EXIT 16u   /* exit() */
#define GEN_ALL 31u
#define GEN_QUICK 32u  /* only what a body without a context can do (jit/x86_64/quick.c) */

struct gen_opts {
	uint64_t seed;
	unsigned flags;
	uint32_t prog_cnt;  /* 0: 1 to 3 */
	uint32_t statements; /* of a program, about; 0: 4 to 60 */
};

/* Fills *ret, which passes ir_image_verify(); free with ir_image_deinit(). */
void gen_image(const struct gen_opts *, struct ir_image *ret);

/* The generator of random numbers behind it. */
uint64_t gen_rnd(uint64_t *state);

#endif
