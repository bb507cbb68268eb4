/* SPDX-License-Identifier: MIT */
/* The stack walker over hand-made tables and stacks. */
#include "../tap.h"
#include "shm.h"

#include <sys/mman.h>

#define CODE 0x10000000ULL
#define PAGE 4096u
#define STACK_PAGES 8u

static struct wire_shm *shm;
static struct rt_ctx *ctx;
static uint8_t *stack; /* STACK_PAGES, between pages that cannot be read */
static struct wire_unw_row *rows;
static uint32_t row_cnt;
static uint64_t pcs[32];

static void row(uint32_t pc, enum wire_unw_kind kind, int32_t cfa_off, int16_t rbp_off, int16_t rbx_off)
{
	struct wire_unw_map *map = (struct wire_unw_map *)((uint8_t *)shm + shm_proc(shm, 0)->unw_off[0]);
	rows[row_cnt++] = (struct wire_unw_row){ .pc = pc, .kind = kind, .cfa_off = cfa_off, .rbp_off = rbp_off, .rbx_off = rbx_off };
	map->row_cnt = row_cnt;
}

static uint64_t *word(uint32_t off)
{
	return (uint64_t *)(stack + off);
}

static void begin(void)
{
	shm = shm_create(NULL);
	uint8_t *all = mmap(NULL, (STACK_PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	stack = all + PAGE;
	mprotect(stack, STACK_PAGES * PAGE, PROT_READ | PROT_WRITE);
	struct wire_proc *proc = shm_proc(shm, 0);
	struct wire_unw_map *map = (struct wire_unw_map *)((uint8_t *)shm + shm->unw_off);
	proc->unw_off[0] = shm->unw_off;
	proc->unw_cnt[0] = 1;
	*map = (struct wire_unw_map){ .start = CODE, .end = CODE + 0x10000, .rows_off = shm->unw_off + 1024 };
	rows = (struct wire_unw_row *)((uint8_t *)shm + map->rows_off);
	row_cnt = 0;
	row(0, WIRE_UNW_FP, 0, 0, 0);
	row(0x1000, WIRE_UNW_RSP, 8, 0, 0);
	row(0x1010, WIRE_UNW_RSP, 40, 0, 0);
	row(0x2000, WIRE_UNW_RBP, 16, -16, -24);
	row(0x3000, WIRE_UNW_END, 0, 0, 0);
	row(0x4000, WIRE_UNW_SIGFRAME, 0, 0, 0);
	row(0x5000, WIRE_UNW_RBP_DEREF, -8, 0, -16);
	row(0x6000, WIRE_UNW_PLT, 0, 0, 0);
	row(0x7000, WIRE_UNW_RBX, 16, 0, 0);
	row(0x8000, WIRE_UNW_R10, 0, 0, 0);
	row(0x9000, WIRE_UNW_RSP, 3 * PAGE + 8, 0, 0);
}

static void end(void)
{
	munmap(stack - PAGE, (STACK_PAGES + 2) * PAGE);
	shm_destroy(shm);
}

/* Fires at @pc with the stack pointer at @off of the stack. */
static void fire(enum wire_site_kind kind, uint64_t pc, uint32_t off)
{
	struct wire_site *site = shm_site(shm, kind);
	site->addr = pc;
	ctx = rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, 0), site, (uint64_t)word(off));
	memset(ctx->regs, 0, sizeof(ctx->regs));
	ctx->regs[WIRE_RSP] = (uint64_t)word(off);
}

static uint32_t walk(void)
{
	uint32_t n = rt_stack_walk(ctx, pcs, ARRAY_CNT(pcs));
	rt_leave(ctx);
	return n;
}

static void entry_has_return_address_on_top(void)
{
	begin();
	*word(64) = CODE + 0x1020; /* its frame: 40 bytes from 72 on */
	*word(72 + 32) = CODE + 0x3001;
	fire(WIRE_SITE_ENTRY, CODE + 0x2000, 64); /* whatever the row says */
	CHECK_EQ(walk(), 3);
	CHECK(pcs[0] == CODE + 0x2000 && pcs[1] == CODE + 0x1020 && pcs[2] == CODE + 0x3001);
	fire(WIRE_SITE_ENTRY, CODE + 0x2000, 64);
	CHECK_EQ(rt_stack_walk(ctx, pcs, 2), 2);
	CHECK_EQ(rt_stack_walk(ctx, pcs, 1), 1);
	CHECK_EQ(rt_stack_walk(ctx, pcs, 0), 0);
	CHECK_EQ(rt_uaddr_caller(ctx, 0, 0, 0, 0), CODE + 0x1020);
	rt_leave(ctx);
	end();
}

