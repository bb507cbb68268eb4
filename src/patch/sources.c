/* SPDX-License-Identifier: MIT */
/*
 * A ret without room for a jump, at which branches of the function end, is left as it is: those branches change.
 *
 *		jne 1f      -->   trampoline:  je 2f; (probe); ret; 2: ...
 *		...
 *		pop %rbx    -->   trampoline:  pop %rbx; (probe); ret
 *	1:	ret
 *
 * All ways to it have to be known: direct branches of the function, and what stands before it.  A way that is not would
 * be a hit that nobody sees; so a function that jumps through registers or memory, or a ret that other code jumps to, is
 * left alone.
 */
#include "patch/patch_int.h"

#include <stdlib.h>
#include <string.h>

struct state {
	struct span *span;
	uint64_t *pad_used;
	uint32_t cnt;
};

static size_t pad_bytes(const struct plan *p)
{
	const struct patch_func *f = p->code.f;
	return ((f->bytes + f->slack + f->gap) / 64 + 1ul) * sizeof(*p->pad_used);
}

static bool state_save(struct state *s, const struct plan *p)
{
	s->cnt = p->cnt;
	s->span = malloc((p->cnt + 1ul) * sizeof(*s->span));
	s->pad_used = malloc(pad_bytes(p));
	if (!s->span || !s->pad_used)
		return false;
	memcpy(s->span, p->span, p->cnt * sizeof(*s->span));
	memcpy(s->pad_used, p->pad_used, pad_bytes(p));
	return true;
}

static void state_restore(const struct state *s, struct plan *p)
{
	memcpy(p->span, s->span, s->cnt * sizeof(*s->span));
	memcpy(p->pad_used, s->pad_used, pad_bytes(p));
	p->cnt = s->cnt;
}

static bool is_plain_ret(const struct code *c, uint32_t k)
{
	const uint8_t *b = code_bytes(c, k);
	uint8_t len = c->insn[k].in.len;
	return b[len - 1] == 0xc3 && (len == 1 || (len == 2 && (b[0] == 0xf2 || b[0] == 0xf3)));
}

/* Branches whose sense can be turned, and jumps. */
static bool can_lead(const struct code *c, uint32_t i)
{
	uint8_t scratch[6];
	const struct isa_insn *in = &c->insn[i].in;
	return in->flow == ISA_JMP || (in->flow == ISA_JCC && isa_put_jcc_inverse(scratch, code_bytes(c, i), in, 0));
}

/* The instructions from which control gets to @k; 0: not all are known, or there is one that cannot be changed. */
static uint32_t find_sources(const struct code *c, uint32_t k, uint32_t ret[PATCH_SOURCES])
{
	uint64_t addr = c->f->addr + c->insn[k].off;
	uint32_t n = 0;
	for (uint32_t i = 0; i < c->func_cnt; i++) {
		const struct code_insn *s = &c->insn[i];
		bool falls = i + 1 == k && !s->pad && (s->bad || !code_ends(&s->in)), jumps = !s->bad && s->in.target == addr;
		if (!falls && !jumps)
			continue;
		if (n == PATCH_SOURCES || s->bad || s->in.flow == ISA_CALL || s->in.flow == ISA_SYSCALL || (jumps && !can_lead(c, i)))
			return 0;
		ret[n++] = i;
	}
	return n;
}

static bool place_source(struct plan *p, uint32_t i)
{
	return plan_overlaps(p, i, i + 1) || !plan_forward(p, i) || (!p->code.f->asks_where && holes_place(p, i) != CODE_NONE);
}

bool sources_place(struct plan *p, uint32_t k)
{
	const struct code *c = &p->code;
	uint32_t from[PATCH_SOURCES], n = 0;
	struct state was = { 0 };
	bool ok = c->insn[k].off && !c->unknown_jumps && !c->insn[k].foreign && !c->insn[k].split && is_plain_ret(c, k);
	n = ok ? find_sources(c, k, from) : 0;
	ok = n && state_save(&was, p);
	for (uint32_t i = 0; ok && i < n; i++)
		ok = place_source(p, from[i]);
	if (!ok && was.pad_used && was.span)
		state_restore(&was, p);
	free(was.span);
	free(was.pad_used);
	return ok;
}

uint32_t sources_in(const struct plan *p, const struct span *s, const struct patch_anchor *anchors, uint32_t cnt)
{
	const struct code *c = &p->code;
	uint32_t n = 0;
	for (uint32_t a = 0; a < cnt; a++) {
		uint64_t addr = c->f->addr + anchors[a].offset;
		if (anchors[a].refusal || !anchors[a].by_sources)
			continue;
		for (uint32_t i = s->a; i < s->b; i++)
			n += !c->insn[i].bad && c->insn[i].in.target == addr;
		n += span_end(p, s) == anchors[a].offset;
	}
	return n;
}
