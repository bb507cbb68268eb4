/* SPDX-License-Identifier: MIT */
/* Maps, programs and what they are attached to. */
#include "ebpf/ebpf_int.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "rt/rt.h"

#define DOORBELL_BYTES 4096u
#define LICENSE "Dual MIT/GPL"

/* ---- what all programs share ---- */

static int load_btf(struct ebpf *e, struct err *reterr)
{
	e->btf_fd = bpf_btf_load(rtk_btf, rtk_btf_bytes, NULL);
	if (e->btf_fd >= 0)
		return 0;
	if (e->btf_fd == -EPERM)
		return ebpf_not_permitted(e->btf_fd, reterr);
	return err_setf(reterr, e->btf_fd, "the kernel does not take the types of its run-time library: %s", strerror(-e->btf_fd));
}

static int make_doorbell(struct ebpf *e, struct err *reterr)
{
	e->doorbell_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "dyntrace_bell", 0, 0, DOORBELL_BYTES, NULL);
	if (e->doorbell_fd == -EPERM)
		return ebpf_not_permitted(e->doorbell_fd, reterr);
	if (e->doorbell_fd < 0)
		return err_setf(reterr, e->doorbell_fd, "the kernel has no BPF ring buffers (Linux 5.8): no probes of the kernel");
	e->doorbell = mmap(NULL, WIRE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, e->doorbell_fd, 0);
	e->doorbell_data = mmap(NULL, WIRE_PAGE, PROT_READ, MAP_SHARED, e->doorbell_fd, WIRE_PAGE);
	if (e->doorbell == MAP_FAILED || e->doorbell_data == MAP_FAILED)
		return err_setf(reterr, -errno, "cannot map the kernel's ring buffer: %s", strerror(errno));
	return 0;
}

static int map_tail(struct ebpf *e, struct err *reterr)
{
	e->tail = mmap(NULL, WIRE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, e->in.shm_fd, (off_t)e->k[RTK_K_TAIL]);
	return e->tail == MAP_FAILED ? err_setf(reterr, -errno, "cannot map the kernel's buffers: %s", strerror(errno)) : 0;
}

static void make_slots(struct ebpf *e)
{
	struct wire_shm *s = e->in.shm;
	for (uint32_t i = 0; i < ebpf_slot_cnt(e->in.preempts); i++) {
		struct wire_thread *t = (struct wire_thread *)((char *)s + s->thread_off +
							       (e->in.first_slot + i) * s->geom.stride);
		for (unsigned l = 0; l < WIRE_LEVEL_MAX; l++)
			t->ring.open[l] = UINT64_MAX;
		t->state = WIRE_THREAD_LIVE;
	}
}

#define CLOCK_TRIES 8
#define CLOCK_APART_NS 100000000u

