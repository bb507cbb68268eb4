/* SPDX-License-Identifier: MIT */
/* The gate: one test for each rule, and what must pass. */
#include "make.h"

/* Verifies what was built (after a RET, if @end); it must fail with @want in the message. */
static void refused(struct make *m, bool end, const char *want)
{
	struct err err = { 0 };
	if (end)
		ret(m);
	make_finish(m);
	int r = ir_image_verify(&m->img, &err);
	CHECK_EQ(r, -22);
	CHECK_MSG(r < 0 && strstr(err.msg, want), "\"%s\" does not say \"%s\"", err.msg, want);
	make_deinit(m);
}

static void passes(struct make *m)
{
	struct err err = { 0 };
	ret(m);
	make_finish(m);
	CHECK_MSG(ir_image_verify(&m->img, &err) == 0, "%s", err.msg);
	make_deinit(m);
}

/* One instruction that must be refused; registers 0 and 1 are set. */
static void insn_refused(enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm, uint16_t aux, const char *want)
{
	struct make m;
	make_init(&m);
	konst(&m, 1);
	konst(&m, 2);
	ir_scratch(m.b, 48); /* 16..63 */
	ir_set_rec_bytes(m.b, 64);
	ir_emit(m.b, op, dst, a, b, imm, aux);
	refused(&m, true, want);
}

static void insn_passes(enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm, uint16_t aux)
{
	struct make m;
	make_init(&m);
	konst(&m, 1);
	konst(&m, 2);
	ir_scratch(m.b, 48);
	ir_emit(m.b, op, dst, a, b, imm, aux);
	passes(&m);
}

static void call_refused(enum ir_helper h, uint32_t dst, const uint64_t *args, uint32_t cnt, const char *want)
{
	struct make m;
	make_init(&m);
	konst(&m, 1);
	konst(&m, 2);
	ir_scratch(m.b, 200);
	ir_emit_call(m.b, h, dst, args, cnt);
	refused(&m, true, want);
}
#define CALL_REFUSED(h, dst, want, ...) call_refused(IR_HELPER_##h, dst, (const uint64_t[]){ __VA_ARGS__ }, \
	sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, want)

/* ---- whole images ---- */

static void image_refused(const struct ir_image *img, const char *want)
{
	struct err err = { 0 };
	int r = ir_image_verify(img, &err);
	CHECK_EQ(r, -22);
	CHECK_MSG(r < 0 && strstr(err.msg, want), "\"%s\" does not say \"%s\"", err.msg, want);
}

static void image_limits(void)
{
	struct ir_image ok = { .strsize = 8 };
	CHECK_EQ(ir_image_verify(&ok, NULL), 0);
#define LIMIT(field, v, want) do { struct ir_image i = ok; i.field = (v); image_refused(&i, want); } while (0)
	LIMIT(prog_cnt, IR_PROGS_MAX + 1, "clauses");
	LIMIT(agg_cnt, IR_AGGS_MAX + 1, "aggregations");
	LIMIT(dynvar_cnt, IR_DYNVARS_MAX + 1, "dynamic variables");
	LIMIT(global_bytes, IR_GLOBAL_MAX + 1, "globals");
	LIMIT(self_bytes, IR_SELF_MAX + 1, "self->");
	LIMIT(this_bytes, IR_SCRATCH_MAX + 1, "this->");
	LIMIT(str_bytes, IR_STRS_MAX + 1, "strings");
	LIMIT(strsize, IR_STRSIZE_MAX + 1, "strsize");
	LIMIT(strsize, 0, "strsize");
	LIMIT(strsize, UINT32_MAX, "strsize");
}

static void image_arrays_missing(void)
{
	struct ir_image img = { .strsize = 8, .prog_cnt = 1 };
	image_refused(&img, "programs are missing");
	img = (struct ir_image){ .strsize = 8, .agg_cnt = 1 };
	image_refused(&img, "aggregations are missing");
	img = (struct ir_image){ .strsize = 8, .str_bytes = 8 };
	image_refused(&img, "strings are missing");
}

