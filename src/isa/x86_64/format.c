/* SPDX-License-Identifier: MIT */
#include "isa/x86_64/x86_64_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* AT&T syntax has a star before the operand of an indirect branch; Zydis knows it for some only. */
static void mark_indirect(const ZydisDecodedInstruction *z, char *buf, size_t cap)
{
	char *operand = strrchr(buf, ' ');
	size_t len = strlen(buf);
	bool near = z->opcode == 0xff && (z->mnemonic == ZYDIS_MNEMONIC_CALL || z->mnemonic == ZYDIS_MNEMONIC_JMP);
	if (!near || !operand || strchr(buf, '*') || len + 2 > cap)
		return;
	memmove(operand + 2, operand + 1, len - (size_t)(operand - buf));
	operand[1] = '*';
}

int isa_format(const uint8_t *bytes, size_t cnt, uint64_t addr, char *buf, size_t cap)
{
	ZydisDecoder dec;
	ZydisFormatter fmt;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&fmt, ZYDIS_FORMATTER_STYLE_ATT);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED);
	ZydisFormatterSetProperty(&fmt, ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, bytes, cnt, &z, ops)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&fmt, &z, ops, z.operand_count_visible, buf, cap, addr,
							 NULL))) {
		snprintf(buf, cap, "(bad)");
		return -EINVAL;
	}
	mark_indirect(&z, buf, cap);
	return z.length;
}
