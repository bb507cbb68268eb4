/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks, as flamegraph.pl and speedscope read them: the frames of a
 * stack from outside in with ; between them, a blank, how often it was seen.
 * The first is the process's name; those that were inlined end in _[i].
 */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct line {
	char *text; /* NULL: empty */
	uint64_t cnt;
};
struct folded {
	struct line *v; /* a hash */
	uint32_t cnt, cap;
};

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static struct line *slot(struct line *v, uint32_t cap, const char *text)
{
	uint32_t i = hash(text) & (cap - 1);
	while (v[i].text && strcmp(v[i].text, text))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static bool grow(struct folded *f)
{
	uint32_t cap = f->cap ? f->cap * 2 : 1024;
	struct line *v = calloc(cap, sizeof(*v));
	if (!v)
		return false;
	for (uint32_t i = 0; i < f->cap; i++)
		if (f->v[i].text)
			*slot(v, cap, f->v[i].text) = f->v[i];
	free(f->v);
	f->v = v;
	f->cap = cap;
	return true;
}

static void put_name(FILE *fp, const char *s)
{
	for (; *s; s++)
		putc(*s == ';' || *s == '\n' ? '_' : *s, fp);
}

static void put_frame(FILE *fp, const struct export_frame *f)
{
	putc(';', fp);
	const char *base = f->module ? strrchr(f->module, '/') : NULL;
	if (f->func)
		put_name(fp, f->func);
	else if (f->module)
		fprintf(fp, "%s+0x%llx", base ? base + 1 : f->module, (unsigned long long)f->off);
	else
		fputs("[unknown]", fp);
	if (f->inlined)
		fputs("_[i]", fp);
}

/* Without a stack: the function of the probe alone. */
static char *fold(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	char *text = NULL;
	size_t bytes;
	uint32_t cnt;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return NULL;
	struct export_frame *f = form_stack(p, c, e, &cnt);
	put_name(fp, *e->comm ? e->comm : "?");
	for (uint32_t i = cnt; i-- > 0;)
		put_frame(fp, &f[i]);
	if (!cnt) {
		char *plain = obj_demangle(c->func);
		put_frame(fp, &(struct export_frame){ .func = plain ? plain : c->func });
		free(plain);
	}
	free(f);
	return fclose(fp) ? NULL : text;
}

/* A call whose entry is there, too, counts once. */
static bool is_second(const struct export_printer *p, const struct export_class *c)
{
	const struct export_class *o;
	for (uint32_t i = 0; form_is_return(c) && (o = export_trace_class(p->trace, i)); i++)
		if (!strcmp(o->name, "entry") && !strcmp(o->func, c->func) && !strcmp(o->mod, c->mod))
			return true;
	return false;
}

static int folded_event(struct export_printer *p, const struct export_class *c, const struct export_event *e)
{
	struct folded *f = p->state;
	if (is_second(p, c))
		return 0;
	char *text = fold(p, c, e);
	if (!text || (f->cnt * 2 >= f->cap && !grow(f))) {
		free(text);
		return -ENOMEM;
	}
	struct line *l = slot(f->v, f->cap, text);
	l->cnt++;
	f->cnt += !l->text;
	if (l->text)
		free(text);
	else
		l->text = text;
	return 0;
}

static int cmp_line(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	if (!x->text || !y->text)
		return !x->text - !y->text;
	return strcmp(x->text, y->text);
}

static int folded_end(struct export_printer *p)
{
	struct folded *f = p->state;
	if (f->cap)
		qsort(f->v, f->cap, sizeof(*f->v), cmp_line);
	for (uint32_t i = 0; i < f->cnt; i++) {
		fprintf(p->out, "%s %llu\n", f->v[i].text, (unsigned long long)f->v[i].cnt);
		free(f->v[i].text);
	}
	free(f->v);
	free(f);
	return 0;
}

static int folded_begin(struct export_printer *p)
{
	p->state = calloc(1, sizeof(struct folded));
	return p->state ? 0 : -ENOMEM;
}

const struct printer_ops printer_folded = { .begin = folded_begin, .event = folded_event, .end = folded_end };
