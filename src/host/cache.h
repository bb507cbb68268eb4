/* SPDX-License-Identifier: MIT */
/*
 * What was found out about a file once, for the next time: $XDG_CACHE_HOME/dyntrace, or ~/.cache/dyntrace.
 * DYNTRACE_CACHE=off keeps from it, reading and writing.  It is only ever a shortcut: whatever is wrong with it, it is as if it
 * were empty.
 */
#ifndef HOST_CACHE_H
#define HOST_CACHE_H

#include "base/base.h"

#include <sys/stat.h>

/* The very file: who makes a copy of one, with its build-id and other code, makes another. */
struct host_cache_file {
	uint64_t dev, ino, bytes;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
};
/* False: nothing of it is to be kept, since others than root and the caller may change it. */
bool host_cache_file(const struct stat *, struct host_cache_file *ret);

/* What an entry is of: @id and @file are the file's (id: its build-id), @kind what is kept of it, @version changes with its
 * form, @key with all else that it depends on. */
struct host_cache_key {
	struct host_cache_file file;
	const uint8_t *id;
	uint32_t id_bytes;
	const char *kind;
	uint32_t version;
	uint64_t key;
};
/* A malloc'ed copy, which is what was stored; NULL: there is none. */
void *host_cache_load(const struct host_cache_key *, uint64_t *ret_bytes);
/* Whether it can be kept is nobody's concern. */
void host_cache_store(const struct host_cache_key *, const void *data, uint64_t bytes);

/* For keys: adds @bytes to a sum that began as anything. */
uint64_t host_hash(uint64_t sum, const void *data, uint64_t bytes);

#endif
