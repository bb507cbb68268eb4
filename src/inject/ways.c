/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the target that are of use to us.  They are looked for in its files rather than in its memory, which
 * would bring in pages that it never asked for, and in its libc first: that has them.  All but a last look is done
 * before the process is stopped.
 */
#include "inject/inject_int.h"

#include "host/host.h"
#include "host/maps.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536u

struct search {
	struct inject *in;
	const uint8_t *bytes;
	size_t cnt;
};

/* How many bytes there are. */
static size_t read_memory(const struct search *s, const struct host_map *m, int fd, uint64_t at, void *buf, size_t n)
{
	(void)fd;
	(void)m;
	return inject_read(s->in, at, buf, n, NULL) ? 0 : n;
}

/* Likewise: the last page of a file is seldom full. */
static size_t read_block(const struct search *s, const struct host_map *m, int fd, uint64_t at, void *buf, size_t n)
{
	(void)s;
	ssize_t got = pread(fd, buf, n, (off_t)(m->off + (at - m->start)));
	return got > 0 ? (size_t)got : 0;
}

bool inject_stands(struct inject *in, uint64_t addr, const uint8_t *bytes, size_t cnt)
{
	uint8_t now[16];
	return addr && cnt <= sizeof(now) && !inject_read(in, addr, now, cnt, NULL) && !memcmp(now, bytes, cnt);
}

typedef size_t reader(const struct search *, const struct host_map *, int fd, uint64_t at, void *buf, size_t n);

static uint64_t scan(const struct search *s, const struct host_map *m, int fd, reader *read_at)
{
	uint8_t buf[BLOCK];
	for (uint64_t at = m->start; at < m->end; at += sizeof(buf) - s->cnt + 1) {
		size_t n = m->end - at < sizeof(buf) ? m->end - at : sizeof(buf);
		n = read_at(s, m, fd, at, buf, n);
		if (!n)
			return 0;
		uint8_t *p = buf;
		while ((p = memmem(p, n - (size_t)(p - buf), s->bytes, s->cnt))) {
			if (inject_stands(s->in, at + (uint64_t)(p - buf), s->bytes, s->cnt))
				return at + (uint64_t)(p - buf);
			p++; /* a probe is there */
		}
	}
	return 0;
}

/* The file that is mapped there, whatever has its name by now; or -1. */
static int open_file(const struct inject *in, const struct host_map *m)
{
	char path[PATH_MAX + 64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/root%s", (int)in->pid, (int)inject_live_task(in->pid), m->path);
	int fd = m->path[0] == '/' ? host_open_regular(path) : -1;
	if (fd >= 0 && !fstat(fd, &st) && st.st_ino == m->inode && st.st_dev == m->dev)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static uint64_t scan_map(const struct search *s, const struct host_map *m)
{
	int fd = open_file(s->in, m);
	uint64_t found = fd >= 0 ? scan(s, m, fd, read_block) : scan(s, m, fd, read_memory);
	if (fd >= 0)
		close(fd);
	return found;
}

enum kind { VDSO, LIBC, OTHER, NEVER };

static enum kind kind_of(const struct host_map *m)
{
	if (strstr(m->path, "[vsyscall]") || strstr(m->path, "/memfd:dyntrace-"))
		return NEVER; /* ours may go */
	if (strstr(m->path, "[vdso]"))
		return VDSO;
	const char *name = strrchr(m->path, '/');
	return name && (!strncmp(name, "/libc.", 6) || !strncmp(name, "/libc-", 6) || !strncmp(name, "/ld-", 4)) ? LIBC : OTHER;
}

static uint64_t search_kind(const struct search *s, enum kind kind)
{
	struct host_maps all;
	struct host_map m;
	uint64_t found = 0;
	host_maps_open(&all, s->in->pid, inject_live_task(s->in->pid));
	while (!found && host_maps_next(&all, &m) > 0)
		if (m.prot & PROT_READ && m.prot & PROT_EXEC && kind_of(&m) == kind)
			found = scan_map(s, &m);
	host_maps_close(&all);
	return found;
}

uint64_t inject_find_code(struct inject *in, const uint8_t *bytes, size_t cnt)
{
	struct search s = { in, bytes, cnt };
	uint64_t at = 0;
	for (enum kind k = VDSO; k < NEVER && !at; k++)
		at = search_kind(&s, k);
	return at;
}

struct inject_ways inject_ways(const struct inject *in)
{
	return (struct inject_ways){ in->syscall_addr, in->abandon.syscall_ret, in->abandon.sigreturn };
}

void inject_hint(struct inject *in, const struct inject_ways *w)
{
	in->syscall_addr = w->syscall_addr;
	in->abandon.syscall_ret = w->syscall_ret;
	in->abandon.sigreturn = w->sigreturn;
}
