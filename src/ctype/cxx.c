/* SPDX-License-Identifier: MIT */
/*
 * Which classes the C++ ABI passes and returns as the address of a copy: those
 * that are not trivial for the purposes of calls (Itanium C++ ABI, section 1.1): a
 * copy or move constructor or the destructor does something, here or in a base
 * or member. Some compilers write the answer down; else the class's own
 * functions tell.
 */
#include "ctype/ctype_int.h"

#include <string.h>

static uint64_t attr_number(Dwarf_Die *die, unsigned name, uint64_t otherwise)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	return dwarf_attr(die, name, &a) && !dwarf_formudata(&a, &v) ? v : otherwise;
}

static bool is_defaulted(Dwarf_Die *fn)
{
	return ctype_die_flag(fn, DW_AT_artificial) || attr_number(fn, DW_AT_defaulted, 0) == DW_DEFAULTED_in_class;
}

/* X(const X &) or X(X &&): behind this comes a reference to the class. */
static bool copies(Dwarf_Die *fn, const Dwarf_Die *class)
{
	Dwarf_Die p, t;
	Dwarf_Attribute a;
	uint32_t i = 0;
	for (int rc = dwarf_child(fn, &p); !rc; rc = dwarf_siblingof(&p, &p)) {
		if (dwarf_tag(&p) != DW_TAG_formal_parameter || i++ != 1)
			continue;
		if (!dwarf_attr(&p, DW_AT_type, &a) || !dwarf_formref_die(&a, &t))
			return false;
		int tag = dwarf_tag(&t);
		if (tag != DW_TAG_reference_type && tag != DW_TAG_rvalue_reference_type)
			return false;
		for (uint32_t n = 0; n < 8 && dwarf_attr(&t, DW_AT_type, &a) && dwarf_formref_die(&a, &t); n++)
			if (t.addr == class->addr)
				return true;
		return false;
	}
	return false;
}

/* vector of vector<int> */
static bool is_constructor(const char *name, const char *class)
{
	size_t n = strlen(name);
	return !strncmp(name, class, n) && (!class[n] || class[n] == '<');
}

static bool function_counts(Dwarf_Die *fn, Dwarf_Die *class, const char *class_name)
{
	const char *name = ctype_die_name(fn);
	if (attr_number(fn, DW_AT_virtuality, 0))
		return true;
	if (!name || is_defaulted(fn))
		return false;
	return name[0] == '~' || (class_name && is_constructor(name, class_name) && copies(fn, class));
}

static bool functions_say(struct ctype_desc *d)
{
	Dwarf_Die die;
	for (int rc = dwarf_child(&d->die, &die); !rc; rc = dwarf_siblingof(&die, &die))
		if (dwarf_tag(&die) == DW_TAG_subprogram && function_counts(&die, &d->die, d->t.name))
			return true;
	return false;
}

static bool parts_say(struct ctype_db *db, const struct tdesc *t)
{
	ctype_load(db, t);
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		const struct tdesc *m = tdesc_resolve(t->members[i].type);
		while (m && m->kind == TDESC_ARRAY)
			m = tdesc_resolve(m->base);
		if (m && (m->kind == TDESC_STRUCT || m->kind == TDESC_UNION) && ctype_by_ref(db, m))
			return true;
	}
	return false;
}

bool ctype_by_ref(struct ctype_db *db, const struct tdesc *t)
{
	struct ctype_desc *d = (struct ctype_desc *)(uintptr_t)t;
	if (d->by != BY_UNKNOWN || d->btf_id || !d->die.addr)
		return d->by == BY_REF;
	d->by = BY_VALUE; /* what holds itself does not lead back here */
	ctype_load(db, t);
	switch (attr_number(&d->die, DW_AT_calling_convention, 0)) {
	case DW_CC_pass_by_reference: d->by = BY_REF; break;
	case DW_CC_pass_by_value: break;
	default: d->by = functions_say(d) || parts_say(db, t) ? BY_REF : BY_VALUE;
	}
	return d->by == BY_REF;
}
