/* SPDX-License-Identifier: MIT */
/* The kernel's types, out of its BTF (kernel documentation, bpf/btf.rst). */
#include "ctype/ctype_int.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

void ctype_btf_deinit(struct ctype_db *db)
{
	btf__free(db->btf);
	free(db->btf_descs);
}

static bool open_btf(struct ctype_db *db)
{
	if (db->btf_tried)
		return db->btf && db->btf_descs;
	db->btf_tried = true;
	struct btf *b = btf__parse(db->opts.btf_path, NULL);
	if (libbpf_get_error(b))
		return false;
	db->btf = b;
	db->btf_cnt = btf__type_cnt(b);
	db->btf_descs = calloc(db->btf_cnt, sizeof(struct ctype_desc *));
	return db->btf_descs != NULL;
}

static const char *name_at(const struct ctype_db *db, uint32_t off)
{
	const char *s = btf__name_by_offset(db->btf, off);
	return s && *s ? s : NULL;
}

/* Past const and its like; 0 is void. */
static uint32_t strip(const struct ctype_db *db, uint32_t id)
{
	for (uint32_t n = 0; n < CTYPE_DEPTH_MAX; n++) {
		const struct btf_type *t = btf__type_by_id(db->btf, id);
		if (!t || !(btf_is_mod(t) || btf_is_type_tag(t)))
			return t ? id : 0;
		id = t->type;
	}
	return 0;
}

static enum tdesc_kind kind_of(const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT: return TDESC_INT;
	case BTF_KIND_FLOAT: return TDESC_FLOAT;
	case BTF_KIND_PTR: return TDESC_PTR;
	case BTF_KIND_ARRAY: return TDESC_ARRAY;
	case BTF_KIND_STRUCT: return TDESC_STRUCT;
	case BTF_KIND_UNION: return TDESC_UNION;
	case BTF_KIND_FWD: return btf_kflag(t) ? TDESC_UNION : TDESC_STRUCT;
	case BTF_KIND_ENUM: case BTF_KIND_ENUM64: return TDESC_ENUM;
	case BTF_KIND_TYPEDEF: return TDESC_TYPEDEF;
	case BTF_KIND_FUNC_PROTO: return TDESC_FUNC;
	default: return TDESC_VOID;
	}
}

static const struct tdesc *of_id(struct ctype_db *db, uint32_t id, uint32_t depth);

static void fill(struct ctype_db *db, struct tdesc *d, const struct btf_type *t, uint32_t depth)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		d->is_signed = btf_int_encoding(t) & BTF_INT_SIGNED;
		d->is_bool = btf_int_encoding(t) & BTF_INT_BOOL;
		d->is_char = btf_int_encoding(t) & BTF_INT_CHAR || (d->name && !strcmp(d->name, "char"));
		break;
	case BTF_KIND_PTR:
		d->bytes = 8;
		d->base = of_id(db, t->type, depth + 1);
		return;
	case BTF_KIND_ARRAY:
		d->cnt = btf_array(t)->nelems;
		d->base = of_id(db, btf_array(t)->type, depth + 1);
		d->bytes = d->cnt * d->base->bytes;
		return;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_FUNC_PROTO:
		d->base = of_id(db, t->type, depth + 1);
		d->bytes = d->kind == TDESC_TYPEDEF ? d->base->bytes : 0;
		return;
	case BTF_KIND_FWD:
		d->is_decl = true;
		return;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		d->is_signed = true;
		break;
	default:
		break;
	}
	d->bytes = t->size;
}

static const struct tdesc *of_id(struct ctype_db *db, uint32_t id, uint32_t depth)
{
	id = strip(db, id);
	const struct btf_type *t = id ? btf__type_by_id(db->btf, id) : NULL;
	if (!t || kind_of(t) == TDESC_VOID || depth > CTYPE_DEPTH_MAX)
		return db->void_;
	struct ctype_desc *d = db->btf_descs[id];
	if (d)
		return d->is_making ? db->void_ : &d->t;
	d = ctype_desc_new(db, kind_of(t), name_at(db, t->name_off));
	if (!d)
		return db->void_;
	db->btf_descs[id] = d;
	d->btf_id = id;
	d->is_making = true;
	fill(db, &d->t, t, depth);
	d->is_making = false;
	d->t.loaded = d->t.kind < TDESC_STRUCT || d->t.kind == TDESC_TYPEDEF || d->t.is_decl;
	return &d->t;
}

