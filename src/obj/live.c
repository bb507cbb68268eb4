/* SPDX-License-Identifier: MIT */
/*
 * Code as a process has it, read from the files it has mapped.  To read it from the process's memory would bring pages
 * into that memory; the kernel tells (proc_pid_pagemap(5)) which pages are still the file's, and only the others
 * are read there.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PAGE 4096u
#define PM_PRESENT (1ull << 63)
#define PM_SWAPPED (1ull << 62)
#define PM_FILE (1ull << 61)
#define PM_GUARD (1ull << 58)
#define BATCH 1024u

static int open_mapped(const struct obj_proc *p, uint32_t i)
{
	const struct obj_map *m = &p->maps[i];
	char path[PATH_MAX + 64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/root%s", p->pid, m->path);
	int fd = m->path[0] == '/' ? host_open_regular(path) : -1;
	if (fd >= 0 && !fstat(fd, &st) && st.st_ino == m->inode &&
	    p->devs[i] == st.st_dev)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool is_files(uint64_t entry)
{
	return entry & PM_PRESENT ? entry & PM_FILE : !(entry & (PM_SWAPPED | PM_GUARD));
}

/* Holes are zeroes. */
static void read_memory(const struct obj_proc *p, uint64_t addr, uint8_t *buf, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pread(p->mem_fd, buf + done, bytes - done, (off_t)(addr + done));
		if (n < 0 && errno == EINTR)
			continue;
		uint64_t next = n > 0 ? done + (uint64_t)n : align_down(addr + done, PAGE) + PAGE - addr;
		next = next < bytes ? next : bytes;
		if (n <= 0)
			memset(buf + done, 0, next - done);
		done = next;
	}
}

static void read_run(const struct obj_proc *p, const struct obj_map *m, int fd, bool file, uint64_t addr, uint8_t *buf, uint64_t bytes)
{
	for (uint64_t done = 0; file && done < bytes;) {
		ssize_t n = pread(fd, buf + done, bytes - done, (off_t)(m->off + (addr + done - m->start)));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* behind its end nothing can be read in the process either */
			memset(buf + done, 0, bytes - done);
			return;
		}
		done += (uint64_t)n;
	}
	if (!file)
		read_memory(p, addr, buf, bytes);
}

/* [addr, end) lies in map @i. */
static void read_map(const struct obj_proc *p, uint32_t i, int pagemap, uint64_t addr, uint64_t end, uint8_t *buf)
{
	uint64_t entries[BATCH], at = addr;
	int fd = pagemap >= 0 ? open_mapped(p, i) : -1;
	while (fd >= 0 && at < end) {
		uint64_t first = at / PAGE, cnt = (end - 1) / PAGE + 1 - first;
		ssize_t n = pread(pagemap, entries, (cnt < BATCH ? cnt : BATCH) * 8, (off_t)(first * 8));
		if (n < 8)
			break;
		cnt = (uint64_t)n / 8;
		for (uint64_t k = 0, j; k < cnt; k = j) {
			for (j = k + 1; j < cnt && is_files(entries[j]) == is_files(entries[k]); j++)
				;
			uint64_t stop = (first + j) * PAGE < end ? (first + j) * PAGE : end;
			read_run(p, &p->maps[i], fd, is_files(entries[k]), at, buf + (at - addr), stop - at);
			at = stop;
		}
	}
	if (fd >= 0)
		close(fd);
	if (at < end)
		read_memory(p, at, buf + (at - addr), end - at);
}

void obj_proc_code(struct obj_proc *p, uint64_t addr, void *buf, size_t bytes)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", p->pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t at = addr, end = addr + bytes;
	for (uint32_t i = 0; i < p->map_cnt && at < end; i++) {
		const struct obj_map *m = &p->maps[i];
		if (m->end <= at || m->start >= end)
			continue;
		if (m->start > at) {
			memset((uint8_t *)buf + (at - addr), 0, m->start - at);
			at = m->start;
		}
		uint64_t stop = m->end < end ? m->end : end;
		read_map(p, i, pagemap, at, stop, (uint8_t *)buf + (at - addr));
		at = stop;
	}
	memset((uint8_t *)buf + (at - addr), 0, end - at);
	if (pagemap >= 0)
		close(pagemap);
}

/* ---- comparing ---- */

static bool same_pages(const struct obj_proc *p, const struct obj_map *m, int fd, uint64_t addr, uint64_t bytes)
{
	uint8_t now[16 * PAGE], file[16 * PAGE];
	for (uint64_t done = 0, n; done < bytes; done += n) {
		n = bytes - done < sizeof(now) ? bytes - done : sizeof(now);
		read_memory(p, addr + done, now, n);
		read_run(p, m, fd, true, addr + done, file, n);
		if (memcmp(now, file, n))
			return false;
	}
	return true;
}

static bool same_map(const struct obj_proc *p, uint32_t i, int pagemap, int fd, uint64_t addr, uint64_t end)
{
	uint64_t entries[BATCH];
	for (uint64_t at = addr; at < end;) {
		uint64_t first = at / PAGE, cnt = (end - 1) / PAGE + 1 - first;
		ssize_t n = pread(pagemap, entries, (cnt < BATCH ? cnt : BATCH) * 8, (off_t)(first * 8));
		if (n < 8)
			return false;
		cnt = (uint64_t)n / 8;
		for (uint64_t k = 0; k < cnt; k++)
			if (!is_files(entries[k]) && !same_pages(p, &p->maps[i], fd, (first + k) * PAGE, PAGE))
				return false;
		at = (first + cnt) * PAGE;
	}
	return true;
}

/* *@ret is that of the map before, or has no inode. */
static bool same_file(int fd, struct stat *ret)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || (ret->st_ino && (st.st_ino != ret->st_ino || st.st_dev != ret->st_dev)))
		return false;
	*ret = st;
	return true;
}

bool obj_proc_is_as_file(struct obj_proc *p, uint64_t addr, size_t bytes, struct stat *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", p->pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t at = addr, end = addr + bytes;
	bool same = pagemap >= 0;
	*ret = (struct stat){ 0 };
	for (uint32_t i = 0; i < p->map_cnt && at < end && same; i++) {
		const struct obj_map *m = &p->maps[i];
		if (m->end <= at || m->start >= end)
			continue;
		uint64_t from = m->start > at ? m->start : at;
		at = m->end < end ? m->end : end;
		int fd = open_mapped(p, i);
		same = same_file(fd, ret) && same_map(p, i, pagemap, fd, align_down(from, PAGE), at);
		if (fd >= 0)
			close(fd);
	}
	if (pagemap >= 0)
		close(pagemap);
	return same && ret->st_ino;
}
