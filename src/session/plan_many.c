/* SPDX-License-Identifier: MIT */
/*
 * Plans of many functions at a time, on all processors that we have.  A function's plan needs nothing of another's; what
 * they share is what is known of their modules, and that is read before.  Each piece of the requests has a job of its
 * own; their results are put together in the order of the pieces, so that nobody can tell how many threads there were.
 */
#include "session/arm_int.h"

#include <stdlib.h>
#include <string.h>

#define MANY 512u        /* fewer are not worth a thread */
#define PIECE 256u

struct refusal {
	struct session_refusal what;
	char *why;
};

struct piece {
	struct job job;
	const struct request *req;
	uint32_t cnt, refusal_cnt;
	struct refusal *refusals;
	int rc;
	struct err err;
};

struct crew {
	struct piece *pieces;
	uint32_t cnt, next;
};

static void keep_refusal(void *arg, const struct session_refusal *what)
{
	struct piece *p = arg;
	struct refusal *more = realloc(p->refusals, (p->refusal_cnt + 1ul) * sizeof(*more));
	char *why = strdup(what->why);
	p->refusals = more ? more : p->refusals;
	if (!more || !why) {
		p->rc = -ENOMEM;
		free(why);
		return;
	}
	more[p->refusal_cnt++] = (struct refusal){ *what, why };
}

static void work(void *arg)
{
	struct crew *c = arg;
	struct text_blocks *blocks = text_blocks_create();
	uint32_t i;
	while ((i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < c->cnt) {
		struct piece *p = &c->pieces[i];
		p->job.blocks = blocks;
		int r = job_plan_requests(&p->job, p->req, p->cnt, &p->err);
		p->job.blocks = NULL;
		p->rc = r ? r : p->rc;
	}
	text_blocks_destroy(blocks);
}

/* Pieces end where a function does. */
static uint32_t cut(struct job *j, const struct request *req, uint32_t cnt, const struct kept_entries *kept, struct piece *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 0, end; i < cnt; i = end) {
		end = cnt - i < PIECE ? cnt : i + PIECE;
		while (end < cnt && req[end].func == req[end - 1].func)
			end++;
		struct piece *p = &ret[n++];
		*p = (struct piece){ .req = req + i, .cnt = end - i };
		p->job = (struct job){ .s = j->s, .t = j->t, .probes = j->probes, .probe_cnt = j->probe_cnt, .refused = keep_refusal,
				       .refused_arg = p, .kept = kept };
	}
	return n;
}

static int take_funcs(struct job *j, struct piece *p)
{
	for (uint32_t i = 0; i < p->job.func_cnt; i++) {
		struct plan_func *pf = job_push_func(j);
		if (!pf)
			return -ENOMEM;
		*pf = p->job.funcs[i];
		p->job.funcs[i] = (struct plan_func){ 0 };
	}
	return 0;
}

static int take(struct job *j, struct piece *p, int rc, struct err *reterr)
{
	rc = rc ? rc : p->rc;
	for (uint32_t i = 0; i < p->refusal_cnt; i++) {
		p->refusals[i].what.why = p->refusals[i].why;
		if (!rc && j->refused)
			j->refused(j->refused_arg, &p->refusals[i].what);
		free(p->refusals[i].why);
	}
	free(p->refusals);
	if (rc && rc == p->rc && p->err.msg[0] && reterr)
		*reterr = p->err;
	if (!rc && take_funcs(j, p))
		rc = job_no_memory(reterr);
	job_free(&p->job);
	return rc;
}

#define FEW_UNKNOWN 16u /* one in so many: less is read for them alone than for all */

/* What is read when it is first asked for. False: of such modules more is read than is known here. */
static bool learn_module(struct job *j, struct obj_module *mod, const struct request *req, uint32_t n, struct kept_entries *kept)
{
	struct target *t = j->t;
	const struct patch_range *keep;
	const uint64_t *at;
	uint64_t pad;
	uint32_t cnt;
	uint8_t b;
	const struct obj_range *ranges;
	if (!mod->end || obj_module_ranges(t->obj, mod, &ranges, &cnt, NULL) || obj_module_is_go(t->obj, mod) || rseq_ranges(t, mod, &keep, &cnt) ||
	    obj_go_entered(t->obj, mod, 0, 0, &at, &cnt) || text_read(t, mod, mod->text_start, &b, 1))
		return false;
	if (n < MANY || t->link || t->retired_cnt || kept_entries_look(kept, j, mod, req, n) > n / FEW_UNKNOWN)
		branches_expect_many(t, mod);
	obj_landing_pads(t->obj, mod, mod->text_start, &pad, 1);
	obj_module_text(t->obj, mod, mod->text_start, &b, 1);
	return true;
}

static bool is_simple(struct job *j, const struct request *req, uint32_t cnt, struct kept_entries *kept)
{
	for (uint32_t i = 0, end; i < cnt; i = end) {
		struct obj_module *mod = j->probes[req[i].probe].probe->module;
		for (end = i; end < cnt && j->probes[req[end].probe].probe->module == mod; end++)
			if (j->probes[req[end].probe].probe->kind == WIRE_SITE_USDT)
				return false;
		if (!learn_module(j, mod, req + i, end - i, kept))
			return false;
	}
	return true;
}

static int plan_pieces(struct job *j, const struct request *req, uint32_t cnt, const struct kept_entries *kept, struct err *reterr)
{
	struct crew c = { .pieces = calloc(cnt / PIECE + 1, sizeof(*c.pieces)) };
	int rc = 0;
	if (!c.pieces)
		return job_no_memory(reterr);
	c.cnt = cut(j, req, cnt, kept, c.pieces);
	crew_run(work, &c, 0, crew_size());
	for (uint32_t i = 0; i < c.cnt; i++)
		rc = take(j, &c.pieces[i], rc, reterr);
	free(c.pieces);
	return rc;
}

int job_plan_many(struct job *j, const struct request *req, uint32_t cnt, struct err *reterr)
{
	struct kept_entries kept = { 0 };
	uint32_t first = j->func_cnt;
	bool many = cnt >= MANY && is_simple(j, req, cnt, &kept);
	int rc = many ? plan_pieces(j, req, cnt, &kept, reterr) : job_plan_requests(j, req, cnt, reterr);
	if (many && !rc)
		kept_entries_store(&kept, j->t, j->funcs + first, j->func_cnt - first);
	kept_entries_free(&kept);
	return rc;
}
