/* SPDX-License-Identifier: MIT */
/*
 * Many small changes to a stopped program's text, page by page: tens of
 * thousands of system calls less while it stands.
 */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define GROUP_MAX (256u << 10)

static int compare_edits(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;
	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void edits_order(struct edit *e, uint32_t cnt)
{
	base_sort(e, cnt, sizeof(*e), compare_edits);
}

/* How many edits from @e on lie in pages that follow each other; their end. */
static uint32_t group_of(const struct edit *e, uint32_t cnt, uint64_t *ret_end)
{
	uint64_t start = align_down(e->addr, PAGE), end = align_up(e->addr + e->cnt, PAGE);
	uint32_t n = 1;
	for (; n < cnt && e[n].phase == e->phase && align_down(e[n].addr, PAGE) <= end && end - start < GROUP_MAX; n++)
		if (e[n].addr + e[n].cnt > end)
			end = align_up(e[n].addr + e[n].cnt, PAGE);
	*ret_end = end;
	return n;
}

static bool stands(const struct edit *e, const uint8_t *now)
{
	return !memcmp(now, e->want, e->want_cnt);
}

/* One group: *ret_miss is the first edit that does not meet what it wants. */
static int do_group(struct inject *inj, const struct edit *e, uint32_t cnt, uint64_t end, uint8_t *buf, bool write,
		    const struct edit **ret_miss, struct err *reterr)
{
	uint64_t start = align_down(e->addr, PAGE);
	bool any = false;
	int r = inject_read(inj, start, buf, end - start, reterr);
	for (uint32_t i = 0; i < cnt && !r; i++) {
		uint8_t *at = buf + (e[i].addr - start);
		if (!stands(&e[i], at)) {
			*ret_miss = *ret_miss ? *ret_miss : &e[i];
			continue;
		}
		memcpy(at, e[i].bytes, e[i].cnt);
		any = true;
	}
	return r || !write || !any ? r : inject_write(inj, start, buf, end - start, reterr);
}

/* The memory of a whole group may have a hole where a library is gone: then one by one. */
static int do_singly(struct inject *inj, const struct edit *e, uint32_t cnt, bool write, const struct edit **ret_miss,
		     struct err *reterr)
{
	uint8_t now[PATCH_WINDOW_MAX];
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t n = e[i].want_cnt;
		if (inject_read(inj, e[i].addr, now, n, NULL) || !stands(&e[i], now)) {
			*ret_miss = *ret_miss ? *ret_miss : &e[i];
			continue;
		}
		int r = write ? inject_write(inj, e[i].addr, e[i].bytes, e[i].cnt, reterr) : 0;
		if (r)
			return r;
	}
	return 0;
}

void text_maps_read(struct text_maps *ret, pid_t pid)
{
	struct host_maps all;
	struct host_map m;
	host_maps_open(&all, pid, 0);
	while (host_maps_next(&all, &m) > 0) {
		if (!(m.prot & PROT_EXEC))
			continue;
		struct host_map *more = realloc(ret->v, (ret->cnt + 1ul) * sizeof(*more));
		if (!more)
			break;
		ret->v = more;
		m.path = NULL;
		more[ret->cnt++] = m;
	}
	host_maps_close(&all);
}

const struct host_map *text_map_at(const struct text_maps *t, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < t->cnt; i++)
		if (start < t->v[i].end && t->v[i].start < end)
			return &t->v[i];
	return NULL;
}

bool text_maps_open(const struct text_maps *t, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < t->cnt; i++)
		if (start < t->v[i].end && t->v[i].start < end && (t->v[i].shared || t->v[i].prot & PROT_WRITE))
			return true;
	return false;
}

bool text_maps_closed(const struct text_maps *t, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < t->cnt && start < end; i++)
		if (t->v[i].start <= start && start < t->v[i].end && !t->v[i].shared && !(t->v[i].prot & PROT_WRITE))
			start = t->v[i].end;
	return start >= end;
}

int edits_apply(struct inject *inj, struct edit *e, uint32_t cnt, bool write, const struct edit **ret_miss, struct err *reterr)
{
	if (inject_is_live(inj))
		return live_edits(inj, e, cnt, write, ret_miss, reterr);
	uint8_t *buf = malloc(GROUP_MAX + 4 * PAGE);
	struct text_maps maps = { 0 };
	int r = buf ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	*ret_miss = NULL;
	edits_order(e, cnt);
	if (write)
		text_maps_read(&maps, inject_pid(inj));
	for (uint32_t i = 0, n; i < cnt && !r; i += n) {
		uint64_t end;
		n = group_of(e + i, cnt - i, &end);
		r = text_maps_open(&maps, e[i].addr, end) ? -EAGAIN : do_group(inj, e + i, n, end, buf, write, ret_miss, reterr);
		if (r && r != -ESRCH)
			r = do_singly(inj, e + i, n, write, ret_miss, reterr);
	}
	free(buf);
	free(maps.v);
	return r;
}
