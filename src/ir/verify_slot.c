/* SPDX-License-Identifier: MIT */
/* Pass 3: nothing but the helpers writes where a tuple keeps its lengths. */
#include "ir/verify_int.h"

#include <errno.h>
#include <string.h>

static int check_tuples(const struct ir_verify *v)
{
	uint64_t end = v->img->this_bytes;
	for (uint32_t i = 0; i < v->tuple_cnt; i++) {
		const struct ir_vtuple *t = &v->tuples[i];
		if (!t->max) /* no path begins it */
			continue;
		if (t->off < end)
			return err_setf(v->reterr, -EINVAL, "clause %u: the tuple in slot %u overlaps %s", v->p->clause, t->off,
					end == v->img->this_bytes ? "the this-> variables" : "the one before");
		end = (uint64_t)t->off + t->max;
		if (end > v->p->scratch_bytes)
			return err_setf(v->reterr, -EINVAL, "clause %u: the tuple in slot %u needs %u bytes, the scratch memory has %u",
					v->p->clause, t->off, t->max, v->p->scratch_bytes);
	}
	return 0;
}

/* The tuple that [off, off + bytes) touches, or NULL. */
static const struct ir_vtuple *touched(const struct ir_verify *v, uint64_t off, uint64_t bytes)
{
	uint32_t lo = 0, hi = v->tuple_cnt; /* the last one that begins before the end of the range */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (v->tuples[mid].off < off + bytes)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo > 0; lo--) {
		const struct ir_vtuple *t = &v->tuples[lo - 1];
		if (t->max)
			return (uint64_t)t->off + t->max > off ? t : NULL;
	}
	return NULL;
}

static int check_store(const struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	uint64_t off = (uint64_t)in->imm;
	const struct ir_vtuple *t = touched(v, off, in->aux);
	if (!t)
		return 0;
	uint64_t fixed = (uint64_t)t->off + sizeof(struct wire_tuple);
	if (off >= fixed && off + in->aux <= fixed + t->fixed)
		return 0;
	return ir_verify_fail(v, i, "offset %llu is in the tuple in slot %u, but not in its fixed part",
			      (unsigned long long)off, t->off);
}

static int check_strings(const struct ir_verify *v, uint32_t i)
{
	const struct ir_insn *in = &v->p->insns[i];
	enum ir_helper h = (enum ir_helper)in->imm;
	const char *letters = ir_helper(h)->args;
	for (uint32_t k = 0; k < in->b; k++) {
		if (letters[k] != 'D' || ir_arg_is_tuple(h, k))
			continue;
		uint64_t off = v->p->args[in->a + k];
		const struct ir_vtuple *t = touched(v, off, wire_str_bytes(v->img->strsize));
		if (t)
			return ir_verify_fail(v, i, "the string in slot %llu overlaps the tuple in slot %u",
					      (unsigned long long)off, t->off);
	}
	return 0;
}

int ir_verify_slots(struct ir_verify *v)
{
	int r = check_tuples(v);
	for (uint32_t i = 0; !r && v->tuple_cnt && i < v->p->insn_cnt; i++) {
		if (v->p->insns[i].op == IR_OP_STS)
			r = check_store(v, i);
		else if (v->p->insns[i].op == IR_OP_CALL)
			r = check_strings(v, i);
	}
	return r;
}