static void return_address_belongs_to_the_call(void)
{
	begin();
	/* the call is the last instruction before a row that says something else */
	*word(0) = CODE + 0x1010;
	*word(8) = CODE + 0x3001;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 0);
	CHECK_EQ(walk(), 3);
	CHECK_EQ(pcs[2], CODE + 0x3001);
	/* at the probed instruction itself its own row counts */
	*word(32) = CODE + 0x3001;
	fire(WIRE_SITE_OFFSET, CODE + 0x1010, 0);
	CHECK_EQ(walk(), 2);
	CHECK_EQ(pcs[1], CODE + 0x3001);
	CHECK_EQ(rt_uaddr_caller(ctx, 0, 0, 0, 0), CODE + 0x3001);
	end();
}

static void frame_pointer_and_saved_registers(void)
{
	begin();
	uint64_t bp = (uint64_t)word(512);
	*word(512) = (uint64_t)word(1024);     /* rbp saved at CFA - 16 */
	*word(512 - 8) = (uint64_t)word(2048); /* rbx at CFA - 24 */
	*word(512 + 8) = CODE + 0x2010;
	*word(1024 - 8) = 5;
	*word(1024) = 0;
	*word(1024 + 8) = CODE + 0x3001;
	fire(WIRE_SITE_OFFSET, CODE + 0x2008, 128);
	ctx->regs[WIRE_RBP] = bp;
	CHECK_EQ(walk(), 3);
	CHECK(pcs[1] == CODE + 0x2010 && pcs[2] == CODE + 0x3001);
	/* the restored rbx gives the next frame */
	*word(512 + 8) = CODE + 0x7010;
	*word(2048 + 8) = CODE + 0x3001;
	fire(WIRE_SITE_OFFSET, CODE + 0x2008, 128);
	ctx->regs[WIRE_RBP] = bp;
	CHECK_EQ(walk(), 3);
	CHECK_EQ(pcs[2], CODE + 0x3001);
	end();
}

static void realigned_frame(void)
{
	begin();
	/* push rbp; mov rsp,rbp; push r10: the CFA is kept at rbp - 8, the caller's rbp at rbp itself */
	*word(256) = (uint64_t)word(1024);
	*word(256 - 8) = (uint64_t)word(640);
	*word(256 - 16) = (uint64_t)word(2048);
	*word(640 - 8) = CODE + 0x2010;
	*word(1024 - 8) = 0;
	*word(1024) = 0;
	*word(1024 + 8) = CODE + 0x3001;
	fire(WIRE_SITE_OFFSET, CODE + 0x5010, 128);
	ctx->regs[WIRE_RBP] = (uint64_t)word(256);
	CHECK_EQ(walk(), 3);
	CHECK(pcs[1] == CODE + 0x2010 && pcs[2] == CODE + 0x3001);
	*word(640 - 8) = CODE + 0x7010; /* rbx came from rbp - 16 */
	*word(2048 + 8) = CODE + 0x3001;
	fire(WIRE_SITE_OFFSET, CODE + 0x5010, 128);
	ctx->regs[WIRE_RBP] = (uint64_t)word(256);
	CHECK_EQ(walk(), 3);
	CHECK_EQ(pcs[2], CODE + 0x3001);
	fire(WIRE_SITE_OFFSET, CODE + 0x8000, 128);
	ctx->regs[WIRE_R10] = (uint64_t)word(640);
	*word(640 - 8) = CODE + 0x3001;
	CHECK_EQ(walk(), 2);
	CHECK_EQ(pcs[1], CODE + 0x3001);
	end();
}

static void procedure_linkage(void)
{
	begin();
	*word(0) = CODE + 0x3001;
	*word(8) = CODE + 0x3002;
	fire(WIRE_SITE_OFFSET, CODE + 0x6010, 0);
	CHECK_EQ(walk(), 2);
	CHECK_EQ(pcs[1], CODE + 0x3001);
	fire(WIRE_SITE_OFFSET, CODE + 0x601b, 0);
	CHECK_EQ(walk(), 2);
	CHECK_EQ(pcs[1], CODE + 0x3002);
	end();
}

