/* SPDX-License-Identifier: MIT */
/* Only regular files are opened, and to see that a name is none never waits or does anything. */
#include "../tap.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[2][128];
	static int which;
	which = !which;
	snprintf(path[which], sizeof(path[which]), "%s/%s", folder, name);
	return path[which];
}

static int try_link(const char *to)
{
	CHECK_EQ(symlink(to, in_folder("link")), 0);
	int fd = host_open_regular(in_folder("link"));
	unlink(in_folder("link"));
	return fd;
}

static void regular(void)
{
	char buf[8] = "";
	int fd = open(in_folder("file"), O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK_EQ(write(fd, "text", 4), 4);
	close(fd);
	fd = try_link(in_folder("file"));
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) == 4 && !strcmp(buf, "text"));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	unlink(in_folder("file"));
	CHECK_EQ(host_open_regular(in_folder("file")), -ENOENT);
	CHECK_EQ(try_link("/proc/self/exe") >= 0, true);
}

static void others(void)
{
	CHECK_EQ(mkfifo(in_folder("fifo"), 0600), 0);
	CHECK_EQ(host_open_regular(in_folder("fifo")), -EINVAL);
	CHECK_EQ(try_link(in_folder("fifo")), -EINVAL);
	/* A writer that does not wait for readers sees that there never was one. */
	CHECK_EQ(open(in_folder("fifo"), O_WRONLY | O_NONBLOCK), -1);
	CHECK_EQ(errno, ENXIO);
	unlink(in_folder("fifo"));
	CHECK_EQ(host_open_regular("/dev/null"), -EINVAL);
	CHECK_EQ(try_link("/dev/null"), -EINVAL);
	CHECK_EQ(try_link("/dev/tty"), -EINVAL);
	CHECK_EQ(try_link("/"), -EINVAL);
	/* A driver that is not there says so to who opens it: this one is not opened. */
	if (!mknod(in_folder("device"), S_IFCHR | 0600, makedev(511, 255))) {
		CHECK_EQ(try_link(in_folder("device")), -EINVAL);
		unlink(in_folder("device"));
	}
}

static void whole(void)
{
	char buf[8] = "";
	int fd = open(in_folder("file"), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK_EQ(host_write_at(fd, "abcd", 4, 2), 0);
	CHECK_EQ(host_read_at(fd, buf, 3, 3), 0);
	CHECK(!strcmp(buf, "bcd"));
	CHECK_EQ(host_read_at(fd, buf, 4, 3), -ENODATA);
	CHECK_EQ(host_read_at(fd, buf, 0, 100), 0);
	close(fd);
	CHECK_EQ(host_read_at(fd, buf, 1, 0), -EBADF);
	unlink(in_folder("file"));
	fd = open("/dev/full", O_WRONLY);
	if (fd >= 0)
		CHECK_EQ(host_write_at(fd, buf, 1, 0), -ENOSPC);
	close(fd);
}

static void begin_and_end(void)
{
	snprintf(folder, sizeof(folder), "/tmp/dyntrace-file.XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	regular();
	others();
	whole();
	CHECK_EQ(rmdir(folder), 0);
}

TAP_MAIN(TEST(begin_and_end))
