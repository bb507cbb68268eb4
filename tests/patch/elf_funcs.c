/* SPDX-License-Identifier: MIT */
#include "elf_funcs.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SHT_RELR
#define SHT_RELR 19
#endif

static void add_func(struct elf_funcs *e, uint64_t start, uint64_t end, const char *name, bool is_frag)
{
	for (size_t i = 0; i < ARRAY_CNT(e->plt); i++)
		if (start >= e->plt[i][0] && start < e->plt[i][1])
			return;
	if (start < e->text_start || end > e->text_end || start >= end)
		return;
	if (!(e->cnt & (e->cnt - 1)))
		e->func = realloc(e->func, (e->cnt ? 2 * e->cnt : 1) * sizeof(*e->func));
	e->func[e->cnt++] = (struct elf_func){ start, end, name, is_frag };
}

static int load_segments(struct elf_funcs *e)
{
	GElf_Phdr ph;
	size_t cnt = 0;
	elf_getphdrnum(e->elf, &cnt);
	e->text_start = UINT64_MAX;
	for (size_t i = 0; i < cnt; i++) {
		gelf_getphdr(e->elf, (int)i, &ph);
		if (ph.p_type != PT_LOAD)
			continue;
		if (ph.p_vaddr + ph.p_memsz > e->image_bytes)
			e->image_bytes = ph.p_vaddr + ph.p_memsz;
		if (!(ph.p_flags & PF_X))
			continue;
		e->text_start = ph.p_vaddr < e->text_start ? ph.p_vaddr : e->text_start;
		e->text_end = ph.p_vaddr + ph.p_filesz > e->text_end ? ph.p_vaddr + ph.p_filesz : e->text_end;
	}
	e->image = calloc(1, e->image_bytes + 16);
	for (size_t i = 0; i < cnt && e->image; i++) {
		gelf_getphdr(e->elf, (int)i, &ph);
		if (ph.p_type == PT_LOAD && pread(e->fd, e->image + ph.p_vaddr, ph.p_filesz, (off_t)ph.p_offset) < 0)
			return -1;
	}
	return e->image && e->text_end ? 0 : -1;
}

static void apply_rela(struct elf_funcs *e, Elf_Data *data, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		GElf_Rela r;
		if (gelf_getrela(data, (int)i, &r) && GELF_R_TYPE(r.r_info) == R_X86_64_RELATIVE &&
		    r.r_offset + 8 <= e->image_bytes)
			memcpy(e->image + r.r_offset, &r.r_addend, 8);
	}
}

/*
 * CIE: only what tells where a FDE's address is and how it is written (pc-relative, 4 bytes).
 * That of a signal's frame begins a byte before the code that handlers return to.
 */
static bool cie_is_plain(const uint8_t *cie)
{
	const char *aug = (const char *)cie + 9;
	return (aug[0] == 'z' && !strchr(aug, 'S')) || !aug[0];
}

static uint64_t leb(const uint8_t **p)
{
	uint64_t v = 0;
	int shift = 0;
	do {
		v |= (uint64_t)(**p & 0x7f) << shift;
		shift += 7;
	} while (*(*p)++ & 0x80);
	return v;
}

/* A function begins with CFA = rsp+8; what sets another one before it advances is a part of one. */
static bool starts_deep(const uint8_t *ins, const uint8_t *end)
{
	while (ins < end && *ins == 0)
		ins++;
	return ins < end && (*ins == 0x0e || *ins == 0x0c || *ins == 0x0d || *ins == 0x0f || *ins >> 6 == 2);
}

static void add_fdes(struct elf_funcs *e, const uint8_t *sec, size_t bytes, uint64_t vaddr)
{
	for (size_t at = 0; at + 8 <= bytes;) {
		uint32_t len, cie;
		memcpy(&len, sec + at, 4);
		memcpy(&cie, sec + at + 4, 4);
		if (!len || len == UINT32_MAX || at + 4 + len > bytes)
			return;
		if (cie && cie <= at + 4 && cie_is_plain(sec + at + 4 - cie)) {
			int32_t rel;
			uint32_t range;
			memcpy(&rel, sec + at + 8, 4);
			memcpy(&range, sec + at + 12, 4);
			const uint8_t *p = sec + at + 16;
			uint64_t aug = leb(&p);
			uint64_t start = vaddr + at + 8 + (uint64_t)(int64_t)rel;
			add_func(e, start, start + range, "", starts_deep(p + aug, sec + at + 4 + len));
		}
		at += 4 + len;
	}
}

