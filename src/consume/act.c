/* SPDX-License-Identifier: MIT */
/* What the plan does with a record. */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct act_run {
	struct consume *c;
	const struct wire_rec *rec;
	const struct plan_act *act;
	const struct fmt *fmt;
	struct datum_src src;
	struct err *reterr;
};

static int act_printf(struct act_run *r, FILE *fp)
{
	int rc = consume_fmt_print(r->c, fp, r->fmt, r->act->vals, r->act->val_cnt, &r->src, NULL);
	if (rc)
		return err_setf(r->reterr, rc, "processing aborted: Data record list does not match statement");
	return 0;
}

/* The formatted text as a string; NULL after an error. */
static char *act_text(struct act_run *r)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);
	if (!fp) {
		err_setf(r->reterr, -ENOMEM, "out of memory");
		return NULL;
	}
	int rc = act_printf(r, fp);
	fclose(fp);
	if (!rc)
		return text;
	free(text);
	return NULL;
}

static int act_io(struct act_run *r)
{
	char *text = act_text(r);
	struct err e;
	int rc = 0;
	if (!text)
		return r->reterr ? r->reterr->code : -ENOMEM;
	if (!r->c->opts.destructive)
		consume_fault_library(r->c, r->rec, "Destructive actions not allowed");
	else if (r->act->kind == PLAN_SYSTEM)
		rc = consume_io_system(r->c, text);
	else if (consume_io_freopen(r->c, text, &e))
		consume_fault_library(r->c, r->rec, e.msg);
	free(text);
	return rc ? err_setf(r->reterr, rc, "cannot run a command for system(): %s", strerror(-rc)) : 0;
}

static char *act_str(struct act_run *r, uint32_t i)
{
	uint32_t len;
	const uint8_t *p = consume_val_bytes(r->c, &r->act->vals[i], &r->src, &len);
	return strndup((const char *)p, len);
}

static int act_setopt(struct act_run *r)
{
	char *name = act_str(r, 0), *value = r->act->val_cnt > 1 ? act_str(r, 1) : NULL;
	struct err e;
	if (name && r->c->opts.set_option && r->c->opts.set_option(r->c->opts.arg, name, value, &e) < 0) {
		char text[ERR_MSG_MAX + 200];
		snprintf(text, sizeof(text), "couldn't set option \"%.60s\" to \"%.60s\": %s", name,
			 value ? value : "1", e.msg);
		consume_fault_library(r->c, r->rec, text);
	}
	free(name);
	free(value);
	return 0;
}

static int act_agg(struct act_run *r)
{
	const struct plan_act *act = r->act;
	uint32_t agg = act->agg_cnt ? act->aggs[0] : WIRE_NONE;
	int64_t n = act->val_cnt ? consume_val_int(&act->vals[0], &r->src) : 0;
	if (agg >= AGG_CNT(r->c))
		return err_setf(r->reterr, -EINVAL, "the plan names an aggregation that there is not");
	switch (act->kind) {
	case PLAN_CLEAR: return consume_agg_clear(r->c, agg, r->reterr);
	case PLAN_TRUNC: return consume_agg_trunc(r->c, agg, n, r->reterr);
	case PLAN_NORMALIZE:
		if (!n)
			consume_fault_library(r->c, r->rec, "Invalid normalization");
		else
			r->c->normal[agg] = n;
		return 0;
	default:
		r->c->normal[agg] = 1;
		return 0;
	}
}

static void act_tracemem(struct act_run *r)
{
	uint32_t cnt;
	const uint8_t *p = consume_val_bytes(r->c, &r->act->vals[0], &r->src, &cnt);
	int64_t want = r->act->val_cnt > 1 ? consume_val_int(&r->act->vals[1], &r->src) : cnt;
	consume_val_print_raw(r->c->opts.out, p, want >= 0 && want < cnt ? (uint32_t)want : cnt);
}

