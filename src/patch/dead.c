/* SPDX-License-Identifier: MIT */
/* Registers that need not be saved (ADR 55). */
#include "patch/patch_int.h"

/* rax rcx rdx rsi rdi, r8 to r11.  The others are their callers', and who unwinds the stack takes them for that. */
#define CALLER_SAVED 0x0fc7u

uint16_t patch_dead(const uint8_t *code, size_t bytes)
{
	uint16_t dead = 0, wanted = 0;
	struct isa_regs r;
	uint32_t len;
	for (size_t at = 0; at < bytes && (len = isa_plain_regs(code + at, bytes - at, &r)); at += len) {
		wanted |= r.reads & (uint16_t)~dead;
		dead |= r.sets & (uint16_t)~wanted;
	}
	return dead & CALLER_SAVED;
}
