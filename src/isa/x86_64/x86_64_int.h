/* SPDX-License-Identifier: MIT */
#ifndef ISA_X86_64_INT_H
#define ISA_X86_64_INT_H

#include "isa/isa.h"

#include <Zydis/Zydis.h>

/* Zydis' view without operands: raw parts are enough for nearly everything. */
int isa_zydis(const uint8_t *bytes, size_t cnt, ZydisDecodedInstruction *ret);
/* The same, but of @ret only what isa_decode_as() uses is set; much faster. */
int isa_parts(const uint8_t *bytes, size_t cnt, ZydisDecodedInstruction *ret);
/* What isa_decode() makes of that. */
void isa_decode_as(const ZydisDecodedInstruction *, const uint8_t *bytes, uint64_t addr, struct isa_insn *ret);

#endif
