/* SPDX-License-Identifier: MIT */
/*
 * Trampolines.  They hold what stands in the window and, before each anchor, its probe:
 *
 *	[lea -128(%rsp),%rsp]; push %rax; [pushfq; cld]
 *	mov $site,%eax; call body     (site: the offset of its struct wire_site), or the body itself
 *	[popfq]; pop %rax; [lea 128(%rsp),%rsp]
 *
 * without rax around a body of its own, where rax is dead.  Of one with a filter only that stands there, and the rest behind
 * everything else, so that what is filtered out falls through (ADR 58):
 *
 *	   cmp ...; jcc 2f
 *	1: displaced ...; jmp back
 *	2: the probe; jmp 1b
 *
 * or, of the last of them and where instructions move as they are, the displaced ones and the jump back a second time.
 *
 * A conditional jump that leaves the function is a return only when taken, so it
 * is turned round:
 *
 *	jcc elsewhere   -->   jncc 1f; (probe); jmp elsewhere; 1:
 *
 * and one that leads to a ret whose probe stands with what leads there (sources.c) likewise, with a ret for the jmp.
 */
#include "patch/patch_int.h"

#include <errno.h>
#include <string.h>

enum {
	LATE_CNT = 16, /* probes with filters in one trampoline; what is more has none */
	LEFT_BYTES = 6 + 1, /* a branch around a probe, and its ret */
	RAX_BYTES = 1 + 1, FLAGS_BYTES = 2 + 1, RED_ZONE_BYTES = 5 + 8,
	NEAR_CALL_BYTES = 5 + 5, CALL_MAX = 5 + ISA_FAR_MAX,
	PROBE_MAX = PATCH_FILTER_MAX + JMP_BYTES + RAX_BYTES + FLAGS_BYTES + RED_ZONE_BYTES + CALL_MAX,
	/* A displaced instruction: its own length where nothing is rewritten. */
	BOUND_CALL = 13 + 14, BOUND_JCC = 6 + ISA_FAR_MAX, BOUND_JMP = 14, BOUND_RIP = 20,
};

struct out {
	uint8_t *buf;
	size_t cap, len;
	uint64_t addr;
	bool full; /* something was left out */
};

/* Room for @cnt more bytes, or NULL. */
static uint8_t *room(struct out *o, size_t cnt)
{
	return o->len + cnt <= o->cap ? o->buf + o->len : NULL;
}

static void put(struct out *o, const void *bytes, size_t cnt)
{
	o->full |= !room(o, cnt);
	if (o->full)
		return;
	memcpy(o->buf + o->len, bytes, cnt);
	o->len += cnt;
}

/* A probe whose filter has been put. */
struct late {
	struct patch_anchor *an;
	size_t at; /* behind the filter: the end of its jump, and where the probe goes back to */
};

struct emit {
	const struct patch_window *w;
	uint32_t index;
	uint64_t func_addr;
	struct patch_anchor *anchors;
	uint32_t anchor_cnt;
	const struct patch_bodies *bodies;
	struct patch_move *moves;
	uint32_t move_cnt;
	struct late late[LATE_CNT];
	uint32_t late_cnt;
	size_t probed; /* behind the last probe, or its filter */
	size_t back;   /* of the jump back; 0: there is none */
	struct out o;
};

/* rsp to below the red zone, rax and flags onto the stack. */
static void put_saves(struct out *o, const struct patch_anchor *an, bool rax)
{
	if (an->skip_redzone)
		put(o, "\x48\x8d\x64\x24\x80", 5); /* lea -128(%rsp),%rsp */
	if (rax)
		put(o, "\x50", 1); /* push %rax */
	if (an->save_flags)
		put(o, "\x9c\xfc", 2); /* pushfq; cld */
}

static void put_restores(struct out *o, const struct patch_anchor *an, bool rax)
{
	if (an->save_flags)
		put(o, "\x9d", 1); /* popfq */
	if (rax)
		put(o, "\x58", 1); /* pop %rax */
	if (an->skip_redzone)
		put(o, "\x48\x8d\xa4\x24\x80\0\0\0", 8); /* lea 128(%rsp),%rsp */
}