static void through_a_signal_frame(void)
{
	begin();
	uint32_t uc = 512, regs = uc + 40;
	*word(uc - 8) = CODE + 0x4000; /* the handler returns to the trampoline's first byte */
	*word(regs + 8 * 16) = CODE + 0x1010; /* rip: exact, its own row counts */
	*word(regs + 8 * 15) = (uint64_t)word(3000 & ~7u);
	*word(regs + 8 * 10) = 0x77;
	*word((3000 & ~7u) + 32) = CODE + 0x3001;
	rows[5].pc = 0x3fff; /* so that the byte before belongs to it too, as the controller makes it */
	fire(WIRE_SITE_ENTRY, CODE + 0x100, uc - 8);
	CHECK_EQ(walk(), 4);
	CHECK(pcs[1] == CODE + 0x4000 && pcs[2] == CODE + 0x1010 && pcs[3] == CODE + 0x3001);
	end();
}

static void code_without_tables_has_frame_pointers(void)
{
	begin();
	*word(0) = 0x99999999; /* nobody knows this code */
	*word(256) = (uint64_t)word(512);
	*word(256 + 8) = 0x88888888;
	*word(512) = 0;
	*word(512 + 8) = 0x77777777;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 0);
	ctx->regs[WIRE_RBP] = (uint64_t)word(256);
	CHECK_EQ(walk(), 4);
	CHECK(pcs[1] == 0x99999999 && pcs[2] == 0x88888888 && pcs[3] == 0x77777777);
	*word(256) = 0x1234; /* not below, not readable, not aligned: the end */
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 0);
	ctx->regs[WIRE_RBP] = (uint64_t)word(256);
	CHECK_EQ(walk(), 3);
	*word(256) = (uint64_t)word(256);
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 0);
	ctx->regs[WIRE_RBP] = (uint64_t)word(256);
	CHECK_EQ(walk(), 3);
	end();
}

static void stops_at_what_cannot_be_read(void)
{
	begin();
	uint32_t top = STACK_PAGES * PAGE;
	*word(top - 16) = CODE + 0x1020;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, top - 16);
	CHECK_EQ(walk(), 2);
	*word(top - 8) = CODE + 0x1020;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, top - 8);
	CHECK_EQ(walk(), 2);
	CHECK_EQ(shm_thread(shm, 0)->stack_hi, (uint64_t)stack + top);
	fire(WIRE_SITE_OFFSET, CODE + 0x2000, 64);
	ctx->regs[WIRE_RBP] = 0x10;
	CHECK_EQ(walk(), 1);
	fire(WIRE_SITE_OFFSET, CODE + 0x2000, 64);
	ctx->regs[WIRE_RBP] = ~0ULL;
	CHECK_EQ(walk(), 1);
	end();
}

/* A stack that is damaged into a circle, or tables that are. */
static void always_ends(void)
{
	begin();
	uint64_t rnd = 1;
	for (int i = 0; i < 30000; i++) {
		uint64_t r = shm_random(&rnd);
		if (i % 64 == 0)
			for (uint32_t k = 0; k < STACK_PAGES * PAGE; k += 8) {
				uint64_t v = shm_random(&rnd);
				*word(k) = v & 3 ? CODE + v / 8 % 0x9800 : (uint64_t)word(v / 8 % (STACK_PAGES * PAGE));
			}
		fire(r & 1 ? WIRE_SITE_ENTRY : WIRE_SITE_OFFSET, CODE + r / 8 % 0x9800, (r >> 32) % (STACK_PAGES * PAGE) & ~7u);
		for (int k = 0; k < WIRE_ORIG_RAX; k++)
			ctx->regs[k] = (uint64_t)word(shm_random(&rnd) % (STACK_PAGES * PAGE));
		uint32_t n = walk();
		CHECK(n >= 1 && n <= ARRAY_CNT(pcs));
		CHECK(shm_thread(shm, 0)->stack_hi <= (uint64_t)stack + STACK_PAGES * PAGE);
	}
	struct wire_unw_map *map = (struct wire_unw_map *)((uint8_t *)shm + shm->unw_off);
	struct wire_proc *proc = shm_proc(shm, 0);
	map->row_cnt = UINT32_MAX;
	fire(WIRE_SITE_OFFSET, CODE + 0x1000, 64);
	walk();
	map->rows_off = ~0ULL;
	fire(WIRE_SITE_OFFSET, CODE + 0x1000, 64);
	walk();
	proc->unw_cnt[0] = UINT32_MAX;
	proc->unw_off[0] = shm->bytes - 8;
	fire(WIRE_SITE_OFFSET, CODE + 0x1000, 64);
	CHECK_EQ(walk(), 1);
	end();
}

