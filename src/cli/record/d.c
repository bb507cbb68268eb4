/* SPDX-License-Identifier: MIT */
/* The D program of a recording: a source for each PROBE, and one for its end. */
#include "cli/record/record_int.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add_source(struct cli *cli, const char *arg, char *text)
{
	struct cli_args *a = &cli->args;
	struct cli_source *s = realloc(a->srcs, (a->src_cnt + 1) * sizeof(*s));
	if (!s || !text) {
		cli_error("out of memory");
		free(text);
		return CLI_ERROR;
	}
	a->srcs = s;
	s[a->src_cnt] = (struct cli_source){ .kind = D_SRC_NAME, .arg = strdup(arg), .name = strdup(arg), .text = text };
	return s[a->src_cnt++].arg ? CLI_OK : CLI_ERROR;
}

static struct record_clause *add_clause(struct cli_record *r)
{
	struct record_clause *v = realloc(r->clauses, (r->clause_cnt + 1ul) * sizeof(*v));
	if (!v)
		return NULL;
	r->clauses = v;
	v[r->clause_cnt] = (struct record_clause){ 0 };
	return &v[r->clause_cnt++];
}

/* The provider for one process: $target is its number. False: it is none of that process. */
static bool put_provider(FILE *fp, const char *prov, pid_t pid)
{
	const char *at = strstr(prov, "$target");
	char own[24];
	snprintf(own, sizeof(own), "pid%d", (int)pid);
	if (at)
		fprintf(fp, "%.*s%d%s", (int)(at - prov), prov, (int)pid, at + 7);
	else if (!strcmp(prov, "pid"))
		fprintf(fp, "pid%d", (int)pid);
	else if (!strncmp(prov, "pid", 3) && strcmp(prov, own))
		return false;
	else
		fprintf(fp, "%s", prov);
	return true;
}

static bool is_per_target(const char *prov) { return strstr(prov, "$target") || !strncmp(prov, "pid", 3); }

/* Probes of the kernel fire for all processes. */
static void put_predicate(FILE *fp, const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		fprintf(fp, cli->args.opts.followfork ? "%sprogenyof(%d)" : "%spid == %d", i ? " || " : "\n/", (int)cli->targets[i].pid);
	fputs("/", fp);
}

/* "prov:mod:func:name" for all targets, commas between them; @pred, and @stmts in braces */
static char *clause_text(struct cli *cli, const struct record_probe *p, const char *name, const char *pred, const char *stmts)
{
	char *text = NULL;
	size_t bytes;
	uint32_t cnt = 0;
	const char *quote = strpbrk(p->func, ":() <>,") ? "\"" : ""; /* C++ */
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return NULL;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		char *one = NULL;
		size_t n;
		FILE *prov = open_memstream(&one, &n);
		bool ok = prov && put_provider(prov, p->prov, cli->targets[i].pid);
		if (prov)
			fclose(prov);
		if (ok && (!cnt || is_per_target(p->prov)))
			fprintf(fp, "%s%s:%s:%s%s%s:%s", cnt++ ? ",\n" : "", one, p->mod, quote, p->func, quote, name);
		free(one);
	}
	if (cli_record_is_kernel(p))
		put_predicate(fp, cli);
	fprintf(fp, "\n%s{\n%s}\n", pred, stmts);
	if (!fclose(fp) && cnt)
		return text;
	free(text);
	if (!cnt)
		cli_error("%s names a process that is not recorded", p->prov);
	return NULL;
}

/* What probes of processes may be: as a last resort, by option, and what a member's are beside probes of the kernel (ADR 33). */
static bool may_be_uprobe(const struct cli *cli)
{
	return cli->args.opts.backend == CLI_BACKEND_AUTO || cli->args.opts.backend == CLI_BACKEND_UPROBE ||
	       (geteuid() && cli->args.record->has_kernel);
}

static int build_clause(struct cli *cli, const char *arg, const struct record_probe *p, const char *name, bool at_jump)
{
	struct cli_record *r = cli->args.record;
	struct record_clause *c = add_clause(r);
	char *stmts = NULL;
	size_t bytes;
	FILE *fp = c ? open_memstream(&stmts, &bytes) : NULL;
	if (!fp)
		return CLI_ERROR;
	c->of_kernel = cli_record_is_kernel(p);
	c->tells_who = c->of_kernel || may_be_uprobe(cli);
	if (c->tells_who) /* RECORD_WHO */
		fputs("\ttrace(pid);\n\ttrace(tid);\n\ttrace(execname);\n", fp);
	int rc = cli_record_fields(cli, p, name, at_jump, c, fp);
	bool has_result = c->has_result && !c->of_kernel;
	const char *pred = !has_result ? "" : at_jump ? "/__at_jump/\n" : "/!__at_jump/\n";
	/* A clause with nothing in it still says that the probe fired. */
	if (!c->cnt && !c->tells_who)
		fputs("\ttrace(0);\n", fp);
	fclose(fp);
	if (c->cnt > r->fields_max)
		r->fields_max = c->cnt;
	char *text = rc ? NULL : clause_text(cli, p, name, pred, stmts);
	free(stmts);
	rc = text ? add_source(cli, arg, text) : CLI_ERROR;
	/* Events without the value, for tail calls. */
	return rc || !has_result || at_jump ? rc : build_clause(cli, arg, p, name, true);
}

static int build_one(struct cli *cli, const char *arg, const struct record_probe *p)
{
	int rc = build_clause(cli, arg, p, p->both ? "entry" : p->name, false);
	return rc || !p->both ? rc : build_clause(cli, arg, p, "return", false);
}

static int build_probe(struct cli *cli, const char *arg)
{
	struct record_probe p;
	struct record_funcs funcs = { 0 };
	int rc = cli_record_probe_parse(arg, &p);
	if (!rc && !cli_record_expand(cli, &p, &funcs))
		rc = build_one(cli, arg, &p);
	for (uint32_t i = 0; i < funcs.cnt && !rc; i++) {
		struct record_probe one = p;
		one.mod = funcs.v[i].mod;
		one.func = funcs.v[i].func;
		rc = build_one(cli, arg, &one);
	}
	cli_record_funcs_free(&funcs);
	free(p.text);
	return rc;
}

static int note_kernel(struct cli_record *r)
{
	int rc = CLI_OK;
	for (uint32_t i = 0; i < r->probe_cnt && !rc; i++) {
		struct record_probe p;
		rc = cli_record_probe_parse(r->probes[i], &p);
		r->has_kernel |= !rc && cli_record_is_kernel(&p);
		free(p.text);
	}
	return rc;
}

int cli_record_build(struct cli *cli)
{
	struct cli_record *r = cli->args.record;
	int rc = note_kernel(r);
	for (uint32_t i = 0; i < r->probe_cnt && !rc; i++)
		rc = build_probe(cli, r->probes[i]);
	if (rc || !r->duration_ns)
		return rc;
	char *text = NULL;
	if (asprintf(&text, "tick-%lluus\n{\n\texit(0);\n}\n", (unsigned long long)(r->duration_ns / 1000 ? r->duration_ns / 1000 : 1)) < 0)
		text = NULL;
	return add_source(cli, "-d", text);
}
