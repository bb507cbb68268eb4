/* SPDX-License-Identifier: MIT */
/* What each operation means. */
#include "exec.h"
#include "../unit/ir/make.h"

#include "ir/interp.h"
#include "ring/ring.h"

static struct mkshm shm;

/* Verifies, runs once at a site of the kind, and leaves the memory in shm. */
static int run_at(struct make *m, enum wire_site_kind kind)
{
	struct err err = { 0 };
	ret(m);
	make_finish(m);
	CHECK_MSG(ir_image_verify(&m->img, &err) == 0, "%s", err.msg);
	mkshm_init(&shm, &m->img, NULL, 0);
	struct exec_input in;
	exec_input_init(&in);
	struct rt_ctx *ctx = rt_enter(shm.shm, mkshm_proc(&shm, 0), mkshm_thread(&shm, 0), mkshm_site(&shm, kind), in.regs[WIRE_RSP]);
	CHECK(ctx != NULL);
	memcpy(ctx->regs, in.regs, sizeof(ctx->regs));
	memcpy(ctx->tool_args, in.tool_args, sizeof(ctx->tool_args));
	int r = ir_interp_run(&m->prog, ctx);
	rt_leave(ctx);
	return r;
}

static void done(struct make *m)
{
	mkshm_deinit(&shm);
	make_deinit(m);
}

static uint64_t global(uint32_t off)
{
	uint64_t v;
	memcpy(&v, (char *)shm.shm + shm.shm->global_off + off, 8);
	return v;
}

static void save(struct make *m, uint32_t v, uint32_t off) { ir_emit(m->b, IR_OP_STG, NO, v, NO, off, 8); }

/* The first record of the ring. */
static const struct wire_rec *first_record(void)
{
	static struct ring_reader r;
	struct wire_thread *t = mkshm_thread(&shm, 0);
	ring_reader_init(&r, &t->ring, (uint8_t *)t + shm.shm->geom.ring_off, shm.shm->geom.ring_bytes);
	return ring_reader_next(&r);
}

static void arguments(void)
{
	const struct { enum wire_site_kind kind; int64_t a0, a2; } t[] = {
		{ WIRE_SITE_TOOL, -3000, -1000 }, { WIRE_SITE_ENTRY, 3, (int64_t)(0x1111111111111111ULL * 12 + 12) },
		{ WIRE_SITE_RETURN, 0x10, 0 }, { WIRE_SITE_OFFSET, 3, (int64_t)(0x1111111111111111ULL * 12 + 12) },
	};
	for (size_t i = 0; i < ARRAY_CNT(t); i++) {
		struct make m;
		make_init(&m);
		for (uint32_t k = 0; k < 3; k++) {
			uint32_t v = ir_vreg(m.b);
			ir_emit(m.b, IR_OP_ARG, v, NO, NO, k, 0);
			save(&m, v, 8 * k);
		}
		CHECK_EQ(run_at(&m, t[i].kind), 0);
		CHECK_EQ(global(0), t[i].a0);
		CHECK_EQ(global(8), (uint64_t)(uintptr_t)(exec_mem + 512));
		CHECK_EQ(global(16), t[i].a2);
		done(&m);
	}
}

static void registers(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_UREG, v, NO, NO, WIRE_R14, 0);
	save(&m, v, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	CHECK_EQ(global(0), 0x1111111111111112ULL);
	done(&m);
}