static uint32_t walk_at(uint64_t pc, uint32_t off, uint32_t bp, uint64_t *ret_pcs)
{
	fire(WIRE_SITE_ENTRY, pc, off);
	ctx->regs[WIRE_RBP] = (uint64_t)word(bp);
	uint32_t n = walk();
	memcpy(ret_pcs, pcs, sizeof(pcs));
	return n;
}

static void forget_all(struct wire_thread *thr)
{
	memset(thr->unw_seen, 0, sizeof(thr->unw_seen));
	memset(thr->unw_sizes, 0, sizeof(thr->unw_sizes));
	memset(thr->unw_kept, 0, sizeof(thr->unw_kept));
}

static uint32_t kept_cnt(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < WIRE_UNW_KEPT; i++)
		n += shm_thread(shm, 0)->unw_kept[i].seq != 0;
	return n;
}

/* Walks that look up each row, walks that know them, and walks whose guesses of sizes are wrong see the same. */
static void guesses_change_nothing(void)
{
	begin();
	struct wire_thread *thr = shm_thread(shm, 0);
	uint64_t rnd = 7, want[32], got[32];
	uint32_t longest = 0;
	for (int i = 0; i < 3000; i++) {
		for (uint32_t k = 0; k < STACK_PAGES * PAGE && i % 16 == 0; k += 8) {
			uint64_t v = shm_random(&rnd);
			*word(k) = v % 8 == 0 ? (uint64_t)word(k + v / 8 % 512 * 8 % (STACK_PAGES * PAGE - k)) :
				CODE + (v % 8 == 1 ? v / 8 % 0x9800 : 0x1000 + v / 8 % 0x2000);
		}
		uint64_t r = shm_random(&rnd);
		uint32_t off = (uint32_t)(r >> 32) % (STACK_PAGES * PAGE) & ~7u, bp = off + (uint32_t)(r >> 16) % 1024 / 8 * 8;
		bp = bp < STACK_PAGES * PAGE ? bp : off;
		forget_all(thr);
		uint32_t n = walk_at(CODE + r % 0x1000, off, bp, want);
		for (int again = 0; again < 4; again++) {
			for (uint32_t k = 0; k < WIRE_UNW_SIZES && again > 1; k++)
				thr->unw_sizes[k] = again == 2 ? shm_random(&rnd) : ~0ull;
			CHECK_EQ(walk_at(CODE + r % 0x1000, off, bp, got), n);
			CHECK(!memcmp(want, got, n * sizeof(*got)));
		}
		longest = n > longest ? n : longest;
	}
	CHECK(longest > 12);
	end();
}

/* Random frames of the two usual kinds from @off on, by rsp and by rbp, in turn as @rnd says; where their words are. */
static uint32_t make_frames(uint64_t *rnd, uint32_t off, uint32_t *ret_bp, uint32_t *words)
{
	uint32_t n = 0, at = off, next_bp = at + 8 + 16 * (uint32_t)(shm_random(rnd) % 4), cnt = 4 + (uint32_t)(shm_random(rnd) % 14);
	*ret_bp = next_bp;
	for (uint32_t i = 0; i < cnt; i++) {
		bool by_bp = shm_random(rnd) & 1;
		*word(at) = CODE + (by_bp ? 0x2001 : 0x1011) + shm_random(rnd) % 3; /* of this one, and how the next is found */
		words[n++] = at;
		if (by_bp) {
			words[n++] = next_bp;
			at = next_bp + 8;
			next_bp = at + 8 + 16 * (uint32_t)(shm_random(rnd) % 4);
			*word(at - 8) = (uint64_t)word(next_bp);
		} else {
			at += 40;
			next_bp = next_bp < at + 8 ? next_bp : next_bp;
			if (next_bp < at + 8)
				break; /* rbp is below: no more frames by it */
		}
	}
	*word(at) = CODE + 0x3001;
	words[n++] = at;
	return n;
}

