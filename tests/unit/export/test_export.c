/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "trace.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct export_field all_fields[] = {
	{ "i8", EXPORT_I8 }, { "i16", EXPORT_I16 }, { "i32", EXPORT_I32 }, { "i64", EXPORT_I64 }, { "u8", EXPORT_U8 },
	{ "u16", EXPORT_U16 }, { "u32", EXPORT_U32 }, { "u64", EXPORT_U64 }, { "hex", EXPORT_HEX }, { "f32", EXPORT_F32 },
	{ "f64", EXPORT_F64 }, { "str", EXPORT_STR }, { "stack", EXPORT_STACK },
};
#define ALL ARRAY_CNT(all_fields)

static void all_types_come_back(void)
{
	static const uint64_t stack[3] = { 0x401000, 0x402000, 0x403000 };
	struct export_value v[ALL] = { { .i = -1 }, { .i = -2 }, { .i = -3 }, { .i = INT64_MIN }, { .i = 255 }, { .i = 65535 },
				       { .i = UINT32_MAX }, { .i = -1 }, { .i = 0x1234 }, { .d = 1.5 }, { .d = -0.1 },
				       { .data = (const uint8_t *)"text\0hidden", .bytes = 11 },
				       { .data = (const uint8_t *)stack, .bytes = sizeof(stack) } };
	start(0);
	uint32_t id = new_class("ns::f(char \"x\")", all_fields, ALL);
	CHECK_EQ(put(id, 1000, 3, v), 0);
	struct export_trace *t = open_trace();
	struct export_event e;
	CHECK_EQ(export_trace_real_offset_ns(t), -1500000001);
	CHECK(export_trace_is_live(t));
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	CHECK_EQ(e.ns, 1000);
	CHECK_EQ(e.cpu, 3);
	CHECK_EQ(e.pid, 10);
	CHECK_EQ(e.tid, 11);
	CHECK_STR(e.comm, "prog");
	const struct export_class *c = export_trace_class(t, e.class_id);
	CHECK(c != NULL);
	CHECK_STR(c->func, "ns::f(char \"x\")");
	CHECK_STR(c->mod, "lib");
	CHECK_EQ(c->field_cnt, ALL);
	for (uint32_t i = 0; i < ALL; i++) {
		CHECK_STR(c->fields[i].name, all_fields[i].name);
		CHECK_EQ(c->fields[i].type, all_fields[i].type);
		if (i < 9)
			CHECK_EQ(e.vals[i].i, v[i].i);
	}
	CHECK(e.vals[9].d == 1.5 && e.vals[10].d == -0.1);
	CHECK_EQ(e.vals[11].bytes, 4);
	CHECK(!memcmp(e.vals[11].data, "text", 4));
	CHECK_EQ(e.vals[12].bytes, sizeof(stack));
	CHECK(!memcmp(e.vals[12].data, stack, sizeof(stack)));
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	export_trace_close(t);
	stop();
}

static const struct export_field number[] = { { "n", EXPORT_U64 } };

static void many_packets_of_several_cpus(void)
{
	uint64_t last = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < 50000; i++)
		CHECK_EQ(put(id, i, (uint32_t)(i % 3), &(struct export_value){ .i = (int64_t)i }), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(read_all(t, &last), 50000);
	CHECK_EQ(last, 49999);
	/* More comes while it is open, and a new class. */
	uint32_t other = new_class("g", number, 1);
	for (uint64_t i = 0; i < 20000; i++)
		CHECK_EQ(put(i % 2 ? id : other, 50000 + i, 0, &(struct export_value){ .i = (int64_t)i }), 0);
	CHECK_EQ(export_writer_flush(writer, &err), 0);
	CHECK_EQ(export_trace_refresh(t, &err), 0);
	CHECK_EQ(read_all(t, &last), 20000);
	stop_writing();
	CHECK(!export_trace_is_live(t));
	CHECK_EQ(read_all(t, &last), 0);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
	t = open_trace();
	CHECK_EQ(read_all(t, &last), 70000);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
	stop();
}

