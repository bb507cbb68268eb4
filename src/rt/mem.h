/* SPDX-License-Identifier: MIT */
/* Bytes, without a libc: small sizes, so loops do. */
#ifndef RT_MEM_H
#define RT_MEM_H

#include "rt/rt.h"

static inline void mem_copy(void *dst, const void *src, uint64_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(bytes) : : "memory");
}

/* Regions may overlap. */
static inline void mem_move(char *dst, const char *src, uint64_t bytes)
{
	if (dst <= src || dst >= src + bytes) {
		mem_copy(dst, src, bytes);
		return;
	}
	while (bytes--)
		((volatile char *)dst)[bytes] = src[bytes];
}

static inline void mem_zero(void *dst, uint64_t bytes)
{
	uint64_t words = bytes / 8;
	uint64_t *p = dst;
	for (uint64_t i = 0; i < words; i++)
		((volatile uint64_t *)p)[i] = 0;
	for (uint64_t i = words * 8; i < bytes; i++)
		((volatile uint8_t *)dst)[i] = 0;
}

static inline bool mem_equal(const void *a, const void *b, uint64_t bytes)
{
	const uint8_t *x = a, *y = b;
	for (uint64_t i = 0; i < bytes; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static inline uint64_t mem_hash(uint64_t seed, const void *data, uint64_t bytes)
{
	const uint8_t *p = data;
	uint64_t h = seed ^ (bytes * 0x9e3779b97f4a7c15ULL);
	while (bytes >= 8) {
		uint64_t v;
		__builtin_memcpy(&v, p, 8);
		h = (h ^ v) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
		p += 8;
		bytes -= 8;
	}
	while (bytes--)
		h = (h ^ *p++) * 0xff51afd7ed558ccdULL;
	return h ^ (h >> 29);
}

/* A slot in scratch by its offset, which the verifier has checked. */
static inline void *rt_slot(struct rt_ctx *ctx, uint64_t off)
{
	return ctx->scratch + off;
}

static inline int64_t sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	int64_t ret;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline void rt_set_fault(struct rt_ctx *ctx, uint32_t fault, uint64_t value)
{
	if (ctx->fault)
		return;
	ctx->fault = fault;
	ctx->fault_value = value;
}

/* Tells the consumer to look now. */
void rt_ring_doorbell(struct rt_ctx *);
uint32_t rt_cpu(void);

#endif
