/* SPDX-License-Identifier: MIT */
/* Headers of events, and threads that have a CPU for themselves. */
#include "../tap.h"
#include "consume/consume.h"
#include "export/write_int.h"
#include "trace.h"

#include <sys/stat.h>

static const struct export_field number[] = { { "n", EXPORT_U64 } };
static const struct export_field text[] = { { "s", EXPORT_STR } };

static uint64_t file_bytes(const char *name)
{
	char path[96];
	struct stat st = { 0 };
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* babeltrace2 reads the same events, where it is there. */
static void babeltrace_counts(uint64_t want)
{
	char cmd[160];
	unsigned long got = 0;
	if (system("command -v babeltrace2 >/dev/null 2>&1"))
		return;
	snprintf(cmd, sizeof(cmd), "babeltrace2 %s 2>&1 | grep -c ' pid = 10, tid = 1[0-9], procname = \"prog\"'", dir);
	FILE *fp = popen(cmd, "r");
	CHECK(fp && fscanf(fp, "%lu", &got) == 1);
	if (fp)
		pclose(fp);
	CHECK_EQ(got, want);
}

/* Every form of a header, and each step between two times. */
static void times_and_classes_of_any_size(void)
{
	static const uint64_t steps[] = { 0, 1, 100, (1u << 27) - 1, 1u << 27, (1u << 27) + 1, 5000000000, 1ull << 40, 3 };
	enum { CLASSES = 70000 };
	static const uint32_t of[] = { 0, 29, 30, 31, 255, 65535, 65536, CLASSES - 1 };
	uint64_t ns = 1ull << 50, cnt = 0;
	start(0);
	for (uint32_t i = 0; i < CLASSES; i++)
		new_class("f", number, 1);
	for (uint32_t s = 0; s < ARRAY_CNT(steps); s++)
		for (uint32_t k = 0; k < ARRAY_CNT(of); k++)
			CHECK_EQ(put(of[k], ns += steps[s], 0, &(struct export_value){ .i = (int64_t)cnt++ }), 0);
	struct export_trace *t = open_trace();
	struct export_event e;
	ns = 1ull << 50;
	for (uint64_t i = 0; i < cnt; i++) {
		CHECK_EQ(export_trace_next(t, &e, &err), 1);
		CHECK_EQ(e.ns, ns += steps[i / ARRAY_CNT(of)]);
		CHECK_EQ(e.class_id, of[i % ARRAY_CNT(of)]);
		CHECK_EQ(e.vals[0].i, i);
	}
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
	stop();
}

/* All events in the order in which they were put, with their threads: @of says which. */
static void all_are_there(uint64_t cnt, uint32_t (*of)(uint64_t))
{
	struct export_trace *t = open_trace();
	struct export_event e;
	uint64_t wrong = 0;
	for (uint64_t i = 0; i < cnt; i++) {
		if (export_trace_next(t, &e, &err) != 1)
			break;
		wrong += e.tid != 11 + of(i) || e.pid != 10 || strcmp(e.comm, "prog") || e.ns != 1000 + i ||
			 (uint64_t)e.vals[0].i != i;
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
}

static void put_all(uint64_t cnt, uint32_t (*of)(uint64_t))
{
	uint32_t id = new_class("f", number, 1);
	uint64_t bad = 0;
	for (uint64_t i = 0; i < cnt; i++)
		bad += put_of(of(i), id, 1000 + i, 0, &(struct export_value){ .i = (int64_t)i }) != 0;
	CHECK_EQ(bad, 0);
}

static uint32_t alone(uint64_t i) { return i < 50000 ? 0 : 1; }
static uint32_t in_turn(uint64_t i) { return (uint32_t)(i / 7000 % 3); }
static uint32_t seldom(uint64_t i) { return i % 1000 == 999; }
static uint32_t not_quite(uint64_t i) { return i >= 5000 && (i - 5000) % 4097 != 4096; }
static uint32_t mixed(uint64_t i) { return (uint32_t)(i % 3); }

static void threads_with_a_cpu_for_themselves(void)
{
	static uint32_t (*const who[])(uint64_t) = { alone, in_turn, seldom };
	for (uint32_t i = 0; i < ARRAY_CNT(who); i++) {
		start(0);
		put_all(60000, who[i]);
		all_are_there(60000, who[i]); /* while it is written */
		CHECK(file_bytes("cpu0t") > 2 * file_bytes("cpu0") || who[i] != alone);
		stop_writing();
		all_are_there(60000, who[i]);
		babeltrace_counts(60000);
		stop();
	}
}

static void threads_that_share_one(void)
{
	start(0);
	put_all(50000, mixed);
	stop_writing();
	all_are_there(50000, mixed);
	CHECK_EQ(file_bytes("cpu0t"), 0);
	stop();
}

/* As many in a row as take the CPU over, but for one of who has it. */
static void a_row_that_is_broken(void)
{
	start(0);
	put_all(5000 + 3 * 4097, not_quite);
	stop_writing();
	all_are_there(5000 + 3 * 4097, not_quite);
	CHECK(file_bytes("cpu0t") > 900 * 12 && file_bytes("cpu0t") < 1000 * 12);
	stop();
}

/* The packet of one thread cannot be ended when it is another's turn: what waits in it is lost, nothing gets a wrong name. */
static void a_turn_that_fails(void)
{
	enum { FIRST = 5000, ALL = 15000 };
	struct export_event e;
	uint64_t cnt = 0, wrong = 0, bad = 0;
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < ALL; i++) {
		bool turn = i == FIRST + 4096;
		disk_works(!turn);
		int rc = put_of(i >= FIRST, id, 1000 + i, 0, &(struct export_value){ .i = (int64_t)i });
		bad += turn ? rc != -EFBIG : rc != 0;
	}
	CHECK_EQ(bad, 0);
	struct export_trace *t = open_trace();
	while (export_trace_next(t, &e, &err) > 0) {
		wrong += e.tid != 11 + (e.vals[0].i >= FIRST) || e.ns != 1000 + (uint64_t)e.vals[0].i;
		cnt++;
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(cnt, export_writer_events(writer));
	CHECK(cnt >= ALL - FIRST - 1 + 4096 && cnt < ALL);
	CHECK_EQ(export_trace_damaged(t), 0);
	CHECK(file_bytes("cpu0t") > 0);
	export_trace_close(t);
	stop();
}

/* There is no next packet to say it; and the last one goes on as soon as the disk does. */
static void what_a_full_disk_cost(void)
{
	static char s[1 << 20];
	uint64_t last = 0;
	memset(s, 'x', sizeof(s));
	start(0);
	uint32_t id = new_class("f", number, 1), large = new_class("g", text, 1);
	CHECK_EQ(put(id, 1, 0, &(struct export_value){ .i = 1 }), 0);
	CHECK_EQ(export_writer_flush(writer, &err), 0);
	disk_works(false);
	CHECK_EQ(put(large, 2, 0, &(struct export_value){ .data = (const uint8_t *)s, .bytes = sizeof(s) }), -EFBIG);
	disk_works(true);
	export_writer_lost(writer, 1);
	struct export_trace *t = open_trace();
	CHECK_EQ(read_all(t, &last), 1);
	CHECK_EQ(export_trace_lost(t), 1);
	CHECK_EQ(put(id, 3, 0, &(struct export_value){ .i = 3 }), 0);
	CHECK_EQ(put(large, 4, 0, &(struct export_value){ .data = (const uint8_t *)s, .bytes = sizeof(s) }), 0);
	CHECK_EQ(export_writer_flush(writer, &err), 0);
	CHECK_EQ(export_trace_refresh(t, &err), 0);
	CHECK_EQ(read_all(t, &last), 2);
	CHECK_EQ(export_trace_lost(t), 1);
	CHECK_EQ(export_trace_damaged(t), 0);
	export_trace_close(t);
	stop();
}

/* Events that were given up have no part in the times of later ones. */
static void times_behind_what_was_lost(void)
{
	static const uint64_t times[] = { 1000000000, 1100000000, 1200000000, 1300000000 };
	struct export_event e;
	start(0);
	uint32_t id = new_class("f", number, 1);
	for (uint64_t i = 0; i < ARRAY_CNT(times); i++) {
		CHECK_EQ(put(id, times[i], 0, &(struct export_value){ .i = (int64_t)i }), 0);
		disk_works(i != 1);
		CHECK_EQ(export_writer_flush(writer, &err), i == 1 ? -EFBIG : 0);
	}
	disk_works(true);
	struct export_trace *t = open_trace();
	for (uint64_t i = 0; i < ARRAY_CNT(times); i += i ? 1 : 2) {
		CHECK_EQ(export_trace_next(t, &e, &err), 1);
		CHECK_EQ(e.vals[0].i, i);
		CHECK_EQ(e.ns, times[i]);
	}
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	CHECK_EQ(export_writer_events(writer), 3);
	export_trace_close(t);
	stop_writing();
	babeltrace_counts(3);
	stop();
}

static void a_ring_has_no_packets_of_one(void)
{
	start(1 << 20);
	put_all(100000, alone);
	stop_writing();
	CHECK_EQ(file_bytes("cpu0t"), 0);
	struct export_trace *t = open_trace();
	struct export_event e;
	int64_t last = 0;
	while (export_trace_next(t, &e, &err) > 0)
		last = e.vals[0].i;
	CHECK_EQ(last, 99999);
	export_trace_close(t);
	stop();
}

/* Classes that come late, and whose events have lengths of their own. */
static void classes_in_both(void)
{
	start(0);
	put_all(10000, alone);
	uint32_t s = new_class("g(\n\tstream_id = 7;)", text, 1), n = new_class("h", number, 1);
	for (uint64_t i = 0; i < 10000; i++)
		CHECK_EQ(put(i % 2 ? s : n, 100000 + i, 0,
			     &(struct export_value){ .i = i % 2 ? 0 : 5, .data = (const uint8_t *)"text", .bytes = 4 }), 0);
	stop_writing();
	struct export_trace *t = open_trace();
	struct export_event e;
	uint64_t texts = 0, numbers = 0;
	while (export_trace_next(t, &e, &err) > 0) {
		texts += e.class_id == s && e.vals[0].bytes == 4 && !memcmp(e.vals[0].data, "text", 4);
		numbers += e.class_id == n && e.vals[0].i == 5;
	}
	CHECK_EQ(texts, 5000);
	CHECK_EQ(numbers, 5000);
	export_trace_close(t);
	babeltrace_counts(20000);
	stop();
}

/* What comes as records is what comes as events. */
static void records_in_a_row(void)
{
	static const uint32_t offs[] = { 0, 8 };
	static const struct export_field two[] = { { "a", EXPORT_U64 }, { "b", EXPORT_U32 } };
	enum { CNT = 100, TIMES = 500 };
	static uint64_t data[CNT][2];
	struct consume_rec recs[CNT];
	uint32_t ids[CNT];
	start(0);
	uint32_t id[2] = { new_class("f", two, 2), new_class("g", two, 2) };
	const struct export_event of = { .pid = 10, .tid = 12, .comm = "prog" };
	CHECK_EQ(export_writer_from(writer, id[0], offs, &err), 0);
	ids[0] = id[1];
	recs[0] = (struct consume_rec){ 0 };
	CHECK_EQ(export_writer_recs(writer, &of, recs, ids, 1, &err), -EINVAL); /* from where? */
	CHECK_EQ(export_writer_from(writer, id[1], offs, &err), 0);
	for (uint64_t i = 0; i < CNT * TIMES; i++) {
		uint64_t k = i % CNT;
		data[k][0] = i;
		data[k][1] = ~i;
		recs[k] = (struct consume_rec){ .ns = i, .payload = (const uint8_t *)data[k], .bytes = 16, .cpu = i % 100 >= 90 };
		ids[k] = id[i / 3 % 2];
		if (k == CNT - 1)
			CHECK_EQ(export_writer_recs(writer, &of, recs, ids, CNT, &err), 0);
	}
	CHECK_EQ(export_writer_events(writer), CNT * TIMES);
	struct export_trace *t = open_trace();
	struct export_event e;
	uint64_t wrong = 0;
	for (uint64_t i = 0; i < CNT * TIMES; i++)
		wrong += export_trace_next(t, &e, &err) != 1 || e.ns != i || (uint64_t)e.vals[0].i != i ||
			 strcmp(export_trace_class(t, e.class_id)->func, i / 3 % 2 ? "g" : "f") ||
			 (uint32_t)e.vals[1].i != (uint32_t)~i || e.tid != 12 || e.cpu != (i % 100 >= 90);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(export_trace_next(t, &e, &err), 0);
	export_trace_close(t);
	stop_writing();
	babeltrace_counts(CNT * TIMES);
	stop();
}

/* Numbers of 64 bits take 32 where they fit, and come back as they were. */
static void numbers_that_fit(void)
{
	static const struct export_field fields[] = { { "i", EXPORT_I64 }, { "i64", EXPORT_U8 }, { "u", EXPORT_U64 },
						      { "x", EXPORT_HEX } };
	static const uint32_t offs[] = { 0, 24, 8, 16 };
	static const int64_t vals[] = { 0, -1, INT32_MAX, INT32_MIN, INT32_MAX + 1ll, INT32_MIN - 1ll, UINT32_MAX,
					UINT32_MAX + 1ll, INT64_MAX, INT64_MIN, 7 };
	uint64_t cnt = 0, wrong = 0, narrow = 0;
	start(0);
	uint32_t id = new_class("f\n\t\ti64 _", fields, 4);
	CHECK_EQ(export_writer_from(writer, id, offs, &err), 0);
	for (uint32_t n = 0; n < ARRAY_CNT(vals) * ARRAY_CNT(vals); n++) {
		uint64_t data[4] = { (uint64_t)vals[n / ARRAY_CNT(vals)], (uint64_t)vals[n % ARRAY_CNT(vals)], ~0ull, n };
		struct export_event e = { .ns = n, .class_id = id, .pid = 10, .tid = 11, .comm = "prog" };
		CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)data, sizeof(data), &err), 0);
	}
	struct export_trace *t = open_trace();
	struct export_event e;
	for (; export_trace_next(t, &e, &err) > 0; cnt++) {
		const struct export_class *c = export_trace_class(t, e.class_id);
		int64_t i = vals[cnt / ARRAY_CNT(vals)], u = vals[cnt % ARRAY_CNT(vals)];
		bool fits = i == (int32_t)i && u >= 0 && u <= (int64_t)UINT32_MAX;
		narrow += c->fields[0].type == EXPORT_I32 && c->fields[2].type == EXPORT_U32;
		wrong += e.vals[0].i != i || e.vals[2].i != u || (uint8_t)e.vals[1].i != (uint8_t)cnt || e.vals[3].i != -1 ||
			 (c->fields[0].type == EXPORT_I32) != fits || c->fields[1].type != EXPORT_U8 ||
			 c->fields[3].type != EXPORT_HEX || strcmp(c->func, export_trace_class(t, id)->func);
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(cnt, ARRAY_CNT(vals) * ARRAY_CNT(vals));
	CHECK_EQ(narrow, 5 * 5); /* of either type */
	export_trace_close(t);
	stop_writing();
	babeltrace_counts(cnt);
	stop();
}

