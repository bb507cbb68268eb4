/* SPDX-License-Identifier: MIT */
#include "host/host.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t host_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool host_pidfd_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

int host_compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

uint32_t host_first_u64(const uint64_t *v, uint32_t cnt, uint64_t least) { return host_first_at(v, sizeof(*v), 0, cnt, least); }

/* ---- strings with numbers ---- */

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static struct host_str *slot(struct host_str *v, uint32_t cap, const char *key)
{
	uint32_t i = hash(key) & (cap - 1);
	while (v[i].key && strcmp(v[i].key, key))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static bool grow(struct host_strmap *m)
{
	uint32_t cap = m->cap ? m->cap * 2 : 256;
	struct host_str *v = calloc(cap, sizeof(*v));
	if (!v)
		return false;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->v[i].key)
			*slot(v, cap, m->v[i].key) = m->v[i];
	free(m->v);
	m->v = v;
	m->cap = cap;
	return true;
}

struct host_str *host_strmap_get(struct host_strmap *m, const char *key)
{
	if (m->cnt * 2 >= m->cap && !grow(m))
		return NULL;
	struct host_str *e = slot(m->v, m->cap, key);
	if (e->key)
		return e;
	e->key = strdup(key);
	m->cnt += e->key != NULL;
	return e->key ? e : NULL;
}

void host_strmap_drop(struct host_strmap *m, struct host_str *e)
{
	free(e->key);
	*e = (struct host_str){ 0 };
	m->cnt--;
}

void host_strmap_deinit(struct host_strmap *m)
{
	for (uint32_t i = 0; i < m->cap; i++)
		free(m->v[i].key);
	free(m->v);
	*m = (struct host_strmap){ 0 };
}
