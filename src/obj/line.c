/* SPDX-License-Identifier: MIT */
/* Source files and lines of a file's code, inlined calls too; by libdw, which finds separate debug files. */
#include "obj/obj_int.h"

#include "host/debuginfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct obj_lines {
	Dwfl *dwfl;
	Dwfl_Module *mod;
	struct host_debuginfo debuginfo;
	char **names; /* demangled, handed out */
	uint32_t name_cnt;
};

int obj_lines_open(const char *path, struct obj_lines **ret)
{
	struct obj_lines *l = calloc(1, sizeof(*l));
	Dwarf_Addr bias;
	if (!l)
		return -ENOMEM;
	l->dwfl = dwfl_begin(host_debuginfo_callbacks());
	l->mod = l->dwfl ? host_debuginfo_report(l->dwfl, "m", path, &l->debuginfo) : NULL;
	if (l->mod && (host_debuginfo_dwarf(l->mod, &l->debuginfo, &bias) || !dwfl_module_getdwarf(l->mod, &bias))) {
		*ret = l;
		return 0;
	}
	obj_lines_close(l);
	return -ENOENT;
}

void obj_lines_close(struct obj_lines *l)
{
	if (!l)
		return;
	if (l->dwfl)
		dwfl_end(l->dwfl);
	for (uint32_t i = 0; i < l->name_cnt; i++)
		free(l->names[i]);
	free(l->names);
	free(l);
}

uint32_t obj_lines_build_id(struct obj_lines *l, uint8_t ret[OBJ_LINES_ID_MAX])
{
	const unsigned char *bits;
	GElf_Addr addr;
	GElf_Addr bias;
	if (!dwfl_module_getelf(l->mod, &bias))
		return 0;
	int n = dwfl_module_build_id(l->mod, &bits, &addr);
	if (n <= 0 || n > OBJ_LINES_ID_MAX)
		return 0;
	memcpy(ret, bits, (size_t)n);
	return (uint32_t)n;
}

static const char *keep(struct obj_lines *l, char *name, const char *otherwise)
{
	char **v = name ? realloc(l->names, (l->name_cnt + 1ul) * sizeof(*v)) : NULL;
	if (!v) {
		free(name);
		return otherwise;
	}
	l->names = v;
	return v[l->name_cnt++] = name;
}

static const char *die_name(struct obj_lines *l, Dwarf_Die *die)
{
	Dwarf_Attribute a;
	const char *link = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &a));
	if (link)
		return keep(l, obj_demangle(link), link);
	return dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &a));
}

static const char *call_file(Dwarf_Die *die, Dwarf_Die *cu, uint32_t *ret_line)
{
	Dwarf_Attribute a;
	Dwarf_Word n;
	Dwarf_Files *files;
	*ret_line = dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &a), &n) ? 0 : (uint32_t)n;
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &a), &n) || dwarf_getsrcfiles(cu, &files, NULL))
		return NULL;
	return dwarf_filesrc(files, n, NULL, NULL);
}

/* The functions that hold the address, from inside out: each inlined one tells where it was called. */
static uint32_t add_scopes(struct obj_lines *l, Dwarf_Die *cu, Dwarf_Die *scopes, int cnt, struct obj_line *ret, uint32_t cap)
{
	const char *file = ret[0].file;
	uint32_t n = 0, line = ret[0].line;
	for (int i = 0; i < cnt && n < cap; i++) {
		int tag = dwarf_tag(&scopes[i]);
		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		ret[n++] = (struct obj_line){ .func = die_name(l, &scopes[i]), .file = file, .line = line,
					      .inlined = tag == DW_TAG_inlined_subroutine };
		if (tag == DW_TAG_subprogram)
			break;
		file = call_file(&scopes[i], cu, &line);
	}
	return n;
}

uint32_t obj_lines_at(struct obj_lines *l, uint64_t vaddr, struct obj_line *ret, uint32_t cap)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = dwfl_module_addrdie(l->mod, vaddr, &bias), *in = NULL, *scopes = NULL;
	Dwfl_Line *dl = dwfl_module_getsrc(l->mod, vaddr);
	int line = 0;
	if (!cu || !cap)
		return 0;
	ret[0] = (struct obj_line){ .file = dl ? dwfl_lineinfo(dl, NULL, &line, NULL, NULL, NULL) : NULL };
	ret[0].line = (uint32_t)line;
	uint32_t n = 0;
	int cnt = dwarf_getscopes(cu, vaddr - bias, &in);
	if (cnt > 0) {
		/* The scopes that enclose it where it stands, not where it was written. */
		cnt = dwarf_getscopes_die(&in[0], &scopes);
		if (cnt > 0)
			n = add_scopes(l, cu, scopes, cnt, ret, cap);
	}
	free(in);
	free(scopes);
	return n ? n : ret[0].file != NULL;
}
