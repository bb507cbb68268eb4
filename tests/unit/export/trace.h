/* SPDX-License-Identifier: MIT */
/* A trace in a folder of its own, for tests. */
#ifndef TEST_TRACE_H
#define TEST_TRACE_H

#include "../tap.h"
#include "export/export.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[64];
static struct export_writer *writer;
static struct err err;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void start(uint64_t ring_bytes)
{
	snprintf(dir, sizeof(dir), "/tmp/test_export.XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	struct export_writer_opts o = { .dir = dir, .ring_bytes = ring_bytes, .real_offset_ns = -1500000001, .command = "a \"test\"" };
	CHECK_EQ(export_writer_create(&o, &writer, &err), 0);
}

static inline void stop_writing(void)
{
	export_writer_close(writer);
	writer = NULL;
}

static inline void stop(void)
{
	stop_writing();
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline uint32_t new_class(const char *func, const struct export_field *fields, uint32_t cnt)
{
	uint32_t id = 0;
	struct export_class c = { "pid", "lib", func, "entry", fields, cnt };
	CHECK_EQ(export_writer_class(writer, &c, &id, &err), 0);
	return id;
}

static inline int put_of(uint32_t thread, uint32_t id, uint64_t ns, uint32_t cpu, const struct export_value *vals)
{
	struct export_event e = { .ns = ns, .class_id = id, .cpu = cpu, .pid = 10, .tid = 11 + thread, .comm = "prog",
				  .vals = vals };
	return export_writer_event(writer, &e, &err);
}

static inline int put(uint32_t id, uint64_t ns, uint32_t cpu, const struct export_value *vals)
{
	return put_of(0, id, ns, cpu, vals);
}

/* Whether what waits can be written. */
static inline void disk_works(bool works)
{
	struct rlimit l;
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = works ? l.rlim_max : 1;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static inline struct export_trace *open_trace(void)
{
	struct export_trace *t = NULL;
	if (writer)
		CHECK_EQ(export_writer_flush(writer, &err), 0);
	CHECK_EQ(export_trace_open(dir, &t, &err), 0);
	return t;
}

static inline uint64_t read_all(struct export_trace *t, uint64_t *ret_last)
{
	struct export_event e;
	uint64_t cnt = 0, ns = 0;
	while (export_trace_next(t, &e, &err) > 0) {
		CHECK(e.ns >= ns);
		ns = e.ns;
		*ret_last = (uint64_t)e.vals[0].i;
		cnt++;
	}
	return cnt;
}

#endif
