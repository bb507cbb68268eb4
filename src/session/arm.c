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
#include "session/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GO_TRIES 3

/*
 * The loader's own notice of a change is our first probe in every process that has a loader.  In a program that we
 * start, glibc's gives that notice when its libraries have run already a little (__libc_early_init); this is
 * called before, when all are mapped and relocated.
 */
static const struct probe hooks[] = {
	{ .prov = "dyntrace", .mod = "", .func = "_dl_debug_state", .name = "loader", .kind = WIRE_SITE_HOOK },
	{ .prov = "dyntrace", .mod = "", .func = "_dl_allocate_tls_init", .name = "loader", .kind = WIRE_SITE_HOOK },
};

static struct obj_module *loader_of(const struct target *t)
{
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++)
		if (obj_module_at(t->obj, i)->is_loader)
			return obj_module_at(t->obj, i);
	return NULL;
}

static int plan_hooks(struct job *j, struct err *reterr)
{
	struct obj_module *m = loader_of(j->t);
	int r = 0;
	for (uint32_t i = 0; i < j->probe_cnt && m && !r; i++) {
		struct plan_func what = { .mod = m };
		if (obj_module_find(j->t->obj, m, hooks[i].func, &what.addr, &what.bytes))
			continue;
		r = job_plan_func(j, &what, &i, 1, reterr);
	}
	return r;
}

/* Whether anything of ours leads away from that function now. */
static bool is_placed(const struct target *t, uint64_t func)
{
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		if (t->placed[i].func == func)
			return true;
	return false;
}

/* The first of hooks[] is the one that matters. */
static void note_hook(struct target *t, uint64_t addr)
{
	if (!is_placed(t, addr))
		return;
	if (!t->hook_addr)
		t->hook_addr = addr;
	else
		t->early_addr = addr;
}

static int add_hook(struct job *j, struct err *reterr)
{
	struct target *t = j->t;
	static const struct session_probe probes[ARRAY_CNT(hooks)] = { { .probe = &hooks[0] }, { .probe = &hooks[1] } };
	if (t->hook_addr || j->has_hooks)
		return 0;
	struct job hj = { .s = j->s, .t = t, .probes = probes, .probe_cnt = t->is_child ? 2 : 1, .first_placed = t->placed_cnt,
			  .first_move = t->move_cnt };
	int r = plan_hooks(&hj, reterr);
	if (!r && hj.func_cnt)
		r = job_place(&hj, reterr);
	for (uint32_t i = 0; i < hj.func_cnt && !r; i++)
		note_hook(t, hj.funcs[i].addr);
	job_free(&hj);
	return r;
}

/* ---- with the first probes of all, where these are few and elsewhere: each job stops the program by itself ---- */

struct hook_probes {
	struct probe v[ARRAY_CNT(hooks)];
	uint32_t cnt;
};

static void find_hooks(struct target *t, struct hook_probes *ret)
{
	struct obj_module *m = loader_of(t);
	ret->cnt = 0;
	for (uint32_t i = 0; m && i < (t->is_child ? 2 : 1); i++) {
		struct probe *p = &ret->v[ret->cnt];
		*p = hooks[i];
		p->module = m;
		ret->cnt += !obj_module_find(t->obj, m, p->func, &p->func_addr, &p->func_bytes);
	}
}

static bool asks_of(const struct job *j, const struct request *req, uint32_t cnt, const struct obj_module *m)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (j->probes[req[i].probe].probe->module == m)
			return true;
	return false;
}

#define FEW 64 /* so many are planned twice at no cost worth a word */

/* @v and @req have room for them; how many requests there are now. */
static uint32_t join_hooks(struct job *j, struct session_probe *v, struct request *req, uint32_t cnt, struct hook_probes *h)
{
	if (j->t->hook_addr || !cnt || cnt > FEW)
		return cnt;
	find_hooks(j->t, h);
	if (!h->cnt || asks_of(j, req, cnt, h->v[0].module))
		return cnt;
	for (uint32_t i = 0; i < h->cnt; i++) {
		v[j->probe_cnt] = (struct session_probe){ .probe = &h->v[i], .proc = j->t->proc };
		req[cnt++] = (struct request){ h->v[i].func_addr, j->probe_cnt++ };
	}
	j->has_hooks = true;
	qsort(req, cnt, sizeof(*req), job_compare_requests);
	return cnt;
}

int arm_hook(struct target *t, struct err *reterr)
{
	struct job j = { .s = t->s, .t = t };
	return add_hook(&j, reterr);
}

