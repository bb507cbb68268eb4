/* SPDX-License-Identifier: MIT */
/*
 * void run_at(const void *code, struct state *in_out): loads all registers and
 * flags from the state, jumps to the code.  The code ends with a jump to
 * run_exit_N, which says N in state.exit and saves everything.
 */
	.text
	.globl run_at, run_exit_0, run_exit_1, run_abandon
	.type run_at, @function
run_at:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, saved_rsp(%rip)
	mov %rdi, code(%rip)
	mov %rsi, state(%rip)
	push 128(%rsi)
	popfq
	mov 0(%rsi), %rax
	mov 8(%rsi), %rcx
	mov 16(%rsi), %rdx
	mov 24(%rsi), %rbx
	mov 32(%rsi), %rsp
	mov 40(%rsi), %rbp
	mov 56(%rsi), %rdi
	mov 64(%rsi), %r8
	mov 72(%rsi), %r9
	mov 80(%rsi), %r10
	mov 88(%rsi), %r11
	mov 96(%rsi), %r12
	mov 104(%rsi), %r13
	mov 112(%rsi), %r14
	mov 120(%rsi), %r15
	mov 48(%rsi), %rsi
	jmp *code(%rip)

run_exit_0:
	movq $0, number(%rip)
	jmp save
run_exit_1:
	movq $1, number(%rip)
save:
	mov %rsi, saved_rsi(%rip)
	mov state(%rip), %rsi
	mov %rax, 0(%rsi)
	mov %rcx, 8(%rsi)
	mov %rdx, 16(%rsi)
	mov %rbx, 24(%rsi)
	mov %rsp, 32(%rsi)
	mov %rbp, 40(%rsi)
	mov %rdi, 56(%rsi)
	mov %r8, 64(%rsi)
	mov %r9, 72(%rsi)
	mov %r10, 80(%rsi)
	mov %r11, 88(%rsi)
	mov %r12, 96(%rsi)
	mov %r13, 104(%rsi)
	mov %r14, 112(%rsi)
	mov %r15, 120(%rsi)
	mov saved_rsp(%rip), %rsp
	pushfq
	popq 128(%rsi)
	mov saved_rsi(%rip), %rax
	mov %rax, 48(%rsi)
	mov number(%rip), %rax
	mov %rax, 136(%rsi)
run_abandon:
	mov saved_rsp(%rip), %rsp
	cld
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.size run_at, .-run_at

	.bss
	.lcomm saved_rsp, 8
	.lcomm saved_rsi, 8
	.lcomm state, 8
	.lcomm code, 8
	.lcomm number, 8
	.section .note.GNU-stack, "", @progbits
