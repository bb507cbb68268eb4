/* SPDX-License-Identifier: MIT */
/*
 * Jumps in code that threads run meanwhile (ADR 26).
 *
 * A window is one instruction, and what changes of it lies within eight aligned bytes: each thread runs what was there
 * or what is.  What a jump needs is there before it, in the eyes of all processors, and goes after it:
 *
 *   arming     long jumps, those in holes of padding among them | barrier | short jumps and puns, from the last to the first
 *   disarming  short jumps and puns, from the first to the last | barrier | long jumps, but for those in holes (holes.c)
 *
 * for a pun depends on what stands behind it, and that may be a pun.
 */
#include "session/arm_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORD 8u
#define EDIT_WORDS (PATCH_WINDOW_MAX / WORD + 2)

/* Whether the first @n of @bytes are of one instruction, and of one word. */
static bool is_one(const uint8_t *code, uint32_t bytes, uint64_t addr, uint32_t n)
{
	struct isa_insn in;
	if (isa_decode(code, bytes, addr, &in) || in.len > bytes || !n)
		return false;
	/* Behind an instruction that nothing passes there is padding only. */
	bool last = in.flow == ISA_RET || in.flow == ISA_JMP || in.flow == ISA_JMP_IND;
	return (in.len >= n || last) && addr / WORD == (addr + n - 1) / WORD;
}

bool live_can(const struct patch_window *w)
{
	return !w->hole_inside && !w->hole_borrowed && is_one(w->old, w->bytes, w->addr, w->write_bytes);
}

bool live_can_restore(struct target *t, const struct placed *p)
{
	uint8_t code[PATCH_WINDOW_MAX + ISA_INSN_MAX];
	if (target_read(t, p->addr, code, sizeof(code)))
		return false;
	memcpy(code, p->old, p->bytes);
	return is_one(code, sizeof(code), p->addr, p->jump_bytes);
}

/* The words that @e changes, in *ret; their number.  -ENOENT: something else stands there than it wants. */
static int words_of(struct inject *inj, const struct text_maps *maps, const struct edit *e, struct inject_word ret[EDIT_WORDS])
{
	uint8_t now[PATCH_WINDOW_MAX + 2 * WORD], then[sizeof(now)];
	uint64_t start = align_down(e->addr, WORD), bytes = align_up(e->addr + e->cnt, WORD) - start;
	const struct host_map *m = text_map_at(maps, e->addr, e->addr + 1);
	int n = 0;
	if (!m || m->shared || bytes > sizeof(now) || inject_read(inj, start, now, bytes, NULL) ||
	    memcmp(now + (e->addr - start), e->want, e->want_cnt))
		return -ENOENT;
	memcpy(then, now, bytes);
	memcpy(then + (e->addr - start), e->bytes, e->cnt);
	for (uint64_t at = 0; at < bytes; at += WORD) {
		if (!memcmp(now + at, then + at, WORD))
			continue;
		ret[n] = (struct inject_word){ .addr = start + at, .prot = m->prot };
		memcpy(&ret[n].was, now + at, WORD);
		memcpy(&ret[n++].is, then + at, WORD);
	}
	return n;
}

/* Those of phase 1 are short ones that are made, or long ones that go, which do not depend on each other. */
static int compare_live(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;
	int up = x->addr < y->addr ? -1 : x->addr > y->addr;
	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	return x->phase ? -up : up;
}

/* Two edits may share a word; then what was read before the first is not what the second finds: one by one, but for
 * words that lie apart. */
static int apply(struct inject *inj, const struct text_maps *maps, const struct edit *e, uint32_t cnt, const struct edit **ret_miss,
		 struct err *reterr)
{
	struct inject_word w[64 + EDIT_WORDS];
	uint32_t n = 0, done;
	int r = 0;
	for (uint32_t i = 0; i <= cnt && !r; i++) {
		int k = i < cnt ? words_of(inj, maps, &e[i], w + n) : 0;
		bool shares = false;
		for (uint32_t a = 0; k > 0 && a < n; a++)
			for (int b = 0; b < k; b++)
				shares |= w[a].addr == w[n + (uint32_t)b].addr;
		if (n && (i == cnt || shares || n + (uint32_t)(k > 0 ? k : 0) > 64)) {
			r = inject_store(inj, w, n, &done, reterr);
			k = i < cnt && !r ? words_of(inj, maps, &e[i], w) : 0;
			n = 0;
		}
		if (k == -ENOENT)
			*ret_miss = *ret_miss ? *ret_miss : &e[i];
		n += k > 0 ? (uint32_t)k : 0;
	}
	return r;
}

/* Where all or nothing is wanted, what depends on an edit that was missed is not to be written. */
static int apply_all(struct inject *inj, const struct text_maps *maps, const struct edit *e, uint32_t cnt, const struct edit **ret_miss,
		     struct err *reterr)
{
	int r = apply(inj, maps, e, cnt, ret_miss, reterr);
	if (!r && *ret_miss && (*ret_miss)->strict)
		r = err_setf(reterr, -EAGAIN, "the code at %#llx changed meanwhile: nothing was armed", (unsigned long long)(*ret_miss)->addr);
	return r;
}

int live_edits(struct inject *inj, struct edit *e, uint32_t cnt, bool write, const struct edit **ret_miss, struct err *reterr)
{
	struct text_maps maps = { 0 };
	struct inject_word w[EDIT_WORDS];
	uint32_t first = 0;
	int r = 0;
	*ret_miss = NULL;
	text_maps_read(&maps, inject_pid(inj));
	qsort(e, cnt, sizeof(*e), compare_live);
	while (first < cnt && e[first].phase == e[0].phase)
		first++;
	for (uint32_t i = 0; i < cnt && !write; i++)
		if (words_of(inj, &maps, &e[i], w) < 0 && !*ret_miss)
			*ret_miss = &e[i];
	if (write) {
		r = apply_all(inj, &maps, e, first, ret_miss, reterr);
		r = r ? r : inject_sync_core(inj, reterr);
		r = r ? r : apply_all(inj, &maps, e + first, cnt - first, ret_miss, reterr);
	}
	free(maps.v);
	return r;
}
