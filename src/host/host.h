/* SPDX-License-Identifier: MIT */
/* host: what tools share. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/base.h"

/* CLOCK_MONOTONIC. */
uint64_t host_now_ns(void);

/* For reading: nothing but a regular file is ever opened, whoever chose @path. -errno; -EINVAL: it is another kind. */
int host_open_regular(const char *path);

/* Strings, each with a number. Starts as zeroes. */
struct host_strmap {
	struct host_str {
		char *key; /* owned; NULL: empty */
		uint64_t val;
	} *v;
	uint32_t cnt, cap;
};
/* The entry of @key, with the number 0 where it is new. NULL: no memory. It moves when another is added. */
struct host_str *host_strmap_get(struct host_strmap *, const char *key);
/* Forgets @e, the one that was added last. */
void host_strmap_drop(struct host_strmap *, struct host_str *e);
void host_strmap_deinit(struct host_strmap *);

#endif