static void put_call(struct out *o, const struct patch_anchor *an)
{
	uint32_t site = an->site * (uint32_t)sizeof(struct wire_site);
	uint8_t call[ISA_FAR_MAX];
	put(o, "\xb8", 1); /* mov $site,%eax */
	put(o, &site, sizeof(site));
	put(o, call, isa_put_call(call, o->addr + o->len, an->body));
}

/* Its own body, where there is one, and what saves around it; how many bytes, or -errno. */
static int put_own(struct emit *e, struct patch_anchor *an)
{
	struct out *o = &e->o;
	bool rax = !(an->dead & 1);
	size_t start = o->len;
	put_saves(o, an, rax);
	int n = e->bodies ? e->bodies->put(e->bodies->arg, an, o->addr + o->len, o->buf + o->len, o->cap - o->len) : 0;
	if (n <= 0) {
		o->len = start;
		return n;
	}
	o->len += (size_t)n;
	put_restores(o, an, rax);
	return (int)(o->len - start);
}

static int put_whole(struct emit *e, struct patch_anchor *an)
{
	struct out *o = &e->o;
	int n = put_own(e, an);
	if (n < 0)
		return n;
	if (!n) {
		put_saves(o, an, true);
		put_call(o, an);
		put_restores(o, an, true);
	}
	return o->full ? -ENOSPC : 0;
}

static bool has_filter(const struct patch_anchor *an)
{
	return an->filter_bytes && !an->save_flags;
}

static int put_probe(struct emit *e, struct patch_anchor *an)
{
	int rc = 0;
	if (!has_filter(an) || e->late_cnt == LATE_CNT) {
		rc = put_whole(e, an);
	} else {
		put(&e->o, an->filter, an->filter_bytes);
		e->late[e->late_cnt++] = (struct late){ an, e->o.len };
		rc = e->o.full ? -ENOSPC : 0;
	}
	e->probed = e->o.len;
	return rc;
}

static int put_jmp(struct out *o, uint64_t target)
{
	uint8_t jmp[ISA_FAR_MAX];
	put(o, jmp, isa_put_jmp(jmp, o->addr + o->len, target));
	return o->full ? -ENOSPC : 0;
}

static int put_displaced(struct out *o, const uint8_t *bytes, const struct isa_insn *in, uint64_t addr,
			 struct err *reterr)
{
	int n = isa_relocate(bytes, in, addr, o->addr + o->len, o->buf + o->len, o->cap - o->len, reterr);
	if (n < 0)
		return n;
	o->len += (size_t)n;
	return 0;
}

static bool fires_here(const struct emit *e, const struct patch_anchor *an, uint32_t off)
{
	return an->window == e->index && e->func_addr + an->offset == e->w->addr + off;
}

/* Probes of the anchors at @off: those of returns, or the others. */
static int put_probes(struct emit *e, uint32_t off, bool returns)
{
	int rc = 0;
	for (uint32_t i = 0; i < e->anchor_cnt && !rc; i++)
		if (fires_here(e, &e->anchors[i], off) && (e->anchors[i].kind == WIRE_SITE_RETURN) == returns)
			rc = put_probe(e, &e->anchors[i]);
	return rc;
}

static bool has_return(const struct emit *e, uint32_t off)
{
	for (uint32_t i = 0; i < e->anchor_cnt; i++)
		if (fires_here(e, &e->anchors[i], off) && e->anchors[i].kind == WIRE_SITE_RETURN)
			return true;
	return false;
}

static void note_move(struct emit *e, uint32_t off)
{
	e->moves[e->move_cnt++] = (struct patch_move){ e->w->addr + off, e->o.addr + e->o.len };
}

/* Whether @addr is a ret that is left as it is. */
static bool is_left(const struct emit *e, uint64_t addr)
{
	for (uint32_t i = 0; i < e->anchor_cnt && addr; i++)
		if (!e->anchors[i].refusal && e->anchors[i].by_sources && e->func_addr + e->anchors[i].offset == addr)
			return true;
	return false;
}

