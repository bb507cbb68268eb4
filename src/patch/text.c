/* SPDX-License-Identifier: MIT */
#include "patch/patch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *patch_refusal_text(enum patch_refusal r)
{
	static const char *const text[PATCH_REFUSAL_CNT] = {
		[PATCH_OK] = "can be placed",
		[PATCH_NOT_BOUNDARY] = "the offset is not where an instruction begins",
		[PATCH_UNDECODABLE] = "the bytes there are no instruction",
		[PATCH_TOO_SHORT] = "too few bytes for a jump, and no room for one nearby",
		[PATCH_TARGET_INSIDE] = "something jumps into the bytes that the jump would take",
		[PATCH_UNKNOWN_JUMPS] = "an indirect jump whose targets are not known could end there",
		[PATCH_UNRELOCATABLE] = "an instruction there does not work anywhere else",
		[PATCH_KEPT] = "it is in a restartable sequence (rseq), which works only where it stands",
		[PATCH_NO_LANDING] = "too few bytes for a jump, and memory is taken where the only possible one would lead",
		[PATCH_NEEDS_STOP] = "this place needs a stop of the program's threads, which needs ptrace",
	};
	return (unsigned)r < PATCH_REFUSAL_CNT ? text[r] : "unknown reason";
}

uint32_t patch_padding(const uint8_t *code, uint32_t cnt, uint64_t addr)
{
	struct isa_insn in;
	uint32_t off = 0;
	while (off < cnt && !isa_decode(code + off, cnt - off, addr + off, &in)) {
		if (!in.is_nop && in.op != ISA_OP_INT3)
			break;
		off += in.len;
	}
	return off;
}

/* Whether an instruction can begin at text[i].  Decoding falls into step with the real boundaries
 * within a few instructions, wherever it began; what is hit from no distance is the middle of one. */
bool text_may_begin(const uint8_t *text, size_t bytes, size_t i)
{
	static const uint32_t distance[] = { 64, 48, 40 };
	for (size_t d = 0; d < ARRAY_CNT(distance); d++) {
		if (i < distance[d])
			return true;
		size_t at = i - distance[d];
		struct isa_insn in;
		for (; at < i; at += in.len)
			if (isa_decode(text + at, bytes - at, at, &in))
				return true; /* data near: nothing is known */
		if (at == i)
			return true;
	}
	return false;
}

/* The set bits, as addresses from @lo on. */
static uint32_t list_bits(const uint64_t *bits, uint64_t cnt, uint64_t lo, uint64_t *ret, uint32_t cap)
{
	uint32_t n = 0;
	for (uint64_t i = 0; i < cnt / 64 + 1; i++)
		for (uint64_t w = bits[i]; w; w &= w - 1, n++)
			if (n < cap)
				ret[n] = lo + i * 64 + (uint64_t)__builtin_ctzll(w);
	return n;
}

int64_t patch_text_targets(const uint8_t *text, size_t bytes, uint64_t addr, uint64_t lo, uint64_t hi,
			   patch_wanted_fn *wanted, void *arg, uint64_t *ret, uint32_t cap)
{
	uint64_t *seen = calloc((hi - lo) / 64 + 1, sizeof(*seen)); /* thousands jump to some of them */
	uint32_t op;
	if (!seen)
		return -ENOMEM;
	for (size_t i = isa_next_branch(text, 0, bytes, &op); i < bytes; i = isa_next_branch(text, i + 1, bytes, &op)) {
		int32_t rel;
		memcpy(&rel, text + i + op, 4);
		uint64_t target = addr + i + op + 4 + (uint64_t)(int64_t)rel, at = target - lo;
		if (target <= lo || target >= hi || seen[at / 64] >> at % 64 & 1 || (wanted && !wanted(arg, addr + i, target)) ||
		    !text_may_begin(text, bytes, i))
			continue;
		seen[at / 64] |= 1ull << at % 64;
	}
	uint32_t cnt = list_bits(seen, hi - lo, lo, ret, cap);
	free(seen);
	return cnt;
}
