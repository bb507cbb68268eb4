/* SPDX-License-Identifier: MIT */
/*
 * Bodies without a context, interrupted at each of their instructions: by a
 * probe in a signal handler, which returns or jumps away, and by a drain.  The
 * processor's trap flag stops them after each instruction.
 */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"
#include "trap.h"

#include "ring/ring.h"

#include <setjmp.h>
#include <sys/mman.h>

#define STACK_WORDS 8192u
#define CODE_BYTES 262144u
#define CLAUSES 100u
#define NESTED_BELOW (STACK_WORDS * 4) /* the frames of the signal and its handler are between */

static uint64_t stack[STACK_WORDS] __attribute__((aligned(16)));
static struct make mk;
static struct mkshm m;
static uint8_t *code;
static struct ring_reader reader;

static struct trap trap;
static enum { FIRE, JUMP, DRAIN } trap_does; /* another; away */
static sigjmp_buf trap_back;

/* ---- a body that does all that quick ones can ---- */

static uint32_t value(enum ir_op op, int64_t imm, uint16_t aux)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, op, v, NO, NO, imm, aux);
	return v;
}

static void make_prog(void)
{
	static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 } };
	make_init(&mk);
	uint32_t t = ir_scratch(mk.b, 16), tag = value(IR_OP_ARG, 0, 0);
	ir_set_rec_bytes(mk.b, 16);
	ir_emit(mk.b, IR_OP_REC, NO, NO, NO, 16, 16);
	ir_emit(mk.b, IR_OP_STR, NO, tag, NO, 0, 8);
	ir_emit(mk.b, IR_OP_STR, NO, op2(&mk, IR_OP_XOR, tag, konst(&mk, 0x5555)), NO, 8, 8);
	ir_emit(mk.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, IR_NO_TUPLE);
	ir_emit_call(mk.b, IR_HELPER_tuple_begin, NO, (const uint64_t[]){ t, 8 }, 2);
	ir_emit(mk.b, IR_OP_STS, NO, value(IR_OP_ENV, WIRE_ENV_PROBEFUNC, 0), NO, t + 8, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 3), NO, 1, (uint16_t)t);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	mk.img.aggs = aggs;
	mk.img.agg_cnt = ARRAY_CNT(aggs);
}

static bool is_spot; /* the body stands in its trampoline */
static uint16_t dead; /* there: registers that need not be kept */

static void start_with(const struct ir_prog *const *progs, uint32_t cnt)
{
	struct jit_env env;
	struct err err;
	mkshm_init(&m, &mk.img, &(struct mkshm_opts){ .ring_bytes = 4096 }, 0);
	call_env_init(&env, m.shm);
	env.fn_enter = (uint64_t)(uintptr_t)call_must_not_enter;
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = call_tid_off();
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	int64_t n = is_spot ? call_spot(&env, WIRE_SITE_ENTRY, progs, cnt, WIRE_SITE_ENTRY, CALL_PLAIN, dead, code, CODE_BYTES, &err) :
			      jit_body(&env, WIRE_SITE_ENTRY, progs, cnt, (uint64_t)(uintptr_t)code, code, CODE_BYTES, &err);
	if (!CHECK_MSG(n > 0, "%s", err.msg))
		abort();
	mkshm_site(&m, WIRE_SITE_ENTRY)->sp_adj = call_sp_adj[CALL_PLAIN];
	memset(&reader, 0, sizeof(reader));
}

static void start(void)
{
	const struct ir_prog *prog = &mk.prog;
	make_prog();
	start_with(&prog, 1);
}

static void end(void)
{
	munmap(code, CODE_BYTES);
	mkshm_deinit(&m);
	make_deinit(&mk);
}

static struct wire_thread *thread(void)
{
	return mkshm_thread(&m, 1); /* slot 0 is made by mkshm, for another */
}

/* What a drain finds, and when it has begun. */
static struct {
	uint64_t begun;
	bool sees; /* the record, or where it will be */
} drain;

