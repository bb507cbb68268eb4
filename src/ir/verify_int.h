/* SPDX-License-Identifier: MIT */
/*
 * The verifier's passes over one program:
 *
 *   verify.c        1. every field of every instruction, by its form
 *   verify_call.c      ... of every call; finds the slots that are tuples
 *   verify_flow.c   2. along the paths: registers, records, tuples; how large tuples become
 *   verify_slot.c   3. that no slot that is a tuple overlaps anything
 *
 * Only pass 1 may assume nothing; the others rely on those before them.
 */
#ifndef IR_VERIFY_INT_H
#define IR_VERIFY_INT_H

#include "ir/ir_int.h"

struct ir_vtuple {
	uint32_t off;   /* of the slot, in scratch */
	uint32_t fixed; /* as tuple_begin declares; WIRE_NONE: no tuple_begin */
	uint32_t max;   /* bytes of the slot on the path that needs most; 0: none reaches a use */
};

struct ir_verify {
	const struct ir_prog *p;
	const struct ir_image *img;
	struct err *reterr;
	struct ir_vtuple *tuples; /* sorted by off once pass 1 is done */
	uint32_t tuple_cnt, tuple_cap;
};

/* "clause C, instruction I (op): ..."; returns -EINVAL. */
int ir_verify_fail(const struct ir_verify *, uint32_t insn, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Before all: the image's sizes against the limits, so that sums of them cannot overflow. */
int ir_verify_sizes(const struct ir_image *, struct err *reterr);

/* Pass 1 */
int ir_verify_call(struct ir_verify *, uint32_t insn);
/* Notes that slot @off is a tuple; @fixed: WIRE_NONE but for tuple_begin. */
int ir_verify_note_tuple(struct ir_verify *, uint32_t insn, uint64_t off, uint32_t fixed);
void ir_verify_sort_tuples(struct ir_verify *);
/* Index of the tuple at @off, or WIRE_NONE. */
uint32_t ir_verify_find_tuple(const struct ir_verify *, uint64_t off);

/* Pass 2 */
int ir_verify_flow(struct ir_verify *);

/* Pass 3 */
int ir_verify_slots(struct ir_verify *);

/* Whether argument @i of @h, a D, is a tuple (else a string's destination). */
bool ir_arg_is_tuple(enum ir_helper h, uint32_t i);
/* Position of the tuple among the arguments of @h, or -1. */
int ir_tuple_arg(enum ir_helper h);

#endif
