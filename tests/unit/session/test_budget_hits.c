/* SPDX-License-Identifier: MIT */
/* Rows of counters in a file with holes. */
#include "../tap.h"
#include "session/budget_int.h"
#include "wire/layout.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SITE_FAR 100000u

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
	munmap(mem, geo.bytes);
	close(fd);
}

static uint64_t *counter(uint64_t row, uint32_t site)
{
	return (uint64_t *)(mem + geo.hits_off + row * geo.hits_row_bytes) + site;
}

static void all_rows_are_found(void)
{
	start();
	CHECK_EQ(geo.hits_rows, WIRE_HIT_ROWS);
	budget_hits_look(&hits);
	CHECK_EQ(hits.row_cnt, 0);
	CHECK_EQ(budget_hits_of(&hits, 3), 0);
	*counter(0, 3) = 1;
	*counter(17, SITE_FAR) = 20;
	*counter(17, 3) = 2;
	*counter(WIRE_HIT_ROWS - 1, 3) = 4;
	budget_hits_look(&hits);
	CHECK_EQ(hits.row_cnt, 3);
	CHECK_EQ(budget_hits_of(&hits, 3), 7);
	CHECK_EQ(budget_hits_of(&hits, SITE_FAR), 20);
	*counter(18, 3) = 8; /* a thread that is new has hits already */
	CHECK_EQ(budget_hits_of(&hits, 3), 7);
	budget_hits_look(&hits);
	CHECK_EQ(budget_hits_of(&hits, 3), 15);
	end();
}

static void rows_of_nobody_take_no_memory(void)
{
	struct stat before, after;
	start();
	*counter(9, 0) = 1;
	fstat(fd, &before);
	budget_hits_look(&hits);
	CHECK_EQ(budget_hits_of(&hits, 0), 1);
	fstat(fd, &after);
	CHECK_EQ(after.st_blocks, before.st_blocks);
	end();
}

TAP_MAIN(TEST(all_rows_are_found), TEST(rows_of_nobody_take_no_memory))
