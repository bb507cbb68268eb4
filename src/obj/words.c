/* SPDX-License-Identifier: MIT */
/* A section of pointers as the loader will make it, from the file: the process may not have been relocated yet. */
#include "obj/obj_int.h"

#include <errno.h>
#include <stdlib.h>

static void relocate(const struct obj_img *img, uint64_t addr, uint64_t *words, uint64_t cnt)
{
	const Elf64_Shdr *sh = obj_img_section(img, ".rela.dyn");
	Elf64_Rela *r = sh ? obj_img_load(img, sh->sh_offset, sh->sh_size) : NULL;
	for (uint64_t i = 0; r && i < sh->sh_size / sizeof(*r); i++)
		if (ELF64_R_TYPE(r[i].r_info) == R_X86_64_RELATIVE && r[i].r_offset - addr < cnt * sizeof(*words))
			words[(r[i].r_offset - addr) / sizeof(*words)] = (uint64_t)r[i].r_addend;
	free(r);
}

int obj_module_words(struct obj_proc *p, struct obj_module *mod, const char *section, uint64_t **ret, uint64_t *ret_cnt)
{
	struct obj_img img;
	int rc = obj_mod_image(p, obj_mod(mod), &img, NULL);
	if (rc)
		return rc;
	const Elf64_Shdr *sh = obj_img_section(&img, section);
	uint64_t *words = sh && sh->sh_size ? obj_img_load(&img, sh->sh_offset, sh->sh_size) : NULL;
	if (words) {
		*ret = words;
		*ret_cnt = sh->sh_size / sizeof(*words);
		relocate(&img, sh->sh_addr, words, *ret_cnt);
	}
	obj_img_deinit(&img);
	return words ? 0 : -ENOENT;
}
