/* SPDX-License-Identifier: MIT */
#ifndef CLI_TYPES_USDT_H
#define CLI_TYPES_USDT_H

#include "cli/cli_int.h"
#include "ctype/ctype.h"

/* What was made; the caller's list keeps it. */
struct cli_usdt_type;
void cli_usdt_types_free(struct cli_usdt_type *list);
/* A type by its name in C, of module @scope (NULL: any); NULL: it is none that we know. A pointer to such is
 * one to void. */
const struct tdesc *cli_type_named(struct cli_usdt_type **list, struct ctype_db *, const char *scope, const char *text);
/* A prototype (loaded) for a probe of the kernel (types_kern.c); *ret_known is false where nobody knows it. */
const struct tdesc *cli_kern_proto(struct cli_usdt_type **list, struct ctype_db *, const struct probe *, bool *ret_known);
/* One to fill: its parameters; NULL: no memory. */
struct tdesc *cli_proto_new(struct cli_usdt_type **list, struct tdesc_param **ret_params, uint32_t *ret_cap);
/* A prototype (loaded) with the arguments of USDT probe @p of @proc; NULL: no memory. */
const struct tdesc *cli_usdt_proto(struct cli_usdt_type **list, struct ctype_db *, struct obj_proc *proc, const struct probe *p);

#endif
