/* SPDX-License-Identifier: MIT */
/* Images that grow while their programs run. */
#include "ir/ir.h"

#include <stddef.h>
#include <string.h>

static bool same_prog(const struct ir_prog *a, const struct ir_prog *b)
{
	return a->insn_cnt == b->insn_cnt && a->arg_cnt == b->arg_cnt && a->rec_bytes == b->rec_bytes &&
	       !memcmp(a->insns, b->insns, a->insn_cnt * sizeof(*a->insns)) &&
	       (!a->arg_cnt || !memcmp(a->args, b->args, a->arg_cnt * sizeof(*a->args)));
}

bool ir_image_continues(const struct ir_image *old, const struct ir_image *now)
{
	bool same = old->prog_cnt <= now->prog_cnt && old->agg_cnt <= now->agg_cnt && old->str_bytes <= now->str_bytes &&
		    old->this_bytes == now->this_bytes && old->strsize == now->strsize;
	for (uint32_t i = 0; same && i < old->prog_cnt; i++)
		same = same_prog(&old->progs[i], &now->progs[i]);
	for (uint32_t i = 0; same && i < old->agg_cnt; i++)
		same = old->aggs[i].fn == now->aggs[i].fn && old->aggs[i].val_cnt == now->aggs[i].val_cnt &&
		       !memcmp(&old->aggs[i].base, &now->aggs[i].base, sizeof(old->aggs[i]) - offsetof(struct wire_agg, base));
	return same && (!old->str_bytes || !memcmp(old->strs, now->strs, old->str_bytes));
}
