/* SPDX-License-Identifier: MIT */
/*
 * -G: an object for builds that link one.  Probes of -h's headers are in the other objects already; this one has notes
 * that say what their arguments mean (obj/usdt.c), and the notes of probes that are calls there (sites.c).
 */
#include "cli/cli_int.h"
#include "cli/sites.h"

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

struct part {
	const char *name;
	uint32_t type, align, link, info, entsize;
	const void *data;
	uint64_t bytes;
};

/* Each section's place is that of its data; names and data follow the table of sections. */
static void put_64(FILE *fp, const struct part *parts, uint32_t cnt)
{
	Elf64_Shdr sh[10] = { 0 };
	uint64_t strs_bytes = 1, at = sizeof(Elf64_Ehdr) + (cnt + 2) * sizeof(*sh);
	const Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_REL,
		.e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_shoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_shentsize = sizeof(*sh), .e_shnum = (uint16_t)(cnt + 2), .e_shstrndx = (uint16_t)(cnt + 1),
	};
	for (uint32_t i = 0; i < cnt; i++) {
		const struct part *p = &parts[i];
		sh[i + 1] = (Elf64_Shdr){ .sh_name = (Elf64_Word)strs_bytes, .sh_type = p->type, .sh_offset = at, .sh_size = p->bytes,
					  .sh_link = p->link, .sh_info = p->info, .sh_addralign = p->align, .sh_entsize = p->entsize };
		strs_bytes += strlen(p->name) + 1;
		at += align_up(p->bytes, 8);
	}
	sh[cnt + 1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = strs_bytes, .sh_addralign = 1 };
	fwrite(&eh, sizeof(eh), 1, fp);
	fwrite(sh, sizeof(*sh), cnt + 2, fp);
	for (uint32_t i = 0; i < cnt; i++) {
		fwrite(parts[i].data, parts[i].bytes, 1, fp);
		fwrite("\0\0\0\0\0\0\0", align_up(parts[i].bytes, 8) - parts[i].bytes, 1, fp);
	}
	putc(0, fp);
	for (uint32_t i = 0; i < cnt; i++)
		fwrite(parts[i].name, strlen(parts[i].name) + 1, 1, fp);
}

/* The symbols of sites and their names: what is discarded (a copy of an inline function) is weak, and 0. */
struct refs {
	Elf64_Sym *syms;
	Elf64_Rela *relas;
	char *strs;
	size_t strs_bytes;
};

static bool refs_init(struct refs *r, const struct sites *s, const uint64_t *offs)
{
	r->syms = calloc(s->cnt + 2ul, sizeof(*r->syms));
	r->relas = calloc(2ul * s->cnt + 1, sizeof(*r->relas));
	FILE *fp = open_memstream(&r->strs, &r->strs_bytes);
	if (!r->syms || !r->relas || !fp)
		return false;
	putc(0, fp);
	for (uint32_t i = 0; i <= s->cnt; i++) {
		r->syms[i + 1] = (Elf64_Sym){ .st_name = (Elf64_Word)ftell(fp), .st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE),
					      .st_other = STV_HIDDEN };
		fprintf(fp, "%s%c", i < s->cnt ? s->v[i].sym : "_.stapsdt.base", 0);
	}
	for (uint32_t i = 0; i < s->cnt; i++) {
		r->relas[2 * i] = (Elf64_Rela){ .r_offset = offs[i], .r_info = ELF64_R_INFO(i + 1ull, R_X86_64_64) };
		r->relas[2 * i + 1] = (Elf64_Rela){ .r_offset = offs[i] + 8, .r_info = ELF64_R_INFO(s->cnt + 1ull, R_X86_64_64) };
	}
	return !fclose(fp);
}

static bool put_object(FILE *fp, const struct sites *s, const char *decls, size_t decls_bytes)
{
	uint64_t *offs = calloc(s->cnt + 1ul, sizeof(*offs));
	size_t notes_bytes = 0;
	char *notes = offs ? cli_sites_notes(s, offs, &notes_bytes) : NULL;
	struct refs r = { 0 };
	bool ok = notes && refs_init(&r, s, offs);
	if (ok) {
		const struct part parts[] = {
			{ ".note.GNU-stack", SHT_PROGBITS, 1, 0, 0, 0, "", 0 },
			{ ".note.dyntrace", SHT_NOTE, 4, 0, 0, 0, decls, decls_bytes },
			{ ".note.stapsdt", SHT_NOTE, 4, 0, 0, 0, notes, notes_bytes },
			{ ".rela.note.stapsdt", SHT_RELA, 8, 5, 3, sizeof(*r.relas), r.relas, 2ul * s->cnt * sizeof(*r.relas) },
			{ ".symtab", SHT_SYMTAB, 8, 6, 1, sizeof(*r.syms), r.syms, (s->cnt + 2ul) * sizeof(*r.syms) },
			{ ".strtab", SHT_STRTAB, 1, 0, 0, 0, r.strs, r.strs_bytes },
		};
		put_64(fp, parts, sizeof(parts) / sizeof(*parts));
	}
	free(offs);
	free(notes);
	free(r.syms);
	free(r.relas);
	free(r.strs);
	return ok;
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

bool cli_object_write(struct cli *cli, FILE *fp, bool is_32, const struct sites *sites)
{
	char *notes = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&notes, &bytes);
	bool ok = to && !d_providers_outs_each(cli->d, put_note, to);
	if (to && fclose(to))
		ok = false;
	if (ok && !is_32) {
		ok = put_object(fp, sites, notes, bytes);
	} else if (ok) {
		put_32(fp, bytes);
		put(fp, names, sizeof(names));
		fwrite(notes, bytes, 1, fp);
	}
	free(notes);
	return ok && !ferror(fp);
}
