/* SPDX-License-Identifier: MIT */
/*
 * Names to entries of debug information.
 *
 * Units are scanned one after the other until the name is there, so a program's
 * own type in a large file costs little. A name that occurs nowhere in the
 * strings of a module is refused before that: most look-ups of libraries end
 * there, and words of a script that might have been types.
 */
#include "ctype/ctype_int.h"

#include "base/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEAR_NS 300000000ull /* what may be read for a name that is only like another */

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void note(struct ctype_db *db, const struct ctype_mod *m)
{
	char msg[512];
	if (db->noted || !db->opts.note || db->busy_ns < db->opts.note_ns)
		return;
	db->noted = true;
	snprintf(msg, sizeof(msg), "reading the types of %.300s (%llu MB of debug information) ...", m->pub.path,
		 (unsigned long long)(m->info_bytes >> 20));
	db->opts.note(db->opts.arg, msg);
}

/* ---- the table ---- */

static bool grow(struct ctype_mod *m)
{
	uint32_t cnt = m->bucket_cnt ? 2 * m->bucket_cnt : 1024;
	struct ctype_ent **b = calloc(cnt, sizeof(struct ctype_ent *));
	if (!b)
		return false;
	for (uint32_t i = 0; i < m->bucket_cnt; i++) {
		for (struct ctype_ent *e = m->buckets[i], *next; e; e = next) {
			struct ctype_ent **at = &b[ctype_hash(e->name) & (cnt - 1)];
			next = e->next;
			e->next = *at;
			*at = e;
		}
	}
	free(m->buckets);
	m->buckets = b;
	m->bucket_cnt = cnt;
	return true;
}

static const struct ctype_ent *look(const struct ctype_mod *m, unsigned kind, const char *name, bool inner)
{
	const struct ctype_ent *tag = NULL;
	if (!m->bucket_cnt)
		return NULL;
	for (const struct ctype_ent *e = m->buckets[ctype_hash(name) & (m->bucket_cnt - 1)]; e; e = e->next) {
		if (e->is_inner != inner || strcmp(e->name, name))
			continue;
		if (e->kind == kind)
			return e;
		if (kind == TDESC_TYPEDEF && e->is_cxx && e->kind < CTYPE_VAR)
			tag = e;
	}
	return tag;
}

struct scan {
	struct ctype_db *db;
	struct ctype_mod *m;
	bool is_cxx;
};

static void add(struct scan *s, const char *name, unsigned kind, bool inner, const Dwarf_Die *die)
{
	struct ctype_mod *m = s->m;
	if (m->ent_cnt >= m->bucket_cnt && !grow(m))
		return;
	struct ctype_ent **at = &m->buckets[ctype_hash(name) & (m->bucket_cnt - 1)];
	for (const struct ctype_ent *e = *at; e; e = e->next)
		if (e->kind == kind && e->is_inner == inner && !strcmp(e->name, name))
			return; /* the first counts */
	struct ctype_ent *e = ctype_alloc(s->db, sizeof(*e));
	if (!e)
		return;
	*e = (struct ctype_ent){ .name = name, .next = *at, .die = *die, .kind = (uint8_t)kind, .is_inner = inner,
				 .is_cxx = s->is_cxx };
	*at = e;
	m->ent_cnt++;
}

/* ---- scanning ---- */

static unsigned kind_of(unsigned tag)
{
	switch (tag) {
	case DW_TAG_structure_type: case DW_TAG_class_type: return TDESC_STRUCT;
	case DW_TAG_union_type: return TDESC_UNION;
	case DW_TAG_enumeration_type: return TDESC_ENUM;
	case DW_TAG_typedef: case DW_TAG_base_type: return TDESC_TYPEDEF;
	case DW_TAG_variable: return CTYPE_VAR;
	default: return TDESC_VOID;
	}
}

