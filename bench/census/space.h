/* SPDX-License-Identifier: MIT */
/* Where the pages of puns could be mapped in a process that runs a file: a guess, as that of src/session/landing.c knows. */
#ifndef CENSUS_SPACE_H
#define CENSUS_SPACE_H

#include "elf_funcs.h"

struct space {
	uint64_t bias;       /* of an address in the file */
	uint64_t start, end; /* taken: the program and its heap, or the library */
};
void space_init(struct space *, const struct elf_funcs *);
/* Detours of jumps behind the pun are left out: the truth is a little better. */
bool space_can_land(const struct space *, const struct patch_func *, const struct patch_window *);

#endif