/* A walk that is kept gives what a walk that knows nothing gives, whatever has changed in the stack and in rbp since. */
static void walks_that_are_kept(void)
{
	begin();
	struct wire_thread *thr = shm_thread(shm, 0);
	uint64_t rnd = 11, want[32], got[32];
	uint32_t words[64], bp, kept = 0, again = 0, differ = 0, longest = 0;
	for (int i = 0; i < 2000; i++) {
		uint32_t off = 64 + (uint32_t)(shm_random(&rnd) % 16) * 8;
		memset(stack, 0, STACK_PAGES * PAGE);
		uint32_t cnt = make_frames(&rnd, off, &bp, words), n = 0;
		forget_all(thr);
		for (int k = 0; k < 12; k++)
			n = walk_at(CODE + 0x100, off, bp, want);
		kept += kept_cnt();
		longest = n > longest ? n : longest;
		for (int k = 0; k < 8; k++) {
			uint64_t r = shm_random(&rnd), *w = word(words[(r >> 8) % cnt]), old = *w;
			uint32_t new_bp = r % 8 == 0 ? bp + 16 : bp;
			if (r % 8 > 1) /* else all is as it was, but for rbp */
				*w = r % 8 < 4 ? old ^ (8 << r % 3) : r % 8 < 6 ? *word(words[(r >> 16) % cnt]) : CODE + 0x1011 + r % 5;
			struct wire_unw_kept have[WIRE_UNW_KEPT];
			memcpy(have, thr->unw_kept, sizeof(have));
			n = walk_at(CODE + 0x100, off, new_bp, got);
			forget_all(thr);
			CHECK_EQ(walk_at(CODE + 0x100, off, new_bp, want), n);
			CHECK(!memcmp(want, got, n * sizeof(*got)));
			differ += *w != old;
			again += *w == old;
			memcpy(thr->unw_kept, have, sizeof(have));
			*w = old;
		}
	}
	CHECK(longest > 12);
	CHECK(kept > 1000);
	CHECK(differ > 1000 && again > 1000);
	end();
}

static uint32_t walk_20(uint32_t bp)
{
	memset(pcs, 0x55, sizeof(pcs));
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 64);
	ctx->regs[WIRE_RBP] = (uint64_t)word(bp);
	uint32_t n = rt_stack_walk(ctx, pcs, 20);
	rt_leave(ctx);
	return n;
}

/* What is kept is damaged: no walk reads beyond the stack that is known, nor writes more than it may. */
static void what_is_kept_is_not_believed(void)
{
	begin();
	struct wire_thread *thr = shm_thread(shm, 0);
	uint64_t rnd = 5;
	uint32_t words[64], bp;
	while (make_frames(&rnd, 64, &bp, words) < 25)
		;
	for (int k = 0; k < 12; k++)
		walk_20(bp);
	CHECK_EQ(kept_cnt(), 1);
	struct wire_unw_kept have[WIRE_UNW_KEPT];
	memcpy(have, thr->unw_kept, sizeof(have));
	for (int i = 0; i < 30000; i++) {
		memcpy(thr->unw_kept, have, sizeof(have));
		for (uint32_t k = 0; k < WIRE_UNW_KEPT; k++) {
			if (!have[k].seq)
				continue;
			uint64_t r = shm_random(&rnd);
			struct wire_unw_kept *kept = &thr->unw_kept[k];
			if (r & 1)
				kept->pc_cnt = (uint32_t)(r >> 8) % 64;
			if (r % 32 == 1)
				for (uint32_t f = 0; f < WIRE_UNW_KEPT_FRAMES; f++) { /* as long as may be, and all true */
					kept->pc_at[f] = 0;
					kept->pc[f] = *word(64);
				}
			if (r & 2)
				kept->bp_cnt = (uint32_t)(r >> 16);
			if (r & 4)
				((uint32_t *)kept->pc_at)[(r >> 8) % 16] = (uint32_t)(r >> 32);
			if (r & 8)
				kept->bp_at[(r >> 8) % 8] = (uint32_t)(r >> 32);
			if (r & 16)
				kept->bp_at[(r >> 8) % 8] = STACK_PAGES * PAGE - 64 - 8 + (uint32_t)(r >> 60);
		}
		uint32_t n = walk_20(bp);
		CHECK(n >= 1 && n <= 20);
		CHECK_EQ(pcs[20], 0x5555555555555555);
	}
	end();
}

