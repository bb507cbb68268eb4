/* SPDX-License-Identifier: MIT */
/*
 * Where threads stand in code that is about to change.
 *
 * Three kinds of place hold an instruction pointer: the registers of a stopped
 * thread; the same two bytes earlier, where the kernel is going to call an
 * interrupted system call again; and the signal frames on its stack.
 */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define STACK_LOOK (1u << 20) /* bytes of each stack that are searched for signal frames */
#define USER_CS 0x33
/* include/linux/errno.h of the kernel */
#define KERNEL_ERESTARTSYS 512
#define KERNEL_ERESTART_RESTARTBLOCK 516

struct places {
	const struct placed **wins; /* by address */
	uint32_t win_cnt;
	struct patch_move *moves;   /* by from */
	uint64_t move_cnt;
};

static int compare_moves(const void *a, const void *b)
{
	const struct patch_move *x = a, *y = b;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int compare_wins(const void *a, const void *b)
{
	const struct placed *x = *(const struct placed *const *)a, *y = *(const struct placed *const *)b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static const struct placed *window_of(const struct places *p, uint64_t ip)
{
	uint32_t lo = 0, hi = p->win_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (p->wins[mid]->addr > ip)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo && ip - p->wins[lo - 1]->addr < p->wins[lo - 1]->bytes ? p->wins[lo - 1] : NULL;
}

/* Where a thread at @ip goes on: @ip itself at a window's first byte, which stays an instruction. */
static uint64_t new_ip(const struct places *p, uint64_t ip)
{
	const struct placed *w = window_of(p, ip);
	if (!w || w->addr == ip)
		return ip;
	struct patch_move key = { .from = ip };
	const struct patch_move *m = bsearch(&key, p->moves, p->move_cnt, sizeof(*m), compare_moves);
	return m ? m->to : ip;
}

/* What the kernel would do on the way out, where its two bytes back would lead into a window. */
static bool restart_here(const struct places *p, struct user_regs_struct *regs)
{
	int64_t code = -(int64_t)regs->rax;
	if ((int64_t)regs->orig_rax < 0 || code < KERNEL_ERESTARTSYS || code > KERNEL_ERESTART_RESTARTBLOCK ||
	    code == KERNEL_ERESTART_RESTARTBLOCK - 1 || !window_of(p, regs->rip - 2))
		return false;
	regs->rax = code == KERNEL_ERESTART_RESTARTBLOCK ? SYS_restart_syscall : regs->orig_rax;
	regs->rip -= 2;
	regs->orig_rax = (uint64_t)-1;
	return true;
}

/* Not further than the stack goes: what lies behind it may be anything, and need not be in memory. */
static uint64_t stack_bytes(struct target *t, uint64_t from)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (from - m->start < m->end - m->start)
			return m->end - from < STACK_LOOK ? m->end - from : STACK_LOOK;
	}
	return STACK_LOOK; /* it came since */
}

static int move_frames(struct target *t, const struct places *p, uint64_t sp, uint64_t *words, struct err *reterr)
{
	uint64_t from = align_down(sp, 8);
	uint64_t cnt = target_read_some(t, from, words, stack_bytes(t, from)) / 8;
	for (uint64_t i = 0; i + 2 < cnt; i++) {
		/* struct sigcontext: ip, flags, cs and the other segments */
		if ((words[i + 2] & 0xffff) != USER_CS || !window_of(p, words[i]))
			continue;
		uint64_t to = new_ip(p, words[i]);
		int r = to == words[i] ? 0 : inject_write(t->inj, from + 8 * i, &to, sizeof(to), reterr);
		if (r)
			return r;
	}
	return 0;
}

static int move_one(struct target *t, const struct places *p, uint32_t i, uint64_t *words, struct err *reterr)
{
	struct user_regs_struct regs;
	int r = inject_get_regs(t->inj, i, &regs, reterr);
	if (r)
		return r;
	bool changed = restart_here(p, &regs);
	uint64_t to = new_ip(p, regs.rip);
	if (changed || to != regs.rip) {
		regs.rip = to;
		r = inject_set_regs(t->inj, i, &regs, reterr);
	}
	return r ? r : move_frames(t, p, regs.rsp, words, reterr);
}

void threads_places_free(struct places *p)
{
	if (p) {
		free(p->wins);
		free(p->moves);
	}
	free(p);
}

struct places *threads_places(const struct target *t, uint32_t first_placed, uint64_t first_move)
{
	struct places *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->win_cnt = t->placed_cnt - first_placed;
	p->move_cnt = t->move_cnt - first_move;
	p->wins = malloc((p->win_cnt + 1ul) * sizeof(*p->wins));
	p->moves = malloc((p->move_cnt + 1) * sizeof(*p->moves));
	if (!p->wins || !p->moves) {
		threads_places_free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < p->win_cnt; i++)
		p->wins[i] = &t->placed[first_placed + i];
	for (uint64_t i = 0; i < p->move_cnt; i++)
		p->moves[i] = t->moves[first_move + i];
	base_sort(p->wins, p->win_cnt, sizeof(*p->wins), compare_wins);
	base_sort(p->moves, p->move_cnt, sizeof(*p->moves), compare_moves);
	return p;
}

int threads_move_in(struct target *t, const struct places *p, struct err *reterr)
{
	uint64_t *words = malloc(STACK_LOOK);
	int r = words ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < inject_thread_cnt(t->inj) && !r; i++)
		r = move_one(t, p, i, words, reterr);
	free(words);
	return r;
}
