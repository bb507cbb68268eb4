/* SPDX-License-Identifier: MIT */
/*
 * The least that each hit can cost, by hand: the function of body_cost.c, a
 * jump out of it and back, and between the two what the script asks for and
 * nothing else: one thread, one process, no check, fixed places, registers
 * that are free at an entry.
 *
 *     long f(long a, long b) { return 3 * (a + b); }
 */
	.text

/* The function, jumping to limit_NAME_t at its entry. */
	.macro limit name
	.globl limit_\name
	.balign 64
limit_\name:
	.byte 0xe9
	.long limit_\name\()_t - . - 4
limit_\name\()_rest:
	lea (%rax,%rax,2), %rax
	ret
	.balign 64
limit_\name\()_t:
	.endm

	.macro done name
	lea (%rdi,%rsi), %rax
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
	lea (%rdi,%rsi), %rax
	lea (%rax,%rax,2), %rax
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

	/* Header of two words, time, two arguments; head is moved before and after, as a reader needs it. */
	.macro record
	time
	mov head(%rip), %rcx
	mov %rcx, %rdx
	and $0xfffff, %edx
	lea ring(%rip), %r8
	add %r8, %rdx
	movq $0x20028, (%rdx)
	movq $7, 8(%rdx)
	mov %rax, 16(%rdx)
	mov %rdi, 24(%rdx)
	mov %rsi, 32(%rdx)
	add $40, %rcx
	mov %rcx, head(%rip)
	.endm

	limit record
	record
	done record

	/* Entry and return: the second jump is where the last two instructions were. */
	.globl limit_both
	.balign 64
limit_both:
	.byte 0xe9
	.long 1f - . - 4
2:	.byte 0xe9
	.long 3f - . - 4
	.balign 64
1:	record
	lea (%rdi,%rsi), %rax
	.byte 0xe9
	.long 2b - . - 4
	.balign 64
3:	lea (%rax,%rax,2), %r9
	mov %rax, %rsi
	record
	mov %r9, %rax
	ret

	.globl limit_span
	.balign 64
limit_span:
	.byte 0xe9
	.long 1f - . - 4
2:	.byte 0xe9
	.long 3f - . - 4
	.balign 64
1:	time
	mov %rax, since(%rip)
	lea (%rdi,%rsi), %rax
	.byte 0xe9
	.long 2b - . - 4
	.balign 64
3:	lea (%rax,%rax,2), %r9
	time
	sub since(%rip), %rax
	lzcnt %rax, %rax
	lea buckets(%rip), %rcx
	incq (%rcx,%rax,8)
	mov %r9, %rax
	ret

	.local cell, head, since, buckets, table, ring
	.comm cell, 64, 64
	.comm head, 64, 64
	.comm since, 64, 64
	.comm buckets, 65 * 8, 64
	.comm table, 2048 * 16, 64
	.comm ring, 0x100000 + 64, 64
	.section .note.GNU-stack, "", @progbits
