/* SPDX-License-Identifier: MIT */
/*
 * Aggregations of quick bodies.  A value never moves.  A count without keys has
 * its place; where another one is, the thread has noted; one under a key of whole words is looked for where
 * the index says first.  Its generation (clear(), trunc()) must be the
 * aggregation's.  All else, and what is not worth inlining, is rt's.
 */
#include "jit/x86_64/quick_int.h"

#include "rt/agg.h"

static bool is_begin(const struct ir_insn *in)
{
	return in->op == IR_OP_CALL && in->imm == IR_HELPER_tuple_begin;
}

uint64_t jit_quick_key_bytes(const struct jit_gen *g, const struct ir_prog *p, uint32_t insn)
{
	struct jit_part part = jit_part_of(g, p, insn);
	uint64_t bytes = 0;
	for (uint32_t i = part.lo; i < part.hi; i++) {
		const struct ir_insn *in = &p->insns[i];
		if (!is_begin(in) || p->args[in->a] != p->insns[insn].aux)
			continue;
		if (bytes && p->args[in->a + 1] != bytes)
			return 0;
		bytes = p->args[in->a + 1];
	}
	return bytes;
}

static int64_t arena_off(const struct wire_shm *geo)
{
	return (int64_t)(geo->geom.agg_off + rt_agg_table(&geo->geom).arena_off);
}

bool jit_quick_agg_fits(const struct jit_gen *g, const struct ir_prog *p, uint32_t insn)
{
	const struct wire_shm *geo = g->env->geometry;
	const struct ir_insn *in = &p->insns[insn];
	if (in->aux == IR_NO_TUPLE)
		return true;
	uint64_t bytes = jit_quick_key_bytes(g, p, insn), cnt = rt_agg_table(&geo->geom).index_cnt;
	return bytes && bytes % 8 == 0 && bytes <= 8 * KEY_WORDS_MAX && in->aux + 8 + bytes <= SCRATCH_MAX && cnt &&
	       cnt <= 1u << 30 && arena_off(geo) < INT32_MAX / 2;
}

void jit_quick_tuple_begin(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	int64_t slot = (int64_t)g->p->args[in->a] + 8, bytes = (int64_t)g->p->args[in->a + 1];
	for (int64_t at = slot; at < slot + bytes; at += 8)
		if (!jit_quick_is_stored(g, insn, IR_OP_STS, at))
			x64_store_imm(&g->a, 8, x64_at(X64_RSP, g->quick->scratch_at + at), 0);
}

/* ---- changing a value: at the thread + rax + @base ---- */

static struct x64_mem word(const struct jit_gen *g, int64_t base, int64_t n)
{
	return x64_at_index(thr(g), X64_RAX, base + 8 * n);
}

static void add_to(struct jit_gen *g, uint32_t val, struct x64_mem m)
{
	struct jit_loc l = jit_loc(g, val);
	if (l.kind == JIT_LOC_IMM && x64_fits32((uint64_t)l.imm))
		x64_group_mem_imm(&g->a, X64_G_ADD, m, (int32_t)l.imm);
	else
		x64_rm(&g->a, X64_ADD_TO, jit_src(g, val, X64_RDX), m);
}

/* As often as it is to be taken. */
static void add_cnt(struct jit_gen *g, const struct ir_insn *in, struct x64_mem m)
{
	if (in->b == WIRE_NONE)
		x64_group_mem_imm(&g->a, X64_G_ADD, m, 1);
	else
		add_to(g, in->b, m);
}

static void add_value(struct jit_gen *g, const struct ir_insn *in, struct x64_mem m)
{
	if (in->b == WIRE_NONE) {
		add_to(g, in->a, m);
		return;
	}
	jit_load(g, X64_RDX, in->a);
	x64_rr(&g->a, X64_IMUL, X64_RDX, jit_src(g, in->b, X64_RCX));
	x64_rm(&g->a, X64_ADD_TO, X64_RDX, m);
}

