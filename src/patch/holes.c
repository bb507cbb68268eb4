/* SPDX-License-Identifier: MIT */
/*
 * Short windows.  Two bytes reach 128 bytes either way; what is looked for there,
 * cheapest first: padding; room behind the jump of a window that is planned
 * already; that window made longer; a host of its own.
 */
#include "patch/patch_int.h"

enum { HOST_BYTES = JMP_BYTES + JMP_BYTES };

/* Offsets at which a hole may begin so that a short jump at @from reaches it. */
struct reach {
	int64_t lo, hi;
};

static struct reach reach_of(uint32_t from)
{
	return (struct reach){ (int64_t)from + SHORT_BYTES - 128, (int64_t)from + SHORT_BYTES + 127 };
}

static bool within(struct reach r, uint32_t off)
{
	return off >= r.lo && off <= r.hi;
}

static bool used(const struct plan *p, uint32_t off)
{
	return p->pad_used[off / 64] >> (off % 64) & 1;
}

static void use(struct plan *p, uint32_t off)
{
	for (uint32_t i = off; i < off + JMP_BYTES; i++)
		p->pad_used[i / 64] |= 1ULL << (i % 64);
}

bool holes_in(const struct plan *p, uint32_t a, uint32_t b)
{
	for (uint32_t k = a; k < b; k++)
		for (uint32_t n = 0; p->code.insn[k].pad && n < p->code.insn[k].in.len; n++)
			if (used(p, p->code.insn[k].off + n))
				return true;
	return false;
}

/* Finds five bytes of padding that no window covers; [a, b) is the window that wants them. */
static uint32_t padding_hole(struct plan *p, struct reach r, uint32_t a, uint32_t b)
{
	const struct code *c = &p->code;
	uint32_t run = 0;
	for (uint32_t i = 0; i < c->cnt; i++) {
		const struct code_insn *k = &c->insn[i];
		bool is_free = k->pad && !plan_overlaps(p, i, i + 1) && (i < a || i >= b);
		for (uint32_t off = k->off; off < k->off + k->in.len; off++) {
			run = is_free && !used(p, off) ? run + 1 : 0;
			if (run >= JMP_BYTES && within(r, off + 1 - JMP_BYTES)) {
				use(p, off + 1 - JMP_BYTES);
				return off + 1 - JMP_BYTES;
			}
		}
	}
	return CODE_NONE;
}

static uint32_t next_hole(const struct plan *p, const struct span *s)
{
	return span_start(p, s) + JMP_BYTES * (1 + s->holes);
}

static uint32_t spare_hole(struct plan *p, struct reach r)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		struct span *s = &p->span[i];
		uint32_t off = next_hole(p, s);
		if (s->form != PATCH_JMP5 || off + JMP_BYTES > span_end(p, s) || !within(r, off))
			continue;
		s->holes++;
		return off;
	}
	return CODE_NONE;
}

/* A call in a displaced copy costs its return a misprediction: only where nothing else is left. */
static bool host_ok(const struct code *c, uint32_t a, uint32_t b, bool calls)
{
	return (calls || c->insn[b - 1].in.flow != ISA_CALL) && !window_check(c, a, b);
}

/* Whether [a, b) is free but for window @self. */
static bool free_but(const struct plan *p, uint32_t a, uint32_t b, uint32_t self)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (i != self && a < p->span[i].b && p->span[i].a < b)
			return false;
	return !holes_in(p, a, b);
}

static bool extend_forward(struct plan *p, uint32_t i, struct reach r, bool calls)
{
	struct span *s = &p->span[i];
	uint32_t need = JMP_BYTES * (2 + s->holes), b = s->b;
	while (b < p->code.cnt && window_bytes(&p->code, s->a, b) < need)
		b++;
	if (window_bytes(&p->code, s->a, b) < need || !within(r, next_hole(p, s)))
		return false;
	if (!host_ok(&p->code, s->a, b, calls) || !free_but(p, s->a, b, i))
		return false;
	s->b = b;
	return true;
}

static bool extend_backward(struct plan *p, uint32_t i, struct reach r)
{
	struct span *s = &p->span[i];
	uint32_t a = s->a;
	while (a > 0 && window_bytes(&p->code, a, s->b) < HOST_BYTES)
		a--;
	if (s->holes || window_bytes(&p->code, a, s->b) < HOST_BYTES)
		return false;
	if (!within(r, p->code.insn[a].off + JMP_BYTES))
		return false;
	if (window_check(&p->code, a, s->b) || !free_but(p, a, s->b, i))
		return false;
	s->a = a;
	return true;
}

static uint32_t extended_hole(struct plan *p, struct reach r, uint32_t a, uint32_t b, bool calls)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		struct span was = p->span[i];
		if (was.form != PATCH_JMP5 || (!extend_forward(p, i, r, calls) && !extend_backward(p, i, r)))
			continue;
		struct span *s = &p->span[i];
		if (s->a < b && a < s->b) {
			*s = was; /* over the very window that wants the hole */
			continue;
		}
		uint32_t off = next_hole(p, s);
		s->holes++;
		return off;
	}
	return CODE_NONE;
}

