/* SPDX-License-Identifier: MIT */
/* What record did not write as it is: files that were damaged, or made to harm. */
#include "../tap.h"
#include "trace.h"

#include <fcntl.h>
#include <sys/stat.h>

static const struct export_field number[] = { { "n", EXPORT_U64 } };

static uint64_t cnt_all(struct export_trace *t)
{
	struct export_event e;
	uint64_t cnt = 0;
	while (export_trace_next(t, &e, &err) > 0)
		cnt++;
	return cnt;
}

static uint64_t file_bytes(const char *name)
{
	char path[96];
	struct stat st = { 0 };
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK_EQ(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void write_at(const char *name, int64_t off, const void *data, size_t bytes)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK(pwrite(fd, data, bytes, off < 0 ? lseek(fd, 0, SEEK_END) : off) == (ssize_t)bytes);
	close(fd);
}

static void a_damaged_end_counts_once(void)
{
	static const char zeros[1000];
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(put(id, i, i ? 1 : 0, &(struct export_value){ .i = 1 }), 0);
	stop_writing();
	write_at("cpu0", -1, zeros, sizeof(zeros));
	struct export_trace *t = open_trace();
	CHECK_EQ(cnt_all(t), 100);
	CHECK_EQ(export_trace_refresh(t, &err), 0);
	CHECK_EQ(cnt_all(t), 0);
	CHECK_EQ(export_trace_damaged(t), sizeof(zeros));
	export_trace_close(t);
	stop();
}

static void what_is_behind_a_damaged_event_is_shown(void)
{
	static const uint32_t no_class = 0x7fffffff;
	uint64_t cnt = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	while (cnt < 20000)
		CHECK_EQ(put(id, cnt++, 0, &(struct export_value){ .i = 1 }), 0);
	stop_writing();
	CHECK(file_bytes("cpu0") > 2 * 262144);
	write_at("cpu0", 262144 + 84, &no_class, sizeof(no_class)); /* the first event of the second packet */
	struct export_trace *t = open_trace();
	uint64_t got = cnt_all(t);
	CHECK(got > 10000 && got < cnt);
	CHECK(export_trace_damaged(t) > 200000 && export_trace_damaged(t) < 262144);
	export_trace_close(t);
	stop();
}

static void refuses(const char *more)
{
	struct export_trace *t = NULL;
	start(0);
	new_class("f", number, 1);
	stop_writing();
	write_at("metadata", -1, more, strlen(more));
	memset(&err, 0, sizeof(err));
	CHECK_EQ(export_trace_open(dir, &t, &err), -EINVAL);
	CHECK(strstr(err.msg, "metadata") != NULL);
	stop();
}

static void classes_that_are_none(void)
{
	refuses("event {\n\tname = \"no:parts\";\n\tid = 4000;\n\tfields := struct {\n\t\tu8 _x;\n\t};\n};\n\n");
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 4000000000;\n\tfields := struct {\n\t};\n};\n\n");
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 0;\n\tfields := struct {\n\t};\n};\n\n"); /* once more */
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 1;\n\tfields := struct {\n\t\tvariant _x;\n\t};\n};\n\n");
}

TAP_MAIN(TEST(a_damaged_end_counts_once), TEST(what_is_behind_a_damaged_event_is_shown), TEST(classes_that_are_none))
