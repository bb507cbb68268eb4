/* SPDX-License-Identifier: MIT */
/*
 * Room in the neighbourhood.  Functions of a few bytes that stand close together have no padding and no host of
 * their own, and memory for a pun's landing is not always to be had.  Then a window of a neighbour, within reach of a
 * short jump, becomes a host: that function is planned again, with its probes (if it has any) and the hole that is
 * asked for.  The two are armed together.
 */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 4 /* holes for one function */

/* A plan that may take the place of a function's. */
struct trial {
	struct patch_anchor *anchors;
	struct patch_window *wins;
	struct patch_lend *lends, *borrowed;
	uint32_t win_cnt, lend_cnt, borrowed_cnt;
	uint32_t first_bad, bad_cnt; /* anchors without a place */
};

static void trial_deinit(struct trial *tr)
{
	free(tr->anchors);
	free(tr->wins);
	free(tr->lends);
	free(tr->borrowed);
}

static bool pun_can_land(const struct func *fn, const struct patch_window *w)
{
	uint8_t behind[4];
	uint64_t lo, hi;
	if (fn->pf.read(fn->pf.read_arg, w->addr + w->bytes, behind, sizeof(behind)))
		return false;
	patch_pun_range(w, behind, &lo, &hi);
	return landing_find(fn->t, lo, hi);
}

static bool is_bad(const struct func *fn, const struct patch_anchor *a, const struct patch_window *wins)
{
	if (a->refusal)
		return a->refusal == PATCH_TOO_SHORT || a->refusal == PATCH_TARGET_INSIDE;
	return !a->by_sources && wins[a->window].form == PATCH_PUN && !pun_can_land(fn, &wins[a->window]);
}

static uint32_t count_bad(const struct func *fn, const struct patch_anchor *a, uint32_t cnt, const struct patch_window *wins,
			  uint32_t *ret_first)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt; i++)
		if (is_bad(fn, &a[i], wins) && !n++)
			*ret_first = i;
	return n;
}

static struct patch_lend *copy_and_add(const struct patch_lend *v, uint32_t cnt, const struct patch_lend *more)
{
	struct patch_lend *copy = calloc(cnt + 1ul, sizeof(*copy));
	if (copy && cnt)
		memcpy(copy, v, cnt * sizeof(*copy));
	if (copy && more)
		copy[cnt] = *more;
	return copy;
}

static bool same_holes(const struct patch_lend *a, const struct patch_lend *b, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (a[i].hole != b[i].hole)
			return false;
	return true;
}

/* @pf as it would be with one more hole that it lends or has. 1: here it is; 0: what it lends already would change. */
static int replan(struct target *t, const struct plan_func *pf, const struct patch_lend *lend, const struct patch_lend *borrow,
		  struct trial *ret)
{
	struct func fn;
	struct trial tr = { .lend_cnt = pf->lend_cnt + !!lend, .borrowed_cnt = pf->borrowed_cnt + !!borrow };
	int r = func_init(&fn, t, pf->mod, pf->addr, pf->bytes, NULL);
	if (r)
		return r == -ENOMEM ? r : 0;
	tr.lends = copy_and_add(pf->lends, pf->lend_cnt, lend);
	tr.borrowed = copy_and_add(pf->borrowed, pf->borrowed_cnt, borrow);
	tr.anchors = calloc(pf->anchor_cnt + 1ul, sizeof(*tr.anchors));
	tr.wins = calloc(PATCH_WINDOW_CNT((size_t)pf->anchor_cnt) + tr.lend_cnt + 1, sizeof(*tr.wins));
	int n = -ENOMEM;
	if (tr.lends && tr.borrowed && tr.anchors && tr.wins) {
		if (pf->anchor_cnt)
			memcpy(tr.anchors, pf->anchors, pf->anchor_cnt * sizeof(*tr.anchors));
		fn.pf.lends = tr.lends;
		fn.pf.lend_cnt = tr.lend_cnt;
		fn.pf.borrowed = tr.borrowed;
		fn.pf.borrowed_cnt = tr.borrowed_cnt;
		n = patch_plan(&fn.pf, tr.anchors, pf->anchor_cnt, tr.wins);
		tr.win_cnt = n > 0 ? (uint32_t)n : 0;
		tr.bad_cnt = count_bad(&fn, tr.anchors, pf->anchor_cnt, tr.wins, &tr.first_bad);
	}
	func_deinit(&fn);
	bool ok = n >= 0 && same_holes(tr.lends, pf->lends, pf->lend_cnt);
	if (!ok)
		trial_deinit(&tr);
	else
		*ret = tr;
	return n < 0 ? n : ok;
}

static void adopt(struct plan_func *pf, struct trial *tr)
{
	plan_free(pf, pf->anchors);
	plan_free(pf, pf->wins);
	free(pf->lends);
	free(pf->borrowed);
	pf->anchors = tr->anchors;
	pf->wins = tr->wins;
	pf->lends = tr->lends;
	pf->borrowed = tr->borrowed;
	pf->win_cnt = tr->win_cnt;
	pf->lend_cnt = tr->lend_cnt;
	pf->borrowed_cnt = tr->borrowed_cnt;
}

