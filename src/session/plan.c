/* SPDX-License-Identifier: MIT */
/* Which places of which functions get which windows, from the code as it runs; what cannot be placed is refused. */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where we hear of libraries and programs that come. */
static bool is_hook(const struct target *t, uint64_t func)
{
	return func && (func == t->hook_addr || func == t->early_addr || func == t->exec_addr);
}

static bool is_gone(const struct probe *p)
{
	return p->module && !p->module->end;
}

void job_refuse(struct job *j, uint32_t probe, uint64_t addr, const char *why)
{
	const struct probe *p = j->probes[probe].probe;
	if (job_is_own(p->kind))
		return;
	uint32_t pc = j->told ? goscan_first(j->t, p->func_addr) : 0;
	if (j->told && (pc == j->t->go_pc_cnt || j->t->go_pcs[pc] >= p->func_addr + p->func_bytes))
		return;
	struct session_refusal r = { .probe = p, .index = probe, .addr = addr, .why = why ? why : FUNC_NO_RETURN, .has_no_return = !why,
				     .is_ours = is_hook(j->t, p->func_addr), .is_gone = is_gone(p) };
	if (j->refused)
		j->refused(j->refused_arg, &r);
}

static void refuse_func(struct job *j, uint32_t probe, uint64_t addr, const char *why)
{
	const struct probe *p = j->probes[probe].probe;
	struct session_refusal r = { .probe = p, .index = probe, .addr = addr, .why = why, .is_whole = true,
				     .is_gone = is_gone(p) };
	if (j->refused && !job_is_own(p->kind))
		j->refused(j->refused_arg, &r);
}

static int add_anchor(struct plan_func *pf, uint32_t *cap, struct patch_anchor what, uint32_t probe)
{
	if (pf->anchor_cnt == *cap) {
		*cap = *cap ? *cap * 2 : 4;
		struct patch_anchor *a = realloc(pf->anchors, *cap * sizeof(*a));
		pf->anchors = a ? a : pf->anchors;
		uint32_t *p = realloc(pf->probe_of, *cap * sizeof(*p));
		pf->probe_of = p ? p : pf->probe_of;
		if (!a || !p)
			return -ENOMEM;
	}
	/* Sorted by offset; those at one offset in the order of the probes. */
	uint32_t i = pf->anchor_cnt++;
	for (; i && pf->anchors[i - 1].offset > what.offset; i--) {
		pf->anchors[i] = pf->anchors[i - 1];
		pf->probe_of[i] = pf->probe_of[i - 1];
	}
	pf->anchors[i] = what;
	pf->probe_of[i] = probe;
	return 0;
}

static bool is_jump(const struct func *fn, uint32_t offset)
{
	struct isa_insn in;
	return isa_decode(fn->code + offset, fn->pf.bytes - offset, fn->pf.addr + offset, &in) >= 0 && in.flow != ISA_RET;
}

/* *ret_cnt: grows by how many there are. */
static int add_returns(struct plan_func *pf, uint32_t *cap, const struct func *fn, uint32_t probe, uint32_t *ret_cnt,
		       struct err *reterr)
{
	uint32_t small[64], *offs = small;
	int n = patch_find_returns(&fn->pf, offs, ARRAY_CNT(small), reterr);
	if (n > (int)ARRAY_CNT(small)) {
		offs = calloc((size_t)n, sizeof(*offs));
		if (!offs)
			return job_no_memory(reterr);
		n = patch_find_returns(&fn->pf, offs, (uint32_t)n, reterr);
	}
	int r = n < 0 ? n : 0;
	for (int i = 0; i < n && !r; i++)
		r = add_anchor(pf, cap, (struct patch_anchor){ .offset = offs[i], .kind = WIRE_SITE_RETURN,
							       .is_jump = is_jump(fn, offs[i]) }, probe);
	if (n > 0)
		*ret_cnt += (uint32_t)n;
	if (offs != small)
		free(offs);
	return r;
}

static int add_usdt(struct job *j, struct plan_func *pf, uint32_t *cap, uint32_t probe)
{
	uint32_t small[64], *offs = small;
	const struct probe *p = j->probes[probe].probe;
	int n = usdt_offsets(j->t, p, small, ARRAY_CNT(small)), r = 0;
	if (n > (int)ARRAY_CNT(small)) {
		offs = calloc((size_t)n, sizeof(*offs));
		if (!offs)
			return -ENOMEM;
		usdt_offsets(j->t, p, offs, (uint32_t)n);
	}
	for (int i = 0; i < n && !r; i++)
		r = add_anchor(pf, cap, (struct patch_anchor){ .offset = offs[i], .kind = WIRE_SITE_USDT }, probe);
	if (offs != small)
		free(offs);
	return r;
}