/* Where a class can have no narrow one, events stay wide; the recording goes on. */
static void numbers_that_stay_wide(void)
{
	static const uint32_t offs[] = { 0 };
	struct export_event e;
	uint64_t narrow = 0, cnt = 0;
	uint32_t ids[3], none, was;
	start(0);
	for (uint32_t i = 0; i < ARRAY_CNT(ids); i++) {
		ids[i] = new_class("f", number, 1);
		CHECK_EQ(export_writer_from(writer, ids[i], offs, &err), 0);
	}
	was = writer->class_cnt;
	uint64_t bytes = file_bytes("metadata"), said = export_writer_bytes(writer);
	for (uint64_t i = 0; i < 3 * ARRAY_CNT(ids); i++) {
		uint64_t v = i;
		e = (struct export_event){ .ns = i, .class_id = ids[i / 3], .pid = 10, .tid = 11, .comm = "prog" };
		if (i < 2)
			writer->class_cnt = i ? was : CTF_CLASS_MAX;
		disk_works(i != 3);
		CHECK_EQ(export_writer_event_from(writer, &e, (const uint8_t *)&v, sizeof(v), &err), 0);
		if (i < 6)
			CHECK_EQ(file_bytes("metadata"), bytes);
	}
	CHECK_EQ(writer->class_cnt, was + 1);
	CHECK_EQ(export_writer_bytes(writer) - said, file_bytes("metadata") - bytes + CTF_PACKET_BYTES);
	struct export_class c = { "pid", "lib", "f", "entry", number, 1 };
	writer->class_cnt = CTF_CLASS_MAX;
	CHECK_EQ(export_writer_class(writer, &c, &none, &err), -E2BIG);
	writer->class_cnt = was + 1;
	struct export_trace *t = open_trace();
	for (; export_trace_next(t, &e, &err) > 0; cnt++) {
		narrow += export_trace_class(t, e.class_id)->fields[0].type == EXPORT_U32;
		CHECK_EQ(e.vals[0].i, cnt);
	}
	CHECK_EQ(cnt, 9);
	CHECK_EQ(narrow, 3);
	export_trace_close(t);
	stop_writing();
	babeltrace_counts(9);
	stop();
}

TAP_MAIN(TEST(times_and_classes_of_any_size), TEST(threads_with_a_cpu_for_themselves), TEST(threads_that_share_one),
	 TEST(a_row_that_is_broken), TEST(a_turn_that_fails), TEST(times_behind_what_was_lost), TEST(what_a_full_disk_cost), TEST(a_ring_has_no_packets_of_one),
	 TEST(classes_in_both), TEST(records_in_a_row), TEST(numbers_that_fit), TEST(numbers_that_stay_wide))