static void begin_drain(uint64_t below)
{
	const struct wire_thread *thr = thread();
	drain.begun = rt_now_tsc();
	m.shm->drains++;
	drain.sees = thr->level || thr->ring.published > below || ring_quick_seen(&thr->ring, thr->ring.published);
}

/* ---- firing ---- */

static void fire(uint64_t tag, const uint64_t *sp, uint64_t flags)
{
	struct call c = { .body = code, .variant = CALL_PLAIN, .site = WIRE_SITE_ENTRY, .is_spot = is_spot };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RDI] = tag;
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)sp;
	c.in[WIRE_EFLAGS] = 0x202 | flags;
	call_run(&c);
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c.out[r] == c.in[r] || call_is_dead(dead, r), "register %u is %llx", r, (unsigned long long)c.out[r]);
	CHECK_EQ(c.out[WIRE_RSP], c.in[WIRE_RSP]);
}

static void on_trap(int sig, siginfo_t *si, void *arg)
{
	ucontext_t *uc = arg;
	uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
	(void)sig;
	(void)si;
	if (!trap_is_due(&trap, uc, code, CODE_BYTES))
		return;
	if (trap_does == JUMP)
		siglongjmp(trap_back, 1);
	if (trap_does == DRAIN)
		begin_drain(reader.end);
	else
		fire(2, (const uint64_t *)(uintptr_t)((sp - NESTED_BELOW) & ~15ULL), 0);
}

/* Tag 1, interrupted after @left instructions; false: there are not so many. */
static bool fire_interrupted(long left, int what)
{
	struct sigaction old;
	trap_does = what;
	trap_begin(&trap, left, on_trap, &old);
	if (!sigsetjmp(trap_back, 1))
		fire(1, stack + STACK_WORDS - 64, TRAP_FLAG);
	sigaction(SIGTRAP, &old, NULL);
	return trap.hit;
}

/* ---- what came of it ---- */

static const struct wire_rec *next_rec(void)
{
	struct wire_thread *thr = thread();
	if (!reader.ring)
		ring_reader_init(&reader, &thr->ring, (const uint8_t *)thr + m.shm->geom.ring_off, m.shm->geom.ring_bytes);
	return ring_reader_next(&reader);
}

static uint64_t next_tag(void)
{
	const struct wire_rec *rec = next_rec();
	if (!rec)
		return 0;
	uint64_t tag, other;
	memcpy(&tag, rec->payload, 8);
	memcpy(&other, rec->payload + 8, 8);
	CHECK(rec->type == WIRE_REC_DATA && rec->site == WIRE_SITE_ENTRY && rec->tsc && rec->bytes == sizeof(*rec) + 16);
	CHECK_EQ(tag ^ 0x5555, other);
	return tag;
}

static int add_value(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val, uint32_t cnt)
{
	uint64_t *sums = arg;
	(void)gen;
	(void)key;
	CHECK(cnt == 1 && key_bytes == 8 * agg);
	sums[agg] += val[0];
	return 0;
}

/* @cnt: without a key; @by_key: a third of what has one. */
static void check_both(uint64_t cnt, uint64_t by_key)
{
	uint64_t sums[2] = { 0 };
	rt_agg_walk(m.shm, thread(), mk.img.aggs, mk.img.agg_cnt, add_value, sums);
	CHECK_EQ(sums[0], cnt);
	CHECK_EQ(sums[1], 3 * by_key);
}

static void check_counts(uint64_t hits)
{
	check_both(hits, hits);
}

static void all_is_published(void)
{
	CHECK_EQ(ring_head(&thread()->ring), thread()->ring.published);
	CHECK_EQ(reader.bad, 0);
	for (int l = 0; l < WIRE_LEVEL_MAX; l++)
		CHECK_EQ(thread()->level_sp[l], 0);
	ring_reader_release(&reader);
}

