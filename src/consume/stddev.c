/* SPDX-License-Identifier: MIT */
/* stddev(): words count, sum, low and high half of the sum of squares. */
#include "consume/consume_int.h"

__extension__ typedef unsigned __int128 u128;

static u128 squares(const int64_t *val)
{
	return (u128)(uint64_t)val[3] << 64 | (uint64_t)val[2];
}

void consume_stddev_add(int64_t *dst, const int64_t *src)
{
	u128 sum = squares(dst) + squares(src);
	dst[0] += src[0];
	dst[1] += src[1];
	dst[2] = (int64_t)(uint64_t)sum;
	dst[3] = (int64_t)(uint64_t)(sum >> 64);
}

void consume_stddev_sub(int64_t *dst, const int64_t *src)
{
	u128 rest = squares(dst) - squares(src);
	dst[0] = (int64_t)((uint64_t)dst[0] - (uint64_t)src[0]);
	dst[1] = (int64_t)((uint64_t)dst[1] - (uint64_t)src[1]);
	dst[2] = (int64_t)(uint64_t)rest;
	dst[3] = (int64_t)(uint64_t)(rest >> 64);
}

/* Largest r with r * r <= v, bit by bit. */
static uint64_t sqrt128(u128 v)
{
	uint64_t r = 0;
	for (int bit = 63; bit >= 0; bit--) {
		uint64_t try = r | (uint64_t)1 << bit;
		if ((u128)try * try <= v)
			r = try;
	}
	return r;
}

/* As dtrace does it: the normal divides the mean and, once, the mean of the squares. */
uint64_t consume_stddev_of(const int64_t *val, int64_t normal)
{
	if (!val[0] || !normal)
		return 0;
	u128 mean_sq = squares(val) / (uint64_t)normal / (uint64_t)val[0];
	int64_t mean = val[1] / normal / val[0];
	uint64_t abs = mean < 0 ? 0 - (uint64_t)mean : (uint64_t)mean;
	u128 sq_mean = (u128)abs * abs;
	return mean_sq > sq_mean ? sqrt128(mean_sq - sq_mean) : 0;
}
