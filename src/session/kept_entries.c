/* SPDX-License-Identifier: MIT */
/*
 * Which entries of a module get a plain window, kept from one run to the next (host/cache.h, ADR 46).  Of a plan only the
 * verdict is kept: how long the window is and whether flags are to be saved.  What is displaced is read where it stands and taken
 * apart again, and compared once more when it is written.
 *
 * A verdict follows from the code around, from tables that it refers to, from what functions, symbols and landing pads are known,
 * and from how this program looks at them.  So an entry is of the very file, of the functions and symbols, of the part of the
 * module that is as in the file, and of this very executable; it serves only where that part of the process's memory is the
 * file's, byte for byte, and is made only of plans that read nothing else (func.reads_more).
 */
#include "session/arm_int.h"

#include "host/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define VERSION 1
#define NEAR 4u
#define FEW_NEW 16u /* one in so many is not worth to write all again */

struct kept_entry {
	uint32_t off; /* from the beginning of the text */
	uint32_t bytes; /* of the function */
	uint8_t window, save_flags, zero[2];
};

struct kept_mod {
	const struct obj_module *mod;
	struct patch_range as_file;
	struct host_cache_key key; /* its id: @id */
	uint8_t id[OBJ_LINES_ID_MAX];
	struct kept_entry *v; /* sorted */
	uint32_t cnt;
};

/* ---- what can be known from the file ---- */

/* The map of @mod that begins (or, @down, ends) at @addr, that nobody can write to and that is of the file as it is. */
static const struct obj_map *next_map(struct target *t, const struct obj_module *mod, const struct stat *file, uint64_t addr, bool down)
{
	struct stat st;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if ((down ? m->end : m->start) == addr && m->start >= mod->start && m->end <= mod->end)
			return (m->prot & (PROT_READ | PROT_WRITE)) == PROT_READ && obj_proc_is_as_file(t->obj, m->start, m->end - m->start, &st) &&
			       st.st_ino == file->st_ino && st.st_dev == file->st_dev ? m : NULL;
	}
	return NULL;
}

/* The text, if it is as in the file, and what of the module lies next to it and is. */
static bool find_as_file(struct target *t, const struct obj_module *mod, struct patch_range *ret, struct stat *st)
{
	const struct obj_map *m;
	*ret = (struct patch_range){ mod->text_start, mod->text_end };
	if (!obj_proc_is_as_file(t->obj, ret->start, ret->end - ret->start, st))
		return false;
	while ((m = next_map(t, mod, st, ret->end, false)))
		ret->end = m->end;
	while ((m = next_map(t, mod, st, ret->start, true)))
		ret->start = m->start;
	return true;
}

/* Another build of this program may plan in another way. */
static bool executable(struct host_cache_file *ret)
{
	struct stat st;
	if (stat("/proc/self/exe", &st))
		return false;
	host_cache_file(&st, ret);
	return true;
}

static bool find_key(struct target *t, struct obj_module *mod, struct kept_mod *k)
{
	struct { uint64_t text, start, end; struct host_cache_file by; } what;
	const struct patch_range *keep;
	struct stat st;
	uint32_t keep_cnt;
	if (t->s->opts.shared || mod->text_end - mod->text_start > UINT32_MAX || rseq_ranges(t, mod, &keep, &keep_cnt) || keep_cnt)
		return false;
	if (!executable(&what.by) || !find_as_file(t, mod, &k->as_file, &st) || !text_kept_key(t, mod, &st, k->id, &k->key))
		return false;
	what.text = mod->text_start - mod->bias;
	what.start = k->as_file.start - mod->bias;
	what.end = k->as_file.end - mod->bias;
	k->key.kind = "entries";
	k->key.version = VERSION;
	k->key.key = host_hash(k->key.key, &what, sizeof(what));
	return true;
}

/* ---- reading ---- */

/* As if a stranger had written it. */
static bool is_sound(const struct kept_entry *v, uint64_t cnt, uint64_t text_bytes)
{
	for (uint64_t i = 0; i < cnt; i++)
		if ((i && v[i].off <= v[i - 1].off) || v[i].off >= text_bytes || v[i].bytes > text_bytes - v[i].off ||
		    v[i].window < JUMP_BYTES || v[i].window >= PATCH_KNOWN_BYTES || v[i].window > text_bytes - v[i].off ||
		    v[i].save_flags > 1 || v[i].zero[0] || v[i].zero[1])
			return false;
	return true;
}

/* They may have moved. */
static const struct host_cache_key *key_of(struct kept_mod *k)
{
	k->key.id = k->id;
	return &k->key;
}

static void load(struct kept_mod *k)
{
	uint64_t bytes = 0;
	struct kept_entry *v = host_cache_load(key_of(k), &bytes);
	uint64_t cnt = bytes / sizeof(*v);
	if (!v || bytes != cnt * sizeof(*v) || cnt > UINT32_MAX || !is_sound(v, cnt, k->mod->text_end - k->mod->text_start)) {
		free(v);
		return;
	}
	k->v = v;
	k->cnt = (uint32_t)cnt;
}

static const struct kept_mod *find_mod(const struct kept_entries *kept, const struct obj_module *mod)
{
	for (uint32_t i = 0; kept && i < kept->cnt; i++)
		if (kept->v[i].mod == mod)
			return &kept->v[i];
	return NULL;
}

