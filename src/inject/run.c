/* SPDX-License-Identifier: MIT */
/* A spawned program runs on to some place: a breakpoint for one moment, in a process that is still all ours. */
#include "inject/inject_int.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#define INT3 0xcc

/* 0: at the breakpoint, whose instruction is next; or -ESRCH. */
static int await_trap(struct inject *in, uint64_t addr, struct err *reterr)
{
	struct user_regs_struct regs;
	int status = 0;
	for (;;) {
		pid_t r = waitpid(in->pid, &status, __WALL);
		if (r < 0 && errno == EINTR)
			continue; /* the breakpoint is still there */
		if (r < 0 || !WIFSTOPPED(status)) {
			in->exited = true;
			in->status = status;
			return inject_gone(in, reterr);
		}
		int event = status >> 16, sig = WSTOPSIG(status);
		if (!event && sig == SIGTRAP && !ptrace(PTRACE_GETREGS, in->pid, 0, &regs) && regs.rip == addr + 1)
			break;
		ptrace(PTRACE_CONT, in->pid, 0, event ? 0 : sig);
	}
	regs.rip = addr;
	in->threads[0].regs = regs;
	return ptrace(PTRACE_SETREGS, in->pid, 0, &regs) ? inject_gone(in, reterr) : 0;
}

int inject_run_to(struct inject *in, uint64_t addr, struct err *reterr)
{
	const uint8_t trap = INT3;
	uint8_t was;
	int r = inject_settle(in, reterr);
	r = r ? r : inject_read(in, addr, &was, 1, reterr);
	r = r ? r : inject_write(in, addr, &trap, 1, reterr);
	if (r)
		return r;
	if (ptrace(PTRACE_CONT, in->pid, 0, 0))
		return inject_gone(in, reterr);
	r = await_trap(in, addr, reterr);
	return r ? r : inject_write(in, addr, &was, 1, reterr);
}
