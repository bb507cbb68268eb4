/* SPDX-License-Identifier: MIT */
/* Trampolines, and the jumps to them. */
#include "patch/patch_int.h"

#include <errno.h>
#include <string.h>

struct out {
	uint8_t *buf;
	size_t cap, len;
	uint64_t addr;
};

static void put(struct out *o, const void *bytes, size_t cnt)
{
	if (o->len + cnt <= o->cap)
		memcpy(o->buf + o->len, bytes, cnt);
	o->len += cnt;
}

static void put_op32(struct out *o, uint8_t op, uint32_t v)
{
	put(o, &op, 1);
	put(o, &v, 4);
}

static bool rel32(uint64_t from_end, uint64_t target, uint32_t *ret)
{
	int64_t rel = (int64_t)(target - from_end);
	*ret = (uint32_t)rel;
	return rel == (int32_t)rel;
}

static int put_call(struct out *o, const struct patch_anchor *a, struct err *reterr)
{
	uint32_t rel;
	if (a->skip_redzone)
		put(o, "\x48\x8d\x64\x24\x80", 5); /* lea -128(%rsp), %rsp */
	put(o, "\x50", 1);                         /* push %rax */
	if (a->save_flags)
		put(o, "\x9c\xfc", 2);             /* pushfq; cld */
	put_op32(o, 0xb8, a->site);                /* mov $site, %eax */
	if (!rel32(o->addr + o->len + 5, a->body, &rel))
		return err_setf(reterr, -ERANGE, "a probe's code is out of reach of its trampoline");
	put_op32(o, 0xe8, rel);                    /* call body */
	if (a->save_flags)
		put(o, "\x9d", 1);                 /* popfq */
	put(o, "\x58", 1);                         /* pop %rax */
	if (a->skip_redzone)
		put(o, "\x48\x8d\xa4\x24\x80\0\0\0", 8); /* lea 128(%rsp), %rsp */
	return 0;
}

static int put_calls(struct out *o, uint64_t func_off, uint32_t w, const struct patch_anchor *anchors, uint32_t cnt,
		     struct err *reterr)
{
	for (uint32_t i = 0; i < cnt; i++) {
		const struct patch_anchor *a = &anchors[i];
		if (a->refusal != PATCH_OK || a->window != w || a->offset != func_off)
			continue;
		int r = put_call(o, a, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_return(uint32_t w, uint64_t func_off, const struct patch_anchor *anchors, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (anchors[i].refusal == PATCH_OK && anchors[i].window == w && anchors[i].offset == func_off &&
		    anchors[i].kind == WIRE_SITE_RETURN)
			return true;
	return false;
}

/* A conditional jump out of the function is a return only when it is taken: jump over the probe otherwise. */
static int put_return_jcc(struct out *o, const struct patch_window *w, uint32_t at, const struct isa_insn *in,
			  uint32_t n, uint64_t func_off, const struct patch_anchor *anchors, uint32_t cnt, struct err *reterr)
{
	uint8_t skip[6] = { 0x0f, 0 };
	uint8_t cc = in->len == 2 ? w->old[at] & 15 : w->old[at + in->len - 5] & 15;
	size_t from = o->len;
	skip[1] = 0x80 | (cc ^ 1);
	put(o, skip, 6);
	int r = put_calls(o, func_off, n, anchors, cnt, reterr);
	uint32_t rel;
	if (r < 0)
		return r;
	if (!rel32(o->addr + o->len + 5, in->target, &rel))
		return err_setf(reterr, -ERANGE, "a jump's target is out of reach of its trampoline");
	put_op32(o, 0xe9, rel);
	uint32_t over = (uint32_t)(o->len - from - 6);
	if (from + 6 <= o->cap)
		memcpy(o->buf + from + 2, &over, 4);
	return 0;
}

static int put_insn(struct out *o, const struct patch_window *w, uint32_t at, const struct isa_insn *in,
		    struct err *reterr)
{
	uint8_t buf[ISA_RELOC_MAX];
	int n = isa_relocate(w->old + at, in, w->addr + at, o->addr + o->len, buf, sizeof(buf), reterr);
	if (n < 0)
		return n;
	put(o, buf, (size_t)n);
	return 0;
}

int patch_emit(const struct patch_window *win, uint32_t w, uint64_t func_addr, const struct patch_anchor *anchors,
	       uint32_t anchor_cnt, uint64_t tramp_addr, uint8_t *buf, size_t cap, struct patch_move *moves,
	       uint32_t *ret_move_cnt, struct err *reterr)
{
	struct out o = { .buf = buf, .cap = cap, .addr = tramp_addr };
	struct isa_insn in = { .flow = ISA_NEXT };
	uint32_t at = 0, n = 0;
	int r = 0;
	for (; at < win->bytes && !r; at += in.len) {
		if (isa_decode(win->old + at, win->bytes - at, win->addr + at, &in))
			break; /* padding that the jump covers */
		uint64_t off = win->addr + at - func_addr;
		if (in.flow == ISA_JCC && has_return(w, off, anchors, anchor_cnt)) {
			moves[n++] = (struct patch_move){ win->addr + at, o.addr + o.len };
			r = put_return_jcc(&o, win, at, &in, w, off, anchors, anchor_cnt, reterr);
			continue;
		}
		r = put_calls(&o, off, w, anchors, anchor_cnt, reterr);
		if (r < 0)
			return r;
		moves[n++] = (struct patch_move){ win->addr + at, o.addr + o.len };
		r = put_insn(&o, win, at, &in, reterr);
		if (in.flow == ISA_JMP || in.flow == ISA_JMP_IND || in.flow == ISA_RET)
			goto done; /* what follows in the window is padding */
	}
	if (!r) {
		uint32_t rel;
		if (!rel32(o.addr + o.len + 5, win->addr + at, &rel))
			return err_setf(reterr, -ERANGE, "a trampoline is out of reach of its function");
		put_op32(&o, 0xe9, rel);
	}
done:
	*ret_move_cnt = n;
	if (r < 0)
		return r;
	return o.len <= cap ? (int)o.len : err_setf(reterr, -ENOSPC, "no room for a trampoline");
}

int patch_jump_bytes(const struct patch_window *w, uint64_t tramp_addr, uint8_t *ret_new, uint8_t ret_hole[5],
		     struct err *reterr)
{
	uint8_t *jump = w->form == PATCH_HOLE ? ret_hole : ret_new;
	uint64_t at = w->form == PATCH_HOLE ? w->hole_addr : w->addr;
	uint32_t rel;
	memcpy(ret_new, w->old, w->bytes);
	if (!rel32(at + 5, tramp_addr, &rel))
		return err_setf(reterr, -ERANGE, "a trampoline is out of reach of its window");
	jump[0] = 0xe9;
	memcpy(jump + 1, &rel, 4);
	if (w->form == PATCH_HOLE) {
		ret_new[0] = 0xeb;
		ret_new[1] = (uint8_t)(w->hole_addr - (w->addr + 2));
	}
	return 0;
}
