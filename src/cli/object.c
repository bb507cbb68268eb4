/* SPDX-License-Identifier: MIT */
/*
 * -G: an object for builds that link one.  The probes are in the other objects
 * already; this one has notes that say what their arguments mean (obj/usdt.c).
 */
#include "cli/cli_int.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int class_of(const char *path, unsigned char *ret)
{
	unsigned char ident[EI_NIDENT] = { 0 };
	FILE *fp = fopen(path, "re");
	if (!fp) {
		cli_error("failed to open %s: %s", path, strerror(errno));
		return CLI_ERROR;
	}
	size_t n = fread(ident, 1, sizeof(ident), fp);
	fclose(fp);
	if (n != sizeof(ident) || memcmp(ident, ELFMAG, SELFMAG)) {
		cli_error("%s is not an ELF file", path);
		return CLI_ERROR;
	}
	*ret = ident[EI_CLASS];
	return CLI_OK;
}

int cli_object_class(char *const *files, bool *ret_is_32)
{
	unsigned char first = ELFCLASS64, class;
	for (uint32_t i = 0; files[i]; i++) {
		if (class_of(files[i], &class))
			return CLI_ERROR;
		first = i ? first : class;
		if (class == first)
			continue;
		cli_error("incorrect ELF class for object file: %s is for %s bits, %s for %s", files[i],
			  class == ELFCLASS64 ? "64" : "32", files[0], first == ELFCLASS64 ? "64" : "32");
		return CLI_ERROR;
	}
	*ret_is_32 = first == ELFCLASS32;
	return CLI_OK;
}

/* ---- notes ---- */

static void put(FILE *fp, const void *data, size_t bytes)
{
	static const char zeros[4];
	fwrite(data, bytes, 1, fp);
	fwrite(zeros, align_up(bytes, 4) - bytes, 1, fp);
}

/* As in the C names of notes: a dash is two underscores. */
static void put_name(FILE *fp, const char *s)
{
	for (; *s; s++)
		fputs(*s == '-' ? "__" : (char[]){ *s, 0 }, fp);
	putc(0, fp);
}

static int put_note(void *arg, const char *prov, const char *probe, const struct d_probe_out *outs, uint32_t cnt)
{
	FILE *fp = arg;
	char *desc = NULL;
	size_t bytes = 0;
	FILE *to = cnt ? open_memstream(&desc, &bytes) : NULL;
	if (!cnt)
		return 0;
	if (!to)
		return -ENOMEM;
	put_name(to, prov);
	put_name(to, probe);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(to, "%u %s%c", outs[i].native, outs[i].type, 0);
	fclose(to);
	const Elf64_Nhdr nh = { sizeof("dyntrace"), (Elf64_Word)bytes, 1 };
	put(fp, &nh, sizeof(nh));
	put(fp, "dyntrace", sizeof("dyntrace"));
	put(fp, desc, bytes);
	free(desc);
	return 0;
}

/* ---- the file ---- */

static const char names[] = "\0.shstrtab\0.note.GNU-stack\0.note.dyntrace";
enum { NAME_STRS = 1, NAME_STACK = 11, NAME_NOTES = 27, SECTION_CNT = 4 };

static void put_64(FILE *fp, uint64_t note_bytes)
{
	uint64_t strs = sizeof(Elf64_Ehdr) + SECTION_CNT * sizeof(Elf64_Shdr), notes = align_up(strs + sizeof(names), 4);
	const Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_REL,
		.e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_shoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = SECTION_CNT, .e_shstrndx = 1,
	};
	const Elf64_Shdr sh[SECTION_CNT] = {
		[1] = { .sh_name = NAME_STRS, .sh_type = SHT_STRTAB, .sh_offset = strs, .sh_size = sizeof(names), .sh_addralign = 1 },
		[2] = { .sh_name = NAME_STACK, .sh_type = SHT_PROGBITS, .sh_offset = strs, .sh_addralign = 1 },
		[3] = { .sh_name = NAME_NOTES, .sh_type = SHT_NOTE, .sh_offset = notes, .sh_size = note_bytes, .sh_addralign = 4 },
	};
	fwrite(&eh, sizeof(eh), 1, fp);
	fwrite(sh, sizeof(sh), 1, fp);
}

static void put_32(FILE *fp, uint64_t note_bytes)
{
	uint32_t strs = sizeof(Elf32_Ehdr) + SECTION_CNT * sizeof(Elf32_Shdr), notes = (uint32_t)align_up(strs + sizeof(names), 4);
	const Elf32_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_REL,
		.e_machine = EM_386, .e_version = EV_CURRENT, .e_shoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_shentsize = sizeof(Elf32_Shdr), .e_shnum = SECTION_CNT, .e_shstrndx = 1,
	};
	const Elf32_Shdr sh[SECTION_CNT] = {
		[1] = { .sh_name = NAME_STRS, .sh_type = SHT_STRTAB, .sh_offset = strs, .sh_size = sizeof(names), .sh_addralign = 1 },
		[2] = { .sh_name = NAME_STACK, .sh_type = SHT_PROGBITS, .sh_offset = strs, .sh_addralign = 1 },
		[3] = { .sh_name = NAME_NOTES, .sh_type = SHT_NOTE, .sh_offset = notes, .sh_size = (uint32_t)note_bytes,
			.sh_addralign = 4 },
	};
	fwrite(&eh, sizeof(eh), 1, fp);
	fwrite(sh, sizeof(sh), 1, fp);
}

bool cli_object_write(struct cli *cli, FILE *fp, bool is_32)
{
	char *notes = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&notes, &bytes);
	bool ok = to && !d_providers_outs_each(cli->d, put_note, to);
	if (to && fclose(to))
		ok = false;
	if (ok) {
		(is_32 ? put_32 : put_64)(fp, bytes);
		put(fp, names, sizeof(names));
		fwrite(notes, bytes, 1, fp);
	}
	free(notes);
	return ok && !ferror(fp);
}
