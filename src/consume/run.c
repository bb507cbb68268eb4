/* SPDX-License-Identifier: MIT */
/*
 * Records that follow each other in one ring, given together to who keeps them.
 *
 *   ring  r r r r r | r     other rings' heads:  r (younger than the first five)
 *         `--run--'
 *
 * They are not copied out of the ring: of each header every word is read once, and
 * what lies in the payload is for the taker to copy, who believes none of it.
 */
#include "consume/consume_int.h"

#define RUN_PREFETCH 1024u /* another processor has just written it */

static bool may_run(const struct consume *c, const struct consume_slot *s)
{
	return c->opts.on_recs && !s->reader.flight && s->head->type == WIRE_REC_DATA;
}

/* The last moment of which nothing is missing but what this ring has. */
static uint64_t run_limit(const struct consume *c, uint32_t slot, uint64_t mark)
{
	for (uint32_t k = 1; k <= 2 && k < c->heap_cnt; k++) {
		uint32_t other = c->heap[k];
		uint64_t tsc = c->slots[other].head_tsc - (other < slot && c->slots[other].head_tsc);
		mark = tsc < mark ? tsc : mark;
	}
	return mark;
}

static bool is_of_target(const struct consume *c, uint32_t site)
{
	return LOAD_RELAXED(&consume_site_at(c, site)->kind) != WIRE_SITE_TOOL;
}

/* What does not change while a run is looked at. */
struct run {
	const uint8_t *data;
	uint64_t mask, end, limit; /* @limit: of tsc */
	const bool *clauses;
	uint32_t clause_cnt, cpus;
	struct consume_scale scale;
};

static void run_begin(const struct consume *c, uint32_t slot, uint64_t mark, struct run *ret)
{
	const struct ring_reader *rd = &c->slots[slot].reader;
	uint32_t cnt = c->plan->clause_cnt;
	*ret = (struct run){
		.data = rd->data, .mask = rd->ring_bytes - 1, .end = rd->end, .limit = run_limit(c, slot, mark),
		.clauses = c->opts.recs_clauses, .clause_cnt = cnt < c->opts.recs_clause_cnt ? cnt : c->opts.recs_clause_cnt,
		.cpus = c->cpus, .scale = consume_scale(c),
	};
}

/* What is at @pos, if it is a record that may be given so; returns its length or 0. */
static inline uint32_t look(const struct run *r, uint64_t pos, struct consume_rec *ret)
{
	uint64_t off = pos & r->mask, left = r->end - pos, to_end = r->mask + 1 - off;
	const struct wire_rec *rec = (const struct wire_rec *)(r->data + off);
	left = left < to_end ? left : to_end;
	if (left < sizeof(*rec))
		return 0;
	__builtin_prefetch(r->data + ((pos + RUN_PREFETCH) & r->mask));
	const uint64_t *words = (const uint64_t *)rec;
	uint64_t first = LOAD_RELAXED(&words[0]), second = LOAD_RELAXED(&words[1]), tsc = LOAD_RELAXED(&rec->tsc);
	uint32_t bytes = (uint32_t)first, clause = (uint32_t)(first >> 48);
	if ((uint16_t)(first >> 32) != WIRE_REC_DATA || bytes % 8 || bytes < sizeof(*rec) || bytes > left || tsc > r->limit ||
	    clause >= r->clause_cnt || !r->clauses[clause])
		return 0;
	*ret = (struct consume_rec){ .ns = consume_ns(&r->scale, tsc), .payload = rec->payload,
				     .bytes = bytes - (uint32_t)sizeof(*rec), .site = (uint32_t)second,
				     .clause = clause, .cpu = consume_cpu((uint16_t)(second >> 32), r->cpus) };
	return bytes;
}
_Static_assert(offsetof(struct wire_rec, type) == 4 && offsetof(struct wire_rec, clause) == 6 &&
	       offsetof(struct wire_rec, site) == 8 && offsetof(struct wire_rec, cpu) == 12, "");

int64_t consume_run(struct consume *c, uint32_t slot, uint64_t mark, struct err *reterr)
{
	struct consume_slot *s = &c->slots[slot];
	struct ring_reader *rd = &s->reader;
	struct consume_rec recs[CONSUME_RECS_MAX];
	uint32_t cnt = 0, bytes = 0, site = 0;
	if (!may_run(c, s))
		return 0;
	struct run run;
	run_begin(c, slot, mark, &run);
	uint64_t pos = rd->rec_pos, most = pos + rd->ring_bytes / 8;
	while (cnt < CONSUME_RECS_MAX && pos < most && (bytes = look(&run, pos, &recs[cnt]))) {
		if ((!cnt || recs[cnt].site != site) && !is_of_target(c, recs[cnt].site))
			break;
		site = recs[cnt++].site;
		pos += bytes;
	}
	if (!cnt)
		return 0;
	if (pos > rd->pos) {
		rd->seen += cnt - 1; /* the head is counted */
		rd->pos = pos;
	}
	s->cpu = (uint16_t)recs[cnt - 1].cpu;
	int rc = c->opts.on_recs(c->opts.arg, consume_who_of(c, slot), recs, cnt, reterr);
	return rc ? rc : (int64_t)cnt;
}
