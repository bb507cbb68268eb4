/* SPDX-License-Identifier: MIT */
/* Which windows may meet long jumps that have to stay, where threads run on. */
#include "session/session_int.h"

#include "../tap.h"


static struct patch_window short_at(uint64_t addr, uint64_t hole)
{
	return (struct patch_window){ .addr = addr, .bytes = 2, .write_bytes = 2, .form = PATCH_HOLE, .hole_addr = hole };
}

static void keep(struct target *t, uint64_t hole, uint8_t low, const struct obj_module *mod)
{
	struct placed p = { .addr = 0x1000, .hole_addr = hole, .hole_old = { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc }, .hole_new = { 0xe9, low },
			    .mod = mod };
	CHECK_EQ(holes_keep(t, &p), 0);
}

static void what_stays_is_met_by_nobody(void)
{
	struct target t = { 0 };
	struct patch_window same = short_at(0x1010, 0x1020), over = short_at(0x1010, 0x1024), apart = short_at(0x1010, 0x1025);
	struct patch_window jump = { .addr = 0x101d, .bytes = 5, .write_bytes = 5 };
	CHECK(holes_can(&t, &over));
	keep(&t, 0x1020, 1, NULL);
	CHECK(holes_can(&t, &apart));
	CHECK(!holes_can(&t, &over));
	CHECK(!holes_can(&t, &jump));
	CHECK(holes_can(&t, &same)); /* one store leads it elsewhere */
	keep(&t, 0x1020, 2, NULL);
	CHECK_EQ(t.hole_cnt, 1);
	CHECK_EQ(holes_at(&t, 0x1020)->now[1], 2);
	CHECK_EQ(holes_at(&t, 0x1020)->old[0], 0xcc);
	keep(&t, 0x1036, 1, NULL);
	same = short_at(0x1030, 0x1036);
	CHECK(!holes_can(&t, &same)); /* two words */
	free(t.holes);
}

static void libraries_go(void)
{
	struct target t = { 0 };
	struct obj_module mod = { .end = 0x2000 };
	struct patch_window over = short_at(0x1010, 0x1024);
	keep(&t, 0x1020, 1, &mod);
	CHECK(!holes_can(&t, &over));
	mod.end = 0;
	CHECK(holes_can(&t, &over));
	CHECK(!holes_at(&t, 0x1020));
	free(t.holes);
}

static void they_are_listed_in_order(void)
{
	struct placed placed[] = { { .addr = 0x1000, .hole_addr = 0x1028 }, { .addr = 0x1008 } };
	struct target t = { .placed = placed, .placed_cnt = 2 };
	uint32_t n = 0;
	keep(&t, 0x1040, 1, NULL);
	keep(&t, 0x1010, 1, NULL);
	struct patch_range *v = holes_list(&t, &n);
	CHECK(v != NULL);
	CHECK_EQ(n, 3);
	CHECK_EQ(v[0].start, 0x1010);
	CHECK_EQ(v[1].start, 0x1028);
	CHECK_EQ(v[2].end, 0x1045);
	free(v);
	free(t.holes);
}

TAP_MAIN(TEST(what_stays_is_met_by_nobody), TEST(libraries_go), TEST(they_are_listed_in_order))
