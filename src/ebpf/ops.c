/* SPDX-License-Identifier: MIT */
/* IR instructions to BPF.  Operands go through r1 and r2 (for calls r1 to r5), results through r0. */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <string.h>

#define CTX(field) ((int64_t)offsetof(struct rtk_ctx, field))

static void alu(struct gen *g, const struct ir_insn *in, uint8_t op)
{
	gen_get(g, 1, in->a);
	gen_get(g, 2, in->b);
	emit(g, (uint8_t)(BPF_ALU64 | op | BPF_X), 1, 2, 0, 0);
	gen_put(g, in->dst, 1);
}

static void shift(struct gen *g, const struct ir_insn *in, uint8_t op)
{
	gen_get(g, 1, in->a);
	gen_get(g, 2, in->b);
	emit(g, BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 63);
	emit(g, (uint8_t)(BPF_ALU64 | op | BPF_X), 1, 2, 0, 0);
	gen_put(g, in->dst, 1);
}

/* The instruction of which ERROR records speak. */
void gen_note_pc(struct gen *g)
{
	emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(pc), (int32_t)g->pc);
}

/* Sets the fault (its value is in r2) and ends the program. */
static void raise_fault(struct gen *g, uint32_t kind)
{
	gen_note_pc(g);
	emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(fault), (int32_t)kind);
	emit_store(g, 8, REG_CTX, CTX(fault_value), 2);
	g->faults = true;
	emit_jump(g, g->lbl_fault);
}

static void divide(struct gen *g, const struct ir_insn *in)
{
	uint32_t fine = new_label(g);
	gen_get(g, 1, in->a);
	gen_get(g, 2, in->b);
	emit_jump_if(g, BPF_JNE, 2, 0, fine);
	raise_fault(g, WIRE_FAULT_DIVZERO);
	set_label(g, fine);
	uint8_t reg = 1;
	if (in->op == IR_OP_UDIV)
		emit(g, BPF_ALU64 | BPF_DIV | BPF_X, 1, 2, 0, 0);
	else if (in->op == IR_OP_UREM)
		emit(g, BPF_ALU64 | BPF_MOD | BPF_X, 1, 2, 0, 0);
	else
		emit_call(g, in->op == IR_OP_SDIV ? "rtk_sdiv" : "rtk_srem"), reg = 0;
	gen_put(g, in->dst, reg);
}

static void compare(struct gen *g, const struct ir_insn *in, uint8_t cond)
{
	gen_get(g, 1, in->a);
	gen_get(g, 2, in->b);
	emit_const(g, 3, 1);
	emit(g, (uint8_t)(BPF_JMP | cond | BPF_X), 1, 2, 1, 0);
	emit_const(g, 3, 0);
	gen_put(g, in->dst, 3);
}

static void unary(struct gen *g, const struct ir_insn *in)
{
	gen_get(g, 1, in->a);
	switch (in->op) {
	case IR_OP_NEG:
		emit(g, BPF_ALU64 | BPF_NEG, 1, 0, 0, 0);
		break;
	case IR_OP_NOT:
		emit(g, BPF_ALU64 | BPF_XOR | BPF_K, 1, 0, 0, -1);
		break;
	case IR_OP_EXT:
		emit_extend(g, 1, in->aux & 0xffu, in->aux & IR_SIGNED);
		break;
	default:
		break;
	}
	gen_put(g, in->dst, 1);
}

static void branch(struct gen *g, const struct ir_insn *in)
{
	uint32_t target = g->lbl_insn[in->imm];
	if (in->op == IR_OP_JMP) {
		emit_jump(g, target);
		return;
	}
	gen_get(g, 1, in->a);
	emit_jump_if(g, in->op == IR_OP_BRZ ? BPF_JEQ : BPF_JNE, 1, 0, target);
}

/* ---- memory ---- */

/* r3 = address of self-> variable @off; where the thread has none, to @none. */
static void self_addr(struct gen *g, bool create, int64_t off, uint32_t none)
{
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 2, create);
	emit_call(g, "rtk_self");
	emit_jump_if(g, BPF_JEQ, 0, 0, none);
	emit_jump_if(g, BPF_JGT, 0, (int32_t)(g->e->k[RTK_K_LIMIT] - g->e->k[RTK_K_SELF_BYTES]), none);
	emit_shm(g, 3, 0);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_X, 3, 0, 0, 0);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, (int32_t)off);
}

static void load_at(struct gen *g, const struct ir_insn *in, uint8_t base, int64_t off)
{
	unsigned bytes = in->aux & 0xffu;
	emit_load(g, bytes, 1, base, off);
	if (in->aux & IR_SIGNED)
		emit_extend(g, 1, bytes * 8, true);
	gen_put(g, in->dst, 1);
}

