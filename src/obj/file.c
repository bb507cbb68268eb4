/* SPDX-License-Identifier: MIT */
/*
 * The file behind a module.  Its name may be gone, replaced, or mean another
 * file outside the process's mount namespace; so each candidate is compared
 * with the headers in memory, and in the end the file is put together from the
 * process's segments (which have no section headers, unless it is the vDSO).
 */
#include "obj/maps_int.h"
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool is_its_file(const struct obj_mod *m, const struct obj_img *img)
{
	uint8_t *head = obj_img_load(img, 0, m->note_bytes);
	/* The program headers follow the ELF header in every file a linker makes;
	 * elsewhere they are compared as read. */
	bool same = head && !memcmp(head, m->note, sizeof(Elf64_Ehdr)) && img->ph &&
		    !memcmp(img->ph, m->note + sizeof(Elf64_Ehdr), m->note_bytes - sizeof(Elf64_Ehdr));
	free(head);
	return same;
}

/* Equal headers do not make equal files: the notes, which hold the build-id, decide. */
static bool same_build_id(struct obj_proc *p, const struct obj_mod *m, const struct obj_img *img)
{
	for (uint32_t i = 0; i < img->ph_cnt; i++) {
		const Elf64_Phdr *ph = &img->ph[i];
		if (ph->p_type != PT_NOTE || ph->p_filesz > 4096)
			continue;
		uint8_t a[4096], b[4096];
		if (obj_img_read(img, ph->p_offset, b, ph->p_filesz))
			continue;
		obj_proc_code(p, m->pub.bias + ph->p_vaddr, a, ph->p_filesz);
		if (memcmp(a, b, ph->p_filesz))
			return false;
	}
	return true;
}

static int try_fd(struct obj_proc *p, const struct obj_mod *m, int fd, struct obj_img *ret)
{
	int rc = obj_img_open_fd(fd, ret);
	if (rc)
		return rc;
	if (is_its_file(m, ret) && same_build_id(p, m, ret))
		return 0;
	obj_img_deinit(ret);
	return -ESTALE;
}

static int try_path(struct obj_proc *p, const struct obj_mod *m, const char *path, struct obj_img *ret)
{
	int fd = host_open_regular(path);
	return fd < 0 ? fd : try_fd(p, m, fd, ret);
}

/* The kernel opens these to few; who may open the process's memory knows the file by its name. */
static int try_map(struct obj_proc *p, const struct obj_mod *m, const struct obj_map *map, struct obj_img *ret)
{
	char path[128];
	bool helped;
	if (p->is_helped) {
		int fd = obj_procfile_open(p->pid, OBJ_FILE_MAPPED, map->start, map->end, &helped);
		return fd < 0 ? fd : try_fd(p, m, fd, ret);
	}
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", p->pid, (unsigned long long)map->start,
		 (unsigned long long)map->end);
	return try_path(p, m, path, ret);
}

static int try_map_files(struct obj_proc *p, const struct obj_mod *m, struct obj_img *ret)
{
	for (uint32_t i = 0; i < p->map_cnt; i++) {
		if (p->maps[i].start != m->pub.start)
			continue;
		return try_map(p, m, &p->maps[i], ret);
	}
	return -ENOENT;
}

int obj_module_open(const struct obj_proc *p, const struct obj_module *m)
{
	bool helped;
	for (uint32_t i = 0; p->is_helped && i < p->map_cnt; i++)
		if (p->maps[i].start == m->start)
			return obj_procfile_open(p->pid, OBJ_FILE_MAPPED, m->start, p->maps[i].end, &helped);
	return -ENOENT;
}

static uint64_t image_bytes(const struct obj_mod *m, const Elf64_Phdr *ph, uint32_t cnt)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < cnt; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset + ph[i].p_filesz > end)
			end = ph[i].p_offset + ph[i].p_filesz;
	/* The vDSO's section headers are mapped behind its segment. */
	if (m->pub.is_vdso && end < m->pub.end - m->pub.start)
		end = m->pub.end - m->pub.start;
	return end <= 1u << 30 ? end : 0;
}

