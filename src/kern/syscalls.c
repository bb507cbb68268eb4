/* SPDX-License-Identifier: MIT */
/* System calls: a table by number, less what this kernel has been built without. */
#include "kern/kern_int.h"

#include <stdlib.h>
#include <string.h>

static const struct kern_syscall known[] = {
#define SYSCALL(nr, name) { nr, #name },
#include "kern/x86_64/syscalls.def"
#undef SYSCALL
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted; NULL where tracefs may not be read. */
static const char **names_of(char *text, uint32_t *ret_cnt)
{
	static const char prefix[] = "syscalls:sys_enter_";
	const char **v = calloc(1024, sizeof(*v));
	uint32_t cnt = 0;
	for (char *line = text, *next; v && line && *line && cnt < 1024; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!strncmp(line, prefix, sizeof(prefix) - 1))
			v[cnt++] = line + sizeof(prefix) - 1;
	}
	if (v)
		qsort(v, cnt, sizeof(*v), by_name);
	*ret_cnt = cnt;
	return v;
}

uint32_t kern_syscalls(const struct kern_syscall **ret)
{
	static struct kern_syscall here[ARRAY_CNT(known)];
	static uint32_t cnt;
	*ret = here;
	if (cnt)
		return cnt;
	uint32_t name_cnt = 0;
	char *text = kern_tracefs_events();
	const char **names = text ? names_of(text, &name_cnt) : NULL;
	for (size_t i = 0; i < ARRAY_CNT(known); i++)
		if (!name_cnt || bsearch(&known[i].name, names, name_cnt, sizeof(*names), by_name))
			here[cnt++] = known[i];
	free(names);
	free(text);
	return cnt;
}

int kern_syscall_nr(const char *name)
{
	const struct kern_syscall *v;
	uint32_t cnt = kern_syscalls(&v);
	for (uint32_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].name, name))
			return (int)v[i].nr;
	return -1;
}
