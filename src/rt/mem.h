/* SPDX-License-Identifier: MIT */
/* What resident code has instead of a libc: bytes and system calls. */
#ifndef RT_MEM_H
#define RT_MEM_H

#include "rt/agg.h"
#include "rt/rt.h"

/* A word at any address. */
struct mem_word {
	uint64_t v;
} PACKED;

#define MEM_LONG 512 /* from here on the processor's own copy is faster */

/* Also for overlapping regions where dst is below src. */
static inline void mem_copy(void *dst, const void *src, uint64_t bytes)
{
	uint8_t *d = dst;
	const uint8_t *s = src;
	if (bytes >= MEM_LONG) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes) : : "memory");
		return;
	}
	for (; bytes >= 8; bytes -= 8, d += 8, s += 8)
		((struct mem_word *)d)->v = ((const struct mem_word *)s)->v;
	while (bytes--)
		*d++ = *s++;
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
	uint8_t *d = dst;
	for (; bytes >= 8; bytes -= 8, d += 8)
		((struct mem_word *)d)->v = 0;
	while (bytes--)
		*d++ = 0;
}

static inline bool mem_equal(const void *a, const void *b, uint64_t bytes)
{
	const uint8_t *x = a, *y = b;
	for (; bytes >= 32; bytes -= 32, x += 32, y += 32) {
		const struct mem_word *v = (const struct mem_word *)x, *w = (const struct mem_word *)y;
		if ((v[0].v ^ w[0].v) | (v[1].v ^ w[1].v) | (v[2].v ^ w[2].v) | (v[3].v ^ w[3].v))
			return false;
	}
	for (; bytes >= 8; bytes -= 8, x += 8, y += 8)
		if (((const struct mem_word *)x)->v != ((const struct mem_word *)y)->v)
			return false;
	while (bytes--)
		if (*x++ != *y++)
			return false;
	return true;
}

/* Programs of the kernel and generated code do the same: rt/agg.h. */
static inline uint64_t mem_hash(uint64_t seed, const void *data, uint64_t bytes)
{
	const struct mem_word *w = data;
	uint64_t h = rt_agg_hash_seed(seed, bytes);
#define WORD(i) w[i].v
	for (; bytes >= 8 * RT_AGG_LINE_WORDS; bytes -= 8 * RT_AGG_LINE_WORDS, w += RT_AGG_LINE_WORDS)
		h = RT_AGG_HASH_LINE(h, WORD);
#undef WORD
	for (; bytes >= 8; bytes -= 8, w++)
		h = rt_agg_hash_word(h, w->v);
	const uint8_t *p = (const uint8_t *)w;
	while (bytes--)
		h = (h ^ *p++) * RT_AGG_HASH_MULT;
	return h ^ h >> RT_AGG_HASH_END_SHIFT;
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

/* What the controller reads and writes, too: a followed child may have a copy of its own for generated code (rt/child.c). */
static inline struct wire_proc *rt_proc_shared(struct wire_shm *shm, const struct wire_proc *proc)
{
	return (struct wire_proc *)((uint8_t *)shm + shm->proc_off) + proc->idx;
}

/* What the time is in the process that runs. */
static inline uint64_t rt_tsc(const struct rt_ctx *ctx)
{
	return UNLIKELY(LOAD_RELAXED(&ctx->proc->flags) & WIRE_PROC_NO_TSC) ?
		LOAD_RELAXED(&rt_proc_shared(ctx->shm, ctx->proc)->coarse_tsc) : rt_now_tsc();
}

static inline void rt_set_fault(struct rt_ctx *ctx, uint32_t fault, uint64_t value)
{
	if (ctx->fault)
		return;
	ctx->fault = fault;
	ctx->fault_value = value;
}

#define MEM_PAGE 4096ULL

/* Levels of a thread (rt/level.c): frees those that were left by a longjmp, as far as a probe that
 * fires at @sp shows it. @crowded: there is no free one. */
void rt_levels_reclaim(struct wire_shm *, const struct wire_proc *, struct wire_thread *, uint64_t sp, bool crowded);
/* Whether the probe that fired at @old has been left, since one fires at @sp. */
bool rt_was_left(const struct wire_proc *, uint64_t old, uint64_t sp, bool crowded);
uint32_t rt_levels_used(const struct wire_thread *);
void rt_level_free(struct wire_shm *, struct wire_thread *, uint32_t level);

/* Whether these bytes lie in global variables, self-> variables of the thread, or this-> ones of the context. */
bool rt_in_vars(struct rt_ctx *, uint64_t addr, uint64_t bytes);
/* The @len characters and a NUL to alloca memory, or a fault; returns 0. */
uint64_t rt_alloca_str_store(struct rt_ctx *, uint64_t at, const char *s, uint32_t len);

/* What alloca() gives out: behind the context's scratch. */
static inline uint8_t *rt_alloca_mem(struct rt_ctx *ctx)
{
	return (uint8_t *)ctx + ctx->shm->alloca_off;
}

/* Writes @len characters to string slot @dst, cut to strsize; safe if they overlap it. The slot's sref. */
uint64_t rt_str_put(struct rt_ctx *, uint64_t dst, const char *s, uint64_t len);

/* Writes to the process's memory where the process itself could. 0 or -1. */
int rt_mem_write(struct rt_ctx *, uint64_t addr, const void *src, uint64_t bytes);

/* The system call @nr of the process may begin a thread without a thread block, or take this one's away (base.c). */
#define RT_BASE_ARGS 5
void rt_base_call(struct rt_ctx *, uint64_t nr, const uint64_t args[RT_BASE_ARGS]);
void rt_base_moves(struct rt_ctx *, uint64_t code, uint64_t addr); /* arch_prctl() */

/* Raises the signals of the mask (bit n - 1: signal n) in this thread; SIGSTOP stops the process. */
void rt_signals_raise(uint64_t mask);

/* Tells the consumer to look now. */
void rt_ring(struct wire_shm *, const struct wire_proc *);
void rt_ring_doorbell(struct rt_ctx *);
uint32_t rt_cpu(const struct wire_proc *);

#endif
