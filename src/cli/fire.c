/* SPDX-License-Identifier: MIT */
/* ERROR, and the line of the script that it is about. */
#include "cli/cli_int.h"

void cli_fire_named(struct cli *cli, const char *name, const uint64_t args[10])
{
	aim_fire(&cli->aim, cli->session, name, args);
}

/* Where in the script it was, once for each statement. */
void cli_fire_show(struct cli *cli, uint32_t clause, uint64_t action)
{
	uint64_t key = (uint64_t)clause << 32 | (uint32_t)action;
	if (cli_testing() || cli->fault_cnt == CLI_FAULTS)
		return;
	for (uint32_t i = 0; i < cli->fault_cnt; i++)
		if (cli->faults[i] == key)
			return;
	cli->faults[cli->fault_cnt++] = key;
	d_where_print(stderr, cli->d, clause, action);
}

/* Faults in a target are heard of when their records are read; those in the tool were then. */
void cli_fire_error(void *arg, const struct wire_rec *rec, const struct wire_rec_error *e)
{
	struct cli *cli = arg;
	const struct wire_shm *shm = session_shm(cli->session);
	cli_fire_show(cli, rec->clause, e->action);
	const struct wire_site *sites = (const struct wire_site *)((const uint8_t *)shm + shm->site_off);
	if (rec->site < shm->site_cap && sites[rec->site].kind != WIRE_SITE_TOOL)
		aim_fire_error(&cli->aim, cli->session, sites[rec->site].probe_id, rec->clause, e);
}
