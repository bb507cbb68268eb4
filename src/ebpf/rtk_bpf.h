/* SPDX-License-Identifier: MIT */
/*
 * What the run-time library for the kernel is written with.
 *
 * There are no pointers between its functions, only offsets into the shared
 * memory: a function that is verified for itself knows nothing of its
 * arguments, so at() masks every offset where it is used: no branch, which
 * would double what the kernel's verifier looks at.  That an offset is not
 * wrong is the matter of the IR's verifier; a wrong one stays in the memory.
 */
#ifndef EBPF_RTK_BPF_H
#define EBPF_RTK_BPF_H

/* In place of base/base.h, which knows x86. */
#define BASE_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define ARRAY_CNT(a) (sizeof(a) / sizeof((a)[0]))
#define PACKED __attribute__((packed))
#define INLINE static inline __attribute__((always_inline))
#define GLOBAL __attribute__((noinline)) /* verified once, for itself */
INLINE uint64_t align_up(uint64_t v, uint64_t pow2) { return (v + pow2 - 1) & ~(pow2 - 1); }

#include "ebpf/rtk.h"

#include <linux/bpf.h>

/* A number of the session. */
#define K(name) K_(RTK_K_##name)
#define K_(n) ({ uint64_t k_; __asm__("%0 = %1 ll" : "=r"(k_) : "i"((uint64_t)RTK_MAGIC << 32 | (n))); k_; })

