/* SPDX-License-Identifier: MIT */
/*
 * Entries of functions, of which a program has tens of thousands.  Nearly all get the plain window: a jump of 5 bytes over
 * their first instructions, into which nothing jumps.  To see that, a function need not be taken apart.  What could lead
 * into the window is a branch, a label whose address is taken, or, where there is an indirect jump, an entry of a table whose
 * address is taken.  Here each byte of the function is tried as the beginning of such an instruction; where any of them
 * matters, the long way is taken (plan.c), which knows what is one.  So the result is the long way's, or none.
 */
#include "patch/patch_int.h"

#include <emmintrin.h>
#include <string.h>

enum { PREFIX_MAX = 24, SHORT_MAX = 130, SAME_MAX = 8 }; /* instructions; how far two bytes jump; anchors at one place */

/* Branches with 32 bits, `lea disp32(%rip)`, xbegin, and jumps through a register or memory (ff /4; ff /5 has memory only). */
static bool is_lead(const uint8_t *b)
{
	bool jumps = (b[1] & 0x38) == 0x20 || ((b[1] & 0x38) == 0x28 && b[1] < 0xc0);
	return (b[0] & 0xfe) == 0xe8 || (b[0] == 0x0f && (b[1] & 0xf0) == 0x80) || (b[0] == 0x8d && (b[1] & 0xc7) == 0x05) ||
	       (b[0] == 0xc7 && b[1] == 0xf8) || (b[0] == 0xff && jumps);
}

static __m128i is(__m128i v, uint8_t mask, uint8_t want)
{
	return _mm_cmpeq_epi8(_mm_and_si128(v, _mm_set1_epi8((char)mask)), _mm_set1_epi8((char)want));
}

/* A bit for each of 16 bytes; 17 are read. */
static uint32_t leads(const uint8_t *b)
{
	__m128i v = _mm_loadu_si128((const __m128i *)b), next = _mm_loadu_si128((const __m128i *)(b + 1));
	__m128i near = is(v, 0xfe, 0xe8), jcc = _mm_and_si128(is(v, 0xff, 0x0f), is(next, 0xf0, 0x80));
	__m128i lea = _mm_and_si128(is(v, 0xff, 0x8d), is(next, 0xc7, 0x05));
	__m128i far = _mm_andnot_si128(is(next, 0xc0, 0xc0), is(next, 0x38, 0x28)), jumps = _mm_or_si128(is(next, 0x38, 0x20), far);
	__m128i ind = _mm_and_si128(is(v, 0xff, 0xff), jumps);
	__m128i begin = _mm_and_si128(is(v, 0xff, 0xc7), is(next, 0xff, 0xf8));
	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(near, jcc), _mm_or_si128(_mm_or_si128(lea, ind), begin)));
}

static bool is_indirect(const uint8_t *b) { return b[0] == 0xff; }
static bool is_lea(const uint8_t *b) { return b[0] == 0x8d; }

/* Where what may begin at code[i] leads, from the function's start; false: it is no instruction of the function. */
static bool lead_target(const struct patch_func *f, uint32_t i, uint64_t *ret)
{
	uint32_t op = (f->code[i] & 0xfe) == 0xe8 ? 1 : 2;
	int32_t rel;
	if (i + op + 4 > f->bytes)
		return false;
	memcpy(&rel, f->code + i + op, sizeof(rel));
	*ret = i + op + 4 + (uint64_t)(int64_t)rel;
	return true;
}

struct look {
	const struct patch_func *f;
	uint32_t win;
	bool has_indirect;
	bool at_tables; /* the second time */
};

/* Whether what may begin at code[i] matters to the first bytes. */
static bool matters(struct look *l, uint32_t i)
{
	const uint8_t *b = l->f->code + i;
	uint64_t target;
	l->has_indirect |= is_indirect(b);
	if (is_indirect(b) || !lead_target(l->f, i, &target))
		return false;
	if (l->at_tables)
		return is_lea(b) && target >= l->f->bytes && tables_may_enter(l->f, l->f->addr + target, l->win);
	return target - 1 < l->win - 1;
}

