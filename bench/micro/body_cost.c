/* SPDX-License-Identifier: MIT */
/*
 * What a body costs, in this process: ns over the same untraced call.
 *
 *   f:  lea (%rdi,%rsi),%rax      traced: jmp trampoline; nop...
 *       imul $3,%rax,%rax
 *       ret
 *
 * "limit" is the least that a probe can be: jump, count in memory, the
 * displaced instruction, jump back.  All variants run in turn in each round;
 * the median of the rounds is shown, and the smallest and largest.
 */
#include "../../tests/exec/mkshm.h"
#include "../../tests/unit/ir/make.h"
#include "../../tests/unit/jit/call.h"

#include <time.h>

#define ROUNDS 9
#define BATCH 5000u /* calls between two looks of the "consumer" */
#define CALLS 2000000u
#define CODE_BYTES (1u << 20)
#define KEYS 1000

typedef long work_fn(long, long);

struct variant {
	const char *name;
	work_fn *fn;
	double ns[ROUNDS];
	int64_t bytes;
};

static struct mkshm m;
static struct jit_env env;
static uint8_t *code;
static size_t used;
static uint64_t limit_counter;
static struct ir_image img;

/* ---- code by hand ---- */

static void put(const void *bytes, size_t cnt)
{
	memcpy(code + used, bytes, cnt);
	used += cnt;
}

static void put_rel32(const uint8_t *target)
{
	int32_t rel = (int32_t)(target - (code + used + 4));
	put(&rel, 4);
}

static void align(void)
{
	while (used % 64)
		code[used++] = 0xcc;
}

static const uint8_t lea[] = { 0x48, 0x8d, 0x04, 0x37 }, tail[] = { 0x48, 0x6b, 0xc0, 0x03, 0xc3 };

static work_fn *plain_function(void)
{
	align();
	uint8_t *at = code + used;
	put(lea, sizeof(lea));
	put(tail, sizeof(tail));
	return (work_fn *)(uintptr_t)at;
}

/* A function whose first instruction was replaced by a jump, and its trampoline.  @body NULL: the limit. */
static work_fn *traced_function(const uint8_t *body, uint32_t site)
{
	align();
	uint8_t *at = code + used, *rest = at + 5;
	put("\xe9", 1);
	put_rel32(at + 64);
	put(tail, sizeof(tail));
	align();
	if (body) {
		put("\x50\xb8", 2);
		put(&site, 4);
		put("\xe8", 1);
		put_rel32(body);
		put("\x58", 1);
	} else { /* inc counter(%rip) by a register that is free at an entry */
		uint64_t addr = (uint64_t)(uintptr_t)&limit_counter;
		put("\x48\xb8", 2);
		put(&addr, 8);
		put("\x48\xff\x00", 3);
	}
	put(lea, sizeof(lea));
	put("\xe9", 1);
	put_rel32(rest);
	return (work_fn *)(uintptr_t)at;
}

/* ---- programs ---- */

static struct make mk;

static uint32_t arg(int64_t n)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ARG, v, NO, NO, n, 0);
	return v;
}

static void make_nothing(void) {}
static void make_count(void) { ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, IR_NO_TUPLE); }
static void make_sum(void) { ir_emit(mk.b, IR_OP_AGG, NO, arg(0), NO, 1, IR_NO_TUPLE); }
static void make_quantize(void) { ir_emit(mk.b, IR_OP_AGG, NO, arg(0), NO, 2, IR_NO_TUPLE); }

static void make_predicate(void)
{
	uint32_t br = branch(&mk, IR_OP_BRZ, op2(&mk, IR_OP_SEQ, arg(0), konst(&mk, -1)));
	make_count();
	land(&mk, br);
}

static void make_key(void)
{
	uint32_t t = ir_scratch(mk.b, ir_tuple_bytes(8, 0, 0, 20));
	ir_emit_call(mk.b, IR_HELPER_tuple_begin, NO, (const uint64_t[]){ t, 8 }, 2);
	ir_emit(mk.b, IR_OP_STS, NO, arg(0), NO, t + 8, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, (uint16_t)t);
}

