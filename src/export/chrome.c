/* SPDX-License-Identifier: MIT */
/*
 * The trace-event format of Chrome (Perfetto, speedscope): an entry and the
 * return that belongs to it are one span ("X"), everything else is a point
 * ("i").  Entries wait on their thread's stack for their return; one that is
 * there in vain (a longjmp, the end of the trace) is a point, too.
 */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct open_call {
	uint64_t ns;
	uint32_t class_id, cpu;
	char *args; /* JSON, owned */
};
struct thread {
	uint32_t pid, tid;
	struct open_call *calls;
	uint32_t cnt, cap;
};
struct chrome {
	struct thread *v;
	uint32_t cnt;
	bool any;
	char **names; /* of the functions of classes, demangled; NULL: not asked for yet */
	uint32_t name_cnt;
};

/* As the source has it. */
static const char *func_name(struct chrome *s, const struct export_class *c, uint32_t id)
{
	if (id >= s->name_cnt) {
		char **v = realloc(s->names, (id + 1ul) * sizeof(*v));
		if (!v)
			return c->func;
		s->names = v;
		for (; s->name_cnt <= id; s->name_cnt++)
			v[s->name_cnt] = NULL;
	}
	if (!s->names[id])
		s->names[id] = obj_demangle(c->func);
	return s->names[id] ? s->names[id] : c->func;
}

static void put_head(struct export_printer *p, const char *ph, const char *name, uint32_t pid, uint32_t tid)
{
	struct chrome *s = p->state;
	fputs(s->any ? ",\n" : "\n", p->out);
	s->any = true;
	fprintf(p->out, "{\"ph\":\"%s\",\"name\":", ph);
	export_print_text(p->out, name, strlen(name), true);
	fprintf(p->out, ",\"pid\":%u,\"tid\":%u", pid, tid);
}

/* Microseconds, with what is below them. */
static void put_us(FILE *fp, const char *key, uint64_t ns)
{
	fprintf(fp, ",\"%s\":%llu.%03u", key, (unsigned long long)(ns / 1000), (uint32_t)(ns % 1000));
}

static void put_cat(FILE *fp, const struct export_class *c)
{
	char cat[1024];
	snprintf(cat, sizeof(cat), "%s:%s", c->prov, c->mod);
	fputs(",\"cat\":", fp);
	export_print_text(fp, cat, strlen(cat), true);
}

static void put_point(struct export_printer *p, const struct thread *t, uint32_t class_id, uint64_t ns, const char *args)
{
	const struct export_class *c = export_trace_class(p->trace, class_id);
	char name[2048];
	snprintf(name, sizeof(name), "%s:%s", func_name(p->state, c, class_id), c->name);
	put_head(p, "i", name, t->pid, t->tid);
	put_cat(p->out, c);
	put_us(p->out, "ts", ns);
	fprintf(p->out, ",\"s\":\"t\",\"args\":%s}", args);
}

static void put_span(struct export_printer *p, const struct export_class *c, const struct thread *t,
		     const struct open_call *o, uint64_t end, const char *ret)
{
	put_head(p, "X", func_name(p->state, c, o->class_id), t->pid, t->tid);
	put_cat(p->out, c);
	put_us(p->out, "ts", o->ns);
	put_us(p->out, "dur", end > o->ns ? end - o->ns : 0);
	fprintf(p->out, ",\"args\":{\"cpu\":%u,\"entry\":%s,\"return\":%s}}", o->cpu, o->args, ret);
}

static struct thread *thread_of(struct export_printer *p, const struct export_event *e)
{
	struct chrome *s = p->state;
	for (uint32_t i = s->cnt; i-- > 0;)
		if (s->v[i].pid == e->pid && s->v[i].tid == e->tid)
			return &s->v[i];
	struct thread *v = realloc(s->v, (s->cnt + 1ul) * sizeof(*v));
	if (!v)
		return NULL;
	s->v = v;
	v[s->cnt] = (struct thread){ .pid = e->pid, .tid = e->tid };
	put_head(p, "M", "process_name", e->pid, e->tid);
	fputs(",\"args\":{\"name\":", p->out);
	export_print_text(p->out, e->comm, strlen(e->comm), true);
	fputs("}}", p->out);
	return &v[s->cnt++];
}

static char *args_text(const struct export_class *c, const struct export_event *e)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return NULL;
	form_json_args(fp, c, e);
	return fclose(fp) ? NULL : text;
}

static bool push(struct thread *t, const struct export_event *e, char *args)
{
	if (t->cnt == t->cap) {
		struct open_call *more = realloc(t->calls, (t->cap * 2ul + 16) * sizeof(*more));
		if (!more)
			return false;
		t->calls = more;
		t->cap = t->cap * 2 + 16;
	}
	t->calls[t->cnt++] = (struct open_call){ e->ns, e->class_id, e->cpu, args };
	return true;
}

static void give_up(struct export_printer *p, struct thread *t)
{
	struct open_call *o = &t->calls[--t->cnt];
	put_point(p, t, o->class_id, o->ns, o->args);
	free(o->args);
}

static bool same_func(const struct export_class *a, const struct export_class *b)
{
	return !strcmp(a->func, b->func) && !strcmp(a->mod, b->mod);
}

/* Where on the stack the call is that returns; cnt: nowhere. */
static uint32_t find_call(struct export_printer *p, const struct thread *t, const struct export_class *c)
{
	for (uint32_t i = t->cnt; i-- > 0;)
		if (same_func(export_trace_class(p->trace, t->calls[i].class_id), c))
			return i;
	return t->cnt;
}

static int chrome_event(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	struct thread *t = thread_of(p, e);
	char *args = t ? args_text(c, e) : NULL;
	if (!args)
		return -ENOMEM;
	if (!strcmp(c->name, "entry") && !strcmp(c->prov, "pid") && push(t, e, args))
		return 0;
	uint32_t at = form_is_return(c) ? find_call(p, t, c) : t->cnt;
	if (at < t->cnt) {
		while (t->cnt > at + 1)
			give_up(p, t);
		struct open_call *o = &t->calls[--t->cnt];
		put_span(p, c, t, o, e->ns, args);
		free(o->args);
	} else {
		put_point(p, t, e->class_id, e->ns, args);
	}
	free(args);
	return 0;
}

static int chrome_begin(struct export_printer *p)
{
	p->state = calloc(1, sizeof(struct chrome));
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", p->out);
	return p->state ? 0 : -ENOMEM;
}

static int chrome_end(struct export_printer *p)
{
	struct chrome *s = p->state;
	for (uint32_t i = 0; i < s->cnt; i++) {
		while (s->v[i].cnt)
			give_up(p, &s->v[i]);
		free(s->v[i].calls);
	}
	fputs("\n]}\n", p->out);
	for (uint32_t i = 0; i < s->name_cnt; i++)
		free(s->names[i]);
	free(s->names);
	free(s->v);
	free(s);
	return 0;
}

const struct printer_ops printer_chrome = { .begin = chrome_begin, .event = chrome_event, .end = chrome_end };
