/* SPDX-License-Identifier: MIT */
/*
 * Where everything stands in the shared memory: pure arithmetic, used by
 * whoever makes one (session, tests).  Tools only.
 */
#ifndef WIRE_LAYOUT_H
#define WIRE_LAYOUT_H

#include "wire/wire.h"

struct wire_layout_in {
	/* of the script; ir_image_layout() fills these */
	uint32_t strsize;
	uint32_t clause_cnt;
	uint32_t agg_cnt;
	uint32_t place_cnt;     /* aggregations whose values are noted by site; at most WIRE_PLACES_MAX */
	uint64_t global_bytes;
	uint64_t self_bytes;
	uint64_t this_bytes;
	uint64_t scratch_bytes; /* of one context: the largest that a program uses */
	uint64_t spill_bytes;   /* of one context, behind its scratch: registers of generated code */
	/* of the session */
	uint32_t thread_cnt;    /* slots; at least 1 */
	uint32_t site_cap;
	uint64_t str_cap;       /* interned strings, the script's included */
	uint64_t dyn_bytes;
	uint64_t dyn_max, agg_max; /* elements; entries of a thread; 0: as many as fit */
	uint64_t unw_bytes;
	uint64_t ring_bytes;    /* per thread; rounded up to a power of two, at least a page */
	uint64_t agg_bytes;     /* per thread */
	uint32_t proc_cnt;      /* 0: the usual number */
	uint64_t ctx_bytes;     /* sizeof(struct rt_ctx) */
	uint64_t alloca_bytes;  /* of one context: all that a clause may alloca() */
	uint32_t spec_cnt;      /* speculations */
	bool rates;             /* a struct wire_rate for each site */
};

/* Fills the offsets, capacities and sizes of *out (bytes included), magic and
 * version; zeroes the rest of it.  Areas begin at page boundaries and do not
 * overlap.  0, or -EINVAL/-E2BIG with a message (*out untouched). */
int wire_layout(struct wire_shm *out, const struct wire_layout_in *in, struct err *reterr);

#define WIRE_LAYOUT_BYTES_MAX (1ULL << 42) /* of a whole object */

#endif
