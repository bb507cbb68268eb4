/* SPDX-License-Identifier: MIT */
/*
 * Which row a hit writes to is decided by where its stack is (struct wire_rate), so there is one a thread, nearly always, and
 * nobody else knows which.  A row that nobody has written to is a hole in the memory's file: the kernel says where the others
 * are.  To read a hole would fill it.
 */
#include "session/budget_int.h"

#include <unistd.h>

void budget_hits_init(struct budget_hits *h, const struct wire_shm *shm, int fd)
{
	*h = (struct budget_hits){ .shm = shm, .fd = fd };
}

void budget_hits_look(struct budget_hits *h)
{
	const uint64_t begin = h->shm->hits_off, bytes = h->shm->hits_row_bytes;
	h->row_cnt = 0;
	for (uint64_t row = 0; row < h->shm->hits_rows; row++) {
		off_t at = lseek(h->fd, (off_t)(begin + row * bytes), SEEK_DATA);
		if (at < 0)
			return;
		row = ((uint64_t)at - begin) / bytes;
		if (row < h->shm->hits_rows)
			h->rows[h->row_cnt++] = (uint16_t)row;
	}
}

uint64_t budget_hits_of(const struct budget_hits *h, uint32_t site)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < h->row_cnt; i++) {
		const uint8_t *row = (const uint8_t *)h->shm + h->shm->hits_off + h->rows[i] * h->shm->hits_row_bytes;
		sum += LOAD_RELAXED((const uint64_t *)row + site);
	}
	return sum;
}
