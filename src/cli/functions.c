/* SPDX-License-Identifier: MIT */
/* list-functions FILE [GLOB]: what a program or library has that could be probed. */
#include "cli/record/record_int.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct names {
	char **v;
	uint32_t cnt, cap;
};

static bool add(struct names *n, const char *name)
{
	if (n->cnt == n->cap) {
		char **v = realloc(n->v, (n->cap * 2ul + 256) * sizeof(*v));
		if (!v)
			return false;
		n->v = v;
		n->cap = n->cap * 2 + 256;
	}
	/* libfoo's f@@VERSION is f. */
	n->v[n->cnt] = strndup(name, strcspn(name, "@"));
	return n->v[n->cnt] && ++n->cnt;
}

static bool add_section(Elf *elf, Elf_Scn *scn, const GElf_Shdr *sh, struct names *n)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	bool ok = true;
	for (size_t i = 0; data && sh->sh_entsize && i < sh->sh_size / sh->sh_entsize && ok; i++) {
		GElf_Sym sym;
		if (!gelf_getsym(data, (int)i, &sym) || sym.st_shndx == SHN_UNDEF)
			continue;
		int type = GELF_ST_TYPE(sym.st_info);
		const char *name = elf_strptr(elf, sh->sh_link, sym.st_name);
		if ((type == STT_FUNC || type == STT_GNU_IFUNC) && name && *name)
			ok = add(n, name);
	}
	return ok;
}

static bool read_names(Elf *elf, struct names *n)
{
	GElf_Shdr sh;
	bool ok = true;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn)) && ok;)
		if (gelf_getshdr(scn, &sh) && (sh.sh_type == SHT_SYMTAB || sh.sh_type == SHT_DYNSYM))
			ok = add_section(elf, scn, &sh, n);
	return ok;
}

static bool add_go(void *names, const char *name) { return add(names, name); }

static int cmp_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void show(struct names *n, const char *glob)
{
	if (n->cnt)
		qsort(n->v, n->cnt, sizeof(*n->v), cmp_name);
	for (uint32_t i = 0; i < n->cnt; i++)
		if ((!i || strcmp(n->v[i], n->v[i - 1])) && (!glob || obj_name_matches(glob, n->v[i])))
			puts(n->v[i]);
	for (uint32_t i = 0; i < n->cnt; i++)
		free(n->v[i]);
	free(n->v);
}

int cli_functions_main(int argc, char **argv)
{
	struct names n = { 0 };
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		printf("Usage: %s list-functions FILE [GLOB]\n", cli_name);
		return CLI_OK;
	}
	if (argc < 2 || argc > 3 || (argv[1][0] == '-' && argv[1][1])) {
		fprintf(stderr, "Usage: %s list-functions FILE [GLOB]\n", cli_name);
		return CLI_USAGE;
	}
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		cli_error("cannot open %s: %s%s", argv[1], strerror(errno), argv[1][strspn(argv[1], "0123456789")] ? "" :
			  "; list-symbols lists those of a process");
		return CLI_ERROR;
	}
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	bool is_elf = elf && elf_kind(elf) == ELF_K_ELF, ok = is_elf && read_names(elf, &n);
	elf_end(elf);
	if (ok) /* Go's, also of a program without symbols */
		obj_file_go_names(fd, add_go, &n);
	close(fd);
	if (!is_elf)
		cli_error("%s is neither a program nor a library", argv[1]);
	else if (!n.cnt)
		cli_error("%s has no symbols of functions", argv[1]);
	show(&n, argc > 2 ? argv[2] : NULL);
	return ok && n.cnt && !fflush(stdout) ? CLI_OK : CLI_ERROR;
}
