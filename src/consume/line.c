/* SPDX-License-Identifier: MIT */
/* The heading, and what stands before and after a record's data. */
#include "consume/consume_int.h"

#include <string.h>

#define FLOW_STEP 2

enum flow { FLOW_NONE, FLOW_ENTRY, FLOW_RETURN };

static void heading(struct consume *c)
{
	if (c->heading_done)
		return;
	c->heading_done = true;
	if (c->opts.flowindent) {
		if (!c->opts.no_ids)
			fprintf(c->opts.out, "%3s ", "CPU");
		fprintf(c->opts.out, "%-41s\n", "FUNCTION");
	} else if (!c->opts.quiet) {
		if (!c->opts.no_ids)
			fprintf(c->opts.out, "%3s %6s ", "CPU", "ID");
		fprintf(c->opts.out, "%32s\n", "FUNCTION:NAME");
	}
}

/* @name is @what, or ends with "-" and @what. */
static bool named(const char *name, const char *what)
{
	size_t n = strlen(name), w = strlen(what);
	return n >= w && !strcmp(name + n - w, what) && (n == w || name[n - w - 1] == '-');
}

static enum flow flow_of(const struct consume *c, const struct wire_rec *rec, const char *name)
{
	if (named(name, "return"))
		return FLOW_RETURN;
	/* A second clause of the same probe does not enter once more. */
	if (named(name, "entry") && !(rec->site == c->last_site && rec->clause != c->last_clause))
		return FLOW_ENTRY;
	return FLOW_NONE;
}

static const char *flow_mark(enum flow flow, const char *name, const char *prov)
{
	bool sys = !strcmp(prov, "syscall");
	if (named(name, "return"))
		return flow == FLOW_RETURN ? sys ? " <= " : " <- " : "| ";
	return flow == FLOW_ENTRY ? sys ? " => " : " -> " : "| ";
}

static void flow_line(struct consume *c, const struct wire_rec *rec, const struct wire_site *site)
{
	const char *func = consume_site_str(c, site->func, NULL), *name = consume_site_str(c, site->name, NULL);
	enum flow flow = flow_of(c, rec, name);
	char text[1024];
	if (flow == FLOW_RETURN && c->indent)
		c->indent -= FLOW_STEP;
	snprintf(text, sizeof(text), "%*s%s%s%s%s", (int)c->indent, "",
		 flow_mark(flow, name, consume_site_str(c, site->prov, NULL)), func,
		 flow == FLOW_NONE ? ":" : "", flow == FLOW_NONE ? name : "");
	if (!c->opts.no_ids)
		fprintf(c->opts.out, "%3d ", rec->cpu);
	fprintf(c->opts.out, "%-41s ", text);
	if (flow == FLOW_ENTRY)
		c->indent += FLOW_STEP;
}

/* "%3d %6u %32s " */
static void probe_line(const struct consume *c, const struct wire_rec *rec, const struct wire_site *site)
{
	uint32_t func_len, name_len;
	const char *func = consume_site_str(c, site->func, &func_len), *name = consume_site_str(c, site->name, &name_len);
	struct text t;
	consume_text_begin(&t, c->opts.out);
	if (!c->opts.no_ids) {
		consume_text_unsigned(&t, rec->cpu, 'u', 3, false);
		consume_text_add(&t, " ", 1);
		consume_text_unsigned(&t, LOAD_RELAXED(&site->probe_id), 'u', 6, false);
		consume_text_add(&t, " ", 1);
	}
	consume_text_str(&t, func, func_len, name_len < 31 ? 31 - (int)name_len : 0);
	consume_text_add(&t, ":", 1);
	consume_text_add(&t, name, name_len);
	consume_text_add(&t, " ", 1);
	consume_text_end(&t);
}

void consume_line_begin(struct consume *c, const struct wire_rec *rec, const struct wire_site *site)
{
	heading(c);
	if (c->opts.flowindent) {
		flow_line(c, rec, site);
	} else if (!c->opts.quiet) {
		probe_line(c, rec, site);
	}
	c->last_site = rec->site;
	c->last_clause = rec->clause;
}

void consume_line_end(struct consume *c)
{
	if (!c->opts.quiet)
		putc_unlocked('\n', c->opts.out);
}
