/* SPDX-License-Identifier: MIT */
/* /proc/kallsyms: "ffffffff81000000 T name\t[module]". */
#include "kern/kern_int.h"

#include "base/near.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Ends the word at @p; the start of the next one. */
static char *cut(char *p)
{
	p += strcspn(p, " \t");
	if (*p)
		*p++ = 0;
	return p + strspn(p, " \t");
}

static int each_line(char *text, kern_syms_fn *fn, void *arg)
{
	int rc = 0;
	for (char *line = text, *next; line && *line && !rc; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		char *kind = cut(line), *name = cut(kind), *mod = cut(name);
		if (*mod == '[')
			mod[strcspn(mod, "]")] = 0;
		rc = fn(arg, strtoull(line, NULL, 16), *kind, name, *mod == '[' ? mod + 1 : "vmlinux");
	}
	return rc;
}

int kern_syms_each(kern_syms_fn *fn, void *arg)
{
	char *text = kern_text_read(AT_FDCWD, "/proc/kallsyms");
	if (!text)
		return 0;
	int rc = each_line(text, fn, arg);
	free(text);
	return rc;
}

/* ---- addresses ---- */

struct sym {
	uint64_t addr;
	uint32_t name; /* offset in the names */
	uint32_t order;
	const char *module;
};
static struct table {
	struct sym *v;
	uint32_t cnt, cap;
	char *names;
	size_t names_len, names_cap;
	char **modules;
	uint32_t module_cnt;
	bool tried;
} table;

static const char *module_of(const char *name)
{
	for (uint32_t i = table.module_cnt; i-- > 0;)
		if (!strcmp(table.modules[i], name))
			return table.modules[i];
	char **v = realloc(table.modules, (table.module_cnt + 1ul) * sizeof(*v));
	if (!v)
		return NULL;
	table.modules = v;
	v[table.module_cnt] = strdup(name);
	return v[table.module_cnt] ? v[table.module_cnt++] : NULL;
}

static bool room(size_t name_bytes)
{
	if (table.cnt == table.cap) {
		uint32_t cap = table.cap ? table.cap * 2 : 1u << 16;
		struct sym *v = realloc(table.v, cap * sizeof(*v));
		if (!v)
			return false;
		table.v = v;
		table.cap = cap;
	}
	if (table.names_cap - table.names_len < name_bytes) {
		size_t cap = table.names_cap ? table.names_cap * 2 : 1u << 22;
		char *s = realloc(table.names, cap);
		if (!s)
			return false;
		table.names = s;
		table.names_cap = cap;
	}
	return true;
}

static int add(void *arg, uint64_t addr, char kind, const char *name, const char *module)
{
	size_t bytes = strlen(name) + 1;
	(void)arg;
	if (!addr || kind == 'a' || kind == 'A')
		return 0;
	const char *mod = module_of(module);
	if (!mod || !room(bytes))
		return 1;
	table.v[table.cnt] = (struct sym){ addr, (uint32_t)table.names_len, table.cnt, mod };
	table.cnt++;
	memcpy(table.names + table.names_len, name, bytes);
	table.names_len += bytes;
	return 0;
}

/* Of names for one address the kernel's own order has the first last: "_stext" and the like come before functions. */
static int by_addr(const void *a, const void *b)
{
	const struct sym *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void load(void)
{
	if (table.tried)
		return;
	table.tried = true;
	kern_syms_each(add, NULL);
	if (table.cnt)
		qsort(table.v, table.cnt, sizeof(*table.v), by_addr);
}

const char *kern_symbolize(uint64_t addr, uint64_t *ret_start, const char **ret_module)
{
	load();
	uint32_t lo = 0, hi = table.cnt;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (table.v[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	for (lo--; lo && table.v[lo - 1].addr == table.v[lo].addr;)
		lo--;
	*ret_start = table.v[lo].addr;
	*ret_module = table.v[lo].module;
	return table.names + table.v[lo].name;
}

uint64_t kern_symbol(const char *name)
{
	load();
	for (uint32_t i = 0; i < table.cnt; i++)
		if (!strcmp(table.names + table.v[i].name, name))
			return table.v[i].addr;
	return 0;
}

const char *kern_symbol_near(const char *name)
{
	const char *best = NULL;
	uint32_t max = near_max(name);
	load();
	for (uint32_t i = 0; i < table.cnt && (!best || max); i++) {
		const char *s = table.names + table.v[i].name;
		uint32_t d = near_distance(s, name, best ? max - 1 : max);
		if (d > (best ? max - 1 : max))
			continue;
		best = s;
		max = d;
	}
	return best;
}

uint64_t kern_module_start(const char *module)
{
	load();
	for (uint32_t i = 0; i < table.cnt; i++)
		if (!strcmp(table.v[i].module, module))
			return table.v[i].addr;
	return 0;
}
