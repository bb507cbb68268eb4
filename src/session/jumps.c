/* SPDX-License-Identifier: MIT */
/* What will be written to a program's code: which jump where, and where it leads. */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DETOUR_TRIES 64
#define DETOUR_HIGH 128
#define DETOUR_STEP 0x9e3779b1u /* anything odd that spreads over all bits */

static int add_write(struct job *j, uint64_t addr, const uint8_t *bytes, const uint8_t *old, uint32_t cnt,
		     uint32_t room)
{
	if (j->write_cnt == j->write_cap) {
		uint32_t cap = j->write_cap ? j->write_cap * 2 : 64;
		struct write *more = realloc(j->writes, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		j->writes = more;
		j->write_cap = cap;
	}
	struct write *w = &j->writes[j->write_cnt++];
	w->addr = addr;
	w->cnt = cnt;
	w->room = room;
	w->fixed = w->is_hole = false;
	memcpy(w->bytes, bytes, room);
	memcpy(w->old, old, room);
	return 0;
}

static void assign_trampolines(struct plan_func *pf)
{
	for (uint32_t w = 0; w < pf->win_cnt; w++) {
		pf->arena->used = align_up(pf->arena->used, 16);
		pf->wins[w].tramp = pf->arena->addr + pf->arena->used;
		pf->arena->used += pf->wins[w].tramp_max;
	}
}

static int add_hole(struct job *j, const struct patch_window *w, const uint8_t hole[JUMP_BYTES])
{
	const struct hole *h = holes_at(j->t, w->hole_addr);
	int r = add_write(j, w->hole_addr, hole, h ? h->now : w->hole_old, JUMP_BYTES, JUMP_BYTES);
	if (!r)
		j->writes[j->write_cnt - 1].is_hole = true;
	return r;
}

static int add_jump(struct job *j, const struct patch_window *w, struct err *reterr)
{
	uint8_t bytes[PATCH_WINDOW_MAX], hole[5];
	int r = patch_jump_bytes(w, w->tramp, bytes, hole, reterr);
	if (!r && w->form == PATCH_HOLE)
		r = add_hole(j, w, hole);
	if (!r)
		r = add_write(j, w->addr, bytes, w->old, w->write_bytes, w->form == PATCH_JMP5 ? w->bytes : w->write_bytes);
	return r == -ENOMEM ? job_no_memory(reterr) : r;
}

static int compare_writes(const void *a, const void *b)
{
	const struct write *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void sort_writes(struct job *j)
{
	base_sort(j->writes, j->write_cnt, sizeof(*j->writes), compare_writes);
	j->sorted_cnt = j->write_cnt;
}

/* Puns, which were added from the last to the first, to where they belong; there are few. */
static int merge_puns(struct job *j)
{
	uint32_t cnt = j->write_cnt - j->sorted_cnt, i = j->sorted_cnt, out = j->write_cnt;
	struct write *v = malloc((cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t k = 0; k < cnt; k++)
		v[k] = j->writes[j->write_cnt - 1 - k];
	while (cnt)
		j->writes[--out] = i && j->writes[i - 1].addr > v[cnt - 1].addr ? j->writes[--i] : v[--cnt];
	j->sorted_cnt = j->write_cnt;
	free(v);
	return 0;
}

/* The first of the sorted writes that ends behind @addr, or sorted_cnt. */
static uint32_t first_write(const struct job *j, uint64_t addr)
{
	uint32_t lo = 0, hi = j->sorted_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (j->writes[mid].addr + j->writes[mid].cnt <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct write *jumps_at(struct job *j, uint64_t addr)
{
	uint32_t next = j->write_at + 1; /* who asks in the order of addresses */
	j->write_at = next < j->sorted_cnt && j->writes[next].addr == addr ? next : first_write(j, addr);
	return &j->writes[j->write_at];
}

static void overlay(uint8_t *buf, uint64_t addr, uint32_t cnt, const struct write *w)
{
	for (uint32_t k = 0; k < w->cnt; k++)
		if (w->addr + k - addr < cnt)
			buf[w->addr + k - addr] = w->bytes[k];
}

/* What will stand at @addr when all is written; of the puns, those behind it are known. */
static int read_future(const struct job *j, uint64_t addr, uint8_t *buf, uint32_t cnt)
{
	if (target_read(j->t, addr, buf, cnt))
		return -EFAULT;
	for (uint32_t i = first_write(j, addr); i < j->sorted_cnt && j->writes[i].addr < addr + cnt; i++)
		overlay(buf, addr, cnt, &j->writes[i]);
	for (uint32_t i = j->write_cnt; i > j->sorted_cnt && j->writes[i - 1].addr < addr + cnt; i--)
		overlay(buf, addr, cnt, &j->writes[i - 1]);
	return 0;
}

/* ---- puns ---- */

struct pun {
	struct plan_func *pf;
	uint32_t w;
};

static struct patch_window *window_of(const struct pun *p)
{
	return &p->pf->wins[p->w];
}

static int compare_puns(const void *a, const void *b)
{
	uint64_t x = window_of(a)->addr, y = window_of(b)->addr;
	return x > y ? -1 : x < y;
}

static void refuse_window(struct job *j, struct plan_func *pf, uint32_t w)
{
	for (uint32_t i = 0; i < pf->anchor_cnt; i++) {
		struct patch_anchor *a = &pf->anchors[i];
		if (a->refusal || a->window != w)
			continue;
		a->refusal = PATCH_NO_LANDING;
		job_refuse(j, pf->probe_of[i], pf->addr + a->offset, patch_refusal_text(PATCH_NO_LANDING));
	}
}

/*
 * Where a pun leads nowhere, and a long jump stands right behind it, that jump
 * is led elsewhere, over a landing of its own, so that its displacement makes a
 * better address of the pun's.
 */
struct detour {
	struct write *jump;
	uint32_t shift; /* of the displacement's low bits within the pun's displacement */
	uint64_t landing, pun;
};

static struct write *long_jump_behind(struct job *j, const struct patch_window *w)
{
	for (uint32_t i = first_write(j, w->addr + w->bytes); i < j->sorted_cnt && j->writes[i].addr < w->addr + JUMP_BYTES - 1; i++)
		if (j->writes[i].cnt == JUMP_BYTES && !j->writes[i].fixed)
			return &j->writes[i];
	return NULL;
}

/* An address for the jump's landing of which the displacement has @low as its low bits. */
static uint64_t landing_with(const struct target *t, uint64_t from, uint32_t low, uint32_t bits)
{
	for (int64_t high = 0; high < 1 << (31 - bits) && high < DETOUR_HIGH; high++)
		for (int sign = 0; sign < 2; sign++) {
			uint64_t at = from + low + (uint64_t)(sign ? -(high + 1) : high) * (1ull << bits);
			if (landing_can(t, at))
				return at;
		}
	return 0;
}

static bool find_detour(const struct job *j, const struct patch_window *w, const uint8_t behind[4], struct detour *d)
{
	uint32_t bits = 32 - d->shift;
	for (uint32_t i = 0; i < DETOUR_TRIES; i++) {
		uint32_t low = (i * DETOUR_STEP) & ((1u << (bits - 1)) - 1); /* upwards: what is below may be below 0 */
		uint8_t then[4];
		uint64_t hi;
		memcpy(then, behind, sizeof(then));
		for (uint32_t k = 0; k < bits / 8; k++)
			then[d->jump->addr + 1 + k - (w->addr + w->bytes)] = (uint8_t)(low >> 8 * k);
		patch_pun_range(w, then, &d->pun, &hi);
		d->landing = landing_can(j->t, d->pun) ? landing_with(j->t, d->jump->addr + JUMP_BYTES, low, bits) : 0;
		if (d->landing && (d->landing > d->pun ? d->landing - d->pun : d->pun - d->landing) >= ISA_FAR_MAX)
			return true;
	}
	return false;
}

/*
 * Where that jump's first byte would be the highest of the pun's displacement, it makes it negative.  Put a prefix
 * that means nothing before the jump.
 */
static int put_prefix(struct job *j, const struct patch_window *w, uint8_t behind[4])
{
	static const uint8_t prefixes[] = { 0x2e, 0x3e, 0x26, 0x36 };
	uint64_t at = w->addr + JUMP_BYTES - 1, lo, hi;
	uint32_t i = first_write(j, at);
	struct write *v = i < j->sorted_cnt && j->writes[i].addr == at ? &j->writes[i] : NULL;
	bool is_host = i + 1 < j->sorted_cnt && j->writes[i + 1].addr == at + JUMP_BYTES;
	if (!v || v->fixed || j->t->link || v->cnt != JUMP_BYTES || v->room <= JUMP_BYTES || is_host)
		return -ENOSPC;
	for (uint32_t k = 0; k < ARRAY_CNT(prefixes); k++) {
		behind[JUMP_BYTES - 1 - w->bytes] = prefixes[k];
		patch_pun_range(w, behind, &lo, &hi);
		if (!landing_find(j->t, lo, hi))
			continue;
		int32_t rel;
		memcpy(&rel, v->bytes + 1, sizeof(rel));
		rel--;
		v->bytes[0] = prefixes[k];
		v->bytes[1] = 0xe9;
		memcpy(v->bytes + 2, &rel, sizeof(rel));
		v->cnt++;
		return 0;
	}
	return -ENOSPC;
}

/* -ENOSPC: there is none. @behind: what stands there, and then will. */
static int make_detour(struct job *j, const struct patch_window *w, uint8_t behind[4], struct err *reterr)
{
	struct detour d = { .jump = long_jump_behind(j, w) };
	if (!d.jump)
		return put_prefix(j, w, behind);
	d.shift = 8 * (uint32_t)(d.jump->addr - w->addr);
	if (!find_detour(j, w, behind, &d))
		return -ENOSPC;
	int32_t rel;
	memcpy(&rel, d.jump->bytes + 1, sizeof(rel));
	int r = landing_get(j->t, d.landing, d.landing, d.jump->addr + JUMP_BYTES + (uint64_t)(int64_t)rel, &d.landing, reterr);
	if (r)
		return r;
	rel = (int32_t)(d.landing - d.jump->addr - JUMP_BYTES);
	memcpy(d.jump->bytes + 1, &rel, sizeof(rel));
	return read_future(j, w->addr + w->bytes, behind, 4);
}

static void fix_behind(struct job *j, const struct patch_window *w)
{
	for (uint32_t i = first_write(j, w->addr + w->bytes); i < j->sorted_cnt && j->writes[i].addr < w->addr + JUMP_BYTES; i++)
		j->writes[i].fixed = true;
}

static int find_landing(struct job *j, struct patch_window *w, uint8_t behind[4], struct err *reterr)
{
	uint64_t lo, hi;
	int r = read_future(j, w->addr + w->bytes, behind, 4);
	for (int tries = 0; tries < 2 && !r; tries++) {
		patch_pun_range(w, behind, &lo, &hi);
		r = landing_get(j->t, lo, hi, w->tramp, &w->landing, reterr);
		if (r != -ENOSPC || tries)
			break;
		r = make_detour(j, w, behind, reterr);
	}
	return r;
}

static int add_pun(struct job *j, const struct pun *p, struct err *reterr)
{
	struct patch_window *w = window_of(p);
	uint8_t behind[4], bytes[4];
	int r = find_landing(j, w, behind, reterr);
	if (!r)
		r = patch_pun_bytes(w, behind, w->landing, bytes, reterr);
	if (!r)
		fix_behind(j, w);
	if (!r && add_write(j, w->addr, bytes, w->old, w->write_bytes, w->write_bytes))
		return job_no_memory(reterr);
	if (r != -ENOSPC && r != -EEXIST && r != -EFAULT)
		return r;
	refuse_window(j, p->pf, p->w);
	return 0;
}

/* Each depends on what stands behind it: from the last to the first. */
static int add_puns(struct job *j, struct pun *puns, uint32_t cnt, struct err *reterr)
{
	int r = cnt ? obj_proc_refresh(j->t->obj, reterr) : 0;
	base_sort(puns, cnt, sizeof(*puns), compare_puns);
	for (uint32_t i = 0; i < cnt && !r; i++)
		r = add_pun(j, &puns[i], reterr);
	return r;
}

static uint32_t collect_puns(const struct job *j, struct pun *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < j->func_cnt; i++)
		for (uint32_t w = 0; plan_has_windows(&j->funcs[i]) && w < j->funcs[i].win_cnt; w++) {
			if (j->funcs[i].wins[w].form != PATCH_PUN)
				continue;
			if (ret)
				ret[n] = (struct pun){ &j->funcs[i], w };
			n++;
		}
	return n;
}

static int add_jumps(struct job *j, struct plan_func *pf, struct err *reterr)
{
	int r = 0;
	assign_trampolines(pf);
	for (uint32_t w = 0; w < pf->win_cnt && !r; w++)
		if (pf->wins[w].form != PATCH_PUN)
			r = add_jump(j, &pf->wins[w], reterr);
	return r;
}

int jumps_make(struct job *j, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 0; i < j->func_cnt && !r; i++)
		if (plan_has_windows(&j->funcs[i]))
			r = add_jumps(j, &j->funcs[i], reterr);
	sort_writes(j);
	return r ? r : collect_puns(j, NULL) > 0;
}

int jumps_land(struct job *j, struct err *reterr)
{
	struct pun *puns = calloc(collect_puns(j, NULL) + 1ul, sizeof(*puns));
	int r = puns ? add_puns(j, puns, collect_puns(j, puns), reterr) : job_no_memory(reterr);
	if (!r && merge_puns(j))
		r = job_no_memory(reterr);
	free(puns);
	return r;
}
