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

static uint64_t content_bits(const char *name)
{
	char path[96];
	uint64_t bits = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY);
	CHECK(pread(fd, &bits, sizeof(bits), 48) == (ssize_t)sizeof(bits));
	close(fd);
	return bits;
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
	while (cnt < 40000) {
		CHECK_EQ(put_of(cnt % 2, id, cnt, 0, &(struct export_value){ .i = 1 }), 0);
		cnt++;
	}
	stop_writing();
	CHECK(file_bytes("cpu0") > 2 * 262144);
	write_at("cpu0", 262144 + 84, &no_class, sizeof(no_class)); /* the first event of the second packet */
	struct export_trace *t = open_trace();
	uint64_t got = cnt_all(t);
	CHECK(got > 20000 && got < cnt);
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

/* A packet of one thread that does not say of which, and a class that is another's again. */
static void a_packet_of_nobody(void)
{
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < 5000; i++)
		CHECK_EQ(put(id, i, 0, &(struct export_value){ .i = 1 }), 0);
	stop_writing();
	struct export_trace *t = open_trace();
	CHECK_EQ(cnt_all(t), 5000);
	export_trace_close(t);
	uint64_t bits = (84 + 8 + 3) * 8, most = file_bytes("cpu0t");
	write_at("cpu0t", 48, &bits, 8); /* it ends in the name */
	t = open_trace();
	uint64_t before = cnt_all(t);
	CHECK(before >= 4096 && before < 5000);
	CHECK_EQ(export_trace_damaged(t), most);
	export_trace_close(t);
	stop();
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 4;\n\tstream_id = 1;\n\tfields := struct {\n\t\tu8 _x;\n\t};\n};\n\n");
}

/* Nor is its header an event, for who looks again while it is written. */
static void a_packet_of_nobody_yet(void)
{
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < 5000; i++)
		CHECK_EQ(put(id, i, 0, &(struct export_value){ .i = 1 }), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(cnt_all(t), 5000);
	export_trace_close(t);
	uint64_t bits = (84 + 8 + 3) * 8, was = content_bits("cpu0t"), most = file_bytes("cpu0t");
	write_at("cpu0t", 48, &bits, 8); /* it ends in the name */
	t = open_trace();
	uint64_t before = cnt_all(t);
	CHECK(before >= 4096 && before < 5000);
	CHECK_EQ(cnt_all(t), 0);
	CHECK_EQ(export_trace_damaged(t), most);
	write_at("cpu0t", 48, &was, 8);
	CHECK_EQ(cnt_all(t), 5000 - before);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
	stop();
}

static void what_an_earlier_version_made(void)
{
	char path[96];
	struct export_trace *t = NULL;
	start(0);
	stop_writing();
	snprintf(path, sizeof(path), "%s/metadata", dir);
	FILE *fp = fopen(path, "w");
	CHECK(fp != NULL);
	fputs("/* CTF 1.8 */\n\nstream {\n\tid = 0;\n\tevent.header := struct {\n\t\tu32 id;\n\t\ttime timestamp;\n\t};\n};\n", fp);
	fclose(fp);
	CHECK_EQ(export_trace_open(dir, &t, &err), -EINVAL);
	CHECK(strstr(err.msg, "earlier version") != NULL);
	stop();
}

static void classes_that_are_none(void)
{
	refuses("event {\n\tname = \"no:parts\";\n\tid = 4000;\n\tfields := struct {\n\t\tu8 _x;\n\t};\n};\n\n");
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 4000000000;\n\tfields := struct {\n\t};\n};\n\n");
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 0;\n\tfields := struct {\n\t};\n};\n\n"); /* once more */
	refuses("event {\n\tname = \"a:b:c:d\";\n\tid = 1;\n\tfields := struct {\n\t\tvariant _x;\n\t};\n};\n\n");
}

TAP_MAIN(TEST(a_damaged_end_counts_once), TEST(what_is_behind_a_damaged_event_is_shown), TEST(classes_that_are_none),
	 TEST(a_packet_of_nobody), TEST(a_packet_of_nobody_yet), TEST(what_an_earlier_version_made))
