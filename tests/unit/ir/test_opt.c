/* SPDX-License-Identifier: MIT */
/* What the optimizer makes of small programs, as text. */
#include "make.h"

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

/* Keeps @v alive. */
static void use(struct make *m, uint32_t v) { ir_emit(m->b, IR_OP_STG, NO, v, NO, 0, 8); }
static uint32_t unknown(struct make *m)
{
	uint32_t v = ir_vreg(m->b);
	ir_emit(m->b, IR_OP_ARG, v, NO, NO, 0, 0);
	return v;
}

static void folds_constants(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = konst(&m, 6), b = konst(&m, 7), c = op2(&m, IR_OP_MUL, a, b), d = ir_vreg(m.b), e = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_NEG, d, c, NO, 0, 0);
	ir_emit(m.b, IR_OP_EXT, e, d, NO, 0, 8);
	use(&m, e);
	ret(&m);
	becomes(&m, "    0  const   v0, 214\n    1  stg.8   [0], v0\n    2  ret\n");
}

static void keeps_faults(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = konst(&m, 6), z = konst(&m, 0);
	op2(&m, IR_OP_SDIV, a, z);
	ret(&m);
	becomes(&m, "    0  const   v0, 6\n    1  const   v1, 0\n    2  sdiv    v2, v0, v1\n    3  ret\n");
	make_init(&m);
	a = unknown(&m);
	op2(&m, IR_OP_UREM, a, a);
	op2(&m, IR_OP_UREM, a, konst(&m, 5)); /* cannot fault */
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  urem    v1, v0, v0\n    2  ret\n");
}

/* A divisor whose constant definition cannot be reached may be 0. */
static void keeps_faults_of_other_definitions(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = unknown(&m), a = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_ARG, a, NO, NO, 1, 0);
	uint32_t over = branch(&m, IR_OP_JMP, NO);
	ir_emit(m.b, IR_OP_CONST, v, NO, NO, 5, 0);
	land(&m, over);
	op2(&m, IR_OP_SDIV, a, v);
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  arg     v1, 1\n    2  sdiv    v2, v1, v0\n    3  ret\n");
}

static void drops_what_is_not_read(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), b = op2(&m, IR_OP_ADD, a, a), slot = ir_scratch(m.b, 40);
	op2(&m, IR_OP_MUL, b, b);
	CALL(&m, str_addr, ir_vreg(m.b), a);
	CALL(&m, str_copy, ir_vreg(m.b), a, slot); /* writes its slot */
	CALL(&m, rand, ir_vreg(m.b));              /* steps the generator */
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  call    str_copy(v0, [16])\n    2  call    rand()\n    3  ret\n");
}

static void decides_branches(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = konst(&m, 1), x = ir_vreg(m.b);
	uint32_t br = branch(&m, IR_OP_BRZ, a);
	ir_emit(m.b, IR_OP_CONST, x, NO, NO, 10, 0);
	uint32_t over = branch(&m, IR_OP_JMP, NO);
	land(&m, br);
	ir_emit(m.b, IR_OP_CONST, x, NO, NO, 20, 0);
	land(&m, over);
	use(&m, x);
	ret(&m);
	becomes(&m, "    0  const   v0, 10\n    1  stg.8   [0], v0\n    2  ret\n");
}

static void threads_branches(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m);
	uint32_t br = branch(&m, IR_OP_BRNZ, a);
	use(&m, a);
	land(&m, br);
	uint32_t j1 = branch(&m, IR_OP_JMP, NO);
	ir_emit(m.b, IR_OP_NOP, NO, NO, NO, 0, 0);
	land(&m, j1);
	uint32_t j2 = branch(&m, IR_OP_JMP, NO);
	land(&m, j2);
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  brnz    v0, 3\n    2  stg.8   [0], v0\n    3  ret\n");
}

static void merges_forget(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), x = konst(&m, 1);
	uint32_t br = branch(&m, IR_OP_BRZ, a);
	ir_emit(m.b, IR_OP_CONST, x, NO, NO, 2, 0);
	land(&m, br);
	use(&m, op2(&m, IR_OP_ADD, x, x));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  const   v1, 1\n    2  brz     v0, 4\n    3  const   v1, 2\n"
		"    4  add     v2, v1, v1\n    5  stg.8   [0], v2\n    6  ret\n");
}

static void copies_until_changed(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), b = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_MOV, b, a, NO, 0, 0);
	use(&m, b);
	ir_emit(m.b, IR_OP_ARG, a, NO, NO, 1, 0);
	use(&m, b); /* not a any more */
	use(&m, a);
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  mov     v1, v0\n    2  stg.8   [0], v0\n    3  arg     v0, 1\n"
		"    4  stg.8   [0], v1\n    5  stg.8   [0], v0\n    6  ret\n");
}

