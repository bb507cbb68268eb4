/* SPDX-License-Identifier: MIT */
#include "isa/x86_64/x86_64_int.h"

#include <string.h>

static uint32_t put_rel32(uint8_t *buf, uint8_t op, uint64_t addr, uint64_t target)
{
	int32_t rel = (int32_t)(target - addr - 5);
	buf[0] = op;
	memcpy(buf + 1, &rel, 4);
	return 5;
}

uint32_t isa_put_jmp(uint8_t *buf, uint64_t addr, uint64_t target)
{
	if (isa_reaches(addr + 5, target))
		return put_rel32(buf, 0xe9, addr, target);
	memcpy(buf, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	memcpy(buf + 6, &target, 8);
	return 14;
}

uint32_t isa_put_call(uint8_t *buf, uint64_t addr, uint64_t target)
{
	if (isa_reaches(addr + 5, target))
		return put_rel32(buf, 0xe8, addr, target);
	memcpy(buf, "\xff\x15\x02\0\0\0\xeb\x08", 8); /* call *2(%rip); jmp over the literal */
	memcpy(buf + 8, &target, 8);
	return 16;
}

uint32_t isa_put_jcc_inverse(uint8_t *buf, const uint8_t *jcc, const struct isa_insn *in, uint32_t skip)
{
	ZydisDecodedInstruction z;
	if (isa_zydis(jcc, in->len, &z) || !z.raw.imm[0].is_relative)
		return 0;
	bool near32 = z.opcode_map == ZYDIS_OPCODE_MAP_0F && (z.opcode & 0xf0) == 0x80;
	bool near8 = z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (z.opcode & 0xf0) == 0x70;
	if (!near32 && !near8)
		return 0;
	buf[0] = 0x0f;
	buf[1] = 0x80 | ((z.opcode & 0xf) ^ 1); /* SDM volume 2, appendix B.1.4.7: bit 0 of tttn negates */
	memcpy(buf + 2, &skip, 4);
	return 6;
}