/* Where children are followed, the libc's (or a static program's) call of the kernel is a probe of ours, too. */
static int add_exec_hook(struct target *t, struct err *reterr)
{
	static const struct probe hook = { .prov = "dyntrace", .mod = "", .func = "execve", .name = "exec", .kind = WIRE_SITE_HOOK };
	static const uint32_t helper[] = { IR_HELPER_hook_exec };
	static const struct session_probe probe = { .probe = &hook, .progs = helper, .prog_cnt = 1 };
	int r = 0;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj) && !t->exec_addr && !r; i++) {
		struct plan_func what = { .mod = obj_module_at(t->obj, i) };
		uint32_t zero = 0;
		if (what.mod->is_loader || what.mod->is_vdso || !what.mod->end ||
		    obj_module_find(t->obj, what.mod, "execve", &what.addr, &what.bytes))
			continue;
		struct job j = { .s = t->s, .t = t, .probes = &probe, .probe_cnt = 1, .first_placed = t->placed_cnt,
				 .first_move = t->move_cnt };
		r = job_plan_func(&j, &what, &zero, 1, reterr);
		if (!r)
			r = job_place(&j, reterr);
		if (!r && is_placed(t, what.addr))
			t->exec_addr = what.addr;
		job_free(&j);
	}
	return r;
}

/* Requests for what the job has postponed. */
static uint32_t postponed(const struct job *j, const struct request *req, uint32_t cnt, struct request *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < j->func_cnt && j->postponed_cnt; i++) {
		const struct plan_func *pf = &j->funcs[i];
		for (uint32_t k = 0; k < cnt && pf->postponed; k++)
			if (req[k].func == (pf->whole ? pf->whole : pf->addr))
				ret[n++] = req[k];
	}
	if (n)
		qsort(ret, n, sizeof(*ret), job_compare_requests);
	return n;
}

static int plan_and_place(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	const struct job empty = *j;
	j->first_placed = j->t->placed_cnt;
	j->first_move = j->t->move_cnt;
	int r = job_plan(j, req, cnt, reterr);
	if (!r)
		r = job_place(j, reterr);
	if (r != -EAGAIN || !j->again)
		return r;
	/* As if they might be anywhere. */
	job_free(j);
	*j = empty;
	j->first_placed = j->t->placed_cnt;
	j->first_move = j->t->move_cnt;
	r = job_plan(j, req, cnt, reterr);
	return r ? r : job_place(j, reterr);
}

/* Functions in which goroutines stood, with what is known of them now; at last as if they might be anywhere in them. */
static int place_postponed(struct job *j, const struct request *req, uint32_t cnt, int tries, struct err *reterr)
{
	struct request *left = malloc((cnt + 1ul) * sizeof(*left));
	uint32_t n = left ? postponed(j, req, cnt, left) : 0;
	struct job next = { .s = j->s, .t = j->t, .probes = j->probes, .probe_cnt = j->probe_cnt, .refused = j->refused,
			    .refused_arg = j->refused_arg, .told = tries < GO_TRIES };
	j->t->go_known &= tries < GO_TRIES;
	int r = left ? plan_and_place(&next, left, n, reterr) : job_no_memory(reterr);
	if (!r && next.postponed_cnt)
		r = place_postponed(&next, left, n, tries + 1, reterr);
	j->armed += next.armed;
	job_free(&next);
	free(left);
	return r;
}

static int arm_target(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	j->t->go_known = false; /* what all_refused() saw may be of long ago */
	int r = add_hook(j, reterr);
	if (!r && j->s->opts.follow && !j->s->opts.forks_only)
		r = add_exec_hook(j->t, reterr);
	if (!r)
		goscan_begin(j->t);
	if (!r)
		r = plan_and_place(j, req, cnt, reterr);
	if (!r && j->postponed_cnt)
		r = place_postponed(j, req, cnt, 0, reterr);
	if (!r && j->s->uses_stacks)
		r = unwind_update(j->t, reterr);
	job_free(j);
	return r;
}

/* Whether each place that is asked for would be refused: then nothing of ours is to be written, either.  Planning alone
 * changes nothing. */
