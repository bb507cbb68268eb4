/* SPDX-License-Identifier: MIT */
/* Parameters of functions, arrays and probes: what each kind of them may have. */
#include "d/parse_int.h"

static _Noreturn void fail_type(struct d_parser *p, const struct d_key *k, const char *kind, uint32_t i)
{
	struct d_place at = k->at;
	at.seen = at.line;
	d_fail(p, at, "D_DECL_PROTO_TYPE", "%s prototype may not use parameter of type %s: %s, parameter #%u", kind,
		d_type_str(p->c, k->type), k->name ? k->name : "(anonymous)", i);
}

static bool is_named(const struct d_key *keys, uint32_t cnt, const char *name)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (keys[i].name == name)
			return true;
	return false;
}

static void check_one(struct d_parser *p, const struct d_key *keys, uint32_t i, const char *kind, unsigned flags,
		      const struct d_params *form)
{
	const struct d_key *k = &keys[i];
	bool is_void = d_resolve(k->type)->kind == D_T_VOID;
	struct d_place at = k->at;
	at.seen = at.line;
	if (is_void && !(flags & D_PARAMS_VOID))
		fail_type(p, k, kind, i + 1);
	if (is_void && k->name)
		d_fail(p, at, "D_DECL_PROTO_NAME", "void parameter may not have a name: %s", k->name);
	if (k->name && form && !is_named(form->keys, form->cnt, k->name))
		d_fail(p, at, "D_DECL_PROTO_FORM", "parameter is not declared in %s prototype: %s, parameter #%u", kind,
			k->name, i + 1);
	if (k->name && !form && is_named(keys, i, k->name))
		d_fail(p, at, "D_DECL_PROTO_FORM", "parameter is already declared in %s prototype: %s, parameter #%u",
			kind, k->name, i + 1);
	if (!k->name && !is_void && !(flags & D_PARAMS_ANON))
		d_fail(p, at, "D_DECL_PROTO_NAME", "parameter declaration requires a name: parameter #%u", i + 1);
}

static void check_all(struct d_parser *p, struct d_params *ps, const char *kind, unsigned flags, const struct d_params *form)
{
	bool any_void = false;
	for (uint32_t i = 0; i < ps->cnt; i++) {
		check_one(p, ps->keys, i, kind, flags, form);
		any_void |= d_resolve(ps->keys[i].type)->kind == D_T_VOID;
	}
	if (any_void && ps->cnt > 1)
		d_fail(p, ps->keys[0].at, "D_DECL_PROTO_VOID", "void must be sole parameter");
	if (any_void)
		ps->cnt = 0;
}

void d_parse_params(struct d_parser *p, struct d_params *ret, enum d_tok_kind close, const char *kind, unsigned flags,
		    const struct d_params *form)
{
	struct d_key keys[D_PARAMS_MAX] = { 0 };
	*ret = (struct d_params){ 0 };
	while (p->tok.kind != close) {
		if (ret->cnt && !d_accept(p, T_COMMA))
			d_unexpected(p, d_fmt(p->c, "\",\" or \"%s\"", d_tok_text(close)));
		if (ret->cnt == D_PARAMS_MAX)
			d_fail(p, p->tok.at, "D_PROV_PRARGLEN", "%s prototype exceeds %u parameters", kind, D_PARAMS_MAX);
		if (d_parse_param(p, &keys[ret->cnt])) {
			ret->cnt++;
		} else if (!(flags & D_PARAMS_VARARGS)) {
			struct d_place at = keys[ret->cnt].at;
			at.seen = at.line;
			d_fail(p, at, "D_DECL_PROTO_VARARGS", "%s prototype may not use a variable-length argument list",
				kind);
		} else if (p->tok.kind != close) {
			d_unexpected(p, d_fmt(p->c, "\"%s\" after \"...\"", d_tok_text(close)));
		}
	}
	ret->keys = d_alloc(p->c, (ret->cnt + 1ul) * sizeof(*keys));
	memcpy(ret->keys, keys, ret->cnt * sizeof(*keys));
	check_all(p, ret, kind, flags, form);
}
