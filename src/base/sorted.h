/* SPDX-License-Identifier: MIT */
/* Sorting what mostly comes in order.  Tools only. */
#ifndef BASE_SORTED_H
#define BASE_SORTED_H

#include <stddef.h>

/* As qsort(), and @v may be NULL where there is nothing: to see that all stands in order already is sooner. */
void base_sort(void *v, size_t cnt, size_t bytes, int (*compare)(const void *, const void *));

#endif