/* The same words at the same place: another depth is asked for, the tables have changed, or the walk begins elsewhere. */
static void what_is_kept_is_of_one_walk(void)
{
	begin();
	uint64_t got[32];
	for (uint32_t k = 64; k < 2048; k += 8)
		*word(k) = CODE + 0x1020; /* recursion: one address again and again */
	*word(72 + 40 * 20 - 8) = CODE + 0x3001;
	for (int again = 0; again < 12; again++)
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 22);
	CHECK_EQ(kept_cnt(), 1);
	*word(72 + 40 * 12 - 8) = CODE + 0x3001; /* less deep */
	for (int again = 0; again < 12; again++)
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 14);
	*word(72 + 40 * 12 - 8) = CODE + 0x1020;
	for (int again = 0; again < 12; again++)
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 22);
	for (uint32_t max = 1; max < 32; max++)
		for (int again = 0; again < 10; again++) {
			fire(WIRE_SITE_ENTRY, CODE + 0x100, 64);
			CHECK_EQ(rt_stack_walk(ctx, again % 2 ? pcs : NULL, max), max < 22 ? max : 22);
			rt_leave(ctx);
		}
	fire(WIRE_SITE_OFFSET, CODE + 0x1000, 64); /* which reads the same as an entry does, and one that does not */
	CHECK_EQ(walk(), 22);
	fire(WIRE_SITE_OFFSET, CODE + 0x1018, 64);
	CHECK_EQ(walk(), 32); /* past what ended the others */
	fire(WIRE_SITE_RETURN, CODE + 0x1018, 64);
	CHECK_EQ(walk(), 22);
	CHECK_EQ(pcs[0], CODE + 0x1018);
	rows[2].cfa_off = 80;
	shm_proc(shm, 0)->unw_off[1] = shm_proc(shm, 0)->unw_off[0];
	shm_proc(shm, 0)->unw_cnt[1] = 1;
	shm_proc(shm, 0)->unw_cur++;
	CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 12);
	for (uint32_t off = 128; off < 128 + 256 * 8; off += 8) { /* where another walk has the same place */
		memset(stack, 0, STACK_PAGES * PAGE);
		*word(64) = *word(off) = CODE + 0x2011;
		*word(8192 + 8) = *word(8192 + 8 + off - 64) = CODE + 0x3001;
		for (int again = 0; again < 12; again++)
			walk_at(CODE + 0x100, 64, 8192, got);
		*word(8192 + 8) = CODE + 0x3002;
		walk_at(CODE + 0x100, off, 8192, got);
		CHECK_EQ(got[2], CODE + 0x3002);
	}
	end();
}

/* Stacks that take turns are not kept, nor are those that a nested probe sees. */
static void only_what_comes_again_is_kept(void)
{
	begin();
	uint64_t got[32];
	for (uint32_t k = 64; k < 1024; k += 8)
		*word(k) = CODE + 0x1020;
	*word(72 + 40 * 10 - 8) = CODE + 0x3001;
	for (int i = 0; i < 100; i++) {
		*word(72 + 40 * 5 - 8) = CODE + 0x1020 + (i & 1);
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 12);
		CHECK_EQ(got[6], CODE + 0x1020 + (i & 1));
	}
	CHECK_EQ(kept_cnt(), 0);
	struct rt_ctx *outer = rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, 0), shm_site(shm, WIRE_SITE_ENTRY), (uint64_t)word(4096));
	for (int i = 0; i < 100; i++)
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 12);
	CHECK_EQ(kept_cnt(), 0);
	rt_leave(outer);
	for (int i = 0; i < 12; i++)
		CHECK_EQ(walk_at(CODE + 0x100, 64, 0, got), 12);
	CHECK_EQ(kept_cnt(), 1);
	end();
}

