/* SPDX-License-Identifier: MIT */
/* Probe descriptions: names in up to four parts, or a number. */
#include "d/parse_int.h"

#include <ctype.h>
#include <stdlib.h>

static uint32_t parts_of(const struct d_parser *p)
{
	switch (p->c->srcs[p->src].src->kind) {
	case D_SRC_PROVIDER: return 1;
	case D_SRC_MODULE: return 2;
	case D_SRC_FUNCTION: return 3;
	default: return 4;
	}
}

static void parse_id(struct d_parser *p, struct d_node *n)
{
	static const char *const whole[] = { "", "providers", "modules", "functions", "" };
	uint32_t parts = parts_of(p);
	char *end;
	unsigned long id = strtoul(n->str, &end, 10);
	if (id > UINT32_MAX)
		d_fail(p, n->at, "D_PDESC_INVAL", "identifier %s exceeds maximum probe id", n->str);
	if (parts < 4)
		d_fail(p, n->at, "D_PDESC_INVAL", "probe identifier %s not permitted when specifying %s", n->str,
		       whole[parts]);
	if (!id)
		d_fail(p, n->at, "D_PDESC_INVAL", "invalid probe identifier 0: Unknown probe identifier");
	n->desc->id = (uint32_t)id;
}

/* Between quotes a colon is \1, a character of the name. */
static void colons_back(char *s)
{
	for (; *s; s++)
		if (*s == '\1')
			*s = ':';
}

/* prov:mod:func:name; what is missing is missing on the left, a colon there counts for nothing. */
static void split_desc(struct d_parser *p, struct d_node *n)
{
	char *parts[4], *s = d_strndup(p->c, n->str, n->len);
	uint32_t cnt = 0, max = parts_of(p);
	for (char *next = *s == ':' ? s + 1 : s; next; cnt++) {
		if (cnt == max)
			d_fail_hint(p, n->at, "D_PDESC_INVAL", d_fmt(p->c, "at most %u parts; write a C++ name with "
				    ":: in it between double quotes", max), "invalid probe description \"%s\": "
				    "Overspecified probe description", n->str);
		parts[cnt] = next;
		next = strchr(next, ':');
		if (next)
			*next++ = 0;
	}
	char **to[4] = { &n->desc->prov, &n->desc->mod, &n->desc->func, &n->desc->name };
	for (uint32_t i = 0; i < 4; i++)
		*to[i] = "";
	for (uint32_t i = 0; i < cnt; i++) {
		colons_back(parts[i]);
		*to[max - cnt + i] = parts[i];
	}
}

void d_parse_pdesc(struct d_parser *p, struct d_node *clause)
{
	struct d_node *n = d_node_new(p, N_PDESC, p->tok.at), **tail = clause->args ? p->desc_tail : &clause->args;
	if (p->tok.kind != T_PDESC)
		d_unexpected(p, "a probe description");
	n->str = p->tok.str;
	n->len = p->tok.len;
	n->desc = d_alloc(p->c, sizeof(*n->desc));
	*n->desc = (struct plan_probe_desc){ "", "", "", "", 0, n->at.src, n->at.line, n->at.col };
	if (n->len && strspn(n->str, "0123456789") == n->len)
		parse_id(p, n);
	else
		split_desc(p, n);
	if (p->c->opts.types.described)
		p->c->opts.types.described(p->c->opts.types.arg, n->desc);
	if (p->c->opts.types.in_kernel)
		p->c->any_kernel |= p->c->opts.types.in_kernel(p->c->opts.types.arg, n->desc);
	*tail = n;
	p->desc_tail = &n->next;
}