static void make_record(void)
{
	ir_set_rec_bytes(mk.b, 16);
	ir_emit(mk.b, IR_OP_REC, NO, NO, NO, 16, 16);
	ir_emit(mk.b, IR_OP_STR, NO, arg(0), NO, 0, 8);
	ir_emit(mk.b, IR_OP_STR, NO, arg(1), NO, 8, 8);
	ir_emit(mk.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
}

static void (*const makers[])(void) = { make_nothing, make_count, make_sum, make_predicate, make_quantize, make_key, make_record };
static const char *const names[] = { "no program", "count()", "sum(arg0)", "/arg0 == -1/", "quantize(arg0)", "[arg0] = count()",
	"record: time, 2 args" };

static struct ir_prog make_prog(void (*maker)(void))
{
	make_init(&mk);
	maker();
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	ir_builder_destroy(mk.b);
	return mk.prog;
}

static void make_image(void)
{
	static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 },
		{ .fn = WIRE_AGG_QUANTIZE, .val_cnt = WIRE_QUANTIZE_CNT } };
	static struct ir_prog progs[ARRAY_CNT(makers)];
	for (unsigned i = 0; i < ARRAY_CNT(makers); i++)
		progs[i] = make_prog(makers[i]);
	img = (struct ir_image){ .progs = progs, .prog_cnt = ARRAY_CNT(progs), .aggs = aggs, .agg_cnt = ARRAY_CNT(aggs),
		.this_bytes = 16, .strsize = 20 };
}

static int64_t add_body(const struct ir_prog *prog, const uint8_t **ret)
{
	struct err err;
	align();
	*ret = code + used;
	int64_t n = jit_body(&env, WIRE_SITE_ENTRY, &prog, prog ? 1 : 0, (uint64_t)(uintptr_t)*ret, code + used, CODE_BYTES - used,
			     &err);
	if (n < 0) {
		fprintf(stderr, "body_cost: %s\n", err.msg);
		exit(1);
	}
	used += (size_t)n;
	return n;
}

/* ---- timing ---- */

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void consume(void)
{
	for (uint32_t i = 0; i < m.shm->thread_cnt; i++) {
		struct wire_ring *r = &mkshm_thread(&m, i)->ring;
		STORE_RELEASE(&r->tail, r->published);
	}
}

__attribute__((noinline)) static double time_calls(work_fn *fn)
{
	double t = 0;
	volatile long sink = 0;
	for (uint32_t done = 0; done < CALLS; done += BATCH) {
		double start = now_ns();
		for (uint32_t i = 0; i < BATCH; i++)
			sink = fn(i % KEYS, sink);
		t += now_ns() - start;
		consume();
	}
	return t / CALLS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(void)
{
	enum { UNTRACED, LIMIT, DISABLED, FIRST, CNT = FIRST + ARRAY_CNT(makers) };
	static struct variant v[CNT];
	const uint8_t *body;
	make_image();
	mkshm_init(&m, &img, &(struct mkshm_opts){ .ring_bytes = 1 << 20 }, 0);
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	call_env_init(&env, m.shm);
	mkshm_site(&m, WIRE_SITE_ENTRY)->sp_adj = 16;
	mkshm_proc(&m, 0)->tid_off = 0x10;
	mkshm_site(&m, WIRE_SITE_RETURN)->enabled = 0;
	v[UNTRACED] = (struct variant){ .name = "untraced", .fn = plain_function() };
	v[LIMIT] = (struct variant){ .name = "limit", .fn = traced_function(NULL, 0) };
	for (unsigned i = 0; i < ARRAY_CNT(makers); i++) {
		int64_t n = add_body(&img.progs[i], &body);
		v[FIRST + i] = (struct variant){ .name = names[i], .fn = traced_function(body, WIRE_SITE_ENTRY), .bytes = n };
	}
	v[DISABLED] = (struct variant){ .name = "disabled", .fn = traced_function(body, WIRE_SITE_RETURN) };
	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned i = 0; i < CNT; i++)
			v[i].ns[r] = time_calls(v[i].fn);
	printf("%-22s %8s %8s %8s %6s\n", "ns over untraced", "median", "min", "max", "bytes");
	for (unsigned i = 0; i < CNT; i++) {
		if (i != UNTRACED)
			for (unsigned r = 0; r < ROUNDS; r++)
				v[i].ns[r] -= v[UNTRACED].ns[r];
	}
	for (unsigned i = 0; i < CNT; i++) {
		qsort(v[i].ns, ROUNDS, sizeof(v[i].ns[0]), by_value);
		printf("%-22s %8.2f %8.2f %8.2f %6lld\n", v[i].name, v[i].ns[ROUNDS / 2], v[i].ns[0], v[i].ns[ROUNDS - 1],
		       (long long)v[i].bytes);
	}
	return 0;
}
