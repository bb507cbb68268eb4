/* SPDX-License-Identifier: MIT */
/* By build-id, by .gnu_debuglink, by .gnu_debugaltlink (gdb manual, "Separate Debug Files"; dwz(1)). */
#include "host/debuginfo.h"

#include "host/host.h"

#include <elfutils/libdwelf.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE "/usr/lib/debug"
#define DWZ "/.dwz/"

static bool crc_is(int fd, uint32_t want)
{
	uint8_t buf[65536];
	uint32_t crc = 0;
	uint64_t off = 0;
	for (ssize_t n; (n = pread(fd, buf, sizeof(buf), (off_t)off)) > 0; off += (uint64_t)n)
		crc = lzma_crc32(buf, (size_t)n, crc);
	return off && crc == want;
}

static bool id_is(int fd, const unsigned char *id, int bytes)
{
	const void *got;
	Elf *e = bytes > 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
	bool same = e && dwelf_elf_gnu_build_id(e, &got) == bytes && !memcmp(got, id, (size_t)bytes);
	elf_end(e);
	return same;
}

struct wanted {
	const char *root, *file; /* @file: without @root */
	const unsigned char *id;
	int id_bytes;
	const char *link;
	uint32_t crc;
};

static int try(const struct wanted *w, const char *path, bool by_id)
{
	int fd = host_open_regular(path);
	if (fd < 0 || id_is(fd, w->id, w->id_bytes) || (!by_id && crc_is(fd, w->crc)))
		return fd;
	close(fd);
	return -1;
}

static int by_id(const struct wanted *w, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s" TREE "/.build-id/", w->root);
	for (int i = 0; i < w->id_bytes && n < PATH_MAX - 16; i++)
		n += snprintf(path + n, (size_t)(PATH_MAX - n), i ? "%02x" : "%02x/", w->id[i]);
	snprintf(path + n, (size_t)(PATH_MAX - n), ".debug");
	return w->id_bytes > 0 ? try(w, path, true) : -1;
}

static int by_link(const struct wanted *w, char path[PATH_MAX])
{
	static const char *const middle[] = { "", "", TREE }, *const behind[] = { "", "/.debug", "" };
	const char *slash = strrchr(w->file, '/');
	int fd = -1, dir = slash ? (int)(slash - w->file) : 0;
	for (size_t i = 0; w->link && i < ARRAY_CNT(middle) && fd < 0; i++) {
		snprintf(path, PATH_MAX, "%s%s%.*s%s/%s", w->root, middle[i], dir, w->file, behind[i], w->link);
		fd = try(w, path, false);
	}
	return fd;
}

/* It stands in such a tree in any case, by whichever way the name leads there. */
static int by_alt(const char *root, const char *name, char path[PATH_MAX])
{
	const char *dwz = strstr(name, DWZ);
	if (!dwz || strstr(dwz, "/../"))
		return -1;
	snprintf(path, PATH_MAX, "%s" TREE "%s", root, dwz);
	return host_open_regular(path);
}

static int find(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, const char *file, const char *link, GElf_Word crc,
		char **ret_path)
{
	struct host_debuginfo *d = *userdata;
	const char *roots[] = { d && d->root ? d->root : "", "" };
	char path[PATH_MAX];
	int fd = -1;
	bool alt = link && strchr(link, '/');
	struct wanted w = { .link = alt ? NULL : link, .crc = crc };
	GElf_Addr at;
	w.id_bytes = dwfl_module_build_id(mod, &w.id, &at);
	for (size_t i = *roots[0] ? 0 : 1; i < ARRAY_CNT(roots) && fd < 0; i++) {
		size_t n = strlen(roots[0]);
		w.root = roots[i];
		w.file = !file ? "" : !strncmp(file, roots[0], n) ? file + n : file;
		fd = alt ? by_alt(w.root, link, path) : by_id(&w, path);
		if (fd < 0 && !alt)
			fd = by_link(&w, path);
	}
	if (alt && fd >= 0 && d)
		d->has_alt = true;
	if (fd < 0)
		return alt ? -1 : dwfl_standard_find_debuginfo(mod, userdata, name, base, file, w.link, crc, ret_path);
	*ret_path = strdup(path);
	return fd;
}

const Dwfl_Callbacks *host_debuginfo_callbacks(void)
{
	static char tree[] = "+" TREE, *trees = tree; /* folders that are named relative to the file are not libdwfl's to look in */
	static const Dwfl_Callbacks c = { .find_elf = dwfl_build_id_find_elf, .find_debuginfo = find,
					  .section_address = dwfl_offline_section_address, .debuginfo_path = &trees };
	return &c;
}

Dwfl_Module *host_debuginfo_report(Dwfl *dwfl, const char *name, const char *file, struct host_debuginfo *d)
{
	struct stat st;
	void **userdata;
	int fd = host_open_regular(file);
	if (fd < 0)
		return NULL;
	d->is_trusted = !fstat(fd, &st) && (!st.st_uid || st.st_uid == geteuid());
	dwfl_report_begin(dwfl);
	Dwfl_Module *mod = dwfl_report_elf(dwfl, name, file, fd, 0, true);
	dwfl_report_end(dwfl, NULL, NULL);
	if (!mod) {
		close(fd);
		return NULL;
	}
	dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = d;
	return mod;
}

Dwarf *host_debuginfo_dwarf(Dwfl_Module *mod, const struct host_debuginfo *d, Dwarf_Addr *bias)
{
	const char *name;
	const void *id;
	Dwarf *dw = dwfl_module_getdwarf(mod, bias);
	bool names_alt = dw && dwelf_dwarf_gnu_debugaltlink(dw, &name, &id) > 0;
	return names_alt && !d->has_alt && !d->is_trusted ? NULL : dw;
}
