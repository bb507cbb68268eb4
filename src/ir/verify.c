/* SPDX-License-Identifier: MIT */
#include "ir/verify_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int ir_verify_fail(const struct ir_verify *v, uint32_t insn, const char *fmt, ...)
{
	char msg[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	const char *op = insn < v->p->insn_cnt ? ir_op_name((enum ir_op)v->p->insns[insn].op) : "end";
	return err_setf(v->reterr, -EINVAL, "clause %u, instruction %u (%s): %s", v->p->clause, insn, op, msg);
}

static int check_vreg(const struct ir_verify *v, uint32_t i, const char *field, uint32_t reg)
{
	if (reg < v->p->vreg_cnt)
		return 0;
	return ir_verify_fail(v, i, "%s: there is no register %u, only %u", field, reg, v->p->vreg_cnt);
}

/* The registers that the form says; those that may be absent are the caller's. */
static int check_vregs(const struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	enum ir_form form = ir_op_form((enum ir_op)in->op);
	unsigned uses = ir_form_uses(form);
	int r = 0;
	if (form == IR_FORM_C)
		return 0;
	if (uses & IR_USE_DST)
		r = check_vreg(v, i, "dst", in->dst);
	if (!r && uses & IR_USE_A)
		r = check_vreg(v, i, "a", in->a);
	if (!r && uses & IR_USE_B && !(form == IR_FORM_G && in->b == WIRE_NONE))
		r = check_vreg(v, i, "b", in->b);
	return r;
}

static int check_range(const struct ir_verify *v, uint32_t i, const char *what, int64_t lo, int64_t hi)
{
	int64_t imm = v->p->insns[i].imm;
	if (imm >= lo && imm <= hi)
		return 0;
	return ir_verify_fail(v, i, "%s %lld is not in %lld..%lld", what, (long long)imm, (long long)lo, (long long)hi);
}

static int check_target(const struct ir_verify *v, uint32_t i)
{
	int64_t target = v->p->insns[i].imm;
	if (target <= (int64_t)i)
		return ir_verify_fail(v, i, "target %lld is not after it; branches go forward only", (long long)target);
	if (target >= (int64_t)v->p->insn_cnt)
		return ir_verify_fail(v, i, "target %lld is not in the program", (long long)target);
	return 0;
}

/* A load or store of aux bytes at imm in an area of @area bytes. */
static int check_access(const struct ir_verify *v, uint32_t i, const char *area_name, uint64_t area, bool store)
{
	const struct ir_insn *in = &v->p->insns[i];
	unsigned bytes = in->aux & ~IR_SIGNED;
	if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
		return ir_verify_fail(v, i, "an access cannot have %u bytes", bytes);
	if (store && in->aux & IR_SIGNED)
		return ir_verify_fail(v, i, "a store has no sign");
	if (in->imm < 0 || (uint64_t)in->imm > area || bytes > area - (uint64_t)in->imm)
		return ir_verify_fail(v, i, "offset %lld is outside the %s, which have %llu bytes", (long long)in->imm,
				      area_name, (unsigned long long)area);
	if ((uint64_t)in->imm % bytes)
		return ir_verify_fail(v, i, "offset %lld is no multiple of %u", (long long)in->imm, bytes);
	return 0;
}

static int check_ext(const struct ir_verify *v, uint32_t i)
{
	unsigned bits = v->p->insns[i].aux & ~IR_SIGNED;
	if (bits == 8 || bits == 16 || bits == 32)
		return 0;
	return ir_verify_fail(v, i, "%u bits cannot be extended, only 8, 16 and 32", bits);
}

static int check_rec(const struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	if (in->imm < 0 || in->imm > (int64_t)v->p->rec_bytes)
		return ir_verify_fail(v, i, "a record of %lld bytes is larger than the program's largest, %u",
				      (long long)in->imm, v->p->rec_bytes);
	if (in->imm % 8 || in->aux % 8 || in->aux > in->imm)
		return ir_verify_fail(v, i, "%lld bytes, or the fixed part of %u, are no multiple of 8, or it does not fit",
				      (long long)in->imm, in->aux);
	return 0;
}

static int check_agg(struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	if (in->imm < 0 || in->imm >= (int64_t)v->img->agg_cnt)
		return ir_verify_fail(v, i, "there is no aggregation %lld, only %u", (long long)in->imm, v->img->agg_cnt);
	return in->aux == IR_NO_TUPLE ? 0 : ir_verify_note_tuple(v, i, in->aux, WIRE_NONE);
}

static int check_insn(struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	if (in->op >= IR_OP_CNT)
		return ir_verify_fail(v, i, "there is no operation %u", in->op);
	int r = check_vregs(v, i);
	if (r < 0)
		return r;
	switch ((enum ir_op)in->op) {
	case IR_OP_EXT:
		return check_ext(v, i);
	case IR_OP_JMP:
	case IR_OP_BRZ:
	case IR_OP_BRNZ:
		return check_target(v, i);
	case IR_OP_ARG:
		return check_range(v, i, "argument", 0, 5);
	case IR_OP_UREG:
		return check_range(v, i, "register", 0, WIRE_REG_CNT - 1);
	case IR_OP_ENV:
		return check_range(v, i, "variable", 0, WIRE_ENV_CNT - 1);
	case IR_OP_LDS:
	case IR_OP_STS:
		return check_access(v, i, "scratch bytes", v->p->scratch_bytes, in->op == IR_OP_STS);
	case IR_OP_LDG:
	case IR_OP_STG:
		return check_access(v, i, "globals", v->img->global_bytes, in->op == IR_OP_STG);
	case IR_OP_LDT:
	case IR_OP_STT:
		return check_access(v, i, "self-> variables", v->img->self_bytes, in->op == IR_OP_STT);
	case IR_OP_STR:
		return check_access(v, i, "record bytes", v->p->rec_bytes, true);
	case IR_OP_REC:
		return check_rec(v, i);
	case IR_OP_AGG:
		return check_agg(v, i);
	case IR_OP_CALL:
		return ir_verify_call(v, i);
	case IR_OP_ACTION:
		return check_range(v, i, "action", 0, UINT32_MAX);
	case IR_OP_FAULT:
		return check_range(v, i, "fault", WIRE_FAULT_NONE + 1, WIRE_FAULT_CNT - 1);
	default:
		return 0;
	}
}

static int check_limits(const struct ir_verify *v)
{
	const struct ir_prog *p = v->p;
	const struct {
		const char *what;
		uint32_t v, max;
	} limits[] = {
		{ "instructions", p->insn_cnt, IR_INSNS_MAX },
		{ "registers", p->vreg_cnt, IR_VREGS_MAX },
		{ "arguments", p->arg_cnt, IR_ARGS_MAX },
		{ "bytes of scratch", p->scratch_bytes, IR_SCRATCH_MAX },
		{ "bytes of record", p->rec_bytes, IR_REC_MAX },
	};
	for (size_t i = 0; i < ARRAY_CNT(limits); i++)
		if (limits[i].v > limits[i].max)
			return err_setf(v->reterr, -EINVAL, "clause %u has %u %s; at most %u can be used: make it smaller",
					p->clause, limits[i].v, limits[i].what, limits[i].max);
	if (p->clause >= v->img->prog_cnt)
		return err_setf(v->reterr, -EINVAL, "clause %u is not in the image, which has %u", p->clause, v->img->prog_cnt);
	if (p->scratch_bytes < v->img->this_bytes)
		return err_setf(v->reterr, -EINVAL, "clause %u: scratch of %u bytes does not hold the %u of this-> variables",
				p->clause, p->scratch_bytes, v->img->this_bytes);
	if (!p->insn_cnt || (p->arg_cnt && !p->args) || !p->insns)
		return err_setf(v->reterr, -EINVAL, "clause %u has no instructions", p->clause);
	return 0;
}

/* The target of a jump lies after it, so the last instruction is none. */
static int check_fields(struct ir_verify *v)
{
	for (uint32_t i = 0; i < v->p->insn_cnt; i++) {
		int r = check_insn(v, i);
		if (r < 0)
			return r;
	}
	uint32_t last = v->p->insn_cnt - 1;
	if (!ir_op_ends(v->p->insns[last].op))
		return ir_verify_fail(v, last, "the last instruction must end the program");
	return 0;
}

int ir_prog_verify(const struct ir_prog *p, const struct ir_image *img, struct err *reterr)
{
	struct ir_verify v = { .p = p, .img = img, .reterr = reterr };
	int r = ir_verify_sizes(img, reterr);
	if (!r)
		r = check_limits(&v);
	if (!r)
		r = check_fields(&v);
	if (!r) {
		ir_verify_sort_tuples(&v);
		r = ir_verify_flow(&v);
	}
	if (!r)
		r = ir_verify_slots(&v);
	free(v.tuples);
	return r;
}
