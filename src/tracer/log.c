/* SPDX-License-Identifier: MIT */
/* A line for each hit. */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct log {
	char *path;
	struct tracer_out *out;
	char *line; /* under construction */
	size_t bytes;
	FILE *fp;   /* onto it */
	uint64_t hits[TRACER_AT_CNT];
};

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct log *l = tp->state;
	if (argc > 1)
		return err_setf(reterr, -EINVAL, "log takes one file, but there is '%s' too", argv[1]);
	if (argc && *argv[0] == '-')
		return err_setf(reterr, -EINVAL, "log has no option %s; a file of that name is ./%s", argv[0], argv[0]);
	l->path = argc ? strdup(argv[0]) : NULL;
	return argc && !l->path ? err_setf(reterr, -ENOMEM, "out of memory") : 0;
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	fprintf(out, "{ %s }", *tp->at[at].stmts ? tp->at[at].stmts : "trace(0);");
}

static int begin(struct tracer_point *tp, struct err *reterr)
{
	struct log *l = tp->state;
	l->fp = open_memstream(&l->line, &l->bytes);
	if (!l->fp)
		return err_setf(reterr, -ENOMEM, "out of memory");
	return tracer_out_open(tp->host, l->path, &l->out, reterr);
}

static void put_time(FILE *fp, uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000u);
	struct tm tm;
	char text[16];
	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fprintf(fp, "%s.%09u", text, (unsigned)(ns % 1000000000u));
}

static void put_values(const struct tracer_point *tp, const struct tracer_event *e, FILE *fp)
{
	const struct tracer_part *p = &tp->at[e->at];
	if (e->ev->fault) {
		fprintf(fp, "(%s at 0x%llx)", consume_fault_text(e->ev->fault), (unsigned long long)e->ev->fault_value);
		return;
	}
	for (uint32_t i = 0; i < p->field_cnt; i++) {
		if (!strcmp(p->fields[i].name, TRACER_TAIL_CALL)) {
			if (!consume_event_int(e->ev, &e->clause->acts[i].vals[0]))
				continue;
			fputs(" by a tail call", fp);
			return;
		}
		if (e->at == TRACER_RETURN)
			fputs(" = ", fp);
		else
			fprintf(fp, "%s%s=", i ? ", " : "", p->fields[i].name);
		tracer_print_value(tp, e, i, fp);
	}
}

static int on_event(struct tracer_point *tp, const struct tracer_event *e, struct err *reterr)
{
	struct log *l = tp->state;
	const struct consume_event *ev = e->ev;
	struct consume_probe of;
	(void)reterr;
	l->hits[e->at]++;
	consume_event_probe(tp->host->consume, ev, &of);
	rewind(l->fp);
	put_time(l->fp, ev->ns + (uint64_t)tp->host->real_offset_ns);
	bool declared = e->at == TRACER_POINT && strncmp(of.prov, "pid", 3), listed = declared || e->at == TRACER_ENTRY;
	fprintf(l->fp, " %u %s %s", ev->tid, tp->name, of.func);
	if (declared)
		fprintf(l->fp, " %.*s:%s", (int)strcspn(of.prov, "0123456789"), of.prov, of.name);
	else if (e->at == TRACER_POINT)
		fprintf(l->fp, "+0x%s", of.name);
	fputs(listed ? "(" : e->at == TRACER_RETURN ? " returns" : "", l->fp);
	put_values(tp, e, l->fp);
	fputs(listed ? ")\n" : "\n", l->fp);
	long end = ftell(l->fp);
	if (!fflush(l->fp) && end > 0)
		tracer_out_put(l->out, l->line, (size_t)end);
	return 0;
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	const struct log *l = tp->state;
	uint64_t lost = l->out ? tracer_out_lost(l->out) : 0;
	tracer_show_hits(tp, l->hits, out, json);
	if (json)
		fprintf(out, ",\"lines_lost\":%llu", (unsigned long long)lost);
	else if (lost)
		fprintf(out, "%llu lines lost: they could not be written to %s\n", (unsigned long long)lost,
			l->path ? l->path : "the program's standard output");
}

static void end(struct tracer_point *tp)
{
	struct log *l = tp->state;
	tracer_out_close(l->out);
	if (l->fp)
		fclose(l->fp);
	free(l->line);
	free(l->path);
}

const struct tracer tracer_log = {
	.name = "log", .args = "[FILE]",
	.help = "a line for each hit: time, thread, name, arguments or return value; to FILE, or the program's standard output",
	.state_bytes = sizeof(struct log), .parse = parse, .text = text, .begin = begin, .on_event = on_event, .show = show, .end = end,
};
