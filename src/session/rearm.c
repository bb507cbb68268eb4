/* SPDX-License-Identifier: MIT */
/*
 * Exchanging the probes of functions that have some, under one stop:
 *
 *   windows of the functions, and of those whose jumps share bytes with them, go
 *   what is to be there is planned, made and written as ever
 *
 * Where somebody else's place would be lost by that (a landing of its is still taken by the trampoline that went, say), all is put back as
 * it stood.
 *
 * Trampolines that went stay mapped: a thread in one runs it to its end, and from there jumps behind the window that
 * was.  So that address counts as one that may be jumped to for as long as the session lasts.
 */
#include "session/arm_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that a placed window needs: its own, and those of its hole. */
struct span {
	uint64_t lo, hi;
};

static uint32_t spans_of(const struct placed *p, struct span ret[2])
{
	uint32_t n = 0;
	ret[n++] = (struct span){ p->addr, p->addr + (p->claim > p->bytes ? p->claim : p->bytes) };
	if (p->jump_bytes == 2 && p->jump[0] == 0xeb) {
		uint64_t hole = p->addr + 2 + (uint64_t)(int64_t)(int8_t)p->jump[1];
		ret[n++] = (struct span){ hole, hole + JUMP_BYTES };
	}
	return n;
}

static bool touch(const struct placed *a, const struct placed *b)
{
	struct span x[2], y[2];
	uint32_t xn = spans_of(a, x), yn = spans_of(b, y);
	for (uint32_t i = 0; i < xn; i++)
		for (uint32_t k = 0; k < yn; k++)
			if (x[i].lo < y[k].hi && y[k].lo < x[i].hi)
				return true;
	return false;
}

static bool is_hook(const struct target *t, uint64_t func)
{
	return func == t->hook_addr || func == t->early_addr || func == t->exec_addr;
}

static bool has(const uint64_t *v, uint32_t cnt, uint64_t what)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (v[i] == what)
			return true;
	return false;
}

/* Those that depend on some that go, go too, with all of their function; true: there were some. */
static bool spread(const struct target *t, bool *goes)
{
	bool any = false;
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		for (uint32_t k = 0; k < t->placed_cnt && !goes[i]; k++) {
			const struct placed *a = &t->placed[i], *b = &t->placed[k];
			if (!goes[k] || is_hook(t, a->func) || (a->func != b->func && !touch(a, b)))
				continue;
			goes[i] = any = true;
		}
	return any;
}

/* How many windows go. */
static uint32_t choose(const struct target *t, const uint64_t *funcs, uint32_t cnt, bool *goes)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		goes[i] = has(funcs, cnt, t->placed[i].func) && !is_hook(t, t->placed[i].func);
	while (spread(t, goes))
		;
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		n += goes[i];
	return n;
}

static int restore(struct target *t, const bool *goes, struct err *reterr)
{
	static const uint8_t jump[] = { 0xe9 };
	struct edit *e = malloc((2ul * t->placed_cnt + 1) * sizeof(*e));
	const struct edit *miss;
	uint32_t n = 0;
	if (!e)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		const struct placed *p = &t->placed[i];
		if (!goes[i])
			continue;
		e[n++] = (struct edit){ p->addr, p->bytes, p->jump_bytes, p->jump, p->old, edits_phase(p->jump[0], p->bytes, true) };
		if (p->hole_addr && !t->link)
			e[n++] = (struct edit){ p->hole_addr, sizeof(p->hole_old), sizeof(jump), jump, p->hole_old, 1 };
	}
	int r = edits_apply(t->inj, e, n, true, &miss, reterr);
	free(e);
	return r;
}

/* A thread on its way, between a short jump and the long one in its hole, goes back to where the short one was. */
static void leave_holes(struct target *t)
{
	for (uint32_t i = 0; i < inject_thread_cnt(t->inj); i++) {
		struct user_regs_struct regs;
		if (inject_get_regs(t->inj, i, &regs, NULL) || arena_has(t, regs.rip))
			continue;
		for (uint64_t m = 0; m < t->move_cnt; m++)
			if (t->moves[m].to == regs.rip) {
				regs.rip = t->moves[m].from;
				inject_set_regs(t->inj, i, &regs, NULL);
				break;
			}
	}
}

