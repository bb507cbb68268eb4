/* SPDX-License-Identifier: MIT */
/*
 * The planner.  First every anchor gets a window of 5 bytes, on its own or
 * merged with those it would overlap; then those that found none get a short
 * window and a hole (holes.c), a ret those of what leads to it (sources.c), and
 * at last a pun (puns.c).
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t window_bytes(const struct code *c, uint32_t a, uint32_t b)
{
	return c->insn[b - 1].off + c->insn[b - 1].in.len - c->insn[a].off;
}

static bool is_movable(const struct code *c, uint32_t i)
{
	uint8_t buf[ISA_RELOC_MAX];
	uint64_t addr = c->f->addr + c->insn[i].off;
	return isa_relocate(code_bytes(c, i), &c->insn[i].in, addr, addr + 4096, buf, sizeof(buf), NULL) > 0;
}

/* An instruction in the middle of an epilogue: compilers make those in one piece. */
static bool in_epilogue(const struct code *c, uint32_t i)
{
	const struct isa_insn *before = &c->insn[i - 1].in, *in = &c->insn[i].in;
	bool undoes = before->op == ISA_OP_POP || before->op == ISA_OP_LEAVE ||
		      (before->sp == ISA_SP_ADD && before->sp_delta > 0) || before->sp == ISA_SP_FRAME;
	return undoes && (in->op == ISA_OP_POP || in->op == ISA_OP_LEAVE || in->flow == ISA_RET);
}

/* Why instruction @i cannot stand in the window that began at @a, behind another. */
static enum patch_refusal interior_check(const struct code *c, uint32_t a, uint32_t i)
{
	const struct code_insn *before = &c->insn[i - 1], *k = &c->insn[i];
	if (k->start)
		return PATCH_TARGET_INSIDE;
	if (k->pad)
		return PATCH_OK;
	if (code_ends(&before->in) || before->pad)
		return PATCH_TOO_SHORT;
	if (before->in.flow == ISA_CALL || before->in.flow == ISA_SYSCALL)
		return PATCH_TARGET_INSIDE; /* the call comes back here */
	if (c->unknown_jumps && a != 0 && !in_epilogue(c, i))
		return PATCH_UNKNOWN_JUMPS;
	return PATCH_OK;
}

static bool is_kept(const struct code *c, uint32_t a, uint32_t b)
{
	uint64_t start = c->f->addr + c->insn[a].off, end = start + window_bytes(c, a, b);
	for (uint32_t i = 0; i < c->f->keep_cnt; i++)
		if (start < c->f->keep[i].end && c->f->keep[i].start < end)
			return true;
	return false;
}

enum patch_refusal window_check(const struct code *c, uint32_t a, uint32_t b)
{
	if (window_bytes(c, a, b) >= PATCH_WINDOW_MAX || c->insn[a].pad)
		return PATCH_TOO_SHORT;
	if (UNLIKELY(c->f->keep_cnt) && is_kept(c, a, b))
		return PATCH_KEPT;
	for (uint32_t i = a; i < b; i++) {
		const struct code_insn *k = &c->insn[i];
		enum patch_refusal why = i > a ? interior_check(c, a, i) : PATCH_OK;
		if (why)
			return why;
		if (k->bad)
			return PATCH_UNDECODABLE;
		if (k->split)
			return PATCH_TARGET_INSIDE;
		if (!k->pad && !is_movable(c, i))
			return PATCH_UNRELOCATABLE;
	}
	return PATCH_OK;
}

bool plan_overlaps(const struct plan *p, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (a < p->span[i].b && p->span[i].a < b)
			return true;
	return false;
}

/* What [a, b) and all windows that it meets cover together. */
static void grow_over(const struct plan *p, uint32_t *a, uint32_t *b)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		const struct span *s = &p->span[i];
		if (*a >= s->b || s->a >= *b)
			continue;
		*a = s->a < *a ? s->a : *a;
		*b = s->b > *b ? s->b : *b;
	}
}

