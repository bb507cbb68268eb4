/* SPDX-License-Identifier: MIT */
/* C's types as the x86-64 ABI lays them out, or with -32 those of 32 bits, each aligned to its size; and D's own. */
#include "d/d_int.h"

struct d_type *d_type_new(struct d_compiler *c, enum d_type_kind kind, const char *name, uint32_t size)
{
	struct d_type *t = d_alloc(c, sizeof(*t));
	t->kind = kind;
	t->name = name;
	t->size = size;
	t->align = size ? size : 1;
	return t;
}

static struct d_type *basic(struct d_compiler *c, const char *name, uint32_t size, bool is_signed, uint8_t rank)
{
	struct d_type *t = d_type_new(c, rank ? D_T_INT : D_T_FLOAT, name, size);
	t->is_signed = is_signed;
	t->rank = rank;
	return t;
}

struct d_type *d_type_typedef(struct d_compiler *c, const char *name, struct d_type *base)
{
	struct d_type *t = d_type_new(c, D_T_TYPEDEF, name, base->size);
	t->align = base->align;
	t->base = base;
	t->height = (uint8_t)(base->height + 1);
	d_map_put(c, &c->typedefs, name, t);
	return t;
}

static void add_typedefs(struct d_compiler *c)
{
	const struct d_basics *b = &c->t;
	const struct {
		const char *name;
		struct d_type *base;
	} defs[] = {
		{ "int8_t", b->schar }, { "int16_t", b->short_ }, { "int32_t", b->int_ }, { "int64_t", b->long_ },
		{ "uint8_t", b->uchar }, { "uint16_t", b->ushort }, { "uint32_t", b->uint }, { "uint64_t", b->ulong },
		{ "intptr_t", b->wlong }, { "uintptr_t", b->wulong }, { "size_t", b->wulong }, { "ssize_t", b->wlong },
		{ "ptrdiff_t", b->wlong }, { "off_t", b->wlong }, { "time_t", b->wlong }, { "hrtime_t", b->llong },
		{ "uchar_t", b->uchar }, { "ushort_t", b->ushort }, { "uint_t", b->uint }, { "ulong_t", b->wulong },
		{ "u_char", b->uchar }, { "u_short", b->ushort }, { "u_int", b->uint }, { "u_long", b->wulong },
		{ "longlong_t", b->llong }, { "u_longlong_t", b->ullong }, { "pid_t", b->int_ }, { "id_t", b->int_ },
		{ "uid_t", b->uint }, { "gid_t", b->uint }, { "mode_t", b->uint }, { "dev_t", b->uint },
		{ "processorid_t", b->int_ }, { "caddr_t", d_type_ptr(c, b->char_) }, { "bool", b->bool_ },
		{ "uint", b->uint }, { "ushort", b->ushort }, { "ulong", b->wulong }, { "__u8", b->uchar },
		{ "__u16", b->ushort }, { "__u32", b->uint }, { "__u64", b->ullong }, { "__s8", b->schar },
		{ "__s16", b->short_ }, { "__s32", b->int_ }, { "__s64", b->llong },
	};
	for (size_t i = 0; i < ARRAY_CNT(defs); i++)
		d_type_typedef(c, d_intern(c, defs[i].name, strlen(defs[i].name)), defs[i].base)->is_weak = true;
}

void d_types_init(struct d_compiler *c)
{
	struct d_basics *b = &c->t;
	b->err = d_type_new(c, D_T_ERR, "<unknown>", 8);
	b->void_ = d_type_new(c, D_T_VOID, "void", 0);
	b->char_ = basic(c, "char", 1, true, 1);
	b->schar = basic(c, "signed char", 1, true, 1);
	b->uchar = basic(c, "unsigned char", 1, false, 1);
	b->short_ = basic(c, "short", 2, true, 2);
	b->ushort = basic(c, "unsigned short", 2, false, 2);
	b->int_ = basic(c, "int", 4, true, 3);
	b->uint = basic(c, "unsigned int", 4, false, 3);
	b->wlong = basic(c, "long", c->opts.is_32 ? 4 : 8, true, 4);
	b->wulong = basic(c, "unsigned long", c->opts.is_32 ? 4 : 8, false, 4);
	b->llong = basic(c, "long long", 8, true, 5);
	b->ullong = basic(c, "unsigned long long", 8, false, 5);
	b->long_ = c->opts.is_32 ? b->llong : b->wlong;
	b->ulong = c->opts.is_32 ? b->ullong : b->wulong;
	b->bool_ = basic(c, "_Bool", 1, false, 1);
	b->bool_->is_bool = true;
	b->float_ = basic(c, "float", 4, true, 0);
	b->double_ = basic(c, "double", 8, true, 0);
	b->ldouble = basic(c, "long double", 16, true, 0);
	b->string = d_type_new(c, D_T_STRING, "string", 8); /* its size comes with the option strsize */
	b->stack = d_type_new(c, D_T_STACK, "stack", 0);
	b->usym = d_type_new(c, D_T_USYM, "_usymaddr", 8);
	b->ksym = d_type_new(c, D_T_USYM, "_symaddr", 8);
	b->agg = d_type_new(c, D_T_AGG, "aggregation", 0);
	add_typedefs(c);
}

