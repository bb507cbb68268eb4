/* SPDX-License-Identifier: MIT */
/* Memory for what was planned, the code that goes there, and the jumps to it. */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* For the bodies of one arena: more than any generator makes of an instruction.  Untouched pages cost nothing. */
#define BODY_ROOM (64u << 10)
#define BODY_ROOM_INSN 96u

/* ---- map ---- */

static enum wire_site_kind kind_of(const struct patch_anchor *a)
{
	return a->is_jump ? WIRE_SITE_TAIL : (enum wire_site_kind)a->kind;
}

static bool has_branch(const struct ir_prog *p)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		if (p->insns[i].op == IR_OP_BRZ)
			return true;
	return false;
}

/* The filter that make_anchor() will find again. */
static void find_filter(const struct job *j, struct patch_anchor *a, const struct session_probe *sp)
{
	bool runs_one = sp->prog_cnt == 1 && !sp->hook && !job_is_own(a->kind); /* of sites of ours, progs has a helper */
	a->filter_bytes = 0;
	if (runs_one && has_branch(&j->s->image->progs[sp->progs[0]]) && arena_filter(j->t, kind_of(a), sp->progs, 1, a, NULL))
		a->filter_bytes = PATCH_FILTER_MAX;
}

/* No room between trampolines, which a program has in its caches beside its own code; memory for them is near it. */
static void tighten(struct job *j)
{
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		struct plan_func *pf = &j->funcs[i];
		if (!plan_has_windows(pf) || pf->spots)
			continue;
		for (uint32_t a = 0; a < pf->anchor_cnt; a++)
			find_filter(j, &pf->anchors[a], &j->probes[pf->probe_of[a]]);
		for (uint32_t w = 0; w < pf->win_cnt; w++)
			pf->wins[w].tramp_max = patch_near_max(&pf->wins[w], w, pf->anchors, pf->anchor_cnt);
	}
}

static uint64_t code_bytes(const struct job *j, const struct plan_func *pf)
{
	uint64_t sum = 0;
	for (uint32_t w = 0; w < pf->win_cnt; w++)
		sum += align_up(pf->wins[w].tramp_max, 16);
	return sum + spots_cold_bytes(j, pf);
}

/* Bodies of the probes at hand: one for each list of programs, so at most one for each probe and kind. */
static uint64_t body_bytes(const struct job *j)
{
	uint64_t sum = BODY_ROOM, last = 0;
	const uint32_t *progs = NULL;
	for (uint32_t i = 0; i < j->probe_cnt; i++) {
		const struct session_probe *sp = &j->probes[i];
		if (sp->probe->kind == WIRE_SITE_HOOK || sp->probe->kind == WIRE_SITE_GUARD)
			continue; /* what it runs is a function of the agent, not a program */
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
			sum += code_bytes(j, &j->funcs[k]);
			lo = j->funcs[k].addr < lo ? j->funcs[k].addr : lo;
			hi = j->funcs[k].addr + j->funcs[k].bytes > hi ? j->funcs[k].addr + j->funcs[k].bytes : hi;
		}
		struct arena *a = NULL;
		uint64_t bodies = body_bytes(j);
		if (sum && !mod->end)
			return err_setf(reterr, -EAGAIN, "%s was unloaded meanwhile: nothing was armed", mod->name);
		int r = sum ? arena_get(j->t, mod->start < lo ? mod->start : lo, mod->end > hi ? mod->end : hi, sum + bodies, &a, reterr) : 0;
		if (r)
			return r;
		for (; i < k; i++)
			j->funcs[i].arena = a;
	}
	return 0;
}

/* ---- make ---- */

static int make_hook(struct job *j, struct plan_func *pf, struct patch_anchor *a, const struct session_probe *sp, struct err *reterr)
{
	uint32_t off = intern_add(j->s->strings, sp->hook_text);
	if (off == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "no room for names");
	session_site(j->s, a->site)->sema = j->t->shm_addr + j->s->shm->str_off + off + offsetof(struct wire_str, s);
	return arena_hook(j->t, pf->arena, sp->hook, &a->body, reterr);
}

static bool acts(const struct session *s, const struct session_probe *sp)
{
	for (uint32_t i = 0; i < sp->prog_cnt && s->opts.acts; i++)
		if (s->opts.acts(s->opts.acts_arg, sp->progs[i]))
			return true;
	return false;
}

