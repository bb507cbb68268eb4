/* SPDX-License-Identifier: MIT */
/* The data base: memory, modules, and look-ups over all of them. */
#include "ctype/ctype_int.h"

#include "base/near.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 65536

void *ctype_alloc(struct ctype_db *db, size_t bytes)
{
	struct ctype_block *b = db->blocks;
	bytes = align_up(bytes ? bytes : 1, 16);
	if (!b || b->cap - b->used < bytes) {
		size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		b = calloc(1, sizeof(*b) + cap + 16);
		if (!b)
			return NULL;
		b->cap = cap;
		b->next = db->blocks;
		db->blocks = b;
	}
	void *p = (void *)align_up((uintptr_t)b->data + b->used, 16);
	b->used += bytes;
	return p;
}

char *ctype_strdup(struct ctype_db *db, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = ctype_alloc(db, n);
	return p ? memcpy(p, s, n) : NULL;
}

uint32_t ctype_hash(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

struct ctype_db *ctype_create(const struct ctype_opts *opts)
{
	struct ctype_db *db = calloc(1, sizeof(*db));
	if (!db)
		return NULL;
	db->opts = *opts;
	if (!db->opts.note_ns)
		db->opts.note_ns = 1000000000;
	db->root = ctype_strdup(db, opts->root ? opts->root : "");
	db->opts.btf_path = ctype_strdup(db, opts->btf_path ? opts->btf_path : "/sys/kernel/btf/vmlinux");
	db->void_ = ctype_alloc(db, sizeof(struct ctype_desc));
	if (!db->root || !db->opts.btf_path || !db->void_) {
		ctype_destroy(db);
		return NULL;
	}
	db->void_->loaded = true;
	return db;
}

static void mod_free(struct ctype_mod *m)
{
	if (m->dwfl)
		dwfl_end(m->dwfl);
	free(m->buckets);
	free((char *)(uintptr_t)m->pub.name);
	free((char *)(uintptr_t)m->pub.path);
	free((char *)(uintptr_t)m->pub.run_as);
	free((char *)(uintptr_t)m->pub.file);
	free(m);
}

void ctype_destroy(struct ctype_db *db)
{
	if (!db)
		return;
	for (uint32_t i = 0; i < db->mod_cnt; i++)
		mod_free(db->mods[i]);
	ctype_btf_deinit(db);
	free(db->mods);
	free(db->descs);
	for (struct ctype_block *b = db->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(db);
}

/* ---- modules ---- */

static struct ctype_mod *mod_new(const struct ctype_module *pub)
{
	struct ctype_mod *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->pub = *pub;
	m->pub.name = strdup(pub->name);
	m->pub.file = strdup(pub->file);
	m->pub.path = strdup(pub->path ? pub->path : pub->file);
	m->pub.run_as = pub->run_as ? strdup(pub->run_as) : NULL;
	if (m->pub.name && m->pub.file && m->pub.path && !m->pub.run_as == !pub->run_as)
		return m;
	mod_free(m);
	return NULL;
}

int ctype_add_module(struct ctype_db *db, const struct ctype_module *pub)
{
	for (uint32_t i = 0; i < db->mod_cnt; i++) {
		struct ctype_mod *m = db->mods[i];
		if (strcmp(m->pub.file, pub->file))
			continue;
		if (pub->is_loaded) {
			m->pub.bias = pub->bias;
			m->pub.is_loaded = true;
		}
		return 0;
	}
	if (!(db->mod_cnt & (db->mod_cnt - 1))) { /* a power of two: it is full */
		struct ctype_mod **v = realloc(db->mods, (db->mod_cnt ? 2ul * db->mod_cnt : 1) * sizeof(struct ctype_mod *));
		if (!v)
			return -ENOMEM;
		db->mods = v;
	}
	struct ctype_mod *m = mod_new(pub);
	if (!m)
		return -ENOMEM;
	/* The executable first: its names come before those of libraries. */
	uint32_t at = pub->is_exe ? 0 : db->mod_cnt;
	memmove(db->mods + at + 1, db->mods + at, (db->mod_cnt - at) * sizeof(struct ctype_mod *));
	db->mods[at] = m;
	db->mod_cnt++;
	return 0;
}

Dwfl_Module *ctype_mod_elf(struct ctype_db *db, struct ctype_mod *m)
{
	if (m->dwfl)
		return m->dwfl_mod;
	m->dwfl = dwfl_begin(host_debuginfo_callbacks());
	m->debuginfo.root = db->root;
	if (m->dwfl)
		m->dwfl_mod = host_debuginfo_report(m->dwfl, m->pub.name, m->pub.file, &m->debuginfo);
	return m->dwfl_mod;
}

static uint64_t section_bytes(Dwarf *dw, const char *name)
{
	Elf *elf = dwarf_getelf(dw);
	size_t strs;
	for (Elf_Scn *scn = NULL; !elf_getshdrstrndx(elf, &strs) && (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		const char *s = gelf_getshdr(scn, &sh) ? elf_strptr(elf, strs, sh.sh_name) : NULL;
		if (s && !strcmp(s, name))
			return sh.sh_size;
	}
	return 0;
}

bool ctype_mod_open(struct ctype_db *db, struct ctype_mod *m)
{
	if (m->is_open)
		return m->dw_cnt;
	m->is_open = true;
	if (!ctype_mod_elf(db, m))
		return false;
	m->dw[0] = host_debuginfo_dwarf(m->dwfl_mod, &m->debuginfo, &m->dw_bias);
	if (!m->dw[0])
		return false;
	m->dw_cnt = 1;
	m->info_bytes = section_bytes(m->dw[0], ".debug_info");
	m->dw[1] = dwarf_getalt(m->dw[0]);
	if (m->dw[1])
		m->dw_cnt = 2;
	return true;
}

/* "libc" and "libc.so" of "libc.so.6". */
uint32_t ctype_mod_rank(const struct ctype_mod *m, const char *scope)
{
	size_t n = scope ? strlen(scope) : 0;
	if (!n || (m->pub.is_exe && !strcmp(scope, "a.out")) || !strcmp(scope, m->pub.name) ||
	    !strcmp(scope, m->pub.path) || (m->pub.run_as && !strcmp(scope, m->pub.run_as)))
		return 2;
	return !strncmp(scope, m->pub.name, n) && (m->pub.name[n] == '.' || m->pub.name[n] == '-');
}

static uint32_t best_rank(const struct ctype_db *db, const char *scope)
{
	uint32_t best = 0;
	for (uint32_t i = 0; i < db->mod_cnt; i++) {
		uint32_t r = ctype_mod_rank(db->mods[i], scope);
		if (r > best)
			best = r;
	}
	return best;
}

/* ---- look-ups ---- */

static bool is_kernel(const char *scope)
{
	return scope && (!strcmp(scope, "vmlinux") || !strcmp(scope, "kernel") || !strcmp(scope, "genunix"));
}

static void begin_lookup(struct ctype_db *db)
{
	db->busy_ns = 0;
	db->noted = false;
}

/* The first module that has it; those that hold it in a namespace only come last. */
static const struct ctype_ent *find_ent(struct ctype_db *db, const char *scope, unsigned kind, const char *name,
					struct ctype_mod **ret_mod)
{
	uint32_t best = best_rank(db, scope);
	begin_lookup(db);
	for (int inner = 0; inner < 2 && best; inner++) {
		for (uint32_t i = 0; i < db->mod_cnt; i++) {
			struct ctype_mod *m = db->mods[i];
			const struct ctype_ent *e = NULL;
			if (ctype_mod_rank(m, scope) == best && ctype_mod_open(db, m))
				e = ctype_index_find(db, m, kind, name, inner);
			if (e) {
				*ret_mod = m;
				return e;
			}
		}
	}
	return NULL;
}

const struct tdesc *ctype_find(struct ctype_db *db, const char *scope, enum tdesc_kind kind, const char *name)
{
	struct ctype_mod *m = NULL;
	const struct ctype_ent *e = is_kernel(scope) ? NULL : find_ent(db, scope, kind, name, &m);
	if (e) {
		Dwarf_Die die = e->die;
		return ctype_of_die(db, m, &die, 0);
	}
	return !scope || is_kernel(scope) ? ctype_btf_find(db, kind, name) : NULL;
}

/* What a declaration stands for: in its own module first. */
static void define(struct ctype_db *db, struct ctype_desc *d)
{
	const struct ctype_ent *e = NULL;
	struct ctype_mod *m = d->mod;
	begin_lookup(db);
	for (int inner = 0; m && inner < 2 && !e; inner++)
		e = ctype_index_find(db, m, d->t.kind, d->t.name, inner);
	if (!e)
		e = find_ent(db, NULL, d->t.kind, d->t.name, &m);
	if (!e)
		return;
	Dwarf_Die die = e->die;
	const struct tdesc *def = ctype_of_die(db, m, &die, 0);
	if (!def || def->is_decl || def == &d->t)
		return;
	ctype_load(db, def);
	d->t = *def;
	d->mod = m;
	d->die = ((const struct ctype_desc *)def)->die;
}

void ctype_load(struct ctype_db *db, const struct tdesc *t)
{
	/* Made by this room, so it may be changed by it. */
	struct ctype_desc *d = (struct ctype_desc *)(uintptr_t)t;
	if (t->loaded)
		return;
	d->t.loaded = true;
	if (d->btf_id)
		ctype_btf_load(db, d);
	else if (t->is_decl && t->name)
		define(db, d);
	else if (t->kind == TDESC_FUNC)
		ctype_load_func(db, d);
	else
		ctype_load_die(db, d);
}

static int var_place(struct ctype_mod *m, Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Op *ops;
	size_t cnt;
	if (!dwarf_attr_integrate(die, DW_AT_location, &attr) || dwarf_getlocation(&attr, &ops, &cnt))
		return -ENODATA;
	if (cnt == 1 && ops[0].atom == DW_OP_addr) {
		*ret = ops[0].number + m->dw_bias;
		return 0;
	}
	Dwarf_Attribute addr;
	if (cnt == 1 && (ops[0].atom == DW_OP_addrx || ops[0].atom == DW_OP_GNU_addr_index) &&
	    !dwarf_getlocation_attr(&attr, ops, &addr) && !dwarf_formaddr(&addr, ret)) {
		*ret += m->dw_bias;
		return 0;
	}
	return -ENODATA;
}

const char *ctype_near_var(struct ctype_db *db, const char *scope, const char *name)
{
	const char *best = NULL;
	uint32_t max = near_max(name) + 1;
	begin_lookup(db);
	for (uint32_t i = 0; i < db->mod_cnt; i++) {
		struct ctype_mod *m = db->mods[i];
		const char *near = ctype_mod_rank(m, scope) && ctype_mod_open(db, m) ? ctype_index_near(db, m, CTYPE_VAR, name, &max) : NULL;
		best = near ? near : best;
	}
	return best;
}

int ctype_var(struct ctype_db *db, const char *scope, const char *name, struct tdesc_var *ret, struct err *reterr)
{
	struct ctype_mod *m = NULL;
	const struct ctype_ent *e = find_ent(db, scope, CTYPE_VAR, name, &m);
	if (!e)
		return err_setf(reterr, -ENOENT, "no debug information of the program has a variable %s", name);
	Dwarf_Die die = e->die;
	uint64_t at;
	if (var_place(m, &die, &at))
		return err_setf(reterr, -ENODATA, "variable %s has no fixed address: it is thread-local or was optimised "
				"away", name);
	if (!m->pub.is_loaded)
		return err_setf(reterr, -ENODATA, "%s is not loaded yet, so its variable %s has no address: attach to "
				"the running program (-p)", m->pub.name, name);
	ret->addr = at + m->pub.bias;
	ret->type = ctype_of_attr(db, m, &die, 0);
	return 0;
}

bool ctype_enumerator(struct ctype_db *db, const char *scope, const char *name, struct tdesc_const *ret)
{
	struct ctype_mod *m = NULL;
	const struct ctype_ent *e = find_ent(db, scope, CTYPE_ENUMERATOR, name, &m);
	const char *last = strrchr(name, ':');
	if (!e)
		return false;
	Dwarf_Die die = e->die;
	const struct tdesc *t = ctype_of_die(db, m, &die, 0);
	last = last ? last + 1 : name;
	if (t->kind != TDESC_ENUM)
		return false;
	ctype_load(db, t);
	for (uint32_t i = 0; i < t->part_cnt; i++)
		if (!strcmp(t->enumerators[i].name, last)) {
			*ret = (struct tdesc_const){ t, t->enumerators[i].val };
			return true;
		}
	return false;
}