static bool look_at_all(struct look *l)
{
	const struct patch_func *f = l->f;
	uint32_t i = 0;
	for (; i + 17 <= f->bytes; i += 16)
		for (uint32_t bits = leads(f->code + i); bits; bits &= bits - 1)
			if (matters(l, i + (uint32_t)__builtin_ctz(bits)))
				return true;
	for (; i + 1 < f->bytes; i++)
		if (is_lead(f->code + i) && matters(l, i))
			return true;
	return false;
}

static bool short_matters(const uint8_t *b, uint32_t i, uint32_t win)
{
	bool branches = (b[i] & 0xf0) == 0x70 || b[i] == 0xeb || (b[i] & 0xfc) == 0xe0;
	uint64_t target = i + 2 + (uint64_t)(int64_t)(int8_t)b[i + 1];
	return branches && target - 1 < win - 1;
}

static bool is_entered(const struct patch_func *f, uint32_t win)
{
	struct look l = { .f = f, .win = win };
	for (uint32_t i = 0; i < f->target_cnt; i++)
		if (f->targets[i] - f->addr - 1 < win - 1)
			return true;
	for (uint32_t i = 0; i + 1 < f->bytes && i < win + SHORT_MAX; i++)
		if (short_matters(f->code, i, win))
			return true;
	if (look_at_all(&l))
		return true;
	l.at_tables = true;
	return l.has_indirect && f->read && look_at_all(&l);
}

/* The instructions that the window takes, of the function and of its slack; how many, or 0. */
static uint32_t take_prefix(struct code *c, uint32_t *ret_bytes)
{
	uint32_t off = 0, end = c->f->bytes + c->f->slack;
	while (off < JMP_BYTES && off < end) {
		struct code_insn *i = &c->insn[c->cnt++];
		*i = (struct code_insn){ .off = off };
		if (isa_decode(c->f->code + off, end - off, c->f->addr + off, &i->in))
			return 0;
		off += i->in.len;
	}
	*ret_bytes = off;
	return off >= JMP_BYTES ? c->cnt : 0;
}

/* As flags_live() of plan.c for an entry; ON: it is for that to say. */
static enum plan_flags prefix_flags(const struct code *c)
{
	enum plan_flags r = PLAN_FLAGS_ON;
	struct isa_insn in;
	uint32_t off = 0;
	for (uint32_t n = 0; n < PREFIX_MAX && r == PLAN_FLAGS_ON && off < c->f->bytes; n++, off += in.len) {
		if (isa_decode(c->f->code + off, c->f->bytes - off, c->f->addr + off, &in))
			break;
		r = plan_flags_step(&in, true);
		if (r == PLAN_FLAGS_ON && (in.flow == ISA_JMP || in.flow == ISA_TRAP))
			break;
	}
	return r;
}

static bool are_entries(const struct patch_anchor *anchors, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (anchors[i].offset || anchors[i].kind == WIRE_SITE_RETURN)
			return false;
	return cnt;
}

static bool is_plain(const struct patch_func *f)
{
	/* Addresses below 4 GiB are written as plain numbers. */
	return !f->asks_where && !f->entered_anywhere && !f->is_frag && !f->frag_cnt && !f->is_fragment && !f->lend_cnt &&
	       f->knows_near && f->bytes >= JMP_BYTES && f->addr + f->bytes > UINT32_MAX;
}

static void finish(const struct plan *p, bool save_flags, struct patch_anchor *anchors, uint32_t cnt, struct patch_window *ret)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct patch_anchor *an = &anchors[i];
		an->refusal = PATCH_OK;
		an->by_sources = an->skip_redzone = false;
		an->window = 0;
		an->save_flags = save_flags;
		an->sp_adj = 16 + (an->save_flags ? 8 : 0);
	}
	plan_window(p, p->span, cnt, 0, ret);
}

