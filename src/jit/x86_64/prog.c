/* SPDX-License-Identifier: MIT */
/* One program: control flow, records, aggregations, calls, faults. */
#include "jit/x86_64/gen_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- faults ---- */

uint32_t jit_fault_label(struct jit_gen *g, uint32_t pc, bool is_div)
{
	if (g->fault_cnt == g->fault_cap) {
		uint32_t cap = g->fault_cap ? 2 * g->fault_cap : 16;
		struct jit_fault *f = realloc(g->faults, cap * sizeof(*f));
		if (!f) {
			g->no_memory = true;
			return 0;
		}
		g->faults = f;
		g->fault_cap = cap;
	}
	uint32_t label = x64_label(&g->a);
	g->faults[g->fault_cnt++] = (struct jit_fault){ .label = label, .pc = pc, .next = g->next_label, .is_div = is_div };
	return label;
}

uint32_t jit_fault_label_arg(struct jit_gen *g, uint32_t pc, unsigned arg)
{
	uint32_t label = jit_fault_label(g, pc, false);
	if (!g->no_memory) {
		g->faults[g->fault_cnt - 1].is_arg = true;
		g->faults[g->fault_cnt - 1].arg = (uint8_t)arg;
	}
	return label;
}

uint32_t jit_fault_label_retval(struct jit_gen *g, uint32_t pc)
{
	uint32_t label = jit_fault_label(g, pc, false);
	if (!g->no_memory)
		g->faults[g->fault_cnt - 1].is_retval = true;
	return label;
}

static void gen_report(struct jit_gen *g, uint32_t next)
{
	if (!g->tsc_needed)
		jit_gen_tsc(g); /* nothing else wants it, so nothing has set it */
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_call(&g->a, g->env->fn_fault);
	x64_jmp(&g->a, next);
}

/* The faults of one program share the report behind them. */
void jit_gen_faults(struct jit_gen *g)
{
	for (uint32_t i = 0; i < g->fault_cnt;) {
		uint32_t next = g->faults[i].next, report = x64_label(&g->a);
		for (; i < g->fault_cnt && g->faults[i].next == next; i++) {
			const struct jit_fault *f = &g->faults[i];
			x64_bind(&g->a, f->label);
			if (f->is_div) {
				x64_store_imm(&g->a, 4, JIT_CTX_AT(fault), WIRE_FAULT_DIVZERO);
				x64_store_imm(&g->a, 8, JIT_CTX_AT(fault_value), 0);
			}
			if (f->is_retval) {
				x64_store_imm(&g->a, 4, JIT_CTX_AT(fault), WIRE_FAULT_NORETVAL);
				x64_store_imm(&g->a, 8, JIT_CTX_AT(fault_value), 0);
			}
			if (f->is_arg) {
				x64_store_imm(&g->a, 4, JIT_CTX_AT(fault), WIRE_FAULT_BADADDR);
				x64_rm(&g->a, X64_LOAD, X64_RAX, jit_tool_arg(f->arg));
				x64_rm(&g->a, X64_STORE, X64_RAX, JIT_CTX_AT(fault_value));
			}
			x64_store_imm(&g->a, 4, JIT_CTX_AT(pc), (int32_t)f->pc);
			if (i + 1 < g->fault_cnt && g->faults[i + 1].next == next)
				x64_jmp(&g->a, report);
		}
		x64_bind(&g->a, report);
		gen_report(g, next);
	}
}

static void gen_fault(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	x64_store_imm(&g->a, 4, JIT_CTX_AT(fault), (int32_t)in->imm);
	x64_rm(&g->a, X64_STORE, jit_src(g, in->a, X64_RAX), JIT_CTX_AT(fault_value));
	x64_jmp(&g->a, jit_fault_label(g, insn, false));
}

/* ---- calls ---- */

static const enum x64_reg arg_regs[] = { X64_RSI, X64_RDX, X64_RCX, X64_R8 };

