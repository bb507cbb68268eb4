/* SPDX-License-Identifier: MIT */
/* What is computed or read twice, and what only looks like it: as text. */
#include "make.h"

#include <errno.h>

static void becomes(struct make *m, const char *want)
{
	struct err err = { 0 };
	make_finish(m);
	CHECK_MSG(ir_image_verify(&m->img, &err) == 0, "before: %s", err.msg);
	ir_prog_optimize(&m->prog);
	CHECK_MSG(ir_image_verify(&m->img, &err) == 0, "after: %s", err.msg);
	char *text = prog_text(&m->prog);
	CHECK_STR(strchr(text, '\n') + 1, want);
	free(text);
	make_deinit(m);
}

static uint32_t read_reg(struct make *m, enum ir_op op, int64_t imm, uint16_t aux)
{
	uint32_t v = ir_vreg(m->b);
	ir_emit(m->b, op, v, NO, NO, imm, aux);
	return v;
}

static void write_mem(struct make *m, enum ir_op op, int64_t at, uint16_t bytes, uint32_t v)
{
	ir_emit(m->b, op, NO, v, NO, at, bytes);
}

/* One reading of the time, one of the argument, one sum, in whatever order. */
static void computes_once(void)
{
	struct make m;
	make_init(&m);
	for (int64_t i = 0; i < 2; i++) {
		uint32_t t = read_reg(&m, IR_OP_ENV, WIRE_ENV_TIMESTAMP, 0), a = read_reg(&m, IR_OP_ARG, 0, 0);
		write_mem(&m, IR_OP_STG, 8 * i, 8, i ? op2(&m, IR_OP_ADD, t, a) : op2(&m, IR_OP_ADD, a, t));
	}
	ret(&m);
	becomes(&m, "    0  env     v0, timestamp\n    1  arg     v1, 0\n    2  add     v2, v1, v0\n    3  stg.8   [0], v2\n"
		    "    4  stg.8   [8], v2\n    5  ret\n");
}

/* What a branch may have skipped is computed again; what came before it is not. */
static void not_past_a_branch(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = read_reg(&m, IR_OP_ARG, 0, 0);
	uint32_t br = branch(&m, IR_OP_BRZ, a);
	write_mem(&m, IR_OP_STG, 0, 8, read_reg(&m, IR_OP_ARG, 1, 0));
	land(&m, br);
	write_mem(&m, IR_OP_STG, 8, 8, read_reg(&m, IR_OP_ARG, 1, 0));
	write_mem(&m, IR_OP_STG, 16, 8, read_reg(&m, IR_OP_ARG, 0, 0));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  brz     v0, 4\n    2  arg     v1, 1\n    3  stg.8   [0], v1\n"
		    "    4  arg     v2, 1\n    5  stg.8   [8], v2\n    6  stg.8   [16], v0\n    7  ret\n");
}

/* if (a) x = arg1; else x = arg1; x = arg1: on no way twice, but the last one is. */
static void not_from_the_other_branch(void)
{
	struct make m;
	make_init(&m);
	uint32_t br = branch(&m, IR_OP_BRZ, read_reg(&m, IR_OP_ARG, 0, 0));
	write_mem(&m, IR_OP_STG, 0, 8, read_reg(&m, IR_OP_ARG, 1, 0));
	uint32_t over = branch(&m, IR_OP_JMP, NO);
	land(&m, br);
	write_mem(&m, IR_OP_STG, 8, 8, read_reg(&m, IR_OP_ARG, 1, 0));
	land(&m, over);
	write_mem(&m, IR_OP_STG, 16, 8, read_reg(&m, IR_OP_ARG, 1, 0));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  brz     v0, 5\n    2  arg     v1, 1\n    3  stg.8   [0], v1\n    4  jmp     7\n"
		    "    5  arg     v2, 1\n    6  stg.8   [8], v2\n    7  arg     v3, 1\n    8  stg.8   [16], v3\n    9  ret\n");
}

/* Variables, until they are written to; then they are what was written. */
static void loads(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = read_reg(&m, IR_OP_LDT, 8, 8), b = read_reg(&m, IR_OP_LDT, 8, 8);
	write_mem(&m, IR_OP_STT, 16, 8, op2(&m, IR_OP_ADD, a, b));        /* another one */
	write_mem(&m, IR_OP_STG, 8, 8, read_reg(&m, IR_OP_LDT, 8, 8));    /* another kind */
	write_mem(&m, IR_OP_STT, 12, 4, a);                               /* a part of it */
	uint32_t c = read_reg(&m, IR_OP_LDT, 8, 8);
	write_mem(&m, IR_OP_STT, 0, 8, c);
	write_mem(&m, IR_OP_STG, 0, 8, read_reg(&m, IR_OP_LDT, 0, 8));
	ret(&m);
	becomes(&m, "    0  ldt.8   v0, [8]\n    1  add     v1, v0, v0\n    2  stt.8   [16], v1\n    3  stg.8   [8], v0\n"
		    "    4  stt.4   [12], v0\n    5  ldt.8   v2, [8]\n    6  stt.8   [0], v2\n    7  stg.8   [0], v2\n    8  ret\n");
}

