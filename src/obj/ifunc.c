/* SPDX-License-Identifier: MIT */
/*
 * IFUNCs: the symbol names a resolver; what calls reach stands in the slots
 * that the loader filled with the resolver's answer (System V gABI,
 * R_X86_64_IRELATIVE and friends).
 */
#include "obj/obj_int.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct obj_got *x = a, *y = b;
	if (!x->name || !y->name)
		return !y->name - !x->name;
	return strcmp(x->name, y->name);
}

struct loader {
	struct obj_mod *m;
	struct obj_symtab t;
	uint32_t cap;
};

static int add_slot(struct loader *l, const Elf64_Rela *r)
{
	struct obj_mod *m = l->m;
	struct obj_got g = { .slot = r->r_offset + m->pub.bias };
	uint64_t sym = ELF64_R_SYM(r->r_info);
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_IRELATIVE:
		g.resolver = (uint64_t)r->r_addend + m->pub.bias;
		break;
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
		if (sym >= l->t.cnt)
			return 0;
		g.name = obj_symtab_name(&l->t, &l->t.syms[sym]);
		break;
	case R_X86_64_64:
		if (sym >= l->t.cnt || r->r_addend)
			return 0;
		g.name = obj_symtab_name(&l->t, &l->t.syms[sym]);
		break;
	default:
		return 0;
	}
	int rc = obj_grow(&m->gots, &l->cap, m->got_cnt + 1ULL, sizeof(*m->gots));
	if (!rc)
		m->gots[m->got_cnt++] = g;
	return rc;
}

static int add_relocs(struct loader *l, const struct obj_img *img, uint64_t off, uint64_t bytes)
{
	Elf64_Rela *r = obj_img_load(img, off, bytes);
	int rc = 0;
	for (uint64_t i = 0; r && i < bytes / sizeof(*r) && !rc; i++)
		rc = add_slot(l, &r[i]);
	free(r);
	return rc;
}

static int add_dynamic(struct loader *l, const struct obj_img *img, int64_t tag, int64_t size_tag)
{
	uint64_t vaddr, bytes, off, left, bias = l->m->pub.bias;
	if (obj_img_dyn(img, tag, bias, &vaddr) || obj_img_dyn(img, size_tag, bias, &bytes) ||
	    obj_img_off(img, vaddr, &off, &left))
		return 0;
	return add_relocs(l, img, off, bytes < left ? bytes : left);
}

/* Static executables have no dynamic segment; their start code applies this section. */
static int add_static(struct loader *l, const struct obj_img *img)
{
	int rc = 0;
	for (uint32_t i = 0; i < img->sh_cnt && !rc; i++)
		if (img->sh[i].sh_type == SHT_RELA && (img->sh[i].sh_flags & SHF_ALLOC))
			rc = add_relocs(l, img, img->sh[i].sh_offset, img->sh[i].sh_size);
	return rc;
}

static int load(struct loader *l, const struct obj_img *img)
{
	obj_symtab_load(img, SHT_DYNSYM, l->m->pub.bias, &l->t);
	if (!obj_img_segment(img, PT_DYNAMIC))
		return add_static(l, img);
	int rc = add_dynamic(l, img, DT_RELA, DT_RELASZ);
	return rc ? rc : add_dynamic(l, img, DT_JMPREL, DT_PLTRELSZ);
}

static int load_gots(struct obj_proc *p, struct obj_mod *m)
{
	if (m->has_gots)
		return 0;
	struct obj_img img;
	int rc = obj_mod_image(p, m, &img, NULL);
	if (rc)
		return rc;
	struct loader l = { .m = m };
	rc = load(&l, &img);
	m->got_str = l.t.str;
	l.t.str = NULL;
	obj_symtab_deinit(&l.t);
	obj_img_deinit(&img);
	if (rc)
		return rc;
	if (m->got_cnt)
		qsort(m->gots, m->got_cnt, sizeof(*m->gots), by_name);
	m->has_gots = true;
	return 0;
}

/* A slot that was not bound yet leads to its own PLT or still holds a relative address. */
static bool is_target(struct obj_proc *p, const struct obj_mod *home, const struct obj_sym *sym, uint64_t v)
{
	if (v < home->pub.text_start || v >= home->pub.text_end || v == sym->addr)
		return false;
	const struct obj_range *r = obj_range_at(p, (struct obj_module *)&home->pub, v);
	return !r || r->kind != OBJ_RANGE_PLT;
}

