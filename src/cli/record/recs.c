/* SPDX-License-Identifier: MIT */
/* Records of numbers alone go from the ring to the trace without a stop in between. */
#include "cli/record/record_int.h"

#include <stdlib.h>

/* The class of one is mostly that of the one before. */
static int take_recs(void *arg, const struct consume_who *who, const struct consume_rec *recs, uint32_t cnt,
		     struct err *reterr)
{
	struct cli *cli = arg;
	uint32_t ids[CONSUME_RECS_MAX];
	if (!cli_record_wants(cli->args.record, cnt))
		return 0;
	const struct export_event of = { .pid = who->pid, .tid = who->tid, .comm = who->execname };
	for (uint32_t i = 0; i < cnt; i++) {
		if (i && recs[i].site == recs[i - 1].site && recs[i].clause == recs[i - 1].clause) {
			ids[i] = ids[i - 1];
			continue;
		}
		const struct consume_event ev = { .site = recs[i].site, .clause = recs[i].clause };
		int rc = cli_record_class(cli, &ev, &ids[i], reterr);
		if (rc)
			return rc;
	}
	return export_writer_recs(cli->args.record->writer, &of, recs, ids, cnt, reterr);
}

bool *cli_record_takes(const struct cli *cli)
{
	const struct cli_record *r = cli->args.record;
	bool *takes = calloc(r->clause_cnt + 1ul, sizeof(*takes));
	for (uint32_t i = 0; takes && i < r->clause_cnt; i++)
		takes[i] = r->clauses[i].is_flat && !r->clauses[i].tells_who;
	return takes;
}

void cli_record_hooks(struct cli *cli, struct consume_opts *o)
{
	const struct cli_record *r = cli->args.record;
	o->on_event = cli_record_event;
	o->on_recs = take_recs;
	o->recs_clauses = r->takes;
	o->recs_clause_cnt = r->clause_cnt;
}
