/* SPDX-License-Identifier: MIT */
/*
 * Files of modules that were just read: who asks next for another part need not find, open and compare the file anew.
 * An image that is given out is not in the pool meanwhile, so that nobody shares one; a few are kept, whatever
 * the number of processes.
 */
#include "obj/obj_int.h"

#include <pthread.h>
#include <string.h>

#define KEPT 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct obj_img kept[KEPT]; /* the first came last */
static uint32_t kept_cnt;

static void take_out(uint32_t i)
{
	memmove(&kept[i], &kept[i + 1], (--kept_cnt - i) * sizeof(*kept));
}

bool obj_pool_take(const struct obj_mod *m, struct obj_img *ret)
{
	bool found = false;
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < kept_cnt && !found; i++)
		if (kept[i].owner == m) {
			*ret = kept[i];
			take_out(i);
			found = true;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

void obj_pool_give(struct obj_img *img)
{
	struct obj_img old = { .fd = -1 };
	pthread_mutex_lock(&lock);
	if (kept_cnt == KEPT)
		old = kept[--kept_cnt];
	memmove(&kept[1], &kept[0], kept_cnt++ * sizeof(*kept));
	kept[0] = *img;
	pthread_mutex_unlock(&lock);
	old.owner = NULL;
	obj_img_deinit(&old);
}

void obj_pool_forget(const struct obj_mod *m)
{
	struct obj_img img;
	while (obj_pool_take(m, &img)) {
		img.owner = NULL;
		obj_img_deinit(&img);
	}
}