static int from_memory(struct obj_proc *p, const struct obj_mod *m, struct obj_img *ret)
{
	const Elf64_Phdr *ph = (const void *)(m->note + sizeof(Elf64_Ehdr));
	uint32_t cnt = (m->note_bytes - (uint32_t)sizeof(Elf64_Ehdr)) / (uint32_t)sizeof(*ph);
	uint64_t bytes = image_bytes(m, ph, cnt);
	uint8_t *mem = bytes ? calloc(1, bytes) : NULL;
	if (!mem)
		return bytes ? -ENOMEM : -ENOEXEC;
	for (uint32_t i = 0; i < cnt; i++) {
		if (ph[i].p_type != PT_LOAD || ph[i].p_offset > bytes)
			continue;
		uint64_t room = bytes - ph[i].p_offset, n = m->pub.is_vdso || ph[i].p_filesz > room ? room : ph[i].p_filesz;
		obj_proc_read(p, m->pub.bias + ph[i].p_vaddr, mem + ph[i].p_offset, n);
	}
	if (!m->pub.is_vdso)
		((Elf64_Ehdr *)mem)->e_shoff = 0;
	int rc = obj_img_open_mem(mem, bytes, ret);
	if (!rc)
		ret->from_proc = !m->pub.is_vdso;
	return rc;
}

int obj_mod_image(struct obj_proc *p, struct obj_mod *m, struct obj_img *ret, struct err *reterr)
{
	char path[PATH_MAX + 64];
	int rc = -ENOENT;
	if (obj_pool_take(m, ret))
		return 0;
	if (!m->pub.is_vdso) {
		rc = try_map_files(p, m, ret);
		if (rc) {
			snprintf(path, sizeof(path), "/proc/%d/root%s", p->pid, m->pub.path);
			rc = try_path(p, m, path, ret);
		}
		if (rc && m->pub.is_exe) {
			snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
			rc = try_path(p, m, path, ret);
		}
		if (rc)
			rc = try_path(p, m, m->pub.path, ret);
	}
	if (!rc)
		ret->owner = m;
	if (rc)
		rc = from_memory(p, m, ret);
	return rc ? err_setf(reterr, rc, "cannot read %s of process %d: %s", m->pub.path, p->pid, strerror(-rc)) : 0;
}

static int text_image(struct obj_proc *p, struct obj_mod *m)
{
	int rc = m->has_text ? 0 : obj_mod_image(p, m, &m->text, NULL);
	m->has_text = !rc;
	return rc;
}

int obj_module_text(struct obj_proc *p, struct obj_module *mod, uint64_t addr, void *buf, size_t bytes)
{
	struct obj_mod *m = obj_mod(mod);
	uint64_t off, left;
	int rc = text_image(p, m);
	if (rc)
		return rc;
	if (obj_img_off(&m->text, addr - mod->bias, &off, &left) || left < bytes)
		return -EFAULT;
	return obj_img_read(&m->text, off, buf, bytes);
}

uint64_t obj_module_gap(struct obj_proc *p, struct obj_module *mod, uint64_t addr)
{
	struct obj_mod *m = obj_mod(mod);
	uint64_t vaddr = addr - mod->bias, next = UINT64_MAX, off, left;
	bool is_end = false;
	for (uint32_t i = 0; !text_image(p, m) && i < m->text.sh_cnt; i++) {
		const Elf64_Shdr *sh = &m->text.sh[i];
		if (!(sh->sh_flags & SHF_ALLOC) || !sh->sh_size)
			continue;
		if (sh->sh_addr < vaddr && sh->sh_addr + sh->sh_size > vaddr)
			return 0;
		is_end |= (sh->sh_flags & SHF_EXECINSTR) && sh->sh_addr + sh->sh_size == vaddr;
		if (sh->sh_addr >= vaddr && sh->sh_addr < next)
			next = sh->sh_addr;
	}
	/* What the file does not hold nobody could put back. */
	if (!is_end || obj_img_off(&m->text, vaddr, &off, &left))
		return 0;
	return next - vaddr < left ? next - vaddr : left;
}

uint32_t obj_module_build_id(struct obj_proc *p, struct obj_module *mod, uint8_t ret[OBJ_LINES_ID_MAX])
{
	struct obj_mod *m = obj_mod(mod);
	if (!m->has_text && !obj_mod_image(p, m, &m->text, NULL))
		m->has_text = true;
	return m->has_text ? obj_img_build_id(&m->text, ret) : 0;
}
