/* SPDX-License-Identifier: MIT */
/*
 * Who jumps into the middle of a function from outside.  Compilers do not;
 * hand-written code does (glibc's mempcpy goes on inside memmove).  Long
 * branches are collected once for a module, short ones are looked for among
 * the neighbours.
 */
#include "session/session_int.h"

#include "host/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL 64u
#define SYNC_ROOM 64u    /* in which decoding from anywhere falls into step */

struct branches {
	const struct obj_module *mod;
	uint64_t start;    /* of its text when it was read */
	uint64_t bytes;
	uint8_t *text;     /* as it was before we patched it; NULL: as in its file */
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

static uint64_t bits_bytes(const struct units *u)
{
	return (u->bytes / 64 + 1) * sizeof(uint64_t);
}

static void units_deinit(struct units *u)
{
	free(u->edge);
	host_big_free(u->starts, bits_bytes(u));
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
	uint64_t *edges = host_big_alloc(bits_bytes(u));
	u->starts = host_big_alloc(bits_bytes(u));
	bool ok = edges && u->starts;
	for (uint32_t i = 0; i < rn && ok; i++)
		note_edge(u, edges, r[i].start, r[i].end);
	for (uint32_t i = 0; i < sn && ok; i++)
		note_edge(u, edges, s[i].addr, s[i].addr + s[i].bytes);
	ok = ok && list_edges(u, edges);
	host_big_free(edges, bits_bytes(u));
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

/* ---- what is known from last time ---- */

#define CACHE_VERSION 2
#define CACHE_WORTH (4u << 20) /* bytes of text: less is read sooner than looked up */

/* Which branches are left out depends on the functions that are known, and that on more than the file. */
static uint64_t hash_of_names(const struct obj_range *r, uint32_t rn, const struct obj_sym *s, uint32_t sn, uint64_t bias)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < rn; i++) {
		const uint64_t v[] = { r[i].start - bias, r[i].end - bias, r[i].kind };
		sum = host_hash(sum, v, sizeof(v));
	}
	for (uint32_t i = 0; i < sn; i++) {
		const uint64_t v[] = { s[i].addr - bias, s[i].bytes };
		sum = host_hash(sum, v, sizeof(v));
	}
	return sum;
}

/* Who wrote the file, and whoever may write to it, says what is kept of it: that must be nobody whom the next one to
 * read it would not believe.  What dyntraced looks at is others'; it keeps nothing. */
bool text_kept_key(struct target *t, struct obj_module *mod, const struct stat *st, uint8_t id[OBJ_LINES_ID_MAX], struct host_cache_key *ret)
{
	const struct obj_range *r;
	const struct obj_sym *s;
	uint32_t rn, sn;
	*ret = (struct host_cache_key){ .id = id };
	if (t->s->opts.shared || !host_cache_file(st, &ret->file) || obj_module_ranges(t->obj, mod, &r, &rn, NULL) ||
	    obj_module_syms(t->obj, mod, &s, &sn, NULL))
		return false;
	ret->id_bytes = obj_module_build_id(t->obj, mod, id);
	ret->key = hash_of_names(r, rn, s, sn, mod->bias) ^ (mod->text_end - mod->text_start);
	return ret->id_bytes >= 8;
}

/* Offsets in the text, rising. */
static bool targets_load(struct branches *b, const struct host_cache_key *k)
{
	uint64_t bytes;
	uint32_t *v = host_cache_load(k, &bytes);
	uint64_t cnt = v ? bytes / sizeof(*v) : 0;
	bool ok = v && bytes == cnt * sizeof(*v) && (b->targets = malloc((cnt + 1) * sizeof(*b->targets)));
	for (uint64_t i = 0; i < cnt && ok; i++) {
		ok = v[i] < b->bytes && (!i || v[i] > v[i - 1]);
		b->targets[i] = b->start + v[i];
	}
	free(v);
	if (!ok) {
		free(b->targets);
		b->targets = NULL;
		return false;
	}
	b->cnt = (uint32_t)cnt;
	return true;
}

static void targets_store(const struct branches *b, const struct host_cache_key *k)
{
	uint32_t *v = b->bytes <= UINT32_MAX ? malloc((b->cnt + 1ul) * sizeof(*v)) : NULL;
	for (uint32_t i = 0; i < b->cnt && v; i++)
		v[i] = (uint32_t)(b->targets[i] - b->start);
	if (v)
		host_cache_store(k, v, b->cnt * sizeof(*v));
	free(v);
}

/* ---- a module's ---- */

static int read_text(struct target *t, struct branches *b)
{
	b->text = host_big_alloc(b->bytes + 1);
	if (!b->text)
		return -ENOMEM;
	obj_proc_code(t->obj, b->start, b->text, b->bytes);
	return 0;
}

static int find_targets(struct target *t, struct obj_module *mod, struct branches *b)
{
	struct units u;
	const struct text_source src = { t, b->text, b->start, b->bytes };
	bool known = units_init(&u, t, mod, b);
	int r = text_scan(&src, known ? is_from_elsewhere : NULL, &u, sizeof(u), &b->targets, &b->cnt);
	if (known)
		units_deinit(&u);
	return r;
}

