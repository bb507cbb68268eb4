/* SPDX-License-Identifier: MIT */
/*
 * Code that asks the kernel for a seccomp filter by itself, past the libc: a `syscall` instruction shortly behind
 *
 *	mov $317,%eax                     seccomp()
 *	mov $157,%eax; mov $22,%edi       prctl(PR_SET_SECCOMP)
 *
 * in either order.  Whoever passes the number in a variable is not found here.
 */
#include "session/session_int.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (64u << 10)
#define NEAR 64u            /* bytes before the instruction that are looked at */
#define TEXT_MAX (32u << 20) /* the largest programs are no sandboxes, but engines: to read them takes too long */

static const uint8_t syscall_insn[] = { 0x0f, 0x05 };
static const uint8_t seccomp_nr[] = { 0xb8, 0x3d, 0x01, 0, 0 }, prctl_nr[] = { 0xb8, 0x9d, 0, 0, 0 }, set_seccomp[] = { 0xbf, 0x16, 0, 0, 0 };

static bool has(const uint8_t *code, size_t bytes, const uint8_t insn[5])
{
	return memmem(code, bytes, insn, 5) != NULL;
}

static bool asks(const uint8_t *before, size_t bytes)
{
	return has(before, bytes, seccomp_nr) || (has(before, bytes, prctl_nr) && has(before, bytes, set_seccomp));
}

static void scan(struct target *t, struct obj_module *m, uint64_t addr, const uint8_t *code, size_t bytes, guard_found_fn *found, void *arg)
{
	const uint8_t *at = code, *end = code + bytes;
	while ((at = memmem(at, (size_t)(end - at), syscall_insn, sizeof(syscall_insn)))) {
		size_t before = (size_t)(at - code) < NEAR ? (size_t)(at - code) : NEAR;
		const struct obj_range *r = asks(at - before, before) ? obj_range_at(t->obj, m, addr + (uint64_t)(at - code)) : NULL;
		if (r && r->kind == OBJ_RANGE_FUNC)
			found(arg, m, r->start, r->end - r->start);
		at += sizeof(syscall_insn);
	}
}

void guard_scan(struct target *t, struct obj_module *m, guard_found_fn *found, void *arg)
{
	uint64_t end = m->text_end;
	uint8_t *buf = end - m->text_start <= TEXT_MAX ? malloc(CHUNK + NEAR) : NULL;
	for (uint64_t at = m->text_start; buf && at < end; at += CHUNK) {
		size_t n = end - at < CHUNK + NEAR ? end - at : CHUNK + NEAR;
		obj_proc_code(t->obj, at, buf, n);
		scan(t, m, at, buf, n, found, arg);
	}
	free(buf);
}
