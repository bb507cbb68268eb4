/* SPDX-License-Identifier: MIT */
/* Reads metadata that meta.c wrote, line by line; outside of events, what is no such line says nothing to it. */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parse {
	struct ctf_schema *s;
	/* of the event that is being read */
	char *name; /* owned */
	struct export_field fields[256];
	uint32_t field_cnt, id;
	bool in_event, in_fields;
	bool is_again; /* the event was described: once more, for the other stream class */
};

/* The string in quotes that follows, malloc'ed. */
static char *unquote(const char *at)
{
	char *text = strdup(at), *to = text;
	at = strchr(at, '"');
	for (at = at ? at + 1 : ""; text && *at && *at != '"'; at++) {
		at += *at == '\\' && at[1];
		*to++ = *at;
	}
	if (text)
		*to = 0;
	return text;
}

/* PROV:MOD:FUNC:NAME; a function's name may have colons itself.  Or only a name. */
static bool split_name(char *text, struct export_class *c)
{
	char *mod = strchr(text, ':'), *name = strrchr(text, ':'), *func = mod ? strchr(mod + 1, ':') : NULL;
	if (!mod) {
		c->prov = strdup("");
		c->mod = strdup("");
		c->func = strdup("");
		c->name = strdup(text);
		return c->prov && c->mod && c->func && c->name;
	}
	if (!func || name <= func)
		return false;
	*mod = *func = *name = 0;
	c->prov = strdup(text);
	c->mod = strdup(mod + 1);
	c->func = strdup(func + 1);
	c->name = strdup(name + 1);
	return c->prov && c->mod && c->func && c->name;
}

static void class_destroy(struct export_class *c)
{
	for (uint32_t k = 0; k < c->field_cnt; k++)
		free((char *)c->fields[k].name);
	free((void *)c->fields);
	free((char *)c->prov);
	free((char *)c->mod);
	free((char *)c->func);
	free((char *)c->name);
	free(c);
}

/* Takes the fields over. */
static struct export_class *make_class(struct parse *p)
{
	struct export_class *c = calloc(1, sizeof(*c));
	struct export_field *f = c ? calloc(p->field_cnt + 1ul, sizeof(*f)) : NULL;
	if (!f) {
		free(c);
		return NULL;
	}
	memcpy(f, p->fields, p->field_cnt * sizeof(*f));
	c->fields = f;
	c->field_cnt = p->field_cnt;
	p->field_cnt = 0;
	if (p->name && split_name(p->name, c))
		return c;
	class_destroy(c);
	return NULL;
}

static bool schema_room(struct ctf_schema *s, uint32_t id)
{
	struct export_class **v = id >= s->cnt ? realloc(s->v, (id + 1ul) * sizeof(*v)) : s->v;
	if (!v)
		return false;
	s->v = v;
	for (; s->cnt <= id; s->cnt++)
		v[s->cnt] = NULL;
	return true;
}

static void fields_drop(struct parse *p)
{
	while (p->field_cnt)
		free((char *)p->fields[--p->field_cnt].name);
}

static int add_class(struct parse *p)
{
	struct ctf_schema *s = p->s;
	bool known = p->id < s->cnt && s->v[p->id];
	if (p->is_again) {
		fields_drop(p);
		return known ? 0 : -EINVAL;
	}
	struct export_class *c = p->id < CTF_CLASS_MAX && !known ? make_class(p) : NULL;
	if (!c)
		return -EINVAL;
	if (!schema_room(s, p->id)) {
		class_destroy(c);
		return -ENOMEM;
	}
	s->v[p->id] = c;
	return 0;
}

static enum export_type type_named(const char *name, size_t len)
{
	for (int t = 0; t < EXPORT_TYPE_CNT; t++)
		if (strlen(ctf_type_name[t]) == len && !memcmp(ctf_type_name[t], name, len))
			return (enum export_type)t;
	return EXPORT_TYPE_CNT;
}

/* "TYPE _NAME;", "hex _NAME[ LENGTH ];", of which a line of type length says how long it is. */
static int add_field(struct parse *p, const char *at)
{
	size_t len = strcspn(at, " ");
	enum export_type t = type_named(at, len);
	const char *name = at + len + (at[len] == ' ');
	if (len == 6 && !memcmp(at, "length", 6))
		return 0;
	if (t == EXPORT_TYPE_CNT || *name != '_' || p->field_cnt == ARRAY_CNT(p->fields))
		return -EINVAL;
	len = strcspn(name, "[;");
	if (name[len] == '[')
		t = EXPORT_STACK;
	char *copy = strndup(name + 1, len - 1);
	if (!copy)
		return -ENOMEM;
	p->fields[p->field_cnt++] = (struct export_field){ copy, t };
	return 0;
}

