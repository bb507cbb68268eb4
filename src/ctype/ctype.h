/* SPDX-License-Identifier: MIT */
/*
 * ctype: types, variables and prototypes of programs, out of DWARF (in the
 * file, or in a separate debug file that the build-id or debug link names, with
 * dwz's common file, type units and split DWARF) and out of the kernel's BTF.
 *
 * Nothing is read before it is asked for.  A look-up by name reads a module's
 * units one after the other up to the first definition; what it passed is
 * remembered.
 */
#ifndef CTYPE_CTYPE_H
#define CTYPE_CTYPE_H

#include "base/tdesc.h"

#include <sys/types.h>

struct ctype_db;

struct ctype_opts {
	/* Told when reading takes long: a sentence. NULL: nobody is. */
	void (*note)(void *arg, const char *sentence);
	void *arg;
	uint64_t note_ns;     /* after that long; 0: a second */
	const char *root;     /* the target's root folder ("/proc/PID/root"): debug files there count; NULL: none */
	const char *btf_path; /* NULL: /sys/kernel/btf/vmlinux */
};
/* NULL: no memory. @opts is copied, strings too. */
struct ctype_db *ctype_create(const struct ctype_opts *);
void ctype_destroy(struct ctype_db *); /* NULL is fine */

struct ctype_module {
	const char *name; /* "libc.so.6" */
	const char *path; /* as the target names it, for messages; NULL: as @file */
	const char *run_as; /* another name for it; NULL: none */
	const char *file; /* to open */
	uint64_t bias;    /* address in the process minus address in the file */
	bool is_exe;      /* also called "a.out" */
	bool is_loaded;   /* the bias means something */
};
/* Adds a module, or tells where one that is known was loaded. 0 or -ENOMEM. */
int ctype_add_module(struct ctype_db *, const struct ctype_module *);
/* The libraries that the modules so far will load (DT_NEEDED), as far as they are found. @root: see above. */
int ctype_add_needed(struct ctype_db *, const char *root);

/*
 * Names.  @scope: a module ("libc.so.6", its parts up to a dot: "libc", "a.out"),
 * or the kernel ("vmlinux"); NULL: all modules, the executable first, then the
 * kernel. Names of C++ and Rust with their namespaces ("ns::foo"), or without
 * where no namespace-less one is there. Descriptions live as long as @db.
 */
/* @kind: TDESC_STRUCT, _UNION, _ENUM by tag (C++ classes are structures), or
 * TDESC_TYPEDEF: anything that is a type by this one word; of the kernel also TDESC_FUNC: what a
 * function takes and gives. NULL: there is none. */
const struct tdesc *ctype_find(struct ctype_db *, const char *scope, enum tdesc_kind kind, const char *name);
/* Loads members, enumerators, parameters. Of a declaration: looks for the definition, which
 * makes is_decl false. */
void ctype_load(struct ctype_db *, const struct tdesc *);
/* A variable. 0; -ENOENT: no such name; -ENODATA: its module is not loaded yet, or it has no
 * fixed place (thread-local). */
int ctype_var(struct ctype_db *, const char *scope, const char *name, struct tdesc_var *ret, struct err *reterr);
/* The variable whose name is nearest, or NULL; valid as long as the data base. */
const char *ctype_near_var(struct ctype_db *, const char *scope, const char *name);
/* An enumerator of an enum that needs no scope. */
bool ctype_enumerator(struct ctype_db *, const char *scope, const char *name, struct tdesc_const *ret);
/* The function at @vaddr (as its file says it) of the module at @file: TDESC_FUNC,
 * loaded. NULL: nothing is known of it. */
const struct tdesc *ctype_proto(struct ctype_db *, const char *file, uint64_t vaddr);
/* Functions whose symbol @match accepts, in all modules that @scope means (a
 * glob; "": all): at most @cap of those whose prototype is known. Returns how many
 * there are, those without a prototype included in *ret_unknown. */
typedef bool ctype_match_fn(const char *pattern, const char *name);
uint32_t ctype_protos(struct ctype_db *, const char *scope, const char *func, ctype_match_fn *match,
		      const struct tdesc **ret, uint32_t cap, uint32_t *ret_unknown);

/* "struct foo *", "int [4]", "int (*)()": as C has it, malloc'ed. NULL: no memory. */
char *ctype_name(const struct tdesc *);

#endif
