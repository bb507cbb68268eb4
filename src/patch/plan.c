/* SPDX-License-Identifier: MIT */
/* Which windows a function's anchors get. */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JMP_BYTES 5u
#define SHORT_BYTES 2u
#define REACH 120 /* of a short jump, with something to spare */

struct planner {
	struct code c;
	struct patch_window *win;
	uint32_t *start, *end; /* offsets of each window */
	uint32_t cnt;
};

const char *patch_refusal_text(enum patch_refusal why)
{
	static const char *const text[PATCH_REFUSAL_CNT] = {
		[PATCH_OK] = "can be placed",
		[PATCH_NOT_BOUNDARY] = "the offset is inside an instruction",
		[PATCH_UNDECODABLE] = "the code there cannot be decoded",
		[PATCH_TOO_SHORT] = "there is no room for a jump, nor for a short one to a hole nearby",
		[PATCH_TARGET_INSIDE] = "something jumps into the only instructions that could be displaced",
		[PATCH_UNKNOWN_JUMPS] = "the function has a table jump whose table was not found",
		[PATCH_UNRELOCATABLE] = "an instruction there cannot be moved",
	};
	return why < PATCH_REFUSAL_CNT && text[why] ? text[why] : "?";
}

/* jcc rel8 or rel32: not loop, not jrcxz, which lead nowhere far. */
static bool is_plain_jcc(const uint8_t *bytes, const struct isa_insn *in)
{
	if (in->flow != ISA_JCC)
		return false;
	return (in->len == 2 && (bytes[0] & 0xf0) == 0x70) ||
	       (in->len >= 6 && bytes[in->len - 6] == 0x0f && (bytes[in->len - 5] & 0xf0) == 0x80);
}

int patch_find_returns(const struct patch_func *f, uint32_t *ret_offsets, uint32_t cap, struct err *reterr)
{
	struct code c;
	if (code_init(&c, f))
		return err_setf(reterr, -ENOMEM, "out of memory");
	int n = 0;
	for (uint32_t i = 0; i < c.insn_cnt; i++) {
		const struct isa_insn *in = &c.insns[i];
		bool leaves = in->flow == ISA_RET || (in->flow == ISA_JMP_IND && !code_is_dispatch(&c, i));
		if ((in->flow == ISA_JMP || is_plain_jcc(f->code + c.offs[i], in)) && in->target - f->addr >= f->bytes)
			leaves = !f->is_fragment || !f->is_fragment(f->fragment_arg, in->target);
		if (!leaves)
			continue;
		if ((uint32_t)n < cap)
			ret_offsets[n] = c.offs[i];
		n++;
	}
	code_deinit(&c);
	return n;
}

/* ---- properties of a candidate [start, end) ---- */

static bool overlaps(const struct planner *p, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		if (start < p->end[i] && p->start[i] < end)
			return true;
		const struct patch_window *w = &p->win[i];
		uint32_t hole = (uint32_t)(w->hole_addr - p->c.f->addr);
		if (w->form == PATCH_HOLE && start < hole + JMP_BYTES && hole < end)
			return true;
	}
	return false;
}

/* Bytes from @off on that nothing runs through or to: padding of nops behind an instruction that does
 * not go on, up to the next instruction that counts, or what follows the function. */
static uint32_t dead_bytes(const struct planner *p, uint32_t off)
{
	const struct code *c = &p->c;
	uint32_t at = off;
	if (!code_at(c, off, CODE_FALLEN))
		return 0;
	while (at < c->decoded && !code_at(c, at, CODE_TARGET) && c->insns[c->num[at]].is_nop)
		at += c->insns[c->num[at]].len;
	if (at == c->f->bytes)
		at += c->f->slack;
	return at - off;
}

/* Why instructions [start, end) cannot be displaced as one window; PATCH_OK if they can. */
static enum patch_refusal check_run(const struct planner *p, uint32_t start, uint32_t end)
{
	const struct code *c = &p->c;
	for (uint32_t at = start; at < end;) {
		if (!code_at(c, at, CODE_START))
			return PATCH_UNDECODABLE;
		if (at > start && code_at(c, at, CODE_TARGET))
			return PATCH_TARGET_INSIDE;
		if (at > start && code_at(c, at, CODE_FALLEN))
			return PATCH_TOO_SHORT;
		if (at > start && start && c->unknown_jumps)
			return PATCH_UNKNOWN_JUMPS;
		at += c->insns[c->num[at]].len;
	}
	return overlaps(p, start, end) ? PATCH_TOO_SHORT : PATCH_OK;
}

/* Whether every instruction of the run can be moved, judged at a place nearby. */
static bool movable(const struct planner *p, uint32_t start, uint32_t end)
{
	const struct code *c = &p->c;
	uint8_t buf[ISA_RELOC_MAX];
	for (uint32_t at = start; at < end; at += c->insns[c->num[at]].len) {
		uint64_t addr = c->f->addr + at;
		if (isa_relocate(c->f->code + at, &c->insns[c->num[at]], addr, addr, buf, sizeof(buf), NULL) < 0)
			return false;
	}
	return true;
}

