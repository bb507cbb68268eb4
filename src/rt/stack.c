/* SPDX-License-Identifier: MIT */
/* Walking the user stack by the tables that the controller made of .eh_frame. */
#include "rt/helpers.h"
#include "rt/kept.h"

struct frame {
	uint64_t pc, sp, bp, bx, r10;
};

/* What step() needs besides the frame. */
struct walk {
	struct rt_ctx *ctx;
	struct frame f;
	bool after_call; /* f.pc is a return address: the row of the call before it counts */
	bool guessed;    /* a frame pointer was followed: f may be anything */
};

#define DEPTH_MAX 4096u /* frames that ustackdepth counts */
#define FRAME_MAX (64u << 10) /* larger ones are read with a system call each time */

static inline bool read_word(struct walk *w, uint64_t addr, uint64_t *ret)
{
	const struct wire_thread *thr = w->ctx->thr;
	if (LIKELY(!w->guessed && addr >= thr->stack_lo && addr < thr->stack_hi && thr->stack_hi - addr >= 8)) {
		*ret = ((const struct mem_word *)addr)->v;
		return true;
	}
	return !rt_mem_read(w->ctx, ret, addr, 8);
}

/* The tables say that [sp, end) is one frame: pages that the stack has for as
 * long as its thread runs on it.  Each is read once to be sure. */
static void learn_frame(struct walk *w, uint64_t end)
{
	struct wire_thread *thr = w->ctx->thr;
	uint64_t sp = w->f.sp, v;
	if (w->guessed || sp < thr->stack_lo || sp > thr->stack_hi || end - sp > FRAME_MAX)
		return;
	while (thr->stack_hi < end && !rt_mem_read(w->ctx, &v, thr->stack_hi, sizeof(v)))
		thr->stack_hi += MEM_PAGE;
}

static inline void know_frame(struct walk *w, uint64_t end)
{
	if (UNLIKELY(end > w->ctx->thr->stack_hi))
		learn_frame(w, end);
}

/* Everything in the shared memory that a table names is checked: the target
 * can have damaged it. */
static const void *table_at(const struct rt_ctx *ctx, uint64_t off, uint64_t bytes)
{
	uint64_t all = ctx->shm->bytes;
	return off <= all && bytes <= all - off ? (const uint8_t *)ctx->shm + off : NULL;
}

