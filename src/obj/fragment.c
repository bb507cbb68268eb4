/* SPDX-License-Identifier: MIT */
/*
 * Fragments that look like functions: cold parts that begin where nothing has
 * been pushed yet (CFA rsp+8) in a file without symbols for them.  Compilers
 * do not align them, and they are entered by conditional jumps, which nobody
 * uses to call a function that is not aligned.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <stdlib.h>
#include <string.h>

#define FUNC_ALIGN 16
#define TINY 5

static bool is_suspect(const struct obj_range *r)
{
	return r->kind == OBJ_RANGE_FUNC && r->has_fde && !r->has_sym && r->start % FUNC_ALIGN;
}

static struct obj_range *find(struct obj_range *r, uint32_t cnt, uint64_t start)
{
	uint32_t i = HOST_FIRST(r, cnt, start, start);
	return i < cnt && r[i].start == start ? &r[i] : NULL;
}

/* Conditional jumps with 32-bit offsets (0f 80 .. 0f 8f, Intel SDM volume 2, "Jcc").  Bytes that only look
 * like one would have to hit a suspect's first byte by chance. */
static void scan(const uint8_t *code, uint64_t bytes, uint64_t addr, struct obj_range *r, uint32_t cnt)
{
	const uint8_t *end = code + bytes;
	for (const uint8_t *p = code; end - p >= 6 && (p = memchr(p, 0x0f, (size_t)(end - p - 5))); p++) {
		if ((p[1] & 0xf0) != 0x80)
			continue;
		int32_t rel;
		memcpy(&rel, p + 2, sizeof(rel));
		struct obj_range *to = find(r, cnt, addr + (uint64_t)(p - code) + 6 + (uint64_t)(int64_t)rel);
		if (to && is_suspect(to))
			to->kind = OBJ_RANGE_COLD;
	}
}

static void scan_segments(const struct obj_img *img, uint64_t bias, struct obj_range *r, uint32_t cnt)
{
	for (uint32_t i = 0; i < img->ph_cnt; i++) {
		const Elf64_Phdr *ph = &img->ph[i];
		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		uint8_t *code = obj_img_load(img, ph->p_offset, ph->p_filesz);
		if (code)
			scan(code, ph->p_filesz, ph->p_vaddr + bias, r, cnt);
		free(code);
	}
}

void obj_ranges_mark_fragments(struct obj_proc *p, struct obj_mod *m, struct obj_range *r, uint32_t cnt)
{
	uint32_t suspects = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (!is_suspect(&r[i]))
			continue;
		if (r[i].end - r[i].start < TINY)
			r[i].kind = OBJ_RANGE_COLD;
		else
			suspects++;
	}
	struct obj_img img;
	if (!suspects || obj_mod_image(p, m, &img, NULL))
		return;
	scan_segments(&img, m->pub.bias, r, cnt);
	obj_img_deinit(&img);
}
