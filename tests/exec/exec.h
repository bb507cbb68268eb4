/* SPDX-License-Identifier: MIT */
/*
 * Running the same programs with different executors and comparing what they
 * leave behind.
 *
 *   struct mkshm m;
 *   mkshm_init(&m, &img, NULL, 0);
 *   char *a = exec_run(&m, exec_interp, NULL, WIRE_SITE_ENTRY, progs, cnt, 0);
 *   char *b = exec_run(&m, my_executor, arg, WIRE_SITE_ENTRY, progs, cnt, 0);
 *   if (exec_diff(a, b, line, sizeof(line))) ...
 *
 * Both run in the same memory from the same state, so even addresses are equal.
 */
#ifndef TESTS_EXEC_EXEC_H
#define TESTS_EXEC_EXEC_H

#include "mkshm.h"

/* What the application's registers and BEGIN's arguments hold; the same for
 * every run.  Argument 1 at every kind of site (rsi, rax, tool_args[1]), rsp and
 * rbp are addresses in exec_mem, in the middle, where at least 256 bytes on
 * either side can be read; the others are numbers. */
struct exec_input {
	uint64_t regs[WIRE_REG_CNT];
	uint64_t tool_args[10];
};
extern uint8_t exec_mem[1024];
void exec_input_init(struct exec_input *);

/* Runs @progs in order as one firing of @site on thread slot 0. */
typedef void exec_fn(void *arg, struct mkshm *, const struct wire_site *site, const struct exec_input *in,
		     const struct ir_prog *const *progs, uint32_t prog_cnt);
exec_fn exec_interp; /* the reference */

#define EXEC_NO_PC 1u      /* leave out the instruction's index in ERROR records */
#define EXEC_NO_SCRATCH 2u /* leave out scratch memory */

/* Resets @m, runs three firings (so that later ones meet what earlier ones
 * left), and returns as text, a line each, everything they changed: globals,
 * self->, scratch, dynamic variables, aggregations, records, losses, exit().
 * Without times and processor numbers.  Free it. */
char *exec_run(struct mkshm *m, exec_fn *, void *arg, enum wire_site_kind, const struct ir_prog *const *progs,
	       uint32_t prog_cnt, unsigned flags);
/* Whether the texts differ; then "LINE of a | LINE of b" for the first that does. */
bool exec_diff(const char *a, const char *b, char *line, size_t cap);

#endif