static bool after(const char *line, const char *key, const char **ret)
{
	size_t n = strlen(key);
	*ret = line + n;
	return !strncmp(line, key, n);
}

static void read_uuid(struct ctf_schema *s, const char *at)
{
	uint32_t n = 0, v;
	at = strchr(at, '"');
	for (at = at ? at + 1 : ""; n < 16 && sscanf(at, "%2x", &v) == 1 && at[1]; at += 2 + (at[2] == '-'))
		s->uuid[n++] = (uint8_t)v;
}

/* What somebody made up may overflow. */
static void add_offset(struct ctf_schema *s, const char *text, uint64_t ns)
{
	s->real_offset_ns = (int64_t)((uint64_t)s->real_offset_ns + (uint64_t)strtoll(text, NULL, 10) * ns);
}

static int read_line(struct parse *p, const char *line)
{
	const char *v;
	while (*line == '\t')
		line++;
	if (after(line, "event {", &v)) {
		p->in_event = true;
		p->is_again = false;
	} else if (p->in_event && after(line, "name = ", &v)) {
		free(p->name);
		p->name = unquote(v);
	} else if (p->in_event && after(line, "id = ", &v)) {
		p->id = (uint32_t)strtoul(v, NULL, 10);
	} else if (p->in_event && after(line, "stream_id = ", &v)) {
		p->is_again = *v != '0';
	} else if (p->in_event && after(line, "fields := struct {", &v)) {
		p->in_fields = true;
	} else if (after(line, "};", &v) && p->in_event) {
		p->in_event = p->in_fields;
		p->in_fields = false;
		return p->in_event ? 0 : add_class(p);
	} else if (p->in_fields) {
		return add_field(p, line);
	} else if (after(line, "variant <id> {", &v)) {
		p->s->has_heads = true;
	} else if (after(line, "uuid = ", &v)) {
		read_uuid(p->s, v);
	} else if (after(line, "offset_s = ", &v)) {
		add_offset(p->s, v, 1000000000);
	} else if (after(line, "offset = ", &v)) {
		add_offset(p->s, v, 1);
	}
	return p->in_event ? 0 : ctf_sampling_line(&p->s->sampling, line);
}

int ctf_schema_read(struct ctf_schema *s, const char *dir, struct err *reterr)
{
	struct parse p = { .s = s };
	char *path, *line = NULL;
	size_t cap = 0;
	if (asprintf(&path, "%s/metadata", dir) < 0)
		return err_setf(reterr, -ENOMEM, "out of memory");
	FILE *fp = fopen(path, "re");
	free(path);
	if (!fp)
		return err_setf(reterr, -errno, "%s is no trace: it has no file metadata (%s)", dir, strerror(errno));
	if (!s->read_bytes && (getline(&line, &cap, fp) < 0 || strcmp(line, "/* CTF 1.8 */\n"))) {
		free(line);
		fclose(fp);
		return err_setf(reterr, -EINVAL, "%s is no trace that %s made; babeltrace2 may read it", dir, "dyntrace record");
	}
	if (s->read_bytes)
		fseek(fp, (long)s->read_bytes, SEEK_SET);
	int rc = 0;
	while (!rc && getline(&line, &cap, fp) > 0 && strchr(line, '\n')) {
		rc = read_line(&p, line);
		if (!p.in_event)
			s->read_bytes = (uint64_t)ftell(fp);
	}
	fields_drop(&p);
	free(p.name);
	free(line);
	fclose(fp);
	if (!rc && !s->has_heads)
		return err_setf(reterr, -EINVAL, "%s was recorded by an earlier version of dyntrace; babeltrace2 reads it", dir);
	return rc ? err_setf(reterr, rc, "%s/metadata is damaged", dir) : 0;
}

void ctf_schema_deinit(struct ctf_schema *s)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		if (s->v[i])
			class_destroy(s->v[i]);
	free(s->v);
	ctf_sampling_deinit(&s->sampling);
}
