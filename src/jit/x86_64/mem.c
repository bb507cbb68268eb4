/* SPDX-License-Identifier: MIT */
/* What programs read and write besides registers. */
#include "jit/x86_64/gen_int.h"

/* ---- variables, scratch, records ---- */

/* The thread's area is found through the context; globals have an address. */
static struct x64_mem place(struct jit_gen *g, const struct ir_insn *in)
{
	const struct wire_shm *geo = g->env->geometry;
	switch (in->op) {
	case IR_OP_LDS:
	case IR_OP_STS:
		return x64_at(JIT_CTX, (int64_t)offsetof(struct rt_ctx, scratch) + in->imm);
	case IR_OP_LDG:
	case IR_OP_STG:
		return g->quick ? jit_near(g, g->env->shm_addr + geo->global_off + (uint64_t)in->imm) :
			jit_abs(g, g->env->shm_addr + geo->global_off + (uint64_t)in->imm, X64_RSI);
	case IR_OP_LDT:
	case IR_OP_STT:
		x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(thr));
		return x64_at(X64_RSI, geo->geom.self_off + in->imm);
	default:
		x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(rec));
		return x64_at(X64_RSI, (int64_t)offsetof(struct wire_rec, payload) + in->imm);
	}
}

static enum x64_op load_op(uint16_t aux)
{
	switch (aux) {
	case 1:
		return X64_MOVZX8;
	case 2:
		return X64_MOVZX16;
	case 4:
		return X64_LOAD32;
	case 1 | IR_SIGNED:
		return X64_MOVSX8;
	case 2 | IR_SIGNED:
		return X64_MOVSX16;
	case 4 | IR_SIGNED:
		return X64_MOVSX32;
	default:
		return X64_LOAD;
	}
}

void jit_gen_load(struct jit_gen *g, const struct ir_insn *in, struct x64_mem m)
{
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	x64_rm(&g->a, load_op(in->aux), d, m);
	jit_dst_done(g, in->dst, d);
}

void jit_gen_store(struct jit_gen *g, const struct ir_insn *in, struct x64_mem m)
{
	struct jit_loc l = jit_loc(g, in->a);
	if (l.kind == JIT_LOC_IMM && (in->aux < 8 || x64_fits32((uint64_t)l.imm))) {
		x64_store_imm(&g->a, in->aux, m, (int32_t)l.imm);
		return;
	}
	enum x64_op op = in->aux == 1 ? X64_STORE8 : in->aux == 2 ? X64_STORE16 : in->aux == 4 ? X64_STORE32 : X64_STORE;
	x64_rm(&g->a, op, jit_src(g, in->a, X64_RAX), m);
}

void jit_gen_mem(struct jit_gen *g, const struct ir_insn *in)
{
	if (in->op == IR_OP_LDS || in->op == IR_OP_LDG || in->op == IR_OP_LDT)
		jit_gen_load(g, in, place(g, in));
	else
		jit_gen_store(g, in, place(g, in));
}

/* ---- the application's registers ---- */

static void gen_load_reg(struct jit_gen *g, uint32_t dst, enum wire_reg reg)
{
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	x64_rm(&g->a, X64_LOAD, d, x64_at(JIT_CTX, (int64_t)(offsetof(struct rt_ctx, regs) + 8 * (size_t)reg)));
	jit_dst_done(g, dst, d);
}

static void gen_offset(struct jit_gen *g, uint32_t dst)
{
	x64_rm(&g->a, X64_LOAD, X64_RCX, JIT_CTX_AT(site));
	x64_rm(&g->a, X64_LOAD, X64_RAX, x64_at(X64_RCX, offsetof(struct wire_site, addr)));
	x64_rm(&g->a, X64_SUB, X64_RAX, x64_at(X64_RCX, offsetof(struct wire_site, func_addr)));
	jit_dst_done(g, dst, X64_RAX);
}

static void gen_return_arg(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	if (in->imm == 0) {
		gen_offset(g, in->dst);
	} else if (in->imm == 1) {
		if (g->is_tail)
			x64_jmp(&g->a, jit_fault_label_retval(g, insn));
		gen_load_reg(g, in->dst, WIRE_RAX);
	} else {
		enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
		x64_zero(&g->a, d);
		jit_dst_done(g, in->dst, d);
	}
}

/* What the prologue has found. */
static void gen_tool_arg(struct jit_gen *g, const struct ir_insn *in)
{
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	x64_rm(&g->a, X64_LOAD, d, jit_tool_arg((unsigned)in->imm));
	jit_dst_done(g, in->dst, d);
}