static void copies_across_branches(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), b = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_MOV, b, a, NO, 0, 0);
	uint32_t br = branch(&m, IR_OP_BRZ, a);
	use(&m, a);
	land(&m, br);
	use(&m, b);
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  brz     v0, 3\n    2  stg.8   [0], v0\n    3  stg.8   [0], v0\n    4  ret\n");
}

static void neutral_operands(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), z = konst(&m, 0), one = konst(&m, 1), ones = konst(&m, -1);
	uint32_t v = op2(&m, IR_OP_ADD, z, a);
	v = op2(&m, IR_OP_SUB, v, z);
	v = op2(&m, IR_OP_MUL, one, v);
	v = op2(&m, IR_OP_SDIV, v, one);
	v = op2(&m, IR_OP_AND, v, ones);
	v = op2(&m, IR_OP_SHL, v, z);
	use(&m, v);
	use(&m, op2(&m, IR_OP_AND, z, v));
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  stg.8   [0], v0\n    2  const   v1, 0\n    3  stg.8   [0], v1\n    4  ret\n");
}

/* Two calls that share their arguments in the pool: a change of one must not reach the other. */
static void shared_arguments(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = unknown(&m), b = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_MOV, b, a, NO, 0, 0);
	CALL(&m, exit, NO, b);
	ir_emit(m.b, IR_OP_ARG, a, NO, NO, 1, 0);
	ir_emit(m.b, IR_OP_CALL, NO, 0, 1, IR_HELPER_exit, 0);
	ret(&m);
	becomes(&m, "    0  arg     v0, 0\n    1  mov     v1, v0\n    2  call    exit(v0)\n    3  arg     v0, 1\n"
		"    4  call    exit(v1)\n    5  ret\n");
}

static void evaluates(void)
{
	struct { enum ir_op op; int64_t a, b; uint16_t aux; int64_t want; } t[] = {
		{ IR_OP_SDIV, INT64_MIN, -1, 0, INT64_MIN }, { IR_OP_SREM, INT64_MIN, -1, 0, 0 }, { IR_OP_SDIV, -7, 2, 0, -3 },
		{ IR_OP_SREM, -7, 2, 0, -1 }, { IR_OP_UDIV, -1, 2, 0, INT64_MAX }, { IR_OP_UREM, -1, 10, 0, 5 },
		{ IR_OP_SHL, 1, 64, 0, 1 }, { IR_OP_SHL, 1, 63, 0, INT64_MIN }, { IR_OP_SAR, -8, 65, 0, -4 },
		{ IR_OP_SHR, -1, 63, 0, 1 }, { IR_OP_SLT, -1, 0, 0, 1 }, { IR_OP_SULT, -1, 0, 0, 0 }, { IR_OP_SLE, 3, 3, 0, 1 },
		{ IR_OP_SULE, 4, 3, 0, 0 }, { IR_OP_SEQ, 1, 1, 0, 1 }, { IR_OP_SNE, 1, 1, 0, 0 }, { IR_OP_NOT, 0, 0, 0, -1 },
		{ IR_OP_NEG, INT64_MIN, 0, 0, INT64_MIN }, { IR_OP_EXT, 0x1ff, 0, 8 | IR_SIGNED, -1 }, { IR_OP_EXT, -1, 0, 16, 65535 },
		{ IR_OP_EXT, 0x80000000, 0, 32 | IR_SIGNED, INT32_MIN }, { IR_OP_ADD, INT64_MAX, 1, 0, INT64_MIN },
	};
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		struct make m;
		make_init(&m);
		uint32_t a = konst(&m, t[i].a), b = konst(&m, t[i].b), v = ir_vreg(m.b);
		ir_emit(m.b, t[i].op, v, a, b, 0, t[i].aux);
		use(&m, v);
		ret(&m);
		char want[128];
		snprintf(want, sizeof(want), "    0  const   v0, %lld\n    1  stg.8   [0], v0\n    2  ret\n", (long long)t[i].want);
		becomes(&m, want);
	}
}

TAP_MAIN(TEST(folds_constants), TEST(keeps_faults), TEST(keeps_faults_of_other_definitions), TEST(drops_what_is_not_read),
	 TEST(decides_branches), TEST(threads_branches), TEST(merges_forget), TEST(copies_until_changed),
	 TEST(copies_across_branches), TEST(neutral_operands), TEST(shared_arguments), TEST(evaluates))