/* Index of the function at @addr, or func_cnt. */
static uint32_t find_func(const struct job *j, uint64_t addr)
{
	uint32_t i = 0;
	while (i < j->func_cnt && j->funcs[i].addr != addr)
		i++;
	return i;
}

/* The neighbour lends the hole that @want asks for to function @user, where both are then better off. */
static int lend_from(struct job *j, uint32_t user, uint32_t user_bad, const struct obj_range *r, struct patch_lend *want,
		     struct trial *ret)
{
	uint32_t at = find_func(j, r->start);
	struct plan_func fresh = { .mod = j->funcs[user].mod, .addr = r->start, .bytes = r->end - r->start };
	struct plan_func *from = at < j->func_cnt ? &j->funcs[at] : &fresh;
	struct trial lender;
	if (from->is_frag || plan_is_taken(j->t, r->start, r->end))
		return 0;
	int ok = replan(j->t, from, want, NULL, &lender);
	if (ok <= 0)
		return ok;
	*want = lender.lends[lender.lend_cnt - 1];
	ok = want->hole ? replan(j->t, &j->funcs[user], NULL, want, ret) : 0;
	if (ok > 0 && ret->bad_cnt >= user_bad) {
		trial_deinit(ret);
		ok = 0;
	}
	if (ok > 0 && at == j->func_cnt) {
		from = job_push_func(j);
		ok = from ? 1 : -ENOMEM;
		if (from)
			*from = fresh;
		else
			trial_deinit(ret);
	}
	if (ok > 0)
		adopt(from, &lender);
	else
		trial_deinit(&lender);
	return ok;
}

static bool is_lender(const struct plan_func *user, const struct obj_range *r, const struct patch_lend *want)
{
	return r->kind == OBJ_RANGE_FUNC && r->start < want->hi + JUMP_BYTES && r->end > want->lo &&
	       (r->end <= user->addr || r->start >= user->addr + user->bytes);
}

/* Some neighbour of function @i lends room for its anchor at @addr. */
static int borrow(struct job *j, uint32_t i, uint64_t addr, uint32_t bad, struct trial *ret)
{
	const struct obj_range *r;
	uint32_t cnt;
	/* The window may begin before the anchor. */
	const struct patch_lend want = { PATCH_REACH_LO(addr), PATCH_REACH_HI(addr) - ISA_INSN_MAX, 0 };
	if (obj_module_ranges(j->t->obj, j->funcs[i].mod, &r, &cnt, NULL))
		return 0;
	uint32_t lo = HOST_FIRST(r, cnt, start, want.lo);
	int ok = 0;
	for (lo = lo ? lo - 1 : 0; !ok && lo < cnt && r[lo].start <= want.hi; lo++) {
		struct patch_lend w = want;
		if (is_lender(&j->funcs[i], &r[lo], &w))
			ok = lend_from(j, i, bad, &r[lo], &w, ret);
	}
	return ok;
}

static int help(struct job *j, uint32_t i)
{
	struct plan_func *pf = &j->funcs[i];
	struct trial tr;
	struct func fn;
	uint32_t first = 0, bad = 0;
	if (func_init(&fn, j->t, pf->mod, pf->addr, pf->bytes, NULL))
		return 0;
	bad = fn.pf.asks_where ? 0 : count_bad(&fn, pf->anchors, pf->anchor_cnt, pf->wins, &first);
	func_deinit(&fn);
	for (int round = 0; bad && round < ROUNDS; round++) {
		int ok = borrow(j, i, j->funcs[i].addr + j->funcs[i].anchors[first].offset, bad, &tr);
		if (ok <= 0)
			return ok;
		first = tr.first_bad;
		bad = tr.bad_cnt;
		adopt(&j->funcs[i], &tr);
	}
	return 0;
}

static bool may_need(const struct plan_func *pf)
{
	bool any = false;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++)
		any |= pf->anchors[i].refusal;
	for (uint32_t i = 0; i < pf->win_cnt; i++)
		any |= pf->wins[i].form == PATCH_PUN;
	return any && !pf->is_frag;
}

int job_lend(struct job *j, struct err *reterr)
{
	int r = 0;
	bool fresh = false;
	if (j->t->link)
		return 0; /* a host is more than one instruction */
	for (uint32_t i = 0, cnt = j->func_cnt; i < cnt && !r; i++) {
		if (!may_need(&j->funcs[i]))
			continue;
		if (!fresh)
			r = obj_proc_refresh(j->t->obj, reterr);
		fresh = true;
		if (!r && help(j, i) < 0)
			r = job_no_memory(reterr);
	}
	return r;
}

static int compare_addr(const void *key, const void *elem)
{
	const struct plan_func *pf = elem;
	uint64_t addr = *(const uint64_t *)key;
	return addr < pf->addr ? -1 : addr >= pf->addr + pf->bytes;
}

bool lend_is_void(const struct job *j, const struct plan_func *pf)
{
	for (uint32_t w = 0; w < pf->win_cnt; w++) {
		if (!pf->wins[w].hole_borrowed)
			continue;
		const struct plan_func *from = bsearch(&pf->wins[w].hole_addr, j->funcs, j->func_cnt, sizeof(*from), compare_addr);
		if (!from || from->dropped)
			return true;
	}
	return false;
}
