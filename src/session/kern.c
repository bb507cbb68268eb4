/* SPDX-License-Identifier: MIT */
/*
 * Probes of the kernel, armed: which programs there are, and where each is
 * attached.
 *
 *   all entries of system calls   one program at the tracepoint sys_enter, which finds the
 *                                 clauses by the call's number; all returns likewise
 *   everything else               a program for each probe's place
 *
 * A call that two probes are about (execve: syscall and proc) is found in a
 * second program.
 */
#include "session/kern_int.h"

#include "ebpf/ebpf.h"
#include "kern/kern.h"

#include <asm/ptrace.h>
#include <errno.h>
#include <stdio.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A probe at one of its places. */
struct instance {
	const struct session_probe *sp;
	struct probe_kern_place place;
	uint32_t site;
	uint32_t layer;      /* which of the programs at one tracepoint */
	const struct ir_prog **progs; /* owned; of made[] */
};

struct made {
	struct ir_prog prog;
	uint32_t clause;
	struct recipe_in in;
	struct made *next;
};

struct skern {
	struct session *s;
	struct ebpf *e;
	struct made *made;
	int *fds;            /* links, events, programs: closing them detaches */
	uint32_t fd_cnt, fd_cap;
};

static int no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

static int keep_fd(struct skern *k, int fd, struct err *reterr)
{
	if (k->fd_cnt == k->fd_cap) {
		uint32_t cap = k->fd_cap ? k->fd_cap * 2 : 16;
		int *v = realloc(k->fds, cap * sizeof(*v));
		if (!v) {
			close(fd);
			return no_memory(reterr);
		}
		k->fds = v;
		k->fd_cap = cap;
	}
	k->fds[k->fd_cnt++] = fd;
	return 0;
}

/* ---- programs ---- */

static int prog_of(struct skern *k, uint32_t clause, const struct recipe_in *in, const struct ir_prog **ret, struct err *reterr)
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
		r = prog_of(k, in->sp->progs[i], &how, &in->progs[i], reterr);
	return r;
}

/* ---- arguments ---- */

static struct ebpf_arg word(uint32_t n)
{
	return (struct ebpf_arg){ .kind = EBPF_ARG_CTX, .bytes = 8, .off = 8 * n };
}

static struct ebpf_arg reg(uint64_t off)
{
	return (struct ebpf_arg){ .kind = EBPF_ARG_DEREF, .bytes = 8, .off = 0, .val = off };
}

static void args_enter(struct ebpf_arg *v)
{
	static const uint8_t regs[] = { offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, rsi), offsetof(struct pt_regs, rdx),
					offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9) };
	for (size_t i = 0; i < ARRAY_CNT(regs); i++)
		v[i] = reg(regs[i]);
}

static bool wants_args(const struct ebpf_group *g)
{
	for (uint32_t i = 0; i < g->prog_cnt; i++)
		for (uint32_t pc = 0; pc < g->progs[i]->insn_cnt; pc++) {
			const struct ir_insn *in = &g->progs[i]->insns[pc];
			if (in->op == IR_OP_ARG || (in->op == IR_OP_CALL && in->imm == IR_HELPER_arg))
				return true;
		}
	return false;
}

/* How many there are only the kernel's types tell, which are read where somebody wants one. */
static void args_raw(struct ebpf_arg *v, const char *event)
{
	int words = kern_raw_words(event);
	for (int i = 0; i < words && i < EBPF_ARG_MAX; i++)
		v[i] = word((uint32_t)i);
}

/* An array is where it lies. */
static void args_event(struct ebpf_arg *v, const struct probe_kern_place *p)
{
	uint32_t cnt;
	const struct kern_field *f = kern_event_fields(p->group, p->name, &cnt);
	for (uint32_t i = 0; f && i < cnt && i < EBPF_ARG_MAX; i++) {
		bool in_word = !strchr(f[i].type, '[') && !f[i].is_loc && (f[i].bytes == 1 || f[i].bytes == 2 || f[i].bytes == 4 || f[i].bytes == 8);
		v[i] = (struct ebpf_arg){ .kind = in_word ? EBPF_ARG_CTX : EBPF_ARG_CTX_ADDR, .bytes = in_word ? (uint8_t)f[i].bytes : 8,
					  .is_signed = f[i].is_signed, .off = f[i].off, .val = f[i].is_loc };
	}
}