/* rcx: the value's bucket. */
static void gen_bucket(struct jit_gen *g, uint32_t val)
{
	struct x64_asm *a = &g->a;
	uint32_t minus = x64_label(a), done = x64_label(a);
	jit_load(g, X64_RDX, val);
	x64_mov_imm(a, X64_RCX, WIRE_QUANTIZE_ZERO);
	x64_rr(a, X64_TEST, X64_RDX, X64_RDX);
	x64_jcc(a, X64_CC_E, done);
	x64_jcc(a, X64_CC_L, minus);
	x64_rr(a, X64_BSR, X64_RCX, X64_RDX);
	x64_group_imm(a, X64_G_ADD, X64_RCX, WIRE_QUANTIZE_ZERO + 1);
	x64_jmp(a, done);
	x64_bind(a, minus);
	x64_unary(a, X64_NEG, X64_RDX);
	x64_rr(a, X64_BSR, X64_RDX, X64_RDX);
	x64_mov_imm(a, X64_RCX, WIRE_QUANTIZE_ZERO - 1);
	x64_rr(a, X64_SUB, X64_RCX, X64_RDX);
	x64_jcc(a, X64_CC_GE, done);
	x64_zero(a, X64_RCX); /* the least value has one bit more than there are buckets */
	x64_bind(a, done);
}

static void gen_quantize(struct jit_gen *g, const struct ir_insn *in, int64_t base)
{
	struct x64_asm *a = &g->a;
	gen_bucket(g, in->a);
	x64_shift_imm(a, X64_SHL, X64_RCX, 3);
	x64_rr(a, X64_ADD, X64_RAX, X64_RCX);
	add_cnt(g, in, word(g, base, 0));
}

/* The value is compared with what is kept; a nested probe may come in between, then once more. */
static void gen_extreme(struct jit_gen *g, uint32_t val, bool min, int64_t base)
{
	struct x64_asm *a = &g->a;
	uint32_t again = x64_label(a), done = x64_label(a);
	enum x64_reg v = jit_src(g, val, X64_RDX);
	x64_mov(a, X64_RCX, X64_RAX);
	x64_rm(a, X64_LOAD, X64_RAX, x64_at_index(thr(g), X64_RCX, base));
	x64_bind(a, again);
	x64_rr(a, X64_CMP, v, X64_RAX);
	x64_jcc(a, min ? X64_CC_GE : X64_CC_LE, done);
	x64_rm(a, X64_CMPXCHG, v, x64_at_index(thr(g), X64_RCX, base));
	x64_jcc(a, X64_CC_NE, again);
	x64_bind(a, done);
}

/* @op reg, imm. */
static void with_imm(struct jit_gen *g, enum x64_group group, enum x64_op op, enum x64_reg reg, int64_t imm)
{
	struct x64_asm *a = &g->a;
	if (x64_fits32((uint64_t)imm)) {
		x64_group_imm(a, group, reg, (int32_t)imm);
		return;
	}
	x64_mov_imm(a, JIT_PROC, (uint64_t)imm);
	x64_rr(a, op, reg, JIT_PROC);
	x64_mov_imm(a, JIT_PROC, jit_proc_addr(g->env));
}

static bool is_power(uint64_t v)
{
	return !(v & (v - 1));
}

/* rdx / step, rounded down: into rdx.  2^64 / step, rounded up, is by less than step / 2^64 too large for what is below
 * 2^32 / step; so the high half of the product is right for all numbers and steps below 2^32. */
static void gen_by_step(struct x64_asm *a, uint64_t step)
{
	if (is_power(step)) {
		if (step > 1)
			x64_shift_imm(a, X64_SHR, X64_RDX, (unsigned)__builtin_ctzll(step));
		return;
	}
	x64_mov_imm(a, X64_RAX, UINT64_MAX / step + 1);
	x64_unary(a, X64_MUL, X64_RDX);
}

