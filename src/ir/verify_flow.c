/* SPDX-License-Identifier: MIT */
/*
 * Pass 2: what holds on every path to an instruction.
 *
 * Branches go forward only, so one walk in order of the instructions is
 * enough: a branch leaves its state at its target, where it is merged with
 * those of other branches and of the instruction before.  A state exists from
 * the first branch to a target until the walk reaches it.
 */
#include "ir/verify_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STATES_BYTES_MAX (64u << 20) /* of all that exist at once */

/* Of the record: which of these are possible. */
#define REC_NONE 1u
#define REC_OPEN 2u
#define REC_DONE 4u

struct state {
	uint8_t rec;
	uint32_t rec_fixed; /* smallest fixed part that may be open */
	uint32_t *used;     /* of each tuple: bytes of its slot so far, at most; 0: not begun on some path */
	uint64_t *set;      /* registers that are set on every path */
};

struct flow {
	struct ir_verify *v;
	struct state *cur;      /* NULL: the instruction cannot be reached */
	struct state **pending; /* by target */
	size_t words, state_bytes, live_bytes;
};

static struct state *state_create(struct flow *f)
{
	if (f->live_bytes + f->state_bytes > STATES_BYTES_MAX)
		return NULL;
	struct state *s = calloc(1, f->state_bytes);
	if (!s)
		return NULL;
	s->set = (uint64_t *)(s + 1);
	s->used = (uint32_t *)(s->set + f->words);
	f->live_bytes += f->state_bytes;
	return s;
}

static void state_destroy(struct flow *f, struct state *s)
{
	if (!s)
		return;
	free(s);
	f->live_bytes -= f->state_bytes;
}

static void state_copy(const struct flow *f, struct state *to, const struct state *from)
{
	to->rec = from->rec;
	to->rec_fixed = from->rec_fixed;
	memcpy(to->set, from->set, f->words * sizeof(*to->set));
	if (f->v->tuple_cnt)
		memcpy(to->used, from->used, f->v->tuple_cnt * sizeof(*to->used));
}

static void state_merge(const struct flow *f, struct state *to, const struct state *from)
{
	if (from->rec & REC_OPEN && (!(to->rec & REC_OPEN) || from->rec_fixed < to->rec_fixed))
		to->rec_fixed = from->rec_fixed;
	to->rec |= from->rec;
	for (size_t i = 0; i < f->words; i++)
		to->set[i] &= from->set[i];
	for (uint32_t i = 0; i < f->v->tuple_cnt; i++) {
		if (!to->used[i] || !from->used[i])
			to->used[i] = 0;
		else if (from->used[i] > to->used[i])
			to->used[i] = from->used[i];
	}
}

/* Leaves the current state at @target. */
static int branch_to(struct flow *f, uint32_t insn, uint32_t target)
{
	if (f->pending[target]) {
		state_merge(f, f->pending[target], f->cur);
		return 0;
	}
	struct state *s = state_create(f);
	if (!s)
		return ir_verify_fail(f->v, insn, "the program is too large to verify: fewer registers or branches are needed");
	state_copy(f, s, f->cur);
	f->pending[target] = s;
	return 0;
}

/* Joins what branches left at @insn with what falls into it. */
static void arrive(struct flow *f, uint32_t insn)
{
	struct state *s = f->pending[insn];
	f->pending[insn] = NULL;
	if (!s)
		return;
	if (f->cur) {
		state_merge(f, f->cur, s);
		state_destroy(f, s);
	} else {
		f->cur = s;
	}
}

static int need_reg(const struct flow *f, uint32_t insn, uint64_t reg)
{
	if (f->cur->set[reg / 64] >> (reg % 64) & 1)
		return 0;
	return ir_verify_fail(f->v, insn, "register %llu is not set on every path to it", (unsigned long long)reg);
}

static void set_reg(const struct flow *f, uint32_t reg)
{
	f->cur->set[reg / 64] |= 1ULL << (reg % 64);
}

static int need_record(const struct flow *f, uint32_t insn)
{
	if (f->cur->rec == REC_OPEN)
		return 0;
	return ir_verify_fail(f->v, insn, "no record is open on some path to it");
}

static int need_field(const struct flow *f, uint32_t insn, uint64_t off, uint32_t fixed)
{
	if (off % 8 == 0 && off <= fixed && fixed - off >= sizeof(struct wire_vref))
		return 0;
	return ir_verify_fail(f->v, insn, "there is no field at offset %llu of a fixed part of %u bytes",
			      (unsigned long long)off, fixed);
}

/* The tuple in slot @off, which must have been begun. */
static int need_tuple(const struct flow *f, uint32_t insn, uint64_t off, uint32_t *ret)
{
	uint32_t t = ir_verify_find_tuple(f->v, off);
	*ret = t;
	if (t != WIRE_NONE && f->cur->used[t])
		return 0;
	return ir_verify_fail(f->v, insn, "the tuple in slot %llu is not begun on every path to it", (unsigned long long)off);
}

static int use_tuple(struct flow *f, uint32_t insn, uint32_t t, uint64_t more)
{
	uint64_t used = f->cur->used[t] + more;
	if (used > IR_SCRATCH_MAX)
		return ir_verify_fail(f->v, insn, "the tuple in slot %u becomes too large", f->v->tuples[t].off);
	f->cur->used[t] = (uint32_t)used;
	if (used > f->v->tuples[t].max)
		f->v->tuples[t].max = (uint32_t)used;
	return 0;
}

