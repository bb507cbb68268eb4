/* SPDX-License-Identifier: MIT */
#include "ir/interp.h"
#include "ir/ir_int.h"

#include <stdlib.h>
#include <string.h>

#define REGS_ON_STACK 256

/* Variables are shared with other threads: whole accesses, no tearing. */
static uint64_t load(const void *p, uint16_t aux)
{
	unsigned bytes = aux & ~IR_SIGNED;
	uint64_t v;
	switch (bytes) {
	case 1:
		v = LOAD_RELAXED((const uint8_t *)p);
		break;
	case 2:
		v = LOAD_RELAXED((const uint16_t *)p);
		break;
	case 4:
		v = LOAD_RELAXED((const uint32_t *)p);
		break;
	default:
		v = LOAD_RELAXED((const uint64_t *)p);
		break;
	}
	return ir_extend(v, bytes * 8, aux & IR_SIGNED);
}

static void store(void *p, uint16_t bytes, uint64_t v)
{
	switch (bytes) {
	case 1:
		STORE_RELAXED((uint8_t *)p, (uint8_t)v);
		break;
	case 2:
		STORE_RELAXED((uint16_t *)p, (uint16_t)v);
		break;
	case 4:
		STORE_RELAXED((uint32_t *)p, (uint32_t)v);
		break;
	default:
		STORE_RELAXED((uint64_t *)p, v);
		break;
	}
}

static uint64_t arg_value(struct rt_ctx *ctx, unsigned n)
{
	static const uint8_t regs[] = { WIRE_RDI, WIRE_RSI, WIRE_RDX, WIRE_RCX, WIRE_R8, WIRE_R9 };
	switch ((enum wire_site_kind)ctx->site->kind) {
	case WIRE_SITE_TOOL:
		return ctx->tool_args[n];
	case WIRE_SITE_RETURN:
		if (n == 0)
			return ctx->site->addr - ctx->site->func_addr;
		if (n == 1 && ctx->site->leaves_by_jump) {
			ctx->fault = WIRE_FAULT_NORETVAL;
			ctx->fault_value = 0;
		}
		return n == 1 ? ctx->regs[WIRE_RAX] : 0;
	case WIRE_SITE_USDT:
		return rt_site_arg(ctx, n);
	default:
		return ctx->regs[regs[n]];
	}
}

/* The memory that an LDx or STx accesses. */
static void *place(struct rt_ctx *ctx, const struct ir_insn *in)
{
	switch (in->op) {
	case IR_OP_LDS:
	case IR_OP_STS:
		return ctx->scratch + in->imm;
	case IR_OP_LDG:
	case IR_OP_STG:
		return (char *)ctx->shm + ctx->shm->global_off + in->imm;
	case IR_OP_LDT:
	case IR_OP_STT:
		return (char *)ctx->thr + ctx->shm->geom.self_off + in->imm;
	default:
		return ctx->rec->payload + in->imm;
	}
}

static void call(const struct ir_prog *p, const struct ir_insn *in, struct rt_ctx *ctx, uint64_t *regs)
{
	const char *letters = ir_helper((enum ir_helper)in->imm)->args;
	uint64_t args[4] = { 0 };
	for (uint32_t i = 0; i < in->b; i++) {
		uint64_t arg = p->args[in->a + i];
		args[i] = ir_arg_is_vreg(letters[i]) ? regs[arg] : arg;
	}
	uint64_t v = rt_helpers[in->imm](ctx, args[0], args[1], args[2], args[3]);
	if (in->dst != WIRE_NONE)
		regs[in->dst] = v;
}

static void fault(struct rt_ctx *ctx, uint32_t kind, uint64_t value)
{
	ctx->fault = kind;
	ctx->fault_value = value;
}

/* Operations that compute a register from registers. */
static void compute(struct rt_ctx *ctx, const struct ir_insn *in, uint64_t *regs)
{
	uint64_t b = ir_op_form((enum ir_op)in->op) == IR_FORM_DAB ? regs[in->b] : 0;
	if (!ir_eval((enum ir_op)in->op, regs[in->a], b, in->aux, &regs[in->dst]))
		fault(ctx, WIRE_FAULT_DIVZERO, 0);
}

/* Runs instruction @pc; returns the index of the next one, or WIRE_NONE at the end. */
static uint32_t step(const struct ir_prog *p, uint32_t pc, struct rt_ctx *ctx, uint64_t *regs)
{
	const struct ir_insn *in = &p->insns[pc];
	switch ((enum ir_op)in->op) {
	case IR_OP_NOP:
		break;
	case IR_OP_CONST:
		regs[in->dst] = (uint64_t)in->imm;
		break;
	case IR_OP_JMP:
		return (uint32_t)in->imm;
	case IR_OP_BRZ:
		return regs[in->a] ? pc + 1 : (uint32_t)in->imm;
	case IR_OP_BRNZ:
		return regs[in->a] ? (uint32_t)in->imm : pc + 1;
	case IR_OP_ARG:
		regs[in->dst] = arg_value(ctx, (unsigned)in->imm);
		break;
	case IR_OP_UREG:
		regs[in->dst] = ctx->regs[in->imm];
		break;
	case IR_OP_ENV:
		regs[in->dst] = rt_env(ctx, (uint32_t)in->imm);
		break;
	case IR_OP_LDS:
	case IR_OP_LDG:
	case IR_OP_LDT:
		regs[in->dst] = load(place(ctx, in), in->aux);
		break;
	case IR_OP_STS:
	case IR_OP_STG:
	case IR_OP_STT:
	case IR_OP_STR:
		store(place(ctx, in), in->aux, regs[in->a]);
		break;
	case IR_OP_REC:
		if (rt_rec_open(ctx, (uint32_t)in->imm, in->aux))
			return WIRE_NONE;
		break;
	case IR_OP_COMMIT:
		rt_rec_commit(ctx);
		break;
	case IR_OP_AGG:
		rt_agg(ctx, (uint32_t)in->imm, in->aux == IR_NO_TUPLE ? WIRE_NONE : in->aux, regs[in->a],
		       in->b == WIRE_NONE ? 1 : regs[in->b]);
		break;
	case IR_OP_CALL:
		call(p, in, ctx, regs);
		break;
	case IR_OP_ACTION:
		ctx->action = (uint32_t)in->imm;
		break;
	case IR_OP_FAULT:
		fault(ctx, (uint32_t)in->imm, regs[in->a]);
		break;
	case IR_OP_RET:
		return WIRE_NONE;
	default:
		compute(ctx, in, regs);
		break;
	}
	return pc + 1;
}

