/* SPDX-License-Identifier: MIT */
/*
 * The decoder and the relocator on any bytes: an address byte, then instructions.
 * What is moved must decode again, and mean the same addresses; what is moved
 * back must be what it was, as far as its length allows.
 */
#include "fuzz.h"

#include "isa/isa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t code[][24] = {
	{ 0, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x48, 0x8d, 0x05, 0x10, 0x20, 0x30, 0x00, 0xe8, 0x11, 0x22, 0x33, 0x00 },
	{ 1, 0x74, 0x05, 0xeb, 0xf0, 0x0f, 0x84, 0x00, 0x01, 0x00, 0x00, 0xe3, 0x10, 0xe2, 0xfe, 0xc3 },
	{ 2, 0xff, 0x25, 0x10, 0x00, 0x00, 0x00, 0xff, 0x15, 0x00, 0x10, 0x00, 0x00, 0xff, 0xd0, 0x41, 0xff, 0xe3 },
	{ 3, 0xf3, 0x0f, 0x1e, 0xfa, 0xc5, 0xf9, 0x6f, 0x05, 0x40, 0x00, 0x00, 0x00, 0x62, 0xf1, 0x7c, 0x48, 0x28, 0x05, 1, 0, 0, 0 },
	{ 4, 0x83, 0x3d, 0x10, 0x00, 0x00, 0x00, 0x01, 0x66, 0xc7, 0x05, 1, 2, 3, 0, 5, 6, 0x0f, 0x05, 0xcc },
	{ 5, 0xc7, 0xf8, 0x10, 0x00, 0x00, 0x00, 0x2e, 0xe9, 1, 0, 0, 0, 0x3e, 0x75, 0x02, 0xf2, 0xc3, 0x9a },
};

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	if (i >= ARRAY_CNT(code) || cap < sizeof(code[i]))
		return 0;
	memcpy(buf, code[i], sizeof(code[i]));
	return sizeof(code[i]);
}

static void want(bool ok)
{
	if (!ok)
		abort();
}

/* The first instruction of what was made that means @target, directly or in a literal behind it. */
static bool means(const uint8_t *buf, uint32_t cnt, uint64_t at, uint64_t target)
{
	struct isa_insn in;
	for (uint32_t off = 0; off + 8 <= cnt; off++)
		if (!memcmp(buf + off, &target, sizeof(target)))
			return true;
	for (uint32_t off = 0; off < cnt; off += in.len) {
		if (isa_decode(buf + off, cnt - off, at + off, &in))
			return false;
		if (in.target == target || in.rip_target == target)
			return true;
	}
	return false;
}

static void moved(const uint8_t *bytes, const struct isa_insn *in, uint64_t addr, uint64_t to)
{
	uint8_t buf[ISA_RELOC_MAX + 16], small[4];
	struct err err;
	memset(buf, 0xa5, sizeof(buf));
	int n = isa_relocate(bytes, in, addr, to, buf, ISA_RELOC_MAX, &err);
	if (n < 0) {
		want((n == -EINVAL || n == -ENOSPC) && *err.msg);
		return;
	}
	want(n > 0 && n <= ISA_RELOC_MAX && buf[n] == 0xa5);
	if (in->target)
		want(means(buf, (uint32_t)n, to, in->target));
	if (in->rip_rel)
		want(means(buf, (uint32_t)n, to, in->rip_target));
	if (!in->target && !in->rip_rel && in->flow == ISA_NEXT)
		want(n == in->len && !memcmp(buf, bytes, in->len));
	/* Room that is too small is an error, never a write behind it. */
	int again = isa_relocate(bytes, in, addr, to, small, n > 4 ? 4 : (size_t)n, &err);
	want(n <= 4 ? again == n : again == -ENOSPC || again == -EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint64_t places[] = { 0x401000, 0x7f0012345678, 0x555555554ff3, 0x10007, 0x7fffffffe000, 0x80000000 };
	if (!bytes)
		return 0;
	uint64_t addr = places[data[0] % ARRAY_CNT(places)];
	struct isa_insn in;
	char text[160];
	for (size_t at = 1; at < bytes; at += in.len) {
		isa_format(data + at, bytes - at, addr + at, text, sizeof(text));
		if (isa_decode(data + at, bytes - at, addr + at, &in)) {
			in.len = 1;
			continue;
		}
		want(in.len && in.len <= ISA_INSN_MAX && at + in.len <= bytes);
		isa_writes_reg(data + at, bytes - at, data[0] & 15);
		moved(data + at, &in, addr + at, addr + 0x1234560);
		moved(data + at, &in, addr + at, addr ^ 0x400000000000);
		moved(data + at, &in, addr + at, addr + at + in.len);
	}
	return 0;
}
