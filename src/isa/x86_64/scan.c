/* SPDX-License-Identifier: MIT */
#include "isa/isa.h"

#include <emmintrin.h>

/* Intel SDM volume 2, "CALL", "JMP", "Jcc": e8, e9, 0f 80 to 0f 8f. */
static uint32_t opcode_bytes(const uint8_t *b)
{
	if ((b[0] & 0xfe) == 0xe8)
		return 1;
	return b[0] == 0x0f && (b[1] & 0xf0) == 0x80 ? 2 : 0;
}

uint32_t isa_branch_bits(const uint8_t *b)
{
	__m128i v = _mm_loadu_si128((const __m128i *)b), next = _mm_loadu_si128((const __m128i *)(b + 1));
	__m128i near = _mm_cmpeq_epi8(_mm_and_si128(v, _mm_set1_epi8((char)0xfe)), _mm_set1_epi8((char)0xe8));
	__m128i jcc = _mm_and_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x0f)),
				    _mm_cmpeq_epi8(_mm_and_si128(next, _mm_set1_epi8((char)0xf0)), _mm_set1_epi8((char)0x80)));
	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(near, jcc));
}

size_t isa_next_branch(const uint8_t *text, size_t from, size_t bytes, uint32_t *ret_opcode_bytes)
{
	size_t i = from;
	for (; i + 17 <= bytes; i += 16) {
		uint32_t bits = isa_branch_bits(text + i);
		if (!bits)
			continue;
		i += (size_t)__builtin_ctz(bits);
		break;
	}
	for (; i + 5 <= bytes; i++) {
		uint32_t op = opcode_bytes(text + i);
		if (!op || i + op + 4 > bytes)
			continue;
		*ret_opcode_bytes = op;
		return i;
	}
	return bytes;
}
