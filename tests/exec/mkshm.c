/* SPDX-License-Identifier: MIT */
#include "mkshm.h"

#include "wire/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STR_ROOM 4096u
#define SITE_KINDS (WIRE_SITE_HOOK + 1)

static void *at(struct mkshm *m, uint64_t off)
{
	return (char *)m->shm + off;
}

struct wire_proc *mkshm_proc(struct mkshm *m, uint32_t i)
{
	return (struct wire_proc *)at(m, m->shm->proc_off) + i;
}

struct wire_thread *mkshm_thread(struct mkshm *m, uint32_t i)
{
	return at(m, m->shm->thread_off + i * m->shm->geom.stride);
}

struct wire_site *mkshm_site(struct mkshm *m, enum wire_site_kind kind)
{
	return (struct wire_site *)at(m, m->shm->site_off) + kind;
}

struct rt_ctx *mkshm_ctx(struct mkshm *m, uint32_t thread, uint32_t level)
{
	return (struct rt_ctx *)((char *)mkshm_thread(m, thread) + m->shm->geom.ctx_off + level * m->shm->geom.ctx_stride);
}

uint32_t mkshm_intern(struct mkshm *m, const char *s)
{
	size_t len = strlen(s);
	uint64_t bytes = align_up(sizeof(struct wire_str) + len + 1, 8);
	uint32_t off = (uint32_t)m->shm->str_bytes;
	if (off + bytes > m->shm->str_cap)
		abort();
	struct wire_str *w = at(m, m->shm->str_off + off);
	w->len = (uint32_t)len;
	memcpy(w->s, s, len + 1);
	m->shm->str_bytes += bytes;
	return off;
}

/* One argument of each form that both executors see alike; arg1 is an address as at the other kinds (exec.h),
 * arg4 cannot be read. */
static uint32_t make_args(struct mkshm *m)
{
	static const struct wire_uargs args = { .cnt = 10, .v = {
		{ .kind = WIRE_UARG_REG, .bytes = 4, .is_signed = 1, .reg = WIRE_R13, .reg_bytes = 4 },
		{ .kind = WIRE_UARG_REG, .bytes = 8, .reg = WIRE_RSI, .reg_bytes = 8 },
		{ .kind = WIRE_UARG_MEM, .bytes = 2, .is_signed = 1, .reg = WIRE_RSI, .index = WIRE_RDI, .shift = 2, .val = (uint64_t)-40 },
		{ .kind = WIRE_UARG_CONST, .bytes = 1, .val = (uint64_t)-7 },
		{ .kind = WIRE_UARG_MEM, .bytes = 4, .reg = WIRE_UARG_NO_REG, .index = WIRE_UARG_NO_REG, .val = 24 },
		{ .kind = WIRE_UARG_REG, .bytes = 1, .reg = WIRE_R12, .shift = 8, .reg_bytes = 1 },
		{ .kind = WIRE_UARG_MEM, .bytes = 8, .reg = WIRE_RSP, .index = WIRE_UARG_NO_REG, .val = 16 },
		{ .kind = WIRE_UARG_NONE, .bytes = 8 },
		{ .kind = WIRE_UARG_MEM, .bytes = 4, .reg = WIRE_RIP, .index = WIRE_RDX, .shift = 3 },
		{ .kind = WIRE_UARG_REG, .bytes = 8, .is_signed = 1, .reg = WIRE_R15, .reg_bytes = 2 },
	} };
	uint64_t off = m->shm->str_bytes;
	if (off + sizeof(args) > m->shm->str_cap)
		abort();
	memcpy(at(m, m->shm->str_off + off), &args, sizeof(args));
	m->shm->str_bytes += sizeof(args);
	return (uint32_t)off;
}

static void init_sites(struct mkshm *m)
{
	uint32_t prov = mkshm_intern(m, "pid1"), mod = mkshm_intern(m, "a.out"), func = mkshm_intern(m, "function");
	static const char *const names[SITE_KINDS] = { "BEGIN", "entry", "return", "10", "usdt", "hook" };
	for (unsigned kind = 0; kind < SITE_KINDS; kind++)
		*mkshm_site(m, (enum wire_site_kind)kind) = (struct wire_site){
			.addr = 0x401000 + (kind == WIRE_SITE_ENTRY ? 0 : 0x10), .func_addr = 0x401000, .prov = prov, .mod = mod,
			.func = func, .name = mkshm_intern(m, names[kind]), .probe_id = 100 + kind, .kind = (uint16_t)kind,
			.enabled = 1,
		};
	mkshm_site(m, WIRE_SITE_USDT)->args = make_args(m);
	for (unsigned kind = 0; m->shm->rate_off && kind < SITE_KINDS; kind++)
		((struct wire_rate *)at(m, m->shm->rate_off))[kind].weight = 3 * kind + 2;
	m->shm->site_cnt = SITE_KINDS;
}

