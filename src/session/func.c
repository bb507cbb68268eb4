/* SPDX-License-Identifier: MIT */
/* A function as patch wants to see it. */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_MAX 32u
#define PADS_MAX 256

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

struct list {
	uint64_t *v;
	uint32_t cnt, cap;
};

static bool push(struct list *l, uint64_t v)
{
	if (l->cnt == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 16;
		uint64_t *more = realloc(l->v, cap * sizeof(*more));
		if (!more)
			return false;
		l->v = more;
		l->cap = cap;
	}
	l->v[l->cnt++] = v;
	return true;
}

/* First index whose start is above @addr. */
static uint32_t range_after(const struct obj_range *r, uint32_t cnt, uint64_t addr)
{
	uint32_t lo = 0, hi = cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (r[mid].start > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static uint32_t sym_after(const struct obj_sym *s, uint32_t cnt, uint64_t addr)
{
	uint32_t lo = 0, hi = cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (s[mid].addr > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

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
	for (uint32_t i = range_after(r, rn, addr); i < rn && next == UINT64_MAX; i++) {
		if (r[i].start >= end)
			next = r[i].start;
		else if (!push(targets, r[i].start))
			return err_setf(reterr, -ENOMEM, "out of memory");
	}
	for (uint32_t i = sym_after(s, sn, addr); i < sn && s[i].addr < next; i++) {
		if (s[i].addr >= end)
			next = s[i].addr;
		else if (!push(targets, s[i].addr))
			return err_setf(reterr, -ENOMEM, "out of memory");
	}
	*ret_next = next;
	return 0;
}

/* How much of what follows the function is nothing but nops and int3. */
static uint32_t slack_of(const uint8_t *bytes, uint32_t cnt, uint64_t addr)
{
	uint32_t at = 0;
	struct isa_insn in;
	while (at < cnt) {
		if (bytes[at] == 0xcc)
			at++;
		else if (!isa_decode(bytes + at, cnt - at, addr + at, &in) && in.is_nop)
			at += in.len;
		else
			break;
	}
	return at;
}

static int read_code(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	struct func *fn = arg;
	return target_read(fn->t, addr, buf, bytes);
}

/* A range that begins somewhere else than a symbol does is a part that the compiler moved away. */
static bool is_fragment(void *arg, uint64_t addr)
{
	struct func *fn = arg;
	const struct obj_sym *sym;
	struct obj_module *mod;
	if (addr < fn->mod->text_start || addr >= fn->mod->text_end)
		return false;
	if (obj_symbolize(fn->t->obj, addr, &sym, &mod) || mod != fn->mod)
		return false;
	size_t len = strlen(sym->name);
	bool cold = strstr(sym->name, ".cold") || (len > 5 && !strcmp(sym->name + len - 5, ".part"));
	return cold || sym->addr != addr;
}

int func_init(struct func *fn, struct target *t, struct obj_module *mod, uint64_t addr, uint64_t bytes, struct err *reterr)
{
	struct list targets = { 0 };
	uint64_t next = UINT64_MAX;
	*fn = (struct func){ .mod = mod, .t = t };
	if (!bytes || bytes > (64u << 20))
		return err_setf(reterr, -EINVAL, "a function without a size that makes sense");
	int r = neighbours(fn, addr, addr + bytes, &targets, &next, reterr);
	uint64_t pads[PADS_MAX];
	int pad_cnt = r ? 0 : obj_landing_pads(t->obj, mod, addr, pads, PADS_MAX);
	for (int i = 0; i < pad_cnt && i < PADS_MAX && !r; i++)
		if (!push(&targets, pads[i]))
			r = err_setf(reterr, -ENOMEM, "out of memory");
	if (!r && pad_cnt > PADS_MAX)
		r = err_setf(reterr, -E2BIG, "more than %d landing pads", PADS_MAX);
	uint64_t room = next - (addr + bytes);
	uint32_t slack = room < SLACK_MAX ? (uint32_t)room : SLACK_MAX;
	if (addr + bytes + slack > mod->text_end)
		slack = addr + bytes < mod->text_end ? (uint32_t)(mod->text_end - addr - bytes) : 0;
	fn->targets = targets.v;
	if (!r && !(fn->code = calloc(1, bytes + SLACK_MAX)))
		r = err_setf(reterr, -ENOMEM, "out of memory");
	if (!r && target_read(t, addr, fn->code, bytes + slack))
		r = err_setf(reterr, -EFAULT, "its code at 0x%llx cannot be read", (unsigned long long)addr);
	if (r) {
		func_deinit(fn);
		return r;
	}
	qsort(targets.v, targets.cnt, sizeof(*targets.v), compare_u64);
	fn->pf = (struct patch_func){
		.addr = addr, .code = fn->code, .bytes = (uint32_t)bytes,
		.slack = slack_of(fn->code + bytes, slack, addr + bytes),
		.targets = targets.v, .target_cnt = targets.cnt,
		.read = read_code, .read_arg = fn, .is_fragment = is_fragment, .fragment_arg = fn,
	};
	return 0;
}

void func_deinit(struct func *fn)
{
	free(fn->code);
	free(fn->targets);
	fn->code = NULL;
	fn->targets = NULL;
}
