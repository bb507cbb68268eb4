/* SPDX-License-Identifier: MIT */
/* Types of the arguments of the kernel's probes: out of its BTF, by the names that tracepoints give. */
#include "cli/types_usdt.h"

#include <stdio.h>
#include <string.h>

#define KERNEL "vmlinux"

static const struct tdesc void_type = { .kind = TDESC_VOID, .loaded = true };

/* What the kernel passes to whoever is attached: typedef void (*btf_trace_NAME)(void *, ...). */
static const struct tdesc *raw_proto(struct cli_usdt_type **list, struct ctype_db *db, const char *name, bool *ret_known)
{
	char type[160];
	struct tdesc_param *to;
	uint32_t cap;
	snprintf(type, sizeof(type), "btf_trace_%s", name);
	const struct tdesc *t = tdesc_resolve(ctype_find(db, KERNEL, TDESC_TYPEDEF, type));
	const struct tdesc *f = t && t->kind == TDESC_PTR ? t->base : NULL;
	struct tdesc *p = f && f->kind == TDESC_FUNC ? cli_proto_new(list, &to, &cap) : NULL;
	*ret_known = p != NULL;
	if (!p)
		return NULL;
	ctype_load(db, f);
	for (uint32_t i = 1; i < f->part_cnt && i <= cap; i++) {
		to[i - 1] = f->params[i];
		to[i - 1].slot = i - 1;
		to[i - 1].where = TDESC_ARG;
		p->part_cnt = i;
	}
	return p;
}

/* args[] of a function; of its return: where it returned, and what, if it is not void. */
static const struct tdesc *func_proto(struct cli_usdt_type **list, struct ctype_db *db, const struct probe *p, bool *ret_known)
{
	struct tdesc_param *to;
	uint32_t cap;
	const struct tdesc *f = ctype_find(db, KERNEL, TDESC_FUNC, p->place.name);
	struct tdesc *proto = f && f->kind == TDESC_FUNC ? cli_proto_new(list, &to, &cap) : NULL;
	*ret_known = proto != NULL;
	if (!proto)
		return NULL;
	ctype_load(db, f);
	if (p->place.at == PROBE_KERN_KRETPROBE) {
		const struct tdesc *of = tdesc_resolve(f->base);
		to[0] = (struct tdesc_param){ .type = cli_type_named(list, db, KERNEL, "int"), .where = TDESC_ARG };
		to[1] = (struct tdesc_param){ .type = f->base, .where = TDESC_ARG, .slot = 1 };
		proto->part_cnt = of && of->kind != TDESC_VOID ? 2 : 1;
		return proto;
	}
	for (uint32_t i = 0; i < f->part_cnt && i < cap; i++) {
		to[i] = f->params[i];
		to[i].slot = i;
		to[i].where = TDESC_ARG;
		proto->part_cnt = i + 1;
	}
	return proto;
}

/* An array's value is its address. */
static enum tdesc_where where_of(const struct tdesc *t)
{
	const struct tdesc *r = tdesc_resolve(t);
	return r && (r->kind == TDESC_ARRAY || r->kind == TDESC_STRUCT || r->kind == TDESC_UNION) ? TDESC_AT_ARG : TDESC_ARG;
}

static void fill(struct cli_usdt_type **list, struct ctype_db *db, const struct probe_kern_arg *a, struct tdesc_param *to)
{
	const struct tdesc *t = a->xlate || strcmp(a->native, "string") ? cli_type_named(list, db, KERNEL, a->native) : NULL;
	*to = (struct tdesc_param){ .type = t ? t : &void_type, .where = where_of(t), .slot = a->from,
				    .d_type = a->xlate ? a->xlate : t ? NULL : a->native, .is_xlated = a->xlate != NULL };
}

const struct tdesc *cli_kern_proto(struct cli_usdt_type **list, struct ctype_db *db, const struct probe *p, bool *ret_known)
{
	struct probe_kern_arg args[WIRE_UARG_MAX];
	struct tdesc_param *to;
	uint32_t cap;
	if (p->place.at == PROBE_KERN_RAW)
		return raw_proto(list, db, p->place.name, ret_known);
	if (p->place.at == PROBE_KERN_KPROBE || p->place.at == PROBE_KERN_KRETPROBE)
		return func_proto(list, db, p, ret_known);
	uint32_t cnt = probe_kern_args(p, args, ARRAY_CNT(args), ret_known);
	struct tdesc *f = *ret_known ? cli_proto_new(list, &to, &cap) : NULL;
	for (uint32_t i = 0; f && i < cnt && i < cap; i++, f->part_cnt = i)
		fill(list, db, &args[i], &to[i]);
	return f;
}