static void strs_refused(const void *bytes, uint32_t cnt)
{
	uint8_t *copy = malloc(cnt);
	memcpy(copy, bytes, cnt);
	struct ir_image img = { .strsize = 8, .strs = copy, .str_bytes = cnt };
	image_refused(&img, "constant string");
	free(copy);
}

static void image_strings(void)
{
	static const struct { uint32_t len; char s[12]; } first = { 3, "abc" }, big = { 4096, "" }, huge = { UINT32_MAX, "" },
		garbage = { 0, "\0a" };
	strs_refused(&first, 8);   /* the first must be "" */
	strs_refused(&big, 16);    /* longer than what is there */
	strs_refused(&huge, 16);   /* wraps around */
	strs_refused(&garbage, 8); /* not padded with zeros */
	strs_refused("\0\0\0\0\0\0\0\0\0\0\0\0", 12); /* cut short */
	struct ir_image img = { .strsize = 8 };
	CHECK_EQ(ir_image_intern(&img, "hello", 5), 8);
	CHECK_EQ(ir_image_verify(&img, NULL), 0);
	ir_image_deinit(&img);
}

static void agg_refused(struct wire_agg a, const char *want)
{
	struct ir_image img = { .strsize = 8, .agg_cnt = 1, .aggs = &a };
	image_refused(&img, want);
}

static void image_aggregations(void)
{
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_COUNT, .val_cnt = 2 }, "words");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_STDDEV, .val_cnt = 3 }, "words");
	agg_refused((struct wire_agg){ .fn = 9, .val_cnt = 1 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LQUANTIZE, .limit = 10, .step = 0, .val_cnt = 2 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LQUANTIZE, .base = 10, .limit = 10, .step = 1, .val_cnt = 2 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LQUANTIZE, .base = INT64_MIN, .limit = INT64_MAX, .step = 1,
		.val_cnt = 2 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LQUANTIZE, .limit = 10, .step = 1, .val_cnt = 13 }, "words");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_high = 19, .ll_steps = 10,
		.val_cnt = 100 }, "parameters"); /* 10^20 does not fit */
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_low = 3, .ll_high = 2, .ll_steps = 10,
		.val_cnt = 100 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 1, .ll_high = 2, .ll_steps = 10,
		.val_cnt = 100 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_high = 2, .ll_steps = 7,
		.val_cnt = 100 }, "parameters");
	agg_refused((struct wire_agg){ .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_high = 2, .ll_steps = 20,
		.val_cnt = 100 }, "words");
	struct wire_agg ll = { .fn = WIRE_AGG_LLQUANTIZE, .ll_factor = 10, .ll_high = 2, .ll_steps = 20 };
	CHECK_EQ(ir_agg_words(&ll), 2 * (1 + 3 * 18) + 1);
	ll.ll_steps = 5;
	CHECK_EQ(ir_agg_words(&ll), 2 * (1 + 3 * 5) + 1);
	struct wire_agg lq = { .fn = WIRE_AGG_LQUANTIZE, .base = -5, .limit = 6, .step = 2 };
	CHECK_EQ(ir_agg_words(&lq), 7);
}

static void image_clause_numbers(void)
{
	struct make m;
	make_init(&m);
	ret(&m);
	make_finish(&m);
	m.prog.clause = 1;
	image_refused(&m.img, "clause 1");
	struct err err = { 0 };
	CHECK_EQ(ir_prog_verify(&m.prog, &m.img, &err), -22);
	CHECK(strstr(err.msg, "not in the image"));
	make_deinit(&m);
}

/* ---- programs as wholes ---- */

static void prog_limits(void)
{
	struct make m;
	make_init(&m);
	ret(&m);
	make_finish(&m);
#define PROG_LIMIT(field, v, want) do { uint32_t old = m.prog.field; m.prog.field = (v); image_refused(&m.img, want); \
	m.prog.field = old; } while (0)
	PROG_LIMIT(insn_cnt, IR_INSNS_MAX + 1, "instructions");
	PROG_LIMIT(insn_cnt, 0, "no instructions");
	PROG_LIMIT(vreg_cnt, IR_VREGS_MAX + 1, "registers");
	PROG_LIMIT(arg_cnt, IR_ARGS_MAX + 1, "arguments");
	PROG_LIMIT(arg_cnt, 1, "no instructions");
	PROG_LIMIT(scratch_bytes, IR_SCRATCH_MAX + 1, "scratch");
	PROG_LIMIT(scratch_bytes, 8, "this->");
	PROG_LIMIT(rec_bytes, IR_REC_MAX + 1, "record");
	make_deinit(&m);
}