static struct patch_window *add_window(struct planner *p, uint32_t start, uint32_t end, enum patch_form form)
{
	struct patch_window *w = &p->win[p->cnt];
	*w = (struct patch_window){ .addr = p->c.f->addr + start, .bytes = end - start, .form = (uint8_t)form };
	memcpy(w->old, p->c.f->code + start, end - start);
	p->start[p->cnt] = start;
	p->end[p->cnt++] = end;
	return w;
}

/* End of the instructions from @start on that cover @bytes; 0 where they run out. */
static uint32_t run_end(const struct planner *p, uint32_t start, uint32_t bytes)
{
	uint32_t at = start;
	while (at < start + bytes && code_at(&p->c, at, CODE_START))
		at += p->c.insns[p->c.num[at]].len;
	return at >= start + bytes ? at : 0;
}

/* A window of @bytes or more that begins at @start and covers the anchor: whole instructions, and padding behind them. */
static enum patch_refusal window_from(struct planner *p, uint32_t start, uint32_t anchor, uint32_t bytes, uint32_t *ret_end)
{
	uint32_t anchor_end = anchor + p->c.insns[p->c.num[anchor]].len;
	uint32_t end = start;
	while (end < start + bytes || end < anchor_end) {
		if (end > start && code_at(&p->c, end, CODE_FALLEN)) {
			uint32_t dead = dead_bytes(p, end);
			if (end < anchor_end || end + dead < start + bytes)
				return PATCH_TOO_SHORT;
			break; /* the jump runs over into padding */
		}
		if (!code_at(&p->c, end, CODE_START))
			return end >= p->c.f->bytes ? PATCH_TOO_SHORT : PATCH_UNDECODABLE;
		end += p->c.insns[p->c.num[end]].len;
	}
	enum patch_refusal why = check_run(p, start, end);
	if (why)
		return why;
	if (!movable(p, start, end))
		return PATCH_UNRELOCATABLE;
	uint32_t covered = end > start + bytes ? end : start + bytes;
	if (overlaps(p, start, covered))
		return PATCH_TOO_SHORT;
	*ret_end = covered;
	return PATCH_OK;
}

/* Tries windows that begin at the anchor, then ever earlier ones. */
static enum patch_refusal find_window(struct planner *p, uint32_t anchor, uint32_t bytes, uint32_t *ret_start, uint32_t *ret_end)
{
	enum patch_refusal first = PATCH_OK;
	uint32_t i = p->c.num[anchor];
	for (;;) {
		uint32_t start = p->c.offs[i];
		enum patch_refusal why = window_from(p, start, anchor, bytes, ret_end);
		if (!why) {
			*ret_start = start;
			return PATCH_OK;
		}
		if (!first || first == PATCH_TOO_SHORT)
			first = why;
		/* No earlier start can help once this boundary must stay one. */
		if (!i || code_at(&p->c, start, CODE_TARGET | CODE_FALLEN) || anchor - start > PATCH_WINDOW_MAX - 20)
			return first;
		i--;
	}
}

/* ---- short jumps to a hole ---- */

static bool reachable(uint32_t start, uint32_t hole)
{
	int64_t rel = (int64_t)hole - ((int64_t)start + 2);
	return rel >= -REACH && rel <= REACH;
}

static void use_hole(struct planner *p, uint32_t start, uint32_t end, uint32_t hole, bool inside)
{
	struct patch_window *w = add_window(p, start, end, PATCH_HOLE);
	w->hole_addr = p->c.f->addr + hole;
	w->hole_inside = inside;
	memcpy(w->hole_old, p->c.f->code + hole, JMP_BYTES);
}

static bool hole_in_padding(struct planner *p, uint32_t start, uint32_t end)
{
	uint32_t lo = start > REACH ? start - REACH : 0;
	for (uint32_t at = lo; at <= start + REACH && at <= p->c.f->bytes; at++) {
		if (!code_at(&p->c, at, CODE_FALLEN) || dead_bytes(p, at) < JMP_BYTES)
			continue;
		if (!reachable(start, at) || overlaps(p, at, at + JMP_BYTES) || (at < end && start < at + JMP_BYTES))
			continue;
		use_hole(p, start, end, at, false);
		return true;
	}
	return false;
}

/* Displaces ten bytes of straight code nearby: its jump and ours. */
static bool hole_by_eviction(struct planner *p, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < p->c.insn_cnt; i++) {
		uint32_t at = p->c.offs[i];
		if (!reachable(start, at + JMP_BYTES))
			continue;
		uint32_t stop = run_end(p, at, 2 * JMP_BYTES);
		if (!stop || stop - at > PATCH_WINDOW_MAX || (at < end && start < stop) || check_run(p, at, stop) ||
		    !movable(p, at, stop))
			continue;
		add_window(p, at, stop, PATCH_JMP5);
		use_hole(p, start, end, at + JMP_BYTES, true);
		return true;
	}
	return false;
}