static void events_wait_for_the_disk(void)
{
	uint64_t last = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	struct export_trace *t = open_trace();
	CHECK_EQ(put(id, 1, 0, &(struct export_value){ .i = 7 }), 0);
	CHECK_EQ(export_writer_events(writer), 1);
	CHECK_EQ(export_writer_flush(writer, &err), 0);
	CHECK_EQ(export_trace_refresh(t, &err), 0);
	CHECK_EQ(read_all(t, &last), 1);
	CHECK_EQ(put(id, 2, 0, &(struct export_value){ .i = 8 }), 0);
	stop_writing(); /* writes them, too */
	CHECK_EQ(export_trace_refresh(t, &err), 0);
	CHECK_EQ(read_all(t, &last), 1);
	CHECK_EQ(last, 8);
	export_trace_close(t);
	stop();
}

static void older_ones_get_the_time_before(void)
{
	uint64_t last = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	CHECK_EQ(put(id, 100, 0, &(struct export_value){ .i = 1 }), 0);
	CHECK_EQ(put(id, 50, 0, &(struct export_value){ .i = 2 }), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(read_all(t, &last), 2);
	CHECK_EQ(last, 2);
	export_trace_close(t);
	stop();
}

static uint64_t stream_bytes(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	uint64_t bytes = 0;
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, "cpu", 3) && !fstatat(dirfd(d), e->d_name, &st, 0))
			bytes += (uint64_t)st.st_size;
	if (d)
		closedir(d);
	return bytes;
}

static void ring_keeps_the_last(void)
{
	uint64_t last = 0;
	start(1 << 20);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < 200000; i++)
		CHECK_EQ(put(id, i, (uint32_t)(i / 1000 % 2), &(struct export_value){ .i = (int64_t)i }), 0);
	CHECK(stream_bytes() <= 1 << 20);
	struct export_trace *t = open_trace();
	uint64_t cnt = read_all(t, &last);
	CHECK_EQ(last, 199999);
	CHECK(cnt > 15000);
	export_trace_close(t);
	stop();
}

static void an_event_larger_than_a_packet(void)
{
	static const struct export_field text[] = { { "s", EXPORT_STR } };
	static char s[600000];
	struct export_event e;
	memset(s, 'x', sizeof(s));
	start(0);
	uint32_t id = new_class("f", text, 1);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(put(id, (uint64_t)i, 0, &(struct export_value){ .data = (const uint8_t *)s, .bytes = sizeof(s) }), 0);
	struct export_trace *t = open_trace();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(export_trace_next(t, &e, &err), 1);
		CHECK_EQ(e.vals[0].bytes, sizeof(s));
	}
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	export_trace_close(t);
	stop();
}

static void losses_are_noted(void)
{
	uint64_t last;
	start(0);
	uint32_t id = new_class("f", number, 1);
	CHECK_EQ(put(id, 1, 0, &(struct export_value){ .i = 1 }), 0);
	export_writer_lost(writer, 7);
	CHECK_EQ(put(id, 2, 1, &(struct export_value){ .i = 2 }), 0);
	export_writer_lost(writer, 10);
	struct export_trace *t = open_trace();
	CHECK_EQ(read_all(t, &last), 2);
	CHECK_EQ(export_trace_lost(t), 10);
	export_trace_close(t);
	stop();
}

