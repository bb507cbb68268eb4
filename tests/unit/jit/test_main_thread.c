/* SPDX-License-Identifier: MIT */
/* What a process's first thread need not look at, and what forbids that (struct wire_wipe). */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_WORDS 8192u
#define CODE_BYTES 65536u

static uint64_t stack[STACK_WORDS] __attribute__((aligned(16)));
static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_QUANTIZE, .val_cnt = WIRE_QUANTIZE_CNT } };
static struct make mk;
static struct mkshm m;
static struct jit_env env;
static struct wire_wipe wipe;
static uint8_t *code;
static uint32_t agg; /* of @aggs: which the clause has */

static struct wire_proc *proc(void)
{
	return mkshm_proc(&m, 0);
}

static void make_prog(void)
{
	make_init(&mk);
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ARG, v, NO, NO, 0, 0);
	ir_emit(mk.b, IR_OP_AGG, NO, v, NO, agg, IR_NO_TUPLE);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	mk.img.aggs = aggs;
	mk.img.agg_cnt = ARRAY_CNT(aggs);
}

static void begin(uint32_t what)
{
	const struct ir_prog *prog = &mk.prog;
	struct err err;
	agg = what;
	make_prog();
	mkshm_init(&m, &mk.img, &(struct mkshm_opts){ .thread_cnt = 4 }, 0);
	call_env_init(&env, m.shm);
	wipe = (struct wire_wipe){ .proc = (uint64_t)(uintptr_t)proc() };
	env.wipe_addr = proc()->wipe_addr = (uint64_t)(uintptr_t)&wipe;
	env.fn_enter = (uint64_t)(uintptr_t)call_must_not_enter;
	proc()->flags = env.proc_flags;
	proc()->leader = (uint32_t)getpid();
	proc()->tid_off = env.tid_off = call_tid_off();
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	mkshm_site(&m, WIRE_SITE_ENTRY)->sp_adj = call_sp_adj[CALL_PLAIN];
	if (!CHECK_MSG(call_spot(&env, WIRE_SITE_ENTRY, &prog, 1, WIRE_SITE_ENTRY, CALL_PLAIN, 0, code, CODE_BYTES, &err) > 0, "%s", err.msg))
		abort();
}

static void end(void)
{
	munmap(code, CODE_BYTES);
	mkshm_deinit(&m);
	make_deinit(&mk);
}

static void *fire_in_thread(void *unused)
{
	struct call c = { .body = code, .variant = CALL_PLAIN, .site = WIRE_SITE_ENTRY, .is_spot = 1 };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RDI] = 1000;
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stack + STACK_WORDS - 64);
	c.in[WIRE_EFLAGS] = 0x202;
	call_run(&c);
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c.out[r] == c.in[r], "register %u is %llx", r, (unsigned long long)c.out[r]);
	return unused;
}

static void fire(uint32_t cnt)
{
	while (cnt--)
		fire_in_thread(NULL);
}

static int add(void *arg, uint32_t id, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val, uint32_t val_cnt)
{
	(void)id, (void)gen, (void)key, (void)key_bytes;
	for (uint32_t i = 0; i < val_cnt; i++)
		*(uint64_t *)arg += val[i];
	return 0;
}

/* All hits of thread @slot. */
static uint64_t hits_of(uint32_t slot)
{
	uint64_t sum = 0;
	rt_agg_walk(m.shm, mkshm_thread(&m, slot), aggs, ARRAY_CNT(aggs), add, &sum);
	return sum;
}

static void passes_no_gate(void)
{
	for (uint32_t what = 0; what < ARRAY_CNT(aggs); what++) {
		begin(what);
		fire(1);
		CHECK_EQ(wipe.main_thread, (uint64_t)(uintptr_t)mkshm_thread(&m, 1));
		fire(1);
		mkshm_site(&m, WIRE_SITE_ENTRY)->enabled = 0; /* as nobody does without no_main: it is not looked at */
		fire(1);
		CHECK_EQ(hits_of(1), 3);
		end();
	}
}

static void disarm(void) { m.shm->armed = 0; }
static void call_exit(void) { m.shm->exiting = 1; }
static void be_a_child(void) { wipe = (struct wire_wipe){ 0 }; }
static void disable(void)
{
	proc()->no_main = 1;
	mkshm_site(&m, WIRE_SITE_ENTRY)->enabled = 0;
}

static void silent_where_forbidden(void)
{
	static void (*const forbid[])(void) = { disarm, call_exit, be_a_child, disable };
	for (size_t i = 0; i < ARRAY_CNT(forbid); i++) {
		begin(0);
		forbid[i]();
		fire(2);
		CHECK_EQ(hits_of(1), 0);
		CHECK_EQ(wipe.main_thread, 0);
		end();
		begin(0);
		fire(2);
		forbid[i]();
		rt_thread_forget_main(proc());
		fire(2);
		CHECK_EQ(hits_of(1), 2);
		CHECK_EQ(wipe.main_thread, 0);
		end();
	}
}

static void counts_by_the_hash_else(void)
{
	begin(0);
	fire(1);
	rt_thread_forget_main(proc());
	fire(2);
	CHECK_EQ(hits_of(1), 3);
	end();
	begin(0);
	proc()->fs_set = WIRE_FS_NEVER;
	fire(2);
	CHECK_EQ(wipe.main_thread, call_has_fsgsbase() ? 0 : (uint64_t)(uintptr_t)mkshm_thread(&m, 1));
	CHECK_EQ(hits_of(1), 2);
	end();
}

static void fire_elsewhere(void)
{
	pthread_t t;
	pthread_create(&t, NULL, fire_in_thread, NULL);
	pthread_join(t, NULL);
}

static void another_thread_has_its_own(void)
{
	begin(0);
	fire_elsewhere();
	CHECK_EQ(wipe.main_thread, 0);
	fire(2);
	CHECK_EQ(wipe.main_thread, (uint64_t)(uintptr_t)mkshm_thread(&m, 2));
	fire_elsewhere();
	CHECK_EQ(wipe.main_thread, (uint64_t)(uintptr_t)mkshm_thread(&m, 2));
	CHECK_EQ(hits_of(2), 2);
	CHECK_EQ(hits_of(1) + hits_of(3), 2); /* the second may have the block of the first */
	end();
}

TAP_MAIN(TEST(passes_no_gate), TEST(silent_where_forbidden), TEST(counts_by_the_hash_else), TEST(another_thread_has_its_own))
