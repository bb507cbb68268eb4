/* SPDX-License-Identifier: MIT */
/* All symbols of a module's code, from wherever they stand, in one sorted table. */
#include "obj/obj_int.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int obj_sym_prefer(const struct obj_sym *a, const struct obj_sym *b)
{
	if (a->is_func + a->is_ifunc != b->is_func + b->is_ifunc)
		return b->is_func + b->is_ifunc - a->is_func - a->is_ifunc;
	if (a->is_local != b->is_local)
		return a->is_local - b->is_local;
	size_t au = strspn(a->name, "_"), bu = strspn(b->name, "_");
	/* "_Z" begins a mangled name. */
	au -= au == 1 && a->name[1] == 'Z';
	bu -= bu == 1 && b->name[1] == 'Z';
	if (au != bu)
		return au < bu ? -1 : 1;
	size_t al = strlen(a->name), bl = strlen(b->name);
	if (al != bl)
		return al < bl ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int by_preference(const void *a, const void *b)
{
	return obj_sym_prefer(a, b);
}

/* By address; who shares one, by preference. */
static int sort(struct obj_mod *m)
{
	int rc = obj_order(&m->syms, m->sym_cnt, sizeof(*m->syms), offsetof(struct obj_sym, addr));
	for (uint32_t i = 0, end; i < m->sym_cnt && !rc; i = end) {
		for (end = i + 1; end < m->sym_cnt && m->syms[end].addr == m->syms[i].addr; end++)
			;
		if (end - i > 1)
			qsort(m->syms + i, end - i, sizeof(*m->syms), by_preference);
	}
	return rc;
}

static bool is_code_sym(const struct obj_img *img, const Elf64_Sym *s)
{
	uint8_t type = ELF64_ST_TYPE(s->st_info);
	uint64_t end;
	if (s->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
		return false;
	if (s->st_shndx == SHN_ABS && type == STT_NOTYPE)
		return false;
	return obj_img_is_code(img, s->st_value, &end);
}

/* @main tells what is code: a debug file's segments have no contents. */
static int add_table(struct obj_mod *m, const struct obj_img *main, struct obj_symtab *t, uint32_t *cap)
{
	for (uint64_t i = 1; i < t->cnt; i++) {
		const Elf64_Sym *s = &t->syms[i];
		const char *name = obj_symtab_name(t, s);
		uint8_t type = ELF64_ST_TYPE(s->st_info);
		if (!*name || !is_code_sym(main, s))
			continue;
		int rc = obj_grow(&m->syms, cap, m->sym_cnt + 1ULL, sizeof(*m->syms));
		if (rc)
			return rc;
		m->syms[m->sym_cnt++] = (struct obj_sym){ .name = name, .addr = s->st_value + m->pub.bias,
			.bytes = s->st_size, .is_func = type == STT_FUNC, .is_ifunc = type == STT_GNU_IFUNC,
			.is_local = ELF64_ST_BIND(s->st_info) == STB_LOCAL,
			.is_weak = ELF64_ST_BIND(s->st_info) == STB_WEAK };
	}
	m->strs[m->str_cnt++] = t->str;
	t->str = NULL;
	return 0;
}

static int add_from(struct obj_mod *m, const struct obj_img *main, const struct obj_img *img, uint32_t type,
		    uint32_t *cap)
{
	struct obj_symtab t;
	int rc = obj_symtab_load(img, type, m->pub.bias, &t);
	if (rc)
		return rc;
	rc = add_table(m, main, &t, cap);
	obj_symtab_deinit(&t);
	return rc;
}

static int add_separate(struct obj_proc *p, struct obj_mod *m, const struct obj_img *main, uint32_t *cap)
{
	struct obj_img img;
	int rc = obj_debug_image(p, m, main, &img);
	if (rc)
		return rc;
	rc = add_from(m, main, &img, SHT_SYMTAB, cap);
	obj_img_deinit(&img);
	return rc;
}

static int add_minidebug(struct obj_mod *m, const struct obj_img *main, uint32_t *cap)
{
	struct obj_img img;
	int rc = obj_minidebug_image(main, &img);
	if (rc)
		return rc;
	rc = add_from(m, main, &img, SHT_SYMTAB, cap);
	obj_img_deinit(&img);
	return rc;
}

static int collect(struct obj_proc *p, struct obj_mod *m, const struct obj_img *main)
{
	uint32_t cap = 0;
	int rc = add_from(m, main, main, SHT_SYMTAB, &cap);
	if (rc && rc != -ENOMEM)
		rc = add_separate(p, m, main, &cap);
	if (rc && rc != -ENOMEM)
		rc = add_minidebug(m, main, &cap);
	if (rc && rc != -ENOMEM)
		rc = obj_go_syms(m, main, &cap);
	if (rc == -ENOMEM)
		return rc;
	rc = add_from(m, main, main, SHT_DYNSYM, &cap);
	return rc == -ENOMEM ? rc : 0;
}

static bool same_sym(const struct obj_sym *a, const struct obj_sym *b)
{
	return a->addr == b->addr && !strcmp(a->name, b->name);
}

static void drop_doubles(struct obj_mod *m)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < m->sym_cnt; i++) {
		struct obj_sym *s = &m->syms[i];
		if (n && same_sym(&m->syms[n - 1], s)) {
			if (m->syms[n - 1].bytes < s->bytes)
				m->syms[n - 1].bytes = s->bytes;
		} else {
			m->syms[n++] = *s;
		}
	}
	m->sym_cnt = n;
}