static void zeros_behind_the_end(void)
{
	char path[96];
	uint64_t last = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	CHECK_EQ(put(id, 1, 0, &(struct export_value){ .i = 5 }), 0);
	stop_writing();
	snprintf(path, sizeof(path), "%s/cpu0", dir);
	struct stat st;
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(truncate(path, st.st_size + 5000), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(read_all(t, &last), 1);
	CHECK_EQ(last, 5);
	CHECK(export_trace_damaged(t) > 0);
	export_trace_close(t);
	stop();
}

static void a_folder_with_a_trace_is_refused(void)
{
	struct export_writer *other;
	start(0);
	struct export_writer_opts o = { .dir = dir };
	CHECK_EQ(export_writer_create(&o, &other, &err), -EEXIST);
	CHECK(strstr(err.msg, "-o") != NULL);
	stop();
}

/* Names of fields as programs have them, and of functions, however long. */
static void names_of_any_kind(void)
{
	static const struct export_field fields[] = { { "_x", EXPORT_U8 }, { "__fd", EXPORT_I32 }, { "_length", EXPORT_U32 },
						      { "stack", EXPORT_STACK } };
	static const uint64_t pc = 0x401000;
	static char func[8000];
	const struct export_value v[] = { { .i = 1 }, { .i = -2 }, { .i = 3 }, { .data = (const uint8_t *)&pc, .bytes = 8 } };
	struct export_event e;
	memset(func, 'f', sizeof(func) - 1);
	start(0);
	uint32_t id = new_class(func, fields, ARRAY_CNT(fields));
	CHECK_EQ(put(id, 1, 0, v), 0);
	struct export_trace *t = open_trace();
	const struct export_class *c = export_trace_class(t, id);
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	CHECK(c && c->field_cnt == ARRAY_CNT(fields));
	CHECK(c && !strcmp(c->func, func));
	for (uint32_t i = 0; c && i < c->field_cnt; i++)
		CHECK_STR(c->fields[i].name, fields[i].name);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(e.vals[i].i, v[i].i);
	CHECK_EQ(e.vals[3].bytes, 8);
	export_trace_close(t);
	stop();
}

/* Numbers out of bytes that hold them say what values say; what is too short reads as 0. */
static void numbers_from_bytes(void)
{
	static const uint32_t offs[] = { 72, 64, 56, 48, 40, 32, 24, 16, 0, 8, 80 }; /* two follow each other in the end */
	uint64_t data[12] = { 0xabc, 0, 3, 4, 5, 6, INT64_MIN, (uint64_t)-3, (uint64_t)-2, (uint64_t)-1, 0, 99 };
	const float f = 1.5f;
	const double d = -0.1;
	start(0);
	memcpy(&data[1], &f, sizeof(f));
	memcpy(&data[10], &d, sizeof(d));
	uint32_t id = new_class("f", all_fields, 11), text = new_class("s", all_fields, ALL);
	struct export_event e = { .ns = 5, .class_id = id, .pid = 10, .tid = 11, .comm = "prog" };
	CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, sizeof(data), &err), -EINVAL); /* from where? */
	CHECK_EQ(export_writer_from(writer, text, offs, &err), -EINVAL);
	CHECK_EQ(export_writer_from(writer, id, offs, &err), 0);
	CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, sizeof(data), &err), 0);
	CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, 16, &err), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	const int64_t want[] = { -1, -2, -3, INT64_MIN, 6, 5, 4, 3, 0xabc };
	for (uint32_t i = 0; i < ARRAY_CNT(want); i++)
		CHECK_EQ(e.vals[i].i, want[i]);
	CHECK(e.vals[9].d == 1.5 && e.vals[10].d == -0.1);
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	CHECK(!e.vals[0].i && !e.vals[7].i && e.vals[8].i == 0xabc && e.vals[9].d == 1.5 && e.vals[10].d == 0);
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	export_trace_close(t);
	stop();
}

/* A field may be the event's time. */
static void its_own_time(void)
{
	static const struct export_field fields[] = { { "a", EXPORT_U64 }, { "t", EXPORT_U64 }, { "b", EXPORT_U64 } };
	static const uint32_t offs[] = { 0, EXPORT_AT_TIME, 8 };
	const uint64_t data[] = { 7, 8 };
	start(0);
	uint32_t id = new_class("f", fields, 3);
	struct export_event e = { .ns = 1ULL << 40, .class_id = id, .pid = 10, .tid = 11, .comm = "prog" };
	CHECK_EQ(export_writer_from(writer, id, offs, &err), 0);
	CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, sizeof(data), &err), 0);
	e.ns = 6;
	CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, 8, &err), 0);
	struct export_trace *t = open_trace();
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	CHECK(e.vals[0].i == 7 && e.vals[1].i == 1LL << 40 && e.vals[2].i == 8);
	CHECK_EQ(export_trace_next(t, &e, &err), 1);
	CHECK(e.vals[0].i == 7 && e.vals[1].i == 6 && e.vals[2].i == 0);
	export_trace_close(t);
	stop();
}

