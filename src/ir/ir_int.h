/* SPDX-License-Identifier: MIT */
/* Private to src/ir: what an instruction's fields mean, by its form. */
#ifndef IR_IR_INT_H
#define IR_IR_INT_H

#include "ir/ir.h"

/* See IR_OP in ir.h. */
enum ir_form {
	IR_FORM_N, IR_FORM_D, IR_FORM_DA, IR_FORM_DAB, IR_FORM_DI, IR_FORM_DAX, IR_FORM_DIX, IR_FORM_AIX,
	IR_FORM_J, IR_FORM_AJ, IR_FORM_I, IR_FORM_IA, IR_FORM_C, IR_FORM_G, IR_FORM_CNT
};
enum ir_form ir_op_form(enum ir_op);

/* Which fields a form uses for registers. */
#define IR_USE_DST 1u
#define IR_USE_A 2u
#define IR_USE_B 4u
#define IR_USE_AUX 8u
#define IR_USE_IMM 16u
unsigned ir_form_uses(enum ir_form);

static inline bool ir_op_is_branch(unsigned op)
{
	return op == IR_OP_JMP || op == IR_OP_BRZ || op == IR_OP_BRNZ;
}

static inline bool ir_op_ends(unsigned op)
{
	return op == IR_OP_JMP || op == IR_OP_RET || op == IR_OP_FAULT;
}

/* Whether entry @i of the helper's arguments names a vreg. */
static inline bool ir_arg_is_vreg(char letter)
{
	return letter == 'i' || letter == 's';
}

/* The value that an operation on two constants has; false: it faults or is not of this kind. */
bool ir_eval(enum ir_op, uint64_t a, uint64_t b, uint16_t aux, uint64_t *ret);
/* The low bits of @v, extended as aux says (EXT). */
uint64_t ir_extend(uint64_t v, unsigned bits, bool is_signed);

/* cse.c: makes copies of what is at hand already; whether there was any.  Without memory there is none. */
bool ir_prog_share(struct ir_prog *);

#endif