static void gen_lquantize(struct jit_gen *g, const struct ir_insn *in, const struct wire_agg *agg, int64_t base)
{
	struct x64_asm *a = &g->a;
	uint32_t done = x64_label(a), inside = x64_label(a);
	x64_mov(a, X64_RCX, X64_RAX);
	jit_load(g, X64_RDX, in->a);
	x64_mov_imm(a, X64_RAX, 0);
	with_imm(g, X64_G_CMP, X64_CMP, X64_RDX, agg->base);
	x64_jcc(a, X64_CC_L, done);
	with_imm(g, X64_G_CMP, X64_CMP, X64_RDX, agg->limit);
	x64_jcc(a, X64_CC_L, inside);
	x64_mov_imm(a, X64_RAX, agg->val_cnt - 1);
	x64_jmp(a, done);
	x64_bind(a, inside);
	if (agg->base)
		with_imm(g, X64_G_SUB, X64_SUB, X64_RDX, agg->base);
	gen_by_step(a, (uint64_t)agg->step);
	x64_rm(a, X64_LEA, X64_RAX, x64_at(X64_RDX, 1));
	x64_bind(a, done);
	x64_shift_imm(a, X64_SHL, X64_RAX, 3);
	x64_rr(a, X64_ADD, X64_RAX, X64_RCX);
	if (in->b == WIRE_NONE)
		x64_group_mem_imm(a, X64_G_ADD, word(g, base, 0), 1);
	else
		add_to(g, in->b, word(g, base, 0));
}

/* Without a key a count has its place in the thread's area. */
static bool gen_count(struct jit_gen *g, const struct ir_insn *in, const struct wire_agg *agg)
{
	if (agg->fn != WIRE_AGG_COUNT || in->aux != IR_NO_TUPLE)
		return false;
	add_cnt(g, in, x64_at(thr(g), (int64_t)g->env->geometry->geom.counts_off + 8 * in->imm));
	return true;
}

static void gen_update(struct jit_gen *g, const struct ir_insn *in, const struct wire_agg *agg, int64_t base)
{
	switch ((enum wire_agg_fn)agg->fn) {
	case WIRE_AGG_COUNT:
		add_cnt(g, in, word(g, base, 0));
		break;
	case WIRE_AGG_SUM:
		add_value(g, in, word(g, base, 0));
		break;
	case WIRE_AGG_AVG:
		add_cnt(g, in, word(g, base, 0));
		add_value(g, in, word(g, base, 1));
		break;
	case WIRE_AGG_MIN:
	case WIRE_AGG_MAX:
		gen_extreme(g, in->a, agg->fn == WIRE_AGG_MIN, base);
		break;
	case WIRE_AGG_LQUANTIZE:
		gen_lquantize(g, in, agg, base);
		break;
	default:
		gen_quantize(g, in, base);
		break;
	}
}

bool jit_quick_agg_inline(const struct wire_agg *agg)
{
	switch ((enum wire_agg_fn)agg->fn) {
	case WIRE_AGG_COUNT: case WIRE_AGG_SUM: case WIRE_AGG_MIN: case WIRE_AGG_MAX: case WIRE_AGG_AVG: case WIRE_AGG_QUANTIZE:
		return true;
	case WIRE_AGG_LQUANTIZE:
		return agg->step > 0 && (is_power((uint64_t)agg->step) || ((uint64_t)agg->step <= UINT32_MAX &&
				(uint64_t)agg->limit - (uint64_t)agg->base <= UINT32_MAX));
	default:
		return false;
	}
}

/* ---- finding it ---- */

/* The aggregation's generation. */
static void gen_load_gen(struct jit_gen *g, const struct ir_insn *in, enum x64_reg reg)
{
	uint64_t addr = g->env->shm_addr + g->env->geometry->agg_desc_off + (uint64_t)in->imm * sizeof(struct wire_agg) +
			offsetof(struct wire_agg, gen);
	bool far = addr - jit_proc_addr(g->env) > INT32_MAX || thr(g) == JIT_PROC;
	bool blind = g->a.blind;
	g->a.blind = true; /* there are both ways */
	if (far)
		x64_mov_imm(&g->a, reg, addr);
	x64_rm(&g->a, X64_LOAD32, reg, far ? x64_at(reg, 0) : jit_near(g, addr));
	g->a.blind = blind;
}

/* It must be that at @gen. */
static void gen_check_gen(struct jit_gen *g, const struct ir_insn *in, struct x64_mem gen, uint32_t slow)
{
	gen_load_gen(g, in, X64_RDX);
	x64_rm(&g->a, X64_CMP32, X64_RDX, gen);
	x64_jcc(&g->a, X64_CC_NE, slow);
}