/* Both clocks at one time: of several tries the one that took least, for others may run between the two looks. */
static uint64_t clock_pair(uint64_t *ret_tsc)
{
	uint64_t least = UINT64_MAX, ns = 0;
	for (int i = 0; i < CLOCK_TRIES; i++) {
		struct timespec ts;
		uint64_t before = rt_now_tsc();
		clock_gettime(CLOCK_MONOTONIC, &ts);
		uint64_t took = rt_now_tsc() - before;
		if (took >= least)
			continue;
		least = took;
		*ret_tsc = before + took / 2;
		ns = (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
	}
	return ns;
}

void ebpf_clock_update(struct ebpf *e)
{
	const struct wire_shm *s = e->in.shm;
	struct rtk_tail *t = e->tail;
	uint32_t next = !(t->clock_cur & 1);
	uint64_t tsc = 0, ns = clock_pair(&tsc);
	struct rtk_clock *c = &t->clock[next];
	c->ratio = (uint64_t)(((unsigned __int128)1 << (28 + WIRE_TSC_SHIFT)) / s->tsc_mult);
	if (!e->first_ns) {
		e->first_ns = ns;
		e->first_tsc = tsc;
	} else if (ns - e->first_ns >= CLOCK_APART_NS) { /* what the kernel's clock has done since is better than its usual rate */
		c->ratio = (uint64_t)(((unsigned __int128)(tsc - e->first_tsc) << 28) / (ns - e->first_ns));
	}
	/* A little before now: a program may have read the clock already. */
	c->ns_base = ns - 1000000000ULL;
	c->tsc_base = tsc - (uint64_t)(((unsigned __int128)1000000000ULL * c->ratio) >> 28);
	STORE_RELEASE(&t->clock_cur, next);
}

int ebpf_create(struct ebpf **ret, const struct ebpf_in *in, struct err *reterr)
{
	struct ebpf *e = calloc(1, sizeof(*e));
	if (!e)
		return err_setf(reterr, -ENOMEM, "out of memory");
	*e = (struct ebpf){ .in = *in, .btf_fd = -1, .doorbell_fd = -1, .tail = MAP_FAILED, .doorbell = MAP_FAILED, .doorbell_data = MAP_FAILED,
			    .self_prog_fd = -1, .self_link_fd = -1, .failed_clause = WIRE_NONE };
	int r = load_btf(e, reterr);
	if (r >= 0)
		r = make_doorbell(e, reterr);
	ebpf_numbers(e);
	if (r >= 0)
		r = map_tail(e, reterr);
	if (r < 0) {
		ebpf_destroy(e);
		return r;
	}
	make_slots(e);
	ebpf_clock_update(e);
	*ret = e;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void ebpf_destroy(struct ebpf *e)
{
	if (!e)
		return;
	if (e->tail != MAP_FAILED)
		munmap(e->tail, WIRE_PAGE);
	if (e->doorbell != MAP_FAILED)
		munmap(e->doorbell, WIRE_PAGE);
	if (e->doorbell_data != MAP_FAILED)
		munmap(e->doorbell_data, WIRE_PAGE);
	close_fd(e->self_link_fd);
	close_fd(e->self_prog_fd);
	close_fd(e->doorbell_fd);
	close_fd(e->btf_fd);
	free(e);
}

int ebpf_doorbell_fd(const struct ebpf *e)
{
	return e->doorbell_fd;
}

/* Its messages say nothing: all are consumed. */
void ebpf_doorbell_clear(struct ebpf *e)
{
	uint64_t produced = LOAD_ACQUIRE((const uint64_t *)e->doorbell_data);
	STORE_RELEASE((uint64_t *)e->doorbell, produced);
}

uint32_t ebpf_failed_clause(const struct ebpf *e)
{
	return e->failed_clause;
}

/* ---- programs ---- */

static enum bpf_prog_type prog_type(const struct ebpf_prog *p)
{
	switch (p->kind) {
	case EBPF_TRACEPOINT:
		return BPF_PROG_TYPE_TRACEPOINT;
	case EBPF_PERF_EVENT:
		return BPF_PROG_TYPE_PERF_EVENT;
	case EBPF_UPROBE:
	case EBPF_KPROBE:
	case EBPF_KPROBE_MULTI:
		return BPF_PROG_TYPE_KPROBE;
	case EBPF_FENTRY:
	case EBPF_FEXIT:
		return BPF_PROG_TYPE_TRACING;
	default:
		return p->btf_id ? BPF_PROG_TYPE_TRACING : BPF_PROG_TYPE_RAW_TRACEPOINT;
	}
}

/* 0: it matters not. */
static uint32_t attach_type(const struct ebpf_prog *p)
{
	switch (p->kind) {
	case EBPF_RAW_TP: return p->btf_id ? BPF_TRACE_RAW_TP : 0;
	case EBPF_UPROBE: return ebpf_has_uprobe_multi() ? EBPF_UPROBE_MULTI : 0;
	case EBPF_KPROBE_MULTI: return EBPF_KPROBE_MULTI_TYPE;
	case EBPF_FENTRY: return BPF_TRACE_FENTRY;
	case EBPF_FEXIT: return BPF_TRACE_FEXIT;
	default: return 0;
	}
}

#define LOG_BYTES (1u << 24)

static int try_load(struct ebpf *e, const struct ebpf_prog *p, const struct code *c, char *log)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = (uint32_t)e->btf_fd, .func_info = c->funcs,
		    .func_info_cnt = c->func_cnt, .func_info_rec_size = sizeof(*c->funcs), .attempts = 5,
		    .expected_attach_type = (enum bpf_attach_type)attach_type(p), .attach_btf_id = p->btf_id);
	char name[16] = "dt_";
	for (unsigned i = 0; p->name[i] && i + 4 < sizeof(name); i++)
		name[3 + i] = p->name[i] >= '0' && p->name[i] != ':' && p->name[i] != '-' ? p->name[i] : '_';
	if (log) {
		opts.log_buf = log;
		opts.log_size = LOG_BYTES;
		opts.log_level = 1;
	}
	return bpf_prog_load(prog_type(p), name, LICENSE, c->insns, c->cnt, &opts);
}

/* Kernels that are locked down keep some functions to themselves. */
static bool calls_kernel(const struct code *c, int32_t func)
{
	for (uint32_t i = 0; i < c->cnt; i++)
		if (c->insns[i].code == (BPF_JMP | BPF_CALL) && !c->insns[i].src_reg && c->insns[i].imm == func)
			return true;
	return false;
}

static int refused(struct ebpf *e, const struct ebpf_prog *p, const struct code *c, int r, struct err *reterr)
{
	char *log = e->in.log ? calloc(1, LOG_BYTES) : NULL;
	if (log) {
		int fd = try_load(e, p, c, log);
		close_fd(fd);
		fprintf(e->in.log, "%s\n", log);
		free(log);
	}
	if (r == -EPERM || (r == -EINVAL && ebpf_locked_down()))
		return ebpf_not_permitted(r, reterr);
	if (r == -EINVAL && calls_kernel(c, BPF_FUNC_probe_write_user))
		return err_setf(reterr, -EOPNOTSUPP, "%s: this kernel lets nobody write the memory of processes from its probes: "
				"copyout() and copyoutstr() cannot be used there", p->name);
	if (r == -E2BIG || r == -ENOSPC)
		return err_setf(reterr, -E2BIG, "the clauses of %s are too large for the kernel's verifier; give the probe fewer or "
				"smaller ones", p->name);
	return err_setf(reterr, r, "the kernel's verifier refuses the program for %s: %s (-d verifier shows why)", p->name,
			strerror(-r));
}

