/* SPDX-License-Identifier: MIT */
/* For people: a line an event, its stack below it. */
#include "export/export_int.h"

#include <stdlib.h>
#include <time.h>

static void put_value(FILE *fp, const struct export_field *f, const struct export_value *v)
{
	fprintf(fp, " %s=", f->name);
	if (f->type == EXPORT_STR)
		export_print_text(fp, (const char *)v->data, v->bytes, false);
	else if (f->type == EXPORT_HEX)
		fprintf(fp, "0x%llx", (unsigned long long)v->i);
	else if (f->type == EXPORT_F32 || f->type == EXPORT_F64)
		fprintf(fp, "%g", v->d);
	else if (f->type <= EXPORT_I64)
		fprintf(fp, "%lld", (long long)v->i);
	else
		fprintf(fp, "%llu", (unsigned long long)v->i);
}

static void put_frame(FILE *fp, const struct export_frame *f)
{
	if (f->inlined)
		fprintf(fp, "\t%16s %s", "(inlined)", f->func ? f->func : "?");
	else
		fprintf(fp, "\t%16llx %s+0x%llx", (unsigned long long)f->addr, f->func ? f->func : f->module ? "" : "?",
			(unsigned long long)(f->func || f->module ? f->off : 0));
	fprintf(fp, " (%s)", f->module ? f->module : "unknown");
	if (f->file)
		fprintf(fp, " %s:%u", f->file, f->line);
	putc('\n', fp);
}

static void put_time(struct export_printer *p, uint64_t ns)
{
	int64_t real = form_real_ns(p->trace, ns);
	time_t s = (time_t)(real / 1000000000);
	struct tm tm;
	char buf[16] = "";
	if (localtime_r(&s, &tm))
		strftime(buf, sizeof(buf), "%H:%M:%S", &tm);
	fprintf(p->out, "%s.%09d", buf, (int)(real % 1000000000));
}

static int text_event(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	uint32_t cnt;
	put_time(p, e->ns);
	putc(' ', p->out);
	for (const char *s = e->comm; *s; s++) /* a program may call itself anything */
		putc((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s, p->out);
	fprintf(p->out, " %u/%u [%03u] ", e->pid, e->tid, e->cpu);
	if (*c->prov || *c->mod || *c->func)
		fprintf(p->out, "%s:%s:%s:", c->prov, c->mod, c->func);
	fputs(c->name, p->out);
	for (uint32_t i = 0; i < c->field_cnt; i++)
		if (c->fields[i].type != EXPORT_STACK)
			put_value(p->out, &c->fields[i], &e->vals[i]);
	putc('\n', p->out);
	struct export_frame *f = form_stack(p, c, e, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		put_frame(p->out, &f[i]);
	if (cnt)
		putc('\n', p->out);
	free(f);
	return 0;
}

static int text_begin(struct export_printer *p)
{
	(void)p;
	return 0;
}

const struct printer_ops printer_text = { .begin = text_begin, .event = text_event };