/* The kernel's functions (include/uapi/linux/bpf.h), by their numbers. */
static void *(*const k_map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static uint64_t (*const k_ktime)(void) = (void *)BPF_FUNC_ktime_get_ns;
static uint32_t (*const k_random)(void) = (void *)BPF_FUNC_get_prandom_u32;
static uint32_t (*const k_cpu)(void) = (void *)BPF_FUNC_get_smp_processor_id;
static uint64_t (*const k_pid_tgid)(void) = (void *)BPF_FUNC_get_current_pid_tgid;
static uint64_t (*const k_uid_gid)(void) = (void *)BPF_FUNC_get_current_uid_gid;
static long (*const k_comm)(void *buf, uint32_t bytes) = (void *)BPF_FUNC_get_current_comm;
static uint64_t (*const k_task)(void) = (void *)BPF_FUNC_get_current_task;
static void *(*const k_task_btf)(void) = (void *)BPF_FUNC_get_current_task_btf;
static char *(*const k_task_regs)(void *task) = (void *)BPF_FUNC_task_pt_regs;
static long (*const k_read_kernel)(void *dst, uint32_t bytes, const void *src) = (void *)BPF_FUNC_probe_read_kernel;
static long (*const k_read_user)(void *dst, uint32_t bytes, const void *src) = (void *)BPF_FUNC_probe_read_user;
static long (*const k_read_kernel_str)(void *dst, uint32_t bytes, const void *src) = (void *)BPF_FUNC_probe_read_kernel_str;
static long (*const k_read_user_str)(void *dst, uint32_t bytes, const void *src) = (void *)BPF_FUNC_probe_read_user_str;
static long (*const k_write_user)(void *dst, const void *src, uint32_t bytes) = (void *)BPF_FUNC_probe_write_user;
static long (*const k_signal)(uint32_t sig) = (void *)BPF_FUNC_send_signal_thread;
static long (*const k_ringbuf)(void *map, void *data, uint64_t bytes, uint64_t flags) = (void *)BPF_FUNC_ringbuf_output;

/* Keeps the compiler from deriving @v from something that was checked less. */
#define HIDE(v) __asm__ volatile("" : "+r"(v))

INLINE void *at(uint64_t off)
{
	HIDE(off);
	off &= K(LIMIT);
	HIDE(off);
	return (char *)K(SHM) + off;
}

/* For atomic operations, which must be provably aligned. */
INLINE void *at8(uint64_t off)
{
	off &= ~7ULL;
	HIDE(off);
	off &= K(LIMIT);
	HIDE(off);
	return (char *)K(SHM) + off;
}

INLINE void *at4(uint64_t off)
{
	off &= ~3ULL;
	HIDE(off);
	off &= K(LIMIT);
	HIDE(off);
	return (char *)K(SHM) + off;
}

/*
 * What a loop finds out on its way.  In a register the kernel's verifier would
 * follow each of its possible values through the rest of the loop; what is
 * read back from memory may be anything, and so is looked at once.
 */
INLINE volatile uint64_t *cells(uint64_t ctx)
{
	return at(ctx + offsetof(struct rtk_ctx, cell));
}

/* @bytes made provably at most @max. */
INLINE uint64_t capped(uint64_t bytes, uint64_t max)
{
	HIDE(bytes);
	if (bytes > max)
		bytes = max;
	return bytes;
}

#define MORE(field) (K(MORE) + offsetof(struct rtk_more, field))

INLINE struct rtk_ctx *ctx_at(uint64_t ctx) { return at(ctx); }
INLINE struct wire_thread *thr_of(uint64_t ctx) { return at(ctx_at(ctx)->thr); }
INLINE uint64_t scratch(uint64_t ctx, uint64_t slot) { return ctx + K(SCRATCH) + slot; }
INLINE uint64_t ld64(uint64_t off) { return *(volatile uint64_t *)at(off); }
INLINE uint32_t ld32(uint64_t off) { return *(volatile uint32_t *)at(off); }
INLINE uint8_t ld8(uint64_t off) { return *(volatile uint8_t *)at(off); }
INLINE void st64(uint64_t off, uint64_t v) { *(volatile uint64_t *)at(off) = v; }
INLINE void st32(uint64_t off, uint32_t v) { *(volatile uint32_t *)at(off) = v; }
INLINE void st8(uint64_t off, uint8_t v) { *(volatile uint8_t *)at(off) = v; }

INLINE uint64_t cas64(uint64_t off, uint64_t old, uint64_t new)
{
	return __sync_val_compare_and_swap((uint64_t *)at8(off), old, new);
}

INLINE uint32_t cas32(uint64_t off, uint32_t old, uint32_t new)
{
	return __sync_val_compare_and_swap((uint32_t *)at4(off), old, new);
}

INLINE void add64(uint64_t off, uint64_t v)
{
	__sync_fetch_and_add((uint64_t *)at8(off), v);
}

/* Of a counter that only this CPU writes; what interrupts it has done when it goes on. */
INLINE void add_here(uint64_t off, uint64_t v)
{
	__sync_fetch_and_add((uint64_t *)at8(off), v);
}

/* Within the shared memory; may not overlap.  At most 64 KiB. */
INLINE void copy(uint64_t dst, uint64_t src, uint64_t bytes)
{
	k_read_kernel(at(dst), (uint32_t)capped(bytes, 65536), at(src));
}

INLINE void set_fault(uint64_t ctx, uint32_t fault, uint64_t value)
{
	struct rtk_ctx *c = ctx_at(ctx);
	if (c->fault)
		return;
	c->fault = fault;
	c->fault_value = value;
}

INLINE uint64_t offset_of_str(uint64_t ctx, uint64_t sref)
{
	uint64_t off = (uint32_t)sref;
	switch (sref >> WIRE_SREF_TAG_SHIFT) {
	case WIRE_SREF_INTERN:
		return K(STR) + off;
	case WIRE_SREF_SCRATCH:
		return ctx + K(SCRATCH) + off;
	case RTK_SREF_CTX:
		return ctx + off;
	default:
		return K(STR); /* the first one is "" */
	}
}

/* Characters, as an offset, and length. */
struct text {
	uint64_t s;
	uint64_t len;
};

INLINE struct text text_of(uint64_t ctx, uint64_t sref)
{
	uint64_t str = offset_of_str(ctx, sref);
	struct text t = { str + sizeof(struct wire_str), ld32(str) };
	if (t.len > 65536)
		t.len = 0;
	return t;
}

/* @len characters at @s to string slot @dst; returns its sref. */
INLINE uint64_t str_put(uint64_t ctx, uint64_t dst, uint64_t s, uint64_t len)
{
	uint64_t to = scratch(ctx, dst);
	len = capped(len, K(STRSIZE));
	copy(to + sizeof(struct wire_str), s, len);
	st8(to + sizeof(struct wire_str) + len, 0);
	st32(to, (uint32_t)len);
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

/* Functions of the library that call each other. */
uint64_t rtk_doorbell(void);
uint64_t rtk_tsc(void);
uint64_t rtk_fired(uint64_t ctx);
uint64_t rtk_hash(uint64_t seed, uint64_t key, uint64_t bytes);
uint64_t rtk_same(uint64_t a, uint64_t b, uint64_t bytes);
uint64_t rtk_self(uint64_t ctx, uint64_t create);
uint64_t rtk_read(uint64_t ctx, uint64_t dst, uint64_t addr, uint64_t bytes);
uint64_t rtk_in_vars(uint64_t ctx, uint64_t off, uint64_t bytes);
uint64_t rtk_copyinstr(uint64_t ctx, uint64_t addr, uint64_t max, uint64_t dst);
uint64_t rtk_zero_own(uint64_t off, uint64_t bytes);
uint64_t rtk_writable(uint64_t ctx, uint64_t addr, uint64_t bytes, uint64_t whole);

#endif
