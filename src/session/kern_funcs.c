/* SPDX-License-Identifier: MIT */
/*
 * Functions of the kernel (ADR 39), by what costs least for so many:
 *
 *   a few            fentry and fexit, a program for each
 *   where not, many  one program and one link for all that run the same clauses (kprobe_multi)
 *   where not        kprobes, a program for each
 */
#include "session/kern_int.h"

#include "kern/kern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KPROBES_MAX 256u /* each takes the kernel milliseconds to make, and longer to end */

static bool is_return(const struct instance *in)
{
	return in->place.at == PROBE_KERN_KRETPROBE;
}

static int keep_both(struct skern *k, int prog_fd, int link_fd, struct err *reterr)
{
	int r = skern_fds_keep(&k->fds, prog_fd, reterr), r2 = skern_fds_keep(&k->fds, link_fd, reterr);
	return r ? r : r2;
}

static int serve_fentry(struct skern *k, struct instance *in, struct err *reterr)
{
	struct kern_fentry f;
	int fd, link, r = kern_fentry_of(in->place.name, in->place.group, &f);
	if (r)
		return err_setf(reterr, r, "the kernel's function %s is not one for fentry", in->place.name);
	const struct bundle b = { &in, 1, in->place.name, is_return(in) ? EBPF_FEXIT : EBPF_FENTRY, { .kind = EBPF_ARG_NONE }, &f, 0 };
	r = skern_load(k, &b, &fd, reterr);
	if (r)
		return r;
	r = ebpf_attach_function(fd, &link, reterr);
	if (!r)
		return keep_both(k, fd, link, reterr);
	close(fd);
	return r;
}

/* ---- many ---- */

static int compare(const void *x, const void *y)
{
	const struct instance *a = *(struct instance *const *)x, *b = *(struct instance *const *)y;
	if (a->place.at != b->place.at)
		return a->place.at < b->place.at ? -1 : 1;
	if (a->sp->prog_cnt != b->sp->prog_cnt)
		return a->sp->prog_cnt < b->sp->prog_cnt ? -1 : 1;
	int r = memcmp(a->progs, b->progs, a->sp->prog_cnt * sizeof(*a->progs));
	return r ? r : strcmp(a->place.name, b->place.name);
}

/* Fewer would not help. */
static bool is_about_us(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -EPERM || code == -EINTR;
}

static int note_refused(struct skern *k, const struct err *why)
{
	if (!k->refused_cnt++)
		k->refused = *why;
	return 0;
}

/* The kernel takes all of them or none: those that it does not take are found by halves. */
static int link_some(struct skern *k, int prog_fd, struct instance *const *v, uint32_t cnt, const char **names, uint32_t *sites,
		     struct err *reterr)
{
	int link;
	struct err e;
	for (uint32_t i = 0; i < cnt; i++) {
		names[i] = v[i]->place.name;
		sites[i] = v[i]->site;
	}
	int r = ebpf_attach_kprobes(prog_fd, is_return(v[0]), names, sites, cnt, &link, &e);
	if (!r)
		return skern_fds_keep(&k->fds, link, reterr);
	if (is_about_us(r))
		return err_setf(reterr, r, "%s", e.msg);
	if (cnt == 1)
		return note_refused(k, &e);
	r = link_some(k, prog_fd, v, cnt / 2, names, sites, reterr);
	return r ? r : link_some(k, prog_fd, v + cnt / 2, cnt - cnt / 2, names, sites, reterr);
}

static int link_all(struct skern *k, int prog_fd, struct instance *const *v, uint32_t cnt, const char **names, uint32_t *sites,
		    struct err *reterr)
{
	uint32_t before = k->refused_cnt;
	int r = link_some(k, prog_fd, v, cnt, names, sites, reterr);
	return r || k->refused_cnt - before < cnt ? r : err_setf(reterr, k->refused.code, "%s", k->refused.msg);
}

static int serve_same(struct skern *k, struct instance *const *v, uint32_t cnt, struct err *reterr)
{
	const struct bundle b = { v, cnt, v[0]->sp->probe->name, EBPF_KPROBE_MULTI, { .kind = EBPF_ARG_COOKIE }, NULL, 0 };
	const char **names = calloc(cnt, sizeof(*names));
	uint32_t *sites = calloc(cnt, sizeof(*sites));
	int fd = -1, r = names && sites ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	r = r ? r : skern_load(k, &b, &fd, reterr);
	r = r ? r : skern_fds_keep(&k->fds, fd, reterr);
	r = r ? r : link_all(k, fd, v, cnt, names, sites, reterr);
	free(names);
	free(sites);
	return r;
}

static int serve_multi(struct skern *k, struct instance **v, uint32_t cnt, struct err *reterr)
{
	int r = 0;
	qsort(v, cnt, sizeof(struct instance *), compare);
	for (uint32_t i = 0, n; i < cnt && !r; i += n) {
		for (n = 1; i + n < cnt && v[i + n]->place.at == v[i]->place.at && skern_same_progs(v[i], v[i + n]); n++)
			;
		r = serve_same(k, &v[i], n, reterr);
	}
	return r;
}

/* ---- */

static int serve_kprobes(struct skern *k, struct instance **v, uint32_t cnt, struct err *reterr)
{
	int r = 0;
	if (cnt > 1 && ebpf_has_kprobe_multi())
		return serve_multi(k, v, cnt, reterr);
	if (cnt > KPROBES_MAX)
		return err_setf(reterr, -E2BIG, "%u probes of functions of the kernel (fbt) are too many: name fewer, %u at most (a kernel "
				"with CONFIG_FPROBE takes more)", cnt, KPROBES_MAX);
	for (uint32_t i = 0; i < cnt && !r; i++)
		r = skern_serve(k, &v[i], 1, v[i]->sp->probe->name, reterr);
	return r;
}

int skern_serve_funcs(struct skern *k, struct instance **v, uint32_t cnt, struct err *reterr)
{
	if (!cnt)
		return 0;
	bool try = cnt <= SKERN_FENTRY_MAX && kern_can_fentry(NULL), has_kprobes = kern_can_kprobe(NULL);
	uint32_t rest = 0;
	if (!try && !has_kprobes)
		return err_setf(reterr, -E2BIG, "%u probes of functions of the kernel (fbt) are too many without kprobes (CONFIG_KPROBES): "
				"name fewer, %u at most", cnt, SKERN_FENTRY_MAX);
	for (uint32_t i = 0; i < cnt; i++) {
		int r = try ? serve_fentry(k, v[i], reterr) : -ENOTSUP;
		if (r && !has_kprobes)
			return r;
		if (r)
			v[rest++] = v[i];
	}
	return serve_kprobes(k, v, rest, reterr);
}