static void memory_widths(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, (int64_t)0x8182838485868788ULL), slot = ir_scratch(m.b, 8), w = ir_vreg(m.b);
	ir_emit(m.b, IR_OP_STS, NO, v, NO, slot, 8);
	ir_emit(m.b, IR_OP_STT, NO, v, NO, 8, 2);
	const struct { uint16_t aux; enum ir_op op; int64_t at; uint64_t want; } t[] = {
		{ 1, IR_OP_LDS, slot + 1, 0x87 }, { 1 | IR_SIGNED, IR_OP_LDS, slot + 1, 0xffffffffffffff87 },
		{ 4, IR_OP_LDS, slot + 4, 0x81828384 }, { 4 | IR_SIGNED, IR_OP_LDS, slot, 0xffffffff85868788 },
		{ 8 | IR_SIGNED, IR_OP_LDS, slot, 0x8182838485868788 }, { 8, IR_OP_LDT, 8, 0x8788 },
		{ 2 | IR_SIGNED, IR_OP_LDT, 8, 0xffffffffffff8788 },
	};
	for (uint32_t i = 0; i < ARRAY_CNT(t); i++) {
		ir_emit(m.b, t[i].op, w, NO, NO, t[i].at, t[i].aux);
		save(&m, w, 8 * i);
	}
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	for (uint32_t i = 0; i < ARRAY_CNT(t); i++)
		CHECK_EQ(global(8 * i), t[i].want);
	done(&m);
}

static void branches(void)
{
	struct make m;
	make_init(&m);
	uint32_t zero = konst(&m, 0), one = konst(&m, 1), v = konst(&m, 5);
	uint32_t b1 = branch(&m, IR_OP_BRZ, one);
	save(&m, v, 0);
	land(&m, b1);
	uint32_t b2 = branch(&m, IR_OP_BRZ, zero);
	save(&m, v, 8);
	land(&m, b2);
	uint32_t b3 = branch(&m, IR_OP_BRNZ, zero);
	save(&m, v, 16);
	land(&m, b3);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	CHECK_EQ(global(0), 5);
	CHECK_EQ(global(8), 0);
	CHECK_EQ(global(16), 5);
	done(&m);
}

static void error_is(uint32_t fault, uint64_t value, uint32_t pc, uint64_t action)
{
	const struct wire_rec *rec = first_record();
	CHECK(rec && rec->type == WIRE_REC_ERROR);
	if (!rec || rec->type != WIRE_REC_ERROR)
		return;
	struct wire_rec_error e;
	memcpy(&e, rec->payload, sizeof(e));
	CHECK_EQ(e.fault, fault);
	CHECK_EQ(e.value, value);
	CHECK_EQ(e.pc, pc);
	CHECK_EQ(e.action, action);
}

static void division_by_zero(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 5), z = konst(&m, 0);
	ir_emit(m.b, IR_OP_ACTION, NO, NO, NO, 3, 0);
	op2(&m, IR_OP_UREM, v, z);
	save(&m, v, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 1);
	CHECK_EQ(global(0), 0);
	error_is(WIRE_FAULT_DIVZERO, 0, 3, 3);
	done(&m);
}

static void explicit_fault(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 0x77);
	ir_set_rec_bytes(m.b, 8);
	ir_emit(m.b, IR_OP_REC, NO, NO, NO, 8, 8); /* it voids the open record */
	ir_emit(m.b, IR_OP_FAULT, NO, v, NO, WIRE_FAULT_BADSIZE, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 1);
	const struct wire_rec *rec = first_record();
	CHECK(rec && (rec->type == WIRE_REC_VOID || rec->type == WIRE_REC_ERROR));
	done(&m);
}

static void helper_fault_ends(void)
{
	struct make m;
	make_init(&m);
	uint32_t bad = konst(&m, 8), v = ir_vreg(m.b);
	CALL(&m, copyin_u, v, bad, 4, 0);
	save(&m, bad, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 1);
	CHECK_EQ(global(0), 0);
	error_is(WIRE_FAULT_BADADDR, 8, 1, 0);
	done(&m);
}

