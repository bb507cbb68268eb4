/* SPDX-License-Identifier: MIT */
/* The table of frames is what libdw says of the same file; and the order in which it stands. */
#include "../tap.h"
#include "obj/obj_int.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <unistd.h>

static const char *const files[] = {
	"/proc/self/exe", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libdw.so.1", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	VARIANTS "/libthrows.so", VARIANTS "/linked",
};

/* Whether the CFA at an FDE's first instruction is not rsp + 8. */
static bool is_cold(Dwarf_Frame *frame)
{
	Dwarf_Op *ops;
	size_t n;
	if (dwarf_frame_cfa(frame, &ops, &n) || n != 1)
		return true;
	return !(ops[0].atom == DW_OP_bregx && ops[0].number == 7 && ops[0].number2 == 8) && !(ops[0].atom == DW_OP_breg7 && ops[0].number == 8);
}

static uint32_t compare(Dwarf_CFI *cfi, const struct obj_frames *f)
{
	uint32_t checked = 0;
	for (uint32_t i = 0; i < f->fde_cnt; i++) {
		const struct obj_fde *fde = &f->fdes[i];
		Dwarf_Frame *frame;
		Dwarf_Addr start, end;
		CHECK(fde->end > fde->start && (!i || fde->start >= f->fdes[i - 1].start));
		if (dwarf_cfi_addrframe(cfi, fde->start, &frame))
			continue;
		dwarf_frame_info(frame, &start, &end, NULL);
		if (start == fde->start) {
			checked++;
			CHECK(end <= fde->end);
			if (!CHECK_MSG(is_cold(frame) == fde->is_cold, "0x%llx", (unsigned long long)start))
				i = f->fde_cnt;
		}
		free(frame);
	}
	return checked;
}

static uint32_t check_file(const char *path)
{
	struct obj_img img;
	struct obj_frames f;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t n = 0;
	if (fd < 0 || obj_img_open_fd(dup(fd), &img)) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
	if (CHECK(cfi) && CHECK(!obj_frames_load(&img, &f))) {
		n = compare(cfi, &f);
		CHECK_MSG(n > f.fde_cnt / 2, "%s: %u of %u", path, n, f.fde_cnt);
		obj_frames_deinit(&f);
	}
	dwarf_cfi_end(cfi);
	elf_end(elf);
	close(fd);
	obj_img_deinit(&img);
	return n;
}

static void as_libdw_says(void)
{
	uint32_t n = 0;
	for (size_t i = 0; i < ARRAY_CNT(files); i++)
		n += check_file(files[i]);
	CHECK(n > 100);
}

struct element {
	uint64_t key;
	uint32_t nr;
};

static void check_order(uint32_t cnt, uint64_t spread)
{
	struct element *v = malloc((cnt + 1) * sizeof(*v));
	uint64_t x = 88172645463325252ull;
	for (uint32_t i = 0; i < cnt; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = (struct element){ spread ? x % spread : ~0ull - i, i };
	}
	CHECK(!obj_order(&v, cnt, sizeof(*v), 0));
	uint64_t sum = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		sum += v[i].nr;
		if (i && !CHECK(v[i].key > v[i - 1].key || (v[i].key == v[i - 1].key && v[i].nr > v[i - 1].nr)))
			break;
	}
	CHECK_EQ(sum, cnt ? (uint64_t)cnt * (cnt - 1) / 2 : 0);
	free(v);
}

static void in_order(void)
{
	static const uint32_t cnts[] = { 0, 1, 2, 3, 100, 4097, 20000 };
	for (size_t i = 0; i < ARRAY_CNT(cnts); i++) {
		check_order(cnts[i], 0);
		check_order(cnts[i], 1);
		check_order(cnts[i], 100);
		check_order(cnts[i], 1ull << 33);
		check_order(cnts[i], ~0ull);
	}
}

TAP_MAIN(TEST(as_libdw_says), TEST(in_order))
