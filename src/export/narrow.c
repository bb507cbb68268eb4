/* SPDX-License-Identifier: MIT */
/*
 * A class again, whose numbers of 64 bits have 32: most numbers fit, and what
 * is written is what tracing costs.  Events of both have one name and the same
 * values; readers see two classes.
 */
#include "export/write_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_wide(enum export_type t) { return t == EXPORT_I64 || t == EXPORT_U64; }

/* Its fields' lines: those of 64 bits are as long. */
static void narrow_fields(char *text)
{
	for (char *at = strstr(text, CTF_META_FIELDS); at && (at = strstr(at, "\n\t\t"));) {
		at += 3;
		if (!strncmp(at, "i64 ", 4) || !strncmp(at, "u64 ", 4))
			memcpy(at + 1, "32", 2);
	}
}

/* "id = N;" becomes another's. */
static char *with_id(char *text, uint32_t id)
{
	char *at = strstr(text, CTF_META_ID), *end = at ? strchr(at + 1, ';') : NULL, *ret = NULL;
	if (!end)
		return NULL;
	*at = 0;
	if (asprintf(&ret, "%s" CTF_META_ID "%u%s", text, id, end) < 0)
		ret = NULL;
	return ret;
}

static int describe(struct export_writer *w, const struct writer_class *of, struct writer_class *c)
{
	char *text = writer_class_text(w, of), *mine = text ? with_id(text, w->class_cnt) : NULL;
	int rc = -ENOMEM;
	if (mine) {
		narrow_fields(mine);
		rc = writer_describe(w, c, mine);
	}
	free(mine);
	free(text);
	return rc;
}

static int narrow(struct export_writer *w, uint32_t id)
{
	struct writer_class *c = w->class_cnt < CTF_CLASS_MAX ? writer_class_room(w) : NULL;
	if (!c)
		return -ENOMEM;
	struct writer_class *of = &w->classes[id];
	*c = (struct writer_class){ .cnt = of->cnt, .is_flat = true };
	c->types = calloc(c->cnt + 1ul, sizeof(*c->types));
	if (!c->types)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->cnt; i++) {
		enum export_type t = of->types[i];
		c->types[i] = t == EXPORT_I64 ? EXPORT_I32 : t == EXPORT_U64 ? EXPORT_U32 : t;
		c->bytes += ctf_type_bytes[c->types[i]];
	}
	int rc = writer_class_from(c, of->offs);
	rc = rc ? rc : describe(w, of, c); /* last: what is described is there */
	if (rc) {
		writer_class_deinit(c);
		return rc;
	}
	of->narrow = w->class_cnt++;
	return 0;
}

void writer_class_narrow(struct export_writer *w, uint32_t id)
{
	if (narrow(w, id))
		w->classes[id].stays_wide = true;
}

int writer_class_wide(struct writer_class *c, const uint32_t *offs)
{
	struct ctf_wide *wide = calloc(c->cnt + 1ul, sizeof(*wide));
	if (!wide)
		return -ENOMEM;
	free(c->wide);
	c->wide = wide;
	c->wide_cnt = 0;
	for (uint32_t i = 0; i < c->cnt; i++) {
		c->stays_wide |= offs[i] == EXPORT_AT_TIME;
		if (is_wide(c->types[i]))
			wide[c->wide_cnt++] = (struct ctf_wide){ offs[i], c->types[i] == EXPORT_I64 ? 1u << 31 : 0 };
	}
	return 0;
}
