/* SPDX-License-Identifier: MIT */
/*
 * The consumer's half of a compiled script: what to do with each record, and
 * how aggregations are keyed and shown.  It never enters a target.
 */
#ifndef IR_PLAN_H
#define IR_PLAN_H

#include "ir/ir.h"

enum plan_val_kind {
	PLAN_INT,     /* size bytes, sign as given */
	PLAN_STR,     /* struct wire_vref to characters (without NUL); or, with sref set, a u64 sref
	               * of an interned string */
	PLAN_BYTES,   /* struct wire_vref */
	PLAN_USTACK,  /* struct wire_vref to u64 addresses */
	PLAN_USYM, PLAN_UADDR, PLAN_UMOD, PLAN_UFUNC, /* a u64 address of the traced process */
	PLAN_KSYM, PLAN_KMOD, /* a u64 address of the kernel */
	PLAN_PTR,     /* a u64, shown in hex by trace() */
	PLAN_TIME,    /* no data, from here on: the record's own time, ns */
	PLAN_PROBEPROV, PLAN_PROBEMOD, PLAN_PROBEFUNC, PLAN_PROBENAME, /* of its site */
};

struct plan_val {
	enum plan_val_kind kind;
	uint32_t off;   /* in the record's payload or the key's fixed part */
	uint32_t size;  /* of scalars: 1, 2, 4, 8; always stored as 8 bytes, extended; of bytes: 1 for characters */
	bool is_signed;
	bool is_float;  /* the bytes are a float, double or long double */
	bool sref;
	bool is_kernel; /* PLAN_USTACK: the addresses are of the kernel */
	uint32_t depth; /* ustack frames asked for */
	uint32_t strbytes; /* ustack(n, m): m */
};

enum plan_act_kind {
	PLAN_TRACE,    /* vals[0] in its default form */
	PLAN_TRACEMEM, PLAN_PRINTF, /* fmt, vals */
	PLAN_PRINTA,   /* fmt or NULL, aggs */
	PLAN_STACK,    /* ustack(), stack(): vals[0] */
	PLAN_SYM,      /* usym, uaddr, umod, ufunc as a statement */
	PLAN_EXIT,     /* vals[0]: status */
	PLAN_CLEAR, PLAN_TRUNC, PLAN_NORMALIZE, PLAN_DENORMALIZE, /* aggs[0]; vals[0]: count or factor */
	PLAN_SYSTEM, PLAN_FREOPEN, PLAN_SETOPT, PLAN_PRINT,
	PLAN_COMMIT, PLAN_DISCARD, /* vals[0]: the token of what ended; 0: none */
	PLAN_FTRUNCATE,
};

/* A type as print() shows it. */
enum plan_type_kind {
	PLAN_TYPE_NONE, /* not shown */
	PLAN_TYPE_INT, PLAN_TYPE_CHAR, PLAN_TYPE_FLOAT, PLAN_TYPE_ENUM, PLAN_TYPE_PTR,
	PLAN_TYPE_ARRAY, PLAN_TYPE_SOU, /* structure or union */
};
struct plan_type {
	enum plan_type_kind kind;
	char *name; /* "struct foo", "uint8_t"; owned */
	uint32_t bytes;
	bool is_signed;
	bool is_char;   /* a byte: an array of it ends at a NUL */
	uint32_t base, cnt; /* of arrays: index of the element's type; elements */
	struct plan_part { /* members, enumerators */
		char *name; /* owned; NULL: none */
		uint32_t type; /* index */
		uint32_t off, bit_off, bits; /* bits 0: no bit-field; bit_off: from off */
		int64_t val; /* of enumerators */
	} *parts; /* owned */
	uint32_t part_cnt;
};

struct plan_act {
	enum plan_act_kind kind;
	int guard; /* bit of the record's branch mask (payload u64 at plan_clause.mask_off); -1: always */
	char *fmt; /* owned; NULL if none */
	struct plan_val *vals; /* owned */
	uint32_t val_cnt;
	uint32_t *aggs; /* ids, owned */
	uint32_t agg_cnt;
	bool has_arg; /* trunc(@, n), ... */
	uint32_t type; /* PLAN_PRINT: index; vals: address, bytes */
};

struct plan_clause {
	struct plan_act *acts;
	uint32_t act_cnt;
	uint32_t mask_off; /* WIRE_NONE: no branch in the clause */
	bool speculates;   /* the payload has at spec_off the token of the record's speculation, or 0 */
	uint32_t spec_off;
	uint32_t spec_bytes; /* what such a record counts for the size of its speculation */
	uint32_t pid_off;  /* of the process whose addresses are in the record, where that is not the one that ran
	                    * the program; WIRE_NONE: no such addresses */
	bool is_default;   /* empty body: prints only the probe's line */
	/* Probe descriptions, as written after macro expansion. */
	struct plan_probe_desc {
		char *prov, *mod, *func, *name; /* "" = any; owned */
		uint32_t id;   /* of a probe by its number, the parts are ""; 0: by its parts */
		uint32_t src, line, col; /* source: index in d_compile()'s array */
	} *descs;
	uint32_t desc_cnt;
};

struct plan_agg {
	char *name; /* without @; "" for the anonymous one; owned */
	struct plan_val *keys; /* owned */
	uint32_t key_cnt;
	uint32_t key_bytes; /* of the fixed part */
	uint32_t pid_off; /* as in struct plan_clause */
	uint32_t cpu_off; /* likewise: of the CPU, where the value of each is kept, too; it is not one of the keys */
	bool is_signed;     /* of the aggregated value, for sum, min, max */
};

struct plan {
	struct plan_clause *clauses; /* index = clause = program number */
	uint32_t clause_cnt;
	struct plan_agg *aggs; /* index = id */
	uint32_t agg_cnt;
	struct plan_type *types; /* of what is printed */
	uint32_t type_cnt;
	/* Of a dynamic variable (0: the script has none) and of an aggregation's entry, key and value, as DTrace
	 * counts them: what dynvarsize and aggsize are divided by. */
	uint32_t dyn_elem_bytes, agg_elem_bytes;
	bool destructive;  /* some clause changes something: it needs -w */
};
void plan_deinit(struct plan *); /* frees all that it owns; NULL is fine */

#endif