/* Ends a faulting program; returns the kind. */
static uint32_t end_fault(struct rt_ctx *ctx)
{
	uint32_t kind = ctx->fault;
	rt_fault(ctx);
	return kind;
}

/* 0, or the kind of fault. */
static uint32_t run(const struct ir_prog *p, struct rt_ctx *ctx, uint64_t *regs)
{
	uint32_t pc = 0;
	while (pc != WIRE_NONE) {
		ctx->pc = pc;
		pc = step(p, pc, ctx, regs);
		if (ctx->fault)
			return end_fault(ctx);
	}
	return 0;
}

static uint32_t run_prog(const struct ir_prog *p, struct rt_ctx *ctx)
{
	uint64_t few[REGS_ON_STACK], *regs = few;
	ctx->clause = p->clause;
	ctx->action = 0;
	ctx->alloca_used = 0;
	if (p->vreg_cnt > REGS_ON_STACK) {
		regs = malloc(p->vreg_cnt * sizeof(*regs));
		if (!regs) {
			fault(ctx, WIRE_FAULT_NOSCRATCH, 0);
			return end_fault(ctx);
		}
	}
	uint32_t kind = run(p, ctx, regs);
	if (regs != few)
		free(regs);
	return kind;
}

int ir_interp_run(const struct ir_prog *p, struct rt_ctx *ctx)
{
	return run_prog(p, ctx) != 0;
}

int ir_interp_run_all(struct rt_ctx *ctx, const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	const uint32_t *exiting = &ctx->shm->exiting;
	bool before = LOAD_RELAXED(exiting);
	int faulted = 0;
	for (uint32_t i = 0; i < prog_cnt; i++) {
		faulted += ir_interp_run(progs[i], ctx);
		if (!before && LOAD_RELAXED(exiting))
			break;
	}
	return faulted;
}

static void tell_fault(const struct rt_ctx *ctx, uint32_t kind, ir_fault_fn *on_fault, void *arg)
{
	struct wire_rec_error e = { .fault = kind, .pc = ctx->pc, .value = ctx->fault_value,
				    .action = ctx->action };
	on_fault(arg, ctx->clause, &e);
}

static int run_hooked(struct rt_ctx *ctx, const struct ir_prog *const *progs, uint32_t prog_cnt,
		      ir_fault_fn *on_fault, void *arg)
{
	bool before = LOAD_RELAXED(&ctx->shm->exiting);
	int faulted = 0;
	for (uint32_t i = 0; i < prog_cnt && (before || !LOAD_RELAXED(&ctx->shm->exiting)); i++) {
		uint32_t kind = run_prog(progs[i], ctx);
		if (!kind)
			continue;
		faulted++;
		if (on_fault)
			tell_fault(ctx, kind, on_fault, arg);
	}
	return faulted;
}

#define NESTED_BYTES 4096u

int ir_interp_fire_hooked(struct wire_shm *shm, const struct wire_site *site, const struct ir_prog *const *progs,
			  uint32_t prog_cnt, const uint64_t tool_args[10], ir_fault_fn *on_fault, void *arg)
{
	struct wire_proc *proc = (struct wire_proc *)((char *)shm + shm->proc_off);
	struct wire_thread *thr = (struct wire_thread *)((char *)shm + shm->thread_off);
	/* ERROR fires inside the probe that failed, by a call: as far below it as a signal's probe would be. */
	uint64_t sp = (uint64_t)(uintptr_t)__builtin_frame_address(0) - thr->level * NESTED_BYTES;
	struct rt_ctx *ctx = rt_enter(shm, proc, thr, site, sp);
	if (!ctx)
		return -1;
	ctx->tsc = rt_now_tsc();
	memset(ctx->regs, 0, sizeof(ctx->regs));
	for (unsigned i = 0; i < ARRAY_CNT(ctx->tool_args); i++)
		ctx->tool_args[i] = tool_args ? tool_args[i] : 0;
	int faulted = run_hooked(ctx, progs, prog_cnt, on_fault, arg);
	rt_leave(ctx);
	return faulted;
}

int ir_interp_fire(struct wire_shm *shm, const struct wire_site *site, const struct ir_prog *const *progs,
		   uint32_t prog_cnt, const uint64_t tool_args[10])
{
	return ir_interp_fire_hooked(shm, site, progs, prog_cnt, tool_args, NULL, NULL);
}