/* Adds [a, b) in the place of the windows within it. */
static void put_span(struct plan *p, uint32_t a, uint32_t b)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < p->cnt; i++)
		if (p->span[i].b <= a || b <= p->span[i].a)
			p->span[n++] = p->span[i];
	p->span[n] = (struct span){ .a = a, .b = b, .form = PATCH_JMP5 };
	p->cnt = n + 1;
}

/* Whether there is a hole in [a, b), or a window that has one: those that come after holes keep off them. */
static bool has_holes(const struct plan *p, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (a < p->span[i].b && p->span[i].a < b && (p->span[i].holes || p->span[i].form != PATCH_JMP5))
			return true;
	return holes_in(p, a, b);
}

static enum patch_refusal try_span(struct plan *p, uint32_t a, uint32_t b)
{
	grow_over(p, &a, &b);
	enum patch_refusal why = has_holes(p, a, b) ? PATCH_TOO_SHORT : window_check(&p->code, a, b);
	if (!why)
		put_span(p, a, b);
	return why;
}

/* End of the shortest window from @a over @k that has 5 bytes, or 0. */
static uint32_t end_of(const struct code *c, uint32_t a, uint32_t k)
{
	for (uint32_t b = k + 1; b <= c->cnt; b++)
		if (window_bytes(c, a, b) >= JMP_BYTES)
			return b;
	return 0;
}

static void keep_reason(enum patch_refusal why, enum patch_refusal *ret)
{
	if (*ret == PATCH_OK || *ret == PATCH_TOO_SHORT)
		*ret = why;
}

/* Forward from the instruction; then beginning ever earlier. */
enum patch_refusal plan_forward(struct plan *p, uint32_t k)
{
	enum patch_refusal first = PATCH_OK;
	for (uint32_t a = k;; a--) {
		uint32_t b = end_of(&p->code, a, k);
		enum patch_refusal why = b ? try_span(p, a, b) : PATCH_TOO_SHORT;
		if (!why)
			return PATCH_OK;
		keep_reason(why, &first);
		if (a == 0 || window_bytes(&p->code, a, k + 1) > JMP_BYTES + ISA_INSN_MAX)
			return first;
	}
}

/* Backwards from the end of instruction @k, leaving the padding behind it to others. */
static enum patch_refusal place_backward(struct plan *p, uint32_t k)
{
	for (uint32_t a = k;; a--) {
		if (window_bytes(&p->code, a, k + 1) >= JMP_BYTES)
			return try_span(p, a, k + 1);
		if (a == 0 || p->code.insn[a].start)
			return PATCH_TOO_SHORT;
	}
}

static bool covered(const struct plan *p, uint32_t k)
{
	return plan_overlaps(p, k, k + 1);
}

static enum patch_refusal place(struct plan *p, const struct patch_anchor *an, uint32_t k)
{
	if (p->code.insn[k].bad)
		return PATCH_UNDECODABLE;
	if (covered(p, k))
		return PATCH_OK;
	if (an->kind == WIRE_SITE_RETURN && !place_backward(p, k))
		return PATCH_OK;
	return plan_forward(p, k);
}

static void place_all(struct plan *p, struct patch_anchor *anchors, uint32_t cnt, bool entries)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct patch_anchor *an = &anchors[i];
		bool entry = an->offset == 0;
		if (entry != entries)
			continue;
		uint32_t k = an->offset < p->code.f->bytes ? p->code.at[an->offset] : CODE_NONE;
		an->refusal = k == CODE_NONE ? PATCH_NOT_BOUNDARY : place(p, an, k);
	}
}

