/* SPDX-License-Identifier: MIT */
/* printa() of several aggregations: a row for each key that any of them has. */
#include "consume/consume_int.h"

#include <errno.h>
#include <stdlib.h>

struct joined {
	struct consume *c;
	const uint32_t *aggs;
	uint32_t cnt, sortpos;
	struct agg_ent **zeros; /* [cnt]: what a key shows of an aggregation that lacks it */
	/* [row_cnt][cnt + 1]: an entry for each aggregation, then one that has the key */
	const struct agg_ent **rows;
	uint32_t row_cnt;
};

static bool want_listed(void *arg, const struct agg_ent *e)
{
	const struct joined *j = arg;
	for (uint32_t i = 0; i < j->cnt; i++)
		if (j->aggs[i] == e->agg)
			return true;
	return false;
}

static int make_zeros(struct joined *j)
{
	for (uint32_t i = 0; i < j->cnt; i++) {
		uint32_t vals = consume_agg_words(j->c, j->aggs[i]);
		struct agg_ent *z = calloc(1, sizeof(*z) + vals * sizeof(*z->val));
		if (!z)
			return -ENOMEM;
		z->agg = j->aggs[i];
		z->val = (int64_t *)z->key;
		j->zeros[i] = z;
	}
	return 0;
}

/* @ents: of one key. */
static void make_row(struct joined *j, struct agg_ent *const *ents, uint32_t cnt)
{
	const struct agg_ent **row = &j->rows[(size_t)j->row_cnt++ * (j->cnt + 1)];
	for (uint32_t i = 0; i < j->cnt; i++) {
		row[i] = j->zeros[i];
		for (uint32_t e = 0; e < cnt; e++)
			if (ents[e]->agg == j->aggs[i])
				row[i] = ents[e];
	}
	row[j->cnt] = ents[0];
}

static int cmp_rows(const void *pa, const void *pb, void *arg)
{
	const struct agg_ent *const *a = pa, *const *b = pb;
	const struct joined *j = arg;
	struct consume *c = j->c;
	int r = 0;
	if (c->opts.aggsortkey)
		r = consume_agg_cmp_key(c, a[j->cnt], b[j->cnt], c->opts.aggsortkeypos);
	for (uint32_t i = 0; !r && i < j->cnt; i++) {
		uint32_t at = (i + j->sortpos) % j->cnt;
		r = consume_agg_cmp_val(c, a[at], b[at]);
	}
	if (!r)
		r = consume_agg_cmp_key(c, a[j->cnt], b[j->cnt], c->opts.aggsortkeypos);
	return c->opts.aggsortrev ? -r : r;
}

static void make_rows(struct joined *j, struct agg_ent **ents, uint32_t cnt)
{
	consume_agg_sort(j->c, ents, cnt, AGG_BY_KEY);
	for (uint32_t i = 1, start = 0; i <= cnt; i++) {
		if (i < cnt && !consume_agg_cmp_key(j->c, ents[i], ents[start], 0))
			continue;
		make_row(j, &ents[start], i - start);
		start = i;
	}
	qsort_r(j->rows, j->row_cnt, (j->cnt + 1) * sizeof(*j->rows), cmp_rows, j);
}

int consume_agg_walk_joined(struct consume *c, FILE *fp, const uint32_t *aggs, uint32_t cnt, agg_row_fn *fn, void *arg,
		    struct err *reterr)
{
	struct joined j = { .c = c, .aggs = aggs, .cnt = cnt,
			    .sortpos = c->opts.aggsortpos < cnt ? c->opts.aggsortpos : 0 };
	struct agg_ent **ents;
	uint32_t ent_cnt;
	int rc = consume_agg_collect(c, want_listed, &j, &ents, &ent_cnt, reterr);
	if (rc)
		return rc;
	j.zeros = calloc(cnt, sizeof(struct agg_ent *));
	j.rows = calloc((size_t)ent_cnt + 1, (cnt + 1) * sizeof(*j.rows));
	rc = j.zeros && j.rows ? make_zeros(&j) : -ENOMEM;
	if (!rc)
		make_rows(&j, ents, ent_cnt);
	for (uint32_t i = 0; !rc && i < j.row_cnt; i++) {
		const struct agg_ent **row = &j.rows[(size_t)i * (cnt + 1)];
		rc = fn(c, fp, row[cnt], row, cnt, arg);
	}
	if (rc == -ENOMEM)
		err_setf(reterr, rc, "out of memory");
	for (uint32_t i = 0; j.zeros && i < cnt; i++)
		free(j.zeros[i]);
	free(j.zeros);
	free(j.rows);
	free(ents);
	return rc;
}
