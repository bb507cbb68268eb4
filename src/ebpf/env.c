/* SPDX-License-Identifier: MIT */
/* Built-in variables, registers and arguments. */
#include "ebpf/ebpf_int.h"

#include <errno.h>

#define CTX(field) ((int64_t)offsetof(struct rtk_ctx, field))

static void site_word(struct gen *g, size_t field)
{
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 2, (int64_t)field);
	emit_call(g, "rtk_env_site");
}

/* An interned string that the site names. */
static void site_str(struct gen *g, size_t field)
{
	site_word(g, field);
	emit_const(g, 1, (int64_t)WIRE_SREF(WIRE_SREF_INTERN, 0));
	emit(g, BPF_ALU64 | BPF_OR | BPF_X, 0, 1, 0, 0);
}

static void ctx_call(struct gen *g, const char *name)
{
	emit_mov(g, 1, REG_OFF);
	emit_call(g, name);
}

static void half(struct gen *g, bool high)
{
	if (high)
		emit(g, BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, 32);
	else
		emit_extend(g, 0, 32, false);
}

/* The value to r0. */
static void env(struct gen *g, uint32_t which)
{
	switch ((enum wire_env)which) {
	case WIRE_ENV_TIMESTAMP: ctx_call(g, "rtk_env_timestamp"); break;
	case WIRE_ENV_WALLTIMESTAMP: ctx_call(g, "rtk_env_walltimestamp"); break;
	case WIRE_ENV_PID: emit_load(g, 4, 0, REG_CTX, CTX(pid_tgid) + 4); break;
	case WIRE_ENV_TID: emit_load(g, 4, 0, REG_CTX, CTX(pid_tgid)); break;
	case WIRE_ENV_PPID: task_offsets(g); emit_call(g, "rtk_env_ppid"); break;
	case WIRE_ENV_UID: emit_kernel(g, BPF_FUNC_get_current_uid_gid); half(g, false); break;
	case WIRE_ENV_GID: emit_kernel(g, BPF_FUNC_get_current_uid_gid); half(g, true); break;
	case WIRE_ENV_CPU: emit_kernel(g, BPF_FUNC_get_smp_processor_id); break;
	case WIRE_ENV_EXECNAME: ctx_call(g, "rtk_env_execname"); break;
	case WIRE_ENV_PSARGS: task_offsets(g); ctx_call(g, "rtk_env_psargs"); break;
	case WIRE_ENV_PROBEPROV: site_str(g, offsetof(struct wire_site, prov)); break;
	case WIRE_ENV_PROBEMOD: site_str(g, offsetof(struct wire_site, mod)); break;
	case WIRE_ENV_PROBEFUNC: site_str(g, offsetof(struct wire_site, func)); break;
	case WIRE_ENV_PROBENAME: site_str(g, offsetof(struct wire_site, name)); break;
	case WIRE_ENV_PROBEID: site_word(g, offsetof(struct wire_site, probe_id)); break;
	case WIRE_ENV_CLAUSE: emit_const(g, 0, g->prog->clause); break;
	case WIRE_ENV_IN_KERNEL: emit_const(g, 0, 1); break;
	case WIRE_ENV_RET_OFFSET: ctx_call(g, "rtk_env_ret_offset"); break;
	case WIRE_ENV_AT_JUMP: site_word(g, offsetof(struct wire_site, leaves_by_jump)); break;
	case WIRE_ENV_WEIGHT: emit_const(g, 0, 1); break;
	case WIRE_ENV_CNT: emit_const(g, 0, 0); break;
	}
}

void gen_env(struct gen *g, const struct ir_insn *in)
{
	if (in->op == IR_OP_UREG) {
		emit_mov(g, 1, REG_OFF);
		emit_const(g, 2, in->imm);
		emit_call(g, "rtk_ureg");
	} else {
		env(g, (uint32_t)in->imm);
	}
	gen_put(g, in->dst, 0);
}

static void load_prog_ctx(struct gen *g, uint8_t reg)
{
	emit_load(g, 8, reg, BPF_REG_10, PROG_CTX);
}

