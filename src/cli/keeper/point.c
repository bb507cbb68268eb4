/* SPDX-License-Identifier: MIT */
#include "cli/keeper/keeper_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_SHOWN 20
#define DESCS_MAX 64 /* of a clause that is about its very probes */

static int no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

void keeper_point_free(struct keeper_point *pt)
{
	if (!pt)
		return;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++) {
		struct tracer_part *p = &pt->tp.at[a];
		for (uint32_t i = 0; i < p->field_cnt; i++)
			free(p->fields[i].name);
		free(p->fields);
		free(p->stmts);
		free(pt->source[a]);
	}
	for (uint32_t i = 0; i < pt->probe_cnt; i++)
		free((char *)pt->probes[i].why);
	free(pt->probes);
	free(pt->tp.state);
	free(pt->name);
	free(pt->place);
	free(pt->words);
	free(pt->hook_text);
	keeper_place_deinit(&pt->where);
	free(pt);
}

static struct keeper_point *find(const struct keeper *k, const char *name)
{
	for (uint32_t i = 0; i < k->point_cnt; i++)
		if (!strcmp(k->points[i]->name, name))
			return k->points[i];
	return NULL;
}

/* ---- what runs there ---- */

static const char *kind_name(const struct keeper_point *pt, enum tracer_at at)
{
	return at == TRACER_ENTRY ? "entry" : at == TRACER_RETURN ? "return" : pt->where.name;
}

static const char *prov_of(const struct keeper_point *pt) { return pt->where.prov ? pt->where.prov : "pid"; }

/* All places are of one function. */
static bool is_one(const struct keeper_point *pt)
{
	for (uint32_t i = 1; i < pt->probe_cnt; i++)
		if (strcmp(pt->probes[i].p.func, pt->probes[0].p.func) || strcmp(pt->probes[i].p.mod, pt->probes[0].p.mod))
			return false;
	return pt->probe_cnt > 0;
}

/* A function that leaves by a jump to another one has no result yet. */
static int guard_result(struct tracer_part *p)
{
	char *text = NULL;
	if (asprintf(&text, "trace((uint8_t)__at_jump); if (__at_jump == 0) {\n%s}", p->stmts) < 0)
		return -ENOMEM;
	free(p->stmts);
	p->stmts = text;
	return 0;
}

/* Statements that record what debug information knows of its arguments. */
static int make_fields(struct keeper *k, struct keeper_point *pt, enum tracer_at at, struct err *reterr)
{
	static char any[] = "";
	char prov[256];
	struct tracer_part *p = &pt->tp.at[at];
	struct record_clause c = { 0 };
	snprintf(prov, sizeof(prov), "%s$target", prov_of(pt));
	struct record_probe r = { .prov = prov, .mod = pt->where.mod, .func = pt->where.func, .name = any };
	size_t bytes;
	if (is_one(pt)) {
		r.mod = (char *)pt->probes[0].p.mod;
		r.func = (char *)pt->probes[0].p.func;
	}
	FILE *fp = open_memstream(&p->stmts, &bytes);
	int rc = fp ? cli_record_fields(&k->cli, &r, kind_name(pt, at), false, &c, fp) : CLI_ERROR;
	if (fp && fclose(fp))
		rc = CLI_ERROR;
	if (!rc && at == TRACER_RETURN && c.has_result)
		rc = guard_result(p);
	p->fields = rc ? NULL : calloc(c.cnt + 2ul, sizeof(*p->fields));
	for (uint32_t i = 0; i < c.cnt && !p->fields; i++)
		free(c.fields[i].name);
	if (p->fields && at == TRACER_RETURN && c.has_result)
		p->fields[p->field_cnt++] = (struct tracer_field){ strdup(TRACER_TAIL_CALL), EXPORT_U8 };
	for (uint32_t i = 0; i < c.cnt && p->fields; i++)
		p->fields[p->field_cnt++] = (struct tracer_field){ c.fields[i].name, c.fields[i].type };
	free(c.fields);
	return p->fields ? 0 : no_memory(reterr);
}

static void put_desc(const struct keeper_point *pt, const struct keeper_probe *p, FILE *fp)
{
	const char *quote = strpbrk(p->p.func, ":() <>,") ? "\"" : ""; /* C++ */
	fprintf(fp, "%s$target:%s:%s%s%s:%s", prov_of(pt), p->p.mod, quote, p->p.func, quote, kind_name(pt, p->at));
}

/* Which probes the text is about; one that is about none in particular serves all. */
static void put_descs(const struct keeper_point *pt, enum tracer_at at, FILE *fp)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < pt->probe_cnt && pt->tp.tracer->of_probe && n < DESCS_MAX; i++) {
		if (pt->probes[i].at != at)
			continue;
		fputs(n++ ? ",\n" : "", fp);
		put_desc(pt, &pt->probes[i], fp);
	}
	if (!n)
		fprintf(fp, "pid$target:::%s", at == TRACER_POINT ? "0" : kind_name(pt, at));
	putc('\n', fp);
}

