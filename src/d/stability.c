/* SPDX-License-Identifier: MIT */
/*
 * Stability: how much a script may rely on each thing that it names.  It
 * changes nothing of what a script does; -v shows it, and -x amin refuses
 * scripts that rely on less.  An expression is as stable as the least stable
 * thing in it.
 */
#include "d/check_int.h"

#include <strings.h>

static const char *const levels[] = {
	"Internal", "Private", "Obsolete", "External", "Unstable", "Evolving", "Stable", "Standard",
};
static const char *const classes[] = { "Unknown", "CPU", "Platform", "Group", "ISA", "Common" };

enum { INTERNAL, PRIVATE, OBSOLETE, EXTERNAL, UNSTABLE, EVOLVING, STABLE, STANDARD };
enum { UNKNOWN, CPU, PLATFORM, GROUP, ISA, COMMON };

static const struct d_stability most = { STANDARD, STANDARD, COMMON }, stable = { STABLE, STABLE, COMMON },
	evolving = { EVOLVING, EVOLVING, COMMON }, private = { PRIVATE, PRIVATE, UNKNOWN };

/* ---- names ---- */

const char *d_stability_name(uint8_t level)
{
	return level < ARRAY_CNT(levels) ? levels[level] : "?";
}

const char *d_stability_class(uint8_t dep)
{
	return dep < ARRAY_CNT(classes) ? classes[dep] : "?";
}

static int word_of(const char *s, size_t len, const char *const *words, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		if (strlen(words[i]) == len && !strncasecmp(words[i], s, len))
			return (int)i;
	return -1;
}

bool d_stability_parse(const char *s, struct d_stability *ret)
{
	int parts[] = { STANDARD, STANDARD, COMMON };
	for (int i = 0; *s; i++) {
		size_t len = strcspn(s, "/");
		if (i == 3)
			return false;
		parts[i] = i < 2 ? word_of(s, len, levels, ARRAY_CNT(levels)) : word_of(s, len, classes, ARRAY_CNT(classes));
		if (parts[i] < 0)
			return false;
		s += len + (s[len] == '/');
	}
	*ret = (struct d_stability){ (uint8_t)parts[0], (uint8_t)parts[1], (uint8_t)parts[2] };
	return true;
}

/* ---- of expressions ---- */

static uint8_t lower(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static struct d_stability least(struct d_stability a, struct d_stability b)
{
	return (struct d_stability){ lower(a.name, b.name), lower(a.data, b.data), lower(a.dep, b.dep) };
}

static struct d_stability of_func(const struct d_func *f)
{
	static const char *const names[] = { "d_path", "ddi_pathname", "getmajor", "getminor", "htonl", "htonll", "htons",
		"ntohl", "ntohll", "ntohs", "mutex_owned", "mutex_owner", "mutex_type_adaptive", "mutex_type_spin",
		"rw_iswriter", "rw_read_held", "rw_write_held" };
	for (size_t i = 0; f && i < ARRAY_CNT(names); i++)
		if (!strcmp(f->name, names[i]))
			return evolving;
	return stable;
}

static struct d_stability of_list(const struct d_node *list)
{
	struct d_stability s = most;
	for (; list; list = list->next)
		s = least(s, d_stability_of(list));
	return s;
}

static struct d_stability of_var(const struct d_var *v)
{
	struct d_stability s = v->has_stability ? v->stability : stable;
	if (!v->has_stability && v->kind == D_VAR_INLINE)
		s = least(s, d_stability_of(v->init));
	return s;
}

struct d_stability d_stability_of(const struct d_node *n)
{
	struct d_stability s = stable;
	if (n->kind == N_CALL)
		s = of_func(n->func);
	else if (n->kind == N_IDENT && n->var)
		s = of_var(n->var);
	else if (n->is_target)
		s = private;
	if (n->l)
		s = least(s, d_stability_of(n->l));
	if (n->r)
		s = least(s, of_list(n->r));
	if (n->third)
		s = least(s, of_list(n->third));
	return n->args ? least(s, of_list(n->args)) : s;
}

/* ---- of probes ---- */

/* Parts of a description that are given; the provider's own part always is. */
static struct d_stability of_desc(const struct plan_probe_desc *d)
{
#define SDT(prov, names) { prov, { EVOLVING, EVOLVING, ISA }, { PRIVATE, PRIVATE, UNKNOWN }, { PRIVATE, PRIVATE, UNKNOWN }, \
		{ names, names, ISA } }
	static const struct {
		const char *prov;
		struct d_stability own, mod, func, name;
	} table[] = {
		{ "dtrace", { STABLE, STABLE, COMMON }, { PRIVATE, PRIVATE, UNKNOWN }, { PRIVATE, PRIVATE, UNKNOWN },
		  { STABLE, STABLE, COMMON } },
		{ "profile", { EVOLVING, EVOLVING, COMMON }, { UNSTABLE, UNSTABLE, UNKNOWN }, { PRIVATE, PRIVATE, UNKNOWN },
		  { EVOLVING, EVOLVING, COMMON } },
		{ "pid", { EVOLVING, EVOLVING, ISA }, { PRIVATE, PRIVATE, UNKNOWN }, { PRIVATE, PRIVATE, UNKNOWN },
		  { EVOLVING, EVOLVING, ISA } },
		{ "syscall", { EVOLVING, EVOLVING, COMMON }, { PRIVATE, PRIVATE, UNKNOWN }, { PRIVATE, PRIVATE, ISA },
		  { EVOLVING, EVOLVING, COMMON } },
		{ "cpc", { EVOLVING, EVOLVING, COMMON }, { UNSTABLE, UNSTABLE, UNKNOWN }, { PRIVATE, PRIVATE, UNKNOWN },
		  { EVOLVING, EVOLVING, COMMON } },
		SDT("sdt", PRIVATE), SDT("rawtp", PRIVATE), SDT("proc", EVOLVING), SDT("sched", EVOLVING), SDT("io", EVOLVING),
		SDT("lockstat", EVOLVING), SDT("ip", EVOLVING), SDT("tcp", EVOLVING), SDT("udp", EVOLVING),
	};
#undef SDT
	/* Whoever does not name the provider relies on there being no other. */
	const char *prov = strpbrk(d->prov, "*?[") ? "" : d->prov;
	for (size_t i = 0; i < ARRAY_CNT(table); i++) {
		if (strncmp(prov, table[i].prov, strlen(table[i].prov)) != 0)
			continue;
		struct d_stability s = table[i].own;
		s = *d->mod ? least(s, table[i].mod) : s;
		s = *d->func ? least(s, table[i].func) : s;
		return *d->name ? least(s, table[i].name) : s;
	}
	return (struct d_stability){ UNSTABLE, UNSTABLE, COMMON };
}