static void add_symbols(struct elf_funcs *e, Elf_Data *data, const GElf_Shdr *sh)
{
	for (size_t i = 0; i < sh->sh_size / sh->sh_entsize; i++) {
		GElf_Sym s;
		if (!gelf_getsym(data, (int)i, &s) || GELF_ST_TYPE(s.st_info) != STT_FUNC || !s.st_shndx)
			continue;
		const char *name = elf_strptr(e->elf, sh->sh_link, s.st_name);
		add_func(e, s.st_value, s.st_value + s.st_size, name ? name : "", name && strstr(name, ".cold"));
	}
}

static uint64_t word(const uint8_t *p, int bytes)
{
	uint64_t v = 0;
	memcpy(&v, p, (size_t)bytes);
	return v;
}

/* Go's own table of functions, as Go 1.18 and later write it (internal/abi/symtab.go). */
static void add_go(struct elf_funcs *e, const uint8_t *sec, size_t bytes, uint64_t vaddr)
{
	if (bytes < 72 || (word(sec, 4) != 0xfffffff0 && word(sec, 4) != 0xfffffff1))
		return;
	uint64_t cnt = word(sec + 8, 8), text = word(e->image + vaddr + 24, 8), names = word(sec + 32, 8);
	uint64_t table = word(sec + 64, 8);
	e->is_go = true;
	for (uint64_t i = 0; i < cnt && table + 8 * i + 12 <= bytes; i++) {
		const uint8_t *p = sec + table + 8 * i;
		uint64_t record = table + word(p + 4, 4);
		if (record + 8 > bytes || names + word(sec + record + 4, 4) >= bytes)
			return;
		const char *name = (const char *)sec + names + word(sec + record + 4, 4);
		if (*name && strcmp(name, "go.buildid") && strcmp(name, "go:buildid"))
			add_func(e, text + word(p, 4), text + word(p + 8, 4), name, false);
	}
}

static void find_plt(struct elf_funcs *e, size_t names)
{
	Elf_Scn *scn = NULL;
	uint32_t n = 0;
	while ((scn = elf_nextscn(e->elf, scn)) && n < ARRAY_CNT(e->plt)) {
		GElf_Shdr sh;
		gelf_getshdr(scn, &sh);
		const char *name = elf_strptr(e->elf, names, sh.sh_name);
		if (!name || strncmp(name, ".plt", 4))
			continue;
		e->plt[n][0] = sh.sh_addr;
		e->plt[n++][1] = sh.sh_addr + sh.sh_size;
	}
}

static void read_sections(struct elf_funcs *e)
{
	Elf_Scn *scn = NULL;
	size_t names;
	elf_getshdrstrndx(e->elf, &names);
	find_plt(e, names);
	while ((scn = elf_nextscn(e->elf, scn))) {
		GElf_Shdr sh;
		gelf_getshdr(scn, &sh);
		const char *name = elf_strptr(e->elf, names, sh.sh_name);
		Elf_Data *data = sh.sh_type == SHT_NOBITS ? NULL : elf_getdata(scn, NULL);
		if (!data || !data->d_buf)
			continue;
		if (sh.sh_type == SHT_RELA)
			apply_rela(e, data, sh.sh_size / sh.sh_entsize);
		else if (sh.sh_type == SHT_SYMTAB || sh.sh_type == SHT_DYNSYM)
			add_symbols(e, data, &sh);
		else if (name && !strcmp(name, ".eh_frame"))
			add_fdes(e, data->d_buf, data->d_size, sh.sh_addr);
		else if (name && strstr(name, ".gopclntab"))
			add_go(e, data->d_buf, data->d_size, sh.sh_addr);
	}
}

