/* SPDX-License-Identifier: MIT */
/* A function as patch wants to see it. */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_MAX 32u
#define PADS_MAX 65536

/* Lacking memory shows when all is in it. */
struct list {
	uint64_t *v;
	uint32_t cnt, cap;
	bool lacks;
};

static void push(struct list *l, uint64_t v)
{
	if (l->cnt == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 16;
		uint64_t *more = realloc(l->v, cap * sizeof(*more));
		l->lacks |= !more;
		if (!more)
			return;
		l->v = more;
		l->cap = cap;
	}
	l->v[l->cnt++] = v;
}

static bool push_target(void *list, uint64_t target)
{
	push(list, target);
	return !((struct list *)list)->lacks;
}

uint32_t func_range_after(const struct obj_range *r, uint32_t cnt, uint64_t addr) { return HOST_FIRST(r, cnt, start, addr + 1); }
uint32_t func_sym_after(const struct obj_sym *s, uint32_t cnt, uint64_t addr) { return HOST_FIRST(s, cnt, addr, addr + 1); }

/* Starts of other symbols and ranges inside (addr, end) are entered from elsewhere; the first at or after
 * end bounds the padding. */
static int neighbours(struct func *fn, uint64_t addr, uint64_t end, struct list *targets, uint64_t *ret_next, struct err *reterr)
{
	const struct obj_range *r;
	const struct obj_sym *s;
	uint32_t rn, sn;
	int ret = obj_module_ranges(fn->t->obj, fn->mod, &r, &rn, reterr);
	if (!ret)
		ret = obj_module_syms(fn->t->obj, fn->mod, &s, &sn, reterr);
	if (ret)
		return ret;
	uint64_t next = UINT64_MAX;
	for (uint32_t i = func_range_after(r, rn, addr); i < rn && next == UINT64_MAX; i++) {
		if (r[i].start >= end)
			next = r[i].start;
		else
			push(targets, r[i].start);
	}
	for (uint32_t i = func_sym_after(s, sn, addr); i < sn && s[i].addr < next; i++) {
		if (s[i].addr >= end)
			next = s[i].addr;
		else
			push(targets, s[i].addr);
	}
	*ret_next = next;
	return 0;
}

/* Where exceptions land. */
static int landing_pads(struct func *fn, uint64_t addr, struct list *targets, struct err *reterr)
{
	uint64_t small[64], *pads = small;
	int n = obj_landing_pads(fn->t->obj, fn->mod, addr, small, ARRAY_CNT(small));
	if (n > PADS_MAX)
		return err_setf(reterr, -E2BIG, "more than %d landing pads", PADS_MAX);
	if (n > (int)ARRAY_CNT(small)) {
		pads = calloc((size_t)n, sizeof(*pads));
		if (!pads)
			return err_setf(reterr, -ENOMEM, "out of memory");
		obj_landing_pads(fn->t->obj, fn->mod, addr, pads, (uint32_t)n);
	}
	for (int i = 0; i < n; i++)
		push(targets, pads[i]);
	if (pads != small)
		free(pads);
	return 0;
}

/* Where Go's runtime goes in the middle of a function, and where its goroutines stand. */
static void go_entered(struct func *fn, uint64_t addr, uint64_t end, struct list *targets)
{
	const struct target *t = fn->t;
	const uint64_t *at;
	uint32_t cnt = 0;
	int r = obj_go_entered(t->obj, fn->mod, addr, end, &at, &cnt);
	targets->lacks |= r == -ENOMEM;
	fn->pf.entered_anywhere = r == -ENOENT;
	for (uint32_t i = 0; i < cnt; i++)
		push(targets, at[i]);
	for (uint32_t i = goscan_first(t, addr + 1); i < t->go_pc_cnt && t->go_pcs[i] < end; i++)
		push(targets, t->go_pcs[i]);
}

