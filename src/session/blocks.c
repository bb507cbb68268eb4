/* SPDX-License-Identifier: MIT */
/*
 * Data that functions refer to, read in blocks while many are planned: whatever may be a jump table is looked at, and neighbours refer to the
 * same constants, some of them a thousand times.
 */
#include "session/session_int.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define BLOCKS 128u

struct text_blocks {
	struct block {
		uint64_t addr;                /* 0: none */
		const struct obj_module *mod; /* whose file it may be of; never looked into */
		uint8_t bytes[BLOCK];
	} v[BLOCKS];
};

struct text_blocks *text_blocks_create(void)
{
	return calloc(1, sizeof(struct text_blocks));
}

void text_blocks_destroy(struct text_blocks *b) { free(b); }

/* A module's text is read from its file, other memory from the process: a block is of one of them only, and of who reads. */
static bool is_of_one(const struct obj_module *mod, uint64_t at)
{
	bool inside = at >= mod->text_start && at + BLOCK <= mod->text_end;
	return inside || at + BLOCK <= mod->text_start || at >= mod->text_end;
}

int text_blocks_read(struct text_blocks *b, struct target *t, struct obj_module *mod, uint64_t addr, void *buf, size_t bytes)
{
	uint64_t at = align_down(addr, BLOCK);
	struct block *k = b ? &b->v[at / BLOCK % BLOCKS] : NULL;
	if (!b || !at || bytes > at + BLOCK - addr || !is_of_one(mod, at))
		return text_read(t, mod, addr, buf, bytes);
	if (k->addr != at || k->mod != mod) {
		k->mod = mod;
		k->addr = text_read(t, mod, at, k->bytes, BLOCK) ? 0 : at;
		if (!k->addr)
			return text_read(t, mod, addr, buf, bytes);
	}
	memcpy(buf, k->bytes + (addr - at), bytes);
	return 0;
}
