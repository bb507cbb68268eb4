/* SPDX-License-Identifier: MIT */
/*
 * Memory by address.  The address says whose it is: our own (what alloca()
 * and pointers to variables give), the kernel's (upper half) or the process's.
 */
#include "ebpf/rtk_bpf.h"

#define KERNEL_HALF (1ULL << 63)
#define READ_MAX 65536u

INLINE uint64_t alloca_of(uint64_t ctx)
{
	return ctx + K(ALLOCA);
}

/* Whether offset @off lies in what alloca() has given, and how much of it follows. */
INLINE bool in_alloca(uint64_t ctx, uint64_t off, uint64_t *ret_left)
{
	uint64_t lo = alloca_of(ctx), used = ctx_at(ctx)->alloca_used;
	if (off - lo >= used)
		return false;
	*ret_left = lo + used - off;
	return true;
}

INLINE bool inside(uint64_t off, uint64_t bytes, uint64_t lo, uint64_t size)
{
	return off - lo <= size && bytes <= size - (off - lo);
}

/* Whether these bytes (an offset) are variables of this thread and program. */
GLOBAL uint64_t rtk_in_vars(uint64_t ctx, uint64_t off, uint64_t bytes)
{
	if (inside(off, bytes, K(GLOBAL), K(GLOBAL_BYTES)) || inside(off, bytes, scratch(ctx, 0), K(THIS_BYTES)))
		return 1;
	uint64_t self = rtk_self(ctx, 0);
	return self && inside(off, bytes, self, K(SELF_BYTES));
}

/* @bytes (at most READ_MAX) at @addr to @dst, an offset.  0, or -1: not readable. */
GLOBAL uint64_t rtk_read(uint64_t ctx, uint64_t dst, uint64_t addr, uint64_t bytes)
{
	void *to = at(dst);
	uint32_t n = (uint32_t)capped(bytes, READ_MAX);
	uint64_t off = addr - K(OWN), in_heap = off - alloca_of(ctx);
	if (off <= K(LIMIT) && bytes <= K(LIMIT) - off) {
		if (in_heap < K(ALLOCA_BYTES) && in_heap + bytes > ctx_at(ctx)->alloca_used)
			return ~0ULL; /* of a pointer that outlived its clause */
		return k_read_kernel(to, n, at(off)) ? ~0ULL : 0;
	}
	if (addr & KERNEL_HALF)
		return k_read_kernel(to, n, (void *)addr) ? ~0ULL : 0;
	return k_read_user(to, n, (void *)addr) ? ~0ULL : 0;
}

/* Where in the context a function may put a few bytes: at most 32. */
INLINE uint64_t buffer(uint64_t ctx)
{
	return ctx + offsetof(struct rtk_ctx, buf);
}

/* A register of the firing: of a struct pt_regs. */
GLOBAL uint64_t rtk_ureg(uint64_t ctx, uint64_t n)
{
	uint64_t regs = ctx_at(ctx)->ureg, to = buffer(ctx);
	if (!regs || n >= WIRE_REG_CNT || rtk_read(ctx, to, regs + 8 * n, 8))
		return 0;
	return ld64(to);
}

GLOBAL uint64_t rtk_copyin_u(uint64_t ctx, uint64_t addr, uint64_t bytes, uint64_t is_signed)
{
	uint64_t to = buffer(ctx), shift = 64 - 8 * bytes;
	if (rtk_read(ctx, to, addr, bytes)) {
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
		return 0;
	}
	uint64_t v = ld64(to) << (shift & 63);
	return is_signed ? (uint64_t)((int64_t)v >> (shift & 63)) : v >> (shift & 63);
}

/* Characters up to a NUL, at most @limit, to @dst; their number, or -1. */
INLINE int64_t read_str(uint64_t dst, uint64_t addr, uint64_t limit)
{
	void *to = at(dst);
	uint32_t n = (uint32_t)capped(limit + 1, 65537);
	uint64_t off = addr - K(OWN);
	if (off <= K(LIMIT))
		return k_read_kernel_str(to, n, at(off)) - 1;
	if (addr & KERNEL_HALF)
		return k_read_kernel_str(to, n, (void *)addr) - 1;
	return k_read_user_str(to, n, (void *)addr) - 1;
}

GLOBAL uint64_t rtk_copyinstr(uint64_t ctx, uint64_t addr, uint64_t max, uint64_t dst)
{
	uint64_t limit = K(STRSIZE), to = scratch(ctx, dst), left, off = addr - K(OWN);
	if (max && max < limit)
		limit = max;
	if (in_alloca(ctx, off, &left) && left < limit)
		limit = left;
	else if (off - alloca_of(ctx) < K(ALLOCA_BYTES) && off - alloca_of(ctx) >= ctx_at(ctx)->alloca_used)
		addr = 0; /* stale: nothing can be read there */
	int64_t len = read_str(to + sizeof(struct wire_str), addr, limit);
	if (len < 0) {
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
		len = 0;
	}
	st8(to + sizeof(struct wire_str) + (uint64_t)len, 0);
	st32(to, (uint32_t)len);
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

#define ZERO_LINE 32u /* words that one call zeroes */

GLOBAL uint64_t rtk_zero_line(uint64_t off)
{
	volatile uint64_t *p = at(off);
	for (uint32_t i = 0; i < ZERO_LINE; i++)
		p[i] = 0;
	return 0;
}

/* Zeroes memory of alloca(), or variables. */
GLOBAL uint64_t rtk_zero_own(uint64_t off, uint64_t bytes)
{
	for (uint64_t i = 0; i <= K(ZERO_WORDS) / ZERO_LINE && bytes >= 8 * ZERO_LINE; i++) {
		rtk_zero_line(off);
		off += 8 * ZERO_LINE;
		bytes -= 8 * ZERO_LINE;
	}
	volatile uint64_t *p = at(off);
	volatile uint8_t *rest = at(off + (bytes & ~7ULL));
	for (uint64_t i = 0; i < ZERO_LINE && 8 * i + 8 <= bytes; i++)
		p[i] = 0;
	for (uint64_t i = 0; i < (bytes & 7); i++)
		rest[i] = 0;
	return 0;
}

GLOBAL uint64_t rtk_alloca(uint64_t ctx, uint64_t bytes)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t from = align_up(c->alloca_used, 8), room = K(ALLOCA_BYTES);
	if (from > room || bytes > room - from) {
		set_fault(ctx, WIRE_FAULT_NOSCRATCH, bytes);
		return 0;
	}
	c->alloca_used = (uint32_t)(from + bytes);
	rtk_zero_own(alloca_of(ctx) + from, bytes);
	return K(OWN) + alloca_of(ctx) + from;
}

