/* SPDX-License-Identifier: MIT */
#include "ir/plan.h"

#include <stdlib.h>

static void act_deinit(struct plan_act *a)
{
	free(a->fmt);
	free(a->vals);
	free(a->aggs);
}

static void clause_deinit(struct plan_clause *c)
{
	for (uint32_t i = 0; i < c->act_cnt; i++)
		act_deinit(&c->acts[i]);
	for (uint32_t i = 0; i < c->desc_cnt; i++) {
		free(c->descs[i].prov);
		free(c->descs[i].mod);
		free(c->descs[i].func);
		free(c->descs[i].name);
	}
	free(c->acts);
	free(c->descs);
}

static void type_deinit(struct plan_type *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++)
		free(t->parts[i].name);
	free(t->parts);
	free(t->name);
}

void plan_deinit(struct plan *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->clause_cnt; i++)
		clause_deinit(&p->clauses[i]);
	for (uint32_t i = 0; i < p->agg_cnt; i++) {
		free(p->aggs[i].name);
		free(p->aggs[i].keys);
	}
	for (uint32_t i = 0; i < p->type_cnt; i++)
		type_deinit(&p->types[i]);
	free(p->types);
	free(p->clauses);
	free(p->aggs);
	*p = (struct plan){ 0 };
}
