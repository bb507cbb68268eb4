/* SPDX-License-Identifier: MIT */
/* Names that somebody may have meant.  Tools only. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stdint.h>

#define NEAR_NAME_MAX 64 /* longer names are near to nothing */

/* Characters to insert, delete, change, or swap with the next, small and capital letters alike; above @max it may be
 * anything above @max. */
uint32_t near_distance(const char *a, const char *b, uint32_t max);
/* How far a name may be from @wanted to be worth mentioning. */
uint32_t near_max(const char *wanted);

#endif
