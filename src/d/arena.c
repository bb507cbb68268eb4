/* SPDX-License-Identifier: MIT */
#include "d/d_int.h"

#include <stdarg.h>
#include <stdlib.h>

#define BLOCK_BYTES (64u << 10)

_Noreturn void d_oom(struct d_compiler *c)
{
	longjmp(c->oom, 1);
}

void *d_alloc(struct d_compiler *c, size_t bytes)
{
	bytes = align_up(bytes ? bytes : 1, 16);
	struct d_block *b = c->blocks;
	if (!b || b->cap - b->used < bytes) {
		size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		b = calloc(1, sizeof(*b) + cap);
		if (!b)
			d_oom(c);
		b->cap = cap;
		b->next = c->blocks;
		c->blocks = b;
	}
	void *p = b->data + b->used;
	b->used += bytes;
	return p;
}

void d_arena_free(struct d_compiler *c)
{
	while (c->blocks) {
		struct d_block *b = c->blocks;
		c->blocks = b->next;
		free(b);
	}
}

char *d_strndup(struct d_compiler *c, const char *s, size_t len)
{
	char *p = d_alloc(c, len + 1);
	memcpy(p, s, len);
	return p;
}

char *d_fmt(struct d_compiler *c, const char *fmt, ...)
{
	va_list ap, ap2;
	va_start(ap, fmt);
	va_copy(ap2, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = d_alloc(c, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, ap2);
	va_end(ap2);
	return p;
}

static uint32_t hash_text(const char *s, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 16777619u;
	return h;
}

static uint32_t hash_ptr(const char *key)
{
	return (uint32_t)(((uintptr_t)key * 0x9e3779b97f4a7c15ULL) >> 40);
}

/* Interned strings hash by text, all other maps by the pointer of an interned key. */
static void map_grow(struct d_compiler *c, struct d_map *m, bool by_text)
{
	uint32_t cnt = m->bucket_cnt ? m->bucket_cnt * 2 : 64;
	struct d_map_ent **b = d_alloc(c, cnt * sizeof(*b));
	for (uint32_t i = 0; i < m->bucket_cnt; i++) {
		for (struct d_map_ent *e = m->buckets[i], *next; e; e = next) {
			next = e->next;
			uint32_t h = by_text ? hash_text(e->key, strlen(e->key)) : hash_ptr(e->key);
			e->next = b[h & (cnt - 1)];
			b[h & (cnt - 1)] = e;
		}
	}
	m->buckets = b;
	m->bucket_cnt = cnt;
}

static void map_add(struct d_compiler *c, struct d_map *m, const char *key, void *val, uint32_t hash)
{
	struct d_map_ent *e = d_alloc(c, sizeof(*e));
	e->key = key;
	e->val = val;
	e->next = m->buckets[hash & (m->bucket_cnt - 1)];
	m->buckets[hash & (m->bucket_cnt - 1)] = e;
	m->cnt++;
}

const char *d_intern(struct d_compiler *c, const char *s, size_t len)
{
	struct d_map *m = &c->names;
	uint32_t h = hash_text(s, len);
	if (m->cnt >= m->bucket_cnt)
		map_grow(c, m, true);
	for (struct d_map_ent *e = m->buckets[h & (m->bucket_cnt - 1)]; e; e = e->next)
		if (!strncmp(e->key, s, len) && !e->key[len])
			return e->key;
	char *copy = d_strndup(c, s, len);
	map_add(c, m, copy, NULL, h);
	return copy;
}

void *d_map_get(const struct d_map *m, const char *key)
{
	if (!m->bucket_cnt)
		return NULL;
	for (struct d_map_ent *e = m->buckets[hash_ptr(key) & (m->bucket_cnt - 1)]; e; e = e->next)
		if (e->key == key)
			return e->val;
	return NULL;
}

void d_map_put(struct d_compiler *c, struct d_map *m, const char *key, void *val)
{
	if (m->cnt >= m->bucket_cnt)
		map_grow(c, m, false);
	map_add(c, m, key, val, hash_ptr(key));
}
