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
#include "session/kern_int.h"

#include "kern/kern.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ARGS 10
#define RAW UINT32_MAX       /* the argument is what the place gives */
#define PRELUDE_MAX 96
#define ERRNO_MAX 4095       /* the kernel's results below 0 down to here are errors */

struct make {
	struct ir_insn v[PRELUDE_MAX];
	uint32_t cnt;
	uint64_t args[64];
	uint32_t arg_cnt, arg_base; /* behind those of the clause */
	uint32_t vreg;
	uint32_t val[ARGS];          /* registers, or RAW */
	uint32_t zero;               /* a register; RAW: none yet */
	bool failed;                 /* a member that this kernel's structures lack */
};

/* ---- instructions ---- */

static uint32_t put(struct make *m, enum ir_op op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm)
{
	if (m->cnt == PRELUDE_MAX) {
		m->failed = true;
		return 0;
	}
	m->v[m->cnt] = (struct ir_insn){ .op = (uint16_t)op, .dst = dst, .a = a, .b = b, .imm = imm };
	return m->cnt++;
}

static uint32_t op2(struct make *m, enum ir_op op, uint32_t a, uint32_t b)
{
	put(m, op, m->vreg, a, b, 0);
	return m->vreg++;
}

static uint32_t konst(struct make *m, int64_t v)
{
	put(m, IR_OP_CONST, m->vreg, WIRE_NONE, WIRE_NONE, v);
	return m->vreg++;
}

static uint32_t arg(struct make *m, int64_t n)
{
	put(m, IR_OP_ARG, m->vreg, WIRE_NONE, WIRE_NONE, n);
	return m->vreg++;
}

static uint32_t env(struct make *m, enum wire_env what)
{
	put(m, IR_OP_ENV, m->vreg, WIRE_NONE, WIRE_NONE, what);
	return m->vreg++;
}

static uint32_t call(struct make *m, enum ir_helper h, const uint64_t *args, uint32_t cnt)
{
	if (m->arg_cnt + cnt > ARRAY_CNT(m->args)) {
		m->failed = true;
		return 0;
	}
	for (uint32_t i = 0; i < cnt; i++)
		m->args[m->arg_cnt + i] = args[i];
	put(m, IR_OP_CALL, m->vreg, m->arg_base + m->arg_cnt, cnt, h);
	m->arg_cnt += cnt;
	return m->vreg++;
}

static uint32_t zero(struct make *m)
{
	if (m->zero == RAW)
		m->zero = konst(m, 0);
	return m->zero;
}

/* A member of a structure of the kernel at the address in @base. */
static uint32_t member(struct make *m, uint32_t base, const char *tag, const char *path, uint32_t bytes)
{
	int64_t off = kern_offsetof(tag, path);
	m->failed |= off < 0;
	uint64_t args[] = { op2(m, IR_OP_ADD, base, konst(m, off)), bytes, 1 };
	return call(m, IR_HELPER_copyin_u, args, 3);
}

/* The probe fires only if @v is not zero: the target is filled in when the program is whole. */
static void only_if(struct make *m, uint32_t v)
{
	put(m, IR_OP_BRZ, WIRE_NONE, v, WIRE_NONE, INT64_MAX);
}

static void only_first_thread(struct make *m)
{
	only_if(m, op2(m, IR_OP_SEQ, env(m, WIRE_ENV_PID), env(m, WIRE_ENV_TID)));
}

/* ---- recipes ---- */

static void no_args(struct make *m)
{
	for (uint32_t i = 0; i < ARGS; i++)
		m->val[i] = zero(m);
}

/* 1 exited, 2 killed, 3 dumped core (CLD_*), out of a status as wait() has it. */
static void how_it_ended(struct make *m)
{
	uint32_t code = member(m, arg(m, 0), "task_struct", "exit_code", 4);
	uint32_t killed = op2(m, IR_OP_SNE, op2(m, IR_OP_AND, code, konst(m, 0x7f)), zero(m));
	uint32_t dumped = op2(m, IR_OP_SNE, op2(m, IR_OP_AND, code, konst(m, 0x80)), zero(m));
	uint32_t more = op2(m, IR_OP_MUL, killed, op2(m, IR_OP_ADD, dumped, konst(m, 1)));
	m->val[0] = op2(m, IR_OP_ADD, more, konst(m, 1));
}