static void init_proc(struct mkshm *m)
{
	struct wire_proc *p = mkshm_proc(m, 0);
	p->idx = 0;
	p->pid = (uint32_t)getpid();
	p->ppid = (uint32_t)getppid();
	p->uid = (uint32_t)getuid();
	p->gid = (uint32_t)getgid();
	p->errno_off = INT64_MIN;
	p->execname = mkshm_intern(m, "test");
	p->shm_addr = (uint64_t)(uintptr_t)m->shm;
}

static void init_thread(struct mkshm *m)
{
	struct wire_thread *t = mkshm_thread(m, 0);
	t->tid = (uint32_t)gettid();
	t->state = WIRE_THREAD_LIVE;
	for (unsigned i = 0; i < WIRE_LEVEL_MAX; i++)
		t->ring.open[i] = UINT64_MAX;
}

static void fill(struct mkshm *m)
{
	struct wire_shm *s = m->shm;
	if (m->img->str_bytes) {
		memcpy(at(m, s->str_off), m->img->strs, m->img->str_bytes);
		s->str_bytes = m->img->str_bytes;
	} else {
		mkshm_intern(m, "");
	}
	if (m->img->agg_cnt)
		memcpy(at(m, s->agg_desc_off), m->img->aggs, m->img->agg_cnt * sizeof(*m->img->aggs));
	s->tsc_mult = 1ULL << WIRE_TSC_SHIFT; /* a tick is a nanosecond */
	s->spec_bytes = MKSHM_SPEC_BYTES;
	init_sites(m);
	init_proc(m);
	init_thread(m);
	s->armed = 1;
}

void mkshm_init(struct mkshm *m, const struct ir_image *img, const struct mkshm_opts *o, uint64_t min_scratch)
{
	static const struct mkshm_opts none;
	if (!o)
		o = &none;
	struct wire_layout_in in = { .thread_cnt = o->thread_cnt ? o->thread_cnt : 2, .site_cap = o->site_cap ? o->site_cap : 8,
		.ring_bytes = o->ring_bytes ? o->ring_bytes : 64 << 10, .agg_bytes = o->agg_bytes ? o->agg_bytes : 256 << 10,
		.dyn_bytes = o->dyn_bytes ? o->dyn_bytes : 256 << 10, .unw_bytes = o->unw_bytes,
		.ctx_bytes = sizeof(struct rt_ctx), .alloca_bytes = MKSHM_ALLOCA_BYTES, .rates = o->rates, .spec_cnt = MKSHM_SPEC_CNT };
	ir_image_layout(img, &in);
	in.spill_bytes += o->spill_bytes;
	in.str_cap += STR_ROOM;
	if (in.scratch_bytes < min_scratch)
		in.scratch_bytes = align_up(min_scratch, 16);
	struct wire_shm s;
	struct err err;
	if (wire_layout(&s, &in, &err) < 0) {
		fprintf(stderr, "mkshm: %s\n", err.msg);
		abort();
	}
	void *p = o->make ? o->make(o->make_arg, &s) :
			    mmap(NULL, s.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		abort();
	*m = (struct mkshm){ .shm = p, .img = img, .made = o->make != NULL };
	*m->shm = s;
	fill(m);
}

void mkshm_deinit(struct mkshm *m)
{
	if (m->shm)
		munmap(m->shm, m->shm->bytes);
	m->shm = NULL;
}

void mkshm_reset(struct mkshm *m)
{
	struct wire_shm s = *m->shm;
	if (m->made)
		memset(m->shm, 0, s.bytes);
	else
		madvise(m->shm, s.bytes, MADV_DONTNEED);
	/* All that fill() and running programs change in the head. */
	s.str_bytes = 0;
	s.site_cnt = 0;
	s.exiting = 0;
	s.exit_status = 0;
	s.doorbell = 0;
	s.consumer_sleeps = 0;
	s.spec_drops = s.spec_busy = s.spec_unavail = 0;
	*m->shm = s;
	fill(m);
}
