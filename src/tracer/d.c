/* SPDX-License-Identifier: MIT */
/* A clause of the user's. */
#include "tracer/tracer_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct d {
	char *clause, *path;
	struct tracer_out *out;
};

/* How long the probe is that stands in front of a clause, as scripts have it; 0: none. */
static int description(const char *text)
{
	size_t len = strcspn(text, " \t\n{/\"'(=;");
	const char *clause = text + len + strspn(text + len, " \t\n");
	return memchr(text, ':', len) && (*clause == '{' || *clause == '/') ? (int)len : 0;
}

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct d *d = tp->state;
	if (argc == 3 && !strcmp(argv[0], "-o")) {
		d->path = strdup(argv[1]);
		argv += 2;
		argc = d->path ? 1 : 0;
	}
	if (argc != 1)
		return err_setf(reterr, -EINVAL, "d wants one argument, a clause such as '{ trace(arg0); }'; -o FILE may stand before it");
	const char *text = argv[0] + strspn(argv[0], " \t\n");
	if (description(text))
		return err_setf(reterr, -EINVAL, "PLACE says where: d takes the clause without its probe, from what follows '%.*s' on",
				description(text), text);
	bool whole = *text == '{' || *text == '/';
	if (asprintf(&d->clause, whole ? "%s" : "{ %s }", text) < 0)
		d->clause = NULL;
	return d->clause ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	const struct d *d = tp->state;
	(void)at;
	fputs(d->clause, out);
}

static int begin(struct tracer_point *tp, struct err *reterr)
{
	struct d *d = tp->state;
	return tracer_out_open(tp->host, d->path, &d->out, reterr);
}

static int on_event(struct tracer_point *tp, const struct tracer_event *e, struct err *reterr)
{
	struct d *d = tp->state;
	(void)e;
	FILE *fp = tracer_out_stream(d->out);
	if (!fp)
		return err_setf(reterr, -ENOMEM, "out of memory");
	tp->host->direct(tp->host, fp);
	return CONSUME_PERFORM;
}

/* Aggregations of the clause's programs. */
static uint32_t find_aggs(const struct tracer_point *tp, uint32_t *ret, uint32_t cap)
{
	uint32_t n = 0;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++) {
		const struct tracer_part *p = &tp->at[a];
		const struct ir_prog *prog = p->used && p->clause != WIRE_NONE ? &tp->host->image->progs[p->clause] : NULL;
		for (uint32_t i = 0; prog && i < prog->insn_cnt; i++) {
			uint32_t k = 0, id = (uint32_t)prog->insns[i].imm;
			while (k < n && ret[k] != id)
				k++;
			if (prog->insns[i].op == IR_OP_AGG && k == n && n < cap)
				ret[n++] = id;
		}
	}
	return n;
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	const struct d *d = tp->state;
	uint64_t lost = d->out ? tracer_out_lost(d->out) : 0;
	uint32_t aggs[64], cnt = find_aggs(tp, aggs, ARRAY_CNT(aggs));
	char *text = NULL;
	size_t bytes = 0;
	FILE *fp = json ? open_memstream(&text, &bytes) : out;
	if (fp && cnt)
		consume_show_aggs(tp->host->consume, fp, aggs, cnt, NULL);
	if (!json && lost)
		fprintf(out, "%llu lines lost\n", (unsigned long long)lost);
	if (!json || !fp)
		return;
	fclose(fp);
	fprintf(out, ",\"lines_lost\":%llu,\"text\":", (unsigned long long)lost);
	export_print_text(out, text, bytes, true);
	free(text);
}

static void end(struct tracer_point *tp)
{
	struct d *d = tp->state;
	tracer_out_close(d->out);
	free(d->clause);
	free(d->path);
}

const struct tracer tracer_d = {
	.name = "d", .args = "[-o FILE] CLAUSE",
	.help = "run a clause of D; it prints to FILE, or the program's standard output",
	.state_bytes = sizeof(struct d), .of_probe = true, .parse = parse, .text = text, .begin = begin, .on_event = on_event,
	.show = show, .end = end,
};
