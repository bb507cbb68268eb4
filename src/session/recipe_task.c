/* SPDX-License-Identifier: MIT */
/* Threads, processes, signals, requests: what proc, sched and io give. */
#include "session/recipe_int.h"

#include <signal.h>

/* 1 exited, 2 killed, 3 dumped core (CLD_*), out of a status as wait() has it. */
static void how_it_ended(struct make *m)
{
	uint32_t code = make_member(m, make_arg(m, 0), "task_struct", "exit_code", 4);
	uint32_t killed = make_op(m, IR_OP_SNE, make_op(m, IR_OP_AND, code, make_const(m, 0x7f)), make_zero(m));
	uint32_t dumped = make_op(m, IR_OP_SNE, make_op(m, IR_OP_AND, code, make_const(m, 0x80)), make_zero(m));
	uint32_t more = make_op(m, IR_OP_MUL, killed, make_op(m, IR_OP_ADD, dumped, make_const(m, 1)));
	m->val[0] = make_op(m, IR_OP_ADD, more, make_const(m, 1));
}

/* A signal that kills reaches threads as SIGKILL: which it was is noted for the process. */
static void handled_signal(struct make *m)
{
	uint32_t sig = make_arg(m, 0), out = m->vreg++;
	make_put(m, IR_OP_MOV, out, sig, WIRE_NONE, 0);
	uint32_t skip = make_put(m, IR_OP_BRZ, WIRE_NONE, make_op(m, IR_OP_SEQ, sig, make_const(m, SIGKILL)), WIRE_NONE, 0);
	uint32_t all = make_member(m, make_call(m, IR_HELPER_curthread, NULL, 0), "task_struct", "signal", 8);
	uint32_t was = make_op(m, IR_OP_AND, make_member(m, all, "signal_struct", "group_exit_code", 4), make_const(m, 0x7f));
	uint32_t none = make_put(m, IR_OP_BRZ, WIRE_NONE, was, WIRE_NONE, 0);
	make_put(m, IR_OP_MOV, out, was, WIRE_NONE, 0);
	m->v[skip].imm = m->v[none].imm = m->cnt;
	m->val[0] = out;
	m->val[2] = make_member(m, make_arg(m, 2), "k_sigaction", "sa.sa_handler", 8);
}

static void sent_signal(struct make *m, int64_t result)
{
	make_only_if(m, make_op(m, IR_OP_SEQ, make_arg(m, 4), make_const(m, result)));
	m->val[0] = make_arg(m, 2);
	m->val[1] = make_arg(m, 0);
}

static void sleeps(struct make *m)
{
	make_only_if(m, make_arg(m, 3));
	make_only_if(m, make_op(m, IR_OP_SEQ, make_arg(m, 0), make_const(m, 0)));
}

/* Its own where nobody waits any more, else the better one of both: the smaller number. */
static void new_priority(struct make *m)
{
	uint32_t giver = make_arg(m, 1), out = m->vreg++, own = make_member(m, make_arg(m, 0), "task_struct", "normal_prio", 4);
	make_put(m, IR_OP_MOV, out, own, WIRE_NONE, 0);
	uint32_t none = make_put(m, IR_OP_BRZ, WIRE_NONE, giver, WIRE_NONE, 0);
	uint32_t given = make_member(m, giver, "task_struct", "prio", 4);
	uint32_t worse = make_put(m, IR_OP_BRZ, WIRE_NONE, make_op(m, IR_OP_SLT, given, own), WIRE_NONE, 0);
	make_put(m, IR_OP_MOV, out, given, WIRE_NONE, 0);
	m->v[none].imm = m->v[worse].imm = m->cnt;
	m->val[2] = out;
}

void recipe_task(struct make *m, enum probe_kern_recipe recipe)
{
	switch (recipe) {
	case PROBE_KERN_SECOND:
		m->val[0] = make_arg(m, 1);
		break;
	case PROBE_KERN_NEW_PROCESS:
		m->val[0] = make_arg(m, 1);
		make_only_if(m, make_op(m, IR_OP_SEQ, make_member(m, m->val[0], "task_struct", "pid", 4),
			       make_member(m, m->val[0], "task_struct", "tgid", 4)));
		break;
	case PROBE_KERN_LEADER_ZERO:
		make_only_leader(m);
		make_only_if(m, make_op(m, IR_OP_SEQ, make_arg(m, 0), make_const(m, 0)));
		break;
	case PROBE_KERN_IF_ZERO:
		make_only_if(m, make_op(m, IR_OP_SEQ, make_arg(m, 0), make_const(m, 0)));
		break;
	case PROBE_KERN_IF_NOT_ZERO:
	case PROBE_KERN_IF_FIRST:
		make_only_if(m, make_arg(m, 0));
		break;
	case PROBE_KERN_IF_POSITIVE:
		make_only_if(m, make_op(m, IR_OP_SLT, make_const(m, 0), make_arg(m, 0)));
		break;
	case PROBE_KERN_LEADER_EXIT:
		make_only_leader(m);
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
		m->val[0] = make_call(m, IR_HELPER_curthread, NULL, 0);
		break;
	case PROBE_KERN_NEW_PRIO:
		new_priority(m);
		break;
	case PROBE_KERN_NEXT:
		m->val[0] = make_arg(m, 2);
		break;
	case PROBE_KERN_IF_SLEEPS:
		sleeps(m);
		break;
	case PROBE_KERN_SWITCH_OUT:
		sleeps(m);
		m->val[0] = make_arg(m, 1);
		m->val[2] = make_env(m, WIRE_ENV_CPU);
		m->val[3] = make_zero(m);
		break;
	case PROBE_KERN_ENQUEUED:
		m->val[0] = make_arg(m, 0);
		m->val[2] = make_member(m, m->val[0], "task_struct", "thread_info.cpu", 4);
		break;
	case PROBE_KERN_RQ_BIO:
		m->val[0] = make_member(m, make_arg(m, 0), "request", "bio", 8);
		break;
	default:
		break;
	}
}
