/* SPDX-License-Identifier: MIT */
/* Names of tracepoints. */
#include "kern/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct list {
	struct kern_event *v;
	uint32_t cnt, cap;
	bool tried;
	int error;
} list;

static int add(const char *group, const char *name)
{
	if (list.cnt == list.cap) {
		uint32_t cap = list.cap ? list.cap * 2 : 1024;
		struct kern_event *v = realloc(list.v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		list.v = v;
		list.cap = cap;
	}
	list.v[list.cnt++] = (struct kern_event){ group, name };
	return 0;
}

/* The function that calls who is attached to a tracepoint. */
static const char caller[] = "__traceiter_";

/* What others have made out of kprobes and uprobes is theirs. */
static bool is_foreign(const char *group)
{
	static const char *const groups[] = { "syscalls", "kprobes", "uprobes", "eprobes", "synthetic", "ftrace" };
	for (size_t i = 0; i < ARRAY_CNT(groups); i++)
		if (!strcmp(group, groups[i]))
			return true;
	return !strncmp(group, "dt_", 3);
}

static void from_tracefs(char *text)
{
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		char *name = strchr(line, ':');
		if (!name)
			continue;
		*name++ = 0;
		if (!is_foreign(line) && add(line, name))
			return;
	}
}

static int from_symbol(void *arg, uint64_t addr, char kind, const char *name, const char *module)
{
	(void)arg, (void)addr, (void)kind;
	if (strncmp(name, caller, sizeof(caller) - 1))
		return 0;
	char *copy = strdup(name + sizeof(caller) - 1), *mod = strdup(module);
	return !copy || !mod ? 1 : add(mod, copy);
}

static void load(void)
{
	list.tried = true;
	char *text = kern_tracefs_events();
	list.error = text ? 0 : errno;
	if (text)
		from_tracefs(text); /* kept: the names are in it */
	else
		kern_syms_each(from_symbol, NULL);
}

uint32_t kern_events(const struct kern_event **ret, struct err *reterr)
{
	if (!list.tried)
		load();
	*ret = list.v;
	if (!list.cnt)
		err_setf(reterr, -list.error, "the kernel's tracepoints cannot be read: %s", strerror(list.error));
	return list.cnt;
}

/* Tracepoints that have no events of their own, out of the kernel's functions: that list is long, and read once. */
static struct callers {
	char **v; /* sorted */
	uint32_t cnt, cap;
	bool tried;
} callers;

static int note_caller(void *arg, uint64_t addr, char kind, const char *name, const char *module)
{
	(void)arg, (void)addr, (void)kind, (void)module;
	if (strncmp(name, caller, sizeof(caller) - 1))
		return 0;
	if (callers.cnt == callers.cap) {
		uint32_t cap = callers.cap ? 2 * callers.cap : 1024;
		char **v = realloc(callers.v, cap * sizeof(*v));
		if (!v)
			return 1;
		callers.v = v;
		callers.cap = cap;
	}
	callers.v[callers.cnt] = strdup(name + sizeof(caller) - 1);
	return callers.v[callers.cnt] ? callers.cnt++, 0 : 1;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool has_caller(const char *name)
{
	if (!callers.tried) {
		callers.tried = true;
		kern_syms_each(note_caller, NULL);
		if (callers.cnt)
			qsort(callers.v, callers.cnt, sizeof(*callers.v), by_name);
	}
	return callers.cnt && bsearch(&name, callers.v, callers.cnt, sizeof(*callers.v), by_name);
}

bool kern_has_event(const char *name)
{
	const struct kern_event *v;
	uint32_t cnt = kern_events(&v, NULL);
	for (uint32_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].name, name))
			return true;
	return has_caller(name);
}
