/* SPDX-License-Identifier: MIT */
/*
 * -x bufpolicy (DTrace guide, "Buffers and Buffering"): ring keeps the last
 * records and shows them at the end, fill shows the first ones and ends tracing
 * when they are too many.  A record counts for what it counts in DTrace, which
 * is less than it takes in our rings.  Without a policy what fits into the rings
 * is shown; but a small bufsize is also a limit to what the tool's own probes
 * record between two looks, strings at their full size, as with DTrace on Linux.
 */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EPID_BYTES 4u /* before the data */
#define HEAD_BYTES 24u /* the same, on Linux */
#define COUNTED_BYTES (1u << 20)

struct consume_kept {
	struct consume_kept *next;
	uint64_t cost;
	uint32_t proc;
	struct wire_rec rec; /* and its payload */
};

static bool is_string(const struct plan_val *v)
{
	return v->kind == PLAN_STR || v->kind >= PLAN_PROBEPROV;
}

static uint64_t add_val(uint64_t pos, const struct consume *c, const struct plan_val *v)
{
	uint64_t size = v->size ? v->size : 8, align;
	if (is_string(v))
		size = c->image->strsize + !c->opts.bufpolicy; /* DTrace on Linux counts the NUL */
	else if (v->kind == PLAN_USTACK)
		size = 8ull * (v->depth + 1ull);
	align = is_string(v) || v->kind == PLAN_BYTES ? 1 : size > 8 ? 8 : size;
	return (pos + align - 1) / align * align + size;
}

uint64_t consume_clause_cost(const struct consume *c, uint32_t clause)
{
	const struct plan_clause *cl = &c->plan->clauses[clause];
	uint64_t pos = c->opts.bufpolicy ? EPID_BYTES : HEAD_BYTES;
	for (uint32_t i = 0; i < cl->act_cnt; i++)
		for (uint32_t k = 0; k < cl->acts[i].val_cnt; k++)
			pos = add_val(pos, c, &cl->acts[i].vals[k]);
	return pos;
}

bool consume_policy_counts(const struct consume_opts *o) { return !o->bufpolicy && o->bufsize && o->bufsize < COUNTED_BYTES; }

/* The kernel's buffer: pages, a power of two of them, and never quite full. */
static uint64_t room(uint64_t bufsize)
{
	uint64_t bytes = 4096;
	while (bytes < bufsize)
		bytes <<= 1;
	return bytes - 1;
}

bool consume_policy_drops(struct consume *c, uint32_t slot, const struct wire_rec *rec)
{
	if (slot || !consume_policy_counts(&c->opts) || rec->clause >= c->plan->clause_cnt)
		return false;
	uint64_t cost = align_up(consume_clause_cost(c, rec->clause), 8);
	if (c->look_bytes + cost <= room(c->opts.bufsize)) {
		c->look_bytes += cost;
		return false;
	}
	c->look_drops++;
	return true;
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
