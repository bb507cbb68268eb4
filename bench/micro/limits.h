/* SPDX-License-Identifier: MIT */
/* What limits.S writes to, for C and assembly. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#ifndef LIMIT_RING_BYTES
#define LIMIT_RING_BYTES 0x100000 /* a power of two */
#endif
#define LIMIT_PAGE 4096

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Pages of its own, so that they can be mapped as shared memory.  The last record may go past the ring's end. */
extern struct limit_ring {
	uint64_t head; /* bytes written, ever */
	uint64_t seen; /* the reader's */
	uint8_t pad[LIMIT_PAGE - 16];
	uint64_t data[LIMIT_RING_BYTES / 8];
	uint8_t slack[LIMIT_PAGE];
} limit_ring;

#define LIMIT(name) long limit_##name(long, long)
LIMIT(untraced);
LIMIT(count);
LIMIT(sum);
LIMIT(predicate);
LIMIT(bucket);
LIMIT(key);
LIMIT(record);
LIMIT(both);
LIMIT(span);
#undef LIMIT
#endif

#endif
