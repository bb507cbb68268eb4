/* SPDX-License-Identifier: MIT */
/* Calls that do not return: what waits for their ends is bounded, and in memory and time so is the rest. */
#include "trace.h"

#define MANY 300000u /* a scan over all of them for each would not end */

static uint32_t class_of(const char *func, const char *name)
{
	uint32_t id = 0;
	struct export_class c = { "pid", "lib", func, name, NULL, 0 };
	CHECK_EQ(export_writer_class(writer, &c, &id, &err), 0);
	return id;
}

static char *printed(void)
{
	struct export_trace *t = open_trace();
	struct export_event e;
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	struct export_printer *p = export_printer_create(EXPORT_CHROME, t, fp);
	CHECK(p != NULL);
	while (export_trace_next(t, &e, &err) > 0)
		CHECK_EQ(export_printer_event(p, &e), 0);
	CHECK_EQ(export_printer_finish(p), 0);
	fclose(fp);
	export_trace_close(t);
	return text;
}

/* How often @what stands in @text. */
static uint32_t times(const char *text, const char *what)
{
	uint32_t cnt = 0;
	for (; (text = strstr(text, what)); text++)
		cnt++;
	return cnt;
}

static char *stopped_and_printed(void)
{
	stop_writing();
	return printed();
}

static void without_returns_they_are_points(void)
{
	start(0);
	uint32_t f = class_of("f", "entry"), g = class_of("g", "return");
	for (uint64_t i = 0; i < MANY; i++)
		CHECK_EQ(put(i % 2 ? g : f, i, 0, NULL), 0);
	char *text = stopped_and_printed();
	CHECK_EQ(times(text, "{\"ph\":\"i\",\"name\":\"f:entry\""), MANY / 2);
	CHECK_EQ(times(text, "{\"ph\":\"i\",\"name\":\"g:return\""), MANY / 2);
	CHECK_EQ(times(text, "{\"ph\":"), MANY + 1); /* the name */
	free(text);
	stop();
}

/* While it is recorded a return may yet come. */
static void those_of_a_live_trace_wait(void)
{
	start(0);
	uint32_t f = class_of("f", "entry");
	for (uint64_t i = 0; i < MANY; i++)
		CHECK_EQ(put(f, i, 0, NULL), 0);
	char *text = printed();
	uint32_t begun = times(text, "{\"ph\":\"B\"");
	CHECK(begun > 0 && begun < MANY);
	CHECK_EQ(times(text, "{\"ph\":\"i\""), MANY - begun);
	free(text);
	stop();
}

static void those_that_began_end(void)
{
	start(0);
	uint32_t f = class_of("f", "entry"), g = class_of("g", "entry"), back = class_of("f", "return"), g_back = class_of("g", "return");
	CHECK_EQ(put(f, 0, 0, NULL), 0);
	for (uint64_t i = 1; i < MANY; i++)
		CHECK_EQ(put_of(i % 2, g, i, 0, NULL), 0); /* of two threads; those of the first are left when f returns */
	CHECK_EQ(put_of(1, g_back, MANY, 0, NULL), 0);
	CHECK_EQ(put(back, MANY, 0, NULL), 0);
	CHECK_EQ(put(f, MANY + 1, 0, NULL), 0);
	CHECK_EQ(put(back, MANY + 2, 0, NULL), 0);
	char *text = stopped_and_printed();
	uint32_t begun = times(text, "{\"ph\":\"B\"");
	CHECK(begun > 1 && begun < MANY);
	CHECK_EQ(times(text, "{\"ph\":\"B\",\"name\":\"f\""), 1);
	CHECK_EQ(times(text, "{\"ph\":\"E\",\"name\":\"f\""), 1);
	CHECK_EQ(times(text, "{\"ph\":\"X\",\"name\":\"f\""), 1);
	CHECK_EQ(times(text, "{\"ph\":\"X\",\"name\":\"g\""), 1);
	CHECK_EQ(times(text, "{\"ph\":\"E\",\"name\":\"g\""), times(text, "{\"ph\":\"B\",\"name\":\"g\",\"pid\":10,\"tid\":11,"));
	CHECK_EQ(times(text, "{\"ph\":\"i\""), MANY - 1 - (begun - 1) - 1);
	free(text);
	stop();
}

TAP_MAIN(TEST(without_returns_they_are_points), TEST(those_of_a_live_trace_wait), TEST(those_that_began_end))
