/* SPDX-License-Identifier: MIT */
/*
 * User stacks by the tables that the controller made of .eh_frame: rt/stack.c once more, for processes that the session
 * knows.  Of others the kernel follows frame pointers.
 */
#include "ebpf/rtk_bpf.h"

#define W(field) (ctx + MORE(walk) + offsetof(struct rtk_walk, field))
#define PROC(p, field) ((p) + offsetof(struct wire_proc, field))
#define MAP_STEPS 12 /* of a search: so many mappings, */
#define ROW_STEPS 24 /* and rows of one, as a power of two, a multiple of 4 */
#define PROC_STEPS 8 /* of one call */

/* struct pt_regs */
enum { REGS_BP = 32, REGS_BX = 40, REGS_R10 = 56, REGS_IP = 128, REGS_SP = 152 };
/* As in rt/stack.c: a ucontext, its registers from r8 on. */
enum { UC_REGS = 40, UC_R10 = 2, UC_RBP = 10, UC_RBX = 11, UC_RSP = 15, UC_RIP = 16 };

INLINE bool word(uint64_t to, uint64_t addr) { return !k_read_user(at(to), 8, (void *)addr); }

/* Halves lo to hi; the mapping that @pc is in, if it was met. */
GLOBAL uint64_t rtk_unw_map_step(uint64_t ctx, uint64_t maps, uint64_t pc)
{
	uint64_t mid = (ld64(W(lo)) + ld64(W(hi))) / 2, map = maps + mid * sizeof(struct wire_unw_map);
	if (pc < ld64(map))
		st64(W(hi), mid);
	else if (pc >= ld64(map + offsetof(struct wire_unw_map, end)))
		st64(W(lo), mid + 1);
	else
		return map;
	return 0;
}

/* The mapping that @pc is in, or 0. */
GLOBAL uint64_t rtk_unw_map(uint64_t ctx, uint64_t pc)
{
	uint64_t proc = ld64(W(proc)), cur = ld32(PROC(proc, unw_cur)) & 1, maps = ld64(PROC(proc, unw_off) + 8 * cur);
	st64(W(lo), 0);
	st64(W(hi), ld32(PROC(proc, unw_cnt) + 4 * cur));
	for (int i = 0; i < MAP_STEPS && ld64(W(lo)) < ld64(W(hi)); i++) {
		uint64_t map = rtk_unw_map_step(ctx, maps, pc);
		if (map)
			return map;
	}
	return 0;
}

