/* SPDX-License-Identifier: MIT */
/* Functions that a glob means, so that each is recorded with its own arguments. */
#include "cli/record/record_int.h"

#include <stdlib.h>
#include <string.h>

#define GLOB_MAX 256 /* more than that are recorded alike, as words */

static bool add(struct record_funcs *f, const struct probe *p)
{
	for (uint32_t i = 0; i < f->cnt; i++)
		if (!strcmp(f->v[i].func, p->func) && !strcmp(f->v[i].mod, p->mod))
			return true;
	if (f->cnt == GLOB_MAX)
		return false;
	f->v[f->cnt] = (struct record_func){ strdup(p->mod), strdup(p->func) };
	return f->v[f->cnt].mod && f->v[f->cnt++].func;
}

/* False: too many. */
static bool find(struct record_funcs *f, const struct record_probe *r, pid_t pid)
{
	struct probe_table *table = probe_table_create();
	struct obj_proc *obj = NULL;
	uint32_t *found = NULL, cnt = 0;
	char prov[24];
	bool ok = true;
	snprintf(prov, sizeof(prov), "pid%d", (int)pid);
	struct probe_spec spec = { prov, r->mod, r->func, "entry" };
	if (table && !obj_proc_open(pid, &obj, NULL) && !probe_match(table, &spec, &obj, &pid, 1, &found, &cnt, NULL))
		for (uint32_t i = 0; i < cnt && ok; i++)
			ok = add(f, probe_at(table, found[i]));
	free(found);
	probe_table_destroy(table);
	obj_proc_close(obj);
	return ok;
}

void cli_record_funcs_free(struct record_funcs *f)
{
	for (uint32_t i = 0; i < f->cnt; i++) {
		free(f->v[i].mod);
		free(f->v[i].func);
	}
	free(f->v);
	*f = (struct record_funcs){ 0 };
}

bool cli_record_expand(struct cli *cli, const struct record_probe *r, struct record_funcs *ret)
{
	bool ok = !strcmp(r->prov, "pid$target") && obj_is_glob(r->func) && !r->field_cnt;
	*ret = (struct record_funcs){ 0 };
	/* What a program that starts will load is not known yet. */
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		ok = ok && (!cli->targets[i].spawned || !strcmp(r->mod, "a.out"));
	ret->v = ok ? calloc(GLOB_MAX + 1, sizeof(*ret->v)) : NULL;
	ok = ret->v != NULL;
	for (uint32_t i = 0; i < cli->target_cnt && ok; i++)
		ok = find(ret, r, cli->targets[i].pid);
	if (ok && ret->cnt)
		return true;
	cli_record_funcs_free(ret);
	return false;
}