static void args_user(struct ebpf_arg *v)
{
	static const uint8_t regs[] = { offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, rsi), offsetof(struct pt_regs, rdx),
					offsetof(struct pt_regs, rcx), offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9) };
	for (size_t i = 0; i < ARRAY_CNT(regs); i++)
		v[i] = (struct ebpf_arg){ .kind = EBPF_ARG_CTX, .bytes = 8, .off = regs[i] };
}

static void group_args(struct ebpf_group *g, const struct probe_kern_place *p)
{
	switch (p->at) {
	case PROBE_KERN_ENTER:
		args_enter(g->args);
		g->regs = word(0);
		break;
	case PROBE_KERN_EXIT:
		g->args[0] = g->args[1] = word(1);
		g->regs = word(0);
		break;
	case PROBE_KERN_RAW:
		if (wants_args(g))
			args_raw(g->args, p->name);
		break;
	case PROBE_KERN_EVENT:
		args_event(g->args, p);
		break;
	case PROBE_KERN_CLOCK:
	case PROBE_KERN_COUNTER:
		g->args[0].kind = EBPF_ARG_KPC;
		g->args[1].kind = EBPF_ARG_UPC;
		break;
	case PROBE_KERN_UPROBE:
		args_user(g->args);
		break;
	case PROBE_KERN_UPROBE_RET:
		g->args[0] = (struct ebpf_arg){ .kind = EBPF_ARG_CONST, .val = p->period };
		/* fall through */
	case PROBE_KERN_URETPROBE:
		g->args[1] = (struct ebpf_arg){ .kind = EBPF_ARG_CTX, .bytes = 8, .off = offsetof(struct pt_regs, rax) };
		break;
	case PROBE_KERN_NONE:
		break;
	}
}

/* ---- loading ---- */

struct bundle { /* instances that one program serves */
	struct instance *const *v;
	uint32_t cnt;
	const char *name;
};

static bool same_progs(const struct instance *a, const struct instance *b)
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
			first = !same_progs(b->v[i], b->v[k]);
		if (!first)
			continue;
		struct ebpf_group *g = &groups[group_cnt++];
		*g = (struct ebpf_group){ .progs = b->v[i]->progs, .prog_cnt = b->v[i]->sp->prog_cnt, .cases = cases + case_cnt };
		group_args(g, &b->v[i]->place);
		for (uint32_t k = i; k < b->cnt; k++)
			if (same_progs(b->v[i], b->v[k])) {
				cases[case_cnt++] = (struct ebpf_case){ b->v[k]->place.nr, b->v[k]->site };
				g->case_cnt++;
			}
	}
	return group_cnt;
}

static enum ebpf_kind kind_of(enum probe_kern_at at)
{
	if (at == PROBE_KERN_UPROBE || at == PROBE_KERN_URETPROBE || at == PROBE_KERN_UPROBE_RET)
		return EBPF_UPROBE;
	return at == PROBE_KERN_EVENT ? EBPF_TRACEPOINT : at == PROBE_KERN_CLOCK || at == PROBE_KERN_COUNTER ? EBPF_PERF_EVENT :
		EBPF_RAW_TP;
}

static struct ebpf_arg key_of(enum probe_kern_at at)
{
	return at == PROBE_KERN_ENTER ? word(1) : at == PROBE_KERN_EXIT ? reg(offsetof(struct pt_regs, orig_rax)) :
		(struct ebpf_arg){ .kind = EBPF_ARG_NONE };
}

static int load(struct skern *k, const struct bundle *b, int *ret_fd, struct err *reterr)
{
	struct ebpf_group *groups = calloc(b->cnt, sizeof(*groups));
	struct ebpf_case *cases = calloc(b->cnt, sizeof(*cases));
	int r = groups && cases ? 0 : no_memory(reterr);
	if (!r) {
		enum probe_kern_at at = b->v[0]->place.at;
		struct ebpf_prog p = { .name = b->name, .kind = kind_of(at), .key = key_of(at), .groups = groups };
		p.group_cnt = make_groups(b, groups, cases);
		r = ebpf_load(k->e, &p, ret_fd, reterr);
	}
	free(groups);
	free(cases);
	return r;
}

/* ---- attaching ---- */