static int make_clause(struct keeper *k, struct keeper_point *pt, enum tracer_at at, struct err *reterr)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return no_memory(reterr);
	put_descs(pt, at, fp);
	long head = ftell(fp);
	if (pt->tp.tracer->text)
		pt->tp.tracer->text(&pt->tp, at, fp);
	long end = ftell(fp);
	if (fclose(fp) || end <= head) {
		free(text);
		return end <= head ? 0 : no_memory(reterr);
	}
	pt->source[at] = strdup(text);
	return keeper_clause(k, text, &pt->tp.at[at].clause, reterr);
}

static int make_parts(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	int r = 0;
	for (uint32_t a = 0; a < TRACER_AT_CNT && !r; a++) {
		pt->tp.at[a].clause = WIRE_NONE;
		if (!pt->tp.at[a].used)
			continue;
		r = make_fields(k, pt, (enum tracer_at)a, reterr);
		r = r ? r : make_clause(k, pt, (enum tracer_at)a, reterr);
	}
	return r;
}

/* ---- add ---- */

struct request {
	bool both, json;
	const char *name, *place;
	int argc;   /* the tracer and its arguments */
	char **argv;
};

/* Options may also stand behind the place. */
static int parse(int argc, char **argv, struct request *ret, struct err *reterr)
{
	int i = 0;
	*ret = (struct request){ 0 };
	for (; i < argc; i++) {
		if (!strcmp(argv[i], "-e"))
			ret->both = true;
		else if (!strcmp(argv[i], "--json"))
			ret->json = true;
		else if (!strcmp(argv[i], "-n") && i + 1 < argc)
			ret->name = argv[++i];
		else if (!strncmp(argv[i], "-n", 2) && argv[i][2])
			ret->name = argv[i] + 2;
		else if (!ret->place && *argv[i] != '-')
			ret->place = argv[i];
		else
			break;
	}
	ret->argc = argc - i;
	ret->argv = argv + i;
	if (!ret->place || !ret->argc)
		return err_setf(reterr, -EINVAL, "add wants a place and a tracer");
	if (**ret->argv == '-')
		return err_setf(reterr, -EINVAL, "there is no option %s", *ret->argv);
	return 0;
}

static int check_name(const struct keeper *k, const char *name, struct err *reterr)
{
	for (const char *c = name; *c; c++)
		if (isspace((unsigned char)*c) || iscntrl((unsigned char)*c) || *c == ':')
			return err_setf(reterr, -EINVAL, "a tracepoint's name has no blanks and no colons");
	if (!*name)
		return err_setf(reterr, -EINVAL, "the tracepoint's name is empty");
	return find(k, name) ? err_setf(reterr, -EEXIST, "there is a tracepoint %s already", name) : 0;
}

static char *make_name(struct keeper *k)
{
	char *name = NULL;
	do {
		free(name);
		if (asprintf(&name, "tp-%u", k->next_nr++) < 0)
			return NULL;
	} while (find(k, name));
	return name;
}

static char *join(int argc, char **argv)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	for (int i = 0; fp && i < argc; i++)
		fprintf(fp, "%s%s", i ? " " : "", argv[i]);
	return fp && !fclose(fp) ? text : NULL;
}

