/* SPDX-License-Identifier: MIT */
/* Descriptions of the script to probes, and each probe's clauses. */
#include "cli/cli_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct match_procs {
	struct obj_proc **procs;
	pid_t *pids;
	uint32_t cnt;
};

static int procs_collect(struct cli *cli, struct match_procs *ret)
{
	ret->procs = calloc(cli->target_cnt + 1ul, sizeof(*ret->procs));
	ret->pids = calloc(cli->target_cnt + 1ul, sizeof(*ret->pids));
	ret->cnt = 0;
	if (!ret->procs || !ret->pids)
		return -ENOMEM;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		if (t->gone || !t->obj)
			continue;
		ret->procs[ret->cnt] = t->obj;
		ret->pids[ret->cnt++] = t->root ? t->root : t->pid;
	}
	return 0;
}

static void procs_free(struct match_procs *p)
{
	free(p->procs);
	free(p->pids);
}

static int probes_room(struct cli *cli)
{
	uint32_t cnt = probe_cnt(cli->table);
	if (cnt <= cli->probe_cnt)
		return 0;
	struct cli_probe *v = realloc(cli->probes, cnt * sizeof(*v));
	if (!v)
		return -ENOMEM;
	memset(v + cli->probe_cnt, 0, (cnt - cli->probe_cnt) * sizeof(*v));
	cli->probes = v;
	cli->probe_cnt = cnt;
	return 0;
}

static bool has_module(struct obj_proc *obj, const struct obj_module *mod)
{
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		if (obj_module_at(obj, i) == mod)
			return true;
	return false;
}

/* Whose: followed ones have probes under the number of another, so the module tells. */
static uint32_t probe_proc(struct cli *cli, const struct probe *p)
{
	uint32_t proc = 0;
	for (uint32_t i = cli->target_cnt; i-- && p->pid;) {
		const struct cli_target *t = &cli->targets[i];
		if (t->gone || !t->obj)
			continue;
		if (p->module && has_module(t->obj, p->module))
			return t->proc;
		if (t->pid == p->pid)
			proc = t->proc;
	}
	return proc;
}

