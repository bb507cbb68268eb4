/* SPDX-License-Identifier: MIT */
/*
 * All probes of a session.  Probes and strings lie in blocks that never move,
 * so that pointers to them stay good; a hash over the identity finds one again.
 */
#include "probe/probe_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_CNT 1024u
#define STR_BLOCK 65536u
/* Probes of processes come and go; below are those that are there in every run, and keep their numbers. */
#define ID_OF_PROCESSES 100000u

struct str_block {
	struct str_block *next;
	size_t used, cap;
	char s[];
};

struct str_ent {
	const char *s; /* NULL: free */
	uint64_t hash;
};

struct slot {
	uint32_t nr;   /* index + 1; 0: empty */
	uint32_t hash; /* of it, so that few others are looked at */
};

struct probe_table {
	struct probe **blocks;
	uint32_t cnt, block_cap;
	struct slot *hash;
	struct str_ent *strs; /* interned strings, open addressing */
	const char *last[3]; /* of the last probe: provider, module, name; mostly also the next one's */
	uint32_t hash_cap, str_cnt, str_cap; /* powers of two */
	struct str_block *str_blocks;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

static uint64_t hash_str(const char *s)
{
	uint64_t h = 0, word;
	size_t len = strlen(s);
	for (; len >= sizeof(word); len -= sizeof(word), s += sizeof(word)) {
		memcpy(&word, s, sizeof(word));
		h = mix(h, word);
	}
	word = len;
	memcpy((uint8_t *)&word + 1, s, len);
	return mix(h, word);
}

struct probe_table *probe_table_create(void)
{
	return calloc(1, sizeof(struct probe_table));
}

void probe_table_destroy(struct probe_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i * BLOCK_CNT < t->cnt; i++)
		free(t->blocks[i]);
	free(t->blocks);
	free(t->hash);
	free(t->strs);
	while (t->str_blocks) {
		struct str_block *next = t->str_blocks->next;
		free(t->str_blocks);
		t->str_blocks = next;
	}
	free(t);
}

uint32_t probe_cnt(const struct probe_table *t) { return t->cnt; }

static struct probe *at(const struct probe_table *t, uint32_t i)
{
	return &t->blocks[i / BLOCK_CNT][i % BLOCK_CNT];
}

const struct probe *probe_at(const struct probe_table *t, uint32_t i)
{
	return i < t->cnt ? at(t, i) : NULL;
}

/* ---- strings ---- */

static char *str_room(struct probe_table *t, size_t bytes)
{
	struct str_block *b = t->str_blocks;
	if (!b || b->cap - b->used < bytes) {
		size_t cap = bytes > STR_BLOCK ? bytes : STR_BLOCK;
		b = malloc(sizeof(*b) + cap);
		if (!b)
			return NULL;
		*b = (struct str_block){ .next = t->str_blocks, .cap = cap };
		t->str_blocks = b;
	}
	b->used += bytes;
	return b->s + b->used - bytes;
}

static uint32_t str_slot(const struct probe_table *t, const char *s, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & (t->str_cap - 1);
	while (t->strs[i].s && (t->strs[i].hash != hash || strcmp(t->strs[i].s, s)))
		i = (i + 1) & (t->str_cap - 1);
	return i;
}