/* A helper may write to anything. */
static void not_past_a_call(void)
{
	struct make m;
	make_init(&m);
	write_mem(&m, IR_OP_STG, 0, 8, read_reg(&m, IR_OP_LDT, 8, 8));
	CALL(&m, rand, ir_vreg(m.b));
	write_mem(&m, IR_OP_STG, 8, 8, read_reg(&m, IR_OP_LDT, 8, 8));
	ret(&m);
	becomes(&m, "    0  ldt.8   v0, [8]\n    1  stg.8   [0], v0\n    2  call    rand()\n    3  ldt.8   v1, [8]\n"
		    "    4  stg.8   [8], v1\n    5  ret\n");
}

/* Of a register with several values nothing is kept. */
static void not_of_what_changes(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = read_reg(&m, IR_OP_ARG, 0, 0);
	write_mem(&m, IR_OP_STG, 0, 8, op2(&m, IR_OP_MUL, a, a));
	ir_emit(m.b, IR_OP_ARG, a, NO, NO, 1, 0);
	write_mem(&m, IR_OP_STG, 8, 8, op2(&m, IR_OP_MUL, a, a));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  mul     v1, v0, v0\n    2  stg.8   [0], v1\n    3  arg     v0, 1\n"
		    "    4  mul     v2, v0, v0\n    5  stg.8   [8], v2\n    6  ret\n");
}

/* Where one that faults came through, the other does not fault. */
static void one_fault(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = read_reg(&m, IR_OP_ARG, 0, 0), b = read_reg(&m, IR_OP_ARG, 1, 0);
	write_mem(&m, IR_OP_STG, 0, 8, op2(&m, IR_OP_SDIV, a, b));
	write_mem(&m, IR_OP_STG, 8, 8, op2(&m, IR_OP_SDIV, a, b));
	write_mem(&m, IR_OP_STG, 16, 8, op2(&m, IR_OP_SDIV, b, a));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  arg     v1, 1\n    2  sdiv    v2, v0, v1\n    3  stg.8   [0], v2\n"
		    "    4  stg.8   [8], v2\n    5  sdiv    v3, v1, v0\n    6  stg.8   [16], v3\n    7  ret\n");
}

/* ---- clauses of one place ---- */

static void build(struct make *m, void (*fn)(struct make *))
{
	make_init(m);
	fn(m);
	ret(m);
	make_finish(m);
}

static void joined(void (*one)(struct make *), void (*other)(struct make *), const char *want)
{
	struct make a, b;
	build(&a, one);
	build(&b, other);
	b.prog.clause = 1;
	struct ir_prog p;
	int r = ir_progs_join((const struct ir_prog *const[]){ &a.prog, &b.prog }, 2, &p);
	if (!want) {
		CHECK_EQ(r, -ENOENT);
	} else if (CHECK_MSG(r == 0, "%d", r)) {
		char *text = prog_text(&p);
		CHECK_STR(strchr(text, '\n') + 1, want);
		free(text);
		ir_prog_deinit(&p);
	}
	make_deinit(&a);
	make_deinit(&b);
}

static void keep_span(struct make *m)
{
	uint32_t since = read_reg(m, IR_OP_LDT, 0, 8);
	ir_emit(m->b, IR_OP_AGG, NO, op2(m, IR_OP_SUB, read_reg(m, IR_OP_ENV, WIRE_ENV_TIMESTAMP, 0), since), NO, 0, IR_NO_TUPLE);
}

static void keep_span_if(struct make *m)
{
	uint32_t br = branch(m, IR_OP_BRZ, read_reg(m, IR_OP_ARG, 0, 0));
	keep_span(m);
	land(m, br);
}

static void keep_clause(struct make *m)
{
	ir_emit(m->b, IR_OP_AGG, NO, read_reg(m, IR_OP_ENV, WIRE_ENV_CLAUSE, 0), NO, 1, IR_NO_TUPLE);
}

/* One reading of the time, one load, one subtraction for both: 6 instructions less. */
static void clauses_share(void)
{
	joined(keep_span, keep_span, "    0  action  0\n    1  ldt.8   v0, [0]\n    2  env     v1, timestamp\n"
	       "    3  sub     v2, v1, v0\n    4  agg     @0, v2\n    5  action  1\n    6  agg     @0, v2\n    7  ret\n");
	joined(keep_span, keep_span_if, "    0  action  0\n    1  ldt.8   v0, [0]\n    2  env     v1, timestamp\n"
	       "    3  sub     v2, v1, v0\n    4  agg     @0, v2\n    5  action  1\n    6  arg     v3, 0\n    7  brz     v3, 9\n"
	       "    8  agg     @0, v2\n    9  ret\n");
}

/* What a predicate may have skipped serves nobody behind; who has nothing in common stays apart. */
static void clauses_do_not_share(void)
{
	joined(keep_span_if, keep_span, NULL);
	joined(keep_clause, keep_clause, NULL);
}

TAP_MAIN(TEST(computes_once), TEST(not_past_a_branch), TEST(not_from_the_other_branch), TEST(loads), TEST(not_past_a_call),
	 TEST(not_of_what_changes), TEST(one_fault), TEST(clauses_share), TEST(clauses_do_not_share))