static void gen_usdt_arg(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	x64_rm(&g->a, X64_LOAD32, X64_RAX, JIT_CTX_AT(args_bad));
	x64_group_imm(&g->a, X64_G_AND, X64_RAX, 1 << in->imm);
	x64_jcc(&g->a, X64_CC_NE, jit_fault_label_arg(g, insn, (unsigned)in->imm));
	gen_tool_arg(g, in);
}

void jit_gen_arg(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	if (in->op == IR_OP_UREG) {
		gen_load_reg(g, in->dst, (enum wire_reg)in->imm);
	} else if (g->kind == WIRE_SITE_RETURN) {
		gen_return_arg(g, insn);
	} else if (g->kind == WIRE_SITE_TOOL) {
		gen_tool_arg(g, in);
	} else if (g->kind == WIRE_SITE_USDT) {
		gen_usdt_arg(g, insn);
	} else {
		gen_load_reg(g, in->dst, jit_arg_reg(g, in->imm));
	}
}

/* ---- ENV ---- */

void jit_gen_read_tsc(struct jit_gen *g)
{
	x64_rdtsc(&g->a);
	x64_shift_imm(&g->a, X64_SHL, X64_RDX, 32);
	x64_rr(&g->a, X64_OR, X64_RAX, X64_RDX);
}

void jit_gen_tsc(struct jit_gen *g)
{
	struct x64_asm *a = &g->a;
	uint32_t coarse = x64_label(a);
	x64_mov_imm(a, X64_RAX, jit_proc_addr(g->env));
	x64_rm(a, X64_LOAD32, X64_RDX, x64_at(X64_RAX, offsetof(struct wire_proc, flags)));
	x64_rm(a, X64_LOAD, X64_RAX, x64_at(X64_RAX, offsetof(struct wire_proc, coarse_tsc)));
	x64_group_imm(a, X64_G_AND, X64_RDX, WIRE_PROC_NO_TSC);
	x64_jcc(a, X64_CC_NE, coarse);
	jit_gen_read_tsc(g);
	x64_bind(a, coarse);
	x64_rm(a, X64_STORE, X64_RAX, JIT_CTX_AT(tsc));
}

void jit_gen_ns(struct jit_gen *g, struct x64_mem base, struct x64_mem mult, struct x64_mem ns_base)
{
	struct x64_asm *a = &g->a;
	x64_rm(a, X64_SUB, X64_RAX, base);
	x64_unary_mem(a, X64_MUL, mult);
	x64_shift_imm(a, X64_SHR, X64_RAX, WIRE_TSC_SHIFT);
	x64_shift_imm(a, X64_SHL, X64_RDX, 64 - WIRE_TSC_SHIFT);
	x64_rr(a, X64_ADD, X64_RAX, X64_RDX);
	x64_rm(a, X64_ADD, X64_RAX, ns_base);
}

static void gen_time(struct jit_gen *g, uint32_t dst, size_t base_off)
{
	x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(shm));
	x64_rm(&g->a, X64_LOAD, X64_RAX, JIT_CTX_AT(tsc));
	jit_gen_ns(g, x64_at(X64_RSI, offsetof(struct wire_shm, tsc_base)), x64_at(X64_RSI, offsetof(struct wire_shm, tsc_mult)),
		   x64_at(X64_RSI, (int64_t)base_off));
	jit_dst_done(g, dst, X64_RAX);
}

static void gen_load32(struct jit_gen *g, uint32_t dst, struct x64_mem m)
{
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	x64_rm(&g->a, X64_LOAD32, d, m);
	jit_dst_done(g, dst, d);
}

static void gen_of_proc(struct jit_gen *g, uint32_t dst, size_t off)
{
	gen_load32(g, dst, jit_abs(g, jit_proc_addr(g->env) + off, X64_RSI));
}

static void gen_of_site(struct jit_gen *g, uint32_t dst, size_t off)
{
	x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(site));
	gen_load32(g, dst, x64_at(X64_RSI, (int64_t)off));
}

/* The offset of an interned string, made an sref by its tag. */
static void gen_sref(struct jit_gen *g, uint32_t dst, struct x64_mem m)
{
	_Static_assert(WIRE_SREF_INTERN == 2, "the tag is one bit");
	enum x64_reg d = jit_dst(g, dst, X64_RAX);
	x64_rm(&g->a, X64_LOAD32, d, m);
	x64_bts(&g->a, d, WIRE_SREF_TAG_SHIFT + 1);
	jit_dst_done(g, dst, d);
}

static void gen_site_sref(struct jit_gen *g, uint32_t dst, size_t off)
{
	x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(site));
	gen_sref(g, dst, x64_at(X64_RSI, (int64_t)off));
}