static void last_must_end(void)
{
	struct make m;
	make_init(&m);
	konst(&m, 1);
	refused(&m, false, "last instruction");
	make_init(&m);
	ir_emit(m.b, IR_OP_FAULT, NO, konst(&m, 1), NO, WIRE_FAULT_ILLOP, 0);
	make_finish(&m);
	CHECK_EQ(ir_image_verify(&m.img, NULL), 0);
	make_deinit(&m);
}

static void too_large_to_verify(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 0);
	for (int i = 0; i < 65000; i++)
		ir_vreg(m.b);
	uint32_t first = ir_here(m.b);
	for (int i = 0; i < 20000; i++)
		branch(&m, IR_OP_BRZ, v);
	for (uint32_t i = 0; i < 20000; i++) {
		ir_patch_target(m.b, first + i, ir_here(m.b));
		ir_emit(m.b, IR_OP_NOP, NO, NO, NO, 0, 0);
	}
	refused(&m, true, "too large to verify");
}

/* ---- fields ---- */

static void opcodes(void) { insn_refused((enum ir_op)IR_OP_CNT, 0, 0, 0, 0, 0, "no operation"); }

static void registers_exist(void)
{
	insn_refused(IR_OP_ADD, 2, 0, 1, 0, 0, "dst: there is no register 2");
	insn_refused(IR_OP_ADD, 0, 2, 1, 0, 0, "a: there is no register 2");
	insn_refused(IR_OP_ADD, 0, 1, NO, 0, 0, "b: there is no register");
	insn_refused(IR_OP_CONST, NO, NO, NO, 0, 0, "dst: there is no register");
	insn_refused(IR_OP_STS, NO, NO, NO, 16, 8, "a: there is no register");
	insn_refused(IR_OP_BRZ, NO, 9, NO, 3, 0, "a: there is no register 9");
	insn_refused(IR_OP_AGG, NO, 0, 7, 0, IR_NO_TUPLE, "b: there is no register 7");
	insn_refused(IR_OP_FAULT, NO, 7, NO, 1, 0, "a: there is no register 7");
}

static void branches_go_forward(void)
{
	insn_refused(IR_OP_JMP, NO, NO, NO, 0, 0, "not after it");
	insn_refused(IR_OP_JMP, NO, NO, NO, 2, 0, "not after it");
	insn_refused(IR_OP_BRZ, NO, 0, NO, -1, 0, "not after it");
	insn_refused(IR_OP_BRNZ, NO, 0, NO, 4, 0, "not in the program");
	insn_refused(IR_OP_JMP, NO, NO, NO, INT64_MAX, 0, "not in the program");
	insn_refused(IR_OP_JMP, NO, NO, NO, (1LL << 32) + 3, 0, "not in the program");
	insn_passes(IR_OP_BRZ, NO, 0, NO, 3, 0);
}

static void ext_widths(void)
{
	insn_refused(IR_OP_EXT, 0, 0, NO, 0, 64, "cannot be extended");
	insn_refused(IR_OP_EXT, 0, 0, NO, 0, 0, "cannot be extended");
	insn_refused(IR_OP_EXT, 0, 0, NO, 0, 0x208, "cannot be extended");
	insn_passes(IR_OP_EXT, 0, 0, NO, 0, 32 | IR_SIGNED);
}