static int64_t gen_find_plain(struct jit_gen *g, const struct ir_insn *in, uint32_t slow)
{
	struct x64_asm *a = &g->a;
	int64_t cell = (int64_t)(g->env->geometry->geom.cells_off + sizeof(struct wire_cell) * (uint64_t)in->imm);
	gen_load_gen(g, in, X64_RAX);
	x64_rm(a, X64_LEA32, X64_RAX, x64_at(X64_RAX, 1));
	x64_rm(a, X64_CMP32, X64_RAX, x64_at(thr(g), cell + (int64_t)offsetof(struct wire_cell, gen)));
	x64_jcc(a, X64_CC_NE, slow);
	x64_rm(a, X64_LOAD32, X64_RAX, x64_at(thr(g), cell + (int64_t)offsetof(struct wire_cell, off)));
	return 0;
}

static struct x64_mem key_word(const struct jit_gen *g, const struct ir_insn *in, uint32_t n)
{
	return x64_at(X64_RSP, g->quick->scratch_at + in->aux + (int64_t)offsetof(struct wire_tuple, data) + 8 * (int64_t)n);
}

static void gen_fold(struct x64_asm *a, unsigned shift)
{
	x64_mov(a, X64_RDX, X64_RAX);
	x64_shift_imm(a, X64_SHR, X64_RDX, shift);
	x64_rr(a, X64_XOR, X64_RAX, X64_RDX);
}

/* rax: the key's hash, as mem_hash() has it. */
static void gen_hash(struct jit_gen *g, const struct ir_insn *in, uint32_t words)
{
	struct x64_asm *a = &g->a;
	x64_mov_imm(a, X64_RAX, rt_agg_hash_seed((uint32_t)in->imm, 8ULL * words));
	x64_mov_imm(a, X64_RCX, RT_AGG_HASH_MULT);
	for (uint32_t i = 0; i < words; i++) {
		x64_rm(a, X64_XOR, X64_RAX, key_word(g, in, i));
		x64_rr(a, X64_IMUL, X64_RAX, X64_RCX);
		gen_fold(a, RT_AGG_HASH_WORD_SHIFT);
	}
	gen_fold(a, RT_AGG_HASH_END_SHIFT);
}

static int64_t gen_find_key(struct jit_gen *g, const struct ir_insn *in, uint32_t words, uint32_t slow)
{
	const struct wire_shm *geo = g->env->geometry;
	struct x64_asm *a = &g->a;
	int64_t entry = arena_off(geo) - 8, key = entry + (int64_t)offsetof(struct rt_agg_entry, key);
	gen_hash(g, in, words);
	x64_group_imm(a, X64_G_AND, X64_RAX, (int32_t)(rt_agg_table(&geo->geom).index_cnt - 1));
	x64_shift_imm(a, X64_SHL, X64_RAX, 2);
	x64_rm(a, X64_LOAD32, X64_RAX, x64_at_index(thr(g), X64_RAX, (int64_t)geo->geom.agg_off));
	x64_rr(a, X64_TEST32, X64_RAX, X64_RAX);
	x64_jcc(a, X64_CC_E, slow);
	x64_shift_imm(a, X64_SHL, X64_RAX, 3);
	x64_cmp32_imm(a, x64_at_index(thr(g), X64_RAX, entry + (int64_t)offsetof(struct rt_agg_entry, agg)), (int32_t)in->imm);
	x64_jcc(a, X64_CC_NE, slow);
	x64_cmp32_imm(a, x64_at_index(thr(g), X64_RAX, entry + (int64_t)offsetof(struct rt_agg_entry, key_bytes)), 8 * (int32_t)words);
	x64_jcc(a, X64_CC_NE, slow);
	for (uint32_t i = 0; i < words; i++) {
		x64_rm(a, X64_LOAD, X64_RDX, key_word(g, in, i));
		x64_rm(a, X64_CMP, X64_RDX, x64_at_index(thr(g), X64_RAX, key + 8 * (int64_t)i));
		x64_jcc(a, X64_CC_NE, slow);
	}
	gen_check_gen(g, in, x64_at_index(thr(g), X64_RAX, entry + (int64_t)offsetof(struct rt_agg_entry, gen)), slow);
	return key + 8 * (int64_t)words;
}