static const struct tracer *tracer_named(const char *name, struct err *reterr)
{
	const struct tracer *t = tracer_find(name);
	char known[256] = "", why[ERR_MSG_MAX];
	t = t ? t : tracer_load(name, reterr);
	if (!t && reterr->code != -ENOENT)
		return NULL;
	snprintf(why, sizeof(why), "%s", t ? "" : reterr->msg);
	for (uint32_t i = 0; !t && tracer_nth(i); i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", i ? ", " : "", tracer_nth(i)->name);
	if (!t)
		err_setf(reterr, -ENOENT, "there is no tracer %s; there are %s, and others where they are installed (%s)", name, known, why);
	return t;
}

static int make_point(struct keeper *k, const struct request *rq, struct keeper_point **ret, struct err *reterr)
{
	const struct tracer *t = tracer_named(rq->argv[0], reterr);
	int r = t ? 0 : -ENOENT;
	r = r || !rq->name ? r : check_name(k, rq->name, reterr);
	struct keeper_point *pt = r ? NULL : calloc(1, sizeof(*pt));
	if (r)
		return r;
	if (!pt)
		return no_memory(reterr);
	pt->tp = (struct tracer_point){ .tracer = t, .host = &k->host, .both = rq->both, .id = k->next_id };
	pt->name = rq->name ? strdup(rq->name) : make_name(k);
	pt->place = strdup(rq->place);
	pt->words = join(rq->argc, rq->argv);
	pt->tp.state = calloc(1, t->state_bytes + 1);
	if (!pt->name || !pt->place || !pt->words || !pt->tp.state)
		r = no_memory(reterr);
	pt->tp.name = pt->name;
	pt->tp.place = pt->place;
	if (r)
		keeper_point_free(pt);
	else
		*ret = pt;
	return r;
}

static void end_point(struct keeper_point *pt)
{
	if (pt->tp.tracer->end)
		pt->tp.tracer->end(&pt->tp);
	keeper_point_free(pt);
}

/* Part of the list, so that its places can be armed; out of it again if they cannot: then nothing of it is. */
static int arm(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	struct keeper_point **v = realloc(k->points, (k->point_cnt + 1ul) * sizeof(*v));
	if (!v)
		return no_memory(reterr);
	k->points = v;
	v[k->point_cnt++] = pt;
	int r = keeper_arm(k, pt, true, reterr);
	uint32_t places = pt->tp.at[TRACER_ENTRY].place_cnt + pt->tp.at[TRACER_POINT].place_cnt;
	if (!r && !places)
		r = err_setf(reterr, -ENOTSUP, "%s cannot be traced: %s", pt->place, pt->probe_cnt && pt->probes[0].why ? pt->probes[0].why : "no place");
	k->point_cnt -= r != 0;
	return r;
}

static int set_up(struct keeper *k, struct keeper_point *pt, const struct request *rq, struct err *reterr)
{
	const struct tracer *t = pt->tp.tracer;
	struct obj_proc *obj = k->obj;
	int r = t->parse ? t->parse(&pt->tp, rq->argc - 1, rq->argv + 1, reterr) : 0;
	r = r ? r : keeper_place_parse(obj, rq->place, &pt->where, reterr);
	r = r ? r : obj_proc_refresh(obj, reterr);
	r = r ? r : keeper_find(k, pt, reterr);
	r = r ? r : make_parts(k, pt, reterr);
	r = r ? r : keeper_lib_load(k, pt, reterr);
	r = r || !t->begin ? r : t->begin(&pt->tp, reterr);
	return r ? r : arm(k, pt, reterr);
}

static void tell_refused(const struct keeper_point *pt)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < pt->probe_cnt; i++) {
		const struct keeper_probe *p = &pt->probes[i];
		if (p->why && n++ < PLACES_SHOWN)
			cli_error("%s:%s:%s is not traced: %s", p->p.mod, p->p.func, p->p.name, p->why);
	}
	if (n > PLACES_SHOWN)
		cli_error("%u more places are not traced; list-tracepoints -a names them", n - PLACES_SHOWN);
}

/* An add that did nothing leaves nothing: a keeper that was begun for it ends. */
static void leave(struct keeper *k)
{
	if (k->point_cnt || k->is_parent)
		return;
	keeper_reset(k);
	if (k->stays)
		return;
	keeper_unlink(k);
	k->ends = true;
}

static int add(struct keeper *k, const struct request *rq, struct keeper_point **ret, struct err *reterr)
{
	struct keeper_point *pt = NULL;
	int r = keeper_attach(k, reterr);
	r = r ? r : make_point(k, rq, &pt, reterr);
	if (r)
		return r;
	r = set_up(k, pt, rq, reterr);
	if (r) {
		k->next_nr -= !rq->name;
		end_point(pt);
		return r;
	}
	*ret = pt;
	return 0;
}

int keeper_add(struct keeper *k, int argc, char **argv, FILE *out, struct err *reterr)
{
	struct request rq;
	struct keeper_point *pt = NULL;
	int r = parse(argc, argv, &rq, reterr);
	r = r ? r : add(k, &rq, &pt, reterr);
	if (r) {
		leave(k);
		return r;
	}
	k->stays = true;
	k->next_id += 2;
	if (rq.json)
		keeper_show_json(k, pt, out);
	else
		fprintf(out, "%s\n", pt->name);
	tell_refused(pt);
	return 0;
}

/* ---- rm ---- */

int keeper_remove(struct keeper *k, const char *name, FILE *out, bool json, struct err *reterr)
{
	struct keeper_point *pt = find(k, name);
	uint32_t i = 0;
	if (!pt)
		return err_setf(reterr, -ENOENT, "process %d has no tracepoint %s; list-tracepoints names those it has", (int)k->pid, name);
	int r = keeper_arm(k, pt, false, reterr);
	if (r)
		return r;
	keeper_drain(k, false);
	keeper_drain(k, true);
	if (json)
		keeper_show_json(k, pt, out);
	else if (pt->tp.tracer->show)
		pt->tp.tracer->show(&pt->tp, out, false);
	while (k->points[i] != pt)
		i++;
	memmove(k->points + i, k->points + i + 1, (--k->point_cnt - i) * sizeof(*k->points));
	end_point(pt);
	if (!k->point_cnt && !k->is_parent)
		keeper_reset(k);
	return 0;
}
