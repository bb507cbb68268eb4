/* SPDX-License-Identifier: MIT */
/*
 * Probes of the kernel, armed: which programs there are, and where each is
 * attached.
 *
 *   all entries of system calls   one program at the tracepoint sys_enter, which finds the
 *                                 clauses by the call's number; all returns likewise
 *   functions                     see kern_funcs.c
 *   everything else               a program for each probe's place
 *
 * A call that two probes are about (execve: syscall and proc) is found in a
 * second program.
 */
#include "session/kern_int.h"

#include "ebpf/ebpf.h"
#include "kern/kern.h"
#include "rt/rt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct made {
	struct ir_prog prog;
	uint32_t clause;
	struct recipe_in in;
	struct made *next;
};

static int no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

/* ---- programs ---- */

int skern_prog(struct skern *k, uint32_t clause, const struct recipe_in *in, const struct ir_prog **ret, struct err *reterr)
{
	const struct ir_image *image = k->s->image;
	for (struct made *m = k->made; m; m = m->next) {
		*ret = &m->prog;
		if (m->clause == clause && m->in.recipe == in->recipe && m->in.is_exit == in->is_exit && m->in.cpu == in->cpu)
			return 0;
	}
	struct made *m = calloc(1, sizeof(*m));
	if (!m)
		return no_memory(reterr);
	int r = recipe_make(image, &image->progs[clause], in, &m->prog, reterr);
	if (r < 0) {
		free(m);
		return r;
	}
	m->clause = clause;
	m->in = *in;
	m->next = k->made;
	k->made = m;
	*ret = &m->prog;
	return 0;
}

static int instance_progs(struct skern *k, struct instance *in, struct err *reterr)
{
	/* The clock of one CPU fires nowhere else. */
	bool anywhere = in->place.at == PROBE_KERN_CLOCK || in->place.at == PROBE_KERN_COUNTER;
	const struct recipe_in how = { in->place.recipe, in->place.at == PROBE_KERN_EXIT, anywhere || !k->s->opts.one_cpu ? UINT32_MAX : k->s->opts.cpu };
	int r = 0;
	in->progs = calloc(in->sp->prog_cnt + 1ul, sizeof(*in->progs));
	if (!in->progs)
		return no_memory(reterr);
	for (uint32_t i = 0; i < in->sp->prog_cnt && !r; i++)
		r = skern_prog(k, in->sp->progs[i], &how, &in->progs[i], reterr);
	return r;
}

/* ---- loading ---- */

bool skern_same_progs(const struct instance *a, const struct instance *b)
{
	return a->sp->prog_cnt == b->sp->prog_cnt && !memcmp(a->progs, b->progs, a->sp->prog_cnt * sizeof(*a->progs));
}

/* Instances with the same clauses are cases of one group. */
static uint32_t make_groups(const struct bundle *b, struct ebpf_group *groups, struct ebpf_case *cases)
{
	uint32_t group_cnt = 0, case_cnt = 0;
	for (uint32_t i = 0; i < b->cnt; i++) {
		bool first = true;
		for (uint32_t k = 0; k < i && first; k++)
			first = !skern_same_progs(b->v[i], b->v[k]);
		if (!first)
			continue;
		struct ebpf_group *g = &groups[group_cnt++];
		*g = (struct ebpf_group){ .progs = b->v[i]->progs, .prog_cnt = b->v[i]->sp->prog_cnt, .cases = cases + case_cnt };
		if (b->fentry)
			skern_args_fentry(g, b->fentry, b->kind == EBPF_FEXIT);
		else
			skern_args(g, &b->v[i]->place);
		for (uint32_t k = i; k < b->cnt; k++)
			if (skern_same_progs(b->v[i], b->v[k])) {
				cases[case_cnt++] = (struct ebpf_case){ b->v[k]->place.nr, b->v[k]->site };
				g->case_cnt++;
			}
	}
	return group_cnt;
}