static int flow_tuple_call(struct flow *f, uint32_t insn, enum ir_helper h, const uint64_t *args)
{
	int at = ir_tuple_arg(h);
	uint32_t t;
	if (at < 0)
		return 0;
	if (h == IR_HELPER_tuple_begin) {
		t = ir_verify_find_tuple(f->v, args[0]);
		f->cur->used[t] = 0;
		return use_tuple(f, insn, t, sizeof(struct wire_tuple) + args[1]);
	}
	int r = need_tuple(f, insn, args[at], &t);
	if (r < 0 || at > 0)
		return r;
	r = need_field(f, insn, args[1], f->v->tuples[t].fixed);
	if (r < 0)
		return r;
	return use_tuple(f, insn, t, h == IR_HELPER_tuple_ustack || h == IR_HELPER_tuple_kstack ? 8 * args[2] : ir_tail_bytes(f->v->img->strsize));
}

static int flow_call(struct flow *f, uint32_t insn)
{
	const struct ir_prog *p = f->v->p;
	const struct ir_insn *in = &p->insns[insn];
	enum ir_helper h = (enum ir_helper)in->imm;
	const struct ir_helper_desc *d = ir_helper(h);
	const uint64_t *args = in->b ? p->args + in->a : NULL; /* a program may have none at all */
	int r = 0;
	for (uint32_t i = 0; !r && i < in->b; i++)
		if (ir_arg_is_vreg(d->args[i]))
			r = need_reg(f, insn, args[i]);
	if (!r && (h == IR_HELPER_rec_str || h == IR_HELPER_rec_mem || h == IR_HELPER_rec_ustack ||
		   h == IR_HELPER_rec_kstack)) {
		r = need_record(f, insn);
		if (!r)
			r = need_field(f, insn, args[0], f->cur->rec_fixed);
	}
	if (!r)
		r = flow_tuple_call(f, insn, h, args);
	if (!r && in->dst != WIRE_NONE)
		set_reg(f, in->dst);
	return r;
}

static int flow_agg(struct flow *f, uint32_t insn)
{
	const struct ir_insn *in = &f->v->p->insns[insn];
	uint32_t t;
	int r = need_reg(f, insn, in->a);
	if (!r && in->b != WIRE_NONE)
		r = need_reg(f, insn, in->b);
	if (!r && in->aux != IR_NO_TUPLE)
		r = need_tuple(f, insn, in->aux, &t);
	return r;
}

static int flow_rec(struct flow *f, uint32_t insn)
{
	if (f->cur->rec != REC_NONE)
		return ir_verify_fail(f->v, insn, "a record was opened already on some path to it");
	f->cur->rec = REC_OPEN;
	f->cur->rec_fixed = f->v->p->insns[insn].aux;
	return 0;
}

static int flow_str(struct flow *f, uint32_t insn)
{
	const struct ir_insn *in = &f->v->p->insns[insn];
	int r = need_record(f, insn);
	if (r < 0)
		return r;
	if ((uint64_t)in->imm + in->aux > f->cur->rec_fixed)
		return ir_verify_fail(f->v, insn, "offset %lld is outside the fixed part of the record, which has %u bytes",
				      (long long)in->imm, f->cur->rec_fixed);
	return 0;
}

static int flow_commit(struct flow *f, uint32_t insn)
{
	int r = need_record(f, insn);
	if (!r)
		f->cur->rec = REC_DONE;
	return r;
}

/* Those operations that do more than read and set registers. */
static int flow_special(struct flow *f, uint32_t insn)
{
	switch ((enum ir_op)f->v->p->insns[insn].op) {
	case IR_OP_REC:
		return flow_rec(f, insn);
	case IR_OP_STR:
		return flow_str(f, insn);
	case IR_OP_COMMIT:
		return flow_commit(f, insn);
	case IR_OP_RET:
		if (f->cur->rec & REC_OPEN)
			return ir_verify_fail(f->v, insn, "a record is still open on some path to it");
		return 0;
	default:
		return 0;
	}
}

static int flow_insn(struct flow *f, uint32_t insn)
{
	const struct ir_insn *in = &f->v->p->insns[insn];
	enum ir_form form = ir_op_form((enum ir_op)in->op);
	unsigned uses = ir_form_uses(form);
	if (form == IR_FORM_C)
		return flow_call(f, insn);
	if (form == IR_FORM_G)
		return flow_agg(f, insn);
	int r = 0;
	if (uses & IR_USE_A)
		r = need_reg(f, insn, in->a);
	if (!r && uses & IR_USE_B)
		r = need_reg(f, insn, in->b);
	if (!r)
		r = flow_special(f, insn);
	if (!r && uses & IR_USE_DST)
		set_reg(f, in->dst);
	if (!r && ir_op_is_branch(in->op))
		r = branch_to(f, insn, (uint32_t)in->imm);
	return r;
}

static int walk(struct flow *f)
{
	for (uint32_t i = 0; i < f->v->p->insn_cnt; i++) {
		arrive(f, i);
		if (!f->cur)
			continue;
		int r = flow_insn(f, i);
		if (r < 0)
			return r;
		if (ir_op_ends(f->v->p->insns[i].op)) {
			state_destroy(f, f->cur);
			f->cur = NULL;
		}
	}
	return 0;
}

int ir_verify_flow(struct ir_verify *v)
{
	struct flow f = { .v = v, .words = (v->p->vreg_cnt + 63) / 64 };
	f.state_bytes = sizeof(struct state) + f.words * sizeof(uint64_t) + v->tuple_cnt * sizeof(uint32_t);
	f.pending = calloc(v->p->insn_cnt, sizeof(*f.pending));
	f.cur = state_create(&f);
	int r = -ENOMEM;
	if (f.pending && f.cur) {
		f.cur->rec = REC_NONE;
		r = walk(&f);
	} else {
		err_setf(v->reterr, r, "no memory to verify a program");
	}
	for (uint32_t i = 0; f.pending && i < v->p->insn_cnt; i++)
		free(f.pending[i]);
	free(f.pending);
	free(f.cur);
	return r;
}
