/* SPDX-License-Identifier: MIT */
/* Private to kern. */
#ifndef KERN_INT_H
#define KERN_INT_H

#include "kern/kern.h"

/* tracefs.c: a file below the root of tracefs, as text (malloc'ed), or NULL and errno. */
char *kern_tracefs_read(const char *path);

/* Its file available_events, read once; a copy (malloc'ed), or NULL and errno. */
char *kern_tracefs_events(void);

/* text.c: a whole file; NULL and errno. @dir: as for openat(). */
char *kern_text_read(int dir, const char *path);

/* btf.c: number of a type of the kernel (BTF_KIND_*), or -ENOENT. */
int32_t kern_btf_id(const char *name, uint32_t kind);
struct btf_type;
const struct btf_type *kern_btf_type(uint32_t id); /* NULL: void, or there is none */
const struct btf_type *kern_btf_resolve(uint32_t id); /* behind names and qualifiers */
const char *kern_btf_name(uint32_t off);

/* syms.c: each symbol of the kernel; a result that is not 0 ends the walk. */
typedef int kern_syms_fn(void *arg, uint64_t addr, char kind, const char *name, const char *module);
int kern_syms_each(kern_syms_fn *, void *arg);

#endif
