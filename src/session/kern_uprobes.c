/* SPDX-License-Identifier: MIT */
/*
 * Places of processes in the kernel: one program for all that run the same clauses and have their arguments in the same places,
 * which knows by the cookie of each where it is; one link for all of them in a file.
 */
#include "session/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- arguments ---- */

#define ON_STACK(n) { .kind = WIRE_UARG_MEM, .bytes = 8, .reg = WIRE_RSP, .index = WIRE_UARG_NO_REG, .val = 8 * (n) }

/* Behind the return address are those that have no register. */
static void args_c(struct ebpf_arg *v)
{
	static const struct wire_uarg more[] = { ON_STACK(1), ON_STACK(2), ON_STACK(3), ON_STACK(4) };
	uint32_t n = skern_args_c(v);
	for (uint32_t i = 0; i < ARRAY_CNT(more); i++)
		v[n + i] = (struct ebpf_arg){ .kind = EBPF_ARG_UARG, .uarg = &more[i] };
}

static void args_go(struct ebpf_arg *v)
{
	static const uint8_t regs[] = WIRE_ARGS_GO;
	for (uint32_t i = 0; i < ARRAY_CNT(regs); i++)
		v[i] = skern_reg(regs[i]);
}

static void args_of(const struct uplace *p, struct ebpf_arg *v)
{
	switch (p->kind) {
	case UPLACE_C:
		args_c(v);
		break;
	case UPLACE_GO:
		args_go(v);
		break;
	case UPLACE_USDT:
		for (uint32_t i = 0; p->uargs && i < p->uargs->cnt && i < EBPF_ARG_MAX; i++)
			v[i] = (struct ebpf_arg){ .kind = EBPF_ARG_UARG, .uarg = &p->uargs->v[i] };
		break;
	case UPLACE_RETURN:
		v[0].kind = EBPF_ARG_COOKIE;
		v[1] = skern_reg(WIRE_RAX);
		break;
	}
}

/* ---- programs ---- */

static int compare_progs(const struct uplace *a, const struct uplace *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (!a->uargs != !b->uargs)
		return a->uargs ? 1 : -1;
	int args = a->uargs ? memcmp(a->uargs, b->uargs, sizeof(*a->uargs)) : 0;
	if (args)
		return args;
	if (a->sp->prog_cnt != b->sp->prog_cnt)
		return a->sp->prog_cnt < b->sp->prog_cnt ? -1 : 1;
	return memcmp(a->sp->progs, b->sp->progs, a->sp->prog_cnt * sizeof(*a->sp->progs));
}

static int compare_files(const struct uplace *a, const struct uplace *b)
{
	int r = strcmp(a->path, b->path);
	return r ? r : a->target->pid < b->target->pid ? -1 : a->target->pid > b->target->pid;
}

static int compare(const void *x, const void *y)
{
	const struct uplace *a = x, *b = y;
	int r = compare_progs(a, b);
	r = r ? r : compare_files(a, b);
	return r ? r : a->at.off < b->at.off ? -1 : a->at.off > b->at.off;
}

static int load(struct skern *k, const struct uplace *p, int *ret_fd, struct err *reterr)
{
	static const struct recipe_in as_is = { .cpu = UINT32_MAX };
	const struct ir_prog **progs = calloc(p->sp->prog_cnt + 1ul, sizeof(*progs));
	const struct ebpf_case one = { 0 };
	int r = progs ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < p->sp->prog_cnt && !r; i++)
		r = skern_prog(k, p->sp->progs[i], &as_is, &progs[i], reterr);
	if (!r) {
		struct ebpf_group g = { .progs = progs, .prog_cnt = p->sp->prog_cnt, .cases = &one, .case_cnt = 1 };
		args_of(p, g.args);
		const struct ebpf_prog prog = { .name = p->sp->probe->name, .kind = EBPF_UPROBE, .key.kind = EBPF_ARG_COOKIE, .groups = &g,
						.group_cnt = 1 };
		r = ebpf_load(k->e, &prog, ret_fd, reterr);
	}
	free(progs);
	return r;
}

/* ---- links ---- */

static int link_places(struct skern *k, int prog_fd, const struct uplace *v, uint32_t cnt, struct err *reterr)
{
	struct ebpf_place *places = calloc(cnt, sizeof(*places));
	int *fds = calloc(cnt, sizeof(*fds));
	uint32_t fd_cnt = 0;
	int r = places && fds ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < cnt && !r; i++)
		places[i] = v[i].at;
	if (!r)
		r = ebpf_attach_uprobes(prog_fd, v->path, v->target->pid, places, cnt, fds, &fd_cnt, reterr);
	/* The kernel knows the process by its number alone: where it has ended meanwhile, that may be another's. */
	if (!r && target_has_ended(v->target)) {
		r = err_setf(reterr, -ESRCH, "the process has ended");
		while (fd_cnt)
			close(fds[--fd_cnt]);
	}
	k->fds.proc = v->sp->proc;
	for (uint32_t i = 0; i < fd_cnt; i++) {
		int kept = skern_fds_keep(&k->fds, fds[i], reterr);
		r = r ? r : kept;
	}
	k->fds.proc = 0;
	free(places);
	free(fds);
	return r;
}

static void end_as(struct uplace *v, uint32_t cnt, int r, const struct err *e)
{
	for (uint32_t i = 0; i < cnt; i++) {
		v[i].rc = r;
		v[i].why = r ? strdup(e->msg) : NULL;
	}
}

/* The kernel takes all of them or none: those that it does not take are found by halves. */
static void link_some(struct skern *k, int prog_fd, struct uplace *v, uint32_t cnt)
{
	struct err e = { 0 };
	int r = link_places(k, prog_fd, v, cnt, &e);
	if (r && r != -ESRCH && cnt > 1) {
		link_some(k, prog_fd, v, cnt / 2);
		link_some(k, prog_fd, v + cnt / 2, cnt - cnt / 2);
		return;
	}
	end_as(v, cnt, r, &e);
}

static uint32_t same_cnt(const struct uplace *v, uint32_t cnt, int (*other)(const struct uplace *, const struct uplace *))
{
	uint32_t n = 1;
	while (n < cnt && !compare_progs(v, &v[n]) && (!other || !other(v, &v[n])))
		n++;
	return n;
}

/* Those that one program is for; the links hold it. */
static void arm_same(struct skern *k, struct uplace *v, uint32_t cnt)
{
	struct err e = { 0 };
	int fd, r = load(k, v, &fd, &e);
	if (r) {
		end_as(v, cnt, r, &e);
		return;
	}
	for (uint32_t i = 0, n; i < cnt; i += n) {
		n = same_cnt(&v[i], cnt - i, compare_files);
		link_some(k, fd, &v[i], n);
	}
	close(fd);
}

int skern_arm_uplaces(struct skern *k, struct uplace *v, uint32_t cnt, struct err *reterr)
{
	uint32_t armed = 0;
	const struct uplace *bad = NULL;
	qsort(v, cnt, sizeof(*v), compare);
	for (uint32_t i = 0, n; i < cnt; i += n) {
		n = same_cnt(&v[i], cnt - i, NULL);
		arm_same(k, &v[i], n);
		for (uint32_t j = i; j < i + n; j++)
			armed += !v[j].rc;
		bad = !bad && v[i].rc ? &v[i] : bad;
	}
	if (armed || !bad)
		return 0;
	return err_setf(reterr, bad->rc, "%s", bad->why ? bad->why : "out of memory");
}
