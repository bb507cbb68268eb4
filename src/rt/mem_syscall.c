/* SPDX-License-Identifier: MIT */
/* Reading the process's own memory without ever faulting (ADR 2). */
#include "rt/helpers.h"

#include <errno.h>
#include <sys/syscall.h>

struct io {
	uint64_t base, len;
};

static bool inside(uint64_t addr, uint64_t bytes, uint64_t lo, uint64_t hi)
{
	return addr >= lo && addr < hi && bytes <= hi - addr;
}

/* The id that the process sees itself under, which in a pid namespace is not
 * what others see.  A vfork child uses its parent's slot and memory: the
 * parent's id serves it too, or is refused. */
static uint64_t own_pid(struct wire_thread *thr, bool refused)
{
	if (refused)
		return (uint64_t)sys6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	if (!thr->own_pid)
		thr->own_pid = (uint32_t)sys6(SYS_getpid, 0, 0, 0, 0, 0, 0);
	return thr->own_pid;
}

/* @nr: SYS_process_vm_readv or _writev */
static int64_t vm_io(long nr, struct wire_thread *thr, const void *own, uint64_t addr, uint64_t bytes)
{
	struct io local = { (uint64_t)own, bytes }, remote = { addr, bytes };
	int64_t r = 0;
	for (int refused = 0; refused < 2; refused++) {
		r = sys6(nr, own_pid(thr, refused), (uint64_t)&local, 1, (uint64_t)&remote, 1, 0);
		if (r != -EPERM && r != -ESRCH)
			break;
	}
	return r;
}

/* Probes of the tool itself (BEGIN, tick, END) see the traced program's memory: its stack is none of theirs,
 * and where the program has gone there is nothing to see instead. */
static int other_io(long nr, const struct rt_ctx *ctx, const void *own, uint64_t addr, uint64_t bytes)
{
	struct io local = { (uint64_t)own, bytes }, remote = { addr, bytes };
	return sys6(nr, ctx->thr->mem_pid, (uint64_t)&local, 1, (uint64_t)&remote, 1, 0) == (int64_t)bytes ? 0 : -1;
}

/* Whether @addr is in memory of alloca(), and then how much of it is behind it. */
static bool in_alloca(struct rt_ctx *ctx, uint64_t addr, uint64_t *ret_left)
{
	uint64_t lo = (uint64_t)rt_alloca_mem(ctx);
	if (addr < lo || addr >= lo + ctx->alloca_used)
		return false;
	*ret_left = lo + ctx->alloca_used - addr;
	return true;
}

/* Memory of alloca() that no program has: a pointer that outlived its clause. */
static bool is_stale(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes)
{
	uint64_t lo = (uint64_t)rt_alloca_mem(ctx);
	return addr >= lo && addr < lo + ctx->shm->alloca_bytes && addr - lo + bytes > ctx->alloca_used;
}

/* The page that the probe itself runs on.  What else of the stack was once readable (stack_hi) need not be
 * so any more where a program makes a smaller stack at the same place. */
static bool in_stack_page(const struct rt_ctx *ctx, uint64_t addr, uint64_t bytes)
{
	uint64_t page = align_down(ctx->thr->level_sp[ctx->level] - 1, MEM_PAGE);
	return inside(addr, bytes, page, page + MEM_PAGE);
}

/* The program's own objects have no bounds here: sanitized builds of ours must not look for them. */
static __attribute__((no_sanitize("address"))) void load_theirs(void *dst, uint64_t addr, uint64_t bytes)
{
	uint8_t *d = dst;
	const uint8_t *s = (const uint8_t *)addr;
	for (; bytes >= 8; bytes -= 8, d += 8, s += 8)
		((struct mem_word *)d)->v = ((const struct mem_word *)s)->v;
	while (bytes--)
		*d++ = *s++;
}

int rt_mem_read(struct rt_ctx *ctx, void *dst, uint64_t addr, uint64_t bytes)
{
	uint64_t shm = (uint64_t)ctx->shm;
	bool other = UNLIKELY(ctx->thr->mem_pid);
	if (is_stale(ctx, addr, bytes))
		return -1;
#ifdef RT_IN_TOOL
	if (addr >> 63)
		return rt_peek_read(dst, addr, bytes);
#endif
	if (inside(addr, bytes, shm, shm + ctx->shm->bytes)) {
		mem_copy(dst, (const void *)addr, bytes);
		return 0;
	}
	if (!other && in_stack_page(ctx, addr, bytes)) {
		load_theirs(dst, addr, bytes);
		return 0;
	}
	if (other)
		return other_io(SYS_process_vm_readv, ctx, dst, addr, bytes);
	if (ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		return -1;
	return vm_io(SYS_process_vm_readv, ctx->thr, dst, addr, bytes) == (int64_t)bytes ? 0 : -1;
}

int rt_mem_write(struct rt_ctx *ctx, uint64_t addr, const void *src, uint64_t bytes)
{
	uint64_t shm = (uint64_t)ctx->shm;
	bool ours = addr < shm + ctx->shm->bytes && addr + bytes > shm;
	if (ours || addr + bytes < addr || ctx->proc->flags & WIRE_PROC_NO_SYSCALL)
		return -1;
	if (UNLIKELY(ctx->thr->mem_pid))
		return other_io(SYS_process_vm_writev, ctx, src, addr, bytes);
	return vm_io(SYS_process_vm_writev, ctx->thr, src, addr, bytes) == (int64_t)bytes ? 0 : -1;
}

uint64_t rt_copyin_u(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes, uint64_t is_signed, uint64_t d)
{
	UNUSED(0, 0, d);
	uint64_t v = 0;
	if (rt_mem_read(ctx, &v, addr, bytes)) {
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
		return 0;
	}
	uint32_t shift = (uint32_t)(64 - 8 * bytes);
	return is_signed ? (uint64_t)((int64_t)(v << shift) >> shift) : v;
}

/* Reads up to the next page boundary at a time, so that a string before an unmapped page is found whole. */
uint64_t rt_copyinstr(struct rt_ctx *ctx, uint64_t addr, uint64_t max, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	struct wire_str *out = rt_slot(ctx, dst);
	uint64_t limit = ctx->shm->strsize, len = 0, left;
	if (max && max < limit)
		limit = max;
	if (in_alloca(ctx, addr, &left) && left < limit)
		limit = left; /* what is not its own ends it */
	while (len < limit) {
		uint64_t n = MEM_PAGE - ((addr + len) & (MEM_PAGE - 1));
		if (n > limit - len)
			n = limit - len;
		if (rt_mem_read(ctx, out->s + len, addr + len, n)) {
			rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr + len);
			out->len = 0;
			out->s[0] = 0;
			return 0;
		}
		for (uint64_t end = len + n; len < end; len++)
			if (!out->s[len])
				goto done;
	}
done:
	out->s[len] = 0;
	out->len = (uint32_t)len;
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}