static void gen_call(struct jit_gen *g, uint32_t insn)
{
	const struct ir_insn *in = &g->p->insns[insn];
	const struct ir_helper_desc *d = ir_helper((enum ir_helper)in->imm);
	for (uint32_t i = 0; i < ARRAY_CNT(arg_regs); i++) {
		if (i >= in->b)
			x64_zero(&g->a, arg_regs[i]);
		else if (d->args[i] == 'i' || d->args[i] == 's')
			jit_load(g, arg_regs[i], (uint32_t)g->p->args[in->a + i]);
		else
			x64_mov_imm(&g->a, arg_regs[i], g->p->args[in->a + i]);
	}
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_call(&g->a, g->env->helper_addr[in->imm]);
	if (d->faults) {
		x64_cmp32_imm(&g->a, JIT_CTX_AT(fault), 0);
		x64_jcc(&g->a, X64_CC_NE, jit_fault_label(g, insn, false));
	}
	if (in->dst != WIRE_NONE)
		jit_dst_done(g, in->dst, X64_RAX);
}

static void gen_agg(struct jit_gen *g, const struct ir_insn *in)
{
	x64_mov_imm(&g->a, X64_RSI, (uint64_t)in->imm);
	x64_mov_imm(&g->a, X64_RDX, in->aux == IR_NO_TUPLE ? WIRE_NONE : in->aux);
	jit_load(g, X64_RCX, in->a);
	if (in->b == WIRE_NONE)
		x64_mov_imm(&g->a, X64_R8, 1);
	else
		jit_load(g, X64_R8, in->b);
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_call(&g->a, g->env->fn_agg);
}

static void gen_rec(struct jit_gen *g, const struct ir_insn *in)
{
	x64_mov_imm(&g->a, X64_RSI, (uint64_t)in->imm);
	x64_mov_imm(&g->a, X64_RDX, in->aux);
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_call(&g->a, g->env->fn_rec_open);
	x64_rr(&g->a, X64_TEST32, X64_RAX, X64_RAX);
	x64_jcc(&g->a, X64_CC_NE, g->next_label);
}

static void gen_commit(struct jit_gen *g)
{
	x64_mov(&g->a, X64_RDI, JIT_CTX);
	x64_call(&g->a, g->env->fn_rec_commit);
}

/* ---- control flow ---- */

static void gen_branch(struct jit_gen *g, const struct ir_insn *in)
{
	struct jit_loc l = jit_loc(g, in->a);
	uint32_t target = g->targets[in->imm];
	if (l.kind == JIT_LOC_IMM) {
		if ((l.imm == 0) == (in->op == IR_OP_BRZ))
			x64_jmp(&g->a, target);
		return;
	}
	if (l.kind == JIT_LOC_SPILL) {
		x64_cmp64_imm(&g->a, jit_spill_at(g, l.slot), 0);
	} else {
		enum x64_reg r = jit_src(g, in->a, X64_RAX);
		x64_rr(&g->a, X64_TEST, r, r);
	}
	x64_jcc(&g->a, in->op == IR_OP_BRZ ? X64_CC_E : X64_CC_NE, target);
}

/* A comparison whose result only the branch behind it reads needs no result. */
static bool fuses(const struct jit_gen *g, uint32_t i)
{
	const struct ir_prog *p = g->p;
	const struct ir_insn *in = &p->insns[i], *br = in + 1;
	if (!jit_is_compare(in->op) || i + 1 == p->insn_cnt || (br->op != IR_OP_BRZ && br->op != IR_OP_BRNZ))
		return false;
	return br->a == in->dst && g->al->last[in->dst] == i + 1 && !(g->al->insn_flags[i + 1] & JIT_INSN_TARGET);
}

static void gen_compare_branch(struct jit_gen *g, uint32_t i)
{
	const struct ir_insn *br = &g->p->insns[i + 1];
	enum x64_cc cc = jit_gen_compare(g, br - 1);
	/* The lowest bit of a condition's number inverts it. */
	x64_jcc(&g->a, br->op == IR_OP_BRNZ ? cc : (enum x64_cc)(cc ^ 1), g->targets[br->imm]);
}