static bool is_sdt(const char *prov)
{
	static const char *const names[] = { "proc", "sched", "io", "lockstat", "ip", "tcp", "udp" };
	for (size_t i = 0; i < ARRAY_CNT(names); i++)
		if (!strcmp(prov, names[i]))
			return true;
	return false;
}

void d_stability_probe(const struct plan_probe_desc *d, struct d_stability *ret_desc, struct d_stability *ret_args)
{
	*ret_desc = of_desc(d);
	const struct d_stability isa = { PRIVATE, PRIVATE, ISA };
	if (is_sdt(d->prov))
		*ret_args = (struct d_stability){ EVOLVING, EVOLVING, ISA };
	else if (!strcmp(d->prov, "syscall") || !strcmp(d->prov, "sdt") || !strcmp(d->prov, "rawtp"))
		*ret_args = isa;
	else
		*ret_args = !strncmp(d->prov, "pid", 3) ? private : !strcmp(d->prov, "cpc") ? evolving : !strcmp(d->prov, "dtrace") ? stable :
		!strcmp(d->prov, "profile") ? evolving : (struct d_stability){ UNSTABLE, UNSTABLE, COMMON };
}

void d_stability(const struct d_compiler *c, uint32_t src, struct d_stability *ret_desc, struct d_stability *ret_stmt)
{
	*ret_desc = *ret_stmt = most;
	for (const struct d_node *n = c->tops; n; n = n->next) {
		if (n->kind != N_CLAUSE || n->at.src != src)
			continue;
		for (const struct d_node *d = n->args; d; d = d->next)
			*ret_desc = least(*ret_desc, of_desc(d->desc));
		*ret_stmt = least(*ret_stmt, n->l ? least(stable, d_stability_of(n->l)) : stable);
		*ret_stmt = least(*ret_stmt, of_list(n->r));
	}
}

/* ---- checks, once names are known ---- */

static void check_pragma(struct d_compiler *c, const struct d_pragma *p)
{
	struct d_var *v = d_var_find(c, D_GLOBAL, p->name);
	if ((v && v->kind == D_VAR_BUILTIN) || (!v && d_func_find(c, p->name))) {
		d_error(c, p->at, "D_PRAGMA_SCOPE", "#pragma %s cannot modify entity defined outside program scope", p->what);
	} else if (v) {
		v->has_stability |= p->has_stability;
		if (p->has_stability)
			v->stability = p->stability;
	} else if (strcmp(p->name, "translator") != 0 && !d_map_get(&c->providers, p->name)) {
		d_error(c, p->at, "D_PRAGMA_UNUSED", "unused #pragma %s", p->what);
	}
}

static bool is_less(struct d_stability a, struct d_stability b)
{
	return a.name < b.name || a.data < b.data || a.dep < b.dep;
}

/* The innermost expression that is too unstable: what has to change. */
static const struct d_node *find_less(const struct d_node *list, struct d_stability min)
{
	for (const struct d_node *n = list; n; n = n->next) {
		if (!is_less(d_stability_of(n), min))
			continue;
		const struct d_node *const parts[] = { n->l, n->r, n->third, n->args };
		for (size_t i = 0; i < ARRAY_CNT(parts); i++) {
			const struct d_node *in = parts[i] ? find_less(parts[i], min) : NULL;
			if (in)
				return in;
		}
		return n;
	}
	return NULL;
}

static const char *name_of(const struct d_node *n)
{
	return n->str ? n->str : "expression";
}

void d_check_stability(struct d_compiler *c)
{
	for (const struct d_pragma *p = c->pragmas; p; p = p->next)
		check_pragma(c, p);
	for (const struct d_node *n = c->tops; n && c->opts.has_amin; n = n->next) {
		const struct d_node *less = n->kind == N_CLAUSE && n->l ? find_less(n->l, c->opts.amin) : NULL;
		if (!less && n->kind == N_CLAUSE && n->r)
			less = find_less(n->r, c->opts.amin);
		if (!less)
			continue;
		struct d_stability s = d_stability_of(less);
		d_error(c, less->at, "D_ATTR_MIN", "attributes for %s (%s/%s/%s) are less than predefined minimum",
			name_of(less), levels[s.name], levels[s.data], classes[s.dep]);
	}
}
