/* SPDX-License-Identifier: MIT */
#include "shm.h"

#include "wire/layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OR(v, def) ((v) ? (v) : (def))

static void *at(struct wire_shm *shm, uint64_t off)
{
	return (uint8_t *)shm + off;
}

struct wire_proc *shm_proc(struct wire_shm *shm, uint32_t i)
{
	return (struct wire_proc *)at(shm, shm->proc_off) + i;
}

struct wire_thread *shm_thread(struct wire_shm *shm, uint32_t i)
{
	return at(shm, shm->thread_off + i * shm->geom.stride);
}

struct wire_site *shm_site(struct wire_shm *shm, enum wire_site_kind kind)
{
	return (struct wire_site *)at(shm, shm->site_off) + kind;
}

struct wire_agg *shm_agg(struct wire_shm *shm, uint32_t i)
{
	return (struct wire_agg *)at(shm, shm->agg_desc_off) + i;
}

uint8_t *shm_ring(struct wire_shm *shm, uint32_t thread)
{
	return (uint8_t *)shm_thread(shm, thread) + shm->geom.ring_off;
}

uint32_t shm_intern(struct wire_shm *shm, const char *s)
{
	uint32_t off = (uint32_t)shm->str_bytes, len = (uint32_t)strlen(s);
	struct wire_str *w = at(shm, shm->str_off + off);
	w->len = len;
	memcpy(w->s, s, len + 1);
	shm->str_bytes += wire_str_bytes(len);
	return off;
}

static void fill_proc(struct wire_shm *shm)
{
	struct wire_proc *p = shm_proc(shm, 0);
	p->pid = (uint32_t)getpid();
	p->errno_off = INT64_MIN;
	p->execname = shm_intern(shm, "test");
	p->shm_addr = (uint64_t)shm;
}

static void fill_sites(struct wire_shm *shm)
{
	for (uint32_t k = 0; k <= WIRE_SITE_HOOK; k++)
		*shm_site(shm, k) = (struct wire_site){ .addr = 0x401000 + 16 * k, .func_addr = 0x401000, .kind = (uint16_t)k,
							.prov = shm_intern(shm, "pid1"), .mod = shm_intern(shm, "a.out"),
							.func = shm_intern(shm, "main"), .name = shm_intern(shm, "entry"),
							.probe_id = 7 + k, .enabled = 1 };
	shm->site_cnt = WIRE_SITE_HOOK + 1;
}

struct wire_shm *shm_create(const struct shm_opts *opts)
{
	static const struct shm_opts none;
	const struct shm_opts *o = opts ? opts : &none;
	struct wire_layout_in in = {
		.strsize = SHM_STRSIZE, .clause_cnt = OR(o->clause_cnt, 4), .agg_cnt = OR(o->agg_cnt, 16), .global_bytes = 1024,
		.self_bytes = 1024, .this_bytes = o->this_bytes, .scratch_bytes = SHM_SCRATCH, .thread_cnt = OR(o->thread_cnt, 8),
		.site_cap = SHM_SITES, .str_cap = 64 << 10, .dyn_bytes = OR(o->dyn_bytes, 256 << 10),
		.unw_bytes = OR(o->unw_bytes, 64 << 10), .ring_bytes = OR(o->ring_bytes, 64 << 10),
		.agg_bytes = OR(o->agg_bytes, 256 << 10), .ctx_bytes = sizeof(struct rt_ctx),
		.alloca_bytes = SHM_ALLOCA_BYTES, .spec_cnt = SHM_SPEC_CNT,
	};
	struct wire_shm layout;
	if (wire_layout(&layout, &in, NULL))
		abort();
	struct wire_shm *shm = mmap(NULL, layout.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shm == MAP_FAILED)
		abort();
	*shm = layout;
	shm->tsc_mult = 1ULL << WIRE_TSC_SHIFT;
	shm->spec_bytes = SHM_SPEC_BYTES;
	shm_intern(shm, "");
	fill_proc(shm);
	fill_sites(shm);
	struct wire_thread *thr = shm_thread(shm, 0);
	memset(thr->ring.open, 0xff, sizeof(thr->ring.open));
	thr->tid = (uint32_t)getpid();
	thr->state = WIRE_THREAD_LIVE;
	shm->armed = 1;
	return shm;
}

void shm_destroy(struct wire_shm *shm)
{
	munmap(shm, shm->bytes);
}

struct rt_ctx *shm_enter(struct wire_shm *shm, uint32_t thread, enum wire_site_kind kind)
{
	struct rt_ctx *ctx = rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, thread), shm_site(shm, kind),
				      (uint64_t)__builtin_frame_address(0));
	if (!ctx)
		return NULL;
	ctx->tsc = rt_now_tsc();
	ctx->clause = 0;
	memset(ctx->regs, 0, sizeof(ctx->regs));
	ctx->regs[WIRE_RSP] = (uint64_t)__builtin_frame_address(0);
	return ctx;
}

uint64_t shm_str(struct rt_ctx *ctx, uint32_t slot, const char *s)
{
	struct wire_str *w = rt_slot(ctx, slot);
	w->len = (uint32_t)strlen(s);
	memcpy(w->s, s, w->len + 1);
	return WIRE_SREF(WIRE_SREF_SCRATCH, slot);
}

const char *shm_text(struct rt_ctx *ctx, uint64_t sref)
{
	uint32_t len;
	const char *s = rt_str(ctx, sref, &len);
	return strlen(s) == len ? s : "(length and NUL disagree)";
}

uint32_t shm_tuple(struct rt_ctx *ctx, uint32_t slot, uint32_t cnt, const uint64_t *fields)
{
	rt_tuple_begin(ctx, slot, 8 * cnt, 0, 0);
	memcpy(((struct wire_tuple *)rt_slot(ctx, slot))->data, fields, 8 * cnt);
	return slot;
}

uint64_t shm_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}