/* What it does, and its probes, here. */
static int put_left(struct emit *e, uint64_t addr)
{
	int rc = 0;
	for (int returns = 0; returns < 2; returns++)
		for (uint32_t i = 0; i < e->anchor_cnt && !rc; i++) {
			struct patch_anchor *an = &e->anchors[i];
			if (!an->refusal && e->func_addr + an->offset == addr && (an->kind == WIRE_SITE_RETURN) == returns)
				rc = put_probe(e, an);
		}
	if (!rc && !room(&e->o, 1))
		rc = -ENOSPC;
	if (rc)
		return rc;
	e->moves[e->move_cnt++] = (struct patch_move){ addr, e->o.addr + e->o.len };
	put(&e->o, "\xc3", 1);
	return 0;
}

static int put_leaving_jcc(struct emit *e, uint32_t off, const struct isa_insn *in)
{
	struct out *o = &e->o;
	uint8_t *at = o->buf + o->len;
	size_t start = o->len + 6;
	if (!room(o, 6))
		return -ENOSPC;
	if (!isa_put_jcc_inverse(at, e->w->old + off, in, 0))
		return -EINVAL;
	o->len += 6;
	int rc = is_left(e, in->target) ? put_left(e, in->target) : put_probes(e, off, true);
	if (!rc && !is_left(e, in->target))
		rc = put_jmp(o, in->target);
	isa_put_jcc_inverse(at, e->w->old + off, in, (uint32_t)(o->len - start));
	return rc;
}

static int put_insn(struct emit *e, uint32_t off, const struct isa_insn *in, struct err *reterr)
{
	bool leaving_jcc = in->flow == ISA_JCC && has_return(e, off);
	int rc = put_probes(e, off, false);
	if (!rc && !leaving_jcc)
		rc = put_probes(e, off, true);
	if (rc)
		return rc;
	note_move(e, off);
	if (leaving_jcc || (in->flow == ISA_JCC && is_left(e, in->target)))
		return put_leaving_jcc(e, off, in);
	if (in->flow == ISA_JMP && is_left(e, in->target))
		return put_left(e, in->target);
	return put_displaced(&e->o, e->w->old + off, in, e->w->addr + off, reterr);
}

static int put_all(struct emit *e, struct err *reterr)
{
	const struct patch_window *w = e->w;
	struct isa_insn in;
	for (uint32_t off = 0; off < w->bytes; off += in.len) {
		if (isa_decode(w->old + off, w->bytes - off, w->addr + off, &in))
			return err_setf(reterr, -EINVAL, "the window at %#llx holds no instructions",
					(unsigned long long)w->addr);
		int rc = put_insn(e, off, &in, reterr);
		if (rc || code_ends(&in))
			return rc; /* behind it is padding only */
		if (in.flow == ISA_CALL && off + in.len == w->bytes)
			return 0; /* it returns to the original place */
	}
	note_move(e, w->bytes);
	if (is_left(e, w->addr + w->bytes))
		return put_left(e, w->addr + w->bytes);
	e->back = e->o.len;
	return put_jmp(&e->o, w->addr + w->bytes);
}

/* What is behind the last probe, up to @end, once more: it moves as it is, but for the jump. */
static int put_rest(struct emit *e, size_t end)
{
	struct out *o = &e->o;
	size_t from = e->probed, by = o->len - from;
	for (uint32_t i = 0, cnt = e->move_cnt; i < cnt; i++)
		if (e->moves[i].to >= o->addr + from)
			e->moves[e->move_cnt++] = (struct patch_move){ e->moves[i].from, e->moves[i].to + by };
	put(o, o->buf + from, (e->back ? e->back : end) - from);
	if (o->full)
		return -ENOSPC;
	return e->back ? put_jmp(o, e->w->addr + e->w->bytes) : 0;
}

/* Behind all else: the probes that filters lead to. */
static int put_late(struct emit *e)
{
	struct out *o = &e->o;
	size_t end = o->len;
	for (uint32_t i = 0; i < e->late_cnt; i++) {
		const struct late *l = &e->late[i];
		uint32_t over = (uint32_t)(o->len - l->at);
		memcpy(o->buf + l->at - sizeof(over), &over, sizeof(over));
		int rc = put_whole(e, l->an);
		if (!rc)
			rc = e->w->moves_as_is && l->at == e->probed ? put_rest(e, end) : put_jmp(o, o->addr + l->at);
		if (rc)
			return rc;
	}
	return 0;
}

