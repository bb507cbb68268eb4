/* SPDX-License-Identifier: MIT */
/*
 * Processes and the modules in them.  A module is found by the ELF header that
 * its first mapping shows in memory, and is as large as the program headers
 * behind it say: so the same file mapped twice, or mapped as mere data,
 * confuses nobody, and it needs no file.
 */
#include "obj/obj_int.h"
#include "obj/maps_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PHDR_MAX 128
#define LOOKAHEAD 16 /* mappings between a module's first and its code */
#define DELETED " (deleted)"

int obj_proc_read(struct obj_proc *p, uint64_t addr, void *buf, size_t bytes)
{
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = pread(p->mem_fd, (char *)buf + done, bytes - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static void read_auxv(struct obj_proc *p)
{
	bool helped;
	int fd = obj_procfile_open(p->pid, OBJ_FILE_AUXV, 0, 0, &helped);
	if (fd < 0)
		return;
	Elf64_auxv_t v[64];
	ssize_t n = read(fd, v, sizeof(v));
	close(fd);
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(v[0]); i++) {
		if (v[i].a_type == AT_BASE)
			p->at_base = v[i].a_un.a_val;
		if (v[i].a_type == AT_PHDR)
			p->at_phdr = v[i].a_un.a_val;
		if (v[i].a_type == AT_EXECFN)
			p->at_execfn = v[i].a_un.a_val;
	}
}

static void read_class(struct obj_proc *p)
{
	unsigned char ident[EI_NIDENT] = { 0 };
	bool helped;
	int fd = obj_procfile_open(p->pid, OBJ_FILE_EXE, 0, 0, &helped);
	p->is_64bit = true;
	if (fd < 0)
		return;
	if (read(fd, ident, sizeof(ident)) == sizeof(ident))
		p->is_64bit = ident[EI_CLASS] == ELFCLASS64;
	close(fd);
}

/* ---- modules ---- */

void obj_mod_destroy(struct obj_mod *m)
{
	if (!m)
		return;
	free(m->pub.name);
	free(m->pub.path);
	free(m->pub.run_as);
	free(m->note);
	free(m->syms);
	free(m->max_end);
	free(m->go_entered);
	for (uint32_t i = 0; i < m->str_cnt; i++)
		free(m->strs[i]);
	obj_frames_deinit(&m->frames);
	free(m->ranges);
	free(m->gots);
	free(m->got_str);
	free(m->usdts);
	free(m->usdt_data);
	free(m->usdt_decls);
	if (m->has_text)
		obj_img_deinit(&m->text);
	obj_pool_forget(m);
	free(m);
}

/* Code among the next mappings of the same file? Reading other memory could
 * even have effects (devices). */
static bool code_follows(const struct obj_proc *p, uint32_t i)
{
	const struct obj_map *first = &p->maps[i];
	for (uint32_t j = i; j < p->map_cnt && j < i + LOOKAHEAD; j++)
		if ((p->maps[j].prot & PROT_EXEC) && p->maps[j].inode == first->inode &&
		    p->devs[j] == p->devs[i] && !strcmp(p->maps[j].path, first->path))
			return true;
	return false;
}

struct header {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDR_MAX];
};

