/* SPDX-License-Identifier: MIT */
/* Records now: events of the targets go to a trace on disk. */
#include "cli/record/record_int.h"

#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOW_NS 250000000ull /* between two progress lines */

/* ---- classes ---- */

static enum export_type planned_type(const struct plan_val *v)
{
	if (v->kind == PLAN_STR || v->kind >= PLAN_PROBEPROV)
		return EXPORT_STR;
	if (v->kind != PLAN_INT && v->kind != PLAN_TIME)
		return EXPORT_HEX;
	int t = v->size == 1 ? EXPORT_U8 : v->size == 2 ? EXPORT_U16 : v->size == 4 ? EXPORT_U32 : EXPORT_U64;
	return (enum export_type)(v->is_signed ? t - EXPORT_U8 + EXPORT_I8 : t);
}

/* The statement of the first field. */
static uint32_t first_act(const struct record_clause *c) { return c->tells_who ? RECORD_WHO : 0; }

/* The plan's value of a field; there is one: take_types(). */
static const struct plan_val *val_of(const struct cli *cli, uint32_t clause, uint32_t field)
{
	const struct record_clause *c = &cli->args.record->clauses[clause];
	return &cli->prog.plan.clauses[clause].acts[first_act(c) + field].vals[0];
}

/* Scalars are extended to 64 bits where they are stored, so their low bytes are what the trace has. */
static bool is_flat(const struct record_field *f, const struct plan_val *v)
{
	if (f->type == EXPORT_STR || f->type == EXPORT_STACK)
		return false;
	return !v->size || v->size == 8 || f->type == planned_type(v);
}

/* What the compiler made of expressions. */
static int take_types(struct cli *cli)
{
	struct cli_record *r = cli->args.record;
	for (uint32_t i = 0; i < r->clause_cnt; i++) {
		const struct plan_clause *pc = &cli->prog.plan.clauses[i];
		for (uint32_t k = 0; k < r->clauses[i].cnt; k++) {
			uint32_t act = first_act(&r->clauses[i]) + k;
			if (act >= pc->act_cnt || !pc->acts[act].val_cnt) {
				cli_error("%s: what is recorded must be a value", r->clauses[i].fields[k].name);
				return CLI_ERROR;
			}
			if (r->clauses[i].fields[k].by_plan)
				r->clauses[i].fields[k].type = planned_type(&pc->acts[act].vals[0]);
		}
		r->clauses[i].is_flat = true;
		for (uint32_t k = 0; k < r->clauses[i].cnt; k++)
			r->clauses[i].is_flat &= is_flat(&r->clauses[i].fields[k], val_of(cli, i, k));
	}
	r->vals = calloc(r->fields_max + 2ul, sizeof(*r->vals));
	r->takes = cli_record_takes(cli);
	return r->vals && r->takes ? CLI_OK : CLI_ERROR;
}

/* The provider without the number of a process. */
static size_t provider_len(const char *prov)
{
	size_t n = strlen(prov);
	while (n > 1 && prov[n - 1] >= '0' && prov[n - 1] <= '9')
		n--;
	return n;
}

static int make_class(struct cli_record *r, const struct consume_event *ev, const struct consume_probe *of, bool fault,
		      uint32_t *ret, struct err *reterr)
{
	static const struct export_field fault_fields[] = { { "fault", EXPORT_STR }, { "address", EXPORT_HEX } };
	const struct record_clause *rc = &r->clauses[ev->clause];
	struct export_field *fields = calloc(rc->cnt + 1ul, sizeof(*fields));
	char prov[128];
	if (!fields)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < rc->cnt; i++)
		fields[i] = (struct export_field){ rc->fields[i].name, rc->fields[i].type };
	snprintf(prov, sizeof(prov), "%.*s", (int)provider_len(of->prov), of->prov);
	struct export_class c = { prov, of->mod, of->func, of->name, fault ? fault_fields : fields, fault ? 2 : rc->cnt };
	int res = export_writer_class(r->writer, &c, ret, reterr);
	free(fields);
	return res;
}