/* Where the place of a key by the site is noted; changes rcx. */
static struct x64_mem noted_place(struct jit_gen *g, const struct ir_insn *in)
{
	const struct wire_shm *geo = g->env->geometry;
	int64_t row = (int64_t)(geo->geom.places_off + 4 * (uint64_t)in->imm * geo->site_cap);
	if (g->spot)
		return x64_at(thr(g), row + 4 * (int64_t)g->spot->site);
	x64_rm(&g->a, X64_LOAD32, X64_RCX, x64_at(X64_RSP, g->quick->site_at));
	_Static_assert(sizeof(struct wire_site) == 64, "indexed by a shift");
	x64_shift_imm(&g->a, X64_SHR, X64_RCX, 4);
	return x64_at_index(thr(g), X64_RCX, row);
}

static int64_t gen_find_noted(struct jit_gen *g, const struct ir_insn *in, uint32_t words, uint32_t slow)
{
	struct x64_asm *a = &g->a;
	int64_t entry = arena_off(g->env->geometry) - 8;
	x64_rm(a, X64_LOAD32, X64_RAX, noted_place(g, in));
	x64_shift_imm(a, X64_SHL, X64_RAX, 3);
	x64_jcc(a, X64_CC_E, slow);
	gen_check_gen(g, in, x64_at_index(thr(g), X64_RAX, entry + (int64_t)offsetof(struct rt_agg_entry, gen)), slow);
	return entry + (int64_t)offsetof(struct rt_agg_entry, key) + 8 * (int64_t)words;
}

void jit_quick_agg(struct jit_gen *g, const struct ir_insn *in)
{
	const struct wire_agg *agg = &g->env->aggs[in->imm];
	if (gen_count(g, in, agg))
		return;
	uint32_t words = in->aux == IR_NO_TUPLE ? 0 : (uint32_t)jit_quick_key_bytes(g, g->p, (uint32_t)(in - g->p->insns)) / 8;
	const struct cold *slow = jit_quick_cold(g, (struct cold){ .kind = COLD_AGG, .in = in, .key_words = words });
	if (!jit_quick_agg_inline(agg)) {
		x64_jmp(&g->a, slow->label);
	} else {
		int64_t base = jit_site_key(g, in) ? gen_find_noted(g, in, words, slow->label) :
			       words ? gen_find_key(g, in, words, slow->label) : gen_find_plain(g, in, slow->label);
		gen_update(g, in, agg, base);
	}
	x64_bind(&g->a, slow->back);
}

/* The key's words, which nothing else needed. */
static void gen_site_words(struct jit_gen *g, const struct ir_insn *in, const struct jit_site_key *key)
{
	for (uint32_t i = 0; i < key->word_cnt; i++) {
		if (key->words[i].kind == SITE_WORD_CONST)
			x64_mov_imm(&g->a, X64_RAX, (uint64_t)key->words[i].v);
		else
			jit_quick_site_env(g, X64_RAX, (enum wire_env)key->words[i].v);
		x64_rm(&g->a, X64_STORE, X64_RAX, key_word(g, in, i));
	}
}

/* rt_agg_plain(shm, thread, aggregation, value, weight), rt_agg_key(..., key) */
void jit_quick_cold_agg(struct jit_gen *g, const struct cold *c)
{
	struct x64_asm *a = &g->a;
	g->al = c->al;
	const struct jit_site_key *site_key = jit_site_key(g, c->in);
	x64_bind(a, c->label);
	if (site_key)
		gen_site_words(g, c->in, site_key);
	jit_quick_push_held(g);
	jit_load(g, X64_RCX, c->in->a);
	if (c->in->b == WIRE_NONE)
		x64_mov_imm(a, X64_R8, 1);
	else
		jit_load(g, X64_R8, c->in->b);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_mov(a, X64_RSI, thr(g));
	x64_mov_imm(a, X64_RDX, (uint64_t)c->key_words << 32 | (uint64_t)c->in->imm);
	if (c->key_words) {
		struct x64_mem key = key_word(g, c->in, 0);
		key.disp += jit_quick_held_bytes(g);
		x64_rm(a, X64_LEA, X64_R9, key);
	}
	jit_quick_call(g, c->key_words ? g->env->fn_agg_key : g->env->fn_agg_plain);
	jit_quick_pop_held(g);
	if (site_key)
		x64_rm(a, X64_STORE32, X64_RAX, noted_place(g, c->in));
	x64_jmp(a, c->back);
}
