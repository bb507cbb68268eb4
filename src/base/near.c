/* SPDX-License-Identifier: MIT */
#include "base/near.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;
	return m < c ? m : c;
}

uint32_t near_distance(const char *a, const char *b, uint32_t max)
{
	size_t an = strlen(a), bn = strlen(b);
	uint32_t row[NEAR_NAME_MAX + 1];
	if (an > NEAR_NAME_MAX || bn > NEAR_NAME_MAX || (an > bn ? an - bn : bn - an) > max)
		return max + 1;
	for (size_t j = 0; j <= bn; j++)
		row[j] = (uint32_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint32_t diag = row[0], best = row[0] = (uint32_t)i;
		for (size_t j = 1; j <= bn; j++) {
			uint32_t cost = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
			uint32_t v = min3(row[j] + 1, row[j - 1] + 1, diag + cost);
			diag = row[j];
			row[j] = v;
			best = v < best ? v : best;
		}
		if (best > max)
			return max + 1;
	}
	return row[bn];
}

uint32_t near_max(const char *wanted)
{
	uint32_t max = (uint32_t)strlen(wanted) / 3;
	return max < 1 ? 1 : max > 4 ? 4 : max;
}
