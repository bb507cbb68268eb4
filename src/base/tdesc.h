/* SPDX-License-Identifier: MIT */
/*
 * A type of a traced program: plain data, made by room ctype out of debug
 * information, read by the compiler.
 *
 * A structure, union, enum or function comes without its parts: members,
 * enumerators and parameters are there once its `loaded` is set, for which
 * whoever hands descriptions out has a function.  Everything else is complete,
 * down to the next such type.  cv-qualifiers are left out.
 */
#ifndef BASE_TDESC_H
#define BASE_TDESC_H

#include "base/base.h"

enum tdesc_kind {
	TDESC_VOID, TDESC_INT, TDESC_FLOAT,
	TDESC_PTR, /* references too */
	TDESC_ARRAY, TDESC_STRUCT, TDESC_UNION, TDESC_ENUM, TDESC_TYPEDEF, TDESC_FUNC,
};

struct tdesc_member {
	const char *name; /* NULL: an anonymous structure or union, or a base class */
	const struct tdesc *type;
	uint64_t bit_off; /* from the start of the whole */
	uint32_t bits;    /* 0: no bit-field */
	bool is_base;
};

struct tdesc_enumerator {
	const char *name;
	int64_t val;
};

/* Where a function finds an argument when it begins, or leaves its result. */
enum tdesc_where {
	TDESC_ARG,    /* in argN, N = slot */
	TDESC_AT_ARG, /* in memory that argN points to */
	TDESC_WORDS,  /* word by word in what slots[] says */
	TDESC_STACK,  /* in memory: slot words behind the return address */
	TDESC_LOST,   /* on the floating-point stack, or the language has other rules */
};
/* A word of TDESC_WORDS: N for argN, or one of these. */
#define TDESC_NO_WORD UINT32_MAX /* it is shorter */
#define TDESC_XMM(n) (0x100u | (n))
#define TDESC_RDX 0x200u         /* of a result; arg1 is rax */

struct tdesc_param {
	const char *name; /* NULL: none */
	const struct tdesc *type;
	enum tdesc_where where;
	union {
		uint32_t slot;
		uint32_t slots[2]; /* TDESC_WORDS */
	};
	/* Arguments of the kernel's probes: what D makes of it, by D's name for that ("psinfo_t *"); NULL: nothing. */
	const char *d_type;
	bool is_xlated;   /* by the translator from type to d_type; else it is of that type by itself */
};

struct tdesc {
	enum tdesc_kind kind;
	const char *name; /* tag, name of a typedef or base type; C++: with its namespaces. NULL: none */
	uint64_t bytes;   /* 0: unknown */
	bool is_signed, is_bool, is_char;
	bool is_ref;      /* a C++ reference */
	bool is_decl;     /* a structure that is only declared; loading may change that */
	bool loaded;
	const struct tdesc *base; /* pointed to, element, aliased, result; NULL: void */
	uint64_t cnt;     /* elements */
	/* Once loaded: */
	union {
		const struct tdesc_member *members;
		const struct tdesc_enumerator *enumerators;
		const struct tdesc_param *params;
	};
	uint32_t part_cnt;
	enum tdesc_where where; /* of a function's result */
	uint32_t slots[2];      /* likewise, TDESC_WORDS */
	bool is_varargs;
};

/* An enumerator by itself. */
struct tdesc_const {
	const struct tdesc *type;
	int64_t val;
};

/* A variable of the program. */
struct tdesc_var {
	const struct tdesc *type;
	uint64_t addr; /* in the process */
};

/* Through typedefs. */
static inline const struct tdesc *tdesc_resolve(const struct tdesc *t)
{
	while (t && t->kind == TDESC_TYPEDEF)
		t = t->base;
	return t;
}

#endif
