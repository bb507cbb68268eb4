/* SPDX-License-Identifier: MIT */
/*
 * Long jumps in padding, where threads run on (ADR 26).  A thread that has run the short jump may be interrupted before it runs
 * the long one, for as long as it likes.  So that stays until all threads have been seen elsewhere; when probes are exchanged,
 * it stays to the end, or leads elsewhere from then on, if one store does that.
 */
#include "session/arm_int.h"

#include <stdlib.h>
#include <string.h>

#define WORD 8u

static bool meet(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

static bool is_gone(const struct obj_module *mod)
{
	return mod && !mod->end;
}

bool holes_can(const struct target *t, const struct patch_window *w)
{
	for (uint32_t i = 0; i < t->hole_cnt; i++) {
		uint64_t at = t->holes[i].addr;
		if (is_gone(t->holes[i].mod))
			continue;
		if (meet(at, JUMP_BYTES, w->addr, w->write_bytes))
			return false;
		if (w->form != PATCH_HOLE || !meet(at, JUMP_BYTES, w->hole_addr, JUMP_BYTES))
			continue;
		if (at != w->hole_addr || at / WORD != (at + JUMP_BYTES - 1) / WORD || plan_is_taken(t, at, at + JUMP_BYTES))
			return false;
	}
	return true;
}

static struct hole *find(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < t->hole_cnt; i++)
		if (t->holes[i].addr == addr && !is_gone(t->holes[i].mod))
			return &t->holes[i];
	return NULL;
}

const struct hole *holes_at(const struct target *t, uint64_t addr)
{
	return find(t, addr);
}

int holes_keep(struct target *t, const struct placed *p)
{
	struct hole *h = find(t, p->hole_addr);
	if (is_gone(p->mod))
		return 0;
	if (!h) {
		struct hole *more = realloc(t->holes, (t->hole_cnt + 1ul) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->holes = more;
		h = &more[t->hole_cnt++];
		*h = (struct hole){ .addr = p->hole_addr, .mod = p->mod };
		memcpy(h->old, p->hole_old, sizeof(h->old));
	}
	memcpy(h->now, p->hole_new, sizeof(h->now));
	return 0;
}

int holes_restore(struct target *t, struct inject *inj, struct err *reterr)
{
	struct edit *e = malloc((t->placed_cnt + t->hole_cnt + 1ul) * sizeof(*e));
	const struct edit *miss;
	uint32_t n = 0;
	if (!e)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		if (t->placed[i].hole_addr)
			e[n++] = (struct edit){ t->placed[i].hole_addr, JUMP_BYTES, JUMP_BYTES, t->placed[i].hole_new,
						t->placed[i].hole_old };
	for (uint32_t i = 0; i < t->hole_cnt; i++)
		e[n++] = (struct edit){ t->holes[i].addr, JUMP_BYTES, JUMP_BYTES, t->holes[i].now, t->holes[i].old };
	int r = n ? edits_apply(inj, e, n, true, &miss, reterr) : 0;
	free(e);
	return r || !n ? r : inject_sync_core(inj, reterr);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct patch_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

struct patch_range *holes_list(const struct target *t, uint32_t *ret_cnt)
{
	struct patch_range *v = malloc((t->placed_cnt + t->hole_cnt + 1ul) * sizeof(*v));
	uint32_t n = 0;
	for (uint32_t i = 0; v && i < t->placed_cnt; i++)
		if (t->placed[i].hole_addr)
			v[n++] = (struct patch_range){ t->placed[i].hole_addr, t->placed[i].hole_addr + JUMP_BYTES };
	for (uint32_t i = 0; v && i < t->hole_cnt; i++)
		v[n++] = (struct patch_range){ t->holes[i].addr, t->holes[i].addr + JUMP_BYTES };
	if (n)
		qsort(v, n, sizeof(*v), compare_ranges);
	*ret_cnt = n;
	return v;
}