static const struct wire_unw_map *find_map(struct rt_ctx *ctx, uint64_t pc)
{
	const struct wire_proc *proc = rt_proc_shared(ctx->shm, ctx->proc);
	uint32_t cur = LOAD_ACQUIRE(&proc->unw_cur) & 1;
	uint32_t lo = 0, hi = proc->unw_cnt[cur];
	const struct wire_unw_map *maps = table_at(ctx, proc->unw_off[cur], hi * sizeof(*maps));
	while (maps && lo < hi) {
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
	if (!map)
		return NULL;
	uint32_t want = (uint32_t)(pc - map->start), lo = 0, hi = map->row_cnt;
	const struct wire_unw_row *rows = table_at(ctx, map->rows_off, hi * sizeof(*rows));
	if (!rows)
		return NULL;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (rows[mid].pc <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &rows[lo - 1] : NULL;
}

/* ---- rows that were looked up before ---- */

/* A row but for its pc, in a word; 0: it does not fit.  Its lowest bits are its kind + 1, and whether it is a simple one. */
#define CFA_SHIFT 5
#define CFA_BITS 27
#define KIND_MASK 15u
#define SIMPLE 16u
#define BY_RBP 1u /* of a simple one */
_Static_assert(((WIRE_UNW_RBP + 1) & BY_RBP) && !((WIRE_UNW_RSP + 1) & BY_RBP), "the kind says it");

/* The frame lies above rsp or rbp, and what it saved in it; rbx somewhere below its end. */
static bool is_simple(const struct wire_unw_row *row)
{
	return (row->kind == WIRE_UNW_RSP || row->kind == WIRE_UNW_RBP) && row->cfa_off >= 8 &&
	       row->rbp_off <= 0 && row->rbp_off >= -row->cfa_off && row->rbp_off % 8 == 0 &&
	       row->rbx_off <= 0 && row->rbx_off % 8 == 0;
}

static uint64_t pack(const struct wire_unw_row *row)
{
	int64_t cfa = row->cfa_off;
	uint32_t code = (row->kind + 1u) | (is_simple(row) ? SIMPLE : 0);
	if (row->kind >= KIND_MASK || cfa < -(1 << (CFA_BITS - 1)) || cfa >= 1 << (CFA_BITS - 1))
		return 0;
	return code | ((uint64_t)cfa & ((1u << CFA_BITS) - 1)) << CFA_SHIFT |
	       (uint64_t)(uint16_t)row->rbp_off << 32 | (uint64_t)(uint16_t)row->rbx_off << 48;
}

/* As struct wire_unw_row, but words that are written and read at one width: the processor passes no others on. */
struct row {
	uint32_t kind;
	int32_t cfa_off, rbp_off, rbx_off;
};

static inline int32_t packed_cfa(uint64_t v)
{
	return (int32_t)(uint32_t)v >> CFA_SHIFT;
}

static inline void unpack(struct row *r, uint64_t v)
{
	r->kind = (uint32_t)(v & KIND_MASK) - 1;
	r->cfa_off = packed_cfa(v);
	r->rbp_off = (int16_t)(v >> 32);
	r->rbx_off = (int16_t)(v >> 48);
}

/* What differs between pcs, and of one pc between tables. */
static inline uint64_t row_tag(struct rt_ctx *ctx, uint64_t pc)
{
	return pc + LOAD_ACQUIRE(&rt_proc_shared(ctx->shm, ctx->proc)->unw_cur) * WIRE_MULT;
}

static inline struct wire_unw_seen *row_place(struct wire_thread *thr, uint64_t pc)
{
	uint64_t off = pc * WIRE_MULT >> 32 & sizeof(thr->unw_seen[0]) * (WIRE_UNW_SEEN - 1);
	return (struct wire_unw_seen *)((uint8_t *)thr->unw_seen + off);
}

/* The row for @pc among those that were looked up last; 0: it is not there. */
static inline uint64_t row_seen(struct wire_thread *thr, uint64_t pc, uint64_t tag)
{
	const struct wire_unw_seen *seen = row_place(thr, pc);
	uint64_t packed = LOAD_RELAXED(&seen[0].packed);
	if (LIKELY((LOAD_RELAXED(&seen[0].check) ^ packed) == tag))
		return packed;
	packed = LOAD_RELAXED(&seen[1].packed);
	return (LOAD_RELAXED(&seen[1].check) ^ packed) == tag ? packed : 0;
}

/* Where two pcs share a place, both have one: by chance one of twenty stacks in two would have such. */
static void row_note(struct wire_thread *thr, uint64_t pc, uint64_t tag, uint64_t packed)
{
	struct wire_unw_seen *seen = row_place(thr, pc);
	uint64_t old_packed = LOAD_RELAXED(&seen[0].packed), old_check = LOAD_RELAXED(&seen[0].check);
	STORE_RELAXED(&seen[1].packed, old_packed);
	STORE_RELAXED(&seen[1].check, old_check);
	STORE_RELAXED(&seen[0].packed, packed);
	STORE_RELAXED(&seen[0].check, tag ^ packed);
}

/* The row for @pc; false: there is none. */
static inline bool row_for(struct rt_ctx *ctx, uint64_t pc, struct row *ret)
{
	uint64_t tag = row_tag(ctx, pc), packed = row_seen(ctx->thr, pc, tag);
	if (LIKELY(packed)) {
		unpack(ret, packed);
		return true;
	}
	const struct wire_unw_row *row = find_row(ctx, pc);
	if (!row)
		return false;
	ret->kind = row->kind;
	ret->cfa_off = row->cfa_off;
	ret->rbp_off = row->rbp_off;
	ret->rbx_off = row->rbx_off;
	packed = pack(row);
	if (packed)
		row_note(ctx->thr, pc, tag, packed);
	return true;
}

/* rt_sigreturn's frame: a ucontext at rsp; its registers begin at 40 (uc_flags, uc_link, uc_stack),
 * r8 first (struct sigcontext, arch/x86/include/uapi/asm/sigcontext.h). */
#define UC_REGS 40
enum { UC_R10 = 2, UC_RBP = 10, UC_RBX = 11, UC_RSP = 15, UC_RIP = 16 };

static bool step_signal(struct walk *w)
{
	uint64_t regs = w->f.sp + UC_REGS;
	struct frame f;
	if (!read_word(w, regs + 8 * UC_RIP, &f.pc))
		return false;
	know_frame(w, regs + 8 * (UC_RIP + 1));
	if (!read_word(w, regs + 8 * UC_RSP, &f.sp) || !read_word(w, regs + 8 * UC_RBP, &f.bp) ||
	    !read_word(w, regs + 8 * UC_RBX, &f.bx) || !read_word(w, regs + 8 * UC_R10, &f.r10))
		return false;
	w->f = f;
	return true;
}

static bool step_fp(struct walk *w)
{
	struct frame *f = &w->f;
	uint64_t v[2]; /* caller's rbp, return address */
	w->guessed = true;
	if (f->bp < f->sp || f->bp % 8 || rt_mem_read(w->ctx, v, f->bp, sizeof(v)))
		return false;
	f->sp = f->bp + 16;
	f->bp = v[0];
	f->pc = v[1];
	return true;
}

static inline bool cfa_of(struct walk *w, const struct row *row, uint64_t *ret)
{
	const struct frame *f = &w->f;
	uint64_t off = (uint64_t)(int64_t)row->cfa_off;
	switch ((enum wire_unw_kind)row->kind) {
	case WIRE_UNW_RSP:
		*ret = f->sp + off;
		return true;
	case WIRE_UNW_RBP:
		*ret = f->bp + off;
		return true;
	case WIRE_UNW_RBX:
		*ret = f->bx + off;
		return true;
	case WIRE_UNW_R10:
		*ret = f->r10 + off;
		return true;
	case WIRE_UNW_RBP_DEREF:
		return read_word(w, f->bp + off, ret);
	case WIRE_UNW_PLT:
		*ret = f->sp + 8 + ((f->pc & 15) >= 11 ? 8 : 0);
		return true;
	default:
		return false;
	}
}

/* A register that the frame saved @off from @base; 0: it did not. */
static inline bool saved_reg(struct walk *w, uint64_t base, int32_t off, uint64_t *reg)
{
	return !off || read_word(w, base + (uint64_t)(int64_t)off, reg);
}

static inline bool step_cfa(struct walk *w, const struct row *row, uint64_t cfa)
{
	struct frame f = w->f;
	if (cfa <= f.sp || !read_word(w, cfa - 8, &f.pc))
		return false;
	know_frame(w, cfa);
	if (row) {
		bool deref = row->kind == WIRE_UNW_RBP_DEREF;
		uint64_t base = deref ? w->f.bp : cfa;
		if (deref && !row->rbp_off && !read_word(w, base, &f.bp))
			return false;
		if (!saved_reg(w, base, row->rbp_off, &f.bp) || !saved_reg(w, base, row->rbx_off, &f.bx))
			return false;
	}
	f.sp = cfa;
	w->f = f;
	return true;
}

/* To the caller. */
static bool step(struct walk *w)
{
	struct row found, *row = row_for(w->ctx, w->f.pc - w->after_call, &found) ? &found : NULL;
	uint64_t cfa;
	bool signal = row && row->kind == WIRE_UNW_SIGFRAME;
	w->after_call = !signal;
	if (signal)
		return step_signal(w);
	if (!row || row->kind == WIRE_UNW_FP)
		return step_fp(w);
	return row->kind != WIRE_UNW_END && cfa_of(w, row, &cfa) && step_cfa(w, row, cfa);
}

/* At an entry and at a return the return address is on top, whatever a table may say. */
static bool step_first(struct walk *w)
{
	uint16_t kind = w->ctx->site->kind;
	if (kind != WIRE_SITE_ENTRY && kind != WIRE_SITE_RETURN)
		return step(w);
	uint64_t end = w->f.sp + 8;
	w->after_call = true;
	if (!read_word(w, end - 8, &w->f.pc))
		return false;
	know_frame(w, end);
	w->f.sp = end;
	return true;
}

/* ---- frames whose rows are known and that lie where the stack is known ---- */

/*
 * From one frame to the next, a walk waits for the return address, for the row
 * that belongs to it and for the frame's size in that: some 20 cycles, one
 * after the other.  But a frame at some place of the stack is mostly as large
 * as the one that was there before.  So the walk goes on from where that would
 * end, and looks later whether it did: the processor predicts that branch and
 * does several frames at a time.  The guess is in a register that no compiler
 * can take for the size itself, and nothing is read by it that the rows would
 * not read, but by a processor that is to undo it.
 */
static inline uint64_t guess_end(struct wire_thread *thr, uint64_t sp, uint64_t real)
{
	uint64_t *size = (uint64_t *)((uint8_t *)thr->unw_sizes + (sp & sizeof(*size) * (WIRE_UNW_SIZES - 1)));
	uint64_t look = LOAD_RELAXED(size), go = look;
	__asm__("" : "+r"(go));
	if (LIKELY(sp + look == real))
		return sp + go;
	STORE_RELAXED(size, real - sp);
	__asm__ volatile("" : "+r"(real));
	return real;
}

static inline uint64_t word_at(uint64_t addr)
{
	return ((const struct mem_word *)addr)->v;
}

/* As far as it goes without anything else; what else there is, is step()'s.  What is read lies between where the first of
 * these frames begins, rbx apart, and @last, the last word that is known. */
static inline __attribute__((always_inline)) uint32_t walk_known(struct walk *w, uint64_t *ret_pcs, uint32_t n, uint32_t max)
{
	struct wire_thread *thr = w->ctx->thr;
	uint64_t lo = thr->stack_lo, last = thr->stack_hi - 8, tag = row_tag(w->ctx, 0) - 1, sum = w->ctx->stack_sum;
	uint64_t pc = w->f.pc, sp = w->f.sp, bp = w->f.bp, bx = w->f.bx;
	for (; n < max; n++) {
		uint64_t packed = row_seen(thr, pc - 1, tag + pc);
		if (!(packed & SIMPLE))
			break;
		uint64_t base = sp;
		if (packed & BY_RBP) {
			if (bp < sp || bp > last)
				break;
			base = bp;
		}
		uint64_t cfa = guess_end(thr, sp, base + (uint64_t)(int64_t)packed_cfa(packed));
		if (cfa - 8 > last)
			break;
		if (packed >> 32) {
			uint64_t bp_at = cfa + (uint64_t)(int64_t)(int16_t)(packed >> 32), bx_at = cfa + (uint64_t)((int64_t)packed >> 48);
			if (bx_at < lo)
				break;
			bp = bp_at == cfa ? bp : word_at(bp_at);
			bx = bx_at == cfa ? bx : word_at(bx_at);
		}
		sp = cfa;
		pc = word_at(cfa - 8);
		if (!pc)
			break;
		if (ret_pcs)
			ret_pcs[n] = pc;
		sum = (sum << 5 | sum >> 59) + pc;
	}
	w->f = (struct frame){ pc, sp, bp, bx, w->f.r10 };
	w->ctx->stack_sum = sum;
	return n;
}

/* ---- walks that are kept ---- */

/*
 * Only walks are kept (rt/kept.h) that walk_known() makes alone, from a function's entry or return to the last frame that is wanted or
 * there is.  They read return addresses, and those saved rbps by which a later frame was found: what is above a frame that is
 * found by rsp follows from the address before it.
 */
#define KEEP_AGAIN 8u /* that often in turn: of stacks that take turns, none is kept for nothing */

/* The frames above the probed pc, to @ret_pcs if that is not NULL; 0: there is another stack. */
static inline __attribute__((always_inline)) uint32_t walk_again(struct rt_ctx *ctx, const struct wire_unw_kept *k, uint64_t last,
								 uint64_t *ret_pcs, uint32_t max)
{
	const uint64_t *r = ctx->regs;
	uint64_t seq = kept_same(k, kept_what(ctx->shm, ctx->proc, max), r[WIRE_RSP], r[WIRE_RBP], last, max, ret_pcs);
	uint32_t cnt = k->pc_cnt;
	ctx->stack_sum = k->sum;
	return seq && kept_still(k, seq) ? cnt : 0;
}

/* A walk once more, to be kept: what it reads. */
struct keeper {
	struct rt_ctx *ctx;
	struct wire_unw_kept *k;
	uint64_t sp0, sp, bp;
	uint64_t bp_at;  /* where bp was read; 0: it is the register */
	bool bp_checked;
};

/* A frame is found by rbp. */
static void keep_bp(struct keeper *kp)
{
	struct wire_unw_kept *k = kp->k;
	if (kp->bp_at && !kp->bp_checked) {
		k->bp_at[k->bp_cnt] = (uint32_t)(kp->bp_at - kp->sp0);
		k->saved_bp[k->bp_cnt] = kp->bp;
		k->bp_cnt++; /* at most one for each pc */
	}
	k->by_bp |= !kp->bp_at;
	kp->bp_checked = true;
}

/* To the next frame, whose return address is below kp->sp; false: this is not as walk_known() walks. */
static bool keep_step(struct keeper *kp, uint64_t packed)
{
	uint64_t last = kp->ctx->thr->stack_hi - 8, base = kp->sp;
	if (!(packed & SIMPLE))
		return false;
	if (packed & BY_RBP) {
		if (kp->bp < kp->sp || kp->bp > last)
			return false;
		keep_bp(kp);
		base = kp->bp;
	}
	uint64_t cfa = base + (uint64_t)(int64_t)packed_cfa(packed), off = (uint64_t)(int64_t)(int16_t)(packed >> 32);
	if (cfa - 8 > last)
		return false;
	if (off) {
		kp->bp_at = cfa + off;
		kp->bp = word_at(cfa + off);
		kp->bp_checked = false;
	}
	kp->sp = cfa;
	return true;
}

static bool keep_frames(struct keeper *kp, uint32_t max)
{
	struct wire_unw_kept *k = kp->k;
	uint64_t tag = row_tag(kp->ctx, 0) - 1, sum = 0;
	for (;;) {
		uint64_t at = kp->sp - 8, pc = word_at(at);
		struct row row;
		if (!pc || at - kp->sp0 > UINT32_MAX || k->pc_cnt == WIRE_UNW_KEPT_FRAMES)
			return false;
		k->pc[k->pc_cnt] = pc;
		k->pc_at[k->pc_cnt] = (uint32_t)(at - kp->sp0);
		sum = (sum << 5 | sum >> 59) + pc;
		k->pc_cnt++;
		if (k->pc_cnt + 1 == max)
			break;
		if (!row_for(kp->ctx, pc - 1, &row))
			return false;
		if (row.kind == WIRE_UNW_END)
			break;
		if (!keep_step(kp, row_seen(kp->ctx->thr, pc - 1, tag + pc)))
			return false;
	}
	k->sum = sum;
	return sum == kp->ctx->stack_sum;
}

static __attribute__((noinline)) void keep(struct rt_ctx *ctx, struct wire_unw_kept *k, uint32_t max)
{
	uint64_t sp = ctx->regs[WIRE_RSP], bp = ctx->regs[WIRE_RBP];
	struct keeper kp = { .ctx = ctx, .k = k, .sp0 = sp, .sp = sp + 8, .bp = bp };
	STORE_RELEASE(&k->seq, 0);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	k->what = kept_what(ctx->shm, ctx->proc, max);
	k->sp = sp;
	k->bp = bp;
	k->entry = 0;
	k->by_bp = k->pc_cnt = k->bp_cnt = 0;
	if (keep_frames(&kp, max))
		STORE_RELEASE(&k->seq, ++ctx->thr->unw_kept_seq);
}

/* The stack was walked, for what is kept at @k is another one, or nothing. */
static inline void keep_if_same(struct rt_ctx *ctx, struct wire_unw_kept *k, uint32_t max)
{
	if (k->last_sum != ctx->stack_sum) {
		k->last_sum = ctx->stack_sum;
		k->same = 0;
	} else if (!ctx->level && ++k->same == KEEP_AGAIN) {
		keep(ctx, k, max);
	}
}

static __attribute__((noinline)) uint32_t walk_all(struct rt_ctx *ctx, uint64_t *ret_pcs, uint32_t max)
{
	const uint64_t *r = ctx->regs;
	struct walk w = { ctx, { ctx->site->addr, r[WIRE_RSP], r[WIRE_RBP], r[WIRE_RBX], r[WIRE_R10] }, false, false };
	uint32_t n = 1;
	if (ret_pcs)
		ret_pcs[0] = w.f.pc;
	ctx->stack_sum = 0;
	bool more = n < max && step_first(&w);
	while (more && w.f.pc) {
		if (ret_pcs)
			ret_pcs[n] = w.f.pc;
		n++;
		ctx->stack_sum += w.f.pc;
		if (w.after_call && !w.guessed && w.f.sp >= ctx->thr->stack_lo)
			n = ret_pcs ? walk_known(&w, ret_pcs, n, max) : walk_known(&w, NULL, n, max);
		more = n < max && w.f.pc && step(&w);
	}
	return n;
}

uint32_t rt_stack_walk_at(struct rt_ctx *ctx, uint64_t *ret_pcs, uint32_t max, struct wire_unw_kept *k)
{
	if (UNLIKELY(!max || ctx->site->kind == WIRE_SITE_TOOL)) {
		ctx->stack_sum = 0;
		return 0;
	}
	uint32_t n = walk_all(ctx, ret_pcs, max);
	if (k)
		keep_if_same(ctx, k, max);
	return n;
}

uint32_t rt_stack_walk(struct rt_ctx *ctx, uint64_t *ret_pcs, uint32_t max)
{
	uint64_t last = 0;
	struct wire_unw_kept *k = kept_place(ctx->thr, ctx->site, ctx->regs[WIRE_RSP], max, &last);
	uint32_t n = !k ? 0 : ret_pcs ? walk_again(ctx, k, last, ret_pcs + 1, max) : walk_again(ctx, k, last, NULL, max);
	if (UNLIKELY(!n))
		return rt_stack_walk_at(ctx, ret_pcs, max, k);
	if (ret_pcs)
		ret_pcs[0] = ctx->site->addr;
	return n + 1;
}

uint64_t rt_ustackdepth(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	UNUSED(a, b, c);
	UNUSED(d, 0, 0);
	return rt_stack_walk(ctx, NULL, DEPTH_MAX);
}
