/* SPDX-License-Identifier: MIT */
/* Which functions of a module a description's function part means. */
#include "probe/probe_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_SHARE 16 /* fewer names than one function in so many: as good as none */

struct search {
	struct obj_proc *proc;
	struct obj_module *mod;
	const char *pattern;
	bool is_glob;
	struct pid_funcs *out;
};

static int push(struct pid_funcs *out, struct pid_func f)
{
	if (out->cnt == out->cap) {
		uint32_t cap = out->cap ? out->cap * 2 : 32;
		struct pid_func *v = reallocarray(out->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		out->v = v;
		out->cap = cap;
	}
	out->v[out->cnt++] = f;
	return 0;
}

static bool name_matches(const struct search *s, const char *name)
{
	return !*s->pattern || obj_name_matches(s->pattern, name);
}

static bool is_cold_name(const char *name)
{
	const char *at = strstr(name, ".cold");
	return at && (!at[5] || at[5] == '.');
}

/* An exact name is taken at its word unless nothing ever calls what it names. */
static bool may_probe(const struct search *s, const struct obj_sym *sym)
{
	if (is_cold_name(sym->name) || (s->is_glob && !sym->is_func && !sym->is_ifunc))
		return false;
	const struct obj_range *r = obj_range_at(s->proc, s->mod, sym->addr);
	if (!r || r->start != sym->addr)
		return !r || r->kind != OBJ_RANGE_PLT;
	return r->kind != OBJ_RANGE_PLT && (!s->is_glob || r->kind != OBJ_RANGE_COLD);
}

/* "_go" is another name of "go": one function, shown under the better name. */
static const char *canonical(const struct search *s, const struct obj_sym *syms, uint32_t i)
{
	uint32_t first = i;
	while (first && syms[first - 1].addr == syms[i].addr)
		first--;
	const char *plain = syms[i].name + strspn(syms[i].name, "_");
	for (uint32_t k = first; k < i && !s->is_glob; k++)
		if (!strcmp(syms[k].name, plain) && !syms[k].is_local)
			return syms[k].name;
	return syms[i].name;
}

static uint64_t bytes_at(const struct search *s, uint64_t addr)
{
	const struct obj_range *r = obj_range_at(s->proc, s->mod, addr);
	const struct obj_sym *sym;
	struct obj_module *mod;
	if (r && r->start == addr)
		return r->end - r->start;
	if (!obj_symbolize(s->proc, addr, &sym, &mod))
		return sym->addr + sym->bytes - addr;
	return r ? r->end - addr : 0;
}

static int add_sym(struct search *s, const struct obj_sym *syms, uint32_t i)
{
	struct pid_func f = { .mod = s->mod, .addr = syms[i].addr, .bytes = syms[i].bytes, .sym = syms[i] };
	if (syms[i].is_ifunc) {
		if (obj_ifunc_target(s->proc, s->mod, &syms[i], &f.addr)) {
			s->out->unresolved = syms[i].name;
			return 0;
		}
		f.bytes = bytes_at(s, f.addr);
	} else {
		f.name = canonical(s, syms, i);
	}
	f.name = f.name ? f.name : syms[i].name;
	return f.bytes ? push(s->out, f) : 0;
}

static int find_symbols(struct search *s, struct err *reterr)
{
	const struct obj_sym *syms;
	uint32_t cnt;
	int rc = obj_module_syms(s->proc, s->mod, &syms, &cnt, reterr);
	for (uint32_t i = 0; i < cnt && !rc; i++)
		if (name_matches(s, syms[i].name) && may_probe(s, &syms[i]))
			rc = add_sym(s, syms, i);
	return rc;
}

static bool is_unnamed(const struct search *s, const struct obj_range *r)
{
	const struct obj_sym *sym;
	struct obj_module *mod;
	/* What looks like a part of another function is taken for one at its exact name. */
	bool fits = r->kind == OBJ_RANGE_FUNC || (r->kind == OBJ_RANGE_COLD && !s->is_glob);
	return fits && r->has_fde && !r->has_sym &&
	       obj_symbolize(s->proc, r->start, &sym, &mod) == -ENOENT;
}

/* In a library that exports names, "all functions" means those; a program that was stripped of all has no others. */
static bool wants_unnamed(const struct search *s, const struct obj_range *r, uint32_t cnt)
{
	uint32_t named = 0, all = 0;
	if (!strncmp(s->pattern, "sub_", 4))
		return true;
	for (uint32_t i = 0; i < cnt && s->is_glob; i++) {
		named += r[i].kind == OBJ_RANGE_FUNC && r[i].has_sym;
		all += r[i].kind == OBJ_RANGE_FUNC;
	}
	return s->mod->is_exe ? named * NAMED_SHARE < all : !named && all;
}

/* What only .eh_frame knows gets its address as a name. */
static int find_unnamed(struct search *s, struct err *reterr)
{
	const struct obj_range *r;
	uint32_t cnt;
	int rc = obj_module_ranges(s->proc, s->mod, &r, &cnt, reterr);
	bool wanted = !rc && wants_unnamed(s, r, cnt);
	for (uint32_t i = 0; wanted && i < cnt && !rc; i++) {
		if (!is_unnamed(s, &r[i]))
			continue;
		struct pid_func f = { .mod = s->mod, .addr = r[i].start, .bytes = r[i].end - r[i].start };
		snprintf(f.own, sizeof(f.own), "sub_%llx", (unsigned long long)(r[i].start - s->mod->bias));
		f.sym = (struct obj_sym){ .name = "", .is_local = true };
		if (!*s->pattern || obj_glob(s->pattern, f.own))
			rc = push(s->out, f);
	}
	return rc;
}

int probe_unnamed(struct obj_proc *proc, struct obj_module *mod, const char *pattern,
		  void (*fn)(void *arg, const char *name, uint64_t addr, uint64_t bytes), void *arg)
{
	struct pid_funcs out = { 0 };
	struct search s = { proc, mod, pattern, true, &out };
	int rc = find_unnamed(&s, NULL);
	for (uint32_t i = 0; i < out.cnt && !rc; i++)
		fn(arg, out.v[i].own, out.v[i].addr, out.v[i].bytes);
	free(out.v);
	return rc;
}

static int by_addr(const void *a, const void *b)
{
	const struct pid_func *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return obj_sym_prefer(&x->sym, &y->sym);
}

static void one_per_address(struct pid_funcs *f)
{
	uint32_t n = 0;
	base_sort(f->v, f->cnt, sizeof(*f->v), by_addr);
	for (uint32_t i = 0; i < f->cnt; i++)
		if (!n || f->v[n - 1].addr != f->v[i].addr)
			f->v[n++] = f->v[i];
	f->cnt = n;
}

int pid_funcs_find(struct obj_proc *proc, struct obj_module *mod, const char *pattern, struct pid_funcs *ret,
		   struct err *reterr)
{
	struct pid_funcs out = { .unresolved = ret->unresolved };
	struct search s = { proc, mod, pattern, !*pattern || obj_is_glob(pattern), &out };
	int rc = find_symbols(&s, reterr);
	if (!rc)
		rc = find_unnamed(&s, reterr);
	if (rc) {
		free(out.v);
		return rc;
	}
	one_per_address(&out);
	*ret = out;
	return 0;
}
