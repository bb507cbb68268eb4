/* SPDX-License-Identifier: MIT */
/* With a budget: each hit is counted, in a row of where the stack is, whether it goes on or not. */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"
#include "isa/isa.h"

#include <sys/mman.h>

#define CODE_BYTES 65536u
#define STACKS_BYTES (4u << 20)
#define APART (0x21u * 4096) /* of stacks, as a libc has them */
#define SITE WIRE_SITE_OFFSET
#define WEIGHT (3 * SITE + 2) /* by mkshm */

static struct mkshm m;
static struct make mk;
static uint8_t *code, *stacks;
static bool is_spot;

/* Adds the weight to a global variable. */
static void start(bool as_spot)
{
	is_spot = as_spot;
	make_init(&mk);
	uint32_t weight = ir_vreg(mk.b), old = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ENV, weight, NO, NO, WIRE_ENV_WEIGHT, 0);
	ir_emit(mk.b, IR_OP_LDG, old, NO, NO, 0, 8);
	ir_emit(mk.b, IR_OP_STG, NO, op2(&mk, IR_OP_ADD, old, weight), NO, 0, 8);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	mkshm_init(&m, &mk.img, &(struct mkshm_opts){ .rates = true }, 128);
	mkshm_site(&m, SITE)->sp_adj = call_sp_adj[CALL_PLAIN];
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	stacks = mmap(NULL, STACKS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	const struct ir_prog *prog = &mk.prog;
	struct jit_env env;
	struct err err = { .msg = "" };
	call_env_init(&env, m.shm);
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = call_tid_off();
	int64_t n = is_spot ? call_spot(&env, SITE, &prog, 1, SITE, CALL_PLAIN, 0, code, CODE_BYTES, &err) :
			      jit_body(&env, SITE, &prog, 1, (uint64_t)(uintptr_t)code, code, CODE_BYTES, &err);
	CHECK_MSG(n > 0 && code != MAP_FAILED && stacks != MAP_FAILED, "%s", err.msg);
}

static void end(void)
{
	munmap(code, CODE_BYTES);
	munmap(stacks, STACKS_BYTES);
	mkshm_deinit(&m);
	make_deinit(&mk);
}

/* On the stack of thread @thread. */
static void fire(unsigned thread, unsigned times)
{
	while (times--) {
		struct call c = { .body = code, .variant = CALL_PLAIN, .site = SITE, .is_spot = is_spot };
		for (unsigned r = 0; r < WIRE_REG_CNT; r++)
			c.in[r] = 0x0101010101010101ULL * (r + 1);
		c.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stacks + (thread + 1) * APART - 1024);
		c.in[WIRE_EFLAGS] = 0x202;
		call_run(&c);
		for (unsigned r = 0; r <= WIRE_RDI; r++)
			CHECK_MSG(c.out[r] == c.in[r], "register %u is %llx", r, (unsigned long long)c.out[r]);
	}
}

static void counts_only(bool on)
{
	((struct wire_rate *)((uint8_t *)m.shm + m.shm->rate_off))[SITE].only_counts = on;
}

static uint64_t variable(void)
{
	return *(uint64_t *)((uint8_t *)m.shm + m.shm->global_off);
}

/* Rows that hold something: what, in @ret, and their sum for SITE; other sites have nothing. */
static unsigned rows(uint64_t *ret, unsigned cap, uint64_t *ret_sum)
{
	unsigned cnt = 0;
	*ret_sum = 0;
	for (uint64_t row = 0; row < m.shm->hits_rows; row++) {
		const uint64_t *v = (const uint64_t *)((const uint8_t *)m.shm + m.shm->hits_off + row * m.shm->hits_row_bytes);
		for (uint32_t i = 0; i < m.shm->site_cap; i++)
			CHECK_MSG(i == SITE || !v[i], "site %u has %llu hits", i, (unsigned long long)v[i]);
		if (v[SITE] && cnt < cap)
			ret[cnt] = v[SITE];
		cnt += v[SITE] > 0;
		*ret_sum += v[SITE];
	}
	return cnt;
}

static void check(bool as_spot)
{
	uint64_t v[2] = { 0 }, sum;
	start(as_spot);
	fire(0, 5);
	CHECK_EQ(variable(), 5 * WEIGHT);
	counts_only(true);
	fire(0, 7);
	CHECK_EQ(variable(), 5 * WEIGHT);
	CHECK_EQ(rows(v, 2, &sum), 1);
	CHECK_EQ(v[0], 12);
	fire(1, 20);
	CHECK_EQ(rows(v, 2, &sum), 2);
	CHECK((v[0] == 12 && v[1] == 20) || (v[0] == 20 && v[1] == 12));
	counts_only(false);
	fire(1, 1);
	CHECK_EQ(variable(), 6 * WEIGHT);
	CHECK_EQ(rows(v, 2, &sum), 2);
	CHECK_EQ(sum, 33);
	end();
}

static void a_body_that_is_called(void) { check(false); }

static void a_body_in_its_trampoline(void) { check(true); }

/* As many as a program on a few processors runs at once. */
static void threads_have_rows_of_their_own(void)
{
	uint64_t v[1], sum;
	start(true);
	for (unsigned thread = 0; thread < 16; thread++)
		fire(thread, 1);
	CHECK_EQ(rows(v, 1, &sum), 16);
	CHECK_EQ(sum, 16);
	end();
}

static void forked_processes_too(void)
{
	uint64_t v[1], sum;
	start(true);
	for (unsigned proc = 0; proc < 16; proc++) {
		mkshm_proc(&m, 0)->row_seed = WIRE_ROW_SEED(proc);
		fire(0, 1);
	}
	CHECK_EQ(rows(v, 1, &sum), 16);
	CHECK_EQ(sum, 16);
	end();
}

/* What was counted while it was on is about to ask for its weight. */
static void who_was_on_keeps_its_weight(void)
{
	start(false);
	struct wire_site *site = mkshm_site(&m, SITE);
	counts_only(true);
	struct rt_ctx *ctx = mkshm_ctx(&m, 0, 0);
	ctx->shm = m.shm;
	ctx->site = site;
	CHECK_EQ(rt_env(ctx, WIRE_ENV_WEIGHT), WEIGHT);
	end();
}

/* Which the program does not need: it is saved where a hit is counted, and not again. */
static void rdx_is_saved_once(void)
{
	unsigned pushes = 0;
	struct isa_insn in;
	start(false);
	for (const uint8_t *p = code; *p != 0xc3; p += in.len) {
		CHECK(!isa_decode(p, 16, (uint64_t)(uintptr_t)p, &in));
		pushes += *p == 0x52; /* push %rdx */
	}
	CHECK_EQ(pushes, 1);
	end();
}

TAP_MAIN(TEST(a_body_that_is_called), TEST(a_body_in_its_trampoline), TEST(threads_have_rows_of_their_own),
	 TEST(forked_processes_too), TEST(who_was_on_keeps_its_weight),
	 TEST(rdx_is_saved_once))