static int make_anchor(struct job *j, struct plan_func *pf, uint32_t i, struct err *reterr)
{
	struct patch_anchor *a = &pf->anchors[i];
	const struct session_probe *sp = &j->probes[pf->probe_of[i]];
	uint32_t site = session_site_add(j->s, sp->probe, pf->addr + a->offset, a->kind);
	if (site == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "more than %u places: ask for fewer functions", j->s->shm->site_cap);
	session_site(j->s, site)->sp_adj = a->sp_adj;
	session_site(j->s, site)->leaves_by_jump = a->is_jump;
	a->site = site;
	j->armed += !job_is_own(a->kind);
	int r = a->kind == WIRE_SITE_USDT ? usdt_site(j->t, sp->probe, session_site(j->s, site), reterr) : 0;
	if (r)
		return r;
	if (sp->hook && a->kind != WIRE_SITE_GUARD)
		return make_hook(j, pf, a, sp, reterr);
	bool is_ours = a->kind == WIRE_SITE_HOOK || a->kind == WIRE_SITE_GUARD;
	if (j->s->budget && !is_ours && budget_site(j->s->budget, site, j->s->image, sp->progs, sp->prog_cnt, acts(j->s, sp)))
		return err_setf(reterr, -ENOMEM, "out of memory");
	bool is_go = obj_is_go_code(j->t->obj, pf->mod, pf->addr);
	session_site(j->s, site)->go_args = is_go;
	a->dead = spots_hot_bytes(j, pf, a) ? spots_dead(j, pf, a) : 0;
	a->body = 0; /* of an earlier try */
	if (spots_hot_bytes(j, pf, a))
		return arena_filter(j->t, kind_of(a), sp->progs, sp->prog_cnt, a, reterr);
	return arena_body(j->t, pf->arena, kind_of(a), is_go, sp->progs, sp->prog_cnt, a, reterr);
}

struct put {
	struct job *j;
	struct plan_func *pf;
	struct err *err;
};

/* patch_body_fn: what has no body to call yet is to have its own, if that can be. */
static int put_body(void *arg, struct patch_anchor *a, uint64_t addr, uint8_t *buf, size_t cap)
{
	struct put *p = arg;
	const struct session_probe *sp = &p->j->probes[p->pf->probe_of[a - p->pf->anchors]];
	uint64_t most = a->body ? 0 : spots_hot_bytes(p->j, p->pf, a);
	int n = 0;
	if (most)
		n = arena_spot(p->j->t, p->pf->arena, kind_of(a), sp->progs, sp->prog_cnt, a, addr, buf, most < cap ? most : cap, p->err);
	return n || a->body ? n : arena_body(p->j->t, p->pf->arena, kind_of(a), false, sp->progs, sp->prog_cnt, a, p->err);
}

/* For all that remember() will be told: what patch_emit says, and the way to the trampoline. */
static int reserve(struct job *j)
{
	struct target *t = j->t;
	uint64_t wins = 0, moves = 0;
	for (uint32_t i = 0; i < j->func_cnt; i++)
		for (uint32_t w = 0; plan_has_windows(&j->funcs[i]) && w < j->funcs[i].win_cnt; w++, wins++)
			moves += PATCH_MOVES(j->funcs[i].wins[w].bytes) + 1ul;
	struct placed *p = realloc(t->placed, (t->placed_cnt + wins + 1) * sizeof(*p));
	t->placed = p ? p : t->placed;
	struct patch_move *m = realloc(t->moves, (t->move_cnt + moves + 1) * sizeof(*m));
	t->moves = m ? m : t->moves;
	return p && m ? 0 : -ENOMEM;
}

static void remember(struct job *j, const struct plan_func *pf, const struct patch_window *w, const struct patch_move *moves,
		     uint32_t move_cnt)
{
	struct target *t = j->t;
	const struct write *jump = jumps_at(j, w->addr);
	memcpy(t->moves + t->move_cnt, moves, move_cnt * sizeof(*moves));
	t->move_cnt += move_cnt;
	struct placed *p = &t->placed[t->placed_cnt++];
	*p = (struct placed){ .addr = w->addr, .func = pf->whole ? pf->whole : pf->addr, .bytes = w->bytes, .claim = w->form == PATCH_PUN ? JUMP_BYTES : w->bytes,
			      .mod = pf->mod, .jump_bytes = (uint8_t)jump->cnt };
	memcpy(p->old, w->old, w->bytes);
	memcpy(p->jump, jump->bytes, jump->cnt);
	if (w->form == PATCH_HOLE && !w->hole_inside) {
		p->hole_addr = w->hole_addr;
		const struct hole *h = holes_at(t, w->hole_addr);
		memcpy(p->hole_old, h ? h->old : w->hole_old, sizeof(p->hole_old));
		memcpy(p->hole_new, jumps_at(j, w->hole_addr)->bytes, sizeof(p->hole_new));
	}
}

