/* SPDX-License-Identifier: MIT */
#ifndef PATCH_INT_H
#define PATCH_INT_H

#include "patch/patch.h"

/* What is known of each byte offset of a function. */
#define CODE_START 1u  /* an instruction begins here */
#define CODE_TARGET 2u /* something may jump or return here */
#define CODE_FALLEN 4u /* the instruction before this offset does not go on to it */

struct code {
	const struct patch_func *f;
	uint8_t *flags;           /* per offset, bytes + 1 of them */
	struct isa_insn *insns;   /* by number */
	uint32_t *offs;           /* offset of each */
	uint32_t insn_cnt;
	uint32_t *num;            /* offset -> number of the instruction that begins there */
	uint32_t decoded;         /* offsets below this were decoded without trouble */
	bool unknown_jumps;       /* a table jump whose table was not found */
	bool has_tables;
};

/* 0 or -ENOMEM. */
int code_init(struct code *, const struct patch_func *);
void code_deinit(struct code *);
/* Whether the indirect jump number @i selects a case of a switch (else it leaves the function). */
bool code_is_dispatch(const struct code *, uint32_t i);

static inline bool code_at(const struct code *c, uint32_t off, uint8_t flag)
{
	return off <= c->f->bytes && c->flags[off] & flag;
}

#endif
