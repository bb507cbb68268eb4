/* SPDX-License-Identifier: MIT */
/* What is learnt of an instruction's shape against the decoder itself, for all opcodes and ModRM bytes. */
#include "isa/x86_64/x86_64_int.h"

#include "../tap.h"

#include <string.h>

#define AT 0x401000

static uint64_t seed = 88172645463325252ull;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static bool same(const uint8_t *bytes, size_t cnt)
{
	ZydisDecodedInstruction z;
	struct isa_insn fast, slow;
	memset(&fast, 0, sizeof(fast));
	memset(&slow, 0, sizeof(slow));
	int a = isa_decode(bytes, cnt, AT, &fast), b = isa_zydis(bytes, cnt, &z);
	if (!b)
		isa_decode_as(&z, bytes, AT, &slow);
	if (!a == !b && (a || !memcmp(&fast, &slow, sizeof(fast))))
		return true;
	printf("# %zu bytes:", cnt);
	for (size_t i = 0; i < cnt; i++)
		printf(" %02x", bytes[i]);
	printf("\n# length %d, %d; result %d, %d\n", fast.len, slow.len, a, b);
	return false;
}

static const struct prefix {
	const char *bytes;
	uint8_t cnt;
} prefixes[] = {
	{ "", 0 }, { "\x48", 1 }, { "\x41", 1 }, { "\x4f", 1 }, { "\x66", 1 }, { "\xf3", 1 }, { "\xf2", 1 }, { "\x64\x48", 2 },
	{ "\x66\x48", 2 }, { "\xf3\x49", 2 }, { "\xf2\x44", 2 }, { "\x66\x2e", 2 }, { "\x66\xf3", 2 }, { "\x48\x66", 2 },
	{ "\xf0", 1 }, { "\x67", 1 }, { "\x3e", 1 }, { "\x2e", 1 }, { "\x66\x66\x2e", 3 }, { "\x65", 1 },
};

/* Twice: what was learnt the first time is used the second. */
static void all_opcodes(void)
{
	uint32_t bad = 0;
	for (uint32_t p = 0; p < ARRAY_CNT(prefixes); p++)
		for (uint32_t i = 0; i < 2 * 256 * 256; i++) {
			uint8_t b[24];
			uint32_t n = prefixes[p].cnt;
			memcpy(b, prefixes[p].bytes, n);
			if (i >> 16)
				b[n++] = 0x0f;
			b[n++] = (uint8_t)(i >> 8);
			b[n++] = (uint8_t)i;
			for (; n < sizeof(b); n++)
				b[n] = (uint8_t)any();
			bad += bad < 10 && !same(b, 15);
			b[prefixes[p].cnt + (i >> 16) + 2] = (uint8_t)any();
			bad += bad < 10 && !same(b, 15);
			bad += bad < 10 && !same(b, 1 + any() % 15); /* ends too soon */
		}
	CHECK_EQ(bad, 0);
}

static void any_bytes(void)
{
	uint32_t bad = 0;
	for (uint32_t i = 0; i < 2000000; i++) {
		uint64_t b[2] = { any(), any() };
		bad += bad < 10 && !same((const uint8_t *)b, 1 + any() % 15);
	}
	CHECK_EQ(bad, 0);
}

TAP_MAIN(TEST(all_opcodes), TEST(any_bytes))
