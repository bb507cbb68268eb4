/* SPDX-License-Identifier: MIT */
/*
 * Who jumps into the middle of a function from outside.  Compilers do not;
 * hand-written code does (glibc's mempcpy goes on inside memmove).  Long
 * branches are collected once for a module, short ones are looked for among
 * the neighbours.
 */
#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_REACH 130u /* a 2-byte branch and its 127 bytes */
#define SYNC_ROOM 64u    /* in which decoding from anywhere falls into step */

struct branches {
	const struct obj_module *mod;
	uint64_t start;    /* of its text when it was read */
	uint64_t bytes;
	uint8_t *text;     /* as it was before we patched it */
	uint64_t *targets; /* sorted */
	uint32_t cnt;
};

/* What one function can hardly jump to: its own code is known to whoever takes it apart, and the starts of others are
 * in their tables.  That leaves next to nothing of a module's branches. */
struct units {
	uint64_t *edge;   /* where functions, symbols, cold parts begin or end; sorted */
	uint32_t cnt, at; /* at: the unit that is asked about */
	uint64_t *starts; /* a bit for each byte of the text */
	uint64_t text, bytes;
};

static void note_edge(struct units *u, uint64_t *edges, uint64_t start, uint64_t end)
{
	uint64_t at = start - u->text;
	if (at < u->bytes) {
		u->starts[at / 64] |= 1ull << at % 64;
		edges[at / 64] |= 1ull << at % 64;
	}
	at = end - u->text;
	if (at < u->bytes)
		edges[at / 64] |= 1ull << at % 64;
}

static bool list_edges(struct units *u, const uint64_t *edges)
{
	uint64_t words = u->bytes / 64 + 1, n = 2;
	for (uint64_t i = 0; i < words; i++)
		n += (uint64_t)__builtin_popcountll(edges[i]);
	u->edge = malloc(n * sizeof(*u->edge));
	if (!u->edge)
		return false;
	u->edge[u->cnt++] = u->text;
	for (uint64_t i = 0; i < words; i++)
		for (uint64_t w = edges[i]; w; w &= w - 1)
			u->edge[u->cnt++] = u->text + i * 64 + (uint64_t)__builtin_ctzll(w);
	u->edge[u->cnt++] = u->text + u->bytes;
	return true;
}

static void units_deinit(struct units *u)
{
	free(u->edge);
	free(u->starts);
}

/* False: nothing is known, so all branches count. */
static bool units_init(struct units *u, struct target *t, struct obj_module *mod, const struct branches *b)
{
	const struct obj_range *r;
	const struct obj_sym *s;
	uint32_t rn, sn;
	*u = (struct units){ .text = b->start, .bytes = b->bytes };
	if (obj_module_ranges(t->obj, mod, &r, &rn, NULL) || obj_module_syms(t->obj, mod, &s, &sn, NULL))
		return false;
	uint64_t *edges = calloc(b->bytes / 64 + 1, sizeof(*edges));
	u->starts = calloc(b->bytes / 64 + 1, sizeof(*u->starts));
	bool ok = edges && u->starts;
	for (uint32_t i = 0; i < rn && ok; i++)
		note_edge(u, edges, r[i].start, r[i].end);
	for (uint32_t i = 0; i < sn && ok; i++)
		note_edge(u, edges, s[i].addr, s[i].addr + s[i].bytes);
	ok = ok && list_edges(u, edges);
	free(edges);
	if (!ok)
		units_deinit(u);
	return ok;
}

static bool is_from_elsewhere(void *arg, uint64_t from, uint64_t target)
{
	struct units *u = arg;
	while (u->at + 2 < u->cnt && u->edge[u->at + 1] <= from)
		u->at++;
	uint64_t at = target - u->text;
	if (target >= u->edge[u->at] && target < u->edge[u->at + 1])
		return false;
	return at >= u->bytes || !(u->starts[at / 64] >> at % 64 & 1);
}

