/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps, a mapping at a time (proc_pid_maps(5)). */
#ifndef HOST_MAPS_H
#define HOST_MAPS_H

#include "base/base.h"

#include <stdio.h>
#include <sys/types.h>

struct host_map {
	uint64_t start, end, off, inode;
	dev_t dev;
	int prot; /* PROT_* */
	bool shared;
	const char *path; /* "" for none; a newline in it is still \012; as long as the reader stays where it is */
};

/* Starts as zeroes. */
struct host_maps {
	FILE *f;
	char *line;
	size_t cap;
};

/* Of thread @tid, if not 0: a process whose first thread has ended shows none by its own number. -errno. */
int host_maps_open(struct host_maps *, pid_t pid, pid_t tid);
/* Of an open descriptor, which it takes. */
int host_maps_from_fd(struct host_maps *, int fd);
/* 1, 0 at the end, or -errno. */
int host_maps_next(struct host_maps *, struct host_map *ret);
/* Also where it was not opened. */
void host_maps_close(struct host_maps *);

#endif
