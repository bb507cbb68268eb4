/* SPDX-License-Identifier: MIT */
/* Entries of debug information to descriptions (DWARF 5, chapter 5). */
#include "ctype/ctype_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- small questions ---- */

const char *ctype_die_name(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	return dwarf_attr(die, DW_AT_name, &a) ? dwarf_formstring(&a) : NULL;
}

bool ctype_die_flag(Dwarf_Die *die, unsigned attr)
{
	Dwarf_Attribute a;
	bool on = false;
	return dwarf_attr(die, attr, &a) && !dwarf_formflag(&a, &on) && on;
}

static uint64_t number(Dwarf_Die *die, unsigned attr, uint64_t otherwise)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	return dwarf_attr_integrate(die, attr, &a) && !dwarf_formudata(&a, &v) ? v : otherwise;
}

static bool is_qualifier(int tag)
{
	return tag == DW_TAG_const_type || tag == DW_TAG_volatile_type || tag == DW_TAG_restrict_type ||
		tag == DW_TAG_atomic_type || tag == DW_TAG_packed_type || tag == DW_TAG_immutable_type ||
		tag == DW_TAG_shared_type;
}

static bool type_of(Dwarf_Die *of, Dwarf_Die *ret)
{
	Dwarf_Attribute a;
	return dwarf_attr_integrate(of, DW_AT_type, &a) && dwarf_formref_die(&a, ret);
}

/* ---- what was made already ---- */

static uint32_t key_hash(const void *key)
{
	return (uint32_t)(((uintptr_t)key * 0x9e3779b97f4a7c15ULL) >> 36);
}

static struct ctype_desc *known(const struct ctype_db *db, const void *key)
{
	if (!db->desc_buckets)
		return NULL;
	for (struct ctype_desc *d = db->descs[key_hash(key) & (db->desc_buckets - 1)]; d; d = d->next)
		if (d->key == key)
			return d;
	return NULL;
}

static bool grow(struct ctype_db *db)
{
	uint32_t cnt = db->desc_buckets ? 2 * db->desc_buckets : 256;
	struct ctype_desc **b = calloc(cnt, sizeof(struct ctype_desc *));
	if (!b)
		return false;
	for (uint32_t i = 0; i < db->desc_buckets; i++) {
		for (struct ctype_desc *d = db->descs[i], *next; d; d = next) {
			struct ctype_desc **at = &b[key_hash(d->key) & (cnt - 1)];
			next = d->next;
			d->next = *at;
			*at = d;
		}
	}
	free(db->descs);
	db->descs = b;
	db->desc_buckets = cnt;
	return true;
}

struct ctype_desc *ctype_desc_new(struct ctype_db *db, enum tdesc_kind kind, const char *name)
{
	struct ctype_desc *d = ctype_alloc(db, sizeof(*d));
	if (!d)
		return NULL;
	d->t.kind = kind;
	d->t.name = name;
	return d;
}

static struct ctype_desc *remember(struct ctype_db *db, const void *key, enum tdesc_kind kind, const char *name)
{
	struct ctype_desc *d = ctype_desc_new(db, kind, name);
	if (!d || (db->desc_cnt >= db->desc_buckets && !grow(db)))
		return NULL;
	struct ctype_desc **at = &db->descs[key_hash(key) & (db->desc_buckets - 1)];
	d->key = key;
	d->next = *at;
	*at = d;
	db->desc_cnt++;
	return d;
}

/* ---- making ---- */

static enum tdesc_kind kind_of(int tag)
{
	switch (tag) {
	case DW_TAG_base_type: return TDESC_INT;
	case DW_TAG_pointer_type: case DW_TAG_reference_type: case DW_TAG_rvalue_reference_type: return TDESC_PTR;
	case DW_TAG_array_type: return TDESC_ARRAY;
	case DW_TAG_structure_type: case DW_TAG_class_type: case DW_TAG_interface_type: return TDESC_STRUCT;
	case DW_TAG_union_type: return TDESC_UNION;
	case DW_TAG_enumeration_type: return TDESC_ENUM;
	case DW_TAG_typedef: return TDESC_TYPEDEF;
	case DW_TAG_subroutine_type: case DW_TAG_subprogram: return TDESC_FUNC;
	case DW_TAG_ptr_to_member_type: return TDESC_INT;
	default: return TDESC_VOID;
	}
}

static void base_type(struct tdesc *t, Dwarf_Die *die)
{
	switch (number(die, DW_AT_encoding, DW_ATE_signed)) {
	case DW_ATE_boolean: t->is_bool = true; break;
	case DW_ATE_signed_char: t->is_char = t->is_signed = true; break;
	case DW_ATE_unsigned_char: case DW_ATE_UTF: t->is_char = true; break;
	case DW_ATE_signed: case DW_ATE_signed_fixed: t->is_signed = true; break;
	case DW_ATE_float: case DW_ATE_complex_float: case DW_ATE_imaginary_float: case DW_ATE_decimal_float:
		t->kind = TDESC_FLOAT;
		break;
	default: break;
	}
}

