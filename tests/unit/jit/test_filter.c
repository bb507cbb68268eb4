/* SPDX-License-Identifier: MIT */
/* What trampolines look at before they call a body: it must let everything through that the predicate does. */
#include "../ir/make.h"
#include "call.h"

#include <string.h>
#include <sys/mman.h>

static uint8_t *code;
static struct make mk;

static uint32_t arg(uint32_t n)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ARG, v, NO, NO, n, 0);
	return v;
}

static uint32_t ext(uint32_t of, uint16_t aux)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_EXT, v, of, NO, 0, aux);
	return v;
}

static uint32_t finish(enum wire_site_kind kind, uint32_t cond, uint8_t *ret)
{
	static struct wire_shm geometry;
	const struct jit_env env = { .geometry = &geometry };
	const struct ir_prog *prog = &mk.prog;
	uint32_t br = branch(&mk, IR_OP_BRZ, cond);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, IR_NO_TUPLE);
	land(&mk, br);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	uint32_t n = jit_filter(&env, kind, &prog, 1, ret);
	make_deinit(&mk);
	return n;
}

/* The filter, "xor %eax,%eax; ret", and where its jump leads "mov $1,%eax; ret". */
static long run(const uint8_t *filter, uint32_t n, long a, long b)
{
	if (!code)
		code = call_code_map(NULL, 4096);
	memcpy(code, filter, n);
	memcpy(code + n - 4, &(int32_t){ 3 }, 4);
	memcpy(code + n, "\x31\xc0\xc3\xb8\1\0\0\0\xc3", 9);
	return ((long (*)(long, long))(uintptr_t)code)(a, b);
}

static const int64_t values[] = { 0, 1, -1, 2, 127, 128, -128, -129, INT32_MAX, INT32_MIN, 0x80000000, 0xffffffff, 0x100000000,
	INT64_MAX, INT64_MIN };
#define VALUES ((uint32_t)ARRAY_CNT(values))

static bool is_true(enum ir_op op, int64_t a, int64_t b)
{
	switch (op) {
	case IR_OP_SEQ: return a == b;
	case IR_OP_SNE: return a != b;
	case IR_OP_SLT: return a < b;
	case IR_OP_SLE: return a <= b;
	case IR_OP_SULT: return (uint64_t)a < (uint64_t)b;
	default: return (uint64_t)a <= (uint64_t)b;
	}
}
static const enum ir_op ops[] = { IR_OP_SEQ, IR_OP_SNE, IR_OP_SLT, IR_OP_SLE, IR_OP_SULT, IR_OP_SULE };

static void with_constants(void)
{
	uint8_t filter[JIT_FILTER_MAX];
	uint32_t made = 0;
	for (uint32_t i = 0; i < ARRAY_CNT(ops) * VALUES * 2; i++) {
		enum ir_op op = ops[i / VALUES / 2];
		int64_t imm = values[i / 2 % VALUES];
		bool is_int = i & 1;
		make_init(&mk);
		uint32_t a = is_int ? ext(arg(1), 32 | IR_SIGNED) : arg(1);
		uint32_t n = finish(WIRE_SITE_ENTRY, op2(&mk, op, a, konst(&mk, imm)), filter);
		made += n != 0;
		for (uint32_t k = 0; n && k < VALUES; k++)
			CHECK_EQ(run(filter, n, 5, values[k]), is_true(op, is_int ? (int32_t)values[k] : values[k], imm));
	}
	CHECK_EQ(made, ARRAY_CNT(ops) * 10 * 2); /* the numbers of 32 bits */
}

static void with_arguments(void)
{
	uint8_t filter[JIT_FILTER_MAX];
	for (uint32_t i = 0; i < ARRAY_CNT(ops) * 2; i++) {
		bool is_int = i & 1;
		make_init(&mk);
		uint32_t a = is_int ? ext(arg(0), 32 | IR_SIGNED) : arg(0), b = is_int ? ext(arg(1), 32 | IR_SIGNED) : arg(1);
		uint32_t n = finish(WIRE_SITE_ENTRY, op2(&mk, ops[i / 2], a, b), filter);
		CHECK(n > 0);
		for (uint32_t k = 0; n && k < VALUES * VALUES; k++) {
			int64_t x = values[k / VALUES], y = values[k % VALUES];
			CHECK_EQ(run(filter, n, x, y), is_int ? is_true(ops[i / 2], (int32_t)x, (int32_t)y) : is_true(ops[i / 2], x, y));
		}
	}
}

static void truth(void)
{
	uint8_t filter[JIT_FILTER_MAX];
	make_init(&mk);
	uint32_t n = finish(WIRE_SITE_OFFSET, arg(1), filter);
	CHECK(n && run(filter, n, 0, 1) == 1 && run(filter, n, 1, 0) == 0 && run(filter, n, 0, INT64_MIN) == 1);
	make_init(&mk);
	n = finish(WIRE_SITE_RETURN, arg(1), filter);
	CHECK(n == 10 && !memcmp(filter, "\x48\x83\xf8\x00\x0f\x85", 6)); /* cmp $0,%rax; jne */
}

/* Nothing is known of it, or something else would not be done. */
static void none(void)
{
	uint8_t filter[JIT_FILTER_MAX];
	make_init(&mk);
	CHECK_EQ(finish(WIRE_SITE_RETURN, arg(0), filter), 0); /* the offset */
	make_init(&mk);
	CHECK_EQ(finish(WIRE_SITE_TAIL, arg(1), filter), 0);
	make_init(&mk);
	CHECK_EQ(finish(WIRE_SITE_USDT, arg(1), filter), 0);
	make_init(&mk);
	CHECK_EQ(finish(WIRE_SITE_ENTRY, op2(&mk, IR_OP_SEQ, arg(0), ext(arg(1), 32 | IR_SIGNED)), filter), 0);
	make_init(&mk);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, IR_NO_TUPLE);
	CHECK_EQ(finish(WIRE_SITE_ENTRY, arg(1), filter), 0);
}

TAP_MAIN(TEST(with_constants), TEST(with_arguments), TEST(truth), TEST(none))