/* ---- tests ---- */

static void a_nested_probe_anywhere(void)
{
	start();
	fire(1, stack + STACK_WORDS - 64, 0);
	CHECK_EQ(next_tag(), 1);
	uint64_t hits = 1;
	long n = 0;
	for (bool more = true; more && !tap_failed; n++) {
		more = fire_interrupted(n, FIRE);
		uint64_t a = next_tag(), b = next_tag();
		hits += 1 + more;
		CHECK_MSG(more ? a + b == 3 && a * b == 2 : a == 1 && b == 0, "instruction %ld: %d %d", n, (int)a, (int)b);
		check_counts(hits);
		all_is_published();
	}
	CHECK(n > 60);
	end();
}

static void a_jump_away_anywhere(void)
{
	start();
	fire(1, stack + STACK_WORDS - 64, 0);
	CHECK_EQ(next_tag(), 1);
	long n = 0;
	for (bool more = true; more && !tap_failed; n++) {
		more = fire_interrupted(n, JUMP);
		fire(3, stack + STACK_WORDS - 64, 0);
		fire(4, stack + STACK_WORDS - 64, 0);
		uint64_t tag = next_tag();
		tag = tag == 1 ? next_tag() : tag;
		CHECK_MSG(tag == 3, "instruction %ld: %d", n, (int)tag);
		CHECK_EQ(next_tag(), 4);
		CHECK_EQ(next_tag(), 0);
		all_is_published();
	}
	CHECK(n > 60);
	end();
}

/* A record that it does not see is younger; also one that waits in the frame, since the ring has no room for quick ones. */
static void a_drain_anywhere(void)
{
	start();
	fire(1, stack + STACK_WORDS - 64, 0);
	CHECK_EQ(next_rec()->payload[0], 1);
	for (int way = 0; way < 2; way++) {
		long n = 0, seen = 0;
		for (bool more = true; more && !tap_failed; n++) {
			thread()->ring.quick_limit *= !way;
			more = fire_interrupted(n, DRAIN);
			const struct wire_rec *rec = next_rec();
			CHECK(rec && rec->payload[0] == 1);
			CHECK_MSG(!more || drain.sees || rec->tsc > drain.begun, "instruction %ld: older than the drain", n);
			seen += more && drain.sees;
			all_is_published();
		}
		CHECK(n > 60 && seen > 10 && seen < n - 20);
	}
	end();
}

/* Where the ring ends, where it is full, and behind what another has open. */
static void what_the_ring_lets(void)
{
	start();
	for (uint64_t tag = 1; tag < 1000; tag++) {
		fire(tag, stack + STACK_WORDS - 64, 0);
		CHECK_EQ(next_tag(), tag);
		all_is_published();
	}
	uint64_t cnt = 0, *drops = (uint64_t *)((uint8_t *)thread() + m.shm->geom.drops_off);
	for (uint64_t tag = 1; tag < 1000; tag++)
		fire(tag, stack + STACK_WORDS - 64, 0);
	for (uint64_t tag; (tag = next_tag()); cnt++)
		CHECK_EQ(tag, cnt + 1);
	CHECK(cnt > 80 && drops[0] == 999 - cnt);
	all_is_published();
	struct wire_rec *rec = ring_reserve(&thread()->ring, (uint8_t *)thread() + m.shm->geom.ring_off, 4096, 3, 40);
	fire(7, stack + STACK_WORDS - 64, 0);
	CHECK_EQ(next_tag(), 0);
	rec->site = WIRE_SITE_ENTRY;
	rec->tsc = 1;
	memcpy(rec->payload, (const uint64_t[]){ 6, 6 ^ 0x5555 }, 16);
	ring_commit(&thread()->ring, (uint8_t *)thread() + m.shm->geom.ring_off, 4096, 3, rec, 40);
	CHECK_EQ(next_tag(), 6);
	CHECK_EQ(next_tag(), 7);
	all_is_published();
	check_counts(999 + 999 + 1);
	end();
}