static const char *qualified(struct scan *s, const char *prefix, const char *name)
{
	size_t n = strlen(prefix) + strlen(name) + 3;
	char *q = ctype_alloc(s->db, n);
	if (q)
		snprintf(q, n, "%s::%s", prefix, name);
	return q;
}

static void scan_list(struct scan *s, Dwarf_Die *parent, const char *prefix, uint32_t depth);

static void scan_named(struct scan *s, Dwarf_Die *die, unsigned kind, const char *name, const char *prefix,
		       uint32_t depth)
{
	const char *full = prefix ? qualified(s, prefix, name) : name;
	bool is_tag = kind == TDESC_STRUCT || kind == TDESC_UNION;
	if (!full)
		return;
	add(s, full, kind, false, die);
	if (prefix)
		add(s, name, kind, true, die);
	if (is_tag && s->is_cxx)
		scan_list(s, die, full, depth + 1);
}

/* In C and C++98 their names stand beside the enum's. */
static void scan_enumerators(struct scan *s, Dwarf_Die *type, const char *prefix)
{
	Dwarf_Die die;
	if (ctype_die_flag(type, DW_AT_enum_class))
		return;
	for (int rc = dwarf_child(type, &die); !rc; rc = dwarf_siblingof(&die, &die)) {
		const char *name = dwarf_tag(&die) == DW_TAG_enumerator ? ctype_die_name(&die) : NULL;
		const char *full = name && prefix ? qualified(s, prefix, name) : name;
		if (!full)
			continue;
		add(s, full, CTYPE_ENUMERATOR, false, type);
		if (prefix)
			add(s, name, CTYPE_ENUMERATOR, true, type);
	}
}

static void scan_die(struct scan *s, Dwarf_Die *die, const char *prefix, uint32_t depth)
{
	int tag = dwarf_tag(die);
	unsigned kind = kind_of((unsigned)tag);
	if (tag == DW_TAG_namespace || tag == DW_TAG_module) {
		const char *name = ctype_die_name(die);
		/* What stands in an anonymous namespace is seen from outside as if there were none. */
		scan_list(s, die, !name ? prefix : prefix ? qualified(s, prefix, name) : name, depth + 1);
		return;
	}
	if (kind == TDESC_VOID)
		return;
	if (kind == CTYPE_VAR) {
		if (!dwarf_hasattr(die, DW_AT_location))
			return;
		/* A static member's definition has its name in the class, LTO's in another unit. */
		const char *name = dwarf_diename(die);
		if (name)
			scan_named(s, die, kind, name, prefix, depth);
		return;
	}
	const char *name = ctype_die_name(die);
	if (ctype_die_flag(die, DW_AT_declaration))
		return;
	if (kind == TDESC_ENUM)
		scan_enumerators(s, die, prefix);
	if (name)
		scan_named(s, die, kind, name, prefix, depth);
}

static void scan_list(struct scan *s, Dwarf_Die *parent, const char *prefix, uint32_t depth)
{
	Dwarf_Die die;
	if (depth > CTYPE_DEPTH_MAX || dwarf_child(parent, &die))
		return;
	do
		scan_die(s, &die, prefix, depth);
	while (!dwarf_siblingof(&die, &die));
}

/* Units that several share say nothing: they are what the first is that does. */
static int language(struct ctype_mod *m, Dwarf_Die *top)
{
	int lang = dwarf_srclang(top);
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	while (lang < 0 && !m->lang && !dwarf_get_units(m->dw[0], cu, &cu, NULL, NULL, &die, NULL))
		m->lang = dwarf_srclang(&die) < 0 ? 0 : dwarf_srclang(&die);
	return lang < 0 ? m->lang : lang;
}

static bool has_tags_as_types(int lang)
{
	return lang != DW_LANG_C && lang != DW_LANG_C89 && lang != DW_LANG_C99 && lang != DW_LANG_C11 &&
		lang != DW_LANG_Mips_Assembler;
}

