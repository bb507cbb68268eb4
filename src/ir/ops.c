/* SPDX-License-Identifier: MIT */
/* The tables that are made from IR_OPS and helpers.def. */
#include "ir/ir_int.h"

static const struct {
	const char *text;
	enum ir_form form;
} ops[IR_OP_CNT] = {
#define IR_OP(name, form, text) { text, IR_FORM_##form },
	IR_OPS(IR_OP)
#undef IR_OP
};

static const struct ir_helper_desc helpers[IR_HELPER_CNT] = {
#define HELPER(name, result, args, faults) { #name, #result[0], args, faults },
#include "wire/helpers.def"
#undef HELPER
};

static const unsigned form_uses[IR_FORM_CNT] = {
	[IR_FORM_N] = 0,
	[IR_FORM_D] = IR_USE_DST,
	[IR_FORM_DA] = IR_USE_DST | IR_USE_A,
	[IR_FORM_DAB] = IR_USE_DST | IR_USE_A | IR_USE_B,
	[IR_FORM_DI] = IR_USE_DST | IR_USE_IMM,
	[IR_FORM_DAX] = IR_USE_DST | IR_USE_A | IR_USE_AUX,
	[IR_FORM_DIX] = IR_USE_DST | IR_USE_IMM | IR_USE_AUX,
	[IR_FORM_AIX] = IR_USE_A | IR_USE_IMM | IR_USE_AUX,
	[IR_FORM_J] = IR_USE_IMM,
	[IR_FORM_AJ] = IR_USE_A | IR_USE_IMM,
	[IR_FORM_I] = IR_USE_IMM,
	[IR_FORM_IA] = IR_USE_A | IR_USE_IMM,
	[IR_FORM_C] = IR_USE_DST | IR_USE_IMM, /* a and b count arguments, dst may be none */
	[IR_FORM_G] = IR_USE_A | IR_USE_B | IR_USE_IMM | IR_USE_AUX, /* b may be none */
};

const char *ir_op_name(enum ir_op op)
{
	return (unsigned)op < IR_OP_CNT ? ops[op].text : "?";
}

enum ir_form ir_op_form(enum ir_op op)
{
	return ops[op].form;
}

unsigned ir_form_uses(enum ir_form form)
{
	return form_uses[form];
}

const struct ir_helper_desc *ir_helper(enum ir_helper h)
{
	return (unsigned)h < IR_HELPER_CNT ? &helpers[h] : NULL;
}