uint64_t rt_alloca(struct rt_ctx *ctx, uint64_t bytes, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	uint64_t at = align_up(ctx->alloca_used, 8), room = ctx->shm->alloca_bytes;
	if (at > room || bytes > room - at) {
		rt_set_fault(ctx, WIRE_FAULT_NOSCRATCH, bytes);
		return 0;
	}
	ctx->alloca_used = (uint32_t)(at + bytes);
	mem_zero(rt_alloca_mem(ctx) + at, bytes);
	return (uint64_t)(rt_alloca_mem(ctx) + at);
}

static bool writable(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes, bool whole)
{
	uint64_t left;
	if (rt_in_vars(ctx, addr, bytes))
		return true;
	if (!in_alloca(ctx, addr, &left))
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	else if (bytes > left && whole)
		rt_set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
	else if (bytes > left)
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return !ctx->fault;
}

uint64_t rt_alloca_str_store(struct rt_ctx *ctx, uint64_t at, const char *s, uint32_t len)
{
	uint64_t left;
	if (!in_alloca(ctx, at, &left) || left <= len) {
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, at);
		return 0;
	}
	mem_copy((char *)at, s, len);
	((char *)at)[len] = 0;
	return 0;
}

uint64_t rt_copyinto(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes, uint64_t dst, uint64_t d)
{
	UNUSED(0, 0, d);
	uint64_t left;
	if (bytes > ctx->shm->alloca_bytes) {
		rt_set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
		return 0;
	}
	if (!bytes || !writable(ctx, dst, bytes, true))
		return 0;
	if (in_alloca(ctx, addr, &left) && bytes > left)
		rt_set_fault(ctx, WIRE_FAULT_BADSIZE, bytes);
	else if (rt_mem_read(ctx, (void *)dst, addr, bytes))
		rt_set_fault(ctx, WIRE_FAULT_BADADDR, addr);
	return 0;
}

uint64_t rt_copyin(struct rt_ctx *ctx, uint64_t addr, uint64_t bytes, uint64_t c, uint64_t d)
{
	UNUSED(0, c, d);
	uint64_t dst = rt_alloca(ctx, bytes, 0, 0, 0);
	if (dst && !ctx->fault)
		rt_copyinto(ctx, addr, bytes, dst, 0);
	return dst;
}

uint64_t rt_poke(struct rt_ctx *ctx, uint64_t addr, uint64_t v, uint64_t bytes, uint64_t d)
{
	UNUSED(0, 0, d);
	if (writable(ctx, addr, bytes, false))
		mem_copy((void *)addr, &v, bytes);
	return 0;
}

uint64_t rt_bcopy(struct rt_ctx *ctx, uint64_t from, uint64_t to, uint64_t bytes, uint64_t d)
{
	UNUSED(0, 0, d);
	return rt_copyinto(ctx, from, bytes, to, 0);
}

/* Stack arguments of a function being entered: behind the return address. */
/* What does not go into registers is somewhere on the stack. */
static uint64_t go_arg(struct rt_ctx *ctx, uint64_t n)
{
	static const uint8_t regs[] = WIRE_ARGS_GO;
	if (n < ARRAY_CNT(regs))
		return ctx->regs[regs[n]];
	rt_set_fault(ctx, WIRE_FAULT_ILLOP, 0);
	return 0;
}

uint64_t rt_arg(struct rt_ctx *ctx, uint64_t n, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(b, c, d);
	if (ctx->site->kind == WIRE_SITE_TOOL)
		return n < 10 ? ctx->tool_args[n] : 0;
	if (ctx->site->kind == WIRE_SITE_RETURN)
		return 0;
	if (ctx->site->kind == WIRE_SITE_USDT)
		return rt_site_arg(ctx, n);
	if (ctx->site->go_args)
		return go_arg(ctx, n);
	return rt_copyin_u(ctx, ctx->regs[WIRE_RSP] + 8 * (n - 5), 8, 0, 0);
}
