/* SPDX-License-Identifier: MIT */
/* Events of tracepoints in a trace on disk, as dyntrace record writes them. */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of a folder: tracepoints of one process share it. */
struct trace {
	struct trace *next;
	char *dir;
	struct export_writer *writer;
	uint32_t users;
};
static struct trace *traces;

struct ctf {
	char *dir;
	struct trace *trace;
	uint32_t class_id[TRACER_AT_CNT];
	struct export_value *vals;
	uint64_t lost, hits[TRACER_AT_CNT];
};

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct ctf *c = tp->state;
	if (argc > 1)
		return err_setf(reterr, -EINVAL, "ctf takes one folder, but there is '%s' too", argv[1]);
	c->dir = argc ? realpath(argv[0], NULL) : NULL;
	/* Most often it is not there yet. */
	if (argc && !c->dir && *argv[0] == '/')
		c->dir = strdup(argv[0]);
	if (argc && !c->dir) {
		char *cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&c->dir, "%s/%s", cwd, argv[0]) < 0)
			c->dir = NULL;
		free(cwd);
	}
	return argc && !c->dir ? err_setf(reterr, -ENOMEM, "out of memory") : 0;
}

/* ~/dyntrace-traces/PID-20261121-115500 */
static char *usual_dir(const struct tracer_host *h)
{
	const char *home = getenv("HOME");
	char *dir = NULL, when[32];
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	if (asprintf(&dir, "%s/dyntrace-traces", home && *home ? home : "/tmp") < 0)
		return NULL;
	mkdir(dir, 0700);
	free(dir);
	return asprintf(&dir, "%s/dyntrace-traces/%d-%s", home && *home ? home : "/tmp", (int)h->pid, when) < 0 ? NULL : dir;
}

static struct trace *find_trace(const char *dir)
{
	for (struct trace *t = traces; t; t = t->next)
		if (!dir || !strcmp(t->dir, dir))
			return t;
	return NULL;
}