/* Another form may suit what was refused for the bytes that a long jump would have needed. */
static void place_otherwise(struct plan *p, struct patch_anchor *anchors, uint32_t cnt,
			    uint32_t (*place_at)(struct plan *, uint32_t k))
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct patch_anchor *an = &anchors[i];
		if (!an->refusal || an->refusal == PATCH_NOT_BOUNDARY || an->refusal == PATCH_UNDECODABLE)
			continue;
		uint32_t k = p->code.at[an->offset];
		if (covered(p, k) || place_at(p, k) != CODE_NONE)
			an->refusal = PATCH_OK;
	}
}

static void place_by_sources(struct plan *p, struct patch_anchor *anchors, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct patch_anchor *an = &anchors[i];
		if (!an->refusal || an->refusal == PATCH_NOT_BOUNDARY || an->refusal == PATCH_UNDECODABLE)
			continue;
		bool as_before = i && anchors[i - 1].offset == an->offset && anchors[i - 1].by_sources;
		an->by_sources = as_before || sources_place(p, p->code.at[an->offset]);
		an->refusal = an->by_sources ? PATCH_OK : an->refusal;
	}
}

enum { STEP_MAX = 64 };

enum plan_flags plan_flags_step(const struct isa_insn *in, bool entry)
{
	if (in->reads_flags || in->flow == ISA_JCC) /* those without flags (loop, jrcxz) may lead to a reader */
		return PLAN_FLAGS_LIVE;
	if (in->writes_flags || in->flow == ISA_RET)
		return PLAN_FLAGS_DEAD;
	if (in->flow == ISA_CALL || in->flow == ISA_JMP_IND)
		return entry ? PLAN_FLAGS_DEAD : PLAN_FLAGS_LIVE;
	return PLAN_FLAGS_ON;
}

/* Whether somebody may still want the flags as they are before instruction @i. At a call or a
 * jump elsewhere the ABI says no, but only an entry trusts that all the code keeps to it. */
static bool flags_live(const struct code *c, uint32_t i, bool entry)
{
	for (int n = 0; n < STEP_MAX && i < c->func_cnt && !c->insn[i].bad; n++) {
		const struct isa_insn *in = &c->insn[i].in;
		enum plan_flags r = plan_flags_step(in, entry);
		if (r != PLAN_FLAGS_ON)
			return r == PLAN_FLAGS_LIVE;
		if (in->flow == ISA_JMP && code_at(c, in->target) == CODE_NONE)
			return !entry;
		if (in->flow == ISA_TRAP)
			return false;
		i = in->flow == ISA_JMP ? code_at(c, in->target) : i + 1;
	}
	return true;
}

/* At a ret flags and red zone are dead, unless the function has restored its caller's (Go's asyncPreempt, which
 * the runtime puts between any two instructions).  A jump that seems to leave the function may lead to a part of it
 * that nobody could tell for one, which goes on with both. */
static void describe(const struct plan *p, struct patch_anchor *an)
{
	const struct code *c = &p->code;
	uint32_t k = c->at[an->offset];
	uint8_t flow = c->insn[k].in.flow;
	bool entry = an->offset == 0;
	if (an->kind == WIRE_SITE_RETURN) {
		an->save_flags = flow == ISA_JMP || flow == ISA_JCC || c->has_popf;
		an->skip_redzone = flow != ISA_RET;
	} else {
		an->save_flags = flags_live(c, k, entry) || (!entry && c->has_std);
		an->skip_redzone = !entry;
	}
	if (c->f->asks_where && !c->has_below)
		an->skip_redzone = false; /* Go's compiler has no use for one, and its stacks are short */
	an->sp_adj = 16 + (an->save_flags ? 8 : 0) + (an->skip_redzone ? 128 : 0);
}

static void finish_anchor(const struct plan *p, struct patch_anchor *an)
{
	an->window = PATCH_NO_WINDOW;
	if (an->refusal)
		return;
	uint32_t k = p->code.at[an->offset];
	an->by_sources &= !covered(p, k); /* a window of another came to be over it */
	for (uint32_t i = 0; i < p->cnt; i++)
		if (k >= p->span[i].a && k < p->span[i].b)
			an->window = i;
	describe(p, an);
}

