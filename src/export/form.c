/* SPDX-License-Identifier: MIT */
/* What the forms have in common. */
#include "export/export_int.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct export_printer *export_printer_create(enum export_form form, struct export_trace *t, FILE *out)
{
	/* ORDER enum export_form */
	static const struct printer_ops *const ops[] = { &printer_text, &printer_json, &printer_folded, &printer_chrome };
	struct export_printer *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct export_printer){ .ops = ops[form], .trace = t, .out = out };
	if (!p->ops->begin || !p->ops->begin(p))
		return p;
	free(p);
	return NULL;
}

int export_printer_event(struct export_printer *p, const struct export_event *e)
{
	const struct export_class *c = export_trace_class(p->trace, e->class_id);
	return c ? p->ops->event(p, c, e) : -EINVAL;
}

int export_printer_finish(struct export_printer *p)
{
	int rc = p->ops->end ? p->ops->end(p) : 0;
	free(p);
	return rc;
}

static const struct export_value *stack_of(const struct export_class *c, const struct export_event *e)
{
	for (uint32_t i = 0; i < c->field_cnt; i++)
		if (c->fields[i].type == EXPORT_STACK)
			return &e->vals[i];
	return NULL;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; at && len; at = (at = strchr(at, '\t')) ? at + 1 : NULL)
		if (!strncmp(at, word, len) && (!at[len] || at[len] == '\t'))
			return true;
	return false;
}

/* Where a function has several names, an event's is the one that was asked for: open64, not open. */
static void name_as_asked(struct export_frame *f, const struct export_class *c)
{
	if (f->others && strncmp(c->func, "_Z", 2) && has_word(f->others, c->func))
		f->func = c->func;
}

struct export_frame *form_stack(struct export_printer *p, const struct export_class *c, const struct export_event *e,
				uint32_t *ret_cnt)
{
	const struct export_value *v = stack_of(c, e);
	struct export_frame *f = NULL;
	*ret_cnt = 0;
	for (uint32_t i = 0; v && i < v->bytes / 8; i++) {
		uint64_t addr;
		memcpy(&addr, v->data + 8ul * i, 8);
		struct export_frame *more = realloc(f, (*ret_cnt + (size_t)EXPORT_FRAMES_MAX) * sizeof(*more));
		if (!more)
			break;
		f = more;
		*ret_cnt += export_trace_frames(p->trace, e->pid, e->ns, addr, i > 0, f + *ret_cnt);
		if (!i)
			name_as_asked(&f[*ret_cnt - 1], c);
	}
	return f;
}

void form_json_value(FILE *fp, const struct export_field *f, const struct export_value *v)
{
	if (f->type == EXPORT_STR)
		export_print_text(fp, (const char *)v->data, v->bytes, true);
	else if (f->type == EXPORT_HEX)
		fprintf(fp, "\"0x%llx\"", (unsigned long long)v->i);
	else if (f->type == EXPORT_F32 || f->type == EXPORT_F64)
		fprintf(fp, isfinite(v->d) ? "%.17g" : "null", v->d);
	else if (f->type <= EXPORT_I64)
		fprintf(fp, "%lld", (long long)v->i);
	else
		fprintf(fp, "%llu", (unsigned long long)v->i);
}

void form_json_args(FILE *fp, const struct export_class *c, const struct export_event *e)
{
	const char *sep = "";
	putc('{', fp);
	for (uint32_t i = 0; i < c->field_cnt; i++) {
		if (c->fields[i].type == EXPORT_STACK)
			continue;
		fputs(sep, fp);
		export_print_text(fp, c->fields[i].name, strlen(c->fields[i].name), true);
		putc(':', fp);
		form_json_value(fp, &c->fields[i], &e->vals[i]);
		sep = ",";
	}
	putc('}', fp);
}

int64_t form_real_ns(const struct export_trace *t, uint64_t ns)
{
	return (int64_t)(ns + (uint64_t)export_trace_real_offset_ns(t));
}

void form_time_iso(const struct export_trace *t, uint64_t ns, char buf[FORM_TIME_MAX])
{
	int64_t real = form_real_ns(t, ns);
	time_t s = (time_t)(real / 1000000000);
	struct tm tm;
	size_t n = gmtime_r(&s, &tm) ? strftime(buf, FORM_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
	snprintf(buf + n, FORM_TIME_MAX - n, ".%09dZ", (int)(real % 1000000000));
}

bool form_is_return(const struct export_class *c) { return !strcmp(c->name, "return"); }
