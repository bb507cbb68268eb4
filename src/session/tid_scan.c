/* SPDX-License-Identifier: MIT */
/*
 * Where the libc of a static program keeps threads' ids, though it has no symbols and runs no thread yet: off the code with which
 * it begins, which asks for the first one's (glibc's __tls_init_tp, musl's __init_tp):
 *
 *	mov  $SYS_set_tid_address,%eax
 *	(lea ...,%rdi)
 *	syscall
 *	mov  %eax,0x2d0(%rbx)      rbx: the thread block, which is the fs base
 *
 * Others may ask, too, and put the answer elsewhere: where they do not agree, nothing is known.
 */
#include "session/session_int.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (256u << 10)
#define CODE_MAX 48u         /* of all of it */
#define TEXT_MAX (32u << 20) /* as in guard_scan.c */
#define TID_MAX 8192
#define RSP 4
#define DIFFER UINT32_MAX

static const uint8_t asks[] = { 0xb8, 0xda, 0, 0, 0 };

/* A variable, on the stack or elsewhere, is no thread block. */
static bool is_store_of_eax(const uint8_t *p, const struct isa_insn *in)
{
	bool rex = (p[0] & 0xfc) == 0x40; /* without W and R: another size, another register */
	p += rex;
	return p[0] == 0x89 && !(p[1] & 0x38) && in->has_mem && !in->rip_rel && in->base != RSP && in->base != ISA_REG_NONE &&
	       in->index == ISA_REG_NONE && in->disp > 0 && in->disp < TID_MAX;
}

/* 0: nothing is stored where @code, which asks, goes on. */
static uint32_t stored_at(const uint8_t *code, size_t bytes)
{
	struct isa_insn in;
	bool asked = false;
	for (size_t at = 0; at < bytes && !isa_decode(code + at, bytes - at, at, &in); at += in.len) {
		if (asked)
			return is_store_of_eax(code + at, &in) ? (uint32_t)in.disp : 0;
		asked = in.flow == ISA_SYSCALL;
		if (!asked && in.flow != ISA_NEXT)
			return 0;
	}
	return 0;
}

/* With what was found before. */
static uint32_t agree(uint32_t was, uint32_t off)
{
	return !off || was == off ? was : was ? DIFFER : off;
}

/* Of what begins at code[1] to code[@begins]; before it may be a prefix that makes it another instruction. */
static uint32_t scan(const uint8_t *code, size_t bytes, size_t begins, uint32_t off)
{
	const uint8_t *at = code + 1, *end = code + bytes;
	for (; at < end && (at = memmem(at, (size_t)(end - at), asks, sizeof(asks))) && at <= code + begins; at++)
		if ((at[-1] & 0xf0) != 0x40)
			off = agree(off, stored_at(at, (size_t)(end - at) < CODE_MAX ? (size_t)(end - at) : CODE_MAX));
	return off;
}

uint32_t tid_scan(struct target *t, const struct obj_module *m)
{
	uint64_t bytes = m->text_end - m->text_start;
	uint8_t *buf = bytes <= TEXT_MAX ? malloc(CHUNK + CODE_MAX) : NULL;
	uint32_t off = 0;
	for (uint64_t at = 0; buf && at < bytes; at += CHUNK) {
		uint64_t n = bytes - at < CHUNK + CODE_MAX ? bytes - at : CHUNK + CODE_MAX;
		obj_proc_code(t->obj, m->text_start + at, buf, n);
		off = scan(buf, n, CHUNK, off);
	}
	free(buf);
	return off == DIFFER ? 0 : off;
}
