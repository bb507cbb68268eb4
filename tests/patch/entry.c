/* SPDX-License-Identifier: MIT */
/* What patch_plan_entry() says of an entry against what patch_plan() does, for functions of programs and for pieces of them that
 * are none; and that nothing which leads into the window is passed over. */
#include "elf_funcs.h"

#include "../unit/tap.h"
#include "wire/wire.h"

#include <stddef.h>

#define AT 0x7f0000001000ull
#define BYTES_MAX 4096
#define PIECES 40000

static const char *const files[] = { "/bin/bash", "/usr/bin/python3.11", "/lib/x86_64-linux-gnu/libc.so.6" };
static uint64_t seed = 88172645463325252ull;
static uint32_t taken, all;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* A file's image, elsewhere than below 4 GiB. */
struct place {
	const struct elf_funcs *elf;
	uint64_t bias;
};

static int read_image(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	const struct place *p = arg;
	uint64_t at = addr - p->bias;
	if (at >= p->elf->image_bytes || bytes > p->elf->image_bytes - at)
		return -1;
	memcpy(buf, p->elf->image + at, bytes);
	return 0;
}

static bool same(const struct patch_func *f, uint8_t kind)
{
	struct patch_anchor fast[2] = { { .kind = kind }, { .kind = kind, .site = 7 } }, slow[2];
	struct patch_window one, wins[PATCH_WINDOW_CNT(2)];
	memcpy(slow, fast, sizeof(slow));
	memset(&one, 0, sizeof(one));
	memset(wins, 0, sizeof(wins));
	all++;
	if (!patch_plan_entry(f, fast, 2, &one))
		return !memcmp(fast, slow, sizeof(slow)) && !memcmp(&one, &wins[0], sizeof(one)); /* nothing was written */
	taken++;
	return patch_plan(f, slow, 2, wins) == 1 && !memcmp(fast, slow, sizeof(fast)) && one.tramp_max == wins[0].tramp_max && one.moves_as_is == wins[0].moves_as_is &&
	       !memcmp(&one, &wins[0], offsetof(struct patch_window, old)) && !memcmp(one.old, wins[0].old, one.bytes);
}

static struct patch_func piece(struct place *p, uint64_t start, uint64_t end)
{
	return (struct patch_func){ .addr = start + p->bias, .code = p->elf->image + start, .bytes = (uint32_t)(end - start),
				    .knows_near = true, .read = read_image, .read_arg = p };
}

static void check_file(const char *path)
{
	struct elf_funcs elf;
	if (elf_funcs_open(&elf, path)) {
		CHECK_MSG(false, "%s cannot be read", path);
		return;
	}
	struct place p = { &elf, AT };
	for (uint32_t i = 0; i < elf.cnt; i++) {
		struct patch_func f = piece(&p, elf.func[i].start, elf.func[i].end);
		CHECK_MSG(f.bytes < 1 || same(&f, WIRE_SITE_ENTRY), "%s at %#llx", path, (unsigned long long)elf.func[i].start);
	}
	for (uint32_t i = 0; i < PIECES; i++) {
		uint64_t start = elf.text_start + any() % (elf.text_end - elf.text_start), left = elf.text_end - start, bytes = 1 + any() % 700;
		struct patch_func f = piece(&p, start, start + (bytes < left ? bytes : left));
		CHECK_MSG(same(&f, WIRE_SITE_OFFSET), "%s, from %#llx to %#llx", path, (unsigned long long)start, (unsigned long long)start + bytes);
	}
	elf_funcs_close(&elf);
}

static void programs(void)
{
	for (size_t i = 0; i < ARRAY_CNT(files); i++)
		check_file(files[i]);
	CHECK_MSG(taken > all / 4, "only %u of %u were plain", taken, all);
}

/* push %rbp; mov %rsp,%rbp; sub $16,%rsp: a window of 8 bytes; then @code; then ret. */
static bool plans(const char *code, size_t bytes, const struct patch_func *like)
{
	uint8_t text[BYTES_MAX];
	static const uint8_t head[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10 };
	memset(text, 0x90, sizeof(text));
	memcpy(text, head, sizeof(head));
	memcpy(text + sizeof(head), code, bytes);
	text[sizeof(head) + bytes] = 0xc3;
	struct patch_func f = *like;
	struct patch_anchor a = { .kind = WIRE_SITE_ENTRY };
	struct patch_window w;
	f.code = text;
	f.bytes = (uint32_t)(sizeof(head) + bytes + 1);
	return patch_plan_entry(&f, &a, 1, &w) && w.bytes == sizeof(head);
}

#define PLANS(code, like) plans(code, sizeof(code) - 1, like)