static void gen_call_env(struct jit_gen *g, const struct ir_insn *in)
{
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_mov_imm(&g->a, X64_RSI, (uint64_t)in->imm);
	x64_call(&g->a, g->env->fn_env);
	jit_dst_done(g, in->dst, X64_RAX);
}

/* pid, ppid, tid: at hand, but for a thread that may be in vfork(). */
static void gen_id(struct jit_gen *g, const struct ir_insn *in)
{
	static const uint8_t kept[] = { X64_RDI, X64_R9, X64_R10, X64_R11 }; /* the allocator knows of no call here */
	uint32_t plain = x64_label(&g->a), done = x64_label(&g->a);
	x64_rm(&g->a, X64_LOAD, X64_RSI, JIT_CTX_AT(thr));
	x64_rm(&g->a, X64_LOAD32, X64_RAX, x64_at(X64_RSI, offsetof(struct wire_thread, vfork_pid)));
	x64_rr(&g->a, X64_TEST, X64_RAX, X64_RAX);
	x64_jcc(&g->a, X64_CC_E, plain);
	for (size_t i = 0; i < ARRAY_CNT(kept); i++)
		x64_push(&g->a, (enum x64_reg)kept[i]);
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_mov_imm(&g->a, X64_RSI, (uint64_t)in->imm);
	x64_call(&g->a, g->env->fn_env);
	for (size_t i = ARRAY_CNT(kept); i--;)
		x64_pop(&g->a, (enum x64_reg)kept[i]);
	jit_dst_done(g, in->dst, X64_RAX);
	x64_jmp(&g->a, done);
	x64_bind(&g->a, plain);
	if (in->imm == WIRE_ENV_TID)
		gen_load32(g, in->dst, x64_at(X64_RSI, offsetof(struct wire_thread, tid)));
	else
		gen_of_proc(g, in->dst, in->imm == WIRE_ENV_PID ? offsetof(struct wire_proc, pid) : offsetof(struct wire_proc, ppid));
	x64_bind(&g->a, done);
}

void jit_gen_env(struct jit_gen *g, const struct ir_insn *in)
{
	uint32_t dst = in->dst;
	switch ((enum wire_env)in->imm) {
	case WIRE_ENV_TIMESTAMP:
		gen_time(g, dst, offsetof(struct wire_shm, ns_base));
		break;
	case WIRE_ENV_WALLTIMESTAMP:
		gen_time(g, dst, offsetof(struct wire_shm, wall_base));
		break;
	case WIRE_ENV_UID:
		gen_of_proc(g, dst, offsetof(struct wire_proc, uid));
		break;
	case WIRE_ENV_GID:
		gen_of_proc(g, dst, offsetof(struct wire_proc, gid));
		break;
	case WIRE_ENV_PID:
	case WIRE_ENV_PPID:
	case WIRE_ENV_TID:
		gen_id(g, in);
		break;
	case WIRE_ENV_EXECNAME:
		gen_sref(g, dst, jit_abs(g, jit_proc_addr(g->env) + offsetof(struct wire_proc, execname), X64_RSI));
		break;
	case WIRE_ENV_PSARGS:
		gen_sref(g, dst, jit_abs(g, jit_proc_addr(g->env) + offsetof(struct wire_proc, psargs), X64_RSI));
		break;
	case WIRE_ENV_PROBEPROV:
		gen_site_sref(g, dst, offsetof(struct wire_site, prov));
		break;
	case WIRE_ENV_PROBEMOD:
		gen_site_sref(g, dst, offsetof(struct wire_site, mod));
		break;
	case WIRE_ENV_PROBEFUNC:
		gen_site_sref(g, dst, offsetof(struct wire_site, func));
		break;
	case WIRE_ENV_PROBENAME:
		gen_site_sref(g, dst, offsetof(struct wire_site, name));
		break;
	case WIRE_ENV_PROBEID:
		gen_of_site(g, dst, offsetof(struct wire_site, probe_id));
		break;
	case WIRE_ENV_RET_OFFSET:
		gen_offset(g, dst);
		break;
	case WIRE_ENV_CLAUSE:
		x64_mov_imm(&g->a, X64_RAX, g->p->clause);
		jit_dst_done(g, dst, X64_RAX);
		break;
	case WIRE_ENV_CPU:
	case WIRE_ENV_AT_JUMP:
	case WIRE_ENV_IN_KERNEL:
	case WIRE_ENV_WEIGHT:
	case WIRE_ENV_CNT:
		gen_call_env(g, in);
		break;
	}
}
