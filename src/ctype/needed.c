/* SPDX-License-Identifier: MIT */
/*
 * Libraries that a program will load: what the loader does, as far as types need
 * it. A program that was just started has only itself and its loader mapped.
 */
#include "ctype/ctype_int.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODS_MAX 512

/* Where Debian, Fedora and musl keep libraries; ld.so.conf mostly repeats these. */
static const char *const places[] = {
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
	"/usr/local/lib", "/usr/local/lib/x86_64-linux-gnu",
};

static bool add_file(struct ctype_db *db, const char *root, const char *dir, const char *name)
{
	char file[PATH_MAX];
	size_t skip = strlen(root);
	if (snprintf(file, sizeof(file), "%s%s/%s", root, dir, name) >= (int)sizeof(file) || access(file, R_OK))
		return false;
	ctype_add_module(db, &(struct ctype_module){ .name = name, .path = file + skip, .file = file });
	return true;
}

/* A list of folders, with $ORIGIN. */
static bool add_from(struct ctype_db *db, const char *root, const char *list, const char *origin, const char *name)
{
	for (const char *s = list, *end; s && *s; s = *end ? end + 1 : end) {
		char dir[PATH_MAX];
		end = strchrnul(s, ':');
		int skip = !strncmp(s, "$ORIGIN", 7) ? 7 : !strncmp(s, "${ORIGIN}", 9) ? 9 : 0;
		snprintf(dir, sizeof(dir), "%s%.*s", skip ? origin : "", (int)(end - s) - skip, s + skip);
		if (add_file(db, root, dir, name))
			return true;
	}
	return false;
}

static bool is_known(const struct ctype_db *db, const char *name)
{
	for (uint32_t i = 0; i < db->mod_cnt; i++)
		if (!strcmp(db->mods[i]->pub.name, name))
			return true;
	return false;
}

struct dyn {
	GElf_Dyn *v;
	size_t cnt;
	size_t strs; /* section with the names */
	Elf *elf;
};

static const char *dyn_str(const struct dyn *d, int64_t tag, size_t *at)
{
	for (; *at < d->cnt; ++*at)
		if (d->v[*at].d_tag == tag)
			return elf_strptr(d->elf, d->strs, d->v[(*at)++].d_un.d_val);
	return NULL;
}

static bool load_dyn(Elf *elf, struct dyn *ret)
{
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNAMIC || !sh.sh_entsize)
			continue;
		Elf_Data *data = elf_getdata(scn, NULL);
		*ret = (struct dyn){ .cnt = sh.sh_size / sh.sh_entsize, .strs = sh.sh_link, .elf = elf };
		ret->v = data ? calloc(ret->cnt + 1, sizeof(*ret->v)) : NULL;
		for (size_t i = 0; ret->v && i < ret->cnt; i++)
			gelf_getdyn(data, (int)i, &ret->v[i]);
		return ret->v != NULL;
	}
	return false;
}

static void add_needed_of(struct ctype_db *db, const char *root, struct ctype_mod *m)
{
	GElf_Addr bias;
	Dwfl_Module *mod = ctype_mod_elf(db, m);
	Elf *elf = mod ? dwfl_module_getelf(mod, &bias) : NULL;
	struct dyn d;
	char origin[PATH_MAX];
	if (!elf || !load_dyn(elf, &d))
		return;
	snprintf(origin, sizeof(origin), "%s", m->pub.path);
	dirname(origin);
	size_t at = 0;
	const char *run = dyn_str(&d, DT_RUNPATH, &at);
	at = 0;
	if (!run)
		run = dyn_str(&d, DT_RPATH, &at);
	at = 0;
	for (const char *name; (name = dyn_str(&d, DT_NEEDED, &at));) {
		if (strchr(name, '/') || is_known(db, name) || add_from(db, root, run, origin, name) ||
		    add_from(db, root, getenv("LD_LIBRARY_PATH"), origin, name))
			continue;
		for (size_t i = 0; i < ARRAY_CNT(places) && !add_file(db, root, places[i], name); i++)
			;
	}
	free(d.v);
}

int ctype_add_needed(struct ctype_db *db, const char *root)
{
	for (uint32_t i = 0; i < db->mod_cnt && i < MODS_MAX; i++)
		add_needed_of(db, root ? root : "", db->mods[i]);
	return 0;
}
