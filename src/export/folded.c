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
	if (is_second(p, c))
		return 0;
	char *text = fold(p, c, e);
	struct host_str *l = text ? host_strmap_get(p->state, text) : NULL;
	free(text);
	if (!l)
		return -ENOMEM;
	l->val++;
	return 0;
}

static int cmp_line(const void *a, const void *b)
{
	const struct host_str *x = a, *y = b;
	if (!x->key || !y->key)
		return !x->key - !y->key;
	return strcmp(x->key, y->key);
}

static int folded_end(struct export_printer *p)
{
	struct host_strmap *m = p->state;
	if (m->cap)
		qsort(m->v, m->cap, sizeof(*m->v), cmp_line);
	for (uint32_t i = 0; i < m->cnt; i++)
		fprintf(p->out, "%s %llu\n", m->v[i].key, (unsigned long long)m->v[i].val);
	host_strmap_deinit(m);
	free(m);
	return 0;
}

static int folded_begin(struct export_printer *p)
{
	p->state = calloc(1, sizeof(struct host_strmap));
	return p->state ? 0 : -ENOMEM;
}

const struct printer_ops printer_folded = { .begin = folded_begin, .event = folded_event, .end = folded_end };
