/* SPDX-License-Identifier: MIT */
/* Descriptions to C's text. */
#include "ctype/ctype_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
	char *s;
	bool failed;
};

/* Puts @head before and @tail behind what is there. */
static void around(struct text *t, const char *head, const char *tail)
{
	char *n = NULL;
	if (asprintf(&n, "%s%s%s", head, t->s ? t->s : "", tail) < 0) {
		t->failed = true;
		return;
	}
	free(t->s);
	t->s = n;
}

static const char *keyword(enum tdesc_kind k)
{
	return k == TDESC_STRUCT ? "struct " : k == TDESC_UNION ? "union " : k == TDESC_ENUM ? "enum " : "";
}

static bool is_suffix(const struct tdesc *t)
{
	return t && (t->kind == TDESC_ARRAY || t->kind == TDESC_FUNC);
}

static void base_name(struct text *t, const struct tdesc *d)
{
	bool is_tag = d && (d->kind == TDESC_STRUCT || d->kind == TDESC_UNION || d->kind == TDESC_ENUM);
	const char *name = !d || d->kind == TDESC_VOID ? "void" : d->name ? d->name : is_tag ? "{...}" : "?";
	const char *gap = t->s && *t->s && *t->s != ' ' ? " " : "";
	char *head = NULL;
	if (asprintf(&head, "%s%s%s", d ? keyword(d->kind) : "", name, gap) < 0) {
		t->failed = true;
		return;
	}
	around(t, head, "");
	free(head);
}

char *ctype_name(const struct tdesc *d)
{
	struct text t = { 0 };
	for (uint32_t depth = 0; d && depth < CTYPE_DEPTH_MAX && !t.failed; d = d->base, depth++) {
		char cnt[32];
		if (d->kind == TDESC_PTR && is_suffix(d->base)) {
			around(&t, "(*", ")");
		} else if (d->kind == TDESC_PTR) {
			around(&t, d->is_ref ? "&" : "*", "");
		} else if (d->kind == TDESC_ARRAY) {
			snprintf(cnt, sizeof(cnt), "%s[%llu]", t.s ? "" : " ", (unsigned long long)d->cnt);
			around(&t, "", cnt);
		} else if (d->kind == TDESC_FUNC) {
			around(&t, "", "()");
		} else {
			break;
		}
	}
	base_name(&t, d);
	if (!t.failed)
		return t.s;
	free(t.s);
	return NULL;
}
