/* SPDX-License-Identifier: MIT */
/*
 * Types of a USDT probe's arguments: as it was declared, where the program says
 * so (dyntrace -h, -G); else integers of the sizes that its note has.
 */
#include "cli/types_usdt.h"

#include <stdlib.h>
#include <string.h>

struct cli_usdt_type {
	struct cli_usdt_type *next;
	struct tdesc type;
	struct tdesc_param params[WIRE_UARG_MAX];
};

void cli_usdt_types_free(struct cli_usdt_type *list)
{
	while (list) {
		struct cli_usdt_type *next = list->next;
		free(list);
		list = next;
	}
}

static struct cli_usdt_type *push(struct cli_usdt_type **list)
{
	struct cli_usdt_type *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->next = *list;
	*list = t;
	return t;
}

#define INT(n, b, s) { .kind = TDESC_INT, .name = n, .bytes = b, .is_signed = s, .loaded = true }
static const struct tdesc ints[] = {
	INT("int8_t", 1, true), INT("int16_t", 2, true), INT("int32_t", 4, true), INT("int64_t", 8, true),
	INT("uint8_t", 1, false), INT("uint16_t", 2, false), INT("uint32_t", 4, false), INT("uint64_t", 8, false),
};
/* What programs without debug information may have been declared with. */
static const struct tdesc basic[] = {
	{ .kind = TDESC_INT, .name = "char", .bytes = 1, .is_signed = true, .is_char = true, .loaded = true },
	INT("signed char", 1, true), INT("unsigned char", 1, false), INT("short", 2, true), INT("unsigned short", 2, false),
	INT("int", 4, true), INT("unsigned int", 4, false), INT("unsigned", 4, false), INT("long", 8, true),
	INT("unsigned long", 8, false), INT("long long", 8, true), INT("unsigned long long", 8, false), INT("uintptr_t", 8, false),
	INT("intptr_t", 8, true), INT("size_t", 8, false), INT("ssize_t", 8, true), INT("off_t", 8, true), INT("pid_t", 4, true),
	INT("uid_t", 4, false), INT("gid_t", 4, false), INT("id_t", 4, true), INT("time_t", 8, true),
	{ .kind = TDESC_INT, .name = "_Bool", .bytes = 1, .is_bool = true, .loaded = true },
	{ .kind = TDESC_FLOAT, .name = "float", .bytes = 4, .is_signed = true, .loaded = true },
	{ .kind = TDESC_FLOAT, .name = "double", .bytes = 8, .is_signed = true, .loaded = true },
	{ .kind = TDESC_VOID, .name = "void", .loaded = true },
};