/* The shortest run of instructions that can be a host. */
static uint32_t new_host(struct plan *p, struct reach r, uint32_t a, uint32_t b, bool calls)
{
	const struct code *c = &p->code;
	struct span best = { 0 };
	uint32_t best_bytes = PATCH_WINDOW_MAX + 1;
	for (uint32_t h = 0; h < c->func_cnt; h++) {
		if (!within(r, c->insn[h].off + JMP_BYTES))
			continue;
		uint32_t e = h + 1;
		while (e < c->cnt && window_bytes(c, h, e) < HOST_BYTES)
			e++;
		uint32_t bytes = window_bytes(c, h, e);
		if (bytes < HOST_BYTES || bytes >= best_bytes || (h < b && a < e))
			continue;
		if (!host_ok(c, h, e, calls) || !free_but(p, h, e, CODE_NONE))
			continue;
		best = (struct span){ .a = h, .b = e, .form = PATCH_JMP5, .holes = 1 };
		best_bytes = bytes;
	}
	if (best_bytes > PATCH_WINDOW_MAX)
		return CODE_NONE;
	p->span[p->cnt++] = best;
	return span_start(p, &best) + JMP_BYTES;
}

static uint32_t find_hole(struct plan *p, uint32_t a, uint32_t b)
{
	struct reach r = reach_of(p->code.insn[a].off);
	uint32_t off = padding_hole(p, r, a, b);
	if (off == CODE_NONE)
		off = spare_hole(p, r);
	for (int calls = 0; calls < 2 && off == CODE_NONE; calls++) {
		off = extended_hole(p, r, a, b, calls);
		if (off == CODE_NONE)
			off = new_host(p, r, a, b, calls);
	}
	return off;
}

static uint32_t short_end(const struct code *c, uint32_t a, uint32_t k)
{
	uint32_t b = k + 1;
	while (b < c->cnt && window_bytes(c, a, b) < SHORT_BYTES)
		b++;
	return b;
}

void holes_lend(struct plan *p, struct patch_lend *l)
{
	struct reach r = { (int64_t)(l->lo - p->code.f->addr), (int64_t)(l->hi - p->code.f->addr) };
	uint32_t off = spare_hole(p, r);
	for (int calls = 0; calls < 2 && off == CODE_NONE; calls++) {
		off = extended_hole(p, r, 0, 0, calls);
		if (off == CODE_NONE)
			off = new_host(p, r, 0, 0, calls);
	}
	l->hole = off == CODE_NONE ? 0 : p->code.f->addr + off;
}

static bool is_lent_to(const struct plan *p, uint32_t i)
{
	for (uint32_t s = 0; s < p->cnt; s++)
		if (p->span[s].borrowed == i + 1)
			return true;
	return false;
}

/* One of the neighbours' within reach of @from that no other window has: its number from 1, or 0. */
static uint32_t borrow(const struct plan *p, uint32_t from)
{
	const struct patch_func *f = p->code.f;
	uint64_t addr = f->addr + from;
	for (uint32_t i = 0; i < f->borrowed_cnt; i++) {
		uint64_t hole = f->borrowed[i].hole;
		if (hole && hole >= PATCH_REACH_LO(addr) && hole <= PATCH_REACH_HI(addr) && !is_lent_to(p, i))
			return i + 1;
	}
	return 0;
}

/* A short window that ends before instruction @k takes it in: its hole suits both. */
static uint32_t join_short(struct plan *p, uint32_t k)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		struct span *s = &p->span[i];
		if (s->form != PATCH_HOLE || s->b != k || window_check(&p->code, s->a, k + 1) || !free_but(p, k, k + 1, i))
			continue;
		s->b = k + 1;
		return i;
	}
	return CODE_NONE;
}

uint32_t holes_place(struct plan *p, uint32_t k)
{
	const struct code *c = &p->code;
	uint32_t joined = join_short(p, k);
	if (joined != CODE_NONE)
		return joined;
	for (uint32_t a = k;; a--) {
		uint32_t b = short_end(c, a, k);
		if (window_bytes(c, a, b) >= SHORT_BYTES && !window_check(c, a, b) && free_but(p, a, b, CODE_NONE)) {
			uint32_t off = find_hole(p, a, b), borrowed = 0;
			if (off == CODE_NONE)
				borrowed = borrow(p, c->insn[a].off);
			if (off == CODE_NONE && !borrowed)
				return CODE_NONE;
			p->span[p->cnt] = (struct span){ .a = a, .b = b, .form = PATCH_HOLE, .hole_off = off, .borrowed = borrowed };
			return p->cnt++;
		}
		if (a == 0 || window_bytes(c, a, k + 1) > ISA_INSN_MAX)
			return CODE_NONE;
	}
}