static int event_open(const struct perf_event_attr *attr, uint32_t cpu)
{
	int fd = (int)syscall(SYS_perf_event_open, attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int attach_event(struct skern *k, int prog_fd, const struct perf_event_attr *attr, uint32_t cpu, struct err *reterr)
{
	int fd = event_open(attr, cpu);
	if (fd < 0)
		return err_setf(reterr, fd, "cannot open the event on CPU %u: %s", cpu, strerror(-fd));
	int r = ebpf_attach_perf(prog_fd, fd, reterr);
	if (r < 0) {
		close(fd);
		return r;
	}
	return keep_fd(k, fd, reterr);
}

/* Its clock or counter on every CPU that is there, or on the one that is asked for. */
static int attach_everywhere(struct skern *k, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = p->period };
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint32_t done = 0;
	int r = 0;
	if (p->at == PROBE_KERN_COUNTER) {
		attr.type = p->counter_type;
		attr.config = p->counter;
		attr.exclude_user = p->not_user;
		attr.exclude_kernel = p->not_kernel;
	}
	for (uint32_t cpu = 0; cpu < (uint32_t)cpus; cpu++) {
		if (k->s->opts.one_cpu && k->s->opts.cpu != cpu)
			continue;
		r = attach_event(k, prog_fd, &attr, cpu, reterr);
		if (r == -ENODEV)
			continue; /* it is off */
		if (r < 0)
			return r;
		done++;
	}
	return done ? 0 : r;
}

static int attach_tracepoint(struct skern *k, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int64_t id = kern_event_id(p->group, p->name);
	if (id < 0)
		return err_setf(reterr, (int)id, "cannot read the tracepoint %s:%s: %s", p->group, p->name, strerror((int)-id));
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_TRACEPOINT, .config = (uint64_t)id, .sample_period = 1 };
	return attach_event(k, prog_fd, &attr, 0, reterr);
}

static int read_number(const char *path, const char *fmt)
{
	FILE *f = fopen(path, "re");
	int v = -1;
	if (f && fscanf(f, fmt, &v) != 1)
		v = -1;
	if (f)
		fclose(f);
	return v;
}

/* Of one process's memory: its threads, and children that vfork() gave the same memory. */
static int attach_uprobe(struct skern *k, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int type = read_number("/sys/bus/event_source/devices/uprobe/type", "%d");
	int bit = read_number("/sys/bus/event_source/devices/uprobe/format/retprobe", "config:%d");
	struct perf_event_attr attr = { .size = sizeof(attr), .type = (uint32_t)type, .config1 = (uint64_t)(uintptr_t)p->name,
					.config2 = p->counter };
	if (type < 0 || bit < 0)
		return err_setf(reterr, -ENOTSUP, "this kernel has no uprobes (CONFIG_UPROBES), which these probes would be");
	attr.config = p->at == PROBE_KERN_URETPROBE ? 1ull << bit : 0;
	int fd = (int)syscall(SYS_perf_event_open, &attr, (pid_t)p->nr, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return err_setf(reterr, -errno, "cannot place a uprobe in process %u: %s", p->nr, strerror(errno));
	int r = ebpf_attach_perf(prog_fd, fd, reterr);
	if (r < 0) {
		close(fd);
		return r;
	}
	return keep_fd(k, fd, reterr);
}

static int attach(struct skern *k, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int fd, r;
	switch (p->at) {
	case PROBE_KERN_UPROBE:
	case PROBE_KERN_URETPROBE:
	case PROBE_KERN_UPROBE_RET:
		return attach_uprobe(k, prog_fd, p, reterr);
	case PROBE_KERN_EVENT:
		return attach_tracepoint(k, prog_fd, p, reterr);
	case PROBE_KERN_CLOCK:
	case PROBE_KERN_COUNTER:
		return attach_everywhere(k, prog_fd, p, reterr);
	default:
		r = ebpf_attach_raw_tp(prog_fd, p->at == PROBE_KERN_ENTER ? "sys_enter" : p->at == PROBE_KERN_EXIT ? "sys_exit" : p->name,
				       &fd, reterr);
		return r < 0 ? r : keep_fd(k, fd, reterr);
	}
}

static int serve(struct skern *k, const struct bundle *b, struct err *reterr)
{
	int fd, r = load(k, b, &fd, reterr);
	if (r < 0)
		return r;
	r = keep_fd(k, fd, reterr);
	return r < 0 ? r : attach(k, fd, &b->v[0]->place, reterr);
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
		if (probe_kern_place_exists(&p->kern->places[i]))
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
			r = serve(k, &(struct bundle){ v, n, name }, reterr);
	}
	free(v);
	return r;
}

