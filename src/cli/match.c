/* SPDX-License-Identifier: MIT */
/* Which probes the script's descriptions have, and what is said of those that have none. */
#include "cli/cli_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool target_at(const void *arg, uint32_t i, struct aim_target *ret)
{
	const struct cli *cli = arg;
	const struct cli_target *t = &cli->targets[i];
	*ret = (struct aim_target){ t->pid, t->root, t->proc, t->obj };
	return !t->gone;
}

const char *cli_match_tag(int rc)
{
	return rc == -ESRCH ? "D_PROC_BADPID" : rc == -ERANGE ? "D_PROC_OFF" : rc == -ELIBBAD ? "D_PROC_LIB" :
	       rc == -EINVAL ? "D_PROC_NAME" : "D_PDESC_INVAL";
}

/* 0 where they may come. */
static int look_at_error(struct cli *cli, const struct cli_match *m, int rc, const char *why)
{
	if (!rc || (rc == -ESRCH && cli_exe_pending(cli)))
		return 0;
	cli_source_error(cli, m->src, cli_match_tag(rc), cli->prog.plan.clauses[m->clause].descs[m->desc].line, why);
	return rc;
}

int cli_match_probes(struct cli *cli, uint32_t match, uint32_t **ret, uint32_t *ret_cnt)
{
	struct err e = { 0 };
	uint32_t cnt;
	struct aim_target *v = aim_targets(target_at, cli, cli->target_cnt, &cnt);
	int rc = v ? aim_find(&cli->aim, &cli->aim.descs[match], v, cnt, ret, ret_cnt, &e) : err_setf(&e, -ENOMEM, "out of memory");
	free(v);
	if (rc) {
		*ret = NULL;
		*ret_cnt = 0;
	}
	return look_at_error(cli, &cli->matches[match], rc, e.msg);
}

const struct probe *cli_match_first(struct cli *cli, uint32_t match)
{
	uint32_t *found = NULL, cnt = 0;
	const struct probe *p = NULL;
	if (cli->matches[match].cnt && !cli_match_probes(cli, match, &found, &cnt) && cnt)
		p = probe_at(cli->aim.table, found[0]);
	free(found);
	return p;
}

/* -32: what programs and the kernel have in memory and registers is laid out for 64 bits. */
static int refuse_other_model(struct cli *cli, const struct cli_match *m, const uint32_t *found, uint32_t cnt)
{
	const struct plan_probe_desc *d = &cli->prog.plan.clauses[m->clause].descs[m->desc];
	for (uint32_t i = 0; i < cnt && cli->args.mode != MODE_LIST; i++) {
		const struct probe *p = probe_at(cli->aim.table, found[i]);
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

static int on_found(void *arg, uint32_t desc, int rc, const uint32_t *v, uint32_t cnt, const char *why)
{
	struct cli *cli = arg;
	struct cli_match *m = &cli->matches[desc];
	rc = look_at_error(cli, m, rc, why);
	if (rc)
		return rc;
	m->cnt = cnt;
	return cli->args.is_32 ? refuse_other_model(cli, m, v, cnt) : 0;
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
	uint32_t cnt;
	struct session_desc *descs = cli_descs(cli, &cnt);
	int rc = aim_init(&cli->aim, &cli->prog.image, descs, cnt);
	return rc ? rc : cli_matches_make(cli);
}

/* Again after modules came. */
int cli_match_all(struct cli *cli)
{
	uint32_t cnt;
	struct aim_target *v = aim_targets(target_at, cli, cli->target_cnt, &cnt);
	int rc = !v ? -ENOMEM : cli->matches ? 0 : matches_make(cli);
	rc = rc ? rc : aim_match(&cli->aim, v, cnt, on_found, cli);
	free(v);
	if (rc == -ENOMEM)
		cli_error("out of memory");
	return rc ? CLI_ERROR : CLI_OK;
}

/* What the table says about names that are near. */
void cli_match_why(struct cli *cli, uint32_t match, char *buf, size_t cap)
{
	uint32_t *found = NULL, cnt = 0, target_cnt;
	struct err e = { 0 };
	struct aim_target *v = aim_targets(target_at, cli, cli->target_cnt, &target_cnt);
	buf[0] = 0;
	if (v && !aim_find(&cli->aim, &cli->aim.descs[match], v, target_cnt, &found, &cnt, &e) && e.msg[0])
		snprintf(buf, cap, "%s", e.msg);
	free(found);
	free(v);
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
		cli_match_why(cli, i, why, sizeof(why));
		cli_match_none(cli, m, why);
		cli_shell_say(cli);
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
		if (cli->args.verbose && cli->aim.table)
			cli_report_source(cli, i);
	}
}