static void selectors(void)
{
	insn_refused(IR_OP_ARG, 0, NO, NO, 6, 0, "argument 6");
	insn_refused(IR_OP_ARG, 0, NO, NO, -1, 0, "argument -1");
	insn_refused(IR_OP_UREG, 0, NO, NO, WIRE_REG_CNT, 0, "register 21");
	insn_refused(IR_OP_ENV, 0, NO, NO, WIRE_ENV_CNT, 0, "variable 20");
	insn_refused(IR_OP_ENV, 0, NO, NO, INT64_MIN, 0, "variable -");
	insn_refused(IR_OP_ACTION, NO, NO, NO, 1LL << 32, 0, "action");
	insn_refused(IR_OP_FAULT, NO, 0, NO, 0, 0, "fault 0");
	insn_refused(IR_OP_FAULT, NO, 0, NO, WIRE_FAULT_CNT, 0, "fault 14");
}

static void accesses(enum ir_op ld, enum ir_op st, int64_t area)
{
	insn_refused(ld, 0, NO, NO, area, 1, "outside");
	insn_refused(ld, 0, NO, NO, area - 4, 8, "outside");
	insn_refused(ld, 0, NO, NO, -8, 8, "outside");
	insn_refused(ld, 0, NO, NO, INT64_MIN, 8, "outside");
	insn_refused(ld, 0, NO, NO, INT64_MAX, 8, "outside");
	insn_refused(ld, 0, NO, NO, (1LL << 32), 8, "outside");
	insn_refused(ld, 0, NO, NO, 4, 8, "multiple");
	insn_refused(ld, 0, NO, NO, 0, 3, "bytes");
	insn_refused(ld, 0, NO, NO, 0, 0, "bytes");
	insn_refused(ld, 0, NO, NO, 0, 0x208, "bytes");
	insn_passes(ld, 0, NO, NO, area - 8, 8);
	insn_passes(ld, 0, NO, NO, area - 1, 1 | IR_SIGNED);
	insn_refused(st, NO, 0, NO, area, 1, "outside");
	insn_refused(st, NO, 0, NO, -1, 1, "outside");
	insn_refused(st, NO, 0, NO, 2, 4, "multiple");
	insn_refused(st, NO, 0, NO, 0, 4 | IR_SIGNED, "no sign");
	insn_passes(st, NO, 0, NO, area - 2, 2);
}

static void scratch_accesses(void) { accesses(IR_OP_LDS, IR_OP_STS, 64); }
static void global_accesses(void) { accesses(IR_OP_LDG, IR_OP_STG, 128); }
static void self_accesses(void) { accesses(IR_OP_LDT, IR_OP_STT, 64); }

static void aggregation_ids(void)
{
	insn_refused(IR_OP_AGG, NO, 0, NO, 2, IR_NO_TUPLE, "no aggregation 2");
	insn_refused(IR_OP_AGG, NO, 0, NO, -1, IR_NO_TUPLE, "no aggregation -1");
	insn_passes(IR_OP_AGG, NO, 0, 1, 1, IR_NO_TUPLE);
	insn_passes(IR_OP_AGG, NO, 0, NO, 0, IR_NO_TUPLE);
}

/* ---- registers along the paths ---- */

static void registers_are_set(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = ir_vreg(m.b);
	op2(&m, IR_OP_ADD, v, v);
	refused(&m, true, "not set on every path");

	make_init(&m);
	uint32_t c = konst(&m, 1);
	v = ir_vreg(m.b);
	uint32_t br = branch(&m, IR_OP_BRZ, c);
	ir_emit(m.b, IR_OP_CONST, v, NO, NO, 5, 0);
	land(&m, br);
	op2(&m, IR_OP_ADD, v, c); /* set on one path only */
	refused(&m, true, "not set on every path");

	make_init(&m);
	c = konst(&m, 1);
	v = ir_vreg(m.b);
	br = branch(&m, IR_OP_BRZ, c);
	ir_emit(m.b, IR_OP_CONST, v, NO, NO, 5, 0);
	uint32_t over = branch(&m, IR_OP_JMP, NO);
	land(&m, br);
	ir_emit(m.b, IR_OP_CONST, v, NO, NO, 6, 0);
	land(&m, over);
	op2(&m, IR_OP_ADD, v, c);
	passes(&m);

	make_init(&m);
	v = ir_vreg(m.b);
	CALL(&m, strlen, ir_vreg(m.b), v);
	refused(&m, true, "not set on every path");

	make_init(&m);
	c = konst(&m, 1);
	ir_emit(m.b, IR_OP_AGG, NO, c, ir_vreg(m.b), 0, IR_NO_TUPLE);
	refused(&m, true, "not set on every path");
}

