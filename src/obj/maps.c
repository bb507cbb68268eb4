/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps (proc_pid_maps(5)). */
#include "obj/maps_int.h"

#include "host/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

/* The kernel writes a newline in a name as \012 and nothing else so. */
static void unescape(char *s)
{
	char *to = s;
	for (; *s; s++) {
		if (!strncmp(s, "\\012", 4)) {
			*to++ = '\n';
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static int take(const struct host_map *h, struct obj_map *m, uint64_t *ret_dev)
{
	*m = (struct obj_map){ .start = h->start, .end = h->end, .off = h->off, .inode = h->inode, .prot = (uint32_t)h->prot,
			       .shared = h->shared, .path = strdup(h->path) };
	*ret_dev = h->dev;
	if (!m->path)
		return -ENOMEM;
	unescape(m->path);
	return 0;
}

void obj_maps_free(struct obj_map *maps, uint64_t *devs, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		free(maps[i].path);
	free(maps);
	free(devs);
}

int obj_maps_read(pid_t pid, struct obj_map **ret, uint64_t **ret_devs, uint32_t *ret_cnt)
{
	bool helped;
	struct host_maps all;
	struct host_map m;
	int fd = obj_procfile_open(pid, OBJ_FILE_MAPS, 0, 0, &helped), rc = fd < 0 ? fd : host_maps_from_fd(&all, fd);
	if (rc)
		return rc;
	struct obj_map *maps = NULL;
	uint64_t *devs = NULL;
	uint32_t cnt = 0, cap = 0, dev_cap = 0;
	while (!rc && (rc = host_maps_next(&all, &m)) > 0) {
		rc = obj_grow(&maps, &cap, cnt + 1ULL, sizeof(*maps));
		if (!rc)
			rc = obj_grow(&devs, &dev_cap, cnt + 1ULL, sizeof(*devs));
		if (!rc)
			rc = take(&m, &maps[cnt], &devs[cnt]);
		cnt += !rc;
	}
	host_maps_close(&all);
	if (rc) {
		obj_maps_free(maps, devs, cnt);
		return rc;
	}
	*ret = maps;
	*ret_devs = devs;
	*ret_cnt = cnt;
	return 0;
}
