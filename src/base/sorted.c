/* SPDX-License-Identifier: MIT */
#include "base/sorted.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX 256

void base_sort(void *v, size_t cnt, size_t bytes, int (*compare)(const void *, const void *))
{
	uint8_t *p = v, held[HELD_MAX];
	size_t left = bytes <= sizeof(held) ? cnt : 0; /* places that elements may be moved by, all together */
	for (size_t i = 1; i < cnt; i++) {
		size_t to = i;
		for (; to && compare(p + (to - 1) * bytes, p + i * bytes) > 0; to--)
			if (!left--) {
				qsort(v, cnt, bytes, compare);
				return;
			}
		if (to == i)
			continue;
		memcpy(held, p + i * bytes, bytes);
		memmove(p + (to + 1) * bytes, p + to * bytes, (i - to) * bytes);
		memcpy(p + to * bytes, held, bytes);
	}
}
