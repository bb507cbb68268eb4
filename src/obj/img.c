/* SPDX-License-Identifier: MIT */
/*
 * ELF images.  Parts are read as they are asked for and not mapped: a file
 * that is truncated meanwhile must not kill the tool with SIGBUS.  Headers
 * are read here and not by libelf because images that come out of a process's
 * memory have no section headers, and both kinds shall go the same way.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_MAX 65536
#define SEGMENT_MAX 1024
#define LOAD_MAX (1ULL << 31)

int obj_grow(void *arr, uint32_t *cap, uint64_t cnt, size_t size)
{
	if (cnt <= *cap)
		return 0;
	uint64_t want = *cap ? *cap * 2ULL : 64;
	if (want < cnt)
		want = cnt;
	if (want > UINT32_MAX)
		return -ENOMEM;
	void *p = reallocarray(*(void **)arr, want, size);
	if (!p)
		return -ENOMEM;
	*(void **)arr = p;
	*cap = (uint32_t)want;
	return 0;
}

int obj_img_read(const struct obj_img *img, uint64_t off, void *buf, uint64_t bytes)
{
	if (off > img->bytes || bytes > img->bytes - off)
		return -EIO;
	if (img->mem) {
		memcpy(buf, img->mem + off, bytes);
		return 0;
	}
	return host_read_at(img->fd, buf, bytes, off) ? -EIO : 0;
}

void *obj_img_load(const struct obj_img *img, uint64_t off, uint64_t bytes)
{
	if (off > img->bytes || bytes > img->bytes - off || bytes > LOAD_MAX)
		return NULL;
	char *p = malloc(bytes + 1);
	if (!p)
		return NULL;
	if (obj_img_read(img, off, p, bytes)) {
		free(p);
		return NULL;
	}
	p[bytes] = 0;
	return p;
}

static void read_sections(struct obj_img *img)
{
	const Elf64_Ehdr *eh = &img->eh;
	if (!eh->e_shoff || eh->e_shentsize != sizeof(Elf64_Shdr))
		return;
	Elf64_Shdr first;
	if (obj_img_read(img, eh->e_shoff, &first, sizeof(first)))
		return;
	/* More than 0xff00 sections: the numbers stand in section 0 (gABI, "Sections"). */
	uint64_t cnt = eh->e_shnum ? eh->e_shnum : first.sh_size;
	uint32_t strndx = eh->e_shstrndx == SHN_XINDEX ? first.sh_link : eh->e_shstrndx;
	if (!cnt || cnt > SECTION_MAX || strndx >= cnt)
		return;
	img->sh = obj_img_load(img, eh->e_shoff, cnt * sizeof(Elf64_Shdr));
	if (!img->sh)
		return;
	img->sh_cnt = (uint32_t)cnt;
	img->shstr_bytes = img->sh[strndx].sh_size;
	img->shstr = obj_img_load(img, img->sh[strndx].sh_offset, img->shstr_bytes);
	if (!img->shstr) {
		free(img->sh);
		img->sh = NULL;
		img->sh_cnt = 0;
	}
}

static int read_headers(struct obj_img *img)
{
	if (obj_img_read(img, 0, &img->eh, sizeof(img->eh)))
		return -ENOEXEC;
	const Elf64_Ehdr *eh = &img->eh;
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64)
		return -ENOEXEC;
	if (eh->e_phnum && eh->e_phnum <= SEGMENT_MAX && eh->e_phentsize == sizeof(Elf64_Phdr)) {
		img->ph = obj_img_load(img, eh->e_phoff, eh->e_phnum * sizeof(Elf64_Phdr));
		img->ph_cnt = img->ph ? eh->e_phnum : 0;
	}
	read_sections(img);
	return 0;
}

int obj_img_open_fd(int fd, struct obj_img *ret)
{
	struct obj_img img = { .fd = fd };
	struct stat st;
	int rc = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOEXEC;
	img.bytes = rc ? 0 : (uint64_t)st.st_size;
	if (!rc)
		rc = read_headers(&img);
	if (rc)
		obj_img_deinit(&img);
	else
		*ret = img;
	return rc;
}

int obj_img_open_mem(uint8_t *mem, uint64_t bytes, struct obj_img *ret)
{
	struct obj_img img = { .fd = -1, .mem = mem, .bytes = bytes };
	int rc = read_headers(&img);
	if (rc)
		obj_img_deinit(&img);
	else
		*ret = img;
	return rc;
}

void obj_img_deinit(struct obj_img *img)
{
	if (!img)
		return;
	if (img->owner) {
		obj_pool_give(img);
		*img = (struct obj_img){ .fd = -1 };
		return;
	}
	if (img->fd >= 0)
		close(img->fd);
	free(img->mem);
	free(img->ph);
	free(img->sh);
	free(img->shstr);
	*img = (struct obj_img){ .fd = -1 };
}

static bool has_contents(const Elf64_Shdr *sh)
{
	return sh->sh_type != SHT_NOBITS && sh->sh_type != SHT_NULL && !(sh->sh_flags & SHF_COMPRESSED);
}