static int make_window(struct job *j, struct plan_func *pf, uint32_t w, struct err *reterr)
{
	struct arena *a = pf->arena;
	const struct patch_window *win = &pf->wins[w];
	struct patch_move moves[PATCH_MOVES(PATCH_WINDOW_MAX) + 1];
	uint32_t move_cnt;
	struct put put = { j, pf, reterr };
	const struct patch_bodies bodies = { put_body, &put };
	int n = patch_emit(win, w, pf->addr, pf->anchors, pf->anchor_cnt, &bodies, win->tramp, a->code + (win->tramp - a->addr),
			   win->tramp_max, moves, &move_cnt, reterr);
	if (n < 0)
		return n;
	if (win->landing)
		moves[move_cnt++] = (struct patch_move){ win->addr, win->landing };
	else if (win->form == PATCH_HOLE)
		moves[move_cnt++] = (struct patch_move){ win->addr, win->hole_addr };
	remember(j, pf, win, moves, move_cnt);
	return 0;
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

static int make_funcs(struct job *j, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 0; i < j->func_cnt && !r; i++)
		if (plan_has_windows(&j->funcs[i]))
			r = make_func(j, &j->funcs[i], reterr);
	return r;
}

struct half {
	struct job *j;
	int (*fn)(struct job *, struct err *);
	int r;
	struct err err;
};

static void run_half(void *arg)
{
	struct half *h = arg;
	h->r = h->fn(h->j, &h->err);
}

/* Whoever stops the process has to be the thread that is its tracer.  What is made hardly needs it: the second thread may read its memory
 * by target_read(), which no stop is for (the code behind a place whose body stands in its trampoline: spots_dead()), and that reads the same
 * before, while and after it is copied.  It may neither use t->inj nor write. */
static int make_beside(struct job *j, struct err *reterr)
{
	struct half h[] = { { .j = j, .fn = copies_make }, { .j = j, .fn = make_funcs } };
	crew_run(run_half, h, sizeof(h[0]), ARRAY_CNT(h));
	const struct half *bad = h[1].r ? &h[1] : &h[0];
	if (bad->r && reterr)
		*reterr = bad->err;
	return bad->r;
}

/* It stands when this begins; then @stays says.  Only puns need memory that is not mapped yet, where they lead. */
static int make_jumps(struct job *j, bool stays, struct err *reterr)
{
	struct inject *inj = j->t->inj;
	int r = stays ? 0 : inject_resume(inj, reterr);
	bool puns = !r && (r = jumps_make(j, reterr)) > 0;
	if (puns)
		r = stays ? 0 : inject_stop(inj, reterr);
	if (puns && !r)
		r = jumps_land(j, reterr);
	return r ? r : stays ? inject_settle(inj, reterr) : inject_resume(inj, reterr);
}

/* ---- commit ---- */

/* @back: from the jumps to what stood there; but where threads run on, one may stand in a hole. */
static struct edit *make_edits(const struct job *j, bool back, uint32_t *ret_cnt, struct err *reterr)
{
	bool live = inject_is_live(j->t->inj);
	struct edit *e = malloc((j->write_cnt + 1ul) * sizeof(*e));
	if (!e)
		job_no_memory(reterr);
	*ret_cnt = 0;
	for (uint32_t i = 0; e && i < j->write_cnt; i++) {
		const struct write *w = &j->writes[i];
		if (!back || !live || !w->is_hole)
			e[(*ret_cnt)++] = (struct edit){ w->addr, w->cnt, w->cnt, back ? w->bytes : w->old, back ? w->old : w->bytes,
							  edits_phase(w->bytes[0], w->cnt, back), !back };
	}
	return e;
}

/* What was written goes back: a target is armed or it is not. */
static void roll_back(struct job *j)
{
	const struct edit *miss;
	uint32_t cnt;
	struct edit *e = make_edits(j, true, &cnt, NULL);
	if (e)
		edits_apply(j->t->inj, e, cnt, true, &miss, NULL);
	free(e);
	j->t->sema_cnt = j->first_sema; /* none of them was raised */
}

/* What takes its time and needs nobody to stand still. */
struct ready {
	struct edit *e;
	uint32_t cnt;
	struct places *places;
	uint32_t placed_cnt; /* as many as there were then */
};

static void ready_deinit(struct ready *r)
{
	threads_places_free(r->places);
	free(r->e);
	*r = (struct ready){ 0 };
}

static int ready_init(struct ready *r, const struct job *j, struct err *reterr)
{
	r->placed_cnt = j->t->placed_cnt;
	r->e = make_edits(j, false, &r->cnt, reterr);
	r->places = r->e ? threads_places(j->t, j->first_placed, j->first_move) : NULL;
	if (r->e)
		edits_order(r->e, r->cnt);
	return r->places ? 0 : job_no_memory(reterr);
}

