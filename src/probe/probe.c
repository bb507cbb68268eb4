/* SPDX-License-Identifier: MIT */
#include "probe/probe_int.h"

#include <errno.h>
#include <string.h>

#define CHUNK 4096 /* probes do not move: others keep pointers to them */

struct probe_table {
	struct probe **chunks;
	uint32_t cnt, chunk_cnt;
	uint32_t *slots; /* index + 1, by hash of the names */
	uint32_t slot_cnt;
};

static const struct probe_provider *const providers[] = { &probe_tool, &probe_profile, &probe_pid };

struct probe_table *probe_table_create(void)
{
	return calloc(1, sizeof(struct probe_table));
}

static struct probe *at(const struct probe_table *t, uint32_t i)
{
	return &t->chunks[i / CHUNK][i % CHUNK];
}

void probe_table_destroy(struct probe_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->cnt; i++) {
		free((char *)at(t, i)->prov);
		free((char *)at(t, i)->mod);
		free((char *)at(t, i)->func);
		free((char *)at(t, i)->name);
	}
	for (uint32_t i = 0; i < t->chunk_cnt; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->slots);
	free(t);
}

uint32_t probe_cnt(const struct probe_table *t)
{
	return t->cnt;
}

const struct probe *probe_at(const struct probe_table *t, uint32_t i)
{
	return i < t->cnt ? at(t, i) : NULL;
}

/* BEGIN, END and ERROR are 1 to 3 always. */
uint32_t table_next_id(const struct probe_table *t)
{
	return t->cnt + 4;
}

static uint64_t hash_str(uint64_t h, const char *s)
{
	while (*s)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3ULL;
	return h * 0x9e3779b97f4a7c15ULL + 1;
}

static uint64_t hash_of(const struct probe *p)
{
	uint64_t h = hash_str(hash_str(hash_str(hash_str(p->func_addr, p->prov), p->mod), p->func), p->name);
	return h ^ (h >> 29);
}

static bool same(const struct probe *a, const struct probe *b)
{
	return a->func_addr == b->func_addr && !strcmp(a->name, b->name) && !strcmp(a->func, b->func) &&
	       !strcmp(a->mod, b->mod) && !strcmp(a->prov, b->prov);
}

static uint32_t *find_slot(const struct probe_table *t, const struct probe *p)
{
	uint64_t i = hash_of(p);
	for (;; i++) {
		uint32_t *slot = &t->slots[i & (t->slot_cnt - 1)];
		if (!*slot || same(at(t, *slot - 1), p))
			return slot;
	}
}

static int grow_slots(struct probe_table *t)
{
	uint32_t *old = t->slots;
	t->slot_cnt = t->slot_cnt ? t->slot_cnt * 2 : 256;
	t->slots = calloc(t->slot_cnt, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old;
		t->slot_cnt /= 2;
		return -ENOMEM;
	}
	free(old);
	for (uint32_t i = 0; i < t->cnt; i++)
		*find_slot(t, at(t, i)) = i + 1;
	return 0;
}

static int grow_chunks(struct probe_table *t)
{
	if (t->cnt < t->chunk_cnt * CHUNK)
		return 0;
	struct probe **more = realloc(t->chunks, (t->chunk_cnt + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->chunks = more;
	more[t->chunk_cnt] = calloc(CHUNK, sizeof(struct probe));
	if (!more[t->chunk_cnt])
		return -ENOMEM;
	t->chunk_cnt++;
	return 0;
}

static int hit(struct hits *h, uint32_t i)
{
	if (h->cnt == h->cap) {
		uint32_t cap = h->cap ? h->cap * 2 : 16;
		uint32_t *more = realloc(h->v, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		h->v = more;
		h->cap = cap;
	}
	h->v[h->cnt++] = i;
	return 0;
}

int table_add(struct probe_table *t, const struct probe *p, struct hits *hits)
{
	if ((t->cnt * 2 >= t->slot_cnt && grow_slots(t)) || grow_chunks(t))
		return -ENOMEM;
	uint32_t *slot = find_slot(t, p);
	if (*slot)
		return hit(hits, *slot - 1);
	struct probe *to = at(t, t->cnt);
	*to = *p;
	to->prov = strdup(p->prov);
	to->mod = strdup(p->mod);
	to->func = strdup(p->func);
	to->name = strdup(p->name);
	if (!to->id)
		to->id = table_next_id(t);
	*slot = ++t->cnt;
	return to->prov && to->mod && to->func && to->name ? hit(hits, t->cnt - 1) : -ENOMEM;
}

int probe_match(struct probe_table *table, const struct probe_spec *spec, struct obj_proc *const *procs, const pid_t *pids,
		uint32_t proc_cnt, uint32_t **ret, uint32_t *ret_cnt, struct err *reterr)
{
	struct match m = { .table = table, .spec = spec, .procs = procs, .pids = pids, .proc_cnt = proc_cnt };
	int r = 0;
	for (size_t i = 0; i < ARRAY_CNT(providers) && !r; i++)
		r = providers[i]->match(&m, reterr);
	if (r) {
		free(m.hits.v);
		return r == -ENOMEM ? err_setf(reterr, r, "out of memory") : r;
	}
	if (!m.hits.cnt && reterr) {
		err_setf(reterr, 0, "no provider has such a probe");
		for (size_t i = 0; i < ARRAY_CNT(providers); i++)
			providers[i]->why_none(&m, reterr);
	}
	*ret = m.hits.v;
	*ret_cnt = m.hits.cnt;
	return 0;
}