static uint64_t next_fde_start(const struct obj_frames *f, uint64_t vaddr)
{
	uint32_t i = obj_frames_after(f, vaddr);
	return i < f->fde_cnt ? f->fdes[i].start : UINT64_MAX;
}

/* To the end of its FDE, or to whatever begins next. */
static uint64_t guess_bytes(const struct obj_mod *m, const struct obj_img *img, uint64_t addr, uint64_t next)
{
	uint64_t vaddr = addr - m->pub.bias, end;
	const struct obj_fde *fde = obj_frames_find(&m->frames, vaddr);
	if (!obj_img_is_code(img, vaddr, &end))
		return 1;
	if (next && next - m->pub.bias < end)
		end = next - m->pub.bias;
	uint64_t fde_next = fde ? fde->end : next_fde_start(&m->frames, vaddr);
	if (fde && fde->start == vaddr)
		end = fde->end;
	else if (fde_next < end)
		end = fde_next;
	return end > vaddr ? end - vaddr : 1;
}

static void complete_sizes(struct obj_mod *m, const struct obj_img *img)
{
	uint64_t next = 0; /* start of the first symbol behind the group of aliases */
	for (uint32_t end = m->sym_cnt, i; end; end = i) {
		uint64_t addr = m->syms[end - 1].addr, bytes = 0;
		for (i = end; i && m->syms[i - 1].addr == addr; i--)
			if (m->syms[i - 1].bytes > bytes)
				bytes = m->syms[i - 1].bytes;
		if (!bytes)
			bytes = guess_bytes(m, img, addr, next);
		for (uint32_t k = i; k < end; k++)
			if (!m->syms[k].bytes)
				m->syms[k].bytes = bytes;
		next = addr;
	}
}

/*
 * Untyped symbols are functions of assembly files, or mere labels in functions.  What
 * handlers of signals return to is no function: unwinders know it by its bytes.
 */
static void drop_labels(struct obj_mod *m)
{
	uint64_t covered = 0;
	uint32_t n = 0;
	for (uint32_t i = 0; i < m->sym_cnt; i++) {
		struct obj_sym *s = &m->syms[i];
		bool typed = s->is_func || s->is_ifunc;
		const struct obj_fde *fde = obj_frames_find(&m->frames, s->addr - m->pub.bias);
		if (fde && m->frames.cies[fde->cie].is_signal)
			continue;
		if (!typed && (s->addr < covered || (fde && fde->start + 1 < s->addr - m->pub.bias)))
			continue;
		if (typed && s->bytes && s->addr + s->bytes > covered)
			covered = s->addr + s->bytes;
		m->syms[n++] = *s;
	}
	m->sym_cnt = n;
}

static int index_ends(struct obj_mod *m)
{
	m->max_end = malloc((m->sym_cnt + 1ULL) * sizeof(*m->max_end));
	if (!m->max_end)
		return -ENOMEM;
	uint64_t max = 0;
	for (uint32_t i = 0; i < m->sym_cnt; i++) {
		uint64_t end = m->syms[i].addr + m->syms[i].bytes;
		max = end > max ? end : max;
		m->max_end[i] = max;
	}
	return 0;
}

static int load(struct obj_proc *p, struct obj_mod *m, const struct obj_img *img)
{
	struct obj_kept kept;
	bool keeps = obj_kept_key(p, m, img, &kept);
	if (keeps && obj_kept_load(m, img, &kept))
		return index_ends(m);
	int rc = collect(p, m, img);
	if (!rc)
		rc = sort(m);
	if (rc)
		return rc;
	drop_doubles(m);
	drop_labels(m);
	complete_sizes(m, img);
	if (keeps)
		obj_kept_store(m, &kept);
	return index_ends(m);
}

static void forget(struct obj_mod *m)
{
	free(m->syms);
	m->syms = NULL;
	m->sym_cnt = 0;
	while (m->str_cnt)
		free(m->strs[--m->str_cnt]);
}

