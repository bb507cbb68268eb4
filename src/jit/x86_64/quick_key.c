/* SPDX-License-Identifier: MIT */
/*
 * Keys that the site alone decides: @[probefunc], @[probename, 1], @["x"].
 *
 * The value under such a key is always the same one of the thread's, so it is looked for once for each site; then the
 * thread has noted its place (wire_thread_geom.places_off).  The key itself is only made behind the body, where the
 * value has to be looked for; the instructions that make it are skipped on the way.
 *
 * A site has one body, so the same row of places serves all clauses of a body that have the same key; a second key of
 * the same aggregation is looked for each time.
 */
#include "jit/x86_64/quick_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BACK_MAX 64u /* instructions between a tuple's beginning and its use */

struct jit_site_keys {
	struct jit_site_key v[COLD_MAX];
	uint32_t cnt;
	uint8_t *skip[]; /* by program; NULL: nothing to skip */
};

/* What is known of the registers and instructions of one program. */
struct facts {
	const struct jit_gen *g;
	const struct ir_prog *p;
	uint32_t *defs, *def_at, *reads; /* by register */
	uint8_t *target;                 /* a branch leads to the instruction */
};

static void note_reg(void *arg, uint32_t insn, uint32_t vreg, bool is_dst)
{
	struct facts *f = arg;
	if (is_dst) {
		f->defs[vreg]++;
		f->def_at[vreg] = insn;
	} else {
		f->reads[vreg]++;
	}
}

static bool facts_init(struct facts *f, const struct jit_gen *g, const struct ir_prog *p)
{
	uint32_t regs = p->vreg_cnt + 1;
	*f = (struct facts){ .g = g, .p = p, .defs = calloc(3ul * regs, sizeof(*f->defs)), .target = calloc(p->insn_cnt, 1) };
	if (!f->defs || !f->target)
		return false;
	f->def_at = f->defs + regs;
	f->reads = f->def_at + regs;
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		jit_insn_regs(p, i, note_reg, f);
		if (jit_quick_branches(&p->insns[i]))
			f->target[p->insns[i].imm] = 1;
	}
	return true;
}

static void facts_deinit(struct facts *f)
{
	free(f->defs);
	free(f->target);
}

/* ---- one key ---- */

static bool is_site_env(int64_t env)
{
	return (env >= WIRE_ENV_PROBEPROV && env <= WIRE_ENV_PROBEID) || env == WIRE_ENV_RET_OFFSET;
}

/* What the instruction sets its register to, where that is always the same. */
static bool value_of(const struct facts *f, const struct ir_insn *in, struct jit_site_word *ret)
{
	if (in->op == IR_OP_CONST)
		*ret = (struct jit_site_word){ SITE_WORD_CONST, in->imm };
	else if (in->op == IR_OP_ENV && in->imm == WIRE_ENV_CLAUSE)
		*ret = (struct jit_site_word){ SITE_WORD_CONST, f->p->clause };
	else if (in->op == IR_OP_ENV && is_site_env(in->imm))
		*ret = (struct jit_site_word){ SITE_WORD_ENV, in->imm };
	else if (in->op == IR_OP_ARG && !in->imm && f->g->kind == WIRE_SITE_RETURN)
		*ret = (struct jit_site_word){ SITE_WORD_ENV, WIRE_ENV_RET_OFFSET };
	else
		return false;
	return true;
}

static bool word_of(const struct facts *f, uint32_t vreg, struct jit_site_word *ret)
{
	return f->defs[vreg] == 1 && value_of(f, &f->p->insns[f->def_at[vreg]], ret);
}

static bool is_begin(const struct facts *f, uint32_t insn, uint64_t slot)
{
	const struct ir_insn *in = &f->p->insns[insn];
	return in->op == IR_OP_CALL && in->imm == IR_HELPER_tuple_begin && f->p->args[in->a] == slot;
}

/* Whether it writes into the words of the key at @data. */
static bool stores_word(const struct ir_insn *in, int64_t data, uint32_t words)
{
	return in->op == IR_OP_STS && in->imm + (in->aux & ~IR_SIGNED) > data && in->imm < data + 8 * (int64_t)words;
}

static bool take_store(const struct facts *f, const struct ir_insn *in, int64_t data, struct jit_site_key *key, uint32_t *seen)
{
	if (!stores_word(in, data, key->word_cnt))
		return true;
	uint32_t n = (uint32_t)(in->imm - data) / 8;
	if (in->aux != 8 || (in->imm - data) % 8)
		return false;
	if (*seen >> n & 1)
		return true; /* overwritten before it is used */
	*seen |= 1u << n;
	return word_of(f, in->a, &key->words[n]);
}