struct d_type *d_type_ptr(struct d_compiler *c, struct d_type *base)
{
	if (base->ptr)
		return base->ptr;
	struct d_type *t = d_type_new(c, D_T_PTR, NULL, c->opts.is_32 ? 4 : 8);
	t->base = base;
	t->height = base->height == UINT8_MAX ? UINT8_MAX : (uint8_t)(base->height + 1);
	return base->ptr = t;
}

struct d_type *d_type_array(struct d_compiler *c, struct d_type *base, uint64_t cnt)
{
	struct d_type *t = d_type_new(c, D_T_ARRAY, NULL, 0);
	t->base = base;
	t->cnt = cnt;
	t->size = (uint32_t)(base->size * cnt);
	t->align = base->align;
	t->height = base->height == UINT8_MAX ? UINT8_MAX : (uint8_t)(base->height + 1);
	return t;
}

struct d_type *d_resolve(struct d_type *t)
{
	while (t->kind == D_T_TYPEDEF)
		t = t->base;
	return t;
}

static const char *sou_str(struct d_compiler *c, const struct d_type *t)
{
	const char *what = t->kind == D_T_STRUCT ? "struct" : t->kind == D_T_UNION ? "union" : "enum";
	return d_fmt(c, "%s %s", what, t->name ? t->name : "(anonymous)");
}

/* int [2][3]: the outer size first. */
static const char *array_str(struct d_compiler *c, const struct d_type *t)
{
	const char *dims = "";
	for (; t->kind == D_T_ARRAY; t = t->base)
		dims = d_fmt(c, "%s[%llu]", dims, (unsigned long long)t->cnt);
	return d_fmt(c, "%s %s", d_type_str(c, t), dims);
}

const char *d_type_str(struct d_compiler *c, const struct d_type *t)
{
	switch (t->kind) {
	case D_T_PTR: {
		const char *base = d_type_str(c, t->base);
		return d_fmt(c, base[strlen(base) - 1] == '*' ? "%s*" : "%s *", base);
	}
	case D_T_ARRAY:
		return array_str(c, t);
	case D_T_FUNC:
		return d_fmt(c, "%s ()", d_type_str(c, t->base));
	case D_T_STRUCT: case D_T_UNION: case D_T_ENUM:
		return sou_str(c, t);
	default:
		return t->name;
	}
}

bool d_type_same(struct d_type *a, struct d_type *b)
{
	a = d_resolve(a);
	b = d_resolve(b);
	while (a->kind == b->kind && (a->kind == D_T_PTR || a->kind == D_T_ARRAY)) {
		if (a->kind == D_T_ARRAY && a->cnt != b->cnt)
			return false;
		a = d_resolve(a->base);
		b = d_resolve(b->base);
	}
	if (a->kind == D_T_INT && b->kind == D_T_INT) /* long and long long are one to a tracer */
		return a->size == b->size && a->is_signed == b->is_signed;
	return a == b || d_ext_same(a, b);
}

bool d_is_int(struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_INT || t->kind == D_T_ENUM;
}

/* An enum is an int, but for small ones that a traced program may have. */
bool d_is_signed(const struct d_type *t)
{
	return t->kind == D_T_ENUM ? t->size >= 4 || t->is_signed : t->kind == D_T_INT && t->is_signed;
}

bool d_is_ptr(struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_PTR || t->kind == D_T_ARRAY;
}

bool d_is_scalar(struct d_type *t)
{
	return d_is_int(t) || d_resolve(t)->kind == D_T_PTR;
}

bool d_is_string(struct d_type *t)
{
	return d_resolve(t)->kind == D_T_STRING;
}

struct d_type *d_pointee(struct d_type *t)
{
	return d_is_ptr(t) ? d_resolve(t)->base : NULL;
}

bool d_is_charptr(struct d_type *t)
{
	struct d_type *base = d_pointee(t);
	base = base ? d_resolve(base) : NULL;
	return base && base->kind == D_T_INT && base->size == 1 && !base->is_bool;
}

bool d_is_strlike(struct d_type *t)
{
	return d_is_string(t) || d_is_charptr(t);
}

bool d_is_sou(struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_STRUCT || t->kind == D_T_UNION;
}

struct d_type *d_promote(struct d_compiler *c, struct d_type *t)
{
	struct d_type *r = d_resolve(t);
	if (r->kind == D_T_ENUM || (r->kind == D_T_INT && r->rank < 3))
		return c->t.int_;
	return t;
}

