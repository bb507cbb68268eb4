/* SPDX-License-Identifier: MIT */
/* Where code outside a function jumps into the middle of it: hand-written assembly does (memcpy's family). */
#include "session/session_int.h"

#include <stdlib.h>

#define SHORT_REACH 130u

/* Direct 32-bit branches of a module's text, by target. Made once for a module. */
struct entries {
	const struct obj_module *mod;
	uint64_t start;
	uint64_t *v;
	uint32_t cnt;
};

static struct entries *find(struct target *t, const struct obj_module *mod)
{
	for (uint32_t i = 0; i < t->entries_cnt; i++)
		if (t->entries[i].mod == mod && t->entries[i].start == mod->text_start)
			return &t->entries[i];
	return NULL;
}

static struct entries *make(struct target *t, const struct obj_module *mod)
{
	uint64_t bytes = mod->text_end - mod->text_start;
	struct entries *more = realloc(t->entries, (t->entries_cnt + 1) * sizeof(*more));
	if (!more)
		return NULL;
	t->entries = more;
	struct entries e = { .mod = mod, .start = mod->text_start };
	uint8_t *text = calloc(1, bytes);
	uint32_t cap = (uint32_t)(bytes / 5 + 1);
	e.v = malloc(cap * sizeof(*e.v));
	if (text && e.v) {
		for (uint64_t at = 0; at < bytes; at += 4096) /* gaps between segments stay zero */
			target_read(t, mod->text_start + at, text + at, bytes - at < 4096 ? bytes - at : 4096);
		e.cnt = patch_text_targets(text, bytes, mod->text_start, mod->text_start, mod->text_end, e.v, cap);
	}
	free(text);
	if (!e.v)
		return NULL;
	more[t->entries_cnt] = e;
	return &more[t->entries_cnt++];
}

void entries_free(struct target *t)
{
	for (uint32_t i = 0; i < t->entries_cnt; i++)
		free(t->entries[i].v);
	free(t->entries);
	t->entries = NULL;
	t->entries_cnt = 0;
}

bool entries_far(struct target *t, const struct obj_module *mod, uint64_t lo, uint64_t hi, entries_cb *cb, void *arg)
{
	struct entries *e = find(t, mod);
	if (!e)
		e = make(t, mod);
	if (!e)
		return false;
	uint32_t from = 0, to = e->cnt;
	while (from < to) {
		uint32_t mid = (from + to) / 2;
		if (e->v[mid] < lo)
			from = mid + 1;
		else
			to = mid;
	}
	for (; from < e->cnt && e->v[from] < hi; from++)
		if (!cb(arg, e->v[from]))
			return false;
	return true;
}

/* Branches of one neighbour, of any length. */
static bool look_at(struct target *t, const struct obj_range *r, uint64_t lo, uint64_t hi, entries_cb *cb, void *arg)
{
	uint64_t bytes = r->end - r->start;
	uint8_t *code = malloc(bytes ? bytes : 1);
	struct isa_insn in;
	bool fine = code != NULL;
	if (code && target_read(t, r->start, code, bytes))
		bytes = 0;
	for (uint64_t at = 0; fine && at < bytes; at += in.len) {
		if (isa_decode(code + at, bytes - at, r->start + at, &in))
			break;
		if ((in.flow == ISA_JMP || in.flow == ISA_JCC) && in.target >= lo && in.target < hi)
			fine = cb(arg, in.target);
	}
	free(code);
	return fine;
}

bool entries_near(struct target *t, const struct obj_range *ranges, uint32_t cnt, uint64_t func, uint64_t lo, uint64_t hi,
		  entries_cb *cb, void *arg)
{
	for (uint32_t i = 0; i < cnt; i++) {
		const struct obj_range *r = &ranges[i];
		if (r->start > hi + SHORT_REACH)
			break;
		if (r->kind == OBJ_RANGE_LABEL || r->start == func || r->end + SHORT_REACH < lo)
			continue;
		if (!look_at(t, r, lo, hi, cb, arg))
			return false;
	}
	return true;
}
