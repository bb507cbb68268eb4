/* SPDX-License-Identifier: MIT */
/*
 * Tables of megabytes come and go while probes are prepared: their pages are used again, for the kernel clears new ones.  Who goes
 * on for long gives them back.
 */
#include "cli/cli_int.h"
#include "host/host.h"

#include <malloc.h>

#define AFTER_NS 1000000000ull

void cli_spare_init(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

void cli_spare_keep(struct cli *cli) { cli->spare_ns = host_now_ns() + AFTER_NS; }

void cli_spare_give(struct cli *cli)
{
	if (!cli->spare_ns || host_now_ns() < cli->spare_ns)
		return;
	malloc_trim(0);
	cli->spare_ns = 0;
}
