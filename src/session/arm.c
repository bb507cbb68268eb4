/* SPDX-License-Identifier: MIT */
/*
 * Arming, in steps of which only the last touches the program's code:
 *
 *   plan     windows of every function, from its code as it runs
 *   map      a short stop: memory for trampolines near each module; what the jumps will be
 *   make     sites, bodies, trampolines (the program runs meanwhile)
 *   commit   a short stop: the code is still as planned? move instruction
 *            pointers, write the jumps
 */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For the bodies of one arena: more than any generator makes of an instruction.  Untouched pages cost nothing. */
#define BODY_ROOM (64u << 10)
#define BODY_ROOM_INSN 96u
#define JUMP_BYTES 5

static int no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

void job_refuse(struct job *j, uint32_t probe, uint64_t addr, const char *why)
{
	struct session_refusal r = { .probe = j->probes[probe].probe, .addr = addr, .why = why ? why : FUNC_NO_RETURN,
				     .has_no_return = !why };
	if (j->refused)
		j->refused(j->refused_arg, &r);
}

/* ---- plan ---- */

static int add_anchor(struct plan_func *pf, uint32_t *cap, uint32_t offset, uint8_t kind, uint32_t probe)
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
	for (; i && pf->anchors[i - 1].offset > offset; i--) {
		pf->anchors[i] = pf->anchors[i - 1];
		pf->probe_of[i] = pf->probe_of[i - 1];
	}
	pf->anchors[i] = (struct patch_anchor){ .offset = offset, .kind = kind };
	pf->probe_of[i] = probe;
	return 0;
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
			return no_memory(reterr);
		n = patch_find_returns(&fn->pf, offs, (uint32_t)n, reterr);
	}
	int r = n < 0 ? n : 0;
	for (int i = 0; i < n && !r; i++)
		r = add_anchor(pf, cap, offs[i], WIRE_SITE_RETURN, probe);
	if (n > 0)
		*ret_cnt += (uint32_t)n;
	if (offs != small)
		free(offs);
	return r;
}

/* Windows for the anchors that were added. */
static int plan_windows(struct job *j, struct plan_func *pf, const struct func *fn)
{
	pf->wins = calloc(PATCH_WINDOW_CNT(pf->anchor_cnt) + 1, sizeof(*pf->wins));
	if (!pf->wins)
		return -ENOMEM;
	int n = patch_plan(&fn->pf, pf->anchors, pf->anchor_cnt, pf->wins);
	if (n < 0)
		return n;
	pf->win_cnt = (uint32_t)n;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++)
		if (pf->anchors[i].refusal)
			job_refuse(j, pf->probe_of[i], pf->addr + pf->anchors[i].offset, patch_refusal_text(pf->anchors[i].refusal));
	return 0;
}

static struct plan_func *push_func(struct job *j)
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
	struct plan_func *pf = push_func(j);
	struct func fn;
	uint32_t cap = 0;
	if (!pf)
		return -ENOMEM;
	*pf = (struct plan_func){ .mod = whole->mod, .addr = part->start, .bytes = part->end - part->start };
	int r = func_init(&fn, j->t, pf->mod, pf->addr, pf->bytes, NULL);
	if (r)
		return r == -ENOMEM ? r : 0; /* its bytes cannot be read: no instruction of it runs */
	fn.pf.is_frag = true;
	fn.pf.frags = &rest;
	fn.pf.frag_cnt = 1;
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (j->probes[probes[i]].probe->kind == WIRE_SITE_RETURN)
			r = add_returns(pf, &cap, &fn, probes[i], &returns[i], reterr);
	if (!r)
		r = plan_windows(j, pf, &fn);
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
		} else {
			r = add_anchor(pf, &cap, p->kind == WIRE_SITE_ENTRY ? 0 : p->offset, p->kind, probes[i]);
		}
	}
	if (!r)
		r = plan_windows(j, pf, fn);
	for (uint32_t i = 0; i < parts && !r; i++) /* pf may move */
		r = plan_fragment(j, fn, &fn->frags[i], probes, cnt, returns, reterr);
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (j->probes[probes[i]].probe->kind == WIRE_SITE_RETURN && !returns[i])
			job_refuse(j, probes[i], fn->pf.addr, NULL);
	return r;
}

