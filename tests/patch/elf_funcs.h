/* SPDX-License-Identifier: MIT */
/*
 * The functions of an ELF file, for tests and the census of the patch room: from
 * the symbol tables and .eh_frame, by hand, so that no other room is trusted.
 */
#ifndef TESTS_ELF_FUNCS_H
#define TESTS_ELF_FUNCS_H

#include "patch/patch.h"

struct elf_func {
	uint64_t start, end; /* vaddr */
	const char *name;    /* "" where only .eh_frame knows it; lives as long as the elf_funcs */
	bool is_frag;        /* a .cold part */
};

struct elf_funcs {
	void *elf;
	int fd;
	uint8_t *image;      /* the file as loaded at 0, relative relocations applied */
	uint64_t image_bytes;
	uint64_t text_start, text_end;
	uint64_t plt[3][2];  /* linkage stubs: no functions */
	struct elf_func *func; /* sorted, each start once */
	uint32_t cnt;
	bool is_go;
	uint64_t *targets;   /* of branches anywhere in the text; sorted */
	uint32_t target_cnt;
};

/* Returns 0, or prints why not and returns -1. */
int elf_funcs_open(struct elf_funcs *, const char *path);
void elf_funcs_close(struct elf_funcs *);
/* Fills @ret for function @i, whose code is at @code (NULL: in the image), at vaddr + @bias.
 * ret->targets has to be freed. */
void elf_funcs_get(const struct elf_funcs *, uint32_t i, struct patch_func *ret);

#endif
