/* SPDX-License-Identifier: MIT */
/*
 * -x bufpolicy (DTrace guide, "Buffers and Buffering"): ring keeps the last
 * records and shows them at the end, fill shows the first ones and ends tracing
 * when they are too many.  A record counts for what it counts in DTrace, which
 * is less than it takes in our rings.
 */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EPID_BYTES 4u /* before the data */

struct consume_kept {
	struct consume_kept *next;
	uint64_t cost;
	uint32_t proc;
	struct wire_rec rec; /* and its payload */
};

static uint64_t add_val(uint64_t pos, const struct consume *c, const struct plan_val *v)
{
	uint64_t size = v->size ? v->size : 8, align;
	if (v->kind == PLAN_STR)
		size = c->image->strsize;
	else if (v->kind == PLAN_USTACK)
		size = 8ull * (v->depth + 1ull);
	align = v->kind == PLAN_STR || v->kind == PLAN_BYTES ? 1 : size > 8 ? 8 : size;
	return (pos + align - 1) / align * align + size;
}

uint64_t consume_clause_cost(const struct consume *c, uint32_t clause)
{
	const struct plan_clause *cl = &c->plan->clauses[clause];
	uint64_t pos = EPID_BYTES;
	for (uint32_t i = 0; i < cl->act_cnt; i++)
		for (uint32_t k = 0; k < cl->acts[i].val_cnt; k++)
			pos = add_val(pos, c, &cl->acts[i].vals[k]);
	return pos;
}

static void drop_first(struct consume *c)
{
	struct consume_kept *k = c->kept;
	c->kept = k->next;
	if (!c->kept)
		c->kept_end = &c->kept;
	c->kept_bytes -= k->cost;
	free(k);
}

static int keep(struct consume *c, const struct wire_rec *rec, uint32_t proc, uint64_t cost, struct err *reterr)
{
	struct consume_kept *k = malloc(offsetof(struct consume_kept, rec) + rec->bytes);
	if (!k)
		return err_setf(reterr, -ENOMEM, "out of memory");
	k->next = NULL;
	k->cost = cost;
	k->proc = proc;
	memcpy(&k->rec, rec, rec->bytes);
	if (!c->kept)
		c->kept_end = &c->kept;
	*c->kept_end = k;
	c->kept_end = &k->next;
	c->kept_bytes += cost;
	while (c->kept_bytes > c->opts.bufsize)
		drop_first(c);
	return 0;
}

static bool is_end(const struct consume *c, const struct wire_rec *rec)
{
	const struct wire_site *site = consume_site_at(c, rec->site);
	return site && site->kind == WIRE_SITE_TOOL && !strcmp(consume_site_str(c, site->name, NULL), "END");
}

int consume_policy_take(struct consume *c, const struct wire_rec *rec, uint32_t proc, bool *ret_perform,
			struct err *reterr)
{
	uint64_t cost = consume_clause_cost(c, rec->clause);
	*ret_perform = true;
	if (c->opts.bufpolicy == CONSUME_RING) {
		*ret_perform = false;
		return keep(c, rec, proc, cost, reterr);
	}
	if (c->opts.bufpolicy != CONSUME_FILL || is_end(c, rec))
		return 0;
	c->filled |= c->kept_bytes + cost > c->opts.bufsize;
	*ret_perform = !c->filled;
	c->kept_bytes += cost;
	return 0;
}

bool consume_filled(const struct consume *c) { return c->filled; }

int consume_policy_end(struct consume *c, struct err *reterr)
{
	int rc = 0;
	while (!rc && c->kept) {
		rc = consume_act_perform(c, &c->kept->rec, c->kept->proc, reterr);
		drop_first(c);
	}
	return rc;
}

void consume_policy_deinit(struct consume *c)
{
	while (c->kept)
		drop_first(c);
}
