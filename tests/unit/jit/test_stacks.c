/* SPDX-License-Identifier: MIT */
/* Bodies whose only key is the stack: what they count, and what they count when a probe in a signal handler comes between any two
 * of their instructions and replaces what is kept of walks. */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"
#include "trap.h"

#include "rt/kept.h"

#include <sys/mman.h>

#define STACK_WORDS 16384u
#define CODE_BYTES 262144u
#define CODE 0x10000000ULL /* that of the frames: 5 words by rsp, or by rbp, or the last one */
#define BY_RSP (CODE + 0x1001)
#define BY_RBP (CODE + 0x2001)
#define LAST (CODE + 0x3001)
#define FRAMES 8

static uint64_t stack[STACK_WORDS] __attribute__((aligned(4096)));
static struct make mk;
static struct mkshm m;
static uint8_t *code;

struct count {
	uint64_t key[FRAMES]; /* 0 behind the last */
	uint64_t want, got;
};
static struct count counts[64];
static uint32_t count_cnt;

static struct trap trap;

/* ---- a body ---- */

static void make_tables(void)
{
	static const struct wire_unw_row rows[] = { { .pc = 0, .kind = WIRE_UNW_FP }, { .pc = 0x1000, .kind = WIRE_UNW_RSP, .cfa_off = 40 },
		{ .pc = 0x2000, .kind = WIRE_UNW_RBP, .cfa_off = 16, .rbp_off = -16 }, { .pc = 0x3000, .kind = WIRE_UNW_END } };
	struct wire_unw_map *map = (struct wire_unw_map *)((uint8_t *)m.shm + m.shm->unw_off);
	*map = (struct wire_unw_map){ .start = CODE, .end = CODE + 0x10000, .rows_off = m.shm->unw_off + 1024, .row_cnt = ARRAY_CNT(rows) };
	memcpy((uint8_t *)m.shm + map->rows_off, rows, sizeof(rows));
	mkshm_proc(&m, 0)->unw_off[0] = m.shm->unw_off;
	mkshm_proc(&m, 0)->unw_cnt[0] = 1;
}

static void start(void)
{
	struct jit_env env;
	struct err err;
	make_init(&mk);
	uint32_t t = ir_scratch(mk.b, ir_tuple_bytes(8, 0, 8 * FRAMES, 20));
	CALL(&mk, tuple_begin, NO, t, 8);
	CALL(&mk, tuple_ustack, NO, t, 0, FRAMES);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, (uint16_t)t);
	ret(&mk);
	make_finish(&mk);
	mkshm_init(&m, &mk.img, &(struct mkshm_opts){ .unw_bytes = 65536 }, 0);
	make_tables();
	call_env_init(&env, m.shm);
	env.fn_enter = (uint64_t)(uintptr_t)call_must_not_enter;
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = call_tid_off();
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	const struct ir_prog *prog = &mk.prog;
	if (!CHECK_MSG(jit_body(&env, WIRE_SITE_ENTRY, &prog, 1, (uint64_t)(uintptr_t)code, code, CODE_BYTES, &err) > 0, "%s", err.msg))
		abort();
	for (int kind = WIRE_SITE_ENTRY; kind <= WIRE_SITE_RETURN; kind++)
		mkshm_site(&m, (enum wire_site_kind)kind)->sp_adj = call_sp_adj[CALL_PLAIN];
	memset(stack, 0, sizeof(stack));
	memset(counts, 0, sizeof(counts));
	count_cnt = 0;
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

static bool is_kept(void)
{
	for (uint32_t i = 0; i < WIRE_UNW_KEPT; i++)
		if (thread()->unw_kept[i].entry)
			return true;
	return false;
}

static void fire(enum wire_site_kind kind, const uint64_t *sp, const uint64_t *bp, uint64_t flags)
{
	struct call c = { .body = code, .variant = CALL_PLAIN, .site = kind };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)sp;
	c.in[WIRE_RBP] = (uint64_t)(uintptr_t)bp;
	c.in[WIRE_EFLAGS] = 0x202 | flags;
	call_run(&c);
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c.out[r] == c.in[r], "register %u is %llx", r, (unsigned long long)c.out[r]);
	CHECK_EQ(c.out[WIRE_RSP], c.in[WIRE_RSP]);
}

/* ---- what is counted ---- */

static struct count *count_of(const uint64_t *pcs, uint32_t cnt)
{
	uint64_t key[FRAMES] = { 0 };
	memcpy(key, pcs, cnt * sizeof(*key));
	for (uint32_t i = 0; i < count_cnt; i++)
		if (!memcmp(counts[i].key, key, sizeof(key)))
			return &counts[i];
	memcpy(counts[count_cnt].key, key, sizeof(key));
	return &counts[count_cnt++];
}