/* The first entries of a table: to @table + *arg. */
static int read_table(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	(void)addr;
	for (size_t i = 0; i + 4 <= bytes; i += 4)
		memcpy((uint8_t *)buf + i, arg, 4);
	return 0;
}

static void led_into(void)
{
	const struct patch_func plain = { .addr = AT, .knows_near = true };
	CHECK(PLANS("\x31\xc0", &plain));
	CHECK(PLANS("\xeb\xf6", &plain));                     /* to the start: that is no matter */
	CHECK(!PLANS("\xeb\xf7", &plain));                    /* to its second byte */
	CHECK(!PLANS("\x74\xfd", &plain));                    /* to its last */
	CHECK(PLANS("\x74\xfe", &plain));                     /* behind it */
	CHECK(!PLANS("\xe2\xf7", &plain));                    /* loop */
	CHECK(!PLANS("\xe9\xf4\xff\xff\xff", &plain));
	CHECK(!PLANS("\x0f\x85\xf3\xff\xff\xff", &plain));
	CHECK(!PLANS("\xe8\xf8\xff\xff\xff", &plain));
	CHECK(!PLANS("\x48\x8d\x05\xf2\xff\xff\xff", &plain)); /* lea */
	CHECK(!PLANS("\xc7\xf8\xf3\xff\xff\xff", &plain));    /* xbegin */
	CHECK(!PLANS("\xb8\xeb\xf6\x00\x00", &plain));        /* might be one */
	CHECK(PLANS("\xff\xe0", &plain));                     /* a jump through a register, but no table */
	/* lea table(%rip); jmp *%rax; the table has offsets. */
	int32_t to = -0x1000 + 2;
	struct patch_func f = plain;
	f.read = read_table;
	f.read_arg = &to;
	CHECK(!PLANS("\x48\x8d\x05\xf1\x0f\x00\x00\xff\xe0", &f));
	CHECK(PLANS("\x48\x8d\x05\xf1\x0f\x00\x00", &f));
	to = -0x1000 + 9;
	CHECK(PLANS("\x48\x8d\x05\xf1\x0f\x00\x00\xff\xe0", &f));
	const uint64_t target = AT + 4;
	f = plain;
	f.targets = &target;
	f.target_cnt = 1;
	CHECK(!PLANS("\x31\xc0", &f));
	f = plain;
	f.addr = 0x401000; /* addresses could be plain numbers */
	CHECK(!PLANS("\x31\xc0", &f));
}

#define TEXT_PIECE 40000u
#define BEFORE 64u
#define BEHIND 16u

/* Of each piece no more is there than is asked for. */
static uint32_t in_pieces(const uint8_t *text, size_t bytes, uint64_t addr, uint64_t *ret, uint32_t cap)
{
	uint64_t *seen = calloc(bytes / 64 + 2, sizeof(*seen));
	for (size_t from = 0, to; from < bytes; from = to) {
		to = bytes - from < TEXT_PIECE ? bytes : from + TEXT_PIECE;
		size_t at = from < BEFORE ? 0 : from - BEFORE, end = bytes - to < BEHIND ? bytes : to + BEHIND;
		uint8_t *copy = malloc(end - at);
		memcpy(copy, text + at, end - at);
		patch_text_mark(copy, end - at, from - at, to - at, addr + at, addr - 1, addr + bytes, NULL, NULL, seen);
		free(copy);
	}
	uint32_t n = patch_text_list(seen, addr - 1, addr + bytes, ret, cap);
	free(seen);
	return n;
}

static void targets_of_pieces_are_those_of_the_whole(void)
{
	for (size_t i = 0; i < ARRAY_CNT(files); i++) {
		struct elf_funcs elf;
		if (elf_funcs_open(&elf, files[i]))
			continue;
		const uint8_t *text = elf.image + elf.text_start;
		size_t bytes = elf.text_end - elf.text_start;
		uint64_t *whole = malloc(bytes * sizeof(*whole)), *pieces = malloc(bytes * sizeof(*pieces));
		int64_t n = patch_text_targets(text, bytes, AT, AT - 1, AT + bytes, NULL, NULL, whole, (uint32_t)bytes);
		CHECK(n > 100);
		CHECK_EQ(in_pieces(text, bytes, AT, pieces, (uint32_t)bytes), n);
		CHECK(n < 0 || !memcmp(whole, pieces, (size_t)n * sizeof(*whole)));
		free(whole);
		free(pieces);
		elf_funcs_close(&elf);
	}
}

TAP_MAIN(TEST(targets_of_pieces_are_those_of_the_whole), TEST(programs), TEST(led_into))
