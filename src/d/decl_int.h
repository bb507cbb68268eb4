/* SPDX-License-Identifier: MIT */
/* Private to d: a declaration while it is parsed. */
#ifndef D_DECL_INT_H
#define D_DECL_INT_H

#include "d/parse_int.h"

enum storage { ST_NONE, ST_TYPEDEF, ST_SELF, ST_THIS, ST_EXTERN, ST_INLINE, ST_STATIC, ST_REGISTER, ST_AUTO };

struct specs {
	enum storage storage;
	struct d_type *type;
	struct d_place at;
	bool has_body; /* struct { ... }: a declaration by itself */
};

/* A declarator's parts, in the order in which they are applied to the base. */
struct deriv {
	enum { DV_PTR, DV_ARRAY, DV_TUPLE, DV_FUNC } kind;
	uint64_t cnt;
	struct d_key *keys;
	uint32_t key_cnt;
	struct d_place at;
	struct deriv *next;
};

struct declr {
	const char *name; /* NULL: abstract */
	struct d_place at;
	struct deriv *parts;
	struct d_type *type;
	struct d_key *keys;
	uint32_t key_cnt;
};

void d_parse_specs(struct d_parser *, struct specs *ret);
void d_parse_declr(struct d_parser *, struct declr *ret); /* with the base in its type */
struct d_type *d_parse_tagged(struct d_parser *, const struct d_words *before, struct specs *);

#endif
