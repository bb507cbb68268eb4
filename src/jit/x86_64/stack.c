/* SPDX-License-Identifier: MIT */
/*
 * Bodies that add to an aggregation whose only key is the stack, and do nothing else: one call instead of a context.  Behind
 * what rsp points to in a body with a context, there is a struct rt_stack_add for the time of that call.
 */
#include "jit/x86_64/gen_int.h"

/* The next instruction that does something, from *i on; NULL: there is none.  What is constant goes to *ret_const. */
static const struct ir_insn *next_insn(const struct jit_gen *g, uint32_t *i, const struct ir_insn **ret_const)
{
	const struct ir_prog *p = g->progs[0];
	for (; *i < p->insn_cnt; ++*i) {
		const struct ir_insn *in = &p->insns[*i];
		if (in->op == IR_OP_CONST)
			*ret_const = in;
		else if (in->op != IR_OP_NOP && in->op != IR_OP_ACTION)
			return &p->insns[(*i)++];
	}
	return NULL;
}

static const uint64_t *call_args(const struct jit_gen *g, const struct ir_insn *in, enum ir_helper h)
{
	return in && in->op == IR_OP_CALL && in->imm == (int64_t)h ? g->progs[0]->args + in->a : NULL;
}

/* tuple_begin(slot, 8); tuple_ustack(slot, 0, frames); agg id, slot, constant; ret */
bool jit_is_stack(const struct jit_gen *g, struct rt_stack_add *ret)
{
	const struct ir_insn *value = NULL, *agg, *end;
	uint32_t i = 0;
	if (g->prog_cnt != 1 || g->apart || g->env->own_stack || g->env->geometry->rate_off ||
	    (g->kind != WIRE_SITE_ENTRY && g->kind != WIRE_SITE_RETURN))
		return false;
	const uint64_t *begin = call_args(g, next_insn(g, &i, &value), IR_HELPER_tuple_begin);
	const uint64_t *stack = call_args(g, next_insn(g, &i, &value), IR_HELPER_tuple_ustack);
	agg = next_insn(g, &i, &value);
	end = next_insn(g, &i, &value);
	if (!begin || !stack || !agg || !end || agg->op != IR_OP_AGG || end->op != IR_OP_RET || i != g->progs[0]->insn_cnt)
		return false;
	if (begin[1] != sizeof(struct wire_vref) || stack[0] != begin[0] || stack[1] || stack[2] > UINT32_MAX || agg->aux != begin[0] ||
	    agg->b != WIRE_NONE || !value || agg->a != value->dst)
		return false;
	*ret = (struct rt_stack_add){ .agg = (uint32_t)agg->imm, .frames = (uint32_t)stack[2], .slot = (uint32_t)begin[0],
				      .clause = g->progs[0]->clause, .val = (uint64_t)value->imm };
	return true;
}

static void push_imm(struct jit_gen *g, uint64_t v)
{
	x64_mov_imm(&g->a, X64_RCX, v);
	x64_push(&g->a, X64_RCX);
}

static void push_saved(struct jit_gen *g, const struct jit_frame *f, enum x64_reg reg)
{
	int i = jit_saved_at(f, reg);
	if (i >= 0)
		x64_rm(&g->a, X64_LOAD, X64_RCX, x64_at(X64_R9, 8 * ((int64_t)f->saved_cnt - 1 - i)));
	x64_push(&g->a, i >= 0 ? X64_RCX : reg);
}

void jit_gen_stack(struct jit_gen *g, const struct jit_frame *f, int32_t entry_bytes, const struct rt_stack_add *add)
{
	struct x64_asm *a = &g->a;
	_Static_assert(sizeof(*add) == 48 && offsetof(struct rt_stack_add, r10) == 16 && offsetof(struct rt_stack_add, agg) == 24 &&
		       offsetof(struct rt_stack_add, slot) == 32 && offsetof(struct rt_stack_add, val) == 40, "the order of the pushes");
	x64_mov(a, X64_RDX, X64_RAX);
	x64_rm(a, X64_LOAD, X64_R9, x64_at(X64_RSP, 0));
	x64_rm(a, X64_MOVZX16, X64_R8, x64_at(X64_RBX, offsetof(struct wire_site, sp_adj)));
	x64_rm(a, X64_LEA, X64_R8, x64_at_index(X64_R9, X64_R8, entry_bytes));
	push_imm(g, add->val);
	push_imm(g, (uint64_t)add->clause << 32 | add->slot);
	push_imm(g, (uint64_t)add->frames << 32 | add->agg);
	push_saved(g, f, X64_R10);
	push_saved(g, f, X64_RBX);
	push_saved(g, f, X64_RBP);
	x64_mov(a, X64_R9, X64_RSP);
	x64_mov(a, X64_RCX, X64_RBX);
	x64_mov_imm(a, X64_RDI, g->env->shm_addr);
	x64_call(a, g->env->fn_agg_ustack);
	x64_group_imm(a, X64_G_ADD, X64_RSP, (int32_t)sizeof(*add));
}