int skern_load(struct skern *k, const struct bundle *b, int *ret_fd, struct err *reterr)
{
	struct ebpf_group *groups = calloc(b->cnt, sizeof(*groups));
	struct ebpf_case *cases = calloc(b->cnt, sizeof(*cases));
	int r = groups && cases ? 0 : no_memory(reterr);
	if (!r) {
		struct ebpf_prog p = { .name = b->name, .kind = b->kind, .btf_id = b->fentry ? b->fentry->btf_id : b->btf_id, .key = b->key,
				       .groups = groups };
		p.group_cnt = make_groups(b, groups, cases);
		r = ebpf_load(k->e, &p, ret_fd, reterr);
	}
	free(groups);
	free(cases);
	return r;
}

int skern_serve(struct skern *k, struct instance *const *v, uint32_t cnt, const char *name, struct err *reterr)
{
	const struct bundle b = { v, cnt, name, skern_kind(v[0]->place.at), skern_key(v[0]->place.at), NULL,
				  skern_raw_type(v, cnt) };
	int fd, r = skern_load(k, &b, &fd, reterr);
	if (r < 0)
		return r;
	r = skern_fds_keep(&k->fds, fd, reterr);
	return r < 0 ? r : skern_attach(&k->fds, &k->s->opts, fd, &v[0]->place, reterr);
}

/* ---- instances ---- */

struct instances {
	struct instance *v;
	uint32_t cnt, cap;
};

static int instance_add(struct skern *k, struct instances *all, const struct session_probe *sp, struct probe_kern_place place,
			uint32_t site, struct err *reterr)
{
	if (place.at == PROBE_KERN_ENTER || place.at == PROBE_KERN_EXIT)
		place.nr = (uint32_t)kern_syscall_nr(place.name);
	if (place.at == PROBE_KERN_CLOCK && !place.period)
		place.period = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);
	if (all->cnt == all->cap) {
		uint32_t cap = all->cap ? all->cap * 2 : 64;
		struct instance *v = realloc(all->v, cap * sizeof(*v));
		if (!v)
			return no_memory(reterr);
		all->v = v;
		all->cap = cap;
	}
	struct instance *in = &all->v[all->cnt++];
	*in = (struct instance){ .sp = sp, .place = place, .site = site };
	for (uint32_t i = 0; i + 1 < all->cnt; i++) {
		const struct instance *o = &all->v[i];
		if (o->place.at == place.at && o->place.nr == place.nr && o->layer >= in->layer)
			in->layer = o->layer + 1;
	}
	return instance_progs(k, in, reterr);
}

static int instances_of(struct skern *k, struct instances *all, const struct session_probe *sp, struct err *reterr)
{
	const struct probe *p = sp->probe;
	uint32_t site = session_site_add(k->s, p, 0, WIRE_SITE_KERNEL);
	int r = 0;
	if (site == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "too many probes");
	if (!p->kern)
		return instance_add(k, all, sp, p->place, site, reterr);
	for (uint32_t i = 0; i < PROBE_KERN_PLACES && !r; i++)
		if (probe_kern_place_counts(p->kern, i))
			r = instance_add(k, all, sp, p->kern->places[i], site, reterr);
	return r;
}

static void instances_free(struct instances *all)
{
	for (uint32_t i = 0; i < all->cnt; i++)
		free(all->v[i].progs);
	free(all->v);
}

/* System calls of one layer; everything else by itself. */
static int serve_calls(struct skern *k, struct instances *all, enum probe_kern_at at, const char *name, struct err *reterr)
{
	struct instance **v = calloc(all->cnt + 1ul, sizeof(struct instance *));
	int r = v ? 0 : no_memory(reterr);
	for (uint32_t layer = 0, n = 1; !r && n; layer++) {
		n = 0;
		for (uint32_t i = 0; i < all->cnt; i++)
			if (all->v[i].place.at == at && all->v[i].layer == layer)
				v[n++] = &all->v[i];
		if (n)
			r = skern_serve(k, v, n, name, reterr);
	}
	free(v);
	return r;
}

static int serve_funcs(struct skern *k, struct instances *all, struct err *reterr)
{
	struct instance **v = calloc(all->cnt + 1ul, sizeof(struct instance *));
	uint32_t cnt = 0;
	if (!v)
		return no_memory(reterr);
	for (uint32_t i = 0; i < all->cnt; i++)
		if (probe_is_kernel_function(all->v[i].sp->probe))
			v[cnt++] = &all->v[i];
	int r = skern_serve_funcs(k, v, cnt, reterr);
	free(v);
	return r;
}