static int add_entry(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val, uint32_t cnt)
{
	const struct wire_vref *v = (const struct wire_vref *)key;
	(void)arg;
	if (gen != ((const struct wire_agg *)((uint8_t *)m.shm + m.shm->agg_desc_off))->gen)
		return 0;
	CHECK(!agg && cnt == 1 && v->off == 8 && v->bytes + 8 == key_bytes && v->bytes <= 8 * FRAMES);
	count_of((const uint64_t *)(key + 8), v->bytes / 8)->got += val[0];
	return 0;
}

static void check_counts(void)
{
	for (uint32_t i = 0; i < count_cnt; i++)
		counts[i].got = 0;
	rt_agg_walk(m.shm, thread(), mk.img.aggs, mk.img.agg_cnt, add_entry, NULL);
	for (uint32_t i = 0; i < count_cnt; i++)
		CHECK_MSG(counts[i].got == counts[i].want, "stack %u of %u: %llu, not %llu", i, count_cnt, (unsigned long long)counts[i].got,
			  (unsigned long long)counts[i].want);
}

/* ---- stacks ---- */

#define AT (STACK_WORDS - 256) /* where the application's stack pointer is */

/* What the walk from @sp is to find, at a function whose frames are all there; their number.  By other means than those that are
 * tested. */
static uint32_t model(uint64_t addr, const uint64_t *sp, const uint64_t *bp, uint64_t *pcs)
{
	uint32_t n = 0;
	pcs[n++] = addr;
	pcs[n++] = *sp++;
	while (n < FRAMES && pcs[n - 1] < LAST) {
		if (pcs[n - 1] >= BY_RBP) {
			sp = bp + 2;
			bp = (const uint64_t *)(uintptr_t)bp[0];
		} else {
			sp += 5;
		}
		pcs[n++] = sp[-1];
	}
	return n;
}

static void expect(enum wire_site_kind kind, const uint64_t *sp, const uint64_t *bp)
{
	uint64_t pcs[FRAMES];
	uint32_t n = model(mkshm_site(&m, kind)->addr, sp, bp, pcs);
	count_of(pcs, n)->want++;
}

static void fire_once(enum wire_site_kind kind, const uint64_t *sp, const uint64_t *bp)
{
	expect(kind, sp, bp);
	fire(kind, sp, bp, 0);
}

/* Two by rsp, two by rbp, the last one: words 0, 5, 10, 20, 30 from @sp on.  Returns rbp. */
static uint64_t *make_stack(uint64_t *sp)
{
	sp[0] = BY_RSP;
	sp[5] = BY_RSP + 1;
	sp[10] = BY_RBP;
	sp[20] = BY_RBP + 1;
	sp[19] = (uint64_t)(uintptr_t)&sp[29];
	sp[30] = LAST;
	return &sp[19];
}

/* ---- tests ---- */

static void stacks_that_differ(void)
{
	start();
	uint64_t *sp = stack + AT, *bp = make_stack(sp), rnd = 3;
	uint32_t kept = 0;
	for (int i = 0; i < 3000; i++) {
		uint64_t r = rnd = rnd * 6364136223846793005ULL + 1442695040888963407ULL;
		r >> 33 & 1 ? (sp[5] = BY_RSP + (r >> 40) % 3) : (sp[0] = BY_RSP);
		sp[10] = r >> 45 & 3 ? BY_RBP : LAST; /* less deep */
		sp[20] = BY_RBP + (r >> 48) % 2;
		sp[19] = (uint64_t)(uintptr_t)&sp[r >> 55 & 1 ? 29 : 33]; /* a larger frame below what is the same */
		sp[34] = LAST + 1;
		enum wire_site_kind kind = r >> 60 & 1 ? WIRE_SITE_ENTRY : WIRE_SITE_RETURN;
		for (uint32_t k = 0; k < 1 + (r >> 56) % 16; k++)
			fire_once(kind, sp, bp);
		kept += is_kept();
		if (i % 100 == 99) {
			check_counts();
			((struct wire_agg *)((uint8_t *)m.shm + m.shm->agg_desc_off))->gen++; /* clear() */
			for (uint32_t k = 0; k < count_cnt; k++)
				counts[k].want = 0;
		}
	}
	CHECK_EQ(count_cnt, 30);
	CHECK(kept > 1000);
	CHECK_EQ(thread()->agg_drops, 0);
	for (int l = 0; l < WIRE_LEVEL_MAX; l++)
		CHECK_EQ(thread()->level_sp[l], 0);
	end();
}

