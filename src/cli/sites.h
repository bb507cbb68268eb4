/* SPDX-License-Identifier: MIT */
#ifndef CLI_SITES_H
#define CLI_SITES_H

/*
 * Probes as calls: DTRACE_PROBE(prov, name, ...) of DTrace's sys/sdt.h calls __dtrace_PROV___NAME, which nobody
 * defines.  -G makes a nop of each such call and a symbol at it, to which the notes of its own object refer.
 */
#include "cli/cli_int.h"

struct site {
	char *sym;		/* of an object file, hidden; unique among those of one program */
	char *prov, *probe;	/* as in C */
	uint32_t arg_cnt;
	bool is_tail;		/* was a jump: what is not in registers is one word further */
};

struct sites {
	struct site *v;
	uint32_t cnt;
};

/*
 * Rewrites those of the object @files (NULL-terminated) that call probes, and collects all sites, also of earlier runs.
 * CLI_OK, or CLI_ERROR after a message.  @ret is to be freed in either case.
 */
int cli_sites_collect(struct cli *cli, char *const *files, struct sites *ret);
void cli_sites_free(struct sites *s);

/* The notes about @s, of SystemTap's form; where an address of site i belongs: offs[i].  malloc'ed, NULL: no memory. */
void *cli_sites_notes(const struct sites *s, uint64_t *offs, size_t *ret_bytes);

/* @name with two underscores for each dash; malloc'ed. */
char *cli_c_name(const char *name);

#endif