/* Windows that went are none any more: but their trampolines lead back to where they were, and children have them yet. */
static int retire(struct target *t, const bool *goes, struct err *reterr)
{
	uint64_t *more = realloc(t->retired, (t->retired_cnt + t->placed_cnt + 1ul) * sizeof(*more));
	t->retired = more ? more : t->retired;
	struct placed *went = realloc(t->went, (t->went_cnt + t->placed_cnt + 1ul) * sizeof(*went));
	t->went = went ? went : t->went;
	uint32_t n = 0;
	if (!more || !went)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < t->placed_cnt && t->link; i++)
		if (goes[i] && t->placed[i].hole_addr && holes_keep(t, &t->placed[i]))
			return job_no_memory(reterr);
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		uint64_t end = t->placed[i].addr + t->placed[i].bytes;
		if (!goes[i])
			t->placed[n++] = t->placed[i];
		else
			t->went[t->went_cnt++] = t->placed[i];
		if (goes[i] && !has(t->retired, t->retired_cnt, end))
			t->retired[t->retired_cnt++] = end;
	}
	t->placed_cnt = n;
	return 0;
}

struct were {
	struct placed *v; /* windows that went */
	uint32_t cnt;
};

struct exchange {
	struct session *s;
	struct target *t;
	uint64_t *funcs; /* whose windows go */
	uint32_t func_cnt;
	session_refused_fn *refused;
	void *arg;
	struct were were;    /* owned while it is exchanged */
	uint32_t first_site; /* of what comes */
	struct noted {       /* refusals, until it is known whether it stays so */
		struct session_refusal what;
		char *why; /* owned */
	} *noted;
	uint32_t noted_cnt;
};

/* ---- what is lost by it ---- */

static void note(void *arg, const struct session_refusal *what)
{
	struct exchange *x = arg;
	struct noted *v = realloc(x->noted, (x->noted_cnt + 1ul) * sizeof(*v));
	if (!v)
		return;
	x->noted = v;
	v[x->noted_cnt++] = (struct noted){ *what, strdup(what->why) };
}

static bool is_asked_for(const struct wire_site *site)
{
	return site->enabled && site->kind != WIRE_SITE_HOOK && site->kind != WIRE_SITE_GUARD && site->kind != WIRE_SITE_TOOL;
}

/* Sites are of all processes, and another program may have the same addresses. */
static bool was_placed(const struct were *w, uint64_t addr)
{
	for (uint32_t i = 0; i < w->cnt; i++)
		if (addr - w->v[i].addr < w->v[i].bytes)
			return true;
	return false;
}

static bool was_armed(const struct exchange *x, const struct session_refusal *r)
{
	for (uint32_t i = 0; i < x->first_site && was_placed(&x->were, r->addr); i++) {
		const struct wire_site *site = session_site(x->s, i);
		if (site->probe_id == r->probe->id && site->addr == r->addr && is_asked_for(site))
			return true;
	}
	return false;
}

static bool any_lost(const struct exchange *x)
{
	for (uint32_t i = 0; i < x->noted_cnt; i++)
		if (!x->noted[i].what.has_no_return && was_armed(x, &x->noted[i].what))
			return true;
	return false;
}

/* @undone: what was armed is so again. */
static void tell_noted(struct exchange *x, bool undone)
{
	for (uint32_t i = 0; i < x->noted_cnt; i++) {
		struct session_refusal *r = &x->noted[i].what;
		r->why = x->noted[i].why ? x->noted[i].why : "out of memory";
		if (x->refused && !(undone && was_armed(x, r)))
			x->refused(x->arg, r);
	}
}

/* Sites of probes that are wanted no more fire no more, though their jumps stay: how many. */
static uint32_t silence(struct exchange *x, const struct session_probe *probes, uint32_t cnt)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < x->first_site; i++) {
		struct wire_site *site = session_site(x->s, i);
		bool wanted = !is_asked_for(site) || !has(x->funcs, x->func_cnt, site->func_addr);
		for (uint32_t k = 0; k < cnt && !wanted; k++)
			wanted = probes[k].probe->id == site->probe_id;
		if (!wanted) {
			STORE_RELEASE(&site->enabled, 0);
			if (!n++ && !x->s->opts.follow) /* else each hit looks at its site */
				target_forget_main(x->t);
		}
	}
	return n;
}

