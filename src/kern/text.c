/* SPDX-License-Identifier: MIT */
#include "kern/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Files of the kernel do not say how long they are. */
static char *read_fd(int fd)
{
	size_t cap = 65536, len = 0;
	char *s = malloc(cap);
	for (ssize_t n; s; len += (size_t)n) {
		if (cap - len < 2) {
			char *more = realloc(s, cap *= 2);
			if (!more)
				break;
			s = more;
		}
		n = read(fd, s + len, cap - len - 1);
		if (n < 0 && errno == EINTR) {
			n = 0;
		} else if (n < 0) {
			break;
		} else if (!n) {
			s[len] = 0;
			return s;
		}
	}
	free(s);
	return NULL;
}

char *kern_text_read(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	char *s = read_fd(fd);
	int e = errno;
	close(fd);
	errno = e;
	return s;
}