static int open_trace(struct tracer_point *tp, struct trace **ret, struct err *reterr)
{
	struct ctf *c = tp->state;
	struct trace *t = find_trace(c->dir);
	if (t) {
		*ret = t;
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (t)
		t->dir = c->dir ? strdup(c->dir) : usual_dir(tp->host);
	struct export_writer_opts o = { .dir = t ? t->dir : NULL, .real_offset_ns = tp->host->real_offset_ns, .command = "tracepoints" };
	int r = o.dir ? export_writer_create(&o, &t->writer, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	r = r ? r : export_writer_modules(t->writer, (uint32_t)tp->host->pid, tp->host->obj, reterr);
	r = r ? r : export_writer_ready(t->writer, reterr);
	if (r) {
		if (t)
			export_writer_close(t->writer);
		free(t ? t->dir : NULL);
		free(t);
		return r;
	}
	t->next = traces;
	traces = t;
	*ret = t;
	return 0;
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	fprintf(out, "{ %s }", *tp->at[at].stmts ? tp->at[at].stmts : "trace(0);");
}

static int make_class(struct tracer_point *tp, enum tracer_at at, struct err *reterr)
{
	static const char *const ends[] = { "_entry", "_exit", "" };
	struct ctf *c = tp->state;
	const struct tracer_part *p = &tp->at[at];
	struct export_field *f = calloc(p->field_cnt + 1ul, sizeof(*f));
	char name[1024];
	if (!f)
		return err_setf(reterr, -ENOMEM, "out of memory");
	snprintf(name, sizeof(name), "%s%s", tp->name, tp->both ? ends[at] : "");
	f[0] = (struct export_field){ "address", EXPORT_HEX };
	for (uint32_t i = 0; i < p->field_cnt; i++) {
		f[i + 1] = (struct export_field){ p->fields[i].name, p->fields[i].type };
		if (!strcmp(p->fields[i].name, f[0].name))
			f[0].name = "probe_address";
	}
	struct export_class class = { "", "", "", name, f, p->field_cnt + 1 };
	int r = export_writer_class(c->trace->writer, &class, &c->class_id[at], reterr);
	free(f);
	return r;
}

static int begin(struct tracer_point *tp, struct err *reterr)
{
	struct ctf *c = tp->state;
	struct trace *t = NULL;
	uint32_t most = 0;
	int r = open_trace(tp, &t, reterr);
	if (r)
		return r;
	c->trace = t;
	t->users++;
	for (uint32_t a = 0; a < TRACER_AT_CNT && !r; a++) {
		most = tp->at[a].field_cnt > most ? tp->at[a].field_cnt : most;
		if (tp->at[a].used)
			r = make_class(tp, (enum tracer_at)a, reterr);
	}
	c->vals = calloc(most + 1ul, sizeof(*c->vals));
	return r || c->vals ? r : err_setf(reterr, -ENOMEM, "out of memory");
}

static void fill(const struct tracer_point *tp, const struct tracer_event *e, uint32_t i, struct export_value *ret)
{
	enum export_type type = tp->at[e->at].fields[i].type;
	const struct plan_val *v = &e->clause->acts[i].vals[0];
	*ret = (struct export_value){ 0 };
	if (type == EXPORT_STR) {
		ret->data = consume_event_bytes(tp->host->consume, e->ev, v, &ret->bytes);
		return;
	}
	int64_t n = consume_event_int(e->ev, v);
	float low;
	memcpy(&low, &n, sizeof(low));
	if (type == EXPORT_F32)
		ret->d = (double)low;
	else
		ret->i = n;
}

/* An argument that could not be read: the others of it are not there either. */
static void fill_none(const struct tracer_point *tp, const struct tracer_event *e, uint32_t i, struct export_value *ret)
{
	static const uint8_t none[] = "(unreadable)";
	*ret = (struct export_value){ 0 };
	if (tp->at[e->at].fields[i].type == EXPORT_STR)
		*ret = (struct export_value){ .data = none, .bytes = sizeof(none) - 1 };
}

static int on_event(struct tracer_point *tp, const struct tracer_event *e, struct err *reterr)
{
	struct ctf *c = tp->state;
	c->hits[e->at]++;
	c->vals[0] = (struct export_value){ .i = (int64_t)e->addr };
	for (uint32_t i = 0; i < tp->at[e->at].field_cnt; i++)
		(e->ev->fault ? fill_none : fill)(tp, e, i, &c->vals[i + 1]);
	struct export_event out = { .ns = e->ev->ns, .class_id = c->class_id[e->at], .cpu = e->ev->cpu, .pid = e->ev->pid, .tid = e->ev->tid,
				    .comm = e->ev->execname, .vals = c->vals };
	uint64_t kept = export_writer_events(c->trace->writer);
	if (export_writer_event(c->trace->writer, &out, reterr)) /* a disk that is full may not be so for long */
		c->lost += 1 + kept - export_writer_events(c->trace->writer);
	return 0;
}

static void drained(struct tracer_point *tp)
{
	struct ctf *c = tp->state;
	struct err e;
	if (!c->trace)
		return;
	uint64_t kept = export_writer_events(c->trace->writer);
	if (export_writer_flush(c->trace->writer, &e))
		c->lost += kept - export_writer_events(c->trace->writer);
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	const struct ctf *c = tp->state;
	if (!c->trace)
		return;
	tracer_show_hits(tp, c->hits, out, json);
	if (json) {
		fputs(",\"trace\":", out);
		export_print_text(out, c->trace->dir, strlen(c->trace->dir), true);
		fprintf(out, ",\"events_lost\":%llu", (unsigned long long)c->lost);
		return;
	}
	fprintf(out, "trace %s\n", c->trace->dir);
	if (c->lost)
		fprintf(out, "%llu events lost: they could not be written\n", (unsigned long long)c->lost);
}

static void close_trace(struct trace *t)
{
	struct trace **at = &traces;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	export_writer_frames(t->writer, NULL);
	export_writer_close(t->writer);
	free(t->dir);
	free(t);
}

static void end(struct tracer_point *tp)
{
	struct ctf *c = tp->state;
	if (c->trace && !--c->trace->users)
		close_trace(c->trace);
	free(c->vals);
	free(c->dir);
}

const struct tracer tracer_ctf = {
	.name = "ctf", .args = "[DIR]",
	.help = "events in a CTF trace, for dyntrace dump and babeltrace2; without DIR in ~/dyntrace-traces",
	.state_bytes = sizeof(struct ctf), .parse = parse, .text = text, .begin = begin, .on_event = on_event, .drained = drained, .show = show, .end = end,
};
