/* SPDX-License-Identifier: MIT */
/* What the thread that keeps a budget knows of places: those that go, and what is told at the end. */
#include "../tap.h"
#include "session/budget_int.h"
#include "wire/layout.h"

#include <sys/mman.h>
#include <unistd.h>

static struct ir_insn ends = { .op = IR_OP_RET };
static struct ir_prog prog = { .insns = &ends, .insn_cnt = 1 };
static const struct ir_image image = { .progs = &prog, .prog_cnt = 1 };

static struct wire_shm geo;
static uint8_t *mem;
static int fd;

static struct budget *start(void)
{
	struct wire_layout_in in = { .thread_cnt = 2, .site_cap = 1u << 19, .ring_bytes = 4096, .agg_bytes = 4096, .dyn_bytes = 4096,
		.unw_bytes = 4096, .ctx_bytes = 4096, .str_cap = 4096, .strsize = 16, .rates = true };
	struct err err = { .msg = "" };
	CHECK_MSG(!wire_layout(&geo, &in, &err), "%s", err.msg);
	fd = memfd_create("budget", MFD_CLOEXEC);
	CHECK(!ftruncate(fd, (off_t)geo.bytes));
	mem = mmap(NULL, geo.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	CHECK(mem != MAP_FAILED);
	*(struct wire_shm *)mem = geo;
	struct budget *b = budget_create((struct wire_shm *)mem, fd, 5);
	CHECK(b != NULL);
	return b;
}

static void end(struct budget *b)
{
	budget_destroy(b);
	munmap(mem, geo.bytes);
	close(fd);
}

static void add(struct budget *b, uint32_t site)
{
	const uint32_t first = 0;
	CHECK(!budget_site(b, site, &image, &first, 1, false));
}

static void hit(uint32_t site, uint64_t times)
{
	*((uint64_t *)(mem + geo.hits_off) + site) += times;
}

/* How many places have that site; *ret_fired: their hits. */
static unsigned places_of(struct budget *b, uint32_t site, uint64_t *ret_fired)
{
	unsigned n = 0;
	*ret_fired = 0;
	budget_report(b);
	pthread_mutex_lock(&b->lock);
	for (uint32_t i = 0; i < b->place_cnt; i++)
		if (b->places[i].site == site) {
			n++;
			*ret_fired += b->places[i].fired;
		}
	pthread_mutex_unlock(&b->lock);
	return n;
}

/* A library is unloaded while it is armed: the numbers of its sites are given to others, which have their hits once. */
static void a_number_is_given_again(void)
{
	struct budget *b = start();
	uint64_t fired;
	for (uint32_t site = 0; site < 600; site++)
		add(b, site);
	hit(3, 7);
	CHECK_EQ(places_of(b, 3, &fired), 1);
	budget_forget(b, 4);
	CHECK_EQ(b->place_cnt, 4);
	CHECK_EQ(places_of(b, 3, &fired), 1);
	CHECK_EQ(fired, 7);
	CHECK_EQ(places_of(b, 4, &fired), 0);
	add(b, 4);
	hit(4, 5);
	CHECK_EQ(places_of(b, 4, &fired), 1);
	CHECK_EQ(fired, 5);
	budget_forget(b, 5);
	CHECK_EQ(b->place_cnt, 5);
	budget_forget(b, 0);
	CHECK_EQ(b->place_cnt, 0);
	CHECK_EQ(b->next, 0);
	end(b);
}

/* Of those that were sampled, as they are called; the others count for nothing. */
static void the_share_that_was_counted(void)
{
	struct budget *b = start();
	add(b, 0);
	add(b, 1);
	add(b, 2);
	CHECK(budget_report(b).counted == 0);
	pthread_mutex_lock(&b->lock);
	b->places[0].weight = 40;
	b->places[0].fired = 20;
	b->places[0].passed = 380;
	b->places[1].fired = 1000;
	b->places[2].weight = 2;
	b->places[2].fired = 80;
	b->places[2].passed = 20;
	pthread_mutex_unlock(&b->lock);
	struct budget_report r = budget_report(b);
	CHECK_EQ(r.sampled, 2);
	CHECK(r.counted > 0.1999 && r.counted < 0.2001);
	end(b);
}

TAP_MAIN(TEST(a_number_is_given_again), TEST(the_share_that_was_counted))
