/* SPDX-License-Identifier: MIT */
/* Characters, what looks like some, and where text may be cut. */
#include "host/utf8.h"

#include "../tap.h"

static uint32_t len(const char *s, size_t left) { return host_utf8_len((const uint8_t *)s, left); }
static bool is_control(const char *s) { return host_utf8_is_control((const uint8_t *)s); }

static void lengths(void)
{
	CHECK_EQ(len("a", 1), 1);
	CHECK_EQ(len("", 1), 1); /* a NUL is one */
	CHECK_EQ(len("\303\244", 2), 2);
	CHECK_EQ(len("\342\202\254", 3), 3);
	CHECK_EQ(len("\360\220\215\210", 4), 4);
	CHECK_EQ(len("\364\217\277\277", 4), 4); /* U+10FFFF */
}

static void none(void)
{
	CHECK_EQ(len("a", 0), 0);
	CHECK_EQ(len("\200", 1), 0);
	CHECK_EQ(len("\300\257", 2), 0);         /* too long a form */
	CHECK_EQ(len("\340\237\277", 3), 0);
	CHECK_EQ(len("\360\217\277\277", 4), 0);
	CHECK_EQ(len("\355\240\200", 3), 0);     /* half of a pair */
	CHECK_EQ(len("\364\220\200\200", 4), 0); /* above U+10FFFF */
	CHECK_EQ(len("\342\202\254", 2), 0);     /* cut */
	CHECK_EQ(len("\342\202x", 3), 0);
}

static void controls(void)
{
	CHECK(is_control("\033") && is_control("\177") && is_control("\302\200") && is_control("\302\237"));
	CHECK(!is_control(" ") && !is_control("\302\240") && !is_control("\303\200"));
}

static void whole(void)
{
	CHECK_EQ(host_utf8_whole("a\342\202\254", 4), 4);
	CHECK_EQ(host_utf8_whole("a\342\202\254", 3), 1);
	CHECK_EQ(host_utf8_whole("a\342\202\254", 2), 1);
	CHECK_EQ(host_utf8_whole("a", 1), 1);
	CHECK_EQ(host_utf8_whole("\200\200\200\200", 4), 4);
	CHECK_EQ(host_utf8_whole("", 0), 0);
}

TAP_MAIN(TEST(lengths), TEST(none), TEST(controls), TEST(whole))
