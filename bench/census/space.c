/* SPDX-License-Identifier: MIT */
#include "space.h"

#include <libelf.h>
#include <gelf.h>
#include <string.h>

#define PAGE 4096ull
#define LOWEST 0x10000ull
#define HEAP_ROOM ((1ull << 30) + (32ull << 20)) /* the heap, and how far from the program it may begin */
#define PIE_BASE 0x555555554000ull
#define LIB_BASE 0x7ffff7800000ull
#define TRIES 64

static bool is_program(const struct elf_funcs *e)
{
	GElf_Ehdr eh;
	size_t cnt = 0;
	elf_getphdrnum(e->elf, &cnt);
	for (size_t i = 0; i < cnt; i++) {
		GElf_Phdr ph;
		if (gelf_getphdr(e->elf, (int)i, &ph) && ph.p_type == PT_INTERP)
			return true;
	}
	return gelf_getehdr(e->elf, &eh) && eh.e_type == ET_EXEC;
}

static bool is_fixed(const struct elf_funcs *e)
{
	GElf_Ehdr eh;
	return gelf_getehdr(e->elf, &eh) && eh.e_type == ET_EXEC;
}

void space_init(struct space *s, const struct elf_funcs *e)
{
	bool program = is_program(e);
	s->bias = is_fixed(e) ? 0 : program ? PIE_BASE : LIB_BASE;
	s->start = is_fixed(e) ? align_down(e->text_start, PAGE) : s->bias;
	s->end = s->bias + align_up(e->image_bytes, PAGE) + (program ? HEAP_ROOM : 0);
}

static bool is_free(const struct space *s, uint64_t addr, uint64_t bytes)
{
	return addr >= LOWEST && (int64_t)addr > 0 && (addr + bytes <= s->start || addr >= s->end);
}

bool space_can_land(const struct space *s, const struct patch_func *f, const struct patch_window *w)
{
	struct patch_window there = *w;
	uint64_t off = w->addr - f->addr + w->bytes, lo, hi;
	uint8_t behind[4] = { 0 };
	if (off + sizeof(behind) <= f->bytes + f->slack)
		memcpy(behind, f->code + off, sizeof(behind));
	else if (f->read(f->read_arg, w->addr + w->bytes, behind, sizeof(behind)))
		return false;
	there.addr += s->bias;
	patch_pun_range(&there, behind, &lo, &hi);
	for (uint64_t a = lo, n = 0; a <= hi && n < TRIES; a = align_down(a, PAGE) + PAGE, n++)
		if (is_free(s, a, ISA_FAR_MAX))
			return true;
	return false;
}
