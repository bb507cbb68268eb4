/* SPDX-License-Identifier: MIT */
/*
 * Which row a hit writes to is decided by where its stack is (struct wire_rate), so there is one a thread, nearly always, and
 * nobody else knows which.
 *
 *               block 0   block 1   block 2      each a page of the memory's file: counters of 512 sites
 *      row 0    ........  12345678  ........
 *      row 1    ........  ........  ........     dots: a hole, since nobody has written there
 *      row 2    12345678  12345678  ........
 *
 * The kernel says which pages are there; to read a hole would fill it.  Who recurses deep, or runs on stacks that are small, writes
 * to many rows.  They are 4 MiB apart, so what is read is read page by page.
 */
#include "session/budget_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(WIRE_HIT_ROWS % 64 == 0, "a block's rows are whole words");

void budget_hits_init(struct budget_hits *h, const struct wire_shm *shm, int fd)
{
	*h = (struct budget_hits){ .shm = shm, .fd = fd };
}

void budget_hits_deinit(struct budget_hits *h)
{
	free(h->blocks);
	h->blocks = NULL;
}

int budget_hits_follow(struct budget_hits *h, uint32_t site)
{
	uint32_t cnt = site / BUDGET_BLOCK_SITES + 1;
	if (cnt <= h->block_cnt)
		return 0;
	struct budget_block *more = realloc(h->blocks, cnt * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + h->block_cnt, 0, (cnt - h->block_cnt) * sizeof(*more));
	h->blocks = more;
	h->block_cnt = cnt;
	return 0;
}

static bool is_there(const struct budget_hits *h, uint32_t block, uint32_t row)
{
	return h->blocks[block].rows[row / 64] >> row % 64 & 1;
}

static void found(struct budget_hits *h, uint32_t block, uint32_t row)
{
	if (is_there(h, block, row))
		return;
	h->blocks[block].rows[row / 64] |= 1ull << row % 64;
	h->blocks[block].row_cnt++;
}

uint32_t budget_hits_rows(const struct budget_hits *h, uint32_t block)
{
	return h->blocks[block].row_cnt;
}

/* The first page from @at on that is there; pages count from the first row's on, through all of them. */
static uint64_t next_page(const struct budget_hits *h, uint64_t at, int whence)
{
	off_t off = lseek(h->fd, (off_t)(h->shm->hits_off + at * WIRE_PAGE), whence);
	return off < 0 ? UINT64_MAX : ((uint64_t)off - h->shm->hits_off) / WIRE_PAGE;
}

/* What is known already stays: nobody makes holes there. */
void budget_hits_look(struct budget_hits *h, uint32_t first, uint32_t last)
{
	const uint64_t row_pages = h->shm->hits_row_bytes / WIRE_PAGE, pages = row_pages * h->shm->hits_rows;
	uint64_t data_end = 0;
	for (uint64_t at = first; at < pages;) {
		uint32_t row = (uint32_t)(at / row_pages), block = (uint32_t)(at % row_pages);
		if (block > last) {
			at = (row + 1) * row_pages + first;
		} else if (block < first) {
			at += first - block;
		} else if (at < data_end || is_there(h, block, row)) {
			found(h, block, row);
			at++;
		} else {
			at = next_page(h, at, SEEK_DATA);
			uint64_t hole = at < pages ? next_page(h, at, SEEK_HOLE) : 0;
			data_end = hole > at ? hole : at + 1;
		}
	}
}

void budget_hits_sum(const struct budget_hits *h, const uint32_t *sites, uint32_t cnt, uint64_t *ret)
{
	uint32_t block = sites[0] / BUDGET_BLOCK_SITES;
	memset(ret, 0, cnt * sizeof(*ret));
	for (uint32_t word = 0; word < WIRE_HIT_ROWS / 64; word++)
		for (uint64_t left = h->blocks[block].rows[word]; left; left &= left - 1) {
			uint32_t row = word * 64 + (uint32_t)__builtin_ctzll(left);
			const uint64_t *v = (const uint64_t *)((const uint8_t *)h->shm + h->shm->hits_off + row * h->shm->hits_row_bytes);
			for (uint32_t i = 0; i < cnt; i++)
				ret[i] += LOAD_RELAXED(v + sites[i]);
		}
}
