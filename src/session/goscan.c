/* SPDX-License-Identifier: MIT */
/*
 * Where goroutines may go on that the runtime has taken off their threads: in a process that ran before we came, one that
 * was interrupted by a signal can stand at any instruction (ADR 20).  The address is in the process's memory, on its
 * stack; which of the memory is stack only the runtime knows.  So every word of it that could be an address in Go code
 * counts as one that is jumped to.
 *
 *	before the plan    such words of the running process: with them windows are planned
 *	before the jumps   all threads stand: a word in the middle of a window is a goroutine that was interrupted
 *	                   meanwhile, or looks like one; that function gets no jumps, and is planned anew afterwards
 */
#include "session/arm_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define CHUNK_PAGES 256u
#define SCAN_MAX (256ULL << 20) /* bytes that are there, which takes some 0.1 s; of more, nothing is known */

struct scan {
	struct target *t;
	uint64_t lo, hi;       /* of Go code */
	const uint64_t *bits;  /* of its addresses, those that matter; NULL: all do */
	uint64_t *found;
	uint32_t cnt, cap;
	uint64_t bytes;        /* looked at */
	int pagemap;
	bool failed;
};

static void add(struct scan *s, uint64_t pc)
{
	if (s->cnt == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 1024;
		uint64_t *v = realloc(s->found, cap * sizeof(*v));
		if (!v) {
			s->failed = true;
			return;
		}
		s->found = v;
		s->cap = cap;
	}
	s->found[s->cnt++] = pc;
}

static void look(struct scan *s, const uint64_t *words, size_t cnt)
{
	uint64_t lo = s->lo, span = s->hi - s->lo;
	for (size_t i = 0; i < cnt; i++) {
		uint64_t off = words[i] - lo;
		if (UNLIKELY(off < span) && (!s->bits || s->bits[off / 64] >> (off % 64) & 1))
			add(s, words[i]);
	}
}

static void look_at_pages(struct scan *s, uint64_t addr, const uint64_t *present, uint32_t cnt)
{
	static uint64_t words[CHUNK_PAGES * PAGE / 8];
	for (uint32_t i = 0, n; i < cnt; i += n) {
		bool there = present[i] >> 62;
		for (n = 1; i + n < cnt && (present[i + n] >> 62 != 0) == there; n++)
			;
		if (!there)
			continue;
		size_t bytes = target_read_some(s->t, addr + (uint64_t)i * PAGE, words, (size_t)n * PAGE);
		s->bytes += bytes;
		look(s, words, bytes / 8);
	}
}

/* Pages that do not exist are passed over (proc_pid_pagemap(5)). */
static void look_at_map(struct scan *s, const struct obj_map *m)
{
	uint64_t present[CHUNK_PAGES];
	for (uint64_t at = m->start; at < m->end && !s->failed; at += (uint64_t)CHUNK_PAGES * PAGE) {
		uint32_t cnt = (uint32_t)((m->end - at) / PAGE);
		cnt = cnt < CHUNK_PAGES ? cnt : CHUNK_PAGES;
		if (pread(s->pagemap, present, cnt * sizeof(*present), (off_t)(at / PAGE * 8)) != (ssize_t)(cnt * sizeof(*present)))
			s->failed = true;
		else
			look_at_pages(s, at, present, cnt);
		s->failed |= s->bytes > SCAN_MAX;
	}
}

static bool scan_all(struct scan *s)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", s->t->pid);
	s->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	s->failed = s->pagemap < 0 || obj_proc_refresh(s->t->obj, NULL);
	for (uint32_t i = 0; i < obj_map_cnt(s->t->obj) && !s->failed; i++) {
		const struct obj_map *m = obj_map_at(s->t->obj, i);
		if (m->prot & PROT_WRITE && !owner_is_memfd(m->path, "dyntrace-shm"))
			look_at_map(s, m);
	}
	if (s->pagemap >= 0)
		close(s->pagemap);
	return !s->failed;
}

static bool go_text(struct target *t, uint64_t *ret_lo, uint64_t *ret_hi)
{
	*ret_lo = UINT64_MAX;
	*ret_hi = 0;
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (!m->end || m->is_vdso || !obj_module_is_go(t->obj, m))
			continue;
		*ret_lo = m->text_start < *ret_lo ? m->text_start : *ret_lo;
		*ret_hi = m->text_end > *ret_hi ? m->text_end : *ret_hi;
	}
	return *ret_lo < *ret_hi;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t sort_once(uint64_t *v, uint32_t cnt)
{
	uint32_t n = 0;
	if (cnt)
		qsort(v, cnt, sizeof(*v), compare);
	for (uint32_t i = 0; i < cnt; i++)
		if (!n || v[n - 1] != v[i])
			v[n++] = v[i];
	return n;
}

