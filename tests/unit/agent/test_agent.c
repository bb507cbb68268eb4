/* SPDX-License-Identifier: MIT */
/* What the agent must be so that it can be mapped anywhere, into anything. */
#include "../tap.h"
#include "agent/agent.h"
#include "isa/isa.h"
#include "wire/wire.h"

#include <elf.h>

static uint8_t *file;
static size_t file_bytes;

static const Elf64_Ehdr *load(void)
{
	FILE *f = fopen(AGENT_PATH, "rb");
	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	file_bytes = (size_t)ftell(f);
	rewind(f);
	file = malloc(file_bytes);
	if (!file || fread(file, 1, file_bytes, f) != file_bytes) {
		free(file);
		file = NULL;
	}
	fclose(f);
	return (const Elf64_Ehdr *)file;
}

static const Elf64_Shdr *section(uint32_t type, uint32_t nth)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)file;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(file + eh->e_shoff);
	for (uint32_t i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_type == type && !nth--)
			return &sh[i];
	return NULL;
}

static void needs_nothing(void)
{
	const Elf64_Ehdr *eh = load();
	if (!CHECK(eh != NULL))
		return;
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(file + eh->e_phoff);
	for (uint32_t i = 0; i < eh->e_phnum; i++)
		CHECK_MSG(ph[i].p_type != PT_TLS && ph[i].p_type != PT_INTERP, "segment %u is for a libc", i);
	const Elf64_Shdr *dyn = section(SHT_DYNSYM, 0);
	const Elf64_Sym *sym = (const Elf64_Sym *)(file + dyn->sh_offset);
	for (uint32_t i = 1; i < dyn->sh_size / sizeof(*sym); i++) {
		bool weak = ELF64_ST_BIND(sym[i].st_info) == STB_WEAK;
		CHECK_MSG(weak || sym[i].st_shndx != SHN_UNDEF, "dynamic symbol %u is undefined", i);
	}
	free(file);
}

/* But for what an offer uses of a libc, where there is one. */
static bool is_import(const Elf64_Rela *r)
{
	const Elf64_Sym *sym = (const Elf64_Sym *)(file + section(SHT_DYNSYM, 0)->sh_offset) + ELF64_R_SYM(r->r_info);
	return ELF64_R_SYM(r->r_info) && sym->st_shndx == SHN_UNDEF && ELF64_ST_BIND(sym->st_info) == STB_WEAK;
}

static void moves_by_relative_relocations(void)
{
	if (!CHECK(load() != NULL))
		return;
	CHECK(!section(SHT_REL, 0));
	for (uint32_t n = 0; section(SHT_RELA, n); n++) {
		const Elf64_Shdr *sh = section(SHT_RELA, n);
		const Elf64_Rela *r = (const Elf64_Rela *)(file + sh->sh_offset);
		for (uint64_t i = 0; i < sh->sh_size / sizeof(*r); i++)
			CHECK(ELF64_R_TYPE(r[i].r_info) == R_X86_64_RELATIVE || is_import(&r[i]));
	}
	free(file);
}

/* An argument of a USDT probe may be in one. */
static bool only_reads(const char *text)
{
	return !strncmp(text, "movq %xmm", 9) && strchr(text, ',') && !strstr(strchr(text, ','), "mm");
}

static void check_code(const uint8_t *code, uint64_t bytes, uint64_t addr)
{
	for (uint64_t at = 0; at < bytes;) {
		char text[128];
		int n = isa_format(code + at, bytes - at, addr + at, text, sizeof(text));
		if (!CHECK_MSG(n > 0, "no instruction at 0x%llx", (unsigned long long)(addr + at)))
			return;
		CHECK_MSG((!strstr(text, "mm") && !strstr(text, "%st")) || only_reads(text), "0x%llx: %s", (unsigned long long)(addr + at), text);
		CHECK_MSG(!strstr(text, "%fs:0x28"), "0x%llx: %s", (unsigned long long)(addr + at), text);
		at += (uint64_t)n;
	}
}

/* Programs keep values in xmm registers across our jumps: code that touched one would change results. */
static void uses_general_registers_only(void)
{
	const Elf64_Ehdr *eh = load();
	if (!CHECK(eh != NULL))
		return;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(file + eh->e_shoff);
	uint64_t seen = 0;
	for (uint32_t i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_flags & SHF_EXECINSTR) {
			check_code(file + sh[i].sh_offset, sh[i].sh_size, sh[i].sh_addr);
			seen += sh[i].sh_size;
		}
	CHECK(seen > 4096);
	free(file);
}

/* It is mapped once for a whole process: threads must not meet in it. */
static void has_nothing_to_write(void)
{
	const Elf64_Ehdr *eh = load();
	if (!CHECK(eh != NULL))
		return;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(file + eh->e_shoff);
	const char *names = (const char *)file + sh[eh->e_shstrndx].sh_offset;
	for (uint32_t i = 0; i < eh->e_shnum; i++) {
		const char *name = names + sh[i].sh_name;
		bool data = !strcmp(name, ".data") || !strcmp(name, ".bss");
		CHECK_MSG(!data || !sh[i].sh_size, "%s holds %llu bytes", name, (unsigned long long)sh[i].sh_size);
	}
	free(file);
}

TAP_MAIN(TEST(needs_nothing), TEST(moves_by_relative_relocations), TEST(uses_general_registers_only),
	 TEST(has_nothing_to_write))