/* The command's name, wherever in a page it ends and however long it is. */
static void names_at_the_end_of_memory(void)
{
	static const char name[] = "0123456789abcdefgh";
	static const uint32_t off;
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end = page + 4096;
	mprotect(end, 4096, PROT_NONE);
	memset(page, 'x', 4096);
	for (uint32_t len = 0; len < sizeof(name); len++)
		for (uint32_t before = 0; before < 2; before++) {
			const uint64_t data = 7;
			char *comm = end - (len + 1) - before * 100;
			memcpy(comm, name, len);
			comm[len] = 0;
			start(0);
			uint32_t id = new_class("f", number, 1);
			struct export_event e = { .class_id = id, .comm = comm };
			CHECK_EQ(export_writer_from(writer, id, &off, &err), 0);
			CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)&data, 8, &err), 0);
			struct export_trace *t = open_trace();
			CHECK_EQ(export_trace_next(t, &e, &err), 1);
			CHECK(strlen(e.comm) == (len < 15 ? len : 15) && !strncmp(e.comm, name, strlen(e.comm)));
			CHECK_EQ(e.vals[0].i, 7);
			export_trace_close(t);
			stop();
		}
	munmap(page, 8192);
}

static void text_in_quotes(void)
{
	static const struct {
		const char *text;
		size_t bytes;
		const char *plain, *json;
	} of[] = {
		{ "a\"\\\n\t", 5, "\"a\\\"\\\\\\n\\t\"", "\"a\\\"\\\\\\n\\t\"" },
		{ "\0\33\177", 3, "\"\\000\\033\\177\"", "\"\\u0000\\u001b\\u007f\"" },
		{ "\303\244\342\202\254\360\220\215\210", 9, "\"\303\244\342\202\254\360\220\215\210\"", "\"\303\244\342\202\254\360\220\215\210\"" },
		{ "\302\200\302\237\302\240", 6, "\"\\302\\200\\302\\237\302\240\"", "\"\\u0080\\u009f\302\240\"" }, /* C1 */
		{ "\200x\300\257", 4, "\"\\200x\\300\\257\"", "\"\\u0080x\\u00c0\\u00af\"" }, /* no text: none begins so, too long a form */
		{ "\355\240\200", 3, "\"\\355\\240\\200\"", "\"\\u00ed\\u00a0\\u0080\"" }, /* half of a pair */
		{ "\342\202\254", 2, "\"\\342\\202\"", "\"\\u00e2\\u0082\"" }, /* cut */
	};
	for (size_t i = 0; i < 2 * ARRAY_CNT(of); i++) {
		char *got = NULL;
		size_t bytes;
		FILE *fp = open_memstream(&got, &bytes);
		export_print_text(fp, of[i / 2].text, of[i / 2].bytes, i % 2);
		fclose(fp);
		CHECK_STR(got, i % 2 ? of[i / 2].json : of[i / 2].plain);
		free(got);
	}
}

TAP_MAIN(TEST(numbers_from_bytes), TEST(its_own_time), TEST(names_at_the_end_of_memory), TEST(all_types_come_back), TEST(text_in_quotes), TEST(many_packets_of_several_cpus), TEST(events_wait_for_the_disk),
	 TEST(older_ones_get_the_time_before),
	 TEST(ring_keeps_the_last), TEST(an_event_larger_than_a_packet), TEST(losses_are_noted),
	 TEST(zeros_behind_the_end), TEST(a_folder_with_a_trace_is_refused), TEST(names_of_any_kind))