/* Wherever it is entered but at its start; and *@ret_next, where behind it the next begins. */
static int entries(struct func *fn, uint64_t addr, uint64_t bytes, struct list *targets, uint64_t *ret_next, struct err *reterr)
{
	const struct target *t = fn->t;
	int r = neighbours(fn, addr, addr + bytes, targets, ret_next, reterr);
	if (!r)
		r = landing_pads(fn, addr, targets, reterr);
	if (r)
		return r;
	go_entered(fn, addr, addr + bytes, targets);
	for (uint32_t i = 0; i < fn->pf.keep_cnt; i++)
		if (fn->pf.keep[i].end - addr < bytes)
			push(targets, fn->pf.keep[i].end);
	for (uint32_t i = 0; i < t->retired_cnt; i++)
		if (t->retired[i] - addr < bytes)
			push(targets, t->retired[i]);
	if (branches_into(fn->t, fn->mod, addr, addr + bytes, push_target, targets) || targets->lacks)
		return err_setf(reterr, -ENOMEM, "out of memory");
	if (targets->cnt)
		qsort(targets->v, targets->cnt, sizeof(*targets->v), host_compare_u64);
	return 0;
}

int func_read_code(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	struct func *fn = arg;
	fn->reads_more |= addr < fn->as_file.start || addr > fn->as_file.end || bytes > fn->as_file.end - addr;
	return text_blocks_read(fn->blocks, fn->t, fn->mod, addr, buf, bytes);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct patch_range *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static bool has_frag(const struct func *fn, uint64_t start)
{
	for (uint32_t i = 0; i < fn->frag_cnt; i++)
		if (fn->frags[i].start == start)
			return true;
	return false;
}

static bool is_cold(struct func *fn, uint64_t addr)
{
	const struct obj_range *r = obj_range_at(fn->t->obj, fn->mod, addr);
	return r && r->kind == OBJ_RANGE_COLD;
}

static bool short_to_cold(struct func *fn, uint64_t addr, uint64_t bytes, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to && i + 1 < bytes; i++) {
		uint8_t op = fn->code[i];
		uint64_t target = addr + i + 2 + (uint64_t)(int64_t)(int8_t)fn->code[i + 1];
		bool branches = (op & 0xf0) == 0x70 || op == 0xeb || (op & 0xfc) == 0xe0; /* jcc, jmp, loop and jrcxz */
		if (branches && target - addr >= bytes && is_cold(fn, target))
			return true;
	}
	return false;
}

/* Whether there are bytes in it that would be a jump to cold code, so that it is worth a look. */
bool func_may_have_frags(struct func *fn, uint64_t addr, uint64_t bytes)
{
	uint32_t op;
	for (size_t i = isa_next_branch(fn->code, 0, bytes, &op); i < bytes; i = isa_next_branch(fn->code, i + 1, bytes, &op)) {
		int32_t rel;
		memcpy(&rel, fn->code + i + op, sizeof(rel));
		uint64_t target = addr + i + op + 4 + (uint64_t)(int64_t)rel;
		if (fn->code[i] != 0xe8 && target - addr >= bytes && is_cold(fn, target))
			return true;
	}
	uint64_t last = bytes > SHORT_REACH ? bytes - SHORT_REACH : 0;
	return short_to_cold(fn, addr, bytes, 0, bytes < SHORT_REACH ? bytes : SHORT_REACH) ||
	       short_to_cold(fn, addr, bytes, last, bytes);
}