static int plan_func(struct job *j, const struct plan_func *what, const uint32_t *probes, uint32_t cnt, struct err *reterr)
{
	struct func fn;
	struct err why;
	struct plan_func *pf = push_func(j);
	uint32_t *returns = calloc(cnt ? cnt : 1, sizeof(*returns));
	int r = pf && returns ? 0 : -ENOMEM;
	if (pf)
		*pf = *what;
	if (!r)
		r = pf->mod->end ? func_init(&fn, j->t, pf->mod, pf->addr, pf->bytes, &why) :
			err_setf(&why, -ENOENT, "its library was unloaded");
	if (r && r != -ENOMEM) {
		for (uint32_t i = 0; i < cnt; i++)
			job_refuse(j, probes[i], pf->addr, why.msg);
		r = 0;
	} else if (!r) {
		r = plan_places(j, pf, &fn, probes, cnt, returns, reterr);
		func_deinit(&fn);
	}
	free(returns);
	return r == -ENOMEM ? no_memory(reterr) : r;
}

static int compare_funcs(const void *a, const void *b)
{
	const struct plan_func *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

struct request {
	uint64_t func;
	uint32_t probe;
};

static int compare_requests(const void *a, const void *b)
{
	const struct request *x = a, *y = b;
	if (x->func != y->func)
		return x->func < y->func ? -1 : 1;
	return x->probe < y->probe ? -1 : x->probe > y->probe;
}

static int plan_all(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	uint32_t *list = malloc((cnt ? cnt : 1) * sizeof(*list));
	int r = list ? 0 : no_memory(reterr);
	for (uint32_t i = 0; i < cnt && !r;) {
		const struct probe *first = j->probes[req[i].probe].probe;
		struct plan_func pf = { .mod = first->module, .addr = first->func_addr, .bytes = first->func_bytes };
		uint32_t n = 0;
		for (; i < cnt && req[i].func == pf.addr; i++) {
			const struct probe *p = j->probes[req[i].probe].probe;
			pf.bytes = p->func_bytes > pf.bytes ? p->func_bytes : pf.bytes;
			list[n++] = req[i].probe;
		}
		r = plan_func(j, &pf, list, n, reterr);
	}
	free(list);
	if (j->func_cnt)
		qsort(j->funcs, j->func_cnt, sizeof(*j->funcs), compare_funcs); /* cold parts lie elsewhere */
	return r;
}

static void drop(struct job *j, struct plan_func *pf, const char *why)
{
	if (pf->dropped)
		return;
	pf->dropped = true;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++)
		if (!pf->anchors[i].refusal)
			job_refuse(j, pf->probe_of[i], pf->addr + pf->anchors[i].offset, why);
}

static bool is_taken(const struct target *t, uint64_t addr, uint64_t end)
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
			if (win->form == PATCH_HOLE && win->hole_addr + 5 > stop)
				stop = win->hole_addr + 5;
			if (win->addr < end || is_taken(j->t, win->addr, stop))
				drop(j, pf, pf->addr == j->t->hook_addr ?
					"dyntrace itself has its probe there, to hear of libraries that come and go" :
					"its code overlaps that of another function that is armed");
			if (stop > own_end)
				own_end = stop;
		}
		if (!pf->dropped && own_end > end)
			end = own_end;
	}
}

/* ---- map ---- */

static uint64_t code_bytes(const struct plan_func *pf)
{
	uint64_t sum = 0;
	for (uint32_t w = 0; w < pf->win_cnt; w++)
		sum += align_up(pf->wins[w].tramp_max, 16);
	return sum;
}