static void drop_window(struct plan_func *pf, uint32_t w)
{
	memmove(&pf->wins[w], &pf->wins[w + 1], (pf->win_cnt - w - 1) * sizeof(*pf->wins));
	pf->win_cnt--;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++) {
		struct patch_anchor *a = &pf->anchors[i];
		if (a->refusal || a->window == PATCH_NO_WINDOW)
			continue;
		if (a->window == w)
			a->refusal = PATCH_NEEDS_STOP;
		else if (a->window > w)
			a->window--;
	}
}

/* Those that hold nothing but another's source. */
static void drop_unused(struct plan_func *pf)
{
	for (uint32_t w = pf->win_cnt; w--;) {
		bool used = false;
		for (uint32_t i = 0; i < pf->anchor_cnt; i++)
			used |= !pf->anchors[i].refusal && pf->anchors[i].window == w;
		if (!used)
			drop_window(pf, w);
	}
}

/* Where threads run on: what would take more than one store goes, and what has no window has none for that reason.  So do
 * returns with what leads there, if any window went: it may have been one of theirs, and their hits would be lost unseen. */
static void drop_windows(const struct target *t, struct plan_func *pf)
{
	uint32_t was = pf->win_cnt;
	for (uint32_t w = pf->win_cnt; w--;)
		if (!live_can(&pf->wins[w]) || !holes_can(t, &pf->wins[w]))
			drop_window(pf, w);
	for (uint32_t i = 0; i < pf->anchor_cnt; i++) {
		struct patch_anchor *a = &pf->anchors[i];
		if (a->refusal == PATCH_TOO_SHORT || a->refusal == PATCH_TARGET_INSIDE || (a->by_sources && !a->refusal && pf->win_cnt < was))
			a->refusal = PATCH_NEEDS_STOP;
	}
	if (pf->win_cnt < was)
		drop_unused(pf);
}

/* Windows for the anchors that were added. */
static int plan_windows(struct plan_func *pf, const struct func *fn)
{
	pf->wins = calloc(PATCH_WINDOW_CNT(pf->anchor_cnt) + 1, sizeof(*pf->wins));
	if (!pf->wins)
		return -ENOMEM;
	int n = patch_plan(&fn->pf, pf->anchors, pf->anchor_cnt, pf->wins);
	if (n < 0)
		return n;
	pf->win_cnt = (uint32_t)n;
	if (fn->t->link)
		drop_windows(fn->t, pf);
	return 0;
}

static void tell_refusals(struct job *j)
{
	for (uint32_t k = 0; k < j->func_cnt; k++)
		for (uint32_t i = 0; i < j->funcs[k].anchor_cnt; i++) {
			const struct patch_anchor *a = &j->funcs[k].anchors[i];
			if (a->refusal)
				job_refuse(j, j->funcs[k].probe_of[i], j->funcs[k].addr + a->offset, patch_refusal_text(a->refusal));
		}
}

struct plan_func *job_push_func(struct job *j)
{
	if (j->func_cnt == j->func_cap) {
		uint32_t cap = j->func_cap ? j->func_cap * 2 : 64;
		struct plan_func *more = realloc(j->funcs, cap * sizeof(*more));
		if (!more)
			return NULL;
		j->funcs = more;
		j->func_cap = cap;
	}
	return &j->funcs[j->func_cnt++];
}

/* The returns in a cold part of @whole: a function of its own that nobody calls. */
static int plan_fragment(struct job *j, const struct func *whole, const struct patch_range *part, const uint32_t *probes,
			 uint32_t cnt, uint32_t *returns, struct err *reterr)
{
	const struct patch_range rest = { whole->pf.addr, whole->pf.addr + whole->pf.bytes };
	struct plan_func *pf = job_push_func(j);
	struct func fn;
	uint32_t cap = 0;
	if (!pf)
		return -ENOMEM;
	*pf = (struct plan_func){ .mod = whole->mod, .addr = part->start, .bytes = part->end - part->start, .whole = whole->pf.addr,
				  .is_frag = true };
	int r = func_init(&fn, j->t, pf->mod, pf->addr, pf->bytes, NULL);
	if (r)
		return r == -ENOMEM ? r : 0; /* its bytes cannot be read: no instruction of it runs */
	fn.pf.is_frag = true;
	fn.pf.frags = &rest;
	fn.pf.frag_cnt = 1;
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (j->probes[probes[i]].probe->kind == WIRE_SITE_RETURN)
			r = add_returns(pf, &cap, &fn, probes[i], &returns[i], reterr);
	if (!r && !j->places_only)
		r = plan_windows(pf, &fn);
	func_deinit(&fn);
	return r;
}

