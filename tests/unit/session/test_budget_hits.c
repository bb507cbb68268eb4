/* SPDX-License-Identifier: MIT */
/* Rows of counters in a file with holes. */
#include "../tap.h"
#include "session/budget_int.h"
#include "wire/layout.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SITE_FAR 100000u
#define SITE_LAST ((1u << 19) - 1)
#define BLOCKS 5u

static struct wire_shm geo;
static struct budget_hits hits;
static uint8_t *mem;
static int fd;

static void start(void)
{
	struct wire_layout_in in = { .thread_cnt = 2, .site_cap = 1u << 19, .ring_bytes = 4096, .agg_bytes = 4096, .dyn_bytes = 4096,
		.unw_bytes = 4096, .ctx_bytes = 4096, .str_cap = 4096, .strsize = 16, .rates = true };
	struct err err = { .msg = "" };
	CHECK_MSG(!wire_layout(&geo, &in, &err), "%s", err.msg);
	fd = memfd_create("hits", MFD_CLOEXEC);
	CHECK(!ftruncate(fd, (off_t)geo.bytes));
	mem = mmap(NULL, geo.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	CHECK(mem != MAP_FAILED);
	*(struct wire_shm *)mem = geo;
	mem[geo.bytes - 1] = 1; /* there is data behind all rows, too */
	budget_hits_init(&hits, (const struct wire_shm *)mem, fd);
}

static void end(void)
{
	budget_hits_deinit(&hits);
	munmap(mem, geo.bytes);
	close(fd);
}

static uint64_t *counter(uint64_t row, uint32_t site)
{
	return (uint64_t *)(mem + geo.hits_off + row * geo.hits_row_bytes) + site;
}

static uint64_t hits_of(uint32_t site)
{
	uint64_t sum;
	CHECK(!budget_hits_follow(&hits, site));
	budget_hits_sum(&hits, &site, 1, &sum);
	return sum;
}

static void look_at(uint32_t site)
{
	CHECK(!budget_hits_follow(&hits, site));
	budget_hits_look(&hits, site / BUDGET_BLOCK_SITES, site / BUDGET_BLOCK_SITES);
}

static void all_rows_are_found(void)
{
	start();
	CHECK_EQ(geo.hits_rows, WIRE_HIT_ROWS);
	look_at(3);
	CHECK_EQ(hits_of(3), 0);
	*counter(0, 3) = 1;
	*counter(17, SITE_FAR) = 20;
	*counter(17, 3) = 2;
	*counter(WIRE_HIT_ROWS - 1, 3) = 4;
	*counter(WIRE_HIT_ROWS - 1, SITE_LAST) = 40;
	look_at(3);
	CHECK_EQ(budget_hits_rows(&hits, 0), 3);
	CHECK_EQ(hits_of(3), 7);
	CHECK_EQ(hits_of(SITE_FAR), 0);
	look_at(SITE_FAR);
	CHECK_EQ(hits_of(SITE_FAR), 20);
	look_at(SITE_LAST);
	CHECK_EQ(hits_of(SITE_LAST), 40);
	*counter(18, 3) = 8; /* a thread that is new has hits already */
	CHECK_EQ(hits_of(3), 7);
	look_at(3);
	CHECK_EQ(hits_of(3), 15);
	end();
}

/* As many pages as there are, at random: against all that was written. */
static void any_blocks_of_any_rows(void)
{
	static uint64_t truth[BLOCKS * BUDGET_BLOCK_SITES];
	uint64_t seed = 1;
	start();
	CHECK(!budget_hits_follow(&hits, BLOCKS * BUDGET_BLOCK_SITES - 1));
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 100; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			uint32_t site = (uint32_t)(seed >> 40) % ARRAY_CNT(truth);
			truth[site] += round + 1;
			*counter(seed >> 32 & 0xff & (round < 15 ? 7 : 0xff), site) += round + 1;
		}
		uint32_t first = round % BLOCKS;
		budget_hits_look(&hits, first, BLOCKS - 1);
		budget_hits_look(&hits, 0, first);
		for (uint32_t block = 0; block < BLOCKS; block++) {
			uint32_t sites[BUDGET_BLOCK_SITES];
			uint64_t sums[BUDGET_BLOCK_SITES];
			for (uint32_t i = 0; i < BUDGET_BLOCK_SITES; i++)
				sites[i] = block * BUDGET_BLOCK_SITES + i;
			budget_hits_sum(&hits, sites, BUDGET_BLOCK_SITES, sums);
			CHECK(!memcmp(sums, truth + block * BUDGET_BLOCK_SITES, sizeof(sums)));
		}
	}
	end();
}

static void holes_take_no_memory(void)
{
	struct stat before, after;
	start();
	*counter(9, 0) = 1;
	*counter(12, SITE_FAR) = 2;
	fstat(fd, &before);
	look_at(SITE_FAR);
	budget_hits_look(&hits, 0, SITE_FAR / BUDGET_BLOCK_SITES);
	for (uint32_t site = 0; site <= SITE_FAR; site += BUDGET_BLOCK_SITES / 2) /* rows that exist, and blocks that do not */
		CHECK_EQ(hits_of(site), site == 0);
	CHECK_EQ(hits_of(SITE_FAR), 2);
	fstat(fd, &after);
	CHECK_EQ(after.st_blocks, before.st_blocks);
	end();
}

TAP_MAIN(TEST(all_rows_are_found), TEST(any_blocks_of_any_rows), TEST(holes_take_no_memory))
