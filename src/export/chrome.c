/* SPDX-License-Identifier: MIT */
/*
 * The trace-event format of Chrome (Perfetto, speedscope): an entry and the
 * return that belongs to it are one span ("X"), everything else is a point
 * ("i").  Entries wait on their thread's stack for their return; one that is
 * there in vain (a longjmp, the end of the trace) is a point, too, and so is at
 * once what has no counterpart in the trace.
 *
 * What is printed is in the order of time, and a span is where it begins: so what
 * comes later waits for its end.
 *
 *   lines   [call, open] [point] [span] [call, open] [point]  <- the next one
 *            ^ printed from here on, once it has returned
 *
 * Where too many would wait for a call, that one is printed as its beginning ("B"),
 * and, when it returns, as its end ("E").
 */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX (1u << 17) /* that wait */

struct line {
	struct line *next;
	char *text;      /* owned; NULL: of a call that has not returned */
	uint32_t thread; /* whose call it is */
};
struct open_call {
	uint64_t ns;
	uint32_t class_id, cpu;
	char *args;        /* JSON, owned; NULL: its beginning is printed, as are those of the calls before */
	struct line *line; /* likewise */
};
struct thread {
	uint32_t pid, tid;
	struct open_call *calls;
	uint32_t cnt, cap;
	uint32_t begun;    /* so many of them are printed as their beginnings */
};
struct class_info {
	char *func;      /* demangled; NULL: not asked for yet */
	uint32_t looked; /* so many classes are not its counterpart */
	bool is_paired;
};
struct chrome {
	struct thread *v;
	uint32_t cnt;
	struct line *lines, **lines_end;
	uint32_t line_cnt;
	bool any, is_live; /* live: classes may come */
	struct class_info *classes; /* by id */
	uint32_t class_cnt;
};

/* NULL: no memory. */
static struct class_info *info_of(struct chrome *s, uint32_t id)
{
	if (id >= s->class_cnt) {
		struct class_info *v = realloc(s->classes, (id + 1ul) * sizeof(*v));
		if (!v)
			return NULL;
		s->classes = v;
		for (; s->class_cnt <= id; s->class_cnt++)
			v[s->class_cnt] = (struct class_info){ 0 };
	}
	return &s->classes[id];
}

/* As the source has it. */
static const char *func_name(struct chrome *s, const struct export_class *c, uint32_t id)
{
	struct class_info *info = info_of(s, id);
	if (info && !info->func)
		info->func = obj_demangle(c->func);
	return info && info->func ? info->func : c->func;
}

static bool is_call(const struct export_class *c) { return !strcmp(c->name, "entry") && !strcmp(c->prov, "pid"); }

static bool same_func(const struct export_class *a, const struct export_class *b)
{
	return !strcmp(a->func, b->func) && !strcmp(a->mod, b->mod);
}

/* Whether the trace has calls of a function and returns from it, or may yet: it is of one of them. */
static bool is_paired(struct export_printer *p, const struct export_class *c, uint32_t id)
{
	struct class_info *info = info_of(p->state, id);
	const struct export_class *o;
	if (!info)
		return true;
	for (; !info->is_paired && (o = export_trace_class(p->trace, info->looked)); info->looked++)
		info->is_paired = (is_call(c) ? form_is_return(o) : is_call(o)) && same_func(c, o);
	return info->is_paired || ((struct chrome *)p->state)->is_live;
}

/* ---- a line ---- */

struct text {
	FILE *fp;
	char *s;
	size_t bytes;
};

static bool text_begin(struct text *x, const char *ph, const char *name, const struct thread *t)
{
	*x = (struct text){ .fp = NULL };
	x->fp = open_memstream(&x->s, &x->bytes);
	if (!x->fp)
		return false;
	fprintf(x->fp, "{\"ph\":\"%s\",\"name\":", ph);
	export_print_text(x->fp, name, strlen(name), true);
	fprintf(x->fp, ",\"pid\":%u,\"tid\":%u", t->pid, t->tid);
	return true;
}