static int probe_add_clause(struct cli *cli, uint32_t idx, uint32_t clause)
{
	struct cli_probe *p = &cli->probes[idx];
	if (p->armed)
		return 0;
	uint32_t *v = realloc(p->progs, (p->prog_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->progs = v;
	v[p->prog_cnt++] = clause;
	p->proc = probe_proc(cli, probe_at(cli->table, idx));
	return 0;
}

/* A probe by its number; as many of them as of any description: 0 or 1. */
static int match_id(struct cli *cli, uint32_t id, uint32_t **ret, uint32_t *ret_cnt)
{
	*ret_cnt = 0;
	*ret = malloc(sizeof(**ret));
	for (uint32_t i = 0; *ret && !*ret_cnt && i < probe_cnt(cli->table); i++)
		if (probe_at(cli->table, i)->id == id)
			(*ret)[(*ret_cnt)++] = i;
	return *ret ? 0 : -ENOMEM;
}

const char *cli_match_tag(int rc)
{
	return rc == -ESRCH ? "D_PROC_BADPID" : rc == -ERANGE ? "D_PROC_OFF" : rc == -ELIBBAD ? "D_PROC_LIB" :
	       rc == -EINVAL ? "D_PROC_NAME" : "D_PDESC_INVAL";
}

static int find_probes(struct cli *cli, const struct cli_match *m, const struct match_procs *procs, uint32_t **ret,
		       uint32_t *ret_cnt)
{
	const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
	struct probe_spec spec = { d->prov ? d->prov : "", d->mod ? d->mod : "", d->func ? d->func : "",
				   d->name ? d->name : "" };
	struct err e = { 0 };
	int rc = d->id ? match_id(cli, d->id, ret, ret_cnt) :
		probe_match(cli->table, &spec, procs->procs, procs->pids, procs->cnt, ret, ret_cnt, &e);
	if (rc == -ESRCH && cli_exe_pending(cli)) {
		*ret = NULL;
		*ret_cnt = 0;
		return 0;
	}
	if (rc < 0)
		cli_source_error(cli, m->src, cli_match_tag(rc), d->line, e.msg);
	return rc;
}

int cli_match_probes(struct cli *cli, const struct cli_match *m, uint32_t **ret, uint32_t *ret_cnt)
{
	struct match_procs procs = { 0 };
	int rc = procs_collect(cli, &procs);
	rc = rc ? rc : find_probes(cli, m, &procs, ret, ret_cnt);
	procs_free(&procs);
	return rc;
}

const struct probe *cli_match_first(struct cli *cli, const struct cli_match *m)
{
	uint32_t *found = NULL, cnt = 0;
	const struct probe *p = NULL;
	if (m->cnt && !cli_match_probes(cli, m, &found, &cnt) && cnt)
		p = probe_at(cli->table, found[0]);
	free(found);
	return p;
}

/* -32: what programs and the kernel have in memory and registers is laid out for 64 bits. */
static int refuse_other_model(struct cli *cli, const struct cli_match *m, const uint32_t *found, uint32_t cnt)
{
	const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
	for (uint32_t i = 0; i < cnt && cli->args.mode != MODE_LIST; i++) {
		const struct probe *p = probe_at(cli->table, found[i]);
		if (p->kind == WIRE_SITE_TOOL)
			continue;
		char msg[ERR_MSG_MAX];
		snprintf(msg, sizeof(msg), "-32 is for the tool's own probes (BEGIN, END, ERROR, tick): %s:%s:%s:%s is of %s of 64 bits, so "
			"leave -32 out", p->prov, p->mod, p->func, p->name, p->kind == WIRE_SITE_KERNEL ? "a kernel" : "a program");
		cli_source_error(cli, m->src, "D_PDESC_INVAL", d->line, msg);
		return -EINVAL;
	}
	return 0;
}

static int match_one(struct cli *cli, struct cli_match *m, const struct match_procs *procs)
{
	uint32_t *found = NULL, cnt = 0;
	int rc = find_probes(cli, m, procs, &found, &cnt);
	if (rc < 0)
		return rc;
	m->cnt = cnt;
	rc = cli->args.is_32 ? refuse_other_model(cli, m, found, cnt) : 0;
	rc = rc ? rc : probes_room(cli);
	for (uint32_t i = 0; !rc && i < cnt; i++)
		rc = probe_add_clause(cli, found[i], m->clause);
	free(found);
	return rc;
}

static bool has_ids(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++)
			if (plan->clauses[i].descs[k].id)
				return true;
	return false;
}

/* Numbers are those that -l shows. */
static int make_numbered(struct cli *cli)
{
	static const struct probe_spec any = { "", "", "", "" };
	uint32_t *found = NULL, cnt = 0;
	struct err e;
	int rc = probe_match(cli->table, &any, NULL, NULL, 0, &found, &cnt, &e);
	free(found);
	return rc;
}

int cli_matches_make(struct cli *cli)
{
	const struct plan *plan = &cli->prog.plan;
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		cnt += plan->clauses[i].desc_cnt;
	cli->matches = calloc(cnt + 1ul, sizeof(*cli->matches));
	if (!cli->matches)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->clause_cnt; i++)
		for (uint32_t k = 0; k < plan->clauses[i].desc_cnt; k++)
			cli->matches[cli->match_cnt++] =
				(struct cli_match){ .clause = i, .desc = k, .src = plan->clauses[i].descs[k].src };
	return 0;
}

static int matches_make(struct cli *cli)
{
	cli->table = probe_table_create();
	if (!cli->table || (has_ids(&cli->prog.plan) && make_numbered(cli)))
		return -ENOMEM;
	return cli_matches_make(cli);
}

/* Again after modules came: probes that are armed keep what they have. */
int cli_match_all(struct cli *cli)
{
	struct match_procs procs = { 0 };
	int rc = cli->matches ? 0 : matches_make(cli);
	rc = rc ? rc : procs_collect(cli, &procs);
	for (uint32_t i = 0; i < cli->probe_cnt; i++)
		if (!cli->probes[i].armed)
			cli->probes[i].prog_cnt = 0;
	for (uint32_t i = 0; !rc && i < cli->match_cnt; i++)
		rc = match_one(cli, &cli->matches[i], &procs);
	procs_free(&procs);
	if (rc == -ENOMEM)
		cli_error("out of memory");
	return rc ? CLI_ERROR : CLI_OK;
}