/* Functions of which more is asked than entries are planned as a whole. */
static uint32_t count_unknown(const struct kept_mod *k, const struct job *j, const struct request *req, uint32_t cnt)
{
	uint32_t unknown = 0, at = 0;
	for (uint32_t i = 0, end; i < cnt; i = end) {
		uint64_t off = req[i].func - k->mod->text_start;
		bool entries = true;
		for (end = i; end < cnt && req[end].func == req[i].func; end++)
			entries &= j->probes[req[end].probe].probe->kind == WIRE_SITE_ENTRY;
		while (at < k->cnt && k->v[at].off < off)
			at++;
		unknown += !entries || at == k->cnt || k->v[at].off != off;
	}
	return unknown;
}

uint32_t kept_entries_look(struct kept_entries *kept, struct job *j, struct obj_module *mod, const struct request *req, uint32_t cnt)
{
	struct kept_mod *more = realloc(kept->v, (kept->cnt + 1ul) * sizeof(*more));
	if (!more)
		return cnt;
	kept->v = more;
	struct kept_mod *k = &more[kept->cnt];
	*k = (struct kept_mod){ .mod = mod };
	if (!find_key(j->t, mod, k))
		return cnt;
	kept->cnt++;
	load(k);
	return count_unknown(k, j, req, cnt);
}

struct patch_range kept_entries_range(const struct kept_entries *kept, const struct obj_module *mod)
{
	const struct kept_mod *k = find_mod(kept, mod);
	return k ? k->as_file : (struct patch_range){ 0 };
}

/* The first at @off or behind it; sooner where that is next to @near. */
static uint32_t first_at(const struct kept_mod *k, uint64_t off, uint32_t near)
{
	uint32_t lo = 0, hi = k->cnt;
	for (uint32_t i = near; i < k->cnt && i < near + NEAR && k->v[i].off <= off; i++)
		if (k->v[i].off == off)
			return i;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (k->v[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool kept_entry_find(const struct kept_entries *kept, uint32_t *at, const struct plan_func *pf, struct patch_known *ret)
{
	const struct kept_mod *k = find_mod(kept, pf->mod);
	uint64_t off = k ? pf->addr - pf->mod->text_start : 0;
	uint32_t lo = k ? *at = first_at(k, off, *at) : 0;
	if (!k || lo == k->cnt || k->v[lo].off != off || k->v[lo].bytes != pf->bytes)
		return false;
	*ret = (struct patch_known){ .bytes = k->v[lo].window, .save_flags = k->v[lo].save_flags };
	return true;
}

/* ---- writing ---- */

static bool is_new(const struct kept_mod *k, const struct plan_func *pf)
{
	return pf->mod == k->mod && pf->by_file && !pf->was_kept;
}

/* Both are sorted; what was planned counts.  How many there are. */
static uint32_t merge(const struct kept_mod *k, const struct plan_func *funcs, uint32_t cnt, struct kept_entry *ret)
{
	uint32_t n = 0, old = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (!is_new(k, &funcs[i]))
			continue;
		uint32_t off = (uint32_t)(funcs[i].addr - k->mod->text_start);
		while (old < k->cnt && k->v[old].off < off)
			ret[n++] = k->v[old++];
		old += old < k->cnt && k->v[old].off == off;
		ret[n++] = (struct kept_entry){ .off = off, .bytes = (uint32_t)funcs[i].bytes, .window = (uint8_t)funcs[i].wins[0].bytes,
						.save_flags = funcs[i].anchors[0].save_flags };
	}
	while (old < k->cnt)
		ret[n++] = k->v[old++];
	return n;
}

static void store(struct target *t, struct kept_mod *k, const struct plan_func *funcs, uint32_t cnt)
{
	struct patch_range now;
	struct host_cache_file file;
	struct stat st;
	uint32_t fresh = 0;
	for (uint32_t i = 0; i < cnt; i++)
		fresh += is_new(k, &funcs[i]);
	/* What was read meanwhile was the file's if it still is: pages that were written to stay the process's. */
	if (!fresh || fresh < k->cnt / FEW_NEW || !find_as_file(t, k->mod, &now, &st) || now.start != k->as_file.start ||
	    now.end != k->as_file.end || !host_cache_file(&st, &file) || memcmp(&file, &k->key.file, sizeof(file)))
		return;
	struct kept_entry *v = malloc(((uint64_t)k->cnt + fresh) * sizeof(*v));
	uint32_t n = v ? merge(k, funcs, cnt, v) : 0;
	if (v && is_sound(v, n, k->mod->text_end - k->mod->text_start))
		host_cache_store(key_of(k), v, n * sizeof(*v));
	free(v);
}

void kept_entries_store(struct kept_entries *kept, struct target *t, const struct plan_func *funcs, uint32_t cnt)
{
	for (uint32_t i = 0; i < kept->cnt; i++)
		store(t, &kept->v[i], funcs, cnt);
}

void kept_entries_free(struct kept_entries *kept)
{
	for (uint32_t i = 0; i < kept->cnt; i++)
		free(kept->v[i].v);
	free(kept->v);
}