static int serve_all(struct skern *k, struct instances *all, struct err *reterr)
{
	int r = serve_calls(k, all, PROBE_KERN_ENTER, "sys_enter", reterr);
	r = r ? r : serve_calls(k, all, PROBE_KERN_EXIT, "sys_exit", reterr);
	for (uint32_t i = 0; i < all->cnt && !r; i++) {
		struct instance *in = &all->v[i];
		if (in->place.at != PROBE_KERN_ENTER && in->place.at != PROBE_KERN_EXIT)
			r = serve(k, &(struct bundle){ &in, 1, in->sp->probe->name }, reterr);
	}
	return r;
}

/* ---- from outside ---- */

int skern_create(struct session *s, uint32_t first_slot, struct err *reterr)
{
	struct skern *k = calloc(1, sizeof(*k));
	if (!k)
		return no_memory(reterr);
	struct ebpf_in in = { .shm = s->shm, .shm_fd = s->shm_fd, .first_slot = first_slot, .uprobes = s->opts.mixed,
		.img = s->image, .log = s->opts.verifier_log,
		.max_frames = s->opts.max_frames, .offset_of = kern_offsetof };
	k->s = s;
	int r = ebpf_create(&k->e, &in, reterr);
	if (r < 0) {
		free(k);
		return r;
	}
	s->kern = k;
	return 0;
}

void skern_destroy(struct skern *k)
{
	if (!k)
		return;
	skern_disarm(k);
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
	/* Links and events before the programs. */
	while (k->fd_cnt)
		close(k->fds[--k->fd_cnt]);
	free(k->fds);
	k->fds = NULL;
	k->fd_cap = 0;
}

int skern_arm(struct session *s, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_cnt, struct err *reterr)
{
	struct instances all = { 0 };
	int r = 0;
	for (uint32_t i = 0; i < cnt && !r; i++)
		if (probes[i].probe->kind == WIRE_SITE_KERNEL)
			r = instances_of(s->kern, &all, &probes[i], reterr);
	r = r ? r : serve_all(s->kern, &all, reterr);
	*ret_cnt = r ? 0 : all.cnt;
	instances_free(&all);
	return r;
}

int skern_arm_target(struct session *s, struct target *t, const struct session_probe *probes, uint32_t cnt, uint32_t *ret_cnt,
		     struct err *reterr)
{
	struct instances all = { 0 };
	int r = 0;
	for (uint32_t i = 0; i < cnt && !r; i++) {
		struct probe_kern_place place;
		uint32_t site;
		if (probes[i].proc != t->proc)
			continue;
		r = uprobe_place(t, &probes[i], &place, reterr);
		if (r < 0)
			break;
		uint32_t had = all.cnt;
		site = session_site_add(s, probes[i].probe, probes[i].probe->func_addr, (enum wire_site_kind)probes[i].probe->kind);
		r = site == WIRE_NONE ? err_setf(reterr, -ENOSPC, "too many probes") :
			instance_add(s->kern, &all, &probes[i], place, site, reterr);
		if (all.cnt == had)
			free((char *)place.name);
	}
	r = r ? r : serve_all(s->kern, &all, reterr);
	*ret_cnt += r ? 0 : all.cnt;
	for (uint32_t i = 0; i < all.cnt; i++)
		free((char *)all.v[i].place.name);
	instances_free(&all);
	return r;
}

int skern_arm_place(struct session *s, const struct session_probe *sp, const struct probe_kern_place *place, uint64_t addr,
		    struct err *reterr)
{
	struct instances all = { 0 };
	uint32_t site = session_site_add(s, sp->probe, addr, (enum wire_site_kind)sp->probe->kind);
	int r = site == WIRE_NONE ? err_setf(reterr, -ENOSPC, "too many probes") : instance_add(s->kern, &all, sp, *place, site, reterr);
	r = r ? r : serve_all(s->kern, &all, reterr);
	instances_free(&all);
	return r;
}

int skern_doorbell(const struct skern *k) { return ebpf_doorbell_fd(k->e); }
void skern_doorbell_clear(struct skern *k) { ebpf_doorbell_clear(k->e); }
uint32_t skern_strangers(struct skern *k, uint32_t *ret_pids, uint32_t cap) { return ebpf_strangers(k->e, ret_pids, cap); }
void skern_tick(struct skern *k) { ebpf_clock_update(k->e); }
uint32_t skern_failed_clause(const struct skern *k) { return ebpf_failed_clause(k->e); }