static void load_self(struct gen *g, const struct ir_insn *in)
{
	uint32_t none = new_label(g), end = new_label(g);
	self_addr(g, false, in->imm, none);
	load_at(g, in, 3, 0);
	emit_jump(g, end);
	set_label(g, none);
	emit_const(g, 1, 0);
	gen_put(g, in->dst, 1);
	set_label(g, end);
}

static void store_self(struct gen *g, const struct ir_insn *in)
{
	uint32_t none = new_label(g);
	self_addr(g, true, in->imm, none);
	gen_get(g, 1, in->a);
	emit_store(g, in->aux, 3, 0, 1);
	set_label(g, none);
}

static void access_memory(struct gen *g, const struct ir_insn *in)
{
	int64_t scratch = (int64_t)g->e->k[RTK_K_SCRATCH];
	switch ((enum ir_op)in->op) {
	case IR_OP_LDS:
		load_at(g, in, REG_CTX, scratch + in->imm);
		break;
	case IR_OP_LDG:
		emit_shm(g, 3, g->e->k[RTK_K_GLOBAL] + (uint64_t)in->imm);
		load_at(g, in, 3, 0);
		break;
	case IR_OP_LDT:
		load_self(g, in);
		break;
	case IR_OP_STT:
		store_self(g, in);
		break;
	case IR_OP_STS:
		gen_get(g, 1, in->a);
		emit_store(g, in->aux, REG_CTX, scratch + in->imm, 1);
		break;
	case IR_OP_STG:
		gen_get(g, 1, in->a);
		emit_shm(g, 3, g->e->k[RTK_K_GLOBAL] + (uint64_t)in->imm);
		emit_store(g, in->aux, 3, 0, 1);
		break;
	default: /* STR */
		gen_get(g, 1, in->a);
		emit_store(g, in->aux, REG_REC, (int64_t)sizeof(struct wire_rec) + in->imm, 1);
		break;
	}
}

/* ---- records, aggregations, calls ---- */

#define ZERO_INLINE 256

static void open_record(struct gen *g, const struct ir_insn *in)
{
	uint32_t most = (uint32_t)in->imm + (uint32_t)sizeof(struct wire_rec);
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 2, in->imm);
	emit_const(g, 3, in->aux);
	emit_call(g, "rtk_rec_open");
	emit_jump_if(g, BPF_JEQ, 0, 0, g->lbl_next);
	emit_jump_if(g, BPF_JGT, 0, (int32_t)(g->e->value_bytes - most), g->lbl_next);
	emit_shm(g, REG_REC, 0);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_X, REG_REC, 0, 0, 0);
	emit_const(g, 1, 0);
	for (uint32_t off = 0; off < in->aux; off += 8)
		emit_store(g, 8, REG_REC, (int64_t)sizeof(struct wire_rec) + off, 1);
}

static void aggregate(struct gen *g, const struct ir_insn *in)
{
	static const char *const names[] = {
		[WIRE_AGG_COUNT] = "rtk_agg_count", [WIRE_AGG_SUM] = "rtk_agg_sum", [WIRE_AGG_MIN] = "rtk_agg_min",
		[WIRE_AGG_MAX] = "rtk_agg_max", [WIRE_AGG_AVG] = "rtk_agg_avg", [WIRE_AGG_STDDEV] = "rtk_agg_stddev",
		[WIRE_AGG_QUANTIZE] = "rtk_agg_quantize", [WIRE_AGG_LQUANTIZE] = "rtk_agg_lquantize",
		[WIRE_AGG_LLQUANTIZE] = "rtk_agg_llquantize",
	};
	gen_get(g, 4, in->a);
	if (in->b == WIRE_NONE)
		emit_const(g, 5, 1);
	else
		gen_get(g, 5, in->b);
	emit_mov(g, 1, REG_OFF);
	emit_const(g, 2, in->imm);
	emit_const(g, 3, in->aux == IR_NO_TUPLE ? (int64_t)WIRE_NONE : in->aux);
	emit_call(g, names[g->e->in.img->aggs[in->imm].fn]);
}

void gen_check_fault(struct gen *g)
{
	g->faults = true;
	emit_load(g, 4, 1, REG_CTX, CTX(fault));
	emit_jump_if(g, BPF_JNE, 1, 0, g->lbl_fault);
}

void gen_call_args(struct gen *g, const struct ir_insn *in)
{
	const char *letters = ir_helper((enum ir_helper)in->imm)->args;
	for (uint32_t i = 0; i < in->b; i++) {
		uint64_t arg = g->prog->args[in->a + i];
		if (letters[i] == 'i' || letters[i] == 's')
			gen_get(g, (uint8_t)(2 + i), (uint32_t)arg);
		else
			emit_const(g, (uint8_t)(2 + i), (int64_t)arg);
	}
	emit_mov(g, 1, REG_OFF);
}