/* The pc of one of the two modes, by the privilege level in cs. */
static void sampled_pc(struct gen *g, bool user, uint8_t reg)
{
	uint32_t end = new_label(g);
	load_prog_ctx(g, 2);
	emit_load(g, 8, 3, 2, 8 * WIRE_CS);
	emit(g, BPF_ALU64 | BPF_AND | BPF_K, 3, 0, 0, 3);
	emit_load(g, 8, 4, 2, 8 * WIRE_RIP);
	emit_const(g, reg, 0);
	emit_jump_if(g, user ? BPF_JEQ : BPF_JNE, 3, 0, end);
	emit_mov(g, reg, 4);
	set_label(g, end);
}

/* Kernel memory at r3 to the stack, then to @reg; what cannot be read is 0. */
static void read_word(struct gen *g, uint32_t bytes, uint8_t reg)
{
	int32_t tmp = SLOT_FIRST - 8 * SLOT_CNT;
	emit_const(g, 2, 0);
	emit_store(g, 8, BPF_REG_10, tmp, 2);
	emit_mov(g, 1, BPF_REG_10);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_K, 1, 0, 0, tmp);
	emit_const(g, 2, bytes);
	emit_kernel(g, BPF_FUNC_probe_read_kernel);
	emit_load(g, 8, reg, BPF_REG_10, tmp);
}

static void deref(struct gen *g, const struct ebpf_arg *a, uint8_t reg)
{
	load_prog_ctx(g, 2);
	emit_load(g, 8, 3, 2, a->off);
	if (g->p->btf_id) {
		emit_load(g, a->bytes, reg, 3, (int64_t)a->val);
		return;
	}
	if (a->val) {
		emit_const(g, 4, (int64_t)a->val);
		emit(g, BPF_ALU64 | BPF_ADD | BPF_X, 3, 4, 0, 0);
	}
	read_word(g, a->bytes, reg);
}

/* The event's own data as a kernel address: a pointer that went through memory is a number. */
static void address_in_ctx(struct gen *g, const struct ebpf_arg *a, uint8_t reg)
{
	load_prog_ctx(g, 2);
	emit_store(g, 8, REG_CTX, CTX(cell), 2);
	if (a->val) {
		emit_load(g, 4, 3, 2, (int32_t)a->off);
		emit(g, BPF_ALU64 | BPF_AND | BPF_K, 3, 0, 0, 0xffff);
	} else {
		emit_const(g, 3, a->off);
	}
	emit_load(g, 8, reg, REG_CTX, CTX(cell));
	emit(g, BPF_ALU64 | BPF_ADD | BPF_X, reg, 3, 0, 0);
}

void gen_arg(struct gen *g, const struct ebpf_arg *a, uint8_t reg)
{
	switch ((enum ebpf_arg_kind)a->kind) {
	case EBPF_ARG_NONE:
		emit_const(g, reg, 0);
		return;
	case EBPF_ARG_CONST:
		emit_const(g, reg, (int64_t)a->val);
		return;
	case EBPF_ARG_CTX:
		load_prog_ctx(g, 2);
		emit_load(g, a->bytes, reg, 2, a->off);
		break;
	case EBPF_ARG_DEREF:
		deref(g, a, reg);
		break;
	case EBPF_ARG_CTX_READ:
		load_prog_ctx(g, 3);
		emit(g, BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, (int32_t)a->off);
		read_word(g, 8, reg);
		break;
	case EBPF_ARG_CTX_ADDR:
		address_in_ctx(g, a, reg);
		return;
	case EBPF_ARG_KPC:
	case EBPF_ARG_UPC:
		sampled_pc(g, a->kind == EBPF_ARG_UPC, reg);
		return;
	case EBPF_ARG_COOKIE:
		load_prog_ctx(g, 1);
		emit_kernel(g, BPF_FUNC_get_attach_cookie);
		emit_mov(g, reg, 0);
		emit(g, BPF_ALU64 | BPF_ARSH | BPF_K, reg, 0, 0, 32);
		return;
	case EBPF_ARG_UARG:
		gen_uarg(g, a->uarg, reg);
		return;
	}
	if (a->is_signed)
		emit_extend(g, reg, a->bytes * 8u, true);
}
