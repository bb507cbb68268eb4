/* SPDX-License-Identifier: MIT */
/* JSON lines: an object an event. */
#include "export/export_int.h"

#include <stdlib.h>
#include <string.h>

static void put_str(FILE *fp, const char *key, const char *s)
{
	fprintf(fp, ",\"%s\":", key);
	export_print_text(fp, s, strlen(s), true);
}

static void put_stack(struct export_printer *p, const struct export_frame *f, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		fprintf(p->out, "%s{\"addr\":\"0x%llx\"", i ? "," : ",\"stack\":[", (unsigned long long)f[i].addr);
		if (f[i].module)
			put_str(p->out, "module", f[i].module);
		if (f[i].func)
			put_str(p->out, "function", f[i].func);
		if (!f[i].inlined && f[i].module)
			fprintf(p->out, ",\"offset\":%llu", (unsigned long long)f[i].off);
		if (f[i].file) {
			put_str(p->out, "file", f[i].file);
			fprintf(p->out, ",\"line\":%u", f[i].line);
		}
		fprintf(p->out, "%s}", f[i].inlined ? ",\"inlined\":true" : "");
	}
	if (cnt)
		putc(']', p->out);
}

static int json_event(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	char time[FORM_TIME_MAX];
	uint32_t cnt;
	form_time_iso(p->trace, e->ns, time);
	fprintf(p->out, "{\"time\":\"%s\",\"monotonic_ns\":%llu,\"pid\":%u,\"tid\":%u,\"cpu\":%u", time, (unsigned long long)e->ns,
		e->pid, e->tid, e->cpu);
	put_str(p->out, "procname", e->comm);
	put_str(p->out, "provider", c->prov);
	put_str(p->out, "module", c->mod);
	put_str(p->out, "function", c->func);
	put_str(p->out, "name", c->name);
	fputs(",\"args\":", p->out);
	form_json_args(p->out, c, e);
	struct export_frame *f = form_stack(p, c, e, &cnt);
	put_stack(p, f, cnt);
	free(f);
	fputs("}\n", p->out);
	return 0;
}

static int json_begin(struct export_printer *p)
{
	(void)p;
	return 0;
}

const struct printer_ops printer_json = { .begin = json_begin, .event = json_event };
