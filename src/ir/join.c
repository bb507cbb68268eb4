/* SPDX-License-Identifier: MIT */
/*
 * The programs of one place as one, so that what several clauses compute is computed once.
 *
 *	action K; clause K ...   for each; its RETs lead to the next one's action
 *
 * Nothing is left of the actions of the clauses themselves: only where programs cannot fault are they not missed.
 */
#include "ir/ir_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(const struct ir_prog *const *progs, uint32_t cnt, struct ir_prog *p)
{
	uint64_t insns = cnt, args = 0, regs = 0;
	*p = (struct ir_prog){ .clause = progs[0]->clause };
	for (uint32_t i = 0; i < cnt; i++) {
		insns += progs[i]->insn_cnt;
		args += progs[i]->arg_cnt;
		regs += progs[i]->vreg_cnt;
		p->scratch_bytes = progs[i]->scratch_bytes > p->scratch_bytes ? progs[i]->scratch_bytes : p->scratch_bytes;
		p->rec_bytes = progs[i]->rec_bytes > p->rec_bytes ? progs[i]->rec_bytes : p->rec_bytes;
	}
	if (insns > IR_INSNS_MAX || args > IR_ARGS_MAX || regs > IR_VREGS_MAX)
		return -E2BIG;
	p->insns = calloc(insns, sizeof(*p->insns));
	p->args = calloc(args + 1, sizeof(*p->args));
	return p->insns && p->args ? 0 : -ENOMEM;
}

static void move_args(struct ir_prog *p, const struct ir_prog *src)
{
	memcpy(p->args + p->arg_cnt, src->args, src->arg_cnt * sizeof(*src->args));
	for (uint32_t i = 0; i < src->insn_cnt; i++) {
		const struct ir_insn *in = &src->insns[i];
		if (in->op != IR_OP_CALL)
			continue;
		const char *letters = ir_helper((enum ir_helper)in->imm)->args;
		for (uint32_t k = 0; k < in->b; k++)
			if (ir_arg_is_vreg(letters[k]))
				p->args[p->arg_cnt + in->a + k] = src->args[in->a + k] + p->vreg_cnt;
	}
}

static struct ir_insn moved(const struct ir_prog *p, const struct ir_prog *src, uint32_t i)
{
	struct ir_insn in = src->insns[i];
	unsigned uses = ir_form_uses(ir_op_form((enum ir_op)in.op));
	if (in.op == IR_OP_CALL) {
		in.a += p->arg_cnt;
		in.dst = in.dst == WIRE_NONE ? WIRE_NONE : in.dst + p->vreg_cnt;
		return in;
	}
	if (uses & IR_USE_DST)
		in.dst += p->vreg_cnt;
	if (uses & IR_USE_A)
		in.a += p->vreg_cnt;
	if (uses & IR_USE_B && in.b != WIRE_NONE)
		in.b += p->vreg_cnt;
	if (ir_op_is_branch(in.op))
		in.imm += p->insn_cnt;
	if (in.op == IR_OP_ENV && in.imm == WIRE_ENV_CLAUSE)
		in = (struct ir_insn){ .op = IR_OP_CONST, .dst = in.dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = src->clause };
	if (in.op == IR_OP_ACTION)
		in = (struct ir_insn){ .op = IR_OP_NOP, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE };
	return in;
}

static void append(struct ir_prog *p, const struct ir_prog *src, bool is_last)
{
	p->insns[p->insn_cnt++] = (struct ir_insn){ .op = IR_OP_ACTION, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE, .imm = src->clause };
	uint32_t end = p->insn_cnt + src->insn_cnt;
	if (src->arg_cnt)
		move_args(p, src);
	for (uint32_t i = 0; i < src->insn_cnt; i++) {
		struct ir_insn in = moved(p, src, i);
		if (in.op == IR_OP_RET && !is_last)
			in = (struct ir_insn){ .op = IR_OP_JMP, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE, .imm = end };
		p->insns[p->insn_cnt + i] = in;
	}
	p->insn_cnt = end;
	p->arg_cnt += src->arg_cnt;
	p->vreg_cnt += src->vreg_cnt;
}

int ir_progs_join(const struct ir_prog *const *progs, uint32_t cnt, struct ir_prog *ret)
{
	struct ir_prog p;
	int r = make_room(progs, cnt, &p);
	for (uint32_t i = 0; !r && i < cnt; i++)
		append(&p, progs[i], i + 1 == cnt);
	if (!r && !ir_prog_share(&p))
		r = -ENOENT;
	if (r) {
		ir_prog_deinit(&p);
		return r;
	}
	ir_prog_optimize(&p);
	*ret = p;
	return 0;
}
