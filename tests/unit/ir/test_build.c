/* SPDX-License-Identifier: MIT */
/* Builder, printer, interned strings, and the layout that an image asks for. */
#include "make.h"

#include "wire/layout.h"

static void prints_every_form(void)
{
	struct make m;
	make_init(&m);
	uint32_t a = konst(&m, -3), b = ir_vreg(m.b), slot = ir_scratch(m.b, 30), key = ir_scratch(m.b, 16);
	ir_set_rec_bytes(m.b, 32);
	ir_emit(m.b, IR_OP_ARG, b, NO, NO, 1, 0);
	uint32_t c = op2(&m, IR_OP_ADD, a, b);
	ir_emit(m.b, IR_OP_EXT, c, c, NO, 0, 32 | IR_SIGNED);
	uint32_t br = branch(&m, IR_OP_BRZ, c);
	ir_emit(m.b, IR_OP_ENV, b, NO, NO, WIRE_ENV_PROBEFUNC, 0);
	ir_emit(m.b, IR_OP_UREG, c, NO, NO, WIRE_RSP, 0);
	land(&m, br);
	CALL(&m, str_copy, a, b, slot);
	CALL(&m, tuple_begin, NO, key, 8);
	ir_emit(m.b, IR_OP_STS, NO, c, NO, key + 8, 4);
	ir_emit(m.b, IR_OP_LDG, c, NO, NO, 16, 2 | IR_SIGNED);
	ir_emit(m.b, IR_OP_AGG, NO, c, b, 1, (uint16_t)key);
	ir_emit(m.b, IR_OP_AGG, NO, c, NO, 0, IR_NO_TUPLE);
	ir_emit(m.b, IR_OP_ACTION, NO, NO, NO, 2, 0);
	ir_emit(m.b, IR_OP_REC, NO, NO, NO, 32, 16);
	ir_emit(m.b, IR_OP_STR, NO, c, NO, 8, 8);
	CALL(&m, rec_ustack, NO, 0, 2, 0);
	ir_emit(m.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
	CALL(&m, rand, b);
	ir_emit(m.b, IR_OP_FAULT, NO, c, NO, WIRE_FAULT_DIVZERO, 0);
	make_finish(&m);
	char *text = prog_text(&m.prog);
	CHECK_STR(text,
		  "clause 0: vregs 3, scratch 64, record 32\n"
		  "    0  const   v0, -3\n"
		  "    1  arg     v1, 1\n"
		  "    2  add     v2, v0, v1\n"
		  "    3  ext.s32 v2, v2\n"
		  "    4  brz     v2, 7\n"
		  "    5  env     v1, probefunc\n"
		  "    6  ureg    v2, rsp\n"
		  "    7  call    v0, str_copy(v1, [16])\n"
		  "    8  call    tuple_begin([48], 8)\n"
		  "    9  sts.4   [56], v2\n"
		  "   10  ldg.s2  v2, [16]\n"
		  "   11  agg     @1[slot 48], v2, v1\n"
		  "   12  agg     @0, v2\n"
		  "   13  action  2\n"
		  "   14  rec     32, fixed 16\n"
		  "   15  str.8   [8], v2\n"
		  "   16  call    rec_ustack(0, 2, 0)\n"
		  "   17  commit\n"
		  "   18  call    v1, rand()\n"
		  "   19  fault   v2, divzero\n");
	struct err err = { 0 };
	CHECK_MSG(ir_image_verify(&m.img, &err) == 0, "%s", err.msg);
	free(text);
	make_deinit(&m);
}

static void prints_what_is_wrong(void)
{
	struct ir_insn insns[] = {
		{ .op = 77 },
		{ .op = IR_OP_CALL, .dst = NO, .b = 3, .imm = IR_HELPER_strlen },
		{ .op = IR_OP_CALL, .dst = 1, .imm = 999 },
		{ .op = IR_OP_ENV, .dst = 0, .imm = -1 },
	};
	struct ir_prog p = { .insns = insns, .insn_cnt = 4 };
	char *text = prog_text(&p);
	CHECK_STR(text, "clause 0: vregs 0, scratch 0, record 0\n"
		  "    0  ?77\n    1  call    strlen(?)\n    2  call    v1, ?999\n    3  env     v0, ?-1\n");
	free(text);
}

static void tables_fit(void)
{
	CHECK_STR(ir_op_name(IR_OP_NOP), "nop");
	CHECK_STR(ir_op_name(IR_OP_RET), "ret");
	CHECK_STR(ir_op_name((enum ir_op)IR_OP_CNT), "?");
	CHECK(!ir_helper((enum ir_helper)IR_HELPER_CNT));
	for (unsigned h = 0; h < IR_HELPER_CNT; h++) {
		const struct ir_helper_desc *d = ir_helper((enum ir_helper)h);
		CHECK(strlen(d->args) <= 4 && strspn(d->args, "isDk") == strlen(d->args));
		CHECK(strchr("isv", d->result));
		CHECK_MSG((d->result == 's') == (strchr(d->args, 'D') && strncmp(d->name, "tuple", 5) && strcmp(d->name, "dyn_load") &&
			  strcmp(d->name, "dyn_store") && strcmp(d->name, "dyn_str_store") && strncmp(d->name, "dyn_mem", 7) &&
			  strcmp(d->name, "dyn_clear")), "%s", d->name);
	}
}

static void strings_are_shared(void)
{
	struct ir_image img = { 0 };
	uint32_t a = ir_image_intern(&img, "abc", 3), b = ir_image_intern(&img, "a\0c", 3);
	CHECK_EQ(a, 8);
	CHECK_EQ(b, 16);
	CHECK_EQ(ir_image_intern(&img, "abc", 3), a);
	CHECK_EQ(ir_image_intern(&img, "", 0), 0);
	CHECK_EQ(ir_image_intern(&img, "abcd", 4), 24);
	CHECK_EQ(img.str_bytes, 40);
	CHECK_EQ(ir_image_intern(&img, "x", IR_STRS_MAX), WIRE_NONE);
	ir_image_deinit(&img);
}

static void many_instructions(void)
{
	struct ir_builder *b = ir_builder_create(7);
	uint32_t v = ir_vreg(b);
	for (int i = 0; i < 5000; i++) {
		CHECK_EQ(ir_emit(b, IR_OP_CONST, v, NO, NO, i, 0), 2 * i);
		CHECK_EQ(ir_emit_call(b, IR_HELPER_exit, NO, (const uint64_t[]){ v }, 1), 2 * i + 1);
	}
	struct ir_prog p;
	CHECK_EQ(ir_builder_finish(b, &p), 0);
	CHECK_EQ(p.insn_cnt, 10000);
	CHECK_EQ(p.arg_cnt, 5000);
	CHECK_EQ(p.clause, 7);
	CHECK_EQ(p.insns[9999].a, 4999);
	ir_prog_deinit(&p);
	ir_builder_destroy(b);
}

static void layout_has_room(void)
{
	struct ir_prog progs[] = { { .scratch_bytes = 40 }, { .scratch_bytes = 104 } };
	struct ir_image img = { .progs = progs, .prog_cnt = 2, .agg_cnt = 3, .global_bytes = 100, .self_bytes = 50,
		.this_bytes = 24, .strsize = 64, .str_bytes = 8 };
	struct wire_layout_in in = { .thread_cnt = 4, .site_cap = 10, .dyn_bytes = 10000, .unw_bytes = 1, .ring_bytes = 5000,
		.agg_bytes = 9000, .ctx_bytes = 500 };
	ir_image_layout(&img, &in);
	CHECK_EQ(in.scratch_bytes, 112);
	struct wire_shm s;
	CHECK_EQ(wire_layout(&s, &in, NULL), 0);
	const uint64_t areas[][2] = { { 0, sizeof(s) }, { s.proc_off, sizeof(struct wire_proc) * s.proc_cnt },
		{ s.str_off, in.str_cap }, { s.site_off, 640 }, { s.global_off, 100 }, { s.dyn_off, 10000 }, { s.unw_off, 1 },
		{ s.agg_desc_off, 3 * sizeof(struct wire_agg) }, { s.thread_off, 4 * s.geom.stride }, { s.bytes, 0 } };
	for (size_t i = 1; i < ARRAY_CNT(areas); i++) {
		CHECK_EQ(areas[i][0] % 4096, 0);
		CHECK(areas[i][0] >= areas[i - 1][0] + areas[i - 1][1]);
	}
	const struct wire_thread_geom *g = &s.geom;
	const uint64_t parts[][2] = { { 0, sizeof(struct wire_thread) }, { g->drops_off, 16 }, { g->errors_off, 16 },
		{ g->self_off, 50 }, { g->ctx_off, 4ull * g->ctx_stride }, { g->ring_off, 8192 }, { g->agg_off, 9000 },
		{ g->stride, 0 } };
	for (size_t i = 1; i < ARRAY_CNT(parts); i++)
		CHECK(parts[i][0] % 64 == 0 && parts[i][0] >= parts[i - 1][0] + parts[i - 1][1]);
	CHECK_EQ(g->ring_bytes, 8192);
	CHECK(g->ctx_stride >= 500 + 112);
	CHECK_EQ(s.this_bytes, 24);
}

static void layout_refuses(void)
{
	const struct wire_layout_in ok = { .strsize = 8, .thread_cnt = 1, .ctx_bytes = 100 };
	struct wire_shm s;
	CHECK_EQ(wire_layout(&s, &ok, NULL), 0);
#define BAD(field, v, code) do { struct wire_layout_in in = ok; in.field = (v); CHECK_EQ(wire_layout(&s, &in, NULL), code); } while (0)
	BAD(thread_cnt, 0, -22);
	BAD(ctx_bytes, 0, -22);
	BAD(this_bytes, 8, -22);
	BAD(ring_bytes, UINT64_MAX, -7);
	BAD(agg_bytes, UINT64_MAX, -7);
	BAD(dyn_bytes, UINT64_MAX - 4096, -7);
	BAD(str_cap, 1ULL << 33, -7);
	BAD(scratch_bytes, UINT64_MAX, -7);
	BAD(site_cap, UINT32_MAX, -7);
	struct wire_layout_in in = ok;
	in.thread_cnt = 1 << 20;
	in.agg_bytes = 1ULL << 36;
	struct err err = { 0 };
	CHECK_EQ(wire_layout(&s, &in, &err), -7);
	CHECK(strstr(err.msg, "lower bufsize"));
}

TAP_MAIN(TEST(prints_every_form), TEST(prints_what_is_wrong), TEST(tables_fit), TEST(strings_are_shared),
	 TEST(many_instructions), TEST(layout_has_room), TEST(layout_refuses))
