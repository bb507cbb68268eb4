/* SPDX-License-Identifier: MIT */
/*
 * Plans of entries without all that is found out of a function for other places: what matters is what leads into its first
 * bytes (patch_plan_entry()).
 */
#include "session/arm_int.h"

#include <stdlib.h>
#include <string.h>

#define REACH PATCH_WINDOW_MAX
#define TARGETS_MAX 32
#define PADS_MAX 64
#define AHEAD 16384u /* bytes of text that are read at once */

struct entry {
	struct target *t;
	struct obj_module *mod;
	uint64_t addr, bytes;
	uint64_t targets[TARGETS_MAX];
	uint32_t target_cnt;
};

/* False: more than there is room for. */
static bool add(void *arg, uint64_t target)
{
	struct entry *e = arg;
	if (target - e->addr - 1 >= REACH - 1)
		return true;
	if (e->target_cnt == TARGETS_MAX)
		return false;
	e->targets[e->target_cnt++] = target;
	return true;
}

static bool add_neighbours(struct entry *e)
{
	const struct obj_range *r;
	const struct obj_sym *s;
	uint32_t rn, sn;
	bool ok = !obj_module_ranges(e->t->obj, e->mod, &r, &rn, NULL) && !obj_module_syms(e->t->obj, e->mod, &s, &sn, NULL);
	for (uint32_t i = ok ? func_range_after(r, rn, e->addr) : 0; ok && i < rn && r[i].start < e->addr + REACH; i++)
		ok = add(e, r[i].start);
	for (uint32_t i = ok ? func_sym_after(s, sn, e->addr) : 0; ok && i < sn && s[i].addr < e->addr + REACH; i++)
		ok = add(e, s[i].addr);
	return ok;
}

static bool add_pads(struct entry *e)
{
	uint64_t pads[PADS_MAX];
	int n = obj_landing_pads(e->t->obj, e->mod, e->addr, pads, PADS_MAX);
	bool ok = n <= PADS_MAX;
	for (int i = 0; i < n && ok; i++)
		ok = add(e, pads[i]);
	return ok;
}

static bool is_simple(const struct entry *e, const struct plan_func *pf)
{
	return e->bytes && e->bytes <= 64u << 20 && !pf->lend_cnt && !pf->borrowed_cnt && !e->t->link && !e->t->retired_cnt &&
	       !e->t->go_pc_cnt && !obj_module_is_go(e->t->obj, e->mod);
}

static int pack(struct plan_func *pf, const uint32_t *probes, uint32_t cnt)
{
	pf->pack_bytes = (uint32_t)(sizeof(*pf->wins) + cnt * (sizeof(*pf->anchors) + sizeof(*probes)));
	pf->pack = calloc(1, pf->pack_bytes);
	if (!pf->pack)
		return -ENOMEM;
	pf->wins = (struct patch_window *)pf->pack;
	pf->anchors = (struct patch_anchor *)(pf->wins + 1);
	pf->probe_of = (uint32_t *)(pf->anchors + cnt);
	for (uint32_t i = 0; i < cnt; i++)
		pf->anchors[i].kind = WIRE_SITE_ENTRY;
	memcpy(pf->probe_of, probes, cnt * sizeof(*probes));
	pf->anchor_cnt = cnt;
	pf->win_cnt = 1;
	return 0;
}

/* 1: it is planned; 0: as it was. */
static int keep_pack(struct plan_func *pf, bool is_planned)
{
	if (is_planned)
		return 1;
	free(pf->pack);
	pf->pack = NULL;
	pf->wins = NULL;
	pf->anchors = NULL;
	pf->probe_of = NULL;
	pf->anchor_cnt = pf->win_cnt = pf->pack_bytes = 0;
	return 0;
}