static int arm_again(struct exchange *x, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_armed, struct err *reterr)
{
	struct target *t = x->t;
	uint32_t all = 0, n = 0;
	struct session_probe *v = malloc((cnt + t->guard_cnt + 1ul) * sizeof(*v));
	struct request *req = malloc((cnt + t->guard_cnt + 1ul) * sizeof(*req));
	int r = v && req ? 0 : job_no_memory(reterr);
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (probes[i].proc == t->proc && has(x->funcs, x->func_cnt, probes[i].probe->func_addr))
			v[all++] = probes[i];
	for (uint32_t i = 0; i < t->guard_cnt && !r; i++)
		if (has(x->funcs, x->func_cnt, t->guards[i].func_addr))
			v[all++] = guard_request(t, i);
	for (; n < all; n++)
		req[n] = (struct request){ v[n].probe->func_addr, n };
	struct job j = { .s = x->s, .t = t, .probes = v, .probe_cnt = all, .refused = note, .refused_arg = x,
			 .first_placed = t->placed_cnt, .first_move = t->move_cnt };
	if (!r && n)
		qsort(req, n, sizeof(*req), job_compare_requests);
	r = r ? r : job_plan(&j, req, n, reterr);
	r = r ? r : job_place(&j, reterr);
	*ret_armed = j.armed;
	job_free(&j);
	free(req);
	free(v);
	return r;
}

/* ---- and put back ---- */

static int remember(const struct target *t, const bool *goes, struct were *ret, struct err *reterr)
{
	*ret = (struct were){ malloc((t->placed_cnt + 1ul) * sizeof(*ret->v)), 0 };
	for (uint32_t i = 0; ret->v && i < t->placed_cnt; i++)
		if (goes[i])
			ret->v[ret->cnt++] = t->placed[i];
	return ret->v ? 0 : job_no_memory(reterr);
}

static int take_out(struct target *t, const bool *goes, struct err *reterr)
{
	const uint32_t sema_cnt = t->sema_cnt;
	semas_leave(t, goes);
	int r = restore(t, goes, reterr);
	if (r) {
		semas_stay(t, sema_cnt);
		return r;
	}
	leave_holes(t);
	return retire(t, goes, reterr);
}

/* Behind the first @kept windows are those that came. */
static int take_new_out(struct target *t, uint32_t kept, struct err *reterr)
{
	bool *goes = calloc(t->placed_cnt + 1ul, sizeof(*goes));
	for (uint32_t i = kept; goes && i < t->placed_cnt; i++)
		goes[i] = true;
	int r = !goes ? job_no_memory(reterr) : kept < t->placed_cnt ? take_out(t, goes, reterr) : 0;
	free(goes);
	return r;
}

static int write_again(struct target *t, const struct were *w, struct err *reterr)
{
	struct edit *e = malloc((2ul * w->cnt + 1) * sizeof(*e));
	const struct edit *miss;
	uint32_t n = 0;
	if (!e)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < w->cnt; i++) {
		const struct placed *p = &w->v[i];
		const struct hole *h = t->link && p->hole_addr ? holes_at(t, p->hole_addr) : NULL;
		e[n++] = (struct edit){ p->addr, p->jump_bytes, p->jump_bytes, p->old, p->jump, edits_phase(p->jump[0], p->bytes, false), true };
		if (p->hole_addr)
			e[n++] = (struct edit){ p->hole_addr, JUMP_BYTES, JUMP_BYTES, h ? h->now : p->hole_old, p->hole_new, 0, true };
	}
	int r = edits_apply(t->inj, e, n, true, &miss, reterr);
	free(e);
	return r;
}

/* Their trampolines never went. */
static int put_back(struct exchange *x, uint32_t kept, struct err *reterr)
{
	const struct were *w = &x->were;
	struct target *t = x->t;
	int r = take_new_out(t, kept, reterr);
	struct placed *more = r ? NULL : realloc(t->placed, (t->placed_cnt + w->cnt + 1ul) * sizeof(*more));
	if (!more)
		return r ? r : job_no_memory(reterr);
	t->placed = more;
	r = write_again(t, w, reterr);
	for (uint32_t i = 0; i < w->cnt; i++) {
		more[t->placed_cnt++] = w->v[i]; /* on failure, too: some of them may stand */
		if (!r && t->link && w->v[i].hole_addr && holes_keep(t, &w->v[i]))
			r = job_no_memory(reterr);
		if (!r && semas_return(t, &w->v[i], x->first_site))
			r = job_no_memory(reterr);
	}
	for (uint32_t i = x->first_site; i < x->s->shm->site_cnt; i++) {
		struct wire_site *site = session_site(x->s, i);
		STORE_RELEASE(&site->enabled, 0);
		site->probe_id = 0;
	}
	return r;
}

