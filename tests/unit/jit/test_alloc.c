/* SPDX-License-Identifier: MIT */
/* Places of registers in programs small enough to see what is right. */
#include "../ir/make.h"

#include "jit/alloc.h"

static const uint8_t clobbered[] = { 1, 2 }, kept[] = { 3 };
static const struct jit_regs regs = { clobbered, ARRAY_CNT(clobbered), kept, ARRAY_CNT(kept) };

static struct make mk;
static struct jit_alloc al;

static uint32_t load(void)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_LDG, v, NO, NO, 0, 8);
	return v;
}

static void use(uint32_t v)
{
	ir_emit(mk.b, IR_OP_STG, NO, v, NO, 0, 8);
}

static void call(void)
{
	ir_emit_call(mk.b, IR_HELPER_rand, NO, NULL, 0);
}

static void allocate(void)
{
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	CHECK_EQ(jit_alloc_init(&al, &mk.prog, &regs, NULL), 0);
}

static void end(void)
{
	jit_alloc_deinit(&al);
	make_deinit(&mk);
}

static void check_reg(uint32_t v, uint32_t reg)
{
	CHECK_EQ(al.locs[v].kind, JIT_LOC_REG);
	CHECK_EQ(al.locs[v].reg, reg);
}

static void constants_take_no_place(void)
{
	make_init(&mk);
	uint32_t once = konst(&mk, 7), twice = konst(&mk, 8);
	ir_emit(mk.b, IR_OP_CONST, twice, NO, NO, 9, 0);
	use(once);
	use(twice);
	allocate();
	CHECK(al.locs[once].kind == JIT_LOC_IMM && al.locs[once].imm == 7);
	check_reg(twice, 1);
	end();
}

static void registers_are_used_again(void)
{
	make_init(&mk);
	for (unsigned i = 0; i < 5; i++)
		use(load());
	allocate();
	for (uint32_t v = 0; v < 5; v++)
		check_reg(v, 1);
	CHECK_EQ(al.used, 1u << 1);
	CHECK_EQ(al.slot_cnt, 0);
	end();
}

static void what_lives_across_a_call_is_kept(void)
{
	make_init(&mk);
	uint32_t across = load(), until = load(), after;
	use(until);
	call();
	use(across);
	after = load();
	use(after);
	allocate();
	check_reg(across, 3);
	check_reg(until, 1);
	check_reg(after, 1);
	end();
}

/* An operand of the call itself may lie in what the call clobbers; so may its result. */
static void the_call_itself_is_not_across(void)
{
	make_init(&mk);
	uint32_t arg = load(), ret = ir_vreg(mk.b);
	ir_emit_call(mk.b, IR_HELPER_str_addr, ret, (const uint64_t[]){ arg }, 1);
	use(ret);
	allocate();
	check_reg(arg, 1);
	check_reg(ret, 1);
	end();
}

static void the_longest_one_is_spilled(void)
{
	make_init(&mk);
	uint32_t longest = load(), a = load(), b = load(), c = load();
	use(a);
	use(b);
	use(c);
	use(longest);
	allocate();
	CHECK_EQ(al.locs[longest].kind, JIT_LOC_SPILL);
	CHECK_EQ(al.slot_cnt, 1);
	CHECK(al.locs[a].kind == JIT_LOC_REG && al.locs[b].kind == JIT_LOC_REG && al.locs[c].kind == JIT_LOC_REG);
	CHECK(al.locs[a].reg != al.locs[b].reg && al.locs[b].reg != al.locs[c].reg && al.locs[a].reg != al.locs[c].reg);
	end();
}

static void dead_code_counts_for_nothing(void)
{
	make_init(&mk);
	uint32_t v = load();
	use(v);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	call();
	use(v);
	allocate();
	check_reg(v, 1);
	CHECK(al.insn_flags[2] & JIT_INSN_REACHED);
	CHECK(!(al.insn_flags[3] & JIT_INSN_REACHED));
	end();
}

TAP_MAIN(TEST(constants_take_no_place), TEST(registers_are_used_again), TEST(what_lives_across_a_call_is_kept),
	 TEST(the_call_itself_is_not_across), TEST(the_longest_one_is_spilled), TEST(dead_code_counts_for_nothing))