int obj_module_syms(struct obj_proc *p, struct obj_module *mod, const struct obj_sym **ret, uint32_t *ret_cnt,
		    struct err *reterr)
{
	struct obj_mod *m = obj_mod(mod);
	if (!m->has_syms) {
		struct obj_img img;
		int rc = obj_mod_frames(p, m, reterr);
		if (!rc)
			rc = obj_mod_image(p, m, &img, reterr);
		if (rc)
			return rc;
		rc = load(p, m, &img);
		obj_img_deinit(&img);
		if (rc) {
			forget(m);
			return err_setf(reterr, rc, "no memory for the symbols of %s", m->pub.path);
		}
		m->has_syms = true;
	}
	*ret = m->syms;
	*ret_cnt = m->sym_cnt;
	return 0;
}

int obj_mod_frames(struct obj_proc *p, struct obj_mod *m, struct err *reterr)
{
	if (m->has_frames)
		return 0;
	struct obj_img img;
	int rc = obj_mod_image(p, m, &img, reterr);
	if (rc)
		return rc;
	struct obj_kept kept;
	bool keeps = obj_kept_frames_key(&img, &kept);
	if (!keeps || !obj_kept_frames_load(&img, &kept, &m->frames)) {
		rc = obj_frames_load(&img, &m->frames);
		if (!rc && keeps)
			obj_kept_frames_store(&m->frames, &kept);
	}
	obj_img_deinit(&img);
	if (rc == -ENOMEM)
		return err_setf(reterr, rc, "no memory for the frame table of %s", m->pub.path);
	m->has_frames = true; /* no table is a table without entries */
	return 0;
}

int obj_mod_rows(struct obj_proc *p, struct obj_mod *m, struct err *reterr)
{
	struct obj_img img;
	struct obj_frames *f = &m->frames;
	uint64_t off, vaddr, bytes;
	int rc = obj_mod_frames(p, m, reterr);
	if (rc || f->data || !f->fde_cnt)
		return rc;
	rc = obj_mod_image(p, m, &img, reterr);
	if (rc)
		return rc;
	if (!obj_frames_locate(&img, &off, &vaddr, &bytes) && vaddr == f->vaddr && bytes == f->bytes)
		f->data = obj_img_load(&img, off, bytes);
	obj_img_deinit(&img);
	return f->data ? 0 : err_setf(reterr, -EIO, "cannot read the frame table of %s: the file has changed", m->pub.path);
}

/* ---- symbols of any kind, by name ---- */

static const Elf64_Sym *find_in(const struct obj_symtab *t, const char *name)
{
	for (uint64_t i = 1; i < t->cnt; i++)
		if (t->syms[i].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(t->syms[i].st_info) != STT_TLS &&
		    !strcmp(obj_symtab_name(t, &t->syms[i]), name))
			return &t->syms[i];
	return NULL;
}

static void found_sym(const struct obj_mod *m, const Elf64_Sym *s, uint64_t *ret_addr, uint64_t *ret_bytes)
{
	*ret_addr = s->st_value + (s->st_shndx == SHN_ABS ? 0 : m->pub.bias);
	*ret_bytes = s->st_size;
}

static int find_from(const struct obj_img *img, uint32_t type, const struct obj_mod *m, const char *name,
		     uint64_t *ret_addr, uint64_t *ret_bytes)
{
	struct obj_symtab t;
	int rc = obj_symtab_load(img, type, m->pub.bias, &t);
	if (rc)
		return rc;
	const Elf64_Sym *s = find_in(&t, name);
	if (s)
		found_sym(m, s, ret_addr, ret_bytes);
	obj_symtab_deinit(&t);
	return s ? 0 : -ENOENT;
}

int obj_module_find(struct obj_proc *p, struct obj_module *mod, const char *name, uint64_t *ret_addr,
		    uint64_t *ret_bytes)
{
	struct obj_mod *m = obj_mod(mod);
	struct obj_img img, dbg;
	uint64_t bytes;
	int rc = obj_mod_image(p, m, &img, NULL);
	if (rc)
		return rc;
	ret_bytes = ret_bytes ? ret_bytes : &bytes;
	Elf64_Sym sym;
	rc = obj_symtab_lookup(&img, m->pub.bias, name, &sym);
	if (!rc && ELF64_ST_TYPE(sym.st_info) != STT_TLS)
		found_sym(m, &sym, ret_addr, ret_bytes);
	else
		rc = rc == -ENOENT ? rc : find_from(&img, SHT_DYNSYM, m, name, ret_addr, ret_bytes);
	if (rc)
		rc = find_from(&img, SHT_SYMTAB, m, name, ret_addr, ret_bytes);
	if (rc && !obj_img_section_type(&img, SHT_SYMTAB) && !obj_debug_image(p, m, &img, &dbg)) {
		rc = find_from(&dbg, SHT_SYMTAB, m, name, ret_addr, ret_bytes);
		obj_img_deinit(&dbg);
	}
	obj_img_deinit(&img);
	return rc ? -ENOENT : 0;
}
