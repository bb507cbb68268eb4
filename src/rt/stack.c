/* SPDX-License-Identifier: MIT */
/* Walking the user stack by the tables that the controller made of .eh_frame. */
#include "rt/helpers.h"

#define PAGE 4096ULL

struct frame {
	uint64_t pc, sp, bp, bx, r10;
};

/* Stack memory never goes away while its thread runs on it, so what was
 * readable once is read with plain loads from then on. */
static bool read_stack(struct rt_ctx *ctx, uint64_t addr, uint64_t *ret)
{
	struct wire_thread *thr = ctx->thr;
	if (addr >= thr->stack_lo && addr < thr->stack_hi && thr->stack_hi - addr >= 8) {
		*ret = *(const uint64_t *)addr;
		return true;
	}
	if (addr % 8 || rt_mem_read(ctx, ret, addr, 8))
		return false;
	uint64_t page = align_down(addr, PAGE);
	if (thr->stack_hi == page)
		thr->stack_hi = page + PAGE;
	else if (thr->stack_lo == page + PAGE)
		thr->stack_lo = page;
	return true;
}

/* The thread's stack begins at the page of its stack pointer. */
static void know_stack(struct rt_ctx *ctx)
{
	struct wire_thread *thr = ctx->thr;
	uint64_t sp = ctx->regs[WIRE_RSP], page = align_down(sp, PAGE), v;
	if (sp >= thr->stack_lo && sp < thr->stack_hi)
		return;
	if (thr->stack_lo == page + PAGE && !rt_mem_read(ctx, &v, page, 8)) {
		thr->stack_lo = page;
		return;
	}
	thr->stack_lo = thr->stack_hi = 0;
	if (rt_mem_read(ctx, &v, align_down(sp, 8), 8))
		return;
	thr->stack_hi = page + PAGE;
	thr->stack_lo = page;
}

static const struct wire_unw_map *find_map(struct rt_ctx *ctx, uint64_t pc)
{
	const struct wire_proc *proc = ctx->proc;
	uint32_t cur = LOAD_ACQUIRE(&proc->unw_cur) & 1;
	const struct wire_unw_map *maps = (const struct wire_unw_map *)((uint8_t *)ctx->shm + proc->unw_off[cur]);
	uint32_t lo = 0, hi = proc->unw_cnt[cur];
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (pc < maps[mid].start)
			hi = mid;
		else if (pc >= maps[mid].end)
			lo = mid + 1;
		else
			return &maps[mid];
	}
	return NULL;
}

static const struct wire_unw_row *find_row(struct rt_ctx *ctx, uint64_t pc)
{
	const struct wire_unw_map *map = find_map(ctx, pc);
	if (!map || !map->row_cnt)
		return NULL;
	const struct wire_unw_row *rows = (const struct wire_unw_row *)((uint8_t *)ctx->shm + map->rows_off);
	uint32_t want = (uint32_t)(pc - map->start), lo = 0, hi = map->row_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (rows[mid].pc <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &rows[lo - 1] : NULL;
}

/* rt_sigreturn's frame: a ucontext at rsp; its registers begin at 40 (uc_flags, uc_link, uc_stack),
 * r8 first (struct sigcontext, arch/x86/include/uapi/asm/sigcontext.h). */
static bool step_signal(struct rt_ctx *ctx, struct frame *f)
{
	uint64_t regs = f->sp + 40, v[5];
	static const uint8_t at[5] = { 16, 15, 10, 11, 2 }; /* rip rsp rbp rbx r10 */
	for (int i = 0; i < 5; i++)
		if (!read_stack(ctx, regs + 8ULL * at[i], &v[i]))
			return false;
	*f = (struct frame){ v[0], v[1], v[2], v[3], v[4] };
	return true;
}

static bool step_fp(struct rt_ctx *ctx, struct frame *f)
{
	uint64_t bp, pc;
	if (f->bp < f->sp || !read_stack(ctx, f->bp, &bp) || !read_stack(ctx, f->bp + 8, &pc))
		return false;
	f->sp = f->bp + 16;
	f->bp = bp;
	f->pc = pc;
	return true;
}

static bool cfa_of(struct rt_ctx *ctx, const struct frame *f, const struct wire_unw_row *row, uint64_t *ret)
{
	switch ((enum wire_unw_kind)row->kind) {
	case WIRE_UNW_RSP:
		*ret = f->sp + (uint64_t)(int64_t)row->cfa_off;
		return true;
	case WIRE_UNW_RBP:
		*ret = f->bp + (uint64_t)(int64_t)row->cfa_off;
		return true;
	case WIRE_UNW_RBX:
		*ret = f->bx + (uint64_t)(int64_t)row->cfa_off;
		return true;
	case WIRE_UNW_R10:
		*ret = f->r10 + (uint64_t)(int64_t)row->cfa_off;
		return true;
	case WIRE_UNW_RBP_DEREF:
		return read_stack(ctx, f->bp + (uint64_t)(int64_t)row->cfa_off, ret);
	case WIRE_UNW_PLT:
		*ret = f->sp + 8 + ((f->pc & 15) >= 11 ? 8 : 0);
		return true;
	default:
		return false;
	}
}

static bool step_cfa(struct rt_ctx *ctx, struct frame *f, const struct wire_unw_row *row, uint64_t cfa)
{
	uint64_t pc, bp = f->bp, bx = f->bx;
	if (!read_stack(ctx, cfa - 8, &pc))
		return false;
	if (row && row->rbp_off && !read_stack(ctx, cfa + (uint64_t)(int64_t)row->rbp_off, &bp))
		return false;
	if (row && row->rbx_off && !read_stack(ctx, cfa + (uint64_t)(int64_t)row->rbx_off, &bx))
		return false;
	*f = (struct frame){ pc, cfa, bp, bx, f->r10 };
	return true;
}

/* To the caller; @after_call: pc is a return address, so the row of the call before it counts. */
static bool step(struct rt_ctx *ctx, struct frame *f, bool *after_call)
{
	const struct wire_unw_row *row = find_row(ctx, f->pc - *after_call);
	uint64_t cfa, sp = f->sp;
	bool signal = row && row->kind == WIRE_UNW_SIGFRAME;
	*after_call = !signal;
	if (signal)
		return step_signal(ctx, f);
	if (!row || row->kind == WIRE_UNW_FP)
		return step_fp(ctx, f);
	if (row->kind == WIRE_UNW_END || !cfa_of(ctx, f, row, &cfa) || cfa <= sp)
		return false;
	return step_cfa(ctx, f, row, cfa);
}

uint32_t rt_stack_walk(struct rt_ctx *ctx, uint64_t *ret_pcs, uint32_t max)
{
	const uint64_t *r = ctx->regs;
	struct frame f = { ctx->site->addr, r[WIRE_RSP], r[WIRE_RBP], r[WIRE_RBX], r[WIRE_R10] };
	uint32_t n = 0;
	bool after_call = false;
	if (!max || ctx->site->kind == WIRE_SITE_TOOL)
		return 0;
	know_stack(ctx);
	ret_pcs[n++] = f.pc;
	/* At an entry and at a return the return address is on top, whatever a table may say. */
	if (n < max && (ctx->site->kind == WIRE_SITE_ENTRY || ctx->site->kind == WIRE_SITE_RETURN)) {
		if (!step_cfa(ctx, &f, NULL, f.sp + 8) || !f.pc)
			return n;
		ret_pcs[n++] = f.pc;
		after_call = true;
	}
	while (n < max && step(ctx, &f, &after_call) && f.pc)
		ret_pcs[n++] = f.pc;
	return n;
}