/* What the table says about names that are near. */
void cli_match_why(struct cli *cli, const struct plan_probe_desc *d, char *buf, size_t cap)
{
	struct probe_spec spec = { d->prov, d->mod, d->func, d->name };
	struct match_procs procs = { 0 };
	uint32_t *found = NULL, cnt = 0;
	struct err e = { 0 };
	buf[0] = 0;
	if (!procs_collect(cli, &procs) &&
	    !probe_match(cli->table, &spec, procs.procs, procs.pids, procs.cnt, &found, &cnt, &e) && e.msg[0])
		snprintf(buf, cap, "%s", e.msg);
	free(found);
	procs_free(&procs);
}

/* Its provider may be of a process. */
static bool is_pid(const struct plan_probe_desc *d)
{
	size_t len = strlen(d->prov);
	return !strncmp(d->prov, "pid", 3) || (len && isdigit((unsigned char)d->prov[len - 1])) || obj_is_glob(d->prov);
}

static const struct plan_probe_desc *desc_of(const struct cli *cli, const struct cli_match *m)
{
	return &cli->prog.plan.clauses[m->clause].descs[m->desc];
}

bool cli_match_may_come(const struct cli *cli, const struct cli_match *m)
{
	for (uint32_t i = 0; is_pid(desc_of(cli, m)) && i < cli->target_cnt; i++)
		if (cli->targets[i].starting && !cli->targets[i].gone)
			return true;
	return is_pid(desc_of(cli, m)) && cli_exe_pending(cli);
}

void cli_match_none(struct cli *cli, const struct cli_match *m, const char *why)
{
	const struct plan_probe_desc *d = desc_of(cli, m);
	char msg[ERR_MSG_MAX + 600];
	if (d->id)
		snprintf(msg, sizeof(msg), "invalid probe identifier %u: Unknown probe identifier", d->id);
	else
		snprintf(msg, sizeof(msg), "probe description %s:%s:%s:%s does not match any probes", d->prov,
			 d->mod, d->func, d->name);
	cli_source_error(cli, m->src, d->id ? "D_PDESC_INVAL" : "D_PDESC_ZERO", d->line, msg);
	if (why[0] && !cli_testing())
		cli_error("%s", why);
}

uint32_t cli_match_complain(struct cli *cli, bool starting)
{
	uint32_t bad = 0;
	for (uint32_t i = 0; i < cli->match_cnt; i++) {
		const struct cli_match *m = &cli->matches[i];
		char why[ERR_MSG_MAX];
		if (m->cnt || (!starting && cli_match_may_come(cli, m)))
			continue;
		bad++;
		if (bad > 1)
			continue; /* as a compiler that stops at the first */
		cli_match_why(cli, desc_of(cli, m), why, sizeof(why));
		cli_match_none(cli, m, why);
	}
	return bad;
}

uint64_t cli_match_total(const struct cli *cli)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < cli->match_cnt; i++)
		n += cli->matches[i].cnt;
	return n;
}

static void notice_source(struct cli *cli, uint32_t src)
{
	const struct cli_source *s = &cli->args.srcs[src];
	uint32_t n = 0;
	for (uint32_t i = 0; i < cli->match_cnt; i++)
		if (cli->matches[i].src == src)
			n += cli->matches[i].cnt;
	cli_error("%s '%s' matched %u probe%s", s->kind == D_SRC_PROGRAM ? "script" : "description", s->name, n,
		  n == 1 ? "" : "s");
}

void cli_match_notice(struct cli *cli)
{
	if (cli->noticed)
		return;
	cli->noticed = true;
	for (uint32_t i = 0; i < cli->args.src_cnt; i++) {
		if (cli->args.srcs[i].kind == D_SRC_LIBRARY)
			continue;
		if (!cli->args.opts.quiet && !cli->args.compile_only)
			notice_source(cli, i);
		if (cli->args.verbose && cli->table)
			cli_report_source(cli, i);
	}
}
