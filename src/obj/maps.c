/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps (proc_pid_maps(5)). */
#include "obj/maps_int.h"

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

static int parse_line(char *line, struct obj_map *m, uint64_t *ret_dev)
{
	char perm[5];
	unsigned int major, minor;
	int path = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start, &m->end, perm,
		   &m->off, &major, &minor, &m->inode, &path) < 7 || !path)
		return -EINVAL;
	m->prot = (perm[0] == 'r' ? PROT_READ : 0u) | (perm[1] == 'w' ? PROT_WRITE : 0u) |
		  (perm[2] == 'x' ? PROT_EXEC : 0u);
	m->shared = perm[3] == 's';
	*ret_dev = ((uint64_t)major << 32) | minor;
	char *nl = strchr(line + path, '\n');
	if (nl)
		*nl = 0;
	unescape(line + path);
	m->path = strdup(line + path);
	return m->path ? 0 : -ENOMEM;
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
	int fd = obj_procfile_open(pid, OBJ_FILE_MAPS, 0, 0, &helped);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		int code = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return code;
	}
	struct obj_map *maps = NULL;
	uint64_t *devs = NULL;
	uint32_t cnt = 0, cap = 0, dev_cap = 0;
	char *line = NULL;
	size_t line_cap = 0;
	int rc = 0;
	while (!rc && getline(&line, &line_cap, f) > 0) {
		rc = obj_grow(&maps, &cap, cnt + 1ULL, sizeof(*maps));
		if (!rc)
			rc = obj_grow(&devs, &dev_cap, cnt + 1ULL, sizeof(*devs));
		if (!rc)
			rc = parse_line(line, &maps[cnt], &devs[cnt]);
		cnt += !rc;
	}
	if (!rc && ferror(f))
		rc = -errno;
	free(line);
	fclose(f);
	if (rc) {
		obj_maps_free(maps, devs, cnt);
		return rc;
	}
	*ret = maps;
	*ret_devs = devs;
	*ret_cnt = cnt;
	return 0;
}