int patch_emit(const struct patch_window *win, uint32_t w, uint64_t func_addr, struct patch_anchor *anchors, uint32_t anchor_cnt,
	       const struct patch_bodies *bodies, uint64_t tramp_addr, uint8_t *buf, size_t cap, struct patch_move *moves,
	       uint32_t *ret_move_cnt, struct err *reterr)
{
	struct emit e = { .w = win, .index = w, .func_addr = func_addr, .anchors = anchors, .anchor_cnt = anchor_cnt,
			  .bodies = bodies, .moves = moves, .o = { .buf = buf, .cap = cap, .addr = tramp_addr } };
	int rc = put_all(&e, reterr);
	if (!rc)
		rc = put_late(&e);
	if (rc == -ENOSPC)
		return err_setf(reterr, rc, "a trampoline needs more than %zu bytes", cap);
	if (rc)
		return rc;
	*ret_move_cnt = e.move_cnt;
	return (int)e.o.len;
}

static uint32_t insn_bound(const struct isa_insn *in)
{
	switch (in->flow) {
	case ISA_CALL:
		return BOUND_CALL;
	case ISA_JCC:
		return BOUND_JCC;
	case ISA_JMP:
		return BOUND_JMP;
	default:
		return in->rip_rel ? BOUND_RIP : in->len;
	}
}

uint32_t emit_bound(const struct code *c, uint32_t first, uint32_t end, uint32_t anchor_cnt, uint32_t source_cnt, bool as_is)
{
	uint32_t sum = ISA_FAR_MAX;
	for (uint32_t i = first; i < end; i++)
		sum += insn_bound(&c->insn[i].in);
	return (as_is ? 2 : 1) * sum + anchor_cnt * PROBE_MAX + source_cnt * (PROBE_MAX + LEFT_BYTES);
}

static uint32_t near_bytes(const struct patch_anchor *an)
{
	return (an->save_flags ? FLAGS_BYTES : 0) + (has_filter(an) ? an->filter_bytes + JMP_BYTES : 0) +
	       (an->skip_redzone ? RED_ZONE_BYTES : 0) + RAX_BYTES + NEAR_CALL_BYTES;
}

uint32_t patch_near_max(const struct patch_window *win, uint32_t w, const struct patch_anchor *anchors, uint32_t anchor_cnt)
{
	uint32_t sum = win->bytes + JMP_BYTES;
	bool filters = false;
	if (!win->moves_as_is)
		return win->tramp_max;
	for (uint32_t i = 0; i < anchor_cnt; i++) {
		sum += anchors[i].window == w ? near_bytes(&anchors[i]) : 0;
		filters |= anchors[i].window == w && has_filter(&anchors[i]);
	}
	return sum + (filters ? win->bytes : 0);
}

static int put_long_jump(const struct patch_window *w, uint64_t at, uint64_t tramp_addr, uint8_t *ret,
			 struct err *reterr)
{
	uint8_t jmp[ISA_FAR_MAX];
	if (isa_put_jmp(jmp, at, tramp_addr) != JMP_BYTES)
		return err_setf(reterr, -ERANGE, "no memory could be had within 2 GiB of %#llx",
				(unsigned long long)w->addr);
	memcpy(ret, jmp, JMP_BYTES);
	return 0;
}

int patch_jump_bytes(const struct patch_window *w, uint64_t tramp_addr, uint8_t ret_new[PATCH_WINDOW_MAX], uint8_t ret_hole[5],
		     struct err *reterr)
{
	memcpy(ret_new, w->old, w->bytes);
	if (w->form == PATCH_JMP5)
		return put_long_jump(w, w->addr, tramp_addr, ret_new, reterr);
	ret_new[0] = 0xeb;
	ret_new[1] = (uint8_t)(w->hole_addr - w->addr - SHORT_BYTES);
	return put_long_jump(w, w->hole_addr, tramp_addr, ret_hole, reterr);
}
