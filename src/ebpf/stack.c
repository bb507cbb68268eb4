/* SPDX-License-Identifier: MIT */
/* Stacks: the kernel's own function for them wants the context that it passed, which only the main program has. */
#include "ebpf/ebpf_int.h"

/* Frames between the program and what it is attached to: itself, bpf_trace_runN, __bpf_trace_NAME or __traceiter_NAME; at a
 * function the trampoline. */
static int64_t own_frames(enum ebpf_kind kind)
{
	switch (kind) {
	case EBPF_RAW_TP: return 3;
	case EBPF_FENTRY: case EBPF_FEXIT: return 2;
	case EBPF_TRACEPOINT: return 1;
	default: return 0;
	}
}

_Static_assert(EBPF_UNWINDS == RTK_PROCS, "");

uint32_t ebpf_strangers(struct ebpf *e, uint32_t *ret_pids, uint32_t cap)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < RTK_STRANGERS && cnt < cap; i++) {
		uint32_t pid = __atomic_exchange_n(&e->tail->strangers[i], 0, __ATOMIC_RELAXED);
		if (pid)
			ret_pids[cnt++] = pid;
	}
	return cnt;
}

/* How many the instruction asks for. */
static uint32_t depth_of(const struct gen *g, const struct ir_insn *in)
{
	const uint64_t *args = g->prog->args + in->a;
	switch ((enum ir_helper)in->imm) {
	case IR_HELPER_tuple_ustack: return (uint32_t)args[2];
	case IR_HELPER_rec_ustack: return (uint32_t)args[1];
	case IR_HELPER_uaddr_caller: return 2;
	default: return RTK_FRAMES;
	}
}

/* Of a process whose unwind tables there are; jumps to @done then. */
static void unwind(struct gen *g, const struct ir_insn *in, uint32_t done)
{
	uint32_t max = g->e->in.max_frames, depth = depth_of(g, in);
	if (g->e->in.shm->unw_bytes <= WIRE_PAGE)
		return;
	task_offsets(g);
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 2, max && max < depth ? max : depth);
	emit_call(g, "rtk_unwind");
	emit_jump_if(g, BPF_JNE, 0, 0, done);
}

static void get_stack(struct gen *g, const struct ir_insn *in, bool user)
{
	uint32_t done = new_label(g);
	if (user)
		unwind(g, in, done);
	int64_t bytes_at = (int64_t)(g->e->k[RTK_K_MORE] + offsetof(struct rtk_more, frame_bytes));
	emit_load(g, 8, 1, BPF_REG_10, PROG_CTX);
	emit_mov(g, 2, REG_CTX);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, (int32_t)(g->e->k[RTK_K_MORE] + offsetof(struct rtk_more, frames)));
	uint32_t max = g->e->in.max_frames;
	emit_const(g, 3, 8 * (max && max < RTK_FRAMES ? max : RTK_FRAMES));
	emit_const(g, 4, user ? BPF_F_USER_STACK : own_frames(g->p->kind));
	emit_kernel(g, BPF_FUNC_get_stack);
	emit_mov(g, 1, 0);
	emit_store(g, 4, REG_CTX, bytes_at, 1);
	if (user) {
		emit_mov(g, 1, REG_OFF);
		emit_call(g, "rtk_cut_frames");
	}
	set_label(g, done);
}

bool gen_stack(struct gen *g, const struct ir_insn *in)
{
	const char *name;
	bool user = true;
	switch ((enum ir_helper)in->imm) {
	case IR_HELPER_tuple_kstack: user = false; name = "rtk_tuple_ustack"; break;
	case IR_HELPER_tuple_ustack: name = "rtk_tuple_ustack"; break;
	case IR_HELPER_rec_kstack: user = false; name = "rtk_rec_ustack"; break;
	case IR_HELPER_rec_ustack: name = "rtk_rec_ustack"; break;
	case IR_HELPER_kstackdepth: user = false; name = "rtk_ustackdepth"; break;
	case IR_HELPER_ustackdepth: name = "rtk_ustackdepth"; break;
	case IR_HELPER_kcaller: user = false; name = "rtk_uaddr_caller"; break;
	case IR_HELPER_uaddr_caller: name = "rtk_uaddr_caller"; break;
	default:
		return false;
	}
	get_stack(g, in, user);
	gen_call_args(g, in);
	emit_call(g, name);
	gen_put(g, in->dst, 0);
	return true;
}
