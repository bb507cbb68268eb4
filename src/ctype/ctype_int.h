/* SPDX-License-Identifier: MIT */
/*
 * Private to ctype: modules, the index of names, descriptions and what they
 * were made of.
 *
 *   ctype.c    the data base and its modules      needed.c  libraries to come
 *   index.c    names to entries of debug information, unit by unit
 *   die.c      entries to descriptions            proto.c   functions, where arguments lie
 *   cxx.c      which classes are passed by address
 *   btf.c      the kernel's types                 name.c    descriptions to text
 */
#ifndef CTYPE_CTYPE_INT_H
#define CTYPE_CTYPE_INT_H

#include "ctype/ctype.h"

#include "host/debuginfo.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#define CTYPE_DEPTH_MAX 200 /* types inside types, namespaces inside namespaces */

/* What a name of the index is: an enum tdesc_kind, or this. */
#define CTYPE_VAR 100
#define CTYPE_ENUMERATOR 101 /* its entry is that of its enum */

struct ctype_ent {
	const char *name;
	struct ctype_ent *next;
	Dwarf_Die die;
	uint8_t kind;
	bool is_inner; /* under its last part only: it stands in a namespace or class */
	bool is_cxx;   /* of a language in which a tag is a type's name */
};

struct ctype_mod {
	struct ctype_module pub;
	Dwfl *dwfl;
	Dwfl_Module *dwfl_mod;
	struct host_debuginfo debuginfo;
	Dwarf *dw[2]; /* its own, and the one that dwz made common */
	Dwarf_Addr dw_bias; /* what dw[0] says plus it is what the file says */
	uint32_t dw_cnt, dw_at; /* all; being scanned */
	Dwarf_CU *cursor;       /* the last that was scanned */
	bool is_open, is_scanned, has_split;
	int lang; /* DW_LANG_ of its first unit that says so; 0: not known */
	uint64_t info_bytes;
	struct ctype_ent **buckets;
	uint32_t bucket_cnt, ent_cnt;
};

/* A description and its origin: a DIE, or a type of BTF. */
struct ctype_desc {
	struct tdesc t; /* first: they are converted */
	struct ctype_mod *mod;
	Dwarf_Die die;
	uint32_t btf_id;
	bool is_making; /* its base is not known yet */
	enum { BY_UNKNOWN, BY_VALUE, BY_REF } by; /* how it is passed (cxx.c) */
	const void *key;
	struct ctype_desc *next;
};

struct ctype_block {
	struct ctype_block *next;
	size_t used, cap;
	char data[];
};

struct btf;
struct ctype_db {
	struct ctype_opts opts;
	struct ctype_block *blocks;
	struct ctype_mod **mods;
	uint32_t mod_cnt;
	struct ctype_desc **descs; /* by key */
	uint32_t desc_buckets, desc_cnt;
	struct tdesc *void_;
	char *root; /* of the target; "": this one */
	struct btf *btf;
	bool btf_tried;
	struct ctype_desc **btf_descs; /* [id] */
	uint32_t btf_cnt;
	uint64_t busy_ns; /* spent in reading since the look-up began */
	bool noted;
};

/* ctype.c: memory that lives as long as the data base, zeroed; NULL: none */
void *ctype_alloc(struct ctype_db *, size_t bytes);
char *ctype_strdup(struct ctype_db *, const char *);
bool ctype_mod_open(struct ctype_db *, struct ctype_mod *); /* false: no debug information */
Dwfl_Module *ctype_mod_elf(struct ctype_db *, struct ctype_mod *); /* symbols; NULL: not readable */
uint32_t ctype_mod_rank(const struct ctype_mod *, const char *scope); /* 0: it is not meant */
uint32_t ctype_hash(const char *s);

/* index.c */
/* For libdw: @sub, where a unit's other file may be opened; else NULL. */
Dwarf_Die *ctype_split_of(const struct ctype_mod *, Dwarf_Die *sub);
const struct ctype_ent *ctype_index_find(struct ctype_db *, struct ctype_mod *, unsigned kind, const char *name,
					 bool inner);
/* The nearest name that is less than *max away, which becomes its distance; NULL: none in what could be read soon. */
const char *ctype_index_near(struct ctype_db *, struct ctype_mod *, unsigned kind, const char *name, uint32_t *max);

/* die.c */
const struct tdesc *ctype_of_die(struct ctype_db *, struct ctype_mod *, Dwarf_Die *, uint32_t depth);
const struct tdesc *ctype_of_attr(struct ctype_db *, struct ctype_mod *, Dwarf_Die *of, uint32_t depth); /* DW_AT_type */
void ctype_load_die(struct ctype_db *, struct ctype_desc *);
struct ctype_desc *ctype_desc_new(struct ctype_db *, enum tdesc_kind, const char *name);
const char *ctype_die_name(Dwarf_Die *); /* NULL: none */
bool ctype_die_flag(Dwarf_Die *, unsigned attr);

/* proto.c */
void ctype_load_func(struct ctype_db *, struct ctype_desc *);

/* cxx.c: whether a class is passed as the address of a copy */
bool ctype_by_ref(struct ctype_db *, const struct tdesc *);

/* btf.c */
const struct tdesc *ctype_btf_find(struct ctype_db *, enum tdesc_kind, const char *name);
void ctype_btf_load(struct ctype_db *, struct ctype_desc *);
void ctype_btf_deinit(struct ctype_db *);

#endif