static void call(struct gen *g, const struct ir_insn *in)
{
	const struct ir_helper_desc *h = ir_helper((enum ir_helper)in->imm);
	if (gen_stack(g, in))
		return;
	if (in->imm == IR_HELPER_arg) {
		gen_arg_use(g, (uint32_t)g->prog->args[in->a], in->dst);
		return;
	}
	char name[64] = "rtk_";
	if (strlen(h->name) < sizeof(name) - 5)
		strcat(name, h->name);
	if (rtk_func_find(name) == WIRE_NONE) {
		refuse(g, -EOPNOTSUPP, "%s() cannot be used in probes of the kernel", h->name);
		return;
	}
	if (in->imm == IR_HELPER_progenyof || in->imm == IR_HELPER_vtimestamp)
		task_offsets(g);
	if (in->imm == IR_HELPER_kpath)
		path_offsets(g);
	if (in->imm == IR_HELPER_kpath && !(g->e->k[RTK_K_DENTRY_NAME] && g->e->k[RTK_K_MOUNT_POINT] && g->e->k[RTK_K_TASK_FS]))
		refuse(g, -EOPNOTSUPP, "this kernel does not describe its mounts: d_path() is not known");
	if (h->faults)
		gen_note_pc(g);
	gen_call_args(g, in);
	emit_call(g, name);
	gen_put(g, in->dst, 0);
	if (h->faults)
		gen_check_fault(g);
	if (in->imm == IR_HELPER_exit)
		g->exits = true;
}

static void simple(struct gen *g, const struct ir_insn *in)
{
	switch ((enum ir_op)in->op) {
	case IR_OP_CONST:
		if (g->locs[in->dst].kind == LOC_CONST)
			break;
		emit_const(g, 1, in->imm);
		gen_put(g, in->dst, 1);
		break;
	case IR_OP_MOV:
		gen_get(g, 1, in->a);
		gen_put(g, in->dst, 1);
		break;
	case IR_OP_ARG:
		gen_arg_use(g, (uint32_t)in->imm, in->dst);
		break;
	case IR_OP_COMMIT:
		emit_mov(g, 1, REG_OFF);
		emit_call(g, "rtk_rec_commit");
		break;
	case IR_OP_ACTION:
		emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(action), (int32_t)in->imm);
		break;
	case IR_OP_FAULT:
		gen_get(g, 2, in->a);
		raise_fault(g, (uint32_t)in->imm);
		break;
	case IR_OP_RET:
		emit_jump(g, g->lbl_next);
		break;
	default:
		break;
	}
}

void gen_insn(struct gen *g, const struct ir_insn *in)
{
	switch ((enum ir_op)in->op) {
	case IR_OP_ADD: alu(g, in, BPF_ADD); break;
	case IR_OP_SUB: alu(g, in, BPF_SUB); break;
	case IR_OP_MUL: alu(g, in, BPF_MUL); break;
	case IR_OP_AND: alu(g, in, BPF_AND); break;
	case IR_OP_OR: alu(g, in, BPF_OR); break;
	case IR_OP_XOR: alu(g, in, BPF_XOR); break;
	case IR_OP_SHL: shift(g, in, BPF_LSH); break;
	case IR_OP_SHR: shift(g, in, BPF_RSH); break;
	case IR_OP_SAR: shift(g, in, BPF_ARSH); break;
	case IR_OP_SDIV: case IR_OP_UDIV: case IR_OP_SREM: case IR_OP_UREM: divide(g, in); break;
	case IR_OP_SEQ: compare(g, in, BPF_JEQ); break;
	case IR_OP_SNE: compare(g, in, BPF_JNE); break;
	case IR_OP_SLT: compare(g, in, BPF_JSLT); break;
	case IR_OP_SLE: compare(g, in, BPF_JSLE); break;
	case IR_OP_SULT: compare(g, in, BPF_JLT); break;
	case IR_OP_SULE: compare(g, in, BPF_JLE); break;
	case IR_OP_NEG: case IR_OP_NOT: case IR_OP_EXT: unary(g, in); break;
	case IR_OP_JMP: case IR_OP_BRZ: case IR_OP_BRNZ: branch(g, in); break;
	case IR_OP_LDS: case IR_OP_LDG: case IR_OP_LDT: case IR_OP_STS: case IR_OP_STG: case IR_OP_STT: case IR_OP_STR:
		access_memory(g, in);
		break;
	case IR_OP_ENV: case IR_OP_UREG: gen_env(g, in); break;
	case IR_OP_REC: open_record(g, in); break;
	case IR_OP_AGG: aggregate(g, in); break;
	case IR_OP_CALL: call(g, in); break;
	default: simple(g, in); break;
	}
}
