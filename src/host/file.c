/* SPDX-License-Identifier: MIT */
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* To open a device can do something, whatever the flags; O_PATH does not, and what it got stays the same file. */
int host_open_regular(const char *path)
{
	char again[32];
	struct stat st;
	int at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0)
		return -errno;
	int fd = fstat(at, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (!fd) {
		snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
		fd = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	close(at);
	return fd;
}

int host_read_at(int fd, void *buf, uint64_t bytes, uint64_t off)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pread(fd, (uint8_t *)buf + done, bytes - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		done += (uint64_t)n;
	}
	return 0;
}

int host_write_at(int fd, const void *buf, uint64_t bytes, uint64_t off)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pwrite(fd, (const uint8_t *)buf + done, bytes - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		done += (uint64_t)n;
	}
	return 0;
}
