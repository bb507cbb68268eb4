/* SPDX-License-Identifier: MIT */
/* The mappings of a process: this one's, and lines that the kernel seldom writes. */
#include "host/maps.h"

#include "../tap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool find(pid_t tid, const void *at, struct host_map *ret, char *path, size_t cap)
{
	struct host_maps all;
	bool found = false;
	CHECK_EQ(host_maps_open(&all, getpid(), tid), 0);
	while (!found && host_maps_next(&all, ret) > 0)
		found = (uint64_t)(uintptr_t)at - ret->start < ret->end - ret->start;
	if (found)
		snprintf(path, cap, "%s", ret->path);
	host_maps_close(&all);
	return found;
}

static void own(void)
{
	char path[256];
	struct host_map m;
	struct stat st;
	int fd = memfd_create("maps-test", MFD_CLOEXEC);
	CHECK(fd >= 0 && !ftruncate(fd, 8192) && !fstat(fd, &st));
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	CHECK(find(0, p, &m, path, sizeof(path)));
	CHECK_EQ(m.start, (uint64_t)(uintptr_t)p);
	CHECK_EQ(m.end - m.start, 4096);
	CHECK_EQ(m.off, 4096);
	CHECK_EQ(m.inode, st.st_ino);
	CHECK_EQ(m.dev, st.st_dev);
	CHECK_EQ(m.prot, PROT_READ | PROT_WRITE);
	CHECK(m.shared);
	CHECK(!strcmp(path, "/memfd:maps-test (deleted)"));
	munmap(p, 4096);
	close(fd);
	CHECK(find(getpid(), (void *)own, &m, path, sizeof(path)));
	CHECK_EQ(m.prot & PROT_EXEC, PROT_EXEC);
	CHECK(!m.shared);
	p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(find(0, p, &m, path, sizeof(path)));
	CHECK(!*path && !m.inode);
	munmap(p, 4096);
}

static int read_text(const char *text, struct host_map *ret, struct host_maps *all)
{
	int fds[2];
	CHECK_EQ(pipe(fds), 0);
	CHECK_EQ(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	CHECK_EQ(host_maps_from_fd(all, fds[0]), 0);
	return host_maps_next(all, ret);
}

static void lines(void)
{
	struct host_maps all;
	struct host_map m;
	CHECK_EQ(read_text("7f00-7f10 r-xs 000000a0 fe:1f 77      /a folder/b\\012c\n1-2", &m, &all), 1);
	CHECK(m.start == 0x7f00 && m.end == 0x7f10 && m.off == 0xa0 && m.inode == 77 && m.dev == makedev(0xfe, 0x1f) && m.shared);
	CHECK(!strcmp(m.path, "/a folder/b\\012c"));
	CHECK_EQ(host_maps_next(&all, &m), -EINVAL);
	host_maps_close(&all);
	CHECK_EQ(read_text("", &m, &all), 0);
	host_maps_close(&all);
	CHECK_EQ(host_maps_open(&all, -1, 0), -ENOENT);
	CHECK_EQ(host_maps_next(&all, &m), 0);
	host_maps_close(&all);
}

TAP_MAIN(TEST(own), TEST(lines))
