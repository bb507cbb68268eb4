/* SPDX-License-Identifier: MIT */
#ifndef CLI_TYPES_USDT_H
#define CLI_TYPES_USDT_H

#include "cli/cli_int.h"
#include "ctype/ctype.h"

/* What was made; the caller's list keeps it. */
struct cli_usdt_type;
void cli_usdt_types_free(struct cli_usdt_type *list);
/* A prototype (loaded) with the arguments of USDT probe @p of @proc; NULL: no memory. */
const struct tdesc *cli_usdt_proto(struct cli_usdt_type **list, struct ctype_db *, struct obj_proc *proc, const struct probe *p);

#endif