static void unreachable_code_is_checked_too(void)
{
	struct make m;
	make_init(&m);
	ret(&m);
	ir_emit(m.b, IR_OP_LDS, ir_vreg(m.b), NO, NO, 1 << 20, 8);
	refused(&m, true, "outside");
	make_init(&m);
	ret(&m);
	uint32_t v = ir_vreg(m.b);
	op2(&m, IR_OP_ADD, v, v); /* never runs: nothing is wrong with it */
	passes(&m);
}

/* ---- records ---- */

static void rec(struct make *m, int64_t bytes, uint16_t fixed) { ir_emit(m->b, IR_OP_REC, NO, NO, NO, bytes, fixed); }
static void str(struct make *m, uint32_t v, int64_t off) { ir_emit(m->b, IR_OP_STR, NO, v, NO, off, 8); }
static void commit(struct make *m) { ir_emit(m->b, IR_OP_COMMIT, NO, NO, NO, 0, 0); }

static void record_sizes(void)
{
	insn_refused(IR_OP_REC, NO, NO, NO, 72, 8, "larger than");
	insn_refused(IR_OP_REC, NO, NO, NO, -1, 0, "larger than");
	insn_refused(IR_OP_REC, NO, NO, NO, 64, 12, "fixed part");
	insn_refused(IR_OP_REC, NO, NO, NO, 60, 8, "no multiple of 8");
	insn_refused(IR_OP_REC, NO, NO, NO, 16, 24, "fixed part");
	insn_refused(IR_OP_STR, NO, 0, NO, 64, 8, "outside");
	insn_refused(IR_OP_STR, NO, 0, NO, 4, 8, "multiple");
}

static void record_state(void)
{
	struct make m;
	uint32_t c, br;
#define BEGIN do { make_init(&m); ir_set_rec_bytes(m.b, 64); c = konst(&m, 1); } while (0)
	BEGIN; str(&m, c, 0); refused(&m, true, "no record is open");
	BEGIN; commit(&m); refused(&m, true, "no record is open");
	BEGIN; CALL(&m, rec_str, NO, 0, c); refused(&m, true, "no record is open");
	BEGIN; rec(&m, 64, 16); refused(&m, true, "still open");
	BEGIN; rec(&m, 64, 16); rec(&m, 64, 16); refused(&m, true, "opened already");
	BEGIN; rec(&m, 64, 16); commit(&m); rec(&m, 64, 16); refused(&m, true, "opened already");
	BEGIN; rec(&m, 64, 16); commit(&m); commit(&m); refused(&m, true, "no record is open");
	BEGIN; rec(&m, 64, 16); commit(&m); str(&m, c, 0); refused(&m, true, "no record is open");
	/* open on one path only */
	BEGIN; br = branch(&m, IR_OP_BRZ, c); rec(&m, 64, 16); land(&m, br); str(&m, c, 0); refused(&m, true, "no record is open");
	BEGIN; br = branch(&m, IR_OP_BRZ, c); rec(&m, 64, 16); land(&m, br); refused(&m, true, "still open");
	BEGIN; br = branch(&m, IR_OP_BRZ, c); rec(&m, 64, 16); commit(&m); land(&m, br); rec(&m, 64, 16);
	refused(&m, true, "opened already");
	/* outside the fixed part, on the path where it is smallest */
	BEGIN; rec(&m, 64, 16); str(&m, c, 16); refused(&m, true, "fixed part");
	BEGIN; br = branch(&m, IR_OP_BRZ, c); rec(&m, 64, 8); uint32_t over = branch(&m, IR_OP_JMP, NO); land(&m, br);
	rec(&m, 64, 16); land(&m, over); str(&m, c, 8); refused(&m, true, "fixed part");
	/* FAULT voids an open record */
	BEGIN; rec(&m, 64, 16); ir_emit(m.b, IR_OP_FAULT, NO, c, NO, WIRE_FAULT_ILLOP, 0); passes(&m);
	BEGIN; br = branch(&m, IR_OP_BRZ, c); rec(&m, 64, 16); str(&m, c, 8); commit(&m); land(&m, br); passes(&m);
}

