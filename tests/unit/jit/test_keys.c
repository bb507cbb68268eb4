/* SPDX-License-Identifier: MIT */
/* Aggregations whose keys the site alone decides: what is noted, and what comes of it. */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"

#include "rt/agg.h"

#include <sys/mman.h>

#define STACK_WORDS 8192u
#define CODE_BYTES 65536u
#define PROGS_MAX 4u

static uint64_t stack[STACK_WORDS] __attribute__((aligned(16)));
static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 } };
static struct make mks[PROGS_MAX];
static uint32_t prog_cnt;
static struct mkshm m;
static uint8_t *code;
static int64_t code_bytes;

/* ---- clauses ---- */

#define ENV(e) (0x100000 | (e)) /* a word that is no number */

static uint32_t word(struct make *mk, uint32_t w)
{
	if (!(w & 0x100000))
		return konst(mk, w);
	uint32_t v = ir_vreg(mk->b);
	ir_emit(mk->b, IR_OP_ENV, v, NO, NO, w & 0xffff, 0);
	return v;
}

/* @agg[words] = count() or sum(3) */
static void clause(uint32_t agg, const uint32_t *words, uint32_t cnt)
{
	struct make *mk = &mks[prog_cnt++];
	make_init(mk);
	uint32_t t = ir_scratch(mk->b, 8 + 8 * cnt), v[4];
	for (uint32_t i = 0; i < cnt; i++)
		v[i] = word(mk, words[i]);
	ir_emit_call(mk->b, IR_HELPER_tuple_begin, NO, (const uint64_t[]){ t, 8 * cnt }, 2);
	for (uint32_t i = 0; i < cnt; i++)
		ir_emit(mk->b, IR_OP_STS, NO, v[i], NO, t + 8 + 8 * i, 8);
	ir_emit(mk->b, IR_OP_AGG, NO, konst(mk, agg ? 3 : 1), NO, agg, (uint16_t)t);
	ir_emit(mk->b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(mk);
	mk->prog.clause = prog_cnt - 1;
}
#define CLAUSE(agg, ...) clause(agg, (const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4)

static int64_t make_body(const struct wire_shm *geometry)
{
	const struct ir_prog *list[PROGS_MAX];
	struct jit_env env;
	struct err err = { .msg = "" };
	for (uint32_t i = 0; i < prog_cnt; i++)
		list[i] = &mks[i].prog;
	call_env_init(&env, m.shm);
	env.geometry = geometry;
	env.fn_enter = (uint64_t)(uintptr_t)call_must_not_enter;
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = call_tid_off();
	int64_t n = jit_body(&env, WIRE_SITE_ENTRY, list, prog_cnt, (uint64_t)(uintptr_t)code, code, CODE_BYTES, &err);
	CHECK_MSG(n > 0, "%s", err.msg);
	return n;
}

/* A body for the clauses, at two sites with functions of their own. */
static void start(uint64_t agg_bytes)
{
	static struct ir_prog progs[PROGS_MAX];
	static struct ir_image img;
	for (uint32_t i = 0; i < prog_cnt; i++)
		progs[i] = mks[i].prog;
	img = mks[0].img;
	img.progs = progs;
	img.prog_cnt = prog_cnt;
	img.aggs = aggs;
	img.agg_cnt = ARRAY_CNT(aggs);
	mkshm_init(&m, &img, &(struct mkshm_opts){ .agg_bytes = agg_bytes }, 128);
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	code_bytes = make_body(m.shm);
	for (unsigned kind = WIRE_SITE_ENTRY; kind <= WIRE_SITE_OFFSET; kind++) {
		struct wire_site *site = mkshm_site(&m, (enum wire_site_kind)kind);
		site->sp_adj = call_sp_adj[CALL_PLAIN];
		site->func = mkshm_intern(&m, kind == WIRE_SITE_ENTRY ? "one" : "other");
	}
}

static void end(void)
{
	munmap(code, CODE_BYTES);
	mkshm_deinit(&m);
	while (prog_cnt)
		make_deinit(&mks[--prog_cnt]);
}

static void fire(enum wire_site_kind site)
{
	struct call c = { .body = code, .variant = CALL_PLAIN, .site = site };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stack + STACK_WORDS - 64);
	c.in[WIRE_EFLAGS] = 0x202;
	call_run(&c);
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c.out[r] == c.in[r], "register %u is %llx", r, (unsigned long long)c.out[r]);
}

/* ---- what came of it ---- */

static struct wire_thread *thread(void)
{
	return mkshm_thread(&m, 1); /* slot 0 is made by mkshm, for another */
}

static uint32_t *place(uint32_t agg, enum wire_site_kind site)
{
	return (uint32_t *)((uint8_t *)thread() + m.shm->geom.places_off) + agg * m.shm->site_cap + site;
}

struct look {
	uint32_t agg;
	const uint64_t *key;
	uint32_t words;
	uint64_t val, keys;
};

static int look_at(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes, const uint64_t *val, uint32_t cnt)
{
	struct look *l = arg;
	(void)gen;
	(void)cnt;
	if (agg != l->agg)
		return 0;
	l->keys++;
	if (key_bytes == 8 * l->words && !memcmp(key, l->key, key_bytes))
		l->val = val[0];
	return 0;
}

static uint64_t func_of(enum wire_site_kind site)
{
	return WIRE_SREF(WIRE_SREF_INTERN, mkshm_site(&m, site)->func);
}