static int tell_places(struct cli *cli, uint32_t clause, uint32_t class_id, struct err *reterr)
{
	struct cli_record *r = cli->args.record;
	uint32_t cnt = r->clauses[clause].cnt, *offs = calloc(cnt + 1ul, sizeof(*offs));
	if (!offs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < cnt; i++)
		offs[i] = val_of(cli, clause, i)->kind == PLAN_TIME ? EXPORT_AT_TIME : val_of(cli, clause, i)->off;
	int rc = export_writer_from(r->writer, class_id, offs, reterr);
	free(offs);
	return rc;
}

/* Sites of one probe in several processes share a class. */
static int named_class(struct cli *cli, const struct consume_event *ev, bool fault, uint32_t *ret, struct err *reterr)
{
	struct cli_record *r = cli->args.record;
	struct consume_probe of;
	char *key;
	consume_event_probe(cli->consume, ev, &of);
	if (asprintf(&key, "%d %u %.*s:%s:%s:%s", fault, ev->clause, (int)provider_len(of.prov), of.prov, of.mod, of.func,
		     of.name) < 0)
		return err_setf(reterr, -ENOMEM, "out of memory");
	struct host_str *n = host_strmap_get(&r->names, key); /* the class's number and 1 */
	free(key);
	if (!n)
		return err_setf(reterr, -ENOMEM, "out of memory");
	uint32_t id = (uint32_t)n->val - 1;
	int rc = n->val ? 0 : make_class(r, ev, &of, fault, &id, reterr);
	if (!rc && !n->val && !fault && r->clauses[ev->clause].is_flat)
		rc = tell_places(cli, ev->clause, id, reterr);
	if (rc) {
		host_strmap_drop(&r->names, n);
		return rc;
	}
	n->val = id + 1ull;
	*ret = id;
	return 0;
}

int cli_record_class(struct cli *cli, const struct consume_event *ev, uint32_t *ret, struct err *reterr)
{
	struct cli_record *r = cli->args.record;
	struct record_hit *h = &r->hits[(ev->site * 7 + ev->clause) & (RECORD_HITS - 1)];
	if (ev->fault)
		return named_class(cli, ev, true, ret, reterr);
	if (h->used && h->site == ev->site && h->clause == ev->clause) {
		*ret = h->id;
		return 0;
	}
	int rc = named_class(cli, ev, false, ret, reterr);
	if (!rc)
		*h = (struct record_hit){ ev->site, ev->clause, *ret, true };
	return rc;
}

/* ---- events ---- */

static void fill_fault(struct cli_record *r, const struct consume_event *ev)
{
	const char *text = consume_fault_text(ev->fault);
	r->vals[0] = (struct export_value){ .data = (const uint8_t *)text, .bytes = (uint32_t)strlen(text) };
	r->vals[1] = (struct export_value){ .i = (int64_t)ev->fault_value };
}

static void fill_value(struct cli *cli, const struct consume_event *ev, const struct record_field *f,
		       const struct plan_val *v, struct export_value *ret)
{
	*ret = (struct export_value){ 0 };
	if (f->type == EXPORT_STR || f->type == EXPORT_STACK) {
		ret->data = consume_event_bytes(cli->consume, ev, v, &ret->bytes);
		return;
	}
	int64_t i = consume_event_int(ev, v);
	float low;
	memcpy(&low, &i, sizeof(low));
	if (f->type == EXPORT_F32)
		ret->d = (double)low;
	else
		ret->i = i; /* a double's bits are its bits */
}

/* What the kernel runs writes into slots of CPUs: who it was, their first values say. */
static void fill_who(struct cli *cli, const struct consume_event *ev, struct export_event *ret, char comm[64])
{
	const struct plan_act *acts = cli->prog.plan.clauses[ev->clause].acts;
	uint32_t bytes;
	const uint8_t *name = consume_event_bytes(cli->consume, ev, &acts[2].vals[0], &bytes);
	ret->pid = (uint32_t)consume_event_int(ev, &acts[0].vals[0]);
	ret->tid = (uint32_t)consume_event_int(ev, &acts[1].vals[0]);
	snprintf(comm, 64, "%.*s", (int)(bytes < 63 ? bytes : 63), (const char *)name);
	ret->comm = comm;
}

bool cli_record_wants(struct cli_record *r, uint32_t cnt)
{
	r->came += cnt;
	return !r->gave_up && !cli_loop_impatient();
}