static void load_members(struct ctype_db *db, struct ctype_desc *d, const struct btf_type *t)
{
	uint32_t cnt = btf_vlen(t);
	struct tdesc_member *v = ctype_alloc(db, cnt * sizeof(*v));
	for (uint32_t i = 0; v && i < cnt; i++)
		v[i] = (struct tdesc_member){ .name = name_at(db, btf_members(t)[i].name_off),
					      .type = of_id(db, btf_members(t)[i].type, 0),
					      .bit_off = btf_member_bit_offset(t, i),
					      .bits = btf_member_bitfield_size(t, i) };
	d->t.members = v;
	d->t.part_cnt = v ? cnt : 0;
}

static void load_enumerators(struct ctype_db *db, struct ctype_desc *d, const struct btf_type *t)
{
	uint32_t cnt = btf_vlen(t);
	bool wide = btf_kind(t) == BTF_KIND_ENUM64;
	struct tdesc_enumerator *v = ctype_alloc(db, cnt * sizeof(*v));
	for (uint32_t i = 0; v && i < cnt; i++)
		v[i] = wide ? (struct tdesc_enumerator){ name_at(db, btf_enum64(t)[i].name_off),
							 (int64_t)btf_enum64_value(&btf_enum64(t)[i]) } :
			      (struct tdesc_enumerator){ name_at(db, btf_enum(t)[i].name_off), btf_enum(t)[i].val };
	d->t.enumerators = v;
	d->t.part_cnt = v ? cnt : 0;
}

static void load_params(struct ctype_db *db, struct ctype_desc *d, const struct btf_type *t)
{
	uint32_t cnt = btf_vlen(t);
	struct tdesc_param *v = ctype_alloc(db, cnt * sizeof(*v));
	for (uint32_t i = 0; v && i < cnt; i++)
		v[i] = (struct tdesc_param){ .name = name_at(db, btf_params(t)[i].name_off),
					     .type = of_id(db, btf_params(t)[i].type, 0), .slot = i };
	d->t.params = v;
	d->t.part_cnt = v ? cnt : 0;
}

void ctype_btf_load(struct ctype_db *db, struct ctype_desc *d)
{
	const struct btf_type *t = btf__type_by_id(db->btf, d->btf_id);
	if (d->t.kind == TDESC_ENUM)
		load_enumerators(db, d, t);
	else if (d->t.kind == TDESC_FUNC)
		load_params(db, d, t);
	else
		load_members(db, d, t);
}

const struct tdesc *ctype_btf_find(struct ctype_db *db, enum tdesc_kind kind, const char *name)
{
	static const uint32_t kinds[][2] = {
		[TDESC_STRUCT] = { BTF_KIND_STRUCT }, [TDESC_UNION] = { BTF_KIND_UNION },
		[TDESC_ENUM] = { BTF_KIND_ENUM, BTF_KIND_ENUM64 }, [TDESC_TYPEDEF] = { BTF_KIND_TYPEDEF, BTF_KIND_INT },
		[TDESC_FUNC] = { BTF_KIND_FUNC },
	};
	if (!open_btf(db) || kind >= ARRAY_CNT(kinds))
		return NULL;
	for (int i = 0; i < 2 && kinds[kind][i]; i++) {
		int32_t id = btf__find_by_name_kind(db->btf, name, kinds[kind][i]);
		const struct btf_type *t = id > 0 ? btf__type_by_id(db->btf, (uint32_t)id) : NULL;
		if (t)
			return of_id(db, kind == TDESC_FUNC ? t->type : (uint32_t)id, 0);
	}
	return NULL;
}
