/* SPDX-License-Identifier: MIT */
/* What programs in the kernel get from the place that they are attached to. */
#include "session/kern_int.h"

#include "kern/kern.h"

#include <asm/ptrace.h>
#include <string.h>

static struct ebpf_arg word(uint32_t n)
{
	return (struct ebpf_arg){ .kind = EBPF_ARG_CTX, .bytes = 8, .off = 8 * n };
}

static struct ebpf_arg reg(uint64_t off)
{
	return (struct ebpf_arg){ .kind = EBPF_ARG_DEREF, .bytes = 8, .off = 0, .val = off };
}

/* The context is a struct pt_regs. */
struct ebpf_arg skern_reg(enum wire_reg which) { return word(which); }

static void args_enter(struct ebpf_arg *v)
{
	static const uint8_t regs[] = { offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, rsi), offsetof(struct pt_regs, rdx),
					offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9) };
	for (size_t i = 0; i < ARRAY_CNT(regs); i++)
		v[i] = reg(regs[i]);
}

static bool want_args(const struct ir_prog *const *progs, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t pc = 0; pc < progs[i]->insn_cnt; pc++) {
			const struct ir_insn *in = &progs[i]->insns[pc];
			if (in->op == IR_OP_ARG || (in->op == IR_OP_CALL && in->imm == IR_HELPER_arg))
				return true;
		}
	return false;
}

/* How many there are only the kernel's types tell, which are read where somebody wants one. */
static void args_raw(struct ebpf_arg *v, const char *event)
{
	int words = kern_raw_words(event);
	for (int i = 0; i < words && i < EBPF_ARG_MAX; i++)
		v[i] = word((uint32_t)i);
}

/* An array is where it lies. */
static void args_event(struct ebpf_arg *v, const struct probe_kern_place *p)
{
	uint32_t cnt;
	const struct kern_field *f = kern_event_fields(p->group, p->name, &cnt);
	for (uint32_t i = 0; f && i < cnt && i < EBPF_ARG_MAX; i++) {
		bool in_word = !strchr(f[i].type, '[') && !f[i].is_loc && (f[i].bytes == 1 || f[i].bytes == 2 || f[i].bytes == 4 || f[i].bytes == 8);
		v[i] = (struct ebpf_arg){ .kind = in_word ? EBPF_ARG_CTX : EBPF_ARG_CTX_ADDR, .bytes = in_word ? (uint8_t)f[i].bytes : 8,
					  .is_signed = f[i].is_signed, .off = f[i].off, .val = f[i].is_loc };
	}
}

uint32_t skern_args_c(struct ebpf_arg *v)
{
	static const uint8_t regs[] = WIRE_ARGS_C;
	for (size_t i = 0; i < ARRAY_CNT(regs); i++)
		v[i] = skern_reg(regs[i]);
	return ARRAY_CNT(regs);
}

static struct ebpf_arg func_word(const struct kern_fentry *f, uint32_t n)
{
	return (struct ebpf_arg){ .kind = f->loads[n] ? EBPF_ARG_CTX : EBPF_ARG_CTX_READ, .bytes = 8, .off = 8 * n };
}

static const struct ebpf_arg not_known = { .kind = EBPF_ARG_CONST, .val = UINT64_MAX }; /* where it returns */

void skern_args_fentry(struct ebpf_group *g, const struct kern_fentry *f, bool is_exit)
{
	for (uint32_t i = 0; i < f->arg_cnt && !is_exit; i++)
		g->args[i] = func_word(f, i);
	if (!is_exit)
		return;
	g->args[0] = not_known;
	if (!f->is_void)
		g->args[1] = func_word(f, f->arg_cnt);
}

void skern_args(struct ebpf_group *g, const struct probe_kern_place *p)
{
	switch (p->at) {
	case PROBE_KERN_ENTER:
		args_enter(g->args);
		g->regs = word(0);
		break;
	case PROBE_KERN_EXIT:
		g->args[0] = g->args[1] = word(1);
		g->regs = word(0);
		break;
	case PROBE_KERN_RAW:
		if (want_args(g->progs, g->prog_cnt))
			args_raw(g->args, p->name);
		break;
	case PROBE_KERN_EVENT:
		args_event(g->args, p);
		break;
	case PROBE_KERN_CLOCK:
	case PROBE_KERN_COUNTER:
		g->args[0].kind = EBPF_ARG_KPC;
		g->args[1].kind = EBPF_ARG_UPC;
		break;
	case PROBE_KERN_KPROBE:
		skern_args_c(g->args);
		break;
	case PROBE_KERN_KRETPROBE:
		g->args[0] = not_known;
		g->args[1] = skern_reg(WIRE_RAX);
		break;
	case PROBE_KERN_NONE:
		break;
	}
}

enum ebpf_kind skern_kind(enum probe_kern_at at)
{
	if (at == PROBE_KERN_KPROBE || at == PROBE_KERN_KRETPROBE)
		return EBPF_KPROBE;
	return at == PROBE_KERN_EVENT ? EBPF_TRACEPOINT : at == PROBE_KERN_CLOCK || at == PROBE_KERN_COUNTER ? EBPF_PERF_EVENT :
		EBPF_RAW_TP;
}

uint32_t skern_raw_type(struct instance *const *v, uint32_t cnt)
{
	if (v[0]->place.at == PROBE_KERN_EXIT)
		return kern_raw_type("sys_exit"); /* its key is there */
	for (uint32_t i = 0; i < cnt && v[0]->place.at == PROBE_KERN_ENTER; i++)
		if (want_args(v[i]->progs, v[i]->sp->prog_cnt))
			return kern_raw_type("sys_enter");
	return 0;
}

struct ebpf_arg skern_key(enum probe_kern_at at)
{
	return at == PROBE_KERN_ENTER ? word(1) : at == PROBE_KERN_EXIT ? reg(offsetof(struct pt_regs, orig_rax)) :
		(struct ebpf_arg){ .kind = EBPF_ARG_NONE };
}