/* A signal that kills reaches threads as SIGKILL: which it was is noted for the process. */
static void handled_signal(struct make *m)
{
	uint32_t sig = arg(m, 0), out = m->vreg++;
	put(m, IR_OP_MOV, out, sig, WIRE_NONE, 0);
	uint32_t skip = put(m, IR_OP_BRZ, WIRE_NONE, op2(m, IR_OP_SEQ, sig, konst(m, SIGKILL)), WIRE_NONE, 0);
	uint32_t all = member(m, call(m, IR_HELPER_curthread, NULL, 0), "task_struct", "signal", 8);
	uint32_t was = op2(m, IR_OP_AND, member(m, all, "signal_struct", "group_exit_code", 4), konst(m, 0x7f));
	uint32_t none = put(m, IR_OP_BRZ, WIRE_NONE, was, WIRE_NONE, 0);
	put(m, IR_OP_MOV, out, was, WIRE_NONE, 0);
	m->v[skip].imm = m->v[none].imm = m->cnt;
	m->val[0] = out;
	m->val[2] = member(m, arg(m, 2), "k_sigaction", "sa.sa_handler", 8);
}

static void sent_signal(struct make *m, int64_t result)
{
	only_if(m, op2(m, IR_OP_SEQ, arg(m, 4), konst(m, result)));
	m->val[0] = arg(m, 2);
	m->val[1] = arg(m, 0);
}

static void sleeps(struct make *m)
{
	only_if(m, arg(m, 3));
	only_if(m, op2(m, IR_OP_SEQ, arg(m, 0), konst(m, 0)));
}

/* Where a device hands a packet up, its header is what comes first; the offset is set later. */
static void packet(struct make *m, bool sent)
{
	uint32_t skb = arg(m, 0), low = konst(m, 0xffff);
	uint32_t proto = op2(m, IR_OP_AND, member(m, skb, "sk_buff", "protocol", 2), low);
	uint32_t is4 = op2(m, IR_OP_SEQ, proto, konst(m, 0x0008)), is6 = op2(m, IR_OP_SEQ, proto, konst(m, 0xdd86));
	only_if(m, op2(m, IR_OP_OR, is4, is6));
	uint32_t at = sent ? op2(m, IR_OP_ADD, member(m, skb, "sk_buff", "head", 8),
				 op2(m, IR_OP_AND, member(m, skb, "sk_buff", "network_header", 2), low)) :
		member(m, skb, "sk_buff", "data", 8);
	m->val[1] = member(m, skb, "sk_buff", "sk", 8);
	m->val[2] = at;
	m->val[3] = member(m, skb, "sk_buff", "dev", 8);
	m->val[4] = op2(m, IR_OP_MUL, at, is4);
	m->val[5] = op2(m, IR_OP_MUL, at, is6);
}