static bool read_slot(struct obj_proc *p, const struct obj_mod *home, const struct obj_sym *sym, uint64_t slot,
		      uint64_t *ret)
{
	uint64_t v;
	if (obj_proc_read(p, slot, &v, sizeof(v)) || !is_target(p, home, sym, v))
		return false;
	*ret = v;
	return true;
}

static bool by_symbol(struct obj_proc *p, const struct obj_mod *m, const struct obj_mod *home,
		      const struct obj_sym *sym, uint64_t *ret)
{
	const struct obj_got key = { .name = sym->name };
	const struct obj_got *g = m->got_cnt ? bsearch(&key, m->gots, m->got_cnt, sizeof(key), by_name) : NULL;
	if (!g)
		return false;
	while (g > m->gots && g[-1].name && !strcmp(g[-1].name, sym->name))
		g--;
	for (; g < m->gots + m->got_cnt && !strcmp(g->name, sym->name); g++)
		if (read_slot(p, home, sym, g->slot, ret))
			return true;
	return false;
}

static bool by_resolver(struct obj_proc *p, const struct obj_mod *home, const struct obj_sym *sym, uint64_t *ret)
{
	for (uint32_t i = 0; i < home->got_cnt && !home->gots[i].name; i++)
		if (home->gots[i].resolver == sym->addr && read_slot(p, home, sym, home->gots[i].slot, ret))
			return true;
	return false;
}

static bool from_slots(struct obj_proc *p, struct obj_mod *home, const struct obj_sym *sym, uint64_t *ret)
{
	if (!load_gots(p, home) && by_resolver(p, home, sym, ret))
		return true;
	for (uint32_t i = 0; i < p->mod_cnt; i++)
		if (p->mods[i]->pub.end && !load_gots(p, p->mods[i]) && by_symbol(p, p->mods[i], home, sym, ret))
			return true;
	return false;
}

/* ---- the same library in this process ---- */

struct own {
	const struct obj_mod *m;
	struct obj_proc *p;
	const char *name;
	uint64_t base;
};

static int on_own_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct own *o = arg;
	(void)size;
	if (!info->dlpi_name || strcmp(info->dlpi_name, o->name))
		return 0;
	uint32_t n = info->dlpi_phnum;
	if (o->m->note_bytes != sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr) ||
	    memcmp(info->dlpi_phdr, o->m->note + sizeof(Elf64_Ehdr), n * sizeof(Elf64_Phdr)))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uint8_t note[4096];
		if (ph->p_type != PT_NOTE || ph->p_filesz > sizeof(note))
			continue;
		if (obj_proc_read(o->p, o->m->pub.bias + ph->p_vaddr, note, ph->p_filesz) ||
		    memcmp(note, (const void *)(info->dlpi_addr + ph->p_vaddr), ph->p_filesz))
			return 0;
	}
	o->base = info->dlpi_addr;
	return 1;
}

/* A resolver looks at the processor only (and GLIBC_TUNABLES): here it answers the same. */
static bool from_own(struct obj_proc *p, const struct obj_mod *home, const struct obj_sym *sym, uint64_t *ret)
{
	void *self = dlopen(home->pub.name, RTLD_NOLOAD | RTLD_LAZY | RTLD_LOCAL);
	if (!self)
		return false;
	struct link_map *map;
	struct own o = { .m = home, .p = p };
	bool ok = false;
	if (!dlinfo(self, RTLD_DI_LINKMAP, &map)) {
		o.name = map->l_name;
		uint64_t v = dl_iterate_phdr(on_own_module, &o) ? (uint64_t)(uintptr_t)dlsym(self, sym->name) : 0;
		v = v ? v - o.base + home->pub.bias : 0;
		ok = v && is_target(p, home, sym, v);
		if (ok)
			*ret = v;
	}
	dlclose(self);
	return ok;
}

int obj_ifunc_target(struct obj_proc *p, struct obj_module *mod, const struct obj_sym *sym, uint64_t *ret_addr)
{
	struct obj_mod *home = obj_mod(mod);
	const struct obj_sym *syms;
	uint32_t cnt;
	if (obj_module_syms(p, mod, &syms, &cnt, NULL))
		return -ENOENT;
	/* Names of one resolver are one function: any of them will do. */
	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < cnt; i++) {
			if (syms[i].addr != sym->addr || !syms[i].is_ifunc)
				continue;
			if (pass ? from_own(p, home, &syms[i], ret_addr) : from_slots(p, home, &syms[i], ret_addr))
				return 0;
		}
	return -ENOENT;
}
