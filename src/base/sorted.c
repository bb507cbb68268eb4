/* SPDX-License-Identifier: MIT */
#include "base/sorted.h"

#include <stdint.h>
#include <stdlib.h>

void base_sort(void *v, size_t cnt, size_t bytes, int (*compare)(const void *, const void *))
{
	const uint8_t *p = v;
	size_t i = 1;
	while (i < cnt && compare(p + (i - 1) * bytes, p + i * bytes) <= 0)
		i++;
	if (i < cnt)
		qsort(v, cnt, bytes, compare);
}
