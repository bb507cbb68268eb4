/* SPDX-License-Identifier: MIT */
/*
 * A main program:
 *
 *	save the context; fetch the key; find the site, jump to its group
 *	group:  enter (context and level); fetch the arguments that are used
 *	        clause: instructions ... next
 *	        fault:  rtk_fault
 *	        next:   the next clause, unless one has called exit()
 *	        leave
 *	out:    return 0
 */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CTX(field) ((int64_t)offsetof(struct rtk_ctx, field))

/* Which arguments the group's programs read: a bit each. */
static uint32_t args_used(const struct ebpf_group *group)
{
	uint32_t mask = 0;
	for (uint32_t i = 0; i < group->prog_cnt; i++) {
		const struct ir_prog *p = group->progs[i];
		for (uint32_t pc = 0; pc < p->insn_cnt; pc++) {
			const struct ir_insn *in = &p->insns[pc];
			if (in->op == IR_OP_ARG)
				mask |= 1u << in->imm;
			else if (in->op == IR_OP_CALL && in->imm == IR_HELPER_arg)
				mask |= 1u << (p->args[in->a] % EBPF_ARG_MAX);
		}
	}
	return mask;
}

static void begin_clause(struct gen *g)
{
	emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(clause), (int32_t)g->prog->clause);
	emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(action), 0);
	emit(g, BPF_ST | BPF_MEM | BPF_W, REG_CTX, 0, (int16_t)CTX(alloca_used), 0);
}

/* Marks in lbl_insn (as new labels) the instructions that can be reached: the kernel refuses others. */
static void find_reachable(struct gen *g, const struct ir_prog *p)
{
	for (uint32_t pc = 0; pc < p->insn_cnt; pc++)
		g->lbl_insn[pc] = WIRE_NONE;
	g->lbl_insn[0] = new_label(g);
	for (uint32_t pc = 0; pc < p->insn_cnt; pc++) {
		const struct ir_insn *in = &p->insns[pc];
		bool jumps = in->op == IR_OP_JMP || in->op == IR_OP_BRZ || in->op == IR_OP_BRNZ;
		if (g->lbl_insn[pc] == WIRE_NONE)
			continue;
		if (jumps && g->lbl_insn[in->imm] == WIRE_NONE)
			g->lbl_insn[in->imm] = new_label(g);
		if (in->op != IR_OP_JMP && in->op != IR_OP_RET && in->op != IR_OP_FAULT && g->lbl_insn[pc + 1] == WIRE_NONE)
			g->lbl_insn[pc + 1] = new_label(g);
	}
}

static void gen_clause(struct gen *g, const struct ir_prog *p)
{
	g->prog = p;
	g->exits = false;
	g->lbl_fault = new_label(g);
	g->lbl_next = new_label(g);
	gen_locate(g);
	free(g->lbl_insn);
	g->lbl_insn = calloc(p->insn_cnt + 1, sizeof(*g->lbl_insn));
	if (!g->lbl_insn || g->err) {
		refuse(g, -ENOMEM, "out of memory");
		return;
	}
	find_reachable(g, p);
	g->faults = false;
	begin_clause(g);
	for (g->pc = 0; g->pc < p->insn_cnt && !g->err; g->pc++) {
		if (g->lbl_insn[g->pc] == WIRE_NONE)
			continue;
		set_label(g, g->lbl_insn[g->pc]);
		gen_insn(g, &p->insns[g->pc]);
	}
	set_label(g, g->lbl_fault);
	if (g->faults) {
		emit_mov(g, 1, REG_OFF);
		emit_call(g, "rtk_fault");
	}
	set_label(g, g->lbl_next);
	if (g->exits) {
		emit_load(g, 4, 1, REG_CTX, CTX(exited));
		emit_jump_if(g, BPF_JNE, 1, 0, g->lbl_leave);
	}
}

static bool uses_regs(const struct ebpf_group *group)
{
	for (uint32_t i = 0; i < group->prog_cnt; i++)
		for (uint32_t pc = 0; pc < group->progs[i]->insn_cnt; pc++)
			if (group->progs[i]->insns[pc].op == IR_OP_UREG)
				return true;
	return false;
}

/* Where a struct pt_regs is: of uprobes and samples it is the context itself, whose address programs cannot keep as
 * a number, so its registers are copied. */
static void gen_regs(struct gen *g, const struct ebpf_group *group)
{
	if (g->p->kind == EBPF_UPROBE || g->p->kind == EBPF_PERF_EVENT) {
		int64_t to = (int64_t)(g->e->k[RTK_K_MORE] + offsetof(struct rtk_more, regs));
		emit_load(g, 8, 3, BPF_REG_10, PROG_CTX);
		for (uint32_t i = 0; i < WIRE_REG_CNT; i++) {
			emit_load(g, 8, 2, 3, 8 * i);
			emit_store(g, 8, REG_CTX, to + 8 * i, 2);
		}
		emit_const(g, 1, (int64_t)g->e->k[RTK_K_OWN] + to);
		emit(g, BPF_ALU64 | BPF_ADD | BPF_X, 1, REG_OFF, 0, 0);
	} else if (group->regs.kind != EBPF_ARG_NONE) {
		gen_arg(g, &group->regs, 1);
	} else {
		refuse(g, -EOPNOTSUPP, "uregs[] is not known in this probe of the kernel");
		return;
	}
	emit_store(g, 8, REG_CTX, CTX(ureg), 1);
}