static int serve_all(struct skern *k, struct instances *all, struct err *reterr)
{
	int r = serve_calls(k, all, PROBE_KERN_ENTER, "sys_enter", reterr);
	r = r ? r : serve_calls(k, all, PROBE_KERN_EXIT, "sys_exit", reterr);
	for (uint32_t i = 0; i < all->cnt && !r; i++) {
		struct instance *in = &all->v[i];
		if (in->place.at != PROBE_KERN_ENTER && in->place.at != PROBE_KERN_EXIT &&
		    !probe_is_kernel_function(in->sp->probe))
			r = skern_serve(k, &in, 1, in->sp->probe->name, reterr);
	}
	return r ? r : serve_funcs(k, all, reterr);
}

/* ---- the tool's own probes ---- */

static int peek_read(void *arg, void *dst, uint64_t addr, uint64_t bytes) { return ebpf_peek_read(arg, dst, addr, bytes); }
static uint64_t peek_task(void *arg) { return ebpf_peek_task(arg); }

static struct ebpf_peek *peek_in_use; /* of the session that was made last */

static void peek_begin(struct skern *k)
{
	k->peek = ebpf_peek_create();
	if (k->peek)
		rt_peek_set(&(struct rt_peek){ peek_read, peek_task, k->peek });
	peek_in_use = k->peek;
}

static void peek_end(struct skern *k)
{
	if (peek_in_use == k->peek)
		rt_peek_set(NULL);
	ebpf_peek_destroy(k->peek);
}

/* ---- from outside ---- */

int skern_create(struct session *s, uint32_t first_slot, struct err *reterr)
{
	struct skern *k = calloc(1, sizeof(*k));
	if (!k)
		return no_memory(reterr);
	struct ebpf_in in = { .shm = s->shm, .shm_fd = s->shm_fd, .first_slot = first_slot, .preempts = s->opts.preempts,
		.shares_self = s->opts.mixed && !s->opts.uprobes,
		.img = s->image, .log = s->opts.verifier_log,
		.max_frames = s->opts.max_frames, .offset_of = kern_offsetof };
	k->s = s;
	int r = ebpf_create(&k->e, &in, reterr);
	if (r < 0) {
		free(k);
		return r;
	}
	peek_begin(k);
	s->kern = k;
	return 0;
}

void skern_destroy(struct skern *k)
{
	if (!k)
		return;
	skern_disarm(k);
	peek_end(k);
	ebpf_destroy(k->e);
	while (k->made) {
		struct made *next = k->made->next;
		ir_prog_deinit(&k->made->prog);
		free(k->made);
		k->made = next;
	}
	free(k);
}

void skern_disarm(struct skern *k)
{
	skern_fds_deinit(&k->fds);
}

void skern_drop(struct skern *k, uint32_t proc)
{
	skern_fds_drop(&k->fds, proc);
}

int skern_arm(struct session *s, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_cnt, struct err *reterr)
{
	struct instances all = { 0 };
	int r = 0;
	s->kern->refused_cnt = 0;
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (probes[i].probe->kind == WIRE_SITE_KERNEL)
			r = instances_of(s->kern, &all, &probes[i], reterr);
	r = r ? r : serve_all(s->kern, &all, reterr);
	*ret_cnt = r ? 0 : all.cnt - s->kern->refused_cnt;
	instances_free(&all);
	return r;
}

uint32_t session_kernel_refused(const struct session *s, const char **ret_why)
{
	*ret_why = s->kern ? s->kern->refused.msg : "";
	return s->kern ? s->kern->refused_cnt : 0;
}

int skern_doorbell(const struct skern *k) { return ebpf_doorbell_fd(k->e); }
void skern_doorbell_clear(struct skern *k) { ebpf_doorbell_clear(k->e); }
uint32_t skern_strangers(struct skern *k, uint32_t *ret_pids, uint32_t cap) { return ebpf_strangers(k->e, ret_pids, cap); }
void skern_tick(struct skern *k) { ebpf_clock_update(k->e); }
uint32_t skern_failed_clause(const struct skern *k) { return ebpf_failed_clause(k->e); }