/* Back from AGG @insn to where its tuple begins, on the only way there. */
static bool find_key(const struct facts *f, uint32_t insn, struct jit_site_key *key)
{
	uint32_t slot = f->p->insns[insn].aux, seen = 0;
	uint64_t bytes = jit_quick_key_bytes(f->g, f->p, insn);
	*key = (struct jit_site_key){ .p = f->p, .insn = insn, .word_cnt = (uint32_t)bytes / 8 };
	if (!bytes || bytes % 8 || bytes > 8 * KEY_WORDS_MAX || slot + 8 + bytes > SCRATCH_MAX)
		return false;
	for (uint32_t i = insn; i && insn - i < BACK_MAX; i--) {
		const struct ir_insn *in = &f->p->insns[i - 1];
		if (f->target[i] || jit_quick_branches(in) || in->op == IR_OP_RET || in->op == IR_OP_FAULT)
			return false;
		key->begin = i - 1;
		if (is_begin(f, i - 1, slot))
			return true;
		if (!take_store(f, in, (int64_t)slot + 8, key, &seen))
			return false;
	}
	return false;
}

/* ---- which of them ---- */

static bool same_key(const struct jit_site_key *a, const struct jit_site_key *b)
{
	bool same = a->word_cnt == b->word_cnt;
	for (uint32_t i = 0; same && i < a->word_cnt; i++)
		same = a->words[i].kind == b->words[i].kind && a->words[i].v == b->words[i].v;
	return same;
}

static int64_t agg_of(const struct jit_site_key *key)
{
	return key->p->insns[key->insn].imm;
}

static bool fits(const struct jit_gen *g, const struct jit_site_key *key)
{
	const struct jit_site_keys *keys = g->keys;
	int64_t agg = agg_of(key);
	if (keys->cnt == COLD_MAX || agg >= g->env->geometry->geom.place_cnt ||
	    !jit_quick_agg_inline(&g->env->aggs[agg]))
		return false;
	for (uint32_t i = 0; i < keys->cnt; i++)
		if (agg_of(&keys->v[i]) == agg && !same_key(&keys->v[i], key))
			return false;
	return true;
}

/* Those of the slot that AGG @insn uses. */
static void drop_slot(const struct facts *f, uint32_t first, uint32_t insn)
{
	struct jit_site_keys *keys = f->g->keys;
	struct jit_part part = jit_part_of(f->g, f->p, insn);
	uint32_t cnt = first;
	for (uint32_t i = first; i < keys->cnt; i++) {
		uint32_t at = keys->v[i].insn;
		if (at < part.lo || at >= part.hi || f->p->insns[at].aux != f->p->insns[insn].aux)
			keys->v[cnt++] = keys->v[i];
	}
	keys->cnt = cnt;
}

/* All uses of a slot in a clause are by keys of this kind, or none is. */
static void find_keys(const struct facts *f)
{
	struct jit_site_keys *keys = f->g->keys;
	struct jit_site_key key;
	uint32_t refused[COLD_MAX], refused_cnt = 0, first = keys->cnt;
	for (uint32_t i = 0; i < f->p->insn_cnt; i++) {
		const struct ir_insn *in = &f->p->insns[i];
		if (in->op != IR_OP_AGG || in->aux == IR_NO_TUPLE)
			continue;
		if (find_key(f, i, &key) && fits(f->g, &key)) {
			keys->v[keys->cnt++] = key;
			continue;
		}
		if (refused_cnt == COLD_MAX) { /* not quick */
			keys->cnt = first;
			return;
		}
		refused[refused_cnt++] = i;
	}
	for (uint32_t i = 0; i < refused_cnt; i++)
		drop_slot(f, first, refused[i]);
}

/* ---- what is left out ---- */

static void drop_read(void *arg, uint32_t insn, uint32_t vreg, bool is_dst)
{
	struct facts *f = arg;
	(void)insn;
	f->reads[vreg] -= !is_dst;
}

static void skip_key(struct facts *f, const struct jit_site_key *key, uint8_t *skip)
{
	int64_t data = (int64_t)f->p->insns[key->insn].aux + 8;
	for (uint32_t i = key->begin; i < key->insn; i++) {
		if (skip[i] || (i != key->begin && !stores_word(&f->p->insns[i], data, key->word_cnt)))
			continue;
		skip[i] = 1;
		jit_insn_regs(f->p, i, drop_read, f);
	}
}