/* Adds to what is known. */
static bool learn(struct target *t, const struct scan *s)
{
	uint64_t *v = realloc(t->go_pcs, (t->go_pc_cnt + s->cnt + 1ul) * sizeof(*v));
	if (!v)
		return false;
	if (s->cnt)
		memcpy(v + t->go_pc_cnt, s->found, s->cnt * sizeof(*v));
	t->go_pcs = v;
	t->go_pc_cnt = sort_once(v, t->go_pc_cnt + s->cnt);
	return true;
}

void goscan_begin(struct target *t)
{
	struct scan s = { .t = t };
	t->go_known = false;
	if (t->is_child || !go_text(t, &s.lo, &s.hi))
		return;
	t->go_known = scan_all(&s) && learn(t, &s);
	free(s.found);
}

void goscan_free(struct target *t)
{
	free(t->go_pcs);
}

uint32_t goscan_first(const struct target *t, uint64_t lo)
{
	return host_first_u64(t->go_pcs, t->go_pc_cnt, lo);
}

/* ---- before the jumps are written ---- */

static bool is_in(const struct plan_func *pf, uint64_t addr)
{
	return addr - pf->addr < pf->bytes;
}

/* Of a function that is dropped nothing is written, nor counted. */
static void drop(struct job *j, struct plan_func *pf)
{
	uint32_t n = j->first_placed, w = 0;
	pf->dropped = pf->postponed = true;
	for (uint32_t i = 0; i < pf->anchor_cnt; i++)
		j->armed -= !pf->anchors[i].refusal && !job_is_own(pf->anchors[i].kind);
	for (uint32_t i = n; i < j->t->placed_cnt; i++)
		if (!is_in(pf, j->t->placed[i].addr))
			j->t->placed[n++] = j->t->placed[i];
	j->t->placed_cnt = n;
	for (uint32_t i = 0; i < j->write_cnt; i++)
		if (!is_in(pf, j->writes[i].addr))
			j->writes[w++] = j->writes[i];
	j->write_cnt = w;
	j->postponed_cnt++;
}

/* A pun's end lies in what follows it, which it needs as planned. */
static bool pun_needs(const struct job *j, const struct plan_func *pf)
{
	for (uint32_t i = j->first_placed; i < j->t->placed_cnt; i++) {
		const struct placed *p = &j->t->placed[i];
		if (p->claim > p->bytes && p->addr < pf->addr && p->addr + p->claim > pf->addr)
			return true;
	}
	return false;
}

static void drop_hit(struct job *j, const struct scan *s)
{
	bool was = false; /* the one before, in the order of addresses, depends on the next */
	for (uint32_t i = j->func_cnt; i--;) {
		struct plan_func *pf = &j->funcs[i];
		bool hit = was;
		was = false;
		for (uint32_t k = 0; k < s->cnt && !hit; k++)
			hit = is_in(pf, s->found[k]);
		if (!hit || !plan_has_windows(pf))
			continue;
		was = pun_needs(j, pf);
		drop(j, pf);
	}
}

/* Windows' bytes but the first; NULL: no memory. *ret_any: there are some in Go code. */
static uint64_t *interiors(const struct job *j, uint64_t lo, uint64_t hi, bool *ret_any)
{
	uint64_t *bits = calloc((hi - lo) / 64 + 1, sizeof(*bits));
	*ret_any = false;
	for (uint32_t i = j->first_placed; bits && i < j->t->placed_cnt; i++) {
		const struct placed *p = &j->t->placed[i];
		for (uint64_t a = p->addr + 1; a < p->addr + p->bytes && p->addr >= lo && a < hi; a++) {
			bits[(a - lo) / 64] |= 1ULL << (a - lo) % 64;
			*ret_any = true;
		}
	}
	return bits;
}

int goscan_check(struct job *j, struct err *reterr)
{
	struct scan s = { .t = j->t };
	bool any = false;
	if (!j->t->go_known || !go_text(j->t, &s.lo, &s.hi))
		return 0;
	uint64_t *bits = interiors(j, s.lo, s.hi, &any);
	int r = bits ? 0 : job_no_memory(reterr);
	s.bits = bits;
	if (any && !r && (!scan_all(&s) || !learn(j->t, &s)))
		j->t->go_known = false;
	if (any && !r && !j->t->go_known) {
		j->again = true;
		r = err_setf(reterr, -EAGAIN, "it is not known where its goroutines stand");
	} else if (!r && s.cnt) {
		drop_hit(j, &s);
	}
	free(s.found);
	free(bits);
	return r;
}