/* A window that is there already may be long enough, or made so. */
static bool hole_in_window(struct planner *p, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < p->cnt; i++) {
		uint32_t at = p->start[i], stop = p->end[i];
		if (p->win[i].form != PATCH_JMP5 || !reachable(start, at + JMP_BYTES))
			continue;
		if (stop < at + 2 * JMP_BYTES)
			stop = run_end(p, at, 2 * JMP_BYTES);
		if (!stop || stop - at > PATCH_WINDOW_MAX || (at < end && start < stop))
			continue;
		uint32_t old = p->end[i];
		p->end[i] = at; /* it may overlap itself */
		bool fine = !check_run(p, at, stop) && movable(p, at, stop);
		p->end[i] = old;
		for (uint32_t j = 0; j < p->cnt && fine; j++)
			fine = p->win[j].form != PATCH_HOLE || p->win[j].hole_addr != p->c.f->addr + at + JMP_BYTES;
		if (!fine)
			continue;
		p->end[i] = stop;
		p->win[i].bytes = stop - at;
		memcpy(p->win[i].old, p->c.f->code + at, stop - at);
		use_hole(p, start, end, at + JMP_BYTES, true);
		return true;
	}
	return false;
}

static enum patch_refusal place(struct planner *p, uint32_t anchor)
{
	uint32_t start, end;
	enum patch_refusal why = find_window(p, anchor, JMP_BYTES, &start, &end);
	if (!why) {
		add_window(p, start, end, PATCH_JMP5);
		return PATCH_OK;
	}
	if (find_window(p, anchor, SHORT_BYTES, &start, &end))
		return why;
	if (hole_in_padding(p, start, end) || hole_in_window(p, start, end) || hole_by_eviction(p, start, end))
		return PATCH_OK;
	return why;
}

/* ---- what the call of a body has to save ---- */

/* Arithmetic flags may be read after @off before they are written. */
static bool flags_live(const struct code *c, uint32_t off)
{
	for (int steps = 0; steps < 40 && code_at(c, off, CODE_START); steps++) {
		const struct isa_insn *in = &c->insns[c->num[off]];
		if (in->reads_flags)
			return true;
		if (in->writes_flags || in->flow == ISA_RET || in->flow == ISA_CALL || in->flow == ISA_JMP_IND)
			return false;
		if (in->flow == ISA_JMP)
			off = (uint32_t)(in->target - c->f->addr);
		else
			off += in->len;
		if (off >= c->f->bytes)
			return in->flow != ISA_JMP;
	}
	return true;
}

static void set_saves(const struct code *c, struct patch_anchor *a)
{
	a->skip_redzone = a->kind == WIRE_SITE_OFFSET;
	a->save_flags = a->kind != WIRE_SITE_RETURN && flags_live(c, a->offset);
	/* rax and the return address of the call; see jit/jit.h */
	a->sp_adj = (uint16_t)(16 + (a->save_flags ? 8 : 0) + (a->skip_redzone ? 128 : 0));
}

static int window_of(const struct planner *p, uint32_t off)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (off >= p->start[i] && off < p->end[i])
			return (int)i;
	return -1;
}

static void plan_anchor(struct planner *p, struct patch_anchor *a)
{
	a->window = 0;
	if (a->offset >= p->c.decoded)
		a->refusal = a->offset >= p->c.f->bytes ? PATCH_NOT_BOUNDARY : PATCH_UNDECODABLE;
	else if (!code_at(&p->c, a->offset, CODE_START))
		a->refusal = PATCH_NOT_BOUNDARY;
	else if (window_of(p, a->offset) >= 0)
		a->refusal = PATCH_OK;
	else
		a->refusal = (uint8_t)place(p, a->offset);
	if (a->refusal == PATCH_OK)
		set_saves(&p->c, a);
}

static void finish(struct planner *p, struct patch_anchor *anchors, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (anchors[i].refusal == PATCH_OK)
			anchors[i].window = (uint32_t)window_of(p, anchors[i].offset);
	for (uint32_t i = 0; i < p->cnt; i++) {
		uint32_t calls = 0;
		for (uint32_t k = 0; k < cnt; k++)
			calls += anchors[k].refusal == PATCH_OK && anchors[k].window == i;
		p->win[i].tramp_max = calls * 40 + p->win[i].bytes * 20 + 32;
	}
}

int patch_plan(const struct patch_func *f, struct patch_anchor *anchors, uint32_t cnt, struct patch_window *ret_windows)
{
	struct planner p = { .win = ret_windows };
	if (code_init(&p.c, f))
		return -ENOMEM;
	p.start = calloc(2 * cnt + 1, sizeof(*p.start));
	p.end = calloc(2 * cnt + 1, sizeof(*p.end));
	int n = -ENOMEM;
	if (p.start && p.end) {
		for (uint32_t i = 0; i < cnt; i++)
			plan_anchor(&p, &anchors[i]);
		finish(&p, anchors, cnt);
		n = (int)p.cnt;
	}
	free(p.start);
	free(p.end);
	code_deinit(&p.c);
	return n;
}