static void record_fields(void)
{
	struct make m;
	uint32_t c;
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_str, NO, 16, c); commit(&m); refused(&m, true, "no field at offset 16");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_str, NO, 4, c); commit(&m); refused(&m, true, "no field at offset 4");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_str, NO, UINT64_MAX - 7, c); commit(&m); refused(&m, true, "no field");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_mem, NO, 24, c, c, 8); commit(&m); refused(&m, true, "no field at offset 24");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_mem, NO, 8, c, c, 65); commit(&m); refused(&m, true, "constant 65");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_ustack, NO, 16, 4, 0); commit(&m); refused(&m, true, "no field");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_ustack, NO, 8, IR_FRAMES_MAX + 1, 0); commit(&m); refused(&m, true, "constant");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_ustack, NO, 8, 2, IR_STRSIZE_MAX + 1); commit(&m); refused(&m, true, "constant");
	BEGIN; rec(&m, 64, 16); CALL(&m, rec_str, NO, 8, c); CALL(&m, rec_mem, NO, 0, c, c, 8); commit(&m); passes(&m);
}

/* ---- calls ---- */

static void call_shapes(void)
{
	struct make m;
	CALL_REFUSED(strlen, 0, "takes 1 arguments, not 2", 0, 1);
	CALL_REFUSED(str_cmp, 0, "takes 2 arguments, not 1", 0);
	CALL_REFUSED(strlen, 5, "dst: there is no register 5", 0);
	CALL_REFUSED(strlen, 0, "argument 0: there is no register 2", 2);
	CALL_REFUSED(str_cmp, 0, "argument 1: there is no register 4294967296", 0, 1ULL << 32);
	CALL_REFUSED(exit, 0, "no result", 0);
	insn_refused(IR_OP_CALL, NO, 0, 0, IR_HELPER_CNT, 0, "no helper");
	insn_refused(IR_OP_CALL, NO, 0, 0, -1, 0, "no helper");
	insn_refused(IR_OP_CALL, NO, 0, 0, IR_HELPER_hook_dl, 0, "cannot call");
	insn_refused(IR_OP_CALL, 0, 0, 1, IR_HELPER_strlen, 0, "not in the program");
	insn_refused(IR_OP_CALL, 0, UINT32_MAX, 1, IR_HELPER_strlen, 0, "not in the program");
	make_init(&m);
	CALL(&m, strlen, NO, konst(&m, 0)); /* a result may be dropped */
	passes(&m);
}

static void string_slots(void)
{
	uint32_t end = 16 + 200, need = wire_str_bytes(20);
	CALL_REFUSED(str_copy, 0, "no multiple of 8", 0, 20);
	CALL_REFUSED(str_copy, 0, "outside the scratch", 0, end - need + 8);
	CALL_REFUSED(str_copy, 0, "outside the scratch", 0, UINT64_MAX - 7);
	CALL_REFUSED(str_copy, 0, "outside the scratch", 0, 1ULL << 32);
	CALL_REFUSED(strjoin, 0, "outside the scratch", 0, 1, 400);
	CALL_REFUSED(lltostr, 0, "outside the scratch", 0, 1, 400);
	CALL_REFUSED(gstr_load, 0, "outside the scratch", 0, 400);
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 0), slot = ir_scratch(m.b, need);
	CALL(&m, str_copy, v, v, slot);
	passes(&m);
}

static void string_variables(void)
{
	CALL_REFUSED(gstr_load, 0, "no multiple of 8", 4, 16);
	CALL_REFUSED(gstr_load, 0, "outside the variables", 128 - 24, 16);
	CALL_REFUSED(gstr_store, NO, "outside the variables", UINT64_MAX - 7, 0);
	CALL_REFUSED(tstr_load, 0, "outside the variables", 40, 16);
	CALL_REFUSED(tstr_store, NO, "outside the variables", 64, 0);
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 0);
	CALL(&m, gstr_store, NO, 128 - 32, v);
	CALL(&m, tstr_store, NO, 32, v);
	passes(&m);
}