static const struct tdesc *by_name(const struct tdesc *v, size_t cnt, const char *name)
{
	for (size_t i = 0; i < cnt; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	return NULL;
}

static const struct tdesc *by_size(const struct wire_uarg *a)
{
	for (size_t i = 0; i < ARRAY_CNT(ints) && !a->is_float; i++)
		if (ints[i].bytes == a->bytes && ints[i].is_signed == a->is_signed)
			return &ints[i];
	return by_name(basic, ARRAY_CNT(basic), a->bytes == 4 ? "float" : "double");
}

/* ---- "struct foo *" ---- */

static const struct tdesc *base_type(struct ctype_db *db, const char *scope, const char *name)
{
	static const struct {
		const char *word;
		enum tdesc_kind kind;
	} tags[] = { { "struct ", TDESC_STRUCT }, { "union ", TDESC_UNION }, { "enum ", TDESC_ENUM } };
	for (size_t i = 0; i < ARRAY_CNT(tags); i++)
		if (!strncmp(name, tags[i].word, strlen(tags[i].word)))
			return ctype_find(db, scope, tags[i].kind, name + strlen(tags[i].word));
	const struct tdesc *t = by_name(basic, ARRAY_CNT(basic), name);
	t = t ? t : by_name(ints, ARRAY_CNT(ints), name);
	return t ? t : ctype_find(db, scope, TDESC_TYPEDEF, name);
}

static const struct tdesc *pointer_to(struct cli_usdt_type **list, const struct tdesc *base)
{
	struct cli_usdt_type *p = push(list);
	if (!p)
		return NULL;
	p->type = (struct tdesc){ .kind = TDESC_PTR, .bytes = 8, .base = base, .loaded = true };
	return &p->type;
}

static const struct tdesc *array_of(struct cli_usdt_type **list, const struct tdesc *base, uint64_t cnt)
{
	struct cli_usdt_type *p = push(list);
	if (!p)
		return NULL;
	p->type = (struct tdesc){ .kind = TDESC_ARRAY, .bytes = base->bytes * cnt, .base = base, .cnt = cnt, .loaded = true };
	return &p->type;
}

const struct tdesc *cli_type_named(struct cli_usdt_type **list, struct ctype_db *db, const char *scope, const char *text)
{
	char name[256];
	size_t len = strcspn(text, "*[(");
	uint32_t stars = 0;
	for (const char *p = text + len; *p; p++)
		stars += *p == '*';
	while (!strncmp(text, "const ", 6) || !strncmp(text, "volatile ", 9)) {
		size_t skip = *text == 'c' ? 6 : 9;
		text += skip;
		len -= skip < len ? skip : len;
	}
	while (len && text[len - 1] == ' ')
		len--;
	if (!len || len >= sizeof(name))
		return NULL;
	memcpy(name, text, len);
	name[len] = 0;
	const struct tdesc *t = base_type(db, scope, name);
	const char *array = strchr(text, '[');
	if (strchr(text, '(') || (!t && stars))
		t = by_name(basic, ARRAY_CNT(basic), "void");
	while (t && stars--)
		t = pointer_to(list, t);
	return t && array && !strchr(text, '(') ? array_of(list, t, strtoul(array + 1, NULL, 10)) : t;
}

/* ---- prototypes ---- */

struct tdesc *cli_proto_new(struct cli_usdt_type **list, struct tdesc_param **ret_params, uint32_t *ret_cap)
{
	struct cli_usdt_type *f = push(list);
	if (!f)
		return NULL;
	*ret_params = f->params;
	*ret_cap = WIRE_UARG_MAX;
	f->type = (struct tdesc){ .kind = TDESC_FUNC, .loaded = true, .params = f->params };
	return &f->type;
}

static const struct obj_usdt *first_place(struct obj_proc *proc, const struct probe *p)
{
	const struct obj_usdt *u;
	uint32_t cnt;
	if (obj_module_usdt(proc, p->module, &u, &cnt, NULL))
		return NULL;
	for (uint32_t i = 0; i < cnt; i++)
		if (probe_usdt_is(p, &u[i]))
			return &u[i];
	return NULL;
}

const struct tdesc *cli_usdt_proto(struct cli_usdt_type **list, struct ctype_db *db, struct obj_proc *proc,
				   const struct probe *p)
{
	const struct obj_usdt *u = first_place(proc, p);
	struct cli_usdt_type *f = u ? push(list) : NULL;
	struct wire_uargs args;
	uint32_t native;
	if (!f)
		return NULL;
	obj_usdt_args(proc, p->module, u, &args);
	for (uint32_t i = 0; i < args.cnt; i++) {
		const struct tdesc *t = i < u->type_cnt ? cli_type_named(list, db, NULL, obj_usdt_type(u, i, &native)) : NULL;
		const struct tdesc *plain = tdesc_resolve(t);
		bool is_float = plain ? plain->kind == TDESC_FLOAT : args.v[i].is_float;
		f->params[i] = (struct tdesc_param){ .type = plain && plain->kind != TDESC_VOID ? t : by_size(&args.v[i]),
						     .where = is_float ? TDESC_WORDS : TDESC_ARG,
						     .slots = { i, TDESC_NO_WORD } };
	}
	f->type = (struct tdesc){ .kind = TDESC_FUNC, .loaded = true, .params = f->params, .part_cnt = args.cnt };
	return &f->type;
}