static int collect(struct branches *b, struct units *u, const uint8_t *text, uint64_t bytes)
{
	uint64_t cap = u ? 65536 : bytes / 16 + 1024;
	for (;;) {
		uint64_t *v = malloc(cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (u)
			u->at = 0;
		int64_t n = patch_text_targets(text, bytes, b->start, b->start - 1, b->start + bytes, u ? is_from_elsewhere : NULL, u, v,
						(uint32_t)cap);
		if (n >= 0 && (uint64_t)n <= cap) {
			b->targets = v;
			b->cnt = (uint32_t)n;
			return 0;
		}
		free(v);
		if (n < 0)
			return (int)n;
		cap = (uint64_t)n;
	}
}

static const struct branches *branches_of(struct target *t, struct obj_module *mod)
{
	for (uint32_t i = 0; i < t->branches_cnt; i++)
		if (t->branches[i].mod == mod && t->branches[i].start == mod->text_start)
			return &t->branches[i];
	struct branches *more = realloc(t->branches, (t->branches_cnt + 1) * sizeof(*more));
	if (!more)
		return NULL;
	t->branches = more;
	struct branches *b = &more[t->branches_cnt];
	*b = (struct branches){ .mod = mod, .start = mod->text_start };
	b->bytes = mod->text_end - mod->text_start;
	b->text = malloc(b->bytes + 1);
	if (!b->text)
		return NULL;
	obj_proc_code(t->obj, b->start, b->text, b->bytes);
	struct units u;
	bool known = units_init(&u, t, mod, b);
	int r = collect(b, known ? &u : NULL, b->text, b->bytes);
	if (known)
		units_deinit(&u);
	if (r) {
		free(b->text);
		return NULL;
	}
	t->branches_cnt++;
	return b;
}

void branches_free(struct target *t)
{
	for (uint32_t i = 0; i < t->branches_cnt; i++) {
		free(t->branches[i].targets);
		free(t->branches[i].text);
	}
	free(t->branches);
}

int text_read(struct target *t, struct obj_module *mod, uint64_t addr, void *buf, size_t bytes)
{
	const struct branches *b = branches_of(t, mod);
	if (!b || addr < b->start || addr - b->start > b->bytes || bytes > b->bytes - (addr - b->start))
		return target_read(t, addr, buf, bytes);
	memcpy(buf, b->text + (addr - b->start), bytes);
	return 0;
}

static int add_long(const struct branches *b, uint64_t lo, uint64_t hi, branches_fn *add, void *arg)
{
	uint32_t from = 0, to = b->cnt;
	while (from < to) {
		uint32_t mid = (from + to) / 2;
		if (b->targets[mid] > lo)
			to = mid;
		else
			from = mid + 1;
	}
	for (; from < b->cnt && b->targets[from] < hi; from++)
		if (!add(arg, b->targets[from]))
			return -ENOMEM;
	return 0;
}

/* Direct branches among the instructions of [from, to) that lead into (lo, hi). */
static int add_near(const struct branches *b, uint64_t from, uint64_t to, uint64_t lo, uint64_t hi, branches_fn *add,
		    void *arg)
{
	const uint8_t *code = b->text + (from - b->start);
	size_t n = to > from ? to - from : 0;
	struct isa_insn in;
	for (size_t at = 0; at < n; at += in.len) {
		if (isa_decode(code + at, n - at, from + at, &in)) {
			in.len = 1; /* data or out of step */
			continue;
		}
		bool branch = in.flow == ISA_JMP || in.flow == ISA_JCC || in.flow == ISA_CALL;
		if (branch && in.target > lo && in.target < hi && !add(arg, in.target))
			return -ENOMEM;
	}
	return 0;
}

int branches_into(struct target *t, struct obj_module *mod, uint64_t lo, uint64_t hi, branches_fn *add, void *arg)
{
	const struct branches *b = branches_of(t, mod);
	if (!b)
		return -ENOMEM;
	if (lo < b->start || hi > b->start + b->bytes)
		return 0;
	uint64_t before = lo - mod->text_start < SHORT_REACH + SYNC_ROOM ? mod->text_start : lo - SHORT_REACH - SYNC_ROOM;
	uint64_t after = mod->text_end - hi < SHORT_REACH ? mod->text_end : hi + SHORT_REACH;
	const struct obj_range *prev = obj_range_at(t->obj, mod, lo - 1);
	if (prev && prev->start > before && prev->start < lo)
		before = prev->start;
	int r = add_long(b, lo, hi, add, arg);
	if (!r)
		r = add_near(b, before, lo, lo, hi, add, arg);
	return r ? r : add_near(b, hi, after, lo, hi, add, arg);
}