int cli_record_event(void *arg, const struct consume_event *ev, struct err *reterr)
{
	struct cli *cli = arg;
	struct cli_record *r = cli->args.record;
	uint32_t id = 0;
	if (ev->clause >= r->clause_cnt || !cli_record_wants(r, 1))
		return 0;
	int rc = cli_record_class(cli, ev, &id, reterr);
	const struct record_clause *c = &r->clauses[ev->clause];
	if (ev->fault)
		fill_fault(r, ev);
	for (uint32_t i = 0; i < c->cnt && !ev->fault && !c->is_flat; i++)
		fill_value(cli, ev, &c->fields[i], val_of(cli, ev->clause, i), &r->vals[i]);
	struct export_event e = { .ns = ev->ns, .class_id = id, .cpu = ev->cpu, .pid = ev->pid, .tid = ev->tid,
				  .comm = ev->execname, .vals = r->vals };
	char comm[64];
	if (c->tells_who && !ev->fault)
		fill_who(cli, ev, &e, comm);
	if (rc)
		return rc;
	return c->is_flat && !ev->fault ? export_writer_event_from(r->writer, &e, ev->payload, ev->bytes, reterr) :
		export_writer_event(r->writer, &e, reterr);
}

/* ---- a run ---- */

static char *describe(const struct cli *cli)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return NULL;
	fputs("record", fp);
	for (uint32_t i = 0; i < cli->args.record->probe_cnt; i++)
		fprintf(fp, " %s", cli->args.record->probes[i]);
	return fclose(fp) ? NULL : text;
}

int cli_record_modules(struct cli *cli, uint32_t proc)
{
	struct cli_record *r = cli->args.record;
	struct err e;
	for (uint32_t i = 0; r->writer && i < cli->target_cnt; i++) {
		const struct cli_target *t = &cli->targets[i];
		if ((proc && t->proc != proc) || !t->obj || t->gone)
			continue;
		if (export_writer_modules(r->writer, (uint32_t)t->pid, t->obj, &e)) {
			cli_error("%s", e.msg);
			return CLI_ERROR;
		}
	}
	return CLI_OK;
}

int cli_record_begin(struct cli *cli)
{
	struct cli_record *r = cli->args.record;
	char *what = describe(cli);
	struct err e;
	struct export_writer_opts o = { .dir = r->dir, .ring_bytes = r->ring_bytes, .command = what,
					.budget = (uint32_t)cli->args.opts.budget,
					.real_offset_ns = consume_real_offset_ns(cli->consume) };
	int rc = export_writer_create(&o, &r->writer, &e);
	free(what);
	if (rc) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	r->start_ns = host_now_ns();
	r->shown = isatty(STDERR_FILENO) && !r->follow;
	return cli_record_modules(cli, 0);
}

/* What the kernel's side writes is never overwritten there. */
bool cli_record_is_flight(const struct cli *cli)
{
	return cli->args.record && cli->args.record->ring_bytes && !cli->has_kernel;
}

