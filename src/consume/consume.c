/* SPDX-License-Identifier: MIT */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the clauses that have none yet. */
static int compile_formats(struct consume *c, struct err *reterr)
{
	struct fmt **more = realloc(c->fmts, (c->plan->clause_cnt + 1ul) * sizeof(*more));
	if (!more)
		return err_setf(reterr, -ENOMEM, "out of memory");
	c->fmts = more;
	for (uint32_t i = c->fmt_cnt; i < c->plan->clause_cnt; i++) {
		const struct plan_clause *cl = &c->plan->clauses[i];
		c->fmts[i] = calloc(cl->act_cnt + 1ul, sizeof(struct fmt));
		if (!c->fmts[i])
			return err_setf(reterr, -ENOMEM, "out of memory");
		c->fmt_cnt++;
		for (uint32_t a = 0; a < cl->act_cnt; a++) {
			int rc = cl->acts[a].fmt ? consume_fmt_parse(cl->acts[a].fmt, &c->fmts[i][a], reterr) : 0;
			if (rc)
				return rc;
		}
	}
	return 0;
}

static int make_slots(struct consume *c, struct err *reterr)
{
	uint32_t cnt = c->geo.thread_cnt;
	c->slots = calloc(cnt + 1ul, sizeof(*c->slots));
	c->heap = calloc(cnt + 1ul, sizeof(*c->heap));
	uint64_t *drops = calloc(2ul * cnt * c->geo.clause_cnt + 1, sizeof(*drops));
	if (!c->slots || !c->heap || !drops) {
		free(drops);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < cnt; i++)
		c->slots[i].drops = drops + 2ul * i * c->geo.clause_cnt;
	if (!cnt)
		free(drops);
	return 0;
}

static int make_aggs(struct consume *c, struct err *reterr)
{
	uint32_t cnt = c->geo.agg_cnt; /* the plan may grow */
	const struct wire_agg *desc = (const struct wire_agg *)((const uint8_t *)c->shm + c->geo.agg_desc_off);
	c->gen = calloc(cnt + 1ul, sizeof(*c->gen));
	c->normal = calloc(cnt + 1ul, sizeof(*c->normal));
	c->printed = calloc(cnt + 1ul, sizeof(*c->printed));
	if (!c->gen || !c->normal || !c->printed)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < c->plan->agg_cnt && !c->cpu_cnt; i++)
		if (c->plan->aggs[i].cpu_off != WIRE_NONE)
			c->cpu_cnt = c->cpus;
	for (uint32_t i = 0; i < cnt; i++) {
		c->gen[i] = desc[i].gen;
		c->normal[i] = 1;
	}
	return 0;
}

int consume_create(struct wire_shm *shm, const struct plan *plan, const struct ir_image *image,
		   const struct consume_opts *opts, struct consume **ret, struct err *reterr)
{
	struct consume *c = calloc(1, sizeof(*c));
	if (!c)
		return err_setf(reterr, -ENOMEM, "out of memory");
	c->shm = shm;
	c->geo = *shm;
	c->plan = plan;
	c->image = image;
	c->opts = *opts;
	c->saved_out = -1;
	c->cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	c->last_site = c->last_clause = WIRE_NONE;
	int rc = 0;
	if (plan->agg_cnt != image->agg_cnt || plan->agg_cnt > shm->agg_cnt)
		rc = err_setf(reterr, -EINVAL, "plan, image and shared memory disagree about the aggregations");
	rc = rc ? rc : make_slots(c, reterr);
	c->has_last = shm->thread_cnt && LOAD_ACQUIRE(&consume_thread(c, (uint32_t)shm->thread_cnt - 1)->state) != WIRE_THREAD_FREE;
	rc = rc ? rc : make_aggs(c, reterr);
	rc = rc ? rc : consume_spec_init(c, reterr);
	rc = rc ? rc : compile_formats(c, reterr);
	if (rc)
		consume_destroy(c);
	else
		*ret = c;
	return rc;
}

void consume_clock(struct consume *c)
{
	c->geo.tsc_base = c->shm->tsc_base;
	c->geo.ns_base = c->shm->ns_base;
	c->geo.wall_base = c->shm->wall_base;
	c->geo.tsc_mult = c->shm->tsc_mult;
}

static void destroy_formats(struct consume *c)
{
	for (uint32_t i = 0; i < c->fmt_cnt; i++) {
		for (uint32_t a = 0; a < c->plan->clauses[i].act_cnt; a++)
			consume_fmt_deinit(&c->fmts[i][a]);
		free(c->fmts[i]);
	}
	free(c->fmts);
}

void consume_destroy(struct consume *c)
{
	if (!c)
		return;
	destroy_formats(c);
	consume_spec_deinit(c);
	consume_policy_deinit(c);
	consume_agg_tab_clear(&c->base);
	consume_agg_tab_clear(&c->floor);
	consume_agg_tab_clear(&c->snap);
	consume_fold_deinit(c);
	if (c->slots && c->geo.thread_cnt)
		free(c->slots[0].drops);
	free(c->slots);
	free(c->heap);
	free(c->rec);
	free(c->gen);
	free(c->normal);
	free(c->printed);
	if (c->saved_out >= 0)
		close(c->saved_out);
	free(c);
}

int consume_grow(struct consume *c, const struct plan *plan, const struct ir_image *image, struct err *reterr)
{
	if (plan->agg_cnt != image->agg_cnt || plan->agg_cnt > c->geo.agg_cnt || plan->clause_cnt > c->geo.clause_cnt)
		return err_setf(reterr, -EINVAL, "plan, image and shared memory disagree");
	c->plan = plan;
	c->image = image;
	return compile_formats(c, reterr);
}

void consume_set_opts(struct consume *c, const struct consume_opts *opts) { c->opts = *opts; }

bool consume_exited(const struct consume *c, int *ret_status)
{
	if (c->exited && ret_status)
		*ret_status = c->exit_status;
	return c->exited;
}

void consume_aggs_read(struct consume *c)
{
	if (c->opts.writer.aggs_read) {
		c->opts.writer.aggs_read(c->opts.arg);
		return;
	}
	for (uint32_t i = 0; i < c->geo.thread_cnt && !consume_is_last(c, i); i++) {
		struct wire_thread *thr = consume_thread(c, i);
		if (LOAD_ACQUIRE(&thr->state) == WIRE_THREAD_LIVE)
			STORE_RELAXED(&thr->agg_read, LOAD_RELAXED(&thr->agg_cnt));
	}
}

int consume_print_aggs(struct consume *c, struct err *reterr)
{
	return consume_agg_print_unprinted(c, c->opts.out, reterr);
}
