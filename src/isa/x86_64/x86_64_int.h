/* SPDX-License-Identifier: MIT */
#ifndef ISA_X86_64_INT_H
#define ISA_X86_64_INT_H

#include "isa/isa.h"

#include <Zydis/Zydis.h>

/* Zydis' view without operands: raw parts are enough for nearly everything. */
int isa_zydis(const uint8_t *bytes, size_t cnt, ZydisDecodedInstruction *ret);

#endif