int cli_record_go(struct cli *cli)
{
	struct err e;
	if (!export_writer_ready(cli->args.record->writer, &e))
		return cli_record_live(cli->args.record);
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

/* On the way to us, or to the disk. */
static uint64_t lost(const struct cli *cli)
{
	const struct cli_record *r = cli->args.record;
	return consume_lost(cli->consume) + r->came - export_writer_events(r->writer);
}

static void show(struct cli *cli, uint64_t now)
{
	struct cli_record *r = cli->args.record;
	char of[32] = "";
	if (r->duration_ns)
		snprintf(of, sizeof(of), " of %.4g", (double)r->duration_ns / 1e9);
	fprintf(stderr, "\r%s: %.0f%s s, %llu events, %.1f MB in %s, %llu lost\033[K", cli_name,
		(double)(now - r->start_ns) / 1e9, of, (unsigned long long)export_writer_events(r->writer),
		(double)export_writer_bytes(r->writer) / 1e6, r->dir, (unsigned long long)lost(cli));
	r->shown_ns = now;
}

int cli_record_progress(struct cli *cli)
{
	struct cli_record *r = cli->args.record;
	uint64_t now = host_now_ns();
	struct err e;
	int rc = export_writer_flush(r->writer, &e);
	export_writer_lost(r->writer, lost(cli));
	if (rc) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (r->shown && now >= r->shown_ns + SHOW_NS)
		show(cli, now);
	return CLI_OK;
}

static int note_sampled(struct cli *cli)
{
	uint32_t cnt = cli->session ? session_budget_report(cli->session).sampled : 0;
	struct session_sampled *found = calloc(cnt + 1ul, sizeof(*found));
	struct export_sampled *v = calloc(cnt + 1ul, sizeof(*v));
	struct err e;
	int rc = found && v ? 0 : err_setf(&e, -ENOMEM, "out of memory");
	if (!rc && cnt)
		cnt = session_budget_places(cli->session, found, cnt, true);
	for (uint32_t i = 0; !rc && i < cnt; i++)
		v[i] = (struct export_sampled){ found[i].place, found[i].weight };
	rc = rc ? rc : export_writer_sampled(cli->args.record->writer, v, cnt, &e);
	free(found);
	free(v);
	if (rc)
		cli_error("%s", e.msg);
	return rc ? CLI_ERROR : CLI_OK;
}

/* What the trace will not have is counted. */
static void give_up(struct cli *cli)
{
	struct err e;
	cli->args.record->gave_up = true;
	consume_drain(cli->consume, true, &e);
}

/* Of stacks, which may be many: who cannot wait does without. */
static int write_names(struct cli *cli, struct err *reterr)
{
	if (!cli_loop_impatient())
		return export_writer_frames(cli->args.record->writer, reterr);
	cli_hint("interrupted again: what was not in the trace by then counts as lost, and its frames have no lines of source");
	return 0;
}

int cli_record_finish(struct cli *cli, int rc)
{
	struct cli_record *r = cli->args.record;
	struct err e;
	if (rc && r->writer) {
		give_up(cli);
		export_writer_flush(r->writer, &e); /* what waits has a place, or counts as lost */
	}
	if (rc && (!r->writer || !export_writer_events(r->writer))) {
		if (r->came)
			cli_hint("%s: no events, %llu lost: no trace is left", r->dir, (unsigned long long)lost(cli));
		export_writer_discard(r->writer);
		r->writer = NULL;
		cli_record_live_end(r);
		return rc;
	}
	if (export_writer_flush(r->writer, &e) && !rc) {
		cli_error("%s", e.msg);
		rc = CLI_ERROR;
	}
	consume_report_drops(cli->consume);
	export_writer_lost(r->writer, lost(cli));
	if (r->shown)
		fputs("\r\033[K", stderr);
	if (write_names(cli, &e) && !rc) {
		cli_error("%s", e.msg);
		rc = CLI_ERROR;
	}
	if (cli->args.opts.budget && note_sampled(cli))
		rc = CLI_ERROR;
	cli_losses_advise(cli);
	cli_hint("%s: %llu events%s, %llu lost", r->dir, (unsigned long long)export_writer_events(r->writer),
		 r->ring_bytes ? " seen, the last of them kept" : "", (unsigned long long)lost(cli));
	export_writer_close(r->writer);
	r->writer = NULL;
	cli_record_live_end(r);
	return rc;
}

static int show_d(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->args.src_cnt; i++)
		fputs(cli->args.srcs[i].text, stdout);
	return CLI_OK;
}

/* A description must be found in one of the processes, not in all of them. */
int cli_record_check(struct cli *cli)
{
	for (uint32_t s = 0; s < cli->args.src_cnt && !cli->args.record->waits; s++) {
		uint64_t cnt = 0;
		for (uint32_t i = 0; i < cli->match_cnt; i++)
			cnt += cli->matches[i].src == s ? cli->matches[i].cnt : 0;
		if (cnt)
			continue;
		cli_error("%s: none of the processes has such a probe; dyntrace list-functions FILE prints what a file has", cli->args.srcs[s].arg);
		return CLI_ERROR;
	}
	return CLI_OK;
}

int cli_verb_record(struct cli *cli)
{
	if (cli_targets_open(cli) || cli_record_build(cli))
		return CLI_ERROR;
	cli_record_choose_bufsize(cli);
	if (cli->args.record->show_d)
		return show_d(cli);
	cli->args.record->waits = cli->args.opts.zdefs;
	/* Not every process has every function. */
	if (cli->target_cnt > 1)
		cli->args.opts.zdefs = 1;
	if (cli_compile(cli) || take_types(cli))
		return CLI_ERROR;
	return cli_trace_compiled(cli);
}
