/* SPDX-License-Identifier: MIT */
/* Which modules a description's module part means. */
#include "probe/probe_int.h"

#include <ctype.h>
#include <string.h>

enum rank { RANK_NONE, RANK_VERSION, RANK_PART, RANK_WHOLE };

/* "libc" of "libc.so.6", "libc-2.31" of "libc-2.31.so", "libc" of that. */
static bool part_matches(const char *pattern, const char *name)
{
	char part[256];
	size_t len = strlen(name);
	if (len >= sizeof(part))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (name[i] != '.' && (name[i] != '-' || !isdigit((unsigned char)name[i + 1])))
			continue;
		memcpy(part, name, i);
		part[i] = 0;
		if (obj_glob(pattern, part))
			return true;
	}
	return false;
}

/* "libc.so.1" means libc.so.6 where there is no other: so people write it for Solaris. */
static bool matches_unversioned(const char *pattern, const struct obj_module *mod)
{
	char stem[256];
	const char *so = strstr(pattern, ".so");
	size_t len = so ? (size_t)(so - pattern) : strlen(pattern);
	if (len >= sizeof(stem) || (so && so[3] && so[3] != '.'))
		return false;
	memcpy(stem, pattern, len);
	stem[len] = 0;
	/* musl's loader is its C library. */
	if (!strcmp(stem, "libc") && !strncmp(mod->name, "ld-musl", 7))
		return true;
	return so && part_matches(stem, mod->name);
}

int pid_mod_rank(const char *pattern, const struct obj_module *mod)
{
	/* What a tracer has mapped is not the program's. */
	if (!mod->end || !strncmp(mod->path, "/memfd:dyntrace-", 16))
		return RANK_NONE;
	/* Who says "all modules" means those that are files. */
	if (mod->is_vdso)
		return strcmp(pattern, mod->name) ? RANK_NONE : RANK_WHOLE;
	if (!*pattern || (mod->is_exe && !strcmp(pattern, "a.out")) || obj_glob(pattern, mod->name))
		return RANK_WHOLE;
	if (mod->run_as && obj_glob(pattern, mod->run_as))
		return RANK_WHOLE;
	if (strchr(pattern, '/') && obj_glob(pattern, mod->path))
		return RANK_WHOLE;
	if (part_matches(pattern, mod->name))
		return RANK_PART;
	return matches_unversioned(pattern, mod) ? RANK_VERSION : RANK_NONE;
}

int pid_mod_best(const char *pattern, const struct obj_proc *proc)
{
	int best = RANK_NONE;
	for (uint32_t i = 0; i < obj_module_cnt(proc); i++) {
		int rank = pid_mod_rank(pattern, obj_module_at(proc, i));
		best = rank > best ? rank : best;
	}
	return best;
}

bool probe_module_meant(const char *pattern, const struct obj_proc *proc, const struct obj_module *mod)
{
	int rank = pid_mod_rank(pattern, mod);
	return rank && rank == pid_mod_best(pattern, proc);
}