static char *text_end(struct text *x)
{
	putc('}', x->fp);
	if (!fclose(x->fp))
		return x->s;
	free(x->s);
	return NULL;
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

static char *point_text(struct export_printer *p, const struct thread *t, uint32_t class_id, uint64_t ns, const char *args)
{
	const struct export_class *c = export_trace_class(p->trace, class_id);
	char name[2048];
	struct text x;
	snprintf(name, sizeof(name), "%s:%s", func_name(p->state, c, class_id), c->name);
	if (!text_begin(&x, "i", name, t))
		return NULL;
	put_cat(x.fp, c);
	put_us(x.fp, "ts", ns);
	fprintf(x.fp, ",\"s\":\"t\",\"args\":%s", args);
	return text_end(&x);
}

static char *span_text(struct export_printer *p, const struct thread *t, const struct open_call *o, uint64_t end, const char *ret)
{
	const struct export_class *c = export_trace_class(p->trace, o->class_id);
	struct text x;
	if (!text_begin(&x, "X", func_name(p->state, c, o->class_id), t))
		return NULL;
	put_cat(x.fp, c);
	put_us(x.fp, "ts", o->ns);
	put_us(x.fp, "dur", end > o->ns ? end - o->ns : 0);
	fprintf(x.fp, ",\"args\":{\"cpu\":%u,\"entry\":%s,\"return\":%s}", o->cpu, o->args, ret);
	return text_end(&x);
}

/* @ph: "B" or "E" */
static char *bound_text(struct export_printer *p, const struct thread *t, const struct open_call *o, const char *ph, uint64_t ns,
			const char *key, const char *args)
{
	const struct export_class *c = export_trace_class(p->trace, o->class_id);
	struct text x;
	if (!text_begin(&x, ph, func_name(p->state, c, o->class_id), t))
		return NULL;
	put_cat(x.fp, c);
	put_us(x.fp, "ts", ns);
	fprintf(x.fp, ",\"args\":{\"cpu\":%u,\"%s\":%s}", o->cpu, key, args);
	return text_end(&x);
}

static char *name_text(const struct thread *t, const char *comm)
{
	struct text x;
	if (!text_begin(&x, "M", "process_name", t))
		return NULL;
	fputs(",\"args\":{\"name\":", x.fp);
	export_print_text(x.fp, comm, strlen(comm), true);
	putc('}', x.fp);
	return text_end(&x);
}

/* ---- lines in their order ---- */

static struct line *line_new(struct chrome *s)
{
	struct line *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	*s->lines_end = l;
	s->lines_end = &l->next;
	s->line_cnt++;
	return l;
}

/* @text: NULL where there was no memory for it. */
static int line_set(struct line *l, char *text)
{
	l->text = text;
	return text ? 0 : -ENOMEM;
}

static int line_add(struct chrome *s, char *text)
{
	struct line *l = text ? line_new(s) : NULL;
	if (l)
		return line_set(l, text);
	free(text);
	return -ENOMEM;
}

static void print_ready(struct export_printer *p)
{
	struct chrome *s = p->state;
	for (struct line *l; (l = s->lines) && l->text; free(l)) {
		fputs(s->any ? ",\n" : "\n", p->out);
		fputs(l->text, p->out);
		s->any = true;
		s->lines = l->next;
		s->line_cnt--;
		free(l->text);
	}
	if (!s->lines)
		s->lines_end = &s->lines;
}

/* The call that the first line waits for: of its thread the first that is not printed, as lines are in the order of calls. */
static int begin_first(struct export_printer *p)
{
	struct chrome *s = p->state;
	struct thread *t = &s->v[s->lines->thread];
	struct open_call *o = &t->calls[t->begun];
	int rc = line_set(o->line, bound_text(p, t, o, "B", o->ns, "entry", o->args));
	if (rc)
		return rc;
	free(o->args);
	o->args = NULL;
	o->line = NULL;
	t->begun++;
	return 0;
}

static int print_lines(struct export_printer *p)
{
	struct chrome *s = p->state;
	int rc = 0;
	print_ready(p);
	while (!rc && s->line_cnt > LINES_MAX) {
		rc = begin_first(p);
		print_ready(p);
	}
	return rc;
}

/* ---- events ---- */

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
	return line_add(s, name_text(&v[s->cnt], e->comm)) ? NULL : &v[s->cnt++];
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

static int push(struct chrome *s, struct thread *t, const struct export_event *e, char *args)
{
	if (t->cnt == t->cap) {
		struct open_call *more = realloc(t->calls, (t->cap * 2ul + 16) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->calls = more;
		t->cap = t->cap * 2 + 16;
	}
	struct line *l = line_new(s);
	if (!l)
		return -ENOMEM;
	l->thread = (uint32_t)(t - s->v);
	t->calls[t->cnt++] = (struct open_call){ e->ns, e->class_id, e->cpu, args, l };
	return 0;
}

/* The innermost call; its args are the caller's to free. */
static struct open_call *pop(struct thread *t)
{
	t->cnt--;
	t->begun = t->begun < t->cnt ? t->begun : t->cnt;
	return &t->calls[t->cnt];
}

/* What is left by a longjmp has no end; where its beginning is printed, it ends with its caller. */
static int give_up(struct export_printer *p, struct thread *t, uint64_t ns)
{
	struct open_call *o = pop(t);
	int rc = o->line ? line_set(o->line, point_text(p, t, o->class_id, o->ns, o->args)) :
		line_add(p->state, bound_text(p, t, o, "E", ns, "return", "null"));
	free(o->args);
	return rc;
}

static int returned(struct export_printer *p, struct thread *t, uint64_t ns, const char *args)
{
	struct open_call *o = pop(t);
	int rc = o->line ? line_set(o->line, span_text(p, t, o, ns, args)) :
		line_add(p->state, bound_text(p, t, o, "E", ns, "return", args));
	free(o->args);
	return rc;
}

/* Where on the stack the call is that returns; cnt: nowhere. */
static uint32_t find_call(struct export_printer *p, const struct thread *t, const struct export_class *c)
{
	for (uint32_t i = t->cnt; i-- > 0;)
		if (same_func(export_trace_class(p->trace, t->calls[i].class_id), c))
			return i;
	return t->cnt;
}

static int add_event(struct export_printer *p, const struct export_class *c, const struct export_event *e, struct thread *t, const char *args)
{
	uint32_t at = form_is_return(c) && is_paired(p, c, e->class_id) ? find_call(p, t, c) : t->cnt;
	int rc = 0;
	if (at == t->cnt)
		return line_add(p->state, point_text(p, t, e->class_id, e->ns, args));
	while (!rc && t->cnt > at + 1)
		rc = give_up(p, t, e->ns);
	return rc ? rc : returned(p, t, e->ns, args);
}

static int chrome_event(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	struct thread *t = thread_of(p, e);
	char *args = t ? args_text(c, e) : NULL;
	if (!args)
		return -ENOMEM;
	bool waits = is_call(c) && is_paired(p, c, e->class_id);
	int rc = waits ? push(p->state, t, e, args) : add_event(p, c, e, t, args);
	if (!waits || rc)
		free(args);
	return rc ? rc : print_lines(p);
}

static int chrome_begin(struct export_printer *p)
{
	struct chrome *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->lines_end = &s->lines;
	s->is_live = export_trace_is_live(p->trace);
	p->state = s;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", p->out);
	return 0;
}

/* Calls that are printed as begun never ended. */
static int abandon(struct export_printer *p, struct thread *t)
{
	int rc = 0;
	for (; t->cnt; t->cnt--) {
		struct open_call *o = &t->calls[t->cnt - 1];
		if (o->line)
			rc = rc ? rc : line_set(o->line, point_text(p, t, o->class_id, o->ns, o->args));
		free(o->args);
	}
	free(t->calls);
	return rc;
}

static void lines_free(struct chrome *s)
{
	for (struct line *l = s->lines, *next; l; l = next) {
		next = l->next;
		free(l->text);
		free(l);
	}
}

static int chrome_end(struct export_printer *p)
{
	struct chrome *s = p->state;
	int rc = 0;
	for (uint32_t i = 0; i < s->cnt; i++) {
		int r = abandon(p, &s->v[i]);
		rc = rc ? rc : r;
	}
	print_ready(p);
	lines_free(s);
	fputs("\n]}\n", p->out);
	for (uint32_t i = 0; i < s->class_cnt; i++)
		free(s->classes[i].func);
	free(s->classes);
	free(s->v);
	free(s);
	return rc;
}

const struct printer_ops printer_chrome = { .begin = chrome_begin, .event = chrome_event, .end = chrome_end };
