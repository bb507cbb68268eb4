/* SPDX-License-Identifier: MIT */
/*
 * base: what every room may use, the resident ones (those that run inside a
 * traced process) included.  Header-only but for err_setf(), which only tools
 * link.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_CNT(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PACKED __attribute__((packed))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

static inline uint64_t align_up(uint64_t v, uint64_t pow2) { return (v + pow2 - 1) & ~(pow2 - 1); }
static inline uint64_t align_down(uint64_t v, uint64_t pow2) { return v & ~(pow2 - 1); }

/* Atomics on shared memory.  "local" ones are atomic with respect to signal
 * handlers of the same thread only (one instruction, no lock prefix). */
#define LOAD_RELAXED(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE_RELAXED(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define STORE_RELEASE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

static inline void add_local(uint64_t *p, uint64_t v)
{
	__asm__ volatile("addq %1, %0" : "+m"(*p) : "er"(v) : "memory", "cc");
}

static inline void and_local(uint64_t *p, uint64_t v)
{
	__asm__ volatile("andq %1, %0" : "+m"(*p) : "er"(v) : "memory", "cc");
}

/* *old: what is expected, then what was found. */
static inline bool cas_local(uint64_t *p, uint64_t *old, uint64_t new)
{
	bool ok;
	__asm__ volatile("cmpxchg %3, %1" : "=@ccz"(ok), "+m"(*p), "+a"(*old) : "r"(new) : "memory");
	return ok;
}

static inline bool cas_local32(uint32_t *p, uint32_t *old, uint32_t new)
{
	bool ok;
	__asm__ volatile("cmpxchg %3, %1" : "=@ccz"(ok), "+m"(*p), "+a"(*old) : "r"(new) : "memory");
	return ok;
}

/* An error of the world (not of the user's D, not a bug of ours): a negative
 * errno and a sentence that says what to do.  Callers that do not care pass
 * NULL.  The message is valid only where a function returned < 0. */
#define ERR_MSG_MAX 1024
struct err {
	int code; /* -errno */
	char msg[ERR_MSG_MAX];
};

/* Fills *reterr (NULL is fine) and returns @code, so that `return
 * err_setf(reterr, -ENOENT, "...")` is one line.  Tools only. */
int err_setf(struct err *reterr, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "prefix: " before the message that is there already; returns its code. */
int err_prefixf(struct err *reterr, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