/* Parts that the compiler moved away: cold code that the function jumps to. */
static int find_frags(struct func *fn, uint64_t addr, uint64_t bytes)
{
	struct isa_insn in;
	if (!func_may_have_frags(fn, addr, bytes))
		return 0;
	for (uint64_t at = 0; at < bytes; at += in.len) {
		if (isa_decode(fn->code + at, bytes - at, addr + at, &in))
			break;
		if ((in.flow != ISA_JMP && in.flow != ISA_JCC) || in.target - addr < bytes)
			continue;
		const struct obj_range *r = obj_range_at(fn->t->obj, fn->mod, in.target);
		if (!r || r->kind != OBJ_RANGE_COLD || has_frag(fn, r->start))
			continue;
		struct patch_range *more = realloc(fn->frags, (fn->frag_cnt + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		fn->frags = more;
		more[fn->frag_cnt++] = (struct patch_range){ r->start, r->end };
	}
	if (fn->frag_cnt)
		qsort(fn->frags, fn->frag_cnt, sizeof(*fn->frags), compare_ranges);
	return 0;
}

/* Its code and @slack bytes behind it. */
static int read_code(struct func *fn, uint64_t addr, uint64_t bytes, uint32_t slack, struct err *reterr)
{
	fn->code = calloc(1, bytes + SLACK_MAX);
	if (!fn->code)
		return err_setf(reterr, -ENOMEM, "out of memory");
	if (text_read(fn->t, fn->mod, addr, fn->code, bytes + slack))
		return err_setf(reterr, -EFAULT, "its code at 0x%llx cannot be read", (unsigned long long)addr);
	return find_frags(fn, addr, bytes) ? err_setf(reterr, -ENOMEM, "out of memory") : 0;
}

/* Of what is behind a function at most so much can be padding. */
static uint32_t slack_of(const struct obj_module *mod, uint64_t end, uint64_t next)
{
	uint32_t slack = next - end < SLACK_MAX ? (uint32_t)(next - end) : SLACK_MAX;
	if (end + slack <= mod->text_end)
		return slack;
	return end < mod->text_end ? (uint32_t)(mod->text_end - end) : 0;
}

int func_init(struct func *fn, struct target *t, struct obj_module *mod, uint64_t addr, uint64_t bytes, struct err *reterr)
{
	struct list targets = { 0 };
	struct patch_func *pf = &fn->pf;
	uint64_t end = addr + bytes, next = UINT64_MAX;
	*fn = (struct func){ .mod = mod, .t = t };
	if (!bytes || bytes > (64u << 20))
		return err_setf(reterr, -EINVAL, "a function without a size that makes sense");
	if (obj_module_is_go(t->obj, mod) && gothreads_begin_at(t, addr))
		return err_setf(reterr, -ENOTSUP, "threads begin there, and cannot be told from their parents yet");
	if (rseq_ranges(t, mod, &pf->keep, &pf->keep_cnt))
		return err_setf(reterr, -ENOMEM, "out of memory");
	int r = entries(fn, addr, bytes, &targets, &next, reterr);
	fn->targets = targets.v;
	uint32_t slack = slack_of(mod, end, next);
	if (!r)
		r = read_code(fn, addr, bytes, slack, reterr);
	if (r) {
		func_deinit(fn);
		return r;
	}
	*pf = (struct patch_func){
		.addr = addr, .code = fn->code, .bytes = (uint32_t)bytes, .asks_where = obj_module_is_go(t->obj, mod),
		.slack = patch_padding(fn->code + bytes, slack, end), .targets = targets.v, .target_cnt = targets.cnt,
		.read = func_read_code, .read_arg = fn, .knows_near = true, .frags = fn->frags, .frag_cnt = fn->frag_cnt,
		.keep = pf->keep, .keep_cnt = pf->keep_cnt, .entered_anywhere = pf->entered_anywhere,
	};
	/* Goroutines that the runtime has taken off their threads stand anywhere; threads that are not stopped, too. */
	pf->entered_anywhere |= (pf->asks_where && !t->is_child && !t->go_known) || t->link;
	uint64_t gap = pf->slack < slack ? obj_module_gap(t->obj, mod, end + pf->slack) : 0;
	slack -= pf->slack;
	pf->gap = gap < slack ? (uint32_t)gap : slack;
	return 0;
}

int func_init_alone(struct func *fn, struct target *t, struct obj_module *mod, uint64_t addr, uint64_t bytes, struct err *reterr)
{
	*fn = (struct func){ .mod = mod, .t = t };
	if (!bytes || bytes > (1u << 20))
		return err_setf(reterr, -EINVAL, "a function without a size that makes sense");
	fn->code = calloc(1, bytes + SLACK_MAX);
	if (!fn->code)
		return err_setf(reterr, -ENOMEM, "out of memory");
	if (target_read(t, addr, fn->code, bytes)) {
		func_deinit(fn);
		return err_setf(reterr, -EFAULT, "its code at 0x%llx cannot be read", (unsigned long long)addr);
	}
	fn->pf = (struct patch_func){ .addr = addr, .code = fn->code, .bytes = (uint32_t)bytes };
	return 0;
}

void func_deinit(struct func *fn)
{
	free(fn->code);
	free(fn->targets);
	free(fn->frags);
	fn->code = NULL;
	fn->targets = NULL;
	fn->frags = NULL;
}
