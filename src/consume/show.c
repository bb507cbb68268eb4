/* SPDX-License-Identifier: MIT */
/* Aggregations for who wants one of them, or one entry. */
#include "consume/consume_int.h"

#include <stdlib.h>
#include <string.h>

int consume_show_aggs(struct consume *c, FILE *out, const uint32_t *aggs, uint32_t cnt, struct err *reterr)
{
	c->snap_valid = false;
	for (uint32_t i = 0; i < cnt; i++) {
		int rc = consume_agg_print_default(c, out, &aggs[i], 1, reterr);
		if (rc)
			return rc;
	}
	return 0;
}

const int64_t *consume_agg_entry(struct consume *c, uint32_t agg, const int64_t *key)
{
	c->snap_valid = false;
	if (agg >= AGG_CNT(c) || consume_agg_snap(c, NULL))
		return NULL;
	for (uint32_t b = 0; b < c->snap.bucket_cnt; b++)
		for (const struct agg_ent *e = c->snap.buckets[b]; e; e = e->next)
			if (e->agg == agg && (key ? e->key_bytes >= sizeof(*key) && !memcmp(e->key, key, sizeof(*key)) : !e->key_bytes))
				return e->val;
	return NULL;
}

void consume_show_quantize(FILE *out, const int64_t *val)
{
	static const struct hist_opts opts = { .normal = 1 };
	consume_hist_quantize(out, val, &opts);
}
