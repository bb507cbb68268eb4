/* SPDX-License-Identifier: MIT */
/* Puts a main program and the library functions that it needs behind each other. */
#include "ebpf/ebpf_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of each function of the library: where it will stand, 0: not needed. */
struct plan {
	uint32_t *start;
	uint32_t *order; /* of the needed ones: index */
	uint32_t cnt, end;
};

static void need(struct plan *p, uint32_t func)
{
	if (p->start[func])
		return;
	p->start[func] = p->end;
	p->end += rtk_funcs[func].cnt;
	p->order[p->cnt++] = func;
}

/* Function by function, with what it calls. */
static void plan_make(struct plan *p, const struct gen *g)
{
	p->end = g->cnt;
	for (uint32_t i = 0; i < g->fix_cnt; i++)
		if (g->fixes[i].kind == FIX_CALL)
			need(p, g->fixes[i].target);
	for (uint32_t n = 0; n < p->cnt; n++) {
		const struct rtk_func *f = &rtk_funcs[p->order[n]];
		for (uint32_t i = 0; i < rtk_call_cnt; i++)
			if (rtk_calls[i].insn >= f->first && rtk_calls[i].insn < f->first + f->cnt)
				need(p, rtk_calls[i].func);
	}
}

static void fix_main(struct gen *g, const struct plan *p, struct bpf_insn *insns)
{
	for (uint32_t i = 0; i < g->fix_cnt; i++) {
		const struct fix *f = &g->fixes[i];
		int64_t next = (int64_t)f->insn + 1;
		if (f->kind == FIX_CALL) {
			insns[f->insn].imm = (int32_t)(p->start[f->target] - next);
			continue;
		}
		int64_t off = g->labels[f->target] - next;
		if (off < INT16_MIN || off > INT16_MAX)
			refuse(g, -E2BIG, "the clauses of one probe are too large for the kernel: %u instructions; give it fewer",
			       g->cnt);
		insns[f->insn].off = (int16_t)off;
	}
}

/* The session's numbers, maps and addresses in one function. */
static void fill_consts(const struct ebpf *e, struct bpf_insn *insns, uint32_t cnt)
{
	for (uint32_t i = 0; i + 1 < cnt; i++) {
		struct bpf_insn *in = &insns[i];
		if (in->code != (BPF_LD | BPF_DW | BPF_IMM))
			continue;
		uint32_t k = (uint32_t)in[0].imm;
		if ((uint32_t)in[1].imm == RTK_MAGIC && k < RTK_K_CNT) {
			in[0].imm = (int32_t)e->k[k];
			in[1].imm = (int32_t)(e->k[k] >> 32);
			if (k == RTK_K_SHM || k == RTK_K_DOORBELL)
				in->src_reg = k == RTK_K_SHM ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD;
		}
		i++;
	}
}

static void copy_functions(const struct ebpf *e, const struct plan *p, struct code *c)
{
	for (uint32_t n = 0; n < p->cnt; n++) {
		uint32_t id = p->order[n], at = p->start[id];
		const struct rtk_func *f = &rtk_funcs[id];
		memcpy(&c->insns[at], &rtk_insns[f->first], f->cnt * sizeof(*c->insns));
		for (uint32_t i = 0; i < rtk_call_cnt; i++) {
			uint32_t insn = rtk_calls[i].insn - f->first;
			if (rtk_calls[i].insn >= f->first && insn < f->cnt)
				c->insns[at + insn].imm = (int32_t)(p->start[rtk_calls[i].func] - (at + insn + 1));
		}
		fill_consts(e, &c->insns[at], f->cnt);
		c->funcs[n + 1] = (struct bpf_func_info){ .insn_off = at, .type_id = f->btf_id };
		c->ids[n + 1] = id;
	}
}

void ebpf_code_deinit(struct code *c)
{
	free(c->insns);
	free(c->funcs);
	free(c->ids);
	*c = (struct code){ 0 };
}

static int link_planned(struct gen *g, const struct plan *p, struct code *ret)
{
	struct code c = { .cnt = p->end, .func_cnt = p->cnt + 1 };
	c.insns = calloc(c.cnt, sizeof(*c.insns));
	c.funcs = calloc(c.func_cnt, sizeof(*c.funcs));
	c.ids = calloc(c.func_cnt, sizeof(*c.ids));
	if (!c.insns || !c.funcs || !c.ids) {
		ebpf_code_deinit(&c);
		return err_setf(g->reterr, -ENOMEM, "out of memory");
	}
	memcpy(c.insns, g->insns, g->cnt * sizeof(*c.insns));
	fix_main(g, p, c.insns);
	c.funcs[0].type_id = rtk_funcs[rtk_func_find("rtk_main")].btf_id;
	c.ids[0] = WIRE_NONE;
	copy_functions(g->e, p, &c);
	if (g->err) {
		ebpf_code_deinit(&c);
		return g->err;
	}
	*ret = c;
	return 0;
}

int code_link(struct gen *g, struct code *ret)
{
	struct plan p = { .start = calloc(rtk_func_cnt, sizeof(uint32_t)), .order = calloc(rtk_func_cnt, sizeof(uint32_t)) };
	int r = -ENOMEM;
	if (p.start && p.order) {
		plan_make(&p, g);
		r = link_planned(g, &p, ret);
	} else {
		err_setf(g->reterr, r, "out of memory");
	}
	free(p.start);
	free(p.order);
	return r;
}
