/* SPDX-License-Identifier: MIT */
/*
 * Exchanging the probes of functions that have some, under one stop:
 *
 *   windows of the functions, and of those whose jumps share bytes with them, go
 *   what is to be there is planned, made and written as ever
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

/* Forgets the windows that went, but for where their trampolines lead back to. */
static int retire(struct target *t, const bool *goes, struct err *reterr)
{
	uint64_t *more = realloc(t->retired, (t->retired_cnt + t->placed_cnt + 1ul) * sizeof(*more));
	uint32_t n = 0;
	if (!more)
		return job_no_memory(reterr);
	t->retired = more;
	for (uint32_t i = 0; i < t->placed_cnt && t->link; i++)
		if (goes[i] && t->placed[i].hole_addr && holes_keep(t, &t->placed[i]))
			return job_no_memory(reterr);
	for (uint32_t i = 0; i < t->placed_cnt; i++) {
		uint64_t end = t->placed[i].addr + t->placed[i].bytes;
		if (!goes[i])
			t->placed[n++] = t->placed[i];
		else if (!has(t->retired, t->retired_cnt, end))
			t->retired[t->retired_cnt++] = end;
	}
	t->placed_cnt = n;
	return 0;
}

struct exchange {
	struct session *s;
	struct target *t;
	uint64_t *funcs; /* whose windows go */
	uint32_t func_cnt;
	session_refused_fn *refused;
	void *arg;
};

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
	struct job j = { .s = x->s, .t = t, .probes = v, .probe_cnt = all, .refused = x->refused, .refused_arg = x->arg,
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

static int exchange(struct exchange *x, const bool *goes, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_armed,
		    struct err *reterr)
{
	struct target *t = x->t;
	int r = target_stop(t, reterr);
	if (r)
		return r;
	r = restore(t, goes, reterr);
	if (!r) {
		leave_holes(t);
		r = retire(t, goes, reterr);
	}
	r = r ? r : arm_again(x, probes, cnt, ret_armed, reterr);
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
	free(x.funcs);
	free(goes);
	return r;
}
