/* SPDX-License-Identifier: MIT */
/* What is known of memory before it is written to, and data that is read in blocks: against this process itself. */
#include "../tap.h"
#include "session/session_int.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define RX (PROT_READ | PROT_EXEC)
#define RWX (RX | PROT_WRITE)

/* ---- what is mapped to run ---- */

static struct host_map map(uint64_t from, uint64_t to, uint32_t prot, bool shared)
{
	return (struct host_map){ .start = from * PAGE, .end = to * PAGE, .prot = prot, .shared = shared };
}

/*   page  1 2 3 4 5 6 7 8 9
 *         x x x x   x s w x      x: private code, in two pieces; s: shared; w: may be written to */
static const struct text_maps *some(void)
{
	static struct host_map v[6];
	static const struct text_maps maps = { v, 6 };
	v[0] = map(1, 3, RX, false);
	v[1] = map(3, 5, RX, false);
	v[2] = map(6, 7, RX, false);
	v[3] = map(7, 8, RX, true);
	v[4] = map(8, 9, RWX, false);
	v[5] = map(9, 10, RX, false);
	return &maps;
}

static bool closed(uint64_t start, uint64_t end) { return text_maps_closed(some(), start, end); }
static bool is_open(uint64_t start, uint64_t end) { return text_maps_open(some(), start, end); }

static void all_of_it_is_code(void)
{
	CHECK(closed(1 * PAGE, 3 * PAGE));
	CHECK(closed(1 * PAGE, 5 * PAGE)); /* neighbours */
	CHECK(closed(3 * PAGE - 1, 3 * PAGE + 1));
	CHECK(closed(5 * PAGE - 1, 5 * PAGE));
	CHECK(closed(6 * PAGE, 7 * PAGE));
	CHECK(closed(9 * PAGE, 10 * PAGE));
	CHECK(closed(20 * PAGE, 20 * PAGE)); /* nothing */
}

static void a_hole_is_none(void)
{
	CHECK(!closed(5 * PAGE, 6 * PAGE));
	CHECK(!closed(4 * PAGE, 7 * PAGE));
	CHECK(!closed(5 * PAGE - 1, 5 * PAGE + 1));
	CHECK(!closed(PAGE - 1, PAGE + 1));
	CHECK(!closed(9 * PAGE, 10 * PAGE + 1));
	CHECK(!closed(20 * PAGE, 21 * PAGE));
	CHECK(!text_maps_closed(&(struct text_maps){ 0 }, PAGE, PAGE + 1)); /* they could not be read */
}

static void what_others_may_write_to_is_none(void)
{
	CHECK(!closed(7 * PAGE, 8 * PAGE));
	CHECK(!closed(8 * PAGE, 9 * PAGE));
	CHECK(!closed(7 * PAGE - 1, 7 * PAGE + 1));
	CHECK(!closed(6 * PAGE, 10 * PAGE));
	CHECK(!is_open(1 * PAGE, 7 * PAGE)); /* a hole is nobody's to write to */
	CHECK(is_open(7 * PAGE - 1, 7 * PAGE + 1));
	CHECK(is_open(9 * PAGE - 1, 10 * PAGE));
	CHECK(!is_open(9 * PAGE, 10 * PAGE));
	CHECK(text_map_at(some(), 5 * PAGE - 1, 7 * PAGE) == &some()->v[1]);
	CHECK(text_map_at(some(), 5 * PAGE, 6 * PAGE) == NULL);
}