static int plan_places(struct job *j, struct plan_func *pf, const struct func *fn, const uint32_t *probes, uint32_t cnt,
		       uint32_t *returns, struct err *reterr)
{
	uint32_t cap = 0, parts = 0;
	int r = 0;
	for (uint32_t i = 0; i < cnt && !r; i++) {
		const struct probe *p = j->probes[probes[i]].probe;
		if (p->kind == WIRE_SITE_RETURN) {
			r = add_returns(pf, &cap, fn, probes[i], &returns[i], reterr);
			parts = fn->frag_cnt;
		} else if (p->kind == WIRE_SITE_USDT) {
			r = add_usdt(j, pf, &cap, probes[i]);
		} else {
			uint32_t offset = p->kind == WIRE_SITE_ENTRY ? patch_entry_offset(&fn->pf) : (uint32_t)p->offset;
			r = add_anchor(pf, &cap, (struct patch_anchor){ .offset = offset, .kind = (uint8_t)p->kind }, probes[i]);
		}
	}
	if (!r && !j->places_only)
		r = plan_windows(pf, fn);
	if (!r)
		entry_note(j, pf, fn);
	for (uint32_t i = 0; i < parts && !r; i++) /* pf may move */
		r = plan_fragment(j, fn, &fn->frags[i], probes, cnt, returns, reterr);
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (j->probes[probes[i]].probe->kind == WIRE_SITE_RETURN && !returns[i])
			job_refuse(j, probes[i], fn->pf.addr, NULL);
	return r;
}

enum { ENTRIES_MAX = 8 };

/* 1: they are all of its entry, and planned; 0: not that simple; or -errno. */
static int plan_entries(struct job *j, struct plan_func *pf, const uint32_t *probes, uint32_t cnt)
{
	bool all = cnt <= ENTRIES_MAX && !j->places_only;
	for (uint32_t i = 0; i < cnt && all; i++)
		all = j->probes[probes[i]].probe->kind == WIRE_SITE_ENTRY;
	return all ? entry_plan(j, pf, probes, cnt) : 0;
}

/* What programs have that offer themselves. */
static bool is_own(const struct obj_module *m)
{
	return !strncmp(m->name, "libdyntrace-agent.so", 20);
}

int job_plan_func(struct job *j, const struct plan_func *what, const uint32_t *probes, uint32_t cnt, struct err *reterr)
{
	struct func fn;
	struct err why;
	struct plan_func *pf = job_push_func(j);
	uint32_t *returns = calloc(cnt ? cnt : 1, sizeof(*returns));
	int r = pf && returns ? 0 : -ENOMEM;
	if (pf)
		*pf = *what;
	if (!r && !is_own(pf->mod) && pf->mod->end && (r = plan_entries(j, pf, probes, cnt))) {
		free(returns);
		return r > 0 ? 0 : job_no_memory(reterr);
	}
	bool alone = true;
	for (uint32_t i = 0; i < cnt; i++)
		alone &= j->probes[probes[i]].probe->kind == WIRE_SITE_GUARD && !guard_is_raw(j->probes[probes[i]].probe);
	if (!r && is_own(pf->mod))
		r = err_setf(&why, -EINVAL, "it is part of dyntrace");
	else if (!r)
		r = pf->mod->end ? (alone ? func_init_alone : func_init)(&fn, j->t, pf->mod, pf->addr, pf->bytes, &why) :
			err_setf(&why, -ENOENT, JOB_UNLOADED);
	if (r && r != -ENOMEM) {
		for (uint32_t i = 0; i < cnt; i++)
			refuse_func(j, probes[i], pf->addr, why.msg);
		r = 0;
	} else if (!r) {
		fn.blocks = j->blocks;
		fn.as_file = alone ? (struct patch_range){ 0 } : kept_entries_range(j->kept, pf->mod); /* alone: less was looked at */
		r = plan_places(j, pf, &fn, probes, cnt, returns, reterr);
		func_deinit(&fn);
	}
	free(returns);
	return r == -ENOMEM ? job_no_memory(reterr) : r;
}

