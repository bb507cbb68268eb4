/* SPDX-License-Identifier: MIT */
/* Pass 1 for calls: each argument against its letter and against what the
 * helper wants of its constants. */
#include "ir/verify_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ir_tuple_arg(enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_tuple_begin:
	case IR_HELPER_tuple_str:
	case IR_HELPER_tuple_mem:
	case IR_HELPER_tuple_ustack:
	case IR_HELPER_tuple_kstack:
		return 0;
	case IR_HELPER_dyn_load:
	case IR_HELPER_dyn_store:
	case IR_HELPER_dyn_str_load:
	case IR_HELPER_dyn_str_store:
	case IR_HELPER_dyn_mem_load:
	case IR_HELPER_dyn_mem_store:
	case IR_HELPER_dyn_clear:
		return 2;
	default:
		return -1;
	}
}

bool ir_arg_is_tuple(enum ir_helper h, uint32_t i)
{
	return ir_tuple_arg(h) == (int)i;
}

static int check_slot(const struct ir_verify *v, uint32_t insn, uint64_t off, uint64_t bytes)
{
	if (off % 8)
		return ir_verify_fail(v, insn, "slot %llu is no multiple of 8", (unsigned long long)off);
	if (off > v->p->scratch_bytes || bytes > v->p->scratch_bytes - off)
		return ir_verify_fail(v, insn, "slot %llu of %llu bytes is outside the scratch memory, which has %u",
				      (unsigned long long)off, (unsigned long long)bytes, v->p->scratch_bytes);
	return 0;
}

static struct ir_vtuple *find_noted(struct ir_verify *v, uint64_t off)
{
	for (uint32_t i = 0; i < v->tuple_cnt; i++)
		if (v->tuples[i].off == off)
			return &v->tuples[i];
	return NULL;
}

static int add_tuple(struct ir_verify *v, uint32_t insn, uint32_t off, struct ir_vtuple **ret)
{
	if (v->tuple_cnt == IR_TUPLES_MAX)
		return ir_verify_fail(v, insn, "more than %u tuples", IR_TUPLES_MAX);
	if (v->tuple_cnt == v->tuple_cap) {
		uint32_t cap = v->tuple_cap ? 2 * v->tuple_cap : 16;
		struct ir_vtuple *t = realloc(v->tuples, cap * sizeof(*t));
		if (!t)
			return err_setf(v->reterr, -ENOMEM, "no memory to verify a program");
		v->tuples = t;
		v->tuple_cap = cap;
	}
	*ret = &v->tuples[v->tuple_cnt++];
	**ret = (struct ir_vtuple){ .off = off, .fixed = WIRE_NONE };
	return 0;
}

int ir_verify_note_tuple(struct ir_verify *v, uint32_t insn, uint64_t off, uint32_t fixed)
{
	int r = check_slot(v, insn, off, sizeof(struct wire_tuple));
	if (r < 0)
		return r;
	struct ir_vtuple *t = find_noted(v, off);
	if (!t) {
		r = add_tuple(v, insn, (uint32_t)off, &t);
		if (r < 0)
			return r;
	}
	if (fixed == WIRE_NONE)
		return 0;
	if (t->fixed != WIRE_NONE && t->fixed != fixed)
		return ir_verify_fail(v, insn, "the tuple in slot %llu has %u bytes here and %u elsewhere",
				      (unsigned long long)off, fixed, t->fixed);
	t->fixed = fixed;
	return 0;
}

static int cmp_tuple(const void *a, const void *b)
{
	const struct ir_vtuple *x = a, *y = b;
	return x->off < y->off ? -1 : x->off > y->off;
}

void ir_verify_sort_tuples(struct ir_verify *v)
{
	if (v->tuple_cnt)
		qsort(v->tuples, v->tuple_cnt, sizeof(*v->tuples), cmp_tuple);
}