/* The value under the key, where the aggregation has @keys of them. */
static uint64_t value(uint32_t agg, const uint64_t *key, uint32_t words, uint64_t keys)
{
	struct look l = { .agg = agg, .key = key, .words = words };
	rt_agg_walk(m.shm, thread(), aggs, ARRAY_CNT(aggs), look_at, &l);
	CHECK_EQ(l.keys, keys);
	return l.val;
}
#define VALUE(agg, keys, ...) value(agg, (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8, keys)

/* ---- tests ---- */

static void each_site_has_its_value(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC));
	start(0);
	for (unsigned i = 0; i < 5; i++)
		fire(WIRE_SITE_ENTRY);
	for (unsigned i = 0; i < 3; i++)
		fire(WIRE_SITE_OFFSET);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_ENTRY)), 5);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_OFFSET)), 3);
	CHECK(*place(0, WIRE_SITE_ENTRY) && *place(0, WIRE_SITE_OFFSET));
	CHECK(*place(0, WIRE_SITE_ENTRY) != *place(0, WIRE_SITE_OFFSET));
	CHECK_EQ(*place(0, WIRE_SITE_RETURN), 0);
	end();
}

/* Sites with the same key have one value. */
static void all_sites_have_one_value(void)
{
	CLAUSE(1, 7, ENV(WIRE_ENV_CLAUSE), 1);
	CLAUSE(0, 5);
	start(0);
	fire(WIRE_SITE_ENTRY);
	fire(WIRE_SITE_OFFSET);
	fire(WIRE_SITE_OFFSET);
	CHECK_EQ(VALUE(0, 1, 5), 3);
	CHECK_EQ(VALUE(1, 1, 7, 0, 1), 9);
	CHECK(*place(0, WIRE_SITE_ENTRY) && *place(0, WIRE_SITE_ENTRY) == *place(0, WIRE_SITE_OFFSET));
	end();
}

/* The places serve one key of an aggregation at each site. */
static void two_keys_of_one(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC), 1);
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC), 2);
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC), 1);
	start(0);
	for (unsigned i = 0; i < 4; i++)
		fire(WIRE_SITE_ENTRY);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_ENTRY), 1), 8);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_ENTRY), 2), 4);
	end();
}

/* clear(): what is noted stays, the value begins anew. */
static void cleared(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBENAME));
	start(0);
	uint64_t name = WIRE_SREF(WIRE_SREF_INTERN, mkshm_site(&m, WIRE_SITE_ENTRY)->name);
	fire(WIRE_SITE_ENTRY);
	fire(WIRE_SITE_ENTRY);
	((struct wire_agg *)((uint8_t *)m.shm + m.shm->agg_desc_off))->gen++;
	uint32_t was = *place(0, WIRE_SITE_ENTRY);
	fire(WIRE_SITE_ENTRY);
	CHECK_EQ(VALUE(0, 1, name), 1);
	fire(WIRE_SITE_ENTRY);
	CHECK_EQ(VALUE(0, 1, name), 2);
	CHECK_EQ(*place(0, WIRE_SITE_ENTRY), was);
	end();
}

/* Each hit that finds no room is counted, until there is some. */
static void no_room(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC));
	start(0);
	m.shm->agg_max = 1;
	fire(WIRE_SITE_ENTRY);
	for (unsigned i = 0; i < 3; i++)
		fire(WIRE_SITE_OFFSET);
	CHECK_EQ(thread()->agg_drops, 3);
	CHECK_EQ(*place(0, WIRE_SITE_OFFSET), 0);
	thread()->agg_read = 1;
	fire(WIRE_SITE_OFFSET);
	fire(WIRE_SITE_ENTRY);
	CHECK_EQ(thread()->agg_drops, 3);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_ENTRY)), 2);
	CHECK_EQ(VALUE(0, 2, func_of(WIRE_SITE_OFFSET)), 1);
	end();
}

/* A slot that another thread has had begins with nothing noted: a value is found, or made, anew. */
static void nothing_noted(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC));
	start(0);
	fire(WIRE_SITE_ENTRY);
	*place(0, WIRE_SITE_ENTRY) = 0;
	fire(WIRE_SITE_ENTRY);
	CHECK(*place(0, WIRE_SITE_ENTRY) != 0);
	CHECK_EQ(VALUE(0, 1, func_of(WIRE_SITE_ENTRY)), 2);
	end();
}

/* Without rows for places (memory of the kernel's) the key is made and looked for at each hit: more code. */
static void memory_without_places(void)
{
	CLAUSE(0, ENV(WIRE_ENV_PROBEFUNC));
	start(0);
	int64_t with = code_bytes;
	struct wire_shm geo = *m.shm;
	geo.geom.place_cnt = 0;
	CHECK(make_body(&geo) > with + 64);
	fire(WIRE_SITE_ENTRY);
	fire(WIRE_SITE_ENTRY);
	CHECK_EQ(VALUE(0, 1, func_of(WIRE_SITE_ENTRY)), 2);
	CHECK_EQ(*place(0, WIRE_SITE_ENTRY), 0);
	end();
}

TAP_MAIN(TEST(each_site_has_its_value), TEST(all_sites_have_one_value), TEST(two_keys_of_one), TEST(cleared), TEST(no_room),
	 TEST(nothing_noted), TEST(memory_without_places))