GLOBAL uint64_t rtk_writable(uint64_t ctx, uint64_t addr, uint64_t bytes, uint64_t whole)
{
	uint64_t left = 0, off = addr - K(OWN);
	if (off <= K(LIMIT) && rtk_in_vars(ctx, off, bytes))
		return 1;
	if (!in_alloca(ctx, off, &left))
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	else if (bytes > left && whole)
		set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
	else if (bytes > left)
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return !ctx_at(ctx)->fault;
}

GLOBAL uint64_t rtk_copyinto(uint64_t ctx, uint64_t addr, uint64_t bytes, uint64_t dst)
{
	uint64_t left = 0;
	if (bytes > K(ALLOCA_BYTES) || bytes > READ_MAX) {
		set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
		return 0;
	}
	if (!bytes || !rtk_writable(ctx, dst, bytes, 1))
		return 0;
	if (in_alloca(ctx, addr - K(OWN), &left) && bytes > left)
		set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
	else if (rtk_read(ctx, dst - K(OWN), addr, bytes))
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return 0;
}

GLOBAL uint64_t rtk_copyin(uint64_t ctx, uint64_t addr, uint64_t bytes)
{
	uint64_t dst = rtk_alloca(ctx, bytes);
	if (dst && !ctx_at(ctx)->fault)
		rtk_copyinto(ctx, addr, bytes, dst);
	return dst;
}

GLOBAL uint64_t rtk_bcopy(uint64_t ctx, uint64_t from, uint64_t to, uint64_t bytes)
{
	rtk_copyinto(ctx, from, bytes, to);
	return 0;
}

GLOBAL uint64_t rtk_poke(uint64_t ctx, uint64_t addr, uint64_t v, uint64_t bytes)
{
	if (!rtk_writable(ctx, addr, bytes, 0))
		return 0;
	uint64_t off = addr - K(OWN);
	switch (bytes) {
	case 1: *(volatile uint8_t *)at(off) = (uint8_t)v; break;
	case 2: *(volatile uint16_t *)at(off) = (uint16_t)v; break;
	case 4: *(volatile uint32_t *)at(off) = (uint32_t)v; break;
	default: *(volatile uint64_t *)at(off) = v; break;
	}
	return 0;
}

/* ---- variables that are structures, unions and arrays ---- */

GLOBAL uint64_t rtk_var_addr(uint64_t ctx, uint64_t area, uint64_t off)
{
	if (area == WIRE_AREA_GLOBAL)
		return K(OWN) + K(GLOBAL) + off;
	if (area == WIRE_AREA_SELF)
		return K(OWN) + rtk_self(ctx, 1) + off;
	return K(OWN) + scratch(ctx, off);
}

GLOBAL uint64_t rtk_var_copy(uint64_t ctx, uint64_t from, uint64_t to, uint64_t bytes)
{
	if (!rtk_writable(ctx, to, bytes, 0))
		return 0;
	if (rtk_read(ctx, to - K(OWN), from, bytes))
		set_fault(ctx, WIRE_FAULT_BADADDR, from);
	return 0;
}

GLOBAL uint64_t rtk_var_zero(uint64_t ctx, uint64_t addr, uint64_t bytes)
{
	if (rtk_writable(ctx, addr, bytes, 0))
		rtk_zero_own(addr - K(OWN), bytes);
	return 0;
}

INLINE uint64_t str_bytes(void)
{
	return align_up(sizeof(struct wire_str) + K(STRSIZE) + 1, 8);
}

GLOBAL uint64_t rtk_var_str_store(uint64_t ctx, uint64_t addr, uint64_t sref)
{
	struct text t = text_of(ctx, sref);
	uint64_t off = addr - K(OWN), left = 0;
	t.len = capped(t.len, K(STRSIZE));
	if (rtk_in_vars(ctx, off, str_bytes())) {
		st32(off, (uint32_t)t.len);
		off += sizeof(struct wire_str);
	} else if (!in_alloca(ctx, off, &left) || left <= t.len) {
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
		return 0;
	}
	copy(off, t.s, t.len);
	st8(off + t.len, 0);
	return 0;
}

GLOBAL uint64_t rtk_var_str_load(uint64_t ctx, uint64_t addr, uint64_t dst)
{
	if (rtk_in_vars(ctx, addr - K(OWN), str_bytes()))
		addr += sizeof(struct wire_str);
	return rtk_copyinstr(ctx, addr, 0, dst);
}
