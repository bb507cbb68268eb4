/* SPDX-License-Identifier: MIT */
#include "host/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int host_maps_from_fd(struct host_maps *m, int fd)
{
	*m = (struct host_maps){ .f = fdopen(fd, "r") };
	if (m->f)
		return 0;
	int code = -errno;
	close(fd);
	return code;
}

int host_maps_open(struct host_maps *m, pid_t pid, pid_t tid)
{
	char path[64];
	*m = (struct host_maps){ 0 };
	if (tid)
		snprintf(path, sizeof(path), "/proc/%d/task/%d/maps", (int)pid, (int)tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : host_maps_from_fd(m, fd);
}

static int parse(char *line, struct host_map *ret)
{
	char perm[5];
	unsigned major, minor;
	int path = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &ret->start, &ret->end, perm, &ret->off, &major,
		   &minor, &ret->inode, &path) < 7 || !path)
		return -EINVAL;
	ret->prot = (perm[0] == 'r' ? PROT_READ : 0) | (perm[1] == 'w' ? PROT_WRITE : 0) | (perm[2] == 'x' ? PROT_EXEC : 0);
	ret->shared = perm[3] == 's';
	ret->dev = makedev(major, minor);
	line[path + (int)strcspn(line + path, "\n")] = 0;
	ret->path = line + path;
	return 1;
}

int host_maps_next(struct host_maps *m, struct host_map *ret)
{
	if (!m->f)
		return 0;
	errno = 0;
	if (getline(&m->line, &m->cap, m->f) > 0)
		return parse(m->line, ret);
	return ferror(m->f) ? -(errno ? errno : EIO) : 0;
}

void host_maps_close(struct host_maps *m)
{
	if (m->f)
		fclose(m->f);
	free(m->line);
	*m = (struct host_maps){ 0 };
}