static void a_record(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, -2), s = konst(&m, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, 8));
	m.img.strs = NULL;
	ir_image_intern(&m.img, "hey", 3);
	ir_set_rec_bytes(m.b, 64);
	ir_emit(m.b, IR_OP_REC, NO, NO, NO, 64, 16);
	ir_emit(m.b, IR_OP_STR, NO, v, NO, 0, 8);
	CALL(&m, rec_str, NO, 8, s);
	ir_emit(m.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	const struct wire_rec *rec = first_record();
	CHECK(rec && rec->type == WIRE_REC_DATA && rec->bytes == sizeof(*rec) + 24);
	if (rec && rec->bytes >= sizeof(*rec) + 24) {
		int64_t n;
		struct wire_vref ref;
		memcpy(&n, rec->payload, 8);
		memcpy(&ref, rec->payload + 8, 8);
		CHECK_EQ(n, -2);
		CHECK_EQ(ref.off, 16);
		CHECK_EQ(ref.bytes, 3);
		CHECK(!memcmp(rec->payload + 16, "hey\0\0\0\0\0", 8));
		CHECK_EQ(rec->site, WIRE_SITE_ENTRY);
		CHECK_EQ(rec->clause, 0);
	}
	free(m.img.strs);
	done(&m);
}

/* Fills the ring; then REC ends the program and counts a drop. */
static void no_room_ends(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 1);
	ir_set_rec_bytes(m.b, 4000);
	ir_emit(m.b, IR_OP_REC, NO, NO, NO, 4000, 4000);
	ir_emit(m.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
	ir_emit(m.b, IR_OP_LDG, v, NO, NO, 0, 8);
	save(&m, op2(&m, IR_OP_ADD, v, konst(&m, 1)), 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	const struct ir_prog *p = &m.prog;
	for (int i = 0; i < 30; i++)
		CHECK_EQ(ir_interp_fire(shm.shm, mkshm_site(&shm, WIRE_SITE_TOOL), &p, 1, NULL), 0);
	uint64_t drops;
	memcpy(&drops, (char *)mkshm_thread(&shm, 0) + shm.shm->geom.drops_off, 8);
	CHECK(drops > 10 && drops < 31);
	CHECK_EQ(global(0), 31 - drops);
	done(&m);
}

static void many_registers(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = konst(&m, 0), one = konst(&m, 1);
	for (int i = 0; i < 1000; i++)
		v = op2(&m, IR_OP_ADD, v, one);
	save(&m, v, 0);
	CHECK_EQ(run_at(&m, WIRE_SITE_ENTRY), 0);
	CHECK_EQ(global(0), 1000);
	done(&m);
}

/* exit() lets the clause that calls it end, and no later one begin. */
static void exit_stops_later_clauses(void)
{
	struct make m;
	make_init(&m);
	uint32_t v = ir_vreg(m.b), one = konst(&m, 1);
	CALL(&m, exit, NO, one);
	ir_emit(m.b, IR_OP_LDG, v, NO, NO, 0, 8);
	save(&m, op2(&m, IR_OP_ADD, v, one), 0);
	ret(&m);
	make_finish(&m);
	mkshm_init(&shm, &m.img, NULL, 0);
	const struct ir_prog *progs[3] = { &m.prog, &m.prog, &m.prog };
	CHECK_EQ(ir_interp_fire(shm.shm, mkshm_site(&shm, WIRE_SITE_TOOL), progs, 3, NULL), 0);
	CHECK_EQ(global(0), 1);
	CHECK_EQ(shm.shm->exit_status, 1);
	CHECK_EQ(ir_interp_fire(shm.shm, mkshm_site(&shm, WIRE_SITE_TOOL), progs, 3, NULL), 0); /* END */
	CHECK_EQ(global(0), 4);
	CHECK_EQ(mkshm_thread(&shm, 0)->level, 0);
	done(&m);
}

TAP_MAIN(TEST(arguments), TEST(registers), TEST(memory_widths), TEST(branches), TEST(division_by_zero), TEST(explicit_fault),
	 TEST(helper_fault_ends), TEST(a_record), TEST(no_room_ends), TEST(many_registers), TEST(exit_stops_later_clauses))