/* Bodies of the probes at hand: one for each list of programs, so at most one for each probe and kind. */
static uint64_t body_bytes(const struct job *j)
{
	uint64_t sum = BODY_ROOM, last = 0;
	const uint32_t *progs = NULL;
	for (uint32_t i = 0; i < j->probe_cnt; i++) {
		const struct session_probe *sp = &j->probes[i];
		if (sp->prog_cnt == last && progs && !memcmp(progs, sp->progs, last * sizeof(*progs)))
			continue; /* as the probe before: the usual case of a glob */
		progs = sp->progs;
		last = sp->prog_cnt;
		for (uint32_t k = 0; k < sp->prog_cnt; k++)
			sum += 3 * (1024 + (uint64_t)BODY_ROOM_INSN * j->s->image->progs[sp->progs[k]].insn_cnt);
	}
	return sum < (256u << 20) ? sum : 256u << 20;
}

/* One arena for all functions of a module: they are neighbours in the sorted list. */
static int map_arenas(struct job *j, struct err *reterr)
{
	for (uint32_t i = 0; i < j->func_cnt;) {
		struct obj_module *mod = j->funcs[i].mod;
		uint64_t sum = 0, lo = UINT64_MAX, hi = 0;
		uint32_t k = i;
		for (; k < j->func_cnt && j->funcs[k].mod == mod; k++) {
			if (!plan_has_windows(&j->funcs[k]))
				continue;
			sum += code_bytes(&j->funcs[k]);
			lo = j->funcs[k].addr < lo ? j->funcs[k].addr : lo;
			hi = j->funcs[k].addr + j->funcs[k].bytes > hi ? j->funcs[k].addr + j->funcs[k].bytes : hi;
		}
		struct arena *a = NULL;
		uint64_t bodies = body_bytes(j);
		int r = sum ? arena_get(j->t, mod->start < lo ? mod->start : lo, mod->end > hi ? mod->end : hi, sum + bodies, &a, reterr) : 0;
		if (r)
			return r;
		for (; i < k; i++)
			j->funcs[i].arena = a;
	}
	return 0;
}

/* ---- make ---- */

static int make_anchor(struct job *j, struct plan_func *pf, uint32_t i, struct err *reterr)
{
	struct patch_anchor *a = &pf->anchors[i];
	const struct session_probe *sp = &j->probes[pf->probe_of[i]];
	uint32_t site = session_site_add(j->s, sp->probe, pf->addr + a->offset, a->kind);
	if (site == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "more than %u places: ask for fewer functions", j->s->shm->site_cap);
	session_site(j->s, site)->sp_adj = a->sp_adj;
	a->site = site;
	j->armed++;
	return arena_body(j->t, pf->arena, a->kind, sp->progs, sp->prog_cnt, &a->body, reterr);
}

static int remember(struct job *j, const struct plan_func *pf, const struct patch_window *w, const struct patch_move *moves,
		    uint32_t move_cnt)
{
	struct target *t = j->t;
	const struct write *jump = jumps_at(j, w->addr);
	struct placed *p = realloc(t->placed, (t->placed_cnt + 1) * sizeof(*p));
	t->placed = p ? p : t->placed;
	struct patch_move *m = realloc(t->moves, (t->move_cnt + move_cnt) * sizeof(*m));
	t->moves = m ? m : t->moves;
	if (!p || !m)
		return -ENOMEM;
	memcpy(m + t->move_cnt, moves, move_cnt * sizeof(*m));
	t->move_cnt += move_cnt;
	p += t->placed_cnt++;
	*p = (struct placed){ .addr = w->addr, .bytes = w->bytes, .claim = w->form == PATCH_PUN ? JUMP_BYTES : w->bytes,
			      .mod = pf->mod, .jump_bytes = (uint8_t)jump->cnt };
	memcpy(p->old, w->old, w->bytes);
	memcpy(p->jump, jump->bytes, jump->cnt);
	if (w->form == PATCH_HOLE && !w->hole_inside) {
		p->hole_addr = w->hole_addr;
		memcpy(p->hole_old, w->hole_old, sizeof(p->hole_old));
		memcpy(p->hole_new, jumps_at(j, w->hole_addr)->bytes, sizeof(p->hole_new));
	}
	return 0;
}