/* What nothing else reads, neither. */
static void skip_values(const struct facts *f, uint8_t *skip)
{
	for (uint32_t i = 0; i < f->p->insn_cnt; i++) {
		const struct ir_insn *in = &f->p->insns[i];
		struct jit_site_word w;
		if (value_of(f, in, &w) && !f->reads[in->dst])
			skip[i] = 1;
	}
}

static int find_in(struct jit_gen *g, uint32_t prog)
{
	struct jit_site_keys *keys = g->keys;
	struct facts f;
	uint32_t first = keys->cnt;
	bool ok = facts_init(&f, g, g->progs[prog]);
	if (ok)
		find_keys(&f);
	if (ok && keys->cnt > first) {
		keys->skip[prog] = calloc(f.p->insn_cnt, 1);
		ok = keys->skip[prog] != NULL;
		for (uint32_t i = first; ok && i < keys->cnt; i++)
			skip_key(&f, &keys->v[i], keys->skip[prog]);
		if (ok)
			skip_values(&f, keys->skip[prog]);
	}
	facts_deinit(&f);
	return ok ? 0 : -ENOMEM;
}

static bool may_have(const struct jit_gen *g)
{
	const struct wire_shm *geo = g->env->geometry;
	uint64_t end = geo->geom.places_off + 4ULL * geo->geom.place_cnt * geo->site_cap;
	return geo->geom.place_cnt && end <= INT32_MAX / 2 && g->env->aggs && !g->env->own_stack && g->prog_cnt &&
	       (g->kind == WIRE_SITE_ENTRY || g->kind == WIRE_SITE_OFFSET || g->kind == WIRE_SITE_RETURN);
}

int jit_keys_init(struct jit_gen *g)
{
	if (!may_have(g))
		return 0;
	g->keys = calloc(1, sizeof(*g->keys) + g->prog_cnt * sizeof(g->keys->skip[0]));
	int r = g->keys ? 0 : -ENOMEM;
	for (uint32_t i = 0; !r && i < g->prog_cnt; i++)
		r = find_in(g, i);
	if (!r && !g->keys->cnt)
		jit_keys_deinit(g);
	return r;
}

void jit_keys_deinit(struct jit_gen *g)
{
	for (uint32_t i = 0; g->keys && i < g->prog_cnt; i++)
		free(g->keys->skip[i]);
	free(g->keys);
	g->keys = NULL;
}

const uint8_t *jit_keys_skip(const struct jit_gen *g, uint32_t i)
{
	return g->keys ? g->keys->skip[i] : NULL;
}

const struct jit_site_key *jit_site_key(const struct jit_gen *g, const struct ir_insn *insn)
{
	for (uint32_t i = 0; g->keys && insn->op == IR_OP_AGG && i < g->keys->cnt; i++)
		if (&g->keys->v[i].p->insns[g->keys->v[i].insn] == insn)
			return &g->keys->v[i];
	return NULL;
}

/* The site's struct; by rcx, where it is not known beforehand. */
static struct x64_mem site_mem(struct jit_gen *g)
{
	uint64_t sites = g->env->geometry->site_off;
	if (g->spot)
		return jit_near(g, g->env->shm_addr + sites + jit_spot_bytes(g->spot));
	jit_quick_site(g, X64_RCX, sites);
	return x64_at(X64_RCX, 0);
}

void jit_quick_site_env(struct jit_gen *g, enum x64_reg reg, enum wire_env env)
{
	static const uint16_t names[] = { [WIRE_ENV_PROBEPROV] = offsetof(struct wire_site, prov), [WIRE_ENV_PROBEMOD] = offsetof(struct wire_site, mod),
		[WIRE_ENV_PROBEFUNC] = offsetof(struct wire_site, func), [WIRE_ENV_PROBENAME] = offsetof(struct wire_site, name),
		[WIRE_ENV_PROBEID] = offsetof(struct wire_site, probe_id) };
	struct x64_mem site = site_mem(g), func = site;
	if (env == WIRE_ENV_RET_OFFSET) {
		func.disp += (int64_t)offsetof(struct wire_site, func_addr);
		site.disp += (int64_t)offsetof(struct wire_site, addr);
		x64_rm(&g->a, X64_LOAD, reg, site);
		x64_rm(&g->a, X64_SUB, reg, func);
		return;
	}
	site.disp += names[env];
	x64_rm(&g->a, X64_LOAD32, reg, site);
	if (env != WIRE_ENV_PROBEID)
		x64_bts(&g->a, reg, WIRE_SREF_TAG_SHIFT + 1); /* WIRE_SREF_INTERN is one bit */
}