static void gen_const(struct jit_gen *g, const struct ir_insn *in)
{
	if (jit_loc(g, in->dst).kind == JIT_LOC_IMM)
		return;
	enum x64_reg d = jit_dst(g, in->dst, X64_RAX);
	x64_mov_imm(&g->a, d, (uint64_t)in->imm);
	jit_dst_done(g, in->dst, d);
}

/* Whether nothing is done any more behind @i, where the program's end is. */
static bool ends_behind(const struct ir_prog *p, uint32_t i)
{
	do
		i++;
	while (i < p->insn_cnt && (p->insns[i].op == IR_OP_RET || p->insns[i].op == IR_OP_NOP));
	return i == p->insn_cnt;
}

static void gen_insn(struct jit_gen *g, uint32_t i)
{
	const struct ir_insn *in = &g->p->insns[i];
	if (g->quick && jit_gen_quick_insn(g, i))
		return;
	switch ((enum ir_op)in->op) {
	case IR_OP_NOP:
	case IR_OP_CNT:
		break;
	case IR_OP_CONST:
		gen_const(g, in);
		break;
	case IR_OP_JMP:
		if (in->imm != (int64_t)i + 1)
			x64_jmp(&g->a, g->targets[in->imm]);
		break;
	case IR_OP_BRZ:
	case IR_OP_BRNZ:
		gen_branch(g, in);
		break;
	case IR_OP_ARG:
	case IR_OP_UREG:
		jit_gen_arg(g, i);
		break;
	case IR_OP_ENV:
		jit_gen_env(g, in);
		break;
	case IR_OP_LDS: case IR_OP_STS: case IR_OP_LDG: case IR_OP_STG: case IR_OP_LDT: case IR_OP_STT: case IR_OP_STR:
		jit_gen_mem(g, in);
		break;
	case IR_OP_REC:
		gen_rec(g, in);
		break;
	case IR_OP_COMMIT:
		gen_commit(g);
		break;
	case IR_OP_AGG:
		gen_agg(g, in);
		break;
	case IR_OP_CALL:
		gen_call(g, i);
		break;
	case IR_OP_ACTION:
		x64_store_imm(&g->a, 4, JIT_CTX_AT(action), (int32_t)in->imm);
		break;
	case IR_OP_FAULT:
		gen_fault(g, i);
		break;
	case IR_OP_RET:
		if (!ends_behind(g->p, i))
			x64_jmp(&g->a, g->next_label);
		break;
	default:
		jit_gen_alu(g, i);
		break;
	}
}

static void note(struct jit_gen *g, uint32_t insn)
{
	if (g->note_cnt < g->note_cap)
		g->notes[g->note_cnt++] = (struct jit_note){ g->a.len, (uint32_t)(g->al - g->allocs), insn };
}

static void gen_context(struct jit_gen *g)
{
	x64_store_imm(&g->a, 4, JIT_CTX_AT(clause), (int32_t)g->p->clause);
	x64_store_imm(&g->a, 4, JIT_CTX_AT(action), 0);
	if (g->alloca_used)
		x64_store_imm(&g->a, 4, JIT_CTX_AT(alloca_used), 0);
}

void jit_gen_prog(struct jit_gen *g)
{
	const struct ir_prog *p = g->p;
	if (!g->quick)
		gen_context(g);
	for (uint32_t i = 0; i < p->insn_cnt; i++)
		if (g->al->insn_flags[i] & JIT_INSN_TARGET)
			g->targets[i] = x64_label(&g->a);
	for (uint32_t i = 0; i < p->insn_cnt; i++) {
		if (g->al->insn_flags[i] & JIT_INSN_TARGET)
			x64_bind(&g->a, g->targets[i]); /* no code may be made for it, but for what follows */
		if (!(g->al->insn_flags[i] & JIT_INSN_REACHED))
			continue;
		note(g, i);
		if (fuses(g, i))
			gen_compare_branch(g, i++);
		else
			gen_insn(g, i);
	}
}