static struct elf_func *func_at(const struct elf_funcs *e, uint64_t start)
{
	uint32_t lo = 0, hi = e->cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (e->func[mid].start < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < e->cnt && e->func[lo].start == start ? &e->func[lo] : NULL;
}

/* Named ones first where several begin together, then the longer ones. */
static int by_start(const void *a, const void *b)
{
	const struct elf_func *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (!*x->name != !*y->name)
		return !*x->name - !*y->name;
	return x->end > y->end ? -1 : x->end < y->end;
}

/*
 * Cold parts of which nothing tells: only .eh_frame knows them, they are not aligned as functions are, and a conditional
 * jump leads there, or there are fewer bytes than a jump has.  As src/obj/fragment.c.
 */
static bool is_suspect(const struct elf_func *f)
{
	return !f->is_frag && !*f->name && f->start % 16;
}

static void mark_fragments(struct elf_funcs *e)
{
	for (uint32_t i = 0; i < e->cnt; i++)
		e->func[i].is_frag |= is_suspect(&e->func[i]) && e->func[i].end - e->func[i].start < 5;
	for (uint64_t at = e->text_start; at + 6 <= e->text_end; at++) {
		const uint8_t *p = e->image + at;
		int32_t rel;
		if (p[0] != 0x0f || (p[1] & 0xf0) != 0x80)
			continue;
		memcpy(&rel, p + 2, sizeof(rel));
		struct elf_func *f = func_at(e, at + 6 + (uint64_t)(int64_t)rel);
		if (f && is_suspect(f))
			f->is_frag = true;
	}
}

static void sort_funcs(struct elf_funcs *e)
{
	uint32_t n = 0;
	qsort(e->func, e->cnt, sizeof(*e->func), by_start);
	for (uint32_t i = 0; i < e->cnt; i++)
		if (!n || e->func[n - 1].start != e->func[i].start)
			e->func[n++] = e->func[i];
		else
			e->func[n - 1].is_frag |= e->func[i].is_frag;
	e->cnt = n;
	mark_fragments(e);
}

int elf_funcs_open(struct elf_funcs *e, const char *path)
{
	*e = (struct elf_funcs){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	elf_version(EV_CURRENT);
	e->elf = e->fd < 0 ? NULL : elf_begin(e->fd, ELF_C_READ_MMAP, NULL);
	if (!e->elf || load_segments(e)) {
		fprintf(stderr, "%s: cannot be read as an ELF file\n", path);
		elf_funcs_close(e);
		return -1;
	}
	read_sections(e);
	sort_funcs(e);
	uint32_t cap = (uint32_t)((e->text_end - e->text_start) / 4 + 16);
	e->targets = malloc(cap * sizeof(*e->targets));
	int64_t found = patch_text_targets(e->image + e->text_start, e->text_end - e->text_start, e->text_start,
					   e->text_start, e->text_end, NULL, NULL, e->targets, cap);
	e->target_cnt = found < 0 ? 0 : found < cap ? (uint32_t)found : cap;
	return 0;
}

void elf_funcs_close(struct elf_funcs *e)
{
	elf_end(e->elf);
	if (e->fd >= 0)
		close(e->fd);
	free(e->image);
	free(e->func);
	free(e->targets);
}

static int image_read(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	const struct elf_funcs *e = arg;
	if (addr >= e->image_bytes || bytes > e->image_bytes - addr)
		return -1;
	memcpy(buf, e->image + addr, bytes);
	return 0;
}

static const struct elf_func *func_of(const struct elf_funcs *e, uint64_t addr)
{
	uint32_t lo = 0, hi = e->cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (e->func[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr < e->func[lo - 1].end ? &e->func[lo - 1] : NULL;
}

static bool is_fragment(void *arg, uint64_t addr)
{
	const struct elf_func *f = func_of(arg, addr);
	return f && f->is_frag;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void collect_targets(const struct elf_funcs *e, uint32_t i, uint64_t *v, uint32_t *cnt)
{
	const struct elf_func *f = &e->func[i];
	uint32_t lo = 0, hi = e->target_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (e->targets[mid] <= f->start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < e->target_cnt && e->targets[lo] < f->end; lo++)
		v[(*cnt)++] = e->targets[lo];
	for (uint32_t k = i + 1; k < e->cnt && e->func[k].start < f->end; k++)
		v[(*cnt)++] = e->func[k].start;
	qsort(v, *cnt, sizeof(*v), by_value);
}

void elf_funcs_get(const struct elf_funcs *e, uint32_t i, struct patch_func *ret)
{
	const struct elf_func *f = &e->func[i];
	uint64_t next = i + 1 < e->cnt ? e->func[i + 1].start : e->text_end;
	uint32_t room = next > f->end ? (uint32_t)(next - f->end < 32 ? next - f->end : 32) : 0;
	uint64_t *targets = malloc(2 * (f->end - f->start + 1) * sizeof(*targets));
	*ret = (struct patch_func){ .addr = f->start, .code = e->image + f->start, .bytes = (uint32_t)(f->end - f->start) };
	ret->slack = patch_padding(ret->code + ret->bytes, room, f->end);
	collect_targets(e, i, targets, &ret->target_cnt);
	ret->targets = targets;
	ret->is_frag = f->is_frag;
	ret->asks_where = e->is_go;
	ret->is_fragment = is_fragment;
	ret->fragment_arg = (void *)e;
	ret->read = image_read;
	ret->read_arg = (void *)e;
}
