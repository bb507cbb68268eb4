/* SPDX-License-Identifier: MIT */
/* How far two names are from each other.  For tools; allocates nothing. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NEAR_LEN_MAX 64 /* longer names are near to nothing */

static inline char near_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static inline uint32_t near_min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* What a slip of the pen in @wanted can amount to: edits. */
static inline uint32_t near_max(const char *wanted)
{
	size_t max = strlen(wanted) / 3;
	return max < 1 ? 1 : max > 4 ? 4 : (uint32_t)max;
}

/*
 * Edits from one to the other: letters that were left out, put in, mistaken, or
 * swapped with the next.  Small and capital letters are alike.  Above @max it
 * may be anything above @max.
 */
static inline uint32_t near_distance(const char *a, const char *b, uint32_t max)
{
	size_t an = strlen(a), bn = strlen(b);
	uint32_t rows[3][NEAR_LEN_MAX + 1], *row = rows[0], *last = rows[1], *before = rows[2];
	if (an > NEAR_LEN_MAX || bn > NEAR_LEN_MAX || (an > bn ? an - bn : bn - an) > max)
		return max + 1;
	for (size_t j = 0; j <= bn; j++)
		row[j] = (uint32_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint32_t *free = before, best = (uint32_t)i;
		before = last;
		last = row;
		row = free;
		row[0] = best;
		for (size_t j = 1; j <= bn; j++) {
			bool same = near_lower(a[i - 1]) == near_lower(b[j - 1]);
			uint32_t v = near_min3(row[j - 1] + 1, last[j] + 1, last[j - 1] + !same);
			bool swapped = i > 1 && j > 1 && near_lower(a[i - 1]) == near_lower(b[j - 2]) &&
				near_lower(a[i - 2]) == near_lower(b[j - 1]);
			if (swapped && before[j - 2] + 1 < v)
				v = before[j - 2] + 1;
			row[j] = v;
			best = v < best ? v : best;
		}
		if (best > max)
			return max + 1;
	}
	return row[bn];
}

#endif