static bool all_refused(const struct job *like, const struct request *req, uint32_t cnt, uint32_t asked)
{
	struct job j = { .s = like->s, .t = like->t, .probes = like->probes, .probe_cnt = like->probe_cnt };
	bool any = false;
	for (uint32_t i = 0; i < cnt && !any; i++)
		any = req[i].probe < asked;
	bool none = any && cnt <= FEW && !j.t->hook_addr;
	if (none)
		goscan_begin(j.t);
	none = none && !job_plan(&j, req, cnt, NULL);
	for (uint32_t i = 0; i < j.func_cnt && none; i++)
		for (uint32_t k = 0; k < j.funcs[i].anchor_cnt && none; k++)
			none = j.funcs[i].anchors[k].refusal || j.funcs[i].probe_of[k] >= asked;
	job_free(&j);
	return none;
}

static int tell_refused(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	int r = job_plan(j, req, cnt, reterr);
	job_free(j);
	return r;
}

/* The probes of @t, and guards with them: they may ask for the same functions. */
static int arm_with_guards(struct session *s, struct target *t, const struct session_probe *probes, uint32_t cnt,
			   session_refused_fn *refused, void *arg, uint32_t *ret_armed, struct err *reterr)
{
	uint32_t scanned = t->guard_scanned, first = guards_find(t), n = 0, all = cnt;
	bool none = false;
	struct hook_probes h = { .cnt = 0 };
	struct session_probe *v = malloc((cnt + t->guard_cnt - first + 1ul + ARRAY_CNT(hooks)) * sizeof(*v));
	struct request *req = malloc((cnt + t->guard_cnt - first + 1ul + ARRAY_CNT(hooks)) * sizeof(*req));
	int r = v && req ? 0 : job_no_memory(reterr);
	if (!r && cnt)
		memcpy(v, probes, cnt * sizeof(*v));
	for (uint32_t i = first; i < t->guard_cnt && !r; i++)
		v[all++] = guard_request(t, i);
	for (uint32_t i = 0; i < all && !r; i++)
		if (v[i].proc == t->proc)
			req[n++] = (struct request){ v[i].probe->func_addr, i };
	struct job j = { .s = s, .t = t, .probes = v, .probe_cnt = all, .refused = refused, .refused_arg = arg };
	if (!r && (n || !t->hook_addr || (s->opts.follow && !s->opts.forks_only && !t->exec_addr))) {
		base_sort(req, n, sizeof(*req), job_compare_requests);
		none = all_refused(&j, req, n, cnt);
		n = none ? n : join_hooks(&j, v, req, n, &h);
		r = none ? tell_refused(&j, req, n, reterr) : arm_target(&j, req, n, reterr);
		*ret_armed += j.armed;
	}
	for (uint32_t i = 0; i < h.cnt && j.has_hooks && !r; i++)
		note_hook(t, h.v[i].func_addr);
	if (r || none) { /* they are looked for again */
		t->guard_cnt = first;
		t->guard_scanned = scanned;
	}
	free(req);
	free(v);
	return r;
}

static int arm_tool(struct session *s, const struct session_probe *probes, uint32_t cnt, struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (!probes[i].proc && probes[i].probe->kind == WIRE_SITE_TOOL && !session_tool_site(s, probes[i].probe->id) &&
		    session_site_add(s, probes[i].probe, 0, WIRE_SITE_TOOL) == WIRE_NONE)
			return err_setf(reterr, -ENOSPC, "too many probes");
	return 0;
}

int session_arm(struct session *s, const struct session_probe *probes, uint32_t cnt, session_refused_fn *refused, void *arg,
		uint32_t *ret_site_cnt, struct err *reterr)
{
	uint32_t armed = 0;
	int r = arm_tool(s, probes, cnt, reterr);
	if (!r && s->kern)
		r = skern_arm(s, probes, cnt, &armed, reterr);
	for (uint32_t p = 1; p < s->target_cnt && !r; p++) {
		struct target *t = s->targets[p];
		if (!t || t->gone || t->is_fork || (t->is_watched && !s->opts.uprobes))
			continue;
		/* The loader's probe stays a jump, where anything of ours is in the process. */
		if (!t->is_watched)
			r = arm_with_guards(s, t, probes, s->opts.uprobes ? 0 : cnt, refused, arg, &armed, reterr);
		if (!r && s->opts.uprobes)
			r = uprobes_arm(s, t, probes, cnt, refused, arg, &armed, reterr);
		if (r == -ESRCH)
			r = 0; /* it ended meanwhile: session_wait() tells */
	}
	if (!r)
		*ret_site_cnt = armed;
	return r;
}

uint32_t session_failed_clause(const struct session *s)
{
	return s->kern ? skern_failed_clause(s->kern) : WIRE_NONE;
}