bool patch_plan_entry(const struct patch_func *f, struct patch_anchor *anchors, uint32_t cnt, struct patch_window *ret)
{
	struct code_insn insn[PREFIX_MAX];
	struct span span = { .form = PATCH_JMP5 };
	struct plan p = { .code = { .f = f, .insn = insn }, .span = &span, .cnt = 1 };
	uint32_t bytes;
	if (!are_entries(anchors, cnt) || !is_plain(f) || !(span.b = take_prefix(&p.code, &bytes)))
		return false;
	enum plan_flags flags = prefix_flags(&p.code);
	if (flags == PLAN_FLAGS_ON || window_check(&p.code, 0, span.b) || is_entered(f, bytes))
		return false;
	finish(&p, flags == PLAN_FLAGS_LIVE, anchors, cnt, ret);
	return true;
}

/* Where it is known that the window is good, nops behind the end of all can be nothing else. */
static void mark_padding(struct code *c)
{
	for (uint32_t i = 1; i < c->cnt; i++) {
		const struct code_insn *before = &c->insn[i - 1];
		struct code_insn *k = &c->insn[i];
		bool ended = before->pad || code_ends(&before->in) || (before->in.flow == ISA_CALL && k->off >= c->f->bytes);
		k->pad = ended && (k->in.is_nop || k->in.op == ISA_OP_INT3);
	}
}

bool patch_plan_known(const struct patch_func *f, const struct patch_known *k, struct patch_anchor *anchors, uint32_t cnt,
		      struct patch_window *ret)
{
	struct code_insn insn[PREFIX_MAX];
	struct span span = { .form = PATCH_JMP5 };
	struct plan p = { .code = { .f = f, .insn = insn }, .span = &span, .cnt = 1 };
	uint32_t bytes;
	if (!are_entries(anchors, cnt) || !(span.b = take_prefix(&p.code, &bytes)) || bytes != k->bytes)
		return false;
	mark_padding(&p.code);
	if (window_check(&p.code, 0, span.b))
		return false;
	finish(&p, k->save_flags, anchors, cnt, ret);
	return true;
}

static bool same_window(const struct patch_window *a, const struct patch_window *b)
{
	return a->addr == b->addr && a->bytes == b->bytes && a->form == b->form && a->write_bytes == b->write_bytes &&
	       a->tramp_max == b->tramp_max && a->moves_as_is == b->moves_as_is && !memcmp(a->old, b->old, a->bytes);
}

static bool same_anchor(const struct patch_anchor *a, const struct patch_anchor *b)
{
	return a->refusal == b->refusal && a->sp_adj == b->sp_adj && a->window == b->window && a->by_sources == b->by_sources &&
	       a->save_flags == b->save_flags && a->skip_redzone == b->skip_redzone;
}

/* By making it again. */
bool patch_plan_is_known(const struct patch_func *f, const struct patch_anchor *anchors, uint32_t cnt, const struct patch_window *w,
			 uint32_t win_cnt, struct patch_known *ret)
{
	struct patch_window again;
	struct patch_anchor a[SAME_MAX];
	if (win_cnt != 1 || cnt > SAME_MAX || !are_entries(anchors, cnt) || w->addr != f->addr || w->bytes >= PATCH_KNOWN_BYTES)
		return false;
	memcpy(a, anchors, cnt * sizeof(*a));
	const struct patch_known k = { .bytes = (uint8_t)w->bytes, .save_flags = anchors[0].save_flags };
	struct patch_func head = { .addr = f->addr, .code = w->old, .bytes = f->bytes < w->bytes ? f->bytes : w->bytes };
	head.slack = w->bytes - head.bytes;
	bool is = patch_plan_known(&head, &k, a, cnt, &again) && same_window(&again, w);
	for (uint32_t i = 0; i < cnt && is; i++)
		is = same_anchor(&anchors[i], &a[i]);
	if (is)
		*ret = k;
	return is;
}