struct d_type *d_usual(struct d_compiler *c, struct d_type *a, struct d_type *b)
{
	a = d_promote(c, a);
	b = d_promote(c, b);
	struct d_type *ra = d_resolve(a), *rb = d_resolve(b);
	if (ra->kind != D_T_INT || rb->kind != D_T_INT)
		return ra->kind == D_T_INT ? b : a;
	if (ra->is_signed == rb->is_signed)
		return ra->rank >= rb->rank ? a : b;
	struct d_type *u = ra->is_signed ? b : a, *s = ra->is_signed ? a : b;
	if (d_resolve(u)->rank >= d_resolve(s)->rank)
		return u;
	if (d_resolve(s)->size > d_resolve(u)->size)
		return s;
	return d_resolve(s)->rank == 5 ? c->t.ullong : c->t.wulong;
}

/* DTrace promotes neither operand: the larger type wins, and the unsigned one of two that are as large. */
struct d_type *d_rank(struct d_compiler *c, struct d_type *a, struct d_type *b)
{
	struct d_type *ra = d_resolve(a), *rb = d_resolve(b);
	if (ra->kind == D_T_ENUM)
		a = ra = c->t.int_;
	if (rb->kind == D_T_ENUM)
		b = rb = c->t.int_;
	uint32_t x = ra->size * 8 + !ra->is_signed, y = rb->size * 8 + !rb->is_signed;
	if (x != y)
		return x > y ? a : b;
	return ra->rank >= rb->rank ? a : b;
}

/* A variable's own pointer is an address of the tool's memory as well, which 4 bytes do not hold. */
uint32_t d_var_bytes(struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_PTR ? 8 : t->size;
}

bool d_is_whole(struct d_type *t)
{
	t = d_resolve(t);
	return t->kind == D_T_ARRAY || t->kind == D_T_FLOAT || d_is_sou(t);
}

int64_t d_convert(struct d_type *from, struct d_type *to, int64_t v)
{
	from = d_resolve(from);
	to = d_resolve(to);
	if (from->kind != D_T_INT || to->kind != D_T_INT || to->is_bool)
		return d_canon(to, v);
	bool same = from->size == to->size && from->is_signed == to->is_signed;
	return same || (from->size < to->size && (!from->is_signed || to->is_signed)) ? v : d_canon(to, v);
}

int64_t d_canon(struct d_type *t, int64_t v)
{
	t = d_resolve(t);
	if ((t->kind != D_T_INT && t->kind != D_T_ENUM) || t->size >= 8)
		return v;
	if (t->is_bool)
		return v != 0;
	unsigned drop = 64 - t->size * 8;
	uint64_t u = (uint64_t)v << drop;
	return d_is_signed(t) ? (int64_t)u >> drop : (int64_t)(u >> drop);
}

/* ---- structures ---- */

struct sou_state {
	uint64_t bit; /* where the next member may begin */
	uint32_t align;
	uint64_t max_bytes;
};

static void place_bits(struct sou_state *s, struct d_member *m)
{
	uint64_t unit = m->type->size * 8ul;
	if (s->bit / unit != (s->bit + m->bits - 1) / unit)
		s->bit = align_up(s->bit, unit);
	m->off = (uint32_t)(s->bit / unit * m->type->size);
	m->bit_off = (uint32_t)(s->bit % unit);
	s->bit += m->bits;
}

static void place_member(struct sou_state *s, struct d_member *m, bool is_union)
{
	uint32_t align = m->type->align ? m->type->align : 1;
	if (is_union)
		s->bit = 0;
	if (m->bits) {
		place_bits(s, m);
	} else {
		s->bit = align_up(s->bit, align * 8ul);
		m->off = (uint32_t)(s->bit / 8);
		s->bit += m->type->size * 8ul;
	}
	if (align > s->align)
		s->align = align;
	if ((s->bit + 7) / 8 > s->max_bytes)
		s->max_bytes = (s->bit + 7) / 8;
}

void d_layout_sou(struct d_type *t)
{
	struct sou_state s = { .align = 1 };
	for (struct d_member *m = t->members; m; m = m->next)
		place_member(&s, m, t->kind == D_T_UNION);
	t->align = s.align;
	uint64_t size = align_up(s.max_bytes, s.align);
	t->size = size > INT32_MAX ? INT32_MAX : (uint32_t)size;
	t->is_incomplete = false;
}

const struct d_member *d_member_find(struct d_type *t, const char *name, uint32_t *ret_off)
{
	t = d_resolve(t);
	d_ext_load(t);
	if (t->lacks == name) /* unions of unions: each is looked through once, not once for each way to it */
		return NULL;
	for (const struct d_member *m = t->members; m; m = m->next) {
		if (m->name == name) {
			*ret_off = m->off;
			return m;
		}
		uint32_t off;
		const struct d_member *in = m->name || !d_is_sou(m->type) ? NULL : d_member_find(m->type, name, &off);
		if (in) {
			*ret_off = m->off + off;
			return in;
		}
	}
	t->lacks = t->is_incomplete ? NULL : name;
	return NULL;
}