static int act_perform(struct act_run *r)
{
	struct consume *c = r->c;
	const struct plan_act *act = r->act;
	if (!act->val_cnt && (act->kind == PLAN_TRACE || act->kind == PLAN_TRACEMEM || act->kind == PLAN_STACK ||
			      act->kind == PLAN_SYM || act->kind == PLAN_EXIT || act->kind == PLAN_SETOPT ||
			      act->kind == PLAN_COMMIT || act->kind == PLAN_DISCARD))
		return err_setf(r->reterr, -EINVAL, "the plan has an action without its value");
	switch (act->kind) {
	case PLAN_TRACE: case PLAN_STACK: case PLAN_SYM:
		if (act->val_cnt)
			consume_val_print_trace(c, c->opts.out, &act->vals[0], &r->src);
		return 0;
	case PLAN_PRINT:
		if (act->val_cnt < 2 || act->type >= c->plan->type_cnt)
			return err_setf(r->reterr, -EINVAL, "the plan has a print() without its type");
		consume_print(c, c->opts.out, act, &r->src);
		return 0;
	case PLAN_TRACEMEM:
		act_tracemem(r);
		return 0;
	case PLAN_PRINTF:
		return act_printf(r, c->opts.out);
	case PLAN_PRINTA:
		if (r->fmt)
			return consume_agg_print_fmt(c, c->opts.out, r->fmt, act->aggs, act->agg_cnt, r->reterr);
		return consume_agg_print_default(c, c->opts.out, act->aggs, act->agg_cnt, r->reterr);
	case PLAN_EXIT:
		/* The last one counts: END has the final word. */
		c->exit_status = (int)consume_val_int(&act->vals[0], &r->src);
		c->exited = true;
		return 0;
	case PLAN_CLEAR: case PLAN_TRUNC: case PLAN_NORMALIZE: case PLAN_DENORMALIZE:
		return act_agg(r);
	case PLAN_SYSTEM: case PLAN_FREOPEN:
		return act_io(r);
	case PLAN_SETOPT:
		return act_setopt(r);
	case PLAN_COMMIT: case PLAN_DISCARD:
		return consume_spec_end(c, consume_val_u64(&act->vals[0], &r->src), act->kind == PLAN_COMMIT, r->reterr);
	case PLAN_FTRUNCATE:
		consume_io_truncate(c);
		return 0;
	}
	return 0;
}

/* A clause that only ends speculations shows nothing of its own. */
static bool has_line(const struct plan_clause *cl)
{
	for (uint32_t i = 0; i < cl->act_cnt; i++)
		if (cl->acts[i].kind != PLAN_COMMIT && cl->acts[i].kind != PLAN_DISCARD)
			return true;
	return !cl->act_cnt;
}

uint32_t consume_proc(struct consume *c, uint32_t pid_off, const struct datum_src *src)
{
	if (src->proc || pid_off == WIRE_NONE || !c->opts.proc_of)
		return src->proc;
	struct plan_val v = { .kind = PLAN_INT, .off = pid_off, .size = 8 };
	return c->opts.proc_of(c->opts.arg, (uint32_t)consume_val_u64(&v, src));
}

static uint64_t branch_mask(const struct plan_clause *cl, const struct datum_src *src)
{
	if (cl->mask_off == WIRE_NONE)
		return ~0ULL;
	struct plan_val v = { .kind = PLAN_INT, .off = cl->mask_off, .size = 8 };
	return consume_val_u64(&v, src);
}

int consume_act_perform(struct consume *c, const struct wire_rec *rec, uint32_t proc, struct err *reterr)
{
	const struct wire_site *site = consume_site_at(c, rec->site);
	const struct plan_clause *cl = &c->plan->clauses[rec->clause];
	const struct consume_scale scale = consume_scale(c);
	struct act_run r = { .c = c, .rec = rec, .reterr = reterr,
			     .src = { rec->payload, rec->bytes - (uint32_t)sizeof(*rec), proc, site, consume_ns(&scale, rec->tsc) } };
	uint64_t mask = branch_mask(cl, &r.src);
	int rc = 0;
	r.src.proc = consume_proc(c, cl->pid_off, &r.src);
	bool line = has_line(cl);
	if (line)
		consume_line_begin(c, rec, site);
	for (uint32_t i = 0; !rc && i < cl->act_cnt; i++) {
		r.act = &cl->acts[i];
		r.fmt = r.act->fmt ? &c->fmts[rec->clause][i] : NULL;
		if (r.act->guard < 0 || mask >> r.act->guard & 1)
			rc = act_perform(&r);
	}
	if (line)
		consume_line_end(c);
	return rc;
}

int consume_act_record(struct consume *c, const struct wire_rec *rec, uint32_t proc, struct err *reterr)
{
	if (rec->clause >= c->plan->clause_cnt)
		return 0;
	const struct plan_clause *cl = &c->plan->clauses[rec->clause];
	struct datum_src src = { .data = rec->payload, .bytes = rec->bytes - (uint32_t)sizeof(*rec) };
	struct plan_val v = { .kind = PLAN_INT, .off = cl->spec_off, .size = 8 };
	uint64_t token = cl->speculates ? consume_val_u64(&v, &src) : 0;
	bool now = true;
	if (token)
		return consume_spec_keep(c, rec, token, proc, reterr);
	int rc = c->opts.bufpolicy ? consume_policy_take(c, rec, proc, &now, reterr) : 0;
	return rc || !now ? rc : consume_act_perform(c, rec, proc, reterr);
}
