/* SPDX-License-Identifier: MIT */
/* BEGIN, END, ERROR: always the first three of a table. */
#include "probe/probe_int.h"

#include <stdlib.h>

static const char *const names[] = { "BEGIN", "END", "ERROR" };

static int match(const struct probe_query *q, struct found *f)
{
	const struct probe_spec *s = q->spec;
	struct found all = { .table = f->table };
	int rc = 0;
	for (size_t i = 0; i < ARRAY_CNT(names) && !rc; i++) {
		const struct probe p = { .prov = "dtrace", .mod = "", .func = "", .name = names[i], .kind = WIRE_SITE_TOOL };
		bool hit = probe_glob(s->prov, p.prov) && probe_glob(s->mod, "") && probe_glob(s->func, "") &&
			   probe_glob(s->name, p.name);
		/* Those that are not meant are made too: their numbers are fixed. */
		all.cnt = 0;
		rc = probe_found(hit ? f : &all, &p);
	}
	free(all.v);
	return rc;
}

const struct probe_provider probe_dtrace = { "dtrace", match };