static uint32_t anchors_in(const struct patch_anchor *anchors, uint32_t cnt, uint32_t w)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt; i++)
		n += anchors[i].window == w;
	return n;
}

static bool move_as_they_are(const struct code *c, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		const struct isa_insn *in = &c->insn[i].in;
		if (in->rip_rel || (in->flow != ISA_NEXT && in->flow != ISA_RET && in->flow != ISA_JMP_IND))
			return false;
	}
	return true;
}

void plan_window(const struct plan *p, const struct span *s, uint32_t anchor_cnt, uint32_t source_cnt, struct patch_window *ret)
{
	const struct patch_func *f = p->code.f;
	uint32_t start = span_start(p, s);
	*ret = (struct patch_window){ .addr = f->addr + start, .form = s->form };
	ret->bytes = span_end(p, s) - start;
	ret->write_bytes = s->form == PATCH_HOLE ? SHORT_BYTES : s->form == PATCH_PUN ? (uint8_t)ret->bytes : JMP_BYTES;
	memcpy(ret->old, f->code + start, ret->bytes);
	ret->moves_as_is = !source_cnt && move_as_they_are(&p->code, s->a, s->b);
	ret->tramp_max = emit_bound(&p->code, s->a, s->b, anchor_cnt, source_cnt, ret->moves_as_is);
	if (s->form != PATCH_HOLE)
		return;
	if (s->borrowed) {
		ret->hole_addr = f->borrowed[s->borrowed - 1].hole;
		ret->hole_inside = ret->hole_borrowed = true;
		f->read(f->read_arg, ret->hole_addr, ret->hole_old, JMP_BYTES);
		return;
	}
	ret->hole_addr = f->addr + s->hole_off;
	memcpy(ret->hole_old, f->code + s->hole_off, JMP_BYTES);
	for (uint32_t i = 0; i < p->cnt; i++)
		ret->hole_inside |= s->hole_off >= span_start(p, &p->span[i]) && s->hole_off < span_end(p, &p->span[i]);
}

static int plan_init(struct plan *p, const struct patch_func *f, uint32_t anchor_cnt)
{
	*p = (struct plan){ 0 };
	p->span = malloc((PATCH_WINDOW_CNT(anchor_cnt) + f->lend_cnt + 1) * sizeof(*p->span));
	p->pad_used = calloc((f->bytes + f->slack + f->gap) / 64 + 1, sizeof(*p->pad_used));
	if (p->span && p->pad_used && !code_init(&p->code, f))
		return 0;
	free(p->span);
	free(p->pad_used);
	return -ENOMEM;
}

int patch_plan(const struct patch_func *f, struct patch_anchor *anchors, uint32_t anchor_cnt,
	       struct patch_window *ret_windows)
{
	struct plan p;
	int rc = plan_init(&p, f, anchor_cnt);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < anchor_cnt; i++)
		anchors[i].by_sources = false;
	place_all(&p, anchors, anchor_cnt, true);
	place_all(&p, anchors, anchor_cnt, false);
	if (!f->asks_where)
		place_otherwise(&p, anchors, anchor_cnt, holes_place);
	for (uint32_t i = 0; i < f->lend_cnt; i++)
		holes_lend(&p, &f->lends[i]);
	place_by_sources(&p, anchors, anchor_cnt);
	place_otherwise(&p, anchors, anchor_cnt, puns_place);
	for (uint32_t i = 0; i < anchor_cnt; i++)
		finish_anchor(&p, &anchors[i]);
	for (uint32_t i = 0; i < p.cnt; i++)
		plan_window(&p, &p.span[i], anchors_in(anchors, anchor_cnt, i), sources_in(&p, &p.span[i], anchors, anchor_cnt),
			    &ret_windows[i]);
	rc = (int)p.cnt;
	code_deinit(&p.code);
	free(p.span);
	free(p.pad_used);
	return rc;
}