static int look(struct target *t, struct obj_module *mod, struct branches *b)
{
	struct host_cache_key k;
	uint8_t id[OBJ_LINES_ID_MAX];
	struct stat st;
	bool as_file = b->bytes >= CACHE_WORTH && obj_proc_is_as_file(t->obj, b->start, b->bytes, &st);
	bool keeps = as_file && text_kept_key(t, mod, &st, id, &k);
	k.kind = "branches";
	k.version = CACHE_VERSION;
	if (keeps && targets_load(b, &k))
		return 0;
	int r = as_file ? 0 : read_text(t, b);
	r = r ? r : find_targets(t, mod, b);
	if (!r && keeps)
		targets_store(b, &k);
	return r;
}

static struct branches *branches_of(struct target *t, struct obj_module *mod)
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
	if (look(t, mod, b)) {
		host_big_free(b->text, b->bytes + 1);
		return NULL;
	}
	t->branches_cnt++;
	return b;
}

static bool has_placed(const struct target *t, const struct obj_module *mod)
{
	for (uint32_t i = 0; i < t->placed_cnt; i++)
		if (t->placed[i].mod == mod || !t->placed[i].mod)
			return true;
	return false;
}

/* What stands there now is the file's, as it was when that was compared, only as long as nothing was placed there. */
void branches_expect_many(struct target *t, struct obj_module *mod)
{
	struct branches *b = branches_of(t, mod);
	if (b && !b->text && !has_placed(t, mod))
		read_text(t, b);
}

void branches_free(struct target *t)
{
	for (uint32_t i = 0; i < t->branches_cnt; i++) {
		free(t->branches[i].targets);
		host_big_free(t->branches[i].text, t->branches[i].bytes + 1);
	}
	free(t->branches);
}

/* What is behind the last function may be more than the file has. */
static int read_file(struct target *t, struct obj_module *mod, uint64_t addr, uint8_t *buf, size_t bytes)
{
	size_t n = bytes;
	while (n && bytes - n < TAIL && obj_module_text(t->obj, mod, addr, buf, n))
		n--;
	if (!n || bytes - n == TAIL)
		return -EFAULT;
	memset(buf + n, 0, bytes - n);
	return 0;
}

int text_read(struct target *t, struct obj_module *mod, uint64_t addr, void *buf, size_t bytes)
{
	const struct branches *b = branches_of(t, mod);
	if (!b || addr < b->start || addr - b->start > b->bytes || bytes > b->bytes - (addr - b->start))
		return target_read(t, addr, buf, bytes);
	if (!b->text)
		return read_file(t, mod, addr, buf, bytes);
	memcpy(buf, b->text + (addr - b->start), bytes);
	return 0;
}

int text_near(struct target *t, struct obj_module *mod, uint64_t lo, uint64_t hi, struct text_near *ret)
{
	const struct branches *b = branches_of(t, mod);
	*ret = (struct text_near){ 0 };
	if (!b)
		return -ENOMEM;
	if (lo < b->start || hi < lo || hi > b->start + b->bytes)
		return -ENOENT;
	uint64_t end = b->start + b->bytes, room = SHORT_REACH + SYNC_ROOM;
	ret->start = lo - b->start < room ? b->start : lo - room;
	ret->end = end - hi < SHORT_REACH ? end : hi + SHORT_REACH;
	if (b->text) {
		ret->code = b->text + (ret->start - b->start);
		return 0;
	}
	ret->code = ret->own = malloc(ret->end - ret->start + 1);
	return ret->own ? text_read(t, mod, ret->start, ret->own, ret->end - ret->start) : -ENOMEM;
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
static int add_near(struct target *t, struct obj_module *mod, uint64_t from, uint64_t to, uint64_t lo, uint64_t hi,
		    branches_fn *add, void *arg)
{
	uint8_t code[2 * SHORT_REACH + SYNC_ROOM];
	size_t n = to > from ? to - from : 0;
	struct isa_insn in;
	if (n > sizeof(code))
		return 0;
	/* A file's last page may end anywhere: what it has counts.  read_file() forgives less than TAIL bytes. */
	while (n && text_read(t, mod, from, code, n))
		n -= n < TAIL ? n : TAIL - 1;
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
		r = add_near(t, mod, before, lo, lo, hi, add, arg);
	return r ? r : add_near(t, mod, hi, after, lo, hi, add, arg);
}

/* Each byte of [from, to) may begin one of two bytes or one of 32 bits. */
static int add_any(const struct text_near *near, uint64_t from, uint64_t to, branches_fn *add, void *arg)
{
	const uint8_t *code = near->code + (from - near->start);
	size_t n = to - from;
	uint32_t op;
	for (size_t i = 0; i + 1 < n; i++)
		if (((code[i] & 0xf0) == 0x70 || code[i] == 0xeb || (code[i] & 0xfc) == 0xe0) &&
		    !add(arg, from + i + 2 + (uint64_t)(int64_t)(int8_t)code[i + 1]))
			return -ENOMEM;
	for (size_t i = isa_next_branch(code, 0, n, &op); i < n; i = isa_next_branch(code, i + 1, n, &op)) {
		int32_t rel;
		memcpy(&rel, code + i + op, sizeof(rel));
		if (!add(arg, from + i + op + 4 + (uint64_t)(int64_t)rel))
			return -ENOMEM;
	}
	return 0;
}

int branches_maybe_into(struct target *t, struct obj_module *mod, const struct text_near *near, uint64_t lo, uint64_t hi, uint64_t reach,
			branches_fn *add, void *arg)
{
	const struct branches *b = branches_of(t, mod);
	int r = b ? add_long(b, lo, lo + reach < hi ? lo + reach : hi, add, arg) : -ENOMEM;
	if (!r)
		r = add_any(near, near->start, lo, add, arg);
	return r ? r : add_any(near, hi, near->end, add, arg);
}