/* The end of what is known is not passed by a guess, and tables that change are seen. */
static void what_is_known_ends(void)
{
	begin();
	uint32_t top = STACK_PAGES * PAGE;
	uint64_t got[32];
	for (uint32_t k = top - 400; k < top; k += 8)
		*word(k) = CODE + 0x1020;
	for (int again = 0; again < 3; again++)
		CHECK_EQ(walk_at(CODE + 0x100, top - 400, 0, got), 2 + 392 / 40);
	*word(top - 32) = 0; /* the end of the thread, in another frame */
	*word(top - 392 + 32) = 0;
	for (int again = 0; again < 3; again++)
		CHECK_EQ(walk_at(CODE + 0x100, top - 400, 0, got), 2);
	*word(top - 392 + 32) = CODE + 0x1020;
	rows[2].cfa_off = 80;
	shm_proc(shm, 0)->unw_off[1] = shm_proc(shm, 0)->unw_off[0];
	shm_proc(shm, 0)->unw_cnt[1] = 1;
	shm_proc(shm, 0)->unw_cur++;
	for (int again = 0; again < 3; again++)
		CHECK_EQ(walk_at(CODE + 0x100, top - 400, 0, got), 2 + 392 / 80);
	end();
}

/* What was read once is not asked for again, even across a frame of several pages. */
static void pages_of_the_stack_are_remembered(void)
{
	begin();
	struct wire_thread *thr = shm_thread(shm, 0);
	*word(64) = CODE + 0x9010;
	*word(72 + 3 * PAGE) = CODE + 0x3001;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 64);
	CHECK_EQ(thr->stack_hi, (uint64_t)stack + PAGE);
	CHECK_EQ(walk(), 3);
	CHECK_EQ(thr->stack_lo, (uint64_t)stack);
	CHECK_EQ(thr->stack_hi, (uint64_t)stack + 4 * PAGE);
	shm_proc(shm, 0)->flags = WIRE_PROC_NO_SYSCALL;
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 64);
	CHECK_EQ(walk(), 3);
	fire(WIRE_SITE_ENTRY, CODE + 0x100, 6 * PAGE); /* another stack, for all we know */
	CHECK_EQ(thr->stack_lo, (uint64_t)stack + 5 * PAGE);
	CHECK_EQ(thr->stack_hi, (uint64_t)stack + 6 * PAGE);
	rt_leave(ctx);
	end();
}

static void in_records_and_keys(void)
{
	begin();
	*word(64) = CODE + 0x1020;
	*word(72 + 32) = CODE + 0x3001;
	fire(WIRE_SITE_ENTRY, CODE + 0x2000, 64);
	CHECK_EQ(rt_rec_open(ctx, 8 + 8 * 20, 8), 0);
	rt_rec_ustack(ctx, 0, 20, 0, 0);
	const struct wire_vref *v = (const struct wire_vref *)ctx->rec->payload;
	CHECK(v->off == 8 && v->bytes == 24);
	CHECK_EQ(((uint64_t *)ctx->rec->payload)[2], CODE + 0x1020);
	rt_rec_commit(ctx);
	rt_tuple_begin(ctx, 0, 8, 0, 0);
	rt_tuple_ustack(ctx, 0, 0, 2, 0);
	const struct wire_tuple *t = rt_slot(ctx, 0);
	CHECK_EQ(t->bytes, 24);
	CHECK_EQ(((const uint64_t *)t->data)[1], CODE + 0x2000);
	rt_leave(ctx);
	fire(WIRE_SITE_TOOL, 0, 64);
	CHECK_EQ(walk(), 0);
	end();
}

TAP_MAIN(TEST(entry_has_return_address_on_top), TEST(return_address_belongs_to_the_call),
	 TEST(frame_pointer_and_saved_registers), TEST(realigned_frame), TEST(procedure_linkage), TEST(through_a_signal_frame),
	 TEST(code_without_tables_has_frame_pointers), TEST(stops_at_what_cannot_be_read), TEST(always_ends),
	 TEST(guesses_change_nothing), TEST(walks_that_are_kept), TEST(what_is_kept_is_not_believed), TEST(what_is_kept_is_of_one_walk),
	 TEST(only_what_comes_again_is_kept),
	 TEST(what_is_known_ends), TEST(pages_of_the_stack_are_remembered), TEST(in_records_and_keys))