/* Pages of a file of ours, which the kernel is asked about. */
static void as_the_kernel_says(void)
{
	int fd = memfd_create("text", MFD_CLOEXEC);
	CHECK(!ftruncate(fd, 6 * PAGE));
	uint8_t *p = mmap(NULL, 6 * PAGE, RX, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(mmap(p + 4 * PAGE, PAGE, RX, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	CHECK(!mprotect(p + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	CHECK(!munmap(p + 2 * PAGE, PAGE));
	struct text_maps maps = { 0 };
	uint64_t at = (uint64_t)p;
	text_maps_read(&maps, getpid());
	CHECK(maps.cnt > 3);
	CHECK(text_maps_closed(&maps, at, at + 2 * PAGE));
	CHECK(!text_maps_closed(&maps, at, at + 2 * PAGE + 1));
	CHECK(text_maps_closed(&maps, at + 3 * PAGE, at + 4 * PAGE));
	CHECK(!text_maps_closed(&maps, at + 3 * PAGE, at + 4 * PAGE + 1));
	CHECK(text_maps_open(&maps, at + 4 * PAGE, at + 5 * PAGE));
	CHECK(text_map_at(&maps, at + 5 * PAGE, at + 6 * PAGE) == NULL); /* no code */
	CHECK(text_maps_closed(&maps, (uint64_t)as_the_kernel_says, (uint64_t)as_the_kernel_says + 16));
	free(maps.v);
	munmap(p, 6 * PAGE);
	close(fd);
}

/* ---- blocks ---- */

#define DATA_BYTES (3u << 20) /* more than there are blocks for */
static uint8_t data[DATA_BYTES];

struct reading {
	struct target t;
	struct obj_module *exe, *libc;
	struct text_blocks *b;
};

static void start(struct reading *r)
{
	struct err e = { .msg = "" };
	*r = (struct reading){ .t = { .pid = getpid(), .pidfd = -1 } };
	for (uint32_t i = 0; i < DATA_BYTES; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	CHECK_MSG(!obj_proc_open(getpid(), &r->t.obj, &e), "%s", e.msg);
	r->t.memfd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	r->b = text_blocks_create();
	CHECK(r->t.memfd >= 0 && r->b);
	for (uint32_t i = 0; i < obj_module_cnt(r->t.obj); i++) {
		struct obj_module *m = obj_module_at(r->t.obj, i);
		if (m->is_exe)
			r->exe = m;
		if (!strncmp(m->name, "libc.so", 7))
			r->libc = m;
	}
	CHECK(r->exe != NULL);
}

static void end(struct reading *r)
{
	text_blocks_destroy(r->b);
	branches_free(&r->t);
	obj_proc_close(r->t.obj);
	close(r->t.memfd);
}

static bool same(struct reading *r, struct text_blocks *b, const void *at, size_t bytes)
{
	uint8_t got[300];
	return !text_blocks_read(b, &r->t, r->exe, (uint64_t)at, got, bytes) && !memcmp(got, at, bytes);
}

/* Anywhere, any size: what stands there, whether blocks are shared by addresses far apart, or none are used. */
static void any_address_any_size(void)
{
	struct reading r;
	uint64_t seed = 1;
	start(&r);
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		size_t bytes = (size_t)(seed >> 33) % 300 + 1;
		const uint8_t *at = data + (seed >> 40) % (DATA_BYTES - 300);
		if (!CHECK_MSG(same(&r, i % 8 ? r.b : NULL, at, bytes), "%zu bytes at data + 0x%zx", bytes, (size_t)(at - data)))
			break;
	}
	end(&r);
}

/* What is text is read from the file, what is beside it from the process: as text_read() has it, to the byte. */
static void at_both_ends_of_the_text(void)
{
	struct reading r;
	start(&r);
	const uint64_t ends[] = { r.exe->text_start, r.exe->text_end };
	for (unsigned k = 0; k < 2; k++)
		for (int64_t off = -3 * (int64_t)PAGE; off < 3 * (int64_t)PAGE; off += 7) {
			uint8_t one[24], other[24];
			uint64_t at = ends[k] + (uint64_t)off;
			int a = text_blocks_read(r.b, &r.t, r.exe, at, one, sizeof(one)), b = text_read(&r.t, r.exe, at, other, sizeof(other));
			if (!CHECK_MSG(a == b && (a || !memcmp(one, other, sizeof(one))), "0x%llx: %d, %d", (unsigned long long)at, a, b))
				break;
		}
	end(&r);
}

/* What could not be read is no zeroes, and is asked for again. */
static void what_is_not_there(void)
{
	struct reading r;
	uint8_t got[8] = { 0 };
	start(&r);
	uint8_t *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	memset(p, 0x5a, 3 * PAGE);
	munmap(p + PAGE, PAGE);
	CHECK(same(&r, r.b, p + PAGE - 8, 8));
	CHECK(text_blocks_read(r.b, &r.t, r.exe, (uint64_t)p + PAGE, got, 8) != 0);
	CHECK(text_blocks_read(r.b, &r.t, r.exe, (uint64_t)p + PAGE - 4, got, 8) != 0);
	CHECK(same(&r, r.b, p + 2 * PAGE, 8));
	CHECK(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + PAGE);
	p[PAGE] = 7;
	CHECK(same(&r, r.b, p + PAGE, 8));
	CHECK(text_blocks_read(r.b, &r.t, r.exe, 16, got, 8) != 0); /* the first page of all */
	munmap(p, 3 * PAGE);
	end(&r);
}

/* A neighbour is what it was when the block was read; for another module it is read anew. */
static void a_block_is_read_once(void)
{
	struct reading r;
	uint8_t *page = data + (PAGE - (uint64_t)data % PAGE), got;
	start(&r);
	if (!r.libc)
		SKIP("no libc by itself");
	page[0] = 1;
	page[9] = 2;
	CHECK(same(&r, r.b, page, 1));
	page[9] = 3;
	CHECK(!text_blocks_read(r.b, &r.t, r.exe, (uint64_t)page + 9, &got, 1));
	CHECK_EQ(got, 2);
	CHECK(!text_blocks_read(r.b, &r.t, r.libc, (uint64_t)page + 9, &got, 1));
	CHECK_EQ(got, 3);
	end(&r);
}

TAP_MAIN(TEST(all_of_it_is_code), TEST(a_hole_is_none), TEST(what_others_may_write_to_is_none), TEST(as_the_kernel_says),
	 TEST(any_address_any_size), TEST(at_both_ends_of_the_text), TEST(what_is_not_there), TEST(a_block_is_read_once))
