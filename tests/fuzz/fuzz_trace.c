/* SPDX-License-Identifier: MIT */
/*
 * A trace that somebody sends: its files are whatever they are.  An input is
 * all of them, each behind its length (4 bytes); each form is printed.
 */
#include "fuzz.h"

#include "base/base.h"
#include "export/export.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = { "metadata", "cpu0", "cpu1", "dyntrace/modules", "dyntrace/frames", "dyntrace/symbols/id",
				     "cpu1t" };
static const char *const folders[] = { "", "dyntrace", "dyntrace/symbols" };
static char dir[64];

static void path_of(const char *name, char buf[160]) { snprintf(buf, 160, "%s/%s", dir, name); }

static void remove_dir(void)
{
	char path[160];
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		path_of(names[i], path);
		unlink(path);
	}
	for (size_t i = ARRAY_CNT(folders); i-- > 0;) {
		path_of(folders[i], path);
		rmdir(path);
	}
}

static void make_dir(void)
{
	char path[160];
	if (*dir)
		return;
	snprintf(dir, sizeof(dir), "/tmp/fuzz_trace.XXXXXX");
	if (!mkdtemp(dir))
		abort();
	for (size_t i = 1; i < ARRAY_CNT(folders); i++) {
		path_of(folders[i], path);
		if (mkdir(path, 0700))
			abort();
	}
	atexit(remove_dir);
}

static void write_file(const char *name, const uint8_t *data, size_t bytes)
{
	char path[160];
	path_of(name, path);
	unlink(path); /* some filesystems write to the disk what is cut and written again */
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	close(fd);
}

/* ---- seeds ---- */

static const struct export_field fields[] = {
	{ "a", EXPORT_I32 }, { "b", EXPORT_HEX }, { "c", EXPORT_F32 }, { "d", EXPORT_F64 }, { "s", EXPORT_STR }, { "stack", EXPORT_STACK },
};

static void write_events(struct export_writer *w)
{
	static const uint64_t pcs[] = { 0x401010, 0x401090, 0x7000 };
	const struct export_value v[] = { { .i = -5 }, { .i = 6 }, { .d = 0.5 }, { .d = 1e300 }, { .data = (const uint8_t *)"te\"xt", .bytes = 5 },
					  { .data = (const uint8_t *)pcs, .bytes = sizeof(pcs) } };
	uint32_t entry, ret;
	if (export_writer_class(w, &(struct export_class){ "pid", "a.out", "_Z1fi", "entry", fields, 6 }, &entry, NULL) ||
	    export_writer_class(w, &(struct export_class){ "pid", "a.out", "_Z1fi", "return", fields, 4 }, &ret, NULL))
		abort();
	for (uint32_t i = 0; i < 24; i++) {
		struct export_event e = { .ns = 1000 + i, .class_id = i % 2 ? ret : entry, .cpu = i / 12, .pid = 7, .tid = 8,
					  .comm = "prog", .vals = v };
		if (export_writer_event(w, &e, NULL))
			abort();
	}
}

/* One uuid for all seeds: an input is to be the same in each run. */
static void fix_uuid(const char *name, uint8_t *data, size_t bytes)
{
	static const char key[] = "uuid = \"";
	uint8_t *at = memmem(data, bytes, key, sizeof(key) - 1);
	if (!strcmp(name, "metadata") && at)
		memcpy(at + sizeof(key) - 1, "00000000-0000-0000-0000-000000000000", 36);
	else if (!strncmp(name, "cpu", 3) && bytes > 20)
		memset(data + 4, 0, 16);
}

static size_t append(const char *name, const char *from, uint8_t *buf, size_t cap)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", from, name);
	FILE *fp = fopen(path, "re");
	size_t n = fp && cap > 4 ? fread(buf + 4, 1, cap - 4, fp) : 0;
	if (fp)
		fclose(fp);
	fix_uuid(name, buf + 4, n);
	memcpy(buf, &(uint32_t){ (uint32_t)n }, 4);
	return n + 4;
}

static size_t append_text(const char *text, uint8_t *buf, size_t cap)
{
	size_t n = strlen(text);
	if (cap < n + 4)
		abort();
	memcpy(buf, &(uint32_t){ (uint32_t)n }, 4);
	memcpy(buf + 4, text, n);
	return n + 4;
}

/* The packet of cpu1, which @file has, as one of a thread: who it is, then two events of 4 and 6 bytes. */
static size_t append_one(const uint8_t *file, uint8_t *buf, size_t cap)
{
	static const uint8_t who[] = { 7, 0, 0, 0, 8, 0, 0, 0, 'p', 'r', 'o', 'g', 0 };
	static const uint8_t event[] = { 1, 0, 0, 0, 30 | 1 << 5, 0, 0, 0, 0, 0 };
	uint8_t *at = buf + 4;
	uint32_t bytes = 84 + sizeof(who) + 2 * (sizeof(event) - 5 + 24);
	uint64_t bits = bytes * 8ull;
	if (cap < bytes + 4ul)
		abort();
	memset(buf, 0, bytes + 4ul);
	memcpy(buf, &bytes, 4);
	memcpy(at, file, 84);
	at[20] = 1;
	memcpy(at + 48, &bits, 8);
	memcpy(at + 56, &bits, 8);
	memcpy(at + 84, who, sizeof(who));
	memcpy(at + 84 + sizeof(who), event, 4);
	memcpy(at + 84 + sizeof(who) + 28, event + 4, 6);
	return bytes + 4ul;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	char from[160], command[200];
	struct export_writer *w;
	size_t n = 0, cpu1 = 0;
	if (i)
		return 0;
	make_dir();
	path_of("seed", from);
	if (export_writer_create(&(struct export_writer_opts){ .dir = from, .real_offset_ns = 1 }, &w, NULL))
		abort();
	write_events(w);
	export_writer_close(w);
	for (size_t f = 0; f < 3; f++) {
		cpu1 = n + 4;
		n += append(names[f], from, buf + n, cap - n);
	}
	n += append_text("0 7 400000 402000 0 id a.out\n500 7 401000 402000 400000 id b.out\n", buf + n, cap - n);
	n += append_text("@id 401010\n5 1 inner\tf.c\n9 0 f\tf.c\n@id 108f\n1 0 \t\n", buf + n, cap - n);
	n += append_text("1000 80 _Z1gv\n401000 80 _Z1fi\n401080 20 main\n", buf + n, cap - n);
	n += append_one(buf + cpu1, buf + n, cap - n);
	snprintf(command, sizeof(command), "rm -r %s", from);
	return system(command) ? 0 : n;
}

/* ---- a run ---- */

static void print(enum export_form form)
{
	static FILE *null;
	struct export_trace *t;
	struct export_event e;
	if (!null)
		null = fopen("/dev/null", "w");
	if (export_trace_open(dir, &t, NULL))
		return;
	struct export_printer *p = export_printer_create(form, t, null);
	while (p && export_trace_next(t, &e, NULL) > 0 && !export_printer_event(p, &e))
		;
	if (p)
		export_printer_finish(p);
	export_trace_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	make_dir();
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		uint32_t len = 0;
		if (bytes >= 4) {
			memcpy(&len, data, 4);
			data += 4;
			bytes -= 4;
		}
		len = len < bytes ? len : (uint32_t)bytes;
		write_file(names[i], data, len);
		data += len;
		bytes -= len;
	}
	for (enum export_form f = EXPORT_TEXT; f <= EXPORT_CHROME; f++)
		print(f);
	return 0;
}
