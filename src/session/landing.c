/* SPDX-License-Identifier: MIT */
/*
 * Landings: jumps to trampolines at addresses that puns prescribe.  Pages of
 * their own, wherever those addresses are; each counts as an arena that is full.
 */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define LOWEST 0x10000ull           /* vm.mmap_min_addr */
#define HIGHEST 0x7fffffff0000ull
#define HEAP_ROOM (1ull << 30)      /* left to a heap that may grow */
#define STACK_ROOM (256ull << 20)   /* left to the stack */
#define PAGES_MAX 16384             /* well below vm.max_map_count */
#define TRIES 64                    /* pages that are looked at for one landing */

struct landing_page {
	uint64_t addr;
	uint8_t *code; /* here */
	uint8_t used[PAGE / 8];
};

static struct landing_page *find_page(const struct target *t, uint64_t addr)
{
	for (uint32_t lo = 0, hi = t->landing_cnt; lo < hi;) {
		uint32_t mid = (lo + hi) / 2;
		struct landing_page *p = t->landings[mid];
		if (addr - p->addr < PAGE)
			return p;
		if (p->addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool is_used(const struct landing_page *p, uint64_t addr)
{
	return p->used[(addr - p->addr) / 8] >> (addr % 8) & 1;
}

/* Whether a map, or what is left free around some, meets the page at @addr. */
static bool is_mapped(const struct target *t, uint64_t addr)
{
	uint64_t end = addr + PAGE;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		uint64_t below = !strcmp(m->path, "[stack]") ? STACK_ROOM : 0, above = !strcmp(m->path, "[heap]") ? HEAP_ROOM : 0;
		if (addr < m->end + above && end > (m->start > below ? m->start - below : 0))
			return true;
	}
	return false;
}

static bool is_free(const struct target *t, uint64_t addr, uint64_t bytes)
{
	if (addr < LOWEST || addr + bytes > HIGHEST)
		return false;
	for (uint64_t a = addr; a < addr + bytes; a++) {
		const struct landing_page *p = find_page(t, a);
		if (p && is_used(p, a))
			return false;
		if (!p && (a == addr || a % PAGE == 0) && is_mapped(t, align_down(a, PAGE)))
			return false;
	}
	return true;
}

/* A run of @bytes free bytes in [lo, hi + bytes), in a page that is there already; 0: none. */
static uint64_t find_in_page(const struct landing_page *p, uint64_t lo, uint64_t hi, uint64_t bytes)
{
	uint64_t run = 0, a = p->addr > lo ? p->addr : lo;
	for (; a < p->addr + PAGE && a < hi + bytes; a++) {
		run = is_used(p, a) ? 0 : run + 1;
		if (run == bytes)
			return a + 1 - bytes;
	}
	return 0;
}

static uint64_t choose(const struct target *t, uint64_t lo, uint64_t hi, uint64_t bytes)
{
	for (uint64_t page = align_down(lo, PAGE), n = 0; page <= hi && n < TRIES; page += PAGE, n++) {
		const struct landing_page *p = find_page(t, page);
		uint64_t a = p ? find_in_page(p, lo, hi, bytes) : 0;
		if (a)
			return a;
	}
	for (uint64_t a = lo, n = 0; a <= hi && n < TRIES; a = align_down(a, PAGE) + PAGE, n++)
		if (is_free(t, a, bytes))
			return a;
	return 0;
}

bool landing_can(const struct target *t, uint64_t addr)
{
	return is_free(t, addr, ISA_FAR_MAX);
}

bool landing_find(const struct target *t, uint64_t lo, uint64_t hi)
{
	return choose(t, lo, hi, ISA_FAR_MAX) != 0;
}

static int add_page(struct target *t, uint64_t addr, struct err *reterr)
{
	struct landing_page *p = calloc(1, sizeof(*p));
	struct landing_page **more = realloc(t->landings, (t->landing_cnt + 1) * sizeof(*more));
	struct arena *a;
	t->landings = more ? more : t->landings;
	if (!p || !more) {
		free(p);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	int r = arena_at(t, addr, PAGE, &a, reterr);
	if (r) {
		free(p);
		return r;
	}
	p->addr = addr;
	p->code = a->code;
	uint32_t i = t->landing_cnt++;
	for (; i && more[i - 1]->addr > addr; i--)
		more[i] = more[i - 1];
	more[i] = p;
	return 0;
}

int landing_get(struct target *t, uint64_t lo, uint64_t hi, uint64_t tramp, uint64_t *ret, struct err *reterr)
{
	uint8_t jmp[ISA_FAR_MAX];
	uint64_t at = choose(t, lo, hi, sizeof(jmp));
	if (!at || t->landing_cnt + 2 > PAGES_MAX)
		return err_setf(reterr, -ENOSPC, "nothing can be mapped at 0x%llx", (unsigned long long)lo);
	uint64_t bytes = isa_put_jmp(jmp, at, tramp);
	for (uint64_t page = align_down(at, PAGE); page < at + bytes; page += PAGE) {
		int r = find_page(t, page) ? 0 : add_page(t, page, reterr);
		if (r)
			return r;
	}
	for (uint64_t i = 0; i < bytes; i++) {
		struct landing_page *p = find_page(t, at + i);
		p->code[at + i - p->addr] = jmp[i];
		p->used[(at + i - p->addr) / 8] |= (uint8_t)(1 << (at + i) % 8);
	}
	*ret = at;
	return 0;
}

void landing_free(struct target *t)
{
	for (uint32_t i = 0; i < t->landing_cnt; i++)
		free(t->landings[i]);
	free(t->landings);
}