/* The next functions are near.  NULL: it cannot be read, or there is no memory. */
static const uint8_t *read_ahead(struct job *j, struct obj_module *mod, uint64_t addr, uint32_t bytes)
{
	struct text_near *n = &j->ahead;
	if (n->own && addr >= n->start && addr + bytes <= n->end)
		return n->code + (addr - n->start);
	n->code = n->own = n->own ? n->own : malloc(AHEAD);
	n->start = n->end = addr;
	uint64_t ahead = mod->text_end - addr < AHEAD ? mod->text_end - addr : AHEAD;
	if (n->own && !text_read(j->t, mod, addr, n->own, ahead))
		n->end = addr + ahead;
	else if (n->own && !text_read(j->t, mod, addr, n->own, bytes)) /* the end of the text may be more than the file has */
		n->end = addr + bytes;
	return n->end - addr >= bytes ? n->code : NULL;
}

/* As it was planned before.  Its bytes are read, so that it is them who say what is displaced. */
static int plan_known(struct job *j, struct plan_func *pf, const struct patch_known *k, const uint32_t *probes, uint32_t cnt)
{
	struct patch_func f = { .addr = pf->addr, .code = read_ahead(j, pf->mod, pf->addr, k->bytes) };
	if (!f.code)
		return 0;
	f.bytes = pf->bytes < k->bytes ? (uint32_t)pf->bytes : k->bytes;
	f.slack = k->bytes - f.bytes;
	int r = pack(pf, probes, cnt);
	r = r ? r : keep_pack(pf, patch_plan_known(&f, k, pf->anchors, cnt, pf->wins));
	pf->by_file = pf->was_kept = r > 0;
	return r;
}

static int plan_from(struct job *j, struct plan_func *pf, struct entry *e, const struct text_near *near, const uint32_t *probes, uint32_t cnt)
{
	struct target *t = j->t;
	const struct patch_range *keep = NULL;
	uint32_t keep_cnt = 0;
	struct func fn = { .t = t, .mod = pf->mod, .code = (uint8_t *)near->code + (pf->addr - near->start),
			   .as_file = kept_entries_range(j->kept, pf->mod), .blocks = j->blocks };
	if (rseq_ranges(t, pf->mod, &keep, &keep_cnt) || keep_cnt || !add_neighbours(e) || !add_pads(e) ||
	    branches_maybe_into(t, pf->mod, near, pf->addr, pf->addr + pf->bytes, REACH, add, e) ||
	    func_may_have_frags(&fn, pf->addr, pf->bytes))
		return 0;
	fn.pf = (struct patch_func){ .addr = pf->addr, .code = fn.code, .bytes = (uint32_t)pf->bytes, .targets = e->targets,
				     .target_cnt = e->target_cnt, .knows_near = true, .read = func_read_code, .read_arg = &fn };
	if (patch_entry_offset(&fn.pf))
		return 0;
	int r = pack(pf, probes, cnt);
	r = r ? r : keep_pack(pf, patch_plan_entry(&fn.pf, pf->anchors, cnt, pf->wins));
	if (r > 0)
		entry_note(j, pf, &fn);
	return r;
}

static int plan_anew(struct job *j, struct plan_func *pf, struct entry *e, const uint32_t *probes, uint32_t cnt)
{
	struct text_near near;
	int r = text_near(j->t, pf->mod, pf->addr, pf->addr + pf->bytes, &near);
	r = r == -ENOMEM ? r : r ? 0 : plan_from(j, pf, e, &near, probes, cnt);
	free(near.own);
	return r;
}

int entry_plan(struct job *j, struct plan_func *pf, const uint32_t *probes, uint32_t cnt)
{
	struct entry e = { .t = j->t, .mod = pf->mod, .addr = pf->addr, .bytes = pf->bytes };
	struct patch_known k;
	if (!is_simple(&e, pf))
		return 0;
	int r = kept_entry_find(j->kept, &j->kept_at, pf, &k) ? plan_known(j, pf, &k, probes, cnt) : 0;
	return r ? r : plan_anew(j, pf, &e, probes, cnt);
}

void entry_note(struct job *j, struct plan_func *pf, const struct func *fn)
{
	const struct entry e = { .t = j->t, .mod = pf->mod, .addr = pf->addr, .bytes = pf->bytes };
	struct patch_known k;
	pf->by_file = fn->as_file.end && !fn->reads_more && is_simple(&e, pf) &&
		      patch_plan_is_known(&fn->pf, pf->anchors, pf->anchor_cnt, pf->wins, pf->win_cnt, &k);
}
