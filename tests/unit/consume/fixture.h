/* SPDX-License-Identifier: MIT */
/*
 * A session without processes: shared memory of this process, a few sites,
 * threads that are made by hand, records written through ring.
 */
#ifndef TEST_CONSUME_FIXTURE_H
#define TEST_CONSUME_FIXTURE_H

#include "../tap.h"

#include "consume/consume_int.h"
#include "wire/layout.h"

#include <stdlib.h>
#include <sys/mman.h>

#define FX_THREADS 3
#define FX_SITES 4

struct fx {
	struct wire_shm *shm;
	struct ir_image image;
	struct plan plan;
	struct consume *c;
	struct consume_opts opts;
	char *out, *errs;
	size_t out_len, errs_len;
	FILE *out_fp, *errs_fp;
	uint32_t str_used;
};

static inline uint32_t fx_intern(struct fx *fx, const char *s)
{
	uint8_t *at = (uint8_t *)fx->shm + fx->shm->str_off + fx->str_used;
	uint32_t len = (uint32_t)strlen(s), off = fx->str_used;
	memcpy(at, &len, 4);
	memcpy(at + 4, s, len + 1);
	fx->str_used += (uint32_t)align_up(4 + len + 1, 8);
	return off;
}

static inline void fx_site(struct fx *fx, uint32_t i, const char *prov, const char *mod, const char *func,
			   const char *name, uint32_t id)
{
	struct wire_site *s = (struct wire_site *)((uint8_t *)fx->shm + fx->shm->site_off) + i;
	*s = (struct wire_site){ .prov = fx_intern(fx, prov), .mod = fx_intern(fx, mod), .func = fx_intern(fx, func),
				 .name = fx_intern(fx, name), .probe_id = id };
}

static inline struct wire_thread *fx_thread(struct fx *fx, uint32_t i)
{
	return (struct wire_thread *)((uint8_t *)fx->shm + fx->shm->thread_off + i * fx->shm->geom.stride);
}

static inline void fx_thread_start(struct fx *fx, uint32_t i)
{
	struct wire_thread *t = fx_thread(fx, i);
	memset(t, 0, sizeof(*t));
	for (int l = 0; l < WIRE_LEVEL_MAX; l++)
		t->ring.open[l] = ~0ULL;
	t->tid = 100 + i;
	t->proc = 1;
	t->state = WIRE_THREAD_LIVE;
}

/* @clauses and @aggs are the caller's. */
static inline void fx_init(struct fx *fx, struct plan_clause *clauses, uint32_t clause_cnt, struct plan_agg *aggs,
			   struct wire_agg *agg_descs, uint32_t agg_cnt)
{
	struct wire_layout_in in = { .strsize = 256, .clause_cnt = clause_cnt, .agg_cnt = agg_cnt, .thread_cnt = FX_THREADS,
				     .site_cap = FX_SITES, .str_cap = 65536, .ring_bytes = 65536, .agg_bytes = 65536,
				     .ctx_bytes = sizeof(struct rt_ctx), .dyn_bytes = 4096, .unw_bytes = 4096 };
	struct wire_shm head;
	struct err e;
	*fx = (struct fx){ 0 };
	for (uint32_t i = 0; i < agg_cnt; i++)
		aggs[i].cpu_off = aggs[i].pid_off = WIRE_NONE;
	if (wire_layout(&head, &in, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	fx->shm = mmap(NULL, head.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*fx->shm = head;
	fx->shm->armed = 1;
	fx_intern(fx, "");
	fx_site(fx, 0, "dtrace", "", "", "BEGIN", 1);
	fx_site(fx, 1, "pid7", "libc.so.6", "malloc", "entry", 42);
	fx_site(fx, 2, "pid7", "libc.so.6", "malloc", "return", 43);
	fx_site(fx, 3, "dtrace", "", "", "ERROR", 3);
	if (agg_cnt)
		memcpy((uint8_t *)fx->shm + fx->shm->agg_desc_off, agg_descs, agg_cnt * sizeof(*agg_descs));
	fx->image = (struct ir_image){ .aggs = agg_descs, .agg_cnt = agg_cnt, .prog_cnt = clause_cnt };
	fx->plan = (struct plan){ .clauses = clauses, .clause_cnt = clause_cnt, .aggs = aggs, .agg_cnt = agg_cnt };
	fx->out_fp = open_memstream(&fx->out, &fx->out_len);
	fx->errs_fp = open_memstream(&fx->errs, &fx->errs_len);
	fx->opts = (struct consume_opts){ .out = fx->out_fp, .errs = fx->errs_fp, .progname = "dtrace", .stackindent = 14 };
	for (uint32_t i = 0; i < FX_THREADS - 1; i++)
		fx_thread_start(fx, i);
	if (consume_create(fx->shm, &fx->plan, &fx->image, &fx->opts, &fx->c, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
}

static inline void fx_deinit(struct fx *fx)
{
	consume_destroy(fx->c);
	fclose(fx->out_fp);
	fclose(fx->errs_fp);
	free(fx->out);
	free(fx->errs);
	munmap(fx->shm, fx->shm->bytes);
}

/* A record: fixed part and tail as @payload has them. */
static inline void fx_rec(struct fx *fx, uint32_t thread, uint16_t type, uint16_t clause, uint32_t site, uint64_t tsc,
			  const void *payload, uint32_t bytes)
{
	struct wire_thread *t = fx_thread(fx, thread);
	uint8_t *data = (uint8_t *)t + fx->shm->geom.ring_off;
	uint32_t total = (uint32_t)align_up(sizeof(struct wire_rec) + bytes, 8);
	struct wire_rec *r = ring_reserve(&t->ring, data, fx->shm->geom.ring_bytes, 0, total);
	r->type = type;
	r->clause = clause;
	r->site = site;
	r->cpu = (uint16_t)thread;
	r->tsc = tsc;
	if (bytes)
		memcpy(r->payload, payload, bytes);
	ring_commit(&t->ring, data, fx->shm->geom.ring_bytes, 0, r, total);
}

static inline const char *fx_out(struct fx *fx)
{
	fflush(fx->out_fp);
	return fx->out;
}
static inline const char *fx_errs(struct fx *fx)
{
	fflush(fx->errs_fp);
	return fx->errs;
}
static inline void fx_drain(struct fx *fx)
{
	struct err e = { 0 };
	CHECK_MSG(consume_drain(fx->c, true, &e) >= 0, "%s", e.msg);
}

#endif