static int strs_grow(struct probe_table *t)
{
	if (t->str_cnt * 2 < t->str_cap)
		return 0;
	struct str_ent *old = t->strs;
	uint32_t old_cap = t->str_cap, cap = old_cap ? old_cap * 4 : 256;
	struct str_ent *v = calloc(cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->strs = v;
	t->str_cap = cap;
	for (uint32_t i = 0; i < old_cap; i++) {
		uint32_t k = (uint32_t)old[i].hash & (cap - 1);
		while (old[i].s && v[k].s)
			k = (k + 1) & (cap - 1);
		if (old[i].s)
			v[k] = old[i];
	}
	free(old);
	return 0;
}

static const char *intern(struct probe_table *t, const char *s)
{
	if (strs_grow(t))
		return NULL;
	uint64_t hash = hash_str(s);
	struct str_ent *e = &t->strs[str_slot(t, s, hash)];
	if (!e->s) {
		size_t bytes = strlen(s) + 1;
		char *copy = str_room(t, bytes);
		if (!copy)
			return NULL;
		*e = (struct str_ent){ memcpy(copy, s, bytes), hash };
		t->str_cnt++;
	}
	return e->s;
}

static const char *intern_as_last(struct probe_table *t, uint32_t i, const char *s)
{
	if (!t->last[i] || strcmp(t->last[i], s))
		t->last[i] = intern(t, s);
	return t->last[i];
}

/* ---- probes ---- */

static uint64_t hash_probe(const struct probe *p)
{
	uint64_t h = mix((uint64_t)(uintptr_t)p->module, p->func_addr);
	h = mix(h, ((uint64_t)p->offset << 8) | p->kind);
	h = mix(h, (uint64_t)(uintptr_t)p->func);
	return mix(h, (uint64_t)(uintptr_t)p->name);
}

/* Strings are interned: equal ones are one. */
static bool same(const struct probe *a, const struct probe *b)
{
	return a->prov == b->prov && a->mod == b->mod && a->func == b->func && a->name == b->name &&
	       a->module == b->module && a->func_addr == b->func_addr && a->kind == b->kind && a->offset == b->offset;
}

static struct slot *probe_slot(const struct probe_table *t, const struct probe *p, uint32_t hash)
{
	uint32_t i = hash & (t->hash_cap - 1);
	while (t->hash[i].nr && (t->hash[i].hash != hash || !same(at(t, t->hash[i].nr - 1), p)))
		i = (i + 1) & (t->hash_cap - 1);
	return &t->hash[i];
}

static int hash_grow(struct probe_table *t)
{
	if (t->cnt * 2 < t->hash_cap)
		return 0;
	struct slot *old = t->hash;
	uint32_t old_cap = t->hash_cap, cap = old_cap ? old_cap * 4 : 256;
	struct slot *v = calloc(cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < old_cap; i++) {
		uint32_t k = old[i].hash & (cap - 1);
		while (old[i].nr && v[k].nr)
			k = (k + 1) & (cap - 1);
		if (old[i].nr)
			v[k] = old[i];
	}
	free(old);
	t->hash = v;
	t->hash_cap = cap;
	return 0;
}

static struct probe *append(struct probe_table *t)
{
	uint32_t block = t->cnt / BLOCK_CNT;
	if (block == t->block_cap) {
		uint32_t cap = t->block_cap ? t->block_cap * 2 : 16;
		struct probe **v = reallocarray(t->blocks, cap, sizeof(*v));
		if (!v)
			return NULL;
		t->blocks = v;
		t->block_cap = cap;
	}
	if (t->cnt % BLOCK_CNT == 0) {
		t->blocks[block] = calloc(BLOCK_CNT, sizeof(struct probe));
		if (!t->blocks[block])
			return NULL;
	}
	return at(t, t->cnt++);
}

static int found_add(struct found *f, uint32_t idx)
{
	if (f->cnt == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 16;
		uint32_t *v = reallocarray(f->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->cnt++] = idx;
	return 0;
}

int probe_found(struct found *f, const struct probe *want)
{
	struct probe_table *t = f->table;
	struct probe p = *want;
	p.prov = intern_as_last(t, 0, p.prov);
	p.mod = intern_as_last(t, 1, p.mod);
	p.func = intern(t, p.func);
	p.name = intern_as_last(t, 2, p.name);
	if (!p.prov || !p.mod || !p.func || !p.name || hash_grow(t))
		return -ENOMEM;
	uint32_t hash = (uint32_t)hash_probe(&p);
	struct slot *slot = probe_slot(t, &p, hash);
	if (!slot->nr) {
		struct probe *to = append(t);
		if (!to)
			return -ENOMEM;
		if (!p.id)
			p.id = p.pid ? ID_OF_PROCESSES + t->cnt : t->cnt;
		*to = p;
		*slot = (struct slot){ t->cnt, hash };
	}
	return found_add(f, slot->nr - 1);
}