/* Entered with the site's index in r1. */
static void gen_group(struct gen *g, const struct ebpf_group *group)
{
	uint32_t used = args_used(group);
	g->group = group;
	g->prog = group->prog_cnt ? group->progs[0] : NULL;
	g->lbl_leave = new_label(g);
	emit_const(g, 2, ebpf_is_preempted(g->p->kind));
	emit_call(g, "rtk_enter");
	emit_jump_if(g, BPF_JEQ, 0, 0, g->lbl_out);
	emit_jump_if(g, BPF_JGT, 0, (int32_t)(g->e->value_bytes - g->e->k[RTK_K_CTX_STRIDE]), g->lbl_out);
	emit_mov(g, REG_OFF, 0);
	emit_shm(g, REG_CTX, 0);
	emit(g, BPF_ALU64 | BPF_ADD | BPF_X, REG_CTX, REG_OFF, 0, 0);
	emit_mov(g, REG_REC, REG_CTX);
	for (uint32_t i = 0; i < EBPF_ARG_MAX; i++) {
		if (!(used & 1u << i))
			continue;
		gen_arg(g, &group->args[i], 1);
		emit_store(g, 8, REG_CTX, CTX(args) + 8 * i, 1);
	}
	if (uses_regs(group))
		gen_regs(g, group);
	for (uint32_t i = 0; i < group->prog_cnt && !g->err; i++)
		gen_clause(g, group->progs[i]);
	set_label(g, g->lbl_leave);
	emit_mov(g, 1, REG_OFF);
	emit_call(g, "rtk_leave");
	emit_jump(g, g->lbl_out);
}

/* ---- which site: compares the key with all values, halving them each time ---- */

struct way {
	uint64_t value;
	uint32_t site, label;
};

static int by_value(const void *a, const void *b)
{
	const struct way *x = a, *y = b;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void take_way(struct gen *g, const struct way *w)
{
	emit_const(g, 1, w->site);
	emit_jump(g, w->label);
}

/* The key is in r6. */
static void gen_search(struct gen *g, const struct way *ways, uint32_t cnt)
{
	if (cnt <= 3) {
		for (uint32_t i = 0; i < cnt; i++) {
			uint32_t other = new_label(g);
			emit_const(g, 2, (int64_t)ways[i].value);
			emit(g, BPF_JMP | BPF_JEQ | BPF_X, REG_CTX, 2, 1, 0);
			emit_jump(g, other);
			take_way(g, &ways[i]);
			set_label(g, other);
		}
		emit_jump(g, g->lbl_out);
		return;
	}
	uint32_t mid = cnt / 2, upper = new_label(g);
	emit_const(g, 2, (int64_t)ways[mid].value);
	emit(g, BPF_JMP | BPF_JLT | BPF_X, REG_CTX, 2, 1, 0);
	emit_jump(g, upper);
	gen_search(g, ways, mid);
	set_label(g, upper);
	gen_search(g, ways + mid, cnt - mid);
}

static void gen_dispatch(struct gen *g, const uint32_t *labels)
{
	uint32_t cnt = 0, n = 0;
	for (uint32_t i = 0; i < g->p->group_cnt; i++)
		cnt += g->p->groups[i].case_cnt;
	struct way *ways = calloc(cnt + 1, sizeof(*ways));
	if (!ways) {
		refuse(g, -ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < g->p->group_cnt; i++)
		for (uint32_t j = 0; j < g->p->groups[i].case_cnt; j++) {
			const struct ebpf_case *c = &g->p->groups[i].cases[j];
			ways[n++] = (struct way){ c->value, c->site, labels[i] };
		}
	if (g->p->key.kind == EBPF_ARG_NONE) {
		take_way(g, &ways[0]);
	} else if (g->p->key.kind == EBPF_ARG_COOKIE) {
		emit_kernel(g, BPF_FUNC_get_attach_cookie);
		emit_mov(g, 1, 0);
		emit_extend(g, 1, 32, false);
		emit_jump(g, labels[0]);
	} else {
		qsort(ways, cnt, sizeof(*ways), by_value);
		gen_arg(g, &g->p->key, REG_CTX);
		gen_search(g, ways, cnt);
	}
	free(ways);
}

static void gen_program(struct gen *g)
{
	uint32_t *labels = calloc(g->p->group_cnt + 1, sizeof(*labels));
	if (!labels) {
		refuse(g, -ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < g->p->group_cnt; i++)
		labels[i] = new_label(g);
	g->lbl_out = new_label(g);
	emit_store(g, 8, BPF_REG_10, PROG_CTX, 1);
	gen_dispatch(g, labels);
	for (uint32_t i = 0; i < g->p->group_cnt && !g->err; i++) {
		set_label(g, labels[i]);
		gen_group(g, &g->p->groups[i]);
	}
	set_label(g, g->lbl_out);
	emit_const(g, 0, 0);
	emit(g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	free(labels);
}

static void gen_deinit(struct gen *g)
{
	free(g->locs);
	free(g->insns);
	free(g->fixes);
	free(g->labels);
	free(g->lbl_insn);
}

int code_make_reaper(struct ebpf *e, struct code *ret, struct err *reterr)
{
	struct gen g = { .e = e, .reterr = reterr };
	emit_load(&g, 8, 1, 1, 0);
	emit_call(&g, "rtk_self_free");
	emit_const(&g, 0, 0);
	emit(&g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	int r = g.err ? g.err : code_link(&g, ret);
	gen_deinit(&g);
	return r;
}

int code_make(struct ebpf *e, const struct ebpf_prog *p, struct code *ret, struct err *reterr)
{
	struct gen g = { .e = e, .p = p, .reterr = reterr };
	e->failed_clause = WIRE_NONE;
	gen_program(&g);
	int r = g.err ? g.err : code_link(&g, ret);
	gen_deinit(&g);
	return r;
}
