/* SPDX-License-Identifier: MIT */
#include "base/near.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;
	return m < c ? m : c;
}

static bool equal(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

uint32_t near_distance(const char *a, const char *b, uint32_t max)
{
	size_t an = strlen(a), bn = strlen(b);
	uint32_t rows[3][NEAR_NAME_MAX + 1], *row = rows[0], *last = rows[1], *before = rows[2];
	if (an > NEAR_NAME_MAX || bn > NEAR_NAME_MAX || (an > bn ? an - bn : bn - an) > max)
		return max + 1;
	for (size_t j = 0; j <= bn; j++)
		row[j] = (uint32_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint32_t *unused = before, best = (uint32_t)i;
		before = last;
		last = row;
		row = unused;
		row[0] = best;
		for (size_t j = 1; j <= bn; j++) {
			bool swapped = i > 1 && j > 1 && equal(a[i - 1], b[j - 2]) && equal(a[i - 2], b[j - 1]);
			uint32_t v = min3(row[j - 1] + 1, last[j] + 1, last[j - 1] + !equal(a[i - 1], b[j - 1]));
			row[j] = swapped && before[j - 2] + 1 < v ? before[j - 2] + 1 : v;
			best = row[j] < best ? row[j] : best;
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
