/* SPDX-License-Identifier: MIT */
/*
 * Code that asks the kernel for a seccomp filter by itself, past the libc: a `syscall` instruction shortly behind
 *
 *	mov $317,%eax                     seccomp()
 *	mov $157,%eax; mov $22,%edi       prctl(PR_SET_SECCOMP)
 *
 * in either order.  Likewise code that begins a thread, or moves its fs base:
 *
 *	mov $56,%eax                      clone()
 *	mov $435,%eax                     clone3()
 *	mov $158,%eax; mov $0x1002,%edi   arch_prctl(ARCH_SET_FS)
 *
 * Whoever passes the number in a variable is not found here.
 */
#include "session/session_int.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (64u << 10)
#define NEAR 64u            /* bytes before the instruction that are looked at */
#define TEXT_MAX (32u << 20) /* the largest programs are no sandboxes, but engines: to read them takes too long */

static const uint8_t syscall_insn[] = { 0x0f, 0x05 };
static const uint8_t seccomp_nr[] = { 0xb8, 0x3d, 0x01, 0, 0 }, prctl_nr[] = { 0xb8, 0x9d, 0, 0, 0 }, set_seccomp[] = { 0xbf, 0x16, 0, 0, 0 };
static const uint8_t clone_nr[] = { 0xb8, 0x38, 0, 0, 0 }, clone3_nr[] = { 0xb8, 0xb3, 0x01, 0, 0 };
static const uint8_t arch_nr[] = { 0xb8, 0x9e, 0, 0, 0 }, set_fs[] = { 0xbf, 0x02, 0x10, 0, 0 };

static bool has(const uint8_t *code, size_t bytes, const uint8_t insn[5])
{
	return memmem(code, bytes, insn, 5) != NULL;
}

static bool asks(const uint8_t *before, size_t bytes)
{
	return has(before, bytes, seccomp_nr) || (has(before, bytes, prctl_nr) && has(before, bytes, set_seccomp));
}

static bool begins(const uint8_t *before, size_t bytes)
{
	return has(before, bytes, clone_nr) || has(before, bytes, clone3_nr) || (has(before, bytes, arch_nr) && has(before, bytes, set_fs));
}

/* The next `syscall` in [at, end), or NULL.  memmem() takes its time with short ones. */
static const uint8_t *next_syscall(const uint8_t *at, const uint8_t *end)
{
	const __m128i first = _mm_set1_epi8(0x0f), second = _mm_set1_epi8(0x05);
	for (; end - at >= 17; at += 16) {
		__m128i a = _mm_loadu_si128((const __m128i *)at), b = _mm_loadu_si128((const __m128i *)(at + 1));
		unsigned bits = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second)));
		if (bits)
			return at + __builtin_ctz(bits);
	}
	return memmem(at, (size_t)(end - at), syscall_insn, sizeof(syscall_insn));
}

static void scan(struct target *t, struct obj_module *m, uint64_t addr, const uint8_t *code, size_t bytes, guard_found_fn *found, void *arg)
{
	const uint8_t *at = code, *end = code + bytes;
	while ((at = next_syscall(at, end))) {
		size_t before = (size_t)(at - code) < NEAR ? (size_t)(at - code) : NEAR;
		bool is_filter = asks(at - before, before), is_thread = begins(at - before, before);
		const struct obj_range *r = is_filter || is_thread ? obj_range_at(t->obj, m, addr + (uint64_t)(at - code)) : NULL;
		bool is_func = r && r->kind == OBJ_RANGE_FUNC;
		if (is_func && is_filter)
			found(arg, m, r->start, r->end - r->start, false);
		if (is_func && is_thread)
			found(arg, m, r->start, r->end - r->start, true);
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
