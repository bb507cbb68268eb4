/* SPDX-License-Identifier: MIT */
/* A function of the target, called by one of its threads on its own stack, which returns to what it did by itself. */
#include "inject/inject_int.h"

#include <errno.h>
#include <stdlib.h>

int inject_call(struct inject *in, uint32_t i, uint64_t fn, const uint64_t args[3], struct err *reterr)
{
	struct inject_remote *r = &in->remote;
	int e = in->stopped && i < in->thread_cnt ? inject_settle(in, reterr) :
		err_setf(reterr, -EINVAL, "thread %u of process %d is not stopped", i, (int)in->pid);
	if (e)
		return e;
	struct inject_thread *t = &in->threads[i];
	r->idx = i;
	if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(r->sigmask), &r->sigmask))
		return inject_gone(in, reterr);
	if (!inject_abandon_prepare(in))
		return err_setf(reterr, -ENOTSUP, "process %d has no code that returns from signal handlers", (int)in->pid);
	struct user_regs_struct regs = t->regs;
	regs.rip = fn;
	regs.rsp = in->abandon.frame; /* its first word leads back */
	regs.orig_rax = (uint64_t)-1;
	regs.rax = 0;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.eflags &= ~0x500ull; /* DF, TF */
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &regs)) {
		inject_abandon_undo(in);
		return inject_gone(in, reterr);
	}
	t->regs = regs;
	free(in->abandon.saved); /* nobody had anything there */
	in->abandon.saved = NULL;
	return 0;
}
