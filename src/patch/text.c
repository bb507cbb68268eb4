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

uint32_t patch_text_list(const uint64_t *seen, uint64_t lo, uint64_t hi, uint64_t *ret, uint32_t cap)
{
	uint32_t n = 0;
	for (uint64_t i = 0; i < (hi - lo) / 64 + 1; i++)
		for (uint64_t w = seen[i]; w; w &= w - 1, n++)
			if (n < cap)
				ret[n] = lo + i * 64 + (uint64_t)__builtin_ctzll(w);
	return n;
}

struct marking {
	const uint8_t *text;
	size_t bytes;
	uint64_t addr, lo, hi;
	patch_wanted_fn *wanted;
	void *arg;
	uint64_t *seen;
};

/* What is not wanted costs least to be told, and is nearly all. */
static void mark(const struct marking *m, size_t i, uint32_t op)
{
	int32_t rel;
	memcpy(&rel, m->text + i + op, 4);
	uint64_t target = m->addr + i + op + 4 + (uint64_t)(int64_t)rel, at = target - m->lo, bit = 1ull << at % 64;
	if (at - 1 >= m->hi - m->lo - 1 || (m->wanted && !m->wanted(m->arg, m->addr + i, target)) ||
	    __atomic_load_n(&m->seen[at / 64], __ATOMIC_RELAXED) & bit || !text_may_begin(m->text, m->bytes, i))
		return;
	__atomic_fetch_or(&m->seen[at / 64], bit, __ATOMIC_RELAXED);
}

void patch_text_mark(const uint8_t *text, size_t bytes, size_t from, size_t to, uint64_t addr, uint64_t lo, uint64_t hi,
		     patch_wanted_fn *wanted, void *arg, uint64_t *seen)
{
	const struct marking m = { text, bytes, addr, lo, hi, wanted, arg, seen };
	size_t at = from;
	uint32_t op;
	for (; at + 16 <= to && at + 22 <= bytes; at += 16)
		for (uint32_t bits = isa_branch_bits(text + at); bits; bits &= bits - 1) {
			size_t i = at + (size_t)__builtin_ctz(bits);
			mark(&m, i, isa_branch_opcode_bytes(text + i));
		}
	for (at = isa_next_branch(text, at, bytes, &op); at < to && at < bytes; at = isa_next_branch(text, at + 1, bytes, &op))
		mark(&m, at, op);
}

int64_t patch_text_targets(const uint8_t *text, size_t bytes, uint64_t addr, uint64_t lo, uint64_t hi,
			   patch_wanted_fn *wanted, void *arg, uint64_t *ret, uint32_t cap)
{
	uint64_t *seen = calloc((hi - lo) / 64 + 1, sizeof(*seen)); /* thousands jump to some of them */
	if (!seen)
		return -ENOMEM;
	patch_text_mark(text, bytes, 0, bytes, addr, lo, hi, wanted, arg, seen);
	uint32_t cnt = patch_text_list(seen, lo, hi, ret, cap);
	free(seen);
	return cnt;
}