static int make_window(struct job *j, struct plan_func *pf, uint32_t w, struct err *reterr)
{
	struct arena *a = pf->arena;
	const struct patch_window *win = &pf->wins[w];
	struct patch_move moves[PATCH_WINDOW_MAX];
	uint32_t move_cnt;
	int n = patch_emit(win, w, pf->addr, pf->anchors, pf->anchor_cnt, win->tramp, a->code + (win->tramp - a->addr),
			   win->tramp_max, moves, &move_cnt, reterr);
	if (n < 0)
		return n;
	if (win->landing)
		moves[move_cnt++] = (struct patch_move){ win->addr, win->landing };
	return remember(j, pf, win, moves, move_cnt) ? no_memory(reterr) : 0;
}

static int make_func(struct job *j, struct plan_func *pf, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 0; i < pf->anchor_cnt && !r; i++)
		if (!pf->anchors[i].refusal)
			r = make_anchor(j, pf, i, reterr);
	for (uint32_t w = 0; w < pf->win_cnt && !r; w++)
		if (pf->wins[w].form != PATCH_PUN || pf->wins[w].landing)
			r = make_window(j, pf, w, reterr);
	return r;
}

/* ---- commit ---- */

/* @back: from the jumps to what stood there. */
static struct edit *make_edits(const struct job *j, bool back, struct err *reterr)
{
	struct edit *e = malloc((j->write_cnt + 1ul) * sizeof(*e));
	if (!e)
		no_memory(reterr);
	for (uint32_t i = 0; e && i < j->write_cnt; i++) {
		const struct write *w = &j->writes[i];
		e[i] = (struct edit){ w->addr, w->cnt, w->cnt, back ? w->bytes : w->old, back ? w->old : w->bytes };
	}
	return e;
}

/* What was written goes back: a target is armed or it is not. */
static void roll_back(struct job *j)
{
	const struct edit *miss;
	struct edit *e = make_edits(j, true, NULL);
	if (e)
		edits_apply(j->t->inj, e, j->write_cnt, true, &miss, NULL);
	free(e);
}

static int commit(struct job *j, struct err *reterr)
{
	const struct edit *miss = NULL;
	struct edit *e = make_edits(j, false, reterr);
	if (!e)
		return -ENOMEM;
	int r = edits_apply(j->t->inj, e, j->write_cnt, false, &miss, reterr);
	if (!r && miss)
		r = err_setf(reterr, -EAGAIN, "the code at 0x%llx changed meanwhile (a library was unloaded, or another tool "
			     "patches it): nothing was armed", (unsigned long long)miss->addr);
	if (!r)
		r = threads_move_in(j->t, j->first_placed, j->first_move, reterr);
	if (!r) {
		r = edits_apply(j->t->inj, e, j->write_cnt, true, &miss, reterr);
		if (r)
			roll_back(j);
	}
	if (!r)
		r = inject_sync_core(j->t->inj, reterr);
	if (!r)
		r = inject_settle(j->t->inj, reterr);
	free(e);
	return r;
}

/* Nothing was written: forget what was made. */
static void forget(struct job *j)
{
	j->t->placed_cnt = j->first_placed;
	j->t->move_cnt = j->first_move;
}

static void job_free(struct job *j)
{
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		free(j->funcs[i].anchors);
		free(j->funcs[i].probe_of);
		free(j->funcs[i].wins);
	}
	free(j->funcs);
	free(j->writes);
}

