/* SPDX-License-Identifier: MIT */
/*
 * The least that each hit can cost, by hand: the function work() of pairs.c,
 * a jump out of it and back, and between the two what the script asks for and
 * nothing else: one thread, one process, no check, fixed places, registers
 * that are free at an entry.
 *
 *     long f(long a, long b) { return (a ^ b) + (a >> 3); }
 */
#include "limits.h"

	.text

/* The function in two parts: what the jump to the trampoline stands on, and the rest. */
	.macro first
	mov %rsi, %rax
	xor %rdi, %rax
	.endm

	.macro rest
	sar $3, %rdi
	add %rdi, %rax
	.endm

/* The function, jumping to limit_NAME_t at its entry. */
	.macro limit name
	.globl limit_\name
	.balign 64
limit_\name:
	.byte 0xe9
	.long limit_\name\()_t - . - 4
	int3
limit_\name\()_rest:
	rest
	ret
	.balign 64
limit_\name\()_t:
	.endm

	.macro done name
	first
	.byte 0xe9
	.long limit_\name\()_rest - . - 4
	.endm

	.macro time
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	.endm

	/* The same function untraced: where code lies is part of what a call costs. */
	.globl limit_untraced
	.balign 64
limit_untraced:
	first
	rest
	ret

	limit count
	incq cell(%rip)
	done count

	limit sum
	add %rdi, cell(%rip)
	done sum

	limit predicate
	cmp $-1, %rdi
	je 1f
	done predicate
1:	incq cell(%rip)
	done predicate

	limit bucket
	lzcnt %rdi, %rax
	lea buckets(%rip), %rcx
	incq (%rcx,%rax,8)
	done bucket

	/* A table of 2048 pairs of key and value, one look. */
	limit key
	mov $0xff51afd7ed558ccd, %rax
	imul %rdi, %rax
	shr $53, %rax
	shl $4, %rax
	lea table(%rip), %rcx
	cmp %rdi, (%rcx,%rax)
	jne 1f
	incq 8(%rcx,%rax)
2:	done key
1:	mov %rdi, (%rcx,%rax)
	movq $1, 8(%rcx,%rax)
	jmp 2b

	/* Where the next record of so many bytes is, with its header of two words and the time; head is moved behind it when it
	 * is written, as a reader needs it. */
	.macro begin bytes
	time
	mov limit_ring(%rip), %rcx
	mov %rcx, %rdx
	and $LIMIT_RING_BYTES - 1, %edx
	lea limit_ring + LIMIT_PAGE(%rip), %r8
	add %r8, %rdx
	movq $0x20000 + \bytes, (%rdx)
	movq $7, 8(%rdx)
	mov %rax, 16(%rdx)
	.endm

	.macro publish bytes
	add $\bytes, %rcx
	mov %rcx, limit_ring(%rip)
	.endm

	/* Time and two arguments. */
	limit record
	begin 40
	mov %rdi, 24(%rdx)
	mov %rsi, 32(%rdx)
	publish 40
	done record

	/* Entry and return, the time of each: the second jump is where the last two instructions were. */
	.globl limit_both
	.balign 64
limit_both:
	.byte 0xe9
	.long 1f - . - 4
	int3
2:	.byte 0xe9
	.long 3f - . - 4
	.balign 64
1:	begin 24
	publish 24
	first
	.byte 0xe9
	.long 2b - . - 4
	.balign 64
3:	rest
	mov %rax, %r9
	begin 24
	publish 24
	mov %r9, %rax
	ret

	.globl limit_span
	.balign 64
limit_span:
	.byte 0xe9
	.long 1f - . - 4
	int3
2:	.byte 0xe9
	.long 3f - . - 4
	.balign 64
1:	time
	mov %rax, since(%rip)
	first
	.byte 0xe9
	.long 2b - . - 4
	.balign 64
3:	rest
	mov %rax, %r9
	time
	sub since(%rip), %rax
	lzcnt %rax, %rax
	lea buckets(%rip), %rcx
	incq (%rcx,%rax,8)
	mov %r9, %rax
	ret

	.local cell, since, buckets, table
	.comm cell, 64, 64
	.comm since, 64, 64
	.comm buckets, 65 * 8, 64
	.comm table, 2048 * 16, 64
	.comm limit_ring, LIMIT_RING_BYTES + 2 * LIMIT_PAGE, LIMIT_PAGE
	.section .note.GNU-stack, "", @progbits