const Elf64_Shdr *obj_img_section(const struct obj_img *img, const char *name)
{
	for (uint32_t i = 0; i < img->sh_cnt; i++) {
		const Elf64_Shdr *sh = &img->sh[i];
		if (sh->sh_name < img->shstr_bytes && !strcmp(img->shstr + sh->sh_name, name))
			return has_contents(sh) ? sh : NULL;
	}
	return NULL;
}

const Elf64_Shdr *obj_img_section_type(const struct obj_img *img, uint32_t type)
{
	for (uint32_t i = 0; i < img->sh_cnt; i++)
		if (img->sh[i].sh_type == type && has_contents(&img->sh[i]))
			return &img->sh[i];
	return NULL;
}

const Elf64_Phdr *obj_img_segment(const struct obj_img *img, uint32_t type)
{
	for (uint32_t i = 0; i < img->ph_cnt; i++)
		if (img->ph[i].p_type == type)
			return &img->ph[i];
	return NULL;
}

int obj_img_off(const struct obj_img *img, uint64_t vaddr, uint64_t *ret_off, uint64_t *ret_bytes)
{
	for (uint32_t i = 0; i < img->ph_cnt; i++) {
		const Elf64_Phdr *ph = &img->ph[i];
		if (ph->p_type != PT_LOAD || vaddr < ph->p_vaddr || vaddr - ph->p_vaddr >= ph->p_filesz)
			continue;
		uint64_t in = vaddr - ph->p_vaddr;
		if (ph->p_offset > img->bytes || in > img->bytes - ph->p_offset)
			return -ENOENT;
		*ret_off = ph->p_offset + in;
		*ret_bytes = ph->p_filesz - in;
		if (*ret_bytes > img->bytes - *ret_off)
			*ret_bytes = img->bytes - *ret_off;
		return 0;
	}
	return -ENOENT;
}

bool obj_img_is_code(const struct obj_img *img, uint64_t vaddr, uint64_t *ret_end)
{
	for (uint32_t i = 0; i < img->ph_cnt; i++) {
		const Elf64_Phdr *ph = &img->ph[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X) || vaddr < ph->p_vaddr ||
		    vaddr - ph->p_vaddr >= ph->p_memsz)
			continue;
		*ret_end = ph->p_vaddr + ph->p_memsz;
		return true;
	}
	return false;
}

static bool tag_is_address(int64_t tag)
{
	switch (tag) {
	case DT_HASH: case DT_STRTAB: case DT_SYMTAB: case DT_RELA: case DT_JMPREL: case DT_GNU_HASH:
	case DT_PLTGOT: case DT_VERSYM:
		return true;
	}
	return false;
}

int obj_img_dyn(const struct obj_img *img, int64_t tag, uint64_t bias, uint64_t *ret)
{
	const Elf64_Phdr *ph = obj_img_segment(img, PT_DYNAMIC);
	if (!ph)
		return -ENOENT;
	for (uint64_t i = 0; i < ph->p_filesz / sizeof(Elf64_Dyn); i++) {
		Elf64_Dyn d;
		if (obj_img_read(img, ph->p_offset + i * sizeof(d), &d, sizeof(d)) || d.d_tag == DT_NULL)
			return -ENOENT;
		if (d.d_tag != tag)
			continue;
		/* glibc relocates these in place, other loaders do not. */
		if (img->from_proc && tag_is_address(tag) && d.d_un.d_val >= bias)
			d.d_un.d_val -= bias;
		*ret = d.d_un.d_val;
		return 0;
	}
	return -ENOENT;
}

static uint32_t build_id_in(const struct obj_img *img, uint64_t off, uint64_t bytes, uint8_t *ret)
{
	uint64_t end = off + bytes;
	while (off + sizeof(Elf64_Nhdr) + 4 <= end) {
		Elf64_Nhdr nh;
		char name[4];
		if (obj_img_read(img, off, &nh, sizeof(nh)) || obj_img_read(img, off + sizeof(nh), name, 4))
			return 0;
		uint64_t desc = off + sizeof(nh) + align_up(nh.n_namesz, 4);
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 && !memcmp(name, "GNU", 4) &&
		    nh.n_descsz && nh.n_descsz <= OBJ_BUILD_ID_MAX)
			return obj_img_read(img, desc, ret, nh.n_descsz) ? 0 : nh.n_descsz;
		off = desc + align_up(nh.n_descsz, 4);
	}
	return 0;
}

uint32_t obj_img_build_id(const struct obj_img *img, uint8_t ret[OBJ_BUILD_ID_MAX])
{
	uint32_t n = 0;
	/* A debug file's program headers keep the offsets of the file it was split from: sections first. */
	for (uint32_t i = 0; i < img->sh_cnt && !n; i++)
		if (img->sh[i].sh_type == SHT_NOTE)
			n = build_id_in(img, img->sh[i].sh_offset, img->sh[i].sh_size, ret);
	for (uint32_t i = 0; i < img->ph_cnt && !n && !img->sh_cnt; i++)
		if (img->ph[i].p_type == PT_NOTE)
			n = build_id_in(img, img->ph[i].p_offset, img->ph[i].p_filesz, ret);
	return n;
}