/* Halves lo to hi four times: all rows below lo begin at or before @want, all from hi on behind it. */
GLOBAL uint64_t rtk_unw_row_steps(uint64_t ctx, uint64_t rows, uint64_t want)
{
	uint64_t lo = ld64(W(lo)), hi = ld64(W(hi));
	for (int i = 0; i < 4 && lo < hi; i++) {
		uint64_t mid = (lo + hi) / 2;
		if (ld32(rows + mid * sizeof(struct wire_unw_row)) <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	st64(W(lo), lo);
	st64(W(hi), hi);
	return 0;
}

/* Its row, or 0. */
GLOBAL uint64_t rtk_unw_search(uint64_t ctx, uint64_t pc)
{
	uint64_t map = rtk_unw_map(ctx, pc);
	if (!map)
		return 0;
	uint64_t want = pc - ld64(map), rows = ld64(map + offsetof(struct wire_unw_map, rows_off));
	uint64_t cnt = ld32(map + offsetof(struct wire_unw_map, row_cnt)), shift = ld32(map + offsetof(struct wire_unw_map, index_shift));
	uint64_t index = rows + cnt * sizeof(struct wire_unw_row) + 4 * (want >> (shift & 31));
	st64(W(lo), shift ? ld32(index) : 0);
	st64(W(hi), shift ? ld32(index + 4) : cnt);
	for (int i = 0; i < ROW_STEPS / 4 && ld64(W(lo)) < ld64(W(hi)); i++)
		rtk_unw_row_steps(ctx, rows, want);
	uint64_t lo = ld64(W(lo));
	return lo ? rows + (lo - 1) * sizeof(struct wire_unw_row) : 0;
}

/*
 * Rows that were found, by what was looked for: a word holds 35 bits of that and where the row is.  A list of mappings
 * has an address or a number of its own whenever it changes, so nothing is ever wrong in here.
 */
#define ROW_BITS 29 /* as many as an offset has (VALUE_MAX in shm.c) */
#define FOUND(n) (K(TAIL) + offsetof(struct rtk_tail, found) + 8 * (n))

GLOBAL uint64_t rtk_unw_row(uint64_t ctx, uint64_t pc)
{
	uint64_t proc = ld64(W(proc)), cur = ld32(PROC(proc, unw_cur)), maps = ld64(PROC(proc, unw_off) + 8 * (cur & 1));
	uint64_t key = rt_agg_hash_word(rt_agg_hash_word(rt_agg_hash_word(1, maps), cur), pc), row;
	uint64_t place = FOUND(key % RTK_FOUND), had = ld64(place);
	if (had >> ROW_BITS == key >> ROW_BITS)
		return had & ((1ULL << ROW_BITS) - 1);
	row = rtk_unw_search(ctx, pc);
	if (row)
		st64(place, key >> ROW_BITS << ROW_BITS | row);
	return row;
}

GLOBAL uint64_t rtk_unw_signal(uint64_t ctx)
{
	uint64_t regs = ld64(W(sp)) + UC_REGS;
	return word(W(pc), regs + 8 * UC_RIP) && word(W(sp), regs + 8 * UC_RSP) && word(W(bp), regs + 8 * UC_RBP) &&
	       word(W(bx), regs + 8 * UC_RBX) && word(W(r10), regs + 8 * UC_R10);
}

GLOBAL uint64_t rtk_unw_fp(uint64_t ctx)
{
	uint64_t bp = ld64(W(bp));
	if (bp < ld64(W(sp)) || bp % 8 || !word(W(pc), bp + 8) || !word(W(bp), bp))
		return 0;
	st64(W(sp), bp + 16);
	return 1;
}

/* The caller's rsp, or 0. */
GLOBAL uint64_t rtk_unw_cfa(uint64_t ctx, uint64_t row)
{
	uint64_t off = (uint64_t)(int64_t)(int32_t)ld32(row + offsetof(struct wire_unw_row, cfa_off));
	switch (ld8(row + offsetof(struct wire_unw_row, kind))) {
	case WIRE_UNW_RSP:
		return ld64(W(sp)) + off;
	case WIRE_UNW_RBP:
		return ld64(W(bp)) + off;
	case WIRE_UNW_RBX:
		return ld64(W(bx)) + off;
	case WIRE_UNW_R10:
		return ld64(W(r10)) + off;
	case WIRE_UNW_PLT:
		return ld64(W(sp)) + 8 + ((ld64(W(pc)) & 15) >= 11 ? 8 : 0);
	case WIRE_UNW_RBP_DEREF:
		return word(W(hi), ld64(W(bp)) + off) ? ld64(W(hi)) : 0;
	default:
		return 0;
	}
}

/* Registers that the frame saved. */
GLOBAL uint64_t rtk_unw_saved(uint64_t ctx, uint64_t row, uint64_t cfa)
{
	bool deref = ld8(row + offsetof(struct wire_unw_row, kind)) == WIRE_UNW_RBP_DEREF;
	uint64_t offs = ld32(row + offsetof(struct wire_unw_row, rbp_off)), base = deref ? ld64(W(bp)) : cfa;
	int16_t bp_off = (int16_t)offs, bx_off = (int16_t)(offs >> 16);
	if ((bp_off || deref) && !word(W(bp), base + (uint64_t)(int64_t)bp_off))
		return 0;
	return !bx_off || word(W(bx), base + (uint64_t)(int64_t)bx_off);
}

/* To the caller; 0: there is none. */
GLOBAL uint64_t rtk_unw_step(uint64_t ctx)
{
	uint64_t row = rtk_unw_row(ctx, ld64(W(pc)) - ld64(W(after_call)));
	uint8_t kind = row ? ld8(row + offsetof(struct wire_unw_row, kind)) : WIRE_UNW_FP;
	st64(W(after_call), kind != WIRE_UNW_SIGFRAME);
	if (kind == WIRE_UNW_SIGFRAME)
		return rtk_unw_signal(ctx);
	if (kind == WIRE_UNW_FP)
		return rtk_unw_fp(ctx);
	uint64_t cfa = kind == WIRE_UNW_END ? 0 : rtk_unw_cfa(ctx, row);
	if (!cfa || cfa <= ld64(W(sp)) || !word(W(pc), cfa - 8) || !rtk_unw_saved(ctx, row, cfa))
		return 0;
	st64(W(sp), cfa);
	return 1;
}

/* Whether it is still the program that the tables are of. */
INLINE bool same_program(uint64_t proc, uint64_t mm)
{
	uint64_t want = ld64(PROC(proc, start_stack)), is = 0;
	if (want && K(MM_STACK))
		k_read_kernel(&is, sizeof(is), (void *)(mm + K(MM_STACK)));
	return is == want || !K(MM_STACK);
}

INLINE uint64_t if_has_tables(uint64_t proc)
{
	return ld32(PROC(proc, unw_cnt) + 4 * (ld32(PROC(proc, unw_cur)) & 1)) ? proc : 0;
}

/* Its number, of some in a row (the first one of all is the tool); 0: none of these. */
GLOBAL uint64_t rtk_unw_proc_in(uint64_t pid, uint64_t mm, uint64_t first)
{
	for (uint64_t i = 0; i < PROC_STEPS; i++) {
		uint64_t n = first + i, proc = K(PROC) + n * sizeof(struct wire_proc);
		if (ld32(PROC(proc, pid)) == pid && same_program(proc, mm))
			return n < K(PROC_CNT) ? n : 0;
	}
	return 0;
}

/* The process's tables, or 0: first where those of such a number were last time. */
GLOBAL uint64_t rtk_unw_proc(uint64_t pid, uint64_t mm)
{
	uint64_t hint = K(TAIL) + offsetof(struct rtk_tail, procs) + 4 * (pid % RTK_STRANGERS);
	uint64_t stranger = K(TAIL) + offsetof(struct rtk_tail, strangers) + 4 * (pid % RTK_STRANGERS);
	uint64_t last = K(PROC) + ld32(hint) % RTK_PROCS * sizeof(struct wire_proc);
	if (ld32(PROC(last, pid)) == pid && same_program(last, mm))
		return if_has_tables(last);
	if (ld32(stranger) == pid)
		return 0; /* nobody has looked since */
	for (uint64_t i = 0; i < RTK_PROCS && i < K(PROC_CNT); i += PROC_STEPS) {
		uint64_t n = rtk_unw_proc_in(pid, mm, i);
		if (!n)
			continue;
		st32(hint, (uint32_t)n);
		return if_has_tables(K(PROC) + n * sizeof(struct wire_proc));
	}
	st32(stranger, (uint32_t)pid);
	return 0;
}

#define STEPS 8u /* of one call */

/* Up to STEPS frames behind the @n that there are, of @max in all; how many there are then.  pc is 0 at the end. */
GLOBAL uint64_t rtk_unw_steps(uint64_t ctx, uint64_t n, uint64_t max)
{
	for (uint32_t i = 0; i < STEPS && n < max; i++) {
		uint64_t pc = ld64(W(pc));
		if (!pc)
			break;
		st64(ctx + MORE(frames) + 8 * n, pc);
		n++;
		if (!rtk_unw_step(ctx))
			st64(W(pc), 0);
	}
	return n;
}

/* How many frames, into the context; 0: the process is not known. */
GLOBAL uint64_t rtk_unwind(uint64_t ctx, uint64_t max)
{
	uint64_t mm = 0, n = 0, most = capped(max, RTK_FRAMES);
	k_read_kernel(&mm, sizeof(mm), (void *)(k_task() + K(TASK_MM)));
	uint64_t proc = mm ? rtk_unw_proc(ctx_at(ctx)->pid_tgid >> 32, mm) : 0;
	if (!proc)
		return 0;
	k_read_kernel(at(W(regs)), sizeof(((struct rtk_walk *)0)->regs), k_task_regs(k_task_btf()));
	st64(W(pc), ld64(W(regs) + REGS_IP));
	st64(W(sp), ld64(W(regs) + REGS_SP));
	st64(W(bp), ld64(W(regs) + REGS_BP));
	st64(W(bx), ld64(W(regs) + REGS_BX));
	st64(W(r10), ld64(W(regs) + REGS_R10));
	st64(W(proc), proc);
	st64(W(after_call), 0);
	for (uint32_t i = 0; i < RTK_FRAMES / STEPS && ld64(W(pc)) && n < most; i++)
		n = rtk_unw_steps(ctx, n, most);
	st32(ctx + MORE(frame_bytes), (uint32_t)(8 * n));
	return n;
}