static int read_header(struct obj_proc *p, uint64_t addr, struct header *h)
{
	uint8_t page[4096];
	obj_proc_code(p, addr, page, sizeof(page));
	memcpy(&h->eh, page, sizeof(h->eh));
	if (memcmp(h->eh.e_ident, ELFMAG, SELFMAG) || h->eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->eh.e_machine != EM_X86_64 || (h->eh.e_type != ET_EXEC && h->eh.e_type != ET_DYN) ||
	    !h->eh.e_phnum || h->eh.e_phnum > PHDR_MAX || h->eh.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	uint64_t bytes = h->eh.e_phnum * sizeof(Elf64_Phdr);
	if (h->eh.e_phoff > sizeof(page) || bytes > sizeof(page) - h->eh.e_phoff)
		return obj_proc_read(p, addr + h->eh.e_phoff, h->ph, bytes);
	memcpy(h->ph, page + h->eh.e_phoff, bytes);
	return 0;
}

static bool set_span(struct obj_mod *m, const struct header *h, uint64_t addr)
{
	uint64_t lo = UINT64_MAX, hi = 0;
	for (uint32_t i = 0; i < h->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &h->ph[i];
		if (ph->p_type != PT_LOAD)
			continue;
		if (lo == UINT64_MAX)
			m->pub.bias = addr - align_down(ph->p_vaddr - align_down(ph->p_offset, 4096), 4096);
		lo = ph->p_vaddr < lo ? ph->p_vaddr : lo;
		hi = ph->p_vaddr + ph->p_memsz > hi ? ph->p_vaddr + ph->p_memsz : hi;
	}
	if (lo >= hi || hi - lo > 1ULL << 40)
		return false;
	m->pub.start = m->pub.bias + align_down(lo, 4096);
	m->pub.end = m->pub.bias + align_up(hi, 4096);
	return true;
}

static void set_text(const struct obj_proc *p, struct obj_mod *m)
{
	uint64_t lo = 0, hi = 0;
	for (uint32_t i = 0; i < p->map_cnt; i++) {
		const struct obj_map *a = &p->maps[i];
		if (!(a->prot & PROT_EXEC) || a->start < m->pub.start || a->end > m->pub.end || !a->path[0])
			continue;
		lo = lo ? lo : a->start;
		hi = a->end;
	}
	if (hi) {
		m->pub.text_start = lo;
		m->pub.text_end = hi;
	}
}

static int set_names(struct obj_mod *m, const char *path)
{
	m->pub.is_vdso = !strcmp(path, "[vdso]");
	m->pub.path = strdup(path);
	if (!m->pub.path)
		return -ENOMEM;
	size_t len = strlen(path), del = strlen(DELETED);
	if (len > del && !strcmp(path + len - del, DELETED))
		m->pub.path[len - del] = 0;
	const char *slash = strrchr(m->pub.path, '/');
	/* Its SONAME: brackets would be a glob. */
	m->pub.name = strdup(m->pub.is_vdso ? "linux-vdso.so.1" : slash ? slash + 1 : m->pub.path);
	return m->pub.name ? 0 : -ENOMEM;
}

/* The name that was run (a script's is not its interpreter's, and any may be overwritten): counts where that path leads to the file that
 * runs, by a symbolic link, a hard link or another mount; not where it was renamed, or the process has changed its folder. */
static char *run_as(const struct obj_proc *p, const char *name)
{
	char said[PATH_MAX], path[PATH_MAX + 64], exe[64];
	struct stat a, b;
	ssize_t n = p->at_execfn ? pread(p->mem_fd, said, sizeof(said) - 1, (off_t)p->at_execfn) : 0;
	if (n <= 0)
		return NULL;
	said[n] = 0;
	const char *slash = strrchr(said, '/'), *base = slash ? slash + 1 : said;
	snprintf(path, sizeof(path), "/proc/%d/%s/%s", (int)p->pid, *said == '/' ? "root" : "cwd", said);
	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)p->pid);
	if (!*base || !strcmp(base, name) || stat(path, &a) || stat(exe, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return NULL;
	return strdup(base);
}

static int make_module(struct obj_proc *p, uint32_t i, struct obj_mod **ret)
{
	struct header h;
	if (read_header(p, p->maps[i].start, &h))
		return -ENOENT;
	struct obj_mod *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->dev = p->devs[i];
	m->inode = p->maps[i].inode;
	int rc = set_span(m, &h, p->maps[i].start) ? set_names(m, p->maps[i].path) : -ENOENT;
	set_text(p, m);
	if (!rc && !m->pub.text_end)
		rc = -ENOENT;
	m->note_bytes = (uint32_t)(sizeof(h.eh) + h.eh.e_phnum * sizeof(Elf64_Phdr));
	m->note = malloc(m->note_bytes);
	if (!rc && !m->note)
		rc = -ENOMEM;
	if (rc) {
		obj_mod_destroy(m);
		return rc;
	}
	memcpy(m->note, &h, m->note_bytes);
	m->load_start = m->pub.start;
	m->load_end = m->pub.end;
	m->pub.is_exe = p->at_phdr >= m->pub.start && p->at_phdr < m->pub.end;
	m->pub.is_loader = !m->pub.is_exe && p->at_base && p->at_base == m->pub.start;
	m->pub.run_as = m->pub.is_exe ? run_as(p, m->pub.name) : NULL;
	*ret = m;
	return 0;
}

/* One that was unloaded, and is loaded again to the same place. */
static bool came_back(struct obj_proc *p, struct obj_mod *m)
{
	struct header h;
	if (read_header(p, m->load_start, &h) || m->note_bytes != sizeof(h.eh) + h.eh.e_phnum * sizeof(Elf64_Phdr) ||
	    memcmp(m->note, &h, m->note_bytes))
		return false;
	m->pub.start = m->load_start;
	m->pub.end = m->load_end;
	return true;
}

static struct obj_mod *known_module(struct obj_proc *p, uint32_t i)
{
	const struct obj_map *a = &p->maps[i];
	size_t del = strlen(DELETED), len = strlen(a->path);
	if (len > del && !strcmp(a->path + len - del, DELETED))
		len -= del;
	for (uint32_t k = 0; k < p->mod_cnt; k++) {
		struct obj_mod *m = p->mods[k];
		if (m->load_start == a->start && m->inode == a->inode && m->dev == p->devs[i] &&
		    strlen(m->pub.path) == len && !strncmp(m->pub.path, a->path, len) && (m->pub.end || came_back(p, m)))
			return m;
	}
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	const struct obj_mod *x = *(struct obj_mod *const *)a, *y = *(struct obj_mod *const *)b;
	return x->pub.start < y->pub.start ? -1 : x->pub.start > y->pub.start;
}

static int index_modules(struct obj_proc *p)
{
	struct obj_mod **v = reallocarray(p->by_addr, p->mod_cnt + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->by_addr = v;
	p->live_cnt = 0;
	for (uint32_t i = 0; i < p->mod_cnt; i++)
		if (p->mods[i]->pub.end)
			v[p->live_cnt++] = p->mods[i];
	qsort(v, p->live_cnt, sizeof(*v), by_start);
	return 0;
}

static int add_module(struct obj_proc *p, struct obj_mod *m)
{
	struct obj_mod **v = reallocarray(p->mods, p->mod_cnt + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->mods = v;
	v[p->mod_cnt++] = m;
	return 0;
}

/* What we mapped there ourselves is nobody's module: a probe on it would meet itself. */
static bool is_ours(const struct obj_map *m)
{
	static const char name[] = "/memfd:dyntrace-";
	return !strncmp(m->path, name, sizeof(name) - 1);
}

static int find_modules(struct obj_proc *p)
{
	for (uint32_t k = 0; k < p->mod_cnt; k++)
		p->mods[k]->was_seen = false;
	for (uint32_t i = 0; i < p->map_cnt; i++) {
		const struct obj_map *a = &p->maps[i];
		if (a->off || !(a->prot & PROT_READ) || (a->path[0] != '/' && strcmp(a->path, "[vdso]")) ||
		    is_ours(a) || !code_follows(p, i))
			continue;
		struct obj_mod *m = known_module(p, i);
		if (m) {
			set_text(p, m);
			m->was_seen = true;
			continue;
		}
		int rc = make_module(p, i, &m);
		if (rc == -ENOENT)
			continue;
		if (!rc)
			rc = add_module(p, m);
		if (rc)
			return rc;
		m->was_seen = true;
	}
	for (uint32_t k = 0; k < p->mod_cnt; k++)
		if (!p->mods[k]->was_seen)
			p->mods[k]->pub.start = p->mods[k]->pub.end = 0;
	return index_modules(p);
}

/* ---- processes ---- */

static int access_err(pid_t pid, int code, struct err *reterr)
{
	switch (code) {
	case -ENOENT:
	case -ESRCH:
		return err_setf(reterr, -ESRCH, "there is no process %d", pid);
	case -EPERM:
	case -EACCES:
		return err_setf(reterr, -EPERM, "not permitted to read process %d: run as its user (and if it is not "
				"dumpable, or kernel.yama.ptrace_scope is set, with CAP_SYS_PTRACE)", pid);
	}
	return err_setf(reterr, code, "cannot read the memory map of process %d: %s", pid, strerror(-code));
}

int obj_proc_refresh(struct obj_proc *p, struct err *reterr)
{
	struct obj_map *maps;
	uint64_t *devs;
	uint32_t cnt;
	int fd, rc = obj_maps_read(p->pid, &maps, &devs, &cnt);
	if (!rc && !cnt) {
		obj_maps_free(maps, devs, cnt);
		return err_setf(reterr, -ESRCH, "process %d has no memory: it has ended or is a kernel thread", p->pid);
	}
	if (rc)
		return access_err(p->pid, rc, reterr);
	/* Opened anew: after an exec the old descriptor shows the old memory. */
	bool helped;
	fd = obj_procfile_open(p->pid, OBJ_FILE_MEM, 0, 0, &helped);
	if (fd < 0) {
		obj_maps_free(maps, devs, cnt);
		return access_err(p->pid, fd, reterr);
	}
	p->is_helped = helped;
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	p->mem_fd = fd;
	obj_maps_free(p->maps, p->devs, p->map_cnt);
	p->maps = maps;
	p->devs = devs;
	p->map_cnt = cnt;
	read_auxv(p);
	read_class(p);
	rc = find_modules(p);
	return rc ? err_setf(reterr, rc, "cannot find the modules of process %d: %s", p->pid, strerror(-rc)) : 0;
}

int obj_proc_mem(const struct obj_proc *p)
{
	int fd = fcntl(p->mem_fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int obj_proc_open(pid_t pid, struct obj_proc **ret, struct err *reterr)
{
	struct obj_proc *p = calloc(1, sizeof(*p));
	if (!p)
		return err_setf(reterr, -ENOMEM, "out of memory");
	p->pid = pid;
	p->mem_fd = -1;
	int rc = obj_proc_refresh(p, reterr);
	if (rc) {
		obj_proc_close(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void obj_proc_close(struct obj_proc *p)
{
	if (!p)
		return;
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	obj_maps_free(p->maps, p->devs, p->map_cnt);
	for (uint32_t i = 0; i < p->mod_cnt; i++)
		obj_mod_destroy(p->mods[i]);
	free(p->mods);
	free(p->by_addr);
	free(p);
}

uint32_t obj_map_cnt(const struct obj_proc *p) { return p->map_cnt; }
const struct obj_map *obj_map_at(const struct obj_proc *p, uint32_t i) { return &p->maps[i]; }
uint32_t obj_module_cnt(const struct obj_proc *p) { return p->mod_cnt; }
struct obj_module *obj_module_at(const struct obj_proc *p, uint32_t i) { return &p->mods[i]->pub; }
bool obj_proc_is_64bit(const struct obj_proc *p) { return p->is_64bit; }
pid_t obj_proc_pid(const struct obj_proc *p) { return p->pid; }

struct obj_module *obj_module_by_addr(const struct obj_proc *p, uint64_t addr)
{
	uint32_t lo = 0, hi = p->live_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (p->by_addr[mid]->pub.start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Modules may lie in each other's gaps: look at some before it. */
	for (uint32_t i = lo; i-- > 0 && lo - i <= 4;)
		if (addr < p->by_addr[i]->pub.end)
			return &p->by_addr[i]->pub;
	return NULL;
}
