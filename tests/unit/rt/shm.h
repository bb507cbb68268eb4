/* SPDX-License-Identifier: MIT */
/* A session's shared memory in the test's own process: the process is proc 0,
 * the main thread has slot 0. */
#ifndef TESTS_RT_SHM_H
#define TESTS_RT_SHM_H

#include "rt/helpers.h"

#define SHM_STRSIZE 64u
#define SHM_ALLOCA_BYTES 1024
#define SHM_SPEC_CNT 3
#define SHM_SPEC_BYTES 512
#define SHM_SCRATCH 4096u
#define SHM_SITES 8u

struct shm_opts { /* 0: a default */
	uint32_t thread_cnt, clause_cnt, agg_cnt, this_bytes;
	uint64_t ring_bytes, agg_bytes, dyn_bytes, unw_bytes;
};

/* Made anew for each test; *opts NULL: all defaults. Aborts where there is no memory. */
struct wire_shm *shm_create(const struct shm_opts *opts);
void shm_destroy(struct wire_shm *);

struct wire_proc *shm_proc(struct wire_shm *, uint32_t i);
struct wire_thread *shm_thread(struct wire_shm *, uint32_t i);
struct wire_site *shm_site(struct wire_shm *, enum wire_site_kind);
struct wire_agg *shm_agg(struct wire_shm *, uint32_t i);
uint8_t *shm_ring(struct wire_shm *, uint32_t thread);
uint32_t shm_intern(struct wire_shm *, const char *s);

/* A firing of slot @thread's thread at a site of the kind, as if from this very frame. */
struct rt_ctx *shm_enter(struct wire_shm *, uint32_t thread, enum wire_site_kind);
/* An sref of a string that is put into scratch at @slot. */
uint64_t shm_str(struct rt_ctx *, uint32_t slot, const char *s);
const char *shm_text(struct rt_ctx *, uint64_t sref);
/* A tuple of @cnt scalars in scratch at @slot; returns @slot. */
uint32_t shm_tuple(struct rt_ctx *, uint32_t slot, uint32_t cnt, const uint64_t *fields);

/* Small deterministic random numbers. */
uint64_t shm_random(uint64_t *state);

#endif
