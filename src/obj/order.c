/* SPDX-License-Identifier: MIT */
/*
 * Sorting by an address: tables of a hundred thousand elements, most of which stand in the order of files already.  Only the
 * addresses are sorted, 11 bits at a time; elements move once.
 */
#include "obj/obj_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS 11u
#define DIGITS (1u << DIGIT_BITS)

struct place {
	uint64_t key;
	uint32_t from;
};

static uint64_t key_of(const uint8_t *first, size_t size, uint32_t i)
{
	uint64_t key;
	memcpy(&key, first + i * size, sizeof(key));
	return key;
}

static bool is_sorted(const uint8_t *first, uint32_t cnt, size_t size)
{
	for (uint32_t i = 1; i < cnt; i++)
		if (key_of(first, size, i - 1) > key_of(first, size, i))
			return false;
	return true;
}

/* By one digit, those of equal digits in the order that they have. */
static void pass(const struct place *from, struct place *to, uint32_t cnt, uint32_t shift)
{
	uint32_t at[DIGITS] = { 0 }, sum = 0;
	for (uint32_t i = 0; i < cnt; i++)
		at[from[i].key >> shift & (DIGITS - 1)]++;
	for (uint32_t d = 0; d < DIGITS; d++) {
		uint32_t n = at[d];
		at[d] = sum;
		sum += n;
	}
	for (uint32_t i = 0; i < cnt; i++)
		to[at[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
}

static void sort_places(struct place **p, struct place **q, uint32_t cnt, uint64_t differ)
{
	for (uint32_t shift = 0; shift < 64; shift += DIGIT_BITS) {
		if (!(differ >> shift & (DIGITS - 1)))
			continue;
		pass(*p, *q, cnt, shift);
		struct place *was = *p;
		*p = *q;
		*q = was;
	}
}

int obj_order(void *arr, uint32_t cnt, size_t size, size_t key)
{
	uint8_t *old = *(uint8_t **)arr;
	if (is_sorted(old + key, cnt, size))
		return 0;
	struct place *p = malloc(cnt * sizeof(*p)), *q = malloc(cnt * sizeof(*q));
	uint8_t *v = malloc(cnt * size);
	uint64_t differ = 0;
	if (p && q && v) {
		for (uint32_t i = 0; i < cnt; i++) {
			p[i] = (struct place){ key_of(old + key, size, i), i };
			differ |= p[i].key ^ p[0].key;
		}
		sort_places(&p, &q, cnt, differ);
		for (uint32_t i = 0; i < cnt; i++)
			memcpy(v + i * size, old + p[i].from * size, size);
		*(uint8_t **)arr = v;
		v = old;
	}
	bool ok = p && q && v;
	free(p);
	free(q);
	free(v);
	return ok ? 0 : -ENOMEM;
}