/* A subrange's length; 0: none is known. */
static uint64_t length(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	if (dwarf_attr(die, DW_AT_count, &a) && !dwarf_formudata(&a, &v))
		return v;
	if (dwarf_attr(die, DW_AT_upper_bound, &a) && !dwarf_formudata(&a, &v))
		return v + 1 < 1ULL << 40 ? v + 1 - number(die, DW_AT_lower_bound, 0) : 0;
	return 0;
}

/* int a[2][3] is one entry with two subranges: an array of arrays here. */
static void array(struct ctype_db *db, struct ctype_desc *d, Dwarf_Die *die)
{
	uint64_t dims[16];
	uint32_t cnt = 0;
	Dwarf_Die sub;
	for (int rc = dwarf_child(die, &sub); !rc && cnt < ARRAY_CNT(dims); rc = dwarf_siblingof(&sub, &sub))
		if (dwarf_tag(&sub) == DW_TAG_subrange_type || dwarf_tag(&sub) == DW_TAG_enumeration_type)
			dims[cnt++] = length(&sub);
	if (!cnt)
		dims[cnt++] = 0;
	while (cnt > 1) {
		struct ctype_desc *in = ctype_desc_new(db, TDESC_ARRAY, NULL);
		if (!in)
			return;
		in->t.cnt = dims[--cnt];
		in->t.base = d->t.base;
		in->t.bytes = in->t.base ? in->t.base->bytes * in->t.cnt : 0;
		in->t.loaded = true;
		d->t.base = &in->t;
	}
	d->t.cnt = dims[0];
	d->t.bytes = d->t.base ? d->t.base->bytes * d->t.cnt : 0;
}

static void fill(struct ctype_db *db, struct ctype_desc *d, Dwarf_Die *die, uint32_t depth)
{
	struct tdesc *t = &d->t;
	t->bytes = number(die, DW_AT_byte_size, 0);
	t->is_decl = ctype_die_flag(die, DW_AT_declaration);
	d->is_making = true;
	switch (t->kind) {
	case TDESC_INT:
		if (dwarf_tag(die) == DW_TAG_base_type)
			base_type(t, die);
		else if (!t->bytes)
			t->bytes = 8;
		break;
	case TDESC_PTR:
		t->is_ref = dwarf_tag(die) != DW_TAG_pointer_type;
		t->bytes = t->bytes ? t->bytes : 8;
		t->base = ctype_of_attr(db, d->mod, die, depth + 1);
		break;
	case TDESC_ARRAY:
		t->base = ctype_of_attr(db, d->mod, die, depth + 1);
		array(db, d, die);
		break;
	case TDESC_TYPEDEF:
		t->base = ctype_of_attr(db, d->mod, die, depth + 1);
		t->bytes = t->base->bytes;
		break;
	case TDESC_FUNC:
		t->base = ctype_of_attr(db, d->mod, die, depth + 1);
		break;
	case TDESC_ENUM: {
		const struct tdesc *under = ctype_of_attr(db, d->mod, die, depth + 1);
		t->is_signed = under->kind == TDESC_VOID || tdesc_resolve(under)->is_signed;
		t->bytes = t->bytes ? t->bytes : under->bytes ? under->bytes : 4;
		break;
	}
	default:
		break;
	}
	d->is_making = false;
	t->loaded = t->kind < TDESC_STRUCT || t->kind == TDESC_TYPEDEF;
}

/* A declaration can name the type unit that defines it. */
static void follow(Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Die to;
	for (int n = 0; n < CTYPE_DEPTH_MAX && is_qualifier(dwarf_tag(die)); n++) {
		if (!type_of(die, &to)) {
			die->addr = NULL; /* const void */
			return;
		}
		*die = to;
	}
	if (dwarf_attr(die, DW_AT_signature, &a) && dwarf_formref_die(&a, &to))
		*die = to;
}

const struct tdesc *ctype_of_die(struct ctype_db *db, struct ctype_mod *m, Dwarf_Die *of, uint32_t depth)
{
	Dwarf_Die die = *of;
	follow(&die);
	enum tdesc_kind kind = die.addr ? kind_of(dwarf_tag(&die)) : TDESC_VOID;
	if (kind == TDESC_VOID || depth > CTYPE_DEPTH_MAX)
		return db->void_;
	struct ctype_desc *d = known(db, die.addr);
	if (d)
		return d->is_making ? db->void_ : &d->t;
	d = remember(db, die.addr, kind, ctype_die_name(&die));
	if (!d)
		return db->void_;
	d->mod = m;
	d->die = die;
	fill(db, d, &die, depth);
	return &d->t;
}

