/* SPDX-License-Identifier: MIT */
/* tracefs, also where it is not mounted: then a mount of our own that has no place in any folder. */
#include "kern/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_mounted(void)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	for (size_t i = 0; i < ARRAY_CNT(places); i++) {
		int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && !faccessat(fd, "events", F_OK, 0))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* Gone when the descriptor is (kernel 5.2). */
static int open_own(void)
{
	int fs = (int)syscall(SYS_fsopen, "tracefs", 1 /* FSOPEN_CLOEXEC */);
	if (fs < 0)
		return -1;
	int fd = syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) ? -1 :
		(int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
	int e = errno;
	close(fs);
	errno = e;
	return fd;
}

static int root(void)
{
	static int fd = -1, failed;
	if (fd >= 0)
		return fd;
	if (failed) {
		errno = failed;
		return -1;
	}
	fd = open_mounted();
	if (fd < 0)
		fd = open_own();
	failed = fd < 0 ? errno : 0;
	return fd;
}

char *kern_tracefs_read(const char *path)
{
	int dir = root();
	return dir < 0 ? NULL : kern_text_read(dir, path);
}

/* Names of tracepoints and of system calls are both in it, and the kernel takes its time to write them. */
char *kern_tracefs_events(void)
{
	static char *text;
	if (!text)
		text = kern_tracefs_read("available_events");
	return text ? strdup(text) : NULL;
}
