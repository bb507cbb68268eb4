/* SPDX-License-Identifier: MIT */
/*
 * Speculations (ADR 8): records wait here until the record of their commit()
 * or discard() comes.  Rings are read in the order of time, so what was
 * speculated before has been read by then; what comes later from a clause that
 * was under way shares the fate of the rest.
 */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct spec_held {
	struct spec_held *next;
	uint32_t proc;
	struct wire_rec rec; /* and its payload */
};

static struct wire_spec *shared(const struct consume *c, uint32_t id)
{
	return (struct wire_spec *)((uint8_t *)c->shm + c->geo.spec_off) + (id - 1);
}

/* What @token names, or NULL; the use it is of may be over. */
static struct consume_spec *find(const struct consume *c, uint64_t token, uint32_t *ret_id)
{
	uint64_t id = token >> 32;
	if (!id || id > c->geo.spec_cnt)
		return NULL;
	*ret_id = (uint32_t)id;
	return &c->specs[id - 1];
}

static bool clause_speculates(const struct plan_clause *cl)
{
	for (uint32_t i = 0; i < cl->act_cnt; i++)
		if (cl->acts[i].kind == PLAN_COMMIT || cl->acts[i].kind == PLAN_DISCARD)
			return true;
	return cl->speculates;
}

int consume_spec_init(struct consume *c, struct err *reterr)
{
	for (uint32_t i = 0; i < c->plan->clause_cnt; i++)
		c->speculates |= clause_speculates(&c->plan->clauses[i]);
	c->specs = calloc(c->geo.spec_cnt + 1ul, sizeof(*c->specs));
	if (!c->specs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < c->geo.spec_cnt; i++)
		c->specs[i].end = &c->specs[i].first;
	return 0;
}

static void clear(struct consume_spec *s)
{
	for (struct spec_held *h = s->first, *next; h; h = next) {
		next = h->next;
		free(h);
	}
	s->first = NULL;
	s->end = &s->first;
	s->bytes = 0;
}

void consume_spec_deinit(struct consume *c)
{
	for (uint32_t i = 0; c->specs && i < c->geo.spec_cnt; i++)
		clear(&c->specs[i]);
	free(c->specs);
}

static void note_bytes(struct consume *c, uint32_t id, uint64_t bytes)
{
	if (c->opts.writer.spec_bytes)
		c->opts.writer.spec_bytes(c->opts.arg, id, bytes);
	else
		STORE_RELAXED(&shared(c, id)->bytes, bytes);
}

static void note_free(struct consume *c, uint32_t id, uint32_t gen)
{
	if (c->opts.writer.spec_free) {
		c->opts.writer.spec_free(c->opts.arg, id, gen);
		return;
	}
	struct wire_spec *shm = shared(c, id);
	STORE_RELAXED(&shm->bytes, 0);
	STORE_RELAXED(&shm->gen, gen);
	STORE_RELEASE(&shm->state, WIRE_SPEC_FREE);
}

static int keep(struct consume *c, struct consume_spec *s, const struct wire_rec *rec, uint32_t proc, struct err *reterr)
{
	uint64_t bytes = c->plan->clauses[rec->clause].spec_bytes;
	if (s->bytes + bytes > c->geo.spec_bytes) {
		c->spec_dropped++;
		return 0;
	}
	struct spec_held *h = malloc(offsetof(struct spec_held, rec) + rec->bytes);
	if (!h)
		return err_setf(reterr, -ENOMEM, "out of memory");
	h->next = NULL;
	h->proc = proc;
	memcpy(&h->rec, rec, rec->bytes);
	*s->end = h;
	s->end = &h->next;
	s->bytes += bytes;
	return 0;
}

int consume_spec_keep(struct consume *c, const struct wire_rec *rec, uint64_t token, uint32_t proc, struct err *reterr)
{
	uint32_t id, gen = (uint32_t)token;
	struct consume_spec *s = find(c, token, &id);
	if (s && gen == s->gen) {
		int rc = keep(c, s, rec, proc, reterr);
		note_bytes(c, id, s->bytes);
		return rc;
	}
	if (s && gen + 1 == s->gen && s->committed)
		return consume_act_perform(c, rec, proc, reterr);
	return 0;
}

int consume_spec_end(struct consume *c, uint64_t token, bool commit, struct err *reterr)
{
	uint32_t id;
	struct consume_spec *s = find(c, token, &id);
	int rc = 0;
	if (!s || (uint32_t)token != s->gen)
		return 0;
	s->gen++;
	s->committed = commit;
	for (struct spec_held *h = s->first; commit && h && !rc; h = h->next)
		rc = consume_act_perform(c, &h->rec, h->proc, reterr);
	clear(s);
	note_free(c, id, s->gen);
	return rc;
}

bool consume_speculates(const struct consume *c) { return c->speculates; }

static bool has_ended(const struct wire_spec *s)
{
	uint32_t state = LOAD_ACQUIRE(&s->state);
	return state == WIRE_SPEC_COMMIT || state == WIRE_SPEC_DISCARD;
}

bool consume_spec_ending(const struct consume *c)
{
	for (uint32_t id = 1; c->speculates && id <= c->geo.spec_cnt; id++)
		if (has_ended(shared(c, id)))
			return true;
	return false;
}

int consume_spec_sweep(struct consume *c, uint64_t mark, struct err *reterr)
{
	int rc = 0;
	for (uint32_t id = 1; !rc && id <= c->geo.spec_cnt; id++) {
		const struct wire_spec *s = shared(c, id);
		/* What was freed by a writer may not look so yet. */
		if (LOAD_RELAXED(&s->gen) != c->specs[id - 1].gen)
			continue;
		if (has_ended(s) && LOAD_RELAXED(&s->end_tsc) < mark)
			rc = consume_spec_end(c, WIRE_SPEC_TOKEN(id, c->specs[id - 1].gen),
					      LOAD_RELAXED(&s->state) == WIRE_SPEC_COMMIT, reterr);
	}
	return rc;
}
