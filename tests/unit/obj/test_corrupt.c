/* SPDX-License-Identifier: MIT */
/* Files that lie: whatever is in them, reading ends, in bounds (run it with a sanitizer to see the latter). */
#include "../tap.h"
#include "obj/obj_int.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 300

static uint64_t rng = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return below ? (uint32_t)(rng % below) : 0;
}

static uint8_t *slurp(const char *path, uint64_t *ret_bytes)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *p = NULL;
	if (fd >= 0 && !fstat(fd, &st) && (p = malloc((size_t)st.st_size)))
		*ret_bytes = read(fd, p, (size_t)st.st_size) == st.st_size ? (uint64_t)st.st_size : 0;
	close(fd);
	return p;
}

static int on_row(void *arg, const struct obj_cfa_row *row)
{
	uint64_t *sum = arg;
	*sum += row->start + (uint64_t)row->cfa_off;
	for (uint64_t i = 0; row->cfa_is_expr && i < row->cfa_expr_bytes; i++)
		*sum += row->cfa_expr[i];
	return 0;
}

static void walk(struct obj_img *img)
{
	struct obj_symtab t;
	struct obj_frames f;
	struct obj_img mini;
	uint8_t id[OBJ_BUILD_ID_MAX];
	uint64_t sum = obj_img_build_id(img, id);
	for (int dyn = 0; dyn < 2; dyn++) {
		if (obj_symtab_load(img, dyn ? SHT_DYNSYM : SHT_SYMTAB, 0, &t))
			continue;
		for (uint64_t i = 0; i < t.cnt; i++)
			sum += strlen(obj_symtab_name(&t, &t.syms[i]));
		obj_symtab_deinit(&t);
	}
	if (!obj_frames_load(img, &f)) {
		for (uint32_t i = 0; i < f.fde_cnt; i++)
			obj_cfa_rows(&f, &f.fdes[i], on_row, &sum);
		obj_frames_deinit(&f);
	}
	if (!obj_minidebug_image(img, &mini))
		obj_img_deinit(&mini);
}

/* Where it hurts: headers, and sections of the kinds that are read. */
static uint64_t pick(const uint8_t *data, uint64_t bytes)
{
	const Elf64_Ehdr *eh = (const void *)data;
	switch (rnd(4)) {
	case 0:
		return rnd(1024);
	case 1:
		return eh->e_shoff + rnd((uint32_t)(bytes - eh->e_shoff));
	default: {
		const Elf64_Shdr *sh = (const void *)(data + eh->e_shoff);
		sh += rnd(eh->e_shnum);
		return sh->sh_type == SHT_NOBITS ? 0 : sh->sh_offset + rnd((uint32_t)sh->sh_size);
	}
	}
}

static void mutate(const char *path, bool no_sections)
{
	uint64_t bytes = 0;
	uint8_t *data = slurp(path, &bytes);
	if (!CHECK_MSG(data && bytes, "%s", path)) {
		free(data);
		return;
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t len = rnd(8) ? bytes : rnd((uint32_t)bytes);
		uint8_t *copy = malloc(bytes);
		memcpy(copy, data, bytes);
		for (uint32_t k = 1 + rnd(16); k; k--) {
			uint64_t at = pick(data, bytes);
			if (at < bytes)
				copy[at] = (uint8_t)(rnd(2) ? rnd(256) : rnd(2) ? 0xff : 0x80);
		}
		if (no_sections)
			((Elf64_Ehdr *)copy)->e_shoff = 0;
		struct obj_img img;
		if (!obj_img_open_mem(copy, len, &img)) {
			walk(&img);
			obj_img_deinit(&img);
		}
	}
	free(data);
}

static void mutated_files(void) { mutate(VARIANTS "/pie", false); }
static void mutated_segments(void) { mutate(VARIANTS "/pie", true); }
static void mutated_library(void) { mutate(VARIANTS "/libthrows.so", false); }
static void mutated_minidebug(void) { mutate(VARIANTS "/minidebug", false); }

static void without_sections_all_is_found(void)
{
	uint64_t bytes = 0;
	uint8_t *data = slurp(VARIANTS "/libthrows.so", &bytes);
	struct obj_img whole, bare;
	struct obj_symtab a, b;
	struct obj_frames fa, fb;
	if (!CHECK(data && bytes))
		return;
	uint8_t *copy = malloc(bytes);
	memcpy(copy, data, bytes);
	((Elf64_Ehdr *)copy)->e_shoff = 0;
	CHECK(!obj_img_open_mem(data, bytes, &whole) && !obj_img_open_mem(copy, bytes, &bare));
	CHECK(!obj_symtab_load(&whole, SHT_DYNSYM, 0, &a) && !obj_symtab_load(&bare, SHT_DYNSYM, 0, &b));
	CHECK_EQ(b.cnt, a.cnt);
	CHECK(!obj_frames_load(&whole, &fa) && !obj_frames_load(&bare, &fb));
	CHECK_EQ(fb.fde_cnt, fa.fde_cnt);
	obj_symtab_deinit(&a);
	obj_symtab_deinit(&b);
	obj_frames_deinit(&fa);
	obj_frames_deinit(&fb);
	obj_img_deinit(&whole);
	obj_img_deinit(&bare);
}

TAP_MAIN(TEST(mutated_files), TEST(mutated_segments), TEST(mutated_library), TEST(mutated_minidebug),
	 TEST(without_sections_all_is_found))
