/* SPDX-License-Identifier: MIT */
/* Statements that record the arguments of a function, as its prototype has them. */
#include "cli/record/record_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PROTOS_MAX 16
#define RAW_ARGS 6 /* of a function of which nothing is known: what registers hold */

struct fields {
	struct record_clause *c;
	FILE *d;
	const struct tdesc *proto; /* NULL: unknown */
	bool is_return;
	bool at_jump;              /* a return that is a tail call: without the value */
};

static bool is_taken(const struct record_clause *c, const char *name, enum export_type type)
{
	char length[200];
	snprintf(length, sizeof(length), "_%s_length", name);
	for (uint32_t i = 0; i < c->cnt; i++)
		if (!strcmp(c->fields[i].name, name) || (type == EXPORT_STACK && !strcmp(c->fields[i].name, length)))
			return true;
	return false;
}

/* An identifier of C that no other field has, malloc'ed: readers of CTF want no less. */
static char *field_name(const struct record_clause *c, const char *want, enum export_type type)
{
	char plain[160], name[180];
	snprintf(plain, sizeof(plain), "%s", want);
	for (char *p = plain; *p; p++)
		*p = isalnum((unsigned char)*p) ? *p : '_';
	snprintf(name, sizeof(name), "%s", plain);
	for (uint32_t n = 2; is_taken(c, name, type); n++)
		snprintf(name, sizeof(name), "%s_%u", plain, n);
	return strdup(name);
}

static struct record_field *add(struct fields *f, const char *name, enum export_type type)
{
	struct record_clause *c = f->c;
	if (c->cnt == c->cap) {
		struct record_field *v = realloc(c->fields, (c->cap * 2ul + 8) * sizeof(*v));
		if (!v)
			return NULL;
		c->fields = v;
		c->cap = c->cap * 2 + 8;
	}
	c->fields[c->cnt] = (struct record_field){ .name = field_name(c, name, type), .type = type, .is_text = true };
	return c->fields[c->cnt].name ? &c->fields[c->cnt++] : NULL;
}

/* ---- types ---- */

static enum export_type int_type(uint64_t bytes, bool is_signed)
{
	int t = bytes == 1 ? EXPORT_U8 : bytes == 2 ? EXPORT_U16 : bytes == 4 ? EXPORT_U32 : EXPORT_U64;
	return (enum export_type)(is_signed ? t - EXPORT_U8 + EXPORT_I8 : t);
}

static bool is_text(const struct tdesc *t)
{
	t = tdesc_resolve(t);
	return t && t->kind == TDESC_INT && t->is_char && t->bytes == 1;
}

/* EXPORT_TYPE_CNT: nothing that could be recorded. */
static enum export_type type_of(const struct tdesc *t)
{
	t = tdesc_resolve(t);
	if (!t)
		return EXPORT_TYPE_CNT;
	switch (t->kind) {
	case TDESC_PTR: return is_text(t->base) && !t->is_ref ? EXPORT_STR : EXPORT_HEX;
	case TDESC_INT: return t->bytes > 8 ? EXPORT_TYPE_CNT : int_type(t->bytes, t->is_signed && !t->is_bool);
	case TDESC_ENUM: return int_type(t->bytes ? t->bytes : 4, t->bytes != 8);
	case TDESC_FLOAT: return t->bytes == 4 ? EXPORT_F32 : t->bytes == 8 ? EXPORT_F64 : EXPORT_TYPE_CNT;
	default: return EXPORT_TYPE_CNT;
	}
}

/* ORDER enum export_type */
static const char *const casts[] = { "(int8_t)", "(int16_t)", "(int32_t)", "(int64_t)", "(uint8_t)", "(uint16_t)",
				     "(uint32_t)", "(uint64_t)", "(uint64_t)", "", "" };

static bool put_typed(struct fields *f, const char *name, enum export_type type, const char *expr)
{
	if (type == EXPORT_STR)
		fprintf(f->d, "\ttrace(%s != 0 ? copyinstr(%s) : \"(null)\");\n", expr, expr);
	else
		fprintf(f->d, "\ttrace(%s%s);\n", casts[type], expr);
	return add(f, name, type) != NULL;
}

/* What cannot be recorded is left out. */
static bool put(struct fields *f, const char *name, const struct tdesc *t, const char *expr)
{
	enum export_type type = type_of(t);
	return type == EXPORT_TYPE_CNT || put_typed(f, name, type, expr);
}

