/* SPDX-License-Identifier: MIT */
/* Sorting what mostly comes in order.  Tools only. */
#ifndef BASE_SORTED_H
#define BASE_SORTED_H

#include <stddef.h>

/* As qsort(), but for @v that may be NULL where there is nothing: sooner where elements stand in order already, or next to where they belong. */
void base_sort(void *v, size_t cnt, size_t bytes, int (*compare)(const void *, const void *));

#endif
