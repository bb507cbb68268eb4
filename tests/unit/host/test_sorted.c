/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "base/sorted.h"

#include <stdint.h>
#include <stdlib.h>

#define CNT 2000

struct elem {
	uint32_t key, was;
	char more[40];
};

static int by_key(const void *a, const void *b)
{
	const struct elem *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* In order, and those that are equal as they were. */
static void sorts(struct elem *v, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		v[i].was = i;
	base_sort(v, cnt, sizeof(*v), by_key);
	for (uint32_t i = 1; i < cnt; i++)
		if (!CHECK(v[i - 1].key < v[i].key || (v[i - 1].key == v[i].key && v[i - 1].was < v[i].was)))
			return;
}

/* @step: one in so many stands up to @far places from where it belongs; 0: none. */
static void sorts_shuffled(uint32_t cnt, uint32_t step, uint32_t far)
{
	struct elem *v = calloc(cnt + 1, sizeof(*v));
	for (uint32_t i = 0; i < cnt; i++)
		v[i].key = i / 3;
	for (uint32_t i = far; step && i < cnt; i += step) {
		uint32_t other = i - (uint32_t)rand() % (far + 1);
		struct elem e = v[i];
		v[i] = v[other];
		v[other] = e;
	}
	sorts(v, cnt);
	free(v);
}

static void in_order(void) { sorts_shuffled(CNT, 0, 0); }
static void nearly(void) { sorts_shuffled(CNT, 100, 4); }
static void not_at_all(void) { sorts_shuffled(CNT, 1, CNT / 2); }

static void few(void)
{
	base_sort(NULL, 0, sizeof(struct elem), by_key);
	for (uint32_t cnt = 0; cnt < 8; cnt++)
		sorts_shuffled(cnt, 1, cnt / 2);
}

TAP_MAIN(TEST(in_order), TEST(nearly), TEST(not_at_all), TEST(few))