/* Where the words of it are: "" where they cannot be had. */
static void place(enum tdesc_where where, uint32_t slot, uint32_t slot0, bool is_return, char buf[24])
{
	buf[0] = 0;
	if (where == TDESC_WORDS && slot0 >= TDESC_XMM(0) && slot0 < TDESC_XMM(WIRE_XMM_CNT))
		snprintf(buf, 24, "uregs[R_XMM%u]", slot0 - TDESC_XMM(0));
	else if (where == TDESC_WORDS && slot0 < 10)
		snprintf(buf, 24, "arg%u", is_return ? 1 : slot0);
	else if (where == TDESC_ARG && slot < 10)
		snprintf(buf, 24, "arg%u", is_return ? 1 : slot);
}

static bool put_param(struct fields *f, uint32_t i)
{
	const struct tdesc_param *p = &f->proto->params[i];
	char name[160], expr[24];
	if (p->name)
		snprintf(name, sizeof(name), "%.150s", p->name);
	else
		snprintf(name, sizeof(name), "arg%u", i);
	place(p->where, p->slot, p->slots[0], false, expr);
	return !*expr || put(f, name, p->type, expr);
}

static bool put_result(struct fields *f, const char *name)
{
	const struct tdesc *t = f->proto ? tdesc_resolve(f->proto->base) : NULL;
	char expr[24];
	if (f->proto && (!t || t->kind == TDESC_VOID))
		return true;
	f->c->has_result = true;
	if (f->at_jump)
		return true;
	if (!f->proto) {
		fputs("\ttrace((int64_t)arg1);\n", f->d);
		return add(f, name, EXPORT_I64) != NULL;
	}
	place(f->proto->where, f->proto->slots[0], f->proto->slots[0], true, expr);
	return !*expr || put(f, name, t, expr);
}

static bool put_raw(struct fields *f)
{
	bool ok = true;
	for (uint32_t i = 0; i < RAW_ARGS && ok; i++) {
		char name[8];
		snprintf(name, sizeof(name), "arg%u", i);
		fprintf(f->d, "\ttrace((uint64_t)%s);\n", name);
		ok = add(f, name, EXPORT_HEX) != NULL;
	}
	return ok;
}

/* ---- fields that were asked for ---- */

/* Of perf-probe: s32, u8, x64, string. */
static enum export_type type_named(const char *type)
{
	static const char *const widths[] = { "8", "16", "32", "64" };
	if (!*type || !strcmp(type, "x64"))
		return EXPORT_HEX;
	if (!strcmp(type, "string"))
		return EXPORT_STR;
	for (int i = 0; i < 4 && strchr("sux", *type); i++)
		if (!strcmp(type + 1, widths[i]))
			return (enum export_type)((*type == 's' ? EXPORT_I8 : EXPORT_U8) + i);
	return EXPORT_TYPE_CNT;
}