const struct tdesc *ctype_of_attr(struct ctype_db *db, struct ctype_mod *m, Dwarf_Die *of, uint32_t depth)
{
	Dwarf_Die die;
	return type_of(of, &die) ? ctype_of_die(db, m, &die, depth) : db->void_;
}

/* ---- parts ---- */

/* Bytes from the start; false: it is not at a fixed place (a virtual base). */
static bool member_off(Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	Dwarf_Op *ops;
	size_t cnt;
	*ret = 0;
	if (!dwarf_attr(die, DW_AT_data_member_location, &a))
		return true;
	if (!dwarf_formudata(&a, &v)) {
		*ret = v;
		return true;
	}
	if (dwarf_getlocation(&a, &ops, &cnt) || cnt != 1 ||
	    (ops[0].atom != DW_OP_plus_uconst && ops[0].atom != DW_OP_constu))
		return false;
	*ret = ops[0].number;
	return true;
}

/* DWARF 2 counts a bit-field's bits from the other end of its storage. */
static uint64_t bit_off(Dwarf_Die *die, uint64_t off, const struct tdesc_member *m)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	if (dwarf_attr(die, DW_AT_data_bit_offset, &a) && !dwarf_formudata(&a, &v))
		return v;
	if (!m->bits || !dwarf_attr(die, DW_AT_bit_offset, &a) || dwarf_formudata(&a, &v))
		return off * 8;
	return off * 8 + 8 * number(die, DW_AT_byte_size, m->type->bytes) - v - m->bits;
}

static bool member(struct ctype_db *db, struct ctype_desc *d, Dwarf_Die *die, struct tdesc_member *ret)
{
	int tag = dwarf_tag(die);
	uint64_t off;
	if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) || ctype_die_flag(die, DW_AT_declaration) ||
	    ctype_die_flag(die, DW_AT_external) || !member_off(die, &off))
		return false;
	*ret = (struct tdesc_member){ .type = ctype_of_attr(db, d->mod, die, 0), .is_base = tag == DW_TAG_inheritance };
	ret->name = ret->is_base ? NULL : ctype_die_name(die);
	ret->bits = (uint32_t)number(die, DW_AT_bit_size, 0);
	ret->bit_off = bit_off(die, off, ret);
	return ret->type->kind != TDESC_VOID;
}

static void load_members(struct ctype_db *db, struct ctype_desc *d)
{
	struct tdesc_member one, *v;
	uint32_t cnt = 0, i = 0;
	Dwarf_Die die;
	for (int rc = dwarf_child(&d->die, &die); !rc; rc = dwarf_siblingof(&die, &die))
		cnt++;
	v = ctype_alloc(db, cnt * sizeof(*v));
	for (int rc = dwarf_child(&d->die, &die); v && !rc && i < cnt; rc = dwarf_siblingof(&die, &die))
		if (member(db, d, &die, &one))
			v[i++] = one;
	d->t.members = v;
	d->t.part_cnt = i;
}

/* Small forms are signed or not as the enum is. */
static int64_t enumerator_value(Dwarf_Die *die, const struct tdesc *t)
{
	Dwarf_Attribute a;
	Dwarf_Word u;
	Dwarf_Sword s;
	if (!dwarf_attr(die, DW_AT_const_value, &a))
		return 0;
	if (!t->is_signed || dwarf_whatform(&a) == DW_FORM_udata)
		return dwarf_formudata(&a, &u) ? 0 : (int64_t)u;
	return dwarf_formsdata(&a, &s) ? 0 : s;
}

static void load_enumerators(struct ctype_db *db, struct ctype_desc *d)
{
	struct tdesc_enumerator *v;
	uint32_t cnt = 0, i = 0;
	Dwarf_Die die;
	for (int rc = dwarf_child(&d->die, &die); !rc; rc = dwarf_siblingof(&die, &die))
		cnt++;
	v = ctype_alloc(db, cnt * sizeof(*v));
	for (int rc = dwarf_child(&d->die, &die); v && !rc && i < cnt; rc = dwarf_siblingof(&die, &die)) {
		const char *name = ctype_die_name(&die);
		if (dwarf_tag(&die) == DW_TAG_enumerator && name)
			v[i++] = (struct tdesc_enumerator){ name, enumerator_value(&die, &d->t) };
	}
	d->t.enumerators = v;
	d->t.part_cnt = i;
}

void ctype_load_die(struct ctype_db *db, struct ctype_desc *d)
{
	if (d->t.kind == TDESC_ENUM)
		load_enumerators(db, d);
	else if (d->t.kind == TDESC_STRUCT || d->t.kind == TDESC_UNION)
		load_members(db, d);
}
