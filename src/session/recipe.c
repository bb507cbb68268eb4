/* SPDX-License-Identifier: MIT */
/*
 * Programs for one kind of place in the kernel: what the place gives is made
 * into the probe's arguments before the clause runs, by a few instructions put
 * in front of it:
 *
 *	prelude: does the probe fire? what are arg0.. ?
 *	the clause, with ARG n replaced by what the prelude made
 *	ret
 */
#include "session/recipe_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ERRNO_MAX 4095       /* the kernel's results below 0 down to here are errors */

static void apply(struct make *m, enum probe_kern_recipe recipe)
{
	switch (recipe) {
	case PROBE_KERN_SENT: case PROBE_KERN_RECEIVED: case PROBE_KERN_NONE_LEFT:
	case PROBE_KERN_TCP_SENT: case PROBE_KERN_TCP_RECEIVED: case PROBE_KERN_UDP_SENT: case PROBE_KERN_UDP_RECEIVED:
	case PROBE_KERN_TCP_STATE: case PROBE_KERN_TCP_CONNECTS: case PROBE_KERN_TCP_CONNECTED: case PROBE_KERN_TCP_ACCEPTED:
	case PROBE_KERN_TCP_REFUSED: case PROBE_KERN_TCP_REFUSES:
		recipe_net(m, recipe);
		break;
	case PROBE_KERN_MUTEX_BLOCKS: case PROBE_KERN_MUTEX_SPINS: case PROBE_KERN_SPINS:
	case PROBE_KERN_RW_BLOCKS: case PROBE_KERN_RW_SPINS:
		recipe_lock(m, recipe);
		break;
	default:
		recipe_task(m, recipe);
	}
}

static void set_const(struct ir_insn *in, int64_t v)
{
	*in = (struct ir_insn){ .op = IR_OP_CONST, .dst = in->dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = v };
}

static void set_value(struct make *m, struct ir_insn *in, uint64_t n)
{
	if (n < RECIPE_ARGS && m->val[n] != RECIPE_RAW)
		*in = (struct ir_insn){ .op = IR_OP_MOV, .dst = in->dst, .a = m->val[n], .b = WIRE_NONE };
	else if (n < RECIPE_ARGS && in->op == IR_OP_CALL)
		return; /* as it is: the generator knows where it is */
	else if (n < RECIPE_ARGS)
		*in = (struct ir_insn){ .op = IR_OP_ARG, .dst = in->dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = (int64_t)n };
	else
		set_const(in, 0);
}

/* @errno_reg: of a system call that ends; RECIPE_RAW: elsewhere there is none. */
static void rewrite(struct make *m, const struct ir_prog *src, struct ir_insn *in, uint32_t errno_reg)
{
	if (in->op == IR_OP_ARG)
		set_value(m, in, (uint64_t)in->imm);
	else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_arg)
		set_value(m, in, src->args[in->a]);
	else if (in->op == IR_OP_ENV && in->imm == WIRE_ENV_IN_KERNEL)
		set_const(in, 1);
	else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_errno && in->dst != WIRE_NONE && errno_reg == RECIPE_RAW)
		set_const(in, 0);
	else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_errno && in->dst != WIRE_NONE)
		*in = (struct ir_insn){ .op = IR_OP_MOV, .dst = in->dst, .a = errno_reg, .b = WIRE_NONE };
	else if (in->op == IR_OP_JMP || in->op == IR_OP_BRZ || in->op == IR_OP_BRNZ)
		in->imm += m->cnt;
}

static bool uses_errno(const struct ir_prog *p)
{
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		if (p->insns[i].op == IR_OP_CALL && p->insns[i].imm == IR_HELPER_errno)
			return true;
	return false;
}

/* -(int)arg0, if arg0 is in [-ERRNO_MAX, -1]. */
static uint32_t make_errno(struct make *m)
{
	uint32_t out = m->vreg++, neg = m->vreg++;
	make_put(m, IR_OP_NEG, neg, make_arg(m, 0), WIRE_NONE, 0);
	uint32_t is = make_op(m, IR_OP_SULT, make_op(m, IR_OP_SUB, neg, make_const(m, 1)), make_const(m, ERRNO_MAX));
	make_put(m, IR_OP_MUL, out, neg, is, 0);
	return out;
}

static int assemble(struct make *m, const struct ir_prog *src, uint32_t errno_reg, struct ir_prog *ret)
{
	uint32_t cnt = m->cnt + src->insn_cnt + 1;
	struct ir_insn *v = calloc(cnt, sizeof(*v));
	uint64_t *args = calloc(src->arg_cnt + m->arg_cnt + 1ul, sizeof(*args));
	if (!v || !args) {
		free(v);
		free(args);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < m->cnt; i++) {
		v[i] = m->v[i];
		if (v[i].imm == INT64_MAX)
			v[i].imm = cnt - 1;
	}
	for (uint32_t i = 0; i < src->insn_cnt; i++) {
		v[m->cnt + i] = src->insns[i];
		rewrite(m, src, &v[m->cnt + i], errno_reg);
	}
	v[cnt - 1] = (struct ir_insn){ .op = IR_OP_RET, .dst = WIRE_NONE, .a = WIRE_NONE, .b = WIRE_NONE };
	if (src->arg_cnt)
		memcpy(args, src->args, src->arg_cnt * sizeof(*args));
	memcpy(args + src->arg_cnt, m->args, m->arg_cnt * sizeof(*args));
	*ret = *src;
	ret->insns = v;
	ret->insn_cnt = cnt;
	ret->args = args;
	ret->arg_cnt = src->arg_cnt + m->arg_cnt;
	ret->vreg_cnt = m->vreg;
	return 0;
}

int recipe_make(const struct ir_image *image, const struct ir_prog *src, const struct recipe_in *in, struct ir_prog *ret,
		struct err *reterr)
{
	struct make m = { .arg_base = src->arg_cnt, .vreg = src->vreg_cnt, .zero = RECIPE_RAW };
	for (uint32_t i = 0; i < RECIPE_ARGS; i++)
		m.val[i] = RECIPE_RAW;
	if (in->cpu != UINT32_MAX)
		make_only_if(&m, make_op(&m, IR_OP_SEQ, make_env(&m, WIRE_ENV_CPU), make_const(&m, in->cpu)));
	uint32_t errno_reg = in->is_exit && uses_errno(src) ? make_errno(&m) : RECIPE_RAW;
	apply(&m, in->recipe);
	if (m.failed)
		return err_setf(reterr, -ENOTSUP, "this kernel's structures are not known well enough for such a probe");
	int r = assemble(&m, src, errno_reg, ret);
	if (r)
		return err_setf(reterr, r, "out of memory");
	ir_prog_optimize(ret);
	r = ir_prog_verify(ret, image, reterr);
	if (r < 0)
		ir_prog_deinit(ret);
	return r;
}
