/* SPDX-License-Identifier: MIT */
/* A session's shared memory inside one test process: laid out by
 * wire_layout(), with one site of each kind and thread slot 0 live. */
#ifndef TESTS_EXEC_MKSHM_H
#define TESTS_EXEC_MKSHM_H

#include "ir/ir.h"
#include "rt/rt.h"

#define MKSHM_ALLOCA_BYTES 1024
#define MKSHM_SPEC_CNT 3
#define MKSHM_SPEC_BYTES 512

struct mkshm_opts {
	uint32_t thread_cnt; /* 0: 2 */
	uint64_t ring_bytes; /* 0: 64 KiB */
	uint64_t agg_bytes;  /* 0: 256 KiB */
	uint64_t dyn_bytes;  /* 0: 256 KiB */
	uint64_t unw_bytes;
	uint32_t site_cap;   /* 0: 8 */
	bool rates;          /* a budget is kept: a hit at site i stands for 3 * i + 2 */
	uint64_t spill_bytes; /* more than what the image itself says */
	/* Makes the memory that @head describes, zeroed but for @head; NULL: private pages. */
	struct wire_shm *(*make)(void *arg, const struct wire_shm *head);
	void *make_arg;
};

struct mkshm {
	struct wire_shm *shm; /* page-aligned */
	const struct ir_image *img; /* borrowed */
	bool made; /* by opts.make */
};

/* Aborts without memory.  img->progs may be missing: then scratch has
 * @min_scratch bytes, else at least so many. */
void mkshm_init(struct mkshm *, const struct ir_image *, const struct mkshm_opts *, uint64_t min_scratch);
void mkshm_deinit(struct mkshm *);
/* Everything as after _init. */
void mkshm_reset(struct mkshm *);

struct wire_proc *mkshm_proc(struct mkshm *, uint32_t i);
struct wire_thread *mkshm_thread(struct mkshm *, uint32_t i);
/* The site of a kind (its index is the kind): function at 0x401000, a place 0x10 behind it. */
struct wire_site *mkshm_site(struct mkshm *, enum wire_site_kind);
/* Context of level @level of a thread. */
struct rt_ctx *mkshm_ctx(struct mkshm *, uint32_t thread, uint32_t level);
/* Appends a string to the interned ones; returns its offset. */
uint32_t mkshm_intern(struct mkshm *, const char *s);

#endif