/* Some were dropped since. */
static int ready_again(struct ready *r, const struct job *j, struct err *reterr)
{
	if (r->placed_cnt == j->t->placed_cnt)
		return 0;
	ready_deinit(r);
	return ready_init(r, j, reterr);
}

static int commit(struct job *j, const struct ready *rd, struct err *reterr)
{
	const struct edit *miss = NULL;
	int r = edits_apply(j->t->inj, rd->e, rd->cnt, false, &miss, reterr);
	if (!r && miss)
		r = err_setf(reterr, -EAGAIN, "the code at 0x%llx changed meanwhile (a library was unloaded, or another tool "
			     "patches it): nothing was armed", (unsigned long long)miss->addr);
	if (!r)
		r = threads_move_in(j->t, rd->places, reterr);
	if (!r) {
		j->written = true;
		r = edits_apply(j->t->inj, rd->e, rd->cnt, true, &miss, reterr);
		if (r)
			roll_back(j);
		else
			semas_raise(j->t, j->first_sema);
	}
	if (!r)
		r = inject_sync_core(j->t->inj, reterr);
	if (!r)
		r = inject_settle(j->t->inj, reterr);
	return r;
}

/* Nothing was written: forget what was made. */
static void forget(struct job *j)
{
	j->t->placed_cnt = j->first_placed;
	j->t->move_cnt = j->first_move;
	j->t->sema_cnt = j->first_sema;
	j->write_cnt = j->armed = 0;
	if (j->s->budget)
		budget_forget(j->s->budget, j->first_site);
	j->s->shm->site_cnt = j->first_site;
	spots_drop(j);
}

/* Libraries may go while it is planned and made. */
static bool drop_unloaded(struct job *j)
{
	bool any = false;
	for (uint32_t i = 0; i < j->func_cnt; i++) {
		if (!plan_has_windows(&j->funcs[i]) || j->funcs[i].mod->end)
			continue;
		job_drop(j, &j->funcs[i], JOB_UNLOADED);
		any = true;
	}
	return any;
}

#define ONE_STOP_FUNCS 16u
#define ONE_STOP_BODIES (BODY_ROOM + (128u << 10)) /* by body_bytes(), which is generous */

/* What is made sooner than a program is stopped again is made while it stands. */
static bool is_small(const struct job *j)
{
	uint64_t bodies = body_bytes(j);
	for (uint32_t i = 0; i < j->func_cnt; i++)
		bodies += spots_cold_bytes(j, &j->funcs[i]); /* each of them is made by itself */
	return j->func_cnt <= ONE_STOP_FUNCS && bodies <= ONE_STOP_BODIES;
}

/* *ret_again: what is left of the job may be placed. */
static int place(struct job *j, bool *ret_again, struct err *reterr)
{
	struct target *t = j->t;
	struct ready ready = { 0 };
	j->first_sema = t->sema_cnt;
	j->first_site = j->s->shm->site_cnt;
	*ret_again = false;
	tighten(j);
	spots_plan(j);
	bool was_stopped = t->inj != NULL, stays = was_stopped || is_small(j);
	int r = was_stopped ? 0 : target_stop(t, reterr);
	if (!r)
		r = map_arenas(j, reterr);
	if (r == -ENOSPC && spots_drop(j))
		r = map_arenas(j, reterr);
	if (!r)
		r = make_jumps(j, stays, reterr);
	if (!r && reserve(j))
		r = job_no_memory(reterr);
	if (!r)
		r = !stays && copies_worth(j) ? make_beside(j, reterr) : make_funcs(j, reterr);
	if (!r)
		r = ready_init(&ready, j, reterr);
	if (!r && !stays)
		r = inject_stop(t->inj, reterr);
	if (!r)
		r = goscan_check(j, reterr);
	if (!r)
		r = ready_again(&ready, j, reterr);
	bool planned = !r;
	if (!r)
		r = commit(j, &ready, reterr);
	ready_deinit(&ready);
	if (!planned || (r == -EAGAIN && !j->written))
		forget(j);
	if (r == -EAGAIN && !j->written && !j->again)
		*ret_again = !obj_proc_refresh(t->obj, NULL) && drop_unloaded(j);
	if (!was_stopped)
		target_go(t);
	return r;
}

/* Each time there is a library less. */
int job_place(struct job *j, struct err *reterr)
{
	bool again;
	int r;
	do
		r = place(j, &again, reterr);
	while (again);
	return r;
}