/* 0: it stays as it is; or nothing of it does. */
static int settle(struct exchange *x, uint32_t kept, const struct session_probe *probes, uint32_t cnt, int r, uint32_t *ret_armed,
		  struct err *reterr)
{
	struct err e;
	if (!r && !any_lost(x)) {
		if (x->s->opts.follow) /* children have the jumps yet */
			silence(x, probes, cnt);
		tell_noted(x, false);
		return 0;
	}
	if (r == -ESRCH)
		return r;
	int back = put_back(x, kept, &e);
	if (back)
		return r ? r : err_setf(reterr, back, "%s", e.msg);
	inject_sync_core(x->t->inj, NULL);
	tell_noted(x, true);
	*ret_armed = 0;
	if (r || silence(x, probes, cnt))
		return r;
	return err_setf(reterr, -EBUSY, "another place in the same function could not be traced any more then: nothing was changed");
}

static int exchange(struct exchange *x, const bool *goes, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_armed,
		    struct err *reterr)
{
	struct target *t = x->t;
	x->first_site = x->s->shm->site_cnt;
	int r = remember(t, goes, &x->were, reterr);
	r = r ? r : target_stop(t, reterr);
	if (r) {
		free(x->were.v);
		return r;
	}
	r = take_out(t, goes, reterr);
	if (!r) {
		uint32_t kept = t->placed_cnt;
		r = arm_again(x, probes, cnt, ret_armed, reterr);
		r = settle(x, kept, probes, cnt, r, ret_armed, reterr);
	}
	free(x->were.v);
	/* The old text is back in any case. */
	if (r && t->inj)
		inject_sync_core(t->inj, NULL);
	target_go(t);
	return r;
}

/* @funcs, and those of windows that go with them. */
static int list_funcs(struct exchange *x, const uint64_t *funcs, uint32_t cnt, const bool *goes, struct err *reterr)
{
	x->funcs = malloc((cnt + x->t->placed_cnt + 1ul) * sizeof(*x->funcs));
	if (!x->funcs)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < cnt; i++)
		x->funcs[x->func_cnt++] = funcs[i];
	for (uint32_t i = 0; i < x->t->placed_cnt; i++)
		if (goes[i] && !has(x->funcs, x->func_cnt, x->t->placed[i].func))
			x->funcs[x->func_cnt++] = x->t->placed[i].func;
	return 0;
}

/* Nothing of them is armed yet. */
static int arm_fresh(struct exchange *x, const struct session_probe *probes, uint32_t cnt, uint32_t *ret, struct err *reterr)
{
	struct session_probe *v = malloc((cnt + 1ul) * sizeof(*v));
	uint32_t n = 0;
	if (!v)
		return job_no_memory(reterr);
	for (uint32_t i = 0; i < cnt; i++)
		if (probes[i].proc == x->t->proc && has(x->funcs, x->func_cnt, probes[i].probe->func_addr))
			v[n++] = probes[i];
	int r = session_arm(x->s, v, n, x->refused, x->arg, ret, reterr);
	free(v);
	return r;
}

int session_rearm(struct session *s, uint32_t proc, const uint64_t *funcs, uint32_t func_cnt, const struct session_probe *probes,
		  uint32_t cnt, session_refused_fn *refused, void *arg, uint32_t *ret_site_cnt, struct err *reterr)
{
	struct target *t = target_at(s, proc);
	if (!t || t->gone)
		return err_setf(reterr, -ESRCH, "the process has ended");
	struct exchange x = { .s = s, .t = t, .refused = refused, .arg = arg };
	bool *goes = calloc(t->placed_cnt + 1ul, sizeof(*goes));
	uint32_t armed = 0, n = goes ? choose(t, funcs, func_cnt, goes) : 0;
	int r = goes ? list_funcs(&x, funcs, func_cnt, goes, reterr) : job_no_memory(reterr);
	if (!r)
		r = n ? exchange(&x, goes, probes, cnt, &armed, reterr) : arm_fresh(&x, probes, cnt, &armed, reterr);
	if (!r && s->uses_stacks)
		r = unwind_update(t, reterr);
	if (!r)
		*ret_site_cnt = armed;
	for (uint32_t i = 0; i < x.noted_cnt; i++)
		free(x.noted[i].why);
	free(x.noted);
	free(x.funcs);
	free(goes);
	return r;
}
