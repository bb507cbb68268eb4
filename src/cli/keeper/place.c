/* SPDX-License-Identifier: MIT */
/* What people write for a place, as LTTng and dyntrace's verbs have it. */
#include "cli/keeper/keeper_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Octal, decimal or hexadecimal, as C writes them. */
static bool parse_number(const char *s, uint64_t *ret)
{
	char *end;
	errno = 0;
	*ret = strtoull(s, &end, 0);
	return isdigit((unsigned char)*s) && !*end && !errno;
}

static int no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

static int fill(struct keeper_place *ret, const char *mod, const char *func, uint64_t off, struct err *reterr)
{
	char name[24];
	snprintf(name, sizeof(name), "%llx", (unsigned long long)off);
	*ret = (struct keeper_place){ NULL, strdup(mod), strdup(func), strdup(off ? name : "entry") };
	return ret->mod && ret->func && ret->name ? 0 : no_memory(reterr);
}

static int at_address(struct obj_proc *obj, uint64_t addr, struct keeper_place *ret, struct err *reterr)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	char func[32];
	if (!obj_symbolize(obj, addr, &sym, &mod))
		return fill(ret, mod->is_exe ? "a.out" : mod->name, sym->name, addr - sym->addr, reterr);
	const struct obj_range *r = mod ? obj_range_at(obj, mod, addr) : NULL;
	if (!r)
		return err_setf(reterr, -ENOENT, "there is no code at 0x%llx in process %d", (unsigned long long)addr, (int)obj_proc_pid(obj));
	snprintf(func, sizeof(func), "sub_%llx", (unsigned long long)(r->start - mod->bias));
	return fill(ret, mod->is_exe ? "a.out" : mod->name, func, addr - r->start, reterr);
}

/* The last '+' that a number follows: names of C++ operators hold others. */
static char *find_offset(char *text, uint64_t *ret)
{
	char *at = strrchr(text, '+');
	return at && at > text && parse_number(at + 1, ret) ? at : NULL;
}

/* What follows a '+' is an offset, but in the names of C++'s operators. */
static int check_offset(const char *text, struct err *reterr)
{
	static const char op[] = "operator";
	const char *at = strchr(text, '+');
	size_t before = at ? (size_t)(at - text) : 0;
	if (!before || (before >= sizeof(op) - 1 && !strncmp(at - (sizeof(op) - 1), op, sizeof(op) - 1)))
		return 0;
	return err_setf(reterr, -EINVAL, "'%s' in %s is no offset: numbers are octal (017), decimal or hexadecimal (0x1f)", at + 1, text);
}

/* A colon that is none of C++. */
static char *find_colon(char *text)
{
	for (char *at = text; (at = strchr(at, ':')); at += 2)
		if (at[1] != ':')
			return at;
	return NULL;
}

static bool has_provider(struct obj_proc *obj, const char *name)
{
	const struct obj_usdt *u;
	uint32_t cnt;
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++) {
		struct obj_module *m = obj_module_at(obj, i);
		if (!m->end || m->is_vdso || obj_module_usdt(obj, m, &u, &cnt, NULL))
			continue;
		for (uint32_t k = 0; k < cnt; k++)
			if (!strcmp(u[k].prov, name))
				return true;
	}
	return false;
}

/* Four parts, as D has them; but MODULE:SPACE::SYMBOL looks so, too.  1: it is one; 0: it is not. */
static int parse_usdt(struct obj_proc *obj, const char *text, struct keeper_place *ret, struct err *reterr)
{
	char *copy = strdup(text), *parts[4] = { copy }, *at = copy;
	uint32_t n = 1;
	if (!copy)
		return no_memory(reterr);
	for (; (at = strchr(at, ':')); *at++ = 0, n++)
		if (n < ARRAY_CNT(parts))
			parts[n] = at + 1;
	int r = n == ARRAY_CNT(parts) && *parts[0] && *parts[3] && (strstr(text, ":::") || has_provider(obj, parts[0]));
	if (r) {
		*ret = (struct keeper_place){ strdup(parts[0]), strdup(parts[1]), strdup(parts[2]), strdup(parts[3]) };
		r = ret->prov && ret->mod && ret->func && ret->name ? 1 : no_memory(reterr);
	}
	free(copy);
	return r;
}

/* A probe of the kernel, which is in no process. */
static int check_world(const char *text, struct err *reterr)
{
	const char *colon = strchr(text, ':');
	if (!keeper_place_is_kernel(text, colon ? (size_t)(colon - text) : 0))
		return 0;
	return err_setf(reterr, -EINVAL, "tracepoints are in processes, and %s is in the kernel: trace it with dyntrace -n '%s { ... }', or record it",
			text, text);
}

bool keeper_place_is_kernel(const char *text, size_t len)
{
	char prov[32];
	struct record_probe r = { .prov = prov };
	if (!len || len >= sizeof(prov))
		return false;
	memcpy(prov, text, len);
	prov[len] = 0;
	return strchr(text + len + 1, ':') && cli_record_is_kernel(&r);
}

int keeper_place_parse(struct obj_proc *obj, const char *text, struct keeper_place *ret, struct err *reterr)
{
	uint64_t off = 0;
	static char any[] = "";
	*ret = (struct keeper_place){ 0 };
	if (isdigit((unsigned char)*text)) {
		if (parse_number(text, &off))
			return at_address(obj, off, ret, reterr);
		return err_setf(reterr, -EINVAL, "'%s' is neither an address nor a symbol; numbers are octal (017), decimal or hexadecimal (0x1f)",
				text);
	}
	int r = parse_usdt(obj, text, ret, reterr);
	if (r)
		return r < 0 ? r : 0;
	r = check_world(text, reterr);
	if (r)
		return r;
	char *copy = strdup(text), *func = copy, *mod = any, *at;
	if (!copy)
		return no_memory(reterr);
	if ((at = strrchr(func, '@')) && at > func) {
		*at = 0;
		mod = at + 1;
	} else if ((at = find_colon(func))) {
		*at = 0;
		mod = func;
		func = at + 1;
	}
	if ((at = find_offset(func, &off)))
		*at = 0;
	else
		r = check_offset(func, reterr);
	r = r ? r : *func ? fill(ret, mod, func, off, reterr) : err_setf(reterr, -EINVAL, "'%s' names no function", text);
	free(copy);
	return r;
}

void keeper_place_deinit(struct keeper_place *p)
{
	free(p->prov);
	free(p->mod);
	free(p->func);
	free(p->name);
	*p = (struct keeper_place){ 0 };
}
