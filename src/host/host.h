/* SPDX-License-Identifier: MIT */
/* host: what tools share. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/base.h"

#include <sys/types.h>

/* Memory for tables of megabytes, all zero at first; NULL: there is none. */
void *host_big_alloc(uint64_t bytes);
void host_big_free(void *, uint64_t bytes); /* NULL is fine */

/* CLOCK_MONOTONIC. */
uint64_t host_now_ns(void);

/* Whether the process behind @pidfd has ended; not where there is none (-1). */
bool host_pidfd_ended(int pidfd);

/* What ps shows of this process from now on.  init: first of all in main().  What the words of the command pointed to is gone then, and
 * so is what getenv() had returned. */
void host_title_init(char **argv);
void host_title_set(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* For qsort() and bsearch() of uint64_t. */
int host_compare_u64(const void *a, const void *b);
/* In what is sorted so: the index of the first that is not less than @least, or @cnt. */
uint32_t host_first_u64(const uint64_t *v, uint32_t cnt, uint64_t least);

/* The same in @cnt structures at @v, of @bytes each, sorted by a uint64_t that each has at @off. */
static inline uint32_t host_first_at(const void *v, size_t bytes, size_t off, uint32_t cnt, uint64_t least)
{
	uint32_t lo = 0, hi = cnt;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (*(const uint64_t *)(const void *)((const char *)v + mid * bytes + off) < least)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
/* A member of another type does not compile. */
#define HOST_FIRST(v, cnt, member, least) \
	host_first_at(v, sizeof(*(v)), _Generic((v)->member, uint64_t: offsetof(__typeof__(*(v)), member)), cnt, least)

/* For reading: nothing but a regular file is ever opened, whoever chose @path. -errno; -EINVAL: it is another kind. */
int host_open_regular(const char *path);
/* All of @bytes at @off, or -errno; -ENODATA: the file is too short, -ENOSPC: it does not take them. */
int host_read_at(int fd, void *buf, uint64_t bytes, uint64_t off);
int host_write_at(int fd, const void *buf, uint64_t bytes, uint64_t off);

/* As send(), along with @cnt descriptors. */
#define HOST_FDS_MAX 2u
ssize_t host_send_fds(int sock, const void *data, size_t bytes, const int *fds, uint32_t cnt, int flags);
/* As recv(). Descriptors that came along (close on exec) are put behind the *cnt that are in @fds; those for which there is no room
 * are closed. */
ssize_t host_recv_fds(int sock, void *data, size_t bytes, int *fds, uint32_t cap, uint32_t *cnt, int flags);

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
