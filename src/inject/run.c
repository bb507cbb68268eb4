/* SPDX-License-Identifier: MIT */
/*
 * A program that has not begun runs on to some place: a breakpoint for one moment, in a process that is still all ours.
 *
 * Whether it ever comes there is its own affair: it may wait in what the loader calls before, or be made never to come.  So
 * the wait is bounded, ends where we are told to end, and the breakpoint goes with it in any case.
 */
#include "inject/inject_int.h"

#include "host/host.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define INT3 0xcc
#define PATIENCE_NS 10000000000ull /* constructors of libraries run before a program begins */
#define LAST_PATIENCE_NS 1000000000ull

struct run {
	struct inject *in;
	uint64_t addr, end;
	bool asked; /* to stop where it is */
	int why;    /* the error, then */
};

static bool is_behind_it(const struct run *run, struct user_regs_struct *ret)
{
	return !ptrace(PTRACE_GETREGS, run->in->pid, 0, ret) && ret->rip == run->addr + 1;
}

static int arrived(struct run *run, struct user_regs_struct *regs, struct err *reterr)
{
	regs->rip = run->addr;
	run->in->threads[0].regs = *regs;
	return ptrace(PTRACE_SETREGS, run->in->pid, 0, regs) ? inject_gone(run->in, reterr) : 0;
}

/* From the stop that it was asked for to one that hides from the program that it was. */
static int stand(struct run *run, struct err *reterr)
{
	struct inject *in = run->in;
	ptrace(PTRACE_INTERRUPT, in->pid, 0, 0);
	ptrace(PTRACE_CONT, in->pid, 0, 0);
	in->threads[0].stands = in->threads[0].stopped = false;
	int r = inject_await(in, reterr);
	if (r)
		return r;
	return err_setf(reterr, run->why, "process %d does not come to the first instruction of its program%s", (int)in->pid,
			run->why == -EINTR ? ": interrupted" : "");
}

/* Asks it to stop, once; -EBUSY: it does not. */
static int lose_patience(struct run *run, struct err *reterr)
{
	if (run->asked) {
		run->in->threads[0].stands = run->in->threads[0].stopped = false;
		return err_setf(reterr, -EBUSY, "process %d does not stop", (int)run->in->pid);
	}
	run->asked = true;
	run->end = host_now_ns() + LAST_PATIENCE_NS;
	ptrace(PTRACE_INTERRUPT, run->in->pid, 0, 0);
	return 0;
}

/* 1: it is to go on. */
static int look_at_stop(struct run *run, int status, struct err *reterr)
{
	struct user_regs_struct regs;
	int event = status >> 16, sig = WSTOPSIG(status);
	bool behind = is_behind_it(run, &regs);
	if (!event && sig == SIGTRAP && behind)
		return arrived(run, &regs, reterr);
	/* Where it stands behind the breakpoint, the signal of that is yet to come. */
	if (run->asked && event == PTRACE_EVENT_STOP && !behind)
		return stand(run, reterr);
	ptrace(PTRACE_CONT, run->in->pid, 0, event ? 0 : sig);
	return 1;
}

/* 0: at the breakpoint, whose instruction is next.  Signals to us are let through in the pauses alone, by @mask. */
static int await_trap(struct run *run, const sigset_t *mask, struct err *reterr)
{
	struct inject *in = run->in;
	struct timespec nap = { 0, 20000 };
	int status = 0, r = 1;
	while (r > 0) {
		pid_t got = waitpid(in->pid, &status, __WALL | WNOHANG);
		if (got < 0 || (got > 0 && !WIFSTOPPED(status))) {
			in->exited = true;
			in->status = status;
			return inject_gone(in, reterr);
		}
		if (got) {
			r = look_at_stop(run, status, reterr);
			continue;
		}
		bool told = ppoll(NULL, 0, &nap, mask) < 0 && errno == EINTR;
		if (nap.tv_nsec < 1000000)
			nap.tv_nsec += nap.tv_nsec / 2;
		if (told && !run->asked)
			run->why = -EINTR;
		if ((told && !run->asked) || host_now_ns() > run->end) {
			int rc = lose_patience(run, reterr);
			r = rc ? rc : 1;
		}
	}
	return r;
}

static int go_there(struct run *run, struct err *reterr)
{
	sigset_t most, mask;
	sigfillset(&most);
	sigdelset(&most, SIGCHLD);
	sigprocmask(SIG_BLOCK, &most, &mask);
	int r = ptrace(PTRACE_CONT, run->in->pid, 0, 0) ? inject_gone(run->in, reterr) : await_trap(run, &mask, reterr);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return r;
}

int inject_run_to(struct inject *in, uint64_t addr, struct err *reterr)
{
	const uint8_t trap = INT3;
	struct run run = { .in = in, .addr = addr, .end = host_now_ns() + PATIENCE_NS, .why = -ETIMEDOUT };
	uint8_t was;
	int r = inject_settle(in, reterr);
	if (!r && (in->thread_cnt != 1 || in->threads[0].tid != in->pid))
		r = err_setf(reterr, -EINVAL, "process %d has begun already: it has threads", (int)in->pid);
	r = r ? r : inject_read(in, addr, &was, 1, reterr);
	r = r ? r : inject_write(in, addr, &trap, 1, reterr);
	if (r)
		return r;
	r = go_there(&run, reterr);
	int back = inject_write(in, addr, &was, 1, r ? NULL : reterr);
	return r ? r : back;
}
