/* SPDX-License-Identifier: MIT */
/* A body that is interrupted after some of its instructions, by the processor's trap flag: for tests. */
#ifndef TESTS_UNIT_JIT_TRAP_H
#define TESTS_UNIT_JIT_TRAP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#define TRAP_FLAG 0x100 /* of the flags with which the body is called */
#define CALL_ASM_BYTES 1024u /* at most */
extern const char call_asm[];

struct trap {
	long left; /* instructions to go */
	bool began, hit;
};

static inline void trap_begin(struct trap *t, long left, void (*handler)(int, siginfo_t *, void *), struct sigaction *ret_old)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	*t = (struct trap){ .left = left };
	sigaction(SIGTRAP, &sa, ret_old);
}

/* In the handler: whether it is time.  No trap comes after that, nor behind the body at [code, code + bytes). */
static inline bool trap_is_due(struct trap *t, ucontext_t *uc, const void *code, uint64_t bytes)
{
	uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	t->began |= pc - (uint64_t)(uintptr_t)code < bytes;
	bool is_over = pc - (uint64_t)(uintptr_t)call_asm < CALL_ASM_BYTES; /* back in the trampoline: it was the last instruction */
	if (!t->began || (!is_over && t->left--))
		return false;
	t->hit = !is_over;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	return t->hit;
}

#endif