static int compare_funcs(const void *a, const void *b)
{
	const struct plan_func *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int job_compare_requests(const void *a, const void *b)
{
	const struct request *x = a, *y = b;
	if (x->func != y->func)
		return x->func < y->func ? -1 : 1;
	return x->probe < y->probe ? -1 : x->probe > y->probe;
}

void job_drop(struct job *j, struct plan_func *pf, const char *why)
{
	if (pf->dropped)
		return;
	pf->dropped = true;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++)
		if (!pf->anchors[i].refusal)
			job_refuse(j, pf->probe_of[i], pf->addr + pf->anchors[i].offset, why);
}

bool plan_is_taken(const struct target *t, uint64_t addr, uint64_t end)
{
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		const struct placed *p = &t->placed[i];
		if (p->mod && !p->mod->end)
			continue; /* unloaded: another library may be there now */
		if ((addr < p->addr + p->claim && p->addr < end) ||
		    (p->hole_addr && addr < p->hole_addr + 5 && p->hole_addr < end))
			return true;
	}
	return false;
}

/* Functions may share code (symbols inside symbols): whoever comes second is refused. */
static void drop_overlaps(struct job *j)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		struct plan_func *pf = &j->funcs[i];
		uint64_t own_end = 0;
		for (uint32_t w = 0; w < pf->win_cnt && !pf->dropped; w++) {
			const struct patch_window *win = &pf->wins[w];
			uint64_t stop = win->addr + win->bytes;
			if (win->form == PATCH_HOLE && !win->hole_inside && win->hole_addr + 5 > stop)
				stop = win->hole_addr + 5;
			if (win->addr < end || plan_is_taken(j->t, win->addr, stop))
				job_drop(j, pf, is_hook(j->t, pf->addr) ?
					"dyntrace itself has its probe there, to hear of libraries and programs that come" :
					"its code overlaps that of another function that is armed");
			if (stop > own_end)
				own_end = stop;
		}
		if (!pf->dropped && own_end > end)
			end = own_end;
	}
}

static void drop_borrowers(struct job *j)
{
	for (bool again = true; again;) {
		again = false;
		for (uint32_t i = 0; i < j->func_cnt; i++)
			if (!j->funcs[i].dropped && lend_is_void(j, &j->funcs[i])) {
				job_drop(j, &j->funcs[i], "the code of a neighbour, where it needs room, is that of another function that is armed");
				again = true;
			}
	}
}

int job_plan_requests(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	uint32_t *list = malloc((cnt ? cnt : 1) * sizeof(*list));
	int r = list ? 0 : job_no_memory(reterr);
	for (uint32_t i = 0; i < cnt && !r;) {
		const struct probe *first = j->probes[req[i].probe].probe;
		struct plan_func pf = { .mod = first->module, .addr = first->func_addr, .bytes = first->func_bytes };
		uint32_t n = 0;
		for (; i < cnt && req[i].func == pf.addr; i++) {
			const struct probe *p = j->probes[req[i].probe].probe;
			pf.bytes = p->func_bytes > pf.bytes ? p->func_bytes : pf.bytes;
			list[n++] = req[i].probe;
		}
		r = job_plan_func(j, &pf, list, n, reterr);
	}
	free(list);
	return r;
}

int job_plan(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	int r = job_plan_many(j, req, cnt, reterr);
	if (!r)
		r = job_lend(j, reterr);
	tell_refusals(j);
	base_sort(j->funcs, j->func_cnt, sizeof(*j->funcs), compare_funcs); /* cold parts lie elsewhere */
	if (!r) {
		drop_overlaps(j);
		drop_borrowers(j);
	}
	return r;
}

void job_free(struct job *j)
{
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		plan_free(&j->funcs[i], j->funcs[i].anchors);
		plan_free(&j->funcs[i], j->funcs[i].probe_of);
		plan_free(&j->funcs[i], j->funcs[i].wins);
		free(j->funcs[i].pack);
		free(j->funcs[i].lends);
		free(j->funcs[i].borrowed);
	}
	free(j->funcs);
	free(j->writes);
	free(j->ahead.own);
}