/* Clause @i: /arg0 == i + 1/, and the record. */
static void make_clause(uint32_t i)
{
	make_init(&mk);
	ir_builder_destroy(mk.b);
	mk.b = ir_builder_create(i);
	uint32_t tag = value(IR_OP_ARG, 0, 0), br = branch(&mk, IR_OP_BRZ, op2(&mk, IR_OP_SEQ, tag, konst(&mk, i + 1)));
	ir_set_rec_bytes(mk.b, 16);
	ir_emit(mk.b, IR_OP_REC, NO, NO, NO, 16, 16);
	ir_emit(mk.b, IR_OP_STR, NO, tag, NO, 0, 8);
	ir_emit(mk.b, IR_OP_STR, NO, op2(&mk, IR_OP_XOR, tag, konst(&mk, 0x5555)), NO, 8, 8);
	ir_emit(mk.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
	land(&mk, br);
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	ir_builder_destroy(mk.b);
}

/* Each with its own way to the thread, the time and a record in the frame. */
static void a_hundred_clauses(void)
{
	static struct ir_prog progs[CLAUSES];
	const struct ir_prog *list[CLAUSES];
	for (uint32_t i = 0; i < CLAUSES; i++) {
		make_clause(i);
		progs[i] = mk.prog;
		list[i] = &progs[i];
	}
	mk.img.progs = progs;
	mk.img.prog_cnt = CLAUSES;
	start_with(list, CLAUSES);
	for (uint64_t tag = 1; tag <= 2 * CLAUSES; tag++) {
		if (tag > CLAUSES)
			thread()->ring.quick_limit = 0;
		fire((tag - 1) % CLAUSES + 1, stack + STACK_WORDS - 64, 0);
		CHECK_EQ(next_tag(), (tag - 1) % CLAUSES + 1);
		CHECK_EQ(next_tag(), 0);
		all_is_published();
	}
	munmap(code, CODE_BYTES);
	mkshm_deinit(&m);
	for (uint32_t i = 0; i < CLAUSES; i++)
		ir_prog_deinit(&progs[i]);
}

/* clear() */
static void an_older_generation(void)
{
	start();
	struct wire_agg *aggs = (struct wire_agg *)((uint8_t *)m.shm + m.shm->agg_desc_off);
	for (unsigned i = 0; i < 3; i++)
		fire(1, stack + STACK_WORDS - 64, 0);
	check_counts(3);
	aggs[1].gen++; /* that of aggs[0] stays: no count has another (ADR 5) */
	fire(1, stack + STACK_WORDS - 64, 0);
	check_both(4, 1);
	fire(1, stack + STACK_WORDS - 64, 0);
	check_both(5, 2);
	end();
}

static void in_its_trampoline(void (*test)(void))
{
	is_spot = true;
	dead = CALL_DEAD;
	test();
	dead = 0;
	is_spot = false;
}

static void a_nested_probe_anywhere_in_a_trampoline(void) { in_its_trampoline(a_nested_probe_anywhere); }
static void a_jump_away_anywhere_in_a_trampoline(void) { in_its_trampoline(a_jump_away_anywhere); }
static void a_drain_anywhere_in_a_trampoline(void) { in_its_trampoline(a_drain_anywhere); }
static void what_the_ring_lets_in_a_trampoline(void) { in_its_trampoline(what_the_ring_lets); }

TAP_MAIN(TEST(a_nested_probe_anywhere), TEST(a_jump_away_anywhere), TEST(a_drain_anywhere), TEST(what_the_ring_lets),
	 TEST(a_hundred_clauses), TEST(an_older_generation), TEST(a_nested_probe_anywhere_in_a_trampoline), TEST(a_jump_away_anywhere_in_a_trampoline),
	 TEST(a_drain_anywhere_in_a_trampoline), TEST(what_the_ring_lets_in_a_trampoline))