/* Of another aggregation, of one with less room, beyond the arena: what is kept of an entry is not believed. */
static void a_damaged_place_of_an_entry(void)
{
	start();
	uint64_t *sp = stack + AT, *bp = make_stack(sp), rnd = 9;
	for (int i = 0; i < 3000; i++) {
		for (int k = 0; k < 4 || !is_kept(); k++)
			fire_once(WIRE_SITE_ENTRY, sp, bp);
		for (uint32_t k = 0; k < WIRE_UNW_KEPT; k++) {
			struct wire_unw_kept *kept = &thread()->unw_kept[k];
			rnd = rnd * 6364136223846793005ULL + 1442695040888963407ULL;
			if (kept->entry)
				kept->entry = rnd >> 60 & 1 ? rnd >> 32 : rnd >> 61 & 1 ? (uint64_t)1 << 32 | kept->entry : m.shm->geom.agg_off / 8;
		}
		fire_once(WIRE_SITE_ENTRY, sp, bp);
	}
	check_counts();
	end();
}

/* Also where the walk ends in code that nobody knows, and what is kept is made. */
static void takes_little_stack(void)
{
	start();
	uint64_t *sp = stack + AT, *bp = make_stack(sp);
	for (int i = 0; i < 40; i++) {
		sp[10] = i < 20 ? BY_RBP : 0x99999999;
		fire(WIRE_SITE_ENTRY, sp, bp, 0);
	}
	uint64_t *low = stack;
	while (!*low)
		low++;
	uint64_t bytes = (uint64_t)(sp - low) * 8;
	CHECK_MSG(bytes < 160 + sizeof(struct rt_stack_add) + 640 || CALL_IS_SANITIZED, "%llu bytes", (unsigned long long)bytes);
	end();
}

/* Another stack, below, that is kept in the same place. */
static uint64_t *other_sp;

static void fire_others(void)
{
	struct rt_stack_add add = { .bp = (uint64_t)(uintptr_t)make_stack(other_sp), .frames = FRAMES, .val = 1,
				    .slot = (uint32_t)mk.prog.args[0] };
	other_sp[5] = BY_RSP + 2;
	for (int i = 0; i < 12; i++) {
		expect(WIRE_SITE_ENTRY, other_sp, other_sp + 19);
		rt_agg_ustack(m.shm, mkshm_proc(&m, 0), thread(), mkshm_site(&m, WIRE_SITE_ENTRY), (uint64_t)(uintptr_t)other_sp, &add);
	}
}

static void on_trap(int sig, siginfo_t *si, void *arg)
{
	(void)sig;
	(void)si;
	if (trap_is_due(&trap, arg, code, CODE_BYTES))
		fire_others();
}

static bool fire_interrupted(long left, uint64_t *sp, uint64_t *bp)
{
	struct sigaction old;
	trap_begin(&trap, left, on_trap, &old);
	expect(WIRE_SITE_ENTRY, sp, bp);
	fire(WIRE_SITE_ENTRY, sp, bp, TRAP_FLAG);
	sigaction(SIGTRAP, &old, NULL);
	return trap.hit;
}

static const struct wire_unw_kept *place_of(const uint64_t *sp)
{
	uint64_t last;
	struct wire_thread thr = { .stack_lo = (uint64_t)(uintptr_t)stack, .stack_hi = (uint64_t)(uintptr_t)(stack + STACK_WORDS) };
	const struct wire_unw_kept *k = kept_place(&thr, mkshm_site(&m, WIRE_SITE_ENTRY), (uint64_t)(uintptr_t)sp, FRAMES, &last);
	return thread()->unw_kept + (k - thr.unw_kept);
}

/* @before: hits of this stack before each that is interrupted, from nothing kept on; that is after each @stride instructions. */
static void nested_anywhere(uint32_t before, long stride, long least)
{
	start();
	uint64_t *sp = stack + AT, *bp = make_stack(sp);
	fire_once(WIRE_SITE_ENTRY, sp, bp);
	for (other_sp = stack + 600; make_stack(other_sp), place_of(other_sp) != place_of(sp); other_sp++)
		other_sp[0] = 0;
	long n = 0;
	for (bool more = true; more && !tap_failed; n += stride) {
		memset(thread()->unw_kept, 0, sizeof(thread()->unw_kept));
		for (uint32_t i = 0; i < before; i++)
			fire_once(WIRE_SITE_ENTRY, sp, bp);
		more = fire_interrupted(n, sp, bp);
		fire_once(WIRE_SITE_ENTRY, sp, bp);
		check_counts();
	}
	CHECK_EQ(count_cnt, 2);
	CHECK_MSG(n > least, "%ld instructions", n);
	end();
}

static void a_nested_probe_while_it_compares(void) { nested_anywhere(12, 1, 150); }
static void a_nested_probe_while_it_walks(void) { nested_anywhere(2, 3, 300); }
static void a_nested_probe_while_it_keeps(void) { nested_anywhere(8, 5, 400); }

TAP_MAIN(TEST(stacks_that_differ), TEST(a_damaged_place_of_an_entry), TEST(takes_little_stack),
	 TEST(a_nested_probe_while_it_compares), TEST(a_nested_probe_while_it_walks), TEST(a_nested_probe_while_it_keeps))