static void call_constants(void)
{
	CALL_REFUSED(copyin_u, 0, "cannot have 3 bytes", 0, 3, 0);
	CALL_REFUSED(copyin_u, 0, "constant 2", 0, 4, 2);
	CALL_REFUSED(poke, NO, "cannot have 16 bytes", 0, 0, 16);
	CALL_REFUSED(arg, 0, "not in 6..9", 5);
	CALL_REFUSED(arg, 0, "not in 6..9", 10);
	CALL_REFUSED(dyn_load, 0, "no dynamic variable 3", 3, 0, 16);
	CALL_REFUSED(dyn_load, 0, "constant 2", 0, 2, 16);
	CALL_REFUSED(var_addr, 0, "constant 3", 3, 0);
	CALL_REFUSED(var_addr, 0, "constant 4096", 0, 4096);
	CALL_REFUSED(var_copy, NO, "is larger than", 0, 0, 1ull << 40);
	CALL_REFUSED(dyn_mem_load, NO, "is larger than", 0, 1ull << 20, 16, 0);
	CALL_REFUSED(dyn_mem_store, NO, "no dynamic variable 3", 3, 0, 16, 0);
}

/* ---- tuples ---- */

static void tuple_must_begin(void)
{
	struct make m;
	uint32_t c, t, br;
#define TUPLE(bytes) do { make_init(&m); c = konst(&m, 1); t = ir_scratch(m.b, bytes); } while (0)
	TUPLE(64); ir_emit(m.b, IR_OP_AGG, NO, c, NO, 0, (uint16_t)t); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, tuple_str, NO, t, 0, c); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, tuple_mem, NO, t, 0, c, c); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, dyn_load, c, 0, 0, t); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, dyn_store, NO, 0, 0, t, c); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, dyn_str_store, NO, 0, 0, t, c); refused(&m, true, "not begun");
	TUPLE(64); br = branch(&m, IR_OP_BRZ, c); CALL(&m, tuple_begin, NO, t, 8); land(&m, br);
	ir_emit(m.b, IR_OP_AGG, NO, c, NO, 0, (uint16_t)t); refused(&m, true, "not begun");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 8); ir_emit(m.b, IR_OP_AGG, NO, c, NO, 0, (uint16_t)t); passes(&m);
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, dyn_store, NO, 2, 1, t, c); passes(&m);
}

static void tuple_sizes(void)
{
	struct make m;
	uint32_t c, t;
	uint32_t one = ir_tuple_bytes(8, 1, 0, 20), deep = ir_tuple_bytes(16, 1, 5, 20);
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 12); refused(&m, true, "no multiple of 8");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 64); refused(&m, true, "outside the scratch");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, UINT64_MAX - 7); refused(&m, true, "too large");
	TUPLE(64); CALL(&m, tuple_begin, NO, t + 4, 8); refused(&m, true, "no multiple of 8");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_begin, NO, t, 16); refused(&m, true, "and 8 elsewhere");
	TUPLE(one - 8); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_str, NO, t, 0, c); refused(&m, true, "needs");
	TUPLE(one); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_str, NO, t, 0, c); passes(&m);
	TUPLE(one - 8); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_mem, NO, t, 0, c, c); refused(&m, true, "needs");
	TUPLE(deep - 8); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_str, NO, t, 0, c); CALL(&m, tuple_ustack, NO, t, 8, 5);
	refused(&m, true, "needs");
	TUPLE(deep); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_str, NO, t, 0, c); CALL(&m, tuple_ustack, NO, t, 8, 5);
	passes(&m);
	/* the path that appends most counts; beginning again starts anew */
	TUPLE(one); CALL(&m, tuple_begin, NO, t, 8); uint32_t br = branch(&m, IR_OP_BRZ, c); CALL(&m, tuple_str, NO, t, 0, c);
	uint32_t over = branch(&m, IR_OP_JMP, NO); land(&m, br); CALL(&m, tuple_mem, NO, t, 0, c, c); land(&m, over);
	CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_str, NO, t, 0, c); passes(&m);
	TUPLE(one); CALL(&m, tuple_begin, NO, t, 8); br = branch(&m, IR_OP_BRZ, c); CALL(&m, tuple_str, NO, t, 0, c);
	land(&m, br); CALL(&m, tuple_str, NO, t, 0, c); refused(&m, true, "needs");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_ustack, NO, t, 0, IR_FRAMES_MAX + 1); refused(&m, true, "constant");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 8); CALL(&m, tuple_ustack, NO, t, 0, UINT64_MAX / 8 + 1); refused(&m, true, "constant");
}

