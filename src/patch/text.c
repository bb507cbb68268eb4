/* SPDX-License-Identifier: MIT */
#include "patch/patch_int.h"

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

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* call, jmp and jcc with 4 bytes of displacement: length of the opcode, or 0. */
static uint32_t branch_opcode(const uint8_t *b)
{
	if (b[0] == 0xe8 || b[0] == 0xe9)
		return 1;
	return b[0] == 0x0f && (b[1] & 0xf0) == 0x80 ? 2 : 0;
}

/* Whether an instruction can begin at text[i].  Decoding falls into step with the real boundaries
 * within a few instructions, wherever it began; what is hit from no distance is the middle of one. */
static bool may_begin(const uint8_t *text, size_t i)
{
	static const uint32_t distance[] = { 64, 48, 40 };
	for (size_t d = 0; d < ARRAY_CNT(distance); d++) {
		if (i < distance[d])
			return true;
		size_t at = i - distance[d];
		struct isa_insn in;
		for (; at < i; at += in.len)
			if (isa_decode(text + at, ISA_INSN_MAX, at, &in))
				return true; /* data near: nothing is known */
		if (at == i)
			return true;
	}
	return false;
}

static uint32_t uniq(uint64_t *v, uint32_t cnt)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt; i++)
		if (!n || v[n - 1] != v[i])
			v[n++] = v[i];
	return n;
}

uint32_t patch_text_targets(const uint8_t *text, size_t bytes, uint64_t addr, uint64_t lo, uint64_t hi,
			    uint64_t *ret, uint32_t cap)
{
	uint32_t cnt = 0;
	for (size_t i = 0; i + 5 <= bytes; i++) {
		uint32_t op = branch_opcode(text + i);
		if (!op || i + op + 4 > bytes)
			continue;
		int32_t rel;
		memcpy(&rel, text + i + op, 4);
		uint64_t target = addr + i + op + 4 + (uint64_t)(int64_t)rel;
		if (target <= lo || target >= hi || !may_begin(text, i))
			continue;
		if (cnt < cap)
			ret[cnt] = target;
		cnt++;
	}
	if (cnt > cap)
		return cnt;
	qsort(ret, cnt, sizeof(*ret), by_value);
	return uniq(ret, cnt);
}
