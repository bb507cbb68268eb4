/* SPDX-License-Identifier: MIT */
/*
 * "format" of a tracepoint (kernel documentation, trace/events.rst):
 *
 *	field:const char * filename;	offset:24;	size:8;	signed:0;
 */
#include "kern/kern_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64
#define COMMON_BYTES 8

struct format {
	struct format *next;
	char *path;
	struct kern_field v[FIELDS_MAX];
	uint32_t cnt;
	int64_t id;
};
static struct format *formats;

static void drop_word(char *s, const char *word)
{
	size_t len = strlen(word);
	for (char *p; (p = strstr(s, word));)
		memmove(p, p + len, strlen(p + len) + 1);
}

/* "char comm[16]" is "char [16]" called comm. */
static bool split(char *decl, struct kern_field *f)
{
	char *array = strchr(decl, '['), *end = array ? array : decl + strlen(decl), *name = end;
	while (name > decl && name[-1] != ' ' && name[-1] != '*')
		name--;
	if (name == decl || name == end)
		return false;
	char *n = strndup(name, (size_t)(end - name)), *t = NULL;
	*name = 0;
	int got = asprintf(&t, "%s%s", decl, array ? array : "");
	if (!n || got < 0) {
		free(n);
		return false;
	}
	size_t len = strlen(t);
	while (len && t[len - 1] == ' ')
		t[--len] = 0;
	f->name = n;
	f->type = t;
	return true;
}

static uint32_t number(const char *line, const char *key)
{
	const char *p = strstr(line, key);
	return p ? (uint32_t)strtoul(p + strlen(key), NULL, 10) : 0;
}

static void parse_field(struct format *fm, char *line)
{
	char *decl = strstr(line, "field:"), *end = decl ? strchr(decl, ';') : NULL;
	if (!end || fm->cnt == FIELDS_MAX)
		return;
	struct kern_field f = { .off = number(end, "offset:"), .bytes = number(end, "size:"),
				.is_signed = number(end, "signed:"), .is_loc = !strncmp(decl + 6, "__data_loc", 10) };
	decl += 6;
	*end = 0;
	if (f.off < COMMON_BYTES)
		return;
	drop_word(decl, "__data_loc ");
	drop_word(decl, "const ");
	drop_word(decl, "__user ");
	/* "char[] name" is elsewhere in the record: a pointer to it. */
	char *loc = f.is_loc ? strstr(decl, "[]") : NULL;
	if (loc) {
		loc[0] = ' ';
		loc[1] = '*';
	}
	if (split(decl, &f))
		fm->v[fm->cnt++] = f;
}

static void parse(struct format *fm, char *text)
{
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!strncmp(line, "ID: ", 4))
			fm->id = strtol(line + 4, NULL, 10);
		else if (!strncmp(line, "print fmt", 9))
			return;
		else
			parse_field(fm, line);
	}
}

static struct format *format_of(const char *group, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "events/%s/%s/format", group, name);
	for (struct format *f = formats; f; f = f->next)
		if (!strcmp(f->path, path))
			return f;
	struct format *f = calloc(1, sizeof(*f));
	char *text = f && (f->path = strdup(path)) ? kern_tracefs_read(path) : NULL;
	if (!f || !f->path) {
		free(f);
		return NULL;
	}
	f->id = -errno;
	if (text)
		parse(f, text);
	free(text);
	f->next = formats;
	formats = f;
	return f;
}

const struct kern_field *kern_event_fields(const char *group, const char *name, uint32_t *ret_cnt)
{
	const struct format *f = format_of(group, name);
	*ret_cnt = f ? f->cnt : 0;
	return f && f->id > 0 ? f->v : NULL;
}

int64_t kern_event_id(const char *group, const char *name)
{
	const struct format *f = format_of(group, name);
	return f ? f->id : -ENOMEM;
}

const struct kern_field *kern_syscall_args(const char *name, uint32_t *ret_cnt)
{
	char event[128];
	snprintf(event, sizeof(event), "sys_enter_%s", name);
	const struct kern_field *f = kern_event_fields("syscalls", event, ret_cnt);
	/* The first is the number. */
	if (!f || !*ret_cnt)
		return NULL;
	--*ret_cnt;
	return f + 1;
}

bool kern_syscall_known(const char *name)
{
	char event[128];
	snprintf(event, sizeof(event), "sys_enter_%s", name);
	return kern_event_id("syscalls", event) > 0;
}