/* %di, %r8:s32 */
static bool put_reg(struct fields *f, const char *name, const char *spec)
{
	static const char *const names[] = { "ax", "bx", "cx", "dx", "si", "di", "bp", "sp" };
	char reg[8], upper[16] = "", expr[24];
	size_t len = strcspn(spec, ":");
	snprintf(reg, sizeof(reg), "%.*s", (int)len, spec);
	enum export_type type = type_named(spec[len] ? spec + len + 1 : "");
	const char *base = *reg == 'r' ? reg + 1 : reg;
	for (size_t i = 0; i < ARRAY_CNT(names); i++)
		if (!strcmp(base, names[i]))
			snprintf(upper, sizeof(upper), "R%s", names[i]);
	if (isdigit((unsigned char)*base))
		snprintf(upper, sizeof(upper), "R%.3s", base);
	if (!*upper || type == EXPORT_TYPE_CNT) {
		cli_error("there is no register %%%s, or no such type of it", spec);
		return false;
	}
	for (char *c = upper; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	snprintf(expr, sizeof(expr), "uregs[R_%s]", upper);
	return put_typed(f, name, type, expr);
}

static bool put_named(struct fields *f, const char *name)
{
	for (uint32_t i = 0; f->proto && !f->is_return && i < f->proto->part_cnt; i++)
		if (f->proto->params[i].name && !strcmp(f->proto->params[i].name, name))
			return put_param(f, i);
	cli_error("'%s' is no parameter of the function, as far as debug information tells; write %s=EXPRESSION", name, name);
	return false;
}

static bool put_asked(struct fields *f, const char *field)
{
	size_t len = strcspn(field, "=");
	const char *expr = field[len] ? field + len + 1 : NULL;
	char name[160];
	if (!strcmp(field, "$retval"))
		return put_result(f, "ret");
	if (!expr)
		return put_named(f, field);
	snprintf(name, sizeof(name), "%.*s", (int)len, field);
	if (!strcmp(expr, "$retval"))
		return put_result(f, name);
	if (*expr == '%')
		return put_reg(f, name, expr + 1);
	fprintf(f->d, "\ttrace(%s);\n", expr);
	struct record_field *r = add(f, name, EXPORT_I64);
	if (r)
		r->by_plan = true;
	return r != NULL;
}

/* ---- prototypes ---- */

static bool same_types(const struct tdesc *a, const struct tdesc *b)
{
	if (a->part_cnt != b->part_cnt || type_of(a->base) != type_of(b->base))
		return false;
	for (uint32_t i = 0; i < a->part_cnt; i++)
		if (type_of(a->params[i].type) != type_of(b->params[i].type) || a->params[i].where != b->params[i].where ||
		    a->params[i].slots[0] != b->params[i].slots[0])
			return false;
	return true;
}

static bool is_pid(const char *prov) { return !strncmp(prov, "pid", 3); }

/* Of one process: "shop$target" is shop123. */
static void provider_of(const char *prov, pid_t pid, char *buf, size_t cap)
{
	const char *at = strstr(prov, "$target");
	if (at || is_pid(prov))
		snprintf(buf, cap, "%.*s%d", at ? (int)(at - prov) : 3, prov, (int)pid);
	else
		snprintf(buf, cap, "%s", prov);
}

static bool is_all(const char *s) { return !*s || obj_is_glob(s); }

/* What all functions that are meant have in common, in all processes; NULL: nothing is known. */
static const struct tdesc *proto_of(struct cli *cli, const struct record_probe *r, const char *name)
{
	struct d_types types = cli_types_hook(cli);
	const struct tdesc *first = NULL, *v[PROTOS_MAX];
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		char prov[160];
		uint32_t unknown = 0;
		provider_of(r->prov, cli->targets[i].pid, prov, sizeof(prov));
		struct plan_probe_desc d = { .prov = prov, .mod = r->mod, .func = r->func, .name = (char *)name };
		uint32_t cnt = is_pid(r->prov) && is_all(r->func) ? 0 : types.protos(types.arg, &d, v, PROTOS_MAX, &unknown);
		for (uint32_t k = 0; k < cnt; k++) {
			if (first && !same_types(first, v[k]))
				return NULL;
			first = v[k];
		}
		if (unknown)
			return NULL;
	}
	return first;
}

int cli_record_fields(struct cli *cli, const struct record_probe *r, const char *name, bool at_jump, struct record_clause *c,
		      FILE *d)
{
	bool of_pid = is_pid(r->prov), ok = true;
	struct fields f = { .c = c, .d = d, .is_return = (of_pid || cli_record_is_kernel(r)) && !strcmp(name, "return"),
			    .at_jump = at_jump };
	if (of_pid || strstr(r->prov, "$target"))
		f.proto = proto_of(cli, r, of_pid && !f.is_return ? "entry" : name);
	if (r->field_cnt && !(r->both && f.is_return)) {
		for (uint32_t i = 0; i < r->field_cnt && ok; i++)
			ok = put_asked(&f, r->fields[i]);
	} else if (f.is_return) {
		ok = put_result(&f, "ret");
	} else if (strcmp(name, "entry") && of_pid) {
		ok = true; /* in the middle of a function: registers are anything */
	} else if (f.proto) {
		for (uint32_t i = 0; i < f.proto->part_cnt && ok; i++)
			ok = put_param(&f, i);
	} else {
		ok = put_raw(&f);
	}
	if (ok && cli->args.record->stacks) {
		fputs("\tustack();\n", d);
		struct record_field *s = add(&f, "stack", EXPORT_STACK);
		ok = s != NULL;
		if (s)
			s->is_text = false;
	}
	return ok ? CLI_OK : CLI_ERROR;
}