uint32_t ir_verify_find_tuple(const struct ir_verify *v, uint64_t off)
{
	uint32_t lo = 0, hi = v->tuple_cnt;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (v->tuples[mid].off == off)
			return mid;
		if (v->tuples[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return WIRE_NONE;
}

/* A D argument. */
static int check_dest(struct ir_verify *v, uint32_t insn, enum ir_helper h, uint32_t arg, uint64_t off)
{
	if (!ir_arg_is_tuple(h, arg))
		return check_slot(v, insn, off, wire_str_bytes(v->img->strsize));
	if (h != IR_HELPER_tuple_begin)
		return ir_verify_note_tuple(v, insn, off, WIRE_NONE);
	uint64_t fixed = v->p->args[v->p->insns[insn].a + 1];
	if (fixed % 8 || fixed > v->p->scratch_bytes)
		return ir_verify_fail(v, insn, "a fixed part of %llu bytes is no multiple of 8 or too large",
				      (unsigned long long)fixed);
	int r = check_slot(v, insn, off, sizeof(struct wire_tuple) + fixed);
	return r < 0 ? r : ir_verify_note_tuple(v, insn, off, (uint32_t)fixed);
}

static int check_max(const struct ir_verify *v, uint32_t insn, uint32_t arg, uint64_t max)
{
	uint64_t k = v->p->args[v->p->insns[insn].a + arg];
	if (k <= max)
		return 0;
	return ir_verify_fail(v, insn, "constant %llu of argument %u is larger than %llu", (unsigned long long)k, arg,
			      (unsigned long long)max);
}

static int check_width(const struct ir_verify *v, uint32_t insn, uint32_t arg)
{
	uint64_t k = v->p->args[v->p->insns[insn].a + arg];
	if (k == 1 || k == 2 || k == 4 || k == 8)
		return 0;
	return ir_verify_fail(v, insn, "an access cannot have %llu bytes", (unsigned long long)k);
}

/* A string variable at a constant offset of an area. */
static int check_str_var(const struct ir_verify *v, uint32_t insn, uint32_t arg, uint32_t area)
{
	uint64_t off = v->p->args[v->p->insns[insn].a + arg], bytes = wire_str_bytes(v->img->strsize);
	if (off % 8)
		return ir_verify_fail(v, insn, "offset %llu is no multiple of 8", (unsigned long long)off);
	if (off > area || bytes > area - off)
		return ir_verify_fail(v, insn, "a string of %llu bytes at offset %llu is outside the variables, which have %u",
				      (unsigned long long)bytes, (unsigned long long)off, area);
	return 0;
}

static int check_var_addr(const struct ir_verify *v, uint32_t insn)
{
	const uint32_t bytes[] = { v->img->global_bytes, v->img->self_bytes, v->img->this_bytes };
	uint64_t area = v->p->args[v->p->insns[insn].a];
	int r = check_max(v, insn, 0, WIRE_AREA_CNT - 1);
	return r < 0 ? r : check_max(v, insn, 1, bytes[area]);
}

static int check_dyn(const struct ir_verify *v, uint32_t insn, uint64_t scope_max)
{
	uint64_t id = v->p->args[v->p->insns[insn].a];
	if (id >= v->img->dynvar_cnt)
		return ir_verify_fail(v, insn, "there is no dynamic variable %llu, only %u", (unsigned long long)id,
				      v->img->dynvar_cnt);
	return check_max(v, insn, 1, scope_max);
}

static int check_rec_mem(const struct ir_verify *v, uint32_t insn)
{
	return check_max(v, insn, 3, v->p->rec_bytes);
}

static int check_rec_ustack(const struct ir_verify *v, uint32_t insn)
{
	int r = check_max(v, insn, 1, IR_FRAMES_MAX);
	return r < 0 ? r : check_max(v, insn, 2, IR_STRSIZE_MAX);
}

static int check_arg(const struct ir_verify *v, uint32_t insn)
{
	uint64_t k = v->p->args[v->p->insns[insn].a];
	if (k >= 6 && k <= 9)
		return 0;
	return ir_verify_fail(v, insn, "argument %llu is not in 6..9", (unsigned long long)k);
}

/* The constants; offsets of fields are checked along the paths. */
static int check_consts(struct ir_verify *v, uint32_t insn, enum ir_helper h)
{
	switch (h) {
	case IR_HELPER_copyin_u: {
		int r = check_width(v, insn, 1);
		return r < 0 ? r : check_max(v, insn, 2, 1);
	}
	case IR_HELPER_poke:
		return check_width(v, insn, 2);
	case IR_HELPER_gstr_load:
	case IR_HELPER_gstr_store:
		return check_str_var(v, insn, 0, v->img->global_bytes);
	case IR_HELPER_tstr_load:
	case IR_HELPER_tstr_store:
		return check_str_var(v, insn, 0, v->img->self_bytes);
	case IR_HELPER_strtok:
		return check_str_var(v, insn, 2, v->img->self_bytes);
	case IR_HELPER_speculate:
		return check_max(v, insn, 1, 2 * IR_REC_MAX);
	case IR_HELPER_bswap:
		return check_width(v, insn, 1);
	case IR_HELPER_dyn_load:
	case IR_HELPER_dyn_store:
	case IR_HELPER_dyn_str_load:
	case IR_HELPER_dyn_str_store:
		return check_dyn(v, insn, 1);
	case IR_HELPER_dyn_mem_load:
	case IR_HELPER_dyn_mem_store:
	case IR_HELPER_dyn_clear:
		return check_dyn(v, insn, 2 * IR_VAR_MAX + 1);
	case IR_HELPER_var_addr:
		return check_var_addr(v, insn);
	case IR_HELPER_var_copy:
		return check_max(v, insn, 2, IR_GLOBAL_MAX);
	case IR_HELPER_var_zero:
		return check_max(v, insn, 1, IR_GLOBAL_MAX);
	case IR_HELPER_tuple_ustack:
	case IR_HELPER_tuple_kstack:
		return check_max(v, insn, 2, IR_FRAMES_MAX);
	case IR_HELPER_rec_mem:
		return check_rec_mem(v, insn);
	case IR_HELPER_rec_ustack:
		return check_rec_ustack(v, insn);
	case IR_HELPER_rec_kstack:
		return check_max(v, insn, 1, IR_FRAMES_MAX);
	case IR_HELPER_arg:
		return check_arg(v, insn);
	case IR_HELPER_hook_dl:
	case IR_HELPER_hook_exec:
	case IR_HELPER_hook_guard:
	case IR_HELPER_hook_raw:
	case IR_HELPER_hook_vfork:
	case IR_HELPER_hook_clone:
		return ir_verify_fail(v, insn, "programs cannot call %s", ir_helper(h)->name);
	default:
		return 0;
	}
}

static int check_result(const struct ir_verify *v, uint32_t insn, const struct ir_helper_desc *d)
{
	uint32_t dst = v->p->insns[insn].dst;
	if (dst == WIRE_NONE)
		return 0;
	if (d->result == 'v')
		return ir_verify_fail(v, insn, "%s has no result", d->name);
	if (dst >= v->p->vreg_cnt)
		return ir_verify_fail(v, insn, "dst: there is no register %u, only %u", dst, v->p->vreg_cnt);
	return 0;
}

int ir_verify_call(struct ir_verify *v, uint32_t insn)
{
	const struct ir_prog *p = v->p;
	const struct ir_insn *in = &p->insns[insn];
	if (in->imm < 0 || in->imm >= IR_HELPER_CNT)
		return ir_verify_fail(v, insn, "there is no helper %lld", (long long)in->imm);
	enum ir_helper h = (enum ir_helper)in->imm;
	const struct ir_helper_desc *d = ir_helper(h);
	if (in->b != strlen(d->args))
		return ir_verify_fail(v, insn, "%s takes %zu arguments, not %u", d->name, strlen(d->args), in->b);
	if (in->a > p->arg_cnt || in->b > p->arg_cnt - in->a)
		return ir_verify_fail(v, insn, "its arguments are not in the program, which has %u", p->arg_cnt);
	int r = check_result(v, insn, d);
	for (uint32_t i = 0; !r && i < in->b; i++) {
		uint64_t arg = p->args[in->a + i];
		if (ir_arg_is_vreg(d->args[i]) && arg >= p->vreg_cnt)
			r = ir_verify_fail(v, insn, "argument %u: there is no register %llu, only %u", i,
					   (unsigned long long)arg, p->vreg_cnt);
		else if (d->args[i] == 'D')
			r = check_dest(v, insn, h, i, arg);
	}
	return r < 0 ? r : check_consts(v, insn, h);
}