/* libdw opens what such a unit names, which may be anything: not for a stranger's file. */
Dwarf_Die *ctype_split_of(const struct ctype_mod *m, Dwarf_Die *sub)
{
	return m->debuginfo.is_trusted ? sub : NULL;
}

/* One unit more; false: that was all. */
static bool scan_unit(struct ctype_db *db, struct ctype_mod *m)
{
	Dwarf_Die cu, sub;
	uint8_t type;
	if (m->dw_at >= m->dw_cnt)
		return false;
	uint64_t start = now_ns();
	sub.addr = NULL;
	if (dwarf_get_units(m->dw[m->dw_at], m->cursor, &m->cursor, NULL, &type, &cu, ctype_split_of(m, &sub))) {
		m->dw_at++;
		m->cursor = NULL;
		return true;
	}
	struct scan s = { db, m, false };
	Dwarf_Die *top = &cu;
	if (type == DW_UT_skeleton) {
		m->has_split = true;
		if (!sub.addr)
			return true;
		top = &sub;
	}
	s.is_cxx = has_tags_as_types(language(m, top));
	scan_list(&s, top, NULL, 0);
	db->busy_ns += now_ns() - start;
	note(db, m);
	return true;
}

/* ---- what cannot be there ---- */

static Elf_Data *section(Dwarf *dw, const char *want)
{
	Elf *elf = dwarf_getelf(dw);
	size_t strs;
	if (elf_getshdrstrndx(elf, &strs))
		return NULL;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		const char *s = gelf_getshdr(scn, &sh) ? elf_strptr(elf, strs, sh.sh_name) : NULL;
		if (s && !strcmp(s, want))
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

static bool holds(Dwarf *dw, const char *name)
{
	/* Short ones and those that are used once stand among the entries themselves. */
	static const char *const where[] = { ".debug_str", ".debug_info", ".debug_types" };
	for (size_t i = 0; i < ARRAY_CNT(where); i++) {
		Elf_Data *d = section(dw, where[i]);
		if (d && d->d_buf && memmem(d->d_buf, d->d_size, name, strlen(name) + 1))
			return true;
	}
	return false;
}

static bool first_is_split(Dwarf *dw)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;
	return !dwarf_get_units(dw, NULL, &cu, NULL, &type, &die, NULL) && type == DW_UT_skeleton;
}

static bool may_have(struct ctype_mod *m, const char *name)
{
	const char *last = strrchr(name, ':');
	if (m->has_split || first_is_split(m->dw[0]))
		return true;
	for (uint32_t i = 0; i < m->dw_cnt; i++)
		if (holds(m->dw[i], last ? last + 1 : name))
			return true;
	return false;
}

const struct ctype_ent *ctype_index_find(struct ctype_db *db, struct ctype_mod *m, unsigned kind, const char *name,
					 bool inner)
{
	const struct ctype_ent *e = look(m, kind, name, inner);
	if (e || m->is_scanned)
		return e;
	if (!ctype_mod_open(db, m) || !may_have(m, name))
		return NULL;
	while (!e && !m->is_scanned) {
		m->is_scanned = !scan_unit(db, m);
		e = look(m, kind, name, inner);
	}
	return e;
}

const char *ctype_index_near(struct ctype_db *db, struct ctype_mod *m, unsigned kind, const char *name, uint32_t *max)
{
	const char *best = NULL;
	while (!m->is_scanned && db->busy_ns < NEAR_NS)
		m->is_scanned = !scan_unit(db, m);
	for (uint32_t i = 0; i < m->bucket_cnt; i++)
		for (const struct ctype_ent *e = m->buckets[i]; e && *max; e = e->next) {
			uint32_t d = e->kind == kind && !e->is_inner ? near_distance(e->name, name, *max - 1) : *max;
			if (d >= *max)
				continue;
			best = e->name;
			*max = d;
		}
	return best;
}
