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
#define PRELUDE_MAX 160
#define ERRNO_MAX 4095       /* the kernel's results below 0 down to here are errors */

struct make {
	struct ir_insn v[PRELUDE_MAX];
	uint32_t cnt;
	uint64_t args[96];
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

/* Its own where nobody waits any more, else the better one of both: the smaller number. */
static void new_priority(struct make *m)
{
	uint32_t giver = arg(m, 1), out = m->vreg++, own = member(m, arg(m, 0), "task_struct", "normal_prio", 4);
	put(m, IR_OP_MOV, out, own, WIRE_NONE, 0);
	uint32_t none = put(m, IR_OP_BRZ, WIRE_NONE, giver, WIRE_NONE, 0);
	uint32_t given = member(m, giver, "task_struct", "prio", 4);
	uint32_t worse = put(m, IR_OP_BRZ, WIRE_NONE, op2(m, IR_OP_SLT, given, own), WIRE_NONE, 0);
	put(m, IR_OP_MOV, out, given, WIRE_NONE, 0);
	m->v[none].imm = m->v[worse].imm = m->cnt;
	m->val[2] = out;
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

/* ---- transport ---- */

#define TCP_PROTO 6
#define UDP_PROTO 17
/* Offsets in headers (RFC 791, 8200, 9293); states are Linux's, which are DTrace's as well. */
enum { IP4_PROTO = 9, IP6_NEXT = 6, IP6_BYTES = 40, TCP_SEQ = 4, TCP_FLAGS = 13 };
enum { TH_SYN = 2, TH_RST = 4, TH_ACK = 16 };
enum { ESTABLISHED = 1, SYN_SENT, SYN_RECEIVED, FIN_WAIT_2 = 5, TIME_WAIT, CLOSED, CLOSING = 11, NEW_SYN_RECEIVED };

static uint32_t bytes_at(struct make *m, uint32_t base, int64_t off, uint32_t bytes)
{
	uint64_t args[] = { op2(m, IR_OP_ADD, base, konst(m, off)), bytes, 0 };
	return call(m, IR_HELPER_copyin_u, args, 3);
}

static uint32_t is(struct make *m, uint32_t v, int64_t what) { return op2(m, IR_OP_SEQ, v, konst(m, what)); }

static void only_proto(struct make *m, uint32_t ip, uint32_t is4, int64_t proto)
{
	uint32_t other = op2(m, IR_OP_XOR, is4, konst(m, 1));
	uint32_t at = op2(m, IR_OP_ADD, op2(m, IR_OP_MUL, is4, konst(m, IP4_PROTO)), op2(m, IR_OP_MUL, other, konst(m, IP6_NEXT)));
	only_if(m, is(m, bytes_at(m, op2(m, IR_OP_ADD, ip, at), 0, 1), proto));
}

/* arg3: the socket, if it is a whole one; arg6: its state.  Those that are being made or have ended are stumps; one
 * without a peer sends in the name of others. */
static void whole_socket(struct make *m)
{
	uint32_t sk = m->val[1], whole = m->vreg++, state = m->vreg++;
	put(m, IR_OP_MOV, whole, zero(m), WIRE_NONE, 0);
	put(m, IR_OP_MOV, state, m->zero, WIRE_NONE, 0);
	uint32_t none = put(m, IR_OP_BRZ, WIRE_NONE, sk, WIRE_NONE, 0);
	uint32_t is_now = member(m, sk, "sock_common", "skc_state", 1);
	uint32_t made = is(m, is_now, NEW_SYN_RECEIVED), peerless = is(m, member(m, sk, "sock_common", "skc_dport", 2), 0);
	uint32_t stump = op2(m, IR_OP_OR, peerless, op2(m, IR_OP_OR, is(m, is_now, TIME_WAIT), made));
	put(m, IR_OP_MOV, whole, op2(m, IR_OP_MUL, sk, op2(m, IR_OP_XOR, stump, konst(m, 1))), WIRE_NONE, 0);
	put(m, IR_OP_SUB, state, is_now, op2(m, IR_OP_MUL, made, konst(m, NEW_SYN_RECEIVED - SYN_RECEIVED)), 0);
	m->v[none].imm = m->cnt;
	m->val[3] = whole;
	m->val[6] = state;
}

/* arg0 packet, arg1 socket, arg2 IP header, arg3 and arg6 as above, arg4 transport's header, arg7 whether it comes in. */
static void segment(struct make *m, bool sent, int64_t proto)
{
	packet(m, sent);
	uint32_t ip = m->val[2], first = bytes_at(m, ip, 0, 1);
	uint32_t is4 = is(m, op2(m, IR_OP_SHR, first, konst(m, 4)), 4);
	only_proto(m, ip, is4, proto);
	uint32_t len4 = op2(m, IR_OP_MUL, op2(m, IR_OP_AND, first, konst(m, 15)), konst(m, 4));
	uint32_t more = op2(m, IR_OP_MUL, is4, op2(m, IR_OP_SUB, len4, konst(m, IP6_BYTES)));
	whole_socket(m);
	m->val[4] = op2(m, IR_OP_ADD, ip, op2(m, IR_OP_ADD, more, konst(m, IP6_BYTES)));
	m->val[5] = zero(m);
	m->val[7] = konst(m, !sent);
}

/* A segment with these of the flags @of. */
static void only_flags(struct make *m, int64_t of, int64_t flags)
{
	only_if(m, is(m, op2(m, IR_OP_AND, bytes_at(m, m->val[4], TCP_FLAGS, 1), konst(m, of)), flags));
}

/* A segment that answers no ACK has number 0: the reset of a connection that nobody waits for. */
static void refusal(struct make *m)
{
	segment(m, true, TCP_PROTO);
	only_flags(m, TH_RST | TH_ACK, TH_RST | TH_ACK);
	only_if(m, is(m, bytes_at(m, m->val[4], TCP_SEQ, 4), 0));
}

/* arg0 socket, arg1 old and arg2 new state.  There is no packet: its addresses are the socket's. */
static void transition(struct make *m)
{
	uint32_t sk = arg(m, 0), old = arg(m, 1), new = arg(m, 2);
	only_if(m, is(m, member(m, sk, "sock", "sk_protocol", 2), TCP_PROTO));
	m->val[0] = zero(m);
	m->val[1] = m->val[2] = m->val[3] = m->val[4] = sk;
	m->val[5] = old;
	m->val[6] = new;
	m->val[7] = konst(m, 1);
}

/* What waits is not the socket any more, which closes without an error. */
static void any_transition(struct make *m)
{
	uint32_t sk = arg(m, 0), old = arg(m, 1), new = arg(m, 2);
	transition(m);
	uint32_t last = op2(m, IR_OP_OR, is(m, old, FIN_WAIT_2), is(m, old, CLOSING));
	uint32_t ends = op2(m, IR_OP_AND, last, is(m, new, CLOSED));
	uint32_t waits = op2(m, IR_OP_AND, ends, is(m, member(m, sk, "sock", "sk_err", 4), 0));
	m->val[6] = op2(m, IR_OP_SUB, new, op2(m, IR_OP_MUL, waits, konst(m, CLOSED - TIME_WAIT)));
}

static void one_transition(struct make *m, int64_t from, int64_t to)
{
	transition(m);
	only_if(m, is(m, m->val[5], from));
	only_if(m, is(m, m->val[6], to));
}

static void apply_net(struct make *m, enum probe_kern_recipe recipe)
{
	switch (recipe) {
	case PROBE_KERN_TCP_SENT:
	case PROBE_KERN_TCP_RECEIVED:
		segment(m, recipe == PROBE_KERN_TCP_SENT, TCP_PROTO);
		break;
	case PROBE_KERN_UDP_SENT:
	case PROBE_KERN_UDP_RECEIVED:
		segment(m, recipe == PROBE_KERN_UDP_SENT, UDP_PROTO);
		break;
	case PROBE_KERN_TCP_STATE:
		any_transition(m);
		break;
	case PROBE_KERN_TCP_CONNECTS:
		segment(m, true, TCP_PROTO);
		only_flags(m, TH_SYN | TH_ACK, TH_SYN);
		break;
	case PROBE_KERN_TCP_CONNECTED:
		one_transition(m, SYN_SENT, ESTABLISHED);
		break;
	case PROBE_KERN_TCP_ACCEPTED:
		one_transition(m, SYN_RECEIVED, ESTABLISHED);
		break;
	case PROBE_KERN_TCP_REFUSED:
		one_transition(m, SYN_SENT, CLOSED);
		only_if(m, is(m, member(m, m->val[1], "sock", "sk_err", 4), ECONNREFUSED));
		break;
	case PROBE_KERN_TCP_REFUSES:
		refusal(m);
		break;
	default:
		break;
	}
}

/* Kinds of locks, as contention_begin has them (include/trace/events/lock.h of the kernel). */
enum { LOCK_SPIN = 1, LOCK_READ = 2, LOCK_WRITE = 4, LOCK_PERCPU = 16, LOCK_MUTEX = 32 };

/* Fires where of the kinds in @mask exactly those of @kind are told; @rw: and that one reads or writes. */
static void lock_wait(struct make *m, int64_t mask, int64_t kind, bool rw)
{
	uint32_t flags = arg(m, 1);
	only_if(m, op2(m, IR_OP_SEQ, op2(m, IR_OP_AND, flags, konst(m, mask)), konst(m, kind)));
	if (rw)
		only_if(m, op2(m, IR_OP_AND, flags, konst(m, LOCK_READ | LOCK_WRITE)));
	m->val[1] = zero(m); /* how long it takes nobody knows yet */
	m->val[2] = op2(m, IR_OP_SNE, op2(m, IR_OP_AND, flags, konst(m, LOCK_READ)), zero(m));
}

static void apply_lock(struct make *m, enum probe_kern_recipe recipe)
{
	const int64_t any = LOCK_SPIN | LOCK_READ | LOCK_WRITE | LOCK_PERCPU | LOCK_MUTEX;
	switch (recipe) {
	case PROBE_KERN_MUTEX_BLOCKS:
		lock_wait(m, LOCK_MUTEX | LOCK_SPIN, LOCK_MUTEX, false);
		break;
	case PROBE_KERN_MUTEX_SPINS:
		lock_wait(m, LOCK_MUTEX | LOCK_SPIN, LOCK_MUTEX | LOCK_SPIN, false);
		break;
	case PROBE_KERN_RW_BLOCKS:
		lock_wait(m, LOCK_PERCPU | LOCK_SPIN, 0, true);
		break;
	case PROBE_KERN_RW_SPINS:
		lock_wait(m, LOCK_PERCPU | LOCK_SPIN, LOCK_SPIN, true);
		break;
	default:
		lock_wait(m, any, LOCK_SPIN, false);
	}
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
	case PROBE_KERN_NEW_PRIO:
		new_priority(m);
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
	case PROBE_KERN_MUTEX_BLOCKS: case PROBE_KERN_MUTEX_SPINS: case PROBE_KERN_SPINS:
	case PROBE_KERN_RW_BLOCKS: case PROBE_KERN_RW_SPINS:
		apply_lock(m, recipe);
		break;
	case PROBE_KERN_AS_IS:
	case PROBE_KERN_RECIPE_CNT:
		break;
	default:
		apply_net(m, recipe);
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
