/* SPDX-License-Identifier: MIT */
/* Bodies without a context keep the application's registers, whatever their predicates and arguments are. */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"

#include <sys/mman.h>

#define STACK_WORDS 8192u
#define CODE_BYTES 65536u
enum { RDX = 2, RSI = 6, RDI = 7 };

static uint64_t stack[STACK_WORDS] __attribute__((aligned(16)));
static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 } };
static const enum ir_op ops[] = { IR_OP_SEQ, IR_OP_SNE, IR_OP_SLT, IR_OP_SLE, IR_OP_SULT, IR_OP_SULE };
static const int64_t constants[] = { 0, INT32_MAX, INT32_MIN, INT32_MIN - 1LL, 1LL << 32, INT64_MIN, 0x123456789abcdef };
static const enum wire_site_kind kinds[] = { WIRE_SITE_ENTRY, WIRE_SITE_RETURN };

static struct make mk;
static struct mkshm m;
static uint8_t *code;
static uint16_t dead; /* of a body in its trampoline */

/* /argN OP constant/ { @ = count(); } or { @ = sum(argN); } */
static void make_prog(uint32_t arg, enum ir_op op, int64_t constant, bool sum)
{
	make_init(&mk);
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ARG, v, NO, NO, arg, 0);
	uint32_t br = branch(&mk, IR_OP_BRZ, op2(&mk, op, v, konst(&mk, constant)));
	ir_emit(mk.b, IR_OP_AGG, NO, sum ? v : konst(&mk, 1), NO, sum, IR_NO_TUPLE);
	land(&mk, br);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	mk.img.aggs = aggs;
	mk.img.agg_cnt = ARRAY_CNT(aggs);
}

static void fire(enum wire_site_kind kind, enum call_variant variant, bool is_spot, uint64_t value)
{
	struct call c = { .body = code, .variant = variant, .site = kind, .is_spot = is_spot };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RDI] = c.in[WIRE_RAX] = c.in[WIRE_RCX] = value;
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stack + STACK_WORDS - 64);
	c.in[WIRE_EFLAGS] = 0x202;
	call_run(&c);
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c.out[r] == c.in[r] || call_is_dead(dead, r), "register %u is %llx", r, (unsigned long long)c.out[r]);
}

static struct wire_wipe wipe;

/* What the process is: traced; a child that is not followed; one that is. */
static void fire_all(enum wire_site_kind kind, enum call_variant variant, bool is_spot)
{
	for (int i = 0; i < 4; i++) /* the first registers the thread and makes the value */
		fire(kind, variant, is_spot, i & 1 ? 0x123456789abcdef : 0);
	wipe = (struct wire_wipe){ .followed = 1 }; /* a forked child, where that was tried in vain */
	fire(kind, variant, is_spot, 0);
	mkshm_proc(&m, 0)->flags |= WIRE_PROC_NO_TSC;
	wipe.proc = (uint64_t)(uintptr_t)mkshm_proc(&m, 0);
	fire(kind, variant, is_spot, 0x123456789abcdef);
}

static int64_t make_body(const struct jit_env *env, enum wire_site_kind kind, enum call_variant variant, bool is_spot, struct err *err)
{
	const struct ir_prog *prog = &mk.prog;
	return is_spot ? call_spot(env, kind, &prog, 1, kind, variant, dead, code, CODE_BYTES, err) :
			 jit_body(env, kind, &prog, 1, (uint64_t)(uintptr_t)code, code, CODE_BYTES, err);
}

static void run(enum wire_site_kind kind, enum call_variant variant, bool is_spot, bool follow, const struct mkshm_opts *opts)
{
	struct jit_env env;
	struct err err;
	mkshm_init(&m, &mk.img, opts, 0);
	call_env_init(&env, m.shm);
	env.fn_enter = (uint64_t)(uintptr_t)call_must_not_enter;
	env.proc_flags |= follow ? WIRE_PROC_FOLLOW : 0;
	env.wipe_addr = (uint64_t)(uintptr_t)&wipe;
	mkshm_proc(&m, 0)->wipe_addr = env.wipe_addr;
	wipe = (struct wire_wipe){ .proc = (uint64_t)(uintptr_t)mkshm_proc(&m, 0) };
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = dead ? call_tid_off() : 0;
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	mkshm_site(&m, kind)->sp_adj = call_sp_adj[variant];
	if (CHECK_MSG(make_body(&env, kind, variant, is_spot, &err) > 0, "%s", err.msg))
		fire_all(kind, variant, is_spot);
	munmap(code, CODE_BYTES);
	mkshm_deinit(&m);
}

static void are_kept_where(bool is_spot)
{
	static const uint32_t args[] = { 0, 1, 3 }; /* rdi; rsi, or the value; rcx */
	uint32_t i = 0;
	for (uint32_t c = 0; c < ARRAY_CNT(constants); c++)
		for (uint32_t op = 0; op < ARRAY_CNT(ops); op++)
			for (uint32_t arg = 0; arg < ARRAY_CNT(args); arg++)
				for (uint32_t k = 0; k < 2 * ARRAY_CNT(kinds) && !tap_failed; k++, i++) {
					make_prog(args[arg], ops[op], constants[c], k & 1);
					run(kinds[k >> 1], (enum call_variant)(i / 7 % CALL_VARIANT_CNT), is_spot, i / 3 & 1,
					    &(struct mkshm_opts){ .ring_bytes = 4096 });
					make_deinit(&mk);
				}
}

static void are_kept(void) { are_kept_where(false); }
static void are_kept_in_trampolines(void) { are_kept_where(true); }

static void are_kept_unless_they_are_dead(void)
{
	static const uint16_t some[] = { CALL_DEAD, 1u << RSI, 1u << RDX | 1u << RDI };
	for (size_t i = 0; i < ARRAY_CNT(some); i++) {
		dead = some[i];
		are_kept_where(true);
	}
	dead = 0;
}

TAP_MAIN(TEST(are_kept), TEST(are_kept_in_trampolines), TEST(are_kept_unless_they_are_dead))