static int make_and_commit(struct job *j, struct err *reterr)
{
	struct target *t = j->t;
	bool was_stopped = t->inj != NULL;
	int r = was_stopped ? 0 : target_stop(t, reterr);
	if (!r)
		r = map_arenas(j, reterr);
	if (!r)
		r = jumps_make(j, reterr);
	if (!r)
		r = was_stopped ? inject_settle(t->inj, reterr) : inject_resume(t->inj, reterr);
	for (uint32_t i = 0; i < j->func_cnt && !r; i++)
		if (plan_has_windows(&j->funcs[i]))
			r = make_func(j, &j->funcs[i], reterr);
	if (!r && !was_stopped)
		r = inject_stop(t->inj, reterr);
	bool planned = !r;
	if (!r)
		r = commit(j, reterr);
	if (!planned || r == -EAGAIN)
		forget(j);
	if (!was_stopped)
		target_go(t);
	return r;
}

/* The loader's own notice of a change is our first probe in every process that has a loader. */
static int add_hook(struct job *j, struct err *reterr)
{
	struct target *t = j->t;
	uint64_t addr, bytes;
	if (t->hook_addr)
		return 0;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (!m->is_loader || obj_module_find(t->obj, m, "_dl_debug_state", &addr, &bytes))
			continue;
		static const struct probe hook = { .prov = "dyntrace", .mod = "", .func = "_dl_debug_state", .name = "loader",
						   .kind = WIRE_SITE_HOOK };
		static const struct session_probe hooks[1] = { { .probe = &hook } };
		struct job hj = { .s = j->s, .t = t, .probes = hooks, .probe_cnt = 1, .first_placed = t->placed_cnt, .first_move = t->move_cnt };
		const struct plan_func what = { .mod = m, .addr = addr, .bytes = bytes };
		uint32_t zero = 0;
		int r = plan_func(&hj, &what, &zero, 1, reterr);
		if (!r)
			r = make_and_commit(&hj, reterr);
		if (!r && hj.armed)
			t->hook_addr = addr;
		job_free(&hj);
		return r;
	}
	return 0;
}

int arm_hook(struct target *t, struct err *reterr)
{
	struct job j = { .s = t->s, .t = t };
	return add_hook(&j, reterr);
}

static int arm_target(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	int r = add_hook(j, reterr);
	j->first_placed = j->t->placed_cnt;
	j->first_move = j->t->move_cnt;
	if (!r)
		r = plan_all(j, req, cnt, reterr);
	if (!r) {
		drop_overlaps(j);
		r = make_and_commit(j, reterr);
	}
	if (!r && j->s->uses_stacks)
		r = unwind_update(j->t, reterr);
	job_free(j);
	return r;
}

static int arm_tool(struct session *s, const struct session_probe *probes, uint32_t cnt, struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (!probes[i].proc && !session_tool_site(s, probes[i].probe->id) &&
		    session_site_add(s, probes[i].probe, 0, WIRE_SITE_TOOL) == WIRE_NONE)
			return err_setf(reterr, -ENOSPC, "too many probes");
	return 0;
}

int session_arm(struct session *s, const struct session_probe *probes, uint32_t cnt, session_refused_fn *refused, void *arg,
		uint32_t *ret_site_cnt, struct err *reterr)
{
	struct request *req = malloc((cnt ? cnt : 1) * sizeof(*req));
	uint32_t armed = 0;
	int r = req ? arm_tool(s, probes, cnt, reterr) : no_memory(reterr);
	for (uint32_t p = 1; p < s->target_cnt && !r; p++) {
		struct target *t = s->targets[p];
		struct job j = { .s = s, .t = t, .probes = probes, .probe_cnt = cnt, .refused = refused, .refused_arg = arg };
		uint32_t n = 0;
		for (uint32_t i = 0; i < cnt; i++)
			if (probes[i].proc == p)
				req[n++] = (struct request){ probes[i].probe->func_addr, i };
		if (t->gone || (!n && t->hook_addr))
			continue;
		qsort(req, n, sizeof(*req), compare_requests);
		r = arm_target(&j, req, n, reterr);
		if (r == -ESRCH)
			r = 0; /* it ended meanwhile: session_wait() tells */
		armed += j.armed;
	}
	free(req);
	if (!r)
		*ret_site_cnt = armed;
	return r;
}