static void apply(struct make *m, enum probe_kern_recipe recipe)
{
	switch (recipe) {
	case PROBE_KERN_SECOND:
		m->val[0] = arg(m, 1);
		break;
	case PROBE_KERN_NEW_PROCESS:
		m->val[0] = arg(m, 1);
		only_if(m, op2(m, IR_OP_SEQ, member(m, m->val[0], "task_struct", "pid", 4),
			       member(m, m->val[0], "task_struct", "tgid", 4)));
		break;
	case PROBE_KERN_LEADER_ZERO:
		only_first_thread(m);
		only_if(m, op2(m, IR_OP_SEQ, arg(m, 0), konst(m, 0)));
		break;
	case PROBE_KERN_IF_ZERO:
		only_if(m, op2(m, IR_OP_SEQ, arg(m, 0), konst(m, 0)));
		break;
	case PROBE_KERN_IF_NOT_ZERO:
	case PROBE_KERN_IF_FIRST:
		only_if(m, arg(m, 0));
		break;
	case PROBE_KERN_IF_POSITIVE:
		only_if(m, op2(m, IR_OP_SLT, konst(m, 0), arg(m, 0)));
		break;
	case PROBE_KERN_LEADER_EXIT:
		only_first_thread(m);
		how_it_ended(m);
		break;
	case PROBE_KERN_SIGNAL_SENT:
		sent_signal(m, 0);
		break;
	case PROBE_KERN_SIGNAL_DROPPED:
		sent_signal(m, 1);
		break;
	case PROBE_KERN_SIGNAL_HANDLED:
		handled_signal(m);
		break;
	case PROBE_KERN_CURRENT:
		m->val[0] = call(m, IR_HELPER_curthread, NULL, 0);
		break;
	case PROBE_KERN_NEXT:
		m->val[0] = arg(m, 2);
		break;
	case PROBE_KERN_IF_SLEEPS:
		sleeps(m);
		break;
	case PROBE_KERN_SWITCH_OUT:
		sleeps(m);
		m->val[0] = arg(m, 1);
		m->val[2] = env(m, WIRE_ENV_CPU);
		m->val[3] = zero(m);
		break;
	case PROBE_KERN_ENQUEUED:
		m->val[0] = arg(m, 0);
		m->val[2] = member(m, m->val[0], "task_struct", "thread_info.cpu", 4);
		break;
	case PROBE_KERN_RQ_BIO:
		m->val[0] = member(m, arg(m, 0), "request", "bio", 8);
		break;
	case PROBE_KERN_SENT:
	case PROBE_KERN_RECEIVED:
		packet(m, recipe == PROBE_KERN_SENT);
		break;
	case PROBE_KERN_NONE_LEFT:
		no_args(m);
		break;
	case PROBE_KERN_AS_IS:
	case PROBE_KERN_RECIPE_CNT:
		break;
	}
}

/* ---- the clause behind it ---- */

static void set_const(struct ir_insn *in, int64_t v)
{
	*in = (struct ir_insn){ .op = IR_OP_CONST, .dst = in->dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = v };
}

static void set_value(struct make *m, struct ir_insn *in, uint64_t n)
{
	if (n < ARGS && m->val[n] != RAW)
		*in = (struct ir_insn){ .op = IR_OP_MOV, .dst = in->dst, .a = m->val[n], .b = WIRE_NONE };
	else if (n < ARGS)
		*in = (struct ir_insn){ .op = IR_OP_ARG, .dst = in->dst, .a = WIRE_NONE, .b = WIRE_NONE, .imm = (int64_t)n };
	else
		set_const(in, 0);
}

/* @errno_reg: of a system call that ends; RAW: elsewhere there is none. */
static void rewrite(struct make *m, const struct ir_prog *src, struct ir_insn *in, uint32_t errno_reg)
{
	if (in->op == IR_OP_ARG)
		set_value(m, in, (uint64_t)in->imm);
	else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_arg)
		set_value(m, in, src->args[in->a]);
	else if (in->op == IR_OP_ENV && in->imm == WIRE_ENV_IN_KERNEL)
		set_const(in, 1);
	else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_errno && in->dst != WIRE_NONE && errno_reg == RAW)
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
	put(m, IR_OP_NEG, neg, arg(m, 0), WIRE_NONE, 0);
	uint32_t is = op2(m, IR_OP_SULT, op2(m, IR_OP_SUB, neg, konst(m, 1)), konst(m, ERRNO_MAX));
	put(m, IR_OP_MUL, out, neg, is, 0);
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
	struct make m = { .arg_base = src->arg_cnt, .vreg = src->vreg_cnt, .zero = RAW };
	for (uint32_t i = 0; i < ARGS; i++)
		m.val[i] = RAW;
	if (in->cpu != UINT32_MAX)
		only_if(&m, op2(&m, IR_OP_SEQ, env(&m, WIRE_ENV_CPU), konst(&m, in->cpu)));
	uint32_t errno_reg = in->is_exit && uses_errno(src) ? make_errno(&m) : RAW;
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
