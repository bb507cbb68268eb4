/* SPDX-License-Identifier: MIT */
/* Descriptions to probes: each provider is asked. */
#include "probe/probe_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct probe_provider *const providers[] = { &probe_dtrace, &probe_profile, &probe_kernel, &probe_cpc, &probe_fbt, &probe_usdt, &probe_pid };

bool probe_glob(const char *pattern, const char *name)
{
	return !*pattern || obj_glob(pattern, name);
}

static int by_index(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void sort_unique(struct found *f)
{
	if (!f->cnt)
		return;
	base_sort(f->v, f->cnt, sizeof(*f->v), by_index);
	uint32_t n = 1;
	for (uint32_t i = 1; i < f->cnt; i++)
		if (f->v[i] != f->v[n - 1])
			f->v[n++] = f->v[i];
	f->cnt = n;
}

int probe_match(struct probe_table *t, const struct probe_spec *spec, struct obj_proc *const *procs,
		const pid_t *pids, uint32_t proc_cnt, uint32_t **ret, uint32_t *ret_cnt, struct err *reterr)
{
	struct err own;
	struct probe_query q = { spec, procs, pids, proc_cnt, reterr ? reterr : &own };
	struct found f = { .table = t };
	q.reterr->code = 0;
	q.reterr->msg[0] = 0;
	int rc = 0;
	for (size_t i = 0; i < ARRAY_CNT(providers) && !rc; i++)
		rc = providers[i]->match(&q, &f);
	if (rc) {
		free(f.v);
		return rc == -ENOMEM ? err_setf(reterr, rc, "out of memory") : rc;
	}
	sort_unique(&f);
	if (f.cnt)
		q.reterr->msg[0] = 0;
	else if (!q.reterr->msg[0])
		near_probes(spec, q.reterr);
	*ret = f.v;
	*ret_cnt = f.cnt;
	return 0;
}