static bool uses_self(const struct code *c)
{
	for (uint32_t i = 1; i < c->func_cnt; i++)
		if (!strcmp(rtk_funcs[c->ids[i]].name, "rtk_self"))
			return true;
	return false;
}

/* From the first program on that has variables of threads: they end with the thread. */
static int watch_threads(struct ebpf *e, struct err *reterr)
{
	static const struct ebpf_prog reaper = { .name = "threads", .kind = EBPF_RAW_TP };
	struct code c = { 0 };
	int r = code_make_reaper(e, &c, reterr);
	if (r < 0)
		return r;
	e->self_prog_fd = try_load(e, &reaper, &c, NULL);
	if (e->self_prog_fd < 0)
		r = refused(e, &reaper, &c, e->self_prog_fd, reterr);
	else
		r = ebpf_attach_raw_tp(e->self_prog_fd, "sched_process_free", &e->self_link_fd, reterr);
	ebpf_code_deinit(&c);
	return r;
}

static bool loads(struct ebpf *e, const struct ebpf_prog *p)
{
	struct code c = { 0 };
	struct err ignored;
	if (code_make(e, p, &c, &ignored) < 0)
		return false;
	int fd = try_load(e, p, &c, NULL);
	close_fd(fd);
	ebpf_code_deinit(&c);
	return fd >= 0;
}

/* Which clause it is that the kernel does not take, for who has to change the script: the first that does not load
 * alone.  Where all do, it is their number. */
static void find_culprit(struct ebpf *e, const struct ebpf_prog *p)
{
	uint32_t found = WIRE_NONE;
	for (uint32_t i = 0; i < p->group_cnt && found == WIRE_NONE; i++)
		for (uint32_t k = 0; k < p->groups[i].prog_cnt && found == WIRE_NONE; k++) {
			struct ebpf_group g = p->groups[i];
			struct ebpf_prog one = *p;
			g.progs += k;
			g.prog_cnt = 1;
			one.groups = &g;
			one.group_cnt = 1;
			if (!loads(e, &one))
				found = g.progs[0]->clause;
		}
	e->failed_clause = found;
}

/* With pointers that are followed by loads; a kernel that does not do that has them read. */
static int load_typed(struct ebpf *e, const struct ebpf_prog *p)
{
	struct code c = { 0 };
	struct err ignored;
	if (code_make(e, p, &c, &ignored) < 0)
		return -EINVAL;
	int fd = uses_self(&c) && !e->in.as_in_tool && e->self_link_fd < 0 ? watch_threads(e, &ignored) : 0;
	fd = fd < 0 ? fd : try_load(e, p, &c, NULL);
	ebpf_code_deinit(&c);
	return fd;
}

int ebpf_load(struct ebpf *e, const struct ebpf_prog *prog, int *ret_fd, struct err *reterr)
{
	struct code c = { 0 };
	struct ebpf_prog plain = *prog;
	const struct ebpf_prog *p = &plain;
	int typed = prog->kind == EBPF_RAW_TP && prog->btf_id ? load_typed(e, prog) : -ENOENT;
	if (typed >= 0) {
		*ret_fd = typed;
		return 0;
	}
	if (prog->kind == EBPF_RAW_TP)
		plain.btf_id = 0;
	if (ebpf_is_preempted(p->kind) && !e->in.preempts)
		return err_setf(reterr, -EINVAL, "%s: the session was made without room for programs that can be preempted", p->name);
	int r = code_make(e, p, &c, reterr);
	if (r < 0 && r != -ENOMEM && e->failed_clause == WIRE_NONE)
		find_culprit(e, p);
	if (r < 0)
		return r;
	if (uses_self(&c) && !e->in.as_in_tool && e->self_link_fd < 0)
		r = watch_threads(e, reterr);
	if (r < 0) {
		ebpf_code_deinit(&c);
		return r;
	}
	int fd = try_load(e, p, &c, NULL);
	if (fd < 0)
		fd = refused(e, p, &c, fd, reterr);
	else
		*ret_fd = fd;
	if (fd < 0 && fd != -EPERM && fd != -ENOMEM)
		find_culprit(e, p);
	ebpf_code_deinit(&c);
	return fd < 0 ? fd : 0;
}

int ebpf_run(int prog_fd, const uint64_t *words, uint32_t cnt, uint32_t cpu, struct err *reterr)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = words, .ctx_size_in = cnt * 8, .cpu = cpu,
		    .flags = BPF_F_TEST_RUN_ON_CPU);
	int r = bpf_prog_test_run_opts(prog_fd, &opts);
	return r < 0 ? err_setf(reterr, r, "the program cannot be run in place: %s", strerror(-r)) : 0;
}