static void tuple_fields(void)
{
	struct make m;
	uint32_t c, t;
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_str, NO, t, 16, c); refused(&m, true, "no field at offset 16");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_str, NO, t, 4, c); refused(&m, true, "no field at offset 4");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_mem, NO, t, UINT64_MAX - 7, c, c); refused(&m, true, "no field");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_ustack, NO, t, 24, 2); refused(&m, true, "no field");
}

static void tuples_overlap_nothing(void)
{
	struct make m;
	uint32_t c, t;
	TUPLE(64); CALL(&m, tuple_begin, NO, 8, 8); refused(&m, true, "this-> variables");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_begin, NO, t + 16, 16); refused(&m, true, "the one before");
	TUPLE(64); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_begin, NO, t + 24, 16); passes(&m);
	/* a string over a head */
	TUPLE(128); CALL(&m, tuple_begin, NO, t + 16, 16); CALL(&m, str_copy, c, c, t); refused(&m, true, "overlaps the tuple");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, str_copy, c, c, t); refused(&m, true, "overlaps the tuple");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, str_copy, c, c, t + 24); passes(&m);
	/* the destination of dyn_str_load over its own key */
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, dyn_str_load, c, 0, 0, t, t + 16); refused(&m, true, "overlaps the tuple");
	/* stores: only into the fixed part */
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); ir_emit(m.b, IR_OP_STS, NO, c, NO, t, 8); refused(&m, true, "fixed part");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); ir_emit(m.b, IR_OP_STS, NO, c, NO, t + 7, 1); refused(&m, true, "fixed part");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); CALL(&m, tuple_str, NO, t, 8, c);
	ir_emit(m.b, IR_OP_STS, NO, c, NO, t + 24, 8); refused(&m, true, "fixed part");
	TUPLE(128); CALL(&m, tuple_begin, NO, t, 16); ir_emit(m.b, IR_OP_STS, NO, c, NO, t + 8, 8);
	ir_emit(m.b, IR_OP_STS, NO, c, NO, t + 24, 8); passes(&m);
}

static void tuple_limit(void)
{
	struct make m;
	make_init(&m);
	for (uint32_t i = 0; i <= IR_TUPLES_MAX; i++)
		CALL(&m, tuple_begin, NO, ir_scratch(m.b, 16), 8);
	refused(&m, true, "more than 1024 tuples");
}

TAP_MAIN(TEST(image_limits), TEST(image_arrays_missing), TEST(image_strings), TEST(image_aggregations),
	 TEST(image_clause_numbers), TEST(prog_limits), TEST(last_must_end), TEST(too_large_to_verify), TEST(opcodes),
	 TEST(registers_exist), TEST(branches_go_forward), TEST(ext_widths), TEST(selectors), TEST(scratch_accesses),
	 TEST(global_accesses), TEST(self_accesses), TEST(aggregation_ids), TEST(registers_are_set),
	 TEST(unreachable_code_is_checked_too), TEST(record_sizes), TEST(record_state), TEST(record_fields), TEST(call_shapes),
	 TEST(string_slots), TEST(string_variables), TEST(call_constants), TEST(tuple_must_begin), TEST(tuple_sizes),
	 TEST(tuple_fields), TEST(tuples_overlap_nothing), TEST(tuple_limit))
